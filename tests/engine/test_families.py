"""Every family, from its file to a picture: the real names and shapes, and small models in the same layout."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from modules.engine.building import WithoutWeights
from modules.engine.families import FAMILIES, VELOCITY
from modules.engine.ldm_keys import original_names, plain_text_names, unet_tensors, vae_tensors
from modules.engine.loading import probed_prediction
from modules.engine.memory import DeviceWishes
from modules.engine.open_clip_keys import from_open_clip
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.engine.weights import read_tensors
from modules.library.catalog import CheckpointCatalog
from modules.library.choices import LORA_ENDINGS
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from modules.library.identify import TEXT_ENCODERS, Identity, identify_header
from modules.library.network_files import NetworkFolder
from modules.library.reading import Header
from tests import layouts
from tests.engine.conftest import MakeRequest, Watcher
from tests.layouts import CheckpointLayout, TextLayout, UNetLayout, VaeLayout

REAL: dict[str, Callable[[], CheckpointLayout]] = {
    "sd1": layouts.sd1, "sd2": layouts.sd2, "sdxl": layouts.sdxl, "sdxl_refiner": layouts.sdxl_refiner,
}  # fmt: skip


def meta(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def config(family: str, part: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FAMILIES[family].configs / f"{part}.json").read_text(encoding="utf-8"))
    return content


def shapes_of(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def renamed(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


@pytest.mark.parametrize("family", REAL)
def test_the_u_net_of_a_real_file_has_every_tensor_that_the_network_has(family: str) -> None:
    with WithoutWeights():
        network = UNet2DConditionModel.from_config(config(family, "unet"))
    assert renamed(unet_tensors(meta(REAL[family]().shapes()), config(family, "unet"))) == shapes_of(network)


@pytest.mark.parametrize("family", REAL)
def test_the_u_net_s_names_are_those_that_diffusers_own_converter_gives(family: str) -> None:
    names = [name for name in REAL[family]().shapes() if name.startswith("model.diffusion_model.")]
    numbered = {name: torch.tensor(number) for number, name in enumerate(names)}
    theirs = convert_ldm_unet_checkpoint(dict(numbered), config(family, "unet") | {"class_embed_type": None})
    ours = unet_tensors(numbered, config(family, "unet"))
    assert {name: int(tensor) for name, tensor in ours.items()} == {name: int(it) for name, it in theirs.items()}


@pytest.mark.parametrize("family", REAL)
def test_the_vae_of_a_real_file_has_every_tensor_that_the_network_has(family: str) -> None:
    with WithoutWeights():
        network = AutoencoderKL.from_config(config(family, "vae"))
    assert renamed(vae_tensors(meta(REAL[family]().shapes()), config(family, "vae"))) == shapes_of(network)


@pytest.mark.parametrize(("family", "spec"), [(name, spec) for name in REAL for spec in FAMILIES[name].texts])
def test_the_text_encoders_of_a_real_file_have_every_tensor_that_the_networks_have(family: str, spec: Any) -> None:
    kind = CLIPTextModelWithProjection if spec.pooled else CLIPTextModel
    with WithoutWeights():
        network = kind(CLIPTextConfig(**config(family, spec.part)))
    wanted = {name.removeprefix("text_model."): shape for name, shape in shapes_of(network).items()}
    prefix = TEXT_ENCODERS[family][spec.part]
    inside = {name.removeprefix(prefix): it for name, it in meta(REAL[family]().shapes()).items()
              if name.startswith(prefix)}  # fmt: skip
    found = renamed(from_open_clip(inside) if spec.open_clip else plain_text_names(inside))
    # A projection that the family does not read is left over.
    assert {name: shape for name, shape in found.items() if name in wanted} == wanted


@pytest.mark.parametrize(("family", "identity"), [
    ("sd1", Identity("sd1", 512)), ("sd2", Identity("sd2", 768, prediction=None)),
    ("sdxl", Identity("sdxl", 1024)), ("sdxl_refiner", Identity("sdxl_refiner", 1024)),
])  # fmt: skip
def test_real_files_are_known_by_their_names_and_shapes(family: str, identity: Identity) -> None:
    assert identify_header(Header(REAL[family]().shapes(), {})) == identity


@pytest.mark.parametrize(("channels", "variant"), [(9, "inpainting"), (8, "pix2pix"), (5, "depth")])
@pytest.mark.parametrize("make", [layouts.sd1, layouts.sd2, layouts.sdxl])
def test_variants_are_known_by_their_channels(
    make: Callable[[int], CheckpointLayout], channels: int, variant: str
) -> None:
    assert identify_header(Header(make(channels).shapes(), {})).variant == variant


def test_marks_and_metadata_tell_what_a_u_net_predicts() -> None:
    shapes = layouts.sdxl().shapes()
    marked = identify_header(Header(shapes | {"v_pred": (0,), "ztsnr": (0,)}, {}))
    assert (marked.prediction, marked.zero_snr) == ("v_prediction", True)
    told = identify_header(Header(layouts.sd2().shapes(), {"modelspec.prediction_type": "v"}))
    assert told.prediction == "v_prediction"


WIDTH = 32
TINY_VAE = VaeLayout(channels=32, factors=(1, 1, 1, 1))


def tiny_unet(depths: tuple[int, ...], context: int, adm: int = 0, linear: bool = True) -> UNetLayout:
    return UNetLayout(32, (1,) * len(depths), depths, 1, context, linear, adm)


TINY: dict[str, CheckpointLayout] = {
    "sd1": CheckpointLayout(
        tiny_unet((1, 0), WIDTH, linear=False), {"cond_stage_model.transformer.": TextLayout(WIDTH, 3)}, TINY_VAE
    ),
    "sd2": CheckpointLayout(
        tiny_unet((1, 0), WIDTH),
        {"cond_stage_model.model.": TextLayout(WIDTH, 3, open_clip=True, projection=WIDTH)}, TINY_VAE,
    ),
    "sdxl": CheckpointLayout(
        tiny_unet((0, 1), 2 * WIDTH, adm=WIDTH + 6 * 8),
        {
            "conditioner.embedders.0.transformer.": TextLayout(WIDTH, 3),
            "conditioner.embedders.1.model.": TextLayout(WIDTH, 3, open_clip=True, projection=WIDTH),
        },
        TINY_VAE,
    ),
    "sdxl_refiner": CheckpointLayout(
        tiny_unet((0, 1), WIDTH, adm=WIDTH + 5 * 8),
        {"conditioner.embedders.0.model.": TextLayout(WIDTH, 3, open_clip=True, projection=WIDTH)}, TINY_VAE,
    ),
}  # fmt: skip


def tiny_components(family: str, layout: CheckpointLayout) -> dict[str, Any]:
    """The configurations of a small model, as its file brings them along."""
    unet = config(family, "unet") | {
        "block_out_channels": [32] * len(layout.unet.depths), "cross_attention_dim": layout.unet.context,
        "attention_head_dim": 2, "transformer_layers_per_block": 1, "sample_size": 8,
        "down_block_types": ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in layout.unet.depths],
        "up_block_types": ["CrossAttnUpBlock2D" if it else "UpBlock2D" for it in reversed(layout.unet.depths)],
    }  # fmt: skip
    if layout.unet.adm:
        unet |= {"projection_class_embeddings_input_dim": layout.unet.adm, "addition_time_embed_dim": 8}
    vae = config(family, "vae") | {"block_out_channels": [32] * 4}
    texts = {
        spec.part: config(family, spec.part) | {
            "hidden_size": WIDTH, "intermediate_size": WIDTH * 4, "num_attention_heads": 2, "num_hidden_layers": 3,
            "projection_dim": WIDTH,
        }
        for spec in FAMILIES[family].texts
    }  # fmt: skip
    return {"unet": unet, "vae": vae, **texts}


@lru_cache(maxsize=8)
def tiny_tensors(layout: CheckpointLayout) -> Mapping[str, torch.Tensor]:
    """The tensors of a small model, which nobody may write into."""
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.zeros(shape, dtype=torch.int64) if name.endswith("position_ids")
        else torch.ones(shape) if ".norm" in name and name.endswith("weight")
        else torch.randn(shape, generator=generator) * (0.5 if "label_emb" in name else 0.1)
        for name, shape in layout.shapes().items()
    }  # fmt: skip


def tiny_metadata(family: str, layout: CheckpointLayout) -> dict[str, str]:
    return {"easel.components": json.dumps(tiny_components(family, layout))}


@lru_cache(maxsize=8)
def tiny_file(family: str, layout: CheckpointLayout, marks: tuple[str, ...] = ()) -> bytes:
    """The content of a small model's file: tests need the same ones again and again."""
    tensors = dict(tiny_tensors(layout)) | {mark: torch.empty(0) for mark in marks}
    return save(tensors, tiny_metadata(family, layout))


