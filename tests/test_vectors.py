"""The published vectors: that ours are still those, and that they would show it if not."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.sampling import registry
from tests import vectors
from tests.vectors import Case, Maker, Vector

SPREAD = {case.sampler: case for case in vectors.spread_cases()}
MEANS = st.lists(st.floats(-8, 8, width=32), min_size=64, max_size=64)


@pytest.fixture(scope="module")
def maker() -> Maker:
    return Maker()


@pytest.fixture(scope="module")
def known() -> dict[str, Vector]:
    return vectors.read()[1]


@pytest.mark.parametrize("label", registry.sampler_labels())
def test_a_sampler_still_gives_its_published_vectors(maker: Maker, known: dict[str, Vector], label: str) -> None:
    said: list[str] = []
    list(vectors.changed(maker, [SPREAD[label]], known, said.append))
    assert said == []


def test_what_is_checked_here_covers_every_schedule_and_every_source() -> None:
    cases = list(vectors.spread_cases())
    assert len(cases) == len(SPREAD) == len(registry.SAMPLERS)
    assert {case.schedule for case in cases} >= {schedule.label for schedule in registry.SCHEDULES}
    for source in vectors.SOURCES:
        assert sum(case.source == source for case in cases) >= len(cases) // 2
    assert set(cases) <= set(vectors.every_case())


def test_every_case_is_published_and_no_other(maker: Maker) -> None:
    model, known = vectors.read()
    assert list(known) == [case.name for case in vectors.every_case()]
    assert model == maker.model


@pytest.mark.parametrize(
    ("sampler", "change"),
    [
        ("Euler a", {"eta": 0.99}), ("DDIM", {"eta_ddim": 0.05}), ("Euler", {"s_churn": 0.1}),
        ("DPM++ 2M SDE", {"s_noise": 1.01}), ("UniPC", {"unipc_order": 2}), ("DPM++ 2M", {"cfg_scale": 7.02}),
    ],
)  # fmt: skip
def test_a_solver_that_changes_a_little_is_noticed(
    maker: Maker, known: dict[str, Vector], sampler: str, change: dict[str, float]
) -> None:
    case = SPREAD[sampler]
    means = maker.means(case.request().model_copy(update=change))
    assert not known[case.name].fits(means)


def test_a_change_is_named_and_comes_with_the_new_vector(maker: Maker, known: dict[str, Vector]) -> None:
    case = SPREAD["Euler"]
    wrong = {case.name: Vector(known[case.name].width, known[case.name].offset, "0" * vectors.DIGITS)}
    said: list[str] = []
    ((found, vector),) = vectors.changed(maker, [case], wrong, said.append)
    assert (found, said) == (case, [f"changed: {case.name}"])
    assert vector.fits(maker.means(case.request()))


@settings(max_examples=30)
@given(MEANS, st.sampled_from([vectors.TOLERANCE, *vectors.TOLERANCE_OF.values()]), st.floats(-0.99, 0.99))
def test_numbers_within_the_tolerance_have_the_same_hash(values: Sequence[float], tolerance: float, off: float) -> None:
    means = torch.tensor(values, dtype=torch.float64)
    vector = Vector.of(means, tolerance)
    assert vectors.margin(means, vector.width, vector.offset) >= tolerance
    assert vector.fits(means + tolerance * off)


@settings(max_examples=30)
@given(MEANS, st.integers(0, 63))
def test_one_number_that_moves_by_a_whole_cell_changes_the_hash(values: Sequence[float], place: int) -> None:
    means = torch.tensor(values, dtype=torch.float64)
    vector = Vector.of(means, vectors.TOLERANCE)
    means[place] += vector.width
    assert not vector.fits(means)


def test_a_written_file_is_read_as_it_was(tmp_path: Path) -> None:
    case = Case("Euler", "Karras", "CPU")
    written = {case.name: Vector(0.125, 0.0625, "0123456789abcdef")}
    vectors.write("0" * 10, written, tmp_path / "vectors.json")
    assert vectors.read(tmp_path / "vectors.json") == ("0" * 10, written)
    assert vectors.read(tmp_path / "none.json") == (None, {})
