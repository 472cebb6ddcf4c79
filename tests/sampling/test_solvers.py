"""Solvers against closed forms: for Gaussian data the exact denoiser and the exact solution are known."""

import inspect
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from modules.sampling import registry
from modules.sampling.denoisers import NoiseLevels
from modules.sampling.schedules import karras
from modules.sampling.solvers.common import Churn, ancestral_split
from modules.sampling.solvers.euler import sample_euler, sample_euler_ancestral

DEVIATION = 0.5
LEVELS = NoiseLevels.scaled_linear()


def gaussian_denoiser(x: Tensor, sigma: Tensor) -> Tensor:
    """x0 for data of mean 0 and deviation 0.5: the posterior mean."""
    variance = sigma.view(-1, 1, 1, 1) ** 2
    return x * DEVIATION**2 / (DEVIATION**2 + variance)


def exact_solution(x: Tensor, sigma: float, sigma_end: float) -> Tensor:
    """The probability flow between two noise levels scales x by the ratio of the deviations there."""
    return x * ((DEVIATION**2 + sigma_end**2) / (DEVIATION**2 + sigma**2)) ** 0.5


def no_noise(sigma: float, sigma_next: float) -> Tensor:
    return torch.zeros(2, 4, 8, 8, dtype=torch.float64)


def schedule_of(sampler: registry.Sampler, steps: int) -> Tensor:
    karras_schedule = registry.find_schedule("Karras")
    assert karras_schedule is not None
    sigmas: Tensor = sampler.schedule_function(karras_schedule)(LEVELS, steps)
    return sigmas


def error(solver: Callable[..., Tensor], steps: int) -> float:
    """The largest error down to the smallest positive sigma: the step from there to 0 is of first order in all."""
    sigmas = karras(LEVELS, steps + 1).double()[:-1]
    start = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * sigmas[0]
    options = {"eta": 0.0} if "eta" in inspect.signature(solver).parameters else {}
    result = solver(gaussian_denoiser, start, sigmas, noise=no_noise, **options)
    return (result - exact_solution(start, float(sigmas[0]), float(sigmas[-1]))).abs().max().item()


@pytest.mark.parametrize(
    ("label", "order"), [("Euler", 1), ("Heun", 2), ("DPM2", 2), ("DPM++ 2M", 2), ("DPM++ 2S a", 2), ("LMS", 4)]
)
def test_doubling_the_steps_divides_the_error_by_two_to_the_order(label: str, order: int) -> None:
    sampler = registry.find_sampler(label)
    assert sampler is not None
    coarse, fine = error(sampler.function(), 40), error(sampler.function(), 80)
    assert coarse / fine == pytest.approx(2**order, rel=0.25)


def test_euler_ancestral_without_eta_is_euler() -> None:
    sigmas = karras(LEVELS, 10)
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2)) * sigmas[0]
    plain = sample_euler(gaussian_denoiser, start, sigmas, noise=lambda sigma, sigma_next: torch.zeros_like(start))
    ancestral = sample_euler_ancestral(
        gaussian_denoiser, start, sigmas, noise=lambda sigma, sigma_next: torch.ones_like(start), eta=0.0
    )
    assert torch.allclose(plain, ancestral)


@pytest.mark.parametrize("label", registry.sampler_labels())
def test_a_solver_tells_of_every_step_with_what_the_model_saw(label: str) -> None:
    sampler = registry.find_sampler(label)
    assert sampler is not None
    inputs: list[Tensor] = []
    seen: list[tuple[int, Tensor]] = []

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        inputs.append(x)
        assert sigma.shape == (x.shape[0],)
        return gaussian_denoiser(x, sigma)

    start = torch.randn(2, 4, 8, 8) * LEVELS.sigma_max
    sampler.function()(
        denoise,
        start,
        schedule_of(sampler, 5),
        noise=lambda sigma, sigma_next: torch.randn(2, 4, 8, 8),
        on_step=lambda index, x, denoised: seen.append((index, x)),
    )
    indexes = [index for index, _ in seen]
    assert indexes == sorted(set(indexes))
    assert indexes[-1] == len(schedule_of(sampler, 5)) - 2 or label == "DPM adaptive"
    assert all(any(torch.equal(watched, given) for given in inputs) for _, watched in seen)


@pytest.mark.parametrize("label", registry.sampler_labels())
def test_a_solver_leaves_its_input_as_it_was(label: str) -> None:
    sampler = registry.find_sampler(label)
    assert sampler is not None
    start = torch.randn(1, 4, 8, 8)
    kept = start.clone()
    sampler.function()(
        gaussian_denoiser, start, schedule_of(sampler, 4), noise=lambda sigma, sigma_next: torch.randn(1, 4, 8, 8)
    )
    assert torch.equal(start, kept)


def test_an_ancestral_step_keeps_the_variance_of_the_next_level() -> None:
    down, up = ancestral_split(10.0, 4.0)
    assert down**2 + up**2 == pytest.approx(16.0)
    assert ancestral_split(10.0, 4.0, eta=0.0) == (4.0, 0.0)


def test_churn_acts_only_between_its_sigmas_and_is_bounded() -> None:
    churn = Churn(amount=100.0, sigma_from=1.0, sigma_to=5.0)
    assert churn.gamma(0.5, 10) == 0.0
    assert churn.gamma(6.0, 10) == 0.0
    assert churn.gamma(3.0, 10) == pytest.approx(2**0.5 - 1)


@pytest.mark.parametrize(("label", "order"), [("DDIM", 1), ("PLMS", 2), ("UniPC", 2)])
def test_the_timestep_samplers_converge_at_least_at_their_order(label: str, order: int) -> None:
    # UniPC is of order 3 but for its first and last steps, whose lower order remains in the whole.
    sampler = registry.find_sampler(label)
    assert sampler is not None
    errors = []
    for steps in (40, 80):
        sigmas = karras(LEVELS, steps + 1).double()[:-1]
        start = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * sigmas[0]
        result = sampler.function()(gaussian_denoiser, start, sigmas, noise=no_noise)
        exact = exact_solution(start, float(sigmas[0]), float(sigmas[-1])) / (1 + float(sigmas[-1]) ** 2) ** 0.5
        errors.append((result - exact).abs().max().item())
    assert errors[0] / errors[1] > 2**order * 0.75
