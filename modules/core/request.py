"""What a user asks for: one frozen value that travels from the form to the engine and through the database."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.parameters import PARAMETERS, RANDOM_SEED, FieldError

LARGEST_RANDOM_SEED = 4_294_967_294


class GenerationRequest(BaseModel):
    """One txt2img request; `core/parameters.py` documents every field, its range and its default.

    Build it with `GenerationRequest.checked(values)`, which reports all wrong fields at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = ""
    negative_prompt: str = ""
    sampler: str = "DPM++ 2M"
    scheduler: str = "Automatic"
    steps: int = 20
    width: int = 512
    height: int = 512
    batch_count: int = 1
    batch_size: int = 1
    cfg_scale: float = 7.0
    seed: int = RANDOM_SEED
    checkpoint: str = ""
    clip_skip: int = 1
    noise_source: str = "GPU"

    @model_validator(mode="before")
    @classmethod
    def _parse_fields(cls, values: object) -> object:
        """Hold every given field against its `Parameter`, and report all that are wrong."""
        if not isinstance(values, Mapping):
            return values
        parsed: dict[str, Any] = {}
        problems: list[FieldProblem] = []
        for name, value in values.items():
            parameter = PARAMETERS.get(name)
            if parameter is None:
                known = ", ".join(PARAMETERS)
                problems.append(FieldProblem(str(name), str(name), "an unknown field", f"one of {known}"))
                continue
            try:
                parsed[name] = parameter.parse(value)
            except FieldError as error:
                problems.append(error.problem)
        if problems:
            raise InvalidRequest(problems)
        return parsed

    @classmethod
    def checked(cls, values: Mapping[str, object], lists: ChoiceLists | None = None) -> Self:
        """Return a request of valid values only.

        With `lists`, names of samplers, schedules and checkpoints are held against what exists now.
        Raises `InvalidRequest`, naming every wrong field with its value and what is allowed.
        """
        problems: list[FieldProblem] = []
        try:
            request = cls.model_validate(values)
        except InvalidRequest as error:
            problems.extend(error.problems)
        except ValidationError as error:
            raise InvalidRequest([FieldProblem("request", "Request", str(error), "a JSON object")]) from error
        if lists is not None:
            refused = {problem.field for problem in problems}
            problems.extend(_unknown_names({k: v for k, v in values.items() if k not in refused}, lists))
        if problems:
            raise InvalidRequest(problems)
        return request

    def image_count(self) -> int:
        """Return how many pictures the request makes in all."""
        return self.batch_count * self.batch_size

    def image_seed(self, index: int) -> int:
        """Return the seed of picture `index` (0-based, over all batches)."""
        return self.seed + index

    def with_fixed_seed(self) -> Self:
        """Return the request with -1 replaced by a random seed, so that a queued job can be repeated exactly."""
        if self.seed != RANDOM_SEED:
            return self
        return self.model_copy(update={"seed": random.SystemRandom().randrange(LARGEST_RANDOM_SEED)})


class ChoiceLists(Protocol):
    """Knows the names that may be chosen right now."""

    def names(self, list_name: str) -> Sequence[str]:
        """Return the names in the order in which the form shows them."""

    def accepts(self, list_name: str, value: str) -> bool:
        """Say whether `value` is one of the names or a known alias of one."""


def _unknown_names(values: Mapping[str, object], lists: ChoiceLists) -> list[FieldProblem]:
    problems = []
    for name, parameter in PARAMETERS.items():
        value = values.get(name, parameter.default)
        if parameter.choices is None or not isinstance(value, str) or lists.accepts(parameter.choices, value):
            continue
        names = list(lists.names(parameter.choices))
        allowed = "one of " + ", ".join(names) if names else "nothing: none was found"
        problems.append(FieldProblem(name, parameter.label, parameter.problem(value).value, allowed))
    return problems
