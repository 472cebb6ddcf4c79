"""Every generation parameter, declared once.

Form, command line, validation and infotext all follow from `PARAMETERS`: a new parameter is one entry here and
one field of `GenerationRequest`. Names, ranges and defaults are those of AUTOMATIC1111's web UI where it has them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from modules.core.errors import FieldProblem

Kind = Literal["text", "integer", "number", "choice", "seed"]
Value = str | int | float

LARGEST_SEED = 2**63 - 1
RANDOM_SEED = -1
LONGEST_PROMPT = 100_000
"""Characters in one prompt: some 300 chunks of 75 tokens, far more than a picture can use."""
SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Parameter:
    """One generation parameter.

    `minimum`, `maximum` and `step` are what is accepted anywhere; `form_minimum` and `form_maximum` narrow only the
    slider on the page. For kind "text" `maximum` counts characters. `choices` names the list that a choice is taken
    from (see `ChoiceLists`), since lists such as the checkpoints change while the server runs.
    """

    name: str
    label: str
    kind: Kind
    default: Value
    help: str
    minimum: float = -math.inf
    maximum: float = math.inf
    step: float = 1
    form_minimum: float | None = None
    form_maximum: float | None = None
    choices: str | None = None
    infotext: str | None = None
    flags: tuple[str, ...] = ()

    def parse(self, value: object) -> Value:
        """Return `value` as this parameter's own type, or raise `FieldError`."""
        if self.kind in ("text", "choice"):
            return self._parse_text(value)
        number = self._parse_number(value)
        if not self.minimum <= number <= self.maximum:
            raise FieldError(self.problem(value))
        # Only the sizes are held to their step: 7.3 is a good CFG scale although the slider moves by halves.
        if self.kind == "integer" and self.step > 1 and number % self.step:
            raise FieldError(self.problem(value))
        return number

    def problem(self, value: object) -> FieldProblem:
        """Describe why `value` is refused."""
        text = str(value)
        shown = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}… ({len(text)} characters)"
        return FieldProblem(self.name, self.label, shown or "an empty value", self.allowed())

    def allowed(self) -> str:
        """Say in words what is accepted."""
        if self.kind == "text":
            return f"a text of at most {self.maximum:.0f} characters"
        if self.kind == "choice":
            return "a name from the list"
        if self.kind == "seed":
            return f"a whole number from 0 to {LARGEST_SEED}, or {RANDOM_SEED} for a random one"
        if self.kind == "number":
            return f"a number from {self.minimum:g} to {self.maximum:g}"
        steps = f" in steps of {self.step:g}" if self.step > 1 else ""
        return f"a whole number from {self.minimum:.0f} to {self.maximum:.0f}{steps}"

    def _parse_text(self, value: object) -> str:
        if not isinstance(value, str):
            raise FieldError(self.problem(value))
        if self.kind == "text" and len(value) > self.maximum:
            raise FieldError(self.problem(value))
        # Half of a surrogate pair is no text: neither JSON nor a file could hold it.
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise FieldError(self.problem(value.encode("utf-8", "backslashreplace").decode()))
        return value

    def _parse_number(self, value: object) -> int | float:
        """Accept numbers and texts of numbers; never booleans, fractions of whole numbers, NaN or infinity."""
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise FieldError(self.problem(value))
        try:
            if self.kind == "number":
                number: int | float = float(value)
            else:
                number = _whole(value)
        except (ValueError, OverflowError):
            raise FieldError(self.problem(value)) from None
        if not math.isfinite(number):
            raise FieldError(self.problem(value))
        return number


class FieldError(ValueError):
    """Raised by `Parameter.parse`; carries the one `FieldProblem`."""

    def __init__(self, problem: FieldProblem) -> None:
        self.problem = problem
        super().__init__(str(problem))


def _whole(value: int | float | str) -> int:
    """Return a whole number exactly; texts do not pass through float, which would round seeds above 2**53."""
    if isinstance(value, str):
        return int(value.strip() or "none")
    if value != int(value):
        raise ValueError("not a whole number")
    return int(value)


PARAMETERS: Mapping[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        Parameter(
            "prompt", "Prompt", "text", "", "What the picture shows.",
            maximum=LONGEST_PROMPT,
        ),
        Parameter(
            "negative_prompt", "Negative prompt", "text", "", "What the picture must not show.",
            maximum=LONGEST_PROMPT, flags=("--negative",),
        ),
        Parameter(
            "sampler", "Sampling method", "choice", "DPM++ 2M", "How noise is taken away step by step.",
            choices="samplers", infotext="Sampler", flags=("--sampler",),
        ),
        Parameter(
            "scheduler", "Schedule type", "choice", "Automatic",
            "How the noise levels are spread over the steps; Automatic takes the sampler's own.",
            choices="schedulers", infotext="Schedule type", flags=("--scheduler",),
        ),
        Parameter(
            "steps", "Sampling steps", "integer", 20, "How often the picture is improved.",
            minimum=1, maximum=150, infotext="Steps", flags=("--steps",),
        ),
        Parameter(
            "width", "Width", "integer", 512, "Width of the picture in pixels.",
            minimum=64, maximum=8192, step=8, form_maximum=2048, infotext="Size", flags=("--width",),
        ),
        Parameter(
            "height", "Height", "integer", 512, "Height of the picture in pixels.",
            minimum=64, maximum=8192, step=8, form_maximum=2048, infotext="Size", flags=("--height",),
        ),
        Parameter(
            "batch_count", "Batch count", "integer", 1, "How many batches are made one after the other.",
            minimum=1, maximum=999, form_maximum=100, flags=("--n-iter", "--batch-count"),
        ),
        Parameter(
            "batch_size", "Batch size", "integer", 1, "How many pictures are made at once.",
            minimum=1, maximum=64, form_maximum=8, flags=("--batch-size",),
        ),
        Parameter(
            "cfg_scale", "CFG Scale", "number", 7.0, "How strictly the picture follows the prompt.",
            minimum=1, maximum=100, step=0.5, form_maximum=30, infotext="CFG scale", flags=("--cfg", "--cfg-scale"),
        ),
        Parameter(
            "seed", "Seed", "seed", RANDOM_SEED, "The number that the noise grows from; -1 picks one at random.",
            minimum=RANDOM_SEED, maximum=LARGEST_SEED, infotext="Seed", flags=("--seed",),
        ),
        Parameter(
            "checkpoint", "Stable Diffusion checkpoint", "choice", "",
            "Name of the model; empty takes the one chosen on the page.",
            choices="checkpoints", infotext="Model", flags=("--model",),
        ),
        Parameter(
            "clip_skip", "Clip skip", "integer", 1,
            "How many of the text encoder's last layers are left out, plus one.",
            minimum=1, maximum=12, infotext="Clip skip", flags=("--clip-skip",),
        ),
        Parameter(
            "noise_source", "Random number generator source", "choice", "GPU",
            "Where the noise comes from: GPU (the device), CPU, or NV (what an NVIDIA card gives, on any device).",
            choices="noise_sources", infotext="RNG", flags=("--rng",),
        ),
    )
}
