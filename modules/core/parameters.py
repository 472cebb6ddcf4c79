"""Every generation parameter, declared once.

Form, options, API, command line, validation and infotext all follow from `PARAMETERS`: a new parameter is one entry
here and one field of `GenerationRequest`. Names, ranges and defaults are those of AUTOMATIC1111's web UI where it has
them.
"""

from __future__ import annotations

from collections.abc import Mapping

from modules.core.parameter import LARGEST_SEED, RANDOM_SEED, Parameter
from modules.core.picture_parameters import PICTURE_PARAMETERS

LONGEST_PROMPT = 100_000
"""Characters in one prompt: some 300 chunks of 75 tokens, far more than a picture can use."""
SAME_CHECKPOINT = "Use same checkpoint"
SAME_SAMPLER = "Use same sampler"
SAME_SCHEDULER = "Use same scheduler"
NO_REFINER = "None"
NOISE_SOURCES = ("GPU", "CPU", "NV")
"""Where noise may come from; `sampling/noise.py` says what each means."""
EMPHASIS_MODES = ("None", "Ignore", "Original", "No norm")
"""None: brackets are text. Ignore: they are read, and no weight acts. Original: weights act, and the text encoder's
output is scaled back to its mean. No norm: weights act, and that is all."""
AUTOMATIC_VAE = "Automatic"
NO_VAE = "None"
DEFAULT_NOISE_SCHEDULE = "Default"
ZERO_TERMINAL_SNR = "Zero Terminal SNR"

_MODEL = "Stable Diffusion"
_XL = "Stable Diffusion XL"
_PROMPT = "Prompts"
_SAMPLER = "Sampler parameters"
_GUIDANCE = "Guidance"
_COMPATIBILITY = "Compatibility"
_SECOND_PASS = "Hires fix and refiner"
_NETWORKS = "Extra Networks"

_FORM = (
    Parameter(
        "prompt", "Prompt", "text", "", "What the picture shows.",
        maximum=LONGEST_PROMPT, api="prompt",
    ),
    Parameter(
        "negative_prompt", "Negative prompt", "text", "", "What the picture must not show.",
        maximum=LONGEST_PROMPT, flags=("--negative",), api="negative_prompt",
    ),
    Parameter(
        "sampler", "Sampling method", "choice", "DPM++ 2M", "How noise is taken away step by step.",
        choices="samplers", infotext="Sampler", flags=("--sampler",), api="sampler_name", api_default="Euler",
    ),
    Parameter(
        "scheduler", "Schedule type", "choice", "Automatic",
        "How the noise levels are spread over the steps; Automatic takes the sampler's own.",
        choices="schedulers", infotext="Schedule type", flags=("--scheduler",), api="scheduler",
    ),
    Parameter(
        "steps", "Sampling steps", "integer", 20, "How often the picture is improved.",
        minimum=1, maximum=150, infotext="Steps", flags=("--steps",), api="steps", api_default=50,
    ),
    Parameter(
        "width", "Width", "integer", 512, "Width of the picture in pixels.",
        minimum=64, maximum=8192, step=8, form_maximum=2048, infotext="Size", flags=("--width",), api="width",
    ),
    Parameter(
        "height", "Height", "integer", 512, "Height of the picture in pixels.",
        minimum=64, maximum=8192, step=8, form_maximum=2048, infotext="Size", flags=("--height",), api="height",
    ),
    Parameter(
        "batch_count", "Batch count", "integer", 1, "How many batches are made one after the other.",
        minimum=1, maximum=999, form_maximum=100, flags=("--n-iter", "--batch-count"), api="n_iter",
    ),
    Parameter(
        "batch_size", "Batch size", "integer", 1, "How many pictures are made at once.",
        minimum=1, maximum=64, form_maximum=8, flags=("--batch-size",), api="batch_size",
    ),
    Parameter(
        "cfg_scale", "CFG Scale", "number", 7.0, "How strictly the picture follows the prompt.",
        minimum=0, maximum=100, step=0.5, form_minimum=1, form_maximum=30, infotext="CFG scale",
        flags=("--cfg", "--cfg-scale"), api="cfg_scale",
    ),
    Parameter(
        "seed", "Seed", "seed", RANDOM_SEED, "The number that the noise grows from; -1 picks one at random.",
        minimum=RANDOM_SEED, maximum=LARGEST_SEED, infotext="Seed", flags=("--seed",), api="seed",
    ),
    Parameter(
        "subseed", "Variation seed", "seed", RANDOM_SEED,
        "A second seed, whose noise is mixed into the first one's; -1 picks one at random.",
        minimum=RANDOM_SEED, maximum=LARGEST_SEED, infotext="Variation seed", flags=("--subseed",), api="subseed",
    ),
    Parameter(
        "subseed_strength", "Variation strength", "number", 0.0,
        "How much of the variation seed's noise: 0 none, 1 nothing else.",
        minimum=0, maximum=1, step=0.01, infotext="Variation seed strength", flags=("--subseed-strength",),
        api="subseed_strength",
    ),
    Parameter(
        "seed_resize_from_w", "Resize seed from width", "integer", 0,
        "Keep the composition that the seed has at this width; acts when both are above 0.",
        minimum=-1, maximum=8192, form_minimum=0, form_maximum=2048, infotext="Seed resize from",
        api="seed_resize_from_w", api_default=-1,
    ),
    Parameter(
        "seed_resize_from_h", "Resize seed from height", "integer", 0,
        "Keep the composition that the seed has at this height; acts when both are above 0.",
        minimum=-1, maximum=8192, form_minimum=0, form_maximum=2048, infotext="Seed resize from",
        api="seed_resize_from_h", api_default=-1,
    ),
    Parameter(
        "checkpoint", "Stable Diffusion checkpoint", "choice", "",
        "Name of the model; empty takes the one chosen on the page.",
        choices="checkpoints", infotext="Model", flags=("--model",),
    ),
)  # fmt: skip

