"""A folder of A1111's, as it is, works as our data folder."""

from __future__ import annotations

import json
from pathlib import Path

from modules.cli import parse_arguments
from modules.library.files import ModelFiles
from modules.settings.store import SettingsStore
from tests import layouts
from tests.layouts import write_header_only

CONFIG = {
    "sd_model_checkpoint": "anime/best [v2].safetensors [0123456789]", "sd_vae": "Automatic",
    "CLIP_stop_at_last_layers": 2, "samples_format": "png", "outdir_txt2img_samples": "", "lora_functional": False,
    "ldsr_steps": 100, "sd_checkpoint_hash": "abc", "disabled_extensions": ["a"],
}  # fmt: skip


def test_every_kind_of_file_is_found_where_a1111_has_it(tmp_path: Path) -> None:
    models = tmp_path / "models"
    write_header_only(models / "Stable-diffusion" / "anime" / "best [v2].safetensors", layouts.sd1().shapes())
    write_header_only(models / "Stable-diffusion" / "xl.safetensors", layouts.sdxl().shapes())
    (models / "Stable-diffusion" / "anime" / "best [v2].vae.pt").write_bytes(b"")
    (models / "Stable-diffusion" / "anime" / "best [v2].yaml").write_text("model: {}", encoding="utf-8")
    write_header_only(models / "VAE" / "mse.vae.safetensors", {"encoder.conv_in.weight": (1,)})
    write_header_only(models / "Lora" / "style" / "ink.safetensors", {"lora_unet_mid_block.lora_up.weight": (1, 1)})
    for name in ("embeddings/bad_hands.pt", "models/hypernetworks/old.pt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    files = ModelFiles.of(parse_arguments(["--data-dir", str(tmp_path)]))
    usable = {entry.name: entry.family for entry in files.checkpoints.entries() if entry.usable}
    assert {name: family for name, family in usable.items() if name != "starter"} == {
        "anime/best [v2].safetensors": "sd1", "xl.safetensors": "sdxl",
    }  # fmt: skip
    assert files.vaes is not None
    assert files.vaes.names() == ["Automatic", "None", "best [v2].vae.pt", "mse.vae.safetensors"]
    for folder, name in ((files.loras, "ink"), (files.embeddings, "bad_hands"), (files.hypernetworks, "old")):
        assert folder is not None
        found = folder.find(name)
        assert found is not None
        assert found.path.stem == name


def test_its_settings_are_taken_over_and_what_is_unknown_stays_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    settings = SettingsStore(parse_arguments(["--data-dir", str(tmp_path)]).settings_file)
    assert settings.get("CLIP_stop_at_last_layers") == 2
    assert settings.get("sd_model_checkpoint") == CONFIG["sd_model_checkpoint"]
    settings.update({"CLIP_stop_at_last_layers": 1})
    written = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert written == CONFIG | {"CLIP_stop_at_last_layers": 1}
