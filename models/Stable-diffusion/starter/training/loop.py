"""The training loop that all stages share: rates, averages, progress, and a state on disk from which it goes on.

Nothing random outlives a step: every step draws from generators seeded with (seed, stage, step, process). So a run that
was killed and started again continues exactly as if it had not been.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from training.optimisers import optimisers_for
from training.parallel import Workers

LOG = logging.getLogger("starter")


@dataclass(frozen=True)
class Draw:
    """One step's randomness and number."""

    step: int
    workers: Workers
    rng: random.Random
    noise: torch.Generator

    @classmethod
    def of(cls, seed: int, stage: str, step: int, workers: Workers) -> Draw:
        """The randomness of that step in this process: always the same."""
        rng = random.Random(f"{seed} {stage} {step} {workers.rank}")
        return cls(step, workers, rng, torch.Generator().manual_seed(rng.getrandbits(62)))


class Stage(Protocol):
    """What is trained, and on what."""

    name: str
    batch_size: int

    @property
    def modules(self) -> nn.Module:
        """Everything that is saved; what requires a gradient is trained."""

    def loss(self, draw: Draw) -> Tensor:
        """The loss of one batch of ``batch_size`` samples, a scalar."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast: the rate rises over ``warmup`` steps, stays, and falls over the last ``decay``, 0..1."""

    samples: int
    decay: float = 0.4
    warmup: int = 40
    muon_rate: float = 3e-3
    adam_rate: float = 5e-4
    averaging: float = 0.998
    seed: int = 0

    def rate(self, seen: int, step: int) -> float:
        """The factor, 0..1, on the learning rates after ``seen`` samples."""
        left = (self.samples - seen) / max(1.0, self.samples * self.decay)
        return min(1.0, max(0.01, left), (step + 1) / self.warmup)


@dataclass(frozen=True)
class Upkeep:
    """Where the state lies, how often it is saved and reported, and a hook that may raise to stop (tests do)."""

    state: Path
    save_seconds: float = 120.0
    report_seconds: float = 30.0
    after_step: Callable[[int], None] = lambda step: None


def save_atomically(value: object, path: Path) -> None:
    """Write beside the place and rename: a kill leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    torch.save(value, beside)
    beside.replace(path)


def load_state(path: Path) -> dict[str, Any]:
    """A file of :func:`save_atomically`, on the CPU."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


class Run:
    """One stage's training, from its state on disk to the plan's end."""

    def __init__(self, stage: Stage, plan: Plan, upkeep: Upkeep, workers: Workers) -> None:
        self.stage, self.plan, self.upkeep, self.workers = stage, plan, upkeep, workers
        self.step = self.seen = 0
        self.cpu_seconds = 0.0
        self.trained = {name: p for name, p in stage.modules.named_parameters() if p.requires_grad}
        self.average = {name: p.detach().clone() for name, p in self.trained.items()}
        self.optimisers = optimisers_for(stage.modules, plan.muon_rate, plan.adam_rate, workers)
        if upkeep.state.is_file():
            self._restore(load_state(upkeep.state))

    def _restore(self, state: dict[str, Any]) -> None:
        self.stage.modules.load_state_dict(state["weights"])
        with torch.no_grad():
            for name, average in self.average.items():
                average.copy_(state["average"][name])
        for optimiser, saved in zip(self.optimisers, state.get("optimisers", ()), strict=False):
            optimiser.load_state_dict(saved)
        self.step, self.seen, self.cpu_seconds = state["step"], state["seen"], state["cpu_seconds"]

    def save(self) -> None:
        """Everything that the next start needs."""
        state = {
            "weights": self.stage.modules.state_dict(),
            "average": self.average,
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "step": self.step,
            "seen": self.seen,
            "cpu_seconds": self.cpu_seconds,
        }
        save_atomically(state, self.upkeep.state)

    def train(self) -> None:
        """Train until the plan's samples are seen; saved at the end and every ``save_seconds``."""
        progress = Progress(self)
        saved = time.monotonic()
        began_cpu = time.process_time() - self.cpu_seconds / self.workers.count
        self.stage.modules.train()
        while self.seen < self.plan.samples:
            loss = self._one_step()
            self.cpu_seconds = (time.process_time() - began_cpu) * self.workers.count
            if self.workers.leads:
                progress.note(loss)
                if time.monotonic() - saved > self.upkeep.save_seconds:
                    self.save()
                    saved = time.monotonic()
            self.upkeep.after_step(self.step)
        if self.workers.leads:
            self.save()

    def _one_step(self) -> float:
        """Loss, gradients, both optimisers, average. Returns the loss."""
        draw = Draw.of(self.plan.seed, self.stage.name, self.step, self.workers)
        loss = self.stage.loss(draw)
        parameters = list(self.trained.values())
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        torch.autograd.backward(loss)
        gradients = [p.grad for p in parameters if p.grad is not None]
        self.workers.add_up(gradients)
        torch.nn.utils.clip_grad_norm_(parameters, float(self.workers.count))
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * self.plan.rate(self.seen, self.step)
            optimiser.step()
        self.step += 1
        self.seen += self.stage.batch_size * self.workers.count
        keep = min(self.plan.averaging, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.values()), list[Tensor](parameters), 1 - keep)
        return loss.item()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the modules hold the averaged weights."""
        current = {name: p.detach().clone() for name, p in self.trained.items()}
        self._fill(self.average)
        self.stage.modules.eval()
        try:
            yield
        finally:
            self._fill(current)
            self.stage.modules.train()

    @torch.no_grad()
    def _fill(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self.trained.items():
            parameter.copy_(values[name])


class Progress:
    """Says now and then how fast it goes, how good it is, and how long it will take."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._loss: float | None = None
        self._began = self._reported = time.monotonic()
        self._seen_at_start = run.seen

    def note(self, loss: float) -> None:
        """Count one step's loss."""
        self._loss = loss if self._loss is None else 0.98 * self._loss + 0.02 * loss
        now = time.monotonic()
        run = self._run
        if now - self._reported < run.upkeep.report_seconds and run.seen < run.plan.samples:
            return
        self._reported = now
        rate = (run.seen - self._seen_at_start) / max(1e-9, now - self._began)
        seconds_left = max(0, run.plan.samples - run.seen) / max(1e-9, rate)
        LOG.info(
            "%s: step %d, %d of %d samples, loss %.4f, %.1f samples/s, %.0f s left",
            run.stage.name, run.step, run.seen, run.plan.samples, self._loss, rate, seconds_left,
        )  # fmt: skip
