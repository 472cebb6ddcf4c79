"""Which tensors make which kind. A new kind is one entry of `KINDS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from modules.networks.kinds.base import Core, LayerChange, PartsProblem
from modules.networks.kinds.low_rank import GeneralLowRank, LowRank
from modules.networks.kinds.products import Factors, Hadamard, Kronecker
from modules.networks.kinds.rotation import Butterfly, Rotation
from modules.networks.kinds.simple import Difference, Rescaling

Parts = Mapping[str, Tensor]
"""The tensors that a file holds for one layer, by the last part of their names."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: its name, the tensors that show it (any one of these sets), and what makes the change of them."""

    name: str
    marks: tuple[frozenset[str], ...]
    core: Callable[[Parts], Core]


def _low_rank(parts: Parts) -> Core:
    return LowRank(parts["lora_up.weight"], parts["lora_down.weight"], parts.get("lora_mid.weight"))


def _hadamard(parts: Parts) -> Core:
    first = Factors(parts["hada_w1_a"], parts["hada_w1_b"], parts.get("hada_t1"))
    return Hadamard(first, Factors(parts["hada_w2_a"], parts["hada_w2_b"], parts.get("hada_t2")))


def _kronecker(parts: Parts) -> Core:
    first = parts.get("lokr_w1")
    second = parts.get("lokr_w2")
    return Kronecker(
        Factors(parts["lokr_w1_a"], parts["lokr_w1_b"]) if first is None else first,
        Factors(parts["lokr_w2_a"], parts["lokr_w2_b"], parts.get("lokr_t2")) if second is None else second,
    )


def _rescaling(parts: Parts) -> Core:
    return Rescaling(parts["weight"], bool(number(parts, "on_input")))


def _general(parts: Parts) -> Core:
    return GeneralLowRank(*(parts[f"{name}.weight"] for name in ("a1", "a2", "b1", "b2")))


def _rotation(parts: Parts) -> Core:
    rescale = parts.get("rescale")
    if "oft_diag" in parts:
        return Rotation(parts["oft_diag"], ready=True, rescale=rescale)
    blocks, constraint = parts["oft_blocks"], number(parts, "alpha")
    return Butterfly(blocks, constraint, rescale) if blocks.dim() == 4 else Rotation(blocks, False, constraint, rescale)


def _marks(*sets: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(names.split()) for names in sets)


KINDS: tuple[Kind, ...] = (
    Kind("LoRA", _marks("lora_up.weight lora_down.weight"), _low_rank),
    Kind("LoHa", _marks("hada_w1_a hada_w1_b hada_w2_a hada_w2_b"), _hadamard),
    Kind("IA3", _marks("weight on_input"), _rescaling),
    Kind(
        "LoKr",
        _marks(
            "lokr_w1 lokr_w2", "lokr_w1 lokr_w2_a lokr_w2_b", "lokr_w1_a lokr_w1_b lokr_w2",
            "lokr_w1_a lokr_w1_b lokr_w2_a lokr_w2_b",
        ),
        _kronecker,
    ),
    Kind("Full", _marks("diff", "diff_b"), lambda parts: Difference(parts.get("diff"))),
    Kind("Norm", _marks("w_norm", "b_norm"), lambda parts: Difference(parts.get("w_norm"))),
    Kind("GLoRA", _marks("a1.weight a2.weight b1.weight b2.weight"), _general),
    Kind("OFT", _marks("oft_blocks", "oft_diag"), _rotation),
)  # fmt: skip
"""In the order in which A1111 asks."""

PART_NAMES = frozenset().union(*(mark for kind in KINDS for mark in kind.marks)) | {
    "lora_mid.weight", "hada_t1", "hada_t2", "lokr_t2", "alpha", "scale", "bias", "dora_scale", "rescale",
    "bias_indices", "bias_values", "bias_size",
}  # fmt: skip
"""Every name of a part. A1111 takes no notice of sparse biases (`bias_…`), and so do we."""


def read_change(parts: Parts) -> LayerChange:
    """Return what a file does to one layer. Raises PartsProblem."""
    kind = next((kind for kind in KINDS if any(mark <= parts.keys() for mark in kind.marks)), None)
    if kind is None:
        raise PartsProblem(_why_unknown(parts))
    core = kind.core(parts)
    scale, alpha = number(parts, "scale"), number(parts, "alpha")
    if kind.name == "OFT" or (scale is None and (alpha is None or core.rank is None)):
        scale = 1.0
    elif scale is None and alpha is not None and core.rank is not None:
        scale = alpha / core.rank
    bias = parts.get("diff_b", parts.get("b_norm"))
    return LayerChange(core, 1.0 if scale is None else scale, parts.get("bias"), parts.get("dora_scale"), bias)


def number(parts: Parts, name: str) -> float | None:
    """Return a part that is one number. Raises PartsProblem."""
    part = parts.get(name)
    if part is None:
        return None
    if part.numel() != 1:
        raise PartsProblem(f"its {name} is no single number")
    return float(part)


def _why_unknown(parts: Parts) -> str:
    """Say what lacks for the kind that the parts come closest to."""
    shared = [(len(mark & parts.keys()), mark) for kind in KINDS for mark in kind.marks]
    most, nearest = max(shared, key=lambda pair: pair[0])
    if most:
        return f"it lacks {' and '.join(sorted(nearest - parts.keys()))}"
    return f"it is of no known kind ({', '.join(sorted(parts))})"
