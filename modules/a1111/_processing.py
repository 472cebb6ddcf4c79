"""The objects that extensions know as `p`: all that one run is asked for, mutable, and read again when it is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from modules.a1111 import extra_networks
from modules.a1111._host import HOST
from modules.a1111._placeholders import NotInEasel
from modules.a1111.shared_options import options


@dataclass(repr=False)
class StableDiffusionProcessing:
    """What both kinds have. Names and defaults are A1111's; `modules/a1111/_view.py` makes requests of them."""

    sd_model: Any = None
    outpath_samples: str | None = None
    outpath_grids: str | None = None
    prompt: Any = ""
    prompt_for_display: str | None = None
    negative_prompt: Any = ""
    styles: Any = None
    seed: Any = -1
    subseed: Any = -1
    subseed_strength: float = 0
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    seed_enable_extras: bool = True
    sampler_name: str | None = None
    scheduler: str | None = None
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    restore_faces: Any = None
    tiling: Any = None
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    extra_generation_params: Any = None
    overlay_images: Any = None
    eta: Any = None
    do_not_reload_embeddings: bool = False
    denoising_strength: Any = None
    ddim_discretize: Any = None
    s_min_uncond: Any = None
    s_churn: Any = None
    s_tmax: Any = None
    s_tmin: Any = None
    s_noise: Any = None
    override_settings: Any = None
    override_settings_restore_afterwards: bool = True
    sampler_index: Any = None
    refiner_checkpoint: Any = None
    refiner_switch_at: Any = None
    token_merging_ratio: float = 0
    token_merging_ratio_hr: float = 0
    disable_extra_networks: bool = False
    firstpass_image: Any = None

    scripts_value: Any = field(default=None, init=False)
    script_args_value: Any = field(default=None, init=False)
    scripts_setup_complete: bool = field(default=False, init=False)
    comments: Any = field(default=None, init=False)
    sampler: Any = field(default=None, init=False)
    is_using_inpainting_conditioning: bool = field(default=False, init=False)
    paste_to: Any = field(default=None, init=False)
    is_hr_pass: bool = field(default=False, init=False)
    c: Any = field(default=None, init=False)
    uc: Any = field(default=None, init=False)
    rng: Any = field(default=None, init=False)
    step_multiplier: Any = field(default=None, init=False)
    color_corrections: Any = field(default=None, init=False)
    all_prompts: Any = field(default=None, init=False)
    all_negative_prompts: Any = field(default=None, init=False)
    all_seeds: Any = field(default=None, init=False)
    all_subseeds: Any = field(default=None, init=False)
    iteration: int = field(default=0, init=False)
    batch_index: int = field(default=0, init=False)
    main_prompt: Any = field(default=None, init=False)
    main_negative_prompt: Any = field(default=None, init=False)
    prompts: Any = field(default=None, init=False)
    negative_prompts: Any = field(default=None, init=False)
    seeds: Any = field(default=None, init=False)
    subseeds: Any = field(default=None, init=False)
    extra_network_data: Any = field(default=None, init=False)
    user: Any = field(default=None, init=False)
    sd_model_name: Any = field(default=None, init=False)
    sd_model_hash: Any = field(default=None, init=False)
    sd_vae_name: Any = field(default=None, init=False)
    sd_vae_hash: Any = field(default=None, init=False)
    is_api: bool = field(default=False, init=False)
    latents_after_sampling: Any = field(default_factory=list, init=False)
    pixels_after_sampling: Any = field(default_factory=list, init=False)
    _base: Any = field(default=None, init=False)
    _first_image: int = field(default=0, init=False)

    cached_uc: ClassVar[list[Any]] = [None, None]
    cached_c: ClassVar[list[Any]] = [None, None]

    def __post_init__(self) -> None:
        self.styles = self.styles or []
        self.extra_generation_params = self.extra_generation_params or {}
        self.override_settings = self.override_settings or {}
        self.script_args = self.script_args_value or []
        self.comments = {}
        self.cached_uc, self.cached_c = [None, None], [None, None]

    @property
    def sd_model(self) -> Any:  # noqa: F811 (a field that cannot be set, as in A1111)
        """The model, as `shared.sd_model` has it."""
        return HOST.own_state.get("sd_model")

    @sd_model.setter
    def sd_model(self, value: Any) -> None:
        pass

    @property
    def scripts(self) -> Any:
        """The runner whose always-on scripts take part; None for none."""
        return self.scripts_value

    @scripts.setter
    def scripts(self, value: Any) -> None:
        self.scripts_value = value
        self._begin_scripts()

    @property
    def script_args(self) -> Any:
        """The values of all scripts' controls; a script's own are from its `args_from` to its `args_to`."""
        return self.script_args_value

    @script_args.setter
    def script_args(self, value: Any) -> None:
        self.script_args_value = value
        self._begin_scripts()

    def _begin_scripts(self) -> None:
        if self.scripts_value and self.script_args_value and not self.scripts_setup_complete:
            self.setup_scripts()

    def setup_scripts(self) -> None:
        """Call the scripts' `setup`."""
        self.scripts_setup_complete = True
        self.scripts.setup_scrips(self, is_ui=not self.is_api)

    def comment(self, text: str) -> None:
        """Tell the user something of these pictures."""
        self.comments[text] = 1
        run = HOST.runs.current()
        if run is not None:
            run.say(text)

    def save_samples(self) -> bool:
        """Say whether the pictures are to be kept."""
        return bool(options().samples_save) and not self.do_not_save_samples

    def setup_prompts(self) -> None:
        """Work out the prompts of every picture, with styles."""
        count = self.batch_size * self.n_iter
        self.all_prompts = _repeated(self.prompt, count)
        self.all_negative_prompts = _repeated(self.negative_prompt, len(self.all_prompts))
        if self.styles:
            book = HOST.connected.styles
            pairs = zip(self.all_prompts, self.all_negative_prompts, strict=True)
            styled = [book.apply(prompt, negative, self.styles) for prompt, negative in pairs]
            self.all_prompts = [prompt for prompt, _ in styled]
            self.all_negative_prompts = [negative for _, negative in styled]
        self.main_prompt, self.main_negative_prompt = self.all_prompts[0], self.all_negative_prompts[0]

    def parse_extra_network_prompts(self) -> None:
        """Read the network tags of the batch's prompts; the engine reads them in the prompts themselves."""
        _, self.extra_network_data = extra_networks.parse_prompts(self.prompts)

    def setup_conds(self) -> None:
        """Do nothing: the engine encodes prompts."""

    def init(self, all_prompts: Any, all_seeds: Any, all_subseeds: Any) -> None:
        """Do nothing: the engine prepares pictures."""

    def sample(
        self, conditioning: Any, unconditional_conditioning: Any, seeds: Any, subseeds: Any, subseed_strength: float,
        prompts: Any,
    ) -> Any:  # fmt: skip
        """Return the clean latents of the batch that is at work; what was put in its place may call this.

        What the arguments say is known: conditioning and noise are those of `p`. Raises NotInEasel outside of runs.
        """
        run = HOST.runs.current()
        if run is None or run.at_work is None or run.at_work.go_on is None:
            raise NotInEasel("p.sample belongs to a run that is at work; process_images makes pictures.")
        return run.at_work.go_on()

    def get_token_merging_ratio(self, for_hr: bool = False) -> float:
        """Return 0: tokens are not merged."""
        return 0.0

    def clear_prompt_cache(self) -> None:
        """Do nothing: the engine keeps nothing that an extension could see."""

    def close(self) -> None:
        """Let go of what was kept."""
        self.sampler = self.c = self.uc = None


