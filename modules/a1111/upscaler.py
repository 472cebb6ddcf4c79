"""A1111's modules.upscaler: upscalers as classes; those that Easel has are listed in `shared.sd_upscalers`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from modules.a1111 import modelloader, paths_internal
from modules.a1111._host import HOST
from modules.a1111._owners import owner_of
from modules.imaging.resize import PIXEL_UPSCALERS, upscaled

LANCZOS = Image.Resampling.LANCZOS
NEAREST = Image.Resampling.NEAREST
_MOST_PASSES = 3


class Upscaler:
    """A family of upscalers. A subclass overrides `do_upscale(img, selected_model)`."""

    name: str | None = None
    model_path: str | None = None
    model_name: str | None = None
    model_url: str | None = None
    user_path: str | None = None
    enable = True
    filter = None
    model = None
    scalers: list[Any]
    tile = True

    def __init__(self, create_dirs: bool = False) -> None:
        self.mod_pad_h = None
        self.tile_size, self.tile_pad = 192, 8
        self.device: Any = None
        self.half = False
        self.pre_pad, self.mod_scale = 0, None
        self.scalers = []
        if self.model_path is None and self.name:
            self.model_path = str(Path(paths_internal.models_path) / self.name)
        if self.model_path and create_dirs:
            Path(self.model_path).mkdir(parents=True, exist_ok=True)

    def do_upscale(self, img: Image.Image, selected_model: str) -> Image.Image:
        """Return a larger picture."""
        return img

    def upscale(self, img: Image.Image, scale: float, selected_model: str | None = None) -> Image.Image:
        """Return the picture `scale` times as large, in whole multiples of 8 pixels."""
        width, height = (int(side * scale) // 8 * 8 for side in img.size)
        for _ in range(_MOST_PASSES):
            if img.width >= width and img.height >= height and scale != 1:
                break
            before = img.size
            img = self.do_upscale(img, selected_model or "")
            if img.size == before:
                break
        return img if img.size == (width, height) else img.resize((width, height), LANCZOS)

    def load_model(self, path: str) -> Any:
        """Load a model; a subclass does that."""

    def find_models(self, ext_filter: list[str] | None = None) -> list[str]:
        """Return the model files of this family."""
        return modelloader.load_models(self.model_path or "", self.model_url, self.user_path, ext_filter)

    def update_status(self, prompt: str) -> None:
        """Do nothing."""


class UpscalerData:
    """One upscaler as lists have it."""

    def __init__(
        self, name: str, path: str | None, upscaler: Upscaler | None = None, scale: int = 4, model: Any = None,
        sha256: str | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.data_path = path
        self.local_data_path = path
        self.scaler = upscaler
        self.scale = scale
        self.model = model
        self.sha256 = sha256

    def __repr__(self) -> str:
        return f"<UpscalerData name={self.name} path={self.data_path} scale={self.scale}>"


class OwnUpscaler(Upscaler):
    """One that Easel has."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.scalers = [UpscalerData(name, None, self, 1 if name == "None" else 4)]

    def upscale(self, img: Image.Image, scale: float, selected_model: str | None = None) -> Image.Image:
        """Return the picture `scale` times as large."""
        if self.name == "None":
            return img
        return upscaled(img, int(img.width * scale), int(img.height * scale), str(self.name))


def all_upscalers() -> list[UpscalerData]:
    """Return those of Easel's that enlarge pictures, "None" first."""
    return [OwnUpscaler(name).scalers[0] for name in PIXEL_UPSCALERS]


def foreign_upscaler(name: str | None) -> UpscalerData | None:
    """Return an extension's upscaler by its name; None for Easel's own and unknown ones."""
    if name in PIXEL_UPSCALERS:
        return None
    found = (each for each in HOST.state("sd_upscalers", all_upscalers) if each.name == name)
    return next((each for each in found if each.scaler is not None), None)


def foreign_names() -> list[str]:
    """Return the names of the extensions' upscalers."""
    return [str(each.name) for each in HOST.state("sd_upscalers", all_upscalers) if foreign_upscaler(each.name)]


def enlarged_by(data: UpscalerData, picture: Image.Image, width: int, height: int) -> Image.Image:
    """Return a picture as an extension's upscaler enlarges it, in at least one direction as large as was asked for."""
    scale = max(width / picture.width, height / picture.height)
    return data.scaler.upscale(picture, scale, data.data_path) if scale > 1 else picture


def add_upscalers(classes: Iterable[type[Any]]) -> None:
    """Make the upscalers that extensions have derived classes for; each error stays with its extension."""
    listed = HOST.state("sd_upscalers", all_upscalers)
    for cls in classes:
        with HOST.guarding(owner_of(cls), "import", cls.__name__):
            folder = Path(paths_internal.models_path) / cls.__name__.removeprefix("Upscaler")
            made = cls(str(folder)) if inspect.signature(cls).parameters else cls()
            names = {each.name for each in listed}
            listed += [each for each in made.scalers if each.name not in names]
