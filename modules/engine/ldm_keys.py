"""Tensor names of Stable Diffusion's original layout (CompVis latent-diffusion) in diffusers' and transformers' terms.

Both layouts describe the same network; only the names differ. In single files the U-Net's blocks are numbered
through (`input_blocks.0` … ), in diffusers they are grouped by resolution.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from diffusers import UNet2DConditionModel
from torch import Tensor

from modules.engine.building import WithoutWeights
from modules.library.unet_layouts import USUAL, UNetLayout

UNET_PREFIX = USUAL.prefix
GUIDANCE_NAMES = ("time_embed.cond_proj.weight", "time_embedding.cond_proj.weight")
"""The weight through which some U-Nets are told the CFG scale, (width, numbers), in either layout."""
VAE_PREFIX = "first_stage_model."

_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_VAE_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


def unet_tensors(
    checkpoint: Mapping[str, Tensor], config: Mapping[str, Any], layout: UNetLayout = USUAL
) -> dict[str, Tensor]:
    """Return the U-Net's tensors of a single file under diffusers' names; `config` is the U-Net's configuration."""
    inside = {
        name.removeprefix(layout.prefix): tensor
        for name, tensor in checkpoint.items()
        if name.startswith(layout.prefix)
    }
    if layout.diffusers:
        return inside
    blocks = _unet_blocks(config)
    if not layout.dotless:
        return {_unet_name(name, blocks): tensor for name, tensor in inside.items()}
    with WithoutWeights():
        wanted = UNet2DConditionModel.from_config(dict(config)).state_dict()
    layers = original_names(config, {name.rpartition(".")[0] for name in wanted})
    dotless = {name: f"{layers[name.rpartition('.')[0]]}{name.rpartition('.')[2]}".replace(".", "") for name in wanted}
    return {name: inside[short] for name, short in dotless.items() if short in inside}


def original_names(config: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Return the original layout's names of those U-Net modules, given by diffusers' names, that it calls otherwise.

    LoRA files for SDXL name layers so.
    """
    prefixes = {new: old for old, new in _unet_blocks(config).items()}
    inner = {new: old for old, new in _RESNET.items()}
    found: dict[str, str] = {}
    for name in names:
        parts = name.split(".")
        for length in range(len(parts), 0, -1):
            prefix = ".".join(parts[:length])
            if prefix in prefixes:
                rest = ".".join(parts[length:])
                old = inner.get(rest, rest) if ".resnets." in prefix else rest
                found[name] = f"{prefixes[prefix]}.{old}" if old else prefixes[prefix]
                break
    return found


def vae_tensors(checkpoint: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the VAE's tensors of a single file under diffusers' names."""
    last = len(config["block_out_channels"]) - 1
    renamed = {}
    for name, tensor in checkpoint.items():
        if not name.startswith(VAE_PREFIX):
            continue
        new_name = _vae_name(name.removeprefix(VAE_PREFIX), last)
        # The original attention is a 1 x 1 convolution, diffusers' a linear layer.
        is_projection = ".attentions." in new_name and tensor.ndim == 4
        renamed[new_name] = tensor[:, :, 0, 0] if is_projection else tensor
    return renamed


def plain_text_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the text encoder's tensors without the prefix "text_model." and without the fixed position numbers."""
    plain = {name.removeprefix("text_model."): tensor for name, tensor in tensors.items()}
    return {name: tensor for name, tensor in plain.items() if not name.endswith("position_ids")}


def _unet_blocks(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the new prefix of every numbered module of the original U-Net."""
    layers: int = config["layers_per_block"]
    blocks = {
        "time_embed.0": "time_embedding.linear_1",
        "time_embed.2": "time_embedding.linear_2",
        "time_embed.cond_proj": "time_embedding.cond_proj",
        "label_emb.0.0": "add_embedding.linear_1",
        "label_emb.0.2": "add_embedding.linear_2",
        "input_blocks.0.0": "conv_in",
        "middle_block.0": "mid_block.resnets.0",
        "middle_block.1": "mid_block.attentions.0",
        "middle_block.2": "mid_block.resnets.1",
        "out.0": "conv_norm_out",
        "out.2": "conv_out",
    }
    for level in range(len(config["down_block_types"])):
        for layer in range(layers):
            number = 1 + level * (layers + 1) + layer
            blocks[f"input_blocks.{number}.0"] = f"down_blocks.{level}.resnets.{layer}"
            blocks[f"input_blocks.{number}.1"] = f"down_blocks.{level}.attentions.{layer}"
        blocks[f"input_blocks.{(level + 1) * (layers + 1)}.0.op"] = f"down_blocks.{level}.downsamplers.0.conv"
    for level, kind in enumerate(config["up_block_types"]):
        attends = kind.startswith("CrossAttn")
        for layer in range(layers + 1):
            number = level * (layers + 1) + layer
            blocks[f"output_blocks.{number}.0"] = f"up_blocks.{level}.resnets.{layer}"
            if attends:
                blocks[f"output_blocks.{number}.1"] = f"up_blocks.{level}.attentions.{layer}"
        # The upsampler follows the level's last layer: after its attention, where there is one.
        number = level * (layers + 1) + layers
        blocks[f"output_blocks.{number}.{2 if attends else 1}.conv"] = f"up_blocks.{level}.upsamplers.0.conv"
    return blocks


def _unet_name(name: str, blocks: Mapping[str, str]) -> str:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        if prefix in blocks:
            return f"{blocks[prefix]}.{_inner_name(blocks[prefix], '.'.join(parts[length:]))}"
    return name


def _inner_name(block: str, rest: str) -> str:
    if ".resnets." not in block:
        return rest
    stem, _, ending = rest.rpartition(".")
    return f"{_RESNET.get(stem, stem)}.{ending}"


def _vae_name(name: str, last_level: int) -> str:
    name = re.sub(r"^encoder\.down\.(\d)\.block\.", r"encoder.down_blocks.\1.resnets.", name)
    name = re.sub(r"^encoder\.down\.(\d)\.downsample\.", r"encoder.down_blocks.\1.downsamplers.0.", name)
    # The original counts the decoder's levels from the largest resolution down, diffusers in the order of use.
    name = re.sub(
        r"^decoder\.up\.(\d)\.block\.",
        lambda match: f"decoder.up_blocks.{last_level - int(match[1])}.resnets.",
        name,
    )
    name = re.sub(
        r"^decoder\.up\.(\d)\.upsample\.",
        lambda match: f"decoder.up_blocks.{last_level - int(match[1])}.upsamplers.0.",
        name,
    )
    name = re.sub(r"\.mid\.block_(\d)\.", lambda match: f".mid_block.resnets.{int(match[1]) - 1}.", name)
    name = re.sub(
        r"\.mid\.attn_1\.(\w+)\.",
        lambda match: f".mid_block.attentions.0.{_VAE_ATTENTION[match[1]]}.",
        name,
    )
    return name.replace("nin_shortcut", "conv_shortcut").replace("coder.norm_out.", "coder.conv_norm_out.")
