"""A checkpoint in memory as Stable Diffusion's first code has it: U-Net, VAE and text encoders, and what joins them.

`LatentDiffusion` is the view of SD 1.x and 2.x, `DiffusionEngine` that of SDXL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from modules.a1111 import _ldm_text
from modules.a1111._ldm_layers import beside
from modules.a1111._ldm_schedule import extract_into_tensor, noise_tables
from modules.a1111._ldm_unet import UNetModel
from modules.a1111._ldm_vae import AutoencoderKL
from modules.a1111.prompt_parser import DictWithShape
from modules.a1111.shared_options import options
from modules.engine.families import VELOCITY
from modules.engine.models import LoadedModel
from modules.library.identify import BASE, SDXL_REFINER_FAMILY

SIZES = ("original_size_as_tuple", "crop_coords_top_left", "target_size_as_tuple")
REFINER_SIZES = ("original_size_as_tuple", "crop_coords_top_left", "aesthetic_score")
_DEFAULT_SIDE = 1024


class DiffusionWrapper(nn.Module):
    """Puts together what the U-Net is told: `forward(x, t, c_concat, c_crossattn)`, or SDXL's `forward(x, t, cond)`."""

    def __init__(self, diffusion_model: UNetModel, conditioning_key: str) -> None:
        super().__init__()
        self.diffusion_model = diffusion_model
        self.conditioning_key, self.sequential_cross_attn, self.training = conditioning_key, False, False

    def forward(
        self, x: Tensor, t: Tensor, c_concat: Any = None, c_crossattn: Any = None, c_adm: Tensor | None = None,
        **named: Any,
    ) -> Tensor:  # fmt: skip
        """Return what the U-Net predicts: (batch, 4, rows, columns); `c_concat`, `c_crossattn`: lists of tensors."""
        if isinstance(c_concat, Mapping):
            return self._told(x, t, c_concat, named)
        more = [] if c_concat is None or self.conditioning_key == "crossattn" else _listed(c_concat)
        shown = torch.cat([x, *more], dim=1) if more else x
        context = torch.cat(_listed(c_crossattn), 1) if c_crossattn is not None else None
        return self.diffusion_model(shown, t, context=context, **({} if c_adm is None else {"y": c_adm}), **named)

    def _told(self, x: Tensor, t: Tensor, cond: Mapping[str, Any], named: Mapping[str, Any]) -> Tensor:
        more = [] if self.conditioning_key == "crossattn" else _listed(cond.get("c_concat", cond.get("concat")))
        shown = torch.cat([x, *more], dim=1) if more else x
        told = {"timestep_cond": cond["timestep_cond"]} if "timestep_cond" in cond else {}
        return self.diffusion_model(shown, t, context=cond.get("crossattn"), y=cond.get("vector"), **told, **named)


def _listed(value: Any) -> list[Tensor]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


