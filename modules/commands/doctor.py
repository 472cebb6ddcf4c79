"""`launch.py doctor [--extensions] [--json]`: what is wrong here, in plain words, and how to mend it."""

from __future__ import annotations

import importlib
import json
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from modules.cli import AppConfig, FlagParser
from modules.commands.flags import add_server_flags, config_from
from modules.core.errors import EaselError
from modules.core.events import Event
from modules.core.ports import Engine
from modules.core.request import GenerationRequest
from modules.core.result import GeneratedImage
from modules.jobs.cancel import RunCancel
from modules.library.catalog import STARTER_NAME, CheckpointCatalog
from modules.library.files import ModelFiles

logger = logging.getLogger(__name__)

State = Literal["ok", "warn", "fail"]
EngineMaker = Callable[[AppConfig, ModelFiles], Engine]

GIB = 2**30
LITTLE_SPACE = 10 * GIB
"""Free bytes below which a few big checkpoints no longer fit."""
NO_SPACE = GIB // 4
"""Free bytes below which pictures will soon fail to be saved."""
TRIAL = {"prompt": "a red apple on a blue background", "steps": 4, "width": 128, "height": 128, "seed": 1}
MARKS = {"ok": "ok   ", "warn": "warn ", "fail": "WRONG"}
PREPARE = "Run `python launch.py prepare`; if it stays so, delete the folder .venv before."
NVIDIA_SMI_SECONDS = 20
WHAT_CAN_GO_WRONG = (EaselError, ImportError, OSError, RuntimeError, ValueError, TypeError, MemoryError)
"""What a broken installation raises on the way to a picture."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `mend` says what to do, where there is something to do."""

    name: str
    state: State
    detail: str
    mend: str = ""


def main(argv: Sequence[str], make_engine: EngineMaker | None = None) -> int:
    """Look at everything and report; returns 0 when nothing is wrong, else 1."""
    parser = FlagParser(prog="launch.py doctor", description="Say what is wrong and how to mend it.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--extensions", action="store_true", help="report on each extension instead")
    add_server_flags(parser)
    flags = parser.parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s", force=True)
    if flags.extensions:
        # Only now: it builds the page too, which the other checks do without.
        command = importlib.import_module("modules.commands.doctor_extensions")
        return int(command.examine_extensions(config_from(flags), flags.json))
    checks = []
    for check in examine(config_from(flags), make_engine):
        checks.append(check)
        if not flags.json:
            _tell(check)
    healthy = all(check.state != "fail" for check in checks)
    if flags.json:
        shown = [{**asdict(check), "ok": check.state != "fail"} for check in checks]
        sys.stdout.write(json.dumps({"ok": healthy, "checks": shown}, indent=2) + "\n")
    else:
        sys.stdout.write("Everything works.\n" if healthy else "Mend what is marked WRONG, and ask the doctor again.\n")
    return 0 if healthy else 1


def examine(config: AppConfig, make_engine: EngineMaker | None = None) -> Iterator[Check]:
    """Yield one check after the other, the quick ones first."""
    yield Check("Python", "ok", f"{platform.python_version()} at {sys.executable}")
    yield from check_torch(config)
    yield from check_folders(config)
    files = ModelFiles.of(config)
    yield from check_models(files.checkpoints)
    yield check_generation(config, files, make_engine)


def check_torch(config: AppConfig) -> Iterator[Check]:
    """Look whether torch loads, and whether it can use the graphics card that is there."""
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as error:
        yield Check("torch", "fail", f"cannot be loaded: {error}", PREPARE)
        return
    yield Check("torch", "ok", str(torch.__version__))
    yield check_device(torch, config.use_cpu, nvidia_driver())


def check_device(torch: Any, use_cpu: bool, driver: str | None) -> Check:
    """Say what computes; `driver` is what NVIDIA's own tool tells of the cards, None when there is no such tool."""
    if use_cpu:
        return Check("GPU", "ok", "left alone, as --use-cpu asks")
    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
        shown = ", ".join(f"{card.name} with {card.total_memory / GIB:.0f} GiB" for card in cards)
        return Check("GPU", "ok", f"{shown}; {driver or 'driver unknown'}; torch uses CUDA {torch.version.cuda}")
    if driver is not None:
        built = torch.version.cuda
        mend = (
            f"Update the NVIDIA driver to one that supports CUDA {built}, and restart the computer."
            if built
            else "Delete the folder .venv, set TORCH_INDEX_URL=https://download.pytorch.org/whl/cu130 and start again."
        )
        reason = f"is built for CUDA {built} but finds no card" if built else "is built without CUDA"
        return Check("GPU", "warn", f"{driver}, but torch {reason}: pictures are made on the slow CPU", mend)
    if torch.backends.mps.is_available():
        return Check("GPU", "ok", "Apple's, through Metal")
    return Check("GPU", "warn", f"none: pictures are made on the CPU ({os.cpu_count()} cores); big models take minutes")


