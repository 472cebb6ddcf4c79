"""`launch.py generate "PROMPT" -o FILE`: the same engine without the page, also beside a running server."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from PIL import Image

from modules.cli import AppConfig, FlagParser
from modules.commands.flags import add_server_flags, config_from
from modules.core.errors import EaselError, FieldProblem, InvalidRequest, StorageFailed
from modules.core.events import Event, ModelLoading, StepDone
from modules.core.parameters import PARAMETERS
from modules.core.ports import Engine
from modules.core.request import GenerationRequest
from modules.core.result import GeneratedImage
from modules.gallery.inputs import InputStore
from modules.gallery.saving import encode_png, storage_errors, write_whole
from modules.jobs.cancel import RunCancel
from modules.jobs.progress import ProgressMeter
from modules.library.choices import Choices, default_checkpoint
from modules.library.files import ModelFiles
from modules.settings.schema import parameter_values
from modules.settings.store import SettingsStore

logger = logging.getLogger(__name__)

PICTURE_SUFFIX = ".png"
TELL_EVERY_SECONDS = 2.0
WRONG = 2
"""Exit code for everything that went wrong and that a message explains."""

PICTURE_HELP: Mapping[str, str] = {
    "init_image": "The picture that is worked over, with --denoising-strength.",
    "mask_image": "A picture whose white parts are painted anew.",
    "depth_image": "A depth map for depth checkpoints, white what is nearest.",
}
"""The parameters whose flags name files, and what is said of these."""
SIZE_STEP = 8


class EngineMaker(Protocol):
    """Builds the engine."""

    def __call__(self, config: AppConfig, files: ModelFiles, *, pictures: Callable[[str], Image.Image]) -> Engine:
        """Return an engine that gets pictures by their content's hash."""


def main(argv: Sequence[str], make_engine: EngineMaker | None = None) -> int:
    """Make the pictures that `argv` (without the command's name) asks for; returns the exit code."""
    flags = build_parser().parse_args(argv)
    _set_up_logging()
    try:
        with tempfile.TemporaryDirectory() as folder:
            _make(flags, InputStore(Path(folder)), make_engine)
    except InvalidRequest as error:
        logger.error("%s", " ".join(_with_flag(problem) for problem in error.problems))
        return WRONG
    except EaselError as error:
        logger.error("%s", error)
        return WRONG
    return 0


