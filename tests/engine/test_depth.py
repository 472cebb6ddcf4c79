"""Depth checkpoints: the map that is handed in, the networks that estimate one, and what is said without either."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessorPil,
)

from modules.core.errors import ModelUnavailable
from modules.engine.depth import DepthEstimator, Eye, depth_channel
from modules.engine.memory import DeviceWishes
from modules.engine.midas_keys import from_midas, hybrid_config, hybrid_prefix
from modules.engine.models import ShelfRules
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.engine.weights import Reading, read_tensors
from modules.library.catalog import CheckpointCatalog, CheckpointEntry
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from modules.library.identify import DEPTH, identify_header
from modules.library.reading import Header
from tests.engine.conftest import MakeRequest, Watcher
from tests.engine.test_families import TINY, write_tiny
from tests.layouts import MidasLayout, sd2

SIDE = 64
CPU = torch.device("cpu")
DEPTH_LAYOUT = replace(TINY["sd2"], unet=replace(TINY["sd2"].unet, in_channels=5))
METRIC = '{"model_type": "depth_anything", "depth_estimation_type": "metric"}'
TINY_MIDAS = MidasLayout(32, 4, 64, stem=32, stages=(1, 2, 1), side=2, fusion=16, labels=10)


def ramp(width: int = SIDE, height: int = SIDE, across: bool = True) -> Image.Image:
    """Dark at the left or top, bright at the other end."""
    shades = np.linspace(0, 255, width if across else height).round().astype(np.uint8)
    grid = np.tile(shades, (height, 1)) if across else np.tile(shades[:, None], (1, width))
    return Image.fromarray(grid, "L")


def write_eye(folder: Path, processor: bool = True, model_type: str = "dpt") -> DPTForDepthEstimation:
    """A small network as transformers saves one, that looks at squares of 32 pixels."""
    torch.manual_seed(3)
    network = DPTForDepthEstimation(DPTConfig(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=64, image_size=32, patch_size=16,
        backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[16, 16, 32, 32], fusion_hidden_size=16,
    ))  # fmt: skip
    # Without this the last ReLU might leave nothing but zeros.
    torch.nn.init.constant_(network.head.head[4].bias, 1.0)
    network.save_pretrained(folder)
    if model_type != "dpt":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"model_type": model_type}))
    if processor:
        DPTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return network.eval()


def midas_tensors() -> dict[str, Tensor]:
    """A small DPT-Hybrid under MiDaS's own names."""
    torch.manual_seed(4)
    return {
        name: torch.randn(shape) * 0.1 + (1.0 if len(shape) == 1 else 0.0)
        for name, shape in TINY_MIDAS.shapes().items()
    }


def entry_of(path: Path) -> CheckpointEntry:
    catalog = CheckpointCatalog([path.parent], HashCache(path.parent / "hashes.json"))
    return catalog.find(path.stem)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoints" / "deep.safetensors"
    path.parent.mkdir()
    write_tiny(path, "sd2", DEPTH_LAYOUT)
    return path


@pytest.fixture
def shown() -> dict[str, Image.Image]:
    return {"plain": Image.effect_noise((SIDE, SIDE), 60).convert("RGB"), "across": ramp(), "down": ramp(across=False)}


@pytest.fixture
def engine(checkpoint: Path, tmp_path: Path, shown: dict[str, Image.Image]) -> DiffusionEngine:
    catalog = CheckpointCatalog([checkpoint.parent], HashCache(tmp_path / "hashes.json"))
    rules = ShelfRules(depth_folders=(tmp_path / "midas", tmp_path / "depth"))
    settings = EngineSettings(DeviceWishes(use_cpu=True), rules, pictures=shown.__getitem__)
    return DiffusionEngine(ModelFiles(catalog), settings)


@pytest.fixture
def go(engine: DiffusionEngine, request_of: MakeRequest) -> Callable[..., np.ndarray]:
    """Makes a picture over a picture; values may be given."""

    def make(**values: object) -> np.ndarray:
        watcher = Watcher()
        usual = {"checkpoint": "deep", "init_image": "plain", "denoising_strength": 1.0, "steps": 2}
        engine.generate(request_of(**{**usual, **values}), watcher, watcher)
        return np.asarray(watcher.images[0].pixels, dtype=int)

    return make


def test_a_depth_map_runs_from_minus_one_where_it_is_farthest_to_one_where_it_is_nearest() -> None:
    nearness = torch.linspace(3, 700, 64).view(1, 1, 8, 8)
    channel = depth_channel(nearness, 4, 4)
    assert channel.shape == (1, 1, 4, 4)
    assert (float(channel.min()), float(channel.max())) == (-1.0, 1.0)
    assert channel.flatten().tolist() == sorted(channel.flatten().tolist())
    assert (depth_channel(torch.ones(1, 1, 8, 8), 4, 4) == 0).all()


