"""The engine's VAE as Stable Diffusion's first code has it.

Its blocks compute with diffusers' own; while the view is in use (`link`) diffusers' blocks ask those of the view in
turn, so that a `forward` that an extension replaces acts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from modules.a1111._ldm_layers import bare, beside
from modules.a1111._patching import Patches


class _View(nn.Module):
    """A block that computes with one of diffusers', which is kept beside it."""

    def own(self, *arguments: Any) -> Any:
        """Return what diffusers' block computes by itself."""
        block = self.__dict__["block"]
        return type(block).forward(block, *arguments)

    def forward(self, x: Tensor, *_: Any) -> Tensor:
        """Return what diffusers' block computes."""
        return self.own(x)


class PointConvolution(nn.Module):
    """A linear layer over the channels of a picture: the first code has convolutions of one pixel there."""

    @classmethod
    def of(cls, layer: nn.Linear) -> PointConvolution:
        """Return the view of a layer."""
        made = bare(cls)
        beside(made, "layer", layer)
        made.in_channels, made.out_channels = layer.in_features, layer.out_features
        return made

    @property
    def weight(self) -> Tensor:
        """The weights: (out, in, 1, 1)."""
        return self.__dict__["layer"].weight[:, :, None, None]

    @property
    def bias(self) -> Tensor | None:
        """The bias: (out,)."""
        return self.__dict__["layer"].bias

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, out, rows, columns)."""
        return self.__dict__["layer"](x.movedim(1, -1)).movedim(-1, 1)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        destination[f"{prefix}weight"] = self.weight
        destination[f"{prefix}bias"] = self.bias


class ResnetBlock(_View):
    """Two convolutions beside a connection that leaves them out."""

    use_conv_shortcut = False

    @classmethod
    def of(cls, block: Any) -> ResnetBlock:
        """Return the view of one of diffusers'."""
        made = bare(cls)
        beside(made, "block", block)
        made.in_channels, made.out_channels = block.in_channels, block.out_channels
        made.norm1, made.conv1, made.norm2 = block.norm1, block.conv1, block.norm2
        made.dropout, made.conv2 = block.dropout, block.conv2
        if block.conv_shortcut is not None:
            made.nin_shortcut = block.conv_shortcut
        return made

    def forward(self, x: Tensor, temb: Tensor | None = None) -> Tensor:
        """Return (batch, out_channels, rows, columns)."""
        return self.own(x, temb)


class AttnBlock(_View):
    """Attention of a picture's pixels to each other."""

    @classmethod
    def of(cls, attention: Any) -> AttnBlock:
        """Return the view of one of diffusers'."""
        made = bare(cls)
        beside(made, "block", attention)
        made.in_channels = attention.to_q.in_features
        made.norm = attention.group_norm
        layers = (attention.to_q, attention.to_k, attention.to_v)
        made.q, made.k, made.v = (PointConvolution.of(layer) for layer in layers)
        made.proj_out = PointConvolution.of(attention.to_out[0])
        return made


class MemoryEfficientAttnBlock(AttnBlock):
    """The same under the name that it has where another library computes it."""


class Upsample(_View):
    """Twice as many rows and columns."""

    with_conv = True

    @classmethod
    def of(cls, layer: Any) -> Upsample:
        """Return the view of one of diffusers'."""
        made = bare(cls)
        beside(made, "block", layer)
        made.conv = layer.conv
        return made


class Downsample(Upsample):
    """Half as many rows and columns."""


class _Half(_View):
    """What encoder and decoder have in common."""

    @classmethod
    def of(cls, half: Any) -> Any:
        """Return the view of one of diffusers'."""
        made = bare(cls)
        beside(made, "block", half)
        made.conv_in, made.norm_out, made.conv_out = half.conv_in, half.conv_norm_out, half.conv_out
        middle = nn.Module()
        middle.block_1, middle.block_2 = (ResnetBlock.of(block) for block in half.mid_block.resnets)
        attention = half.mid_block.attentions[0] if half.mid_block.attentions else None
        middle.attn_1 = AttnBlock.of(attention) if attention is not None else nn.Identity()
        made.mid = middle
        return made

    def levels(self, blocks: Any, resampling: str) -> nn.ModuleList:
        """Return the levels' parts; each has its blocks, and what leads on to the next."""
        made = nn.ModuleList()
        for block in blocks:
            level = nn.Module()
            level.block, level.attn = nn.ModuleList(ResnetBlock.of(each) for each in block.resnets), nn.ModuleList()
            for layer in getattr(block, f"{resampling}rs", None) or ():
                setattr(level, resampling, _RESAMPLING[resampling].of(layer))
            made.append(level)
        self.num_resolutions = len(made)
        return made


