"""What a plugin shows of itself: its parameters, from which form, API, infotext and pasting follow.

In a request a plugin's values stand below its name in `GenerationRequest.extras`. A plugin that is switched off, or not
chosen, is not in there.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.extras import NO_EXTRAS, Extras, FrozenMapping, PluginValues
from modules.core.parameter import FieldError, Parameter, Value
from modules.core.request import ChoiceLists, GenerationRequest

Tab = Literal["txt2img", "img2img"]
Place = Literal["section", "script", "none"]

SCRIPT_FIELD = "script"
"""The form field that holds the chosen script's title."""
NO_SCRIPT = "None"
SCRIPT_KEY = "Script"
"""The infotext's key for the chosen script's title."""


def nothing_offered(value: str, lists: ChoiceLists) -> Sequence[str]:
    """Offer nothing."""
    return ()


NO_OFFERS: FrozenMapping[str] = FrozenMapping()


@dataclass(frozen=True, slots=True)
class Swap:
    """A button that exchanges the values of parameters, pair by pair. `element`: its id in the document."""

    label: str
    element: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PluginDescription:
    """One plugin and what it is asked for.

    `name`: its id. `place`: "section" is an accordion that can always be seen, switched on by the flag that `switch`
    names; "script" is chosen in the Script dropdown; "none" shows nothing and always takes part. `tabs`: where it is
    shown. `note`: a line of advice for the form. `before` and `after`: names of plugins that it comes before or after.

    `arguments`: the parameters in the order in which A1111's API gives them, "" for a place that means nothing; empty:
    all in their own order. A name that stands there twice takes the later value, unless that is empty. `numbered`:
    choices that are given by their number there.

    `offers`: parameters that are texts of comma separated values, each with the parameter on whose value it depends
    which values there are to choose from; `offered` returns these. `swaps`: buttons below the fields.
    """

    name: str
    title: str
    parameters: tuple[Parameter, ...] = ()
    place: Place = "none"
    tabs: tuple[Tab, ...] = ("txt2img", "img2img")
    switch: str = ""
    note: str = ""
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    numbered: frozenset[str] = frozenset()
    offers: FrozenMapping[str] = NO_OFFERS
    offered: Callable[[str, ChoiceLists], Sequence[str]] = nothing_offered
    swaps: tuple[Swap, ...] = ()

    def field(self, parameter: Parameter) -> str:
        """Return the form field of a parameter."""
        return f"{self.name}.{parameter.name}"

    def valued(self) -> tuple[Parameter, ...]:
        """Return the parameters that stand in a request: all but the switch."""
        return tuple(parameter for parameter in self.parameters if parameter.name != self.switch)

    def checked(self, values: Mapping[str, object]) -> PluginValues:
        """Return a request's values of this plugin, with its defaults for those that are missing.

        Raises InvalidRequest, naming every field that is wrong.
        """
        problems, parsed = [], dict[str, Value]()
        known = {parameter.name: parameter for parameter in self.valued()}
        for name in values:
            if name not in known and name != self.switch:
                allowed = f"one of {', '.join(known)}" if known else "nothing"
                label = f"{self.title}: {name}"
                problems.append(FieldProblem(f"{self.name}.{name}", label, "an unknown field", allowed))
        for name, parameter in known.items():
            try:
                parsed[name] = parameter.parse(values.get(name, parameter.default))
            except FieldError as error:
                problem = error.problem
                label = f"{self.title}: {problem.label}"
                problems.append(FieldProblem(self.field(parameter), label, problem.value, problem.allowed))
        if problems:
            raise InvalidRequest(problems)
        return FrozenMapping(parsed)

    def by_position(self, given: Sequence[object]) -> dict[str, object]:
        """Return values by name from a list in the API's order; null and what is missing are left to the defaults."""
        names = self.arguments or tuple(parameter.name for parameter in self.parameters)
        values: dict[str, object] = {}
        for name, value in zip(names, given, strict=False):
            if name and value is not None and not (name in values and value in ("", [])):
                values[name] = value
        for parameter in self.parameters:
            number, choices = values.get(parameter.name), parameter.choices
            if parameter.kind == "text" and isinstance(number, (list, tuple)):
                values[parameter.name] = joined_values(number)
            if parameter.name not in self.numbered or not isinstance(number, int) or not isinstance(choices, tuple):
                continue
            values[parameter.name] = choices[number] if 0 <= number < len(choices) else number
        return values


