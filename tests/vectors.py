"""Published vectors: what every sampler makes of the starter model, as one hash each.

`python tests/vectors.py check` computes them all and names those that differ from `tests/data/vectors.json`; the exit
status is then 1. `python tests/vectors.py renew` writes what has changed, and nothing else, and names it. A new sampler
or schedule needs nothing but `renew`. Both take several minutes; pytest checks a part that covers every sampler, every
schedule and both noise sources.

A case is SAMPLER|SCHEDULE|NOISE, computed in fp32 on the CPU by the engine with the request in the file's head: one
picture of 64 x 64 pixels, 6 steps, which is enough for every multistep solver to reach its full order, and 20 for
Restart, which restarts only from there on. Samplers with a schedule of their own appear once, under "any", with the
schedule type "Automatic". The noise source "GPU" is left out: on a CPU it is "CPU".

From latents to hash: the final latents, (4, 8, 8), scaled as the U-Net knows them, are reduced to the means of 2 x 2
blocks, (4, 4, 4). Each mean m becomes the whole number floor((m - offset) / width). The hash is the first 16 digits of
the SHA-256 of these numbers as little-endian 32-bit integers, in row-major order.

Rounding alone would be fragile where a mean lies near a boundary of the grid: another processor rounds the last bits
of a network's sums differently. So each case has a grid of its own: `width` is 250 times the tolerance, and `offset`
is that of 256 offsets, place / 256 * width, from which all means lie farthest. Each of the 64 means rules out at most
3 offsets, so one always remains with no mean nearer to a boundary than the tolerance, and usually that distance is
several times as large. Where it was tried, other kernels and thread counts on one processor moved a mean by a seventh
of the tolerance at most. DPM adaptive, whose step sizes react to rounding, has a larger tolerance.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
import torch.nn.functional as F
from PIL.Image import Image
from torch import Tensor

from modules.core.request import GenerationRequest
from modules.engine.context import RunContext
from modules.engine.families import ModelBundle
from modules.engine.memory import DeviceWishes
from modules.engine.plan import make_plan
from modules.engine.sample import sample_pass
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from modules.sampling import registry
from tests.fakes import Collector

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "tests" / "data" / "vectors.json"
STARTER = ROOT / "models" / "Stable-diffusion" / "starter"
REQUEST: Mapping[str, Any] = {
    "prompt": "a red apple", "negative_prompt": "", "seed": 5, "steps": 6, "width": 64, "height": 64, "cfg_scale": 7.0,
    "checkpoint": STARTER.name,
}  # fmt: skip
STEPS_OF: Mapping[str, int] = {"Restart": 20}
SOURCES = ("CPU", "NV")
ANY = "any"
TOLERANCE = 0.0005
TOLERANCE_OF: Mapping[str, float] = {"DPM adaptive": 0.002}
TOLERANCES_WIDE = 250
OFFSETS = 256
DIGITS = 16
ABOUT = "Hashes of final latents; tests/vectors.py says of what and how, and renews them."


@dataclass(frozen=True, slots=True)
class Case:
    """One run: labels of sampler and schedule, and where the noise comes from."""

    sampler: str
    schedule: str
    source: str

    @property
    def name(self) -> str:
        """The case's key in the file."""
        return f"{self.sampler}|{self.schedule}|{self.source}"

    @property
    def tolerance(self) -> float:
        """How far a mean may move without changing the hash."""
        return TOLERANCE_OF.get(self.sampler, TOLERANCE)

    def request(self) -> GenerationRequest:
        """Return the request that is run."""
        values = {
            "sampler": self.sampler,
            "scheduler": registry.AUTOMATIC if self.schedule == ANY else self.schedule,
            "noise_source": self.source,
        }
        steps = STEPS_OF.get(self.sampler, REQUEST["steps"])
        return GenerationRequest.checked({**REQUEST, **values, "steps": steps})


@dataclass(frozen=True, slots=True)
class Vector:
    """A hash and the grid that it was taken on."""

    width: float
    offset: float
    hash: str

    @classmethod
    def of(cls, means: Tensor, tolerance: float) -> Self:
        """Return the hash of `means` on the grid whose boundaries lie farthest from them."""
        width = TOLERANCES_WIDE * tolerance
        place = max(range(OFFSETS), key=lambda place: margin(means, width, place / OFFSETS * width))
        offset = place / OFFSETS * width
        return cls(width, offset, grid_hash(means, width, offset))

    def fits(self, means: Tensor) -> bool:
        """Say whether `means` have this hash."""
        return grid_hash(means, self.width, self.offset) == self.hash


def grid_hash(means: Tensor, width: float, offset: float) -> str:
    """Return the hash of the numbers of the cells that `means` lie in."""
    cells = np.floor((means.double().numpy() - offset) / width).astype("<i4")
    return hashlib.sha256(cells.tobytes()).hexdigest()[:DIGITS]


def margin(means: Tensor, width: float, offset: float) -> float:
    """Return how far the mean that lies nearest to a boundary of the grid is from it."""
    within = (means.double() - offset) % width
    return float(torch.minimum(within, width - within).min())


