"""Pictures under outputs/ are served; the database, dotfiles and everything outside never are."""

from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.core.request import GenerationRequest
from modules.core.result import Place
from modules.jobs.model import JobState, Part
from modules.web.pictures import find_picture
from tests.fakes import wait_until
from tests.web.site import Site

HIDDEN = [
    ".easel/jobs.sqlite", ".easel/pictures.lock", ".easel/secret.png", ".hidden.png", "txt2img-images/.hidden.png",
    "../config.json", "../secret.png", "txt2img-images/../../secret.png", "notes.txt", "page.svg", "page.html",
    "link.png", "linked/secret.png", "txt2img-images", "", ".", "none.png", "a\0.png", "..\\secret.png",
]


@pytest.fixture(scope="module")
def outputs(site: Site) -> Path:
    folder = site.services.outputs
    outside = folder.parent / "outside"
    outside.mkdir()
    (folder / "txt2img-images").mkdir(exist_ok=True)
    places = [
        folder / ".easel" / "secret.png", folder / ".hidden.png", folder / "txt2img-images" / ".hidden.png",
        folder.parent / "secret.png", outside / "secret.png", folder / "ok & fine.png",
    ]
    for place in places:
        Image.new("RGB", (8, 8)).save(place)
    for name in ("notes.txt", "page.svg", "page.html"):
        (folder / name).write_text("<script>alert(1)</script>")
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    (folder / "linked").symlink_to(outside)
    return folder


def test_a_finished_picture_is_served(client: TestClient, site: Site) -> None:
    job = site.finish()
    url = site.jobs.job_message(job)["images"][0]["url"]
    answer = client.get(url)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.content == job.images[0].path.read_bytes()
    assert client.get(f"/gradio_api/file={job.images[0].path}").content == answer.content


def test_names_may_hold_signs(client: TestClient, outputs: Path) -> None:
    assert (outputs / "ok & fine.png").is_file()
    assert client.get("/easel/image/ok%20%26%20fine.png").status_code == 200


@pytest.mark.parametrize("wanted", HIDDEN)
def test_nothing_else_is_found(outputs: Path, wanted: str) -> None:
    assert find_picture(outputs, wanted) is None


@pytest.mark.parametrize("wanted", HIDDEN)
def test_nothing_else_is_served_by_either_address(client: TestClient, outputs: Path, wanted: str) -> None:
    quoted = wanted.replace("\0", "%00").replace("..", "%2e%2e").replace("\\", "%5c")
    assert client.get(f"/easel/image/{quoted}").status_code == 404
    assert client.get(f"/gradio_api/file={outputs}/{quoted}").status_code == 404
    assert client.get(f"/gradio_api/file={quoted}").status_code == 404


def test_an_absolute_path_outside_is_not_served(client: TestClient, outputs: Path) -> None:
    assert client.get(f"/easel/image/{outputs.parent / 'secret.png'}").status_code == 404
    assert client.get(f"/gradio_api/file={outputs.parent / 'secret.png'}").status_code == 404


def test_a_picture_that_was_saved_elsewhere_is_served_by_its_job_alone(
    client: TestClient, site: Site, tmp_path: Path
) -> None:
    request = GenerationRequest.checked({"steps": 2, "width": 64, "height": 64, "seed": 3})
    job = site.jobs.submit_parts([Part(request, Place(str(tmp_path / "elsewhere"), "kitten"))])
    wait_until(lambda: site.jobs.get(job.id).state is JobState.FINISHED)
    url = site.jobs.job_message(site.jobs.get(job.id))["images"][0]["url"]
    answer = client.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content == (tmp_path / "elsewhere" / "kitten.png").read_bytes()
    for other in (f"{job.id}/1", f"{job.id}/-1", "none/0", f"{'x' * 101}/0"):
        assert client.get(f"/easel/job-image/{other}").status_code == 404
    (tmp_path / "elsewhere" / "kitten.png").unlink()
    assert client.get(url).status_code == 404


def test_a_preview_that_is_gone_is_no_error(client: TestClient) -> None:
    assert client.get("/easel/preview/none/1").status_code == 204
