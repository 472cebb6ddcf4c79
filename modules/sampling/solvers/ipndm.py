"""IPNDM (Zhang and Chen 2022, arXiv:2204.13902, section 3): Adams-Bashforth over sigma without a warm-up.

The order rises with the steps, up to 4. The variant "V" takes the lengths of the steps into account.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from modules.sampling.denoisers import Denoiser
from modules.sampling.solvers.common import ADAMS, UNWATCHED, Noise, Watch, derivative, per_image

ORDER = len(ADAMS)

Direction = Callable[[Sequence[Tensor], Sequence[float]], Tensor]
"""Returns the slope of a step from the last slopes, newest first, and the lengths of this step and those before it."""


def sample_ipndm(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """The weights of equal steps, whatever the steps are; deterministic, so `noise` is not drawn from."""
    return _multistep(denoise, x, sigmas, _of_equal_steps, watch)


def sample_ipndm_v(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """Weights that follow the lengths of the steps; deterministic, so `noise` is not drawn from."""
    return _multistep(denoise, x, sigmas, _of_any_steps, watch)


def _multistep(denoise: Denoiser, x: Tensor, sigmas: Tensor, direction: Direction, watch: Watch) -> Tensor:
    levels = sigmas.tolist()
    slopes: list[Tensor] = []
    lengths: list[float] = []
    for index, sigma in enumerate(levels[:-1]):
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        slopes = [derivative(x, sigma, denoised), *slopes[: ORDER - 1]]
        lengths = [levels[index + 1] - sigma, *lengths[: ORDER - 1]]
        x = x + lengths[0] * direction(slopes, lengths)
    return x


def _of_equal_steps(slopes: Sequence[Tensor], lengths: Sequence[float]) -> Tensor:
    weighted = zip(ADAMS[len(slopes) - 1][1:], slopes[1:], strict=True)
    return sum((weight * slope for weight, slope in weighted), start=ADAMS[len(slopes) - 1][0] * slopes[0])


def _of_any_steps(slopes: Sequence[Tensor], lengths: Sequence[float]) -> Tensor:
    """Return the mean of the Newton polynomial through the slopes, but for two slips of the sampler of that name.

    Its second difference weighs (1 - h² / (3 h1 (h1 + h2))) / 2, where the integral has
    h (2 h + 3 h1) / (6 h1 (h1 + h2)); its third one ends in h1 / h2 instead of h2 / h3. Both are the same for equal
    steps. They are kept, so that pictures made with it elsewhere come out the same; they lower the order to 2.
    """
    direction = slopes[0]
    if len(slopes) == 1:
        return direction
    h, h1 = lengths[:2]
    direction = direction + h / h1 / 2 * (slopes[0] - slopes[1])
    if len(slopes) == 2:
        return direction
    h2 = lengths[2]
    bend = slopes[0] - (1 + h1 / h2) * slopes[1] + h1 / h2 * slopes[2]
    direction = direction + (1 - h * h / (3 * h1 * (h1 + h2))) / 2 * bend
    if len(slopes) == 3:
        return direction
    h3 = lengths[3]
    ratio = h1 * (h1 + h2) / (h2 * (h2 + h3))
    bend_before = slopes[1] - (1 + h2 / h3) * slopes[2] + h1 / h2 * slopes[3]
    return direction + _third_weight(h, h1, h2, h3) * (bend - ratio * bend_before)


def _third_weight(h: float, h1: float, h2: float, h3: float) -> float:
    """Return the weight of the third difference in a step of length h after steps of h1, h2 and h3."""
    share = (1 - h / (3 * (h + h1))) / 2 + (1 - h / (2 * (h + h1))) * h / (6 * (h + h1 + h2))
    return share * (h * (h + h1) * (h + h1 + h2)) / (h1 * (h1 + h2) * (h1 + h2 + h3))
