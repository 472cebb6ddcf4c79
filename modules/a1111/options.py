"""A1111's modules.options: `opts` as a live view over Easel's settings, and what an extension says of its options."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from modules.a1111._core_options import CORE_DEFAULTS
from modules.a1111._host import HOST
from modules.a1111._placeholders import calling_extension
from modules.core.errors import EaselError
from modules.settings.schema import OPTIONS, Kind, Option

logger = logging.getLogger(__name__)
LONGEST_TEXT = 1_000_000
"""Characters of an option's text: some hold whole configurations as JSON."""
_OWN = frozenset({"_view", "_changed", "data_labels", "restricted_opts", "typemap"})


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
        return self.info("requires restart")

    def needs_reload_ui(self) -> OptionInfo:
        """Say that a change acts once the page was loaded anew."""
        self.needs_a_restart = True
        return self.info("requires Reload UI")

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
    try:
        arguments = info.arguments()
    except Exception:
        logger.warning("The choices of the option %s cannot be found out.", key, exc_info=True)
        arguments = {}
    choices = _choices(arguments.get("choices"))
    default = list(info.default) if isinstance(info.default, tuple) else info.default
    kind = _kind(default, choices)
    if kind is None or info.do_not_save:
        return None
    section = info.section[1] if info.section and len(info.section) > 1 and info.section[1] else "Extensions"
    numeric = kind in ("integer", "number")
    return Option(
        key,
        info.label or key,
        kind,
        tuple(default) if isinstance(default, list) else "" if default is None else default,
        str(section),
        info.comment_after.strip(),
        choices=choices if kind in ("choice", "names") else (),
        minimum=arguments.get("minimum") if numeric else None,
        maximum=arguments.get("maximum") if numeric else None,
        step=arguments.get("step") or (1 if kind == "integer" else 0.01),
        restart=info.needs_a_restart,
        longest=LONGEST_TEXT,
    )


def _choices(given: Any) -> tuple[str, ...]:
    if not isinstance(given, (list, tuple)):
        return ()
    values = [each[-1] if isinstance(each, (list, tuple)) and each else each for each in given]
    return tuple(values) if all(isinstance(value, str) for value in values) else ()


def _kind(default: Any, choices: tuple[str, ...]) -> Kind | None:
    if isinstance(default, bool):
        return "flag"
    if isinstance(default, int):
        return "integer"
    if isinstance(default, float):
        return "number"
    if isinstance(default, list):
        return "names" if all(isinstance(each, str) and each for each in default) else None
    if default is None:
        return "text"
    if not isinstance(default, str):
        return None
    return "choice" if default in choices else "text"


