"""Scripts of extensions through A1111's API: listed, with arguments by position, and acting in real runs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.a1111._loader import LOADED
from tests.a1111.whole import with_samples
from tests.web.api import ask, make, refusal

ALWAYS_ON = "Sample always on"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("whole")
    with with_samples(folder, "sample-always-on", "sample-axes", "sample-replaces-inner") as (_, client):
        yield client


def calls(module: str) -> Any:
    return next(each for path, each in LOADED.modules.items() if Path(path).stem == module)


def pixels(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), dtype=int)


def test_scripts_are_listed_behind_ours_with_their_controls(real: TestClient) -> None:
    listed = real.get("/sdapi/v1/scripts").json()
    foreign = ["sample always on", "sample axes", "repeat with other seeds", "nested"]
    assert sorted(listed["txt2img"][-4:]) == sorted(listed["img2img"][-4:]) == sorted(foreign)
    assert listed["txt2img"].count("x/y/z plot") == 1
    info = [each for each in real.get("/sdapi/v1/script-info").json() if each["name"] == "sample always on"]
    assert [each["is_img2img"] for each in info] == [False, True]
    nothing = {"minimum": None, "maximum": None, "step": None, "choices": None}
    assert info[0] == {
        "name": "sample always on", "is_alwayson": True, "is_img2img": False,
        "args": [{"label": "Enabled", "value": False} | nothing, {"label": "Suffix", "value": "at night"} | nothing],
    }  # fmt: skip


def test_an_always_on_script_gets_its_arguments_by_position(real: TestClient) -> None:
    plain = make(real, prompt="a red apple, in snow 0")
    made = make(real, prompt="a red apple", alwayson_scripts={"sample ALWAYS on": {"args": [True, "in snow"]}})
    assert made["info"]["extra_generation_params"]["Sample suffix"] == "in snow"
    assert made["info"]["all_prompts"] == ["a red apple, in snow 0"]
    assert np.abs(255 - pixels(made["pictures"][0]) - pixels(plain["pictures"][0])).max() <= 1


def test_controls_without_an_argument_have_the_values_that_they_begin_with(real: TestClient) -> None:
    make(real, alwayson_scripts={ALWAYS_ON: {"args": [True]}})
    processed = [call for call in calls("sample_always_on").CALLS if call[0] == "process"]
    assert processed[-1] == ("process", True, "at night", [5])


def test_a_script_is_chosen_by_its_name(real: TestClient) -> None:
    made = make(real, script_name="Repeat with other seeds", script_args=[])
    assert made["info"]["all_seeds"] == [5, 105, 205]
    assert len(made["pictures"]) == 3
    assert not (pixels(made["pictures"][0]) == pixels(made["pictures"][1])).all()


def test_an_always_on_script_and_a_chosen_one_act_together(real: TestClient) -> None:
    on = {ALWAYS_ON: {"args": [True, "in snow"]}}
    made = make(real, script_name="repeat with other seeds", alwayson_scripts=on)
    assert len(made["pictures"]) == 3
    assert all("Sample suffix: in snow" in text for text in made["info"]["infotexts"])


def test_the_plot_takes_axes_of_extensions(real: TestClient) -> None:
    axes = ["[Sample] Amount", "1-2", None, "Nothing", "", None, "Nothing", "", None]
    made = make(real, script_name="x/y/z plot", script_args=[*axes, True, True, False, False, False, False, False, 0])
    texts = made["info"]["infotexts"]
    assert len(texts) == 3
    assert ["Sample amount: 1.0" in text for text in texts] == [True, True, False]
    assert "X Type: [Sample] Amount" in texts[0]


@pytest.mark.parametrize(("fields", "words"), [
    ({"script_name": "nobody"}, "There are Prompt matrix, Prompts from file or textbox, X/Y/Z plot, Repeat with other"),
    ({"script_name": ALWAYS_ON}, "Script 'Sample always on' was not found"),
    ({"alwayson_scripts": {"Repeat with other seeds": {}}}, "it is no always-on script"),
    ({"alwayson_scripts": {"ControlNet": {}}}, "'ControlNet' was not found. There are Sample always on, Sample axes"),
    ({"alwayson_scripts": {ALWAYS_ON: {"args": "True"}}}, "a list of arguments"),
])  # fmt: skip
def test_what_is_not_there_is_refused_and_what_is_there_named(
    fields: dict[str, object], words: str, real: TestClient
) -> None:
    assert words in refusal(ask(real, **fields), 422)


def test_arguments_that_look_like_our_own_marks_stay_what_they_are(real: TestClient) -> None:
    sly = {"$easel": "file", "path": "/etc/passwd"}
    make(real, alwayson_scripts={ALWAYS_ON: {"args": [False, sly]}})
    assert [call for call in calls("sample_always_on").CALLS if call[0] == "process"][-1][2] == sly


def test_what_extensions_bring_is_listed_and_may_be_asked_for(tmp_path: Path) -> None:
    with with_samples(tmp_path, "sample-parts") as (_, client):
        assert client.get("/sdapi/v1/upscalers").json()[-1]["name"] == "Blocks 2x"
        assert client.get("/sdapi/v1/face-restorers").json() == [{"name": "Blush", "cmd_dir": None}]
        assert [each["name"] for each in client.get("/sdapi/v1/samplers").json()].count("Euler") == 1
        second = {"enable_hr": True, "hr_scale": 2, "denoising_strength": 0.3, "hr_second_pass_steps": 1}
        made = make(client, hr_upscaler="Blocks 2x", restore_faces=True, **second)
        assert (made["info"]["restore_faces"], made["info"]["face_restoration_model"]) == (True, "Blush")
        assert "Hires upscaler: Blocks 2x" in made["info"]["infotexts"][0]
        assert pixels(made["pictures"][0])[:, :, 0].min() == 255
        plain = make(client, restore_faces=False)
        assert plain["info"]["restore_faces"] is False
