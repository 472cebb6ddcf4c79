"""Prompts to what the U-Net attends to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPTokenizer

from modules.engine.families import ModelBundle, TextPart
from modules.engine.memory import DevicePlan
from modules.networks.embedding_store import Embedding, EmbeddingStore, ModelEmbeddings
from modules.prompts.chunks import COMMA_BACKTRACK, Chunk, EmbeddingIndex, Vocabulary, split_chunks
from modules.prompts.grammar import DEFAULT_EMPHASIS, Fragment, parse_emphasis
from modules.prompts.schedule import Timeline, prompt_schedule

_REMEMBERED = 32
"""Prompts whose encoding is kept; a batch count of 100 then encodes its prompt once."""


def vocabulary_of(
    tokenizer: CLIPTokenizer,
    embeddings: Callable[[], EmbeddingIndex] | None = None,
    ends_padding: bool = True,
) -> Vocabulary:
    """Return what chunking needs of CLIP's tokenizer; `embeddings` are asked for anew for every prompt.

    `ends_padding`: chunks are filled up with the end token, else with token 0.
    """

    def tokenize(text: str) -> list[int]:
        # verbose=False: prompts longer than 77 tokens are cut into chunks, so the warning about them is wrong here.
        encoded: list[int] = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
        return encoded

    def spell(token: int) -> str:
        spelt: str = tokenizer.convert_ids_to_tokens(token)
        return spelt

    comma = tokenizer.convert_tokens_to_ids(",</w>")
    end = tokenizer.eos_token_id
    padding = end if ends_padding else 0
    return Vocabulary(tokenize, tokenizer.bos_token_id, end, comma, padding, embeddings=embeddings, spell=spell)


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """What the U-Net is told of one prompt.

    `context`: (77 * chunks, width). `pooled`: one vector for the whole prompt, (width,), where the family reads one;
    `sizes`: numbers on sizes, crop and score that go with it. `empty`: nothing was asked for.
    """

    context: Tensor
    pooled: Tensor | None = None
    sizes: Tensor | None = None
    empty: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPrompt:
    """A prompt over the steps of one pass: until which call of the model each stage holds, and its encoding.

    The contexts of all stages are of one length. `embeddings` are the names of those in the prompt.
    """

    ends: tuple[int, ...]
    stages: tuple[Condition, ...]
    embeddings: tuple[str, ...] = ()

    def at(self, call: int) -> Condition:
        """Return what holds at the `call`-th call, from 0.

        Ends count from 1 and are compared with calls from 0, so that a change comes one call later than it reads: so
        it is in A1111, and pictures depend on it.
        """
        for end, stage in zip(self.ends, self.stages, strict=True):
            if call <= end:
                return stage
        return self.stages[-1]

    def with_sizes(self, sizes: Tensor) -> EncodedPrompt:
        """Return the prompt with the numbers that a pass adds to every stage."""
        return replace(self, stages=tuple(replace(stage, sizes=sizes) for stage in self.stages))

    def without_text(self) -> EncodedPrompt:
        """Return the prompt with zeros for its text: how SDXL was trained to be told of nothing."""
        stages = (
            replace(
                stage,
                context=torch.zeros_like(stage.context),
                pooled=None if stage.pooled is None else torch.zeros_like(stage.pooled),
            )
            for stage in self.stages
        )
        return replace(self, stages=tuple(stages))


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
        self.embeddings = ModelEmbeddings(embeddings, text_widths(bundle))
        self.readers = tuple(
            PartReader(text, bundle.plan, self.embeddings, number) for number, text in enumerate(bundle.texts)
        )
        self._index: EmbeddingIndex | None = None
        self._remembered: dict[tuple[str, TextRules, Timeline], EncodedPrompt] = {}

    def forget(self) -> None:
        """Drop what is remembered: the encoder's weights or the embeddings have changed."""
        self._remembered.clear()

    def encode(self, prompt: str, rules: TextRules, timeline: Timeline) -> EncodedPrompt:
        """Return every stage of the prompt with its weights applied, in the U-Net's precision."""
        index = self.readers[0].index()
        if index is not self._index:
            self.forget()
            self._index = index
        key = (prompt, rules, timeline)
        if key not in self._remembered:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.pop(next(iter(self._remembered)))
            self._remembered[key] = self._encoded(prompt, rules, timeline)
        return self._remembered[key]

    def embedding(self, name: str) -> Embedding | None:
        """Return the embedding of that name, None when there is none."""
        return self.embeddings.get(name)

    def _encoded(self, prompt: str, rules: TextRules, timeline: Timeline) -> EncodedPrompt:
        stages = prompt_schedule(prompt, timeline)
        texts = [stage.text for stage in stages]
        relief = self.bundle.relief
        read = [relief.read(reader.text.encoder, partial(reader.read, texts, rules)) for reader in self.readers]
        dtype = self.bundle.plan.dtype
        contexts = torch.cat([one.contexts for one in read], dim=-1).to(dtype)
        pooled = next((one.pooled.to(dtype) for one in read if one.pooled is not None), None)
        conditions = tuple(
            Condition(context, None if pooled is None else pooled[row], empty=not prompt.strip())
            for row, context in enumerate(contexts)
        )
        names = dict.fromkeys(name for one in read for name in one.embeddings)
        return EncodedPrompt(tuple(stage.until for stage in stages), conditions, tuple(names))


