"""The few functions of torchvision that extensions call while they are checked; the rest can be imported, not used.

Only for tests/community/check.py, on machines where torchvision is not installed.
"""

import importlib.abc
import importlib.machinery
import sys
from types import ModuleType
from typing import Any

__version__ = "0.26.0"


class _Missing:
    """Stands for a class or function that the check has no need of."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("This is the check's stand-in for torchvision: install the real one.")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes every module below torchvision that has no file here."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if not fullname.startswith("torchvision."):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: Any) -> ModuleType:
        module = ModuleType(spec.name)
        module.__dict__["__getattr__"] = _answer
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


def _answer(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (_Missing,), {})


def __getattr__(name: str) -> Any:
    return _answer(name)


sys.meta_path.append(_Finder())
