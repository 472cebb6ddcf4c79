"""Checkpoints from disk into memory: single files in the original layout and diffusers folders, without any hub."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from modules.core.errors import ModelUnavailable
from modules.engine.families import EPSILON, FAMILIES, VELOCITY, Family, ModelBundle, RawParts
from modules.engine.ldm_keys import VAE_PREFIX, plain_text_names, text_tensors, unet_tensors, vae_tensors
from modules.engine.memory import DevicePlan, Residency
from modules.library.catalog import CheckpointEntry
from modules.library.identify import Unusable, components_of, folder_weights
from modules.library.reading import UnreadableFile, read_header
from modules.sampling.denoisers import NoiseLevels

Progress = Callable[[float, str], None]
"""Told the share of the work that is done, 0 to 1, and what is being done."""

PARTS = ("unet", "vae", "text_encoder")
_READING_SHARE = 0.7
_ALPHAS = "alphas_cumprod"
_VELOCITY_MARK = "v_pred"
"""An empty tensor of this name tells that a single file's model predicts v."""


def load_bundle(entry: CheckpointEntry, plan: DevicePlan, progress: Progress) -> ModelBundle:
    """Return the checkpoint in memory, placed as `plan` says. Raises ModelUnavailable with the reason."""
    family = FAMILIES[entry.family]
    try:
        raw = _read_folder(entry.path, progress) if entry.path.is_dir() else _read_file(entry.path, family, progress)
        progress(_READING_SHARE, "building the U-Net")
        unet = _built(lambda: _from_config(UNet2DConditionModel, raw, "unet"), raw.tensors["unet"], "U-Net", plan.dtype)
        progress(0.85, "building VAE and text encoder")
        vae = _built(lambda: _from_config(AutoencoderKL, raw, "vae"), raw.tensors["vae"], "VAE", plan.vae_dtype)
        text_encoder = _built(lambda: _text_encoder(raw), raw.tensors["text_encoder"], "text encoder", plan.dtype)
        tokenizer = CLIPTokenizer.from_pretrained(raw.tokenizer, local_files_only=True)
    except (Unusable, UnreadableFile, SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelUnavailable(f"The checkpoint {entry.name} cannot be used: {error}.") from error
    progress(0.95, "moving to the device")
    if plan.channels_last:
        for network in (unet, vae):
            network.to(memory_format=torch.channels_last)
    levels = NoiseLevels(raw.alphas_cumprod) if raw.alphas_cumprod is not None else NoiseLevels.scaled_linear()
    residency = Residency(plan, (unet, vae, text_encoder), streamed=unet)
    progress(1.0, "ready")
    return ModelBundle(entry, family, plan, unet, vae, text_encoder, tokenizer, levels, residency, raw.prediction)


def load_vae(path: Path, family: Family, plan: DevicePlan) -> AutoencoderKL:
    """Return the VAE of a file of its own, in either layout. Raises ModelUnavailable with the reason."""
    try:
        config = json.loads((family.configs / "vae.json").read_text(encoding="utf-8"))
        raw = _read_tensors(path, lambda fraction, stage: None, 0.0, 1.0)
        bare = {name if name.startswith(VAE_PREFIX) else VAE_PREFIX + name: tensor for name, tensor in raw.items()}
        tensors = raw if "encoder.conv_norm_out.weight" in raw else vae_tensors(bare, config)
        vae = _built(lambda: AutoencoderKL.from_config(config), tensors, "VAE", plan.vae_dtype)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelUnavailable(f"The VAE {path.name} cannot be used: {error}.") from error
    return vae.to(memory_format=torch.channels_last) if plan.channels_last else vae


def _read_folder(folder: Path, progress: Progress) -> RawParts:
    configs = {part: json.loads((folder / part / "config.json").read_text(encoding="utf-8")) for part in PARTS}
    tensors: dict[str, Mapping[str, Tensor]] = {}
    for number, part in enumerate(PARTS):
        share = _READING_SHARE * number / len(PARTS)
        tensors[part] = _read_tensors(folder_weights(folder, part), progress, share, _READING_SHARE / len(PARTS))
    tensors["text_encoder"] = plain_text_names(tensors["text_encoder"])
    return RawParts(configs, tensors, None, folder / "tokenizer", _prediction_of_folder(folder))


def _prediction_of_folder(folder: Path) -> str:
    """Return what the model predicts, as its scheduler's configuration says."""
    path = folder / "scheduler" / "scheduler_config.json"
    if not path.is_file():
        return EPSILON
    return str(json.loads(path.read_text(encoding="utf-8")).get("prediction_type", EPSILON))


def _read_file(path: Path, family: Family, progress: Progress) -> RawParts:
    configs = components_of(read_header(path)) or {
        part: json.loads((family.configs / f"{part}.json").read_text(encoding="utf-8")) for part in PARTS
    }
    checkpoint = _read_tensors(path, progress, 0.0, _READING_SHARE)
    tensors = {
        "unet": unet_tensors(checkpoint, configs["unet"]),
        "vae": vae_tensors(checkpoint, configs["vae"]),
        "text_encoder": text_tensors(checkpoint),
    }
    prediction = VELOCITY if _VELOCITY_MARK in checkpoint else EPSILON
    return RawParts(configs, tensors, checkpoint.get(_ALPHAS), family.tokenizer, prediction)


def _read_tensors(path: Path, progress: Progress, start: float, share: float) -> dict[str, Tensor]:
    """Return all tensors of the file; progress moves from `start` by `share`."""
    tensors = {}
    with safe_open(path, framework="pt", device="cpu") as file:
        names = list(file.keys())
        told = start
        for number, name in enumerate(names, start=1):
            tensors[name] = file.get_tensor(name)
            done = start + share * number / len(names)
            if done - told > 0.02:
                progress(done, f"reading {path.name}")
                told = done
    return tensors


def _built(build: Callable[[], Any], tensors: Mapping[str, Tensor], label: str, dtype: torch.dtype) -> Any:
    """Return what `build` returns, with `tensors` as its weights in precision `dtype`. Raises ValueError.

    The network is built without memory for its own weights. Its buffers are real: they are no part of the file.
    """
    with init_empty_weights(include_buffers=False):
        network = build()
    own = dict(network.state_dict())
    missing = sorted(set(own) - set(tensors))
    if missing:
        raise ValueError(f"its {label} lacks {len(missing)} tensors, the first of them {missing[0]}")
    for name, parameter in own.items():
        if parameter.shape != tensors[name].shape:
            found, wanted = tuple(tensors[name].shape), tuple(parameter.shape)
            raise ValueError(f"its {label} has a tensor {name} of shape {found} where {wanted} is needed")
    network.load_state_dict({name: tensors[name].to(dtype) for name in own}, assign=True)
    return network.requires_grad_(False).eval()


def _from_config(kind: Any, raw: RawParts, part: str) -> Any:
    """Return a diffusers network of `kind` as the configuration of `part` describes it."""
    return kind.from_config(dict(raw.configs[part]))


def _text_encoder(raw: RawParts) -> Any:
    config = {key: value for key, value in raw.configs["text_encoder"].items() if key != "architectures"}
    return CLIPTextModel(CLIPTextConfig(**config))
