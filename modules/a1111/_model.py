"""`shared.sd_model`: the facts of the chosen checkpoint, and the inside of the one that counts now."""

from __future__ import annotations

from typing import Any

from modules.a1111 import devices, sd_models
from modules.a1111._ldm_model import DiffusionEngine, LatentDiffusion
from modules.a1111._ldm_present import present_info
from modules.a1111._ldm_runs import present_view
from modules.a1111._placeholders import NotInEasel, calling_extension
from modules.core.errors import EaselError
from modules.library.identify import VELOCITY

_PARTS = frozenset({
    "model", "cond_stage_model", "conditioner", "betas", "alphas_cumprod", "alphas_cumprod_prev", "num_timesteps",
    "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod", "log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod", "scale_factor", "training", "network_layer_mapping",
})
"""What a view has besides what its class has."""
_ELSEWHERE = "Easel's models have the inside that those of A1111 have, and nothing beside that."


class NoSuchPart(NotInEasel, AttributeError):
    """Raised for an attribute of the model; an AttributeError too, so that `hasattr` can ask."""


class ModelFacade:
    """`shared.sd_model`. What an extension puts here is what the engine asks, until the run ends."""

    @property
    def sd_checkpoint_info(self) -> sd_models.CheckpointInfo:
        """The checkpoint that counts now."""
        return present_info()

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

    def __getattr__(self, name: str) -> Any:
        culprit = calling_extension()
        who = f"The extension {culprit} uses" if culprit else "Something uses"
        if name not in _PARTS and not hasattr(DiffusionEngine, name) and not hasattr(LatentDiffusion, name):
            raise NoSuchPart(f"{who} shared.sd_model.{name}. {_ELSEWHERE}")
        try:
            return getattr(present_view(), name)
        except EaselError as error:
            raise NoSuchPart(f"{who} shared.sd_model.{name}. {error}") from error
        except AttributeError as error:
            raise NoSuchPart(f"{who} shared.sd_model.{name}, which this model does not have.") from error
