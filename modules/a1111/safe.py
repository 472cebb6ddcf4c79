"""A1111's modules.safe: tensors from pickles, which torch itself reads safely by now."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch


def load(filename: Any, *args: Any, **kwargs: Any) -> Any:
    """Return what a file of tensors holds; anything else in it is refused."""
    return torch.load(filename, *args, **{**kwargs, "weights_only": True})


def load_with_extra(filename: Any, extra_handler: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Return the same; `extra_handler` is of no use here, since torch asks for classes and not for names."""
    return load(filename, *args, **kwargs)


def unsafe_torch_load(filename: Any, *args: Any, **kwargs: Any) -> Any:
    """Return what a pickle holds, running what is in it: for files that the extension itself trusts."""
    return torch.load(filename, *args, **{"weights_only": False, **kwargs})


class Extra(contextlib.nullcontext[None]):
    """A block in which more classes would be let through; torch knows those that it lets through by itself."""

    def __init__(self, handler: Callable[[str, str], Any]) -> None:
        super().__init__()
        self.handler = handler
