"""Solvers against closed forms: for Gaussian data the exact denoiser and the exact solution are known."""

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import Tensor

from modules.sampling import registry
from modules.sampling.noise import NoiseSeeds
from modules.sampling.passes import PassOptions, plan_pass
from modules.sampling.schedules import karras
from modules.sampling.solvers.common import Churn, Watch, ancestral_split
from modules.sampling.solvers.ddim import sample_ddim, sample_ddim_cfg_pp
from modules.sampling.solvers.deis import step_weights
from modules.sampling.solvers.euler import sample_euler, sample_euler_ancestral
from modules.sampling.solvers.lcm import sample_lcm
from modules.sampling.solvers.unipc import UniPcOptions, sample_unipc
from tests.sampling.toys import LEVELS, GaussianDenoiser, exact_solution, levels_of, run_plan, sampler_of, schedule_of

KARRAS = schedule_of("Karras")
UNIFORM = schedule_of("Uniform")
LABELS = registry.sampler_labels()
# Its step sizes follow the error over the whole batch: docs/decisions/003.
APART = {"DPM adaptive"}


def no_noise(sigma: float, sigma_next: float) -> Tensor:
    return torch.zeros(2, 4, 8, 8, dtype=torch.float64)


def fresh_noise(sigma: float, sigma_next: float) -> Tensor:
    return torch.randn(2, 4, 8, 8)


def sigmas_of(sampler: registry.Sampler, steps: int) -> Tensor:
    return plan_pass(sampler, KARRAS, levels_of(sampler), steps).sigmas


def without_noise(sampler: registry.Sampler) -> dict[str, Any]:
    return {"eta": 0.0} if "eta" in sampler.options else {}


def error(label: str, steps: int, **options: Any) -> float:
    """The largest error down to the smallest positive sigma: the step from there to 0 is of first order in all."""
    sampler = sampler_of(label)
    sigmas = karras(LEVELS, steps + 1).double()[:-1]
    start = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * sigmas[0]
    options = {**without_noise(sampler), **options}
    result = sampler.function()(GaussianDenoiser(), start, sigmas, noise=no_noise, **options)
    exact = exact_solution(start, float(sigmas[0]), float(sigmas[-1]))
    if sampler.unit_start:
        exact = exact / (1 + float(sigmas[-1]) ** 2) ** 0.5
    return (result - exact).abs().max().item()


@pytest.mark.parametrize(
    ("label", "order"),
    [
        ("Euler", 1), ("Euler a", 1), ("DDIM", 1), ("DDIM CFG++", 1), ("Heun", 2), ("DPM2", 2), ("DPM2 a", 2),
        ("DPM++ 2M", 2), ("DPM++ 2S a", 2), ("DPM++ SDE", 2), ("DPM++ 2M SDE", 2), ("DPM++ 2M SDE Heun", 2),
        ("LMS", 4),
    ],
)  # fmt: skip
def test_doubling_the_steps_divides_the_error_by_two_to_the_order(label: str, order: int) -> None:
    assert error(label, 40) / error(label, 80) == pytest.approx(2**order, rel=0.25)


@pytest.mark.parametrize(
    ("label", "order", "steps"),
    [
        # Of order 3 or 4 but for the first and last steps, or for unequal steps, which leave less in the whole.
        ("PLMS", 2, 40), ("UniPC", 2, 40), ("DPM++ 3M SDE", 2, 40), ("IPNDM", 2, 40), ("DEIS", 2, 40),
        # Its error changes its sign between 20 and 80 steps.
        ("IPNDM_V", 2, 160), ("HeunPP2", 1, 40),
    ],
)  # fmt: skip
def test_doubling_the_steps_divides_the_error_by_at_least_two_to_the_order(label: str, order: int, steps: int) -> None:
    assert error(label, steps) / error(label, 2 * steps) > 2**order * 0.75


@pytest.mark.parametrize("label", sorted(set(LABELS) - {"LCM"}))
def test_every_solver_of_the_flow_comes_close_to_its_end(label: str) -> None:
    # From 20 steps on Restart relies on noise.
    assert error(label, 19 if label == "Restart" else 80) < 0.05


@pytest.mark.parametrize("variant", ["bh1", "bh2", "vary_coeff"])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("lower_order_final", [True, False])
def test_unipc_converges_with_all_its_options(variant: str, order: int, lower_order_final: bool) -> None:
    options = UniPcOptions(variant, order=order, lower_order_final=lower_order_final)
    least = 2 if order > 1 and variant != "vary_coeff" else 1
    assert error("UniPC", 40, unipc=options) / error("UniPC", 80, unipc=options) > 2**least * 0.75


