"""A1111's modules.scripts: the scripts of extensions, loaded once, and the two tabs' runners."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import Any

from modules.a1111 import _loader, paths_internal
from modules.a1111._host import HOST
from modules.a1111._loader import LOADED, ScriptClassData, ScriptFile
from modules.a1111._placeholders import calling_files
from modules.a1111._runner import ScriptRunner
from modules.a1111._script_base import (
    AlwaysVisible,
    MaskBlendArgs,
    OnComponent,
    PostprocessBatchListArgs,
    PostprocessImageArgs,
    PostProcessMaskOverlayArgs,
    PostSampleArgs,
    Script,
    ScriptBuiltinUI,
)
from modules.a1111.util import topological_sort

__all__ = [
    "AlwaysVisible", "MaskBlendArgs", "OnComponent", "PostProcessMaskOverlayArgs", "PostSampleArgs",
    "PostprocessBatchListArgs", "PostprocessImageArgs", "Script", "ScriptBuiltinUI", "ScriptClassData", "ScriptFile",
    "ScriptRunner", "topological_sort",
]  # fmt: skip

ScriptWithDependencies = namedtuple(
    "ScriptWithDependencies", ["script_canonical_name", "file", "requires", "load_before", "load_after"]
)
scripts_data = LOADED.scripts
postprocessing_scripts_data = LOADED.postprocessing
scripts_txt2img = LOADED.txt2img
scripts_img2img = LOADED.img2img
scripts_current: ScriptRunner | None = None


def __getattr__(name: str) -> Any:
    """Return the folder of the extension that is being loaded, and the scripts of the Extras tab."""
    if name == "current_basedir":
        return basedir()
    if name == "scripts_postproc":
        return LOADED.extras
    raise AttributeError(name)


def basedir() -> str:
    """Return the folder of the extension that is being loaded; later, that of the extension whose code calls."""
    if LOADED.current_folder:
        return LOADED.current_folder
    for file in calling_files():
        for extension in HOST.extensions:
            if Path(file).is_relative_to(extension.path):
                return str(extension.path)
    return str(paths_internal.script_path)


def list_scripts(scriptdirname: str, extension: str, *, include_extensions: bool = True) -> list[ScriptFile]:
    """Return the files of a kind in the host's and the extensions' folders of that name."""
    return _loader.files_of(scriptdirname, extension) if include_extensions else []


def list_files_with_name(filename: str) -> list[str]:
    """Return the files of a name at the roots of the extensions."""
    places = [extension.path / filename for extension in HOST.extensions]
    return [str(place) for place in places if place.is_file()]


def load_scripts() -> None:
    """Do nothing: scripts are loaded with the server."""


def reload_scripts() -> None:
    """Do nothing: scripts are loaded with the server."""


def reload_script_body_only() -> None:
    """Do nothing: scripts are loaded with the server."""


def wrap_call(func: Any, filename: str, funcname: str, *args: Any, default: Any = None, **kwargs: Any) -> Any:
    """Return what a function gives, or `default` when it fails."""
    with HOST.guarding(_loader.extension_of(filename), "hook", funcname):
        return func(*args, **kwargs)
    return default
