"""The kinds of axes of the X/Y/Z plot: one for every generation parameter, and those that change prompts and sizes.

Names and their order are A1111's where it has them, since infotexts and its API choose axes by these.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from modules.builtin.xyz_values import MOST_VALUES, AxisError, split_values, with_ranges
from modules.core.parameter import FieldError, Parameter, Value
from modules.core.parameters import PARAMETERS
from modules.core.request import HIRES_FIELDS, MASK_FIELDS, PICTURE_FIELDS, ChoiceLists, GenerationRequest
from modules.hooks.plugins import joined_values
from modules.prompts.styles import StyleBook

TXT2IMG, IMG2IMG = "txt2img", "img2img"
NOTHING = "Nothing"
A1111_AXES: tuple[tuple[str, str], ...] = (
    ("Seed", "seed"), ("Var. seed", "subseed"), ("Var. strength", "subseed_strength"), ("Steps", "steps"),
    ("Hires steps", "hr_second_pass_steps"), ("CFG Scale", "cfg_scale"), ("Image CFG Scale", "image_cfg_scale"),
    ("Prompt S/R", ""), ("Prompt order", ""), ("Sampler", "sampler"), ("Hires sampler", "hr_sampler"),
    ("Checkpoint name", "checkpoint"), ("Negative Guidance minimum sigma", "ngms"), ("Sigma Churn", "s_churn"),
    ("Sigma min", "s_tmin"), ("Sigma max", "s_tmax"), ("Sigma noise", "s_noise"), ("Schedule type", "scheduler"),
    ("Schedule min sigma", "sigma_min"), ("Schedule max sigma", "sigma_max"), ("Schedule rho", "rho"),
    ("Beta schedule alpha", "beta_alpha"), ("Beta schedule beta", "beta_beta"), ("Eta", "eta"),
    ("Clip skip", "clip_skip"), ("Denoising", "denoising_strength"), ("Initial noise multiplier", "noise_multiplier"),
    ("Extra noise", "extra_noise"), ("Hires upscaler", "hr_upscaler"), ("Cond. Image Mask Weight", "mask_weight"),
    ("VAE", "vae"), ("Styles", ""), ("UniPC Order", "unipc_order"),
    ("Always discard next-to-last sigma", "discard_penultimate"), ("SGM noise multiplier", "sgm_noise_multiplier"),
    ("Refiner checkpoint", "refiner_checkpoint"), ("Refiner switch at", "refiner_switch_at"),
    ("RNG source", "noise_source"), ("Size", ""),
)  # fmt: skip
"""A1111's names in its order, each with the parameter that it is for; "": more than one parameter's value."""
_PICTURE = "a stored picture, which has no name that could be written down"
_WRITTEN = "it changes what infotexts tell, not the pictures"
_BATCH = "a cell of the grid shows one picture"
WITHOUT_AXIS: Mapping[str, str] = {
    "prompt": "Prompt S/R, Prompt order and Styles change it",
    "negative_prompt": "Prompt S/R and Styles change it",
    "batch_count": _BATCH, "batch_size": _BATCH,
    "init_image": _PICTURE, "mask_image": _PICTURE, "latent_mask": _PICTURE, "depth_image": _PICTURE,
    "firstpass_image": _PICTURE,
    "lora_hashes": _WRITTEN, "embedding_hashes": _WRITTEN, "bundled_hashes": _WRITTEN,
}  # fmt: skip
"""The parameters that have no axis, with the reason."""
_COSTS = {"checkpoint": 1.0, "hr_checkpoint": 1.0, "refiner_checkpoint": 1.0, "vae": 0.7}
"""How long a change takes, by parameter; the costliest axis changes least often."""
_ALSO = {"eta": ("eta", "eta_ddim")}
"""Parameters that an axis sets together: A1111's eta is for whichever sampler there is."""
_PLAIN = frozenset({"sampler", "hr_sampler"})
"""Parameters whose values speak for themselves in the legend."""
_FILES = frozenset({"checkpoint", "hr_checkpoint", "refiner_checkpoint"})
_NO_STYLE = "None"
_FLAG_VALUES = ("True", "False")
_SIZE = re.compile(r"(\d+)\s*[xX]\s*(\d+)")
_HASH = re.compile(r" \[[0-9a-f]+\]$")

