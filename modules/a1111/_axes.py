"""Between the axes that extensions add to A1111's X/Y/Z plot and Easel's own plot, which offers them.

A cell's request names its axes by their labels, with the text that holds the values and the place of the cell's own.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from modules.a1111._host import HOST
from modules.a1111._loader import LOADED, OWN_SCRIPTS
from modules.a1111._making import is_gone
from modules.a1111._processing import StableDiffusionProcessingImg2Img as Img2Img
from modules.a1111._runs import ARGUMENTS, PLUGIN
from modules.a1111._view import Pictures, processing_of
from modules.a1111.shared_options import options
from modules.builtin.xyz_axes import Axis
from modules.builtin.xyz_plot import NAMES, TITLE, XyzPlot
from modules.builtin.xyz_values import MOST_VALUES, AxisError, split_values, with_ranges
from modules.core.errors import EaselError, PluginFailed
from modules.core.extras import FrozenMapping
from modules.core.request import GenerationRequest

logger = logging.getLogger(__name__)
AXES = "axes"
_FILE = str(OWN_SCRIPTS / "xyz_grid.py")


@dataclass(frozen=True, slots=True)
class Told:
    """A value of an axis, as the request names it: the text that it is from, and which of the text's values it is."""

    text: str
    place: int
    value: Any


def connect_plot() -> None:
    """Have Easel's plot offer the axes of extensions."""
    for tab, name in NAMES.items():
        plot = HOST.hooks.plugin(name)
        if isinstance(plot, XyzPlot):
            plot.more_axes = partial(axes_of, tab)


def disconnect_plot() -> None:
    """Have Easel's plot offer its own axes alone."""
    for name in NAMES.values():
        plot = HOST.hooks.plugin(name)
        if isinstance(plot, XyzPlot):
            plot.more_axes = tuple


def axes_of(tab: str) -> tuple[Axis, ...]:
    """Return the axes of extensions that a tab offers.

    Of several with the same label it is the one of the extension that was first, and of its own the last, which belongs
    to the script that is at work now.
    """
    found = [each for each in _added() if _is_for(each, tab)]
    kept = HOST.state(f"axes {tab}", lambda: [[], (), {}])
    if kept[0] != found:
        by_label: dict[str, Any] = {}
        for option in found:
            first = by_label.setdefault(str(option.label), option)
            if option.extension == first.extension:
                by_label[str(option.label)] = option
            _note(option, first)
        kept[:] = found, tuple(map(_axis, by_label.values())), by_label
    return kept[1]


def _added() -> list[Any]:
    module = LOADED.modules.get(_FILE)
    if module is None:
        return []
    own = {id(option) for option in module.OWN_OPTIONS}
    return [each for each in module.axis_options if id(each) not in own and not is_gone(each.making)]


def _is_for(option: Any, tab: str) -> bool:
    """Say whether an axis is offered on a tab: as its class says, and if a tab's script has added it, there."""
    of_class = getattr(option, "is_img2img", tab == "img2img") == (tab == "img2img")
    return of_class and (option.making is None or option.making[0] == tab)


def _chosen(label: str, tab: str) -> Any:
    axes_of(tab)
    return HOST.state(f"axes {tab}", lambda: [[], (), {}])[2].get(label)


def _note(option: Any, first: Any) -> None:
    """Write down that an extension has an axis, or that another one has taken its label."""
    if not option.extension:
        return
    HOST.reports.uses(option.extension, "xyz_grid.axis_options")
    if option is not first and option.extension != first.extension:
        told = f"The axis {option.label} of {TITLE} is {first.extension or 'another'}'s; the one of the same name of"
        for name in {option.extension, first.extension} - {""}:
            HOST.reports.note(name, f"{told} {option.extension} is left out.")


