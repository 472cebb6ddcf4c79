"""The VAE in strips: the same numbers as in one go, with only some rows of the picture on the device at a time.

Cutting a picture into tiles that are decoded on their own shows seams, because every GroupNorm then sees another
picture. Here each layer is done for the whole picture, strip by strip, before the next one begins: the norms' mean and
variance are those of the whole, and convolutions see their true neighbours. Between the layers the whole is held in
main memory. Only the lowest resolution, with its attention, is done at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn

STRIP_ELEMENTS = 64_000_000
"""Numbers of a layer's input that are on the device at once; in half precision twice as many bytes."""


@dataclass(frozen=True, slots=True)
class StripVae:
    """Runs one VAE in strips of about `strip_elements` numbers."""

    vae: AutoencoderKL
    strip_elements: int = STRIP_ELEMENTS

    def decode(self, latents: Tensor) -> Tensor:
        """Return pixels, (1, 3, height, width), in the VAE's precision; `latents`: (1, channels, rows, columns)."""
        decoder: Any = self.vae.decoder
        inside = latents if self.vae.post_quant_conv is None else self.vae.post_quant_conv(latents)
        x = _stored(decoder.mid_block(decoder.conv_in(inside)))
        for block in decoder.up_blocks:
            for resnet in block.resnets:
                x = self._residual(resnet, x)
            for upsampler in block.upsamplers or ():
                x = self._convolved(upsampler.conv, x, enlarge=2)
        return self._convolved(decoder.conv_out, x, norm=decoder.conv_norm_out).to(latents.device)

    def encode(self, pixels: Tensor) -> Tensor:
        """Return the distribution's numbers as `AutoencoderKL.encode` has them: (1, 2 x channels, rows, columns)."""
        encoder: Any = self.vae.encoder
        x = self._convolved(encoder.conv_in, _stored(pixels))
        for block in encoder.down_blocks:
            for resnet in block.resnets:
                x = self._residual(resnet, x)
            for downsampler in block.downsamplers or ():
                # The original network has one more row and column of zeros behind the last, and none before the first.
                x = self._convolved(downsampler.conv, F.pad(x, (0, 1, 0, 1)))
        middle = encoder.mid_block(x.to(pixels.device))
        moments: Tensor = encoder.conv_out(encoder.conv_act(encoder.conv_norm_out(middle)))
        return moments if self.vae.quant_conv is None else self.vae.quant_conv(moments)

    def _residual(self, resnet: Any, x: Tensor) -> Tensor:
        inner = self._convolved(resnet.conv1, x, norm=resnet.norm1)
        inner = self._convolved(resnet.conv2, inner, norm=resnet.norm2)
        short = x if resnet.conv_shortcut is None else self._convolved(resnet.conv_shortcut, x)
        return inner.add_(short)

    def _convolved(self, layer: nn.Conv2d, x: Tensor, norm: nn.GroupNorm | None = None, enlarge: int = 1) -> Tensor:
        """Return the layer's answer to `x` in main memory: normed and through SiLU first, or enlarged, if asked."""
        device, height = layer.weight.device, x.shape[-2] * enlarge
        statistics = self._statistics(norm, x) if norm is not None else None
        kernel, stride, edge = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
        wraps, found = layer.padding_mode == "circular", []
        rows_out = (height + 2 * edge - kernel) // stride + 1
        for first, last in self._spans(rows_out, x[0, :, 0].numel() * enlarge * stride):
            top, bottom = first * stride - edge, (last - 1) * stride - edge + kernel
            strip = _rows(x, top // enlarge, -(-bottom // enlarge), wraps).to(device)
            if norm is not None and statistics is not None:
                strip = F.silu(_normed(norm, strip, *statistics))
                strip = _blanked(strip, top, x.shape[-2]) if not wraps else strip
            if enlarge > 1:
                strip = F.interpolate(strip, scale_factor=float(enlarge), mode="nearest")
                strip = strip[:, :, top % enlarge : top % enlarge + bottom - top]
            strip = F.pad(strip, (edge, edge, 0, 0), mode="circular" if wraps and edge else "constant")
            found.append(_stored(F.conv2d(strip, layer.weight, layer.bias, layer.stride)))
        return torch.cat(found, dim=2)

    def _statistics(self, norm: nn.GroupNorm, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of every group over the whole of `x`: (1, groups, 1) each, in float64."""
        sums = torch.zeros(2, norm.num_groups, dtype=torch.float64)
        for first, last in self._spans(x.shape[-2], x[0, :, 0].numel()):
            strip = x[:, :, first:last].to(norm.weight.device).float().reshape(norm.num_groups, -1)
            sums += torch.stack([strip.sum(1), strip.square().sum(1)]).to("cpu", torch.float64)
        mean, square = sums / (x.numel() / norm.num_groups)
        return mean.view(1, -1, 1), (square - mean.square()).clamp(min=0).view(1, -1, 1)

    def _spans(self, rows: int, row_elements: int) -> Iterator[tuple[int, int]]:
        height = max(1, self.strip_elements // row_elements)
        return ((first, min(first + height, rows)) for first in range(0, rows, height))


def _stored(x: Tensor) -> Tensor:
    return x.to("cpu")


def _rows(x: Tensor, top: int, bottom: int, wraps: bool) -> Tensor:
    """Return the rows from `top` to before `bottom`; beyond the edges those of the other side, or zeros."""
    height = x.shape[-2]
    if wraps:
        return x[:, :, torch.arange(top, bottom) % height]
    inside = x[:, :, max(top, 0) : min(bottom, height)]
    return F.pad(inside, (0, 0, max(-top, 0), max(bottom - height, 0)))


def _blanked(strip: Tensor, top: int, height: int) -> Tensor:
    """Return the strip with zeros in the rows that lie beyond the edges, where the norm has left other values."""
    if top < 0:
        strip[:, :, :-top] = 0
    beyond = top + strip.shape[-2] - height
    if beyond > 0:
        strip[:, :, -beyond:] = 0
    return strip


def _normed(norm: nn.GroupNorm, strip: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Return the strip normed with given statistics, in its own precision."""
    factor = (variance + norm.eps).rsqrt().float().to(strip.device)
    grouped = strip.float().reshape(1, norm.num_groups, -1)
    centred = ((grouped - mean.float().to(strip.device)) * factor).reshape(strip.shape)
    weight, bias = norm.weight.float().view(1, -1, 1, 1), norm.bias.float().view(1, -1, 1, 1)
    return (centred * weight + bias).to(strip.dtype)