_BARE = frozenset({
    NOTHING, "Prompt S/R", "Prompt order", "Sampler", "Hires sampler", "Checkpoint name", "Refiner checkpoint",
})  # fmt: skip
"""Axes whose values stand in the legend without the axis's name."""

Apply = Callable[[GenerationRequest, Any, Sequence[Any]], Mapping[str, Any]]
Confirm = Callable[[GenerationRequest, Sequence[Any]], None]


def anything_goes(request: GenerationRequest, values: Sequence[Any]) -> None:
    """Accept all values, whatever the request is."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One kind of axis.

    `read` returns the values that a text holds, and `apply` the fields of a request that one of them changes, given all
    of the axis; both raise AxisError. `show`: a value in the legend, behind the label unless it is `bare`.
    `parameters`: what it sets. `listed`: the list of names that values are from; `besides` are allowed too. `choices`
    returns all values, where these are no list's and can be counted. `confirm` looks at all values together, and raises
    AxisError.
    """

    label: str
    read: Callable[[str], list[Any]]
    apply: Apply
    show: Callable[[Any], str]
    parameters: tuple[str, ...] = ()
    cost: float = 0.0
    listed: str = ""
    besides: tuple[str, ...] = ()
    bare: bool = False
    choices: Callable[[], Sequence[str]] = tuple
    confirm: Confirm = anything_goes

    def offered(self, lists: ChoiceLists) -> Sequence[str]:
        """Return the values that there are to choose from; none where these cannot be counted."""
        return (*self.besides, *lists.names(self.listed)) if self.listed else self.choices()

    def check(self, value: object, lists: ChoiceLists) -> None:
        """Raise AxisError for a name that there is not."""
        text = str(value)
        if self.listed and text not in self.besides and not lists.accepts(self.listed, text):
            raise AxisError(text, "one of " + ", ".join([*self.besides, *lists.names(self.listed)]))

    def suits(self, tab: str) -> bool:
        """Say whether the axis can have an effect on a tab."""
        hires = set(HIRES_FIELDS) - {"denoising_strength", "extra_noise"} | {"enable_hr"}
        foreign = {TXT2IMG: {*PICTURE_FIELDS, *MASK_FIELDS}, IMG2IMG: hires}[tab]
        # A1111 has this one on both tabs; a first pass's picture is worked over too.
        return not set(self.parameters) <= foreign - {"noise_multiplier"} or not self.parameters


def all_axes(styles: StyleBook | None = None) -> tuple[Axis, ...]:
    """Return every kind of axis, first A1111's in its order, then those of the other parameters."""
    special = {axis.label: axis for axis in (_search_and_replace(), _order(), _size(), _styles(styles))}
    axes = [_nothing()]
    named = set()
    for label, name in A1111_AXES:
        axes.append(replace(_of_parameter(PARAMETERS[name]), label=label) if name else special[label])
        named.add(name)
    rest = (each for each in PARAMETERS.values() if each.name not in named and each.name not in WITHOUT_AXIS)
    return tuple(replace(axis, bare=axis.label in _BARE) for axis in (*axes, *map(_of_parameter, rest)))


def _of_parameter(parameter: Parameter) -> Axis:
    names = _ALSO.get(parameter.name, (parameter.name,))

    def read(text: str) -> list[Value]:
        values: Sequence[object] = split_values(text)
        if parameter.kind in ("integer", "seed", "number"):
            values = with_ranges(split_values(text), parameter.kind != "number")
        return [_parsed(parameter, value) for value in values]

    def apply(request: GenerationRequest, value: Value, values: Sequence[Value]) -> Mapping[str, Any]:
        return dict.fromkeys(names, value)

    listed = parameter.choices if isinstance(parameter.choices, str) else ""
    cost = _COSTS.get(parameter.name, 0.0)
    return Axis(
        parameter.label, read, apply, _shown(parameter), names, cost, listed, parameter.besides,
        choices=lambda: _choices(parameter),
    )  # fmt: skip