_PASSES = (
    Parameter(
        "enable_hr", "Hires. fix", "flag", False,
        "Make the picture small first, enlarge it, and work out the details in a second pass.",
        flags=("--hires",), api="enable_hr",
    ),
    Parameter(
        "hr_upscaler", "Upscaler", "choice", "Latent",
        "How the first pass is enlarged: Latent works before, the others after decoding.",
        choices="upscalers", infotext="Hires upscaler", flags=("--hires-upscaler",), api="hr_upscaler",
    ),
    Parameter(
        "hr_second_pass_steps", "Hires steps", "integer", 0, "Steps of the second pass; 0: as many as the first.",
        minimum=0, maximum=150, infotext="Hires steps", flags=("--hires-steps",), api="hr_second_pass_steps",
    ),
    Parameter(
        "denoising_strength", "Denoising strength", "number", 0.7,
        "How much the second pass may change: 0 nothing, 1 everything.",
        minimum=0, maximum=1, step=0.01, infotext="Denoising strength", flags=("--denoising-strength",),
        api="denoising_strength", api_default=0.75,
    ),
    Parameter(
        "hr_scale", "Upscale by", "number", 2.0, "How many times larger the second pass is.",
        minimum=1, maximum=8, step=0.05, form_maximum=4, infotext="Hires upscale", flags=("--hires-scale",),
        api="hr_scale",
    ),
    Parameter(
        "hr_resize_x", "Resize width to", "integer", 0,
        "Width of the second pass in pixels, in place of the scale; 0: follows from the height.",
        minimum=0, maximum=8192, step=8, form_maximum=2048, infotext="Hires resize", api="hr_resize_x",
    ),
    Parameter(
        "hr_resize_y", "Resize height to", "integer", 0,
        "Height of the second pass in pixels, in place of the scale; 0: follows from the width.",
        minimum=0, maximum=8192, step=8, form_maximum=2048, infotext="Hires resize", api="hr_resize_y",
    ),
    Parameter(
        "hr_checkpoint", "Hires checkpoint", "choice", SAME_CHECKPOINT, "The model of the second pass.",
        choices="checkpoints", besides=(SAME_CHECKPOINT,), infotext="Hires checkpoint", api="hr_checkpoint_name",
    ),
    Parameter(
        "hr_sampler", "Hires sampling method", "choice", SAME_SAMPLER, "The sampler of the second pass.",
        choices="samplers", besides=(SAME_SAMPLER,), infotext="Hires sampler", api="hr_sampler_name",
    ),
    Parameter(
        "hr_scheduler", "Hires schedule type", "choice", SAME_SCHEDULER, "The schedule of the second pass.",
        choices="schedulers", besides=(SAME_SCHEDULER,), infotext="Hires schedule type", api="hr_scheduler",
    ),
    Parameter(
        "hr_prompt", "Hires prompt", "text", "", "Prompt of the second pass; empty: as in the first.",
        maximum=LONGEST_PROMPT, infotext="Hires prompt", api="hr_prompt",
    ),
    Parameter(
        "hr_negative_prompt", "Hires negative prompt", "text", "",
        "Negative prompt of the second pass; empty: as in the first.",
        maximum=LONGEST_PROMPT, infotext="Hires negative prompt", api="hr_negative_prompt",
    ),
    Parameter(
        "firstpass_image", "First pass picture", "text", "",
        "Content hash of a stored picture that takes the place of the first pass.", maximum=64,
    ),
    Parameter(
        "refiner_checkpoint", "Refiner checkpoint", "choice", NO_REFINER, "The model that takes over near the end.",
        choices="checkpoints", besides=(NO_REFINER,), infotext="Refiner", flags=("--refiner",),
        api="refiner_checkpoint",
    ),
    Parameter(
        "refiner_switch_at", "Switch at", "number", 0.8,
        "When it takes over: at which share of the noise levels, or of the steps where the option says so.",
        minimum=0.01, maximum=1, step=0.01, infotext="Refiner switch at", flags=("--refiner-switch-at",),
        api="refiner_switch_at",
    ),
    Parameter(
        "hires_refiner_pass", "Refiner pass under Hires. fix", "choice", "second pass",
        "In which of the two passes the refiner takes over.",
        choices=("first pass", "second pass", "both passes"), infotext="Hires refiner",
        option="hires_fix_refiner_pass", section=_SECOND_PASS,
    ),
    Parameter(
        "refiner_by_steps", "Switch to the refiner by sampling steps", "flag", False,
        "Measure the share in steps instead of noise levels, as before version 1.9 of A1111.",
        infotext="Refiner switch by sampling steps", option="refiner_switch_by_sample_steps", section=_COMPATIBILITY,
    ),
    Parameter(
        "hires_first_networks", "Hires. fix reads its prompt with the first pass's networks", "flag", False,
        "The text encoder keeps the networks of the first pass's prompt in the second pass.",
        option="hires_fix_use_firstpass_conds", section=_COMPATIBILITY,
    ),
    Parameter(
        "extra_noise", "Extra noise", "number", 0.0, "Noise that is added before a second pass, beyond what it takes.",
        minimum=0, maximum=1, step=0.01, infotext="Extra noise", option="img2img_extra_noise", section=_SECOND_PASS,
    ),
)  # fmt: skip