def write_tiny(path: Path, family: str, layout: CheckpointLayout, marks: tuple[str, ...] = ()) -> None:
    # A model in memory may still read from the file that was there before.
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(tiny_file(family, layout, marks))
    new.replace(path)


def engine_for(folder: Path) -> DiffusionEngine:
    catalog = CheckpointCatalog([folder], HashCache(folder / "hashes.json"))
    return DiffusionEngine(ModelFiles(catalog), EngineSettings(DeviceWishes(use_cpu=True)))


def picture(engine: DiffusionEngine, request_of: MakeRequest, **values: object) -> np.ndarray:
    watcher = Watcher()
    engine.generate(request_of(**{"checkpoint": "", "steps": 2, **values}), watcher, watcher)
    return np.asarray(watcher.images[0].pixels)


@pytest.mark.parametrize("family", TINY)
def test_a_file_of_every_family_makes_pictures_that_prompt_and_negative_prompt_change(
    family: str, tmp_path: Path, request_of: MakeRequest
) -> None:
    write_tiny(tmp_path / "model.safetensors", family, TINY[family])
    engine = engine_for(tmp_path)
    assert engine.shelf.get("", Watcher()).bundle.family.name == family
    plain = picture(engine, request_of)
    assert plain.shape == (64, 64, 3)
    for values in ({"prompt": "a cat"}, {"negative_prompt": "blurry"}, {"prompt": "a (red:1.4) apple"},
                   {"prompt": "a red apple BREAK on a table"}):  # fmt: skip
        assert (picture(engine, request_of, **values) != plain).any()
    assert (picture(engine, request_of) == plain).all()


