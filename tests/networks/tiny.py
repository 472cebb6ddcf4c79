"""Tiny networks whose layers bear the names of the real ones, and files made for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from modules.networks.kinds.base import LayerChange

UNET_LINEAR = "lora_unet_down_blocks_0_attentions_0_to_q"
UNET_CONV_1 = "lora_unet_down_blocks_0_attentions_0_proj_in"
UNET_CONV_3 = "lora_unet_conv_in"
TEXT_LINEAR = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"


@dataclass(frozen=True)
class OnDisk:
    name: str
    path: Path


def on_disk(path: Path) -> OnDisk:
    return OnDisk(path.stem, path)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.to_q = nn.Linear(6, 5)
        self.proj_in = nn.Conv2d(6, 6, 1)


class DownBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([Attention()])


class Unet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(4, 6, 3, padding=1)
        self.down_blocks = nn.ModuleList([DownBlock()])

    def forward(self, x: Tensor) -> Tensor:
        attention = self.down_blocks[0].attentions[0]
        hidden = attention.proj_in(self.conv_in(x))
        out: Tensor = attention.to_q(hidden.permute(0, 2, 3, 1))
        return out


class TextLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.self_attn = nn.ModuleDict({"q_proj": nn.Linear(8, 8)})


class TextEncoder(nn.Module):
    """Like CLIP's in new versions of transformers: its modules do not begin with text_model."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList([TextLayer()])})


class OldTextEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.text_model = TextEncoder()


def random(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(dtype)


def delta(change: LayerChange, shape: Sequence[int], dyn: int | None = None) -> Tensor:
    """What a network adds to a weight of zeros, which is all that it adds unless it looks at the weight."""
    return change.delta(torch.zeros(tuple(shape)), dyn)


def lora_tensors(
    dtype: torch.dtype = torch.float16, rank: int = 2, alpha: float | None = 1.0, seed_shift: int = 0
) -> dict[str, Tensor]:
    """One change for each kind of layer."""
    tensors = {
        f"{UNET_LINEAR}.lora_up.weight": random(5, rank, dtype=dtype, seed=seed_shift),
        f"{UNET_LINEAR}.lora_down.weight": random(rank, 6, dtype=dtype, seed=seed_shift),
        f"{UNET_CONV_1}.lora_up.weight": random(6, rank, 1, 1, dtype=dtype, seed=seed_shift),
        f"{UNET_CONV_1}.lora_down.weight": random(rank, 6, 1, 1, dtype=dtype, seed=seed_shift),
        f"{UNET_CONV_3}.lora_up.weight": random(6, rank, 1, 1, dtype=dtype, seed=seed_shift),
        f"{UNET_CONV_3}.lora_down.weight": random(rank, 4, 3, 3, dtype=dtype, seed=seed_shift),
        f"{TEXT_LINEAR}.lora_up.weight": random(8, rank, dtype=dtype, seed=seed_shift),
        f"{TEXT_LINEAR}.lora_down.weight": random(rank, 8, dtype=dtype, seed=seed_shift),
    }
    if alpha is not None:
        layers = {name.partition(".")[0] for name in tensors}
        tensors |= {f"{layer}.alpha": torch.tensor(alpha, dtype=dtype) for layer in sorted(layers)}
    return tensors


def lora_file(path: Path, tensors: dict[str, Tensor] | None = None) -> OnDisk:
    save_file(lora_tensors() if tensors is None else tensors, path)
    return on_disk(path)
