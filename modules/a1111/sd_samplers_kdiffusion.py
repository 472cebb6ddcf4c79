"""A1111's modules.sd_samplers_kdiffusion: the samplers that walk over noise levels."""

from __future__ import annotations

import inspect
from types import MappingProxyType
from typing import Any

from torch import Tensor

from modules.a1111 import _k_sampling
from modules.a1111._k_external import alphas_of
from modules.a1111._sampler_lists import K_DIFFUSION, sampler_data
from modules.a1111.sd_samplers_cfg_denoiser import CFGDenoiser
from modules.a1111.sd_samplers_common import Sampler
from modules.sampling import registry
from modules.sampling.denoisers import NoiseLevels
from modules.sampling.passes import plan_pass

SAMPLER_EXTRA_PARAMS: dict[str, list[str]] = {
    "sample_euler": ["s_churn", "s_tmin", "s_tmax", "s_noise"],
    "sample_heun": ["s_churn", "s_tmin", "s_tmax", "s_noise"],
    "sample_dpm_2": ["s_churn", "s_tmin", "s_tmax", "s_noise"],
    "sample_dpm_fast": ["s_noise"],
    "sample_dpm_2_ancestral": ["s_noise"],
    "sample_dpmpp_2s_ancestral": ["s_noise"],
    "sample_dpmpp_sde": ["s_noise"],
    "sample_dpmpp_2m_sde": ["s_noise"],
    "sample_dpmpp_3m_sde": ["s_noise"],
}
sampler_extra_params = SAMPLER_EXTRA_PARAMS


class CFGDenoiserKDiffusion(CFGDenoiser):
    """The denoiser of these samplers."""


class KDiffusionSampler(Sampler):
    """A sampler of k-diffusion's kind. A function of an extension's own is walked with; else the engine's is."""

    def __init__(self, funcname: Any, sd_model: Any, options: dict[str, Any] | None = None) -> None:
        super().__init__(funcname)
        name = funcname if isinstance(funcname, str) else getattr(funcname, "__name__", "")
        self.sd_model = sd_model
        self.options = options or {}
        self.func = funcname if callable(funcname) else getattr(_k_sampling, name)
        self.extra_params = list(sampler_extra_params.get(name, []))
        self.model_wrap_cfg = CFGDenoiserKDiffusion(self)

    @property
    def model_wrap(self) -> Any:
        """The network with its noise levels."""
        return self.model_wrap_cfg.inner_model

    @model_wrap.setter
    def model_wrap(self, value: Any) -> None:
        if value is not None:
            self.model_wrap_cfg.model_wrap = value

    def initialize(self, p: Any) -> dict[str, Any]:
        """Take over what `p` says; returns arguments of the sampling function."""
        given = super().initialize(p)
        wanted = inspect.signature(self.func).parameters
        if "eta" in wanted:
            given["eta"] = self.eta
        return {name: value for name, value in given.items() if name in wanted}

    def get_sigmas(self, p: Any, steps: int) -> Tensor:
        """Return the noise levels of a first pass, falling."""
        label = _k_sampling.label_of(self.func) or registry.SAMPLERS[0].label
        known = registry.find_schedule(p.scheduler or "")
        sampler, schedule = registry.resolve(label, known.label if known is not None else registry.AUTOMATIC)
        return plan_pass(sampler, schedule, NoiseLevels(alphas_of(self.sd_model)), int(steps)).sigmas


samplers_data_k_diffusion = K_DIFFUSION
K_DIFFUSION.extend(
    sampler_data(label, lambda model, name=name: KDiffusionSampler(name, model))
    for name, label in (
        ("sample_dpmpp_2m", "DPM++ 2M"), ("sample_dpmpp_sde", "DPM++ SDE"), ("sample_dpmpp_2m_sde", "DPM++ 2M SDE"),
        ("sample_dpmpp_2m_sde_heun", "DPM++ 2M SDE Heun"), ("sample_dpmpp_2s_ancestral", "DPM++ 2S a"),
        ("sample_dpmpp_3m_sde", "DPM++ 3M SDE"), ("sample_euler_ancestral", "Euler a"), ("sample_euler", "Euler"),
        ("sample_lms", "LMS"), ("sample_heun", "Heun"), ("sample_dpm_2", "DPM2"), ("sample_dpm_2_ancestral", "DPM2 a"),
        ("sample_dpm_fast", "DPM fast"), ("sample_dpm_adaptive", "DPM adaptive"), ("restart_sampler", "Restart"),
        ("sample_heunpp2", "HeunPP2"), ("sample_ipndm", "IPNDM"), ("sample_ipndm_v", "IPNDM_V"),
        ("sample_deis", "DEIS"),
    )
)  # fmt: skip
samplers_k_diffusion = tuple(
    (data.name, data.name, data.aliases, data.options) for data in K_DIFFUSION
)
K_DIFFUSION_SAMPLERS_MAP = MappingProxyType({data.name: data for data in K_DIFFUSION})
k_diffusion_samplers_map = K_DIFFUSION_SAMPLERS_MAP
