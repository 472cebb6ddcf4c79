"""Reads what InvokeAI, ComfyUI, NovelAI and Fooocus write into their pictures, as an infotext of A1111's form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from modules.imaging.comfy import read_comfy
from modules.imaging.draft import Converted, Draft, items, json_object, mapping, model_name, number, plain
from modules.imaging.foreign_names import (
    COMFY_SAMPLERS,
    COMFY_SCHEDULES,
    INVOKE_SAMPLERS,
    NOVELAI_SAMPLERS,
    NOVELAI_SCHEDULES,
)
from modules.imaging.foreign_prompts import from_invoke, from_novelai
from modules.imaging.parsing import parse_infotext

INVOKE_KEY = "invokeai_metadata"
FOOOCUS_KEY = "fooocus_scheme"

_KARRAS_SUFFIX = "_k"
_TWO_NUMBERS = re.compile(r"\D*(\d+)\D+(\d+)\D*")
_OLD_NEGATIVE = re.compile(r"(?<!\\)\[([^\[\]]*)\]")
_DREAM = re.compile(r'^"(?P<prompt>.*)"(?P<options>(?:\s+-\S.*)?)$', re.DOTALL)
_DREAM_OPTION = re.compile(r"(?<!\S)-([a-zA-Z])\s*([^\s-]\S*)")
_INVOKE_KNOWN = frozenset({
    "generation_mode", "positive_prompt", "negative_prompt", "width", "height", "seed", "rand_device", "cfg_scale",
    "steps", "scheduler", "clip_skip", "model", "vae", "loras", "strength", "app_version", "refiner_model",
    "refiner_start", "seamless_x", "seamless_y", "hrf_strength",
})  # fmt: skip
_NOVELAI_KNOWN = frozenset({
    "prompt", "uc", "steps", "sampler", "seed", "scale", "width", "height", "noise_schedule", "strength", "n_samples",
    "v4_prompt", "v4_negative_prompt", "signed_hash", "request_type", "version", "params_version", "uncond_scale",
})  # fmt: skip
_FOOOCUS_KNOWN = frozenset({
    "prompt", "negative_prompt", "full_prompt", "full_negative_prompt", "steps", "resolution", "guidance_scale",
    "base_model", "base_model_hash", "refiner_model", "refiner_model_hash", "refiner_switch", "sampler", "scheduler",
    "seed", "vae", "loras", "version", "clip_skip", "metadata_scheme", "created_by", "prompt_expansion",
})  # fmt: skip
_FOOOCUS_OWN_KEYS = (
    "Raw prompt", "Raw negative prompt", "Sharpness", "ADM Guidance", "Performance", "Styles", "Refiner Swap Method",
    "Adaptive CFG", "Overwrite Switch", "FreeU", "Refiner hash",
)  # fmt: skip


def read_foreign(texts: Mapping[str, str], size: tuple[int, int]) -> Converted | None:
    """Return what a picture's texts of other programs mean, or None when there are none; `size`: width and height.

    Never raises: what is broken or missing leaves its place in the infotext empty.
    """
    if texts.get("Software") == "NovelAI" and (novelai := json_object(texts.get("Comment"))) is not None:
        return _read_novelai(novelai, texts, size)
    if (invoke := json_object(texts.get(INVOKE_KEY))) is not None:
        return _read_invoke(invoke)
    if (old := json_object(texts.get("sd-metadata"))) is not None:
        return _read_old_invoke(old)
    if "Dream" in texts and (dream := _DREAM.match(texts["Dream"].strip())):
        return _read_dream(dream["prompt"], dream["options"])
    parameters = texts.get("parameters", "")
    if (data := json_object(parameters)) is not None and (FOOOCUS_KEY in texts or "base_model" in data):
        return _read_fooocus(data)
    if FOOOCUS_KEY in texts and parameters:
        return _read_fooocus_text(parameters)
    if not parse_infotext(parameters).pairs and (graph := json_object(texts.get("prompt"))) is not None:
        return read_comfy(graph)
    return None


def _read_novelai(data: dict[str, Any], texts: Mapping[str, str], size: tuple[int, int]) -> Converted:
    """Convert NovelAI's comment; as A1111 does, take it for a picture of the leaked model: clip skip 2, ENSD 31337."""
    draft = Draft("NovelAI")
    prompt = plain(texts.get("Description")) or plain(data.get("prompt")) or _caption(data.get("v4_prompt"))
    draft.prompt = from_novelai(prompt)
    draft.negative_prompt = from_novelai(plain(data.get("uc")) or _caption(data.get("v4_negative_prompt")))
    draft.pair("Steps", data.get("steps"))
    draft.named("Sampler", data.get("sampler"), NOVELAI_SAMPLERS)
    draft.pairs.setdefault("Sampler", "Euler a")
    schedule = data.get("noise_schedule")
    if schedule != "native":
        draft.named("Schedule type", schedule, NOVELAI_SCHEDULES)
    draft.pair("CFG scale", data.get("scale"))
    draft.pair("Seed", data.get("seed"))
    draft.size(*size)
    if "image" in plain(data.get("request_type")).lower():
        draft.pair("Denoising strength", data.get("strength"))
    draft.pairs |= {"Clip skip": "2", "ENSD": "31337"}
    if texts.get("Source"):
        draft.note("model", texts["Source"])
    draft.note_rest(data, _NOVELAI_KNOWN)
    characters = items(mapping(mapping(data.get("v4_prompt")).get("caption")).get("char_captions"))
    if characters:
        draft.note("prompts of single characters", [plain(mapping(each).get("char_caption")) for each in characters])
    return draft.done()