class Data(MutableMapping[str, Any]):
    """`opts.data`: every option's value under its key. What is set here lasts until `opts.save` writes it."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def __getitem__(self, key: str) -> Any:
        found = self._options.find(key)
        if found is _NOTHING:
            raise KeyError(key)
        return found

    def __setitem__(self, key: str, value: Any) -> None:
        self._options.put(key, value)

    def __delitem__(self, key: str) -> None:
        self._options.changed_values.pop(key, None)

    def clear(self) -> None:
        """Forget what was set: an option has a value at all times, so that none can be taken away."""
        self._options.changed_values.clear()

    def __iter__(self) -> Iterator[str]:
        return iter(self._options.keys())

    def __len__(self) -> int:
        return len(self._options.keys())

    def copy(self) -> dict[str, Any]:
        """Return a copy as a dictionary."""
        return dict(self)


_NOTHING = object()


class Options:
    """`opts`. A value is looked for in what was set and not saved, in Easel's settings, and in the known defaults."""

    typemap: Mapping[type, type] = {int: float}

    def __init__(self) -> None:
        object.__setattr__(self, "_changed", {})
        object.__setattr__(self, "data_labels", {})
        object.__setattr__(self, "restricted_opts", set())
        object.__setattr__(self, "_view", Data(self))

    @property
    def data(self) -> Data:
        """All values by their keys."""
        return self._view

    @property
    def changed_values(self) -> dict[str, Any]:
        """What was set and not saved."""
        return self._changed

    def keys(self) -> list[str]:
        """Return every key that has a value."""
        stored = [] if HOST.services is None else [*HOST.services.settings.contents(), *HOST.services.settings.all()]
        return list(dict.fromkeys([*stored, *self.data_labels, *CORE_DEFAULTS, *self._changed]))

    def find(self, key: str) -> Any:
        """Return a value, or `_NOTHING`."""
        return self._changed[key] if key in self._changed else self._kept(key)

    def put(self, key: str, value: Any) -> None:
        """Give an option a value until `save`; the value that it has without that is nothing to remember."""
        kept = self._kept(key)
        if type(kept) is type(value) and kept == value:
            self._changed.pop(key, None)
        else:
            self._changed[key] = value

    def _kept(self, key: str) -> Any:
        """Return the value that was saved, or else the default, or `_NOTHING`."""
        if HOST.services is not None:
            settings = HOST.services.settings
            values = settings.all()
            if key in values:
                return _outwards(key, values[key])
            contents = settings.contents()
            if key in contents:
                return contents[key]
        if key in self.data_labels:
            return self.data_labels[key].default
        if key in OPTIONS:
            return _outwards(key, OPTIONS[key].default)
        return CORE_DEFAULTS.get(key, _NOTHING)

    def __getattr__(self, item: str) -> Any:
        found = self.find(item)
        if found is _NOTHING:
            raise AttributeError(f"there is no option {item!r}")
        return found

    def __setattr__(self, key: str, value: Any) -> None:
        if key in _OWN:
            object.__setattr__(self, key, value)
        else:
            self._changed[key] = value

    def set(self, key: str, value: Any, is_api: bool = False, run_callbacks: bool = True) -> bool:
        """Give an option a value; returns whether that is another than before. It lasts until `save` writes it."""
        if self.find(key) == value:
            return False
        self._changed[key] = value
        info = self.data_labels.get(key)
        if run_callbacks and info is not None and info.onchange is not None:
            info.onchange()
        return True

    def get_default(self, key: str) -> Any:
        """Return an option's default; None for an unknown one."""
        if key in self.data_labels:
            return self.data_labels[key].default
        if key in OPTIONS:
            return _outwards(key, OPTIONS[key].default)
        return CORE_DEFAULTS.get(key)

    def save(self, filename: str | None = None) -> None:
        """Write what was set. A value that Easel's settings refuse stays in memory, and the log says why.

        What is no option of theirs, since it holds a dictionary or was never added, is written beside the options.
        """
        settings = HOST.connected.settings
        known = settings.options()
        for key, value in list(self._changed.items()):
            if getattr(self.data_labels.get(key), "do_not_save", False):
                continue
            try:
                if key in known:
                    settings.update({key: value})
                else:
                    settings.keep({key: value})
                self._changed.pop(key, None)
            except (EaselError, TypeError, ValueError) as error:
                logger.warning("The option %s was not saved. %s", key, error)

    def load(self, filename: str | None = None) -> None:
        """Forget what was set and not saved."""
        self._changed.clear()

    def onchange(self, key: str, func: Callable[[], Any], call: bool = True) -> None:
        """Call `func` when the option changes, and now if `call`."""
        info = self.data_labels.setdefault(key, OptionInfo(self.get_default(key), key))
        info.onchange = func
        if call:
            func()

    def add_option(self, key: str, info: OptionInfo) -> None:
        """Make an option known: it is in Easel's settings from now on."""
        self.data_labels[key] = info
        culprit = calling_extension()
        if culprit:
            HOST.reports.claim(culprit, "option", key)
        option = described(key, info)
        if option is not None and HOST.services is not None:
            HOST.services.settings.declare([option])

    def reorder(self) -> None:
        """Do nothing: the Settings tab has an order of its own."""

    def dumpjson(self) -> str:
        """Return all values as JSON."""
        return json.dumps(dict(self.data), default=str)

    def same_type(self, x: Any, y: Any) -> bool:
        """Say whether two values may stand for one another."""
        if x is None or y is None:
            return True
        types = [self.typemap.get(type(each), type(each)) for each in (x, y)]
        return types[0] is types[1]

    def cast_value(self, key: str, value: Any) -> Any:
        """Return a value in the type of the option's default."""
        default = self.get_default(key)
        if default is None or value is None:
            return value
        if isinstance(default, bool):
            return value not in ("False", "false", False, 0)
        return type(default)(value) if isinstance(default, (int, float, str)) else value


def _outwards(key: str, value: Any) -> Any:
    """Return a value of Easel's settings as A1111 has it: lists for names, folders below the host's root."""
    if isinstance(value, tuple):
        return list(value)
    if key in ("outdir_txt2img_samples", "outdir_img2img_samples"):
        return str(HOST.config.data_dir / "outputs" / str(value))
    return value


def told(options: Options, changes: Mapping[str, Any]) -> None:
    """Call what extensions want called when options change; each error stays with its extension.

    What an extension has set and not saved no longer counts for these.
    """
    for key in changes:
        options.changed_values.pop(key, None)
        info = options.data_labels.get(key)
        if info is not None and info.onchange is not None:
            try:
                info.onchange()
            except Exception:
                logger.exception("What is to happen when the option %s changes failed.", key)
