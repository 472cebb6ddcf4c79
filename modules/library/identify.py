"""Which family a checkpoint is of, from the names and shapes of its tensors only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.library.reading import Header, UnreadableFile, read_header

SD1_FAMILY = "sd1"
SD1_NATIVE_SIZE = 512
SD1_CONTEXT = 768
LATENT_CHANNELS = 4
COMPONENTS_KEY = "easel.components"
"""Metadata key under which a single file may bring its components' configurations (JSON) when they are not SD 1.x's."""

_UNET = "model.diffusion_model."
_UNET_INPUT = _UNET + "input_blocks.0.0.weight"
_VAE = "first_stage_model."
_SD1_TEXT = "cond_stage_model.transformer."
_VAE_FACTOR = 8

_FOREIGN_MARKS = (
    ("conditioner.embedders.", "this is an SDXL checkpoint, which is not supported yet"),
    ("cond_stage_model.model.", "this is an SD 2.x checkpoint, which is not supported yet"),
    ("model.diffusion_model.joint_blocks.", "this is an SD 3 checkpoint, which is not supported yet"),
    ("joint_blocks.", "this is an SD 3 checkpoint, which is not supported yet"),
    ("model.diffusion_model.double_blocks.", "this is a Flux checkpoint, which is not supported yet"),
    ("double_blocks.", "this is a Flux checkpoint, which is not supported yet"),
    ("lora_unet_", "this is a LoRA, not a checkpoint"),
    ("lora_te_", "this is a LoRA, not a checkpoint"),
    ("unet.down_blocks.", "this is a LoRA, not a checkpoint"),
    ("emb_params", "this is an embedding, not a checkpoint"),
    ("encoder.conv_in.", "this is a VAE, not a checkpoint"),
    ("decoder.conv_in.", "this is a VAE, not a checkpoint"),
)
_INPUT_CHANNELS = {
    9: "this is an inpainting checkpoint (9 input channels), which is not supported yet",
    8: "this is an instruct-pix2pix checkpoint (8 input channels), which is not supported yet",
    5: "this is a depth checkpoint (5 input channels), which is not supported yet",
}
_FOLDER_PIPELINE = "StableDiffusionPipeline"
_FOLDER_WEIGHTS = {
    "unet": ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"),
    "vae": ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"),
    "text_encoder": ("model.safetensors", "model.fp16.safetensors"),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """What a usable checkpoint is: `native_size` is the edge in pixels of the pictures that it was trained on."""

    family: str
    native_size: int


class Unusable(Exception):
    """The file or folder cannot be used as a checkpoint; the text says why in plain words."""


def identify_file(path: Path) -> Identity:
    """Return what the single file at `path` is. Raises Unusable."""
    try:
        header = read_header(path)
    except UnreadableFile as error:
        raise Unusable(str(error)) from error
    return identify_header(header)


def identify_header(header: Header) -> Identity:
    """Return what a single file with these tensors is. Raises Unusable."""
    for prefix, reason in _FOREIGN_MARKS:
        if any(name.startswith(prefix) for name in header.shapes):
            raise Unusable(reason)
    channels = header.shapes.get(_UNET_INPUT)
    if channels is None:
        raise Unusable("it holds no Stable Diffusion U-Net")
    if len(channels) != LATENT_CHANNELS or channels[1] != LATENT_CHANNELS:
        known = _INPUT_CHANNELS.get(channels[1] if len(channels) > 1 else 0)
        raise Unusable(known or f"its U-Net takes {channels}, which no known family does")
    for prefix, part in ((_VAE, "VAE"), (_SD1_TEXT, "text encoder")):
        if not any(name.startswith(prefix) for name in header.shapes):
            raise Unusable(f"it holds no {part}")
    configuration = components_of(header)
    if configuration:
        return Identity(SD1_FAMILY, _native_size(configuration["unet"]))
    context = _context_width(header)
    if context != SD1_CONTEXT:
        raise Unusable(f"its U-Net reads {context} numbers per token where SD 1.x reads {SD1_CONTEXT}")
    return Identity(SD1_FAMILY, SD1_NATIVE_SIZE)


def components_of(header: Header) -> dict[str, dict[str, Any]] | None:
    """Return the components' configurations that the file brings along, or None. Raises Unusable when broken."""
    raw = header.metadata.get(COMPONENTS_KEY)
    if raw is None:
        return None
    try:
        components = json.loads(raw)
        return {part: dict(components[part]) for part in _FOLDER_WEIGHTS}
    except (ValueError, KeyError, TypeError) as error:
        raise Unusable(f"its metadata {COMPONENTS_KEY!r} is broken: {error}") from error


def identify_folder(folder: Path) -> Identity:
    """Return what the diffusers folder is. Raises Unusable."""
    index = _json(folder / "model_index.json")
    pipeline = index.get("_class_name")
    if pipeline != _FOLDER_PIPELINE:
        raise Unusable(f"it is made for {pipeline}, which is not supported yet")
    configurations = {part: _json(folder / part / "config.json") for part in _FOLDER_WEIGHTS}
    channels = configurations["unet"].get("in_channels", LATENT_CHANNELS)
    if channels != LATENT_CHANNELS:
        raise Unusable(_INPUT_CHANNELS.get(channels, f"its U-Net takes {channels} channels"))
    for part in _FOLDER_WEIGHTS:
        try:
            read_header(folder_weights(folder, part))
        except UnreadableFile as error:
            raise Unusable(f"{part}: {error}") from error
    if not (folder / "tokenizer" / "vocab.json").is_file():
        raise Unusable("the file tokenizer/vocab.json is missing")
    return Identity(SD1_FAMILY, _native_size(configurations["unet"]))


def folder_weights(folder: Path, part: str) -> Path:
    """Return the weights file of `part` ("unet", "vae" or "text_encoder") of a diffusers folder. Raises Unusable."""
    for name in _FOLDER_WEIGHTS[part]:
        path = folder / part / name
        if path.is_file():
            return path
    raise Unusable(f"the file {part}/{_FOLDER_WEIGHTS[part][0]} is missing")


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Unusable(f"the file {path.parent.name}/{path.name} is missing") from error
    except (OSError, ValueError) as error:
        raise Unusable(f"{path.parent.name}/{path.name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise Unusable(f"{path.parent.name}/{path.name} is no JSON object")
    return content


def _native_size(unet: dict[str, Any]) -> int:
    size = unet.get("sample_size")
    return size * _VAE_FACTOR if isinstance(size, int) and size > 0 else SD1_NATIVE_SIZE


def _context_width(header: Header) -> int:
    for name, shape in header.shapes.items():
        if name.startswith(_UNET) and name.endswith("attn2.to_k.weight") and len(shape) > 1:
            return shape[1]
    return 0
