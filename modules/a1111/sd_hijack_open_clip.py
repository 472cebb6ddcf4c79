"""A1111's modules.sd_hijack_open_clip: the classes of OpenCLIP's text encoders, and their tokenizer."""

from __future__ import annotations

from typing import Any

from modules.a1111._host import HOST
from modules.a1111._ldm_present import present_model
from modules.a1111._ldm_text import FrozenOpenCLIPEmbedder2WithCustomWords, FrozenOpenCLIPEmbedderWithCustomWords
from modules.a1111._ldm_tokenizer import SimpleTokenizer

__all__ = ["FrozenOpenCLIPEmbedder2WithCustomWords", "FrozenOpenCLIPEmbedderWithCustomWords"]


def __getattr__(name: str) -> Any:
    """Return the tokenizer, which all models share."""
    if name != "tokenizer":
        raise AttributeError(name)
    return HOST.state("tokenizer", lambda: SimpleTokenizer(present_model().conditioner.readers[0].text.tokenizer))
