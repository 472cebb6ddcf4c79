"""The names that SD 1.x's original files give to the tensors of the diffusers components."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from training.architecture import signal_levels
from training.vocabulary import CONTEXT

UNET = "model.diffusion_model."
VAE = "first_stage_model."
TEXT = "cond_stage_model.transformer."
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
LEVELS = 4


def unet_modules(layers: int) -> dict[str, str]:
    """Diffusers' module names to the original's, for ``layers`` residual blocks per level."""
    names = {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
    }
    per_level = layers + 1
    for level in range(LEVELS):
        for k in range(layers):
            block = f"input_blocks.{per_level * level + k + 1}"
            names[f"down_blocks.{level}.resnets.{k}"] = f"{block}.0"
            names[f"down_blocks.{level}.attentions.{k}"] = f"{block}.1"
        names[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{per_level * (level + 1)}.0.op"
        for k in range(per_level):
            block = f"output_blocks.{per_level * level + k}"
            names[f"up_blocks.{level}.resnets.{k}"] = f"{block}.0"
            names[f"up_blocks.{level}.attentions.{k}"] = f"{block}.1"
        # The first level up has no attention before its upsampler.
        place = 1 if level == 0 else 2
        names[f"up_blocks.{level}.upsamplers.0"] = f"output_blocks.{per_level * level + layers}.{place}"
    return names


def unet_key(key: str, modules: dict[str, str]) -> str:
    """One tensor's original name."""
    module = max((name for name in modules if key.startswith(name + ".")), key=len)
    rest = key[len(module) + 1 :]
    if ".resnets." in module:
        part, _, tensor = rest.partition(".")
        rest = f"{RESNET[part]}.{tensor}"
    return f"{UNET}{modules[module]}.{rest}"


def vae_key(key: str) -> str:
    """One tensor's original name."""
    key = key.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
    key = re.sub(r"down_blocks\.(\d)\.resnets\.", r"down.\1.block.", key)
    key = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", key)
    key = re.sub(r"up_blocks\.(\d)\.resnets\.", lambda m: f"up.{LEVELS - 1 - int(m[1])}.block.", key)
    key = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{LEVELS - 1 - int(m[1])}.upsample", key)
    key = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", key)
    if "mid_block.attentions.0." in key:
        place, part = key.split("mid_block.attentions.0.")
        part, _, tensor = part.rpartition(".")
        key = f"{place}mid.attn_1.{VAE_ATTENTION[part]}.{tensor}"
    return VAE + key


def vae_tensor(key: str, tensor: Tensor) -> Tensor:
    """The original's attention is made of 1 x 1 convolutions."""
    is_matrix = "attentions" in key and tensor.ndim == 2
    return tensor[:, :, None, None] if is_matrix else tensor


def text_key(key: str) -> str:
    """One tensor's original name."""
    return TEXT + (key if key.startswith("text_model.") else f"text_model.{key}")


def single_file_tensors(
    unet: dict[str, Tensor], vae: dict[str, Tensor], text: dict[str, Tensor], layers: int = 2
) -> dict[str, Tensor]:
    """All tensors of a checkpoint in SD 1.x's original layout, from the components' state dicts."""
    modules = unet_modules(layers)
    tensors = {unet_key(key, modules): value for key, value in unet.items()}
    tensors |= {vae_key(key): vae_tensor(key, value) for key, value in vae.items()}
    tensors |= {text_key(key): value for key, value in text.items()}
    tensors[f"{TEXT}text_model.embeddings.position_ids"] = torch.arange(CONTEXT)[None]
    levels = signal_levels()
    tensors["alphas_cumprod"] = levels.float()
    previous = torch.cat([torch.ones(1, dtype=levels.dtype), levels[:-1]])
    tensors["betas"] = (1 - levels / previous).float()
    return tensors
