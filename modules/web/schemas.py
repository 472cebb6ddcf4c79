"""The bodies of A1111's API as requests of ours, and back: fields, defaults and the "info" of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.parameter import Value
from modules.core.parameters import PARAMETERS
from modules.settings.schema import OPTIONS, parameter_values

CHURN_FIELDS = ("s_churn", "s_tmin", "s_tmax", "s_noise")
"""API fields that act where the option of the same name is at its default, and are then not in the infotext."""
FIELD_OF_API: Mapping[str, str] = {parameter.api: name for name, parameter in PARAMETERS.items() if parameter.api}
"""API field to the parameter that it sets."""
PLAIN_FIELDS: Mapping[str, object] = {
    "styles": None,
    "sampler_index": "Euler",
    "eta": None,
    "restore_faces": None,
    "do_not_save_samples": False,
    "do_not_save_grid": False,
    "override_settings": None,
    "override_settings_restore_afterwards": True,
    "firstpass_image": None,
    "comments": None,
    "script_name": None,
    "script_args": [],
    "send_images": True,
    "save_images": False,
    "alwayson_scripts": {},
    "force_task_id": None,
    "infotext": None,
    "firstphase_width": 0,
    "firstphase_height": 0,
}
"""API fields beside the parameters, with their defaults."""


def api_default(name: str) -> Value | None:
    """Return the API's default of a parameter."""
    parameter = PARAMETERS[name]
    return parameter.default if parameter.api_default is None else parameter.api_default


@dataclass(frozen=True, slots=True)
class ApiBody:
    """A body taken apart: the values of the request's parameters, and what else was asked for.

    `changes`: the options that are to stay changed afterwards.
    """

    values: dict[str, object]
    rest: dict[str, Any]
    changes: dict[str, object] = field(default_factory=dict)


def read_txt2img(body: Mapping[str, Any], options: Mapping[str, object], pasted: Mapping[str, object]) -> ApiBody:
    """Return what a txt2img body asks for, over the present options.

    `pasted` are the parameters that the body's own infotext gives; they count where the body has no field of its own.
    Raises InvalidRequest, naming every field that is unknown.
    """
    rest = {name: body.get(name, default) for name, default in PLAIN_FIELDS.items()}
    _refuse_unknown(body, rest)
    overrides = _overrides(rest)
    settings = {**options, **overrides}
    values: dict[str, object] = {**parameter_values(settings), **_checkpoint(overrides)}
    values.update({name: api_default(name) for name in FIELD_OF_API.values() if PARAMETERS[name].option is None})
    if body.get("sampler_name") is None:
        values["sampler"] = rest["sampler_index"]
    values.update(pasted)
    given = {name: body[api] for api, name in FIELD_OF_API.items() if body.get(api) is not None}
    silent = _churn(given, settings)
    values.update(given)
    if rest["eta"] is not None:
        values.update(eta=rest["eta"], eta_ddim=rest["eta"])
    values["unwritten"] = silent
    keep = not rest["override_settings_restore_afterwards"]
    return ApiBody(values, rest, dict(overrides) if keep else {})


def _churn(given: dict[str, Any], settings: Mapping[str, object]) -> tuple[str, ...]:
    """Drop the churn fields whose option was changed, and return the names of those that then act unwritten."""
    for name in CHURN_FIELDS:
        if name in given and settings.get(name, PARAMETERS[name].default) != PARAMETERS[name].default:
            del given[name]
    return tuple(name for name in CHURN_FIELDS if name in given)


def _overrides(rest: Mapping[str, Any]) -> dict[str, object]:
    """Return the options that the body overrides, each of its own type."""
    given = rest["override_settings"] or {}
    if not isinstance(given, Mapping):
        raise InvalidRequest([FieldProblem("override_settings", "override_settings", str(given), "a JSON object")])
    return {key: OPTIONS[key].parse(value) if key in OPTIONS else value for key, value in given.items()}


def _checkpoint(overrides: Mapping[str, object]) -> dict[str, object]:
    name = overrides.get("sd_model_checkpoint")
    return {"checkpoint": name} if name else {}


def _refuse_unknown(body: Mapping[str, Any], rest: Mapping[str, Any]) -> None:
    known = set(FIELD_OF_API) | set(PLAIN_FIELDS)
    problems = [
        FieldProblem(str(name), str(name), "an unknown field", f"one of {', '.join(sorted(known))}")
        for name in body
        if name not in known
    ]
    if problems:
        raise InvalidRequest(problems)
