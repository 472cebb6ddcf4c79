"""A1111's modules.options: `opts` as a live view over Easel's settings, and what an extension says of its options."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import partial
from typing import Any

from modules.a1111._core_options import CORE_DEFAULTS
from modules.a1111._host import HOST
from modules.a1111._option_info import OptionHTML as OptionHTML
from modules.a1111._option_info import OptionInfo, described, may_change
from modules.a1111._option_info import options_section as options_section
from modules.a1111._placeholders import calling_extension
from modules.core.errors import EaselError, PluginFailed
from modules.settings.schema import OPTIONS, Option

logger = logging.getLogger(__name__)
_OWN = frozenset({"_view", "_changed", "data_labels", "restricted_opts", "typemap"})


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
                return self._as_declared(key, _outwards(key, values[key]))
            contents = settings.contents()
            if key in contents:
                return contents[key]
        if key in self.data_labels:
            return self.data_labels[key].default
        if key in OPTIONS:
            return _outwards(key, OPTIONS[key].default)
        return CORE_DEFAULTS.get(key, _NOTHING)

    def _as_declared(self, key: str, value: Any) -> Any:
        """Return a whole number as one, where the extension's own default is one: it may count with it."""
        default = getattr(self.data_labels.get(key), "default", None)
        whole = isinstance(default, int) and isinstance(value, float) and value.is_integer()
        return int(value) if whole else value

    def __getattr__(self, item: str) -> Any:
        found = self.find(item)
        if found is _NOTHING:
            raise AttributeError(f"there is no option {item!r}")
        return found

    def __setattr__(self, key: str, value: Any) -> None:
        if key in _OWN:
            object.__setattr__(self, key, value)
        else:
            self.put(key, value)

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
            renewals = {key: partial(_renewed, culprit, key, info)} if may_change(info) else {}
            HOST.services.settings.declare([option], renewals)

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


def _renewed(extension: str, key: str, info: OptionInfo, refresh: bool) -> Option | None:
    """Return an option with its choices of now, for which its extension may look anew before.

    Raises PluginFailed with what the extension raised.
    """
    if refresh and info.refresh is not None:
        try:
            info.refresh()
        except Exception as error:
            logger.exception("Refreshing the option %s failed.", key)
            said = f"{type(error).__name__}: {error}"
            who = extension or "An extension"
            raise PluginFailed(f"{who} could not refresh {info.label or key}. {said}") from error
    return described(key, info)


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
