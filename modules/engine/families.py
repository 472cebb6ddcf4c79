"""A model in memory, and what differs between the families. A new family is one entry of `FAMILIES`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from modules.engine.memory import DevicePlan, Residency
from modules.engine.relief import Relief
from modules.library.catalog import CheckpointEntry
from modules.library.identify import (
    EPSILON,
    SD1_FAMILY,
    SD2_FAMILY,
    SDXL_FAMILY,
    SDXL_REFINER_FAMILY,
    VELOCITY,
)
from modules.sampling.denoisers import NoiseLevels

__all__ = ["EPSILON", "FAMILIES", "VELOCITY", "Family", "ModelBundle", "RawParts", "TextPart", "TextSpec"]

CONFIGS = Path(__file__).parent / "configs"
TOKENIZER = CONFIGS / "clip_tokenizer"


@dataclass(frozen=True, slots=True)
class TextSpec:
    """How a family reads one of its text encoders.

    `part`: the component's name. `open_clip`: single files have it under OpenCLIP's names. `ends_padding`: chunks are
    filled up with the end token, else with token 0. `clip_skip`: the request says how many layers are left out, else
    one is. `normed`: the last layer norm is applied to what is read. `pooled`: one vector for the whole prompt is read
    besides. `network_prefix`: how LoRA files call it.
    """

    part: str
    open_clip: bool = False
    ends_padding: bool = True
    clip_skip: bool = True
    normed: bool = True
    pooled: bool = False
    network_prefix: str = "lora_te_"


@dataclass(frozen=True, slots=True)
class Family:
    """What the models of one family have in common.

    `configs` is the folder of their components' configurations, `latent_to_rgb` the linear map of one latent pixel to
    RGB in -1 to 1: one row of three per latent channel, for cheap previews. `size_numbers`: how many numbers on sizes,
    crop and score the U-Net is told beside the prompt, 0 for none. `aligned_xl`: schedules take the tables optimised
    for Stable Diffusion XL.
    """

    name: str
    configs: Path
    texts: tuple[TextSpec, ...]
    latent_to_rgb: tuple[tuple[float, float, float], ...]
    latent_channels: int = 4
    vae_factor: int = 8
    size_numbers: int = 0
    aligned_xl: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the components."""
        return ("unet", "vae", *(text.part for text in self.texts))


_SD1_RGB = ((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264), (-0.184, -0.271, -0.473))
_XL_RGB = ((0.3920, 0.4054, 0.4549), (-0.2634, -0.0196, 0.0653), (0.0568, 0.1687, -0.0755), (-0.3112, -0.2359, -0.2076))
_BIG_TEXT = TextSpec(
    "text_encoder_2", open_clip=True, ends_padding=False, clip_skip=False, normed=False, pooled=True,
    network_prefix="lora_te2_",
)  # fmt: skip

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family(SD1_FAMILY, CONFIGS / "sd1", (TextSpec("text_encoder"),), _SD1_RGB),
        Family(
            SD2_FAMILY, CONFIGS / "sd2",
            (TextSpec("text_encoder", open_clip=True, ends_padding=False, clip_skip=False),), _SD1_RGB,
        ),
        Family(
            SDXL_FAMILY, CONFIGS / "sdxl",
            (TextSpec("text_encoder", clip_skip=False, normed=False, network_prefix="lora_te1_"), _BIG_TEXT),
            _XL_RGB, size_numbers=6, aligned_xl=True,
        ),
        Family(
            SDXL_REFINER_FAMILY, CONFIGS / "sdxl_refiner", (_BIG_TEXT,), _XL_RGB, size_numbers=5, aligned_xl=True,
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextPart:
    """One text encoder in memory. `layers_left_out`: the file has so many more layers than are read."""

    spec: TextSpec
    encoder: CLIPTextModel | CLIPTextModelWithProjection
    tokenizer: CLIPTokenizer
    layers_left_out: int = 1


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
    texts: tuple[TextPart, ...]
    levels: NoiseLevels
    relief: Relief
    prediction: str = EPSILON

    @property
    def residency(self) -> Residency:
        """What moves the parts to the device and away."""
        return self.relief.residency

    @property
    def latent_scale(self) -> float:
        """The factor between the VAE's latents and those of unit variance that the U-Net works on."""
        return float(self.vae.config.scaling_factor)

    @property
    def told_guidance(self) -> int:
        """How many numbers the U-Net is told of the CFG scale, 0 for those that need a negative prompt instead."""
        return int(self.unet.config.get("time_cond_proj_dim") or 0)

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Return (channels, rows, columns) of the latents of a picture of `width` x `height` pixels."""
        factor = self.family.vae_factor
        return self.family.latent_channels, height // factor, width // factor


@dataclass(frozen=True, slots=True)
class RawParts:
    """What a checkpoint holds, before any network is built: configurations, tensors and tokenizers by component."""

    configs: Mapping[str, Mapping[str, object]]
    tensors: Mapping[str, Mapping[str, Tensor]]
    tokenizers: Mapping[str, Path]
    alphas_cumprod: Tensor | None = None
    from_folder: bool = False

    def completed(self, part: str, other: RawParts) -> RawParts:
        """Return these parts and one more of another checkpoint."""
        configs, tensors = {**self.configs, part: other.configs[part]}, {**self.tensors, part: other.tensors[part]}
        return replace(self, configs=configs, tensors=tensors, tokenizers={**other.tokenizers, **self.tokenizers})
