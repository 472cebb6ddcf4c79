"""A1111's modules.sd_hijack_unet: `th`, by which the view of the U-Net joins its skip connections."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from modules.a1111._ldm_layers import timestep_embedding

__all__ = ["TorchHijackForUnet", "th", "timestep_embedding"]

unet_needs_upcast = False


class TorchHijackForUnet:
    """Torch, but `cat` joins two pictures of different sizes too; extensions put their own in its place."""

    def __getattr__(self, item: str) -> Any:
        if hasattr(torch, item):
            return getattr(torch, item)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {item!r}")

    def cat(self, tensors: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Join tensors; the first of two is brought to the other's rows and columns."""
        if len(tensors) == 2:
            first, second = tensors
            if first.shape[-2:] != second.shape[-2:]:
                first = F.interpolate(first, second.shape[-2:], mode="nearest")
            tensors = (first, second)
        return torch.cat(tensors, *args, **kwargs)


TH = TorchHijackForUnet()
th = TH