def _choices(parameter: Parameter) -> tuple[str, ...]:
    """Return the values of a parameter that can be counted without a list of names."""
    if parameter.kind == "flag":
        return _FLAG_VALUES
    return (*parameter.besides, *parameter.choices) if isinstance(parameter.choices, tuple) else ()


def _parsed(parameter: Parameter, value: object) -> Value:
    try:
        return parameter.parse(value)
    except FieldError as error:
        raise AxisError(error.problem.value, error.problem.allowed) from error


def _shown(parameter: Parameter) -> Callable[[Any], str]:
    if parameter.name in _PLAIN:
        return str
    if parameter.name in _FILES:
        return lambda value: PurePosixPath(_HASH.sub("", str(value))).name
    return lambda value: f"{round(value, 8):g}" if isinstance(value, float) else str(value)


def _nothing() -> Axis:
    return Axis(NOTHING, lambda text: [""], lambda request, value, values: {}, str)


def _search_and_replace() -> Axis:
    def apply(request: GenerationRequest, value: str, values: Sequence[str]) -> Mapping[str, Any]:
        wanted = values[0]
        if not wanted or (wanted not in request.prompt and wanted not in request.negative_prompt):
            raise AxisError(wanted, "a first value that stands in the prompt or the negative prompt")
        return {name: getattr(request, name).replace(wanted, value) for name in ("prompt", "negative_prompt")}

    return Axis("Prompt S/R", lambda text: split_values(text, keep_empty=True), apply, str)


def _order() -> Axis:
    def read(text: str) -> list[tuple[str, ...]]:
        words = split_values(text)
        if math.factorial(min(len(words), 20)) > MOST_VALUES:
            raise AxisError(f"{len(words)} words", f"so few that they have at most {MOST_VALUES} orders")
        return list(itertools.permutations(words)) if words else []

    def apply(request: GenerationRequest, value: tuple[str, ...], values: Sequence[object]) -> Mapping[str, Any]:
        missing = [word for word in value if word not in request.prompt]
        if missing:
            raise AxisError(missing[0], "words that stand in the prompt")
        return {"prompt": _reordered(request.prompt, value)}

    return Axis("Prompt order", read, apply, ", ".join)


def _reordered(prompt: str, words: Sequence[str]) -> str:
    """Return a prompt in which the places of these words hold them in this order."""
    places = sorted((prompt.find(word), len(word)) for word in words)
    pieces, end = [], 0
    for word, (start, length) in zip(words, places, strict=True):
        pieces += [prompt[end:start], word]
        end = max(end, start + length)
    return "".join([*pieces, prompt[end:]])


def _size() -> Axis:
    def read(text: str) -> list[str]:
        values = split_values(text)
        for value in values:
            _sides(value)
        return values

    def apply(request: GenerationRequest, value: str, values: Sequence[str]) -> Mapping[str, Any]:
        return _sides(value)

    return Axis("Size", read, apply, str, ("width", "height"))


def _sides(value: str) -> Mapping[str, Value]:
    match = _SIZE.fullmatch(value)
    if match is None:
        raise AxisError(value, "a width and a height such as 512x768")
    sides = zip(("width", "height"), match.groups(), strict=True)
    return {name: _parsed(PARAMETERS[name], side) for name, side in sides}


def _styles(book: StyleBook | None) -> Axis:
    def apply(request: GenerationRequest, value: str, values: Sequence[str]) -> Mapping[str, Any]:
        names = [name for name in split_values(value) if name != _NO_STYLE]
        for name in names:
            if book is None or book.get(name) is None:
                known = ", ".join(style.name for style in book.styles()) if book is not None else ""
                raise AxisError(name, f"None, or one of {known}" if known else "None: there are no styles")
        if book is None:
            return {}
        prompt, negative = book.apply(request.prompt, request.negative_prompt, names)
        return {"prompt": prompt, "negative_prompt": negative}

    def choices() -> list[str]:
        return [_NO_STYLE, *(joined_values([style.name]) for style in book.styles())] if book is not None else []

    return Axis("Styles", split_values, apply, str, choices=choices)
