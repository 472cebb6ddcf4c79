"""From a trained state to a diffusers folder in fp16."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPTextModel

from training.architecture import SCALING, Architecture, new_text, text_core
from training.vocabulary import Vocabulary

READABLE = 0o644
POSTERIOR_STD = 0.03  # of a latent of unit variance
SCHEDULER = {
    "_class_name": "EulerDiscreteScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "timestep_spacing": "linspace",
}
TOKENIZER_FILES = ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json")
COMPONENTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
PIPELINE = {
    "_class_name": "StableDiffusionPipeline",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


@dataclass(frozen=True)
class Parts:
    """The trained networks, the text encoder with its whole table."""

    vae: AutoencoderKL
    text: CLIPTextModel
    unet: UNet2DConditionModel


@torch.no_grad()
def fold_scale(vae: AutoencoderKL, deviation: float) -> None:
    """Make latents of standard deviation ``deviation`` come out as SD1's, 1 / SCALING, in place.

    The scale goes into the convolutions next to the latent; the posterior's own deviation becomes a small constant.
    """
    factor = 1 / (deviation * SCALING)
    moments, back = vae.quant_conv, vae.post_quant_conv
    half = moments.weight.shape[0] // 2
    moments.weight[:half] *= factor
    moments.bias[:half] *= factor
    moments.weight[half:] = 0
    moments.bias[half:] = 2 * math.log(POSTERIOR_STD / SCALING)
    back.weight /= factor


def whole_text(compact: CLIPTextModel, sizes: Architecture, vocabulary: Vocabulary) -> CLIPTextModel:
    """The text encoder with the full table, in which words never seen are zero."""
    text = new_text(sizes)
    table = text_core(compact).embeddings.token_embedding.weight.detach()
    core = text_core(text)
    weights = {name: value for name, value in text_core(compact).state_dict().items() if "token_embedding" not in name}
    core.load_state_dict(weights | {"embeddings.token_embedding.weight": vocabulary.spread(table)})
    return text


def read_parts(folder: Path) -> Parts:
    """The networks of an exported folder, in fp32 on the CPU."""
    place, offline = str(folder), {"local_files_only": True, "torch_dtype": torch.float32}
    text = CLIPTextModel.from_pretrained(place, subfolder="text_encoder", local_files_only=True, dtype=torch.float32)
    return Parts(
        AutoencoderKL.from_pretrained(place, subfolder="vae", **offline),
        text,
        UNet2DConditionModel.from_pretrained(place, subfolder="unet", **offline),
    )


def start_from(folder: Path, text: CLIPTextModel, unet: UNet2DConditionModel, vocabulary: Vocabulary) -> None:
    """Fill the networks in training with an exported folder's weights; words new to it keep their random rows."""
    parts = read_parts(folder)
    unet.load_state_dict(parts.unet.state_dict())
    own, theirs = text_core(text), text_core(parts.text).state_dict()
    table = "embeddings.token_embedding.weight"
    theirs[table] = vocabulary.gather(theirs[table], own.state_dict()[table])
    own.load_state_dict({name: value for name, value in theirs.items() if name in own.state_dict()})


def write_component(network: nn.Module, folder: Path, name: str) -> None:
    """A config.json, without the place that the network was once read from, and an fp16 safetensors file."""
    network.half().save_pretrained(folder / name, safe_serialization=True)  # type: ignore[operator]
    file = folder / name / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config.pop("_name_or_path", None)
    _write_json(config, file)


def export_folder(parts: Parts, tokenizer_folder: Path, folder: Path) -> None:
    """Write the components into the folder, replacing older ones at once, component by component.

    Everything is written beside first, so that a kill leaves no half-written file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".export-", dir=folder.parent))
    try:
        write_component(parts.vae, beside, "vae")
        write_component(parts.text, beside, "text_encoder")
        write_component(parts.unet, beside, "unet")
        (beside / "tokenizer").mkdir()
        for file in TOKENIZER_FILES:
            shutil.copyfile(tokenizer_folder / file, beside / "tokenizer" / file)
        _write_json(SCHEDULER, beside / "scheduler" / "scheduler_config.json")
        _write_json(PIPELINE, beside / "model_index.json")
        for written in sorted(path for path in beside.rglob("*") if path.is_file()):
            target = folder / written.relative_to(beside)
            target.parent.mkdir(parents=True, exist_ok=True)
            written.chmod(READABLE)  # safetensors' own files are closed to others
            os.replace(written, target)
    finally:
        shutil.rmtree(beside)


def _write_json(value: object, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_single_file(tensors: dict[str, torch.Tensor], components: dict[str, object], file: Path) -> None:
    """One safetensors file; its metadata hold the configs, for head and group counts show in no tensor's shape."""
    metadata = {
        "format": "pt",
        "modelspec.architecture": "stable-diffusion-v1",
        "easel.components": json.dumps(components, sort_keys=True),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(file.name + ".tmp")
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, beside, metadata)
    beside.chmod(READABLE)
    beside.replace(file)


def component_configs(folder: Path) -> dict[str, object]:
    """The config.json of each network of a diffusers folder."""
    return {
        name: json.loads((folder / name / "config.json").read_text(encoding="utf-8"))
        for name in ("unet", "vae", "text_encoder")
    }