def _axis(option: Any) -> Axis:
    """Return an extension's axis as Easel's plot takes it."""

    def read(text: str) -> list[Any]:
        with _understood(option, text):
            return [Told(text, place, value) for place, value in enumerate(values_of(option, text))]

    def apply(request: GenerationRequest, value: Told, values: Sequence[Told]) -> dict[str, Any]:
        return {"extras": _with_value(request.extras, [str(option.label), value.text, value.place])}

    def show(value: Told) -> str:
        with HOST.guarding(option.extension, "hook", f"axis {option.label}"):
            p = processing_of(GenerationRequest(), Pictures(_no_picture))
            return str(option.format_value(p, option, value.value))
        return f"{option.label}: {value.value}"

    def confirm(request: GenerationRequest, values: Sequence[Told]) -> None:
        if option.confirm is None:
            return
        with _understood(option, values[0].text):
            p = processing_of(request, Pictures(HOST.connected.inputs.load))
            option.confirm(p, [each.value for each in values])

    def choices() -> list[str]:
        with HOST.guarding(option.extension, "hook", f"axis {option.label}"):
            return [str(each) for each in option.choices()] if option.choices is not None else []
        return []

    cost = float(option.cost or 0)
    return Axis(str(option.label), read, apply, show, cost=cost, bare=True, choices=choices, confirm=confirm)


def _no_picture(name: str) -> Any:
    raise FileNotFoundError(name)


def values_of(option: Any, text: str) -> list[Any]:
    """Return the values that a text holds for an axis. Raises AxisError, and whatever the extension raises."""
    if option.prepare is not None:
        given = list(option.prepare(text))
    elif not text.strip() and option.choices is not None:
        raise AxisError("an empty value", "one or more of " + ", ".join(map(str, option.choices())))
    else:
        given = list(split_values(text, keep_empty=option.type is str and bool(text.strip())))
    if option.type in (int, float):
        given = list(with_ranges([str(each) for each in given], option.type is int))
    elif getattr(option.type, "__name__", "") == "str_permutations":
        given = list(itertools.islice(itertools.permutations(given), MOST_VALUES + 1))
    if len(given) > MOST_VALUES:
        raise AxisError(f"{len(given)} values", f"at most {MOST_VALUES}")
    return [option.type(each) for each in given]


@contextmanager
def _understood(option: Any, text: str) -> Iterator[None]:
    """Have what an extension says of values that it refuses be told as the form's own checks are. Raises AxisError."""
    try:
        yield
    except (AxisError, EaselError):
        raise
    except Exception as error:
        logger.info("The axis %s refused its values.", option.label, exc_info=True)
        reason = str(error) or type(error).__name__
        who = f"the extension {option.extension}" if option.extension else "the axis"
        raise AxisError(text or "an empty value", f"what {who} accepts; it says: {reason}") from error


def _with_value(extras: Any, named: list[Any]) -> Any:
    """Return a request's extras with one more axis in them."""
    own = dict(extras.get(PLUGIN, {}))
    own[AXES] = json.dumps([*json.loads(str(own.get(AXES) or "[]")), named], ensure_ascii=False)
    own.setdefault(ARGUMENTS, "")
    return FrozenMapping({**extras, PLUGIN: FrozenMapping(own)})


@contextmanager
def applied(p: Any, text: str) -> Iterator[None]:
    """Give `p` the values that a cell's request names; options that are set by that are as before when the block ends.

    Raises PluginFailed for an axis that is gone, or fails.
    """
    if not text:
        yield
        return
    changed = options().changed_values
    before, during = dict(changed), set[str]()
    try:
        for label, values, place in json.loads(text):
            try:
                _apply(p, str(label), str(values), int(place))
            finally:
                during |= {key for key, value in changed.items() if key not in before or before[key] is not value}
        yield
    finally:
        for key in during:
            changed.pop(key, None)
            if key in before:
                changed[key] = before[key]


def _apply(p: Any, label: str, text: str, place: int) -> None:
    tab = "img2img" if isinstance(p, Img2Img) else "txt2img"
    option = _chosen(label, tab)
    if option is None:
        raise PluginFailed(f"{TITLE}: there is no axis {label} here any more.")
    try:
        values = values_of(option, text)
        option.apply(p, values[place], values)
    except EaselError:
        raise
    except Exception as error:
        HOST.reports.fail(option.extension or "?", "hook", error, f"axis {label}")
        who = f", which is the extension {option.extension}'s," if option.extension else ""
        raise PluginFailed(f"{TITLE}: the axis {label}{who} failed: {error or type(error).__name__}.") from error
