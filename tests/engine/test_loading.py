"""Every layout of the starter model, loaded for real."""

import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file

from modules.core.errors import ModelUnavailable
from modules.core.events import ModelLoading
from modules.engine.ldm_keys import unet_tensors
from modules.engine.memory import DeviceWishes, plan_device
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from tests.engine.conftest import MakeRequest, Watcher


@pytest.fixture(scope="module")
def exporting(starter_model: Path) -> Iterator[ModuleType]:
    """The starter model's own exporter, which writes the original layout on its own."""
    sys.path.insert(0, str(starter_model))
    yield importlib.import_module("training.exporting")
    sys.path.remove(str(starter_model))


@pytest.fixture(scope="module")
def single_file(starter_model: Path, exporting: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = importlib.import_module("training.ldm_keys")
    weights = {
        part: load_file(starter_model / part / file)
        for part, file in (
            ("unet", "diffusion_pytorch_model.safetensors"),
            ("vae", "diffusion_pytorch_model.safetensors"),
            ("text_encoder", "model.safetensors"),
        )
    }
    tensors = names.single_file_tensors(weights["unet"], weights["vae"], weights["text_encoder"])
    file = tmp_path_factory.mktemp("single") / "single.safetensors"
    exporting.write_single_file(tensors, exporting.component_configs(starter_model), file)
    return file


def engine_for(folder: Path) -> DiffusionEngine:
    catalog = CheckpointCatalog([folder], HashCache(folder / "hashes.json"))
    return DiffusionEngine(ModelFiles(catalog), EngineSettings(DeviceWishes(use_cpu=True)))


def test_a_single_file_gives_the_same_picture_as_the_folder(
    engine: DiffusionEngine, single_file: Path, request_of: MakeRequest
) -> None:
    folder, single = Watcher(), Watcher()
    engine.generate(request_of(), folder, folder)
    engine_for(single_file.parent).generate(request_of(checkpoint="single"), single, single)
    assert single.images[0].pixels.tobytes() == folder.images[0].pixels.tobytes()
    assert "Model: single" in single.images[0].infotext


def test_loading_is_told_from_beginning_to_end(single_file: Path) -> None:
    watcher = Watcher()
    engine_for(single_file.parent).preload("single", watcher)
    fractions = [event.fraction for event in watcher.events if isinstance(event, ModelLoading)]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0.0
    assert fractions[-1] == 1.0
    assert len(fractions) > 5


def test_a_file_that_lacks_a_tensor_names_it_and_the_engine_goes_on(
    single_file: Path, tmp_path: Path, request_of: MakeRequest, exporting: ModuleType, starter_model: Path
) -> None:
    tensors = load_file(single_file)
    del tensors["model.diffusion_model.out.2.weight"]
    exporting.write_single_file(tensors, exporting.component_configs(starter_model), tmp_path / "broken.safetensors")
    shutil.copyfile(single_file, tmp_path / "whole.safetensors")
    engine, watcher = engine_for(tmp_path), Watcher()
    with pytest.raises(ModelUnavailable, match=r"U-Net lacks 1 tensors, the first of them conv_out\.weight"):
        engine.generate(request_of(checkpoint="broken"), watcher, watcher)
    engine.generate(request_of(checkpoint="whole"), watcher, watcher)
    assert len(watcher.images) == 1


def test_a_tensor_of_the_wrong_shape_is_named(
    single_file: Path, tmp_path: Path, exporting: ModuleType, starter_model: Path
) -> None:
    tensors = load_file(single_file)
    tensors["model.diffusion_model.out.2.weight"] = torch.zeros(4, 8, 3, 3)
    exporting.write_single_file(tensors, exporting.component_configs(starter_model), tmp_path / "odd.safetensors")
    with pytest.raises(ModelUnavailable, match=r"conv_out\.weight of shape \(4, 8, 3, 3\)"):
        engine_for(tmp_path).preload("odd", Watcher())


def test_the_file_s_own_noise_levels_are_used(
    single_file: Path, tmp_path: Path, exporting: ModuleType, starter_model: Path, request_of: MakeRequest
) -> None:
    tensors = load_file(single_file)
    tensors["alphas_cumprod"] = tensors["alphas_cumprod"] ** 1.2
    exporting.write_single_file(tensors, exporting.component_configs(starter_model), tmp_path / "own.safetensors")
    shutil.copyfile(single_file, tmp_path / "usual.safetensors")
    engine, pictures = engine_for(tmp_path), []
    for name in ("own", "usual"):
        watcher = Watcher()
        engine.generate(request_of(checkpoint=name), watcher, watcher)
        pictures.append(watcher.images[0].pixels.tobytes())
    assert pictures[0] != pictures[1]


def test_names_of_the_full_sized_unet_are_all_known() -> None:
    """Every tensor of diffusers' own SD 1.x U-Net is reached, from names of the original layout."""
    config = {
        "layers_per_block": 2,
        "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    }
    prefix = "model.diffusion_model."
    original = {
        "input_blocks.3.0.op.weight": "down_blocks.0.downsamplers.0.conv.weight",
        "input_blocks.4.0.skip_connection.weight": "down_blocks.1.resnets.0.conv_shortcut.weight",
        "input_blocks.11.0.in_layers.2.weight": "down_blocks.3.resnets.1.conv1.weight",
        "middle_block.1.transformer_blocks.0.attn2.to_k.weight": (
            "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"
        ),
        "output_blocks.2.1.conv.weight": "up_blocks.0.upsamplers.0.conv.weight",
        "output_blocks.5.2.conv.weight": "up_blocks.1.upsamplers.0.conv.weight",
        "output_blocks.11.1.proj_out.weight": "up_blocks.3.attentions.2.proj_out.weight",
        "output_blocks.11.0.emb_layers.1.bias": "up_blocks.3.resnets.2.time_emb_proj.bias",
        "time_embed.2.bias": "time_embedding.linear_2.bias",
        "out.2.weight": "conv_out.weight",
    }
    renamed = unet_tensors({prefix + name: torch.zeros(1) for name in original}, config)
    assert list(renamed) == list(original.values())


def test_half_precision_weights_of_a_folder_are_found_under_their_variant_name(
    starter_model: Path, tmp_path: Path, request_of: MakeRequest
) -> None:
    folder = tmp_path / "variant"
    shutil.copytree(starter_model, folder, ignore=shutil.ignore_patterns("training", "*.py", "*.png", "*.md"))
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    watcher = Watcher()
    engine_for(tmp_path).generate(request_of(checkpoint="variant", steps=1), watcher, watcher)
    assert len(watcher.images) == 1


def test_a_folder_whose_weights_are_no_tensors_of_its_config_is_refused(starter_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "foreign"
    shutil.copytree(starter_model, folder, ignore=shutil.ignore_patterns("training", "*.py", "*.png", "*.md"))
    save_file({"something": torch.zeros(2)}, folder / "vae" / "diffusion_pytorch_model.safetensors")
    with pytest.raises(ModelUnavailable, match="its VAE lacks"):
        engine_for(tmp_path).preload("foreign", Watcher())


def test_a_folder_with_a_broken_config_is_refused(starter_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(starter_model, folder, ignore=shutil.ignore_patterns("training", "*.py", "*.png", "*.md"))
    config = json.loads((folder / "unet" / "config.json").read_text())
    config["block_out_channels"] = [32, 64, 96, 96]
    (folder / "unet" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelUnavailable, match="The checkpoint broken cannot be used: its U-Net lacks 2 tensors"):
        engine_for(tmp_path).preload("broken", Watcher())


def test_the_cpu_computes_in_full_precision_and_holds_everything() -> None:
    plan = plan_device(DeviceWishes(use_cpu=True, mode="low"))
    assert (plan.device.type, plan.dtype, plan.vae_dtype, plan.mode) == ("cpu", torch.float32, torch.float32, "normal")