@pytest.mark.parametrize("channels", [9, 8, 5])
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_file_of_every_variant_makes_pictures(
    family: str, channels: int, tmp_path: Path, request_of: MakeRequest
) -> None:
    layout = TINY[family]
    write_tiny(tmp_path / "model.safetensors", family, replace(layout, unet=replace(layout.unet, in_channels=channels)))
    assert picture(engine_for(tmp_path), request_of).shape == (64, 64, 3)


def test_sdxl_is_told_size_and_crop_and_zeros_for_an_empty_negative_prompt(
    tmp_path: Path, request_of: MakeRequest
) -> None:
    write_tiny(tmp_path / "model.safetensors", "sdxl", TINY["sdxl"])
    engine = engine_for(tmp_path)
    plain = picture(engine, request_of)
    assert (picture(engine, request_of, sdxl_crop_top=100) != plain).any()
    # A negative prompt that is there but says nothing is no empty one: it is encoded.
    assert (picture(engine, request_of, negative_prompt="BREAK") != plain).any()


def test_the_refiner_is_told_scores(tmp_path: Path, request_of: MakeRequest) -> None:
    write_tiny(tmp_path / "model.safetensors", "sdxl_refiner", TINY["sdxl_refiner"])
    engine = engine_for(tmp_path)
    plain = picture(engine, request_of)
    assert (picture(engine, request_of, aesthetic_high=1.0) != plain).any()
    assert (picture(engine, request_of, aesthetic_low=9.0) != plain).any()


def test_an_sdxl_refiner_takes_over_from_an_sdxl_base(tmp_path: Path, request_of: MakeRequest) -> None:
    for family in ("sdxl", "sdxl_refiner"):
        write_tiny(tmp_path / f"{family}-model.safetensors", family, TINY[family])
    engine = engine_for(tmp_path)
    base = {"checkpoint": "sdxl-model"}
    plain = picture(engine, request_of, **base)
    refined = picture(engine, request_of, **base, refiner_checkpoint="sdxl_refiner-model", refiner_switch_at=0.3)
    assert (refined != plain).any()


def test_a_v_prediction_file_is_sampled_as_one(tmp_path: Path, request_of: MakeRequest) -> None:
    pictures = []
    for marks in ((), ("v_pred",), ("v_pred", "ztsnr")):
        folder = tmp_path / str(len(marks))
        folder.mkdir()
        write_tiny(folder / "model.safetensors", "sdxl", TINY["sdxl"], marks)
        engine = engine_for(folder)
        pictures.append(picture(engine, request_of))
        assert (engine.shelf.get("", Watcher()).bundle.prediction == VELOCITY) == bool(marks)
    assert len({it.tobytes() for it in pictures}) == 3


