"""A1111's modules.shared_cmd_options: the flags of this process, as A1111 names them."""

from __future__ import annotations

import argparse
from typing import Any

from modules.a1111._host import HOST
from modules.a1111.cmd_args import completed, parser


def _flags() -> argparse.Namespace:
    config = HOST.config
    try:
        flags = parser.parse_args(list(HOST.arguments))
    except SystemExit:
        flags = parser.parse_args([])
    completed(flags, config.data_dir, config.models_dir)
    flags.lowvram, flags.medvram = config.memory_mode == "low", config.memory_mode == "medium"
    flags.medvram_sdxl = config.medvram_sdxl
    flags.no_half, flags.no_half_vae = not config.half, not config.half_vae
    flags.use_cpu = ["all"] if config.use_cpu else []
    flags.device_id = None if config.device_index is None else str(config.device_index)
    flags.port, flags.server_name, flags.share = config.port, config.host, config.share
    flags.listen, flags.gradio_auth, flags.api_auth = bool(config.credentials), None, None
    flags.hide_ui_dir_config, flags.disable_safe_unpickle, flags.api = False, False, True
    flags.loglevel, flags.theme = config.log_level, config.theme
    return flags


def __getattr__(name: str) -> Any:
    """Return the flags, read when they are asked for first after `connect`."""
    if name == "cmd_opts":
        return HOST.state(f"cmd_opts {HOST.config.data_dir} {HOST.arguments}", _flags)
    raise AttributeError(name)
