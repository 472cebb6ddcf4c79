"""Options as clients of A1111's API send them: of a neighbouring JSON type, or without a meaning here."""

from __future__ import annotations

import difflib
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.request import ChoiceLists
from modules.settings.schema import OPTIONS, Option, OptionError, OptionValue
from modules.web.sdapi_facts import A1111_OPTIONS

MOST_SUGGESTIONS = 3

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Options by key, each of its own type, and the keys of A1111 that have no counterpart here."""

    values: dict[str, OptionValue] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def read_options(given: Mapping[str, object], known: Mapping[str, Option] = OPTIONS) -> ReadOptions:
    """Take options as a client sends them. Raises InvalidRequest for unknown keys and impossible values.

    `known`: all options, those of extensions too. A value of a neighbouring type counts when it says exactly what is
    meant: 2.0 or "2" for 2, 1 for true.
    """
    values: dict[str, OptionValue] = {}
    ignored: list[str] = []
    problems: list[FieldProblem] = []
    for key, value in given.items():
        option = known.get(key)
        if option is None and key in A1111_OPTIONS:
            ignored.append(key)
        elif option is None or option.look == "note":
            problems.append(_unknown(str(key), known))
        else:
            try:
                values[key] = option.parse(_of_kind(option, value))
            except OptionError as error:
                problems.append(error.problem)
    if problems:
        raise InvalidRequest(problems)
    if ignored:
        logger.info("These options of A1111 have no effect in Easel: %s.", ", ".join(ignored))
    return ReadOptions(values, tuple(ignored))


def list_problems(values: Mapping[str, object], lists: ChoiceLists) -> list[FieldProblem]:
    """Return what is wrong with those options that name something from a list, such as a VAE that is not there."""
    problems = []
    for key, value in values.items():
        option = OPTIONS.get(key)
        if option is None or option.list_name is None or not isinstance(value, str):
            continue
        if not lists.accepts(option.list_name, value):
            allowed = "one of " + ", ".join(lists.names(option.list_name))
            problems.append(FieldProblem(key, option.label, option.problem(value).value, allowed))
    return problems


def _unknown(key: str, known: Mapping[str, Option]) -> FieldProblem:
    near = difflib.get_close_matches(key, sorted({*known, *A1111_OPTIONS}), MOST_SUGGESTIONS)
    meant = f"; near it are {', '.join(near)}" if near else ""
    return FieldProblem(key, key, "an unknown option", f"an option that Easel or A1111 has{meant}")


def _of_kind(option: Option, value: object) -> object:
    """Return the value in the option's own type where nothing is lost by that, else as it is."""
    if option.kind == "flag":
        if isinstance(value, (int, float)) and value in (0, 1):
            return bool(value)
        if isinstance(value, str) and value.strip().casefold() in ("true", "false"):
            return value.strip().casefold() == "true"
    elif option.kind in ("integer", "number") and isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return value
        return number if math.isfinite(number) else value
    return value
