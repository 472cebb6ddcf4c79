"""Every option, declared once, under AUTOMATIC1111's keys and labels where it has them.

The Settings tab, the check of every value and the defaults follow from `OPTIONS`. Options that are generation
parameters are declared in `core/parameters.py` and only gathered here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Literal

from modules.core.errors import FieldProblem
from modules.core.parameter import Kind as ParameterKind
from modules.core.parameter import Parameter
from modules.core.parameters import PARAMETERS

Kind = Literal["flag", "integer", "number", "text", "choice", "names"]
OptionValue = bool | int | float | str | tuple[str, ...]
Form = Literal["any", "folder", "folder or none"]
Look = Literal["plain", "slider", "colour", "note", "hidden"]

LONGEST_TEXT = 1000
MOST_NAMES = 1000
SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `step` is the slider's; `restart` says that a change acts after the next start.

    The kind "names" is a list of texts, in JSON an array. Numbers have a `minimum` and a `maximum`; the other kinds
    have none.
    `form` "folder" holds a text to a folder inside another one: relative, without ".."; with "folder or none" it may be
    empty. `list_name` names the list that
    a text is to be taken from, where that changes while the server runs (see `core.request.ChoiceLists`). `longest`: so
    many characters a text may have.
    `look` says how the Settings tab has it where the kind does not: a "note" is a text between options, of which the
    label is shown, and nothing "hidden" is. `lines`: so many lines of a text are seen. `refreshes`: its extension
    looks for its choices anew, or does what else it is for, when it is told to.
    """

    key: str
    label: str
    kind: Kind
    default: OptionValue
    section: str
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    step: float = 1
    restart: bool = False
    form: Form = "any"
    list_name: str | None = None
    longest: int = LONGEST_TEXT
    look: Look = "plain"
    lines: int = 1
    refreshes: bool = False

    def parse(self, value: object) -> OptionValue:
        """Return `value` as this option's own type, or raise `OptionError`."""
        if self.kind == "flag":
            if isinstance(value, bool):
                return value
        elif self.kind == "choice":
            if isinstance(value, str) and value in self.choices:
                return value
        elif self.kind == "text":
            if isinstance(value, str) and len(value) <= self.longest and self._fits_form(value):
                return value
        elif self.kind == "names":
            if isinstance(value, (list, tuple)) and len(value) <= MOST_NAMES and all(map(_is_name, value)):
                return tuple(dict.fromkeys(value))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            return self._parse_number(value)
        raise OptionError(self.problem(value))

    def problem(self, value: object) -> FieldProblem:
        """Describe why `value` is refused."""
        text = str(value)
        shown = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}… ({len(text)} characters)"
        return FieldProblem(self.key, self.label, shown or "an empty value", self.allowed())

    def allowed(self) -> str:
        """Say in words what is accepted."""
        if self.kind == "flag":
            return "true or false"
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind == "names":
            return f"a list of at most {MOST_NAMES} names"
        if self.kind == "text":
            folder = ", the name of a folder inside outputs" if self.form != "any" else ""
            return f"a text of at most {self.longest} characters{folder}"
        whole = "a whole number" if self.kind == "integer" else "a number"
        low, high = self._limits()
        return f"{whole} from {low:g} to {high:g}"

    def _parse_number(self, value: int | float) -> OptionValue:
        low, high = self._limits()
        if not low <= value <= high or not math.isfinite(value):
            raise OptionError(self.problem(value))
        if self.kind == "number":
            return float(value)
        if value != int(value):
            raise OptionError(self.problem(value))
        return int(value)

    def _limits(self) -> tuple[float, float]:
        low, high = self.minimum, self.maximum
        return -math.inf if low is None else low, math.inf if high is None else high

    def _fits_form(self, value: str) -> bool:
        if self.form == "any" or (self.form == "folder or none" and not value):
            return True
        windows = PureWindowsPath(value)
        hidden = any(part.startswith(".") for part in (*PurePosixPath(value).parts, *windows.parts))
        absolute = bool(windows.anchor) or value.startswith("/")
        return bool(value.strip()) and not absolute and not hidden and "\0" not in value


class OptionError(ValueError):
    """Raised by `Option.parse`; carries the one `FieldProblem`."""

    def __init__(self, problem: FieldProblem) -> None:
        self.problem = problem
        super().__init__(str(problem))


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT


def _option_kind(parameter: Parameter) -> Kind:
    """Return the kind of control that a parameter's option has; a seed is written as text."""
    kinds: Mapping[ParameterKind, Kind] = {
        "flag": "flag", "integer": "integer", "number": "number", "choice": "choice", "text": "text", "seed": "text",
    }  # fmt: skip
    return kinds[parameter.kind]