def test_unipc_s_order_rises_with_what_is_known_and_may_fall_at_the_end() -> None:
    assert [UniPcOptions().order_of(index, 6) for index in range(6)] == [1, 2, 3, 3, 2, 1]
    assert [UniPcOptions(lower_order_final=False).order_of(index, 6) for index in range(6)] == [1, 2, 3, 3, 3, 3]
    assert [UniPcOptions(order=5).order_of(index, 5) for index in range(5)] == [1, 2, 3, 4, 1]
    assert [UniPcOptions(order=9).order_of(index, 2) for index in range(2)] == [1, 1]


def test_unipc_without_past_or_future_is_ddim() -> None:
    sigmas = karras(LEVELS, 9)[:-1]
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2)) * sigmas[0]
    first = sample_unipc(
        GaussianDenoiser(), start, sigmas[:2], noise=fresh_noise, unipc=UniPcOptions(order=1)
    )
    assert torch.allclose(first, sample_ddim(GaussianDenoiser(), start, sigmas[:2], noise=fresh_noise), atol=1e-5)


def test_deis_integrates_in_the_time_of_the_linear_process() -> None:
    def time(sigma: float) -> float:
        span = 2 * (np.log1p(0.002**2) / 1e-3 - np.log1p(80.0**2)) / (1e-3 - 1)
        start = np.log1p(80.0**2) - span / 2
        return float((np.sqrt(start**2 + 2 * span * np.log1p(sigma**2)) - start) / span)

    nodes, end = [2.0, 5.0, 9.0], 1.2
    for place, weight in enumerate(step_weights(nodes, end)):
        others = [node for index, node in enumerate(nodes) if index != place]
        scale = np.prod([time(nodes[place]) - time(other) for other in others])
        exact = quad(lambda sigma: np.prod([time(sigma) - time(other) for other in others]) / scale, nodes[0], end)[0]  # noqa: B023
        assert weight == pytest.approx(exact, abs=1e-3)
    assert sum(step_weights(nodes, end)) == pytest.approx(end - nodes[0], abs=1e-3)


def test_a_consistency_model_s_answer_is_noised_anew() -> None:
    sigmas = torch.tensor([14.0, 2.0, 0.0])
    answers = [torch.full((1, 4, 2, 2), 3.0), torch.full((1, 4, 2, 2), 5.0)]
    given: list[Tensor] = []

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        given.append(x)
        return answers[len(given) - 1]

    result = sample_lcm(denoise, torch.zeros(1, 4, 2, 2), sigmas, noise=lambda *step: torch.ones(1, 4, 2, 2))
    assert torch.equal(given[1], answers[0] + 2.0)
    assert torch.equal(result, answers[1])


def test_cfg_pp_goes_back_along_the_noise_without_guidance() -> None:
    sigmas = torch.tensor([4.0, 1.0])
    x, guided, unconditional = (torch.full((1, 4, 2, 2), value) for value in (8.0, 2.0, 4.0))

    class Guided:
        def __init__(self) -> None:
            self.unconditional = unconditional

        def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
            return guided

    result = sample_ddim_cfg_pp(Guided(), x, sigmas, noise=lambda *step: torch.zeros_like(x))
    assert torch.allclose(result, (guided + 1.0 * (x - unconditional) / 4.0) / 2**0.5)


def test_euler_ancestral_without_eta_is_euler() -> None:
    sigmas = karras(LEVELS, 10)
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2)) * sigmas[0]
    plain = sample_euler(GaussianDenoiser(), start, sigmas, noise=lambda *step: torch.zeros_like(start))
    ancestral = sample_euler_ancestral(
        GaussianDenoiser(), start, sigmas, noise=lambda *step: torch.ones_like(start), eta=0.0
    )
    assert torch.allclose(plain, ancestral)


@pytest.mark.parametrize("label", LABELS)
def test_a_solver_tells_of_every_step_with_what_the_model_saw(label: str) -> None:
    sampler = sampler_of(label)
    sigmas = sigmas_of(sampler, 5)
    denoise = GaussianDenoiser()
    seen: list[tuple[int, Tensor]] = []
    sampler.function()(
        denoise,
        torch.randn(2, 4, 8, 8) * LEVELS.sigma_max,
        sigmas,
        noise=fresh_noise,
        watch=Watch(tell=lambda index, x, denoised: seen.append((index, x))),
    )
    indexes = [index for index, _ in seen]
    assert indexes == sorted(set(indexes))
    assert indexes[-1] == len(sigmas) - 2 or label == "DPM adaptive"
    assert all(any(torch.equal(watched, given) for given in denoise.inputs) for _, watched in seen)


