"""A1111's modules.sd_samplers_timesteps_impl: the functions of the samplers over timesteps."""

from __future__ import annotations

from modules.a1111._k_sampling import ddim, ddim_cfgpp, plms, unipc

__all__ = ["ddim", "ddim_cfgpp", "plms", "unipc"]
