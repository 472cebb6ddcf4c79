"""Our own plugins through the API over the real engine with the starter model, and made again from their infotexts."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.app import build
from modules.imaging.parsing import parse_infotext
from tests.web.api import SMALL, make
from tests.web.conftest import BASE
from tests.web.site import site_config
from tests.web.test_sdapi_img2img import encoded


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder: Path = tmp_path_factory.mktemp("plugins")
    application = build(site_config(folder))
    application.services.jobs.start()
    with TestClient(application.site, base_url=BASE) as client:
        yield client
    application.close()


@pytest.fixture(scope="module")
def start(real: TestClient) -> bytes:
    picture: bytes = make(real, prompt="a green leaf")["pictures"][0]
    return picture


def over(real: TestClient, start: bytes, **fields: object) -> tuple[Image.Image, str]:
    body: dict[str, Any] = SMALL | {"init_images": [base64.b64encode(start).decode()]} | fields
    answer = real.post("/sdapi/v1/img2img", json=body)
    assert answer.status_code == 200, answer.text
    picture = Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][0])))
    return picture.convert("RGB"), picture.info["parameters"]


@pytest.mark.parametrize("fields", [
    {"script_name": "outpainting mk2", "script_args": [None, 64, 0, ["right"], 1.0, 0.05]},
    {"script_name": "poor man's outpainting", "script_args": [64, 0, 1, ["right"]]},
])  # fmt: skip
def test_outpainting_grows_a_picture_and_its_infotext_makes_it_again(
    fields: dict[str, object], real: TestClient, start: bytes
) -> None:
    picture, infotext = over(real, start, denoising_strength=0.9, **fields)
    assert picture.size == (128, 64)
    old = np.asarray(Image.open(io.BytesIO(start)).convert("RGB"))
    assert (np.asarray(picture)[:, :56] == old[:, :56]).all()
    again, told = over(real, start, infotext=infotext, denoising_strength=None, script_name=None)
    assert parse_infotext(told).pairs == parse_infotext(infotext).pairs
    assert again.tobytes() == picture.tobytes()


def test_soft_inpainting_changes_the_picture_and_its_infotext_makes_it_again(real: TestClient, start: bytes) -> None:
    fields = {"mask": encoded("#808080", (64, 64), "L"), "inpaint_full_res": False, "denoising_strength": 0.8}
    soft = {"alwayson_scripts": {"soft inpainting": {"args": [True, 1, 2]}}}
    picture, infotext = over(real, start, **fields, **soft)
    assert picture.tobytes() != over(real, start, **fields)[0].tobytes()
    assert "Soft inpainting preservation strength: 2.0" in infotext
    assert over(real, start, **fields, infotext=infotext)[0].tobytes() == picture.tobytes()
