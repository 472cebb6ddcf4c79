"""What stands for a name of A1111's that Easel does not have: it can be imported and passed on, and fails when used."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NoReturn

from modules.core.errors import EaselError

EXTENSIONS = "extensions"
ALTERNATIVES = {
    "modules.sd_hijack_optimizations": "torch's own attention, which Easel always uses",
    "modules.sub_quadratic_attention": "torch's own attention, which Easel always uses",
    "modules.hypernetworks": "modules/networks, which applies hypernetworks named in prompts",
    "modules.textual_inversion": "embeddings by their names in prompts",
    "modules.ui_extensions": "the Extensions tab",
    "modules.ui_settings": "script_callbacks.on_ui_settings",
    "modules.sd_vae": "the option sd_vae",
}
"""What else there is, by the beginning of the name."""
_FILES_REMEMBERED = 4096


class NotInEasel(EaselError, NotImplementedError):
    """Raised when a name of A1111's is used that Easel does not have."""


def placeholder(module: str, name: str) -> Any:
    """Return what stands for `module.name`: a class where A1111 has one, by the look of its name."""
    is_class = name[:1].isupper() and not name.isupper()
    return _missing_class(module, name) if is_class else Missing(f"{module}.{name}")


class Missing:
    """Stands for a function or value; any use of it raises NotInEasel."""

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_easel_name", name)

    def __repr__(self) -> str:
        return f"<{self._easel_name}, which Easel does not have>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        _refuse(f"{self._easel_name}.{name}")

    def __setattr__(self, name: str, value: object) -> None:
        _refuse(f"{self._easel_name}.{name}")

    def __call__(self, *_: object, **__: object) -> NoReturn:
        _refuse(self._easel_name)

    def __getitem__(self, key: object) -> NoReturn:
        _refuse(self._easel_name)

    def __iter__(self) -> NoReturn:
        _refuse(self._easel_name)

    def __bool__(self) -> bool:
        # "if shared.face_restorers:" asks whether there is something, and there is not.
        return False


class _MissingType(type):
    """The type of classes that can be named and derived from, but not made."""

    def __call__(cls, *_: object, **__: object) -> NoReturn:
        _refuse(cls._easel_name)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        _refuse(f"{cls._easel_name}.{name}")


@cache
def _missing_class(module: str, name: str) -> type:
    return _MissingType(name, (), {"_easel_name": f"{module}.{name}", "__module__": module})


def _refuse(name: str) -> NoReturn:
    culprit = calling_extension()
    who = f"The extension {culprit} uses" if culprit else "Something uses"
    instead = next((text for start, text in ALTERNATIVES.items() if name.startswith(start)), "")
    raise NotInEasel(f"{who} {name}, which Easel does not have.{f' There is {instead}.' if instead else ''}")


def calling_files() -> Iterator[str]:
    """Yield the file of the function that asks, of the one that has called it, and so on.

    `inspect.stack` tells them too, but looks through all of sys.modules for each of them.
    """
    frame = inspect.currentframe()
    frame = frame.f_back if frame is not None else None
    while frame is not None:
        yield frame.f_code.co_filename
        frame = frame.f_back


def calling_extension() -> str:
    """Return the folder name of the extension whose code is running, the innermost one; "" where there is none."""
    return next(filter(None, map(_extension_folder, calling_files())), "")


@lru_cache(maxsize=_FILES_REMEMBERED)
def _extension_folder(file: str) -> str:
    parts = Path(file).parts
    return parts[len(parts) - parts[::-1].index(EXTENSIONS)] if EXTENSIONS in parts[:-2] else ""
