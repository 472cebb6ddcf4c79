"""The text that A1111 writes into a picture, from a request and back: prompt, negative prompt and "Key: value" pairs.

a cat
Negative prompt: blurry
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, Seed: 1, Size: 512x512, …
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from modules.core.parameter import Parameter, Value
from modules.core.parameters import PARAMETERS
from modules.core.picture_parameters import ONLY_MASKED, ORIGINAL_CONTENT
from modules.core.request import GenerationRequest
from modules.imaging.parsing import Infotext, quoted

PNG_CHUNK = "parameters"
NEGATIVE_LINE = "Negative prompt: "
SAMPLER_OPTIONS = frozenset({
    "eta", "eta_ddim", "s_churn", "s_tmin", "s_tmax", "s_noise", "sigma_min", "sigma_max", "rho", "ensd",
    "discard_penultimate", "sgm_noise_multiplier", "unipc_variant", "unipc_skip_type", "unipc_order",
    "unipc_lower_order_final", "beta_alpha", "beta_beta",
})  # fmt: skip
"""What only some samplers or schedules heed; an infotext names of these what acted."""

_FACTS = frozenset({
    "sampler", "scheduler", "seed", "checkpoint", "vae", "hr_checkpoint", "hr_scheduler", "refiner_checkpoint",
})  # fmt: skip
"""Parameters whose entries come from what the run found out, not from the request's own words."""
_ASIDE = frozenset({
    "prompt", "negative_prompt", "steps", "width", "height", "cfg_scale", "subseed", "subseed_strength",
    "seed_resize_from_w", "seed_resize_from_h", "denoising_strength", "clip_skip", "ensd", "noise_source", "tiling",
    "image_cfg_scale", "mask_weight", "mask_mode", "mask_blur_x", "mask_blur_y", "masked_content", "inpaint_area",
    "masked_padding",
    "hr_scale", "hr_resize_x", "hr_resize_y", "hr_upscaler", "hr_second_pass_steps", "refiner_switch_at",
})  # fmt: skip
"""Parameters that have a place of their own in the order."""
_SIZE = re.compile(r"(\d+)\s*x\s*(\d+)")
_SIZES = {
    "Size": ("width", "height"),
    "Seed resize from": ("seed_resize_from_w", "seed_resize_from_h"),
    "Hires resize": ("hr_resize_x", "hr_resize_y"),
}
"""Keys whose value is WIDTHxHEIGHT, with the two parameters that they are for."""
_HIRES_KEYS = ("Hires upscale", "Hires upscaler", "Hires resize")
_HASHES = re.compile(r"[0-9a-fA-F]{8,64}")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the run found out beyond the request: names as resolved, the picture's own seeds, hashes and version.

    `vae`: the file's name and hash where one was used. `acted`: the parameters among `SAMPLER_OPTIONS` and the like
    that had an effect; others are left out. `spoken`: those that are named even at their default. `extra`: further
    pairs in their order, such as "Lora hashes".
    """

    sampler: str
    schedule: str
    seed: int
    model_name: str
    model_hash: str | None
    version: str
    subseed: int | None = None
    vae: tuple[str, str] | None = None
    hires_schedule: str | None = None
    hires_model: str | None = None
    refiner: str | None = None
    idle: frozenset[str] = frozenset()
    spoken: frozenset[str] = frozenset()
    extra: Mapping[str, str] = field(default_factory=dict)


def write_infotext(request: GenerationRequest, facts: RunFacts) -> str:
    """Return the infotext of one picture of `request`."""
    lines = [request.prompt]
    if request.negative_prompt:
        lines.append(NEGATIVE_LINE + request.negative_prompt)
    pairs = (f"{key}: {quoted(str(value))}" for key, value in _pairs(request, facts) if value is not None)
    lines.append(", ".join(pairs))
    return "\n".join(lines).strip()


def infotext_values(infotext: Infotext) -> dict[str, Value]:
    """Return the parameters that an infotext gives, by name; those that it does not name are left out.

    A checkpoint is named by its hash where the infotext has one, else by its name. Values are not checked yet.
    """
    pairs = infotext.pairs
    values: dict[str, Value] = {"prompt": infotext.prompt, "negative_prompt": infotext.negative_prompt}
    for parameter in PARAMETERS.values():
        key = parameter.infotext
        if key is not None and key in pairs and key not in _SIZES:
            values[parameter.name] = _read(parameter, pairs[key])
    for key, names in _SIZES.items():
        match = _SIZE.fullmatch(pairs.get(key, "").strip())
        if match:
            values.update(zip(names, (int(match[1]), int(match[2])), strict=True))
    if _HASHES.fullmatch(pairs.get("Model hash", "")):
        values["checkpoint"] = pairs["Model hash"]
    if "Denoising strength" in pairs and any(key in pairs for key in _HIRES_KEYS):
        values["enable_hr"] = True
    return values


def unread_pairs(infotext: Infotext) -> dict[str, str]:
    """Return the pairs that are for no parameter: hashes, the version, and what extensions add."""
    known = {parameter.infotext for parameter in PARAMETERS.values()}
    return {key: value for key, value in infotext.pairs.items() if key not in known}


def _read(parameter: Parameter, text: str) -> Value:
    """Return a value as its parameter takes it; numbers such as "7" and "7.0" mean the same."""
    if parameter.kind == "integer" and re.fullmatch(r"\d+\.0*", text.strip()):
        return text.strip().partition(".")[0]
    return text


def _pairs(request: GenerationRequest, facts: RunFacts) -> Iterator[tuple[str, object]]:
    """Yield the pairs in A1111's order; None means that the pair is left out."""
    written = _written(request, facts)
    yield from _opening(request, facts, written.get("image_cfg_scale"))
    strong = request.enable_hr or request.init_image
    yield _entry("denoising_strength", request.denoising_strength if strong else None)
    yield _entry("mask_weight", written.get("mask_weight"))
    yield _entry("clip_skip", request.clip_skip if request.clip_skip > 1 else None)
    for name in ("ensd", "noise_source", "tiling"):
        yield _entry(name, written.get(name))
    yield from _inpainting(request)
    yield from _hires(request, facts)
    if facts.refiner is not None:
        yield _entry("refiner_checkpoint", facts.refiner)
        yield _entry("refiner_switch_at", request.refiner_switch_at)
    for name, value in written.items():
        if name not in _ASIDE:
            yield _entry(name, value)
    yield from facts.extra.items()
    yield "Version", facts.version


