"""X/Y/Z plot: pictures for every combination of the values of up to three axes, and a grid of them with a legend.

Arguments, names and behaviour are A1111's. Other than there Prompt S/R and Prompt order also see what styles have put
into the prompts, and a cell whose axes contradict each other is refused before the first picture is made.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from modules.builtin.grid_pictures import (
    Megapixels,
    check_layout,
    first_pictures,
    largest_size,
    margin_parameter,
    opened_picture,
    random_seed,
    usual_megapixels,
    with_fixed_seeds,
    with_pairs,
)
from modules.builtin.xyz_axes import NOTHING, Axis, all_axes
from modules.builtin.xyz_values import AxisError
from modules.core.errors import FieldProblem, InvalidRequest, PluginFailed
from modules.core.extras import FrozenMapping, PluginValues, without_plugin
from modules.core.parameter import RANDOM_SEED, Parameter
from modules.core.request import ChoiceLists, GenerationRequest
from modules.hooks.job_hooks import AddedPicture, FinishedJob, FinishedPicture
from modules.hooks.plugins import SCRIPT_KEY, PluginDescription, Swap, Tab
from modules.hooks.registry import RunStart
from modules.hooks.spec import RunListener
from modules.imaging.grids import MEGA, GridLayout, Label, Labels, draw_grid, grid_size
from modules.prompts.styles import StyleBook

TITLE = "X/Y/Z plot"
SERIES = "xyz_grid"
LETTERS = ("x", "y", "z")
MOST_CELLS = 20_000
_LONGEST = 100_000
_SEEDS = frozenset({"seed", "subseed"})
Cell = tuple[int, int, int]
"""Which values a cell has, counted from 0: of X, Y and Z."""
NAMES: Mapping[Tab, str] = {"txt2img": "xyz_plot", "img2img": "xyz_plot_img2img"}


@dataclass(frozen=True, slots=True)
class ChosenAxis:
    """One of the three axes as it was asked for."""

    letter: str
    axis: Axis
    text: str
    values: tuple[Any, ...]
    varies: bool

    def seeds(self) -> bool:
        """Say whether the values are seeds, of which -1 is a random one."""
        return bool(_SEEDS & set(self.axis.parameters))

    def told(self, value: object) -> str:
        """Return a value in the legend."""
        shown = self.axis.show(value)
        return shown if self.axis.bare else f"{self.axis.label}: {shown}"


class XyzPlot:
    """The plugin for one tab: axes are chosen by number too, and each tab has its own.

    `more_axes` may be replaced by what returns further axes, which may be others each time; those whose label is taken
    are left out.
    """

    def __init__(
        self, tab: Tab = "txt2img", styles: StyleBook | None = None, megapixels: Megapixels = usual_megapixels
    ) -> None:
        """Offer the axes that have an effect on the tab."""
        self.tab = tab
        self.more_axes: Callable[[], Iterable[Axis]] = tuple
        self._own = {axis.label: axis for axis in all_axes(styles) if axis.suits(tab)}
        self._megapixels = megapixels
        self._described = self._describe(tuple(self._own))

    @property
    def description(self) -> PluginDescription:
        """What the plugin is called and asked for, with the axes that there are now."""
        labels = tuple(self._axes())
        if labels != self._described.parameters[0].choices:
            self._described = self._describe(labels)
        return self._described

    def _describe(self, labels: tuple[str, ...]) -> PluginDescription:
        return replace(_describe(self.tab, labels), offered=self._offered)

    def _offered(self, label: str, lists: ChoiceLists) -> Sequence[str]:
        axis = self._axes().get(label)
        return axis.offered(lists) if axis is not None else ()

    def listen(self, run: RunStart) -> RunListener:
        """Take no part in runs: what they make is decided before."""
        return RunListener()

    def expand(
        self, request: GenerationRequest, values: PluginValues, lists: ChoiceLists
    ) -> Sequence[GenerationRequest]:
        """Return a request for each cell, those of the costliest axis's values together."""
        plan = self._plan(values)
        for chosen in plan:
            self._check(request, chosen, lists)
        count = len(plan[0].values) * len(plan[1].values) * len(plan[2].values)
        if count > MOST_CELLS:
            raise self._refused("x_values", "cells", str(count), f"at most {MOST_CELLS}")
        if not values["no_fixed_seeds"]:
            request = with_fixed_seeds(request)
            plan = [_with_fixed_values(chosen) for chosen in plan]
        request = request.model_copy(update={"extras": without_plugin(request.extras, self.description.name)})
        requests = [self._cell(request, plan, cell) for cell in cells_in_order(plan)]
        self._check_size(requests)
        return requests

    def after_job(self, job: FinishedJob) -> None:
        """Add the grid, and with more than one Z value also each Z value's own where that is wanted."""
        sheets = Sheets(self._plan(job.values), job)
        largest = self._megapixels()
        check_layout(TITLE, sheets.layout, largest, len(sheets.plan[2].values))
        fixed = not job.values["no_fixed_seeds"]
        first = sheets.first
        several = len(sheets.plan[2].values) > 1
        text = with_pairs(first.infotext, sheets.pairs(LETTERS, fixed))
        job.added.append(AddedPicture(SERIES, first.seed, text, sheets.draw_all if several else lambda: sheets.draw(0)))
        if several and job.values["include_sub_grids"]:
            for number in range(len(sheets.plan[2].values)):
                one = sheets.first_of(number)
                text = with_pairs(one.infotext, sheets.pairs(LETTERS[:2], fixed))
                job.added.append(AddedPicture(SERIES, one.seed, text, _Sheet(sheets, number)))
        job.hides_parts = not job.values["include_lone_images"]

    def _axes(self) -> dict[str, Axis]:
        return {**self._own, **{axis.label: axis for axis in self.more_axes() if axis.label not in self._own}}

    def _plan(self, values: PluginValues) -> list[ChosenAxis]:
        """Return the axes with their values. Raises InvalidRequest, and PluginFailed for an axis that is gone."""
        plan, axes = [], self._axes()
        for letter in LETTERS:
            label, text = str(values[f"{letter}_type"]), str(values[f"{letter}_values"])
            axis = axes.get(label)
            if axis is None:
                raise PluginFailed(f"{TITLE}: there is no axis {label} here any more.")
            try:
                read = tuple(axis.read(text))
            except AxisError as error:
                raise self._refused_value(letter, axis, error) from error
            if not read:
                raise self._refused_value(letter, axis, AxisError("an empty value", "at least one value"))
            plan.append(ChosenAxis(letter, axis, text, read, bool(values[f"vary_seeds_{letter}"])))
        return plan

    def _check(self, request: GenerationRequest, chosen: ChosenAxis, lists: ChoiceLists) -> None:
        try:
            for value in chosen.values:
                chosen.axis.check(value, lists)
            chosen.axis.confirm(request, chosen.values)
        except AxisError as error:
            raise self._refused_value(chosen.letter, chosen.axis, error) from error

    def _cell(self, request: GenerationRequest, plan: Sequence[ChosenAxis], cell: Cell) -> GenerationRequest:
        """Return the request of a cell. Raises InvalidRequest."""
        for chosen, place in zip(plan, cell, strict=True):
            try:
                changes = chosen.axis.apply(request, chosen.values[place], chosen.values)
            except AxisError as error:
                raise self._refused_value(chosen.letter, chosen.axis, error) from error
            request = request.model_copy(update=dict(changes))
        if request.seed != RANDOM_SEED:
            request = request.model_copy(update={"seed": request.seed + seed_offset(plan, cell)})
        # Values that are each allowed may not be so together.
        return GenerationRequest.checked(request.model_dump())

    def _check_size(self, requests: Sequence[GenerationRequest]) -> None:
        """Refuse a grid that would be too large before anything of it is made."""
        sizes = [
            each.hires_size() if each.enable_hr and not each.init_image else (each.width, each.height)
            for each in requests
        ]
        width, height = max(size[0] for size in sizes), max(size[1] for size in sizes)
        megapixels, largest = width * height * len(requests) / MEGA, self._megapixels()
        if megapixels >= largest:
            value = f"{len(requests)} pictures of {width} x {height}, which are {megapixels:.0f} megapixels,"
            allowed = f"less than {largest:g} megapixels in one grid (Maximum image size in the settings)"
            raise self._refused("x_values", "grid", value, allowed)

    def _refused_value(self, letter: str, axis: Axis, error: AxisError) -> InvalidRequest:
        return self._refused(f"{letter}_values", f"{letter.upper()} values ({axis.label})", error.value, error.allowed)

    def _refused(self, parameter: str, what: str, value: str, allowed: str) -> InvalidRequest:
        field = f"{self.description.name}.{parameter}"
        return InvalidRequest([FieldProblem(field, f"{TITLE}: {what}", value, allowed)])


