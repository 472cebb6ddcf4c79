"""A1111's X/Y/Z plot as extensions know it: they add axes to `axis_options`, which the plot then offers (`_axes.py`).

The list begins with Easel's own axes, so that extensions find what A1111 has; the plot itself does not ask these.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from copy import copy
from io import StringIO
from pathlib import PurePath
from typing import Any

from modules import images, scripts, sd_models, sd_samplers, sd_vae, shared
from modules.a1111._making import present_making
from modules.a1111._placeholders import calling_extension
from modules.a1111._view import NAMED_SECOND_PASS, OPTIONAL
from modules.builtin.xyz_axes import IMG2IMG, TXT2IMG, Axis, all_axes
from modules.builtin.xyz_plot import TITLE
from modules.builtin.xyz_values import split_values
from modules.core.parameters import PARAMETERS
from modules.processing import Processed

fill_values_symbol = "\U0001f4d2"
AxisInfo = namedtuple("AxisInfo", ["axis", "values"])
_WHOLE, _ANY = r"([+-]?\s*\d+)", r"([+-]?\s*\d+(?:\.\d*)?)"
re_range = re.compile(rf"\s*{_WHOLE}\s*-\s*{_WHOLE}(?:\s*\({_WHOLE}\s*\))?\s*")
re_range_float = re.compile(rf"\s*{_ANY}\s*-\s*{_ANY}(?:\s*\({_ANY}\s*\))?\s*")
re_range_count = re.compile(rf"\s*{_WHOLE}\s*-\s*{_WHOLE}(?:\s*\[(\d+)\s*\])?\s*")
re_range_count_float = re.compile(rf"\s*{_ANY}\s*-\s*{_ANY}(?:\s*\[(\d+)\s*\])?\s*")
Apply = Callable[[Any, Any, Sequence[Any]], None]
_ATTRIBUTES = {
    **{ours: theirs for theirs, ours in OPTIONAL.items()},
    **{ours: theirs for theirs, (ours, _) in NAMED_SECOND_PASS.items()},
    "sampler": "sampler_name",
}
"""The attribute of `p` for a generation parameter, where it has another name."""


def apply_field(field: str) -> Apply:
    """Return what sets an attribute of `p`."""

    def apply(p: Any, x: Any, xs: Sequence[Any]) -> None:
        setattr(p, field, x)

    return apply


def apply_override(field: str, boolean: bool = False) -> Apply:
    """Return what sets an option for the run; `boolean`: the values are "True" and "False"."""

    def apply(p: Any, x: Any, xs: Sequence[Any]) -> None:
        p.override_settings[field] = str(x).lower() == "true" if boolean else x

    return apply


def do_nothing(p: Any, x: Any, xs: Sequence[Any]) -> None:
    """Leave `p` as it is."""


def apply_prompt(p: Any, x: str, xs: Sequence[str]) -> None:
    """Put a value in the place of the first one in both prompts. Raises RuntimeError when that stands in neither."""
    wanted = xs[0]
    if wanted not in p.prompt and wanted not in p.negative_prompt:
        raise RuntimeError(f"{wanted} stands neither in the prompt nor in the negative prompt.")
    p.prompt, p.negative_prompt = p.prompt.replace(wanted, x), p.negative_prompt.replace(wanted, x)


def apply_order(p: Any, x: Sequence[str], xs: Sequence[Any]) -> None:
    """Have words of the prompt stand in another order in their places."""
    places = {word: p.prompt.find(word) for word in x}
    in_order = iter(x)
    pattern = "|".join(re.escape(word) for word in sorted(places, key=lambda word: (places[word], -len(word))))
    p.prompt = re.sub(pattern, lambda found: next(in_order, found[0]), p.prompt, count=len(places))


def confirm_samplers(p: Any, xs: Sequence[str]) -> None:
    """Raise RuntimeError for the first name that is no sampler's."""
    for name in xs:
        if name.lower() not in sd_samplers.samplers_map:
            raise RuntimeError(f"There is no sampler {name}.")


