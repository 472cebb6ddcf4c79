"""The names that files give to layers, taken apart, and found again in a model.

Trainers name a layer by its place in diffusers' networks or in the original ones (`input_blocks.4.1…`), with dots or
with underscores for dots, behind various prefixes, and in the case of OpenCLIP's text encoders by OpenCLIP's names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modules.networks.kinds.registry import PART_NAMES

_OTHER_PARTS = (
    (r"lora_A(?:\.\w+)?\.weight", "lora_down.weight"),
    (r"lora_B(?:\.\w+)?\.weight", "lora_up.weight"),
    (r"lora(?:_linear_layer|_conv2d_layer)?\.(down|up)\.weight", r"lora_\1.weight"),
    (r"lora_magnitude_vector(?:\.\w+)?(?:\.weight)?", "dora_scale"),
)
"""How peft and diffusers call parts, and what kohya calls them."""
_PARTS = re.compile(
    rf"(?P<layer>.+?)\.(?P<part>{'|'.join([*map(re.escape, sorted(PART_NAMES)), *(way for way, _ in _OTHER_PARTS)])})"
)
_PROCESSOR = re.compile(r"(?P<attention>.+)\.processor\.(?P<layer>to_\w+?)_lora\.(?P<part>down|up)\.weight")
"""Diffusers before version 0.18."""

UNET = "unet"
_UNET_PREFIXES = (
    "lora_unet_", "lycoris_unet_", "oft_unet_", "unet_", "model_diffusion_model_", "diffusion_model_", "lycoris_", "",
)  # fmt: skip
_TEXT_PREFIXES: Sequence[tuple[str, str]] = (
    ("lora_te1_", "1"), ("lora_te2_", "2"), ("lora_te_", ""), ("oft_te1_", "1"), ("oft_te2_", "2"), ("oft_te_", ""),
    ("text_encoder_2_", "2"), ("text_encoder_", "1"), ("0_transformer_", "1"), ("1_model_", "2"),
    ("transformer_", ""), ("lycoris_", "1"), ("", "1"),
)  # fmt: skip
"""What comes before the names of a text encoder's layers, and which one it is: the first, the second, or "" the only
one."""
_BLOCK = re.compile(r"(?:model_)?(?:transformer_)?resblocks_(\d+)_(\w+)")
_BLOCK_PARTS = {
    "mlp_c_fc": "mlp_fc1", "mlp_c_proj": "mlp_fc2", "ln_1": "layer_norm1", "ln_2": "layer_norm2",
    "attn_out_proj": "self_attn_out_proj", "attn_q_proj": "self_attn_q_proj", "attn_k_proj": "self_attn_k_proj",
    "attn_v_proj": "self_attn_v_proj",
}  # fmt: skip
_FUSED = "attn_in_proj"
_FUSED_PARTS = ("self_attn_q_proj", "self_attn_k_proj", "self_attn_v_proj")
_TEXT_ROOT = "text_model_"


def split_key(key: str) -> tuple[str, str] | None:
    """Return the layer's name, in the file's own words, and kohya's name of the part; None for anything else."""
    old = _PROCESSOR.fullmatch(key)
    if old is not None:
        return f"{old['attention']}.{old['layer']}", f"lora_{old['part']}.weight"
    match = _PARTS.fullmatch(key)
    if match is None:
        return None
    part = match["part"]
    for way, name in _OTHER_PARTS:
        if re.fullmatch(way, part):
            return match["layer"], re.sub(way, name, part)
    return match["layer"], part


@dataclass(frozen=True, slots=True)
class Place:
    """Where a change goes: a layer, and which of `pieces` equal groups of the change's outputs are for it."""

    layer: str
    piece: int = 0
    pieces: int = 1


class LayerNames:
    """Finds a model's layers by any of the names that files give them. Layers are known as "part:module_path"."""

    def __init__(
        self, unet: Iterable[str], texts: Mapping[str, Iterable[str]], other_names: Mapping[str, str] | None = None
    ) -> None:
        """Take the paths of the layers in the U-Net and in each text encoder, by the encoder's number: "1", "2".

        `other_names`: paths of the U-Net to the names that the original layout has for them.
        """
        self._unet = {path.replace(".", "_"): f"{UNET}:{path}" for path in unet}
        for path, other in (other_names or {}).items():
            if path.replace(".", "_") in self._unet:
                self._unet.setdefault(other.replace(".", "_"), f"{UNET}:{path}")
        self._texts = {
            number: {path.replace(".", "_").removeprefix(_TEXT_ROOT): f"{number}:{path}" for path in paths}
            for number, paths in texts.items()
        }

    def find(self, written: str) -> tuple[Place, ...]:
        """Return where a change of the layer of that name goes; nothing when the model has no such layer."""
        name = written.replace(".", "_").removeprefix("base_model_model_")
        return self._in_unet(name) or self._in_texts(name)

    def _in_unet(self, name: str) -> tuple[Place, ...]:
        for prefix in _UNET_PREFIXES:
            if name.startswith(prefix):
                rest = name.removeprefix(prefix)
                # Old files have the output projection without its place in the list that it is in.
                layer = self._unet.get(rest) or self._unet.get(f"{rest}_0" if rest.endswith("_to_out") else rest)
                if layer is not None:
                    return (Place(layer),)
        return ()

    def _in_texts(self, name: str) -> tuple[Place, ...]:
        for prefix, number in _TEXT_PREFIXES:
            layers = self._encoder(number)
            if layers is None or not name.startswith(prefix):
                continue
            rest = name.removeprefix(prefix).removeprefix(_TEXT_ROOT)
            found = tuple(layers[path] for path in _plain_paths(rest) if path in layers)
            if found:
                return tuple(Place(layer, piece, len(found)) for piece, layer in enumerate(found))
        return ()

    def _encoder(self, number: str) -> Mapping[str, str] | None:
        """Return the layers of an encoder; "" means the only one, and the first of a model is its only one too."""
        if len(self._texts) == 1 and number in ("", "1") and (number == "" or "1" in self._texts):
            return next(iter(self._texts.values()))
        return self._texts.get(number)


def _plain_paths(name: str) -> tuple[str, ...]:
    """Return the path, in transformers' words, of a text encoder's layer; three for OpenCLIP's fused projection."""
    block = _BLOCK.fullmatch(name)
    if block is None:
        return (name,)
    parts = _FUSED_PARTS if block[2] == _FUSED else (_BLOCK_PARTS.get(block[2], block[2]),)
    return tuple(f"encoder_layers_{block[1]}_{part}" for part in parts)
