"""What the solvers share: their types, the derivative and the split of an ancestral step."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Noise = Callable[[], Tensor]
"""Returns fresh unit noise shaped like x."""

OnStep = Callable[[int, Tensor, Tensor], None]


def ignore_step(index: int, x: Tensor, denoised: Tensor) -> None:
    """Do nothing: the `on_step` of who does not watch."""


def per_image(sigma: float | Tensor, x: Tensor) -> Tensor:
    """Return `sigma` once per picture of the batch: (batch,), on x's device."""
    return x.new_ones([x.shape[0]]) * sigma


def derivative(x: Tensor, sigma: float, denoised: Tensor) -> Tensor:
    """Return dx/dsigma = (x - x0) / sigma (Karras et al. 2022, arXiv:2206.00364, equation 1 with s = 1)."""
    return (x - denoised) / sigma


def ancestral_split(sigma: float, sigma_next: float, eta: float = 1.0) -> tuple[float, float]:
    """Return (sigma_down, sigma_up): step down to the first, then add noise of the second to stand at `sigma_next`.

    eta = 0 adds no noise; eta = 1 is the ancestral sampling of Ho et al. 2020 (arXiv:2006.11239) in sigma's terms.
    """
    if not eta:
        return sigma_next, 0.0
    variance = sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2
    sigma_up = min(sigma_next, eta * variance**0.5)
    return (sigma_next**2 - sigma_up**2) ** 0.5, sigma_up
