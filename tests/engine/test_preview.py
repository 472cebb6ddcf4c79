"""Previews by linear map, tiny decoder and VAE."""

import logging
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file

from modules.core.events import PreviewReady
from modules.engine.memory import DeviceWishes
from modules.engine.preview import CHEAP, FULL, TINY, Previewer, load_tiny_decoder
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from tests.engine.conftest import MakeRequest, Watcher

LATENTS = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def write_tiny(path: Path) -> AutoencoderTiny:
    """A tiny decoder with random weights, in the layout of TAESD's own files."""
    torch.manual_seed(5)
    decoder = AutoencoderTiny()
    prefix = "decoder.layers."
    named = {
        f"{int(name.removeprefix(prefix).split('.')[0]) + 1}.{name.removeprefix(prefix).partition('.')[2]}": tensor
        for name, tensor in decoder.state_dict().items() if name.startswith(prefix)
    }  # fmt: skip
    if path.suffix == ".pth":
        torch.save(named, path)
    else:
        save_file(named, path)
    return decoder.eval()


@pytest.mark.parametrize(("kind", "size"), [(CHEAP, (16, 16)), (FULL, (128, 128)), (TINY, (128, 128))])
def test_every_kind_lays_the_batch_out_as_a_grid(
    kind: str, size: tuple[int, int], engine: DiffusionEngine, tmp_path: Path
) -> None:
    write_tiny(tmp_path / "taesd_decoder.safetensors")
    bundle = engine.shelf.get("", Watcher()).bundle
    with torch.inference_mode():
        assert Previewer([tmp_path]).show(bundle, LATENTS, kind).size == size


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_a_tiny_decoder_is_read_from_its_own_layout(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"taesd_decoder{ending}"
    theirs, ours = write_tiny(path), load_tiny_decoder(path)
    with torch.inference_mode():
        pairs = [network.decode(LATENTS[:1], return_dict=False)[0] for network in (theirs, ours)]
    assert torch.equal(*pairs)


def test_without_its_file_the_linear_map_takes_the_tiny_decoders_place(
    engine: DiffusionEngine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle, previewer = engine.shelf.get("", Watcher()).bundle, Previewer([tmp_path])
    with caplog.at_level(logging.WARNING):
        pictures = [previewer.show(bundle, LATENTS, TINY) for _ in range(2)]
    assert pictures[0].size == (16, 16)
    assert caplog.text.count("taesd_decoder.safetensors") == 1


def test_a_file_that_is_no_tiny_decoder_is_said_and_left_out(
    engine: DiffusionEngine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_file({"1.weight": torch.ones(1)}, tmp_path / "taesd_decoder.safetensors")
    with caplog.at_level(logging.WARNING):
        assert Previewer([tmp_path]).show(engine.shelf.get("", Watcher()).bundle, LATENTS, TINY).size == (16, 16)
    assert "taesd_decoder.safetensors cannot be used" in caplog.text


def test_the_option_decides_what_a_run_shows(catalog: CheckpointCatalog, request_of: MakeRequest) -> None:
    settings = EngineSettings(DeviceWishes(use_cpu=True), preview_kind=lambda: FULL)
    watcher = Watcher(previews=True)
    DiffusionEngine(ModelFiles(catalog), settings).generate(request_of(), watcher, watcher)
    sizes = {event.picture.size for event in watcher.events if isinstance(event, PreviewReady)}
    assert sizes == {(64, 64)}
