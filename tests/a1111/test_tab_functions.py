"""What A1111's Generate buttons call, called by an extension: second passes of a gallery's picture, and batches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modules.a1111 import img2img, processing, scripts, txt2img
from modules.imaging.metadata import embed
from tests.a1111.conftest import Easel, Start

FORM: dict[str, Any] = {
    "prompt": "a red apple", "negative_prompt": "", "prompt_styles": [], "n_iter": 2, "batch_size": 2, "cfg_scale": 3,
    "height": 64, "width": 64, "enable_hr": False, "denoising_strength": 0.5, "hr_scale": 2.0, "hr_upscaler": "Nearest",
    "hr_second_pass_steps": 2, "hr_resize_x": 0, "hr_resize_y": 0, "hr_checkpoint_name": "Use same checkpoint",
    "hr_sampler_name": "Use same sampler", "hr_scheduler": "Use same scheduler", "hr_prompt": "",
    "hr_negative_prompt": "", "override_settings_texts": [],
}  # fmt: skip


@pytest.fixture
def easel(start: Start) -> Easel:
    return start("sample-always-on")


def arguments() -> list[Any]:
    return scripts.scripts_txt2img.default_arguments()


def test_a_picture_of_the_gallery_is_made_larger_in_its_place(easel: Easel) -> None:
    seen: list[Any] = []
    process, title = scripts.scripts_txt2img.alwayson_scripts[0].process, "a red apple"
    scripts.scripts_txt2img.alwayson_scripts[0].process = lambda p, *args: seen.append(p) or process(p, *args)
    gallery = [Image.new("RGB", (64, 64), colour) for colour in ("black", "green", "blue")]
    texts = [f"{title}\nSteps: 2, Sampler: Euler, Seed: {seed}" for seed in (1, 2, 3)]
    info = {"infotexts": texts, "index_of_first_image": 0}
    form = [*FORM.values(), *arguments()]
    pictures, told, html, _ = txt2img.txt2img_upscale("", None, gallery, 1, json.dumps(info), *form)
    assert [picture.size for picture in pictures] == [(64, 64), (128, 128), (64, 64)]
    assert [getattr(seen[0], name) for name in ("seed", "enable_hr", "batch_size", "n_iter")] == [2, True, 1, 1]
    assert seen[0].txt2img_upscale
    assert "Seed: 2" in json.loads(told)["infotexts"][1]
    assert "Hires upscaler: Nearest" in html
    made = np.asarray(pictures[1], dtype=int).reshape(-1, 3).mean(axis=0)
    assert made[1] > made[0] + 30, "it is made of the green picture"


def test_a_picture_that_is_not_there_is_refused(easel: Easel) -> None:
    with pytest.raises(ValueError, match="There is no picture 3"):
        txt2img.txt2img_upscale("", None, [None], 3, json.dumps({"infotexts": []}), *FORM.values(), 0)


def test_a_batch_works_over_a_folder_and_writes_under_the_same_names(easel: Easel, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name, colour in (("b", "blue"), ("a", "green")):
        picture = Image.new("RGB", (64, 64), colour)
        (source / f"{name}.png").write_bytes(embed(picture, f"of {name}\nSteps: 1, Sampler: Euler, Seed: 9", "png", 90))
    (source / "broken.png").write_bytes(b"nothing")
    (source / "notes.txt").write_text("no picture", encoding="utf-8")
    p = processing.StableDiffusionProcessingImg2Img(
        prompt="a red apple", steps=2, width=64, height=64, sampler_name="Euler", seed=5, denoising_strength=0.5,
    )  # fmt: skip
    made = img2img.process_batch(
        p, str(source), str(target), "", (), use_png_info=True, png_info_props=["Prompt", "Seed"]
    )
    assert sorted(file.name for file in target.iterdir()) == ["a.png", "b.png"]
    assert [text.splitlines()[0] for text in made.infotexts] == ["a red apple of a", "a red apple of b"]
    assert ["Seed: 9" in text for text in made.infotexts] == [True, True]
    assert "a red apple of b" in Image.open(target / "b.png").info["parameters"]
    assert (p.prompt, p.seed) == ("a red apple of b", 9)


def test_the_img2img_button_works_over_a_picture_with_a_mask(easel: Easel) -> None:
    picture, mask = Image.new("RGB", (64, 64), "green"), Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    form = dict.fromkeys(
        ("init_img", "sketch", "init_img_with_mask", "inpaint_color_sketch", "inpaint_color_sketch_orig"), None
    )
    values = [
        "a red apple", "", [], *form.values(), picture, mask, 0, 0.0, 1, 1, 1, 3.0, 1.5, 0.9, 0, 64, 64, 1.0, 0, False,
        32, 0, "", "", "", [], False, [], "", "upload", [],
    ]  # fmt: skip
    images, _, html, _ = img2img.img2img("", None, img2img.INPAINT_UPLOAD, *values, *arguments())
    made = np.asarray(images[0], dtype=int)
    assert (made[:, 40:] == (0, 128, 0)).all()
    assert not (made[:, :24] == (0, 128, 0)).all()
    assert "Denoising strength: 0.9" in html
