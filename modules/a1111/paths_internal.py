"""A1111's modules.paths_internal: the folders, as the command line names them."""

from __future__ import annotations

import os
from pathlib import Path

from modules.a1111._host import HOST
from modules.cli import REPO_ROOT

SCRIPT_PATH = str(REPO_ROOT)
script_path = SCRIPT_PATH
CWD = str(Path.cwd())
cwd = CWD
MODULES_PATH = str(REPO_ROOT / "modules")
modules_path = MODULES_PATH
SD_CONFIGS_PATH = str(REPO_ROOT / "modules" / "engine" / "configs")
sd_configs_path = SD_CONFIGS_PATH
normalized_filepath = os.path.normpath


def __getattr__(name: str) -> object:
    """Return what the command line decides, as it is now."""
    config = HOST.config
    folders = {
        "data_path": config.data_dir,
        "models_path": config.models_dir,
        "extensions_dir": config.data_dir / "extensions",
        "extensions_builtin_dir": config.data_dir / "extensions-builtin",
        "config_states_dir": config.data_dir / "config_states",
        "default_output_dir": config.data_dir / "outputs",
        "sd_model_file": config.checkpoint or "",
        "default_sd_model_file": config.checkpoint or "",
    }
    if name == "commandline_args":
        return " ".join(HOST.arguments)
    if name not in folders:
        raise AttributeError(name)
    return str(folders[name])