class LatentDiffusion(nn.Module):
    """A checkpoint of SD 1.x or 2.x."""

    is_xl = False
    cond_stage_key, first_stage_key, channels, image_size = "txt", "jpg", 4, 64
    use_ema, learn_logvar, cond_stage_trainable, cond_stage_forward = False, False, False, None
    linear_start, linear_end, v_posterior, model_ema = 0.00085, 0.012, 0.0, None

    def __init__(self, loaded: LoadedModel, hijack: Any, rules: _ldm_text.Rules) -> None:
        """Take what the engine has, A1111's `model_hijack`, and what says how prompts are read."""
        super().__init__()
        bundle = loaded.bundle
        beside(self, "loaded", loaded)
        beside(self, "vaes", {})
        self.training = False
        readers = loaded.conditioner.readers
        texts = [_ldm_text.view_of(reader, hijack, rules, bundle.relief) for reader in readers]
        self._take_texts(texts)
        kind = "crossattn" if bundle.entry.variant == BASE else "hybrid"
        self.model = DiffusionWrapper(UNetModel.of(bundle.unet), kind)
        self.parameterization = "v" if bundle.prediction == VELOCITY else "eps"
        self.scale_factor = bundle.latent_scale
        for name, table in noise_tables(bundle.levels.alphas_cumprod).items():
            self.__dict__[name] = table.to(bundle.plan.device)
        self.num_timesteps = len(self.alphas_cumprod)
        beside(self, "network_layer_mapping", layer_names(self))

    def _take_texts(self, texts: list[Any]) -> None:
        (self.cond_stage_model,) = texts
        beside(self, "text_views", texts)

    @property
    def first_stage_model(self) -> AutoencoderKL:
        """The VAE that decodes now; another file's has another view."""
        vae, known = self.__dict__["loaded"].bundle.vae, self.__dict__["vaes"]
        if known.get("vae") is not vae:
            known["vae"], known["view"] = vae, AutoencoderKL.of(vae)
        if known.get("opened") is not None:
            known["opened"](known["view"])
        return known["view"]

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the U-Net."""
        return self.__dict__["loaded"].bundle.plan.dtype

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.__dict__["loaded"].bundle.plan.device

    def to(self, *_: object, **__: object) -> LatentDiffusion:
        """Do nothing: the engine moves its models by itself."""
        return self

    def get_learned_conditioning(self, c: Any) -> Any:
        """Return what the U-Net attends to for some prompts: (prompts, 77 * chunks, width)."""
        return self.cond_stage_model(c).to(self.dtype)

    def apply_model(self, x_noisy: Tensor, t: Tensor, cond: Any, return_ids: bool = False) -> Tensor:
        """Return what the U-Net predicts; `cond`: a tensor, a list of them, or a table for `model`."""
        given = cond if isinstance(cond, Mapping) else {"c_crossattn": _listed(cond)}
        return self.model(x_noisy, t, **given)

    def encode_first_stage(self, x: Tensor) -> Any:
        """Return the distribution of latents for pixels: (batch, 3, height, width), -1 to 1."""
        bundle, view = self.__dict__["loaded"].bundle, self.first_stage_model
        inside = x.to(device=view.device, dtype=view.dtype)
        return bundle.relief.transform(bundle.vae, lambda: view.encode(inside))

    def get_first_stage_encoding(self, encoder_posterior: Any) -> Tensor:
        """Return latents in the U-Net's scale for a distribution, or for latents as the VAE has them."""
        drawn = encoder_posterior if isinstance(encoder_posterior, Tensor) else encoder_posterior.sample()
        return self.scale_factor * drawn

    def decode_first_stage(self, z: Tensor, *_: Any, **__: Any) -> Tensor:
        """Return pixels, (batch, 3, height, width), -1 to 1, for latents in the U-Net's scale."""
        bundle, view = self.__dict__["loaded"].bundle, self.first_stage_model
        inside = (z / self.scale_factor).to(device=view.device, dtype=view.dtype)
        return bundle.relief.transform(bundle.vae, lambda: view.decode(inside))

    def forward(self, x: Tensor, t: Tensor, cond: Any) -> Tensor:
        """Return what `apply_model` does."""
        return self.apply_model(x, t, cond)

    def q_sample(self, x_start: Tensor, t: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return latents with the noise of timesteps; `t`: (batch,), whole numbers."""
        noise = torch.randn_like(x_start) if noise is None else noise
        return self._at("sqrt_alphas_cumprod", t, x_start) * x_start + self._spread(t, x_start) * noise

    def predict_start_from_noise(self, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return clean latents for noisy ones and their noise."""
        scale, spread = (f"sqrt_{name}_alphas_cumprod" for name in ("recip", "recipm1"))
        return self._at(scale, t, x_t) * x_t - self._at(spread, t, x_t) * noise

    def predict_start_from_z_and_v(self, x_t: Tensor, t: Tensor, v: Tensor) -> Tensor:
        """Return clean latents for noisy ones and v."""
        return self._at("sqrt_alphas_cumprod", t, x_t) * x_t - self._spread(t, x_t) * v

    def predict_eps_from_z_and_v(self, x_t: Tensor, t: Tensor, v: Tensor) -> Tensor:
        """Return the noise for noisy latents and v."""
        return self._at("sqrt_alphas_cumprod", t, x_t) * v + self._spread(t, x_t) * x_t

    def get_v(self, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Return v for clean latents and noise."""
        return self._at("sqrt_alphas_cumprod", t, x) * noise - self._spread(t, x) * x

    def _spread(self, t: Tensor, like: Tensor) -> Tensor:
        return self._at("sqrt_one_minus_alphas_cumprod", t, like)

    def _at(self, name: str, t: Tensor, like: Tensor) -> Tensor:
        return extract_into_tensor(getattr(self, name).to(like), t, like.shape)

    def asked(self, shown: Tensor, timestep: Tensor, context: Tensor, y: Tensor | None) -> tuple[Tensor, Any]:
        """Return the latents and the table for `apply_model` that the engine's call of its U-Net stands for."""
        latents, more = shown[:, : self.channels], shown[:, self.channels :]
        concat = more if more.shape[1] else torch.zeros(shown.shape[0], 5, 1, 1, dtype=shown.dtype, device=shown.device)
        return latents, {"c_crossattn": [context], "c_concat": [concat]}

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Return all weights by their names in single files, where nothing is around the text encoders."""
        of_parts = super().state_dict(*args, **kwargs)
        found = {name.replace(".wrapped.", "."): value for name, value in of_parts.items()}
        prefix = kwargs.get("prefix", "")
        found.update(self.first_stage_model.state_dict(prefix=f"{prefix}first_stage_model."))
        return found


class GeneralConditioner(nn.Module):
    """SDXL's text encoders and sizes: `forward(batch)` gives "crossattn" and "vector"."""

    def __init__(self, texts: list[Any], unet: Any, sizes: tuple[str, ...], dtype: torch.dtype) -> None:
        super().__init__()
        self.embedders = nn.ModuleList([*texts, *(ConcatTimestepEmbedderND(unet, name) for name in sizes)])
        self.wrapped = nn.Module()
        self.training = False
        beside(self, "texts", texts)
        beside(self, "dtype", dtype)

    def forward(self, batch: Mapping[str, Any], force_zero_embeddings: Any = ()) -> DictWithShape:
        """Return what the U-Net attends to, (prompts, 77 * chunks, width), and is told: (prompts, width)."""
        dtype, zero = self.__dict__["dtype"], "txt" in (force_zero_embeddings or ())
        contexts, told = [], []
        for embedder in self.embedders:
            made = embedder(batch[embedder.input_key])
            pair = made if isinstance(made, tuple) else (made, None)
            contexts += [pair[0]] if pair[0] is not None and pair[0].dim() > 2 else []
            told += [each for each in pair if each is not None and each.dim() == 2]
            if zero and embedder.input_key == "txt":
                contexts[-1] = torch.zeros_like(contexts[-1])
                told = [torch.zeros_like(each) for each in told]
        context, vector = torch.cat(contexts, dim=2).to(dtype), torch.cat([each.to(dtype) for each in told], dim=1)
        return DictWithShape({"crossattn": context, "vector": vector})

    def tokenize(self, texts: Any) -> Any:
        """Return the tokens of each text."""
        return self.embedders[0].tokenize(texts)

    def tokenize_line(self, line: str) -> Any:
        """Return the chunks of a text and how many tokens it has."""
        return self.embedders[0].tokenize_line(line)

    def process_texts(self, texts: Any) -> Any:
        """Return the chunks of each text, and the largest number of tokens."""
        return self.embedders[0].process_texts(texts)

    def get_target_prompt_token_count(self, token_count: int) -> int:
        """Return how many tokens fit into the chunks that so many take."""
        return self.embedders[0].get_target_prompt_token_count(token_count)

    def encode_embedding_init_text(self, init_text: str, nvpt: int) -> Tensor:
        """Return the tables' vectors for the first tokens of a text."""
        return torch.cat([text.encode_embedding_init_text(init_text, nvpt) for text in self.__dict__["texts"]], dim=1)


class ConcatTimestepEmbedderND(nn.Module):
    """Makes waves of numbers on sizes, as of timesteps: (prompts, numbers) to (prompts, 256 * numbers)."""

    outdim, is_trainable, ucg_rate, legacy_ucg_val = 256, False, 0.0, None

    def __init__(self, unet: Any, input_key: str) -> None:
        super().__init__()
        self.input_key = input_key
        beside(self, "waves", unet.add_time_proj)

    def forward(self, x: Tensor) -> Tensor:
        """Return the waves."""
        return self.__dict__["waves"](x.flatten()).reshape(x.shape[0], -1)


class DiffusionEngine(LatentDiffusion):
    """A checkpoint of SDXL, or its refiner."""

    is_xl = True

    def _take_texts(self, texts: list[Any]) -> None:
        bundle = self.__dict__["loaded"].bundle
        sizes = REFINER_SIZES if bundle.family.name == SDXL_REFINER_FAMILY else SIZES
        self.conditioner = GeneralConditioner(texts, bundle.unet, sizes, bundle.plan.dtype)
        beside(self, "text_views", texts)

    @property
    def cond_stage_model(self) -> Any:
        """The only text encoder, or what holds several."""
        texts = self.__dict__["text_views"]
        return texts[0] if len(texts) == 1 else self.conditioner

    def get_learned_conditioning(self, c: Any) -> Any:
        """Return what the U-Net attends to and is told for some prompts; `c` may say their pictures' size."""
        numbers = beside_prompts(c)
        count, plan = len(c), self.__dict__["loaded"].bundle.plan

        def each(*values: float) -> Tensor:
            return torch.tensor([values], device=plan.device, dtype=plan.dtype).repeat(count, 1)

        size = each(numbers["height"], numbers["width"])
        batch = {
            "txt": c, "original_size_as_tuple": size, "target_size_as_tuple": size,
            "crop_coords_top_left": each(numbers["top"], numbers["left"]), "aesthetic_score": each(numbers["score"]),
        }  # fmt: skip
        zero = numbers["negative"] and all(text == "" for text in c)
        return self.conditioner(batch, force_zero_embeddings=["txt"] if zero else [])

    def apply_model(self, x_noisy: Tensor, t: Tensor, cond: Any, return_ids: bool = False) -> Tensor:
        """Return what the U-Net predicts; `cond`: a table with "crossattn" and "vector"."""
        return self.model(x_noisy, t, cond)

    def encode_first_stage(self, x: Tensor) -> Any:
        """Return latents in the U-Net's scale for pixels."""
        return super().get_first_stage_encoding(super().encode_first_stage(x))

    def get_first_stage_encoding(self, encoder_posterior: Any) -> Tensor:
        """Return the latents as they are: SDXL's encoding is ready."""
        return encoder_posterior

    def asked(self, shown: Tensor, timestep: Tensor, context: Tensor, y: Tensor | None) -> tuple[Tensor, Any]:
        """Return the latents and the table for `apply_model` that the engine's call of its U-Net stands for."""
        latents, table = super().asked(shown, timestep, context, y)
        return latents, {"crossattn": context, "vector": y, "c_concat": table["c_concat"]}


def layer_names(view: LatentDiffusion) -> dict[str, nn.Module]:
    """Return all modules of a view by the names that A1111's networks have for them, and write these into them."""
    texts = view.__dict__["text_views"]
    several = len(texts) > 1 or view.is_xl
    trees = [(f"{number}_" if several else "", text.wrapped) for number, text in enumerate(texts)]
    found = {}
    for prefix, tree in (*trees, ("", view.model)):
        for name, module in tree.named_modules():
            found[f"{prefix}{name.replace('.', '_')}"] = module
            module.__dict__["network_layer_name"] = f"{prefix}{name.replace('.', '_')}"
    return found


def beside_prompts(prompts: Any) -> dict[str, Any]:
    """Return the numbers that go with prompts: those that they carry, else the options'."""
    from_options = options()
    negative = bool(getattr(prompts, "is_negative_prompt", False))
    score = "sdxl_refiner_low_aesthetic_score" if negative else "sdxl_refiner_high_aesthetic_score"
    return {
        "width": getattr(prompts, "width", None) or _DEFAULT_SIDE,
        "height": getattr(prompts, "height", None) or _DEFAULT_SIDE,
        "top": from_options.sdxl_crop_top, "left": from_options.sdxl_crop_left,
        "score": getattr(from_options, score), "negative": negative,
    }  # fmt: skip