def _repeated(value: Any, count: int) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)] * count


@dataclass(repr=False)
class StableDiffusionProcessingTxt2Img(StableDiffusionProcessing):
    """Pictures from prompts."""

    enable_hr: bool = False
    denoising_strength: Any = 0.75
    firstphase_width: int = 0
    firstphase_height: int = 0
    hr_scale: float = 2.0
    hr_upscaler: Any = None
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_checkpoint_name: Any = None
    hr_sampler_name: Any = None
    hr_scheduler: Any = None
    hr_prompt: Any = ""
    hr_negative_prompt: Any = ""
    force_task_id: Any = None

    cached_hr_uc: ClassVar[list[Any]] = [None, None]
    cached_hr_c: ClassVar[list[Any]] = [None, None]
    hr_checkpoint_info: Any = field(default=None, init=False)
    hr_upscale_to_x: int = field(default=0, init=False)
    hr_upscale_to_y: int = field(default=0, init=False)
    truncate_x: int = field(default=0, init=False)
    truncate_y: int = field(default=0, init=False)
    applied_old_hires_behavior_to: Any = field(default=None, init=False)
    latent_scale_mode: Any = field(default=None, init=False)
    hr_c: Any = field(default=None, init=False)
    hr_uc: Any = field(default=None, init=False)
    all_hr_prompts: Any = field(default=None, init=False)
    all_hr_negative_prompts: Any = field(default=None, init=False)
    hr_prompts: Any = field(default=None, init=False)
    hr_negative_prompts: Any = field(default=None, init=False)
    hr_extra_network_data: Any = field(default=None, init=False)

    def setup_prompts(self) -> None:
        """Work out the prompts of every picture and both passes, with styles."""
        super().setup_prompts()
        if not self.enable_hr:
            return
        count, book = len(self.all_prompts), HOST.connected.styles
        prompts = _repeated(self.hr_prompt, count) if self.hr_prompt else list(self.all_prompts)
        negatives = _repeated(self.hr_negative_prompt or list(self.all_negative_prompts), count)
        if self.styles and self.hr_prompt:
            prompts = [book.apply(prompt, "", self.styles)[0] for prompt in prompts]
        if self.styles and self.hr_negative_prompt:
            negatives = [book.apply("", negative, self.styles)[1] for negative in negatives]
        self.all_hr_prompts, self.all_hr_negative_prompts = prompts, negatives

    def calculate_target_resolution(self) -> None:
        """Work out the second pass's size."""
        if self.hr_resize_x or self.hr_resize_y:
            self.hr_upscale_to_x = self.hr_resize_x or self.hr_resize_y * self.width // self.height
            self.hr_upscale_to_y = self.hr_resize_y or self.hr_resize_x * self.height // self.width
        else:
            self.hr_upscale_to_x = int(self.width * self.hr_scale)
            self.hr_upscale_to_y = int(self.height * self.hr_scale)