@dataclass(frozen=True, slots=True, eq=False)
class ReadTexts:
    """What one text encoder makes of some texts: (texts, 77 * chunks, width), and (texts, width) if it has such."""

    contexts: Tensor
    pooled: Tensor | None
    embeddings: tuple[str, ...]


def text_widths(bundle: ModelBundle) -> tuple[int, ...]:
    """Return the numbers per token of each text encoder, which embeddings must have."""
    return tuple(int(text.encoder.config.hidden_size) for text in bundle.texts)


class PartReader:
    """Reads texts with one text encoder."""

    def __init__(self, text: TextPart, plan: DevicePlan, embeddings: ModelEmbeddings, number: int) -> None:
        """Take the encoder, which is the model's `number`-th, from 0."""
        self.text = text
        self.plan = plan
        self.embeddings = embeddings
        self.number = number
        self.vocabulary = vocabulary_of(text.tokenizer, self.index, text.spec.ends_padding)

    def index(self) -> EmbeddingIndex:
        """Return what finds embeddings in prompts."""
        return self.embeddings.index(self.vocabulary.tokenize)

    def read(self, texts: Sequence[str], rules: TextRules) -> ReadTexts:
        """Return the texts' vectors in float32; texts of fewer chunks are filled up with empty ones."""
        chunked = [
            split_chunks(parse_emphasis(text, rules.emphasis), self.vocabulary, rules.backtrack) for text in texts
        ]
        (empty,) = split_chunks([Fragment("")], self.vocabulary)
        columns = [self._read_chunks(column, rules) for column in zip_longest(*chunked, fillvalue=empty)]
        names = dict.fromkeys(fix.name for chunks in chunked for chunk in chunks for fix in chunk.fixes)
        # The vector for the whole prompt is that of its first chunk, as in A1111.
        return ReadTexts(torch.cat([vectors for vectors, _ in columns], dim=1), columns[0][1], tuple(names))

    def _read_chunks(self, chunks: Sequence[Chunk], rules: TextRules) -> tuple[Tensor, Tensor | None]:
        """Return (chunks, 77, width) for the chunks that stand at one place in the stages of one prompt, and pooled.

        The weights multiply each token's vector. In the mode "Original" all are then scaled so that the mean over all
        of them is what it was before, which keeps the overall strength of the prompt.
        """
        device = self.plan.device
        tokens = torch.tensor([chunk.tokens for chunk in chunks], device=device)
        with self.replacing_vectors(chunks):
            vectors, pooled = self.hidden(tokens, rules.clip_skip)
        encoded = vectors.float()
        if all(weight == 1 for chunk in chunks for weight in chunk.weights):
            return encoded, pooled
        weighted = encoded * torch.tensor([chunk.weights for chunk in chunks], device=device).unsqueeze(-1)
        return (weighted if rules.emphasis == "No norm" else weighted * (encoded.mean() / weighted.mean())), pooled

    @contextlib.contextmanager
    def replacing_vectors(self, chunks: Sequence[Chunk]) -> Iterator[None]:
        """Inside the block the token vectors at every embedding's place are the embedding's own."""
        if not any(chunk.fixes for chunk in chunks):
            yield
            return
        found = {fix.name: self.embeddings.get(fix.name) for chunk in chunks for fix in chunk.fixes}

        def replace_vectors(_: object, __: object, vectors: Tensor) -> Tensor:
            changed = vectors.clone()
            for row, chunk in enumerate(chunks):
                for fix in chunk.fixes:
                    embedding = found[fix.name]
                    if embedding is not None:
                        first, own = fix.offset + 1, embedding.vectors[self.number].to(changed)
                        changed[row, first : first + len(own)] = own[: len(changed[row]) - first]
            return changed

        hook = self._inner().embeddings.token_embedding.register_forward_hook(replace_vectors)
        try:
            yield
        finally:
            hook.remove()

    def hidden(self, tokens: Tensor, clip_skip: int) -> tuple[Tensor, Tensor | None]:
        """Return the vectors of the layer that the family reads, and the vector for the whole text if it reads one."""
        spec, encoder = self.text.spec, self.text.encoder
        left_out = clip_skip - 1 if spec.clip_skip else self.text.layers_left_out
        if left_out == 0 and spec.normed and not spec.pooled:
            last: Tensor = encoder(tokens).last_hidden_state
            return last, None
        output = encoder(tokens, output_hidden_states=True)
        # At least one layer stays.
        layer = output.hidden_states[-min(1 + left_out, len(output.hidden_states) - 1)]
        vectors = self._inner().final_layer_norm(layer) if spec.normed else layer
        return vectors, output.text_embeds.float() if spec.pooled else None

    def _inner(self) -> Any:
        """Return the transformer, which some classes of the library wrap once more."""
        return getattr(self.text.encoder, "text_model", self.text.encoder)