def _opening(
    request: GenerationRequest, facts: RunFacts, image_scale: object
) -> Iterable[tuple[str, object]]:
    size, varied = request.seed_size(), bool(request.subseed_strength)
    return (
        _entry("steps", request.steps),
        _entry("sampler", facts.sampler),
        _entry("scheduler", facts.schedule),
        _entry("cfg_scale", request.cfg_scale),
        _entry("image_cfg_scale", image_scale),
        _entry("seed", facts.seed),
        _entry("width", f"{request.width}x{request.height}"),
        ("Model hash", facts.model_hash),
        _entry("checkpoint", facts.model_name),
        ("VAE hash", facts.vae[1] if facts.vae else None),
        _entry("vae", facts.vae[0] if facts.vae else None),
        _entry("subseed", facts.subseed if varied else None),
        _entry("subseed_strength", request.subseed_strength if varied else None),
        _entry("seed_resize_from_w", f"{size[0]}x{size[1]}" if size else None),
    )


def _inpainting(request: GenerationRequest) -> Iterator[tuple[str, object]]:
    if not request.inpaints():
        return
    if request.mask_mode != PARAMETERS["mask_mode"].default:
        yield _entry("mask_mode", request.mask_mode)
    # A1111 has one number for both directions, and none where they differ.
    if request.mask_blur_x == request.mask_blur_y > 0:
        yield _entry("mask_blur_x", request.mask_blur_x)
    if request.inpaint_area == ONLY_MASKED:
        yield _entry("inpaint_area", request.inpaint_area)
        yield _entry("masked_padding", request.masked_padding)
    if request.masked_content != ORIGINAL_CONTENT:
        yield _entry("masked_content", request.masked_content)


def _hires(request: GenerationRequest, facts: RunFacts) -> Iterator[tuple[str, object]]:
    if not request.enable_hr or request.init_image:
        return
    if request.hr_resize_x or request.hr_resize_y:
        yield _entry("hr_resize_x", f"{request.hr_resize_x}x{request.hr_resize_y}")
    else:
        yield _entry("hr_scale", request.hr_scale)
    yield _entry("hr_second_pass_steps", request.hr_second_pass_steps or None)
    yield _entry("hr_upscaler", request.hr_upscaler)
    yield _entry("hr_checkpoint", facts.hires_model)
    yield _entry("hr_scheduler", facts.hires_schedule)


def _written(request: GenerationRequest, facts: RunFacts) -> dict[str, object]:
    """Return the parameters that differ from their default and acted, in the order of their declaration."""
    shown: dict[str, object] = {}
    effective = request.effective()
    for name, parameter in PARAMETERS.items():
        if parameter.infotext is None or name in _FACTS or name in request.unwritten or name in facts.idle:
            continue
        value = getattr(effective, name)
        if value != parameter.default or name in facts.spoken:
            shown[name] = value
    return shown


def _entry(name: str, value: object) -> tuple[str, object]:
    parameter = PARAMETERS[name]
    return parameter.infotext or parameter.label, value
