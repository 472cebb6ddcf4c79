"""Attention with the names, arguments and parts of Stable Diffusion's first code; see `_ldm_layers.py`."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.a1111._ldm_layers import bare, beside, zero_module

_PLAIN = "AttnProcessor2_0"
"""The class of diffusers' that computes as `CrossAttention` does; while another is at work that one is asked."""
_DEFAULT_HEADS, _DEFAULT_WIDTH = 8, 64


def exists(val: Any) -> bool:
    """Say whether a value is given."""
    return val is not None


def default(val: Any, d: Any) -> Any:
    """Return a value, or where it is None another, which may be a function that makes it."""
    if val is not None:
        return val
    return d() if callable(d) and not isinstance(d, (type, nn.Module)) else d


def Normalize(in_channels: int, num_groups: int = 32) -> nn.GroupNorm:  # noqa: N802 (the published name)
    """Return the norm that stands before attention."""
    return nn.GroupNorm(num_groups, in_channels, eps=1e-6, affine=True)


class GEGLU(nn.Module):
    """A linear layer, half of whose output opens and closes the other."""

    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim_in, dim_out * 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (…, dim_out)."""
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    """Two linear layers with a wider space between them."""

    def __init__(
        self, dim: int, dim_out: int | None = None, mult: int = 4, glu: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        inside = int(dim * mult)
        first = GEGLU(dim, inside) if glu else nn.Sequential(nn.Linear(dim, inside), nn.GELU())
        self.net = nn.Sequential(first, nn.Dropout(dropout), nn.Linear(inside, dim_out or dim))

    def forward(self, x: Tensor) -> Tensor:
        """Return (…, dim_out)."""
        return self.net(x)


class CrossAttention(nn.Module):
    """Attention of a picture's tokens to a prompt's, or to each other where there is no context."""

    def __init__(
        self, query_dim: int, context_dim: int | None = None, heads: int = _DEFAULT_HEADS,
        dim_head: int = _DEFAULT_WIDTH, dropout: float = 0.0, **_: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        inside, read = heads * dim_head, context_dim or query_dim
        self.heads, self.dim_head, self.scale = heads, dim_head, dim_head**-0.5
        self.to_q = nn.Linear(query_dim, inside, bias=False)
        self.to_k = nn.Linear(read, inside, bias=False)
        self.to_v = nn.Linear(read, inside, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inside, query_dim), nn.Dropout(dropout))

    @classmethod
    def of(cls, attention: Any) -> CrossAttention:
        """Return the view of one of diffusers'."""
        made = bare(cls)
        made.heads, made.scale = attention.heads, attention.scale
        made.dim_head = attention.to_q.out_features // attention.heads
        made.to_q, made.to_k, made.to_v = attention.to_q, attention.to_k, attention.to_v
        made.to_out = nn.Sequential(*attention.to_out)
        beside(made, "attention", attention)
        return made

    def forward(
        self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None,
        additional_tokens: Tensor | None = None, n_times_crossframe_attn_in_self: int = 0, **_: Any,
    ) -> Tensor:  # fmt: skip
        """Return (batch, tokens, width) for `x` of that shape; `context`: (batch, tokens, read width).

        `mask`: (batch, tokens of the context), True where is read.
        """
        attention = self.__dict__.get("attention")
        if attention is not None and type(attention.processor).__name__ != _PLAIN:
            return attention(x, encoder_hidden_states=context)
        more = 0
        if additional_tokens is not None:
            more = additional_tokens.shape[1]
            x = torch.cat([additional_tokens, x], dim=1)
        query = self.to_q(x)
        read = x if context is None else context
        key, value = self.to_k(read), self.to_v(read)
        query, key, value = (
            each.view(each.shape[0], -1, self.heads, each.shape[-1] // self.heads).transpose(1, 2)
            for each in (query, key, value)
        )
        seen = None if mask is None else mask.flatten(1)[:, None, None, :]
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        out = out.transpose(1, 2).reshape(x.shape[0], -1, self.heads * out.shape[-1]).to(query.dtype)
        return self.to_out(out)[:, more:] if more else self.to_out(out)


class MemoryEfficientCrossAttention(CrossAttention):
    """The same under the name that it has where another library computes it."""


class BasicTransformerBlock(nn.Module):
    """Attention of the picture to itself and to the prompt, and two linear layers."""

    ATTENTION_MODES = ("softmax", "softmax-xformers")

    def __init__(  # noqa: PLR0913 (the published signature)
        self, dim: int, n_heads: int, d_head: int, dropout: float = 0.0, context_dim: int | None = None,
        gated_ff: bool = True, checkpoint: bool = True, disable_self_attn: bool = False, **_: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        self.disable_self_attn, self.checkpoint = disable_self_attn, checkpoint
        own = context_dim if disable_self_attn else None
        self.attn1 = CrossAttention(dim, own, n_heads, d_head, dropout)
        self.ff = FeedForward(dim, dropout=dropout, glu=gated_ff)
        self.attn2 = CrossAttention(dim, context_dim, n_heads, d_head, dropout)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)

    @classmethod
    def of(cls, block: Any) -> BasicTransformerBlock:
        """Return the view of one of diffusers'."""
        made = bare(cls)
        made.disable_self_attn, made.checkpoint = bool(block.only_cross_attention), False
        made.attn1, made.ff, made.attn2 = CrossAttention.of(block.attn1), block.ff, CrossAttention.of(block.attn2)
        made.norm1, made.norm2, made.norm3 = block.norm1, block.norm2, block.norm3
        return made

    def forward(self, x: Tensor, context: Tensor | None = None, *_: Any, **named: Any) -> Tensor:
        """Return (batch, tokens, width)."""
        return self._forward(x, context, **{name: value for name, value in named.items() if value is not None})

    def _forward(self, x: Tensor, context: Tensor | None = None, **named: Any) -> Tensor:
        x = self.attn1(self.norm1(x), context=context if self.disable_self_attn else None, **named) + x
        x = self.attn2(self.norm2(x), context=context, **named) + x
        return self.ff(self.norm3(x)) + x


class SpatialTransformer(nn.Module):
    """Transformer blocks over the pixels of a latent picture."""

    reads_context = True

    def __init__(  # noqa: PLR0913 (the published signature)
        self, in_channels: int, n_heads: int, d_head: int, depth: int = 1, dropout: float = 0.0,
        context_dim: Any = None, disable_self_attn: bool = False, use_linear: bool = False,
        use_checkpoint: bool = True, **_: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        inside, contexts = n_heads * d_head, context_dim if isinstance(context_dim, list) else [context_dim] * depth
        self.in_channels, self.use_linear = in_channels, use_linear
        self.norm = Normalize(in_channels)
        self.proj_in = nn.Linear(in_channels, inside) if use_linear else nn.Conv2d(in_channels, inside, 1)
        self.transformer_blocks = nn.ModuleList(
            BasicTransformerBlock(
                inside, n_heads, d_head, dropout=dropout, context_dim=context, disable_self_attn=disable_self_attn,
                checkpoint=use_checkpoint,
            )
            for context in (contexts * depth)[:depth]
        )  # fmt: skip
        self.proj_out = zero_module(nn.Linear(inside, in_channels) if use_linear else nn.Conv2d(inside, in_channels, 1))

    @classmethod
    def of(cls, transformer: Any) -> SpatialTransformer:
        """Return the view of one of diffusers'."""
        made = bare(cls)
        made.in_channels, made.use_linear = transformer.in_channels, bool(transformer.use_linear_projection)
        made.norm, made.proj_in, made.proj_out = transformer.norm, transformer.proj_in, transformer.proj_out
        made.transformer_blocks = nn.ModuleList(
            BasicTransformerBlock.of(block) for block in transformer.transformer_blocks
        )
        return made

    def forward(self, x: Tensor, context: Any = None, *_: Any) -> Tensor:
        """Return (batch, channels, rows, columns); `context`: what every block reads, or a list with one for each."""
        batch, _channels, rows, columns = x.shape
        each = context if isinstance(context, list) else [context]
        inside = self.norm(x)
        if not self.use_linear:
            inside = self.proj_in(inside)
        inside = inside.permute(0, 2, 3, 1).reshape(batch, rows * columns, inside.shape[1])
        if self.use_linear:
            inside = self.proj_in(inside)
        for number, block in enumerate(self.transformer_blocks):
            inside = block(inside, context=each[number if len(each) > 1 else 0])
        if self.use_linear:
            inside = self.proj_out(inside)
        inside = inside.reshape(batch, rows, columns, inside.shape[-1]).permute(0, 3, 1, 2).contiguous()
        return (inside if self.use_linear else self.proj_out(inside)) + x
