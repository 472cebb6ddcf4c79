"""CLIP's tokenizer with the attributes that it had in transformers and OpenCLIP when extensions were written."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

_PRINTABLE = (range(0x21, 0x7F), range(0xA1, 0xAD), range(0xAE, 0x100))
_SHIFTED = 0x100


@cache
def byte_letters() -> Mapping[int, str]:
    """Return the letter for each byte in GPT-2's vocabularies: its own where it has one, else one beyond 255."""
    own = {byte: chr(byte) for stretch in _PRINTABLE for byte in stretch}
    others = [byte for byte in range(_SHIFTED) if byte not in own]
    return MappingProxyType({**own, **{byte: chr(_SHIFTED + place) for place, byte in enumerate(others)}})


class TokenizerView:
    """The tokenizer; what it lacks of its former attributes is added. Its class is called `CLIPTokenizer`."""

    def __init__(self, tokenizer: Any) -> None:
        self._easel = tokenizer

    def __getattr__(self, name: str) -> Any:
        if name == "_easel":
            raise AttributeError(name)
        return getattr(self._easel, name)

    def __call__(self, *texts: Any, **options: Any) -> Any:
        """Return the tokens of texts, as transformers does."""
        return self._easel(*texts, **options)

    def _convert_token_to_id(self, token: str) -> int:
        """Return the number of a token by its spelling; that of the unknown token for what is none."""
        return int(self._easel.convert_tokens_to_ids(token))

    def _convert_id_to_token(self, number: int) -> str:
        """Return a token's spelling."""
        return str(self._easel.convert_ids_to_tokens(number))

    @property
    def encoder(self) -> Mapping[str, int]:
        """Tokens by their spelling."""
        return self._easel.get_vocab()

    @property
    def decoder(self) -> Mapping[int, str]:
        """Spellings by their tokens."""
        return {number: text for text, number in self._easel.get_vocab().items()}

    @property
    def byte_encoder(self) -> Mapping[int, str]:
        """The letter that stands for each byte."""
        return byte_letters()

    @property
    def byte_decoder(self) -> Mapping[str, int]:
        """The byte that each letter stands for."""
        return {letter: byte for byte, letter in byte_letters().items()}


TokenizerView.__name__ = "CLIPTokenizer"


class SimpleTokenizer(TokenizerView):
    """The same as OpenCLIP has it."""

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, without start and end."""
        return list(self._easel(text, add_special_tokens=False, truncation=False, verbose=False).input_ids)

    def decode(self, tokens: Any) -> str:
        """Return the text that tokens stand for."""
        return str(self._easel.decode(list(tokens)))
