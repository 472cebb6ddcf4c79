"""A1111's modules.sd_hijack_clip: the classes of text encoders."""

from modules.a1111._ldm_text import (
    FrozenCLIPEmbedderForSDXLWithCustomWords,
    FrozenCLIPEmbedderWithCustomWords,
    FrozenCLIPEmbedderWithCustomWordsBase,
    PromptChunk,
    PromptChunkFix,
)

__all__ = [
    "FrozenCLIPEmbedderForSDXLWithCustomWords", "FrozenCLIPEmbedderWithCustomWords",
    "FrozenCLIPEmbedderWithCustomWordsBase", "PromptChunk", "PromptChunkFix", "TextConditionalModel",
]  # fmt: skip

TextConditionalModel = FrozenCLIPEmbedderWithCustomWordsBase
