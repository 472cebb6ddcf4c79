"""What A1111's API lists: samplers, schedules, upscalers, models, networks and styles, in its shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modules.core.errors import ModelUnavailable
from modules.imaging.resize import LATENT_UPSCALERS, NO_UPSCALER, PIXEL_UPSCALERS, UPSCALERS
from modules.library.choices import CHECKPOINT_OPTION
from modules.library.identify import SD1_FAMILY, header_of
from modules.library.network_files import NetworkFile
from modules.library.reading import UnreadableFile
from modules.library.text_widths import TEXT_WIDTHS
from modules.sampling import registry
from modules.sampling.registry import Sampler
from modules.web.sdapi_facts import MODEL_SCHEDULES, NO_RHO, SCHEDULE_RHOS, UPSCALER_SCALE
from modules.web.sdapi_scripts import script_info, scripts
from modules.web.services import WebServices

_SAFE = ".safetensors"
_TWO_ENCODERS = ("clip_l", "clip_g")
"""The tensors of an embedding for SDXL."""

Listing = Callable[[WebServices], Any]


def samplers(services: WebServices) -> list[dict[str, Any]]:
    """List the samplers, those of extensions last."""
    own = [
        {"name": sampler.label, "aliases": list(sampler.aliases), "options": _sampler_options(sampler)}
        for sampler in registry.SAMPLERS
    ]
    further = _further(services, "samplers", registry.sampler_labels())
    return own + [{"name": name, "aliases": [], "options": {}} for name in further]


def schedulers(services: WebServices) -> list[dict[str, Any]]:
    """List the schedules, those of extensions last."""
    automatic = {"name": _name(registry.AUTOMATIC), "label": registry.AUTOMATIC, "aliases": None}
    return [{**automatic, "default_rho": NO_RHO, "need_inner_model": False}] + [
        {
            "name": _name(schedule.label),
            "label": schedule.label,
            "aliases": [alias for alias in schedule.aliases if alias != _name(schedule.label)] or None,
            "default_rho": SCHEDULE_RHOS.get(_name(schedule.label), NO_RHO),
            "need_inner_model": _name(schedule.label) in MODEL_SCHEDULES,
        }
        for schedule in registry.SCHEDULES
    ] + [
        {"name": _name(label), "label": label, "aliases": None, "default_rho": NO_RHO, "need_inner_model": False}
        for label in _further(services, "schedulers", registry.schedule_labels())
    ]


def upscalers(services: WebServices) -> list[dict[str, Any]]:
    """List the upscalers of pictures, those of extensions last."""
    nothing = {"model_name": None, "model_path": None, "model_url": None, "scale": UPSCALER_SCALE}
    own = sorted(PIXEL_UPSCALERS, key=lambda name: name != NO_UPSCALER)
    return [{"name": name, **nothing} for name in (*own, *_further(services, "upscalers", UPSCALERS))]


def face_restorers(services: WebServices) -> list[dict[str, Any]]:
    """List what restores faces; Easel has nothing of its own."""
    return [{"name": name, "cmd_dir": None} for name in services.panels.face_restorers()]


def latent_upscale_modes(_: WebServices) -> list[dict[str, str]]:
    """List the upscalers of latents."""
    return [{"name": name} for name in LATENT_UPSCALERS]


def checkpoints(services: WebServices) -> list[dict[str, Any]]:
    """List the checkpoints that can be used; hashes that are not known yet are null."""
    return [
        {
            "title": entry.title,
            "model_name": entry.model_name,
            "hash": entry.short_hash,
            "sha256": entry.sha256,
            "filename": str(entry.path),
            "config": None,
        }
        for entry in services.files.checkpoints.entries()
        if entry.usable
    ]


def vaes(services: WebServices) -> list[dict[str, str]]:
    """List the VAEs in files of their own."""
    found = services.files.vaes.entries() if services.files.vaes is not None else []
    return [{"model_name": entry.name, "filename": str(entry.path)} for entry in found]


def prompt_styles(services: WebServices) -> list[dict[str, str]]:
    """List the styles."""
    return [
        {"name": style.name, "prompt": style.prompt, "negative_prompt": style.negative_prompt}
        for style in services.styles.styles()
    ]


def loras(services: WebServices) -> list[dict[str, Any]]:
    """List the LoRA files with what they say of themselves."""
    found = services.files.loras.entries() if services.files.loras is not None else []
    return [
        {"name": file.name, "alias": file.alias, "path": str(file.path), "metadata": dict(file.metadata)}
        for file in found
    ]


def embeddings(services: WebServices) -> dict[str, dict[str, Any]]:
    """List the embeddings, those for other kinds of models apart; what only opening a file would tell is null."""
    found = services.files.embeddings.entries() if services.files.embeddings is not None else []
    described = {file.name: told for file in found if (told := _embedding(file)) is not None}
    width = sum(_text_widths(services))
    fits = {name: told["shape"] in (None, width) for name, told in described.items()}
    return {
        "loaded": {name: told for name, told in described.items() if fits[name]},
        "skipped": {name: told for name, told in described.items() if not fits[name]},
    }


def hypernetworks(services: WebServices) -> list[dict[str, str]]:
    """List the hypernetworks."""
    found = services.files.hypernetworks.entries() if services.files.hypernetworks is not None else []
    return [{"name": file.name, "path": str(file.path)} for file in found]


LISTINGS: Mapping[str, Listing] = {
    "samplers": samplers,
    "schedulers": schedulers,
    "upscalers": upscalers,
    "face-restorers": face_restorers,
    "latent-upscale-modes": latent_upscale_modes,
    "sd-models": checkpoints,
    "sd-vae": vaes,
    "prompt-styles": prompt_styles,
    "loras": loras,
    "embeddings": embeddings,
    "hypernetworks": hypernetworks,
    "scripts": scripts,
    "script-info": script_info,
}
"""Each list by the last part of its address."""


def _further(services: WebServices, list_name: str, own: Sequence[str]) -> list[str]:
    """Return the names that extensions have added to a list."""
    return [name for name in services.lists.names(list_name) if name not in own]


def _text_widths(services: WebServices) -> tuple[int, ...]:
    """Return what embeddings must have for the checkpoint that is chosen."""
    for name in (str(services.settings.get(CHECKPOINT_OPTION) or ""), ""):
        try:
            return TEXT_WIDTHS.get(services.files.checkpoints.find(name).family, TEXT_WIDTHS[SD1_FAMILY])
        except ModelUnavailable:
            continue
    return TEXT_WIDTHS[SD1_FAMILY]


def _sampler_options(sampler: Sampler) -> dict[str, str]:
    """Return what A1111 tells of a sampler, every value as a text."""
    options = {"scheduler": _name(sampler.default_schedule)} if sampler.default_schedule else {}
    flags = {
        "second_order": sampler.second_order,
        "brownian_noise": sampler.brownian,
        "discard_next_to_last_sigma": sampler.drops_penultimate,
        "uses_ensd": sampler.ensd,
    }
    return options | {name: str(value) for name, value in flags.items() if value}


def _name(label: str) -> str:
    """Return the name that a schedule has beside its label."""
    return label.lower().replace(" ", "_")


def _embedding(file: NetworkFile) -> dict[str, Any] | None:
    """Return what is known of an embedding; None for a file whose header shows that it is none."""
    shape = _vectors_shape(file.path)
    if shape is None and file.path.suffix.lower() == _SAFE:
        return None
    count, width = shape or (None, None)
    return {"step": None, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": width, "vectors": count}


def _vectors_shape(path: Path) -> tuple[int, int] | None:
    """Return how many vectors a file holds and how wide they are; those for two text encoders count as one, wider."""
    try:
        shapes = header_of(path).shapes
    except UnreadableFile:
        return None
    if set(shapes) == set(_TWO_ENCODERS):
        first, second = (shapes[name] for name in _TWO_ENCODERS)
        return (first[0], first[-1] + second[-1]) if len(first) == len(second) == 2 else None
    shape = next(iter(shapes.values()), ()) if len(shapes) == 1 else ()
    if len(shape) == 1:
        return 1, shape[0]
    return (shape[0], shape[1]) if len(shape) == 2 else None
