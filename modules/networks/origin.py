"""For which kind of model a network was made, as far as the names and shapes in its file tell."""

from __future__ import annotations

from collections.abc import Mapping

from modules.networks.lora import Lora

SD1_LABEL, SD2_LABEL, SDXL_LABEL, REFINER_LABEL = "SD 1.x", "SD 2.x", "SDXL", "the SDXL refiner"
_BY_CONTEXT: Mapping[int, str] = {768: SD1_LABEL, 1024: SD2_LABEL, 2048: SDXL_LABEL, 1280: REFINER_LABEL}
"""Numbers per token that the U-Net's cross attention reads."""
_BY_TEXT: Mapping[int, str] = {768: SD1_LABEL, 1024: SD2_LABEL}
"""Numbers per token of the only text encoder."""
_CONTEXT_LAYERS = ("attn2_to_k", "attn2_to_v")
_FOREIGN_MARKS = (
    ("double_blocks", "Flux"), ("single_transformer_blocks", "Flux"), ("joint_blocks", "SD 3"),
    ("lora_transformer_", "SD 3 or Flux"), ("transformer_transformer_blocks", "SD 3 or Flux"),
    ("lora_te2_", SDXL_LABEL), ("lora_te1_", SDXL_LABEL), ("text_encoder_2_", SDXL_LABEL),
)  # fmt: skip
_TEXT_MARKS = ("lora_te_", "text_encoder_")


def reads_context(written: str) -> bool:
    """Say whether a layer, by its name in a file, reads the prompt, so that its width shows the model's kind."""
    return written.replace(".", "_").endswith(_CONTEXT_LAYERS)


def made_for(lora: Lora) -> str:
    """Return the kind of model in words, "" when nothing tells."""
    for written, change in lora.modules.items():
        shape = change.core.shape
        if reads_context(written) and len(shape) > 1 and shape[1] in _BY_CONTEXT:
            return _BY_CONTEXT[shape[1]]
    names = [written.replace(".", "_") for written in lora.modules]
    for mark, label in _FOREIGN_MARKS:
        if any(mark in name for name in names):
            return label
    for written, change in lora.modules.items():
        shape = change.core.shape
        if written.replace(".", "_").startswith(_TEXT_MARKS) and "q_proj" in written and len(shape) > 1:
            return _BY_TEXT.get(shape[1], "")
    return ""