def test_a_map_that_is_handed_in_says_what_is_near(go: Callable[..., np.ndarray], tmp_path: Path) -> None:
    across, down = go(depth_image="across"), go(depth_image="down")
    assert (across != down).any()
    # Where one is handed in, none is estimated.
    write_eye(tmp_path / "midas" / "eye")
    assert (go(depth_image="across") == across).all()
    assert (go() != across).any()


@pytest.mark.parametrize("mode", range(4))
def test_a_map_is_brought_to_size_as_the_picture_is(
    mode: int, go: Callable[..., np.ndarray], shown: dict[str, Image.Image]
) -> None:
    shown["wide"] = Image.effect_noise((200, 90), 60).convert("RGB")
    shown["map"], shown["small"] = ramp(200, 90), ramp(100, 45)
    made = go(init_image="wide", depth_image="map", resize_mode=mode)
    assert made.shape == (64, 64, 3)
    # A map of another size than the picture is stretched to it; 8 bits round a little otherwise.
    assert np.abs(made - go(init_image="wide", depth_image="small", resize_mode=mode)).mean() < 2


def test_only_the_masked_part_of_a_map_is_looked_at(
    go: Callable[..., np.ndarray], shown: dict[str, Image.Image]
) -> None:
    shown["large"] = Image.effect_noise((400, 300), 80).convert("RGB")
    mask, depth, other = Image.new("L", (400, 300)), ramp(400, 300), ramp(400, 300)
    mask.paste(255, (300, 200, 340, 240))
    other.paste(128, (0, 0, 200, 300))
    shown.update(mask=mask, map=depth, other=other, turned=ramp(400, 300, across=False))
    values = {"init_image": "large", "mask_image": "mask", "inpaint_area": "Only masked"}
    made = go(**values, depth_image="map")
    assert (go(**values, depth_image="other") == made).all()
    assert (go(**values, depth_image="turned") != made).any()


