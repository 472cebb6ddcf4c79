"""A1111's modules.shared: options, flags, state and lists in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from modules.a1111 import devices, paths_internal, shared_cmd_options, shared_options, shared_state
from modules.a1111._host import HOST
from modules.a1111._model import ModelFacade
from modules.a1111._restorers import FaceRestorers
from modules.a1111.cmd_args import parser
from modules.a1111.options import OptionHTML, OptionInfo, options_section
from modules.a1111.shared_items import list_checkpoint_tiles, list_samplers, refresh_checkpoints, reload_hypernetworks
from modules.a1111.shared_options import hide_dirs, restricted_opts
from modules.a1111.shared_total_tqdm import TotalTQDM
from modules.a1111.styles import StyleDatabase
from modules.a1111.upscaler import all_upscalers
from modules.a1111.util import html, html_path, ldm_print, listfiles, natural_sort_key, walk_files
from modules.imaging.resize import LATENT_UPSCALERS

__all__ = [
    "OptionHTML", "OptionInfo", "hide_dirs", "html", "html_path", "ldm_print", "list_checkpoint_tiles", "list_samplers",
    "listfiles", "natural_sort_key", "options_section", "parser", "refresh_checkpoints", "reload_hypernetworks",
    "restricted_opts", "walk_files",
]  # fmt: skip

batch_cond_uncond = True
parallel_processing_allowed = True
xformers_available = False
gradio_theme = None
settings_components: Any = None
tab_names = ()
demo = None
clip_model = None
loaded_hypernetworks = ()
progress_print_out = None
hf_endpoint = "https://huggingface.co"
latent_upscale_default_mode = "Latent"
LATENT_UPSCALE_MODES = MappingProxyType({
    label: {"mode": mode, "antialias": antialiased} for label, (mode, antialiased) in LATENT_UPSCALERS.items()
})
latent_upscale_modes = LATENT_UPSCALE_MODES


class MemoryMonitor:
    """`mem_mon`: measures nothing, and says so."""

    disabled = True
    opts = None

    def monitor(self) -> None:
        """Do nothing."""

    def stop(self) -> dict[str, int]:
        """Return nothing measured."""
        return {}

    def read(self) -> dict[str, int]:
        """Return nothing measured."""
        return {}


def _sd_upscalers() -> Any:
    return HOST.state("sd_upscalers", all_upscalers)


_LATER: Mapping[str, Callable[[], Any]] = MappingProxyType({
    "opts": shared_options.options,
    "state": shared_state.state,
    "cmd_opts": lambda: shared_cmd_options.cmd_opts,
    "sd_model": lambda: HOST.state("sd_model", ModelFacade),
    "device": lambda: devices.device,
    "weight_load_location": lambda: None,
    "total_tqdm": lambda: HOST.state("total_tqdm", TotalTQDM),
    "mem_mon": lambda: HOST.state("mem_mon", MemoryMonitor),
    "prompt_styles": lambda: HOST.state("prompt_styles", StyleDatabase),
    "sd_upscalers": _sd_upscalers,
    "face_restorers": lambda: HOST.state("face_restorers", FaceRestorers),
    "options_templates": lambda: shared_options.options_templates,
    "config_filename": lambda: str(HOST.config.settings_file),
    "styles_filename": lambda: [str(path) for path in HOST.config.styles_files],
    "data_path": lambda: paths_internal.data_path,
    "models_path": lambda: paths_internal.models_path,
    "script_path": lambda: paths_internal.script_path,
    "hypernetworks": dict,
})


def __getattr__(name: str) -> Any:
    """Return what belongs to the connected Easel."""
    make = _LATER.get(name)
    if make is None:
        raise AttributeError(name)
    return make()
