"""What the engine says while it works. Events are plain values; the job runner adds to which job they belong."""

from __future__ import annotations

from dataclasses import dataclass

from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class ModelLoading:
    """A checkpoint is being read: `fraction` from 0 to 1, `stage` in words such as "reading weights"."""

    title: str
    fraction: float
    stage: str


@dataclass(frozen=True, slots=True)
class ModelReady:
    """The checkpoint `title` is in memory; `seconds` is how long that took (0 when it was there already)."""

    title: str
    seconds: float


@dataclass(frozen=True, slots=True)
class StepDone:
    """One sampling step of one batch is done.

    `first_image` is the index of the batch's first picture, `batch_size` how many it makes at once;
    `step` counts from 1 to `steps`.
    """

    first_image: int
    batch_size: int
    step: int
    steps: int


@dataclass(frozen=True, slots=True)
class PreviewReady:
    """A small 8-bit RGB picture of the latents as they are now; a batch is laid out as a grid."""

    first_image: int
    picture: Image


@dataclass(frozen=True, slots=True)
class ImageDone:
    """Picture `index` is finished and handed to the result sink."""

    index: int


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that the user should know of the pictures that are made, such as a network that was not found."""

    text: str


Event = ModelLoading | ModelReady | StepDone | PreviewReady | ImageDone | Remark