def nvidia_driver() -> str | None:
    """Return cards and driver version as NVIDIA's own tool tells them; None when there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    query = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=NVIDIA_SMI_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"an NVIDIA driver that does not answer ({error})"
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return "; ".join(f"{name}, driver {version}" for name, _, version in (line.partition(", ") for line in lines))


def check_folders(config: AppConfig) -> Iterator[Check]:
    """Look whether the data folder's parts can be written, and how much room is left there."""
    places = {"outputs": config.data_dir / "outputs", "settings": config.settings_file.parent}
    for name, folder in places.items():
        yield check_writable(name, folder)
    yield check_space(config.data_dir)


def check_writable(name: str, folder: Path) -> Check:
    """Try to write a file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        mend = "Give yourself the right to write there, or choose another folder with --data-dir."
        return Check(f"folder for {name}", "fail", f"{folder} cannot be written: {error.strerror or error}", mend)
    return Check(f"folder for {name}", "ok", str(folder))


def check_space(folder: Path) -> Check:
    """Look how much room is left on the data folder's disk."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    shown = f"{free / GIB:.1f} GiB free on the disk of {folder}"
    if free < NO_SPACE:
        return Check("disk", "fail", shown, "Free some space, or choose another disk with --data-dir.")
    if free < LITTLE_SPACE:
        return Check("disk", "warn", shown, "A big checkpoint takes 2 to 7 GiB; --models-dir may lie on another disk.")
    return Check("disk", "ok", shown)


def check_models(catalog: CheckpointCatalog) -> Iterator[Check]:
    """Tell which checkpoints there are, and why the others cannot be used."""
    entries = catalog.entries()
    usable = [entry.name for entry in entries if entry.usable]
    places = ", ".join(str(folder) for folder in catalog.folders)
    if usable:
        yield Check("models", "ok", f"{len(usable)} usable: {', '.join(usable)}")
    else:
        mend = "Put a .safetensors file of the SD 1.x family into the first of these folders."
        yield Check("models", "fail", f"none usable in {places}", mend)
    for entry in entries:
        if not entry.usable:
            mend = "Fetch the file again, or take it away; the others work all the same."
            yield Check(f"model {entry.name}", "warn", f"cannot be used: {entry.reason}", mend)


def check_generation(config: AppConfig, files: ModelFiles, make_engine: EngineMaker | None) -> Check:
    """Make one tiny real picture with the starter model."""
    name = "a picture"
    try:
        checkpoint = files.checkpoints.find(STARTER_NAME)
        make = make_engine or importlib.import_module("modules.engine.service").create_engine
        sink = TrialSink()
        started = time.monotonic()
        engine = make(config, files)
        loaded = time.monotonic()
        engine.generate(GenerationRequest.checked({**TRIAL, "checkpoint": checkpoint.title}), sink, RunCancel())
        ended = time.monotonic()
    except WHAT_CAN_GO_WRONG as error:
        logger.debug("The trial picture failed.", exc_info=True)
        if isinstance(error, EaselError):
            return Check(name, "fail", f"could not be made. {error}")
        return Check(name, "fail", f"could not be made: {type(error).__name__}: {error}", PREPARE)
    if not sink.pictures:
        return Check(name, "fail", "the engine ended without one", PREPARE)
    if len(sink.pictures[0].pixels.getcolors(maxcolors=2**24) or ()) < 2:
        mend = "Start with --no-half: some cards cannot compute with 16-bit floats."
        return Check(name, "fail", "came out in a single colour", mend)
    seconds = f"{ended - loaded:.1f} s, after {loaded - started:.1f} s for loading the engine"
    return Check(name, "ok", f"{TRIAL['width']} x {TRIAL['height']} pixels, {TRIAL['steps']} steps, in {seconds}")


class TrialSink:
    """Implements `core.ports.RunSink`, keeping the pictures in memory."""

    def __init__(self) -> None:
        self.pictures: list[GeneratedImage] = []

    def publish(self, event: Event) -> None:
        """Take an event without a word."""

    def wants_preview(self, step: int) -> bool:
        """Nobody looks."""
        return False

    def save(self, image: GeneratedImage) -> None:
        """Keep one picture."""
        self.pictures.append(image)


def _tell(check: Check) -> None:
    sys.stdout.write(f"{MARKS[check.state]} {check.name}: {check.detail}\n")
    if check.mend and check.state != "ok":
        sys.stdout.write(f"      -> {check.mend}\n")
    sys.stdout.flush()
