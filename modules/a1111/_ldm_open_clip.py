"""One of transformers' text encoders under OpenCLIP's names, whose layers it shares."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from modules.a1111._ldm_layers import beside


class MultiheadAttention(nn.Module):
    """Attention; OpenCLIP keeps the three projections in one tensor, which is only for reading here."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.out_proj = attention.out_proj
        self.num_heads = attention.num_heads
        self.embed_dim = attention.embed_dim
        beside(self, "projections", (attention.q_proj, attention.k_proj, attention.v_proj))

    @property
    def in_proj_weight(self) -> Tensor:
        """The weights of queries, keys and values: (3 * width, width)."""
        return torch.cat([layer.weight for layer in self.__dict__["projections"]])

    @property
    def in_proj_bias(self) -> Tensor:
        """Their biases: (3 * width,)."""
        return torch.cat([layer.bias for layer in self.__dict__["projections"]])

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        destination[f"{prefix}in_proj_weight"] = self.in_proj_weight
        destination[f"{prefix}in_proj_bias"] = self.in_proj_bias


class ResidualAttentionBlock(nn.Module):
    """One layer."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = layer.layer_norm1, layer.layer_norm2
        self.attn = MultiheadAttention(layer.self_attn)
        self.mlp = nn.Module()
        self.mlp.c_fc, self.mlp.gelu, self.mlp.c_proj = layer.mlp.fc1, nn.GELU(), layer.mlp.fc2


class Transformer(nn.Module):
    """The layers."""

    def __init__(self, layers: Any) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(ResidualAttentionBlock(layer) for layer in layers)


class OpenClipView(nn.Module):
    """The text encoder."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        inner = getattr(encoder, "text_model", encoder)
        table = inner.embeddings.token_embedding
        beside(table, "wrapped", table)
        self.token_embedding = table
        self.transformer = Transformer(inner.encoder.layers)
        self.ln_final = inner.final_layer_norm
        self.training = False
        beside(self, "encoder", encoder)

    @property
    def positional_embedding(self) -> Tensor:
        """The vectors of places: (77, width)."""
        encoder = self.__dict__["encoder"]
        return getattr(encoder, "text_model", encoder).embeddings.position_embedding.weight

    @property
    def text_projection(self) -> Tensor | None:
        """What makes the vector for the whole text: (width, width)."""
        projection = getattr(self.__dict__["encoder"], "text_projection", None)
        return None if projection is None else projection.weight.T
