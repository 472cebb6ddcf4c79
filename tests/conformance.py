"""Hold our numbers against a folder of reference numbers: `python tests/conformance.py DIR`.

The folder holds `numbers.json` and `numbers.npz`, computed with A1111's web UI, k-diffusion and torchsde
(`tests/data/reference` is one). Seeds, cases and step counts are taken from the folder alone. One line is printed per
case, with the maximum absolute difference or the differing text; the last line counts them. Cases of samplers,
schedules or grammar that do not exist yet are skipped by name. The exit status is 1 when a case failed.
`conformance_pictures.py` does the same for pictures.

Folder, as far as it is not plain from the keys:
- `sigmas["schedules"]`: schedule label -> steps -> sigmas. A label may carry `rho=R` and `sigma MIN..MAX`.
- `samplers`: "SAMPLER|SCHEDULE|STEPS" -> how often the model is called; the sample stands in the .npz under that key.
  The denoiser is the exact one for the mixture of the Gaussians N(mus_k, 0.25). Noise: torch on the CPU, seed + 1000.
  A sampler's label may carry `eta=E` or `s_churn=C`; churn then acts from sigma 0.05 on, at 1.003 of its strength.
- `prompts`: the attention list, the schedules and the AND parts of each prompt; `nv_noise`: Philox noise by seed.
- "rng|CASE|SOURCE|first" and "second": the first two draws of a batch of two pictures, seeds S and S + 1. CASE may
  say `subseed STRENGTH` (subseeds S + 5 and S + 6), `resize HxW` (from that height and width in pixels), `ENSD DELTA`,
  or `resize+subseed` (from 128x64, subseeds 3 and 4 at 0.6).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

from modules.prompts.grammar import parse_emphasis
from modules.prompts.schedule import Timeline, prompt_schedule, split_parts
from modules.sampling import registry
from modules.sampling.denoisers import NoiseLevels
from modules.sampling.noise import BatchNoise, BrownianNoise, NoiseSeeds, PhiloxGenerator
from modules.sampling.schedules import ScheduleOptions, ddim_timesteps
from modules.sampling.solvers.common import Churn

CLOSE = 1e-4
CLOSE_WHEN_ADAPTIVE = 2e-3
COMPONENT_VARIANCE = 0.25


class NotBuilt(Exception):
    """The case is of something that does not exist yet; the text names it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison: `check` returns the difference as text and whether it is close enough, or raises NotBuilt."""

    name: str
    check: Callable[[], tuple[str, bool]]


def difference(ours: torch.Tensor, theirs: Any, close: float = CLOSE) -> tuple[str, bool]:
    """Return the maximum absolute difference and whether it is at most `close`; other shapes never are."""
    reference = torch.as_tensor(np.asarray(theirs, dtype=np.float32))
    if ours.shape != reference.shape:
        return f"shape {tuple(ours.shape)} where {tuple(reference.shape)} is expected", False
    worst = (ours.float() - reference).abs().max().item()
    return f"max abs difference {worst:.2e}", worst <= close


def sigma_cases(numbers: dict[str, Any]) -> Iterator[Case]:
    """Yield the range of the model's sigmas and every schedule."""
    levels = NoiseLevels.scaled_linear()
    sigmas = numbers["sigmas"]
    for name in ("sigma_min", "sigma_max"):
        ours = torch.tensor(getattr(levels, name))
        yield Case(f"sigmas {name}", lambda ours=ours, name=name: difference(ours, sigmas[name]))
    for label, by_steps in sigmas["schedules"].items():
        for steps, values in by_steps.items():
            yield Case(
                f"schedule {label} {steps}",
                lambda label=label, steps=steps, values=values: difference(
                    schedule_sigmas(label, levels, int(steps)), values
                ),
            )


def schedule_sigmas(label: str, levels: NoiseLevels, steps: int) -> torch.Tensor:
    """Return the sigmas of a label of the folder, which may carry options. Raises NotBuilt."""
    rho = re.search(r" rho=([\d.]+)", label)
    span = re.search(r" sigma ([\d.]+)\.\.([\d.]+)", label)
    plain = re.sub(r" (rho=|sigma )\S+| \(SDXL\)", "", label)
    schedule = registry.find_schedule(plain)
    if schedule is None:
        raise NotBuilt(f"schedule {plain}")
    options = ScheduleOptions(
        sigma_min=float(span[1]) if span else None,
        sigma_max=float(span[2]) if span else None,
        rho=float(rho[1]) if rho else None,
        xl=label.endswith("(SDXL)"),
    )
    sigmas: torch.Tensor = schedule.function()(levels, steps, options)
    return sigmas