def apply_checkpoint(p: Any, x: str, xs: Sequence[str]) -> None:
    """Choose a checkpoint for the run."""
    confirm_checkpoints(p, [x])
    p.override_settings["sd_model_checkpoint"] = sd_models.get_closet_checkpoint_match(x).name


def confirm_checkpoints(p: Any, xs: Sequence[str]) -> None:
    """Raise RuntimeError for the first name that is no checkpoint's."""
    for name in xs:
        if sd_models.get_closet_checkpoint_match(name) is None:
            raise RuntimeError(f"There is no checkpoint {name}.")


def confirm_checkpoints_or_none(p: Any, xs: Sequence[str | None]) -> None:
    """Do the same, with "None" and "" allowed."""
    confirm_checkpoints(p, [name for name in xs if name not in (None, "", "None", "none")])


def confirm_range(min_val: float, max_val: float, axis_label: str) -> Callable[[Any, Sequence[Any]], None]:
    """Return what raises RuntimeError for numbers outside of a range."""

    def confirm(p: Any, xs: Sequence[Any]) -> None:
        for value in xs:
            if not min_val <= float(value) <= max_val:
                raise RuntimeError(f"{axis_label}: {value} is not from {min_val} to {max_val}.")

    return confirm


def apply_size(p: Any, x: str, xs: Sequence[str]) -> None:
    """Set width and height, written as 512x768; the others are left alone."""
    found = re.fullmatch(r"\s*(\d+)\s*[xX]\s*(\d+)\s*", str(x))
    if found is not None:
        p.width, p.height = int(found[1]), int(found[2])


def find_vae(name: str) -> str:
    """Return the name of the VAE that has a text in its own, the shortest one; Automatic where there is none."""
    if name.lower() in ("auto", "automatic"):
        return "Automatic"
    if name.lower() == "none":
        return "None"
    found = [each for each in sd_vae.vae_dict if name.lower().strip() in each.lower()]
    return min(found, key=len, default="Automatic")


def apply_vae(p: Any, x: str, xs: Sequence[str]) -> None:
    """Choose a VAE for the run."""
    p.override_settings["sd_vae"] = find_vae(x)


def apply_styles(p: Any, x: str, xs: Sequence[str]) -> None:
    """Add styles, separated by commas."""
    p.styles = [*p.styles, *x.split(",")]


def apply_uni_pc_order(p: Any, x: int, xs: Sequence[int]) -> None:
    """Set UniPC's order, which is below the number of steps."""
    p.override_settings["uni_pc_order"] = min(int(x), p.steps - 1)


def apply_face_restore(p: Any, opt: str, x: Any) -> None:
    """Switch face restoration on or off; a restorer's name chooses it."""
    name = next((each.name() for each in shared.face_restorers if each.name().lower() == opt.lower()), None)
    if name is not None:
        p.override_settings["face_restoration_model"] = name
    p.restore_faces = name is not None or opt.lower() in ("true", "yes", "y", "1")


def boolean_choice(reverse: bool = False) -> Callable[[], list[str]]:
    """Return what lists True and False."""
    return lambda: ["False", "True"] if reverse else ["True", "False"]


def format_value_add_label(p: Any, opt: Any, x: Any) -> str:
    """Return a value in the legend, behind the axis's name."""
    return f"{opt.label}: {format_value(p, opt, x)}"


def format_value(p: Any, opt: Any, x: Any) -> Any:
    """Return a value in the legend."""
    return round(x, 8) if isinstance(x, float) else x


def format_value_join_list(p: Any, opt: Any, x: Iterable[str]) -> str:
    """Return several words in the legend."""
    return ", ".join(x)


def format_nothing(p: Any, opt: Any, x: Any) -> str:
    """Return an empty text."""
    return ""


def format_remove_path(p: Any, opt: Any, x: str) -> str:
    """Return a file's name in the legend."""
    return PurePath(str(x)).name


def str_permutations(x: Any) -> Any:
    """Return the value; as an axis's type this stands for all orders of its values."""
    return x


def list_to_csv_string(data_list: Iterable[Any]) -> str:
    """Return values as a line, separated by commas."""
    line = StringIO()
    csv.writer(line, lineterminator="").writerow(data_list)
    return line.getvalue().strip()


