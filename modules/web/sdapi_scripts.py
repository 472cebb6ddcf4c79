"""Plugins under the names that A1111's API has for them: scripts, always-on scripts and their arguments by position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.extras import Extras
from modules.core.parameter import SHOWN_CHARACTERS, Parameter
from modules.hooks.plugins import PluginDescription, PluginList, form_value
from modules.web.sdapi_http import ApiError
from modules.web.services import WebServices

_TABS = ("txt2img", "img2img")


def read_extras(tab: str, rest: Mapping[str, Any], plugins: PluginList, pairs: Mapping[str, str]) -> Extras:
    """Return what a body asks of plugins; `pairs` are those of its infotext, which count where it says nothing itself.

    Raises ApiError for a script that does not exist, and InvalidRequest for wrong arguments.
    """
    extras: dict[str, Mapping[str, object]] = dict(plugins.extras_of_pairs(pairs, tab)[0])
    name = rest["script_name"]
    if name:
        script = plugins.script(str(name), tab)
        if script is None:
            raise ApiError(422, "HTTPException", f"Script {name!r} was not found. {_those(plugins.scripts(tab))}")
        for other in plugins.scripts(tab):
            extras.pop(other.name, None)
        extras[script.name] = script.by_position(rest["script_args"] or ())
    for title, given in (rest["alwayson_scripts"] or {}).items():
        section = _section(str(title), tab, plugins)
        values = _arguments(str(title), section, given)
        extras.pop(section.name, None)
        if values.get(section.switch) in (True, "true", "True", 1):
            extras[section.name] = values
    return plugins.checked(extras)


def scripts(services: WebServices) -> dict[str, list[str]]:
    """List the titles of all scripts, always-on ones too, by tab."""
    return {tab: [plugin.title.lower() for plugin in services.plugins.shown(tab)] for tab in _TABS}


def script_info(services: WebServices) -> list[dict[str, Any]]:
    """List every script with its arguments, once for each tab."""
    return [
        {
            "name": plugin.title.lower(),
            "is_alwayson": plugin.place == "section",
            "is_img2img": tab == "img2img",
            "args": list(_argument_facts(plugin)),
        }
        for tab in _TABS
        for plugin in services.plugins.shown(tab)
    ]


def _section(title: str, tab: str, plugins: PluginList) -> PluginDescription:
    section = plugins.section(title, tab)
    if section is not None:
        return section
    if plugins.script(title, tab) is not None:
        raise ApiError(422, "HTTPException", f"{title!r} is chosen with script_name; it is no always-on script.")
    raise ApiError(422, "HTTPException", f"Always-on script {title!r} was not found. {_those(plugins.sections(tab))}")


def _arguments(title: str, section: PluginDescription, given: object) -> dict[str, object]:
    """Return an always-on script's values: from a list by position, or from an object by the parameters' names."""
    arguments = given.get("args", []) if isinstance(given, Mapping) else given
    if isinstance(arguments, Mapping):
        return dict(arguments)
    if not isinstance(arguments, list):
        field = f"alwayson_scripts.{title}.args"
        shown = str(arguments)[:SHOWN_CHARACTERS]
        raise InvalidRequest([FieldProblem(field, field, shown, "a list of arguments, or an object of them by name")])
    return section.by_position(arguments)


def _those(plugins: list[PluginDescription]) -> str:
    titles = ", ".join(plugin.title for plugin in plugins)
    return f"There are {titles}." if titles else "There are none here."


def _argument_facts(plugin: PluginDescription) -> Iterator[dict[str, Any]]:
    parameters = {parameter.name: parameter for parameter in plugin.parameters}
    for name in plugin.arguments or tuple(parameters):
        yield _facts(parameters[name]) if name else dict.fromkeys(
            ("label", "value", "minimum", "maximum", "step", "choices"), None
        )


def _facts(parameter: Parameter) -> dict[str, Any]:
    slides = parameter.kind in ("integer", "number")
    choices = parameter.choices
    return {
        "label": parameter.label,
        "value": form_value(parameter, parameter.default),
        "minimum": parameter.minimum if slides else None,
        "maximum": parameter.maximum if slides else None,
        "step": parameter.step if slides else None,
        "choices": list(choices) if isinstance(choices, tuple) else None,
    }