def every_case() -> Iterator[Case]:
    """Yield all cases in the order of the page."""
    for sampler in registry.SAMPLERS:
        for schedule in schedules_of(sampler):
            for source in SOURCES:
                yield Case(sampler.label, schedule, source)


def spread_cases() -> Iterator[Case]:
    """Yield a part of the cases: every sampler once, with noise sources and schedules that go round."""
    free = [sampler for sampler in registry.SAMPLERS if sampler.own_schedule is None]
    bound = [sampler for sampler in registry.SAMPLERS if sampler.own_schedule is not None]
    for place, sampler in enumerate([*free, *bound]):
        schedules = schedules_of(sampler)
        yield Case(sampler.label, schedules[place % len(schedules)], SOURCES[place % len(SOURCES)])


def schedules_of(sampler: registry.Sampler) -> tuple[str, ...]:
    """Return the schedules under which a sampler appears."""
    if sampler.own_schedule is not None:
        return (ANY,)
    return tuple(schedule.label for schedule in registry.SCHEDULES)


def no_preview(bundle: ModelBundle, latents: Tensor) -> Image:
    """Stand in for previews, which nobody asks for here."""
    raise NotImplementedError


class Maker:
    """Makes latents with the starter model, which it holds; a prompt is encoded once."""

    def __init__(self) -> None:
        hashes = HashCache(Path(tempfile.mkdtemp()) / "hashes.json")
        files = ModelFiles(CheckpointCatalog([STARTER.parent], hashes))
        self.engine = DiffusionEngine(files, EngineSettings(DeviceWishes(use_cpu=True)))
        self.model = self.engine.shelf.get(STARTER.name, Collector()).bundle.entry.short_hash

    @torch.inference_mode()
    def means(self, request: GenerationRequest) -> Tensor:
        """Return the reduced latents of a request: (channels, rows / 2, columns / 2)."""
        plan, sink = make_plan(request), Collector()
        context = RunContext(plan, self.engine.shelf, sink, sink, no_preview)
        context.start()
        latents = sample_pass(context, plan.batches[0], plan.first, None)
        return F.avg_pool2d(latents, 2)[0]


def read(path: Path = FILE) -> tuple[str | None, dict[str, Vector]]:
    """Return the hash of the model that the file was made with, and its vectors by case; none without the file."""
    if not path.is_file():
        return None, {}
    whole = json.loads(path.read_text(encoding="utf-8"))
    return whole["model"], {name: Vector(**entry) for name, entry in whole["cases"].items()}


def write(model: str | None, vectors: Mapping[str, Vector], path: Path = FILE) -> None:
    """Write the file, a case to a line."""
    head = {
        "about": ABOUT, "model": model, "request": REQUEST, "steps_of": STEPS_OF, "tolerance": TOLERANCE,
        "tolerance_of": TOLERANCE_OF, "offsets": f"width * 0 … {OFFSETS - 1} / {OFFSETS}, width = "
        f"{TOLERANCES_WIDE} * tolerance",
    }  # fmt: skip
    lines = [f'  "{key}": {json.dumps(value, ensure_ascii=False)},' for key, value in head.items()]
    cases = [f"    {json.dumps(name)}: {json.dumps(asdict(vector))}" for name, vector in vectors.items()]
    text = "\n".join(["{", *lines, '  "cases": {', ",\n".join(cases), "  }", "}"])
    path.write_text(text + "\n", encoding="utf-8")


def changed(
    maker: Maker, cases: Iterable[Case], vectors: Mapping[str, Vector], say: Callable[[str], object]
) -> Iterator[tuple[Case, Vector]]:
    """Yield every case whose latents have no longer the hash of the file, with what they have now, and say so."""
    for case in cases:
        means = maker.means(case.request())
        if not means.isfinite().all():
            raise ArithmeticError(f"{case.name} gives latents that are no numbers")
        known = vectors.get(case.name)
        if known is None or not known.fits(means):
            say(f"{'changed' if known else 'new'}: {case.name}")
            yield case, Vector.of(means, case.tolerance)


def main() -> int:
    """Check or renew; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("action", choices=["check", "renew"])
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases whose name holds TEXT")
    given = parser.parse_args()
    maker, (model, vectors) = Maker(), read()
    if model not in (None, maker.model):
        print(f"the model has the hash {maker.model}, the vectors are those of {model}")
    cases = {case.name: case for case in every_case()}
    gone = [name for name in vectors if name not in cases]
    for name in gone:
        print(f"gone: {name}")
    wanted = [case for case in cases.values() if given.only in case.name]
    new = {case.name: vector for case, vector in changed(maker, wanted, vectors, print)}
    print(f"{len(wanted)} checked, {len(new)} changed or new, {len(gone)} gone")
    if given.action == "check":
        return 1 if new or gone else 0
    merged = {**vectors, **new}
    write(maker.model, {name: merged[name] for name in cases if name in merged})
    return 0


if __name__ == "__main__":
    sys.exit(main())
