"""Prompts from file or textbox: a picture for every line, which is a prompt or names values with flags.

Flags are those of A1111's script. A line that begins with -- must be right; any other is a prompt.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from modules.builtin.grid_pictures import random_seed
from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.extras import PluginValues, without_plugin
from modules.core.parameter import RANDOM_SEED, SHOWN_CHARACTERS, Parameter
from modules.core.request import ChoiceLists, GenerationRequest
from modules.hooks.plugins import PluginDescription
from modules.hooks.registry import RunStart
from modules.hooks.spec import RunListener
from modules.prompts.styles import StyleBook

NAME = "prompts_from_file"
FIELDS: Mapping[str, str] = {
    "prompt": "prompt", "negative_prompt": "negative_prompt", "sd_model": "checkpoint", "seed": "seed",
    "subseed": "subseed", "subseed_strength": "subseed_strength", "seed_resize_from_h": "seed_resize_from_h",
    "seed_resize_from_w": "seed_resize_from_w", "sampler_name": "sampler", "batch_size": "batch_size",
    "n_iter": "batch_count", "steps": "steps", "cfg_scale": "cfg_scale", "width": "width", "height": "height",
    "tiling": "tiling",
}  # fmt: skip
"""Flags and the parameters that they set."""
STYLES = "styles"
IDLE_FLAGS = frozenset({"prompt_for_display", "sampler_index", "outpath_grids", "do_not_save_grid"})
"""Flags that change no picture: what is shown instead of a prompt, and what is about grids, of which there are none."""
OFF_FLAGS: Mapping[str, str] = {
    "restore_faces": "false: faces cannot be restored yet",
    "do_not_save_samples": "false: all pictures of a job are saved, or none (Always save all generated images)",
}
"""Flags that must be false, with the reason."""
_TEXTS = ("prompt", "negative_prompt")
_LONGEST = 1_000_000
_NAMES = frozenset({"checkpoint", "sampler"})

DESCRIPTION = PluginDescription(
    NAME,
    "Prompts from file or textbox",
    (
        Parameter(
            "checkbox_iterate", "Iterate seed every line", "flag", False,
            "Each line's seed goes on where the pictures of the line before have ended.",
        ),
        Parameter(
            "checkbox_iterate_batch", "Use same random seed for all lines", "flag", False,
            "Where the seed is -1, one is chosen for all lines instead of one for each.",
        ),
        Parameter(
            "prompt_position", "Insert prompts at the", "choice", "start",
            "Where a line's prompt stands to that of the form.", choices=("start", "end"),
        ),
        Parameter(
            "prompt_txt", "List of prompt inputs", "text", "",
            "One line, one prompt; or flags: --prompt \"a cat\" --steps 30 --width 768.", maximum=_LONGEST,
        ),
    ),
    place="script",
)  # fmt: skip


class PromptsFromFile:
    """The plugin."""

    description = DESCRIPTION

    def __init__(self, styles: StyleBook | None = None) -> None:
        self._styles = styles

    def listen(self, run: RunStart) -> RunListener:
        """Take no part in runs: what they make is decided before."""
        return RunListener()

    def expand(
        self, request: GenerationRequest, values: PluginValues, lists: ChoiceLists
    ) -> Sequence[GenerationRequest]:
        """Return a request for each line that is not empty."""
        lines = [line.strip() for line in str(values["prompt_txt"]).splitlines()]
        asked = {number: read_line(line, number) for number, line in enumerate(lines, start=1) if line}
        if not asked:
            raise InvalidRequest([_problem("an empty text", "at least one line")])
        base = request.model_copy(update={"extras": without_plugin(request.extras, NAME)})
        if base.seed == RANDOM_SEED and (values["checkbox_iterate"] or values["checkbox_iterate_batch"]):
            base = base.model_copy(update={"seed": random_seed()})
        requests = []
        for number, flags in asked.items():
            requests.append(self._request(base, flags, str(values["prompt_position"]), number, lists))
            if values["checkbox_iterate"]:
                base = base.model_copy(update={"seed": base.seed + base.image_count()})
        return requests

    def _request(
        self, base: GenerationRequest, flags: Mapping[str, str], position: str, number: int, lists: ChoiceLists
    ) -> GenerationRequest:
        changes: dict[str, Any] = {FIELDS[name]: value for name, value in flags.items() if name in FIELDS}
        for name in _TEXTS:
            own, form = changes.get(name), getattr(base, name)
            if own and form:
                changes[name] = f"{own} {form}" if position == "start" else f"{form} {own}"
        changes |= self._styled(base, changes, flags.get(STYLES, ""), number)
        try:
            checked = lists if changes.keys() & _NAMES else None
            return GenerationRequest.checked(base.model_dump() | changes, checked)
        except InvalidRequest as error:
            raise InvalidRequest(
                [_problem(f"line {number}: {each.label} {each.value}", each.allowed) for each in error.problems]
            ) from error

    def _styled(
        self, base: GenerationRequest, changes: Mapping[str, Any], text: str, number: int
    ) -> Mapping[str, str]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        book = self._styles
        missing = [name for name in names if book is None or book.get(name) is None]
        if missing:
            raise InvalidRequest([_problem(f"line {number}: --styles {missing[0]}", "the names of styles")])
        if not names or book is None:
            return {}
        texts = [changes.get(name, getattr(base, name)) for name in _TEXTS]
        return dict(zip(_TEXTS, book.apply(texts[0], texts[1], names), strict=True))


def read_line(line: str, number: int) -> dict[str, str]:
    """Return the flags of a line; one that does not begin with -- is a prompt. Raises InvalidRequest."""
    if not line.startswith("--"):
        return {"prompt": line}
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise InvalidRequest([_problem(f"line {number}: {line}", f"quotation marks in pairs ({error})")]) from error
    flags: dict[str, str] = {}
    while words:
        flag, values = words.pop(0), list[str]()
        name = flag.removeprefix("--")
        while words and not words[0].startswith("--") and (not values or name in _TEXTS):
            values.append(words.pop(0))
        flags[name] = _checked(flag, values, number)
    return flags


def _checked(flag: str, values: Sequence[str], number: int) -> str:
    """Return a flag's value. Raises InvalidRequest for a flag that there is not, and for a wrong value."""
    name, value = flag.removeprefix("--"), " ".join(values)
    known = {*FIELDS, STYLES, *IDLE_FLAGS, *OFF_FLAGS}
    if not flag.startswith("--") or name not in known:
        raise InvalidRequest([_problem(f"line {number}: {flag}", "one of --" + ", --".join(sorted(known)))])
    if not values:
        raise InvalidRequest([_problem(f"line {number}: {flag}", "a value behind it")])
    if name in OFF_FLAGS and value.casefold() == "true":
        raise InvalidRequest([_problem(f"line {number}: {flag} {value}", OFF_FLAGS[name])])
    return value


def _problem(value: str, allowed: str) -> FieldProblem:
    text = value if len(value) <= 2 * SHOWN_CHARACTERS else f"{value[: 2 * SHOWN_CHARACTERS]}…"
    return FieldProblem(f"{NAME}.prompt_txt", f"{DESCRIPTION.title}: List of prompt inputs", text, allowed)