def _make(flags: argparse.Namespace, inputs: InputStore, make_engine: EngineMaker | None) -> None:
    target = Target(flags.output)
    config = config_from(flags)
    files = ModelFiles.of(config)
    request = read_request(flags, SettingsStore(config.settings_file), files, inputs)
    target.prepare(request)
    make: EngineMaker = make_engine or importlib.import_module("modules.engine.service").create_engine
    make(config, files, pictures=inputs.load).generate(request, FileSink(request, target), RunCancel())


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; each parameter that names flags in `core/parameters.py` is one here."""
    parser = FlagParser(
        prog="launch.py generate",
        description="Make pictures without the page.",
        epilog="What is not given is taken from the settings, the size from --init-image or else "
        "from what the model was trained on.",
        allow_abbrev=False,
    )
    parser.add_argument("prompt", help=PARAMETERS["prompt"].help)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE",
        help="a .png file (several pictures: FILE-1.png, FILE-2.png, …) or a folder",
    )  # fmt: skip
    for parameter in PARAMETERS.values():
        if parameter.flags and parameter.kind == "flag":
            parser.add_argument(*parameter.flags, dest=parameter.name, action="store_const", const=True,
                                help=parameter.help)  # fmt: skip
        elif parameter.flags:
            picture = parameter.name in PICTURE_HELP
            parser.add_argument(
                *parameter.flags, dest=parameter.name, metavar="FILE" if picture else "VALUE",
                help=PICTURE_HELP[parameter.name] if picture else parameter.help,
            )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="assignments",
        help="any other parameter by its name in core/parameters.py, such as s_churn=2; may be given often",
    )  # fmt: skip
    add_server_flags(parser)
    return parser


def read_request(
    flags: argparse.Namespace, settings: SettingsStore, files: ModelFiles, inputs: InputStore
) -> GenerationRequest:
    """Return the request that the flags and, where they are silent, the settings ask for, with a fixed seed.

    `inputs` keeps the pictures that flags name. Raises InvalidRequest and ModelUnavailable.
    """
    given = {name: getattr(flags, name) for name in PARAMETERS if getattr(flags, name, None) is not None}
    given |= {name: _kept(name, Path(given[name]), inputs) for name in PICTURE_HELP if name in given}
    for assignment in flags.assignments:
        name, _, value = assignment.partition("=")
        given[name] = value
    catalog = files.checkpoints
    checkpoint = catalog.find(given.get("checkpoint") or default_checkpoint(settings, catalog))
    sides = inputs.size(given["init_image"]) if "init_image" in given else (checkpoint.native_size,) * 2
    size = {name: side // SIZE_STEP * SIZE_STEP for name, side in zip(("width", "height"), sides, strict=True)}
    if "mask_blur_x" in given:
        given.setdefault("mask_blur_y", given["mask_blur_x"])
    values = {**size, **parameter_values(settings.all()), **given, "checkpoint": checkpoint.title}
    return GenerationRequest.checked(values, Choices(files.checkpoints, vaes=files.vaes)).with_fixed_seed()


def _kept(name: str, path: Path, inputs: InputStore) -> str:
    """Return the hash of the picture in a file that a flag names. Raises InvalidRequest."""
    try:
        return inputs.keep(path.read_bytes(), name, path.name)
    except OSError as error:
        reason = f"{path}, which cannot be read ({error.strerror or error}),"
        raise InvalidRequest([FieldProblem(name, PARAMETERS[name].label, reason, "a picture's file")]) from error


class Target:
    """Where the pictures go: one file, a numbered series of files, or a folder."""

    def __init__(self, output: Path) -> None:
        """Raises InvalidRequest when `output` is neither a folder nor the name of a PNG file."""
        self._is_folder = output.is_dir() or not output.suffix
        if not self._is_folder and output.suffix.lower() != PICTURE_SUFFIX:
            raise InvalidRequest([FieldProblem("output", "--output", str(output), "a folder or a file ending in .png")])
        self._output = output

    def prepare(self, request: GenerationRequest) -> None:
        """Make the folder now: better to fail before the work than after it. Raises StorageFailed."""
        folder = self.path(request, 0).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageFailed(f"The folder {folder} cannot be made: {error.strerror or error}.") from error

    def path(self, request: GenerationRequest, index: int) -> Path:
        """Return the file of picture `index`."""
        if self._is_folder:
            return self._output / f"{index:05d}-{request.image_seed(index)}{PICTURE_SUFFIX}"
        if request.image_count() == 1:
            return self._output
        return self._output.with_stem(f"{self._output.stem}-{index + 1}")


class FileSink:
    """Implements `core.ports.RunSink`: pictures to files, progress to the log."""

    def __init__(self, request: GenerationRequest, target: Target) -> None:
        self._request = request
        self._target = target
        self._meter = ProgressMeter([request], frozenset())
        self._told = time.monotonic()

    def publish(self, event: Event) -> None:
        """Tell how far the work is, now and then."""
        if isinstance(event, StepDone):
            self._meter.step_done(event)
        now = time.monotonic()
        if now - self._told < TELL_EVERY_SECONDS:
            return
        if isinstance(event, ModelLoading):
            logger.info("Loading %s: %s, %.0f %%", event.title, event.stage, 100 * event.fraction)
        elif isinstance(event, StepDone):
            logger.info(
                "Picture %d of %d, step %d of %d, %s",
                event.first_image + 1, self._request.image_count(), event.step, event.steps, self._time_left(),
            )  # fmt: skip
        else:
            return
        self._told = now

    def wants_preview(self, step: int) -> bool:
        """Nobody looks."""
        return False

    def save(self, image: GeneratedImage) -> None:
        """Write one picture. Raises StorageFailed."""
        path = self._target.path(self._request, image.index)
        with storage_errors(path):
            write_whole(path, encode_png(image))
        logger.info("Saved %s (seed %d).", path, image.seed)

    def _time_left(self) -> str:
        seconds = self._meter.seconds_left()
        return "time left unknown" if seconds is None else f"{seconds:.0f} s left"


def _with_flag(problem: FieldProblem) -> str:
    """Name the flag, since that is what was typed."""
    parameter = PARAMETERS.get(problem.field)
    flag = f"{parameter.flags[0]} ({problem.label})" if parameter is not None and parameter.flags else problem.label
    return f"{flag}: {problem.value} is not possible; allowed is {problem.allowed}."


def _set_up_logging() -> None:
    """Send progress and errors to standard error."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s", force=True)
    logging.getLogger("modules").setLevel(logging.INFO)
