"""Networks before their weights: described by a configuration, without memory for numbers that a file will bring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_FILLING = frozenset(("uniform_", "normal_", "trunc_normal_", "kaiming_uniform_", "constant_", "fill_", "zero_"))
"""Torch's functions that give a weight its first numbers, by name: transformers has its own in place of some."""


class WithoutWeights(TorchFunctionMode):
    """A context in which networks are built whose parameters are on the meta device, and given no first numbers.

    Only this thread's networks are. Buffers that are made of numbers are real: they are no part of a file.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Do what a function of torch does, but make empty tensors without memory and leave such tensors empty."""
        named = dict(kwargs or {})
        if func is torch.empty:
            return torch.empty(*args, **named | {"device": "meta"})
        if getattr(func, "__name__", "") in _FILLING:
            tensor = args[0] if args else named["tensor"]
            if tensor.is_meta:
                return tensor
        return func(*args, **named)
