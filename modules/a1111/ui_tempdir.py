"""A1111's modules.ui_tempdir: files for the page. Easel's pictures are shown where they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from modules.a1111 import paths_internal


class Savedfile(NamedTuple):
    """A file."""

    name: str


def register_tmp_file(gradio: Any, filename: str) -> None:
    """Do nothing: the folders that may be shown are fixed."""


def check_tmp_file(gradio: Any, filename: str) -> bool:
    """Say whether a file may be shown."""
    return is_gradio_temp_path(filename)


def is_gradio_temp_path(path: str) -> bool:
    """Say whether a file lies below the outputs."""
    return Path(path).resolve().is_relative_to(Path(paths_internal.default_output_dir).resolve())


def install_ui_tempdir_override() -> None:
    """Do nothing."""


def on_tmpdir_changed() -> None:
    """Do nothing."""


def cleanup_tmpdr() -> None:
    """Do nothing."""
