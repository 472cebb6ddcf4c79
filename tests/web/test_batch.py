"""The Batch tab: one click makes one job over many pictures; what cannot be read is named, and the rest goes on."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.testclient import TestClient

from modules.jobs.model import Job, JobState, Purpose
from tests.fakes import wait_until
from tests.web.conftest import BASE
from tests.web.site import Site, open_site, site_config

VALUES: dict[str, Any] = {
    "prompt": "a cat", "negative_prompt": "", "steps": 2, "width": 64, "height": 64, "seed": 5, "sampler": "Euler",
    "cfg_scale": 7.0, "denoising_strength": 0.5,
}  # fmt: skip
INFOTEXT = (
    "in a hat\nNegative prompt: blurry\nSteps: 3, Sampler: Heun, CFG scale: 4.5, Seed: 77, Size: 8x8, Model hash: 0000"
)


def png(colour: str = "red", infotext: str = "", size: tuple[int, int] = (40, 24)) -> bytes:
    chunks = PngInfo()
    if infotext:
        chunks.add_text("parameters", infotext)
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG", pnginfo=chunks)
    return stream.getvalue()


def uploaded(site: Site, **files: bytes) -> list[dict[str, str]]:
    return [{"name": f"{stem}.png", "id": site.services.inputs.keep(content)} for stem, content in files.items()]


def ask(client: TestClient, **wish: object) -> Response:
    values = VALUES | dict(wish.pop("values", {}))  # type: ignore[call-overload]
    return client.post("/easel/batch", json={"values": values} | wish)


def done(client: TestClient, site: Site, **wish: object) -> tuple[Job, dict[str, Any]]:
    answer = ask(client, **wish)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    wait_until(lambda: site.jobs.get(told["job"]).state not in (JobState.WAITING, JobState.RUNNING))
    return site.jobs.get(told["job"]), told


def refused(answer: Response, field: str) -> str:
    assert answer.status_code == 422, answer.text
    problems = answer.json()["problems"]
    assert [problem["field"] for problem in problems] == [field]
    return f"{problems[0]['value']} -> {problems[0]['allowed']}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, colour in (("b2.png", "red"), ("b10.png", "lime"), ("a.jpg", "blue"), ("below/c.webp", "white")):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 24), colour).save(path)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    (tmp_path / "in" / ".hidden.png").write_bytes(png())
    return tmp_path / "in"


def test_uploaded_pictures_become_one_job_with_one_seed(client: TestClient, site: Site) -> None:
    pictures = uploaded(site, one=png("red"), two=png("blue"))
    job, told = done(client, site, pictures=pictures, values={"seed": -1, "batch_count": 2})
    assert (told["count"], told["left_out"], job.state) == (2, [], JobState.FINISHED)
    assert [part.request.init_image for part in job.parts] == [picture["id"] for picture in pictures]
    assert [part.name for part in job.parts] == ["one.png", "two.png"]
    seeds = [part.request.seed for part in job.parts]
    assert seeds[0] == seeds[1] >= 0
    assert [image.index for image in job.images] == [0, 1, 2, 3]
    assert job.purpose is Purpose.KEEP
    assert all("img2img-images" in image.path.parts for image in job.images)


def test_a_mask_is_found_by_the_picture_s_name_and_a_single_one_is_for_all(client: TestClient, site: Site) -> None:
    pictures = uploaded(site, one=png("red"), two=png("blue"), three=png("lime"))
    masks = [{"name": f"masks/{name}.jpg", "id": site.services.inputs.keep(png(name_colour))}
             for name, name_colour in (("two", "white"), ("one", "gray"))]  # fmt: skip
    job, told = done(client, site, pictures=pictures, masks=masks)
    assert [part.request.mask_image for part in job.parts] == [masks[1]["id"], masks[0]["id"]]
    assert len(told["left_out"]) == 1
    assert told["left_out"][0].startswith("three.png: Mask: no mask of the name three")
    job, told = done(client, site, pictures=pictures, masks=masks[:1])
    assert [part.request.mask_image for part in job.parts] == [masks[0]["id"]] * 3


def test_a_folder_is_worked_over_in_order_and_its_pictures_keep_their_names(
    client: TestClient, site: Site, folder: Path, tmp_path: Path
) -> None:
    (folder / "b3.png").write_bytes(png()[:40])
    wish = {"source": "directory", "input_dir": str(folder), "output_dir": str(tmp_path / "out" / "here")}
    job, told = done(client, site, **wish, values={"batch_size": 2})
    assert [part.name for part in job.parts] == ["a.jpg", "b2.png", "b10.png", "below/c.webp"]
    assert len(told["left_out"]) == 1
    assert "b3.png" in told["left_out"][0]
    names = [image.path.name for image in job.images]
    assert names == ["a.png", "a-1.png", "b2.png", "b2-1.png", "b10.png", "b10-1.png", "c.png", "c-1.png"]
    assert all(image.path.parent == tmp_path / "out" / "here" for image in job.images)
    again, _ = done(client, site, **wish)
    assert [image.path.name for image in again.images] == ["a-2.png", "b2-2.png", "b10-2.png", "c-2.png"]


def test_folders_within_the_input_folder_are_not_taken_for_input(client: TestClient, site: Site, folder: Path) -> None:
    (folder / "masks").mkdir()
    Image.new("L", (40, 24), 255).save(folder / "masks" / "any.png")
    wish = {"source": "directory", "input_dir": str(folder), "output_dir": str(folder / "out"),
            "inpaint_mask_dir": str(folder / "masks")}  # fmt: skip
    for _ in range(2):
        job, told = done(client, site, **wish)
        assert told["count"] == 4
    mask = site.services.inputs.keep((folder / "masks" / "any.png").read_bytes())
    assert {part.request.mask_image for part in job.parts} == {mask}


def test_pictures_that_are_not_for_keeping_are_kept_in_an_output_folder(
    client: TestClient, site: Site, folder: Path, tmp_path: Path
) -> None:
    site.services.settings.update({"samples_save": False})
    try:
        wish = {"source": "directory", "input_dir": str(folder)}
        assert done(client, site, **wish)[0].purpose is Purpose.UNSAVED
        assert done(client, site, **wish, output_dir=str(tmp_path / "kept"))[0].purpose is Purpose.KEEP
    finally:
        site.services.settings.update({"samples_save": True})


def test_the_option_gives_pictures_the_names_of_those_they_were_made_of(client: TestClient, site: Site) -> None:
    site.services.settings.update({"img2img_batch_use_original_name": True})
    try:
        job, _ = done(client, site, pictures=uploaded(site, kitten=png("pink")))
    finally:
        site.services.settings.update({"img2img_batch_use_original_name": False})
    assert job.images[0].path.name == "kitten.png"


def test_png_info_is_appended_to_prompts_and_replaces_the_rest(client: TestClient, site: Site) -> None:
    pictures = uploaded(site, told=png("red", INFOTEXT), plain=png("blue"))
    props = ["Prompt", "Negative prompt", "Seed", "CFG scale", "Sampler", "Steps", "Model hash"]
    job, _ = done(client, site, pictures=pictures, use_png_info=True, png_info_props=props)
    told_part, plain = (part.request for part in job.parts)
    assert (told_part.prompt, told_part.negative_prompt) == ("a cat in a hat", " blurry")
    assert (told_part.steps, told_part.sampler, told_part.cfg_scale, told_part.seed) == (3, "Heun", 4.5, 77)
    assert told_part.checkpoint == plain.checkpoint
    assert (plain.prompt, plain.steps, plain.sampler, plain.cfg_scale, plain.seed) == ("a cat", 2, "Euler", 7.0, 5)
    job, _ = done(client, site, pictures=pictures[:1], use_png_info=True, png_info_props=["Steps"])
    assert (job.request.prompt, job.request.steps, job.request.seed) == ("a cat", 3, 5)
    job, _ = done(client, site, pictures=pictures[:1], png_info_props=props)
    assert (job.request.prompt, job.request.steps) == ("a cat", 2)


def test_png_info_is_read_from_the_files_of_the_same_names_elsewhere(
    client: TestClient, site: Site, tmp_path: Path
) -> None:
    (tmp_path / "one.png").write_bytes(png("gray", INFOTEXT))
    pictures = uploaded(site, one=png("red"), two=png("blue", INFOTEXT))
    job, _ = done(
        client, site, pictures=pictures, use_png_info=True, png_info_props=["Steps"], png_info_dir=str(tmp_path)
    )
    assert [part.request.steps for part in job.parts] == [3, 2]


def test_png_info_that_is_not_possible_leaves_its_picture_out_by_name(client: TestClient, site: Site) -> None:
    pictures = uploaded(site, odd=png("red", INFOTEXT.replace("Heun", "Wobble")), plain=png("blue"))
    job, told = done(client, site, pictures=pictures, use_png_info=True, png_info_props=["Sampler"])
    assert [part.name for part in job.parts] == ["plain.png"]
    assert told["left_out"][0].startswith("odd.png: Sampling method: Wobble is not possible")


def test_a_size_that_is_a_multiple_is_taken_of_each_picture(client: TestClient, site: Site) -> None:
    pictures = uploaded(site, small=png(size=(64, 80)), large=png(size=(128, 64)))
    job, _ = done(client, site, pictures=pictures, values={"resize_by": True, "scale_by": 1.5})
    assert [(part.request.width, part.request.height) for part in job.parts] == [(96, 120), (192, 96)]


def test_what_is_wrong_with_the_form_is_told_once_by_its_field(client: TestClient, site: Site) -> None:
    answer = ask(client, pictures=uploaded(site, one=png(), two=png("blue")), values={"steps": 0})
    assert "0 ->" in refused(answer, "steps")


def test_a_batch_without_a_picture_that_can_be_read_is_refused(client: TestClient) -> None:
    assert "no picture" in refused(ask(client), "pictures")
    gone = [{"name": "gone.png", "id": "0" * 64}]
    assert "gone.png: Image: 0000" in refused(ask(client, pictures=gone), "pictures")


@pytest.mark.parametrize("field", ["input_dir", "inpaint_mask_dir", "png_info_dir", "output_dir"])
def test_a_folder_that_is_not_there_is_named(field: str, client: TestClient, folder: Path) -> None:
    (folder / "file").write_text("in the way")
    wrong = str(folder / "file" / "none")
    wish: dict[str, object] = {"source": "directory", "input_dir": str(folder), "use_png_info": True}
    assert wrong in refused(ask(client, **(wish | {field: wrong})), field)
    assert "\0" in refused(ask(client, **(wish | {field: "a\0b"})), field)


def test_an_empty_folder_and_an_empty_name_are_refused(client: TestClient, tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    empty = str(tmp_path / "empty")
    assert "0 pictures" in refused(ask(client, source="directory", input_dir=empty), "input_dir")
    assert "an empty value" in refused(ask(client, source="directory"), "input_dir")
    wish = {"source": "directory", "input_dir": str(folder), "inpaint_mask_dir": empty}
    assert "a folder with a picture in it" in refused(ask(client, **wish), "inpaint_mask_dir")


def test_a_property_that_no_infotext_has_is_refused(client: TestClient, site: Site) -> None:
    wish = {"pictures": uploaded(site, one=png()), "use_png_info": True, "png_info_props": ["Wings"]}
    assert "Wings" in refused(ask(client, **wish), "png_info_props")


@pytest.fixture
def signed_in(tmp_path: Path) -> Iterator[tuple[TestClient, Site]]:
    """The client of a user who is no admin."""
    config = site_config(tmp_path / "shared", credentials=(("ann", "secret"), ("bob", "hidden")))
    with open_site(config) as site, TestClient(site.application.site, base_url=BASE) as client:
        client.post("/login", data={"username": "bob", "password": "hidden"}, follow_redirects=False)
        yield client, site


def test_folders_of_the_server_are_for_admins_only(signed_in: tuple[TestClient, Site], folder: Path) -> None:
    client, site = signed_in
    pictures = uploaded(site, one=png())
    for wish in (
        {"source": "directory", "input_dir": str(folder)},
        {"pictures": pictures, "use_png_info": True, "png_info_dir": str(folder)},
    ):
        answer = ask(client, **wish)
        assert answer.status_code == 403
        assert "Only an admin may have folders of the server read or written" in answer.json()["detail"]
    job, told = done(client, site, pictures=pictures, output_dir=str(folder / "out"), inpaint_mask_dir=str(folder))
    assert (told["count"], job.owner) == (1, "bob")
    assert not (folder / "out").exists()
