"""The pictures that a body of A1111's API brings: kept, and each of several worked over with a seed of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.request import GenerationRequest
from modules.gallery.inputs import InputStore
from modules.web.sdapi_http import ApiError, decode_picture


def with_pictures(request: GenerationRequest, rest: Mapping[str, Any], inputs: InputStore) -> list[GenerationRequest]:
    """Return the request with the pictures of the body's other fields: several requests where it brings several.

    Raises InvalidRequest and ApiError.
    """
    if "init_images" not in rest:
        return [request.model_copy(update=_kept({"firstpass_image": rest["firstpass_image"]}, inputs))]
    images: list[Any] = rest["init_images"] or []
    if not images:
        problem = FieldProblem("init_images", "init_images", "0 pictures", "a list of at least one picture")
        raise InvalidRequest([problem])
    if 1 < len(images) > request.batch_size:
        reason = f"bad number of images passed: {len(images)}; expecting {request.batch_size} or less"
        raise ApiError(422, "RuntimeError", reason)
    masks = _kept({field: rest[field] for field in ("mask", "latent_mask")}, inputs)
    masked = request.model_copy(
        update={"mask_image": masks.get("mask", ""), "latent_mask": masks.get("latent_mask", "")}
    )
    names = ["init_images"] if len(images) == 1 else [f"init_images[{place}]" for place in range(len(images))]
    over = list(_kept(dict(zip(names, images, strict=True)), inputs).values())
    if len(over) < len(images):
        allowed = "a picture as base64 at every place"
        raise InvalidRequest([FieldProblem("init_images", "init_images", "an empty text or null", allowed)])
    return _spread(masked, over)


def _spread(request: GenerationRequest, over: list[str]) -> list[GenerationRequest]:
    """Return a request for every picture of every batch; each has the seed that it has in A1111's batch of them all."""
    if len(over) == 1:
        return [request.model_copy(update={"init_image": over[0]})]
    fixed = request.with_fixed_seed()
    return [
        fixed.model_copy(
            update={
                "init_image": over[index % len(over)],
                "seed": fixed.image_seed(index),
                "subseed": fixed.image_subseed(index),
                "batch_count": 1,
                "batch_size": 1,
            }
        )
        for index in range(fixed.batch_count * len(over))
    ]


def _kept(brought: Mapping[str, Any], inputs: InputStore) -> dict[str, str]:
    """Return the hashes of the pictures that are there, by field. Raises InvalidRequest."""
    return {field: inputs.keep(decode_picture(picture, field), field) for field, picture in brought.items() if picture}
