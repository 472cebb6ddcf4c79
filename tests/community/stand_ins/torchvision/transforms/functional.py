"""Pictures as tensors and back."""

from enum import Enum
from typing import Any

import numpy as np
import torch
from PIL import Image


class InterpolationMode(Enum):
    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    NEAREST_EXACT = "nearest-exact"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


def to_tensor(image: Any) -> torch.Tensor:
    values = np.array(image)
    values = values[..., None] if values.ndim == 2 else values
    return torch.from_numpy(values.transpose(2, 0, 1).copy()).float() / 255


def to_pil_image(picture: Any, mode: str | None = None) -> Image.Image:
    if isinstance(picture, torch.Tensor):
        values = picture.detach().cpu()
        values = (values * 255).byte() if values.is_floating_point() else values.byte()
        picture = values.numpy()
        picture = picture.transpose(1, 2, 0) if picture.ndim == 3 else picture
        picture = picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
    image = Image.fromarray(picture)
    return image.convert(mode) if mode else image


def resize(image: Any, size: Any, interpolation: Any = None, max_size: Any = None, antialias: Any = True) -> Any:
    height, width = (size, size) if isinstance(size, int) else size
    if isinstance(image, Image.Image):
        return image.resize((width, height))
    return torch.nn.functional.interpolate(image[None].float(), (height, width))[0]


def pad(image: torch.Tensor, padding: list[int], fill: float = 0) -> torch.Tensor:
    left, top, right, bottom = padding
    return torch.nn.functional.pad(image, (left, right, top, bottom), value=fill)


def pil_to_tensor(image: Any) -> torch.Tensor:
    return (to_tensor(image) * 255).byte()


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)

    def missing(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{name} is not in the check's stand-in for torchvision: install the real one.")

    return missing
