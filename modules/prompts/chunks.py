"""Prompts as chunks of 75 tokens, the length that CLIP's text encoder was made for (77 with start and end token)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from modules.prompts.grammar import Fragment, parse_emphasis
from modules.prompts.schedule import Timeline, prompt_schedule, split_parts

CHUNK_TOKENS = 75
COMMA_BACKTRACK = 20
"""How many tokens may move to the next chunk so that a chunk ends at a comma."""


PLACEHOLDER = 0
"""The token that stands where an embedding's vectors go."""


@dataclass(frozen=True, slots=True)
class EmbeddingName:
    """A textual inversion embedding as prompts know it: its name as tokens stands for `vector_count` vectors."""

    name: str
    vector_count: int
    token_ids: tuple[int, ...]


class KnownEmbedding(Protocol):
    """What chunking asks of an embedding."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def vector_count(self) -> int:
        """How many vectors it stands for, 0 when it cannot be used; asked only where its tokens stand in a prompt."""

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Its name as tokens."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What chunking needs of a tokenizer: text to token numbers, without start and end, and three of the numbers.

    `embeddings` tells those that there are now; of several with the same tokens the last that can be used counts.
    `spell` turns one token back into the text that it stands for, for those who show tokens to people.
    """

    tokenize: Callable[[str], Sequence[int]]
    start: int
    end: int
    comma: int | None
    padding: int
    embeddings: Callable[[], Sequence[KnownEmbedding] | EmbeddingIndex] | None = None
    spell: Callable[[int], str] | None = None


@dataclass(frozen=True, slots=True)
class Fix:
    """Where an embedding's vectors go: over the token vectors at `offset` + 1 to `offset` + `vector_count`.

    `offset` + 1 counts in the chunk's 77 tokens, so that offset 0 is the place right behind the start token. An
    embedding never reaches beyond the 75 tokens of its chunk.
    """

    offset: int
    name: str
    vector_count: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """77 tokens, start and end token included, as many weights, and the embeddings among them.

    `used` of the tokens, from the second one on, are of the prompt; what follows them is the end token and padding.
    """

    tokens: tuple[int, ...]
    weights: tuple[float, ...]
    fixes: tuple[Fix, ...] = ()
    used: int = 0


class EmbeddingIndex:
    """Finds the longest embedding name that begins at a token. With many embeddings it is worth keeping."""

    def __init__(self, embeddings: Iterable[KnownEmbedding]) -> None:
        """Take all names; those without tokens or with more vectors than a chunk holds can never be found."""
        self._by_first: dict[int, list[KnownEmbedding]] = {}
        last_first = [each for each in embeddings if each.token_ids][::-1]
        for embedding in sorted(last_first, key=lambda each: len(each.token_ids), reverse=True):
            self._by_first.setdefault(embedding.token_ids[0], []).append(embedding)

    def at(self, tokens: Sequence[int], position: int) -> KnownEmbedding | None:
        """Return the embedding whose name begins at a place among the tokens, None when there is none."""
        for embedding in self._by_first.get(tokens[position], ()):
            same = tuple(tokens[position : position + len(embedding.token_ids)]) == embedding.token_ids
            if same and 0 < embedding.vector_count <= CHUNK_TOKENS:
                return embedding
        return None


class _Writer:
    def __init__(self, vocabulary: Vocabulary, backtrack: int) -> None:
        self.vocabulary = vocabulary
        self.backtrack = backtrack
        known = vocabulary.embeddings() if vocabulary.embeddings else ()
        self.embeddings = known if isinstance(known, EmbeddingIndex) else EmbeddingIndex(known)
        self.chunks: list[Chunk] = []
        self.tokens: list[int] = []
        self.weights: list[float] = []
        self.fixes: list[Fix] = []
        self.comma_at = -1
        """Place of the chunk's last comma; -1 when it has none."""

    def add_all(self, fragments: Sequence[Fragment]) -> None:
        for fragment in fragments:
            if fragment.is_break:
                self.finish()
            else:
                self._add_text(self.vocabulary.tokenize(fragment.text), fragment.weight)

    def _add_text(self, tokens: Sequence[int], weight: float) -> None:
        position = 0
        while position < len(tokens):
            self._make_room(tokens[position])
            embedding = self.embeddings.at(tokens, position)
            if embedding is None:
                self._append([tokens[position]], weight)
                position += 1
            else:
                self._add_embedding(embedding, weight)
                position += len(embedding.token_ids)

    def _make_room(self, token: int) -> None:
        """Finish the chunk if it is full, or its part up to the last comma, when `token` comes next."""
        if token == self.vocabulary.comma:
            self.comma_at = len(self.tokens)
        elif len(self.tokens) == CHUNK_TOKENS and self._comma_is_near():
            self._move_tail_to_next_chunk()
        if len(self.tokens) == CHUNK_TOKENS:
            self.finish()

    def _add_embedding(self, embedding: KnownEmbedding, weight: float) -> None:
        """Add placeholders for the vectors, all of them in one chunk; no comma is looked for then."""
        if len(self.tokens) + embedding.vector_count > CHUNK_TOKENS:
            self.finish()
        self.fixes.append(Fix(len(self.tokens), embedding.name, embedding.vector_count))
        self._append([PLACEHOLDER] * embedding.vector_count, weight)

    def _append(self, tokens: Sequence[int], weight: float) -> None:
        self.tokens += tokens
        self.weights += [weight] * len(tokens)

    def _comma_is_near(self) -> bool:
        return self.backtrack > 0 and self.comma_at >= 0 and len(self.tokens) - self.comma_at <= self.backtrack

    def _move_tail_to_next_chunk(self) -> None:
        """Finish the chunk at its comma and begin the next one with what followed.

        The vectors of an embedding that followed stay behind, over the padding, and its placeholders move on as
        plain tokens: so it is in A1111, and pictures depend on it.
        """
        cut = self.comma_at + 1
        tail = self.tokens[cut:], self.weights[cut:]
        del self.tokens[cut:], self.weights[cut:]
        self.finish()
        self.tokens, self.weights = tail

    def finish(self) -> None:
        """Pad what is there to 75 tokens and start the next chunk."""
        used = len(self.tokens)
        missing = CHUNK_TOKENS - used
        padding = [self.vocabulary.padding] * missing
        tokens = (self.vocabulary.start, *self.tokens, self.vocabulary.end, *padding)
        weights = (1.0, *self.weights, *[1.0] * missing, 1.0)
        self.chunks.append(Chunk(tokens, weights, tuple(self.fixes), used))
        self.tokens, self.weights, self.fixes, self.comma_at = [], [], [], -1


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

    An embedding counts by its vectors. `text` comes without comments and without the tags of networks. Of the parts
    that AND divides and the stages of an edited prompt the longest counts. All chunks but the last count as full, since
    what follows them cannot use their rest.
    """
    parts = split_parts(text)
    stages = {stage.text for part in parts for stage in prompt_schedule(part.text, timeline)}
    count = max(_count_one(stage, vocabulary) for stage in stages)
    return count, max(1, -(-count // CHUNK_TOKENS)) * CHUNK_TOKENS


def _count_one(text: str, vocabulary: Vocabulary) -> int:
    writer = _Writer(vocabulary, COMMA_BACKTRACK)
    writer.add_all(parse_emphasis(text))
    return len(writer.chunks) * CHUNK_TOKENS + len(writer.tokens)