def _caption(value: object) -> str:
    return plain(mapping(mapping(value).get("caption")).get("base_caption"))


def _read_invoke(data: dict[str, Any]) -> Converted:
    draft = Draft("InvokeAI")
    draft.prompt = from_invoke(plain(data.get("positive_prompt")))
    draft.negative_prompt = from_invoke(plain(data.get("negative_prompt")))
    draft.pair("Steps", data.get("steps"))
    _invoke_sampler(draft, data.get("scheduler"))
    draft.pair("CFG scale", data.get("cfg_scale"))
    draft.pair("Seed", data.get("seed"))
    draft.size(data.get("width"), data.get("height"))
    model = mapping(data.get("model"))
    draft.pair("Model", model_name(model.get("name") or model.get("model_name")))
    vae = mapping(data.get("vae"))
    draft.pair("VAE", model_name(vae.get("name") or vae.get("model_name")))
    draft.pair("Denoising strength", data.get("strength") or data.get("hrf_strength"))
    # InvokeAI counts the layers that are skipped, A1111 the layer that is used.
    skipped = number(data.get("clip_skip"))
    if skipped:
        draft.pair("Clip skip", int(skipped) + 1)
    draft.pair("RNG", "CPU" if data.get("rand_device") == "cpu" else None)
    _invoke_tiling(draft, data)
    refiner = mapping(data.get("refiner_model"))
    draft.pair("Refiner", model_name(refiner.get("name") or refiner.get("model_name")))
    draft.pair("Refiner switch at", data.get("refiner_start") if refiner else None)
    for entry in map(mapping, items(data.get("loras"))):
        lora = mapping(entry.get("model") or entry.get("lora"))
        draft.lora(lora.get("name") or lora.get("model_name"), entry.get("weight"), entry.get("weight"))
    draft.pair("Version", f"InvokeAI {plain(data.get('app_version'))}".strip())
    draft.note_rest(data, _INVOKE_KNOWN)
    return draft.done()


def _invoke_sampler(draft: Draft, value: object) -> None:
    name = plain(value)
    karras = name.endswith(_KARRAS_SUFFIX)
    draft.named("Sampler", name.removesuffix(_KARRAS_SUFFIX), INVOKE_SAMPLERS)
    if karras:
        draft.pairs["Schedule type"] = "Karras"


def _invoke_tiling(draft: Draft, data: dict[str, Any]) -> None:
    seams = [axis for axis in ("x", "y") if data.get(f"seamless_{axis}") is True]
    if len(seams) == 2:
        draft.pairs["Tiling"] = "True"
    elif seams:
        draft.note(f"tiling along {seams[0]} alone")


def _read_old_invoke(data: dict[str, Any]) -> Converted:
    """Convert what InvokeAI 2 wrote."""
    image = mapping(data.get("image"))
    prompt = image.get("prompt")
    parts = [plain(mapping(part).get("prompt")) for part in items(prompt)] or [plain(prompt)]
    draft = _old_draft(", ".join(filter(None, parts)), image.get("sampler"))
    for key, name in (("Steps", "steps"), ("CFG scale", "cfg_scale"), ("Seed", "seed")):
        draft.pair(key, image.get(name))
    draft.size(image.get("width"), image.get("height"))
    draft.pair("Model", model_name(data.get("model_weights")))
    draft.model_hash(data.get("model_hash"))
    draft.pair("Denoising strength", image.get("strength") if image.get("type") == "img2img" else None)
    draft.pair("Tiling", True if image.get("seamless") is True else None)
    draft.pair("Version", f"InvokeAI {plain(data.get('app_version'))}".strip())
    known = {"prompt", "steps", "cfg_scale", "seed", "width", "height", "sampler", "type", "strength", "seamless"}
    draft.note_rest(image, known)
    return draft.done()


