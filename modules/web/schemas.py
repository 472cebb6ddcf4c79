"""The bodies of A1111's API as requests of ours, and back: fields, their defaults, and what they become."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.parameter import SHOWN_CHARACTERS, Value
from modules.core.parameters import PARAMETERS
from modules.core.picture_parameters import (
    INPAINT_MASKED,
    INPAINT_NOT_MASKED,
    MASKED_CONTENTS,
    ONLY_MASKED,
    WHOLE_PICTURE,
)
from modules.core.request import MASK_FIELDS, PICTURE_FIELDS
from modules.settings.schema import OPTIONS, Option, parameter_values
from modules.web.sdapi_facts import NULL_FIELDS
from modules.web.sdapi_options import read_options

CHURN_FIELDS = ("s_churn", "s_tmin", "s_tmax", "s_noise")
"""API fields that act where the option of the same name is at its default, and are then not in the infotext."""
FIELD_OF_API: Mapping[str, str] = {parameter.api: name for name, parameter in PARAMETERS.items() if parameter.api}
"""API field to the parameter that it sets."""
_SECOND_PASS = frozenset(
    parameter.api for name, parameter in PARAMETERS.items() if name == "enable_hr" or name.startswith("hr_")
)
_PICTURE = frozenset(PARAMETERS[name].api for name in ("noise_multiplier", *PICTURE_FIELDS, *MASK_FIELDS))
_ACTING_OPTIONS = frozenset({
    "sd_model_checkpoint", *(parameter.option for parameter in PARAMETERS.values() if parameter.option),
})  # fmt: skip
"""Options that one request can override; the others rule the whole server."""


@dataclass(frozen=True, slots=True)
class PlainField:
    """An API field that is no parameter: its default, the JSON types that it takes, and these in words."""

    default: object
    types: tuple[type, ...]
    allowed: str


_TEXT = PlainField(None, (str,), "a text or null")
_FLAG = PlainField(False, (bool,), "true or false")
_SIDE = PlainField(0, (int, float), "a number")

_COMMON: Mapping[str, PlainField] = {
    "styles": PlainField(None, (list,), "a list of names or null"),
    "sampler_index": PlainField("Euler", (str,), "the name of a sampler"),
    "eta": PlainField(None, (int, float, str), "a number or null"),
    "restore_faces": PlainField(None, (bool,), "true, false or null"),
    "do_not_save_samples": _FLAG,
    "do_not_save_grid": _FLAG,
    "override_settings": PlainField(None, (dict,), "a JSON object or null"),
    "override_settings_restore_afterwards": PlainField(True, (bool,), "true or false"),
    "firstpass_image": _TEXT,
    "comments": PlainField(None, (dict,), "a JSON object or null"),
    "script_name": _TEXT,
    "script_args": PlainField((), (list,), "a list"),
    "send_images": PlainField(True, (bool,), "true or false"),
    "save_images": _FLAG,
    "alwayson_scripts": PlainField(None, (dict,), "a JSON object"),
    "force_task_id": _TEXT,
    "infotext": _TEXT,
}


@dataclass(frozen=True, slots=True)
class BodyKind:
    """One of the two bodies: its parameters by API field, and its other fields."""

    name: str
    parameters: Mapping[str, str]
    plain: Mapping[str, PlainField]


TXT2IMG = BodyKind(
    "txt2img",
    {api: name for api, name in FIELD_OF_API.items() if api not in _PICTURE},
    {**_COMMON, "firstphase_width": _SIDE, "firstphase_height": _SIDE},
)
IMG2IMG = BodyKind(
    "img2img",
    {api: name for api, name in FIELD_OF_API.items() if api not in _SECOND_PASS},
    {
        **_COMMON,
        "init_images": PlainField(None, (list,), "a list of pictures"),
        "mask": _TEXT,
        "mask_blur": PlainField(None, (int,), "a whole number or null"),
        "inpainting_fill": PlainField(0, (int,), "0 (fill), 1 (original), 2 (latent noise) or 3 (latent nothing)"),
        "inpaint_full_res": PlainField(True, (bool, int), "true (only masked) or false (whole picture)"),
        "inpainting_mask_invert": PlainField(0, (int, bool), "0 (paint what is masked) or 1 (paint the rest)"),
        "latent_mask": _TEXT,
        "include_init_images": _FLAG,
    },
)


def api_default(name: str) -> Value | None:
    """Return the API's default of a parameter."""
    parameter = PARAMETERS[name]
    return parameter.default if parameter.api_default is None else parameter.api_default


@dataclass(frozen=True, slots=True)
class ApiBody:
    """A body taken apart: the values of the request's parameters, and what else was asked for.

    `changes`: the options that are to stay changed afterwards. `ignored`: overridden options
    that mean nothing here, or nothing for one request. `foreign`: options of extensions for this request alone.
    """

    values: dict[str, object]
    rest: dict[str, Any]
    changes: dict[str, object] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    foreign: dict[str, object] = field(default_factory=dict)


