"""The U-Net's blocks with the names, arguments and parts that Stable Diffusion's first code gave them (CompVis LDM).

Extensions build networks of these, and see the engine's own U-Net as a tree of them, made by `of` from parts of
diffusers', whose layers they share.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Made = TypeVar("Made", bound=nn.Module)
_NORM_GROUPS = 32


def bare(kind: type[Made]) -> Made:
    """Return a module of a class without any part, for `of`, which gives it those of another module."""
    made = kind.__new__(kind)
    nn.Module.__init__(made)
    made.training = False
    return made


def beside(module: nn.Module, name: str, other: Any) -> None:
    """Keep a module as an attribute that is no part of `module`, so that its layers have one name only."""
    module.__dict__[name] = other


def conv_nd(dims: int, *args: Any, **kwargs: Any) -> nn.Module:
    """Return a convolution over so many dimensions."""
    return {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims](*args, **kwargs)


def avg_pool_nd(dims: int, *args: Any, **kwargs: Any) -> nn.Module:
    """Return what takes means over so many dimensions."""
    return {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}[dims](*args, **kwargs)


def linear(*args: Any, **kwargs: Any) -> nn.Linear:
    """Return a linear layer."""
    return nn.Linear(*args, **kwargs)


def zero_module(module: nn.Module) -> nn.Module:
    """Set all weights of a module to zero and return it."""
    for parameter in module.parameters():
        parameter.detach().zero_()
    return module


class GroupNorm32(nn.GroupNorm):
    """A group norm that computes in single precision."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the input with its groups normed, in its own precision."""
        return F.group_norm(
            x.float(), self.num_groups, _single(self.weight), _single(self.bias), self.eps
        ).type(x.dtype)  # fmt: skip


def _single(weight: Tensor | None) -> Tensor | None:
    return None if weight is None else weight.float()


def normalization(channels: int, num_groups: int = _NORM_GROUPS) -> nn.Module:
    """Return the norm that stands before activations."""
    return GroupNorm32(num_groups, channels)


def timestep_embedding(timesteps: Tensor, dim: int, max_period: int = 10000, repeat_only: bool = False) -> Tensor:
    """Return (batch, dim) for (batch,): cosines and then sines of the timesteps at falling frequencies."""
    if repeat_only:
        return timesteps[:, None].repeat(1, dim)
    half = dim // 2
    steps = torch.arange(0, half, dtype=torch.float32, device=timesteps.device)
    angles = timesteps[:, None].float() * torch.exp(-math.log(max_period) * steps / half)[None]
    waves = torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)
    return F.pad(waves, (0, dim % 2)) if dim % 2 else waves


def checkpoint(func: Any, inputs: Any, params: Any = None, flag: Any = None) -> Any:
    """Call a function; keeping its steps for training is not needed here."""
    return func(*inputs)


class TimestepBlock(nn.Module):
    """A block that is told the timestep: `forward(x, emb)`."""


class TimestepEmbedSequential(nn.Sequential, TimestepBlock):
    """Layers one after the other, each given what it asks for: the timestep, the prompt, or neither."""

    def forward(self, x: Tensor, emb: Tensor, context: Any = None, *args: Any, **kwargs: Any) -> Tensor:
        """Return the last layer's output."""
        for layer in self:
            if isinstance(layer, TimestepBlock):
                x = layer(x, emb)
            elif getattr(layer, "reads_context", False):
                x = layer(x, context)
            else:
                x = layer(x)
        return x


class Upsample(nn.Module):
    """Twice as many rows and columns."""

    def __init__(
        self, channels: int, use_conv: bool, dims: int = 2, out_channels: int | None = None, padding: int = 1
    ) -> None:
        super().__init__()
        self.channels, self.out_channels = channels, out_channels or channels
        self.use_conv, self.dims = use_conv, dims
        if use_conv:
            self.conv = conv_nd(dims, channels, self.out_channels, 3, padding=padding)

    @classmethod
    def of(cls, layer: Any) -> Upsample:
        """Return the view of one of diffusers'."""
        made = bare(cls)
        made.channels, made.out_channels, made.use_conv, made.dims = layer.channels, layer.out_channels, True, 2
        made.conv = layer.conv
        beside(made, "output_size", None)
        beside(made, "layer", layer)
        return made

    def forward(self, x: Tensor, *_: Any) -> Tensor:
        """Return it twice as large; a view of the engine's own may be told another size."""
        layer = self.__dict__.get("layer")
        if layer is not None and layer.conv is self.conv:
            return layer(x, self.__dict__["output_size"])
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        return self.conv(x) if self.use_conv else x


