"""How near each part of a picture is, for the depth checkpoints of SD 2.x: the networks that see it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from huggingface_hub.errors import StrictDataclassError
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from transformers import DepthAnythingForDepthEstimation, DPTForDepthEstimation, DPTImageProcessorPil
from transformers.utils.logging import disable_progress_bar

from modules.core.errors import ModelUnavailable, OutOfMemory
from modules.engine.memory import TOO_LITTLE_MEMORY, succeeds
from modules.engine.midas_keys import from_midas, hybrid_config, hybrid_prefix
from modules.engine.weights import Reading, read_tensors
from modules.library.catalog import CheckpointEntry
from modules.library.identify import header_of
from modules.library.model_kinds import MODEL_ENDINGS
from modules.library.reading import UnreadableFile

DEPTH_FOLDERS = ("midas", "depth")
"""Where networks that see depth lie, below the folder of all models; A1111 has its own in the first."""
KINDS: Mapping[str, type[Any]] = {"dpt": DPTForDepthEstimation, "depth_anything": DepthAnythingForDepthEstimation}
"""The kinds of transformers' networks whose numbers grow towards the viewer, as the checkpoints were trained."""

_OWN_FOLDER, _OWN_PROCESSOR = "depth_estimator", "feature_extractor"
_CONFIG, _PROCESSOR_CONFIG = "config.json", "preprocessor_config.json"
_WEIGHTS = ("model.safetensors", "model.fp16.safetensors", "pytorch_model.bin", "pytorch_model.fp16.bin")
_ELSEWHERE = ("backbone", "use_pretrained_backbone", "use_timm_backbone")
"""What a configuration may say of weights to be fetched; nothing is."""
_MIDAS_MULTIPLE = 32
_LONGEST = 4
"""The longer side that is looked at is at most so many times as long as the network was trained for."""
_BROKEN = (
    UnreadableFile, SafetensorError, StrictDataclassError, OSError, ValueError, KeyError, TypeError, AttributeError,
    RuntimeError,
)  # fmt: skip

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Eye:
    """A network that sees depth, in main memory and in full precision, and what brings pictures into its form."""

    network: Any
    processor: DPTImageProcessorPil

    def look(self, picture: Image.Image, device: torch.device) -> Tensor:
        """Return how near each part of an RGB picture is, without a unit: (1, 1, rows, columns) in main memory."""
        height, width = self._size(picture)
        size = {"height": height, "width": width}
        brought = self.processor(picture, return_tensors="pt", size=size, keep_aspect_ratio=False, ensure_multiple_of=1)
        try:
            self.network.to(device)
            seen = _seen(self.network, brought.pixel_values.to(device))
        finally:
            self.network.to("cpu")
        return seen.float().cpu().view(1, 1, *seen.shape[-2:])

    def _size(self, picture: Image.Image) -> tuple[int, int]:
        """Return height and width of what the network looks at; where the aspect is kept, it is scaled least."""
        wanted, multiple = self.processor.size, self.processor.ensure_multiple_of
        sides, trained = (picture.height, picture.width), (wanted["height"], wanted["width"])
        scales = [asked / side for asked, side in zip(trained, sides, strict=True)]
        if self.processor.keep_aspect_ratio:
            scales = [min(scales, key=lambda scale: abs(1 - scale))] * 2
        height, width = (
            max(round(min(side * scale, asked * _LONGEST) / multiple), 1) * multiple
            for side, scale, asked in zip(sides, scales, trained, strict=True)
        )
        return height, width


class DepthEstimator:
    """Sees the depth of pictures for one checkpoint, and is let go of with it.

    Its network is read when it is first needed: the checkpoint's own, else the first in `folders`. It is on the device
    only while it works, and works in main memory where the device has no room.
    """

    def __init__(self, entry: CheckpointEntry, folders: Sequence[Path], device: torch.device) -> None:
        self._entry = entry
        self._folders = tuple(folders)
        self._device = device
        self._eye: Eye | None = None

    def nearness(self, picture: Image.Image) -> Tensor:
        """Return how near each part of an RGB picture is, as `Eye.look` does. Raises ModelUnavailable, OutOfMemory."""
        eye = self._eye = self._eye or self._found()
        seen: list[Tensor] = []

        def fits(device: torch.device) -> bool:
            return succeeds(lambda: seen.append(eye.look(picture, device)))

        if any(fits(device) for device in dict.fromkeys((self._device, torch.device("cpu")))):
            return seen[0]
        raise OutOfMemory(TOO_LITTLE_MEMORY)

    def _found(self) -> Eye:
        problems = []
        for place in _places(self._entry.path, self._folders):
            try:
                eye = _from_folder(place) if place.is_dir() else _from_file(place)
            except _BROKEN as error:
                logger.warning("%s cannot be used: %s", place, error)
                problems.append(f" {place.name} cannot be used: {error}.")
                continue
            logger.info("Depth is seen by the network in %s.", place)
            return eye
        folder = self._folders[0] if self._folders else Path("models", DEPTH_FOLDERS[0])
        raise ModelUnavailable(
            f"The checkpoint {self._entry.name} needs a depth map beside the picture. Upload one, or put a network "
            f"that estimates it into {folder}: MiDaS's dpt_hybrid-midas-501f0c75.pt, or a folder with a DPT or Depth "
            f"Anything model of transformers.{''.join(problems)}"
        )


