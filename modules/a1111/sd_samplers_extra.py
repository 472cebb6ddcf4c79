"""A1111's modules.sd_samplers_extra: Restart sampling."""

from __future__ import annotations

from modules.a1111._k_sampling import restart_sampler

__all__ = ["restart_sampler"]