class MixtureDenoiser:
    """The exact posterior mean of a mixture of Gaussians under noise; counts its calls."""

    def __init__(self, means: torch.Tensor) -> None:
        self.means = means
        self.calls = 0

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Return x0 for `x`: (batch, 4, 4, 4) at `sigma`: (batch,)."""
        self.calls += 1
        variance = (sigma**2).view(-1, 1, 1, 1, 1)
        distances = ((x[:, None] - self.means) ** 2).flatten(2).sum(-1)
        weights = torch.softmax(-distances / (2 * (variance.view(-1, 1) + COMPONENT_VARIANCE)), dim=-1)
        posterior = (COMPONENT_VARIANCE * x[:, None] + variance * self.means) / (variance + COMPONENT_VARIANCE)
        return (weights[:, :, None, None, None] * posterior).sum(1)


def sampler_cases(numbers: dict[str, Any], arrays: Any) -> Iterator[Case]:
    """Yield every sampler run."""
    for key, facts in numbers["samplers"].items():
        yield Case(
            f"sampler {key}",
            lambda key=key, facts=facts: check_sampler(key, facts["model_calls"], numbers["seed"], arrays),
        )


def check_sampler(key: str, model_calls: int, seed: int, arrays: Any) -> tuple[str, bool]:
    """Run the sampler of `key` and compare the sample and the number of model calls. Raises NotBuilt."""
    written, schedule, steps = key.split("|")
    label, _, option = re.sub(r" (eta|s_churn)=", r"|\1=", written).partition("|")
    sampler = registry.find_sampler(label)
    if sampler is None:
        raise NotBuilt(f"sampler {label}")
    levels = NoiseLevels.scaled_linear()
    if schedule == "timesteps":
        sigmas = sampler.schedule_function(registry.SCHEDULES[0])(levels, int(steps))
    else:
        sigmas = schedule_sigmas(schedule, levels, int(steps))
    options: dict[str, Any] = {}
    if option.startswith("eta="):
        options["eta"] = float(option.removeprefix("eta="))
    elif option.startswith("s_churn="):
        options["churn"] = Churn(float(option.removeprefix("s_churn=")), sigma_from=0.05, strength=1.003)
    denoiser = MixtureDenoiser(torch.from_numpy(arrays["mus"]))
    start = torch.from_numpy(arrays["noise"])
    if sampler.brownian:
        span = float(sigmas[sigmas > 0].min()), float(sigmas.max())
        noise: Any = BrownianNoise([seed, seed + 1], start, *span, source="CPU")
    else:
        generator = torch.Generator().manual_seed(seed + 1000)
        noise = lambda sigma, sigma_next: torch.randn(start.shape, generator=generator)  # noqa: E731
    first = (start * (1 + sigmas[0] ** 2) ** 0.5) if sampler.unit_start else start * sigmas[0]
    sample = sampler.function()(denoiser, first, sigmas, noise=noise, **options)
    text, close = difference(sample, arrays[key], CLOSE_WHEN_ADAPTIVE if "adaptive" in label else CLOSE)
    if denoiser.calls != model_calls:
        return f"{text}; {denoiser.calls} model calls where {model_calls} are expected", False
    return text, close


def timestep_cases(numbers: dict[str, Any]) -> Iterator[Case]:
    """Yield the timesteps of DDIM, PLMS and UniPC."""
    levels = NoiseLevels.scaled_linear()
    for steps, expected in numbers["timesteps"].items():
        yield Case(
            f"timesteps {steps}",
            lambda steps=steps, expected=expected: difference(
                levels.timestep_at(ddim_timesteps(levels, int(steps)).flip(0)), expected, close=1e-2
            ),
        )


def prompt_cases(numbers: dict[str, Any]) -> Iterator[Case]:
    """Yield the attention list, the schedules and the AND parts of every prompt."""
    for entry in numbers["prompts"]:
        prompt = entry["prompt"]
        for part, expected in entry.items():
            if part == "prompt":
                continue
            check = {"attention": check_attention, "and": check_parts}.get(part, check_schedule)
            yield Case(
                f"prompt {part} {prompt!r}",
                lambda check=check, prompt=prompt, part=part, expected=expected: check(prompt, part, expected),
            )


def check_schedule(prompt: str, part: str, expected: list[tuple[int, str]]) -> tuple[str, bool]:
    """Compare the stages of a prompt; `part` says "schedule steps=N hires=N|None old=True|False"."""
    given = dict(pair.split("=") for pair in part.split()[1:])
    steps, second, old_rule = int(given["steps"]), given["hires"], given["old"] == "True"
    timeline = Timeline(steps, None, old_rule) if second == "None" else Timeline(int(second), steps, old_rule)
    ours = [[stage.until, stage.text] for stage in prompt_schedule(prompt, timeline)]
    return ("same stages", True) if ours == expected else (f"{ours} where {expected} is expected", False)


def check_parts(prompt: str, part: str, expected: list[tuple[str, float]]) -> tuple[str, bool]:
    """Compare the parts that AND divides."""
    ours = [[piece.text, piece.weight] for piece in split_parts(prompt)]
    return ("same parts", True) if ours == expected else (f"{ours} where {expected} is expected", False)


def check_attention(prompt: str, part: str, expected: list[tuple[str, float]]) -> tuple[str, bool]:
    """Compare the texts exactly and the weights closely."""
    ours = [(fragment.text, fragment.weight) for fragment in parse_emphasis(prompt)]
    same_texts = [text for text, _ in ours] == [text for text, _ in expected]
    if not same_texts or any(abs(a - b) > CLOSE for (_, a), (_, b) in zip(ours, expected, strict=True)):
        return f"{ours} where {[tuple(pair) for pair in expected]} is expected", False
    return "same text and weights", True


def noise_cases(numbers: dict[str, Any], arrays: Any) -> Iterator[Case]:
    """Yield Philox noise by seed and the draws of a batch."""
    for seed, values in numbers["nv_noise"].items():
        yield Case(f"nv_noise {seed}", lambda seed=seed, values=values: check_philox(seed, values, numbers["seed"]))
    for key in arrays.files:
        if key.startswith("rng|") and key.endswith("|first"):
            stem = key.removesuffix("|first")
            yield Case(stem, lambda stem=stem: check_batch_noise(stem, numbers["seed"], arrays))


def check_philox(name: str, expected: list[Any], seed: int) -> tuple[str, bool]:
    """Compare draws of one generator; "sequence" stands for two draws of 5 with the folder's seed."""
    if name == "sequence":
        generator = PhiloxGenerator(seed)
        draws = torch.cat([generator.randn((5,)), generator.randn((5,))])
    else:
        small, large = PhiloxGenerator(int(name)).randn((2, 3)), PhiloxGenerator(int(name)).randn((4, 8, 8))
        draws = torch.cat([small.flatten(), large.flatten()[: len(np.ravel(expected)) - small.numel()]])
    return difference(draws, np.ravel(expected))


