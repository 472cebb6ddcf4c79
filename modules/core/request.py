"""What a user asks for: one frozen value that travels from the form to the engine and through the database."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, ValidationError, model_validator

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.extras import NO_EXTRAS, Extras, frozen_extras, plain_extras
from modules.core.parameter import RANDOM_SEED, FieldError
from modules.core.parameters import NO_REFINER, PARAMETERS

LARGEST_RANDOM_SEED = 4_294_967_294
SMALLEST_MODEL_SIGMA = 0.03
"""The smallest sigma of a model that was given none, rounded up: a largest sigma must lie above it."""
LARGEST_SIDE = int(PARAMETERS["width"].maximum)

HIRES_FIELDS = (
    "denoising_strength", "hr_upscaler", "hr_second_pass_steps", "hr_scale", "hr_resize_x", "hr_resize_y",
    "hr_checkpoint", "hr_sampler", "hr_scheduler", "hr_prompt", "hr_negative_prompt", "firstpass_image",
    "hires_refiner_pass", "hires_first_networks", "extra_noise",
)  # fmt: skip
"""What acts only with `enable_hr`."""
PICTURE_FIELDS = (
    "resize_mode", "image_cfg_scale", "noise_multiplier", "fix_steps", "background_color", "mask_image",
    "color_correction", "img2img_upscaler", "depth_image",
)  # fmt: skip
"""What acts only with a picture to work over; denoising strength and extra noise act there too."""
MASK_FIELDS = (
    "latent_mask", "mask_mode", "mask_blur_x", "mask_blur_y", "masked_content", "inpaint_area", "masked_padding",
    "mask_round", "overlay_inpaint", "mask_weight",
)  # fmt: skip
"""What acts only with a mask."""
REFINER_FIELDS = ("refiner_checkpoint", "refiner_switch_at", "hires_refiner_pass", "refiner_by_steps")
"""What acts only with a refiner."""


class GenerationRequest(BaseModel):
    """One txt2img request, or with `init_image` one of img2img.

    `core/parameters.py` documents every field, its range and its default.

    Build it with `GenerationRequest.checked(values)`, which reports all wrong fields at once. `unwritten` names
    parameters that are left out of the infotext: A1111's API has fields that act without being recorded. `extras`: what
    plugins are asked for, by plugin and parameter; a plugin that is not named takes no part.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = ""
    negative_prompt: str = ""
    sampler: str = "DPM++ 2M"
    scheduler: str = "Automatic"
    steps: int = 20
    width: int = 512
    height: int = 512
    batch_count: int = 1
    batch_size: int = 1
    cfg_scale: float = 7.0
    seed: int = RANDOM_SEED
    subseed: int = RANDOM_SEED
    subseed_strength: float = 0.0
    seed_resize_from_w: int = 0
    seed_resize_from_h: int = 0
    checkpoint: str = ""

    enable_hr: bool = False
    hr_upscaler: str = "Latent"
    hr_second_pass_steps: int = 0
    denoising_strength: float = 0.7
    hr_scale: float = 2.0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_checkpoint: str = "Use same checkpoint"
    hr_sampler: str = "Use same sampler"
    hr_scheduler: str = "Use same scheduler"
    hr_prompt: str = ""
    hr_negative_prompt: str = ""
    firstpass_image: str = ""
    refiner_checkpoint: str = NO_REFINER
    refiner_switch_at: float = 0.8
    hires_refiner_pass: str = "second pass"
    refiner_by_steps: bool = False
    hires_first_networks: bool = False
    extra_noise: float = 0.0

    init_image: str = ""
    mask_image: str = ""
    latent_mask: str = ""
    depth_image: str = ""
    resize_mode: int = 0
    image_cfg_scale: float = 1.5
    mask_mode: str = "Inpaint masked"
    mask_blur_x: int = 4
    mask_blur_y: int = 4
    masked_content: str = "original"
    inpaint_area: str = "Whole picture"
    masked_padding: int = 32
    mask_round: bool = True
    noise_multiplier: float = 1.0
    fix_steps: bool = False
    background_color: str = "#ffffff"
    color_correction: bool = False
    img2img_upscaler: str = "None"
    overlay_inpaint: bool = True
    mask_weight: float = 1.0

    clip_skip: int = 1
    noise_source: str = "GPU"
    vae: str = "Automatic"
    sdxl_crop_top: int = 0
    sdxl_crop_left: int = 0
    aesthetic_low: float = 2.5
    aesthetic_high: float = 6.0
    tiling: bool = False
    disable_networks: bool = False
    lora_hashes: bool = True
    embedding_hashes: bool = True
    bundled_hashes: bool = True
    emphasis: str = "Original"
    comma_backtrack: int = 20
    comments: bool = True
    old_prompt_editing: bool = False

    eta: float = 1.0
    eta_ddim: float = 0.0
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = 0.0
    s_noise: float = 1.0
    sigma_min: float = 0.0
    sigma_max: float = 0.0
    rho: float = 0.0
    ensd: int = 0
    discard_penultimate: bool = False
    sgm_noise_multiplier: bool = False
    unipc_variant: str = "bh1"
    unipc_skip_type: str = "time_uniform"
    unipc_order: int = 3
    unipc_lower_order_final: bool = True
    beta_alpha: float = 0.6
    beta_beta: float = 0.6
    noise_schedule: str = "Default"

    cfg_rescale: float = 0.0
    ngms: float = 0.0
    ngms_all: bool = False
    skip_early_cfg: float = 0.0
    pad_conds: bool = False
    pad_conds_v0: bool = False
    downcast_alphas: bool = False
    old_karras_sigmas: bool = False
    shared_brownian: bool = False
    quantize: bool = False

    unwritten: tuple[str, ...] = ()
    extras: Annotated[Extras, PlainValidator(frozen_extras), PlainSerializer(plain_extras)] = NO_EXTRAS

    @model_validator(mode="before")
    @classmethod
    def _parse_fields(cls, values: object) -> object:
        """Hold every given field against its `Parameter`, and report all that are wrong."""
        if not isinstance(values, Mapping):
            return values
        parsed: dict[str, Any] = {}
        problems: list[FieldProblem] = []
        for name, value in values.items():
            if name in ("unwritten", "extras"):
                parsed[name] = value
                continue
            parameter = PARAMETERS.get(name)
            if parameter is None:
                known = ", ".join(PARAMETERS)
                problems.append(FieldProblem(str(name), str(name), "an unknown field", f"one of {known}"))
                continue
            try:
                parsed[name] = parameter.parse(value)
            except FieldError as error:
                problems.append(error.problem)
        if problems:
            raise InvalidRequest(problems)
        return parsed

    @classmethod
    def checked(cls, values: Mapping[str, object], lists: ChoiceLists | None = None) -> Self:
        """Return a request of valid values only.

        With `lists`, names of samplers, schedules and checkpoints are held against what exists now.
        Raises `InvalidRequest`, naming every wrong field with its value and what is allowed.
        """
        problems: list[FieldProblem] = []
        try:
            request = cls.model_validate(values)
            problems.extend(_contradictions(request))
        except InvalidRequest as error:
            problems.extend(error.problems)
        except ValidationError as error:
            raise InvalidRequest([FieldProblem("request", "Request", str(error), "a JSON object")]) from error
        if lists is not None:
            refused = {problem.field for problem in problems}
            problems.extend(_unknown_names({k: v for k, v in values.items() if k not in refused}, lists))
        if problems:
            raise InvalidRequest(problems)
        return request

    def image_count(self) -> int:
        """Return how many pictures the request makes in all."""
        return self.batch_count * self.batch_size

    def image_seed(self, index: int) -> int:
        """Return the seed of picture `index` (0-based, over all batches).

        With a variation seed all pictures have the same seed and the variation seed moves on instead, as in A1111.
        """
        return self.seed if self.subseed_strength else self.seed + index

    def image_subseed(self, index: int) -> int:
        """Return the variation seed of picture `index`."""
        return self.subseed + index

    def seed_size(self) -> tuple[int, int] | None:
        """Return the width and height in pixels that the seed's composition is taken from; None: the picture's own."""
        width, height = self.seed_resize_from_w, self.seed_resize_from_h
        return (width, height) if width > 0 and height > 0 else None

    def inpaints(self) -> bool:
        """Say whether only a part of a picture is painted anew."""
        return bool(self.init_image and self.mask_image)

    def refines(self) -> bool:
        """Say whether a second checkpoint takes over near the end."""
        return self.refiner_checkpoint not in ("", NO_REFINER)

    def hires_size(self) -> tuple[int, int]:
        """Return the width and height in pixels of the second pass's picture."""
        width, height = self.hr_resize_x, self.hr_resize_y
        if not width and not height:
            return int(self.width * self.hr_scale), int(self.height * self.hr_scale)
        return width or height * self.width // self.height, height or width * self.height // self.width

    def with_fixed_seed(self) -> Self:
        """Return the request with -1 replaced by a random seed, so that a queued job can be repeated exactly."""
        fresh = {
            name: random.SystemRandom().randrange(LARGEST_RANDOM_SEED)
            for name, value in (("seed", self.seed), ("subseed", self.subseed))
            if value == RANDOM_SEED and (name == "seed" or self.subseed_strength)
        }
        return self.model_copy(update=fresh)

    def effective(self) -> Self:
        """Return the request with every field that has no effect on the pictures at its default."""
        idle: set[str] = set()
        if not self.init_image:
            idle.update(PICTURE_FIELDS)
        if not self.inpaints():
            idle.update(MASK_FIELDS)
        if self.init_image:
            idle.update({"enable_hr", *HIRES_FIELDS} - {"denoising_strength", "extra_noise"})
        elif not self.enable_hr:
            idle.update(HIRES_FIELDS)
        elif self.hr_resize_x or self.hr_resize_y:
            idle.add("hr_scale")
        if not self.refines():
            idle.update(REFINER_FIELDS)
        if not self.subseed_strength:
            idle.add("subseed")
        if self.seed_size() is None:
            idle.update(("seed_resize_from_w", "seed_resize_from_h"))
        if not self.ngms:
            idle.add("ngms_all")
        return self.model_copy(update={name: PARAMETERS[name].default for name in idle})


