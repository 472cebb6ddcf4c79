"""A1111's modules.paths: the folders, and where other programs' code would lie, which is nowhere here."""

from __future__ import annotations

from types import MappingProxyType

from modules.a1111 import paths_internal
from modules.a1111.paths_internal import modules_path, script_path

sd_path = script_path
PATHS = MappingProxyType({"Stable Diffusion": script_path})
paths = PATHS
path_dirs = ()

__all__ = ["modules_path", "path_dirs", "paths", "script_path", "sd_path"]


def __getattr__(name: str) -> object:
    """Return the folders that the command line decides."""
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(paths_internal, name)


def mute_sdxl_imports() -> None:
    """Do nothing: no foreign code is imported that would have to be kept quiet."""
