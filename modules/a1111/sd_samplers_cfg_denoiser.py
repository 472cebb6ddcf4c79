"""A1111's modules.sd_samplers_cfg_denoiser: what stands between the sampler and the network, whose parts may be
replaced: `combine_denoised`, `inner_model.forward`, and `forward` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modules.a1111._k_external import CompVisDenoiser, CompVisVDenoiser

Weights = Sequence[Sequence[tuple[int, float]]]
"""For each picture the places of its prompts' answers among all, and their weights."""
Answer = Callable[[Tensor, Tensor, Any], Tensor]
"""Takes noisy latents, noise levels and what is attended to, with a row each; returns x0."""


def catenate_conds(conds: Sequence[Any]) -> Any:
    """Return what several prompts are attended to as, in one."""
    if isinstance(conds[0], dict):
        return {key: torch.cat([each[key] for each in conds]) for key in conds[0]}
    return torch.cat(list(conds))


def subscript_cond(cond: Any, a: int, b: int) -> Any:
    """Return the rows from `a` until `b`."""
    return {key: rows[a:b] for key, rows in cond.items()} if isinstance(cond, dict) else cond[a:b]


def pad_cond(tensor: Any, repeats: int, empty: Tensor) -> Any:
    """Return a prompt with empty chunks behind it; `empty`: (1, tokens, width)."""
    if isinstance(tensor, dict):
        tensor["crossattn"] = pad_cond(tensor["crossattn"], repeats, empty)
        return tensor
    return torch.cat([tensor, empty.repeat((tensor.shape[0], repeats, 1)).to(tensor)], dim=1)


class _InRun(nn.Module):
    """Asks the engine while a run is at work, which hands `answer` over for each call."""

    answer: Answer | None = None

    def forward(self, input: Tensor, sigma: Tensor, cond: Any = None, **kwargs: Any) -> Tensor:  # noqa: A002
        """Return x0 for noisy latents; `sigma`: (rows,)."""
        if self.answer is not None:
            return self.answer(input, sigma, cond)
        found: Tensor = super().forward(input, sigma, cond=cond, **kwargs)
        return found


class RunDenoiser(_InRun, CompVisDenoiser):
    """The network of the run at work, which predicts noise."""


class RunVDenoiser(_InRun, CompVisVDenoiser):
    """The network of the run at work, which predicts v."""


class CFGDenoiser(nn.Module):
    """What a sampler calls. Extensions read it in callbacks, derive from it, and replace its methods.

    `step` counts the calls of a pass, of which A1111 reckons with `total_steps`; `steps` are those of the sampler.
    `mask`, `nmask` and `init_latent`: in inpainting what is kept, what is painted, and the picture's own latents.
    """

    def __init__(self, sampler: Any) -> None:
        super().__init__()
        self.model_wrap: Any = None
        self.mask: Tensor | None = None
        self.nmask: Tensor | None = None
        self.init_latent: Tensor | None = None
        self.steps: int | None = None
        self.total_steps: int | None = None
        self.step = 0
        self.image_cfg_scale: float | None = None
        self.padded_cond_uncond = False
        self.padded_cond_uncond_v0 = False
        self.cond_scale_miltiplier = 1.0
        self.need_last_noise_uncond = False
        self.last_noise_uncond: Tensor | None = None
        self.mask_before_denoising = False
        self.sampler = sampler
        self.p: Any = None
        self.denoise: Callable[[Tensor, Tensor], Tensor] | None = None
        """What the engine gives a run: noisy latents and noise levels -> guided x0."""

    @property
    def inner_model(self) -> Any:
        """The network with its noise levels: `inner_model(x, sigma, cond=...)` is x0."""
        if self.model_wrap is None:
            model = getattr(self.sampler, "sd_model", None)
            predicts_v = getattr(model, "parameterization", "eps") == "v"
            self.model_wrap = (RunVDenoiser if predicts_v else RunDenoiser)(model)
        return self.model_wrap

    def update_inner_model(self) -> None:
        """Look at the model anew."""
        self.model_wrap = None

    def combine_denoised(self, x_out: Tensor, conds_list: Weights, uncond: Any, cond_scale: float) -> Tensor:
        """Return the prompts' answers joined; `x_out`: (rows, channels, rows, columns), the negative prompt's last."""
        rows = uncond["crossattn"].shape[0] if isinstance(uncond, dict) else uncond.shape[0]
        without = x_out[-rows:]
        joined = without.clone()
        for picture, conds in enumerate(conds_list):
            for place, weight in conds:
                joined[picture] += (x_out[place] - without[picture]) * (weight * cond_scale)
        return joined

    def combine_denoised_for_edit_model(self, x_out: Tensor, cond_scale: float) -> Tensor:
        """Return the three answers of a model that changes pictures by instructions joined."""
        both, picture, neither = x_out.chunk(3)
        return neither + cond_scale * (both - picture) + (self.image_cfg_scale or 1.0) * (picture - neither)

    def get_pred_x0(self, x_in: Tensor, x_out: Tensor, sigma: Tensor) -> Tensor:
        """Return the answer as x0, which it is."""
        return x_out

    def forward(self, x: Tensor, sigma: Tensor, *_: object, **__: object) -> Tensor:
        """Return x0 with guidance; what else A1111 hands over, the engine knows. Raises RuntimeError without a run."""
        if self.denoise is None:
            raise RuntimeError("This denoiser belongs to no run that is at work.")
        return self.denoise(x, sigma)
