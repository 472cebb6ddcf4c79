"""A1111's modules.sd_samplers_lcm: the sampler of latent consistency models."""

from __future__ import annotations

from typing import Any

from modules.a1111._k_sampling import sample_lcm
from modules.a1111._sampler_lists import LCM, sampler_data
from modules.a1111.sd_samplers_kdiffusion import CFGDenoiserKDiffusion, KDiffusionSampler


class CFGDenoiserLCM(CFGDenoiserKDiffusion):
    """The denoiser of this sampler."""


class LCMSampler(KDiffusionSampler):
    """The sampler."""

    def __init__(self, funcname: Any, sd_model: Any, options: dict[str, Any] | None = None) -> None:
        super().__init__(funcname, sd_model, options)
        self.model_wrap_cfg = CFGDenoiserLCM(self)


samplers_data_lcm = LCM
LCM.append(sampler_data("LCM", lambda model: LCMSampler(sample_lcm, model)))
samplers_lcm = tuple((data.name, data.name, data.aliases, data.options) for data in LCM)
