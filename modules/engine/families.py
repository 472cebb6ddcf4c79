"""A model in memory, and what differs between the families. A new family is one entry of `FAMILIES`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from modules.engine.memory import DevicePlan, Residency
from modules.library.catalog import CheckpointEntry
from modules.library.identify import SD1_FAMILY
from modules.sampling.denoisers import NoiseLevels

CONFIGS = Path(__file__).parent / "configs"
EPSILON = "epsilon"
VELOCITY = "v_prediction"


@dataclass(frozen=True, slots=True)
class Family:
    """What the models of one family have in common.

    `configs` is the folder of their components' configurations, `latent_to_rgb` the linear map of one latent pixel to
    RGB in -1 to 1: one row of three per latent channel, for cheap previews.
    """

    name: str
    configs: Path
    tokenizer: Path
    latent_channels: int
    vae_factor: int
    latent_to_rgb: tuple[tuple[float, float, float], ...]


FAMILIES: Mapping[str, Family] = {
    SD1_FAMILY: Family(
        name=SD1_FAMILY,
        configs=CONFIGS / "sd1",
        tokenizer=CONFIGS / "clip_tokenizer",
        latent_channels=4,
        vae_factor=8,
        latent_to_rgb=(
            (0.298, 0.207, 0.208),
            (0.187, 0.286, 0.173),
            (-0.158, 0.189, 0.264),
            (-0.184, -0.271, -0.473),
        ),
    ),
}


@dataclass(slots=True)
class ModelBundle:
    """The parts of one checkpoint, ready to work, and where they are held.

    `vae` may be exchanged for another file's. `prediction`: "epsilon" or "v_prediction".
    """

    entry: CheckpointEntry
    family: Family
    plan: DevicePlan
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    levels: NoiseLevels
    residency: Residency
    prediction: str = EPSILON

    @property
    def latent_scale(self) -> float:
        """The factor between the VAE's latents and those of unit variance that the U-Net works on."""
        return float(self.vae.config.scaling_factor)

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Return (channels, rows, columns) of the latents of a picture of `width` x `height` pixels."""
        factor = self.family.vae_factor
        return self.family.latent_channels, height // factor, width // factor


@dataclass(frozen=True, slots=True)
class RawParts:
    """What a checkpoint holds, before any network is built: configurations and tensors by component."""

    configs: Mapping[str, Mapping[str, object]]
    tensors: Mapping[str, Mapping[str, Tensor]]
    alphas_cumprod: Tensor | None
    tokenizer: Path
    prediction: str = EPSILON
