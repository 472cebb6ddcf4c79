"""Between `p` and Easel's requests: every attribute of A1111's that means something here, one way and the other."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from PIL import Image

from modules.a1111 import paths_internal
from modules.a1111._host import HOST
from modules.a1111._processing import StableDiffusionProcessing as Processing
from modules.a1111._processing import StableDiffusionProcessingImg2Img as Img2Img
from modules.a1111._processing import StableDiffusionProcessingTxt2Img as Txt2Img
from modules.a1111.options import Options
from modules.a1111.sd_samplers import engine_names
from modules.core.parameters import NO_REFINER, PARAMETERS, SAME_CHECKPOINT, SAME_SAMPLER, SAME_SCHEDULER
from modules.core.picture_parameters import (
    INPAINT_MASKED,
    INPAINT_NOT_MASKED,
    MASKED_CONTENTS,
    ONLY_MASKED,
    WHOLE_PICTURE,
)
from modules.core.request import GenerationRequest
from modules.library.choices import CHECKPOINT_OPTION
from modules.settings.schema import parameter_values

SAME_NAME = ("steps", "cfg_scale", "subseed_strength", "width", "height", "batch_size")
OPTIONAL: Mapping[str, str] = MappingProxyType({
    "tiling": "tiling", "eta": "eta", "s_min_uncond": "ngms", "s_churn": "s_churn", "s_tmin": "s_tmin",
    "s_noise": "s_noise", "s_tmax": "s_tmax", "refiner_switch_at": "refiner_switch_at",
    "denoising_strength": "denoising_strength", "image_cfg_scale": "image_cfg_scale",
    "initial_noise_multiplier": "noise_multiplier",
})  # fmt: skip
"""Attributes that may be None, which leaves the request's own value."""
SECOND_PASS = ("enable_hr", "hr_scale", "hr_second_pass_steps", "hr_resize_x", "hr_resize_y")
NAMED_SECOND_PASS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "hr_checkpoint_name": ("hr_checkpoint", SAME_CHECKPOINT),
    "hr_sampler_name": ("hr_sampler", SAME_SAMPLER),
    "hr_scheduler": ("hr_scheduler", SAME_SCHEDULER),
})
"""Attributes of the second pass, the request's name for each, and what stands for "as in the first"."""
PICTURE_NAMES = ("resize_mode", "mask_blur_x", "mask_blur_y", "mask_round")
_SIDE_STEP = 8


@dataclass
class Pictures:
    """The pictures that requests of one run name, by their names; those of others come from `fallback`."""

    fallback: Callable[[str], Image.Image]
    own: dict[str, Image.Image] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    def __call__(self, name: str) -> Image.Image:
        """Return a picture by its name in a request."""
        return self.own[name] if name in self.own else self.fallback(name)

    def load(self, name: str) -> Image.Image:
        """Return a stored picture, and know it again when it is named later."""
        picture = self(name)
        self.own[name], self.names[id(picture)] = picture, name
        return picture

    def name_of(self, picture: Image.Image) -> str:
        """Return the name for a picture, the stored one's own if it is one."""
        known = self.names.get(id(picture))
        if known is not None and self.own.get(known) is picture:
            return known
        content = picture.tobytes() + repr((picture.size, picture.mode)).encode()
        name = hashlib.sha256(content).hexdigest()
        self.own[name], self.names[id(picture)] = picture, name
        return name


def processing_of(request: GenerationRequest, pictures: Pictures) -> Processing:
    """Return `p` for a request, as A1111's tabs would have made it."""
    values: dict[str, Any] = {name: getattr(request, name) for name in SAME_NAME}
    kind = Img2Img if request.init_image else Txt2Img
    folder = HOST.config.data_dir / "outputs"
    values.update(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        seed=request.seed,
        subseed=request.subseed,
        seed_resize_from_w=request.seed_resize_from_w or -1,
        seed_resize_from_h=request.seed_resize_from_h or -1,
        sampler_name=request.sampler,
        scheduler=request.scheduler,
        n_iter=request.batch_count,
        disable_extra_networks=request.disable_networks,
        refiner_checkpoint=request.refiner_checkpoint if request.refines() else None,
        outpath_samples=str(folder / f"{'img2img' if request.init_image else 'txt2img'}-images"),
        outpath_grids=str(folder / "grids"),
        # Easel makes no grids of its batches.
        do_not_save_grid=True,
    )
    fields = kind.__dataclass_fields__
    values.update({name: getattr(request, ours) for name, ours in OPTIONAL.items() if name in fields})
    values.update(_picture_attributes(request, pictures) if request.init_image else _second_pass_attributes(request))
    if request.firstpass_image:
        values["firstpass_image"] = pictures.load(request.firstpass_image)
    made = kind(**values)
    made._base = request  # noqa: SLF001 (its own module's half)
    return made


def _second_pass_attributes(request: GenerationRequest) -> dict[str, Any]:
    values = {name: getattr(request, name) for name in (*SECOND_PASS, "hr_upscaler", "hr_prompt", "hr_negative_prompt")}
    for name, (ours, same) in NAMED_SECOND_PASS.items():
        value = getattr(request, ours)
        values[name] = None if value in ("", same) else value
    return values


def _picture_attributes(request: GenerationRequest, pictures: Pictures) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(request, name) for name in PICTURE_NAMES}
    values["init_images"] = [pictures.load(request.init_image)]
    values["mask"] = pictures.load(request.mask_image) if request.mask_image else None
    values["latent_mask"] = pictures.load(request.latent_mask) if request.latent_mask else None
    values["inpainting_fill"] = MASKED_CONTENTS.index(request.masked_content)
    values["inpaint_full_res"] = request.inpaint_area == ONLY_MASKED
    values["inpaint_full_res_padding"] = request.masked_padding
    values["inpainting_mask_invert"] = int(request.mask_mode == INPAINT_NOT_MASKED)
    return values


