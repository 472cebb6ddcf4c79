"""Prompt matrix: a prompt "base|a|b" is made with every combination of its later parts, and shown as a grid."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from modules.builtin.grid_pictures import (
    Megapixels,
    check_layout,
    first_pictures,
    largest_size,
    margin_parameter,
    opened_picture,
    usual_megapixels,
    with_fixed_seeds,
)
from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.extras import PluginValues, without_plugin
from modules.core.parameter import Parameter
from modules.core.request import ChoiceLists, GenerationRequest
from modules.hooks.job_hooks import AddedPicture, FinishedJob
from modules.hooks.plugins import PluginDescription
from modules.hooks.registry import RunStart
from modules.hooks.spec import RunListener
from modules.imaging.grids import GridLayout, draw_grid, switched_labels

NAME = "prompt_matrix"
SERIES = "prompt_matrix"
MOST_PARTS = 12
"""How many parts a prompt may have besides its first: 4096 pictures."""
_FIELDS = {"positive": "prompt", "negative": "negative_prompt"}
_JOINTS = {"comma": ", ", "space": " "}

DESCRIPTION = PluginDescription(
    NAME,
    "Prompt matrix",
    (
        Parameter(
            "put_at_start", "Put variable parts at start of prompt", "flag", False,
            "The parts behind | come before the first one.",
        ),
        Parameter(
            "different_seeds", "Use different seed for each picture", "flag", False,
            "Each picture's seed is one more than that of the one before.",
        ),
        Parameter(
            "prompt_type", "Select prompt", "choice", "positive", "Which prompt holds the parts.",
            choices=tuple(_FIELDS),
        ),
        Parameter(
            "variations_delimiter", "Select joining char", "choice", "comma", "What the parts are joined with.",
            choices=tuple(_JOINTS),
        ),
        margin_parameter(),
    ),
    place="script",
    note="Write parts behind | in the prompt: every combination of them is made, as one picture each.",
)  # fmt: skip


class PromptMatrix:
    """The plugin."""

    description = DESCRIPTION

    def __init__(self, megapixels: Megapixels = usual_megapixels) -> None:
        self._megapixels = megapixels

    def listen(self, run: RunStart) -> RunListener:
        """Take no part in runs: what they make is decided before."""
        return RunListener()

    def expand(
        self, request: GenerationRequest, values: PluginValues, lists: ChoiceLists
    ) -> Sequence[GenerationRequest]:
        """Return a request of one picture for each combination."""
        field = _FIELDS[str(values["prompt_type"])]
        first, *parts = _parts(request, values)
        if len(parts) > MOST_PARTS:
            allowed = f"at most {MOST_PARTS} parts behind the first"
            raise InvalidRequest([FieldProblem(field, "Prompt matrix", f"{len(parts)} parts", allowed)])
        fixed = with_fixed_seeds(request)
        extras = without_plugin(fixed.extras, NAME)
        requests = []
        for number in range(1 << len(parts)):
            chosen = [part.strip().strip(",") for bit, part in enumerate(parts) if number >> bit & 1]
            texts = [*chosen, first] if values["put_at_start"] else [first, *chosen]
            changes = {
                field: _JOINTS[str(values["variations_delimiter"])].join(texts),
                "seed": fixed.seed + (number if values["different_seeds"] else 0),
                "subseed": fixed.subseed + number,
                "batch_count": 1,
                "batch_size": 1,
                "extras": extras,
            }
            requests.append(fixed.model_copy(update=changes))
        return requests

    def after_job(self, job: FinishedJob) -> None:
        """Add the grid."""
        _, *parts = _parts(job.request, job.values)
        pictures = first_pictures(job.parts)
        first = next(picture for picture in pictures if picture is not None)
        across = len(parts) - len(parts) // 2
        columns = 1 << across
        texts = [_told(part) for part in parts]
        above, left = switched_labels(texts[:across]), switched_labels(texts[across:])
        size, margin = largest_size(pictures), int(job.values["margin_size"])
        layout = GridLayout(size, columns, 1 << len(parts) // 2, above, left, margin)
        check_layout(DESCRIPTION.title, layout, self._megapixels())

        def draw() -> Image.Image:
            return draw_grid(layout, lambda column, row: opened_picture(pictures[row * columns + column]))

        job.added.append(AddedPicture(SERIES, first.seed, first.infotext, draw))


def _parts(request: GenerationRequest, values: PluginValues) -> list[str]:
    text: str = getattr(request, _FIELDS[str(values["prompt_type"])])
    return text.split("|")


def _told(part: str) -> str:
    return part.strip().strip(",")
