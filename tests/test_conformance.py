"""Our numbers against the recorded ones of the programs that users come from."""

import re
from pathlib import Path

import pytest

from modules.sampling import registry
from tests import conformance

FOLDER = Path(__file__).parent / "data" / "reference"
# Forge's own, and those of A1111 whose model is not a plain denoiser: tests/sampling holds them against closed forms.
NOT_RECORDED = {"DDIM CFG++", "LCM", "HeunPP2", "IPNDM", "IPNDM_V", "DEIS"}


def lines_of(only: str) -> list[str]:
    lines: list[str] = []
    conformance.run(conformance.cases_of(FOLDER), only, lines.append)
    return lines


@pytest.mark.parametrize(
    ("only", "at_least"),
    [
        ("sigmas", 2), ("prompt ", 270), ("nv_noise", 2), ("rng|plain", 2), ("rng|subseed", 2),
        ("rng|resize", 4), ("rng|ENSD", 1),
        *((f"schedule {schedule.label} ", 4) for schedule in registry.SCHEDULES if schedule.label != "Turbo"),
        *((f"sampler {label}|", 2) for label in registry.sampler_labels() if label not in NOT_RECORDED),
        ("timesteps ", 4),
        ("sampler Euler s_churn", 4), ("sampler Euler a eta", 4), ("sampler DDIM eta", 2),
    ],
)  # fmt: skip
def test_what_is_built_agrees_with_the_recorded_numbers(only: str, at_least: int) -> None:
    lines = lines_of(only)
    passed, failed, skipped = map(int, re.findall(r"\d+", lines[-1]))
    assert (failed, skipped) == (0, 0), "\n".join(lines)
    assert passed >= at_least


def test_what_is_not_built_is_skipped_by_name() -> None:
    lines: list[str] = []
    cases = [conformance.Case("schedule Nope 3", lambda: conformance.schedule_sigmas("Nope", None, 3))]
    assert conformance.run(cases, say=lines.append) == 0
    assert lines == ["SKIP schedule Nope 3: not built yet: schedule Nope", "0 passed, 0 failed, 1 skipped"]


def test_a_wrong_number_fails_and_shows_by_how_much() -> None:
    text, close = conformance.difference(conformance.torch.tensor([1.0, 2.0]), [1.0, 2.1])
    assert (text, close) == ("max abs difference 1.00e-01", False)


def test_another_shape_is_never_close() -> None:
    assert not conformance.difference(conformance.torch.zeros(3), [0.0, 0.0])[1]
