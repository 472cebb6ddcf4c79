"""A1111's modules.shared_total_tqdm: a progress bar in the terminal, which Easel does not have."""

from __future__ import annotations


class TotalTQDM:
    """Takes what is told of progress and shows nothing."""

    def __init__(self) -> None:
        self.total = 0

    def reset(self) -> None:
        """Begin anew."""

    def update(self) -> None:
        """Take one step."""

    def updateTotal(self, new_total: int) -> None:  # noqa: N802 (A1111's name)
        """Take how many steps there will be."""
        self.total = new_total

    def clear(self) -> None:
        """End."""
