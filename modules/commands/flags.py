"""The flags that the commands share with the server: where things lie, and what computes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from modules.cli import AppConfig, parse_arguments

VALUE_FLAGS = {
    "--data-dir": ("DIR", "where settings and models lie"),
    "--models-dir": ("DIR", "default: models in the data folder"),
    "--ckpt-dir": ("DIR", "one more folder with checkpoints"),
    "--ui-settings-file": ("FILE", "default: config.json in the data folder"),
    "--device-id": ("N", "which GPU, counted from 0"),
}
SWITCHES = {
    "--use-cpu": "no GPU, even where there is one",
    "--no-half": "32-bit floats throughout",
    "--no-half-vae": "32-bit floats in the VAE",
    "--medvram": "less GPU memory, somewhat slower",
    "--lowvram": "least GPU memory, much slower",
}


def add_server_flags(parser: argparse.ArgumentParser) -> None:
    """Give a command's parser the flags above; their values are checked by the server's own parser."""
    group = parser.add_argument_group("folders and devices, as for the server")
    for flag, (metavar, text) in VALUE_FLAGS.items():
        group.add_argument(flag, action="append", default=[], metavar=metavar, help=text)
    for flag, text in SWITCHES.items():
        group.add_argument(flag, action="store_true", help=text)


def config_from(flags: argparse.Namespace) -> AppConfig:
    """Return what the flags above ask for; leaves with exit code 2 when one is wrong."""
    arguments: list[str] = []
    for flag in VALUE_FLAGS:
        values: Sequence[str] = getattr(flags, _name(flag))
        arguments += [part for value in values for part in (flag, value)]
    arguments += [flag for flag in SWITCHES if getattr(flags, _name(flag))]
    return parse_arguments(arguments)


def _name(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")