def csv_string_to_list_strip(data_str: str) -> list[str]:
    """Return the values of a line, separated by commas."""
    return split_values(data_str, keep_empty=True)


class AxisOption:
    """An axis: `apply(p, x, xs)` sets the value `x`, one of `xs`.

    `type` makes a value of a text; for int and float texts may be ranges. `confirm(p, xs)` raises for values that
    are not possible. `prepare(text)` returns the values of a text. `choices()` returns what may be chosen. The axis of
    the highest `cost` changes least often.
    """

    def __init__(  # noqa: PLR0913 (A1111's signature)
        self, label: str, type: Callable[[Any], Any], apply: Apply,  # noqa: A002 (A1111's name)
        format_value: Callable[[Any, Any, Any], Any] = format_value_add_label,
        confirm: Callable[[Any, Sequence[Any]], None] | None = None, cost: float = 0.0,
        choices: Callable[[], Sequence[Any]] | None = None, prepare: Callable[[str], Sequence[Any]] | None = None,
    ) -> None:  # fmt: skip
        self.label = label
        self.type = type
        self.apply = apply
        self.format_value = format_value
        self.confirm = confirm
        self.cost = cost
        self.prepare = prepare
        self.choices = choices
        self.extension = calling_extension()
        self.making = present_making()


class AxisOptionImg2Img(AxisOption):
    """An axis of img2img alone."""

    is_img2img = True


class AxisOptionTxt2Img(AxisOption):
    """An axis of txt2img alone."""

    is_img2img = False


def _names_of(list_name: str) -> list[str]:
    if list_name == "samplers":
        return list(sd_samplers.visible_sampler_names())
    if list_name == "checkpoints":
        return sorted(sd_models.checkpoints_list, key=str.casefold)
    if list_name == "upscalers":
        return [*shared.latent_upscale_modes, *(upscaler.name for upscaler in shared.sd_upscalers)]
    return ["None", *sd_vae.vae_dict] if list_name == "vaes" else []


_SPECIAL: dict[str, tuple[Callable[[Any], Any], Apply, Any]] = {
    "Nothing": (str, do_nothing, None), "Prompt S/R": (str, apply_prompt, None),
    "Prompt order": (str_permutations, apply_order, None), "Size": (str, apply_size, None),
    "Checkpoint name": (str, apply_checkpoint, confirm_checkpoints), "VAE": (str, apply_vae, None),
    "Styles": (str, apply_styles, None), "UniPC Order": (int, apply_uni_pc_order, None),
    "Sampler": (str, apply_field("sampler_name"), confirm_samplers),
}  # fmt: skip


def _own(axis: Axis) -> AxisOption:
    """Return one of Easel's axes in A1111's form."""
    tabs = [tab for tab in (TXT2IMG, IMG2IMG) if axis.suits(tab)]
    kind = AxisOption if len(tabs) != 1 else AxisOptionTxt2Img if tabs == [TXT2IMG] else AxisOptionImg2Img
    parameter = PARAMETERS.get(axis.parameters[0]) if axis.parameters else None
    kinds = {"integer": int, "seed": int, "number": float}
    usual: Callable[[Any], Any] = kinds.get(parameter.kind, str) if parameter is not None else str
    cast, apply, confirm = _SPECIAL.get(axis.label) or (usual, _setting(axis.parameters), None)
    choices: Callable[[], Sequence[Any]] | None = None
    if parameter is not None and parameter.choices:
        listed = parameter.choices
        choices = (lambda: _names_of(listed)) if isinstance(listed, str) else lambda: list(listed)
    shown = format_value_join_list if cast is str_permutations else format_value_add_label
    if axis.bare and shown is format_value_add_label:
        shown = format_nothing if axis.label == "Nothing" else format_value
    return kind(axis.label, cast, apply, shown, confirm, axis.cost, choices)


def _setting(names: Sequence[str]) -> Apply:
    """Return what sets generation parameters: attributes of `p`, or options of the run."""

    def apply(p: Any, x: Any, xs: Sequence[Any]) -> None:
        for name in names:
            option, attribute = PARAMETERS[name].option, _ATTRIBUTES.get(name, name)
            if option is not None and not hasattr(p, attribute):
                p.override_settings[option] = x
            else:
                setattr(p, attribute, x)

    return apply


