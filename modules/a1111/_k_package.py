"""The package `k_diffusion`, for extensions that import it, made of modules of ours."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from modules.a1111 import _k_external, _k_sampling, _k_utils

PACKAGE = "k_diffusion"
_PARTS = (("sampling", _k_sampling), ("external", _k_external), ("utils", _k_utils))


def offer() -> None:
    """Let `import k_diffusion` work; a package of that name that somebody installed goes before."""
    if PACKAGE in sys.modules or importlib.util.find_spec(PACKAGE) is not None:
        return
    package = ModuleType(PACKAGE, "k-diffusion's names over Easel's samplers.")
    package.__path__ = []
    for name, module in _PARTS:
        setattr(package, name, module)
        sys.modules[f"{PACKAGE}.{name}"] = module
    sys.modules[PACKAGE] = package
