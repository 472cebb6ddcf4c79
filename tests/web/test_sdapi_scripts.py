"""Plugins through A1111's API: by title, with arguments by position, and what they become."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.web.api import ask, refusal
from tests.web.site import Site
from tests.web.test_sdapi_img2img import ask_over

SOFT = {
    "schedule_bias": 1.0, "preservation_strength": 0.5, "transition_contrast_boost": 4.0, "mask_influence": 0.0,
    "difference_threshold": 0.5, "difference_contrast": 2.0,
}  # fmt: skip
MK2 = {
    "pixels": 128, "mask_blur": 8, "direction": "left, right, up, down", "fall_off_exponent": 1.0,
    "color_variation": 0.05,
}  # fmt: skip
POOR = {"pixels": 128, "mask_blur": 4, "masked_content": "fill", "direction": "left, right, up, down"}


def extras(client: TestClient, site: Site, **fields: object) -> Any:
    answer = ask_over(client, **fields)
    assert answer.status_code == 200, answer.text
    return site.engine.runs[-1][0].extras


def soft(*arguments: object) -> dict[str, object]:
    return {"alwayson_scripts": {"Soft Inpainting": {"args": list(arguments)}}}


@pytest.mark.parametrize(("fields", "wanted"), [
    ({}, {}),
    (soft(), {}),
    (soft(False, 2), {}),
    (soft(True), {"soft_inpainting": SOFT}),
    (soft(True, 2, None, 8), {"soft_inpainting": SOFT | {"schedule_bias": 2.0, "transition_contrast_boost": 8.0}}),
    ({"alwayson_scripts": {"soft inpainting": {"args": {"enabled": True, "mask_influence": 1}}}},
     {"soft_inpainting": SOFT | {"mask_influence": 1.0}}),
    ({"script_name": "outpainting mk2"}, {"outpainting_mk2": MK2}),
    ({"script_name": "Outpainting mk2", "script_args": [None, 64, 4, ["up", "left"], 1.5, 0.5]},
     {"outpainting_mk2": {"pixels": 64, "mask_blur": 4, "direction": "left, up", "fall_off_exponent": 1.5,
                          "color_variation": 0.5}}),
    ({"script_name": "Poor man's outpainting", "script_args": [64, 2, 2]},
     {"poor_mans_outpainting": POOR | {"pixels": 64, "mask_blur": 2, "masked_content": "latent noise"}}),
    ({"script_name": "outpainting mk2"} | soft(True), {"outpainting_mk2": MK2, "soft_inpainting": SOFT}),
])  # fmt: skip
def test_scripts_are_asked_for_by_title_and_arguments_by_position(
    fields: dict[str, object], wanted: dict[str, object], client: TestClient, site: Site
) -> None:
    assert extras(client, site, **fields) == wanted


@pytest.mark.parametrize(("fields", "words"), [
    ({"script_name": "outpainting"}, "Script 'outpainting' was not found. There are Outpainting mk2, Poor man's"),
    ({"alwayson_scripts": {"ControlNet": {}}}, "'ControlNet' was not found. There are Soft inpainting."),
    ({"alwayson_scripts": {"Outpainting mk2": {"args": []}}}, "it is no always-on script"),
    ({"alwayson_scripts": {"soft inpainting": {"args": "no"}}}, "a list of arguments"),
    (soft(True, 99), "Soft inpainting: Schedule bias: 99.0 is not possible; allowed is a number from 0 to 8"),
    (soft(True, "x"), "Soft inpainting: Schedule bias: x"),
    ({"script_name": "outpainting mk2", "script_args": [0, 64, 8, ["behind"]]}, "at least 1 of left, right, up, down"),
    ({"script_name": "Poor man's outpainting", "script_args": [64, 4, 9]}, "one of fill, original"),
    ({"script_name": "outpainting mk2", "script_args": "no"}, "script_args"),
])  # fmt: skip
def test_wrong_scripts_and_arguments_are_named(fields: dict[str, object], words: str, client: TestClient) -> None:
    told = refusal(ask_over(client, **fields), 422)
    assert words.replace("99.0", "99") in told


def test_scripts_of_img2img_are_none_of_txt2img(client: TestClient) -> None:
    told = refusal(ask(client, script_name="outpainting mk2"), 422)
    assert "There are Prompt matrix, Prompts from file or textbox, X/Y/Z plot." in told


def test_an_infotext_asks_for_scripts_where_the_body_does_not(client: TestClient, site: Site) -> None:
    infotext = (
        "Steps: 3, Sampler: Euler, Seed: 9, Size: 64x64, Soft inpainting enabled: True,"
        " Soft inpainting schedule bias: 2,"
        " Script: Outpainting mk2, Outpainting pixels: 64"
    )
    both = {"soft_inpainting": SOFT | {"schedule_bias": 2.0}, "outpainting_mk2": MK2 | {"pixels": 64}}
    assert extras(client, site, infotext=infotext) == both
    assert extras(client, site, infotext=infotext, **soft(False)) == {"outpainting_mk2": MK2 | {"pixels": 64}}
    assert set(extras(client, site, infotext=infotext, script_name="Poor man's outpainting")) == {
        "soft_inpainting", "poor_mans_outpainting",
    }  # fmt: skip


def test_all_scripts_are_listed_with_their_arguments(client: TestClient) -> None:
    listed = client.get("/sdapi/v1/scripts").json()
    both = ["prompt matrix", "prompts from file or textbox", "x/y/z plot"]
    assert listed == {
        "txt2img": both, "img2img": ["soft inpainting", "outpainting mk2", "poor man's outpainting", *both],
    }  # fmt: skip
    all_infos = client.get("/sdapi/v1/script-info").json()
    assert [(info["name"], info["is_alwayson"], info["is_img2img"]) for info in all_infos] == [
        *((name, False, False) for name in both),
        ("soft inpainting", True, True), ("outpainting mk2", False, True), ("poor man's outpainting", False, True),
        *((name, False, True) for name in both),
    ]  # fmt: skip
    infos = all_infos[len(both) :]
    assert infos[0]["args"][1] == {
        "label": "Schedule bias", "value": 1.0, "minimum": 0, "maximum": 8, "step": 0.1, "choices": None,
    }  # fmt: skip
    assert set(infos[1]["args"][0].values()) == {None}
    assert infos[1]["args"][3]["value"] == ["left", "right", "up", "down"]
    assert infos[1]["args"][3]["choices"] == ["left", "right", "up", "down"]
