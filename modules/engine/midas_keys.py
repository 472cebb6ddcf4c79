"""MiDaS's own names for DPT-Hybrid's tensors, as in `dpt_hybrid-midas-501f0c75.pt` and in SD 2's depth checkpoints.

The network is that of Ranftl et al. 2021 (arXiv:2103.13413); transformers has it under other names, and keeps queries,
keys and values apart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping

from torch import Tensor
from transformers import BitConfig, DPTConfig

Shape = tuple[int, ...]

_MARK = "pretrained.model.patch_embed.backbone.stem.conv.weight"
_HEAD_WIDTH = 64
_PATCH = 16
_STAGES = 3
_LAYER_NORM_EPSILON = 1e-6
_STEM, _TRUNK = "pretrained.model.patch_embed.backbone.stem.", "pretrained.model.patch_embed.backbone.stages."
_RENAMED = tuple((re.compile(pattern), into) for pattern, into in (
    (r"pretrained\.model\.cls_token", "dpt.embeddings.cls_token"),
    (r"pretrained\.model\.pos_embed", "dpt.embeddings.position_embeddings"),
    (r"pretrained\.model\.patch_embed\.proj\.", "dpt.embeddings.projection."),
    (re.escape(_STEM) + r"conv\.", "dpt.embeddings.backbone.bit.embedder.convolution."),
    (re.escape(_STEM) + r"norm\.", "dpt.embeddings.backbone.bit.embedder.norm."),
    (re.escape(_TRUNK) + r"(\d+)\.blocks\.", r"dpt.embeddings.backbone.bit.encoder.stages.\1.layers."),
    (r"pretrained\.model\.blocks\.(\d+)\.norm1\.", r"dpt.encoder.layer.\1.layernorm_before."),
    (r"pretrained\.model\.blocks\.(\d+)\.norm2\.", r"dpt.encoder.layer.\1.layernorm_after."),
    (r"pretrained\.model\.blocks\.(\d+)\.attn\.proj\.", r"dpt.encoder.layer.\1.attention.output.dense."),
    (r"pretrained\.model\.blocks\.(\d+)\.attn\.qkv\.", r"dpt.encoder.layer.\1.attention.attention.qkv."),
    (r"pretrained\.model\.blocks\.(\d+)\.mlp\.fc1\.", r"dpt.encoder.layer.\1.intermediate.dense."),
    (r"pretrained\.model\.blocks\.(\d+)\.mlp\.fc2\.", r"dpt.encoder.layer.\1.output.dense."),
    (r"pretrained\.model\.norm\.", "dpt.layernorm."),
    (r"scratch\.output_conv\.", "head.head."),
))  # fmt: skip
"""Beginnings of names there, and what stands in their place here."""
_NUMBERED = re.compile(
    r"(?:pretrained\.act_postprocess|scratch\.layer|scratch\.refinenet)(\d)"
    r"(\.0\.project\.0|\.3|\.4|_rn|\.out_conv|\.resConfUnit\d\.conv\d)\.(weight|bias)"
)
"""The names of the neck, whose parts are counted from 1 there and from 0 here."""
_UNIT = re.compile(r"\.resConfUnit(\d)\.conv(\d)")


def hybrid_prefix(names: Iterable[str]) -> str | None:
    """Return what stands before every name of the network, "" for nothing; None where there is no such network."""
    return next((name.removesuffix(_MARK) for name in names if name.endswith(_MARK)), None)


def hybrid_config(shapes: Mapping[str, Shape]) -> DPTConfig:
    """Return the configuration of a network with tensors of these shapes, by MiDaS's names. Raises KeyError."""
    width, layers = shapes["pretrained.model.cls_token"][-1], _count(shapes, r"pretrained\.model\.blocks\.(\d+)\.")
    side = math.isqrt(shapes["pretrained.model.pos_embed"][1] - 1)
    wide = [shapes[f"{_TRUNK}{stage}.blocks.0.conv3.weight"][0] for stage in range(_STAGES)]
    trunk = BitConfig(
        embedding_size=shapes[_MARK][0],
        # The last is that of a stage which is left out.
        hidden_sizes=[*wide, 2 * wide[-1]],
        depths=[_count(shapes, re.escape(f"{_TRUNK}{stage}.blocks.") + r"(\d+)\.") for stage in range(_STAGES)],
        layer_type="bottleneck",
        global_padding="same",
        embedding_dynamic_padding=True,
        out_features=[f"stage{stage + 1}" for stage in range(_STAGES)],
    )
    return DPTConfig(
        is_hybrid=True,
        backbone_config=trunk,
        backbone_featmap_shape=[1, wide[-1], side, side],
        backbone_out_indices=[layers * quarter // 4 - 1 for quarter in (1, 2, 3, 4)],
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=max(width // _HEAD_WIDTH, 1),
        intermediate_size=shapes["pretrained.model.blocks.0.mlp.fc1.weight"][0],
        layer_norm_eps=_LAYER_NORM_EPSILON,
        image_size=side * _PATCH,
        patch_size=_PATCH,
        reassemble_factors=[1, 1, 1, 0.5],
        neck_hidden_sizes=[shapes[f"scratch.layer{stage}_rn.weight"][1] for stage in (1, 2, 3, 4)],
        fusion_hidden_size=shapes["scratch.layer1_rn.weight"][0],
    )


def from_midas(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under transformers' names; what it has no place for, a classifier's head, is left out."""
    return dict(part for name, tensor in tensors.items() for part in _parted(_own_name(name), tensor))


def _own_name(name: str) -> str:
    numbered = _NUMBERED.fullmatch(name)
    if numbered is not None:
        return f"{_neck_name(int(numbered[1]), numbered[2])}.{numbered[3]}"
    for pattern, into in _RENAMED:
        if pattern.match(name):
            return pattern.sub(into, name, count=1)
    return ""


def _neck_name(number: int, part: str) -> str:
    """Return the name of a part of the neck; what fuses its stages begins with the last one."""
    fused = f"neck.fusion_stage.layers.{4 - number}"
    unit = _UNIT.fullmatch(part)
    if unit is not None:
        return f"{fused}.residual_layer{unit[1]}.convolution{unit[2]}"
    return {
        ".0.project.0": f"neck.reassemble_stage.readout_projects.{number - 1}.0",
        ".3": f"neck.reassemble_stage.layers.{number - 1}.projection",
        ".4": f"neck.reassemble_stage.layers.{number - 1}.resize",
        "_rn": f"neck.convs.{number - 1}",
        ".out_conv": f"{fused}.projection",
    }[part]


def _parted(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield a tensor under its name, or its thirds where it holds queries, keys and values; nothing without a name."""
    if ".qkv." in name:
        for part, third in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
            yield name.replace(".qkv.", f".{part}."), third
    elif name:
        yield name, tensor


def _count(shapes: Mapping[str, Shape], pattern: str) -> int:
    return len({match[1] for name in shapes if (match := re.match(pattern, name))})
