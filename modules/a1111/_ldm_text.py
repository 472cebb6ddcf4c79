"""The engine's text encoders as A1111 has them: `cond_stage_model`, and SDXL's `conditioner` with its embedders.

What an extension replaces in one of them acts in the engine's own prompts too, see `link`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from modules.a1111._ldm_layers import bare, beside
from modules.a1111._ldm_open_clip import OpenClipView
from modules.a1111._ldm_tokenizer import TokenizerView
from modules.a1111._patching import Patches
from modules.engine.text import PartReader, ReadTexts, TextRules
from modules.prompts.chunks import CHUNK_TOKENS, Chunk, split_chunks
from modules.prompts.grammar import parse_emphasis

PromptChunkFix = namedtuple("PromptChunkFix", ["offset", "embedding"])
"""Where in a chunk an embedding's vectors go."""
Rules = Callable[[], TextRules]


class PromptChunk:
    """77 tokens with their weights, and the embeddings among them."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.multipliers: list[float] = []
        self.fixes: list[Any] = []


class _TextModel(nn.Module):
    """Holds a transformer under the name that it had in transformers before version 5."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.text_model = inner
        self.training = False
        # A1111 wraps this layer, and extensions ask it for what is inside.
        table = inner.embeddings.token_embedding
        beside(table, "wrapped", table)

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """Return what the transformer gives."""
        return self.text_model(*arguments, **named)

    def get_input_embeddings(self) -> nn.Module:
        """Return the table of tokens."""
        return self.text_model.embeddings.token_embedding


class AbstractEncoder(nn.Module):
    """A text encoder as the first code has it: it reads a text of one chunk, without weights."""

    return_pooled = False
    max_length = CHUNK_TOKENS + 2
    layer, layer_idx, is_trainable, input_key, ucg_rate, legacy_ucg_val = "last", None, False, "txt", 0.0, None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def encode(self, text: Any) -> Any:
        """Return the texts' vectors."""
        return self(text)

    def forward(self, text: Any) -> Any:
        """Return the texts' vectors."""
        return self.__dict__["read"]([text] if isinstance(text, str) else list(text))


class FrozenCLIPEmbedder(AbstractEncoder):
    """OpenAI's text encoder, in `transformer`."""

    @classmethod
    def of(cls, reader: PartReader, tokenizer: TokenizerView) -> FrozenCLIPEmbedder:
        """Return the view of one of the engine's."""
        made = bare(cls)
        made.transformer = _TextModel(getattr(reader.text.encoder, "text_model", reader.text.encoder))
        made.tokenizer = tokenizer
        return made


class FrozenOpenCLIPEmbedder(AbstractEncoder):
    """OpenCLIP's text encoder, in `model`."""

    layer = "penultimate"

    @classmethod
    def of(cls, reader: PartReader, tokenizer: TokenizerView) -> FrozenOpenCLIPEmbedder:
        """Return the view of one of the engine's."""
        made = bare(cls)
        made.model = OpenClipView(reader.text.encoder)
        made.tokenizer = tokenizer
        return made


class FrozenOpenCLIPEmbedder2(FrozenOpenCLIPEmbedder):
    """The same, which gives a vector for the whole text too."""

    return_pooled = True


