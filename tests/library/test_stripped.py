"""The real families' files, stripped to names and shapes: `tests/data/stripped/`, one line per tensor."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.library.identify import Identity, identify_file
from tests import layouts

STRIPPED = Path(__file__).parents[1] / "data" / "stripped"
TENSORS = {"sd1": 1131, "sd2": 1228, "sdxl": 2515, "sdxl_refiner": 1858}
"""As many as the published files have (SD 1.5 and SDXL base without the averages that some keep)."""
IDENTITIES = {
    "sd1": Identity("sd1", 512), "sd2": Identity("sd2", 768, prediction=None), "sdxl": Identity("sdxl", 1024),
    "sdxl_refiner": Identity("sdxl_refiner", 1024),
}  # fmt: skip


def stripped(family: str) -> dict[str, tuple[int, ...]]:
    lines = (STRIPPED / f"{family}.txt").read_text(encoding="ascii").splitlines()
    pairs = (line.split(" ") for line in lines)
    return {name: tuple(int(side) for side in sides.split("x") if side) for name, sides in pairs}


@pytest.mark.parametrize("family", TENSORS)
def test_the_layouts_that_small_models_are_made_in_are_those_of_the_real_files(family: str) -> None:
    found = stripped(family)
    assert len(found) == TENSORS[family]
    assert getattr(layouts, family)().shapes() == found


@pytest.mark.parametrize("family", TENSORS)
def test_a_stripped_file_is_known_for_what_it_is(family: str, tmp_path: Path) -> None:
    path = tmp_path / "stripped.safetensors"
    layouts.write_header_only(path, stripped(family))
    assert identify_file(path) == IDENTITIES[family]
