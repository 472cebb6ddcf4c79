"""Pictures that the page hands in are kept once and come back as pictures, never as anything that could run."""

import hashlib
import io
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.web.guard import LARGEST_BODY, largest_body
from modules.web.input_routes import media_type
from tests.web.site import Site


def encoded(form: str = "PNG", size: tuple[int, int] = (8, 6), mode: str = "RGB", **wishes: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, form, **wishes)
    return out.getvalue()


def test_a_picture_is_kept_and_served_as_it_came(client: TestClient, site: Site) -> None:
    content = encoded()
    answer = client.post("/easel/inputs", content=content)
    digest = hashlib.sha256(content).hexdigest()
    assert answer.json() == {"id": digest, "width": 8, "height": 6}
    assert client.post("/easel/inputs", content=content).json() == answer.json()
    assert site.services.inputs.load(digest).size == (8, 6)
    served = client.get(f"/easel/inputs/{digest}")
    assert served.content == content
    assert served.headers["content-type"] == "image/png"
    assert served.headers["x-content-type-options"] == "nosniff"
    assert served.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert client.head(f"/easel/inputs/{digest}").status_code == 200


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("WEBP", "image/webp"),
        ("AVIF", "image/avif"),
        ("GIF", "image/gif"),
    ],
)
def test_the_media_type_is_that_of_the_content(client: TestClient, form: str, kind: str) -> None:
    digest = client.post("/easel/inputs", content=encoded(form)).json()["id"]
    assert client.get(f"/easel/inputs/{digest}").headers["content-type"] == kind


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_upright_picture(
    client: TestClient, site: Site, orientation: int, form: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    told = client.post("/easel/inputs", content=encoded(form, exif=exif)).json()
    assert (told["width"], told["height"]) == site.services.inputs.load(told["id"]).size


@pytest.mark.parametrize(
    "content", [b"", b"no picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<script>1</script>"]
)
def test_what_is_no_picture_is_refused_in_our_own_words(client: TestClient, content: bytes) -> None:
    answer = client.post("/easel/inputs", content=content)
    assert answer.status_code == 422
    told = answer.json()
    assert "picture" in told["detail"]
    assert told["problems"][0]["field"] == "image"


@pytest.mark.parametrize("digest", ["0" * 64, "x", "..%2f..%2fconfig.json", "A" * 64])
def test_what_is_not_kept_is_not_found(client: TestClient, digest: str) -> None:
    assert client.get(f"/easel/inputs/{digest}").status_code == 404
    assert client.head(f"/easel/inputs/{digest}").status_code == 404


@pytest.mark.parametrize("content", [b"<html><script>1</script>", b"<svg/>", b"", b"BM"])
def test_no_other_content_is_ever_shown(content: bytes) -> None:
    assert media_type(content) == "application/octet-stream"


def test_large_pictures_are_let_in_but_not_from_other_pages(client: TestClient, tmp_path: Path) -> None:
    assert largest_body("/easel/inputs") > LARGEST_BODY == largest_body("/easel/inputs/x")
    noise = Image.effect_noise((2000, 2000), 90)
    noise.save(tmp_path / "noise.png")
    content = (tmp_path / "noise.png").read_bytes()
    assert len(content) > LARGEST_BODY
    assert client.post("/easel/inputs", content=content).json()["width"] == 2000
    assert client.post("/easel/inputs", content=content, headers={"origin": "https://evil.example"}).status_code == 403