class Answering(torch.nn.Module):
    """A U-Net that predicts noise, or v, as a trained one does at the last timestep."""

    def __init__(self, velocity: bool) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.velocity = velocity
        self.config = type("Config", (), {"in_channels": 4, "cross_attention_dim": 1024})()

    def forward(self, x: torch.Tensor, *_: object, **__: object) -> tuple[torch.Tensor]:
        # The picture behind this input, as v-prediction models see it, is bright.
        return (x - 2.5 if self.velocity else x,)


@pytest.mark.parametrize("velocity", [False, True])
def test_what_a_u_net_predicts_is_found_by_asking_it(velocity: bool, tmp_path: Path) -> None:
    write_tiny(tmp_path / "model.safetensors", "sd2", TINY["sd2"])
    residency = engine_for(tmp_path).shelf.get("", Watcher()).bundle.residency
    found = probed_prediction(Answering(velocity), residency)  # type: ignore[arg-type]
    assert (found == VELOCITY) == velocity


def test_what_a_u_net_predicts_is_asked_once_and_remembered(tmp_path: Path) -> None:
    write_tiny(tmp_path / "model.safetensors", "sd2", TINY["sd2"])
    engine = engine_for(tmp_path)
    assert engine.shelf.files.checkpoints.find("").prediction is None
    model = engine.shelf.get("", Watcher())
    assert engine.shelf.files.checkpoints.find("").prediction == model.bundle.prediction
    assert engine.shelf.get("", Watcher()) is model
    assert engine_for(tmp_path).shelf.files.checkpoints.find("").prediction == model.bundle.prediction


def test_a_pickled_file_gives_the_same_tensors_as_a_safetensors_file(tmp_path: Path) -> None:
    write_tiny(tmp_path / "model.safetensors", "sd1", TINY["sd1"])
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in set(file.keys())}
    torch.save({"state_dict": tensors, "global_step": 1}, tmp_path / "pickled.ckpt")
    read = read_tensors(tmp_path / "pickled.ckpt")
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())
    assert set(read) == set(tensors)


def write_folder(engine: DiffusionEngine, folder: Path, pipeline: str, shards: str = "10GB") -> None:
    """Write the model that an engine has in memory as diffusers writes it."""
    bundle = engine.shelf.get("", Watcher()).bundle
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    bundle.unet.save_pretrained(folder / "unet", max_shard_size=shards)
    bundle.vae.save_pretrained(folder / "vae")
    for text in bundle.texts:
        text.encoder.save_pretrained(folder / text.spec.part)
        text.tokenizer.save_pretrained(folder / text.spec.part.replace("text_encoder", "tokenizer"))


@pytest.mark.parametrize(("family", "pipeline", "shards"), [
    ("sd1", "StableDiffusionPipeline", "10GB"), ("sdxl", "StableDiffusionXLPipeline", "300KB"),
    ("sdxl_refiner", "StableDiffusionXLImg2ImgPipeline", "10GB"),
])  # fmt: skip
def test_a_diffusers_folder_whole_or_in_pieces_makes_the_same_picture_as_the_file(
    family: str, pipeline: str, shards: str, tmp_path: Path, request_of: MakeRequest
) -> None:
    write_tiny(tmp_path / "model.safetensors", family, TINY[family])
    single = engine_for(tmp_path)
    wanted = picture(single, request_of)
    write_folder(single, tmp_path / "folder", pipeline, shards)
    assert (len(list((tmp_path / "folder" / "unet").glob("*.safetensors"))) > 1) == (shards == "300KB")
    (tmp_path / "model.safetensors").unlink()
    folder = engine_for(tmp_path)
    assert folder.shelf.get("", Watcher()).bundle.family.name == family
    # The weights are the same; where they lie in memory may move the last bit.
    assert np.abs(picture(folder, request_of).astype(int) - wanted).max() <= 1


