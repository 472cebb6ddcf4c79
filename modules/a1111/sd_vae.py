"""A1111's modules.sd_vae: Easel's VAE files as A1111's list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modules.a1111 import paths_internal, sd_models
from modules.a1111._host import HOST

unspecified = object
loaded_vae_file = None
base_vae = None
checkpoint_info = None
checkpoints_loaded: tuple[()] = ()
vae_ignore_keys = frozenset({"model_ema.decay", "model_ema.num_updates"})


def __getattr__(name: str) -> Any:
    """Return the list as it is now."""
    if name == "vae_dict":
        vaes = HOST.services.files.vaes if HOST.services is not None else None
        return {entry.name: str(entry.path) for entry in vaes.entries()} if vaes is not None else {}
    if name == "vae_path":
        return str(Path(paths_internal.models_path) / "VAE")
    raise AttributeError(name)


def get_filename(filepath: str) -> str:
    """Return a file's name."""
    return Path(filepath).name


def refresh_vae_list() -> None:
    """Look at the VAE folders again."""
    vaes = HOST.connected.files.vaes
    if vaes is not None:
        vaes.refresh()


def load_vae_dict(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Return a VAE file's tensors, without those of its loss."""
    tensors = sd_models.read_state_dict(filename, map_location=map_location)
    left_out = {name for name in tensors if name.startswith("loss")} | vae_ignore_keys
    return {name: tensor for name, tensor in tensors.items() if name not in left_out}


def get_loaded_vae_name() -> str | None:
    """Return the name of the VAE that is set by itself; None for the checkpoint's own."""
    chosen = HOST.connected.settings.get("sd_vae")
    return None if chosen in ("Automatic", "None", "") else str(chosen)


def is_automatic() -> bool:
    """Say whether the VAE is left to the checkpoint."""
    return HOST.connected.settings.get("sd_vae") in ("Automatic", "auto")


def reload_vae_weights(sd_model: Any = None, vae_file: Any = unspecified) -> Any:
    """Choose a VAE file for all that follows, where one is given."""
    if isinstance(vae_file, str):
        HOST.connected.settings.update({"sd_vae": Path(vae_file).name})
    return sd_model


def clear_loaded_vae() -> None:
    """Do nothing: the engine keeps its VAEs."""


def load_vae(model: Any, vae_file: str | None = None, vae_source: str = "from unknown source") -> None:
    """Choose a VAE file for all that follows."""
    reload_vae_weights(model, vae_file if vae_file else unspecified)
