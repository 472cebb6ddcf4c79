"""Pictures as tensors and back."""

from typing import Any

import torch
from PIL import Image

from torchvision.transforms import functional
from torchvision.transforms.functional import InterpolationMode


class Compose:
    def __init__(self, transforms: list[Any]) -> None:
        self.transforms = transforms

    def __call__(self, image: Any) -> Any:
        for each in self.transforms:
            image = each(image)
        return image


class ToTensor:
    def __call__(self, image: Any) -> torch.Tensor:
        return functional.to_tensor(image)


class ToPILImage:
    def __call__(self, image: Any) -> Image.Image:
        return functional.to_pil_image(image)


class Resize:
    def __init__(self, size: Any, interpolation: Any = InterpolationMode.BILINEAR, **more: Any) -> None:
        self.size, self.interpolation = size, interpolation

    def __call__(self, image: Any) -> Any:
        return functional.resize(image, self.size)


class Normalize:
    def __init__(self, mean: Any, std: Any, inplace: bool = False) -> None:
        self.mean, self.std = torch.tensor(mean)[:, None, None], torch.tensor(std)[:, None, None]

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return (image - self.mean) / self.std


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {})
