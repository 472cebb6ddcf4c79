r"""Emphasis and chunk breaks: (more), [less], (this much:1.3), \( escapes \) and BREAK, as A1111 means them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

DEFAULT_EMPHASIS = "Original"

ROUND_FACTOR = 1.1
SQUARE_FACTOR = 1 / 1.1

_TOKEN = re.compile(
    r"""
    \\(?P<escaped>[()\[\]\\])
  | (?P<lone_backslash>\\)
  | (?P<open_round>\() | (?P<open_square>\[)
  | :\s*(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+))\s*\)
  | (?P<close_round>\)) | (?P<close_square>\])
  | (?P<plain>[^\\()\[\]:]+|:)
    """,
    re.VERBOSE,
)
_COMMENT_LINE = re.compile(r"(?:^|\n)#[^\n]*(?:\n|$)")
_COMMENT = re.compile(r"#[^\n]*")
_BREAK = re.compile(r"\s*\bBREAK\b\s*")


BREAK_TEXT = "BREAK"
BREAK_WEIGHT = -1.0


@dataclass(frozen=True, slots=True)
class Fragment:
    """A stretch of text with one weight.

    A BREAK is the text "BREAK" of weight -1. Inside weighted brackets its weight is multiplied like any other, so
    that it is the word "BREAK" then and no break: pictures made with A1111 depend on it.
    """

    text: str
    weight: float = 1.0

    @property
    def is_break(self) -> bool:
        """Say whether this ends the chunk instead of being text."""
        return self.text == BREAK_TEXT and self.weight == BREAK_WEIGHT


@dataclass(slots=True)
class _Open:
    """A bracket that was opened: its kind and the number of the first fragment inside it."""

    kind: str
    first: int


class _Parser:
    def __init__(self) -> None:
        self.fragments: list[Fragment] = []
        self.open: list[_Open] = []

    def read(self, text: str) -> None:
        for token in _TOKEN.finditer(text):
            kind, value = token.lastgroup or "plain", token.group(token.lastgroup or 0)
            if kind in ("open_round", "open_square"):
                self.open.append(_Open(kind.removeprefix("open_"), len(self.fragments)))
            elif kind == "weight":
                self._close_weighted(value, token.group())
            elif kind in ("close_round", "close_square"):
                self._close(kind.removeprefix("close_"), value)
            elif kind == "plain":
                self._add_plain(value)
            elif kind == "escaped":
                self.fragments.append(Fragment(value))
        for bracket in self.open:
            self._multiply(bracket.first, ROUND_FACTOR if bracket.kind == "round" else SQUARE_FACTOR)

    def _close_weighted(self, weight: str, written: str) -> None:
        bracket = self._take_last("round")
        if bracket is None:
            self._add_plain(written)
        else:
            self._multiply(bracket.first, float(weight))

    def _close(self, kind: str, written: str) -> None:
        bracket = self._take_last(kind)
        if bracket is None:
            self._add_plain(written)
        else:
            self._multiply(bracket.first, ROUND_FACTOR if kind == "round" else SQUARE_FACTOR)

    def _take_last(self, kind: str) -> _Open | None:
        """Remove and return the last open bracket of `kind`; brackets of the other kind may cross it."""
        for index in range(len(self.open) - 1, -1, -1):
            if self.open[index].kind == kind:
                return self.open.pop(index)
        return None

    def _add_plain(self, text: str) -> None:
        for index, part in enumerate(_BREAK.split(text)):
            if index > 0:
                self.fragments.append(Fragment(BREAK_TEXT, BREAK_WEIGHT))
            self.fragments.append(Fragment(part))

    def _multiply(self, first: int, factor: float) -> None:
        for index in range(first, len(self.fragments)):
            fragment = self.fragments[index]
            self.fragments[index] = Fragment(fragment.text, fragment.weight * factor)


def without_comments(text: str) -> str:
    """Return the prompt without what follows a # on its line; a line that is only a comment goes as a whole."""
    return _COMMENT.sub("", _COMMENT_LINE.sub("\n", text)).strip() if "#" in text else text


def parse_emphasis(text: str, mode: str = DEFAULT_EMPHASIS) -> list[Fragment]:
    """Return the prompt as fragments; neighbours of equal weight are one, an empty prompt is one empty fragment.

    A closing bracket without an opening one is text; an opening one that is never closed reaches to the end. In the
    mode "None" the whole text is one fragment, BREAK included; in the mode "Ignore" the fragments stay apart, since
    each is tokenized for itself, but all have the weight 1. Every other mode reads as "Original" does.
    """
    if mode == "None":
        return [Fragment(text)]
    parser = _Parser()
    parser.read(text)
    fragments = _merged(parser.fragments) or [Fragment("")]
    if mode == "Ignore":
        return [fragment if fragment.is_break else Fragment(fragment.text) for fragment in fragments]
    return fragments


def uses_emphasis(text: str) -> bool:
    """Say whether the emphasis mode can matter to this text, which is when an infotext names it."""
    return "(" in text or "[" in text


def _merged(fragments: Sequence[Fragment]) -> list[Fragment]:
    merged: list[Fragment] = []
    for fragment in fragments:
        last = merged[-1] if merged else None
        if last is not None and last.weight == fragment.weight:
            merged[-1] = Fragment(last.text + fragment.text, last.weight)
        else:
            merged.append(fragment)
    return merged
