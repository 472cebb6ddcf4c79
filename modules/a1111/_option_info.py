"""What an extension says of one of its options, and how Easel's settings have it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Any

from modules.settings.schema import Kind, Look, Option

logger = logging.getLogger(__name__)
LONGEST_TEXT = 1_000_000
"""Characters of an option's text: some hold whole configurations as JSON."""
LOOKS: Mapping[str, Look] = {"Slider": "slider", "ColorPicker": "colour", "HTML": "note"}
"""What a component of Gradio is in the Settings tab, where the kind of the value does not say it."""
RESTARTS = ("requires restart", "requires Reload UI")
SEPARATE = frozenset({"br", "p", "div", "li", "ul", "tr", "h1", "h2", "h3", "h4"})


class OptionInfo:
    """What an extension says of one option; the Settings tab shows it from `opts.add_option` on."""

    def __init__(  # noqa: PLR0913 (the names are A1111's)
        self,
        default: Any = None,
        label: str = "",
        component: Any = None,
        component_args: Any = None,
        onchange: Callable[[], Any] | None = None,
        section: Any = None,
        refresh: Any = None,
        comment_before: str = "",
        comment_after: str = "",
        infotext: str | None = None,
        restrict_api: bool = False,
        category_id: str | None = None,
    ) -> None:
        self.default = default
        self.label = label
        self.component = component
        self.component_args = component_args
        self.onchange = onchange
        self.section = section
        self.category_id = category_id
        self.refresh = refresh
        self.do_not_save = False
        self.comment_before = comment_before
        self.comment_after = comment_after
        self.infotext = infotext
        self.restrict_api = restrict_api
        self.needs_a_restart = False

    def link(self, label: str, uri: str) -> OptionInfo:
        """Add a link before the label."""
        self.comment_before += f"[<a href='{uri}' target='_blank'>{label}</a>]"
        return self

    def js(self, label: str, js_func: str) -> OptionInfo:
        """Add a link that calls a function of the page."""
        self.comment_before += f"[<a onclick='{js_func}(); return false'>{label}</a>]"
        return self

    def info(self, info: str) -> OptionInfo:
        """Add a text behind the label."""
        self.comment_after += f" ({info})"
        return self

    def html(self, html: str) -> OptionInfo:
        """Add HTML behind the label."""
        self.comment_after += html
        return self

    def needs_restart(self) -> OptionInfo:
        """Say that a change acts after the next start."""
        self.needs_a_restart = True
        return self.info(RESTARTS[0])

    def needs_reload_ui(self) -> OptionInfo:
        """Say that a change acts once the page was loaded anew."""
        self.needs_a_restart = True
        return self.info(RESTARTS[1])

    def arguments(self) -> dict[str, Any]:
        """Return the component's arguments as they are now."""
        given = self.component_args() if callable(self.component_args) else self.component_args
        return dict(given or {})


class OptionHTML(OptionInfo):
    """A text between options."""

    def __init__(self, text: str) -> None:
        super().__init__(str(text).strip(), label="", component=None)
        self.do_not_save = True


def options_section(section_identifier: Any, options_dict: dict[str, OptionInfo]) -> dict[str, OptionInfo]:
    """Return the options, all of them in one section: (id, title) or (id, title, category)."""
    for info in options_dict.values():
        info.section = section_identifier[:2]
        if len(section_identifier) > 2:
            info.category_id = section_identifier[2]
    return options_dict


def described(key: str, info: OptionInfo) -> Option | None:
    """Return an option as Easel's settings have it; None for a value that they cannot hold."""
    arguments = _arguments(key, info)
    choices = _choices(arguments.get("choices"))
    default = list(info.default) if isinstance(info.default, tuple) else info.default
    component = _component(info)
    # A list that may be another one later does not say which values are possible.
    kind = _kind(default, choices if isinstance(info.component_args, dict) else (), arguments, component)
    if kind is None:
        return None
    section = info.section[1] if info.section and len(info.section) > 1 and info.section[1] else "Extensions"
    numeric = kind in ("integer", "number")
    note = info.do_not_save or component == "HTML"
    look: Look = "hidden" if arguments.get("visible") is False else "note" if note else LOOKS.get(component, "plain")
    return Option(
        key,
        plain_text(str(info.label or default)) if note else info.label or key,
        kind,
        tuple(default) if isinstance(default, list) else "" if default is None else default,
        str(section),
        " ".join(filter(None, (plain_text(info.comment_before), _comment(info)))),
        choices=choices,
        minimum=arguments.get("minimum") if numeric else None,
        maximum=arguments.get("maximum") if numeric else None,
        step=arguments.get("step") or (1 if kind == "integer" else 0.01),
        restart=info.needs_a_restart,
        longest=LONGEST_TEXT,
        look=look,
        lines=_lines(arguments, component),
        refreshes=info.refresh is not None,
    )


def may_change(info: OptionInfo) -> bool:
    """Say whether an option's choices may be others the next time that they are asked for."""
    return callable(info.component_args) or info.refresh is not None


def plain_text(markup: str) -> str:
    """Return what HTML says, with the addresses of its links behind their words."""
    reader = _Words()
    reader.feed(markup)
    reader.close()
    return " ".join("".join(reader.parts).split())


class _Words(HTMLParser):
    """Gathers the words of HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._address = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in SEPARATE:
            self.parts.append(" ")
        if tag == "a":
            address = dict(attrs).get("href") or ""
            self._address = address if address.startswith(("https://", "http://")) else ""

    def handle_endtag(self, tag: str) -> None:
        if tag in SEPARATE:
            self.parts.append(" ")
        if tag == "a" and self._address:
            self.parts.append(f" ({self._address})")
            self._address = ""

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def _arguments(key: str, info: OptionInfo) -> dict[str, Any]:
    try:
        return info.arguments()
    except Exception:
        logger.warning("The choices of the option %s cannot be found out.", key, exc_info=True)
        return {}


def _comment(info: OptionInfo) -> str:
    """Return what stands behind the label, but for what the row itself says of a restart."""
    text = info.comment_after
    for said in RESTARTS if info.needs_a_restart else ():
        text = text.replace(f"({said})", "")
    return plain_text(text)


def _component(info: OptionInfo) -> str:
    return str(getattr(info.component, "__name__", "") or "")


def _lines(arguments: Mapping[str, Any], component: str) -> int:
    """Return how many lines of a text are seen at once."""
    given = arguments.get("lines")
    lines = given if isinstance(given, int) and given > 0 else 1
    return max(lines, 8) if component == "Code" else lines


def _choices(given: Any) -> tuple[str, ...]:
    if not isinstance(given, (list, tuple)):
        return ()
    values = [each[-1] if isinstance(each, (list, tuple)) and each else each for each in given]
    return tuple(values) if all(isinstance(value, str) for value in values) else ()


def _kind(default: Any, choices: tuple[str, ...], arguments: Mapping[str, Any], component: str) -> Kind | None:
    if isinstance(default, bool):
        return "flag"
    if isinstance(default, int):
        return "number" if _takes_fractions(arguments, component) else "integer"
    if isinstance(default, float):
        return "number"
    if isinstance(default, list):
        return "names" if all(isinstance(each, str) and each for each in default) else None
    if default is None:
        return "text"
    if not isinstance(default, str):
        return None
    return "choice" if default in choices else "text"


def _takes_fractions(arguments: Mapping[str, Any], component: str) -> bool:
    """Say whether a component whose first value is whole takes others too."""
    if component == "Number":
        return arguments.get("precision") != 0
    return any(isinstance(arguments.get(name), float) and arguments[name] % 1 for name in ("minimum", "step"))
