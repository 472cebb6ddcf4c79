"""What callbacks are given: values of A1111's names. Which of them may be changed is said with each."""

from __future__ import annotations

from typing import Any


class ImageSaveParams:
    """A picture about to be saved, or just saved. Before saving `image` and `pnginfo` may be changed."""

    def __init__(self, image: Any, p: Any, filename: str, pnginfo: dict[str, Any]) -> None:
        self.image = image
        self.p = p
        self.filename = filename
        self.pnginfo = pnginfo


class ExtraNoiseParams:
    """Noise that is added beyond what a pass takes; `noise` may be changed. `x`: clean latents, `xi`: noisy ones."""

    def __init__(self, noise: Any, x: Any, xi: Any) -> None:
        self.noise = noise
        self.x = x
        self.xi = xi


class CFGDenoiserParams:
    """What the network is about to be asked; `x`, `text_cond` and `text_uncond` may be changed.

    `x`: (prompts * batch, channels, rows, columns), the negative prompt's last; `sigma`: (prompts * batch,).
    """

    def __init__(  # noqa: PLR0913 (A1111's signature)
        self, x: Any, image_cond: Any, sigma: Any, sampling_step: int, total_sampling_steps: int, text_cond: Any,
        text_uncond: Any, denoiser: Any = None,
    ) -> None:  # fmt: skip
        self.x = x
        self.image_cond = image_cond
        self.sigma = sigma
        self.sampling_step = sampling_step
        self.total_sampling_steps = total_sampling_steps
        self.text_cond = text_cond
        self.text_uncond = text_uncond
        self.denoiser = denoiser


class CFGDenoisedParams:
    """What the network answered; `x` as in CFGDenoiserParams, clean, may be changed in place or replaced."""

    def __init__(self, x: Any, sampling_step: int, total_sampling_steps: int, inner_model: Any) -> None:
        self.x = x
        self.sampling_step = sampling_step
        self.total_sampling_steps = total_sampling_steps
        self.inner_model = inner_model


class AfterCFGCallbackParams:
    """The prompts' answers joined; `x`: (batch, channels, rows, columns), clean, may be changed."""

    def __init__(self, x: Any, sampling_step: int, total_sampling_steps: int) -> None:
        self.x = x
        self.sampling_step = sampling_step
        self.total_sampling_steps = total_sampling_steps
        self.output_altered = False


class UiTrainTabParams:
    """What stands on the Train tab, which Easel does not have."""

    def __init__(self, txt2img_preview_params: Any) -> None:
        self.txt2img_preview_params = txt2img_preview_params


class ImageGridLoopParams:
    """How pictures are laid out in a grid; all may be changed."""

    def __init__(self, imgs: list[Any], cols: int, rows: int) -> None:
        self.imgs = imgs
        self.cols = cols
        self.rows = rows


class BeforeTokenCounterParams:
    """A prompt whose tokens are about to be counted; `prompt` may be changed."""

    def __init__(self, prompt: str, steps: int, styles: list[str], is_positive: bool = True) -> None:
        self.prompt = prompt
        self.steps = steps
        self.styles = styles
        self.is_positive = is_positive