class FrozenCLIPEmbedderWithCustomWordsBase(nn.Module):
    """A text encoder with chunks, weights and embeddings: `forward(texts)` gives (texts, 77 * chunks, width)."""

    chunk_length = CHUNK_TOKENS

    def __init__(self, reader: PartReader, hijack: Any, rules: Rules) -> None:
        """Take what reads for the engine, A1111's `model_hijack`, and what says how prompts are read."""
        super().__init__()
        spec, vocabulary = reader.text.spec, reader.vocabulary
        tokenizer = TokenizerView(reader.text.tokenizer)
        kind = FrozenCLIPEmbedder
        if spec.open_clip:
            kind = FrozenOpenCLIPEmbedder2 if spec.pooled else FrozenOpenCLIPEmbedder
        self.wrapped = kind.of(reader, tokenizer)
        beside(self.wrapped, "read", self)
        self.hijack, self.tokenizer = hijack, tokenizer
        self.is_trainable, self.input_key, self.legacy_ucg_val, self.ucg_rate = False, "txt", None, 0.0
        self.comma_token, self.token_mults = vocabulary.comma, {}
        self.id_start, self.id_end, self.id_pad = vocabulary.start, vocabulary.end, vocabulary.padding
        self.training = False
        for name, value in (("reader", reader), ("rules", rules), ("told", None)):
            beside(self, name, value)

    def present_rules(self) -> TextRules:
        """Return how prompts are read now: as the engine was told, else as the options say."""
        return self.__dict__["told"] or self.__dict__["rules"]()

    def empty_chunk(self) -> PromptChunk:
        """Return the chunk of an empty text."""
        return self.tokenize_line("")[0][0]

    def get_target_prompt_token_count(self, token_count: int) -> int:
        """Return how many tokens fit into the chunks that so many take."""
        return max(1, -(-token_count // CHUNK_TOKENS)) * CHUNK_TOKENS

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text, without start and end."""
        return [list(self.__dict__["reader"].vocabulary.tokenize(text)) for text in texts]

    def tokenize_line(self, line: str) -> tuple[list[PromptChunk], int]:
        """Return the chunks of a text and how many tokens it has."""
        rules, vocabulary = self.present_rules(), self.__dict__["reader"].vocabulary
        chunks = split_chunks(parse_emphasis(line, rules.emphasis), vocabulary, rules.backtrack)
        made = [self._prompt_chunk(chunk) for chunk in chunks]
        return made, (len(chunks) - 1) * CHUNK_TOKENS + chunks[-1].used

    def _prompt_chunk(self, chunk: Chunk) -> PromptChunk:
        made = PromptChunk()
        made.tokens, made.multipliers = list(chunk.tokens), list(chunk.weights)
        made.fixes = [PromptChunkFix(fix.offset, self.hijack.embedding_db.named(fix.name)) for fix in chunk.fixes]
        return made

    def process_texts(self, texts: Sequence[str]) -> tuple[list[list[PromptChunk]], int]:
        """Return the chunks of each text, and the largest number of tokens."""
        lines = [self.tokenize_line(text) for text in texts]
        return [chunks for chunks, _ in lines], max((count for _, count in lines), default=0)

    def forward(self, texts: Sequence[str]) -> Any:
        """Return the texts' vectors, and beside them one for each text where the encoder gives such."""
        batch, _count = self.process_texts(texts)
        parts: list[Tensor] = []
        for place in range(max(len(chunks) for chunks in batch)):
            row = [chunks[place] if place < len(chunks) else self.empty_chunk() for chunks in batch]
            self.hijack.fixes = [chunk.fixes for chunk in row]
            parts.append(self.process_tokens([chunk.tokens for chunk in row], [chunk.multipliers for chunk in row]))
        joined = torch.hstack(parts)
        return (joined, parts[0].pooled) if self.wrapped.return_pooled else joined

    def process_tokens(self, remade_batch_tokens: Any, batch_multipliers: Any) -> Tensor:
        """Return the vectors of one chunk of every text, with the tokens' weights: (texts, 77, width)."""
        device = self.__dict__["reader"].plan.device
        z = self.encode_with_transformers(torch.asarray(remade_batch_tokens, device=device))
        pooled = getattr(z, "pooled", None)
        weights = torch.asarray(batch_multipliers, device=z.device, dtype=z.dtype)
        if not bool((weights == 1).all()):
            weighted = z * weights.reshape(*weights.shape, 1).expand(z.shape)
            plain = self.present_rules().emphasis == "No norm"
            z = weighted if plain else weighted * (z.mean() / weighted.mean())
        if pooled is not None:
            z.pooled = pooled
        return z

    def encode_with_transformers(self, tokens: Tensor) -> Tensor:
        """Return the vectors of tokens, (texts, 77), with those of embeddings at the places in `hijack.fixes`."""
        reader: PartReader = self.__dict__["reader"]
        relief, skip = self.__dict__["relief"], self.present_rules().clip_skip
        table = getattr(reader.text.encoder, "text_model", reader.text.encoder).embeddings.token_embedding
        handle = table.register_forward_hook(partial(_with_fixes, self.hijack.fixes or (), reader.number))
        try:
            vectors, pooled = relief.read(reader.text.encoder, lambda: reader.hidden(tokens, skip))
        finally:
            handle.remove()
        z = vectors.float()
        if pooled is not None:
            z.pooled = pooled
        return z

    def encode_embedding_init_text(self, init_text: str, nvpt: int) -> Tensor:
        """Return the table's vectors for the first tokens of a text: (tokens, width)."""
        tokens = self.tokenize([init_text])[0][:nvpt]
        reader: PartReader = self.__dict__["reader"]
        table = getattr(reader.text.encoder, "text_model", reader.text.encoder).embeddings.token_embedding
        return table.weight[torch.tensor(tokens, device=table.weight.device, dtype=torch.long)]


class FrozenCLIPEmbedderWithCustomWords(FrozenCLIPEmbedderWithCustomWordsBase):
    """OpenAI's, of SD 1.x."""


class FrozenCLIPEmbedderForSDXLWithCustomWords(FrozenCLIPEmbedderWithCustomWords):
    """OpenAI's, of SDXL."""


class FrozenOpenCLIPEmbedderWithCustomWords(FrozenCLIPEmbedderWithCustomWordsBase):
    """OpenCLIP's, of SD 2.x."""


class FrozenOpenCLIPEmbedder2WithCustomWords(FrozenCLIPEmbedderWithCustomWordsBase):
    """OpenCLIP's, of SDXL."""


REPLACEABLE = ("forward", "process_texts", "process_tokens", "encode_with_transformers", "tokenize_line", "tokenize",
               "empty_chunk")  # fmt: skip
_OWN = MappingProxyType({name: getattr(FrozenCLIPEmbedderWithCustomWordsBase, name) for name in REPLACEABLE})


def view_of(reader: PartReader, hijack: Any, rules: Rules, relief: Any) -> FrozenCLIPEmbedderWithCustomWordsBase:
    """Return the view of one of the engine's text encoders."""
    spec = reader.text.spec
    if spec.open_clip:
        kind = FrozenOpenCLIPEmbedder2WithCustomWords if spec.pooled else FrozenOpenCLIPEmbedderWithCustomWords
    else:
        kind = FrozenCLIPEmbedderWithCustomWords if spec.normed else FrozenCLIPEmbedderForSDXLWithCustomWords
    made = kind(reader, hijack, rules)
    beside(made, "relief", relief)
    return made


def is_changed(view: FrozenCLIPEmbedderWithCustomWordsBase) -> bool:
    """Say whether somebody has replaced or hooked something in how a view reads texts."""
    hooked = vars(view)["_forward_hooks"] or vars(view)["_forward_pre_hooks"]
    own = any(name in vars(view) for name in REPLACEABLE)
    return bool(hooked) or own or any(getattr(type(view), name) is not _OWN[name] for name in REPLACEABLE)


def link(view: FrozenCLIPEmbedderWithCustomWordsBase, patches: Patches) -> None:
    """Have the engine's prompts read by the view, once somebody has changed how that reads."""
    reader: PartReader = view.__dict__["reader"]

    def read(texts: Sequence[str], rules: TextRules) -> ReadTexts:
        if not is_changed(view):
            return PartReader.read(reader, texts, rules)
        beside(view, "told", rules)
        try:
            read = view(list(texts))
        finally:
            beside(view, "told", None)
        vectors, pooled = read if isinstance(read, tuple) else (read, None)
        used = [name for text in texts for name in _names(reader, text, rules)]
        return ReadTexts(vectors, pooled, tuple(dict.fromkeys(used)))

    patches.set(reader, "read", read)


def _names(reader: PartReader, text: str, rules: TextRules) -> list[str]:
    chunks = split_chunks(parse_emphasis(text, rules.emphasis), reader.vocabulary, rules.backtrack)
    return [fix.name for chunk in chunks for fix in chunk.fixes]


def _with_fixes(fixes: Sequence[Any], number: int, _: object, __: object, vectors: Tensor) -> Tensor:
    if not any(fixes):
        return vectors
    changed = vectors.clone()
    for row, of_row in enumerate(fixes):
        for fix in of_row:
            vec = fix.embedding.vec
            if isinstance(vec, dict):
                vec = list(vec.values())[number]
            first = fix.offset + 1
            changed[row, first : first + len(vec)] = vec.to(changed)[: changed.shape[1] - first]
    return changed
