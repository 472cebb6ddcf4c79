"""Which of CLIP's 49,408 tokens the training texts use.

Only those get a trained row; all others stay zero in the exported table, so that an unknown word does nothing. While
training, tokens are numbered compactly: 0 is any unknown word, k + 1 is the k-th used token.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from transformers import CLIPTokenizer

from training.captions import BACKGROUNDS, OPENINGS, PRAISE, SIZE_WORDS, plural, with_article
from training.scenes import SLOTS
from training.subjects import COLOUR_SYNONYMS, COLOURS, Subject

START, END = 49406, 49407
CONTEXT = 77  # tokens in a context, with START and at least one END
FULL_SIZE = 49408


def training_phrases(subjects: Sequence[Subject]) -> list[str]:
    """Texts that together hold every word that a caption can hold."""
    phrases = [*OPENINGS, *PRAISE, *SLOTS, *COLOURS, "two", "2", "a pair of", "three", "3", "and", "a", "an", ","]
    phrases += [shape.format("") for shape in BACKGROUNDS]
    phrases += [word for words in (*SIZE_WORDS.values(), *COLOUR_SYNONYMS.values()) for word in words]
    for subject in subjects:
        phrases += subject.groups
        phrases += [form(name) for name in subject.names for form in (str, with_article, plural)]
    return phrases


class Vocabulary:
    """Texts to compact token numbers."""

    def __init__(self, tokenizer: CLIPTokenizer, used: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self.used = tuple(used)
        self._compact = {token: k + 1 for k, token in enumerate(self.used)}
        self._known: dict[str, list[int]] = {}

    @classmethod
    def of(cls, subjects: Sequence[Subject], tokenizer_folder: Path) -> Vocabulary:
        """The vocabulary that the captions of these subjects need."""
        tokenizer = CLIPTokenizer.from_pretrained(str(tokenizer_folder), local_files_only=True)
        used = {token for text in training_phrases(subjects) for token in tokenizer(text).input_ids}
        return cls(tokenizer, sorted(used | {START, END}))

    def __len__(self) -> int:
        return len(self.used) + 1

    @cached_property
    def end(self) -> int:
        """The compact number of the end-of-text token."""
        return self._compact[END]

    def words(self, text: str) -> list[int]:
        """The text's compact tokens without start and end."""
        if text not in self._known:
            self._known[text] = [self._compact.get(token, 0) for token in self._tokenizer(text).input_ids[1:-1]]
        return list(self._known[text])

    def context(self, text: str, rng: random.Random | None = None) -> list[int]:
        """CONTEXT compact tokens; with ``rng``, every eighth text or so gets unknown words strewn in."""
        tokens = self.words(text)
        if rng is not None and tokens and rng.random() < 0.12:
            for _ in range(rng.randint(1, 6)):
                tokens.insert(rng.randint(0, len(tokens)), 0)
        tokens = tokens[: CONTEXT - 2]
        return [self._compact[START], *tokens, *[self.end] * (CONTEXT - 1 - len(tokens))]

    def batch(self, texts: Sequence[str], rng: random.Random | None = None) -> Tensor:
        """(n, CONTEXT) int64."""
        return torch.tensor([self.context(text, rng) for text in texts])

    def spread(self, compact: Tensor) -> Tensor:
        """The full embedding table, (FULL_SIZE, width), from the trained rows (len(self), width)."""
        table = torch.zeros(FULL_SIZE, compact.shape[1], dtype=compact.dtype)
        table[list(self.used)] = compact[1:].to(table.device)
        return table

    def gather(self, table: Tensor, fresh: Tensor) -> Tensor:
        """The reverse of :meth:`spread`; rows that are all zero in the table are taken from ``fresh``."""
        rows = table[list(self.used)].to(fresh.dtype)
        known = rows.abs().sum(dim=1, keepdim=True) > 0
        return torch.cat([torch.zeros_like(fresh[:1]), torch.where(known, rows, fresh[1:])])
