import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modules.sampling import registry
from modules.sampling.denoisers import FlowLevels, LcmLevels, Levels, NoiseLevels, downcasted, zero_terminal_snr
from modules.sampling.schedules import (
    ScheduleOptions,
    ddim_timesteps,
    karras,
    rising_timesteps,
    unipc_between,
    unipc_timesteps,
)
from tests.sampling.toys import LEVELS, schedule_of

ALPHAS = LEVELS.alphas_cumprod
OPTIONS = st.builds(
    ScheduleOptions,
    sigma_min=st.none() | st.floats(0.01, 1.0),
    sigma_max=st.none() | st.floats(2.0, 60.0),
    rho=st.none() | st.floats(1.0, 20.0),
    alpha=st.floats(0.3, 3.0),
    beta=st.floats(0.3, 3.0),
    xl=st.booleans(),
    old_karras=st.booleans(),
)
HEEDS_SPAN = {"Karras", "Exponential", "Polyexponential", "SGM Uniform", "Normal", "KL Optimal", "Beta"}
HEEDS_RHO = {"Karras", "Polyexponential"}
schedules = st.sampled_from(registry.SCHEDULES)


@given(schedule=schedules, steps=st.integers(1, 150), options=OPTIONS)
def test_every_schedule_falls_from_high_noise_to_none(
    schedule: registry.Schedule, steps: int, options: ScheduleOptions
) -> None:
    sigmas = schedule.function()(LEVELS, steps, options)
    assert torch.isfinite(sigmas).all()
    # DDIM picks timesteps at whole distances, which may give more than were asked for.
    assert len(sigmas) == steps + 1 or (schedule.label == "DDIM" and len(sigmas) >= steps + 1)
    # A narrow Beta distribution and a high rho have levels that are one in float32.
    crowded = schedule.label in ("Beta", "Polyexponential")
    assert (sigmas.diff() <= 0).all() if crowded else (sigmas.diff() < 0).all()
    assert sigmas[-1] == 0 or schedule.label == "KL Optimal"
    assert sigmas[-1] >= 0


@given(schedule=schedules, steps=st.integers(1, 150))
def test_the_default_schedules_fall_strictly(schedule: registry.Schedule, steps: int) -> None:
    assert (schedule.function()(LEVELS, steps).diff() < 0).all()


@pytest.mark.parametrize(
    "levels",
    [
        LcmLevels(LEVELS),
        NoiseLevels(zero_terminal_snr(ALPHAS)),
        NoiseLevels(downcasted(ALPHAS)),
        FlowLevels(3.0),
    ],
    ids=["LCM", "zero terminal SNR", "downcasted", "flow"],
)
@given(schedule=schedules, steps=st.integers(1, 150))
def test_every_schedule_works_with_any_levels(levels: Levels, schedule: registry.Schedule, steps: int) -> None:
    sigmas = schedule.function()(levels, steps)
    assert torch.isfinite(sigmas).all()
    assert (sigmas.diff() <= 0).all()
    assert sigmas[0] > 0


@pytest.mark.parametrize("schedule", registry.SCHEDULES, ids=lambda schedule: schedule.label)
def test_a_schedule_heeds_the_options_that_a1111_gives_it(schedule: registry.Schedule) -> None:
    def sigmas(options: ScheduleOptions) -> list[float]:
        return schedule.function()(LEVELS, 7, options).tolist()

    plain = sigmas(ScheduleOptions())
    assert (sigmas(ScheduleOptions(sigma_min=0.2, sigma_max=8.0)) != plain) is (schedule.label in HEEDS_SPAN)
    assert (sigmas(ScheduleOptions(old_karras=True)) != plain) is (schedule.label in HEEDS_SPAN)
    assert (sigmas(ScheduleOptions(rho=4.0)) != plain) is (schedule.label in HEEDS_RHO)
    assert (sigmas(ScheduleOptions(alpha=0.9)) != plain) is (schedule.label == "Beta")
    assert sigmas(ScheduleOptions(sigma_min=0.0, sigma_max=0.0, rho=0.0)) == plain


def test_the_span_and_rho_can_be_set() -> None:
    sigmas = karras(LEVELS, 5, ScheduleOptions(sigma_min=0.1, sigma_max=10.0, rho=5.0))
    assert sigmas[0].item() == pytest.approx(10.0)
    assert sigmas[-2].item() == pytest.approx(0.1)
    assert not torch.allclose(sigmas, karras(LEVELS, 5, ScheduleOptions(sigma_min=0.1, sigma_max=10.0)))


def test_the_old_karras_span_is_overruled_by_one_that_is_set() -> None:
    assert torch.equal(karras(LEVELS, 5, ScheduleOptions(old_karras=True)), karras(LEVELS, 5, ScheduleOptions(0.1, 10)))
    mixed = ScheduleOptions(sigma_max=12.0, old_karras=True)
    assert mixed.span(LEVELS) == (0.1, 12.0)


def test_turbo_walks_the_timesteps_that_it_was_distilled_for() -> None:
    sigmas = schedule_of("Turbo").function()(LEVELS, 4)
    assert LEVELS.timestep_at(sigmas[:-1]).round().tolist() == [999, 749, 499, 249]


def test_a_consistency_model_s_own_schedule_ends_at_its_first_timestep() -> None:
    levels = LcmLevels(LEVELS)
    sigmas = schedule_of("Uniform").function()(levels, 4)
    assert levels.timestep_at(sigmas[:-1]).tolist() == [999.0, 679.0, 339.0, 19.0]


@given(steps=st.integers(1, 1000))
def test_the_timestep_samplers_walk_at_least_one_step_down_to_their_own_ends(steps: int) -> None:
    places = rising_timesteps(LEVELS, steps)
    assert len(places) >= 2
    assert places == sorted(set(places))
    walked = ddim_timesteps(LEVELS, steps)
    assert walked[-1] == LEVELS.sigmas[1]
    assert (walked.diff() < 0).all()


@pytest.mark.parametrize("skip_type", ["time_uniform", "time_quadratic", "logSNR"])
@pytest.mark.parametrize("steps", [1, 3, 20, 150])
def test_unipc_spreads_its_times_between_the_same_ends(skip_type: str, steps: int) -> None:
    sigmas = unipc_timesteps(LEVELS, steps, ScheduleOptions(skip_type=skip_type))
    assert len(sigmas) == len(rising_timesteps(LEVELS, steps)) + 1
    assert (sigmas.diff() < 0).all()
    assert sigmas[[0, -1]].tolist() == pytest.approx([LEVELS.sigma_max, LEVELS.sigma_min], rel=1e-3)


def test_unipc_s_skip_types_are_even_in_what_they_are_named_after() -> None:
    uniform, quadratic, logarithmic = (
        unipc_between(LEVELS, 500, 5, skip_type) for skip_type in ("time_uniform", "time_quadratic", "logSNR")
    )
    assert LEVELS.timestep_at(uniform).diff().tolist() == pytest.approx([-100.0] * 5, abs=0.5)
    roots = (LEVELS.timestep_at(quadratic) + 1).sqrt().diff()
    assert roots.tolist() == pytest.approx([roots.mean().item()] * 5, abs=0.02)
    ratios = logarithmic.log().diff()
    assert ratios.tolist() == pytest.approx([ratios.mean().item()] * 5, rel=1e-4)
