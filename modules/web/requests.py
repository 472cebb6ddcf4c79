"""From what the page holds to a request: the form's fields, the present options, styles and override settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.parameter import Parameter
from modules.core.parameters import PARAMETERS
from modules.core.request import GenerationRequest
from modules.hooks.plugins import NO_SCRIPT, SCRIPT_FIELD
from modules.jobs.model import Purpose
from modules.prompts.styles import StyleBook
from modules.settings.schema import parameter_values
from modules.web.checkpoints import CheckpointChooser
from modules.web.forms import IMG2IMG, TXT2IMG
from modules.web.panels import FOREIGN_FIELD
from modules.web.picture_forms import picture_values, scaled_size
from modules.web.services import WebServices

CHECKPOINT_KEY = "Model hash"
"""The override setting that chooses a checkpoint, by hash or name."""
_OPTION_OF_KEY: Mapping[str, Parameter] = {
    parameter.infotext: parameter
    for parameter in PARAMETERS.values()
    if parameter.option is not None and parameter.infotext is not None
}
"""Infotext key to the parameter, for those that are options and have no field on the form."""


class RequestMaker:
    """Makes requests for the page that shows `services`."""

    def __init__(self, services: WebServices, chooser: CheckpointChooser) -> None:
        self._services = services
        self._chooser = chooser

    def from_values(self, values: Mapping[str, object]) -> GenerationRequest:
        """Return the request of form values by parameter name, with "styles" and "override_settings" if there are any.

        What the img2img page sends besides is in `picture_forms`; a batch gives the pictures by parameter name. A
        number box that was emptied holds None and is refused like any other wrong value. Raises InvalidRequest.
        """
        inputs = self._services.inputs
        given = {name: "" if value is None else value for name, value in values.items() if name in PARAMETERS}
        if values.get("mask_blur_y") is None and "mask_blur_x" in given:
            given["mask_blur_y"] = given["mask_blur_x"]
        given |= picture_values(values, inputs)
        given |= scaled_size(values, str(given.get("init_image", "")), inputs)
        styled = styled_prompts(self._services.styles, given, _texts(values.get("styles")))
        overrides = read_overrides(_texts(values.get("override_settings")))
        current = self._chooser.current()
        tab = IMG2IMG if given.get("init_image") else TXT2IMG
        everything: dict[str, object] = {
            **parameter_values(self._services.settings.all()),
            "checkpoint": current.title if current else "",
            **given,
            **styled,
            **overrides,
            "extras": self._extras(values, tab),
        }
        return GenerationRequest.checked(everything, self._services.lists)

    def _extras(self, values: Mapping[str, object], tab: str) -> Mapping[str, Mapping[str, object]]:
        """Return what the form asks of plugins, and of others who have controls on it. Raises InvalidRequest."""
        foreign = {script.title for script in self._services.panels.scripts(tab)}
        script = values.get(SCRIPT_FIELD)
        chosen = str(script) if script in foreign else ""
        own = {**values, SCRIPT_FIELD: NO_SCRIPT} if chosen else values
        extras = self._services.plugins.extras_of(own, tab)
        arguments = values.get(FOREIGN_FIELD)
        if not isinstance(arguments, str):
            return extras
        return {**extras, FOREIGN_FIELD: {"args": arguments, "script": chosen}}

    def purpose(self) -> Purpose:
        """Return what becomes of the pictures of a job of the page."""
        return Purpose.KEEP if self._services.settings.get("samples_save") else Purpose.UNSAVED


def styled_prompts(book: StyleBook, values: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    """Return the prompts of `values`, by the names of their fields, with styles applied; none without styles.

    The second pass's prompts get them where it has any of its own; one that is empty stays so, and means the first's.
    """
    styled: dict[str, object] = {}
    for fields in (("prompt", "negative_prompt"), ("hr_prompt", "hr_negative_prompt")):
        texts = [values.get(name) or "" for name in fields]
        first = fields[0] == "prompt"
        if not names or not (first or any(texts)):
            continue
        prompt, negative = texts
        # What is no text is refused later, by its field.
        if isinstance(prompt, str) and isinstance(negative, str):
            applied = book.apply(prompt, negative, names)
            pairs = zip(fields, texts, applied, strict=True)
            styled.update({name: text if first or old else "" for name, old, text in pairs})
    return styled


def read_overrides(pairs: Iterable[str]) -> dict[str, object]:
    """Return the parameters that override settings such as "Clip skip: 2" set. Raises InvalidRequest."""
    values: dict[str, object] = {}
    problems = []
    for pair in pairs:
        key, _, value = pair.partition(":")
        parameter = _OPTION_OF_KEY.get(key.strip())
        if parameter is not None:
            values[parameter.name] = value.strip()
        elif key.strip() == CHECKPOINT_KEY:
            values["checkpoint"] = value.strip()
        else:
            allowed = f'"Key: value" with one of the keys {CHECKPOINT_KEY}, {", ".join(_OPTION_OF_KEY)}'
            problems.append(FieldProblem("override_settings", "Override settings", pair, allowed))
    if problems:
        raise InvalidRequest(problems)
    return values


def override_pair(name: str, value: object) -> str:
    """Return the override setting that gives a parameter a value."""
    parameter = PARAMETERS[name]
    return f"{parameter.infotext}: {value}"


def _texts(value: Any) -> list[str]:
    """Return a list of texts as a multiple choice sends it; None is an empty one."""
    if value is None:
        return []
    return [str(each) for each in value] if isinstance(value, (list, tuple)) else [str(value)]
