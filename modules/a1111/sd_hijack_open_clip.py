"""A1111's modules.sd_hijack_open_clip: the classes of OpenCLIP's text encoders, and their tokenizer."""

from __future__ import annotations

from typing import Any

from modules.a1111._ldm_present import present_model
from modules.a1111._ldm_text import FrozenOpenCLIPEmbedder2WithCustomWords, FrozenOpenCLIPEmbedderWithCustomWords
from modules.a1111._ldm_tokenizer import SimpleTokenizer

__all__ = ["FrozenOpenCLIPEmbedder2WithCustomWords", "FrozenOpenCLIPEmbedderWithCustomWords"]


class _Tokenizer(SimpleTokenizer):
    """That of the model that counts when it is used; all models share it."""

    def __init__(self) -> None:
        """Take nothing: the model may not be there yet."""

    @property
    def _easel(self) -> Any:
        return present_model().conditioner.readers[0].text.tokenizer


_Tokenizer.__name__ = SimpleTokenizer.__name__
TOKENIZER = _Tokenizer()
tokenizer = TOKENIZER