class ChoiceLists(Protocol):
    """Knows the names that may be chosen right now."""

    def names(self, list_name: str) -> Sequence[str]:
        """Return the names in the order in which the form shows them."""

    def accepts(self, list_name: str, value: str) -> bool:
        """Say whether `value` is one of the names or a known alias of one."""


def _unknown_names(values: Mapping[str, object], lists: ChoiceLists) -> Iterator[FieldProblem]:
    for name, parameter in PARAMETERS.items():
        value = values.get(name, parameter.default)
        if not isinstance(parameter.choices, str) or not isinstance(value, str) or value in parameter.besides:
            continue
        if lists.accepts(parameter.choices, value):
            continue
        names = [*parameter.besides, *lists.names(parameter.choices)]
        allowed = "one of " + ", ".join(names) if names else "nothing: none was found"
        yield FieldProblem(name, parameter.label, parameter.problem(value).value, allowed)


def _contradictions(request: GenerationRequest) -> Iterator[FieldProblem]:
    """Yield what is wrong with values that are each allowed but not together."""
    smallest = request.sigma_min or SMALLEST_MODEL_SIGMA
    if 0 < request.sigma_max <= smallest:
        label = PARAMETERS["sigma_max"].label
        yield FieldProblem("sigma_max", label, f"{request.sigma_max:g}", f"0, or more than {smallest:g} (sigma min)")
    if request.enable_hr and max(request.hires_size()) > LARGEST_SIDE:
        width, height = request.hires_size()
        field = "hr_resize_x" if request.hr_resize_x or request.hr_resize_y else "hr_scale"
        allowed = f"at most {LARGEST_SIDE} pixels a side in the second pass"
        yield FieldProblem(field, PARAMETERS[field].label, f"{width} x {height} pixels", allowed)