@dataclass(frozen=True, slots=True)
class Expansion:
    """The requests that a plugin made of one."""

    plugin: str
    title: str
    requests: tuple[GenerationRequest, ...]


Expand = Callable[[GenerationRequest, ChoiceLists], Expansion | None]


def unexpanded(request: GenerationRequest, lists: ChoiceLists) -> Expansion | None:
    """Leave a request as it is."""
    return None


class PluginList:
    """The plugins that there are now, for whoever shows them or checks what a request asks of them.

    `expand` returns what a plugin makes of a request before it becomes a job, None where it stays as it is. Raises
    InvalidRequest and PluginFailed.
    """

    def __init__(
        self, descriptions: Callable[[], Iterable[PluginDescription]] = tuple, expand: Expand = unexpanded
    ) -> None:
        """Ask `descriptions` anew each time, since plugins come and go while the server runs."""
        self._descriptions = descriptions
        self.expand = expand

    def __iter__(self) -> Iterator[PluginDescription]:
        return iter(self._descriptions())

    def sections(self, tab: str) -> list[PluginDescription]:
        """Return the accordions of a tab."""
        return [plugin for plugin in self if plugin.place == "section" and tab in plugin.tabs]

    def scripts(self, tab: str) -> list[PluginDescription]:
        """Return what a tab's Script dropdown offers."""
        return [plugin for plugin in self if plugin.place == "script" and tab in plugin.tabs]

    def shown(self, tab: str) -> list[PluginDescription]:
        """Return all plugins that a tab shows fields of."""
        return [*self.sections(tab), *self.scripts(tab)]

    def get(self, name: str) -> PluginDescription | None:
        """Return the plugin of an id."""
        return next((plugin for plugin in self if plugin.name == name), None)

    def script(self, title: str, tab: str) -> PluginDescription | None:
        """Return a tab's script by its title in any case, or by its id."""
        wanted = title.casefold()
        return next((each for each in self.scripts(tab) if wanted in (each.title.casefold(), each.name)), None)

    def section(self, title: str, tab: str) -> PluginDescription | None:
        """Return a tab's accordion by its title in any case, or by its id."""
        wanted = title.casefold()
        return next((each for each in self.sections(tab) if wanted in (each.title.casefold(), each.name)), None)

    def checked(self, extras: Mapping[str, Mapping[str, object]]) -> Extras:
        """Return extras of valid values only; those of plugins that are not there now stay as they are.

        Raises InvalidRequest, naming every field that is wrong.
        """
        problems: list[FieldProblem] = []
        checked: dict[str, PluginValues] = {}
        for name, values in extras.items():
            plugin = self.get(name)
            try:
                checked[name] = plugin.checked(values) if plugin is not None else FrozenMapping(_plain(values))
            except InvalidRequest as error:
                problems += error.problems
        if problems:
            raise InvalidRequest(problems)
        return FrozenMapping(checked)

    def extras_of(self, values: Mapping[str, object], tab: str) -> Extras:
        """Return what a form's values by field ask of the plugins that the tab shows. Raises InvalidRequest."""
        extras: dict[str, dict[str, object]] = {}
        for plugin in self.sections(tab):
            if _on(values.get(f"{plugin.name}.{plugin.switch}")):
                extras[plugin.name] = _own(plugin, values)
        title = str(values.get(SCRIPT_FIELD) or NO_SCRIPT)
        script = self.script(title, tab)
        if script is not None:
            extras[script.name] = _own(script, values)
        elif title != NO_SCRIPT:
            allowed = "one of " + ", ".join([NO_SCRIPT, *(each.title for each in self.scripts(tab))])
            raise InvalidRequest([FieldProblem(SCRIPT_FIELD, "Script", title, allowed)])
        return self.checked(extras) if extras else NO_EXTRAS

    def values_of(self, extras: Mapping[str, Mapping[str, Value]], tab: str) -> dict[str, Value | list[str]]:
        """Return the value of every field that the tab shows of plugins; what `extras` does not name is off."""
        script = next((plugin.title for plugin in self.scripts(tab) if plugin.name in extras), NO_SCRIPT)
        values: dict[str, Value | list[str]] = {SCRIPT_FIELD: script} if self.scripts(tab) else {}
        for plugin in self.shown(tab):
            own = extras.get(plugin.name, {})
            for parameter in plugin.parameters:
                value = plugin.name in extras if parameter.name == plugin.switch else own.get(parameter.name)
                values[plugin.field(parameter)] = form_value(parameter, parameter.default if value is None else value)
        return values

    def infotext_pairs(self, extras: Mapping[str, Mapping[str, Value]]) -> dict[str, str]:
        """Return what infotexts hold of the plugins' values. Raises InvalidRequest when one of these is wrong."""
        pairs: dict[str, str] = {}
        for plugin in self:
            if plugin.name not in extras:
                continue
            if plugin.place == "script":
                pairs[SCRIPT_KEY] = plugin.title
            values = {plugin.switch: True, **plugin.checked(extras[plugin.name])}
            for parameter in plugin.parameters:
                if parameter.infotext is not None:
                    pairs[parameter.infotext] = str(values[parameter.name])
        return pairs

    def infotext_keys(self) -> frozenset[str]:
        """Return every key that the plugins read in infotexts."""
        keys = {parameter.infotext for plugin in self for parameter in plugin.parameters if parameter.infotext}
        return frozenset({SCRIPT_KEY, *keys})

    def extras_of_pairs(self, pairs: Mapping[str, str], tab: str) -> tuple[Extras, list[str]]:
        """Return what an infotext's pairs ask of the plugins that the tab shows, and in words what is wrong of it."""
        extras: dict[str, PluginValues] = {}
        notes: list[str] = []
        for plugin in self.shown(tab):
            if not _asked(plugin, pairs):
                continue
            keys = {parameter.name: parameter.infotext for parameter in plugin.valued() if parameter.infotext in pairs}
            try:
                extras[plugin.name] = plugin.checked({name: pairs[str(key)] for name, key in keys.items()})
            except InvalidRequest as error:
                notes += [str(problem) for problem in error.problems]
        title = pairs.get(SCRIPT_KEY)
        if title and self.script(title, tab) is None:
            notes.append(f"Script: there is no {title} here.")
        return FrozenMapping(extras), notes