_MODEL_OPTIONS = (
    Parameter(
        "clip_skip", "Clip skip", "integer", 1,
        "How many of the text encoder's last layers are left out, plus one.",
        minimum=1, maximum=12, infotext="Clip skip", flags=("--clip-skip",), option="CLIP_stop_at_last_layers",
        section=_MODEL,
    ),
    Parameter(
        "noise_source", "Random number generator source", "choice", "GPU",
        "Where noise comes from: GPU (the device), CPU, or NV (what an NVIDIA card gives, on any device).",
        choices=NOISE_SOURCES, infotext="RNG", flags=("--rng",), option="randn_source", section=_MODEL,
    ),
    Parameter(
        "vae", "SD VAE", "choice", AUTOMATIC_VAE,
        "What decodes the picture: Automatic takes the file beside the checkpoint, None the checkpoint's own.",
        choices="vaes", infotext="VAE", flags=("--vae",), option="sd_vae", section=_MODEL,
    ),
    Parameter(
        "sdxl_crop_top", "crop top coordinate", "integer", 0, "What SDXL is told of where the picture was cropped.",
        minimum=0, maximum=1024, option="sdxl_crop_top", section=_XL,
    ),
    Parameter(
        "sdxl_crop_left", "crop left coordinate", "integer", 0, "What SDXL is told of where the picture was cropped.",
        minimum=0, maximum=1024, option="sdxl_crop_left", section=_XL,
    ),
    Parameter(
        "aesthetic_low", "SDXL low aesthetic score", "number", 2.5, "The refiner is told it with the negative prompt.",
        minimum=0, maximum=10, step=0.1, option="sdxl_refiner_low_aesthetic_score", section=_XL,
    ),
    Parameter(
        "aesthetic_high", "SDXL high aesthetic score", "number", 6.0, "The refiner is told it with the prompt.",
        minimum=0, maximum=10, step=0.1, option="sdxl_refiner_high_aesthetic_score", section=_XL,
    ),
    Parameter(
        "tiling", "Tiling", "flag", False, "Make pictures whose edges fit together when they are laid side by side.",
        infotext="Tiling", flags=("--tiling",), api="tiling", option="tiling", section=_MODEL,
    ),
    Parameter(
        "disable_networks", "Disable extra networks", "flag", False, "Take network tags out of the prompt only.",
        api="disable_extra_networks",
    ),
    Parameter(
        "lora_hashes", "Add Lora hashes to infotext", "flag", True,
        "With them a file is found again after it was renamed.",
        option="lora_add_hashes_to_infotext", section=_NETWORKS,
    ),
    Parameter(
        "embedding_hashes", "Add Textual Inversion hashes to infotext", "flag", True, "The same for embeddings.",
        option="textual_inversion_add_hashes_to_infotext", section=_NETWORKS,
    ),
    Parameter(
        "bundled_hashes", "Add Lora name as TI hashes for bundled Textual Inversion", "flag", True,
        "Embeddings that a LoRA brings along are named in the infotext too.",
        option="lora_bundled_ti_to_infotext", section=_NETWORKS,
    ),
    Parameter(
        "emphasis", "Emphasis mode", "choice", "Original",
        "What (this:1.2) does: Original keeps the prompt's overall strength, No norm does not; Ignore gives no weight,"
        " None takes the brackets as text.",
        choices=EMPHASIS_MODES, infotext="Emphasis", option="emphasis", section=_PROMPT,
    ),
    Parameter(
        "comma_backtrack", "Prompt word wrap length limit", "integer", 20,
        "How many tokens may move to the next chunk of 75 so that a chunk ends at a comma.",
        minimum=0, maximum=74, option="comma_padding_backtrack", section=_PROMPT,
    ),
    Parameter(
        "comments", "Prompt comments", "flag", True, "Leave out what follows a # on its line.",
        option="enable_prompt_comments", section=_PROMPT,
    ),
    Parameter(
        "old_prompt_editing", "Old prompt editing timelines", "flag", False,
        "In [red:green:N] any N below 1 is a share of the steps; hires passes count anew. As before version 1.6.",
        infotext="Old prompt editing timelines", option="use_old_scheduling", section=_COMPATIBILITY,
    ),
)  # fmt: skip

