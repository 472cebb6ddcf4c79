"""What stands for the loaded model: the facts of the chosen checkpoint. Its inside is not that of A1111."""

from __future__ import annotations

from typing import Any, NoReturn

from modules.a1111 import devices, sd_models
from modules.a1111._placeholders import NotInEasel, calling_extension
from modules.library.identify import VELOCITY

_INSIDE = "Easel's models have another inside than A1111's; extensions that reach into the model cannot do that here."


class NoSuchPart(NotInEasel, AttributeError):
    """Raised for an attribute of the model; an AttributeError too, so that `hasattr` can ask."""


class ModelFacade:
    """`shared.sd_model`: what is known of the chosen checkpoint, without its tensors."""

    @property
    def sd_checkpoint_info(self) -> sd_models.CheckpointInfo:
        """The chosen checkpoint."""
        return sd_models.select_checkpoint()

    @property
    def sd_model_checkpoint(self) -> str:
        """Its file."""
        return self.sd_checkpoint_info.filename

    @property
    def sd_model_hash(self) -> str | None:
        """Its short hash."""
        return self.sd_checkpoint_info.shorthash

    @property
    def is_sdxl(self) -> bool:
        """Whether it is of SDXL's kind."""
        return self.sd_checkpoint_info.family.startswith("sdxl")

    @property
    def is_sd2(self) -> bool:
        """Whether it is of SD 2's kind."""
        return self.sd_checkpoint_info.family.startswith("sd2")

    @property
    def is_sd1(self) -> bool:
        """Whether it is of SD 1's kind."""
        return self.sd_checkpoint_info.family.startswith("sd1")

    is_ssd = False
    is_sd3 = False
    is_flux = False

    @property
    def parameterization(self) -> str:
        """What it predicts: "v" or "eps"."""
        return "v" if self.sd_checkpoint_info.entry.prediction == VELOCITY else "eps"

    @property
    def device(self) -> Any:
        """Where it computes."""
        return devices.device

    @property
    def dtype(self) -> Any:
        """Its precision."""
        return devices.dtype

    def to(self, *_: object, **__: object) -> ModelFacade:
        """Do nothing: the engine moves its models by itself."""
        return self

    def __getattr__(self, name: str) -> NoReturn:
        culprit = calling_extension()
        who = f"The extension {culprit} uses" if culprit else "Something uses"
        raise NoSuchPart(f"{who} shared.sd_model.{name}. {_INSIDE}")