def base_request() -> GenerationRequest:
    """Return a request that the present options alone make, for a `p` that an extension made by itself."""
    settings = HOST.connected.settings
    values = {**parameter_values(settings.all()), "checkpoint": _known_checkpoint(str(settings.get(CHECKPOINT_OPTION)))}
    return GenerationRequest.checked(values)


def inherited_request(outer: GenerationRequest) -> GenerationRequest:
    """Return the same for a `p` that is made inside a run, whose checkpoint and options count for it too."""
    names = [name for name, parameter in PARAMETERS.items() if parameter.option is not None]
    kept = {name: getattr(outer, name) for name in (*names, "checkpoint")}
    return base_request().model_copy(update=kept)


def _known_checkpoint(name: str) -> str:
    checkpoints = HOST.connected.files.checkpoints
    return name if any(name == entry.title for entry in checkpoints.entries()) else ""


def request_of(p: Processing, pictures: Pictures, image: int = 0) -> GenerationRequest:
    """Return the request that `p` is now; `image`: which of several initial pictures. Raises InvalidRequest."""
    base: GenerationRequest = p._base or base_request()  # noqa: SLF001 (its own module's half)
    values = base.model_dump(exclude={"extras", "unwritten"})
    values.update({name: getattr(p, name) for name in SAME_NAME})
    sampler, scheduler = p.sampler_name or values["sampler"], p.scheduler or values["scheduler"]
    if (sampler, scheduler) != (base.sampler, base.scheduler):
        sampler, scheduler = engine_names(sampler, scheduler)
    values.update(
        sampler=sampler,
        scheduler=scheduler,
        prompt=_text(p.prompt),
        negative_prompt=_text(p.negative_prompt),
        seed=_seed(p.seed),
        subseed=_seed(p.subseed),
        seed_resize_from_w=max(int(p.seed_resize_from_w or 0), 0),
        seed_resize_from_h=max(int(p.seed_resize_from_h or 0), 0),
        batch_count=p.n_iter,
        disable_networks=bool(p.disable_extra_networks),
        refiner_checkpoint=p.refiner_checkpoint if p.refiner_checkpoint not in (None, "") else NO_REFINER,
        width=int(p.width) // _SIDE_STEP * _SIDE_STEP,
        height=int(p.height) // _SIDE_STEP * _SIDE_STEP,
    )
    for name, ours in OPTIONAL.items():
        given = getattr(p, name, None)
        if given is not None and not (isinstance(given, float) and math.isinf(given)):
            values[ours] = given
    values.update(_picture_values(p, pictures, image) if isinstance(p, Img2Img) else _second_pass_values(p))
    values["firstpass_image"] = pictures.name_of(p.firstpass_image) if p.firstpass_image is not None else ""
    values.update(_override_values(p))
    made = GenerationRequest.checked(values)
    return made.model_copy(update={"extras": base.extras, "unwritten": base.unwritten})


def _second_pass_values(p: Processing) -> dict[str, Any]:
    if not isinstance(p, Txt2Img):
        return {}
    values: dict[str, Any] = {name: getattr(p, name) for name in SECOND_PASS}
    values["hr_prompt"], values["hr_negative_prompt"] = _text(p.hr_prompt), _text(p.hr_negative_prompt)
    if p.hr_upscaler:
        values["hr_upscaler"] = p.hr_upscaler
    for name, (ours, same) in NAMED_SECOND_PASS.items():
        values[ours] = getattr(p, name) or same
    values["init_image"] = ""
    return values


def _picture_values(p: Img2Img, pictures: Pictures, image: int) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(p, name) for name in PICTURE_NAMES}
    images = p.init_images or []
    values["init_image"] = pictures.name_of(images[min(image, len(images) - 1)]) if images else ""
    values["mask_image"] = pictures.name_of(p.image_mask) if p.image_mask is not None else ""
    values["latent_mask"] = pictures.name_of(p.latent_mask) if p.latent_mask is not None else ""
    values["masked_content"] = MASKED_CONTENTS[int(p.inpainting_fill)]
    values["inpaint_area"] = ONLY_MASKED if p.inpaint_full_res else WHOLE_PICTURE
    padding = int(PARAMETERS["masked_padding"].step)
    values["masked_padding"] = int(p.inpaint_full_res_padding) // padding * padding
    values["mask_mode"] = INPAINT_NOT_MASKED if p.inpainting_mask_invert else INPAINT_MASKED
    values["enable_hr"] = False
    return values


def _override_values(p: Processing) -> dict[str, object]:
    """Return what options that were set for this run, or not saved yet, mean for it."""
    options: Options | None = HOST.own_state.get("opts")
    changed = {**(options.changed_values if options is not None else {}), **(p.override_settings or {})}
    values = parameter_values(changed)
    if changed.get(CHECKPOINT_OPTION):
        values["checkpoint"] = str(changed[CHECKPOINT_OPTION])
    return values


def _text(value: Any) -> str:
    return str(value[0]) if isinstance(value, list) and value else "" if isinstance(value, list) else str(value or "")


def _seed(value: Any) -> int:
    first = value[0] if isinstance(value, list) and value else value
    return int(first) if first not in (None, "") else -1


def default_folder() -> str:
    """Return the folder of pictures that are saved without another."""
    return str(paths_internal.default_output_dir)
