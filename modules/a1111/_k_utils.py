"""k_diffusion.utils: shapes of tensors."""

from __future__ import annotations

import torch
from torch import Tensor


def append_dims(x: Tensor, target_dims: int) -> Tensor:
    """Return a tensor with dimensions of size 1 behind its own. Raises ValueError when it has too many already."""
    missing = target_dims - x.ndim
    if missing < 0:
        raise ValueError(f"input has {x.ndim} dims but target_dims is {target_dims}, which is less")
    return x[(...,) + (None,) * missing]


def append_zero(x: Tensor) -> Tensor:
    """Return a row of numbers with a 0 behind."""
    return torch.cat([x, x.new_zeros([1])])
