import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modules.sampling import registry


@pytest.mark.parametrize("sampler", registry.SAMPLERS, ids=lambda sampler: sampler.label)
def test_every_sampler_resolves_under_label_aliases_and_any_case(sampler: registry.Sampler) -> None:
    assert callable(sampler.function())
    for name in (sampler.label, sampler.label.upper(), *sampler.aliases):
        assert registry.find_sampler(name) is sampler


@pytest.mark.parametrize("schedule", registry.SCHEDULES, ids=lambda schedule: schedule.label)
def test_every_schedule_resolves(schedule: registry.Schedule) -> None:
    assert callable(schedule.function())
    assert registry.find_schedule(schedule.label) is schedule


def test_automatic_means_the_sampler_s_own_schedule() -> None:
    assert registry.resolve("DPM++ 2M")[1].label == "Karras"
    assert registry.resolve("Euler")[1].label == "Uniform"
    assert registry.resolve("Euler", "Karras")[1].label == "Karras"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("DPM++ 2M Karras", ("DPM++ 2M", "Automatic")),
        ("Euler Karras", ("Euler", "Karras")),
        ("euler a karras", ("Euler a", "Karras")),
        ("DPM++ 2M", None),
        ("Nothing Karras", None),
    ],
)
def test_old_names_are_split_into_sampler_and_schedule(old: str, new: tuple[str, str] | None) -> None:
    assert registry.split_legacy_name(old) == new


def test_an_unknown_name_is_reported_as_it_was_given() -> None:
    with pytest.raises(KeyError, match="Eulr"):
        registry.resolve("Eulr")
    with pytest.raises(KeyError, match="Nope"):
        registry.resolve("Euler", "Nope")


def test_the_lists_are_there_without_torch(repo_root: Path) -> None:
    code = "import sys, modules.sampling.registry as r; r.sampler_labels(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=repo_root, check=True)


A1111_ORDER = (
    "DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 2S a", "DPM++ 3M SDE", "Euler a", "Euler",
    "LMS", "Heun", "DPM2", "DPM2 a", "DPM fast", "DPM adaptive", "Restart", "DDIM", "DDIM CFG++", "PLMS", "UniPC",
    "LCM",
)  # fmt: skip
FORGE_ONLY = ("HeunPP2", "IPNDM", "IPNDM_V", "DEIS")


def labels_with(test: Callable[[registry.Sampler], object]) -> set[str]:
    return {sampler.label for sampler in registry.SAMPLERS if test(sampler)}


def test_the_samplers_stand_in_the_order_that_users_know() -> None:
    assert registry.sampler_labels() == [*A1111_ORDER, *FORGE_ONLY]


def test_the_options_are_those_that_a1111_hands_to_each_sampler() -> None:
    assert labels_with(lambda sampler: "churn" in sampler.options) == {"Euler", "Heun", "DPM2"}
    assert labels_with(lambda sampler: "noise_strength" in sampler.options) == {
        "DPM fast", "DPM2 a", "DPM++ 2S a", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE",
    }  # fmt: skip
    assert labels_with(lambda sampler: "eta" in sampler.options) == {
        "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 2S a", "DPM++ 3M SDE", "Euler a", "DPM2 a", "DPM fast",
        "DPM adaptive", "DDIM", "DDIM CFG++",
    }  # fmt: skip
    assert labels_with(lambda sampler: "unipc" in sampler.options) == {"UniPC"}


def test_what_sets_a_sampler_apart() -> None:
    assert labels_with(lambda sampler: sampler.ensd) == {
        "Euler a", "DPM2 a", "DPM++ 2S a", "DPM fast", "DPM adaptive",
    }  # fmt: skip
    assert labels_with(lambda sampler: sampler.eta_default == 0) == {"DDIM", "DDIM CFG++"}
    assert labels_with(lambda sampler: sampler.consistency) == {"LCM"}
    assert labels_with(lambda sampler: sampler.needs_unconditional) == {"DDIM CFG++"}
    assert labels_with(lambda sampler: sampler.guidance_factor != 1) == {"DDIM CFG++"}
    cfg_pp = registry.find_sampler("ddim_cfgpp")
    assert cfg_pp is not None
    assert 12.5 * cfg_pp.guidance_factor == pytest.approx(1.0)
