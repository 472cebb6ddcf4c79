"""img2img's Batch tab as a user has it: files and folders go in, one job comes out."""

import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import NewPage, Watch
from tests.browser.driver import Easel, Server

pytestmark = pytest.mark.browser
REFUSED = "the server responded with a status of 422"


def png(colour: str, size: tuple[int, int] = (64, 48)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


def file(name: str, content: bytes) -> dict[str, object]:
    return {"name": name, "mimeType": "image/png", "buffer": content}


@pytest.fixture
def easel(new_page: NewPage, server: Server) -> Easel:
    server.open_gate()
    easel = new_page().img2img("batch")
    easel.prepare("a pear", width=64, height=64, steps=2)
    return easel


def test_uploaded_pictures_and_masks_become_one_job(easel: Easel, watch: Watch) -> None:
    watch.forgive(REFUSED)
    page = easel.page
    cut = png("lime", (600, 600))
    files = [file("b.png", png("red")), file("a.png", png("blue")), file("cut.png", cut[: len(cut) // 2])]
    page.locator("#img2img_batch_pictures").set_input_files(files)
    page.locator("#img2img_batch_masks").set_input_files([file("mask.png", png("white"))])
    panel = page.locator("#img2img_batch_panel")
    expect(panel.locator("[data-state=sent]")).to_have_count(3)
    expect(panel.locator("[data-state=refused]")).to_contain_text("cut off or damaged")
    expect(panel.locator(".easel-batch-facts").first).to_contain_text("3 pictures")
    easel.generate()
    expect(page.locator(".easel-note").last).to_contain_text("2 pictures are in the queue; left out:")
    expect(page.locator(".easel-note li")).to_contain_text("cut.png")
    easel.wait_pictures(2)
    job = page.evaluate("window.easel.live.job")
    assert (job["part_count"], job["image_count"], len(job["images"])) == (2, 2, 2)
    assert job["request"]["mask_image"]
    panel.locator("#img2img_batch_pictures_clear").click()
    expect(panel.locator("[data-state]")).to_have_count(1)


def test_a_whole_folder_is_chosen_and_files_are_taken_back(easel: Easel, tmp_path: Path) -> None:
    page = easel.page
    for name in ("below/two.png", "one.png", ".hidden.png", "notes.txt"):
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png("red" if name == "one.png" else "blue"))
    page.locator("#img2img_batch_pictures_folder").set_input_files(tmp_path / "mine")
    rows = page.locator("#img2img_batch_panel [data-state=sent]")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("mine/below/two.png")
    page.get_by_role("button", name="Remove mine/one.png").click()
    expect(rows).to_have_count(1)


def test_a_dropped_picture_joins_the_batch(easel: Easel) -> None:
    easel.drop("#img2img_batch_panel .easel-batch-drop >> nth=0", png("red"), "dropped.png", "image/png")
    expect(easel.page.locator("#img2img_batch_panel [data-state=sent]")).to_contain_text("dropped.png")
    expect(easel.page.locator("#img2img_batch")).to_be_visible()


def test_a_folder_of_the_server_is_worked_over_and_its_results_are_shown(
    easel: Easel, tmp_path: Path, watch: Watch
) -> None:
    watch.forgive(REFUSED)
    page = easel.page
    page.locator("#img2img_batch_directory").click()
    panel = page.locator("#img2img_batch_panel")
    easel.generate()
    expect(panel.locator("[data-field=input_dir] .easel-error-text")).to_contain_text("an empty value is not possible")
    panel.locator("#img2img_batch_input_dir").fill(str(tmp_path / "none"))
    easel.generate()
    expect(panel.locator("[data-field=input_dir] .easel-error-text")).to_contain_text("none is not possible")
    (tmp_path / "in").mkdir()
    for name in ("kitten", "puppy"):
        (tmp_path / "in" / f"{name}.png").write_bytes(png("red"))
    panel.locator("#img2img_batch_input_dir").fill(str(tmp_path / "in"))
    panel.locator("#img2img_batch_output_dir").fill(str(tmp_path / "out"))
    easel.generate()
    expect(page.locator(".easel-note").last).to_contain_text("2 pictures are in the queue.")
    easel.wait_pictures(2)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["kitten.png", "puppy.png"]


def test_the_panel_is_the_same_after_a_reload(easel: Easel) -> None:
    page = easel.page
    page.locator("#img2img_batch_directory").click()
    page.locator("#img2img_batch_input_dir").fill("/somewhere")
    page.locator("#img2img_batch_png_info summary").click()
    page.locator("#img2img_batch_use_png_info").check()
    page.locator("#img2img_batch_png_info_props input[value=Seed]").check()
    page.reload()
    easel.wait_ready()
    easel.img2img("batch")
    expect(page.locator("#img2img_batch_input_dir")).to_have_value("/somewhere")
    page.locator("#img2img_batch_png_info summary").click()
    expect(page.locator("#img2img_batch_png_info_props input[value=Seed]")).to_be_checked()
    expect(page.locator("#img2img_batch_png_info_props input[value=Steps]")).not_to_be_checked()
