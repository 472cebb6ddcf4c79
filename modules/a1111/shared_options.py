"""A1111's modules.shared_options: options that extensions add while they are imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from modules.a1111._host import HOST
from modules.a1111.options import OptionInfo, Options

HIDE_DIRS = MappingProxyType({"visible": True})
hide_dirs = HIDE_DIRS
RESTRICTED: set[str] = set()
restricted_opts = RESTRICTED


class Templates(dict[str, OptionInfo]):
    """`options_templates`: what is put in here is an option at once."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self._options = options

    def __setitem__(self, key: str, info: OptionInfo) -> None:
        super().__setitem__(key, info)
        self._options.add_option(key, info)

    def update(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Add several."""
        given: Mapping[str, OptionInfo] = dict(*args, **kwargs)
        for key, info in given.items():
            self[key] = info


def options() -> Options:
    """Return the one `opts`."""
    return HOST.state("opts", Options)


@contextmanager
def overridden(values: Mapping[str, Any], restore: bool = True) -> Iterator[None]:
    """Have options another value inside, on `opts` alone; afterwards as before, where that is wanted."""
    changed = options().changed_values
    before = {key: changed[key] for key in values if key in changed}
    changed.update(values)
    try:
        yield
    finally:
        if restore:
            for key in values:
                changed.pop(key, None)
            changed.update(before)


def __getattr__(name: str) -> Any:
    """Return the templates, which belong to the one `opts`."""
    if name == "options_templates":
        return HOST.state("options_templates", lambda: Templates(options()))
    raise AttributeError(name)