def read_body(
    kind: BodyKind,
    body: Mapping[str, Any],
    options: Mapping[str, object],
    pasted: Mapping[str, object],
    known: Mapping[str, Option] = OPTIONS,
) -> ApiBody:
    """Return what a body asks for, over the present options; `known`: what there are, those of extensions too.

    `pasted` are the parameters that the body's own infotext gives; they count where the body has no field of its own.
    Raises InvalidRequest, naming every field that is unknown or of a wrong type.
    """
    rest = _plain_fields(kind, body)
    overrides = read_options(rest["override_settings"] or {}, known)
    settings = {**options, **overrides.values}
    values: dict[str, object] = parameter_values(settings)
    values.update({name: api_default(name) for name in kind.parameters.values() if PARAMETERS[name].option is None})
    if kind is IMG2IMG:
        values.update(_painting(rest))
    values.update(pasted)
    values.update(_sampler_index(body, rest, pasted))
    values.update(parameter_values(overrides.values))
    if overrides.values.get("sd_model_checkpoint"):
        values["checkpoint"] = overrides.values["sd_model_checkpoint"]
    given = {name: body[api] for api, name in kind.parameters.items() if body.get(api) is not None}
    if kind is IMG2IMG:
        given.update(_painting({name: value for name, value in rest.items() if body.get(name) is not None}))
    silent = _churn(given, settings)
    values.update(given)
    if rest["eta"] is not None:
        values.update(eta=rest["eta"], eta_ddim=rest["eta"])
    values["unwritten"] = silent
    if not rest["override_settings_restore_afterwards"]:
        return ApiBody(values, rest, dict(overrides.values), overrides.ignored)
    foreign: dict[str, object] = {key: value for key, value in overrides.values.items() if key not in OPTIONS}
    idle = (key for key in overrides.values if key not in _ACTING_OPTIONS and key not in foreign)
    return ApiBody(values, rest, ignored=(*overrides.ignored, *idle), foreign=foreign)


def told_back(kind: BodyKind, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return every field that A1111 has with what the body gave, or else its default there.

    The pictures that the body brought are sent back only when it asks for that.
    """
    defaults: dict[str, Any] = {
        api: None if api in NULL_FIELDS else api_default(name) for api, name in kind.parameters.items()
    }
    defaults.update({name: plain.default for name, plain in kind.plain.items()})
    defaults.update(script_args=[], alwayson_scripts={})
    told = defaults | dict(body)
    if kind is IMG2IMG and not told["include_init_images"]:
        told.update(init_images=None, mask=None)
    return told


def _painting(rest: Mapping[str, Any]) -> dict[str, object]:
    """Return the parameters of inpainting that the API has as numbers. Raises InvalidRequest."""
    values: dict[str, object] = {}
    if "inpainting_fill" in rest:
        number = int(rest["inpainting_fill"])
        if not 0 <= number < len(MASKED_CONTENTS):
            allowed = IMG2IMG.plain["inpainting_fill"].allowed
            raise InvalidRequest([FieldProblem("inpainting_fill", "inpainting_fill", str(number), allowed)])
        values["masked_content"] = MASKED_CONTENTS[number]
    if "inpaint_full_res" in rest:
        values["inpaint_area"] = ONLY_MASKED if rest["inpaint_full_res"] else WHOLE_PICTURE
    if "inpainting_mask_invert" in rest:
        values["mask_mode"] = INPAINT_NOT_MASKED if rest["inpainting_mask_invert"] else INPAINT_MASKED
    if rest.get("mask_blur") is not None:
        values.update(mask_blur_x=rest["mask_blur"], mask_blur_y=rest["mask_blur"])
    return values


def _sampler_index(body: Mapping[str, Any], rest: Mapping[str, Any], pasted: Mapping[str, object]) -> dict[str, object]:
    """Return the sampler by its older field, which counts when the newer one is left out."""
    given = body.get("sampler_index") is not None
    if body.get("sampler_name") is not None or ("sampler" in pasted and not given):
        return {}
    return {"sampler": rest["sampler_index"]}


def _churn(given: dict[str, Any], settings: Mapping[str, object]) -> tuple[str, ...]:
    """Drop the churn fields whose option was changed, and return the names of those that then act unwritten."""
    for name in CHURN_FIELDS:
        if name in given and settings.get(name, PARAMETERS[name].default) != PARAMETERS[name].default:
            del given[name]
    return tuple(name for name in CHURN_FIELDS if name in given)


def _plain_fields(kind: BodyKind, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are no parameters, null as their default. Raises InvalidRequest."""
    problems = [*_unknown_fields(kind, body)]
    rest: dict[str, Any] = {}
    for name, plain in kind.plain.items():
        value = body.get(name)
        rest[name] = plain.default if value is None else value
        fits = isinstance(value, plain.types) and (bool in plain.types or not isinstance(value, bool))
        if value is not None and not fits:
            problems.append(FieldProblem(name, name, _shown(value), plain.allowed))
    if problems:
        raise InvalidRequest(problems)
    return rest


def _unknown_fields(kind: BodyKind, body: Mapping[str, Any]) -> Iterator[FieldProblem]:
    known = set(kind.parameters) | set(kind.plain)
    for name in body:
        if name not in known:
            yield FieldProblem(str(name), str(name), "an unknown field", f"one of {', '.join(sorted(known))}")


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
