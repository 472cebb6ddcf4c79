"""UniPC (Zhao et al. 2023, arXiv:2302.04867): a predictor and a corrector of any order from one model call a step.

Written for x / sqrt(alpha) with lambda = -log(sigma), in the data prediction form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.sampling.denoisers import Denoiser
from modules.sampling.solvers.common import UNWATCHED, Noise, Watch, per_image
from modules.sampling.solvers.ddim import unit_variance


@dataclass(frozen=True, slots=True)
class UniPcOptions:
    """The solver's variant, its order (1 and up), and whether the order falls towards the end of the run.

    `variant`: "bh1" is B(h) = h, "bh2" is B(h) = exp(h) - 1 (table 1 of the paper), "vary_coeff" has weights of its own
    (appendix C). `skip_type`, how the times are spread, acts through the schedule's options of the same name.
    """

    variant: str = "bh1"
    skip_type: str = "time_uniform"
    order: int = 3
    lower_order_final: bool = True

    def order_of(self, index: int, steps: int) -> int:
        """Return the order of step `index` (from 0) of `steps`: it rises to the full one as x0 gather."""
        full = max(1, min(self.order, steps))
        if index < full - 1:
            return index + 1
        return min(full, steps - index) if self.lower_order_final else full


DEFAULTS = UniPcOptions()


def sample_unipc(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    unipc: UniPcOptions = DEFAULTS,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """Algorithm 5 and 8 (multistep); the last step has no corrector. Deterministic: `noise` is not drawn from."""
    levels = sigmas.tolist()
    steps = len(levels) - 1
    kind = _VaryingStep if unipc.variant == "vary_coeff" else _Step
    past: list[tuple[float, Tensor]] = []
    correct: _Step | None = None
    for index, sigma in enumerate(levels[:-1]):
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        if correct is not None:
            x = correct.corrected(denoised)
        past = [(sigma, denoised), *past[: unipc.order - 1]]
        correct = kind(x, levels[index + 1], past[: unipc.order_of(index, steps)], unipc.variant)
        x = correct.predicted()
    return unit_variance(x, levels[-1])


class _Step:
    """One step from the newest of `past` to `sigma_next`; its order is the number of past predictions."""

    def __init__(self, x: Tensor, sigma_next: float, past: Sequence[tuple[float, Tensor]], variant: str) -> None:
        """Take the x0 of the last steps with their sigmas, newest first."""
        sigma, self.newest = past[0]
        self.h = math.log(sigma / sigma_next)
        self.scale = -math.expm1(-self.h) if variant == "bh2" else self.h
        ratios = [math.log(sigma / older) / self.h for older, _ in past[1:]]
        self.differences = [
            (older - self.newest) / ratio for (_, older), ratio in zip(past[1:], ratios, strict=True)
        ]
        self.nodes = [*ratios, 1.0]
        self.base = sigma_next / sigma * x - math.expm1(-self.h) * self.newest

    def predicted(self) -> Tensor:
        """Return x at the next level from the past alone."""
        # With one past difference any weight keeps the order; the authors take 1/2.
        weights = [0.5] if len(self.nodes) == 2 else self._weights(len(self.nodes) - 1)
        return self.base + self.scale * self._sum(weights)

    def corrected(self, denoised_next: Tensor) -> Tensor:
        """Return x at the next level, now that the model's x0 there is known."""
        weights = [0.5] if len(self.nodes) == 1 else self._weights(len(self.nodes))
        last = weights[-1] * (denoised_next - self.newest)
        return self.base + self.scale * (self._sum(weights[:-1]) + last)

    def _sum(self, weights: Sequence[float]) -> Tensor:
        terms = (weight * difference for weight, difference in zip(weights, self.differences, strict=True))
        return sum(terms, start=torch.zeros_like(self.newest))

    def _weights(self, count: int) -> list[float]:
        """Solve equation 7 of the paper for the first `count` nodes: sum of a_m r_m^(k-1) = b_k."""
        if count == 0:
            return []
        powers = [[node**power for node in self.nodes[:count]] for power in range(count)]
        moments = [phi * math.factorial(place) / -self.scale for place, phi in enumerate(self._phis(count), start=1)]
        return _solved(powers, moments)

    def _phis(self, count: int) -> list[float]:
        """Return h' phi_(k+1)(h') for k = 1 … `count`, h' = -h: what the k-th power of time contributes to a step."""
        phis, phi, factorial = [], math.expm1(-self.h) / -self.h - 1, 1
        for place in range(1, count + 1):
            phis.append(phi)
            factorial *= place + 1
            phi = phi / -self.h - 1 / factorial
        return phis


class _VaryingStep(_Step):
    """A step whose weights come from the inverse of a matrix that knows nothing of h (appendix C)."""

    def predicted(self) -> Tensor:
        """Return x at the next level from the past alone."""
        count = len(self.nodes) - 1
        return self.base - self._sum(self._row_sums(self._inverse(count), count, count))

    def corrected(self, denoised_next: Tensor) -> Tensor:
        """Return x at the next level, now that the model's x0 there is known.

        As in the authors' program the last row of the inverse is left out, and the row before it weighs the newest
        difference; the pictures that users know were made so.
        """
        count = len(self.nodes)
        inverse = self._inverse(count)
        last = self._phis(count)[-1] * inverse[max(count - 2, 0)][-1] * (denoised_next - self.newest)
        return self.base - self._sum(self._row_sums(inverse, count - 1, count - 1)) - last

    def _row_sums(self, inverse: Sequence[Sequence[float]], rows: int, columns: int) -> list[float]:
        phis = self._phis(rows)
        return [sum(phis[row] * inverse[row][column] for row in range(rows)) for column in range(columns)]

    def _inverse(self, count: int) -> list[list[float]]:
        """Return the inverse of r_m^(k-1) / k! over the first `count` nodes: rows k, columns m."""
        if count == 0:
            return []
        rows = [
            [node**power / math.factorial(power + 1) for power in range(count)] for node in self.nodes[:count]
        ]
        inverse: list[list[float]] = torch.linalg.inv(torch.tensor(rows, dtype=torch.float64)).tolist()
        return inverse


def _solved(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    solution: list[float] = torch.linalg.solve(
        torch.tensor(matrix, dtype=torch.float64), torch.tensor(right, dtype=torch.float64)
    ).tolist()
    return solution
