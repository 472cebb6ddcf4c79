"""How pictures and masks get onto the canvas, to the server and over a reload."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageOps
from playwright.sync_api import expect

from tests.browser.board import Board, picture
from tests.browser.conftest import BlankPage, NewContext, Watch

pytestmark = pytest.mark.browser
NewBoard = Callable[..., Board]


@pytest.fixture
def new_board(blank_page: BlankPage, scripts: str) -> NewBoard:
    def make(draws: str = "mask", content: bytes | None = None, **wishes: object) -> Board:
        board = Board(blank_page(**wishes), scripts, draws)
        if content is not None:
            board.show(content)
        return board

    return make


def encoded(image: Image.Image, form: str = "PNG", **wishes: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **wishes)
    return out.getvalue()


def test_picture_and_drawing_are_sent_by_themselves_and_only_when_they_changed(new_board: NewBoard) -> None:
    content = picture()
    board = new_board(content=content)
    board.page.wait_for_function("canvas.keeper.kept.id")
    assert [board.kept[digest] for digest in board.sent] == [content]
    board.stroke((50, 100), (250, 100))
    board.page.wait_for_function("canvas.sender.id && canvas.sender.version === canvas.sender.sentVersion")
    assert len(board.sent) == 2
    ids = board.ids()
    assert [ids["picture"], ids["drawing"]] == board.sent
    board.ids()
    assert len(board.sent) == 2
    board.stroke((50, 150), (250, 150))
    assert board.ids()["drawing"] != ids["drawing"]
    assert len(board.sent) == 3


def test_generate_at_once_after_a_choice_gets_that_choice(new_board: NewBoard) -> None:
    board = new_board(content=picture(colour="red"))
    blue = picture(colour="blue")
    ids = board.page.evaluate(
        "(bytes) => { canvas.setPicture(new Blob([new Uint8Array(bytes)])); return canvas.ids() }", list(blue)
    )
    assert board.kept[ids["picture"]] == blue


def test_everything_survives_a_reload_even_an_unfinished_stroke(new_board: NewBoard) -> None:
    content = picture(700, 500)
    board = new_board(content=content)
    board.stroke((100, 100), (600, 100))
    board.press("Eraser")
    board.stroke((300, 60), (300, 140))
    mask = board.drawing()
    board.press("Brush")
    board.begin([(100, 400), (600, 400), (600, 300)])
    board.reload()
    board.expect_size(700, 500)
    sent = len(board.sent)
    after = board.drawing()
    assert (after[:200] == mask[:200]).all()
    assert (after[400, 100:600] == 255).all()
    assert (after[310:390, 600] == 255).all()
    assert board.kept[board.ids()["picture"]] == content
    assert len(board.sent) <= sent + 1, "the picture is not sent again"
    board.press("Remove the picture")
    board.reload()
    assert board.ids() == {"picture": "", "drawing": ""}


def test_a_picture_that_the_server_has_lost_is_sent_again_after_a_reload(new_board: NewBoard, watch: Watch) -> None:
    watch.forgive("404")
    content = picture()
    board = new_board(content=content)
    board.page.wait_for_function("canvas.keeper.kept.id")
    board.kept.clear()
    board.reload()
    assert board.kept[board.ids()["picture"]] == content


def test_without_a_database_everything_else_works(new_context: NewContext, scripts: str) -> None:
    context = new_context()
    context.add_init_script("Object.defineProperty(window, 'indexedDB', { get() { throw new Error('private') } })")
    board = Board(context.new_page(), scripts)
    board.show(picture())
    board.stroke((50, 100), (250, 100))
    assert (board.drawing()[100, 60:240] == 255).all()
    board.reload()
    assert board.ids()["picture"] == ""


def test_a_picture_of_4096_pixels_a_side_works(new_board: NewBoard) -> None:
    board = new_board(content=picture(4096, 4096))
    board.page.evaluate("canvas.tools.set({ size: 300 })")
    board.stroke((500, 500), (3500, 3000))
    board.stroke((3500, 500), (500, 3000))
    mask = board.drawing()
    assert mask.shape == (4096, 4096)
    assert mask[500, 500] == mask[3000, 3500] == mask[3000, 500] == 255
    assert mask[500, 2000] == 0
    board.press("Undo")
    assert board.drawing()[3000, 500] == 0
    board.press("Invert the mask")
    assert board.drawing()[4095, 4095] == 255


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_turned_photograph_is_upright_and_its_mask_too(new_board: NewBoard, form: str) -> None:
    lying = Image.new("RGB", (300, 200), "blue")
    lying.paste((255, 0, 0), (0, 0, 100, 100))
    exif = Image.Exif()
    exif[0x0112] = 6
    board = new_board(content=encoded(lying, form, exif=exif))
    board.expect_size(200, 300)
    for place, is_red in (((150, 50), True), ((50, 50), False), ((150, 250), False)):
        red, _, blue = board.seen(place)
        assert (red > blue) is is_red
    board.stroke((100, 250), (150, 250))
    mask = board.drawing()
    assert mask.shape == (300, 200)
    assert mask[250, 120] == 255
    kept = ImageOps.exif_transpose(board.image(board.ids()["picture"]))
    assert kept.size == (200, 300)
    assert kept.convert("RGB").getpixel((150, 50))[0] > 200


def test_of_an_animation_the_first_frame_is_shown(new_board: NewBoard) -> None:
    frames = [Image.new("RGB", (120, 80), colour) for colour in ("#ff0000", "#0000ff")]
    for form in ("GIF", "PNG", "WEBP"):
        options = {"lossless": True} if form == "WEBP" else {}
        content = encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=20, loop=0, **options)
        board = new_board("nothing", content)
        board.page.wait_for_timeout(100)  # five frames long
        assert board.seen((60, 40)) == (255, 0, 0), form
        assert board.kept[board.ids()["picture"]] == content


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"no picture", "notes.png", "notes.png cannot be read as a picture; PNG, JPEG, WebP, AVIF and GIF can."),
        (b"", "empty.png", "empty.png cannot be read"),
        (picture(16400, 2), "wide.png", "wide.png has 16400 × 2 pixels; possible are 16384 a side and 67 megapixels"),
        (picture(8200, 8200), "big.png", "big.png has 8200 × 8200 pixels"),
    ],
)
def test_what_cannot_be_shown_is_refused_by_its_name_and_the_rest_stays(
    new_board: NewBoard, content: bytes, name: str, said: str
) -> None:
    board = new_board(content=picture())
    board.stroke((50, 100), (250, 100))
    board.choose(content, name)
    board.page.wait_for_function("notes.length")
    assert said in board.notes()[0]
    board.expect_size(300, 200)
    assert board.drawing()[100, 100] == 255


def test_what_the_server_refuses_is_told(new_board: NewBoard, watch: Watch) -> None:
    watch.forgive("422")
    board = new_board()
    board.refusal = "Image: a truncated file is not possible."
    board.show(picture())
    board.page.wait_for_function("notes.length")
    assert board.notes() == [board.refusal]
    told = board.page.evaluate("canvas.ids().catch((error) => error.message)")
    assert told == board.refusal
    board.refusal = ""
    assert board.ids()["picture"] in board.kept


def test_files_and_our_own_pictures_can_be_dropped(new_board: NewBoard) -> None:
    board = new_board()
    board.drop(picture(120, 80), "dropped.png")
    board.expect_size(120, 80)
    kept = board.keep(picture(90, 60))
    board.drop(b"", "", f"{board.url}easel/inputs/{kept}")
    board.expect_size(90, 60)
    assert board.ids()["picture"] == kept


def test_a_new_picture_can_be_taken_back_until_it_is_drawn_on(new_board: NewBoard) -> None:
    board = new_board(content=picture())
    board.stroke((50, 100), (250, 100))
    mask = board.drawing()
    board.show(picture(120, 80))
    assert board.is_blank()
    board.press("Undo")
    board.expect_size(300, 200)
    assert (board.drawing() == mask).all()
    board.press("Redo")
    board.expect_size(120, 80)
    board.stroke((60, 40))
    board.press("Undo")
    expect(board.button("Undo")).to_be_disabled()
    board.expect_size(120, 80)
    board.press("Remove the picture")
    board.press("Undo")
    board.expect_size(120, 80)


def test_a_picture_of_the_server_comes_back_with_its_mask(new_board: NewBoard, watch: Watch) -> None:
    watch.forgive("404")
    board = new_board()
    mask = Image.new("L", (300, 200))
    mask.paste(255, (100, 50, 200, 150))
    ids = [board.keep(picture()), board.keep(encoded(mask))]
    board.page.evaluate("([picture, mask]) => canvas.setPictureById(picture, mask)", ids)
    assert board.ids()["picture"] == ids[0]
    assert board.sent == [board.ids()["drawing"]]
    assert (board.drawing() == np.asarray(mask)).all()
    told = board.page.evaluate("canvas.setPictureById('0').catch((error) => error.message)")
    assert told == "The picture is not at the server any more."


def test_a_mask_is_saved_to_a_file_and_loaded_from_it(new_board: NewBoard) -> None:
    board = new_board()
    board.show(picture(), "house.jpg")
    board.stroke((50, 100), (250, 100))
    mask = board.drawing()
    with board.page.expect_download() as download:
        board.button("Save the mask to a file").click()
    assert download.value.suggested_filename == "house-mask.png"
    saved = download.value.path().read_bytes()
    assert (np.asarray(Image.open(io.BytesIO(saved))) == mask).all()
    board.press("Clear the mask")
    chooser = board.page.locator("input[aria-label='Choose a mask']")
    chooser.set_input_files({"name": "mask.png", "mimeType": "image/png", "buffer": saved})
    board.page.wait_for_function("!canvas.layer.isEmpty()")
    assert (board.drawing() == mask).all()
    cut = Image.new("RGBA", (150, 100), (0, 0, 0, 0))
    cut.paste((9, 9, 9, 255), (0, 0, 75, 100))
    chooser.set_input_files({"name": "cut.png", "mimeType": "image/png", "buffer": encoded(cut)})
    board.page.wait_for_function("canvas.history.done.length === 4")
    loaded = board.drawing()
    assert (loaded[:, :150] == 255).all()
    assert not loaded[:, 150:].any()


def test_transparency_is_seen_and_becomes_the_mask(new_board: NewBoard) -> None:
    image = Image.new("RGBA", (300, 200), (0, 0, 255, 255))
    image.paste((0, 0, 0, 0), (100, 50, 200, 150))
    board = new_board(content=encoded(image))
    assert board.seen((150, 100)) in {(0xB9, 0xB9, 0xC0), (0xE6, 0xE6, 0xEA)}
    board.press("Make a mask of what is transparent in the picture")
    mask = board.drawing()
    assert (mask[50:150, 100:200] == 255).all()
    assert int((mask > 0).sum()) == 10000
    board.show(picture())
    board.press("Make a mask of what is transparent in the picture")
    assert board.is_blank()
    assert board.notes() == ["This picture is not transparent anywhere."]


def test_extending_grows_the_picture_and_masks_what_is_new(new_board: NewBoard) -> None:
    image = Image.new("RGB", (300, 200), "blue")
    image.paste((255, 0, 0), (0, 0, 30, 200))
    board = new_board(content=encoded(image))
    board.stroke((150, 100), (200, 100))
    before = board.drawing()
    board.page.get_by_label("Pixels to extend by").fill("64")
    board.press("Extend the picture to the left; what is new is masked")
    board.expect_size(364, 200)
    mask = board.drawing()
    assert (mask[:, :64] == 255).all()
    assert (mask[:, 64:] == before).all()
    grown = board.image(board.ids()["picture"]).convert("RGB")
    assert [grown.getpixel((x, 100)) for x in (10, 40, 80, 100)] == [(0, 0, 255), (255, 0, 0), (255, 0, 0), (0, 0, 255)]
    board.page.evaluate("canvas.extend({ down: 40 }); canvas.extend({ right: 16 })")
    board.expect_size(380, 240)
    mask = board.drawing()
    assert (mask[200:] == 255).all()
    assert (mask[:, 364:] == 255).all()
    assert not mask[:80, 64:364].any()
    board.press("Undo", "Undo", "Undo")
    board.expect_size(300, 200)
    assert (board.drawing() == before).all()
    board.press("Redo")
    board.expect_size(364, 200)


def test_undo_holds_no_more_than_its_budget(new_board: NewBoard) -> None:
    board = new_board()
    left = board.page.evaluate(
        "import('/assets/canvas_history.js').then(({ History }) => { const history = new History();"
        " const step = (bytes) => { const made = { bytes, apply: () => step(bytes) }; return made };"
        " for (let count = 0; count < 10; count += 1) history.push(step(40 * 1024 * 1024));"
        " const many = history.done.length; history.push(step(500 * 1024 * 1024));"
        " return [many, history.done.length] })"
    )
    assert left == [3, 1]
