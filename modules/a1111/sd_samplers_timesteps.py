"""A1111's modules.sd_samplers_timesteps: the samplers that walk over timesteps: DDIM, PLMS and UniPC."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from modules.a1111 import _k_sampling
from modules.a1111._k_external import alphas_of
from modules.a1111._sampler_lists import TIMESTEPS, sampler_data
from modules.a1111.sd_samplers_cfg_denoiser import CFGDenoiser, RunDenoiser, RunVDenoiser
from modules.a1111.sd_samplers_common import Sampler

CompVisTimestepsDenoiser = RunDenoiser
CompVisTimestepsVDenoiser = RunVDenoiser


class CFGDenoiserTimesteps(CFGDenoiser):
    """The denoiser of these samplers; like that of the others it is given noise levels and answers with x0."""

    def __init__(self, sampler: Any) -> None:
        super().__init__(sampler)
        self.mask_before_denoising = True

    @property
    def alphas(self) -> Tensor:
        """The model's cumulated alphas."""
        return alphas_of(getattr(self.sampler, "sd_model", None))


class CompVisSampler(Sampler):
    """A sampler over timesteps."""

    def __init__(self, funcname: Any, sd_model: Any) -> None:
        super().__init__(funcname)
        self.sd_model = sd_model
        self.func = funcname if callable(funcname) else getattr(_k_sampling, funcname)
        self.eta_option_field, self.eta_infotext_field, self.eta_default = "eta_ddim", "Eta DDIM", 0.0
        self.model_wrap_cfg = CFGDenoiserTimesteps(self)


VanillaStableDiffusionSampler = CompVisSampler
samplers_data_timesteps = TIMESTEPS
TIMESTEPS.extend(
    sampler_data(label, lambda model, name=name: CompVisSampler(name, model))
    for name, label in (("ddim", "DDIM"), ("ddim_cfgpp", "DDIM CFG++"), ("plms", "PLMS"), ("unipc", "UniPC"))
)
samplers_timesteps = tuple((data.name, data.name, data.aliases, data.options) for data in TIMESTEPS)
