"""What A1111's own scripts offer to extensions, and the file that extensions read before anything was kept in it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modules.a1111 import shared
from modules.core.errors import InvalidRequest
from modules.imaging.resize import upscaled
from tests.a1111.conftest import Start

PICTURE = Image.radial_gradient("L").resize((40, 30)).convert("RGB")


@pytest.fixture
def upscale(start: Start) -> Any:
    start("sample-callbacks")
    return importlib.import_module("scripts.postprocessing_upscale")


def processed(upscale: Any, **values: Any) -> Any:
    picture = upscale.scripts_postprocessing.PostprocessedImage(PICTURE)
    script = upscale.ScriptPostprocessingUpscale()
    script.process_firstpass(picture, **values)
    script.process(picture, **{"upscaler_1_name": "Lanczos", **values})
    return picture


def test_a_picture_is_enlarged_by_a_factor(upscale: Any) -> None:
    made = processed(upscale, upscale_mode=0, upscale_by=2)
    assert made.image.tobytes() == upscaled(PICTURE, 80, 60, "Lanczos").tobytes()
    assert made.info == {"Postprocess upscale by": 2.0, "Postprocess upscaler": "Lanczos"}
    assert (made.shared.target_width, made.shared.target_height) == (80, 60)
    limited = processed(upscale, upscale_mode=0, upscale_by=4, max_side_length=100)
    assert limited.image.size == (100, 75)


def test_a_picture_is_enlarged_until_it_covers_a_size_and_cut_to_it(upscale: Any) -> None:
    size = {"upscale_mode": 1, "upscale_to_width": 80, "upscale_to_height": 80}
    made = processed(upscale, **size)
    assert made.image.size == (106, 80)
    assert made.info["Postprocess upscale to"] == "80x80"
    cut = processed(upscale, **size, upscale_crop=True)
    assert cut.image.tobytes() == made.image.crop((13, 0, 93, 80)).tobytes()
    assert cut.info["Postprocess crop to"] == "80x80"


def test_two_upscalers_are_mixed(upscale: Any) -> None:
    one, other = (processed(upscale, upscale_mode=0, upscaler_1_name=name).image for name in ("Lanczos", "Nearest"))
    mixed = processed(upscale, upscale_mode=0, upscaler_2_name="Nearest", upscaler_2_visibility=0.25)
    assert mixed.image.tobytes() == Image.blend(one, other, 0.25).tobytes()
    assert mixed.info["Postprocess upscaler 2"] == "Nearest"


def test_what_cannot_be_is_named(upscale: Any) -> None:
    with pytest.raises(InvalidRequest, match="Upscaler: Magic is not possible; allowed is one of None, Lanczos"):
        processed(upscale, upscaler_1_name="Magic", upscale_mode=0)
    with pytest.raises(InvalidRequest, match="Upscale to: Nonex7 is not possible"):
        processed(upscale, upscale_mode=1, upscale_to_height=7)
    assert processed(upscale, upscaler_1_name="None").image is PICTURE


def test_a1111s_files_are_there_before_extensions_are_imported_and_are_never_written_over(start: Start) -> None:
    easel = start("sample-callbacks")
    file, options = Path(shared.cmd_opts.ui_config_file), Path(shared.cmd_opts.ui_settings_file)
    assert file.parent == options.parent == easel.services.config.data_dir
    assert json.loads(file.read_text()) == json.loads(options.read_text()) == {}
    file.write_text('{"txt2img/Steps/value": 7}')
    start()
    assert json.loads(file.read_text()) == {"txt2img/Steps/value": 7}
