"""What extensions are told of models that are in memory, and weights that they hand over."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from modules.a1111 import _adapter, sd_models, shared
from modules.core.errors import ModelUnavailable
from tests.a1111.conftest import Start

WRAPS = """
from modules import script_callbacks

TOLD = []


def wrap(model):
    TOLD.append(model)
    text = model.cond_stage_model
    text.process_tokens = lambda *given, inner=text.process_tokens: inner(*given)


script_callbacks.on_model_loaded(wrap)
"""


def test_a_model_is_told_of_once_however_its_title_changes(start: Start, tmp_path: Path) -> None:
    scripts = tmp_path / "own" / "wraps" / "scripts"
    scripts.mkdir(parents=True)
    (scripts / "wraps.py").write_text(WRAPS, encoding="utf-8")
    easel = start("wraps", folder=tmp_path / "own")
    easel.run()
    easel.run()
    # A checkpoint's title has its hash once that is known.
    for title in ("starter", easel.services.files.checkpoints.find("starter").title):
        _adapter._hear({"type": "model", "state": "ready", "title": title})
    assert len(easel.module("wraps").TOLD) == 1
    assert not easel.reports.of("wraps").failures


@pytest.fixture
def origin(start: Start, starter_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The starter model as a single file, in the folder where weights of extensions go."""
    easel = start()
    easel.run()
    folder = easel.services.files.checkpoints.folders[1]
    monkeypatch.setattr(sd_models, "paths_internal", SimpleNamespace(models_path=str(folder.parent)))
    monkeypatch.setattr(sd_models, "model_dir", folder.name)
    configs = {
        part: json.loads((starter_model / part / "config.json").read_text("utf-8"))
        for part in ("unet", "vae", "text_encoder")
    }
    metadata = {"easel.components": json.dumps(configs), "modelspec.architecture": "stable-diffusion-v1"}
    file = folder / "single.safetensors"
    weights = shared.sd_model.state_dict()
    save_file({name: value.clone().contiguous() for name, value in weights.items()}, file, metadata)
    sd_models.list_models()
    yield file
    for made in folder.glob("*.safetensors"):
        made.unlink()
    sd_models.list_models()


def test_weights_that_an_extension_hands_over_are_the_model_from_then_on(origin: Path) -> None:
    info = sd_models.get_closet_checkpoint_match("single")
    tensors = load_file(origin)
    # As merged ones: what is known of the checkpoint is no longer what its file says.
    info.title, info.metadata = "merged", {"sd_merge_models": {}}
    sd_models.load_model(info, {name: value * 0.5 for name, value in tensors.items()})
    name = sd_models.MADE.partition(".")[0]
    assert sd_models.select_checkpoint().model_name == name
    weights = shared.sd_model.state_dict()
    key = "model.diffusion_model.input_blocks.1.0.in_layers.2.weight"
    assert torch.allclose(weights[key].float(), tensors[key].float() / 2, atol=1e-3)
    assert shared.sd_model.sd_checkpoint_info.metadata == sd_models.read_metadata_from_safetensors(str(origin))


def test_tensors_that_are_no_model_are_refused(origin: Path) -> None:
    before = sd_models.select_checkpoint().title
    with pytest.raises(ModelUnavailable, match="made-by-extension"):
        sd_models.load_model(sd_models.get_closet_checkpoint_match("single"), {"lora.weight": torch.ones(2, 2)})
    assert sd_models.select_checkpoint().title == before


def test_the_folders_that_extensions_write_models_into_are_there(start: Start) -> None:
    start("sample-always-on")
    folders = [Path(getattr(shared.cmd_opts, name)) for name in _adapter.MODEL_FOLDERS]
    assert [folder.name for folder in folders] == ["embeddings", "hypernetworks", "Lora"]
    assert all(folder.is_dir() for folder in folders)
