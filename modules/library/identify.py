"""Which family a checkpoint is of, from the names and shapes of its tensors only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modules.library.pickles import read_pickled
from modules.library.reading import Header, UnreadableFile, read_header
from modules.library.unet_layouts import UNetLayout, layout_of

SD1_FAMILY = "sd1"
SD2_FAMILY = "sd2"
SDXL_FAMILY = "sdxl"
SDXL_REFINER_FAMILY = "sdxl_refiner"
SD1_NATIVE_SIZE = 512
NATIVE_SIZES: Mapping[str, int] = {
    SD1_FAMILY: SD1_NATIVE_SIZE, SD2_FAMILY: 768, SDXL_FAMILY: 1024, SDXL_REFINER_FAMILY: 1024,
}  # fmt: skip
CONTEXT_WIDTHS: Mapping[int, str] = {
    768: SD1_FAMILY, 1024: SD2_FAMILY, 2048: SDXL_FAMILY, 1280: SDXL_REFINER_FAMILY,
}  # fmt: skip
"""Numbers per token that a U-Net reads, to its family."""
TEXT_ENCODERS: Mapping[str, Mapping[str, str]] = {
    SD1_FAMILY: {"text_encoder": "cond_stage_model.transformer."},
    SD2_FAMILY: {"text_encoder": "cond_stage_model.model."},
    SDXL_FAMILY: {
        "text_encoder": "conditioner.embedders.0.transformer.", "text_encoder_2": "conditioner.embedders.1.model.",
    },
    SDXL_REFINER_FAMILY: {"text_encoder_2": "conditioner.embedders.0.model."},
}  # fmt: skip
"""A family's text encoders, and where single files have them."""
CHECKPOINT_PICKLES = (".ckpt", ".pt")
PICKLE_ENDINGS = (*CHECKPOINT_PICKLES, ".bin", ".pth")
EPSILON, VELOCITY = "epsilon", "v_prediction"
BASE, INPAINTING, PIX2PIX, DEPTH = "base", "inpainting", "pix2pix", "depth"
VARIANTS: Mapping[int, str] = {4: BASE, 9: INPAINTING, 8: PIX2PIX, 5: DEPTH}
"""Channels that a U-Net takes, to what those beyond the latents' four are: a masked picture, a picture, a depth map."""
SD2_EPSILON_SIZE = 512
"""Edge in pixels of the pictures that the base models of SD 2.x were trained on, which predict noise."""
COMPONENTS_KEY = "easel.components"
"""Metadata key under which a single file may bring its components' configurations (JSON) when they are not the
family's own."""

_VAE = "first_stage_model."
_VAE_FACTOR = 8
_KERNEL_DIMENSIONS = 4
_VELOCITY_MARK = "v_pred"
_ZERO_SNR_MARK = "ztsnr"
_PREDICTION_METADATA = "modelspec.prediction_type"