@dataclass(repr=False)
class StableDiffusionProcessingImg2Img(StableDiffusionProcessing):
    """Pictures over pictures. `mask` becomes `image_mask` when the object is made."""

    init_images: Any = None
    resize_mode: int = 0
    denoising_strength: Any = 0.75
    image_cfg_scale: Any = None
    mask: Any = None
    mask_blur_x: int = 4
    mask_blur_y: int = 4
    mask_blur: Any = None
    mask_round: bool = True
    inpainting_fill: int = 0
    inpaint_full_res: Any = True
    inpaint_full_res_padding: int = 0
    inpainting_mask_invert: Any = 0
    initial_noise_multiplier: Any = None
    latent_mask: Any = None
    force_task_id: Any = None

    image_mask: Any = field(default=None, init=False)
    nmask: Any = field(default=None, init=False)
    image_conditioning: Any = field(default=None, init=False)
    init_img_hash: Any = field(default=None, init=False)
    mask_for_overlay: Any = field(default=None, init=False)
    init_latent: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.image_mask, self.mask = self.mask, None

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "mask_blur" and isinstance(value, (int, float)):
            self.mask_blur_x = self.mask_blur_y = int(value)

    def __getattribute__(self, name: str) -> Any:
        if name == "mask_blur":
            across, down = super().__getattribute__("mask_blur_x"), super().__getattribute__("mask_blur_y")
            return across if across == down else None
        return super().__getattribute__(name)
