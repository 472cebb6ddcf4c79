"""What A1111's API answers to txt2img and img2img: the pictures, the fields as they were understood, and "info"."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from modules.core.request import GenerationRequest
from modules.core.version import VERSION_TEXT
from modules.imaging.parsing import parse_infotext
from modules.jobs.model import Job, JobImage
from modules.prompts.grammar import without_comments
from modules.web.sdapi_facts import STANDARD_PAIRS

RESTORER_KEY = "Face restoration"
TIMESTAMP = "%Y%m%d%H%M%S"


def generation_answer(
    job: Job, parameters: Mapping[str, Any], styles: Sequence[str], batch_size: int
) -> dict[str, Any]:
    """Return the answer for an ended job; `parameters` are the body's fields with A1111's defaults.

    Pictures come as the files that were written, metadata included. Raises OSError when one is gone.
    """
    images = [base64.b64encode(image.path.read_bytes()).decode() for image in job.shown()]
    shown = images if parameters.get("send_images") is not False else []
    return {"images": shown, "parameters": dict(parameters), "info": json.dumps(describe_job(job, styles, batch_size))}


def describe_job(job: Job, styles: Sequence[str], batch_size: int) -> dict[str, Any]:
    """Return what A1111 calls the info of a run; its lists have one entry per picture that was made.

    What is told once for all is that of the first part; a picture that a script added counts as its first.
    """
    request, shown = job.request, job.shown()
    pairs = dict(parse_infotext(shown[0].infotext).pairs) if shown else {}
    prompt, negative = (_as_used(text, request.comments) for text in (request.prompt, request.negative_prompt))
    places = [(job.parts[0], 0) if image.standing.added else job.part_of(image.index) for image in shown]
    asked = [(part.request, index) for part, index in places]
    told = [_prompts(image, each) for image, (each, _) in zip(shown, asked, strict=True)]
    return {
        "prompt": prompt,
        "all_prompts": [positive for positive, _ in told],
        "negative_prompt": negative,
        "all_negative_prompts": [negative for _, negative in told],
        "seed": request.seed,
        "all_seeds": [image.seed for image in shown],
        "subseed": request.subseed,
        "all_subseeds": [each.image_subseed(index) for each, index in asked],
        "subseed_strength": request.subseed_strength,
        "width": request.width,
        "height": request.height,
        "sampler_name": pairs.get("Sampler", request.sampler),
        "cfg_scale": request.cfg_scale,
        "steps": request.steps,
        "batch_size": batch_size,
        "restore_faces": RESTORER_KEY in pairs,
        "face_restoration_model": pairs.get(RESTORER_KEY),
        "sd_model_name": pairs.get("Model"),
        "sd_model_hash": pairs.get("Model hash"),
        "sd_vae_name": pairs.get("VAE"),
        "sd_vae_hash": pairs.get("VAE hash"),
        "seed_resize_from_w": request.seed_resize_from_w,
        "seed_resize_from_h": request.seed_resize_from_h,
        "denoising_strength": request.denoising_strength,
        "extra_generation_params": _extra(pairs),
        "index_of_first_image": sum(image.standing.added for image in shown),
        "infotexts": _infotexts(shown),
        "styles": list(styles),
        "job_timestamp": time.strftime(TIMESTAMP, time.localtime(job.started or job.created)),
        "clip_skip": request.clip_skip,
        "is_using_inpainting_conditioning": request.inpaints(),
        "version": VERSION_TEXT,
    }


def _prompts(image: JobImage, request: GenerationRequest) -> tuple[str, str]:
    """Return a picture's prompts as its infotext has them, which plugins may have changed, else the request's."""
    infotext = parse_infotext(image.infotext)
    if infotext.pairs:
        return infotext.prompt, infotext.negative_prompt
    return _as_used(request.prompt, request.comments), _as_used(request.negative_prompt, request.comments)


def _infotexts(images: Sequence[JobImage]) -> list[str]:
    return [image.infotext for image in images]


def _as_used(prompt: str, comments: bool) -> str:
    return without_comments(prompt) if comments else prompt


def _extra(pairs: Mapping[str, str]) -> dict[str, str | int | float]:
    return {key: _number_or_text(value) for key, value in pairs.items() if key not in STANDARD_PAIRS}


def _number_or_text(text: str) -> str | int | float:
    """Return the number that a text is, when it is written as that number would be."""
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if str(number) == text and text not in ("nan", "inf", "-inf"):
            return number
    return text