class Sheets:
    """The grids of a finished plot: one for each Z value, and all of them beside each other."""

    def __init__(self, plan: Sequence[ChosenAxis], job: FinishedJob) -> None:
        self._parts = dict(zip(cells_in_order(plan), job.parts, strict=True))
        self.plan = [self._as_made(chosen, bool(job.values["no_fixed_seeds"]), plan) for chosen in plan]
        pictures = first_pictures(list(self._parts.values()))
        self._pictures = dict(zip(self._parts, pictures, strict=True))
        legend = bool(job.values["draw_legend"])
        columns, rows, titles = (_labels(chosen) if legend else () for chosen in self.plan)
        self._titles = titles
        self.layout = GridLayout(
            largest_size(pictures), len(self.plan[0].values), len(self.plan[1].values), columns, rows,
            int(job.values["margin_size"]),
        )  # fmt: skip

    @property
    def first(self) -> FinishedPicture:
        """The picture whose infotext the grid gets: that of the first cell, or else of another."""
        return self.first_of(None)

    def first_of(self, number: int | None) -> FinishedPicture:
        """Return the first picture of a Z value, or where there is none of all."""
        order = sorted(self._pictures, key=lambda cell: (cell[2] != (number or 0), cell[2], cell[1], cell[0]))
        return next(picture for cell in order if (picture := self._pictures[cell]) is not None)

    def draw(self, number: int) -> Image.Image:
        """Return the grid of a Z value."""
        return draw_grid(self.layout, lambda column, row: opened_picture(self._pictures[column, row, number]))

    def draw_all(self) -> Image.Image:
        """Return the grids of all Z values, beside each other."""
        layout = GridLayout(grid_size(self.layout), len(self.plan[2].values), 1, self._titles)
        return draw_grid(layout, lambda column, row: self.draw(column))

    def pairs(self, letters: Sequence[str], fixed: bool) -> dict[str, str]:
        """Return what the infotext of a grid tells of these axes; `fixed`: random seeds were fixed."""
        pairs = {SCRIPT_KEY: TITLE}
        for chosen in self.plan:
            letter = chosen.letter.upper()
            if chosen.letter not in letters:
                continue
            if chosen.axis.label != NOTHING:
                pairs |= {f"{letter} Type": chosen.axis.label, f"{letter} Values": chosen.text}
                if fixed and chosen.seeds():
                    pairs[f"Fixed {letter} Values"] = ", ".join(map(str, chosen.values))
            elif letter == "X":
                # The form begins with another X axis, which pasting must take away.
                pairs["X Type"] = NOTHING
        return pairs

    def _as_made(self, chosen: ChosenAxis, random: bool, plan: Sequence[ChosenAxis]) -> ChosenAxis:
        """Return an axis with the seeds that its random ones have become."""
        if random or not chosen.seeds() or RANDOM_SEED not in chosen.values:
            return chosen
        made = tuple(
            self._seed(chosen, place, plan) if value == RANDOM_SEED else value
            for place, value in enumerate(chosen.values)
        )
        return ChosenAxis(chosen.letter, chosen.axis, chosen.text, made, chosen.varies)

    def _seed(self, chosen: ChosenAxis, place: int, plan: Sequence[ChosenAxis]) -> int:
        column, row, sheet = (place if letter == chosen.letter else 0 for letter in LETTERS)
        cell = (column, row, sheet)
        request = self._parts[cell].request
        seed: int = getattr(request, chosen.axis.parameters[0])
        return seed - (seed_offset(plan, cell) if chosen.axis.parameters == ("seed",) else 0)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Draws the grid of one Z value."""

    sheets: Sheets
    number: int

    def __call__(self) -> Image.Image:
        return self.sheets.draw(self.number)


def cells_in_order(plan: Sequence[ChosenAxis]) -> list[Cell]:
    """Return all cells in the order in which they are made: the costliest axis changes least often."""
    ranked = sorted(range(len(plan)), key=lambda place: (-plan[place].axis.cost, -place))
    cells = []
    for places in itertools.product(*(range(len(plan[axis].values)) for axis in ranked)):
        by_axis = dict(zip(ranked, places, strict=True))
        cells.append((by_axis[0], by_axis[1], by_axis[2]))
    return cells


def seed_offset(plan: Sequence[ChosenAxis], cell: Cell) -> int:
    """Return how much is added to the seed of a cell, for the axes that vary it."""
    offset, step = 0, 1
    for chosen, place in zip(plan, cell, strict=True):
        if chosen.varies:
            offset += place * step
            step *= len(chosen.values)
    return offset


def _with_fixed_values(chosen: ChosenAxis) -> ChosenAxis:
    if not chosen.seeds():
        return chosen
    values = tuple(random_seed() if value == RANDOM_SEED else value for value in chosen.values)
    return ChosenAxis(chosen.letter, chosen.axis, chosen.text, values, chosen.varies)


def _labels(chosen: ChosenAxis) -> Labels:
    return tuple((Label(chosen.told(value)),) for value in chosen.values)


def _describe(tab: Tab, labels: tuple[str, ...]) -> PluginDescription:
    parameters = [*(each for letter in LETTERS for each in _axis_parameters(letter, labels))]
    for name, label, default, text in _FLAGS:
        parameters.append(Parameter(name, label, "flag", default, text))
    parameters.append(margin_parameter())
    axes = tuple(name for letter in LETTERS for name in (f"{letter}_type", *(f"{letter}_values",) * 2))
    return PluginDescription(
        NAMES[tab],
        TITLE,
        tuple(parameters),
        place="script",
        tabs=(tab,),
        note="Values are separated by commas; numbers may be ranges: 1-5, 1-10(+2), 1-10[5]. One with a comma of its"
        ' own stands in quotation marks: "a cat, sleeping".',
        # A1111 has values as text and as a list; the last of its arguments says which of both its form shows.
        arguments=(*axes, *(flag[0] for flag in _FLAGS), "margin_size", ""),
        numbered=frozenset(f"{letter}_type" for letter in LETTERS),
        offers=FrozenMapping({f"{letter}_values": f"{letter}_type" for letter in LETTERS}),
        swaps=tuple(_swap(*pair) for pair in itertools.combinations(LETTERS, 2)),
    )


def _swap(one: str, other: str) -> Swap:
    pairs = tuple((each.format(one), each.format(other)) for each in ("{}_type", "{}_values"))
    return Swap(f"Swap {one.upper()}/{other.upper()} axes", f"{one}{other}_grid_swap_axes_button", pairs)


def _axis_parameters(letter: str, labels: tuple[str, ...]) -> tuple[Parameter, Parameter]:
    upper = letter.upper()
    usual = "Seed" if letter == "x" else NOTHING
    return (
        Parameter(
            f"{letter}_type", f"{upper} type", "choice", usual, "What changes along this axis.",
            choices=labels, infotext=f"{upper} Type",
        ),
        Parameter(
            f"{letter}_values", f"{upper} values", "text", "", "Separated by commas.",
            maximum=_LONGEST, infotext=f"{upper} Values",
        ),
    )  # fmt: skip


_FLAGS = (
    ("draw_legend", "Draw legend", True, "Write the values beside the pictures."),
    ("include_lone_images", "Include Sub Images", False, "Show the single pictures behind the grid. They are saved"
     " all the same."),
    ("include_sub_grids", "Include Sub Grids", False, "Make a grid for each Z value too."),
    ("no_fixed_seeds", "Keep -1 for seeds", False, "A seed of -1 is another for each picture, not one for all."),
    ("vary_seeds_x", "Vary seeds for X", False, "Use different seeds for images along X axis."),
    ("vary_seeds_y", "Vary seeds for Y", False, "Use different seeds for images along Y axis."),
    ("vary_seeds_z", "Vary seeds for Z", False, "Use different seeds for images along Z axis."),
)  # fmt: skip