_SAMPLER_OPTIONS = (
    Parameter(
        "eta", "Eta for k-diffusion samplers", "number", 1.0, "How much fresh noise ancestral and SDE samplers add.",
        minimum=0, maximum=1, step=0.01, infotext="Eta", option="eta_ancestral", section=_SAMPLER,
    ),
    Parameter(
        "eta_ddim", "Eta for DDIM", "number", 0.0, "How much fresh noise DDIM adds.",
        minimum=0, maximum=1, step=0.01, infotext="Eta DDIM", option="eta_ddim", section=_SAMPLER,
    ),
    Parameter(
        "s_churn", "sigma churn", "number", 0.0, "How much noise is added back in every step: Euler, Heun, DPM2.",
        minimum=0, maximum=100, step=0.01, infotext="Sigma churn", api="s_churn", option="s_churn", section=_SAMPLER,
    ),
    Parameter(
        "s_tmin", "sigma tmin", "number", 0.0, "Below this sigma no noise is added back.",
        minimum=0, maximum=1000, step=0.01, form_maximum=10, infotext="Sigma tmin", api="s_tmin", option="s_tmin",
        section=_SAMPLER,
    ),
    Parameter(
        "s_tmax", "sigma tmax", "number", 0.0, "Above this sigma no noise is added back; 0: no limit.",
        minimum=0, maximum=1000, step=0.01, infotext="Sigma tmax", api="s_tmax", option="s_tmax", section=_SAMPLER,
    ),
    Parameter(
        "s_noise", "sigma noise", "number", 1.0, "Strength of the noise that samplers add.",
        minimum=0, maximum=2, step=0.001, form_maximum=1.1, infotext="Sigma noise", api="s_noise", option="s_noise",
        section=_SAMPLER,
    ),
    Parameter(
        "sigma_min", "sigma min", "number", 0.0, "The smallest sigma of the schedule; 0: the model's own.",
        minimum=0, maximum=2, step=0.01, infotext="Schedule min sigma", option="sigma_min", section=_SAMPLER,
    ),
    Parameter(
        "sigma_max", "sigma max", "number", 0.0, "The largest sigma of the schedule; 0: the model's own.",
        minimum=0, maximum=1000, step=0.1, form_maximum=60, infotext="Schedule max sigma", option="sigma_max",
        section=_SAMPLER,
    ),
    Parameter(
        "rho", "rho", "number", 0.0, "The exponent of Karras (7) and Polyexponential (1) schedules; 0: their own.",
        minimum=0, maximum=100, step=0.1, form_maximum=10, infotext="Schedule rho", option="rho", section=_SAMPLER,
    ),
    Parameter(
        "ensd", "Eta noise seed delta", "integer", 0,
        "Added to the seed for all noise after the first; NovelAI's pictures have 31337.",
        minimum=0, maximum=2**31, infotext="ENSD", option="eta_noise_seed_delta", section=_SAMPLER,
    ),
    Parameter(
        "discard_penultimate", "Always discard next-to-last sigma", "flag", False,
        "Leave out the schedule's smallest positive sigma.",
        infotext="Discard penultimate sigma", option="always_discard_next_to_last_sigma", section=_SAMPLER,
    ),
    Parameter(
        "sgm_noise_multiplier", "SGM noise multiplier", "flag", False,
        "Begin with slightly more noise, as Stability's own SDXL code does.",
        infotext="SGM noise multiplier", option="sgm_noise_multiplier", section=_SAMPLER,
    ),
    Parameter(
        "unipc_variant", "UniPC variant", "choice", "bh1", "The function B(h) of the UniPC paper.",
        choices=("bh1", "bh2", "vary_coeff"), infotext="UniPC variant", option="uni_pc_variant", section=_SAMPLER,
    ),
    Parameter(
        "unipc_skip_type", "UniPC skip type", "choice", "time_uniform", "How UniPC spreads its steps.",
        choices=("time_uniform", "time_quadratic", "logSNR"), infotext="UniPC skip type", option="uni_pc_skip_type",
        section=_SAMPLER,
    ),
    Parameter(
        "unipc_order", "UniPC order", "integer", 3, "How many past steps UniPC looks at; fewer than the steps.",
        minimum=1, maximum=50, infotext="UniPC order", option="uni_pc_order", section=_SAMPLER,
    ),
    Parameter(
        "unipc_lower_order_final", "UniPC lower order final", "flag", True, "Look at fewer steps near the end.",
        infotext="UniPC lower order final", option="uni_pc_lower_order_final", section=_SAMPLER,
    ),
    Parameter(
        "beta_alpha", "Beta scheduler - alpha", "number", 0.6, "Shape of the Beta schedule at the noisy end.",
        minimum=0.01, maximum=10, step=0.01, form_maximum=1, infotext="Beta schedule alpha", option="beta_dist_alpha",
        section=_SAMPLER,
    ),
    Parameter(
        "beta_beta", "Beta scheduler - beta", "number", 0.6, "Shape of the Beta schedule at the clean end.",
        minimum=0.01, maximum=10, step=0.01, form_maximum=1, infotext="Beta schedule beta", option="beta_dist_beta",
        section=_SAMPLER,
    ),
    Parameter(
        "noise_schedule", "Noise schedule for sampling", "choice", DEFAULT_NOISE_SCHEDULE,
        "Zero Terminal SNR begins from pure noise, which lets models trained for it make dark and bright pictures.",
        choices=(DEFAULT_NOISE_SCHEDULE, ZERO_TERMINAL_SNR), infotext="Noise Schedule", option="sd_noise_schedule",
        section=_SAMPLER,
    ),
)  # fmt: skip

