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

from tests.odd_pictures import BAD_FILES, EXPECTED, ODD_FILES
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


def test_a_mask_for_the_latents_alone_is_handed_on(client: TestClient, site: Site) -> None:
    request = made(client, site, mask=encoded("white"), latent_mask=encoded("gray", mode="L"))
    assert request.mask_image != request.latent_mask
    assert site.services.inputs.load(request.latent_mask).getpixel((0, 0)) == 128
    assert made(client, site, mask=encoded("white")).latent_mask == ""


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
    ({"init_images": [encoded(), encoded()]}, "bad number of images passed: 2; expecting 1 or less"),
    ({"init_images": [encoded(), ""], "batch_size": 2}, "an empty text or null"),
    ({"init_images": [encoded(), "xx"], "batch_size": 2}, "init_images[1]"),
    ({"inpainting_fill": 7}, "0 (fill), 1 (original), 2 (latent noise) or 3 (latent nothing)"),
    ({"resize_mode": 9}, "a whole number from 0 to 3"),
    ({"mask_blur": 99}, "a whole number from 0 to 64"),
    ({"inpaint_full_res_padding": -4}, "a whole number from 0 to 256"),
    ({"enable_hr": True}, "an unknown field"),
    ({"image_cfg_scale": 4.0}, "a number from 0 to 3"),
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


def test_several_pictures_are_one_batch_in_which_each_has_the_next_seed(client: TestClient, site: Site) -> None:
    pictures = [encoded("red"), encoded("blue")]
    before = len(site.engine.runs)
    answer = ask_over(client, init_images=pictures, batch_size=3, n_iter=2, mask=encoded("white"), save_images=True)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    info = json.loads(told["info"])
    assert len(told["images"]) == 4
    assert info["all_seeds"] == [5, 6, 7, 8]
    assert (info["batch_size"], told["parameters"]["batch_size"]) == (2, 3)
    runs = [request for request, _ in site.engine.runs[before:]]
    digests = [site.services.inputs.keep(base64.b64decode(picture)) for picture in pictures]
    assert [request.init_image for request in runs] == digests * 2
    assert [request.seed for request in runs] == [5, 6, 7, 8]
    assert {request.image_count() for request in runs} == {1}
    assert len({request.mask_image for request in runs}) == 1
    assert runs[0].inpaints()
    job = site.jobs.ended(1)[0]
    assert (len(job.parts), job.state) == (4, "finished")


def test_with_a_variation_seed_that_one_runs_on_over_several_pictures(client: TestClient, site: Site) -> None:
    answer = ask_over(
        client, init_images=[encoded("red"), encoded("blue")], batch_size=2, subseed=9, subseed_strength=0.5
    )
    info = json.loads(answer.json()["info"])
    assert (info["all_seeds"], info["all_subseeds"]) == ([5, 5], [9, 10])
    assert [(request.seed, request.subseed) for request, _ in site.engine.runs[-2:]] == [(5, 9), (5, 10)]


def test_several_pictures_without_a_seed_get_one_and_its_followers(client: TestClient, site: Site) -> None:
    answer = ask_over(client, init_images=[encoded("red"), encoded("blue")], batch_size=2, seed=-1)
    seeds = json.loads(answer.json()["info"])["all_seeds"]
    assert seeds[1] == seeds[0] + 1 > 0


@pytest.mark.parametrize("kind", sorted(ODD_FILES))
def test_pictures_of_every_kind_come_in(client: TestClient, site: Site, kind: str) -> None:
    request = made(client, site, init_images=[base64.b64encode(ODD_FILES[kind]).decode()])
    picture = site.services.inputs.load(request.init_image)
    assert (picture.mode, picture.size) == EXPECTED[kind]


@pytest.mark.parametrize(("name", "words"), [
    ("cut off", "a JPEG picture that is cut off or damaged"),
    ("empty", "an empty file"),
    ("bomb", "a picture of 12000 x 12000 pixels is not possible; allowed is a PNG"),
    ("vector", "bytes that are no picture"),
])  # fmt: skip
def test_what_cannot_be_a_picture_is_refused_at_the_door_by_its_field(
    client: TestClient, site: Site, name: str, words: str
) -> None:
    before = len(site.engine.runs)
    for field in ("init_images", "mask"):
        wrong = base64.b64encode(BAD_FILES[name]).decode() or "data:image/png;base64,"
        given = {field: [wrong] if field == "init_images" else wrong}
        detail = refusal(ask_over(client, **given), 422)
        assert detail.startswith(f"{field}: ")
        assert words in detail
    assert len(site.engine.runs) == before
    answer = client.post("/easel/inputs", content=BAD_FILES[name])
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_the_largest_picture_is_an_option(client: TestClient, site: Site) -> None:
    site.services.settings.update({"largest_input_megapixels": 1})
    try:
        large = encoded(size=(1001, 1000))
        assert "at most 1 megapixels" in refusal(ask_over(client, init_images=[large]), 422)
    finally:
        site.services.settings.update({"largest_input_megapixels": 64})
    assert ask_over(client, init_images=[large]).status_code == 200


def test_txt2img_knows_nothing_of_pictures(client: TestClient) -> None:
    assert "an unknown field" in refusal(ask(client, init_images=[encoded()]), 422)
    assert "an unknown field" in refusal(ask(client, resize_mode=1), 422)
