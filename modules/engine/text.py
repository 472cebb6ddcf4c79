"""Prompts to what the U-Net attends to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor
from transformers import CLIPTokenizer

from modules.engine.families import ModelBundle
from modules.prompts.chunks import Chunk, Vocabulary, split_chunks
from modules.prompts.grammar import Fragment, parse_emphasis
from modules.prompts.schedule import Timeline, prompt_schedule

_REMEMBERED = 32
"""Prompts whose encoding is kept; a batch count of 100 then encodes its prompt once."""


def vocabulary_of(tokenizer: CLIPTokenizer) -> Vocabulary:
    """Return what chunking needs of CLIP's tokenizer."""

    def tokenize(text: str) -> list[int]:
        # verbose=False: prompts longer than 77 tokens are cut into chunks, so the warning about them is wrong here.
        encoded: list[int] = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
        return encoded

    comma = tokenizer.convert_tokens_to_ids(",</w>")
    return Vocabulary(tokenize, tokenizer.bos_token_id, tokenizer.eos_token_id, comma, tokenizer.eos_token_id)


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A prompt over the steps of one pass: until which call of the model each stage holds, and its encoding.

    Every stage is (77 * chunks, width), all of one length.
    """

    ends: tuple[int, ...]
    stages: tuple[Tensor, ...]

    def at(self, call: int) -> Tensor:
        """Return what holds at the `call`-th call, from 0.

        Ends count from 1 and are compared with calls from 0, so that a change comes one call later than it reads: so
        it is in A1111, and pictures depend on it.
        """
        for end, stage in zip(self.ends, self.stages, strict=True):
            if call <= end:
                return stage
        return self.stages[-1]


class TextConditioner:
    """Encodes prompts for one model, remembering the last ones."""

    def __init__(self, bundle: ModelBundle) -> None:
        self.bundle = bundle
        self.vocabulary = vocabulary_of(bundle.tokenizer)
        self._remembered: dict[tuple[str, int, Timeline], EncodedPrompt] = {}

    def encode(self, prompt: str, clip_skip: int, timeline: Timeline) -> EncodedPrompt:
        """Return every stage of the prompt with its weights applied, in the U-Net's precision."""
        key = (prompt, clip_skip, timeline)
        if key not in self._remembered:
            stages = prompt_schedule(prompt, timeline)
            with self.bundle.residency.using(self.bundle.text_encoder):
                encoded = self._encode([stage.text for stage in stages], clip_skip)
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.pop(next(iter(self._remembered)))
            self._remembered[key] = EncodedPrompt(tuple(stage.until for stage in stages), tuple(encoded))
        return self._remembered[key]

    def _encode(self, texts: Sequence[str], clip_skip: int) -> Tensor:
        """Return (texts, 77 * chunks, width); texts of fewer chunks are filled up with empty ones."""
        chunked = [split_chunks(parse_emphasis(text), self.vocabulary) for text in texts]
        (empty,) = split_chunks([Fragment("")], self.vocabulary)
        encoded = [self._encode_chunks(column, clip_skip) for column in zip_longest(*chunked, fillvalue=empty)]
        return torch.cat(encoded, dim=1).to(self.bundle.plan.dtype)

    def _encode_chunks(self, chunks: Sequence[Chunk], clip_skip: int) -> Tensor:
        """Return (chunks, 77, width) in float32 for the chunks that stand at one place in the stages of one prompt.

        The weights multiply each token's vector; then all are scaled so that the mean over all of them is what it was
        before, which keeps the overall strength of the prompt (A1111's emphasis mode "Original").
        """
        device = self.bundle.plan.device
        tokens = torch.tensor([chunk.tokens for chunk in chunks], device=device)
        encoded = self._hidden(tokens, clip_skip).float()
        if all(weight == 1 for chunk in chunks for weight in chunk.weights):
            return encoded
        weighted = encoded * torch.tensor([chunk.weights for chunk in chunks], device=device).unsqueeze(-1)
        return weighted * (encoded.mean() / weighted.mean())

    def _hidden(self, tokens: Tensor, clip_skip: int) -> Tensor:
        """Return the encoder's output, the last `clip_skip` - 1 layers left out (at least one layer stays)."""
        encoder = self.bundle.text_encoder
        if clip_skip == 1:
            last: Tensor = encoder(tokens).last_hidden_state
            return last
        states = encoder(tokens, output_hidden_states=True).hidden_states
        layer = states[-min(clip_skip, len(states) - 1)]
        inner = getattr(encoder, "text_model", encoder)
        normed: Tensor = inner.final_layer_norm(layer)
        return normed