_FOREIGN_MARKS = (
    ("model.diffusion_model.joint_blocks.", "this is an SD 3 checkpoint, which is not supported yet"),
    ("joint_blocks.", "this is an SD 3 checkpoint, which is not supported yet"),
    ("model.diffusion_model.double_blocks.", "this is a Flux checkpoint, which is not supported yet"),
    ("double_blocks.", "this is a Flux checkpoint, which is not supported yet"),
    ("lora_unet_", "this is a LoRA, not a checkpoint"),
    ("lora_te", "this is a LoRA, not a checkpoint"),
    ("unet.down_blocks.", "this is a LoRA, not a checkpoint"),
    ("emb_params", "this is an embedding, not a checkpoint"),
    ("encoder.conv_in.", "this is a VAE, not a checkpoint"),
    ("decoder.conv_in.", "this is a VAE, not a checkpoint"),
    ("control_model.", "this is a ControlNet, not a checkpoint"),
    ("controlnet_cond_embedding.", "this is a ControlNet, not a checkpoint"),
)
_PIPELINES = frozenset({
    "StableDiffusionPipeline", "StableDiffusionInpaintPipeline", "StableDiffusionInstructPix2PixPipeline",
    "StableDiffusionDepth2ImgPipeline", "StableDiffusionImg2ImgPipeline", "LatentConsistencyModelPipeline",
    "StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline",
})  # fmt: skip
_NETWORK_STEMS = (("diffusion_pytorch_model", ".safetensors"), ("diffusion_pytorch_model", ".bin"))
_TEXT_STEMS = (("model", ".safetensors"), ("pytorch_model", ".bin"))
_PIECE = "-of-"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a usable checkpoint is.

    `native_size`: edge in pixels of the pictures that it was trained on. `variant`: what it takes besides latents.
    `prediction`: "epsilon" or "v_prediction"; None where names and shapes do not tell, as with SD 2.x, whose U-Net has
    to be asked. `zero_snr`: it was trained down to no signal at all. `missing`: the components that the file lacks.
    `sizes`: "" where its components are of its family's sizes, else a text that only models of the same sizes share.
    """

    family: str
    native_size: int
    variant: str = BASE
    prediction: str | None = EPSILON
    zero_snr: bool = False
    missing: tuple[str, ...] = ()
    sizes: str = ""


@dataclass(frozen=True, slots=True)
class Correction:
    """What a user knows better than names and shapes tell; "" and None leave a fact as it was found."""

    family: str = ""
    prediction: str = ""
    zero_snr: bool | None = None

    def applied(self, found: Identity) -> Identity:
        """Return `found` with what is known better of its noise levels."""
        zero_snr = found.zero_snr if self.zero_snr is None else self.zero_snr
        return predicting(replace(found, zero_snr=zero_snr), self.prediction or found.prediction)


AS_FOUND = Correction()


class Unusable(Exception):
    """The file or folder cannot be used as a checkpoint; the text says why in plain words."""


def identify_file(path: Path, known: Correction = AS_FOUND) -> Identity:
    """Return what the single file at `path` is. Raises Unusable."""
    try:
        header = header_of(path)
    except UnreadableFile as error:
        raise Unusable(str(error)) from error
    return identify_header(header, known)


def predicting(found: Identity, prediction: str | None) -> Identity:
    """Return `found` with this prediction, and with the size that SD 2.x models of that kind were trained on."""
    epsilon_base = found.family == SD2_FAMILY and prediction == EPSILON and not found.sizes
    size = SD2_EPSILON_SIZE if epsilon_base else found.native_size
    return replace(found, prediction=prediction, native_size=size)


def header_of(path: Path) -> Header:
    """Return names and shapes of a single file, of whichever kind it is. Raises UnreadableFile."""
    return read_pickled(path).header() if path.suffix.lower() in PICKLE_ENDINGS else read_header(path)


def identify_header(header: Header, known: Correction = AS_FOUND) -> Identity:
    """Return what a single file with these tensors is. Raises Unusable."""
    for prefix, reason in _FOREIGN_MARKS:
        if any(name.startswith(prefix) for name in header.shapes):
            raise Unusable(reason)
    layout = layout_of(header.shapes)
    if layout is None:
        raise Unusable("it holds no Stable Diffusion U-Net")
    channels = layout.channels(header.shapes)
    if len(channels) != _KERNEL_DIMENSIONS or channels[1] not in VARIANTS:
        raise Unusable(f"its U-Net takes {channels}, which no known family does")
    family = known.family or _family_of(header, layout)
    configuration = components_of(header)
    width = layout.context_width(header.shapes)
    if not configuration and CONTEXT_WIDTHS.get(width) != family:
        why = f"is none of {family}, as which it was noted" if known.family else "does not fit its text encoder"
        raise Unusable(f"its U-Net reads {width} numbers per token, which {why}")
    size = _native_size(configuration["unet"], family) if configuration else NATIVE_SIZES[family]
    prediction, zero_snr = _prediction_of(header, family)
    sizes = hashlib.sha256(header.metadata[COMPONENTS_KEY].encode()).hexdigest() if configuration else ""
    found = Identity(family, size, VARIANTS[channels[1]], prediction, zero_snr, _missing(header, family), sizes)
    return known.applied(found)


def _missing(header: Header, family: str) -> tuple[str, ...]:
    """Return the components of the family that the file lacks."""
    parts = {"vae": _VAE, **TEXT_ENCODERS[family]}
    return tuple(part for part, prefix in parts.items() if not any(name.startswith(prefix) for name in header.shapes))


def components_of(header: Header) -> dict[str, dict[str, Any]] | None:
    """Return the components' configurations that the file brings along, or None. Raises Unusable when broken."""
    raw = header.metadata.get(COMPONENTS_KEY)
    if raw is None:
        return None
    try:
        components = {str(part): dict(configuration) for part, configuration in json.loads(raw).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise Unusable(f"its metadata {COMPONENTS_KEY!r} is broken: {error}") from error
    for part in ("unet", "vae"):
        if part not in components:
            raise Unusable(f"its metadata {COMPONENTS_KEY!r} is broken: it lacks {part!r}")
    return components


def identify_folder(folder: Path, known: Correction = AS_FOUND) -> Identity:
    """Return what the diffusers folder is. Raises Unusable."""
    index = _json(folder / "model_index.json")
    pipeline = index.get("_class_name")
    if pipeline not in _PIPELINES:
        raise Unusable(f"it is made for {pipeline}, which is not supported yet")
    unet = _json(folder / "unet" / "config.json")
    family = known.family or _family_of_folder(folder, unet)
    channels = unet.get("in_channels", 4)
    if channels not in VARIANTS:
        raise Unusable(f"its U-Net takes {channels} channels, which no known family does")
    for part in parts_of(family):
        _json(folder / part / "config.json")
        for path in folder_weights(folder, part):
            try:
                header_of(path)
            except UnreadableFile as error:
                raise Unusable(f"{part}: {error}") from error
    scheduler = folder / "scheduler" / "scheduler_config.json"
    facts = _json(scheduler) if scheduler.is_file() else {}
    prediction = str(facts.get("prediction_type", EPSILON))
    zero_snr = bool(facts.get("rescale_betas_zero_snr", False))
    sizes = "" if CONTEXT_WIDTHS.get(unet.get("cross_attention_dim") or 0) == family else str(folder)
    size = _native_size(unet, family)
    return known.applied(Identity(family, size, VARIANTS[channels], prediction, zero_snr, (), sizes))


def parts_of(family: str) -> tuple[str, ...]:
    """Return the components that a family consists of, by the names of their folders."""
    return ("unet", "vae", *TEXT_ENCODERS[family])


def folder_weights(folder: Path, part: str) -> list[Path]:
    """Return the weights files of a component of a diffusers folder: one, or the pieces of one. Raises Unusable.

    Where there are several variants, such as `.fp16` or `.non_ema`, the plain one is taken before the others.
    """
    stems = _TEXT_STEMS if part.startswith("text_encoder") else _NETWORK_STEMS
    for stem, ending in stems:
        if (folder / part / (stem + ending)).is_file():
            return [folder / part / (stem + ending)]
        # In pieces, each variant has an index: stem.ending.index.json or stem.ending.index.fp16.json.
        for index in sorted((folder / part).glob(f"{stem}{ending}.index*.json")):
            return _pieces(index)
        variants = [path for path in (folder / part).glob(f"{stem}.*{ending}") if _PIECE not in path.name]
        if variants:
            return [min(variants, key=lambda path: ("non_ema" in path.name, path.name))]
    raise Unusable(f"the file {part}/{''.join(stems[0])} is missing")


def _pieces(index: Path) -> list[Path]:
    mapping = _json(index).get("weight_map")
    if not isinstance(mapping, dict):
        raise Unusable(f"{index.parent.name}/{index.name} names no pieces")
    pieces = [index.parent / Path(str(name)).name for name in dict.fromkeys(mapping.values())]
    for piece in pieces:
        if not piece.is_file():
            raise Unusable(f"the file {piece.parent.name}/{piece.name} is missing")
    return pieces


def _family_of(header: Header, layout: UNetLayout) -> str:
    """Return the family by the text encoders that are there, else by what the U-Net reads."""
    names = header.shapes
    for family in (SDXL_FAMILY, SDXL_REFINER_FAMILY, SD2_FAMILY, SD1_FAMILY):
        prefixes = TEXT_ENCODERS[family].values()
        if all(any(name.startswith(prefix) for name in names) for prefix in prefixes):
            return family
    width = layout.context_width(names)
    if width not in CONTEXT_WIDTHS:
        known = ", ".join(str(each) for each in CONTEXT_WIDTHS)
        raise Unusable(f"its U-Net reads {width} numbers per token; known are {known}")
    return CONTEXT_WIDTHS[width]


def _family_of_folder(folder: Path, unet: Mapping[str, Any]) -> str:
    first, second = ((folder / part).is_dir() for part in ("text_encoder", "text_encoder_2"))
    if second:
        return SDXL_FAMILY if first else SDXL_REFINER_FAMILY
    width = unet.get("cross_attention_dim")
    return SD2_FAMILY if CONTEXT_WIDTHS.get(width or 0) == SD2_FAMILY else SD1_FAMILY


def _prediction_of(header: Header, family: str) -> tuple[str | None, bool]:
    """Return what the U-Net predicts, None when only it can tell, and whether it was trained to zero signal."""
    zero_snr = _ZERO_SNR_MARK in header.shapes
    told = header.metadata.get(_PREDICTION_METADATA, "").casefold()
    if _VELOCITY_MARK in header.shapes or told in ("v", VELOCITY, "velocity"):
        return VELOCITY, zero_snr
    if told == EPSILON:
        return EPSILON, zero_snr
    return (None if family == SD2_FAMILY else EPSILON), zero_snr


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


def _native_size(unet: Mapping[str, Any], family: str) -> int:
    size = unet.get("sample_size")
    return size * _VAE_FACTOR if isinstance(size, int) and size > 0 else NATIVE_SIZES[family]