_OTHER_OPTIONS = (
    Parameter(
        "cfg_rescale", "Guidance rescale", "number", 0.0,
        "Pull the guided picture's contrast back to that of the prompt alone: 0 not at all, 1 fully.",
        minimum=0, maximum=1, step=0.05, infotext="CFG rescale", option="cfg_rescale", section=_GUIDANCE,
    ),
    Parameter(
        "ngms", "Negative Guidance minimum sigma", "number", 0.0,
        "Below this sigma every second step leaves the negative prompt out, which is faster; 0: never.",
        minimum=0, maximum=15, step=0.01, infotext="NGMS", api="s_min_uncond", option="s_min_uncond",
        section=_GUIDANCE,
    ),
    Parameter(
        "ngms_all", "Negative Guidance minimum sigma all steps", "flag", False,
        "Below that sigma leave the negative prompt out in every step.",
        infotext="NGMS all steps", option="s_min_uncond_all", section=_GUIDANCE,
    ),
    Parameter(
        "skip_early_cfg", "Ignore negative prompt during early sampling", "number", 0.0,
        "For this share of the steps, from the first on, the negative prompt is left out.",
        minimum=0, maximum=1, step=0.01, infotext="Skip Early CFG", option="skip_early_cond", section=_GUIDANCE,
    ),
    Parameter(
        "pad_conds", "Pad prompt/negative prompt", "flag", False,
        "Make prompt and negative prompt equally long by empty chunks, so that both fit into one call.",
        infotext="Pad conds", option="pad_cond_uncond", section=_GUIDANCE,
    ),
    Parameter(
        "pad_conds_v0", "Pad prompt/negative prompt (v0)", "flag", False,
        "Make them equally long by repeating the last token, or by cutting, as DDIM did before version 1.6.",
        infotext="Pad conds v0", option="pad_cond_uncond_v0", section=_COMPATIBILITY,
    ),
    Parameter(
        "downcast_alphas", "Downcast model alphas_cumprod to fp16 before sampling", "flag", False,
        "Noise levels rounded to half precision, as before version 1.7.",
        infotext="Downcast alphas_cumprod", option="use_downcasted_alpha_bar", section=_COMPATIBILITY,
    ),
    Parameter(
        "old_karras_sigmas", "Use old karras scheduler sigmas (0.1 to 10)", "flag", False,
        "Karras schedules run from sigma 10 to 0.1.",
        option="use_old_karras_scheduler_sigmas", section=_COMPATIBILITY,
    ),
    Parameter(
        "shared_brownian", "Do not make DPM++ SDE deterministic across different batch sizes", "flag", False,
        "One path of noise for the whole batch instead of one per picture.",
        option="no_dpmpp_sde_batch_determinism", section=_COMPATIBILITY,
    ),
    Parameter(
        "quantize", "Enable quantization in K samplers", "flag", False,
        "Round every noise level to one of the 1000 that the model was trained on.",
        option="enable_quantization", section=_SAMPLER,
    ),
)  # fmt: skip

PARAMETERS: Mapping[str, Parameter] = {
    parameter.name: parameter
    for parameter in (*_FORM, *_PASSES, *PICTURE_PARAMETERS, *_MODEL_OPTIONS, *_SAMPLER_OPTIONS, *_OTHER_OPTIONS)
}