def _parameter_option(parameter: Parameter) -> Option:
    """Return the option that gives a generation parameter its value."""
    dynamic = isinstance(parameter.choices, str)
    return Option(
        key=parameter.option or parameter.name,
        label=parameter.label,
        kind="text" if dynamic else _option_kind(parameter),
        default=parameter.default,
        section=parameter.section,
        help=parameter.help,
        choices=parameter.choices if isinstance(parameter.choices, tuple) else (),
        minimum=None if parameter.kind in ("flag", "choice", "text") else parameter.minimum,
        maximum=None if parameter.kind in ("flag", "choice", "text") else parameter.maximum,
        step=parameter.step,
        list_name=parameter.choices if isinstance(parameter.choices, str) else None,
    )


def parameter_values(options: Mapping[str, object]) -> dict[str, object]:
    """Return the generation parameters that options give, by the parameters' names."""
    given = ((name, parameter.option) for name, parameter in PARAMETERS.items() if parameter.option is not None)
    return {name: options[key] for name, key in given if key in options}


OPTIONS: Mapping[str, Option] = {
    option.key: option
    for option in (
        Option(
            "sd_model_checkpoint", "Stable Diffusion checkpoint", "text", "", "Stable Diffusion",
            "The model that is used when a request names none; empty takes the first usable one.",
        ),
        *(_parameter_option(parameter) for parameter in PARAMETERS.values() if parameter.option),
        Option(
            "sd_checkpoints_limit", "Maximum number of checkpoints loaded at the same time", "integer", 1,
            "Stable Diffusion", "More of them make switching quick and take memory.", minimum=1, maximum=10,
        ),
        Option(
            "sd_checkpoints_keep_in_cpu", "Only keep one model on device", "flag", True, "Stable Diffusion",
            "The other loaded checkpoints wait in main memory.",
        ),
        Option(
            "vae_in_strips", "Run the VAE in strips", "flag", False, "VAE",
            "Needs less graphics memory for large pictures, and is slower. When the memory runs out it is done without"
            " this option too. The picture is the same.",
        ),
        Option(
            "lora_preferred_name", "When adding to prompt, refer to Lora by", "choice", "Alias from file",
            "Extra Networks", "The name that its maker gave it, or that of the file.",
            choices=("Alias from file", "Filename"),
        ),
        Option(
            "lora_in_memory_limit", "Number of Lora networks to keep cached in memory", "integer", 4, "Extra Networks",
            "Besides those in use, so that changing back to one reads no file.", minimum=0, maximum=100,
        ),
        Option(
            "extra_networks_default_multiplier", "Default multiplier for extra networks", "number", 1.0,
            "Extra Networks", "The strength in the tag that a click on a card puts into the prompt.",
            minimum=0, maximum=2, step=0.01,
        ),
        Option(
            "img2img_batch_use_original_name", "Save using original filename during batch process in img2img tab",
            "flag", False, "img2img", "In an output directory of a batch pictures are always named so.",
        ),
        Option(
            "largest_input_megapixels", "Largest picture that may be handed in, in megapixels", "integer", 64,
            "img2img", "64 are 8000 x 8000 pixels. Larger ones take gigabytes of memory while they are worked over.",
            minimum=1, maximum=170,
        ),
        Option(
            "samples_save", "Always save all generated images", "flag", True, "Saving images",
            "Without it pictures of the page are still kept for the gallery, in a hidden folder that is emptied when"
            " their job leaves the queue's list.",
        ),
        Option(
            "outdir_txt2img_samples", "Output directory for txt2img images", "text", "txt2img-images", "Saving images",
            "A folder inside outputs.", form="folder",
        ),
        Option(
            "outdir_img2img_samples", "Output directory for img2img images", "text", "img2img-images", "Saving images",
            "A folder inside outputs.", form="folder",
        ),
        Option(
            "grid_save", "Always save all generated image grids", "flag", True, "Saving images",
            "The grids of scripts such as X/Y/Z plot.",
        ),
        Option(
            "grid_format", "File format for grids", "choice", "png", "Saving images",
            "A grid that is too large for the format is saved as PNG.", choices=("png", "jpg", "webp"),
        ),
        Option(
            "outdir_grids", "Output directory for grids; if empty, defaults to two directories below", "text", "",
            "Saving images", "A folder inside outputs.", form="folder or none",
        ),
        Option(
            "outdir_txt2img_grids", "Output directory for txt2img grids", "text", "txt2img-grids", "Saving images",
            "A folder inside outputs.", form="folder",
        ),
        Option(
            "outdir_img2img_grids", "Output directory for img2img grids", "text", "img2img-grids", "Saving images",
            "A folder inside outputs.", form="folder",
        ),
        Option(
            "grid_save_to_dirs", "Save grids to a subdirectory", "flag", True, "Saving images",
            "One folder per day, such as 2026-01-31.",
        ),
        Option(
            "return_grid", "Show grid in results for web", "flag", True, "Saving images",
            "Before the pictures that it is made of. Without it a script's grid is only saved.",
        ),
        Option(
            "img_max_size_mp", "Maximum image size", "number", 200, "Saving images",
            "In megapixels, for grids: a larger one is refused before the first of its pictures is made.",
            minimum=1, maximum=2000,
        ),
        Option(
            "save_to_dirs", "Save images to a subdirectory", "flag", True, "Saving images",
            "One folder per day, such as 2026-01-31.",
        ),
        Option(
            "enable_pnginfo", "Write infotext to metadata of the generated image", "flag", True, "Saving images",
            "With it a picture can be dropped back on the page to get its settings.",
        ),
        Option(
            "disable_weights_auto_swap", "Ignore the model when pasting infotext", "flag", True, "Infotext",
            "Settings that are pasted do not change the checkpoint.",
        ),
        Option(
            "infotext_styles", "Styles in pasted infotext", "choice", "Apply if any", "Infotext",
            "Ignore: leave the prompt as it is. Apply: take known styles out of the prompt and choose them. Discard:"
            " take them out. Apply if any: choose them when at least one is found, else keep what is chosen.",
            choices=("Ignore", "Apply", "Discard", "Apply if any"),
        ),
        Option(
            "auto_backcompat", "Automatic backward compatibility", "flag", True, "Infotext",
            "Turn on the old ways of the version that wrote the infotext.",
        ),
        Option(
            "send_seed", "Send seed when sending prompt or image to other interface", "flag", True, "Infotext",
            "Without it pasted settings keep the seed of the form.",
        ),
        Option(
            "send_size", "Send size when sending prompt or image to another interface", "flag", True, "Infotext",
            "Without it pasted settings keep the size of the form.",
        ),
        Option(
            "live_previews_enable", "Show live previews of the created image", "flag", True, "Live previews",
            "A small picture of what is being made.",
        ),
        Option(
            "show_progress_type", "Live preview method", "choice", "Approx cheap", "Live previews",
            "Full decodes as the picture itself is, and takes as long; Approx cheap costs nothing and is small; TAESD"
            " is good and quick, and needs a file of its own in models/VAE-taesd.",
            choices=("Full", "Approx cheap", "TAESD"),
        ),
        Option(
            "show_progress_every_n_steps", "Live preview display period", "integer", 1, "Live previews",
            "Show a new preview every so many steps.", minimum=1, maximum=32,
        ),
        Option(
            "live_preview_refresh_period", "Progressbar and preview update period", "number", 200.0, "Live previews",
            "At least so many milliseconds between two previews.", minimum=0, maximum=60_000, step=50,
        ),
        Option(
            "auto_launch_browser", "Automatically open webui in browser on startup", "choice", "Local", "System",
            "Local: where a desktop is seen and the page is served to this machine alone. Disable: never.",
            choices=("Disable", "Local"), restart=True,
        ),
        Option(
            "keep_finished_jobs", "Ended jobs to keep in the queue's list", "integer", 200, "System",
            "Older ones are forgotten; their pictures stay.", minimum=1, maximum=10_000,
        ),
        Option(
            "disabled_extensions", "Disable these extensions", "names", (), "Extensions",
            "Names of folders in extensions; the Extensions tab has their switches.", restart=True,
        ),
        Option(
            "disable_all_extensions", "Disable all extensions (preserves the list of disabled extensions)", "choice",
            "none", "Extensions", "extra and all: nothing in extensions is loaded.",
            choices=("none", "extra", "all"), restart=True,
        ),
        Option(
            "call_order", "Order of plugins and extensions", "names", (), "Extensions",
            "Ids of plugins and names of folders in extensions, the first first; the Extensions tab arranges them.",
        ),
        Option(
            "extension_sites", "Websites for extensions", "names", (), "Extensions",
            "Where extensions' parts of the page may load from; the Extensions tab has the list.",
        ),
    )
}

ADMIN_OPTIONS = frozenset({"disabled_extensions", "disable_all_extensions", "call_order", "extension_sites"})
"""Options that decide which programs run, and what these reach; only admins change them."""
