"""Our pictures beside A1111's own, made from the same synthetic weights."""

from pathlib import Path

import pytest

from tests.conformance import Case
from tests.conformance_pictures import picture_cases
from tests.peer.files import CHECKPOINT

PICTURES = Path(__file__).parents[1] / "data" / "pictures"
NAMES = sorted(path.stem for path in PICTURES.glob("*.json"))


@pytest.fixture(scope="module")
def cases(synthetic_folder: Path) -> dict[str, Case]:
    return {case.name: case for case in picture_cases(PICTURES, synthetic_folder / CHECKPOINT.name)}


def test_there_are_pictures_to_compare_with() -> None:
    assert len(NAMES) == 8
    assert all((PICTURES / f"{name}.png").is_file() for name in NAMES)


# The first one may have to build the weights.
@pytest.mark.peer
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", NAMES)
def test_ours_is_what_a1111_made(cases: dict[str, Case], name: str) -> None:
    text, close = cases[f"picture {name}"].check()
    assert close, text
