"""A few processes that train one model together: on two busy cores faster than one process of two threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn


@dataclass(frozen=True)
class Workers:
    """This process's number (0 leads) and how many there are."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace every tensor, in place, by its sum over the processes."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def share_out(self, sizes: Sequence[int]) -> list[int]:
        """Which process does which piece of work, so that each has about as much."""
        load, owners = [0] * self.count, [0] * len(sizes)
        for k in sorted(range(len(sizes)), key=lambda k: -sizes[k]):
            owners[k] = load.index(min(load))
            load[owners[k]] += sizes[k]
        return owners


def run_together(count: int, task: Callable[[Workers], None]) -> None:
    """Run the task in ``count`` processes that can :meth:`Workers.add_up`; in this one alone where count is 1."""
    if count == 1:
        task(Workers())
        return
    with TemporaryDirectory() as meeting_place:
        spawn(_join, args=(count, str(Path(meeting_place) / "meeting"), task), nprocs=count)


def _join(rank: int, count: int, meeting_file: str, task: Callable[[Workers], None]) -> None:
    """One process's life."""
    torch.set_num_threads(1)
    patience = timedelta(minutes=30)
    dist.init_process_group("gloo", init_method=f"file://{meeting_file}", rank=rank, world_size=count, timeout=patience)
    try:
        task(Workers(rank, count))
    finally:
        dist.destroy_process_group()