_RESAMPLING = {"upsample": Upsample, "downsample": Downsample}


class Encoder(_Half):
    """From pixels to the distribution of latents."""

    @classmethod
    def of(cls, half: Any) -> Encoder:
        """Return the view of diffusers'."""
        made = super().of(half)
        made.down = made.levels(half.down_blocks, "downsample")
        made.num_res_blocks, made.in_channels = len(half.down_blocks[0].resnets), half.conv_in.in_channels
        return made


class Decoder(_Half):
    """From latents to pixels. The first code counts its levels from the largest down."""

    give_pre_end = tanh_out = False

    @classmethod
    def of(cls, half: Any) -> Decoder:
        """Return the view of diffusers'."""
        made = super().of(half)
        made.up = made.levels(list(half.up_blocks)[::-1], "upsample")
        made.num_res_blocks, made.in_channels = len(half.up_blocks[0].resnets) - 1, half.conv_in.in_channels
        return made


class AutoencoderKL(nn.Module):
    """The VAE: `encode` gives a distribution with `sample`, `mode` and `mean`, `decode` pixels in -1 to 1."""

    @classmethod
    def of(cls, vae: Any) -> AutoencoderKL:
        """Return the view of diffusers'."""
        made = bare(cls)
        beside(made, "vae", vae)
        made.encoder, made.decoder = Encoder.of(vae.encoder), Decoder.of(vae.decoder)
        if vae.quant_conv is not None:
            made.quant_conv, made.post_quant_conv = vae.quant_conv, vae.post_quant_conv
        made.embed_dim = int(vae.config.latent_channels)
        return made

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the weights."""
        return self.__dict__["vae"].dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.__dict__["vae"].device

    def encode(self, x: Tensor, *_: Any) -> Any:
        """Return the distribution for pixels: (batch, 3, height, width), -1 to 1."""
        vae = self.__dict__["vae"]
        return type(vae).encode(vae, x).latent_dist

    def decode(self, z: Tensor, *_: Any) -> Tensor:
        """Return pixels for latents as the VAE has them: (batch, 4, rows, columns)."""
        vae = self.__dict__["vae"]
        return type(vae).decode(vae, z, return_dict=False)[0]

    def forward(self, input: Tensor, sample_posterior: bool = True) -> tuple[Tensor, Any]:  # noqa: A002
        """Return pixels that were encoded and decoded again, and the distribution between."""
        posterior = self.encode(input)
        return self.decode(posterior.sample() if sample_posterior else posterior.mode()), posterior

    def get_last_layer(self) -> Tensor:
        """Return the last convolution's weights."""
        return self.decoder.conv_out.weight


def link(view: AutoencoderKL, patches: Patches, decode: Callable[[Tensor], Tensor]) -> None:
    """Have diffusers' blocks ask those of the view; `decode` is asked for pixels in the VAE's place."""
    vae = view.__dict__["vae"]
    for block in [module for module in view.modules() if isinstance(module, _View)]:
        patches.set(block.__dict__["block"], "forward", _asking(block))
    patches.set(vae, "decode", lambda z, return_dict=True, generator=None: (decode(z),))
    patches.set(vae, "encode", lambda x, return_dict=True: _Encoded(view.encode(x)))


def _asking(view: nn.Module) -> Callable[..., Any]:
    return lambda x, *others, **_: view(x, *others)


class _Encoded:
    """What diffusers' VAE answers."""

    def __init__(self, latent_dist: Any) -> None:
        self.latent_dist = latent_dist
