"""OpenCLIP's names of a text encoder's tensors (Stable Diffusion 2.x and XL) in transformers' terms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from torch import Tensor

_BLOCK = re.compile(r"transformer\.resblocks\.(\d+)\.(.+)")
_PLAIN = {
    "positional_embedding": "embeddings.position_embedding.weight",
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
_INNER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_PROJECTIONS = ("q_proj", "k_proj", "v_proj")
PROJECTION = "text_projection.weight"
"""Where the pooled vector's projection is put; encoders without one have no such tensor."""


def from_open_clip(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under transformers' names, without "text_model."; what is not of the encoder is left out."""
    return dict(_renamed(tensors))


def _renamed(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        block = _BLOCK.fullmatch(name)
        if block is not None:
            yield from _of_block(f"encoder.layers.{block[1]}", block[2], tensor)
        elif name in _PLAIN:
            yield _PLAIN[name], tensor
        elif name == "text_projection":
            # OpenCLIP multiplies from the right, a linear layer from the left.
            yield PROJECTION, tensor.T.contiguous()
        elif name == "text_projection.weight":
            yield PROJECTION, tensor


def _of_block(layer: str, name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    if name.startswith("attn.in_proj_"):
        ending = name.removeprefix("attn.in_proj_")
        for projection, part in zip(_PROJECTIONS, tensor.chunk(3), strict=True):
            yield f"{layer}.self_attn.{projection}.{ending}", part.contiguous()
        return
    stem, _, ending = name.rpartition(".")
    yield f"{layer}.{_INNER.get(stem, stem)}.{ending}", tensor
