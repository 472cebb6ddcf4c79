"""Prompts to what the U-Net attends to."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import CLIPTokenizer

from modules.engine.families import ModelBundle
from modules.prompts.chunks import Chunk, Vocabulary, split_chunks
from modules.prompts.grammar import parse_emphasis

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


class TextConditioner:
    """Encodes prompts for one model, remembering the last ones."""

    def __init__(self, bundle: ModelBundle) -> None:
        self.bundle = bundle
        self.vocabulary = vocabulary_of(bundle.tokenizer)
        self._remembered: dict[tuple[str, int], Tensor] = {}

    def encode(self, prompt: str, clip_skip: int) -> Tensor:
        """Return (1, 77 * chunks, width) for the prompt with its weights applied, in the U-Net's precision."""
        key = (prompt, clip_skip)
        if key not in self._remembered:
            chunks = split_chunks(parse_emphasis(prompt), self.vocabulary)
            with self.bundle.residency.using(self.bundle.text_encoder):
                encoded = torch.cat([self._encode_chunk(chunk, clip_skip) for chunk in chunks], dim=1)
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.pop(next(iter(self._remembered)))
            self._remembered[key] = encoded.to(self.bundle.plan.dtype)
        return self._remembered[key]

    def _encode_chunk(self, chunk: Chunk, clip_skip: int) -> Tensor:
        """Return (1, 77, width) in float32.

        The weights multiply each token's vector; then all are scaled so that the mean is what it was before, which
        keeps the overall strength of the prompt (A1111's emphasis mode "Original").
        """
        device = self.bundle.plan.device
        encoded = self._hidden(torch.tensor([chunk.tokens], device=device), clip_skip).float()
        if all(weight == 1 for weight in chunk.weights):
            return encoded
        weighted = encoded * torch.tensor(chunk.weights, device=device).view(1, -1, 1)
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
