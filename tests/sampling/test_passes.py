import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.sampling import registry
from modules.sampling.denoisers import FlowLevels, LcmLevels
from modules.sampling.noise import NoiseSeeds
from modules.sampling.passes import PassOptions, plan_pass
from modules.sampling.schedules import ScheduleOptions, rising_timesteps
from tests.sampling.toys import LEVELS, run_plan, sampler_of, schedule_of

UNIFORM = schedule_of("Uniform")
KARRAS = schedule_of("Karras")
SEEDS = NoiseSeeds((1,))
CLEAN = torch.randn(1, 4, 6, 8, generator=torch.Generator().manual_seed(5))
NOISE = torch.randn(1, 4, 6, 8, generator=torch.Generator().manual_seed(6))
ENDLESS = 60
"""Of more steps than this only the plan is checked, and the run left out: hypothesis tries hundreds."""


@settings(max_examples=400)
@given(
    sampler=st.sampled_from(registry.SAMPLERS),
    schedule=st.sampled_from(registry.SCHEDULES),
    steps=st.integers(1, 150),
    strength=st.none() | st.floats(0, 1) | st.sampled_from([0.0, 0.001, 0.999, 1.0]),
    exact_steps=st.booleans(),
    drop_penultimate=st.booleans(),
)
def test_any_pass_can_be_walked_and_ends_in_numbers(
    sampler: registry.Sampler,
    schedule: registry.Schedule,
    steps: int,
    strength: float | None,
    exact_steps: bool,
    drop_penultimate: bool,
) -> None:
    options = PassOptions(drop_penultimate=drop_penultimate)
    plan = plan_pass(sampler, schedule, LEVELS, steps, options, strength, exact_steps)
    latents = None if strength is None else CLEAN
    assert plan.sigmas.isfinite().all()
    assert plan.begin(NOISE, latents).isfinite().all()
    assert plan.span[0] > 0
    assert plan.span[1] >= plan.sigmas.max()
    assert sampler.consistency or (plan.sigmas.diff() < 0).all()
    if plan.steps <= ENDLESS:
        assert run_plan(plan, sampler, SEEDS, latents).isfinite().all()


@pytest.mark.parametrize(
    ("steps", "strength", "exact_steps", "whole", "walked"),
    [
        (5, 0.5, False, 5, 3), (5, 0.2, False, 5, 2), (5, 1.0, False, 5, 5), (20, 0.0, False, 20, 1),
        (4, 0.7, True, 5, 4),
    ],
)  # fmt: skip
def test_a_strength_walks_the_end_of_a_schedule_as_in_a1111(
    steps: int, strength: float, exact_steps: bool, whole: int, walked: int
) -> None:
    plan = plan_pass(sampler_of("Euler a"), KARRAS, LEVELS, steps, strength=strength, exact_steps=exact_steps)
    full = KARRAS.function()(LEVELS, whole)
    assert (plan.steps, plan.total_steps) == (walked, walked)
    assert torch.equal(plan.sigmas, full[-walked - 1 :])
    assert torch.allclose(plan.begin(NOISE, CLEAN), CLEAN + NOISE * plan.sigmas[0])
    assert plan.span == (float(full[-2]), float(full[0]))


def test_a_first_pass_begins_with_noise_of_its_highest_level() -> None:
    plan = plan_pass(sampler_of("Euler"), KARRAS, LEVELS, 7)
    assert (plan.steps, plan.total_steps) == (7, 7)
    assert torch.equal(plan.begin(NOISE), NOISE * plan.sigmas[0])
    unit = plan_pass(sampler_of("Euler"), KARRAS, LEVELS, 7, PassOptions(unit_first=True))
    assert torch.allclose(unit.begin(NOISE), NOISE * (1 + plan.sigmas[0] ** 2).sqrt())


def test_the_noise_of_a_second_pass_is_never_of_unit_variance_first() -> None:
    plan = plan_pass(sampler_of("Euler"), KARRAS, LEVELS, 7, PassOptions(unit_first=True), 0.5)
    assert torch.allclose(plan.begin(NOISE, CLEAN), CLEAN + NOISE * plan.sigmas[0])


def test_the_penultimate_sigma_can_be_dropped_with_any_sampler() -> None:
    plan = plan_pass(sampler_of("Euler"), KARRAS, LEVELS, 5, PassOptions(drop_penultimate=True))
    longer = KARRAS.function()(LEVELS, 6)
    assert torch.equal(plan.sigmas, torch.cat([longer[:5], longer[-1:]]))
    always = plan_pass(sampler_of("DPM2"), KARRAS, LEVELS, 5)
    assert torch.equal(always.sigmas, plan.sigmas)