@pytest.mark.parametrize("label", LABELS)
def test_a_step_begins_with_what_is_made_of_the_latents_and_its_sigma(label: str) -> None:
    sampler = sampler_of(label)
    sigmas, denoise = sigmas_of(sampler, 5), GaussianDenoiser()
    told: list[tuple[str, int]] = []
    begun: list[tuple[float, Tensor]] = []

    def begin(index: int, x: Tensor, sigma: float) -> Tensor:
        told.append(("begin", index))
        begun.append((sigma, x * 0.5))
        return x * 0.5

    def tell(index: int, x: Tensor, denoised: Tensor) -> None:
        told.append(("told", index))
        assert torch.equal(x, begun[-1][1])

    sampler.function()(
        denoise, torch.randn(2, 4, 8, 8), sigmas, noise=lambda *step: torch.zeros(2, 4, 8, 8),
        watch=Watch(begin, tell),
    )  # fmt: skip
    steps = [index for what, index in told if what == "begin"]
    assert told == [(what, index) for index in steps for what in ("begin", "told")]
    assert begun[0][0] == pytest.approx(float(sigmas[0]))
    assert all(any(torch.equal(half, given) for given in denoise.inputs) for _, half in begun)


@pytest.mark.parametrize("label", LABELS)
def test_a_solver_leaves_its_input_as_it_was(label: str) -> None:
    sampler = sampler_of(label)
    start = torch.randn(1, 4, 8, 8)
    kept = start.clone()
    sampler.function()(
        GaussianDenoiser(), start, sigmas_of(sampler, 4), noise=lambda *step: torch.randn(1, 4, 8, 8)
    )
    assert torch.equal(start, kept)


@pytest.mark.parametrize("label", LABELS)
def test_a_solver_takes_exactly_the_options_that_its_entry_names(label: str) -> None:
    sampler = sampler_of(label)
    keywords = {
        name
        for name, parameter in inspect.signature(sampler.function()).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert keywords == {"noise", "watch", *sampler.options}


@pytest.mark.parametrize("strength", [None, 0.6])
@pytest.mark.parametrize(
    "seeds",
    [
        NoiseSeeds((7, 8, 9, 10)),
        NoiseSeeds((7, 7, 7, 7), (20, 21, 22, 23), 0.3, (5, 9), 31337),
    ],
    ids=["seeds", "subseeds"],
)
@pytest.mark.parametrize("label", sorted(set(LABELS) - APART))
def test_a_picture_of_a_batch_is_the_single_picture_of_its_seed_byte_for_byte(
    label: str, seeds: NoiseSeeds, strength: float | None
) -> None:
    sampler = sampler_of(label)
    plan = plan_pass(sampler, KARRAS, levels_of(sampler), 8, PassOptions(), strength)
    clean = None if strength is None else torch.randn(4, 4, 6, 8, generator=torch.Generator().manual_seed(3))
    batch = run_plan(plan, sampler, seeds, clean)
    for place in range(4):
        alone = NoiseSeeds(
            seeds.seeds[place : place + 1],
            seeds.subseeds[place : place + 1],
            seeds.subseed_strength,
            seeds.resize_from,
            seeds.seed_delta,
        )
        latents = None if clean is None else clean[place : place + 1]
        assert torch.equal(run_plan(plan, sampler, alone, latents)[0], batch[place])


@pytest.mark.parametrize("label", [label for label in LABELS if sampler_of(label).options & {"eta", "noise_strength"}])
def test_eta_and_the_strength_of_the_noise_change_the_picture(label: str) -> None:
    sampler = sampler_of(label)
    plan = plan_pass(sampler, KARRAS, LEVELS, 6)
    pictures = [run_plan(plan, sampler, NoiseSeeds((1,)), eta=sampler.eta_default)]
    pictures += [run_plan(plan, sampler, NoiseSeeds((1,)), eta=0.5)]
    if "noise_strength" in sampler.options:
        pictures += [run_plan(plan, sampler, NoiseSeeds((1,)), noise_strength=1.1)]
    assert len({picture.numpy().tobytes() for picture in pictures}) == len(pictures)


def test_an_ancestral_step_keeps_the_variance_of_the_next_level() -> None:
    down, up = ancestral_split(10.0, 4.0)
    assert down**2 + up**2 == pytest.approx(16.0)
    assert ancestral_split(10.0, 4.0, eta=0.0) == (4.0, 0.0)


@pytest.mark.parametrize("eta", [0.5, 1.0, 3.0])
def test_ddim_never_adds_more_noise_than_a_level_holds(eta: float) -> None:
    sigmas = sigmas_of(sampler_of("DDIM"), 10)
    start = torch.randn(2, 4, 8, 8) * LEVELS.sigma_max
    assert sample_ddim(GaussianDenoiser(), start, sigmas, noise=fresh_noise, eta=eta).isfinite().all()


def test_churn_acts_only_between_its_sigmas_and_is_bounded() -> None:
    churn = Churn(amount=100.0, sigma_from=1.0, sigma_to=5.0)
    assert churn.gamma(0.5, 10) == 0.0
    assert churn.gamma(6.0, 10) == 0.0
    assert churn.gamma(3.0, 10) == pytest.approx(2**0.5 - 1)
