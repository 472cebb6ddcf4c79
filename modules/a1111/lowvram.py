"""A1111's modules.lowvram. Easel's engine moves its own parts (engine/memory.py), so there is nothing to move here."""

from __future__ import annotations

from typing import Any

import torch

from modules.a1111._host import HOST

CPU = torch.device("cpu")
cpu = CPU
module_in_gpu = None


def send_everything_to_cpu() -> None:
    """Do nothing: the engine makes room by itself when the memory runs out."""


def is_needed(sd_model: Any) -> bool:
    """Say whether models are held in parts."""
    return HOST.config.memory_mode != "normal"


def is_enabled(sd_model: Any) -> bool:
    """Say whether models are held in parts."""
    return HOST.config.memory_mode != "normal"


def apply(sd_model: Any) -> None:
    """Do nothing."""


def setup_for_low_vram(sd_model: Any, use_medvram: bool) -> None:
    """Do nothing."""
