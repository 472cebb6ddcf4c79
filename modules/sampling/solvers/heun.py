"""Heun's method, Heun++, and Restart sampling, which goes back up in noise and down again with Heun's steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from modules.sampling.denoisers import Denoiser
from modules.sampling.schedules import karras_between
from modules.sampling.solvers.common import NO_CHURN, UNWATCHED, Churn, Noise, Watch, derivative, per_image

FEWEST_STEPS_TO_RESTART = 20
STEPS_FOR_TWO_RESTARTS = 36
STEPS_OF_ONE_RESTART = 9
RESTART_FROM = 0.1
RESTART_TO = 2.0


def sample_heun(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    churn: Churn = NO_CHURN,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """Karras et al. 2022 (arXiv:2206.00364), algorithm 2: two calls of the model a step, one in the last."""
    levels = sigmas.tolist()
    for index, (sigma, sigma_next) in enumerate(pairwise(levels)):
        x = watch.begin(index, x, sigma)
        x, sigma = churn.raised(x, sigma, len(levels) - 1, noise)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        x = _heun_step(denoise, x, (sigma, sigma_next), denoised)
    return x


def sample_heunpp2(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """Heun++: the slopes here and one and two steps ahead, weighed by their noise levels; `noise` is not drawn from.

    Three calls of the model a step, two in the last but one and one in the last. Published without a paper
    (github.com/Carzit/sd-webui-samplers-scheduler); of first order, for the slopes ahead lose weight as sigma falls.
    """
    levels = sigmas.tolist()
    for index, sigma in enumerate(levels[:-1]):
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        slope = derivative(x, sigma, denoised)
        # No slope is asked for at the end of the schedule, where sigma is 0.
        path = [sigma, *levels[index + 1 : -1][:2]]
        shares = [level / levels[0] / len(path) for level in path[1:]]
        x = x + _weighed_slope(denoise, x, slope, path, shares) * (levels[index + 1] - sigma)
    return x


def _weighed_slope(
    denoise: Denoiser, x: Tensor, slope: Tensor, path: Sequence[float], shares: Sequence[float]
) -> Tensor:
    """Return the mean of `slope`, that of x at `path[0]`, and those ahead, each found by an Euler step to its level."""
    weighed, last, there = slope * (1 - sum(shares)), slope, x
    for (sigma, sigma_next), share in zip(pairwise(path), shares, strict=True):
        there = there + last * (sigma_next - sigma)
        last = derivative(there, sigma_next, denoise(there, per_image(sigma_next, x)))
        weighed = weighed + last * share
    return weighed


def sample_restart(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    watch: Watch = UNWATCHED,
) -> Tensor:
    """Restart sampling of Xu et al. 2023 (arXiv:2306.14878), algorithm 2, over Heun steps.

    From 20 steps on, the run goes back from sigma = 0.1 to 2 once, from 36 on twice, on a Karras schedule; the steps
    for that are taken from the main schedule, so that their number stays what it was.
    """
    last: float | None = None
    for index, (sigma, sigma_next) in enumerate(_restart_steps(sigmas)):
        if last is not None and last < sigma:
            x = x + noise(last, sigma) * (sigma**2 - last**2) ** 0.5
        x = watch.begin(index, x, sigma)
        denoised = denoise(x, per_image(sigma, x))
        watch.tell(index, x, denoised)
        x = _heun_step(denoise, x, (sigma, sigma_next), denoised)
        last = sigma_next
    return x


def _heun_step(denoise: Denoiser, x: Tensor, step: tuple[float, float], denoised: Tensor) -> Tensor:
    """Return x after the step from `step[0]` to `step[1]`; the last one, to 0, is an Euler step."""
    sigma, sigma_next = step
    slope = derivative(x, sigma, denoised)
    ahead = x + slope * (sigma_next - sigma)
    if sigma_next == 0:
        return ahead
    slope_ahead = derivative(ahead, sigma_next, denoise(ahead, per_image(sigma_next, x)))
    return x + (slope + slope_ahead) / 2 * (sigma_next - sigma)


def _restart_steps(sigmas: Tensor) -> list[tuple[float, float]]:
    """Return every step, from one sigma to the next, the restarts included."""
    steps = len(sigmas) - 1
    if steps < FEWEST_STEPS_TO_RESTART:
        return list(pairwise(sigmas.tolist()))
    length, times = STEPS_OF_ONE_RESTART, 1
    if steps >= STEPS_FOR_TWO_RESTARTS:
        length, times = steps // 4, 2
    main = karras_between(float(sigmas[-2]), float(sigmas[0]), steps - length * times)
    turn = int((main - RESTART_FROM).abs().argmin())
    top = int((main - RESTART_TO).abs().argmin())
    loop: list[tuple[float, float]] = []
    if top < turn:
        back = karras_between(float(main[turn]), float(main[top]), length + 1)[:-1]
        loop = list(pairwise(back.tolist())) * times
    whole = list(pairwise(main.tolist()))
    return whole[:turn] + loop + whole[turn:] if turn < len(main) - 1 else whole