def _read_dream(prompt: str, options: str) -> Converted:
    """Convert the command that InvokeAI's ancestor wrote: "prompt" -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms."""
    values = dict(_DREAM_OPTION.findall(options))
    draft = _old_draft(prompt, values.get("A"))
    for key, letter in (("Steps", "s"), ("CFG scale", "C"), ("Seed", "S"), ("Denoising strength", "f")):
        draft.pair(key, values.get(letter))
    draft.size(values.get("W"), values.get("H"))
    draft.note_rest({f"option -{key}": value for key, value in values.items() if key not in "AsCSfWH"}, ())
    return draft.done()


def _old_draft(prompt: str, sampler: object) -> Draft:
    """Return a draft with the prompts, of which the negative one stood in square brackets, and the sampler."""
    draft = Draft("InvokeAI")
    draft.negative_prompt = from_invoke(", ".join(part.strip() for part in _OLD_NEGATIVE.findall(prompt)))
    draft.prompt = from_invoke(_OLD_NEGATIVE.sub("", prompt).strip())
    draft.named("Sampler", sampler, INVOKE_SAMPLERS)
    return draft


def _read_fooocus(data: dict[str, Any]) -> Converted:
    draft = Draft("Fooocus")
    # The full prompts hold the styles and the expansion, without which the picture would be another.
    draft.prompt = _fooocus_prompt(data, "full_prompt", "prompt")
    draft.negative_prompt = _fooocus_prompt(data, "full_negative_prompt", "negative_prompt")
    draft.pair("Steps", data.get("steps"))
    _fooocus_sampler(draft, data.get("sampler"), data.get("scheduler"))
    draft.pair("CFG scale", data.get("guidance_scale"))
    draft.pair("Seed", data.get("seed"))
    if numbers := _TWO_NUMBERS.fullmatch(plain(data.get("resolution"))):
        draft.size(numbers[1], numbers[2])
    draft.model_hash(data.get("base_model_hash"))
    draft.pair("Model", model_name(data.get("base_model")))
    vae = model_name(data.get("vae"))
    draft.pair("VAE", "" if vae.startswith("Default") else vae)
    clip_skip = number(data.get("clip_skip"))
    draft.pair("Clip skip", int(clip_skip) if clip_skip and clip_skip > 1 else None)
    refiner = model_name(data.get("refiner_model"))
    if refiner not in ("", "None"):
        draft.pairs["Refiner"] = refiner
        draft.pair("Refiner switch at", data.get("refiner_switch"))
    combined = [key for key in data if str(key).startswith("lora_combined_")]
    for key in combined:
        name, _, weight = plain(data[key]).removeprefix("True : ").rpartition(" : ")
        if not name.startswith("False : "):
            draft.lora(name, weight, weight)
    draft.pair("Version", data.get("version"))
    draft.note_rest(data, _FOOOCUS_KNOWN | set(combined))
    return draft.done()


def _fooocus_prompt(data: dict[str, Any], full: str, short: str) -> str:
    return ", ".join(filter(None, map(plain, items(data.get(full))))) or plain(data.get(short))


def _fooocus_sampler(draft: Draft, sampler: object, schedule: object) -> None:
    draft.named("Sampler", plain(sampler).removesuffix("_gpu"), COMFY_SAMPLERS)
    draft.named("Schedule type", schedule, COMFY_SCHEDULES)


def _read_fooocus_text(text: str) -> Converted:
    """Convert Fooocus's own scheme "a1111": an infotext, but for the schedule, the LoRAs and what only it knows."""
    infotext = parse_infotext(text)
    draft = Draft("Fooocus", infotext.prompt, infotext.negative_prompt, dict(infotext.pairs))
    schedule = draft.pairs.pop("Scheduler", None)
    if schedule is not None:
        draft.named("Schedule type", schedule, COMFY_SCHEDULES)
    for entry in draft.pairs.pop("Lora weights", "").split(", "):
        name, _, weight = entry.rpartition(": ")
        draft.lora(name, weight, weight)
    for key in _FOOOCUS_OWN_KEYS:
        value = draft.pairs.pop(key, "")
        if value:
            draft.note(key, value)
    return draft.done()
