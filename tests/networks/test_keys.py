"""Layers are found by every name that files give them, in every family, with the shapes of the real models."""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from modules.engine.families import FAMILIES
from modules.engine.ldm_keys import original_names
from modules.networks.keys import LayerNames, Place, split_key
from modules.networks.layers import Layer, layers_of, names_of
from tests import layouts
from tests.layouts import CheckpointLayout

REAL: Mapping[str, Callable[[], CheckpointLayout]] = {
    "sd1": layouts.sd1, "sd2": layouts.sd2, "sdxl": layouts.sdxl, "sdxl_refiner": layouts.sdxl_refiner,
}  # fmt: skip
UNET_ROOT = "model.diffusion_model."
PEFT_UNET = "base_model.model.unet."


@cache
def model(family: str) -> tuple[dict[str, Layer], LayerNames]:
    """The layers of a real model, without their weights, and what finds them."""
    def config(part: str) -> Any:
        return json.loads((FAMILIES[family].configs / f"{part}.json").read_text(encoding="utf-8"))

    with init_empty_weights():
        unet = UNet2DConditionModel.from_config(config("unet"))
        parts: dict[str, torch.nn.Module] = {"unet": unet}
        for text in FAMILIES[family].texts:
            kind = CLIPTextModelWithProjection if text.pooled else CLIPTextModel
            number = "2" if "te2" in text.network_prefix else "1"
            parts[number] = kind(CLIPTextConfig(**config(text.part)))
    layers = layers_of(parts)
    names = original_names(unet.config, (name for name, _ in unet.named_modules()))
    return layers, names_of(layers, names)


def shape(family: str, written: str) -> tuple[int, ...]:
    """The shape of the one layer that is found by a name."""
    layers, names = model(family)
    (place,) = names.find(written)
    return tuple(layers[place.layer].weight.shape)


def diffusers_names(family: str) -> dict[str, tuple[int, ...]]:
    return {
        name.removeprefix("unet:"): tuple(layer.weight.shape)
        for name, layer in model(family)[0].items()
        if name.startswith("unet:")
    }


@pytest.mark.parametrize("family", REAL)
@pytest.mark.parametrize("prefix", ["lora_unet_", "lycoris_", "oft_unet_", "diffusion_model_", UNET_ROOT])
def test_every_layer_of_the_u_net_is_found_by_its_original_name(family: str, prefix: str) -> None:
    shapes = REAL[family]().shapes()
    written = [name for name in shapes if name.startswith(UNET_ROOT) and name.endswith(".weight")]
    for name in written:
        path = name.removeprefix(UNET_ROOT).removesuffix(".weight")
        path = path if prefix.endswith(".") else path.replace(".", "_")
        assert shape(family, prefix + path) == shapes[name]
    assert len(written) == len(diffusers_names(family))


@pytest.mark.parametrize("family", REAL)
@pytest.mark.parametrize("prefix", ["lora_unet_", "lycoris_", "unet.", "base_model.model.", PEFT_UNET, ""])
def test_every_layer_of_the_u_net_is_found_by_diffusers_name(family: str, prefix: str) -> None:
    for path, wanted in diffusers_names(family).items():
        assert shape(family, prefix + (path if not prefix.endswith("_") else path.replace(".", "_"))) == wanted


TEXTS = [
    ("sd1", "lora_te_", "1"), ("sd1", "lora_te1_", "1"), ("sd1", "text_encoder.", "1"), ("sd1", "transformer_", "1"),
    ("sd1", "base_model.model.text_encoder.", "1"), ("sd1", "lycoris_", "1"), ("sd1", "base_model.model.", "1"),
    ("sd2", "lora_te_", "1"), ("sd2", "text_encoder.", "1"),
    ("sdxl", "lora_te1_", "1"), ("sdxl", "lora_te2_", "2"), ("sdxl", "text_encoder.", "1"),
    ("sdxl", "text_encoder_2.", "2"), ("sdxl", "0_transformer_", "1"), ("sdxl_refiner", "lora_te2_", "2"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "prefix", "number"), TEXTS)
def test_every_layer_of_a_text_encoder_is_found_by_transformers_name(family: str, prefix: str, number: str) -> None:
    layers = {name: layer for name, layer in model(family)[0].items() if name.startswith(f"{number}:")}
    assert len(layers) > 50
    for name, layer in layers.items():
        path = "text_model." + name.partition(":")[2].removeprefix("text_model.")
        path = path if prefix.endswith(".") else path.replace(".", "_")
        assert model(family)[1].find(prefix + path) == (Place(name),)
        assert shape(family, prefix + path) == tuple(layer.weight.shape)


