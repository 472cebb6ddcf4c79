"""Tests marked `peer` take minutes and much disk: they run where EASEL_PEER=1 asks for them."""

import os
from pathlib import Path

import pytest

from tests.peer import files


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `peer`, unless it is asked for."""
    if os.environ.get("EASEL_PEER") == "1":
        return
    for item in items:
        if item.get_closest_marker("peer") is not None:
            item.add_marker(pytest.mark.skip(reason="set EASEL_PEER=1 to build the synthetic weights and run this"))


@pytest.fixture(scope="session")
def synthetic_folder() -> Path:
    """The folder of the synthetic checkpoint, with the other synthetic files beside it."""
    folder = files.cache_folder()
    files.build(folder, files.CHECKPOINT, files.VAE, files.LORA, files.EMBEDDING)
    return folder
