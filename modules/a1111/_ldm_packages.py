"""The packages `ldm` and `sgm`, for extensions that import them: their classes are those of the view of a model.

Of `open_clip` there is the tokenizer, which is what extensions take of it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import MappingProxyType, ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.a1111 import _ldm_attention, _ldm_layers, _ldm_model, _ldm_schedule, _ldm_text, _ldm_unet, _ldm_vae
from modules.a1111._placeholders import placeholder
from modules.a1111.sd_hijack_open_clip import TOKENIZER
from modules.a1111.sd_hijack_unet import th


def get_obj_from_str(string: str, reload: bool = False) -> Any:
    """Return what a dotted name stands for."""
    module, _, name = string.rpartition(".")
    return getattr(importlib.import_module(module), name)


def instantiate_from_config(config: Mapping[str, Any]) -> Any:
    """Return what a configuration describes: its "target" called with its "params"."""
    return get_obj_from_str(str(config["target"]))(**config.get("params", {}))


def mean_flat(tensor: Tensor) -> Tensor:
    """Return the mean over all dimensions but the first."""
    return tensor.mean(dim=tuple(range(1, tensor.dim())))


def append_dims(x: Tensor, target_dims: int) -> Tensor:
    """Return a tensor with dimensions of one behind it, as many as are wanted in all."""
    return x[(..., *(None,) * (target_dims - x.dim()))]


def count_params(model: nn.Module, verbose: bool = False) -> int:
    """Return how many numbers the weights of a module are."""
    return sum(parameter.numel() for parameter in model.parameters())


def nonlinearity(x: Tensor) -> Tensor:
    """Return the VAE's activation of a tensor."""
    return F.silu(x)


class DiagonalGaussianDistribution:
    """Independent normal distributions: (batch, 2 * channels, …), means and then logarithms of variances."""

    def __init__(self, parameters: Tensor, deterministic: bool = False) -> None:
        self.parameters, self.deterministic = parameters, deterministic
        self.mean, spread = parameters.chunk(2, dim=1)
        self.logvar = spread.clamp(-30.0, 20.0)
        self.std = torch.zeros_like(self.mean) if deterministic else torch.exp(0.5 * self.logvar)
        self.var = self.std**2

    def sample(self) -> Tensor:
        """Return numbers drawn from them."""
        return self.mean + self.std * torch.randn(self.mean.shape, device=self.mean.device, dtype=self.mean.dtype)

    def mode(self) -> Tensor:
        """Return the means."""
        return self.mean


