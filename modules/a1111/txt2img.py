"""A1111's modules.txt2img: what the Generate button calls there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from modules.a1111 import processing, scripts
from modules.a1111._form_runs import form_of, made, processing_of_form
from modules.a1111.infotext_utils import (
    create_override_settings_dict,
    image_from_url_text,
    parse_generation_parameters,
)
from modules.a1111.ui_common import plaintext_to_html


def txt2img_create_processing(  # noqa: PLR0913 (A1111's signature)
    id_task: str, request: Any, prompt: str, negative_prompt: str, prompt_styles: Any, n_iter: int, batch_size: int,
    cfg_scale: float, height: int, width: int, enable_hr: bool, denoising_strength: float, hr_scale: float,
    hr_upscaler: str, hr_second_pass_steps: int, hr_resize_x: int, hr_resize_y: int, hr_checkpoint_name: str,
    hr_sampler_name: str, hr_scheduler: str, hr_prompt: str, hr_negative_prompt: str,
    override_settings_texts: Sequence[str], *args: Any, force_enable_hr: bool = False,
) -> Any:  # fmt: skip
    """Return `p` for the values of the form, in A1111's order."""
    form = form_of(args)
    if form is not None:
        named = {name: value for name, value in locals().items() if name not in ("args", "form")}
        return processing_of_form("txt2img", named, args, form)
    p = processing.StableDiffusionProcessingTxt2Img(
        prompt=prompt, negative_prompt=negative_prompt, styles=prompt_styles, n_iter=n_iter, batch_size=batch_size,
        cfg_scale=cfg_scale, height=height, width=width, enable_hr=enable_hr or force_enable_hr,
        denoising_strength=denoising_strength, hr_scale=hr_scale, hr_upscaler=hr_upscaler,
        hr_second_pass_steps=hr_second_pass_steps, hr_resize_x=hr_resize_x, hr_resize_y=hr_resize_y,
        hr_checkpoint_name=None if hr_checkpoint_name == "Use same checkpoint" else hr_checkpoint_name,
        hr_sampler_name=None if hr_sampler_name == "Use same sampler" else hr_sampler_name,
        hr_scheduler=None if hr_scheduler == "Use same scheduler" else hr_scheduler, hr_prompt=hr_prompt,
        hr_negative_prompt=hr_negative_prompt, override_settings=create_override_settings_dict(override_settings_texts),
    )  # fmt: skip
    p.scripts, p.script_args = scripts.scripts_txt2img, args
    return p


def txt2img_upscale(
    id_task: str, request: Any, gallery: Sequence[Any], gallery_index: int, generation_info: str, *args: Any
) -> tuple[Any, str, str, str]:
    """Make the second pass of one picture of a gallery; returns the gallery with the result in its place, and facts.

    Raises ValueError for a picture that there is not.
    """
    info = json.loads(generation_info)
    first = int(info.get("index_of_first_image", 0))
    place = int(gallery_index)
    if not 0 <= place < len(gallery) or place < first:
        raise ValueError(f"There is no picture {place} that could be enlarged; the gallery has {len(gallery)}.")
    p = txt2img_create_processing(id_task, request, *args, force_enable_hr=True)
    p.batch_size = p.n_iter = 1
    p.txt2img_upscale = True
    p.firstpass_image = image_from_url_text(gallery[place]).convert("RGB")
    known = parse_generation_parameters(info["infotexts"][place])
    p.seed, p.subseed = known.get("Seed", -1), known.get("Variation seed", -1)
    p.override_settings["save_images_before_highres_fix"] = False
    processed = scripts.scripts_txt2img.run(p, *p.script_args) or processing.process_images(p)
    pictures = [image_from_url_text(each) for each in gallery]
    pictures[place : place + 1] = processed.images
    info["infotexts"][place : place + 1] = processed.infotexts
    return pictures, json.dumps(info), plaintext_to_html(processed.info), processed.comments


def txt2img(id_task: str, request: Any, *args: Any) -> tuple[Any, str, str, str]:
    """Make pictures of the form's values; returns them with their facts as JSON and as HTML."""
    return made(txt2img_create_processing(id_task, request, *args))