def test_a_folder_of_sd_2_comes_without_the_layer_that_is_left_out(tmp_path: Path, request_of: MakeRequest) -> None:
    write_tiny(tmp_path / "model.safetensors", "sd2", TINY["sd2"])
    single = engine_for(tmp_path)
    wanted = picture(single, request_of)
    write_folder(single, tmp_path / "folder", "StableDiffusionPipeline")
    encoder = single.shelf.get("", Watcher()).bundle.texts[0].encoder
    shorter = CLIPTextModel(CLIPTextConfig(**{**encoder.config.to_dict(), "num_hidden_layers": 2}))
    kept = set(shorter.state_dict())
    shorter.load_state_dict({name: it for name, it in encoder.state_dict().items() if name in kept})
    shorter.save_pretrained(tmp_path / "folder" / "text_encoder")
    unet = tmp_path / "folder" / "unet" / "config.json"
    unet.write_text(json.dumps(json.loads(unet.read_text()) | {"sample_size": 8}))
    (tmp_path / "folder" / "scheduler").mkdir()
    (tmp_path / "folder" / "scheduler" / "scheduler_config.json").write_text('{"prediction_type": "epsilon"}')
    (tmp_path / "model.safetensors").unlink()
    folder = engine_for(tmp_path)
    # Its narrow U-Net does not tell the family, as a real one's 1024 numbers per token do.
    entry = folder.shelf.files.checkpoints.entries()[0]
    folder.shelf.files.checkpoints._entries = (replace(entry, family="sd2"),)
    assert (picture(folder, request_of) == wanted).all()


def test_a_folder_with_pickled_weights_and_no_tokenizer_works(tmp_path: Path, request_of: MakeRequest) -> None:
    write_tiny(tmp_path / "model.safetensors", "sd1", TINY["sd1"])
    single = engine_for(tmp_path)
    wanted = picture(single, request_of)
    write_folder(single, tmp_path / "folder", "StableDiffusionPipeline")
    shutil.rmtree(tmp_path / "folder" / "tokenizer")
    weights = tmp_path / "folder" / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    (tmp_path / "model.safetensors").unlink()
    assert (picture(engine_for(tmp_path), request_of) == wanted).all()


@pytest.mark.parametrize("layer", [
    "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k",
    "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k",
])  # fmt: skip
@pytest.mark.parametrize("text_layer", ["lora_te1_text_model_encoder_layers_0_self_attn_q_proj",
                                        "lora_te2_text_model_encoder_layers_0_self_attn_q_proj"])  # fmt: skip
def test_a_lora_for_sdxl_acts_on_the_u_net_by_either_name_and_on_both_text_encoders(
    layer: str, text_layer: str, tmp_path: Path, request_of: MakeRequest
) -> None:
    write_tiny(tmp_path / "model.safetensors", "sdxl", TINY["sdxl"])
    loras, hashes = tmp_path / "loras", HashCache(tmp_path / "hashes.json")
    loras.mkdir()
    for name, inside, file in ((layer, 2 * WIDTH, "unet"), (text_layer, WIDTH, "text")):
        generator = torch.Generator().manual_seed(3)
        save_file({
            f"{name}.lora_up.weight": torch.randn(WIDTH, 2, generator=generator),
            f"{name}.lora_down.weight": torch.randn(2, inside, generator=generator),
        }, loras / f"{file}.safetensors")  # fmt: skip
    files = ModelFiles(
        CheckpointCatalog([tmp_path], hashes), loras=NetworkFolder([loras], LORA_ENDINGS, hashes, hash_kind="tensors")
    )
    engine = DiffusionEngine(files, EngineSettings(DeviceWishes(use_cpu=True)))
    made = {tags: picture(engine, request_of, checkpoint="model", prompt=f"a red apple {tags}").tobytes()
            for tags in ("", "<lora:unet:1>", "<lora:text:1>", "<lora:unet:1><lora:text:1>")}  # fmt: skip
    assert len(set(made.values())) == 4
    assert picture(engine, request_of, checkpoint="model", prompt="a red apple ").tobytes() == made[""]


def test_every_layer_of_the_real_sdxl_u_net_has_its_original_name() -> None:
    with WithoutWeights():
        network = UNet2DConditionModel.from_config(config("sdxl", "unet"))
    layers = [name for name, module in network.named_modules() if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)]
    originals = original_names(network.config, layers)
    written = {name.removeprefix("model.diffusion_model.").removesuffix(".weight") for name in REAL["sdxl"]().shapes()
               if name.startswith("model.diffusion_model.") and name.endswith(".weight")}  # fmt: skip
    assert set(originals) == set(layers)
    assert set(originals.values()) <= written