@pytest.mark.parametrize("label", ["DDIM", "DDIM CFG++", "PLMS"])
def test_the_timestep_samplers_noise_to_one_timestep_more_than_they_walk(label: str) -> None:
    plan = plan_pass(sampler_of(label), UNIFORM, LEVELS, 10, strength=0.5)
    rising = rising_timesteps(LEVELS, 10)
    assert torch.equal(plan.sigmas.flip(0), LEVELS.sigmas[rising[:5]])
    alpha = LEVELS.alphas_cumprod[rising[5]]
    unit = alpha.sqrt() * CLEAN + (1 - alpha).sqrt() * NOISE
    assert torch.allclose(plan.begin(NOISE, CLEAN) / (1 + plan.sigmas[0] ** 2).sqrt(), unit, atol=1e-5)


def test_unipc_starts_at_the_last_of_the_timesteps_and_takes_as_many_steps() -> None:
    plan = plan_pass(sampler_of("UniPC"), UNIFORM, LEVELS, 10, strength=0.5)
    assert plan.steps == 5
    assert LEVELS.timestep_at(plan.sigmas[[0, -1]]).tolist() == pytest.approx([401.0, 0.0], abs=0.05)
    skipped = PassOptions(ScheduleOptions(skip_type="logSNR"))
    assert not torch.allclose(plan_pass(sampler_of("UniPC"), UNIFORM, LEVELS, 10, skipped, 0.5).sigmas, plan.sigmas)


@pytest.mark.parametrize("sampler", registry.SAMPLERS, ids=lambda sampler: sampler.label)
def test_exact_steps_of_no_strength_leave_the_latents_as_they_are(sampler: registry.Sampler) -> None:
    plan = plan_pass(sampler, KARRAS, LEVELS, 10, strength=0.0, exact_steps=True)
    assert plan.steps == 0
    assert torch.equal(plan.begin(NOISE, CLEAN), CLEAN)
    assert torch.equal(run_plan(plan, sampler, SEEDS, CLEAN), CLEAN)


@pytest.mark.parametrize("label", ["DPM fast", "DPM adaptive"])
def test_samplers_of_the_whole_range_heed_the_schedule_in_a_second_pass_only(label: str) -> None:
    first = plan_pass(sampler_of(label), KARRAS, LEVELS, 9, PassOptions(ScheduleOptions(sigma_max=10.0)))
    assert float(first.sigmas[0]) == pytest.approx(LEVELS.sigma_max)
    assert torch.allclose(first.begin(NOISE), NOISE * 10.0)
    second = plan_pass(sampler_of(label), KARRAS, LEVELS, 9, strength=0.5)
    assert torch.equal(second.sigmas, KARRAS.function()(LEVELS, 9)[-6:])


def test_a_consistency_sampler_gets_the_levels_it_was_distilled_on() -> None:
    plan = plan_pass(sampler_of("LCM"), UNIFORM, LEVELS, 4)
    same = plan_pass(sampler_of("LCM"), UNIFORM, LcmLevels(LEVELS), 4)
    assert torch.equal(plan.sigmas, same.sigmas)
    assert LcmLevels(LEVELS).timestep_at(plan.sigmas[:-1]).tolist() == [999.0, 679.0, 339.0, 19.0]


def test_a_second_pass_of_a_flow_mixes_latents_and_noise() -> None:
    plan = plan_pass(sampler_of("Euler"), UNIFORM, FlowLevels(), 10, strength=0.5)
    sigma = float(plan.sigmas[0])
    assert torch.allclose(plan.begin(NOISE, CLEAN), (1 - sigma) * CLEAN + sigma * NOISE)


@pytest.mark.parametrize("strength", [0.3, 0.75])
def test_a_second_pass_with_a_perfect_model_keeps_what_its_strength_leaves(strength: float) -> None:
    latents = CLEAN * 0.5
    errors = {}
    for amount in (strength, 1.0):
        plan = plan_pass(sampler_of("Euler"), KARRAS, LEVELS, 20, strength=amount)
        errors[amount] = (run_plan(plan, sampler_of("Euler"), SEEDS, latents) - latents).abs().mean()
    assert errors[strength] < errors[1.0]
