"""A1111's img2img: its fields and defaults, and what a body becomes."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from httpx import Response
from PIL import Image
from starlette.testclient import TestClient

from tests.web.api import SMALL, ask, refusal
from tests.web.site import Site


def encoded(colour: str = "red", size: tuple[int, int] = (32, 48), mode: str = "RGB") -> str:
    stream = io.BytesIO()
    Image.new(mode, size, colour).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def ask_over(client: TestClient, **fields: object) -> Response:
    return client.post("/sdapi/v1/img2img", json=SMALL | {"init_images": [encoded()]} | fields)


def made(client: TestClient, site: Site, **fields: object) -> Any:
    answer = ask_over(client, **fields)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["images"]) == 1
    return site.engine.runs[-1][0]


def test_a_picture_is_worked_over_with_a1111s_defaults(client: TestClient, site: Site) -> None:
    request = made(client, site)
    assert (request.denoising_strength, request.resize_mode, request.mask_image) == (0.75, 0, "")
    assert (request.masked_content, request.inpaint_area, request.masked_padding) == ("fill", "Only masked", 0)
    assert (request.mask_blur_x, request.mask_blur_y, request.mask_round) == (4, 4, True)
    assert site.services.inputs.load(request.init_image).size == (32, 48)


def test_every_field_of_inpainting_acts(client: TestClient, site: Site) -> None:
    request = made(
        client, site, mask=encoded("white", mode="L"), mask_blur=9, inpainting_fill=2, inpaint_full_res=False,
        inpaint_full_res_padding=64, inpainting_mask_invert=1, mask_round=False, resize_mode=2,
        initial_noise_multiplier=0.5, denoising_strength=0.3,
    )  # fmt: skip
    assert (request.mask_blur_x, request.mask_blur_y, request.masked_content) == (9, 9, "latent noise")
    assert (request.inpaint_area, request.masked_padding) == ("Whole picture", 64)
    assert (request.mask_mode, request.mask_round, request.resize_mode) == ("Inpaint not masked", False, 2)
    assert (request.noise_multiplier, request.denoising_strength) == (0.5, 0.3)
    assert request.inpaints()
    assert site.services.inputs.load(request.mask_image).mode == "L"
    assert made(client, site, mask_blur_x=1, mask_blur_y=2).mask_blur_y == 2


def test_the_pictures_are_told_back_only_on_request(client: TestClient) -> None:
    told = ask_over(client).json()["parameters"]
    assert told["init_images"] is told["mask"] is None
    assert (told["inpainting_fill"], told["inpaint_full_res"], told["denoising_strength"]) == (0, True, None)
    assert "enable_hr" not in told
    back = ask_over(client, include_init_images=True).json()["parameters"]
    assert back["init_images"] == [encoded()]


def test_info_says_whether_a_mask_was_used(client: TestClient) -> None:
    plain, masked = ask_over(client), ask_over(client, mask=encoded("white"))
    used = [json.loads(answer.json()["info"])["is_using_inpainting_conditioning"] for answer in (plain, masked)]
    assert used == [False, True]


def test_an_infotext_fills_what_the_body_leaves_open(client: TestClient, site: Site) -> None:
    text = (
        "x\nSteps: 3, Sampler: Euler, Seed: 1, Mask blur: 11, Masked content: latent nothing, Denoising strength: 0.2"
    )
    request = made(client, site, mask=encoded(), infotext=text, inpainting_fill=1)
    assert (request.mask_blur_x, request.denoising_strength) == (11, 0.2)
    assert request.masked_content == "original"


@pytest.mark.parametrize(("fields", "words"), [
    ({"init_images": []}, "0 pictures"),
    ({"init_images": None}, "0 pictures"),
    ({"init_images": [encoded(), encoded()]}, "2 pictures"),
    ({"inpainting_fill": 7}, "0 (fill), 1 (original), 2 (latent noise) or 3 (latent nothing)"),
    ({"resize_mode": 9}, "a whole number from 0 to 3"),
    ({"mask_blur": 99}, "a whole number from 0 to 64"),
    ({"inpaint_full_res_padding": -4}, "a whole number from 0 to 256"),
    ({"enable_hr": True}, "an unknown field"),
    ({"image_cfg_scale": 4.0}, "a number from 0 to 3"),
    ({"latent_mask": encoded()}, "use mask"),
])  # fmt: skip
def test_wrong_fields_are_named_with_what_is_allowed(
    client: TestClient, site: Site, fields: dict[str, object], words: str
) -> None:
    before = len(site.engine.runs)
    assert words in refusal(ask_over(client, **fields), 422)
    assert len(site.engine.runs) == before


def test_what_is_no_picture_is_refused(client: TestClient) -> None:
    nothing = base64.b64encode(b"no picture at all").decode()
    assert "no picture" in ask_over(client, init_images=[nothing]).text
    assert ask_over(client, mask=nothing).status_code >= 400


def test_txt2img_knows_nothing_of_pictures(client: TestClient) -> None:
    assert "an unknown field" in refusal(ask(client, init_images=[encoded()]), 422)
    assert "an unknown field" in refusal(ask(client, resize_mode=1), 422)
