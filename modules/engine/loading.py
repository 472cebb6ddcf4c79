"""Checkpoints from disk into memory: single files in the original layout and diffusers folders, without any hub."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors import SafetensorError
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from modules.core.errors import ModelUnavailable
from modules.engine.building import WithoutWeights
from modules.engine.families import (
    EPSILON,
    FAMILIES,
    TOKENIZER,
    VELOCITY,
    Family,
    ModelBundle,
    RawParts,
    TextPart,
    TextSpec,
)
from modules.engine.ldm_keys import GUIDANCE_NAMES, UNET_PREFIX, VAE_PREFIX, plain_text_names, unet_tensors, vae_tensors
from modules.engine.memory import DevicePlan, Residency
from modules.engine.open_clip_keys import PROJECTION, from_open_clip
from modules.engine.relief import Relief
from modules.engine.weights import Progress, Reading, read_tensors
from modules.engine.words import tokenizer_of
from modules.library.catalog import CheckpointEntry
from modules.library.identify import (
    TEXT_ENCODERS,
    VARIANTS,
    Unusable,
    components_of,
    folder_weights,
    header_of,
)
from modules.library.reading import Header, UnreadableFile
from modules.library.unet_layouts import UNetLayout, layout_of
from modules.sampling.denoisers import NoiseLevels, zero_terminal_snr

_READING_SHARE = 0.7
_CONVOLUTION_DIMENSIONS = 4
_ALPHAS = "alphas_cumprod"


@dataclass(frozen=True, slots=True)
class Lent:
    """What a checkpoint that lacks components gets from others: components by their lender, and a VAE's own file."""

    parts: Mapping[str, CheckpointEntry] = field(default_factory=dict)
    vae: Path | None = None


NOTHING_LENT = Lent()


