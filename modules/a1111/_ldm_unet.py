"""The engine's U-Net as Stable Diffusion's first code has it, and how the engine's calls go through that view.

The view shares every layer with diffusers' network and computes what that does, bit for bit. While it is in use the
engine's calls go through it, so that whatever an extension replaces in it acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from modules.a1111._ldm_attention import SpatialTransformer
from modules.a1111._ldm_layers import (
    Downsample,
    ResBlock,
    TimestepEmbedSequential,
    Upsample,
    bare,
    beside,
    timestep_embedding,
)
from modules.a1111._placeholders import NotInEasel
from modules.a1111.sd_hijack_unet import th

_BLOCKS = frozenset({
    "DownBlock2D", "CrossAttnDownBlock2D", "UNetMidBlock2DCrossAttn", "UNetMidBlock2D", "UpBlock2D",
    "CrossAttnUpBlock2D",
})
"""The kinds of blocks that the first code has too."""
NEEDED = ("sample", "timestep", "encoder_hidden_states")
KNOWN = frozenset({*NEEDED, "timestep_cond", "added_cond_kwargs", "return_dict"})
"""What the engine gives its U-Net."""


class UNetModel(nn.Module):
    """The U-Net. `forward` and every part may be replaced; `input_blocks` and the like are as published."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()
        raise NotInEasel("A U-Net of Stable Diffusion's first code cannot be built in Easel, only looked at.")

    @classmethod
    def of(cls, unet: Any) -> UNetModel:
        """Return the view of one of diffusers'. Raises NotInEasel for one that the first code cannot be."""
        kinds = {type(block).__name__ for block in (*unet.down_blocks, unet.mid_block, *unet.up_blocks)}
        if not kinds <= _BLOCKS:
            raise NotInEasel(f"This U-Net has blocks of its own kind ({', '.join(sorted(kinds - _BLOCKS))}).")
        made = bare(cls)
        embedding = unet.time_embedding
        made.time_embed = nn.Sequential(embedding.linear_1, embedding.act, embedding.linear_2)
        beside(made, "told_guidance", getattr(embedding, "cond_proj", None))
        if getattr(unet, "add_embedding", None) is not None:
            added = unet.add_embedding
            made.label_emb = nn.Sequential(nn.Sequential(added.linear_1, added.act, added.linear_2))
        made.input_blocks = nn.ModuleList([TimestepEmbedSequential(unet.conv_in), *_input_blocks(unet)])
        made.middle_block = _middle_block(unet.mid_block)
        made.output_blocks = nn.ModuleList(_output_blocks(unet))
        made.out = nn.Sequential(unet.conv_norm_out, unet.conv_act, unet.conv_out)
        _describe(made, unet)
        return made

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the weights."""
        return self.out[-1].weight.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.out[-1].weight.device

    def forward(
        self, x: Tensor, timesteps: Tensor | None = None, context: Tensor | None = None, y: Tensor | None = None,
        timestep_cond: Tensor | None = None, **_: Any,
    ) -> Tensor:  # fmt: skip
        """Return what the network predicts: (batch, 4, rows, columns).

        `x`: (batch, channels, rows, columns), scaled as the network wants it; `timesteps`: (batch,); `context`: (batch,
        tokens, width); `y`: (batch, width), what SDXL is told besides; `timestep_cond`: (batch, numbers), the CFG
        scale, for networks that are told of it.
        """
        told = timestep_embedding(timesteps, self.model_channels).to(x.dtype)
        if timestep_cond is not None and self.told_guidance is not None:
            told = told + self.told_guidance(timestep_cond)
        emb = self.time_embed(told)
        if y is not None and self.num_classes is not None:
            emb = emb + self.label_emb(y.to(emb.dtype))
        hs: list[Tensor] = []
        h = x.type(self.dtype)
        for module in self.input_blocks:
            h = module(h, emb, context)
            hs.append(h)
        h = self.middle_block(h, emb, context)
        odd = any(side % 2 ** (len(self.channel_mult) - 1) for side in x.shape[-2:])
        for module in self.output_blocks:
            h = th.cat([h, hs.pop()], dim=1)
            _tell_size(module, hs[-1].shape[-2:] if odd and hs else None)
            h = module(h, emb, context)
        return self.out(h.type(x.dtype))


def _tell_size(module: nn.Module, size: Any) -> None:
    """Tell a block that enlarges how large the next skip connection is, where that is not twice as large."""
    for layer in module.children():
        if "output_size" in vars(layer):
            layer.__dict__["output_size"] = None if size is None else tuple(size)


def _input_blocks(unet: Any) -> list[nn.Module]:
    made: list[nn.Module] = []
    for block in unet.down_blocks:
        attentions = getattr(block, "attentions", None)
        for place, residual in enumerate(block.resnets):
            made.append(_joined(residual, attentions[place] if attentions is not None else None))
        made += [TimestepEmbedSequential(Downsample.of(layer)) for layer in block.downsamplers or ()]
    return made


def _middle_block(block: Any) -> nn.Module:
    layers: list[nn.Module] = [ResBlock.of(block.resnets[0])]
    for attention, residual in zip(block.attentions, list(block.resnets)[1:], strict=True):
        layers += [SpatialTransformer.of(attention)] if attention is not None else []
        layers.append(ResBlock.of(residual))
    return TimestepEmbedSequential(*layers)


def _output_blocks(unet: Any) -> list[nn.Module]:
    made: list[nn.Module] = []
    for block in unet.up_blocks:
        attentions = getattr(block, "attentions", None)
        for place, residual in enumerate(block.resnets):
            made.append(_joined(residual, attentions[place] if attentions is not None else None))
        for layer in block.upsamplers or ():
            made[-1].append(Upsample.of(layer))
    return made


def _joined(residual: Any, attention: Any) -> nn.Module:
    layers: list[nn.Module] = [ResBlock.of(residual)]
    if attention is not None:
        layers.append(SpatialTransformer.of(attention))
    return TimestepEmbedSequential(*layers)


def _describe(made: UNetModel, unet: Any) -> None:
    """Give a view the numbers that the first code keeps."""
    config = unet.config
    widths = list(config.block_out_channels)
    made.in_channels, made.out_channels = int(config.in_channels), int(config.out_channels)
    made.model_channels = widths[0]
    made.channel_mult = tuple(width // widths[0] for width in widths)
    made.num_res_blocks = [int(config.layers_per_block)] * len(widths)
    made.attention_resolutions = [
        2**level for level, block in enumerate(unet.down_blocks) if getattr(block, "attentions", None) is not None
    ]
    made.num_classes = "sequential" if hasattr(made, "label_emb") else None
    made.context_dim = config.cross_attention_dim
    attention = next((module for module in made.modules() if isinstance(module, SpatialTransformer)), None)
    made.num_heads = attention.transformer_blocks[0].attn1.heads if attention is not None else -1
    made.num_head_channels = attention.transformer_blocks[0].attn1.dim_head if attention is not None else -1
    made.dropout, made.conv_resample, made.use_checkpoint = 0.0, True, False
    made.predict_codebook_ids, made.image_size, made.default_eps = False, 32, False


def told_of(unet: Any, added: Mapping[str, Tensor]) -> Tensor:
    """Return `y` for what the engine tells its U-Net besides the prompt: (batch, width)."""
    pooled = added["text_embeds"]
    sizes = unet.add_time_proj(added["time_ids"].flatten()).reshape(pooled.shape[0], -1)
    return torch.cat([pooled, sizes], dim=-1)