def noise_seeds(case: str, seed: int) -> NoiseSeeds:
    """Return what a case of the folder draws its noise from. Raises NotBuilt for a case of another name."""
    seeds = seed, seed + 1
    if case == "plain":
        return NoiseSeeds(seeds)
    if match := re.fullmatch(r"subseed ([\d.]+)", case):
        return NoiseSeeds(seeds, (seed + 5, seed + 6), float(match[1]))
    if match := re.fullmatch(r"resize (\d+)x(\d+)", case):
        return NoiseSeeds(seeds, resize_from=(int(match[1]) // 8, int(match[2]) // 8))
    if case == "resize+subseed":
        return NoiseSeeds(seeds, (3, 4), 0.6, resize_from=(128 // 8, 64 // 8))
    if match := re.fullmatch(r"ENSD (\d+)", case):
        return NoiseSeeds(seeds, seed_delta=int(match[1]))
    raise NotBuilt(f"noise with {case}")


def check_batch_noise(stem: str, seed: int, arrays: Any) -> tuple[str, bool]:
    """Compare the first and the second draw of a batch of two. Raises NotBuilt."""
    _, case, source = stem.split("|")
    first = arrays[f"{stem}|first"]
    noise = BatchNoise(noise_seeds(case, seed), first.shape[1:], source, torch.device("cpu"))
    ours = torch.stack([noise.draw(), noise.draw()])
    return difference(ours, np.stack([first, arrays[f"{stem}|second"]]))


def cases_of(folder: Path) -> Iterator[Case]:
    """Yield every case of the folder."""
    numbers = json.loads((folder / "numbers.json").read_text(encoding="utf-8"))
    arrays = np.load(folder / "numbers.npz")
    yield from sigma_cases(numbers)
    yield from sampler_cases(numbers, arrays)
    yield from timestep_cases(numbers)
    yield from prompt_cases(numbers)
    yield from noise_cases(numbers, arrays)


def run(cases: Iterable[Case], only: str = "", say: Callable[[str], object] = print) -> int:
    """Check every case whose name holds `only`, say a line for each, and return how many failed."""
    passed = failed = skipped = 0
    for case in cases:
        if only not in case.name:
            continue
        try:
            text, close = case.check()
        except NotBuilt as missing:
            skipped += 1
            say(f"SKIP {case.name}: not built yet: {missing}")
            continue
        passed, failed = passed + close, failed + (not close)
        say(f"{'ok  ' if close else 'FAIL'} {case.name}: {text}")
    say(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases whose name holds TEXT")
    given = parser.parse_args()
    sys.exit(1 if run(cases_of(given.folder), given.only) else 0)