def test_without_map_and_network_it_is_said_what_is_missing_and_where_it_goes(
    go: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    with pytest.raises(ModelUnavailable) as refused:
        go()
    text = str(refused.value)
    for words in ("deep", "depth map", "Upload one", str(tmp_path / "midas"), "dpt_hybrid-midas-501f0c75.pt"):
        assert words in text
    # As soon as a network is there, it is used.
    write_eye(tmp_path / "midas" / "eye")
    assert go().shape == (64, 64, 3)


def test_from_a_prompt_alone_all_is_equally_far(go: Callable[..., np.ndarray]) -> None:
    assert go(init_image="").shape == (64, 64, 3)


@pytest.mark.parametrize("place", ["midas/eye", "midas", "depth/eye"])
def test_a_folder_of_transformers_estimates_the_depth(
    place: str, go: Callable[..., np.ndarray], tmp_path: Path, shown: dict[str, Image.Image]
) -> None:
    network = write_eye(tmp_path / place)
    processor = DPTImageProcessorPil(size={"height": 32, "width": 32})
    with torch.inference_mode():
        seen = network(processor(shown["plain"], return_tensors="pt").pixel_values).predicted_depth[0]
    unit = ((seen - seen.min()) / (seen.max() - seen.min()) * 255).round().byte().numpy()
    shown["seen"] = Image.fromarray(unit, "L")
    estimated, handed = go(), go(depth_image="seen")
    assert np.abs(estimated - handed).mean() < 2
    assert np.abs(estimated - go(depth_image="across")).mean() > 2 * np.abs(estimated - handed).mean()


def test_a_diffusers_folder_brings_its_own_network(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    network = write_eye(folder / "depth_estimator", processor=False)
    DPTImageProcessorPil(size={"height": 32, "width": 32}, image_mean=[0.2] * 3).save_pretrained(
        folder / "feature_extractor"
    )
    estimator = DepthEstimator(replace(a_checkpoint(tmp_path), path=folder), (), CPU)
    picture = Image.effect_noise((80, 80), 60).convert("RGB")
    processor = DPTImageProcessorPil(size={"height": 32, "width": 32}, image_mean=[0.2] * 3)
    with torch.inference_mode():
        expected = network(processor(picture, return_tensors="pt").pixel_values).predicted_depth
        assert torch.allclose(estimator.nearness(picture)[0], expected, atol=1e-5)


def test_a_depth_anything_folder_estimates_the_depth(tmp_path: Path) -> None:
    trunk = Dinov2Config(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, image_size=28, patch_size=14, mlp_ratio=2,
        out_indices=[1, 2, 3, 4], reshape_hidden_states=False,
    )  # fmt: skip
    torch.manual_seed(5)
    network = DepthAnythingForDepthEstimation(DepthAnythingConfig(
        backbone_config=trunk, reassemble_hidden_size=32, patch_size=14, fusion_hidden_size=16,
        neck_hidden_sizes=[8, 16, 16, 16], head_hidden_size=8,
    )).eval()  # fmt: skip
    folder = tmp_path / "depth" / "anything"
    network.save_pretrained(folder)
    processor = DPTImageProcessorPil(size={"height": 28, "width": 28}, keep_aspect_ratio=True, ensure_multiple_of=14)
    processor.save_pretrained(folder)
    estimator = DepthEstimator(a_checkpoint(tmp_path), (folder.parent,), CPU)
    picture = Image.effect_noise((64, 40), 60).convert("RGB")
    with torch.inference_mode():
        expected = network(processor(picture, return_tensors="pt").pixel_values).predicted_depth
        seen = estimator.nearness(picture)
    assert seen.shape == (1, 1, 28, 42)
    assert torch.allclose(seen[0], expected, atol=1e-5)


def test_where_the_device_has_no_room_the_processor_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_eye(tmp_path / "midas" / "eye")
    estimator = DepthEstimator(a_checkpoint(tmp_path), (tmp_path / "midas",), torch.device("cuda"))
    look, asked = Eye.look, []

    def crowded(eye: Eye, picture: Image.Image, device: torch.device) -> Tensor:
        asked.append(device.type)
        if device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return look(eye, picture, device)

    monkeypatch.setattr(Eye, "look", crowded)
    assert estimator.nearness(ramp().convert("RGB")).shape == (1, 1, 32, 32)
    assert asked == ["cuda", "cpu"]


def a_checkpoint(folder: Path) -> CheckpointEntry:
    path = folder / "one" / "any.safetensors"
    path.parent.mkdir()
    write_tiny(path, "sd2", DEPTH_LAYOUT)
    return entry_of(path)


def test_a_single_file_brings_midas_under_its_own_names(
    checkpoint: Path, go: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    layout = replace(DEPTH_LAYOUT, depth=TINY_MIDAS)
    write_tiny(checkpoint, "sd2", layout)
    inside = go()
    prefix = "depth_model.model."
    own = {name.removeprefix(prefix): it for name, it in read_tensors(checkpoint, Reading(prefixes=(prefix,))).items()}
    write_tiny(checkpoint, "sd2", DEPTH_LAYOUT)
    with pytest.raises(ModelUnavailable):
        DepthEstimator(entry_of(checkpoint), (), CPU).nearness(ramp().convert("RGB"))
    (tmp_path / "midas").mkdir()
    torch.save(own, tmp_path / "midas" / "dpt_hybrid-midas-501f0c75.pt")
    assert (go() == inside).all()
    assert (go(depth_image="across") != inside).any()


def test_midas_keeps_the_aspect_and_looks_at_sides_of_whole_patches(tmp_path: Path) -> None:
    folder = tmp_path / "midas"
    folder.mkdir()
    save_file(midas_tensors(), folder / "hybrid.safetensors")
    estimator = DepthEstimator(a_checkpoint(tmp_path), (folder,), CPU)
    with torch.inference_mode():
        for size, expected in (((64, 64), (32, 32)), ((96, 48), (32, 64)), ((48, 96), (64, 32)), ((64, 2), (32, 32)),
                               ((32, 4096), (128, 32))):  # fmt: skip
            seen = estimator.nearness(Image.effect_noise(size, 60).convert("RGB"))
            assert seen.shape == (1, 1, *expected)
            assert seen.isfinite().all()


@pytest.mark.parametrize(("midas", "own"), [
    ("pretrained.model.blocks.3.norm1.bias", "dpt.encoder.layer.3.layernorm_before.bias"),
    ("pretrained.model.blocks.3.norm2.bias", "dpt.encoder.layer.3.layernorm_after.bias"),
    ("pretrained.model.patch_embed.backbone.stages.1.blocks.0.norm2.bias",
     "dpt.embeddings.backbone.bit.encoder.stages.1.layers.0.norm2.bias"),
    ("pretrained.act_postprocess3.0.project.0.weight", "neck.reassemble_stage.readout_projects.2.0.weight"),
    ("pretrained.act_postprocess4.4.weight", "neck.reassemble_stage.layers.3.resize.weight"),
    ("scratch.layer3_rn.weight", "neck.convs.2.weight"),
    ("scratch.refinenet4.out_conv.bias", "neck.fusion_stage.layers.0.projection.bias"),
    ("scratch.refinenet1.resConfUnit1.conv2.bias", "neck.fusion_stage.layers.3.residual_layer1.convolution2.bias"),
    ("scratch.output_conv.2.bias", "head.head.2.bias"),
])  # fmt: skip
def test_tensors_of_one_shape_are_not_taken_for_one_another(midas: str, own: str) -> None:
    assert list(from_midas({midas: torch.zeros(3)})) == [own]


def test_queries_keys_and_values_stand_in_this_order_in_midas() -> None:
    parts = from_midas({"pretrained.model.blocks.0.attn.qkv.bias": torch.arange(6)})
    layer = "dpt.encoder.layer.0.attention.attention"
    assert {name: it.tolist() for name, it in parts.items()} == {
        f"{layer}.query.bias": [0, 1], f"{layer}.key.bias": [2, 3], f"{layer}.value.bias": [4, 5],
    }  # fmt: skip


def test_the_real_network_is_known_by_its_shapes() -> None:
    shapes = MidasLayout().shapes()
    config = hybrid_config(shapes)
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (768, 12, 12)
    assert (config.intermediate_size, config.image_size, config.fusion_hidden_size) == (3072, 384, 256)
    assert list(config.backbone_out_indices) == [2, 5, 8, 11]
    assert list(config.neck_hidden_sizes) == [256, 512, 768, 768]
    assert list(config.backbone_config.depths) == [3, 4, 9]
    with torch.device("meta"):
        network = DPTForDepthEstimation(config)
    renamed = from_midas({name: torch.empty(shape, device="meta") for name, shape in shapes.items()})
    assert {name: it.shape for name, it in renamed.items()} == {
        name: it.shape for name, it in network.state_dict().items()
    }


def test_a_real_depth_checkpoint_is_known_to_bring_its_own_network() -> None:
    names = replace(sd2(5), depth=MidasLayout()).shapes()
    assert hybrid_prefix(names) == "depth_model.model."
    assert identify_header(Header(names, {})).variant == DEPTH
    assert hybrid_prefix(sd2(5).shapes()) is None


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda eye: (eye / "model.safetensors").unlink(), "the file model.safetensors is missing"),
    (lambda eye: (eye / "model.safetensors").write_bytes(b"nothing"), "eye cannot be used"),
    (lambda eye: (eye / "config.json").write_text("{"), "eye cannot be used"),
    (lambda eye: (eye / "config.json").write_text('{"model_type": "glpn"}'), "kind glpn; needed is dpt"),
    (lambda eye: (eye / "config.json").write_text(METRIC), "relative depth"),
    (lambda eye: save_file({"head.head.0.bias": torch.zeros(8)}, eye / "model.safetensors"), "it lacks"),
])  # fmt: skip
def test_a_network_that_cannot_be_used_is_named_with_the_reason(
    spoil: Callable[[Path], object], words: str, go: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    write_eye(tmp_path / "midas" / "eye")
    spoil(tmp_path / "midas" / "eye")
    with pytest.raises(ModelUnavailable, match=words):
        go()


def test_a_file_that_is_none_of_midas_is_named(go: Callable[..., np.ndarray], tmp_path: Path) -> None:
    (tmp_path / "midas").mkdir()
    torch.save({"pretrained.layer1.0.weight": torch.zeros(3)}, tmp_path / "midas" / "midas_v21.pt")
    with pytest.raises(ModelUnavailable, match=r"midas_v21\.pt cannot be used: it holds no DPT-Hybrid"):
        go()


def test_a_configuration_cannot_have_weights_fetched(go: Callable[..., np.ndarray], tmp_path: Path) -> None:
    eye = tmp_path / "midas" / "eye"
    write_eye(eye)
    plain = go()
    config = json.loads((eye / "config.json").read_text())
    (eye / "config.json").write_text(json.dumps(
        config | {"backbone": "resnet50", "use_timm_backbone": True, "use_pretrained_backbone": True}
    ))  # fmt: skip
    assert (go() == plain).all()


def test_a_network_is_read_once_and_let_go_of_with_its_checkpoint(
    engine: DiffusionEngine, go: Callable[..., np.ndarray], checkpoint: Path, tmp_path: Path
) -> None:
    write_eye(tmp_path / "midas" / "eye")
    made = go()
    (tmp_path / "midas" / "eye" / "model.safetensors").unlink()
    assert (go() == made).all()
    loaded = engine.shelf.loaded("deep")
    assert loaded is not None
    held = weakref.ref(loaded.depth)
    del loaded
    shutil.copy(checkpoint, checkpoint.with_name("other.safetensors"))
    engine.shelf.files.refresh()
    engine.shelf.get("other", Watcher())
    gc.collect()
    assert held() is None
