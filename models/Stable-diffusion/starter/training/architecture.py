"""The three networks: SD 1.x's own classes, scaled down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from training.rendering import SIDE
from training.vocabulary import CONTEXT, END, FULL_SIZE, START

SCALING = 0.18215  # SD1's constant: latents times this have about unit variance
LATENT_SIDE = SIDE // 8
LATENT_CHANNELS = 4


@dataclass(frozen=True)
class Architecture:
    """The sizes. ``*_groups`` are those of the group norms, ``*_heads`` the attention heads of each layer."""

    vae_channels: tuple[int, int, int, int] = (16, 32, 64, 64)
    vae_groups: int = 4
    unet_channels: tuple[int, int, int, int] = (64, 64, 96, 96)
    unet_groups: int = 16
    unet_heads: int = 2
    text_width: int = 80
    text_layers: int = 3
    text_heads: int = 4


SHIPPED = Architecture()
TINY = Architecture((4, 4, 8, 8), 2, (8, 8, 8, 8), 4, 2, 16, 2, 2)


def new_vae(sizes: Architecture) -> AutoencoderKL:
    """An untrained autoencoder of factor 8 with 4 latent channels."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=sizes.vae_channels,
        layers_per_block=2,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=sizes.vae_groups,
        sample_size=SIDE,
        scaling_factor=SCALING,
    )


def new_unet(sizes: Architecture) -> UNet2DConditionModel:
    """An untrained U-Net that predicts the noise. Diffusers' ``attention_head_dim`` is SD1's number of heads."""
    return UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=sizes.unet_channels,
        layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        cross_attention_dim=sizes.text_width,
        attention_head_dim=sizes.unet_heads,
        norm_num_groups=sizes.unet_groups,
    )


def text_config(sizes: Architecture) -> CLIPTextConfig:
    """CLIP's text encoder over the whole vocabulary."""
    return CLIPTextConfig(
        vocab_size=FULL_SIZE,
        hidden_size=sizes.text_width,
        intermediate_size=sizes.text_width * 4,
        projection_dim=sizes.text_width,
        num_hidden_layers=sizes.text_layers,
        num_attention_heads=sizes.text_heads,
        max_position_embeddings=CONTEXT,
        hidden_act="quick_gelu",
        bos_token_id=START,
        eos_token_id=END,
        pad_token_id=END,
    )


def new_text(sizes: Architecture) -> CLIPTextModel:
    """An untrained text encoder with the whole table."""
    return CLIPTextModel(text_config(sizes))


def text_core(text: CLIPTextModel) -> Any:
    """The encoder proper, a module, which older transformers wrap once more."""
    return getattr(text, "text_model", text)


def new_compact_text(sizes: Architecture, vocabulary_size: int, end: int) -> CLIPTextModel:
    """The same with a table of only the used tokens, row 0 being the zero vector of unknown words."""
    text = new_text(sizes)
    table = nn.Embedding(vocabulary_size, sizes.text_width, padding_idx=0)
    nn.init.normal_(table.weight, std=0.05)
    core = text_core(text)
    with torch.no_grad():
        table.weight[0] = 0
        core.embeddings.position_embedding.weight.mul_(0.5)
    core.embeddings.token_embedding = table
    text.config.eos_token_id, text.config.vocab_size = end, vocabulary_size
    return text


def new_head(sizes: Architecture) -> nn.Sequential:
    """The helper that guesses the latent from one context vector: (…, width) to (…, 1024); not exported."""
    out = LATENT_CHANNELS * LATENT_SIDE**2
    return nn.Sequential(nn.Linear(sizes.text_width, 256), nn.GELU(), nn.Linear(256, out))


def encode_text(text: CLIPTextModel, tokens: Tensor, skip: int = 1) -> Tensor:
    """The context, (n, 77, width): the last layer's output, or with ``skip=2`` the one before's ("clip skip")."""
    if skip == 1:
        last: Tensor = text(tokens).last_hidden_state
        return last
    states = text(tokens, output_hidden_states=True).hidden_states
    earlier: Tensor = text_core(text).final_layer_norm(states[-skip])
    return earlier


def signal_levels() -> Tensor:
    """SD1's cumulative products of 1 - beta, (1000,): scaled-linear betas from 0.00085 to 0.012."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0)
