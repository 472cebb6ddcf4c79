"""A sink and cancel token that keeps what it is told."""

import pytest

from tests.engine.conftest import Watcher


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()
