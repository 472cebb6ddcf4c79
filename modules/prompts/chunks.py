"""Prompts as chunks of 75 tokens, the length that CLIP's text encoder was made for (77 with start and end token)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from modules.prompts.grammar import Fragment, parse_emphasis, without_comments
from modules.prompts.schedule import Timeline, prompt_schedule, split_parts

CHUNK_TOKENS = 75
COMMA_BACKTRACK = 20
"""How many tokens may move to the next chunk so that a chunk ends at a comma."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What chunking needs of a tokenizer: text to token numbers, without start and end, and three of the numbers."""

    tokenize: Callable[[str], Sequence[int]]
    start: int
    end: int
    comma: int | None
    padding: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """77 tokens, start and end token included, and as many weights."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(slots=True)
class _Writer:
    vocabulary: Vocabulary
    backtrack: int
    chunks: list[Chunk] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    comma_at: int = -1
    """Place of the chunk's last comma; -1 when it has none."""

    def add_all(self, fragments: Sequence[Fragment]) -> None:
        for fragment in fragments:
            if fragment.is_break:
                self.finish()
                continue
            for token in self.vocabulary.tokenize(fragment.text):
                self.add(token, fragment.weight)

    def add(self, token: int, weight: float) -> None:
        if token == self.vocabulary.comma:
            self.comma_at = len(self.tokens)
        elif len(self.tokens) == CHUNK_TOKENS and self._comma_is_near():
            self._move_tail_to_next_chunk()
        if len(self.tokens) == CHUNK_TOKENS:
            self.finish()
        self.tokens.append(token)
        self.weights.append(weight)

    def _comma_is_near(self) -> bool:
        return self.backtrack > 0 and self.comma_at >= 0 and len(self.tokens) - self.comma_at <= self.backtrack

    def _move_tail_to_next_chunk(self) -> None:
        cut = self.comma_at + 1
        tail = self.tokens[cut:], self.weights[cut:]
        del self.tokens[cut:], self.weights[cut:]
        self.finish()
        self.tokens, self.weights = tail

    def finish(self) -> None:
        """Pad what is there to 75 tokens and start the next chunk."""
        missing = CHUNK_TOKENS - len(self.tokens)
        padding = [self.vocabulary.padding] * missing
        tokens = (self.vocabulary.start, *self.tokens, self.vocabulary.end, *padding)
        weights = (1.0, *self.weights, *[1.0] * missing, 1.0)
        self.chunks.append(Chunk(tokens, weights))
        self.tokens, self.weights, self.comma_at = [], [], -1


def split_chunks(
    fragments: Sequence[Fragment], vocabulary: Vocabulary, backtrack: int = COMMA_BACKTRACK
) -> list[Chunk]:
    """Return the chunks of a prompt, at least one. BREAK ends a chunk; so does the 75th token, or the comma before."""
    writer = _Writer(vocabulary, backtrack)
    writer.add_all(fragments)
    if writer.tokens or not writer.chunks:
        writer.finish()
    return writer.chunks


def count_tokens(text: str, vocabulary: Vocabulary, timeline: Timeline) -> tuple[int, int]:
    """Return how many tokens the prompt has, and how many fit into the chunks that it takes (75, 150, …).

    Comments do not count; of the parts that AND divides and the stages of an edited prompt the longest counts. All
    chunks but the last count as full, since what follows them cannot use their rest.
    """
    parts = split_parts(without_comments(text))
    stages = {stage.text for part in parts for stage in prompt_schedule(part.text, timeline)}
    count = max(_count_one(stage, vocabulary) for stage in stages)
    return count, max(1, -(-count // CHUNK_TOKENS)) * CHUNK_TOKENS


def _count_one(text: str, vocabulary: Vocabulary) -> int:
    writer = _Writer(vocabulary, COMMA_BACKTRACK)
    writer.add_all(parse_emphasis(text))
    return len(writer.chunks) * CHUNK_TOKENS + len(writer.tokens)