class Downsample(nn.Module):
    """Half as many rows and columns."""

    def __init__(
        self, channels: int, use_conv: bool, dims: int = 2, out_channels: int | None = None, padding: int = 1
    ) -> None:
        super().__init__()
        self.channels, self.out_channels = channels, out_channels or channels
        self.use_conv, self.dims = use_conv, dims
        if use_conv:
            self.op = conv_nd(dims, channels, self.out_channels, 3, stride=2, padding=padding)
        else:
            self.op = avg_pool_nd(dims, kernel_size=2, stride=2)

    @classmethod
    def of(cls, layer: Any) -> Downsample:
        """Return the view of one of diffusers', whose convolution has its edges itself."""
        made = bare(cls)
        made.channels, made.out_channels, made.use_conv, made.dims = layer.channels, layer.out_channels, True, 2
        made.op = layer.conv
        return made

    def forward(self, x: Tensor, *_: Any) -> Tensor:
        """Return it half as large."""
        return self.op(x)


class ResBlock(TimestepBlock):
    """Two convolutions beside a connection that leaves them out, told the timestep between them."""

    def __init__(  # noqa: PLR0913 (the published signature)
        self, channels: int, emb_channels: int, dropout: float, out_channels: int | None = None, use_conv: bool = False,
        use_scale_shift_norm: bool = False, dims: int = 2, use_checkpoint: bool = False, up: bool = False,
        down: bool = False, **_: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        self.channels, self.emb_channels, self.dropout = channels, emb_channels, dropout
        self.out_channels = out_channels or channels
        self.use_conv, self.use_checkpoint, self.use_scale_shift_norm = use_conv, use_checkpoint, use_scale_shift_norm
        self.in_layers = nn.Sequential(
            normalization(channels), nn.SiLU(), conv_nd(dims, channels, self.out_channels, 3, padding=1)
        )
        self.updown = up or down
        resized = Upsample if up else Downsample
        self.h_upd, self.x_upd = (resized(channels, False, dims) if self.updown else nn.Identity() for _ in range(2))
        told = 2 * self.out_channels if use_scale_shift_norm else self.out_channels
        self.emb_layers = nn.Sequential(nn.SiLU(), linear(emb_channels, told))
        self.out_layers = nn.Sequential(
            normalization(self.out_channels), nn.SiLU(), nn.Dropout(dropout),
            zero_module(conv_nd(dims, self.out_channels, self.out_channels, 3, padding=1)),
        )  # fmt: skip
        if self.out_channels == channels:
            self.skip_connection: nn.Module = nn.Identity()
        else:
            kernel = {"kernel_size": 3, "padding": 1} if use_conv else {"kernel_size": 1}
            self.skip_connection = conv_nd(dims, channels, self.out_channels, **kernel)

    @classmethod
    def of(cls, block: Any) -> ResBlock:
        """Return the view of one of diffusers'."""
        made = bare(cls)
        made.channels, made.out_channels = block.in_channels, block.out_channels
        made.emb_channels, made.dropout = block.time_emb_proj.in_features, block.dropout.p
        made.use_conv = made.use_checkpoint = made.use_scale_shift_norm = made.updown = False
        made.in_layers = nn.Sequential(block.norm1, nn.SiLU(), block.conv1)
        made.h_upd, made.x_upd = nn.Identity(), nn.Identity()
        made.emb_layers = nn.Sequential(nn.SiLU(), block.time_emb_proj)
        made.out_layers = nn.Sequential(block.norm2, nn.SiLU(), block.dropout, block.conv2)
        made.skip_connection = block.conv_shortcut if block.conv_shortcut is not None else nn.Identity()
        return made

    def forward(self, x: Tensor, emb: Tensor, *_: Any) -> Tensor:
        """Return (batch, out_channels, rows, columns); `emb`: (batch, emb_channels)."""
        return self._forward(x, emb)

    def _forward(self, x: Tensor, emb: Tensor) -> Tensor:
        if self.updown:
            h = self.in_layers[-1](self.h_upd(self.in_layers[:-1](x)))
            x = self.x_upd(x)
        else:
            h = self.in_layers(x)
        told = self.emb_layers(emb).type(h.dtype)
        told = told[(..., *(None,) * (h.dim() - told.dim()))]
        if self.use_scale_shift_norm:
            scale, shift = told.chunk(2, dim=1)
            h = self.out_layers[1:](self.out_layers[0](h) * (1 + scale) + shift)
        else:
            h = self.out_layers(h + told)
        return self.skip_connection(x) + h
