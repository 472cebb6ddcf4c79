"""Every exception that Easel raises on purpose.

EaselError
├── InvalidRequest      a field of a request is out of range; carries one FieldProblem per field
├── ModelUnavailable    a checkpoint is missing, broken, truncated or of a family that is not supported
├── NetworkUnavailable  a LoRA or an embedding is broken, of an unknown kind or made for another model
├── StorageFailed       a file could not be written: disk full, folder read-only, path gone
├── DataFolderInUse     another server already works on this data folder
├── JobNotFound         no job of that id
├── JobStateConflict    the job is not in a state that allows the action
├── NotAllowed          only an admin may do this
├── DownloadFailed      a file could not be fetched, or what came is not what was announced
├── UnknownFlags        the command line has flags that neither Easel nor an extension knows
├── ExtensionFailed     an extension cannot be installed, updated, removed or put back
├── PluginFailed        a chosen script failed, or a plugin cannot be added
├── OutOfMemory         the device has too little memory for this request
├── GenerationStopped   not a failure: the user pressed Interrupt
├── TaskCancelled       not a failure: the user cancelled a background task, or the server stops
└── ImageSkipped        not a failure: the user pressed Skip
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class EaselError(Exception):
    """Base of all exceptions that Easel raises on purpose; its text is written for the user."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong field: its name, the label on the form, the value as given and what is allowed, in words."""

    field: str
    label: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.label}: {self.value} is not possible; allowed is {self.allowed}."


class InvalidRequest(EaselError):
    """A request with at least one field out of range; `problems` names them all."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(" ".join(str(problem) for problem in self.problems))


class ModelUnavailable(EaselError):
    """A checkpoint that cannot be used, with the reason in plain words."""


class NetworkUnavailable(EaselError):
    """A LoRA or an embedding that cannot be used; the text names the file and the reason."""


class StorageFailed(EaselError):
    """A file could not be written; the text names the path and the reason."""


class DataFolderInUse(EaselError):
    """A second server was started on a data folder that already has one."""


class JobNotFound(EaselError):
    """No job has the id that was asked for."""


class JobStateConflict(EaselError):
    """The job is in a state in which the action makes no sense, such as moving a finished job."""


class NotAllowed(EaselError):
    """Somebody who is no admin asked for what only admins may do."""


class DownloadFailed(EaselError):
    """A file could not be fetched; the text names host or file and the reason, and never an address or a token."""


class PluginFailed(EaselError):
    """A plugin cannot do what was asked of it; the text names the plugin and the reason."""


class UnknownFlags(EaselError):
    """The command line has flags that neither Easel nor an extension that is on knows."""


class ExtensionFailed(EaselError):
    """An extension cannot be installed, updated, removed or put back; the text names it and the reason."""


class OutOfMemory(EaselError):
    """The device has too little memory for this request; the text says what to lower."""


class GenerationStopped(EaselError):
    """Raised inside the sampling loop when the user interrupts; finished images are kept."""


class TaskCancelled(EaselError):
    """Raised by a background task when it is to stop; what it has done may be gone on with later."""


class ImageSkipped(EaselError):
    """Raised inside the sampling loop when the user skips; the next batch follows."""
