"""A1111's modules.shared_items: lists for dropdowns, as they are now."""

from __future__ import annotations

from typing import Any

from modules.a1111 import options, sd_models, sd_samplers, sd_unet, sd_vae
from modules.a1111._host import HOST
from modules.core.parameters import PARAMETERS


def sd_vae_items() -> list[str]:
    """Return the VAEs that may be chosen."""
    return ["Automatic", "None", *sd_vae.vae_dict]


def refresh_vae_list() -> None:
    """Look at the VAE folders again."""
    sd_vae.refresh_vae_list()


def sd_unet_items() -> list[str]:
    """Return the U-Nets that may be chosen: the checkpoint's own, and those of extensions."""
    return ["Automatic", "None", *(str(option.label) for option in sd_unet.unet_options)]


def refresh_unet_list() -> None:
    """Ask the extensions for theirs again."""
    sd_unet.list_unets()


def refresh_checkpoints() -> None:
    """Look at the checkpoint folders again."""
    sd_models.list_models()


def list_checkpoint_tiles(use_short: bool = False) -> list[str]:
    """Return the checkpoints' titles."""
    return sd_models.checkpoint_tiles(use_short)


def list_samplers() -> list[Any]:
    """Return the samplers."""
    return list(sd_samplers.all_samplers)


def reload_hypernetworks() -> None:
    """Look at the folders of hypernetworks again."""
    folder = HOST.connected.files.hypernetworks
    if folder is not None:
        folder.refresh()


def get_infotext_names() -> list[str]:
    """Return the keys of infotexts that stand for options."""
    own = [parameter.infotext for parameter in PARAMETERS.values() if parameter.infotext and parameter.option]
    labels: dict[str, options.OptionInfo] = HOST.state("opts", options.Options).data_labels
    return [*own, *(info.infotext for info in labels.values() if info.infotext)]


def cross_attention_optimizations() -> list[str]:
    """Return the ways to compute attention that may be chosen."""
    return ["Automatic", "None"]


def dat_models_names() -> list[str]:
    """Return no names: there are no such models."""
    return []


def realesrgan_models_names() -> list[str]:
    """Return no names: there are no such models."""
    return []


def postprocessing_scripts() -> list[Any]:
    """Return the scripts of the Extras tab."""
    runner = HOST.state("scripts_postproc", lambda: None)
    return list(runner.scripts) if runner is not None else []