OPEN_CLIP = [("sd2", "lora_te_model_", "cond_stage_model.model."), ("sd2", "model_", "cond_stage_model.model."),
             ("sdxl", "1_model_", "conditioner.embedders.1.model."),
             ("sdxl", "lora_te2_model_", "conditioner.embedders.1.model.")]  # fmt: skip


@pytest.mark.parametrize(("family", "prefix", "root"), OPEN_CLIP)
def test_open_clips_names_are_known_and_its_fused_projection_goes_to_three_layers(
    family: str, prefix: str, root: str
) -> None:
    layers, names = model(family)
    for name, wanted in REAL[family]().shapes().items():
        path = name.removeprefix(root)
        block = re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+)[._]weight", path) if path != name else None
        if block is None:
            continue
        places = names.find(prefix + path.removesuffix("weight").rstrip("._").replace(".", "_"))
        if "in_proj" in path:
            assert [place.piece for place in places] == [0, 1, 2]
            assert [place.layer[-6:] for place in places] == ["q_proj", "k_proj", "v_proj"]
            assert sum(layers[place.layer].weight.shape[0] for place in places) == wanted[0]
        else:
            assert tuple(layers[places[0].layer].weight.shape) == wanted
    width = next(iter(layers[names.find(f"{prefix}transformer_resblocks_0_attn_q_proj")[0].layer].weight.shape))
    assert width in (1024, 1280)


@pytest.mark.parametrize(("family", "written"), [
    ("sd1", "lora_te2_text_model_encoder_layers_0_mlp_fc1"), ("sdxl", "lora_te_text_model_encoder_layers_0_mlp_fc1"),
    ("sd1", "lora_unet_input_blocks_99_0"), ("sd1", "lora_unet_label_emb_0_0"), ("sd1", "unet.double_blocks.0"),
    ("sdxl_refiner", "lora_te1_text_model_encoder_layers_0_mlp_fc1"), ("sd1", ""),
])  # fmt: skip
def test_what_a_model_has_not_is_not_found(family: str, written: str) -> None:
    assert model(family)[1].find(written) == ()


KEYS = {
    "lora_unet_a.lora_up.weight": ("lora_unet_a", "lora_up.weight"),
    "lora_unet_a.alpha": ("lora_unet_a", "alpha"),
    "lora_unet_a.lora_mid.weight": ("lora_unet_a", "lora_mid.weight"),
    "lora_unet_a.hada_w1_a": ("lora_unet_a", "hada_w1_a"),
    "lycoris_a.lokr_t2": ("lycoris_a", "lokr_t2"),
    "lora_unet_a.weight": ("lora_unet_a", "weight"),
    "lora_unet_a.on_input": ("lora_unet_a", "on_input"),
    "lora_unet_a.dora_scale": ("lora_unet_a", "dora_scale"),
    "lora_unet_a.a1.weight": ("lora_unet_a", "a1.weight"),
    "lora_unet_a.diff_b": ("lora_unet_a", "diff_b"),
    "unet.a.to_q.lora_A.weight": ("unet.a.to_q", "lora_down.weight"),
    "unet.a.to_q.lora_B.weight": ("unet.a.to_q", "lora_up.weight"),
    "base_model.model.a.to_q.lora_A.default.weight": ("base_model.model.a.to_q", "lora_down.weight"),
    "base_model.model.a.to_q.lora_magnitude_vector.default.weight": ("base_model.model.a.to_q", "dora_scale"),
    "base_model.model.a.to_q.lora_magnitude_vector": ("base_model.model.a.to_q", "dora_scale"),
    "unet.a.to_q.lora.down.weight": ("unet.a.to_q", "lora_down.weight"),
    "text_encoder.a.q_proj.lora_linear_layer.up.weight": ("text_encoder.a.q_proj", "lora_up.weight"),
    "unet.a.attn1.processor.to_q_lora.down.weight": ("unet.a.attn1.to_q", "lora_down.weight"),
    "a.attn2.processor.to_out_lora.up.weight": ("a.attn2.to_out", "lora_up.weight"),
    "unet.a.conv.alpha": ("unet.a.conv", "alpha"),
}


@pytest.mark.parametrize("key", KEYS)
def test_keys_are_split_into_layer_and_part(key: str) -> None:
    assert split_key(key) == KEYS[key]


@pytest.mark.parametrize("key", ["emb_params", "state", "lora_unet_a.something", ""])
def test_a_key_of_anything_else_is_not_split(key: str) -> None:
    assert split_key(key) is None


def test_the_oldest_name_of_the_output_projection_is_found() -> None:
    path = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
    assert shape("sd1", f"unet.{path}.to_out") == shape("sd1", f"unet.{path}.to_out.0") == (320, 320)
