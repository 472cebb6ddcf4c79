"""A1111's modules.sd_hijack: what stands between its prompts and its models, over Easel's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modules.a1111._host import HOST
from modules.a1111._ldm_present import NoModel, present_model
from modules.a1111.textual_inversion.textual_inversion import EmbeddingDatabase
from modules.core.parameters import PARAMETERS
from modules.prompts.chunks import CHUNK_TOKENS, count_tokens
from modules.prompts.schedule import Timeline

_TORCH_ATTENTION = "sdp"


class StableDiffusionModelHijack:
    """`model_hijack`: embeddings, the lengths of prompts, and what is said of them.

    `fixes`: the embeddings among the tokens that are encoded now, for each text. Nothing of Easel's has to be hijacked
    or put back.
    """

    fixes: Any = None
    layers: Any = None
    circular_enabled = False
    clip: Any = None
    optimization_method = _TORCH_ATTENTION

    def __init__(self) -> None:
        self.extra_generation_params: dict[str, Any] = {}
        self.comments: list[str] = []
        self.embedding_db = EmbeddingDatabase()

    def apply_optimizations(self, option: str | None = None) -> None:
        """Do nothing: torch's own attention is always used."""

    def undo_optimizations(self) -> None:
        """Do nothing: torch's own attention is always used."""

    def hijack(self, m: Any) -> None:
        """Do nothing: the model is as it has to be."""

    def undo_hijack(self, m: Any) -> None:
        """Do nothing: the model is as it has to be."""

    def redo_hijack(self, m: Any) -> None:
        """Do nothing: the model is as it has to be."""

    def apply_circular(self, enable: bool) -> None:
        """Have the model make pictures whose edges fit together; every batch sets it anew from `p.tiling`."""
        if self.circular_enabled != enable:
            self.circular_enabled = enable
            present_model().set_seamless(enable)

    def clear_comments(self) -> None:
        """Forget what was said."""
        self.comments, self.extra_generation_params = [], {}

    def get_prompt_lengths(self, text: str, cond_stage_model: Any = None) -> tuple[int, int]:
        """Return how many tokens a prompt has, and how many fit into its chunks."""
        if cond_stage_model is not None and hasattr(cond_stage_model, "process_texts"):
            _, count = cond_stage_model.process_texts([text])
            return count, cond_stage_model.get_target_prompt_token_count(count)
        return self.tokenize(text)

    def tokenize(self, text: str) -> tuple[int, int]:
        """Return how many tokens a prompt has, and how many fit into its chunks; 0 of 75 while no model is there."""
        try:
            vocabulary = present_model().conditioner.readers[0].vocabulary
        except NoModel:
            return 0, CHUNK_TOKENS
        return count_tokens(text, vocabulary, Timeline(int(PARAMETERS["steps"].default)))


class _Later:
    """Stands for an object that belongs to the connected Easel, so that it can be imported by its name at any time."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.__dict__["_easel_make"] = make

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_easel_make"](), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_easel_make"](), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__dict__["_easel_make"](), name)


MODEL_HIJACK = _Later(lambda: HOST.state("model_hijack", StableDiffusionModelHijack))
model_hijack = MODEL_HIJACK
OPTIMIZERS = ()
optimizers = OPTIMIZERS
current_optimizer = None


def list_optimizers() -> None:
    """Do nothing: torch's own attention is always used."""


def apply_optimizations(option: str | None = None) -> str:
    """Return the name of the attention that is always used."""
    return _TORCH_ATTENTION


def undo_optimizations() -> None:
    """Do nothing: torch's own attention is always used."""
