import pytest
import torch

from modules.sampling import registry
from modules.sampling.denoisers import NoiseLevels
from modules.sampling.schedules import ScheduleOptions, karras

LEVELS = NoiseLevels.scaled_linear()


@pytest.mark.parametrize("steps", [1, 2, 11, 20, 150])
@pytest.mark.parametrize("schedule", registry.SCHEDULES, ids=lambda schedule: schedule.label)
def test_every_schedule_falls_from_high_noise_to_none(schedule: registry.Schedule, steps: int) -> None:
    sigmas = schedule.function()(LEVELS, steps)
    assert torch.isfinite(sigmas).all()
    # DDIM picks timesteps at whole distances, which may give more than were asked for.
    assert len(sigmas) == steps + 1 or (schedule.label == "DDIM" and len(sigmas) >= steps + 1)
    assert (sigmas.diff() < 0).all()
    assert sigmas[-1] == 0 or schedule.label == "KL Optimal"
    assert sigmas[0] > 1 or steps == 1


def test_the_span_and_rho_can_be_set() -> None:
    sigmas = karras(LEVELS, 5, ScheduleOptions(sigma_min=0.1, sigma_max=10.0, rho=5.0))
    assert sigmas[0].item() == pytest.approx(10.0)
    assert sigmas[-2].item() == pytest.approx(0.1)
    assert not torch.allclose(sigmas, karras(LEVELS, 5, ScheduleOptions(sigma_min=0.1, sigma_max=10.0)))


def test_turbo_walks_the_timesteps_that_it_was_distilled_for() -> None:
    schedule = registry.find_schedule("Turbo")
    assert schedule is not None
    sigmas = schedule.function()(LEVELS, 4)
    assert LEVELS.timestep_at(sigmas[:-1]).round().tolist() == [999, 749, 499, 249]
