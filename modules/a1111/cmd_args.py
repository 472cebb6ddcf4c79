"""A1111's modules.cmd_args: a parser that knows Easel's flags and A1111's, to which extensions' preload.py may add.

A flag of A1111's that Easel does not know itself is accepted here so that `parse_args` never fails on a real command
line; what it holds is A1111's default.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modules.cli import REPO_ROOT, build_parser

_FLAGS = (
    "lowvram", "medvram", "medvram_sdxl", "lowram", "no_half", "no_half_vae", "upcast_sampling", "share", "listen",
    "api", "nowebui", "freeze_settings", "disable_console_progressbars", "disable_nan_check", "hide_ui_dir_config",
    "enable_insecure_extension_access", "opt_channelslast", "disable_safe_unpickle", "use_ipex", "use_textbox_seed",
    "no_gradio_queue", "no_prompt_history", "unix_filenames_sanitization", "xformers", "force_enable_xformers",
    "api_log", "api_server_stop", "skip_install", "skip_load_model_at_start", "no_hashing", "do_not_download_clip",
    "no_download_sd_model", "administrator", "no_progressbar_hiding", "lyco_patch_lora", "gradio_debug",
    "gradio_inpaint_tool", "opt_sdp_attention", "opt_sdp_no_mem_attention", "opt_sub_quad_attention",
    "opt_split_attention", "opt_split_attention_v1", "opt_split_attention_invokeai", "disable_opt_split_attention",
    "disable_model_loading_ram_optimization", "disable_extra_extensions", "disable_all_extensions", "autolaunch",
)  # fmt: skip
_VALUES = {
    "precision": "autocast", "loglevel": None, "device_id": None, "use_cpu": [], "port": None, "server_name": None,
    "ngrok": None, "ngrok_region": "", "ngrok_options": {}, "gradio_auth": None, "gradio_auth_path": None,
    "api_auth": None, "theme": None, "cors_allow_origins": None, "cors_allow_origins_regex": None, "tls_keyfile": None,
    "tls_certfile": None, "gradio_allowed_path": [], "subpath": None, "timeout_keep_alive": 30,
    "sub_quad_q_chunk_size": 1024, "sub_quad_kv_chunk_size": None, "sub_quad_chunk_threshold": None, "config": "",
    "ckpt": "", "localizations_dir": "localizations", "ui_config_file": "ui-config.json", "vae_path": None,
    "lyco_dir_backcompat": "", "styles_file": [], "max_batch_count": 16, "deepdanbooru": None, "clip_models_path": None,
    "allow_code": False, "update_check": False, "gradio_img2img_tool": None,
}  # fmt: skip
FORM_VALUES_FILE = "ui-config.json"
_LISTED_FOLDERS = ("vae_dir", "lora_dir", "ckpt_dir")
_MODEL_FOLDERS = {
    "codeformer_models_path": "Codeformer", "gfpgan_models_path": "GFPGAN", "esrgan_models_path": "ESRGAN",
    "bsrgan_models_path": "BSRGAN", "realesrgan_models_path": "RealESRGAN", "dat_models_path": "DAT",
    "swinir_models_path": "SwinIR", "ldsr_models_path": "LDSR", "scunet_models_path": "ScuNET",
    "hypernetwork_dir": "hypernetworks",
}  # fmt: skip


class TolerantParser(argparse.ArgumentParser):
    """Takes what it does not know, since the command line may hold flags of an extension that is off."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.wanted_again: list[argparse.Action] = []
        super().__init__(*args, **kwargs)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Return the flags; unknown ones are left out."""
        return self.parse_known_args(args, namespace)[0]

    def add_argument(self, *names: str, **rest: Any) -> argparse.Action:  # type: ignore[override]
        """Add a flag; one that is there already stays and takes the default, since two extensions may want the same."""
        known = next((self._option_string_actions[name] for name in names if name in self._option_string_actions), None)
        if known is None:
            return super().add_argument(*names, **rest)
        if "default" in rest:
            known.default = rest["default"]
        self.wanted_again.append(known)
        return known

    @contextmanager
    def declaring(self) -> Iterator[list[argparse.Action]]:
        """Collect the flags that are added inside, also to groups; the list is complete when the block ends."""
        before, found = len(self._actions), list[argparse.Action]()
        self.wanted_again.clear()
        try:
            yield found
        finally:
            own = build_parser()._option_string_actions  # noqa: SLF001
            again = [action for action in self.wanted_again if not own.keys() & set(action.option_strings)]
            found += [*self._actions[before:], *again]


def _make() -> TolerantParser:
    parent = build_parser()
    made = TolerantParser(parents=[parent], add_help=False, conflict_handler="resolve", allow_abbrev=False)
    known = {action.dest for action in made._actions}  # noqa: SLF001
    for name in _FLAGS:
        if name not in known:
            made.add_argument(f"--{name.replace('_', '-')}", action="store_true", default=False)
    for name, default in _VALUES.items():
        if name not in known:
            made.add_argument(f"--{name.replace('_', '-')}", default=default)
    return made


PARSER = _make()
parser = PARSER


def completed(flags: argparse.Namespace, data_dir: Path = REPO_ROOT, models_dir: Path | None = None) -> None:
    """Give parsed flags the folders that A1111 has defaults for, as texts."""
    models = models_dir or data_dir / "models"
    mode = getattr(flags, "memory_mode", "normal")
    flags.lowvram, flags.medvram = mode == "low", mode == "medium"
    for name in ("no_half", "no_half_vae", "medvram_sdxl", "share", "listen"):
        setattr(flags, name, bool(getattr(flags, name, False)))
    flags.data_dir, flags.models_dir = str(data_dir), str(models)
    flags.embeddings_dir = str(data_dir / "embeddings")
    flags.ui_settings_file = str(data_dir / "config.json")
    flags.ui_config_file = str(data_dir / FORM_VALUES_FILE)
    for name, folder in _MODEL_FOLDERS.items():
        setattr(flags, name, str(models / folder))
    for name in _LISTED_FOLDERS:
        given = getattr(flags, name, None)
        if isinstance(given, (list, tuple)):
            setattr(flags, name, str(given[0]) if given else None)
    flags.lora_dir = flags.lora_dir or str(models / "Lora")
