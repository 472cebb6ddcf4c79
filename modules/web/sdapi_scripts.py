"""Plugins under the names that A1111's API has for them: scripts, always-on scripts and their arguments by position."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.extras import Extras, FrozenMapping
from modules.core.parameter import SHOWN_CHARACTERS, Parameter
from modules.hooks.plugins import PluginDescription, PluginList, form_value
from modules.web.panels import FOREIGN_FIELD, ApiScript, Panels
from modules.web.sdapi_http import ApiError
from modules.web.services import WebServices

_TABS = ("txt2img", "img2img")


@dataclass(frozen=True, slots=True)
class Offers:
    """All scripts that a body may name: our own plugins, and after them those of extensions."""

    plugins: PluginList
    panels: Panels

    def foreign(self, tab: str) -> list[ApiScript]:
        """Return the scripts of extensions; one of a title of ours cannot be named."""
        own = {plugin.title.casefold() for plugin in self.plugins.shown(tab)}
        return [script for script in self.panels.api_scripts(tab) if script.title.casefold() not in own]

    def script(self, title: str, tab: str) -> ApiScript | None:
        """Return an extension's script that is chosen, by its title in any case."""
        return self._named(title, tab, always_on=False)

    def always_on(self, title: str, tab: str) -> ApiScript | None:
        """Return an extension's script that always runs, by its title in any case."""
        return self._named(title, tab, always_on=True)

    def titles(self, tab: str, always_on: bool) -> list[str]:
        """Return the titles of one of both kinds."""
        return [script.title for script in self.foreign(tab) if script.is_alwayson is always_on]

    def _named(self, title: str, tab: str, always_on: bool) -> ApiScript | None:
        wanted = title.casefold()
        found = (each for each in self.foreign(tab) if each.is_alwayson is always_on)
        return next((each for each in found if wanted in (each.title.casefold(), each.name)), None)


def read_extras(tab: str, rest: Mapping[str, Any], offers: Offers, pairs: Mapping[str, str]) -> Extras:
    """Return what a body asks of plugins; `pairs` are those of its infotext, which count where it says nothing itself.

    Raises ApiError for a script that does not exist, and InvalidRequest for wrong arguments.
    """
    plugins = offers.plugins
    extras: dict[str, Mapping[str, object]] = dict(plugins.extras_of_pairs(pairs, tab)[0])
    foreign: dict[str, Sequence[object]] = {}
    chosen = ""
    name = rest["script_name"]
    if name:
        script = plugins.script(str(name), tab)
        own = offers.script(str(name), tab) if script is None else None
        if script is None and own is None:
            titles = [*(each.title for each in plugins.scripts(tab)), *offers.titles(tab, always_on=False)]
            raise ApiError(422, "HTTPException", f"Script {name!r} was not found. {_those(titles)}")
        for other in plugins.scripts(tab):
            extras.pop(other.name, None)
        if script is not None:
            extras[script.name] = script.by_position(rest["script_args"] or ())
        elif own is not None:
            foreign[own.name], chosen = _listed("script_args", rest["script_args"] or ()), own.title
    for title, given in (rest["alwayson_scripts"] or {}).items():
        always_on = offers.always_on(str(title), tab)
        if always_on is not None:
            foreign[always_on.name] = _listed(f"alwayson_scripts.{title}.args", _of_object(given))
            continue
        section = _section(str(title), tab, offers)
        values = _arguments(str(title), section, given)
        extras.pop(section.name, None)
        if values.get(section.switch) in (True, "true", "True", 1):
            extras[section.name] = values
    if foreign:
        extras[FOREIGN_FIELD] = {"args": offers.panels.api_arguments(tab, foreign), "script": chosen}
    return plugins.checked(extras)


def with_options(extras: Extras, options: Mapping[str, object]) -> Extras:
    """Return extras with options of extensions in them, for the one request."""
    if not options:
        return extras
    own = {**extras.get(FOREIGN_FIELD, {}), "options": json.dumps(options)}
    return FrozenMapping({**extras, FOREIGN_FIELD: FrozenMapping(own)})


def scripts(services: WebServices) -> dict[str, list[str]]:
    """List the titles of all scripts, always-on ones too, by tab."""
    offers = Offers(services.plugins, services.panels)
    return {
        tab: [*(plugin.title.lower() for plugin in services.plugins.shown(tab)), *(x.name for x in offers.foreign(tab))]
        for tab in _TABS
    }


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
    ] + [
        {
            "name": script.name,
            "is_alwayson": script.is_alwayson,
            "is_img2img": tab == "img2img",
            "args": list(script.arguments),
        }
        for tab in _TABS
        for script in Offers(services.plugins, services.panels).foreign(tab)
    ]


def _section(title: str, tab: str, offers: Offers) -> PluginDescription:
    section = offers.plugins.section(title, tab)
    if section is not None:
        return section
    if offers.plugins.script(title, tab) is not None or offers.script(title, tab) is not None:
        raise ApiError(422, "HTTPException", f"{title!r} is chosen with script_name; it is no always-on script.")
    titles = [*(each.title for each in offers.plugins.sections(tab)), *offers.titles(tab, always_on=True)]
    raise ApiError(422, "HTTPException", f"Always-on script {title!r} was not found. {_those(titles)}")


def _arguments(title: str, section: PluginDescription, given: object) -> dict[str, object]:
    """Return an always-on script's values: from a list by position, or from an object by the parameters' names."""
    arguments = _of_object(given)
    if isinstance(arguments, Mapping):
        return dict(arguments)
    return section.by_position(_listed(f"alwayson_scripts.{title}.args", arguments))


def _of_object(given: object) -> object:
    return given.get("args", []) if isinstance(given, Mapping) else given


def _listed(field: str, arguments: object) -> Sequence[object]:
    if isinstance(arguments, (list, tuple)):
        return arguments
    shown = str(arguments)[:SHOWN_CHARACTERS]
    raise InvalidRequest([FieldProblem(field, field, shown, "a list of arguments, or an object of them by name")])


def _those(titles: Sequence[str]) -> str:
    return f"There are {', '.join(titles)}." if titles else "There are none here."


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
