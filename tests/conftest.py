"""What every test shares: no network, no analytics, the repository on the import path, where things lie."""

import gc
import importlib
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.sharing import memory_bytes, place, worker_count

ROOT = Path(__file__).resolve().parent.parent
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
if IS_WORKER:
    # Several workers that each use every core are many times slower than with a core for each.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# Property tests know no time limit, since machines differ, and nothing of the run before.
# How long examples take to make says nothing on a busy machine.
settings.register_profile("easel", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("easel")
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
# Of what imports make nothing is garbage, and looking for it takes a sixth of their time.
gc.disable()
# As in the program: whatever imports Gradio first, it is then the quick way.
importlib.import_module("modules.web")


@pytest.fixture(scope="session")
def repo_root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def starter_model(repo_root: Path) -> Path:
    return repo_root / "models" / "Stable-diffusion" / "starter"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests, put first what takes longest; they are given out in this order."""
    if IS_WORKER:
        items.sort(key=lambda item: place(item.path.relative_to(ROOT / "tests")))


def pytest_xdist_auto_num_workers() -> int:
    """Return what `-n auto` means."""
    return worker_count(os.cpu_count() or 1, memory_bytes())


def pytest_collection_finish() -> None:
    """Leave what imports have made out of every search for garbage: there are millions of objects, and no garbage."""
    gc.collect()
    gc.freeze()
    gc.enable()
