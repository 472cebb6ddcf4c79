"""Prompts to what the U-Net attends to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPTokenizer

from modules.engine.families import ModelBundle
from modules.networks.embeddings import Embedding, EmbeddingStore
from modules.prompts.chunks import COMMA_BACKTRACK, Chunk, EmbeddingName, Vocabulary, split_chunks
from modules.prompts.grammar import DEFAULT_EMPHASIS, Fragment, parse_emphasis
from modules.prompts.schedule import Timeline, prompt_schedule

_REMEMBERED = 32
"""Prompts whose encoding is kept; a batch count of 100 then encodes its prompt once."""


def vocabulary_of(
    tokenizer: CLIPTokenizer, embeddings: Callable[[], Sequence[EmbeddingName]] | None = None
) -> Vocabulary:
    """Return what chunking needs of CLIP's tokenizer; `embeddings` are asked for anew for every prompt."""

    def tokenize(text: str) -> list[int]:
        # verbose=False: prompts longer than 77 tokens are cut into chunks, so the warning about them is wrong here.
        encoded: list[int] = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
        return encoded

    def spell(token: int) -> str:
        spelt: str = tokenizer.convert_ids_to_tokens(token)
        return spelt

    comma = tokenizer.convert_tokens_to_ids(",</w>")
    end = tokenizer.eos_token_id
    return Vocabulary(tokenize, tokenizer.bos_token_id, end, comma, end, embeddings=embeddings, spell=spell)


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A prompt over the steps of one pass: until which call of the model each stage holds, and its encoding.

    Every stage is (77 * chunks, width), all of one length. `embeddings` are the names of those in it.
    """

    ends: tuple[int, ...]
    stages: tuple[Tensor, ...]
    embeddings: tuple[str, ...] = ()

    def at(self, call: int) -> Tensor:
        """Return what holds at the `call`-th call, from 0.

        Ends count from 1 and are compared with calls from 0, so that a change comes one call later than it reads: so
        it is in A1111, and pictures depend on it.
        """
        for end, stage in zip(self.ends, self.stages, strict=True):
            if call <= end:
                return stage
        return self.stages[-1]


@dataclass(frozen=True, slots=True)
class TextRules:
    """How prompts are read: how many of the encoder's layers count, the emphasis mode, and the comma backtracking."""

    clip_skip: int = 1
    emphasis: str = DEFAULT_EMPHASIS
    backtrack: int = COMMA_BACKTRACK


class TextConditioner:
    """Encodes prompts for one model, remembering the last ones."""

    def __init__(self, bundle: ModelBundle, embeddings: EmbeddingStore | None = None) -> None:
        self.bundle = bundle
        self.embeddings = embeddings
        self.vocabulary = vocabulary_of(bundle.tokenizer, self._embedding_names)
        self._remembered: dict[tuple[str, TextRules, Timeline], EncodedPrompt] = {}

    def forget(self) -> None:
        """Drop what is remembered: the encoder's weights or the embeddings have changed."""
        self._remembered.clear()

    def encode(self, prompt: str, rules: TextRules, timeline: Timeline) -> EncodedPrompt:
        """Return every stage of the prompt with its weights applied, in the U-Net's precision."""
        key = (prompt, rules, timeline)
        if key not in self._remembered:
            stages = prompt_schedule(prompt, timeline)
            with self.bundle.residency.using(self.bundle.text_encoder):
                encoded, names = self._encode([stage.text for stage in stages], rules)
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.pop(next(iter(self._remembered)))
            ends = tuple(stage.until for stage in stages)
            self._remembered[key] = EncodedPrompt(ends, tuple(encoded), names)
        return self._remembered[key]

    def embedding(self, name: str) -> Embedding | None:
        """Return the embedding of that name, None when there is none."""
        return self.embeddings.get(name) if self.embeddings is not None else None

    def _embedding_names(self) -> Sequence[EmbeddingName]:
        width = int(self.bundle.text_encoder.config.hidden_size)
        return self.embeddings.names(self.vocabulary.tokenize, width) if self.embeddings is not None else ()

    def _encode(self, texts: Sequence[str], rules: TextRules) -> tuple[Tensor, tuple[str, ...]]:
        """Return (texts, 77 * chunks, width) and the embeddings in them.

        Texts of fewer chunks are filled up with empty ones.
        """
        chunked = [
            split_chunks(parse_emphasis(text, rules.emphasis), self.vocabulary, rules.backtrack) for text in texts
        ]
        (empty,) = split_chunks([Fragment("")], self.vocabulary)
        encoded = [self._encode_chunks(column, rules) for column in zip_longest(*chunked, fillvalue=empty)]
        names = dict.fromkeys(fix.name for chunks in chunked for chunk in chunks for fix in chunk.fixes)
        return torch.cat(encoded, dim=1).to(self.bundle.plan.dtype), tuple(names)

    def _encode_chunks(self, chunks: Sequence[Chunk], rules: TextRules) -> Tensor:
        """Return (chunks, 77, width) in float32 for the chunks that stand at one place in the stages of one prompt.

        The weights multiply each token's vector. In the mode "Original" all are then scaled so that the mean over all
        of them is what it was before, which keeps the overall strength of the prompt.
        """
        device = self.bundle.plan.device
        tokens = torch.tensor([chunk.tokens for chunk in chunks], device=device)
        with self._replacing_vectors(chunks):
            encoded = self._hidden(tokens, rules.clip_skip).float()
        if all(weight == 1 for chunk in chunks for weight in chunk.weights):
            return encoded
        weighted = encoded * torch.tensor([chunk.weights for chunk in chunks], device=device).unsqueeze(-1)
        return weighted if rules.emphasis == "No norm" else weighted * (encoded.mean() / weighted.mean())

    @contextlib.contextmanager
    def _replacing_vectors(self, chunks: Sequence[Chunk]) -> Iterator[None]:
        """Inside the block the token vectors at every embedding's place are the embedding's own."""
        if not any(chunk.fixes for chunk in chunks):
            yield
            return

        def replace(_: object, __: object, vectors: Tensor) -> Tensor:
            changed = vectors.clone()
            for row, chunk in enumerate(chunks):
                for fix in chunk.fixes:
                    found = self.embedding(fix.name)
                    if found is not None:
                        first = fix.offset + 1
                        changed[row, first : first + len(found.vectors)] = found.vectors.to(changed)
            return changed

        hook = self._inner().embeddings.token_embedding.register_forward_hook(replace)
        try:
            yield
        finally:
            hook.remove()

    def _hidden(self, tokens: Tensor, clip_skip: int) -> Tensor:
        """Return the encoder's output, the last `clip_skip` - 1 layers left out (at least one layer stays)."""
        encoder = self.bundle.text_encoder
        if clip_skip == 1:
            last: Tensor = encoder(tokens).last_hidden_state
            return last
        states = encoder(tokens, output_hidden_states=True).hidden_states
        layer = states[-min(clip_skip, len(states) - 1)]
        normed: Tensor = self._inner().final_layer_norm(layer)
        return normed

    def _inner(self) -> Any:
        """Return the transformer, which some versions of the library wrap once more."""
        return getattr(self.bundle.text_encoder, "text_model", self.bundle.text_encoder)
