import subprocess
import sys
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
