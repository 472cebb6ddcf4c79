"""The engine for a command. Importing this imports torch, so commands do it once their flags have been checked."""

from __future__ import annotations

from modules.cli import AppConfig
from modules.core.ports import Engine
from modules.engine.memory import DeviceWishes
from modules.engine.service import DiffusionEngine
from modules.library.catalog import CheckpointCatalog


def make_engine(config: AppConfig, catalog: CheckpointCatalog) -> Engine:
    """Return the engine on the device that the command line asks for."""
    wishes = DeviceWishes(
        use_cpu=config.use_cpu,
        device_index=config.device_index,
        half=config.half,
        half_vae=config.half_vae,
        mode=config.memory_mode,
    )
    return DiffusionEngine(catalog, wishes)
