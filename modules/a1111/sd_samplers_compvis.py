"""A module that A1111 had before version 1.6, for extensions that still import its one class."""

from __future__ import annotations

from modules.a1111.sd_samplers_timesteps import VanillaStableDiffusionSampler

__all__ = ["VanillaStableDiffusionSampler"]