def depth_channel(nearness: Tensor, rows: int, columns: int) -> Tensor:
    """Return what the U-Net is given: (1, 1, rows, columns), from -1 where it is farthest to 1 where it is nearest.

    `nearness`: (1, 1, any rows, any columns), in any unit. Where all is equally near, zeros.
    """
    small = F.interpolate(nearness, size=(rows, columns), mode="bicubic", align_corners=False)
    far, near = small.aminmax()
    return (small - far) / (near - far) * 2 - 1 if near > far else torch.zeros_like(small)


def _places(checkpoint: Path, folders: Sequence[Path]) -> Iterator[Path]:
    """Yield the folders and files that may hold a network, the checkpoint's own first."""
    if checkpoint.is_dir():
        if (checkpoint / _OWN_FOLDER / _CONFIG).is_file():
            yield checkpoint / _OWN_FOLDER
    elif hybrid_prefix(header_of(checkpoint).shapes) is not None:
        yield checkpoint
    for folder in folders:
        if (folder / _CONFIG).is_file():
            yield folder
        elif folder.is_dir():
            for place in sorted(folder.iterdir()):
                if (place / _CONFIG).is_file() or (place.is_file() and place.suffix.lower() in MODEL_ENDINGS):
                    yield place


def _from_folder(folder: Path) -> Eye:
    """Return the network of a folder as transformers writes it. Raises one of `_BROKEN`."""
    config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    found = config.get("model_type")
    kind = KINDS.get(found)
    if kind is None or config.get("depth_estimation_type", "relative") != "relative":
        raise ValueError(f"it is a network of the kind {found}; needed is {' or '.join(KINDS)}, of relative depth")
    weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise ValueError(f"the file {_WEIGHTS[0]} is missing")
    known = {name: value for name, value in config.items() if name not in _ELSEWHERE}
    network = _built(kind, kind.config_class.from_dict(known), read_tensors(weights))
    processors = (folder, folder.parent / _OWN_PROCESSOR) if folder.name == _OWN_FOLDER else (folder,)
    for place in processors:
        if (place / _PROCESSOR_CONFIG).is_file():
            return Eye(network, DPTImageProcessorPil.from_pretrained(place, local_files_only=True))
    return Eye(network, DPTImageProcessorPil())


def _from_file(path: Path) -> Eye:
    """Return MiDaS's DPT-Hybrid out of a file with its own names. Raises one of `_BROKEN`."""
    prefix = hybrid_prefix(header_of(path).shapes)
    if prefix is None:
        raise ValueError("it holds no DPT-Hybrid of MiDaS")
    named = read_tensors(path, Reading(prefixes=(prefix,)))
    tensors = {name.removeprefix(prefix): tensor for name, tensor in named.items()}
    config = hybrid_config({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    network = _built(DPTForDepthEstimation, config, from_midas(tensors))
    side = int(config.image_size)
    processor = DPTImageProcessorPil(
        size={"height": side, "width": side}, keep_aspect_ratio=True, ensure_multiple_of=_MIDAS_MULTIPLE
    )
    return Eye(network, processor)


def _built(kind: type[Any], config: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Return a network with `tensors` as its weights. Raises ValueError when some are missing."""
    disable_progress_bar()
    network, report = kind.from_pretrained(
        None, config=config, state_dict=dict(tensors), dtype=torch.float32, output_loading_info=True
    )
    missing = sorted(report["missing_keys"])
    if missing:
        raise ValueError(f"it lacks {len(missing)} tensors, the first of them {missing[0]}")
    return network.requires_grad_(False).eval()


def _seen(network: Any, pixels: Tensor) -> Tensor:
    """Return what a network sees: (1, rows, columns).

    transformers lets DPT look at squares only, where the network itself takes any size in whole patches.
    """
    config = network.config
    if config.model_type != "dpt" or (config.backbone_config is not None and not config.is_hybrid):
        depth: Tensor = network(pixels).predicted_depth
        return depth
    network.dpt.embeddings.image_size = tuple(pixels.shape[-2:])
    inside = network.dpt(pixels, output_hidden_states=True)
    early = list(inside.intermediate_activations or ()) if config.is_hybrid else []
    late = [inside.hidden_states[index + 1] for index in config.backbone_out_indices[len(early) :]]
    rows, columns = (side // config.patch_size for side in pixels.shape[-2:])
    seen: Tensor = network.head(network.neck([*early, *late], rows, columns))
    return seen