def joined_values(values: Iterable[object]) -> str:
    """Return a list as a line of comma separated values."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([str(value) for value in values])
    return line.getvalue()


def form_value(parameter: Parameter, value: Value) -> Value | list[str]:
    """Return a value as a form field holds it: of kind "several" a list, of kind "seed" a text."""
    if parameter.kind == "several":
        return [name.strip() for name in str(value).split(",") if name.strip()]
    return str(value) if parameter.kind == "seed" else value


def _own(plugin: PluginDescription, values: Mapping[str, object]) -> dict[str, object]:
    """Return a plugin's values among a form's. A number box that was emptied holds None, and is refused as a text."""
    fields = {parameter.name: plugin.field(parameter) for parameter in plugin.valued()}
    given = {name: values[field] for name, field in fields.items() if field in values}
    return {name: "" if value is None else value for name, value in given.items()}


def _plain(values: Mapping[str, object]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if isinstance(value, (str, int, float, bool))}


def _on(value: object) -> bool:
    return value is True or str(value).casefold() == "true"


def _asked(plugin: PluginDescription, pairs: Mapping[str, str]) -> bool:
    """Say whether an infotext names a plugin: its title as the script, or its switch."""
    if plugin.place == "script":
        return pairs.get(SCRIPT_KEY, "").casefold() == plugin.title.casefold()
    switch = next((parameter for parameter in plugin.parameters if parameter.name == plugin.switch), None)
    return switch is not None and _on(pairs.get(switch.infotext or ""))