_BASICS = {"exists": _ldm_attention.exists, "default": _ldm_attention.default}
_UTILITIES = {
    **_BASICS, "instantiate_from_config": instantiate_from_config, "get_obj_from_str": get_obj_from_str,
    "mean_flat": mean_flat, "count_params": count_params, "append_dims": append_dims,
}  # fmt: skip
_ATTENTION = {
    **_BASICS,
    **{name: getattr(_ldm_attention, name) for name in (
        "CrossAttention", "MemoryEfficientCrossAttention", "BasicTransformerBlock", "SpatialTransformer", "FeedForward",
        "GEGLU", "Normalize",
    )},
    "zero_module": _ldm_layers.zero_module, "checkpoint": _ldm_layers.checkpoint,
    "XFORMERS_IS_AVAILBLE": False, "XFORMERS_IS_AVAILABLE": False, "SDP_IS_AVAILABLE": True,
}  # fmt: skip
_UTIL = {
    **{name: getattr(_ldm_layers, name) for name in (
        "conv_nd", "avg_pool_nd", "linear", "zero_module", "normalization", "timestep_embedding", "checkpoint",
        "GroupNorm32",
    )},
    **{name: getattr(_ldm_schedule, name) for name in (
        "make_beta_schedule", "make_ddim_timesteps", "extract_into_tensor", "betas_for_alpha_bar", "noise_like",
    )},
    "mean_flat": mean_flat, "SiLU": nn.SiLU, "instantiate_from_config": instantiate_from_config,
}  # fmt: skip
_OPENAI = {
    **_UTIL, **_BASICS, "th": th, "nn": nn, "F": F, "UNetModel": _ldm_unet.UNetModel,
    "SpatialTransformer": _ldm_attention.SpatialTransformer,
    **{name: getattr(_ldm_layers, name) for name in (
        "TimestepBlock", "TimestepEmbedSequential", "ResBlock", "Upsample", "Downsample",
    )},
}  # fmt: skip
_VAE_MODEL = {
    **{name: getattr(_ldm_vae, name) for name in (
        "AttnBlock", "MemoryEfficientAttnBlock", "ResnetBlock", "Upsample", "Downsample", "Encoder", "Decoder",
    )},
    "Normalize": _ldm_attention.Normalize, "nonlinearity": nonlinearity,
}  # fmt: skip
_ENCODERS = {
    name: getattr(_ldm_text, name)
    for name in ("AbstractEncoder", "FrozenCLIPEmbedder", "FrozenOpenCLIPEmbedder", "FrozenOpenCLIPEmbedder2")
}
_CONDITIONERS = {
    "GeneralConditioner": _ldm_model.GeneralConditioner, "AbstractEmbModel": _ldm_text.AbstractEncoder,
    "ConcatTimestepEmbedderND": _ldm_model.ConcatTimestepEmbedderND,
}  # fmt: skip
_DDPM = {
    "LatentDiffusion": _ldm_model.LatentDiffusion, "DDPM": _ldm_model.LatentDiffusion,
    "DiffusionWrapper": _ldm_model.DiffusionWrapper, **_UTIL, **_BASICS,
}  # fmt: skip
_AUTOENCODER = {"AutoencoderKL": _ldm_vae.AutoencoderKL}
_OPEN_CLIP = {"SimpleTokenizer": type(TOKENIZER), "_tokenizer": TOKENIZER, "decode": TOKENIZER.decode}
_GAUSSIAN = {"DiagonalGaussianDistribution": DiagonalGaussianDistribution}
PACKAGES: Mapping[str, Mapping[str, Any]] = MappingProxyType({
    "ldm": {}, "ldm.util": _UTILITIES, "ldm.models": {}, "ldm.models.diffusion": {}, "ldm.modules": {},
    "ldm.models.autoencoder": {**_AUTOENCODER, **_GAUSSIAN}, "ldm.models.diffusion.ddpm": _DDPM,
    "ldm.models.diffusion.ddim": _UTIL, "ldm.models.diffusion.plms": _UTIL, "ldm.models.diffusion.dpm_solver": {},
    "ldm.models.diffusion.sampling_util": {"append_dims": append_dims},
    "ldm.modules.attention": _ATTENTION, "ldm.modules.diffusionmodules": {}, "ldm.modules.ema": {},
    "ldm.modules.diffusionmodules.openaimodel": _OPENAI, "ldm.modules.diffusionmodules.util": _UTIL,
    "ldm.modules.diffusionmodules.model": _VAE_MODEL, "ldm.modules.diffusionmodules.upscaling": {},
    "ldm.modules.distributions": {}, "ldm.modules.distributions.distributions": _GAUSSIAN,
    "ldm.modules.encoders": {}, "ldm.modules.encoders.modules": _ENCODERS, "ldm.modules.midas": {},
    "ldm.modules.midas.api": {}, "ldm.modules.x_transformer": {}, "ldm.data": {}, "ldm.data.util": {},
    "sgm": {}, "sgm.util": _UTILITIES, "sgm.models": {"DiffusionEngine": _ldm_model.DiffusionEngine},
    "sgm.models.diffusion": {"DiffusionEngine": _ldm_model.DiffusionEngine}, "sgm.models.autoencoder": _AUTOENCODER,
    "sgm.modules": _CONDITIONERS, "sgm.modules.attention": _ATTENTION, "sgm.modules.diffusionmodules": {},
    "sgm.modules.diffusionmodules.openaimodel": _OPENAI, "sgm.modules.diffusionmodules.util": _UTIL,
    "sgm.modules.diffusionmodules.model": _VAE_MODEL, "sgm.modules.diffusionmodules.denoiser": {},
    "sgm.modules.diffusionmodules.denoiser_scaling": {}, "sgm.modules.diffusionmodules.discretizer": {},
    "sgm.modules.diffusionmodules.sampling": {}, "sgm.modules.diffusionmodules.wrappers": {},
    "sgm.modules.encoders": {}, "sgm.modules.encoders.modules": {**_ENCODERS, **_CONDITIONERS},
    "open_clip": {"SimpleTokenizer": type(TOKENIZER)}, "open_clip.tokenizer": _OPEN_CLIP,
    "sgm.modules.distributions": {}, "sgm.modules.distributions.distributions": _GAUSSIAN, "sgm.modules.ema": {},
})  # fmt: skip
"""Every module of theirs with what is given of it. Any other name of theirs is a placeholder."""


class Packages:
    """Finds modules that are not there: names to what fills a module."""

    def __init__(self, known: Mapping[str, Callable[[ModuleType], None]]) -> None:
        """Take what fills each module."""
        self.known = known

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Return how a module is made; None for one that is not known here."""
        if fullname not in self.known:
            return None
        spec = ModuleSpec(fullname, _Filling(self.known[fullname]), is_package=True)
        spec.submodule_search_locations = []
        return spec


class _Filling:
    """Makes a module by filling an empty one."""

    def __init__(self, fill: Callable[[ModuleType], None]) -> None:
        self._fill = fill

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the import system."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module."""
        self._fill(module)


def _filling(names: Mapping[str, Any]) -> Callable[[ModuleType], None]:
    def fill(module: ModuleType) -> None:
        vars(module).update(names)

        def answer(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            if f"{module.__name__}.{name}" in PACKAGES:
                return importlib.import_module(f"{module.__name__}.{name}")
            return placeholder(module.__name__, name)

        module.__dict__["__getattr__"] = answer

    return fill


def _filling_with(name: str) -> Callable[[ModuleType], None]:
    """Return what lets a module answer to everything that another one has, of which it is the other name."""

    def fill(module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(name)

    return fill


_NETWORKS = "modules.a1111._lora_networks"
OTHER_NAMES = MappingProxyType({
    "networks": _NETWORKS, "network": "modules.a1111._lora_network",
    "lora": "modules.a1111._lora_names", "extra_networks_lora": "modules.a1111._lora_tag",
    "network_lora": "modules.a1111._lora_network",
})
"""Modules of A1111's built-in extension for LoRA, whose folder is on its sys.path, and those of ours."""
RENAMED = MappingProxyType({"torchvision.transforms.functional_tensor": "torchvision.transforms._functional_tensor"})
"""Old names of other packages' modules that A1111 keeps, for basicsr's sake, and what they are called now."""
FINDER = Packages(MappingProxyType({
    **{name: _filling(names) for name, names in PACKAGES.items()},
    **{name: _filling_with(own) for name, own in (OTHER_NAMES | RENAMED).items()},
}))  # fmt: skip


def offer() -> None:
    """Let `import ldm` and the like work; what is installed, or lies in an extension's own folder, goes before."""
    if FINDER not in sys.meta_path:
        sys.meta_path.append(FINDER)
    networks = sys.modules.get(_NETWORKS)
    if networks is not None:
        networks.connect()
