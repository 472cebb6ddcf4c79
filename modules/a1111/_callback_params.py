"""What callbacks are given: values of A1111's names. Which of them may be changed is said with each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Checked:
    """An attribute that may be changed to a value of the same kind; what else is assigned is the assigner's error."""

    def __init__(self, kind: str, look: Callable[[Any], Any]) -> None:
        """`look` returns what must stay the same; `kind` says it in words."""
        self._kind = kind
        self._look = look
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, holder: Any, owner: type | None = None) -> Any:
        return self if holder is None else vars(holder)[self._name]

    def __set__(self, holder: Any, value: Any) -> None:
        """Take a value. Raises ValueError for one of another kind than the first."""
        old = vars(holder).get(self._name)
        if old is not None and self._look(old) != self._look(value):
            raise ValueError(
                f"{type(holder).__name__}.{self._name} must keep its {self._kind}, {self._look(old)}; "
                f"{self._look(value)} was assigned"
            )
        vars(holder)[self._name] = value


def shape_of(value: Any) -> Any:
    """Return a tensor's shape; of what is none, its type's name."""
    return tuple(value.shape) if hasattr(value, "shape") else type(value).__name__


def _rows(value: Any) -> Any:
    tensor = value["crossattn"] if isinstance(value, dict) and "crossattn" in value else value
    return tensor.shape[0] if hasattr(tensor, "shape") else type(value).__name__


class ImageSaveParams:
    """A picture about to be saved, or just saved. Before saving `image` and `pnginfo` may be changed."""

    def __init__(self, image: Any, p: Any, filename: str, pnginfo: dict[str, Any]) -> None:
        self.image = image
        self.p = p
        self.filename = filename
        self.pnginfo = pnginfo


class ExtraNoiseParams:
    """Noise that is added beyond what a pass takes; `noise` may be changed. `x`: clean latents, `xi`: noisy ones."""

    noise = Checked("shape", shape_of)

    def __init__(self, noise: Any, x: Any, xi: Any) -> None:
        self.noise = noise
        self.x = x
        self.xi = xi


class CFGDenoiserParams:
    """What the network is about to be asked; `x`, `text_cond` and `text_uncond` may be changed.

    `x`: (prompts * batch, channels, rows, columns), the negative prompt's last; `sigma`: (prompts * batch,).
    """

    x = Checked("shape", shape_of)
    text_cond = Checked("number of rows", _rows)
    text_uncond = Checked("number of rows", _rows)

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

    x = Checked("shape", shape_of)

    def __init__(self, x: Any, sampling_step: int, total_sampling_steps: int, inner_model: Any) -> None:
        self.x = x
        self.sampling_step = sampling_step
        self.total_sampling_steps = total_sampling_steps
        self.inner_model = inner_model


class AfterCFGCallbackParams:
    """The prompts' answers joined; `x`: (batch, channels, rows, columns), clean, may be changed."""

    x = Checked("shape", shape_of)

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
