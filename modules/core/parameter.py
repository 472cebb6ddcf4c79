"""What one generation parameter is: its kind, its range, its names in form, API, options and infotext."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from modules.core.errors import FieldProblem

Kind = Literal["text", "integer", "number", "choice", "several", "seed", "flag"]
Value = str | int | float | bool

LARGEST_SEED = 2**63 - 1
RANDOM_SEED = -1
SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Parameter:
    """One generation parameter.

    `minimum`, `maximum` and `step` are what is accepted anywhere; `form_minimum` and `form_maximum` narrow only the
    slider on the page. For kind "text" `maximum` counts characters. `choices` names the list that a choice is taken
    from (see `ChoiceLists`), since lists such as the checkpoints change while the server runs, or is the list itself;
    `besides` are further names that are accepted, such as "Use same sampler". Kind "several" takes any of its choices,
    and its value is the text of those that were taken, in their order: "left, up"; `minimum` is
    how many must be taken.

    `api`: its name in A1111's API, "" where it has none there; `api_default`: the API's default where it differs from
    the page's. `option`: the key of the option that gives its value where the form has no field for it; `section`:
    where the Settings tab shows that option. `infotext`: its key in infotexts.
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
    choices: str | tuple[str, ...] | None = None
    besides: tuple[str, ...] = ()
    infotext: str | None = None
    flags: tuple[str, ...] = ()
    api: str = ""
    api_default: Value | None = None
    option: str | None = None
    section: str = ""

    def parse(self, value: object) -> Value:
        """Return `value` as this parameter's own type, or raise `FieldError`."""
        if self.kind == "flag":
            return self._parse_flag(value)
        if self.kind in ("text", "choice"):
            return self._parse_text(value)
        if self.kind == "several":
            return self._parse_several(value)
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
        if self.kind == "flag":
            return "true or false"
        if self.kind == "text":
            return f"a text of at most {self.maximum:.0f} characters"
        if self.kind == "choice":
            if isinstance(self.choices, tuple):
                return "one of " + ", ".join((*self.besides, *self.choices))
            return "a name from the list"
        if self.kind == "several":
            least = f"at least {self.minimum:.0f}" if self.minimum > 0 else "any"
            return f"{least} of " + ", ".join(self.choices or ())
        if self.kind == "seed":
            return f"a whole number from 0 to {LARGEST_SEED}, or {RANDOM_SEED} for a random one"
        if self.kind == "number":
            return f"a number from {self.minimum:g} to {self.maximum:g}"
        steps = f" in steps of {self.step:g}" if self.step > 1 else ""
        return f"a whole number from {self.minimum:.0f} to {self.maximum:.0f}{steps}"

    def _parse_flag(self, value: object) -> bool:
        """Accept booleans, and the texts that infotexts hold for them."""
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.strip().casefold() in ("true", "false"):
            return value.strip().casefold() == "true"
        raise FieldError(self.problem(value))

    def _parse_text(self, value: object) -> str:
        if not isinstance(value, str):
            raise FieldError(self.problem(value))
        if self.kind == "text" and len(value) > self.maximum:
            raise FieldError(self.problem(value))
        if isinstance(self.choices, tuple) and value not in (*self.choices, *self.besides):
            raise FieldError(self.problem(value))
        # Half of a surrogate pair is no text: neither JSON nor a file could hold it.
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise FieldError(self.problem(value.encode("utf-8", "backslashreplace").decode()))
        return value

    def _parse_several(self, value: object) -> str:
        """Accept a list of choices, or the text of them as it stands in infotexts."""
        names = [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value
        if not isinstance(names, (list, tuple)) or any(name not in (self.choices or ()) for name in names):
            raise FieldError(self.problem(value))
        if len(names) < self.minimum:
            raise FieldError(self.problem(""))
        return ", ".join(name for name in self.choices or () if name in names)

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