AXIS_OPTIONS = [_own(axis) for axis in all_axes()]
axis_options = AXIS_OPTIONS
OWN_OPTIONS = tuple(axis_options)
"""Those that are not asked when the plot is made."""


def draw_xyz_grid(  # noqa: PLR0913 (A1111's signature)
    p: Any, xs: Sequence[Any], ys: Sequence[Any], zs: Sequence[Any], x_labels: Sequence[str], y_labels: Sequence[str],
    z_labels: Sequence[str], cell: Callable[..., Processed], draw_legend: bool, include_lone_images: bool,
    include_sub_grids: bool, first_axes_processed: str, second_axes_processed: str, margin_size: int,
) -> Processed:  # fmt: skip
    """Return what is made by calling `cell(x, y, z, ix, iy, iz)` for every combination, the grid first.

    Behind it come the grid of each Z value and all pictures, where they are wanted.
    """
    values, made = {"x": xs, "y": ys, "z": zs}, {}
    order = [first_axes_processed, second_axes_processed]
    order += [letter for letter in values if letter not in order]
    shared.state.job_count = len(xs) * len(ys) * len(zs) * p.n_iter
    for places in itertools.product(*(range(len(values[letter])) for letter in order)):
        by_letter = dict(zip(order, places, strict=True))
        place = (by_letter["x"], by_letter["y"], by_letter["z"])
        made[place] = cell(*(each[at] for each, at in zip(values.values(), place, strict=True)), *place)
    cells = [made[ix, iy, iz] for iz in range(len(zs)) for iy in range(len(ys)) for ix in range(len(xs))]
    first = next((each for each in cells if each.images), None)
    if first is None:
        return Processed(p, [])
    blank = images.Image.new(first.images[0].mode, first.images[0].size)
    pictures = [each.images[0] if each.images else blank for each in cells]
    above, left = (_annotated(labels, draw_legend) for labels in (x_labels, y_labels))
    size = len(xs) * len(ys)
    starts = range(0, len(cells), size)
    sheets = [_sheet(pictures[at : at + size], len(ys), (above, left), margin_size) for at in starts]
    whole = _sheet(sheets, 1, (_annotated(z_labels, draw_legend), [[]]), 0) if len(sheets) > 1 else sheets[0]
    result = copy(first)
    shown = [(whole, first), *(zip(sheets, cells[::size], strict=True) if include_sub_grids and len(zs) > 1 else ())]
    result.index_of_first_image = len(shown)
    shown += zip(pictures, cells, strict=True) if include_lone_images else ()
    result.images = [picture for picture, _ in shown]
    result.infotexts = [(each.infotexts or [""])[0] for _, each in shown]
    result.all_prompts, result.all_seeds = [each.prompt for _, each in shown], [each.seed for _, each in shown]
    return result


def _annotated(labels: Sequence[str], wanted: bool) -> list[Any]:
    return [[images.GridAnnotation(str(label))] for label in labels] if wanted else []


def _sheet(pictures: Sequence[Any], rows: int, texts: tuple[list[Any], list[Any]], margin: int) -> Any:
    grid, (width, height) = images.image_grid(list(pictures), rows=rows), pictures[0].size
    return images.draw_grid_annotations(grid, width, height, *texts, margin) if texts[0] else grid


@contextmanager
def SharedSettingsStackHelper() -> Any:  # noqa: N802 (A1111's name)
    """Have some options be as before when the block ends."""
    names = ("CLIP_stop_at_last_layers", "sd_vae", "uni_pc_order")
    before = {name: getattr(shared.opts, name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            shared.opts.set(name, value)


class Script(scripts.Script):
    """The plot among the loaded scripts; Easel's own plugin makes it, and the Script dropdown has that one."""

    def title(self) -> str:
        """Return the plot's title."""
        return TITLE

    def show(self, is_img2img: bool) -> bool:
        """Leave the dropdown to Easel's plugin."""
        return False
