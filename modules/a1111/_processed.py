"""What comes out of `process_images`."""

from __future__ import annotations

import json
from typing import Any

from modules.a1111.shared_options import options
from modules.a1111.shared_state import state

_COPIED = (
    "width", "height", "sampler_name", "cfg_scale", "steps", "batch_size", "restore_faces", "sd_model_name",
    "sd_model_hash", "sd_vae_name", "sd_vae_hash", "seed_resize_from_w", "seed_resize_from_h", "denoising_strength",
    "extra_generation_params", "styles", "eta", "ddim_discretize", "s_churn", "s_tmin", "s_tmax", "s_noise",
    "s_min_uncond", "subseed_strength", "is_using_inpainting_conditioning",
)  # fmt: skip
_IN_JSON = (
    "prompt", "all_prompts", "negative_prompt", "all_negative_prompts", "seed", "all_seeds", "subseed", "all_subseeds",
    "subseed_strength", "width", "height", "sampler_name", "cfg_scale", "steps", "batch_size", "restore_faces",
    "sd_model_name", "sd_model_hash", "sd_vae_name", "sd_vae_hash", "seed_resize_from_w", "seed_resize_from_h",
    "denoising_strength", "extra_generation_params", "index_of_first_image", "infotexts", "styles", "job_timestamp",
    "clip_skip", "is_using_inpainting_conditioning", "version",
)  # fmt: skip


class Processed:
    """Pictures with the values that they were made with; every `all_` list has one entry for each picture."""

    def __init__(  # noqa: PLR0913 (A1111's signature)
        self, p: Any, images_list: list[Any], seed: Any = -1, info: str = "", subseed: Any = None,
        all_prompts: Any = None, all_negative_prompts: Any = None, all_seeds: Any = None, all_subseeds: Any = None,
        index_of_first_image: int = 0, infotexts: Any = None, comments: str = "",
    ) -> None:  # fmt: skip
        self.images = images_list
        self.info = info
        self.comments = comments or "".join(f"{comment}\n" for comment in getattr(p, "comments", None) or ())
        self.prompt = _first(p.prompt)
        self.negative_prompt = _first(p.negative_prompt)
        self.seed = int(_first(seed if seed is not None else p.seed) if seed != -1 else _first(p.seed))
        self.subseed = int(_first(subseed if subseed is not None else p.subseed))
        for name in _COPIED:
            setattr(self, name, getattr(p, name, None))
        self.image_cfg_scale = getattr(p, "image_cfg_scale", None)
        self.face_restoration_model = None
        self.sampler_noise_scheduler_override = None
        self.token_merging_ratio = self.token_merging_ratio_hr = 0
        self.index_of_first_image = index_of_first_image
        self.job_timestamp = state().job_timestamp
        self.clip_skip = options().CLIP_stop_at_last_layers
        self.all_prompts = all_prompts or p.all_prompts or [self.prompt]
        self.all_negative_prompts = all_negative_prompts or p.all_negative_prompts or [self.negative_prompt]
        self.all_seeds = all_seeds or p.all_seeds or [self.seed]
        self.all_subseeds = all_subseeds or p.all_subseeds or [self.subseed]
        self.infotexts = infotexts or [info] * len(images_list)
        self.version = "easel"

    def js(self) -> str:
        """Return the values as JSON."""
        return json.dumps({name: getattr(self, name, None) for name in _IN_JSON}, default=lambda value: None)

    def infotext(self, p: Any, index: int) -> str:
        """Return the infotext of a picture, counted from the first that is none of a grid."""
        return self.infotexts[index] if index < len(self.infotexts) else self.info

    def get_token_merging_ratio(self, for_hr: bool = False) -> float:
        """Return 0: tokens are not merged."""
        return 0.0


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, (list, tuple)) and value else value
