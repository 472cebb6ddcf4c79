"""A1111's modules.sd_unet: U-Nets that extensions bring along, which take the place of the checkpoint's own."""

from __future__ import annotations

from typing import Any

from modules.a1111._host import HOST
from modules.a1111.script_callbacks import list_unets_callback
from modules.a1111.shared_options import options

AUTOMATIC, NONE = "Automatic", "None"


class SdUnetOption:
    """A U-Net that may be chosen. `model_name`: of the checkpoint for which it is chosen by itself."""

    model_name: str | None = None
    label: str | None = None

    def create_unet(self) -> SdUnet:
        """Return the U-Net, not loaded yet."""
        raise NotImplementedError


class SdUnet:
    """A U-Net."""

    def forward(self, x: Any, timesteps: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what it predicts for latents of unit variance: (rows, channels, height/8, width/8)."""
        raise NotImplementedError

    def activate(self) -> None:
        """Come into memory."""

    def deactivate(self) -> None:
        """Leave the memory."""


class _Chosen:
    """The options that there are, and what is at work of them."""

    def __init__(self) -> None:
        self.options: list[SdUnetOption] = []
        self.option: SdUnetOption | None = None
        self.unet: SdUnet | None = None


def _chosen() -> _Chosen:
    made: _Chosen = HOST.state("sd_unet", _Chosen)
    return made


def list_unets() -> None:
    """Ask the extensions for theirs."""
    _chosen().options[:] = list_unets_callback()


def get_unet_option(option: str | None = None) -> SdUnetOption | None:
    """Return the U-Net that an option's value chooses; None: the checkpoint's own."""
    wanted = option or getattr(options(), "sd_unet", AUTOMATIC)
    if wanted == NONE:
        return None
    if wanted == AUTOMATIC:
        name = _checkpoint_name()
        fitting = [each for each in _chosen().options if each.model_name == name]
        wanted = fitting[0].label if fitting else NONE
    return next((each for each in _chosen().options if each.label == wanted), None)


def apply_unet(option: str | None = None) -> None:
    """Put the chosen U-Net in the place of the checkpoint's own, or that back."""
    chosen, found = _chosen(), get_unet_option(option)
    if found is chosen.option:
        return
    if chosen.unet is not None:
        chosen.unet.deactivate()
    chosen.option, chosen.unet = found, None
    if found is not None:
        unet = found.create_unet()
        unet.activate()
        chosen.unet = unet


def current() -> SdUnet | None:
    """Return the U-Net that is at work in the place of the checkpoint's own."""
    return _chosen().unet


def _checkpoint_name() -> str:
    model = HOST.own_state.get("sd_model")
    return str(model.sd_checkpoint_info.model_name) if model is not None else ""


def __getattr__(name: str) -> Any:
    """Return what belongs to the connected Easel."""
    if name == "unet_options":
        return _chosen().options
    if name == "current_unet":
        return _chosen().unet
    if name == "current_unet_option":
        return _chosen().option
    raise AttributeError(name)
