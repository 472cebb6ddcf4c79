"""The starter model's training scripts, importable from their folder, and benches for tiny networks."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).resolve().parents[2] / "models" / "Stable-diffusion" / "starter"
if str(FOLDER) not in sys.path:
    sys.path.insert(0, str(FOLDER))

from training.architecture import TINY  # noqa: E402
from training.loop import Plan  # noqa: E402
from training.rendering import FONT  # noqa: E402
from training.subjects import subjects  # noqa: E402
from training.workshop import Bench, Effort, export, train_unet, train_vae  # noqa: E402


@contextmanager
def one_thread() -> Iterator[None]:
    """Networks as tiny as these lose more by waking a second thread than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def on_one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="session")
def font() -> Path:
    if not FONT.is_file():
        pytest.skip("Noto Color Emoji is not installed (package fonts-noto-color-emoji)")
    return FONT


def tiny_bench(work: Path) -> Bench:
    chosen = subjects()[:1]
    return Bench(work, FOLDER / "tokenizer", None, chosen, TINY, save_seconds=0, most_scenes=4, extra_glyphs=2)


@pytest.fixture
def bench(tmp_path: Path, font: Path) -> Bench:
    """A bench on which nothing has been done."""
    assert font.is_file()
    return tiny_bench(tmp_path / "work")


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory, font: Path) -> Path:
    """A work folder in which every stage has taken a step or two, and ``model`` is the export."""
    assert font.is_file()
    bench = tiny_bench(tmp_path_factory.mktemp("trained") / "work")
    with one_thread():
        train_vae(bench, Effort(Plan(2, warmup=1), 2))
        train_unet(bench, Effort(Plan(4, warmup=1), 2))
        export(bench, bench.work / "model")
    return bench.work


@pytest.fixture
def bench_with_latents(trained_once: Path, bench: Bench) -> Bench:
    """A bench with a finished autoencoder and the latents, and no other state."""
    shutil.copytree(trained_once / "autoencoder", bench.autoencoder)
    shutil.copyfile(trained_once / "latents.pt", bench.work / "latents.pt")
    return bench