def load_bundle(entry: CheckpointEntry, plan: DevicePlan, progress: Progress, lent: Lent = NOTHING_LENT) -> ModelBundle:
    """Return the checkpoint in memory, placed as `plan` says. Raises ModelUnavailable with the reason."""
    family = FAMILIES[entry.family]
    plan = plan.for_large() if family.size_numbers else plan
    try:
        raw = _read(entry, family, [part for part in family.parts if part not in entry.missing], progress)
        for part, lender in lent.parts.items():
            raw = raw.completed(part, _read(lender, family, [part], progress))
        progress(_READING_SHARE, "building the U-Net")
        kind = _Kind(plan.dtype, _arranged_early(plan))
        unet = _built(lambda: _from_config(UNet2DConditionModel, raw, "unet"), raw.tensors["unet"], "U-Net", kind)
        progress(0.85, "building VAE and text encoders")
        vae = load_vae(lent.vae, family, plan) if lent.vae is not None else _vae_of(raw, plan)
        texts = tuple(_text_part(raw, spec, plan.dtype) for spec in family.texts)
    except (Unusable, UnreadableFile, SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelUnavailable(f"The checkpoint {entry.name} cannot be used: {error}.") from error
    progress(0.95, "moving to the device")
    residency = Residency(plan, (unet, vae, *(text.encoder for text in texts)), streamed=unet)
    if plan.channels_last and not _arranged_early(plan):
        for network in (unet, vae):
            network.to(memory_format=torch.channels_last)
    prediction = entry.prediction or probed_prediction(unet, residency)
    relief = Relief(residency, unet)
    progress(1.0, "ready")
    return ModelBundle(entry, family, plan, unet, vae, texts, _levels(raw, entry), relief, prediction)


def _vae_of(raw: RawParts, plan: DevicePlan) -> AutoencoderKL:
    kind = _Kind(plan.vae_dtype, _arranged_early(plan))
    vae: AutoencoderKL = _built(lambda: _from_config(AutoencoderKL, raw, "vae"), raw.tensors["vae"], "VAE", kind)
    return vae


def _arranged_early(plan: DevicePlan) -> bool:
    """Say whether weights get their channels last in main memory: a graphics card that holds them all is faster."""
    return plan.channels_last and not (plan.has_own_memory and plan.mode == "normal")


def probed_prediction(unet: UNet2DConditionModel, residency: Residency) -> str:
    """Return whether a U-Net predicts noise or v, by asking it.

    At the last timestep its input is all but pure noise. A network that predicts noise answers with about its input;
    one that predicts v answers with about minus the picture, so that what is left after taking the input away is far
    below zero for an input of one half everywhere.
    """
    residency.bring(unet)
    parameter = next(unet.parameters())
    kind = {"device": residency.plan.device, "dtype": parameter.dtype}
    halves = torch.full((1, int(unet.config.in_channels), 8, 8), 0.5, **kind)
    context = torch.full((1, 2, int(unet.config.cross_attention_dim)), 0.5, **kind)
    with torch.inference_mode():
        answer = unet(halves, torch.tensor([999.0], device=residency.plan.device), context, return_dict=False)[0]
    difference = float((answer.float() - halves[:, : answer.shape[1]].float()).mean())
    return VELOCITY if difference < -1 else EPSILON


def load_vae(path: Path, family: Family, plan: DevicePlan) -> AutoencoderKL:
    """Return the VAE of a file of its own, in either layout. Raises ModelUnavailable with the reason."""
    try:
        config = _shipped_config(family, "vae")
        raw = read_tensors(path)
        bare = {name if name.startswith(VAE_PREFIX) else VAE_PREFIX + name: tensor for name, tensor in raw.items()}
        tensors = raw if "encoder.conv_norm_out.weight" in raw else vae_tensors(bare, config)
        vae: AutoencoderKL = _built(
            lambda: AutoencoderKL.from_config(config), tensors, "VAE", _Kind(plan.vae_dtype, _arranged_early(plan))
        )
    except (UnreadableFile, SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelUnavailable(f"The VAE {path.name} cannot be used: {error}.") from error
    return vae


def _read(entry: CheckpointEntry, family: Family, parts: Sequence[str], progress: Progress) -> RawParts:
    """Return the named components of a checkpoint."""
    if entry.path.is_dir():
        return _read_folder(entry.path, family, parts, progress)
    return _read_file(entry, family, parts, progress)


def _read_folder(folder: Path, family: Family, parts: Sequence[str], progress: Progress) -> RawParts:
    configs = {part: json.loads((folder / part / "config.json").read_text(encoding="utf-8")) for part in parts}
    tensors: dict[str, Mapping[str, Tensor]] = {}
    whole = Reading(progress, share=_READING_SHARE)
    for number, part in enumerate(parts):
        pieces = folder_weights(folder, part)
        found: dict[str, Tensor] = {}
        for place, path in enumerate(pieces):
            found |= read_tensors(path, whole.piece(number, len(parts)).piece(place, len(pieces)))
        tensors[part] = plain_text_names(found) if part.startswith("text_encoder") else found
    own = {part: folder / part.replace("text_encoder", "tokenizer") for part in parts if part.startswith("text")}
    # All these families read the same words, so a folder that came without its tokenizer works all the same.
    tokenizers = {part: place if (place / "vocab.json").is_file() else TOKENIZER for part, place in own.items()}
    return RawParts(configs, tensors, tokenizers, from_folder=True)


def _read_file(entry: CheckpointEntry, family: Family, parts: Sequence[str], progress: Progress) -> RawParts:
    header = header_of(entry.path)
    own = components_of(header) or {}
    configs = {part: own.get(part) or _shipped_config(family, part) for part in parts}
    layout = layout_of(header.shapes)
    prefixes = {"vae": VAE_PREFIX, **TEXT_ENCODERS[family.name], "unet": layout.prefix if layout else UNET_PREFIX}
    reading = Reading(progress, share=_READING_SHARE, prefixes=(*(prefixes[part] for part in parts), _ALPHAS))
    checkpoint = read_tensors(entry.path, reading)
    tensors: dict[str, Mapping[str, Tensor]] = {}
    if layout is not None and "unet" in parts:
        configs["unet"] = {**configs["unet"], "in_channels": _channels(entry)} | _told_guidance(header, layout)
        tensors["unet"] = unet_tensors(checkpoint, configs["unet"], layout)
    if "vae" in parts:
        tensors["vae"] = vae_tensors(checkpoint, configs["vae"])
    for text in family.texts:
        if text.part in parts:
            prefix = prefixes[text.part]
            inside = {name.removeprefix(prefix): it for name, it in checkpoint.items() if name.startswith(prefix)}
            tensors[text.part] = from_open_clip(inside) if text.open_clip else plain_text_names(inside)
    return RawParts(configs, tensors, dict.fromkeys(TEXT_ENCODERS[family.name], TOKENIZER), checkpoint.get(_ALPHAS))


def _told_guidance(header: Header, layout: UNetLayout) -> dict[str, int]:
    """Return what a U-Net's configuration says of the CFG scale that it is told, nothing for those that are not."""
    names = [name for each in GUIDANCE_NAMES if (name := layout.prefix + each) in header.shapes]
    return {"time_cond_proj_dim": header.shapes[names[0]][1]} if names else {}


def _shipped_config(family: Family, part: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((family.configs / f"{part}.json").read_text(encoding="utf-8"))
    return content


def _channels(entry: CheckpointEntry) -> int:
    return next(channels for channels, variant in VARIANTS.items() if variant == entry.variant)


def _levels(raw: RawParts, entry: CheckpointEntry) -> NoiseLevels:
    """Return the noise levels that the model was trained on."""
    levels = NoiseLevels(raw.alphas_cumprod) if raw.alphas_cumprod is not None else NoiseLevels.scaled_linear()
    return NoiseLevels(zero_terminal_snr(levels.alphas_cumprod)) if entry.zero_snr else levels


def _text_part(raw: RawParts, spec: TextSpec, dtype: torch.dtype) -> TextPart:
    config = {key: value for key, value in raw.configs[spec.part].items() if key != "architectures"}
    kind = CLIPTextModelWithProjection if spec.pooled else CLIPTextModel
    tensors = raw.tensors[spec.part]
    wrapped = kind is CLIPTextModelWithProjection
    if wrapped:
        tensors = {name if name == PROJECTION else f"text_model.{name}": tensor for name, tensor in tensors.items()}
    encoder = _built(lambda: kind(CLIPTextConfig(**config)), tensors, spec.part.replace("_", " "), _Kind(dtype))
    tokenizer = tokenizer_of(raw.tokenizers[spec.part])
    # diffusers' folders of SD 2.x come without the layer that is left out.
    already_cut = raw.from_folder and spec.normed and not spec.clip_skip
    return TextPart(spec, encoder, tokenizer, 0 if already_cut else 1)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How weights are kept: their precision, and whether those of convolutions have their channels last."""

    dtype: torch.dtype
    channels_last: bool = False

    def of(self, tensor: Tensor) -> Tensor:
        """Return the tensor so, in one pass over its numbers."""
        convolution = self.channels_last and tensor.dim() == _CONVOLUTION_DIMENSIONS
        return tensor.to(self.dtype, memory_format=torch.channels_last if convolution else torch.preserve_format)


def _built(build: Callable[[], Any], tensors: Mapping[str, Tensor], label: str, kind: _Kind) -> Any:
    """Return what `build` returns, with `tensors` as its weights, kept as `kind` says. Raises ValueError.

    The network is built without memory for its own weights. Its buffers are real: they are no part of the file.
    """
    with WithoutWeights():
        network = build()
    own = dict(network.state_dict())
    missing = sorted(set(own) - set(tensors))
    if missing:
        raise ValueError(f"its {label} lacks {len(missing)} tensors, the first of them {missing[0]}")
    for name, parameter in own.items():
        if parameter.shape != tensors[name].shape:
            found, wanted = tuple(tensors[name].shape), tuple(parameter.shape)
            raise ValueError(f"its {label} has a tensor {name} of shape {found} where {wanted} is needed")
    network.load_state_dict({name: kind.of(tensors[name]) for name in own}, assign=True)
    return network.requires_grad_(False).eval()


def _from_config(kind: Any, raw: RawParts, part: str) -> Any:
    """Return a diffusers network of `kind` as the configuration of `part` describes it."""
    return kind.from_config(dict(raw.configs[part]))
