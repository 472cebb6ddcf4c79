"""The canvas: what is drawn arrives at the server, pixel for pixel where the user saw it."""

from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.board import Board, picture
from tests.browser.conftest import BlankPage

pytestmark = pytest.mark.browser
NewBoard = Callable[..., Board]


@pytest.fixture
def new_board(blank_page: BlankPage, scripts: str) -> NewBoard:
    def make(draws: str = "mask", content: bytes | None = None, **wishes: object) -> Board:
        board = Board(blank_page(**wishes), scripts, draws, str(wishes.get("scheme", "")))
        board.show(content or picture())
        return board

    return make


def test_a_stroke_arrives_as_a_mask_of_the_pictures_size(new_board: NewBoard) -> None:
    board = new_board()
    assert board.is_blank()
    board.stroke((50, 100), (250, 100))
    mask = board.drawing()
    assert mask.shape == (200, 300)
    assert mask.dtype == np.uint8
    assert (mask[100, 45:255] == 255).all()
    assert (mask[92:108, 150] == 255).all()
    assert not mask[:88].any()
    assert not mask[112:].any()
    assert not mask[:, :38].any()
    assert not mask[:, 262:].any()


def test_the_mask_is_seen_over_the_picture_and_its_opacity_changes_nothing_else(new_board: NewBoard) -> None:
    board = new_board()
    board.stroke((50, 100), (250, 100))
    board.hover((150, 20))
    before = board.drawing()
    weak = board.seen((150, 100))
    assert weak != (0x20, 0x40, 0x60)
    assert board.seen((150, 160)) == (0x20, 0x40, 0x60)
    board.page.get_by_label("Opacity, as a number").fill("100")
    board.page.keyboard.press("Enter")
    assert board.seen((150, 100)) == (0xFF, 0x2F, 0x6D)
    assert (board.drawing() == before).all()


def test_undo_goes_back_stroke_by_stroke_and_redo_forth(new_board: NewBoard) -> None:
    board = new_board()
    expect(board.button("Undo")).to_be_disabled()
    board.stroke((50, 50), (250, 50))
    one = board.drawing()
    board.stroke((50, 150), (250, 150))
    two = board.drawing()
    board.press("Undo")
    assert (board.drawing() == one).all()
    board.press("Undo")
    assert board.is_blank()
    expect(board.button("Undo")).to_be_disabled()
    board.press("Redo", "Redo")
    assert (board.drawing() == two).all()
    board.press("Clear the mask")
    assert board.is_blank()
    board.press("Undo")
    assert (board.drawing() == two).all()
    board.press("Undo")
    board.stroke((150, 20), (150, 20))
    expect(board.button("Redo")).to_be_disabled()


def test_the_eraser_takes_away_and_keeps_the_rest(new_board: NewBoard) -> None:
    board = new_board()
    board.stroke((50, 100), (250, 100))
    board.press("Eraser")
    board.stroke((150, 60), (150, 140))
    mask = board.drawing()
    assert not mask[:, 142:158].any()
    assert (mask[100, 60:135] == 255).all()
    assert (mask[100, 165:240] == 255).all()


def test_a_soft_brush_falls_off_towards_its_edge_and_does_not_pile_up(new_board: NewBoard) -> None:
    board = new_board()
    board.page.evaluate("canvas.tools.set({ size: 80, hardness: 0 })")
    board.stroke((60, 100), (240, 100), (60, 100), (240, 100))
    column = board.drawing()[:, 150].astype(int)
    assert column[100] > 240
    assert (np.diff(column[60:100]) >= 0).all()
    assert 90 < column[80] < 165
    assert not column[:58].any()


def test_the_bucket_fills_what_is_enclosed_or_everything(new_board: NewBoard) -> None:
    board = new_board()
    board.stroke((80, 50), (220, 50), (220, 150), (80, 150), (80, 50))
    board.press("Fill the region around a place, or everything")
    board.stroke((150, 100))
    mask = board.drawing()
    assert (mask[50:150, 80:220] == 255).all()
    assert not mask[:30].any()
    board.stroke((10, 10))
    assert (board.drawing() == 255).all()


def test_the_lasso_fills_its_outline(new_board: NewBoard) -> None:
    board = new_board()
    board.press("Fill an outline")
    board.begin([(50, 50), (250, 50), (250, 150)])
    assert board.page.locator(".easel-canvas-line").first.get_attribute("points")
    board.page.mouse.up()
    assert not board.page.locator(".easel-canvas-line").first.get_attribute("points")
    mask = board.drawing()
    assert (mask[60:90, 200:240] == 255).all()
    assert not mask[120:, 50:120].any()
    board.press("Undo")
    assert board.is_blank()


def test_invert_exchanges_the_mask(new_board: NewBoard) -> None:
    board = new_board()
    board.stroke((50, 100), (250, 100))
    mask = board.drawing()
    board.press("Invert the mask")
    assert (board.drawing() == 255 - mask).all()


def test_strokes_go_where_they_are_seen_however_the_view_is(new_board: NewBoard) -> None:
    board = new_board()
    page = board.page
    board.hover((200, 150))
    page.keyboard.down("Alt")
    page.mouse.wheel(0, -900)
    page.keyboard.up("Alt")
    assert page.evaluate("canvas.view.scale") > 4
    board.settle()
    board.stroke((190, 150), (210, 150))
    mask = board.drawing()
    assert (mask[150, 185:215] == 255).all()
    assert not mask[:, :178].any()
    assert not mask[:138].any()
    assert board.seen((200, 150)) != (0x20, 0x40, 0x60)
    before = page.evaluate("canvas.view.x")
    page.keyboard.down("Space")
    board.begin([(200, 150), (190, 150)])
    page.mouse.up()
    page.keyboard.up("Space")
    assert page.evaluate("canvas.view.x") < before
    assert (board.drawing() == mask).all()
    before = page.evaluate("canvas.view.y")
    page.keyboard.down("f")
    page.mouse.move(*board.at((200, 148)), steps=3)
    page.keyboard.up("f")
    page.mouse.down(button="middle")
    page.mouse.move(*board.at((200, 146)), steps=3)
    page.mouse.up(button="middle")
    assert page.evaluate("canvas.view.y") < before
    assert (board.drawing() == mask).all()
    page.keyboard.press("r")
    assert page.evaluate("canvas.view.fitted")
    board.press("Undo")
    board.stroke((30, 30), (30, 30))
    assert board.drawing()[30, 30] == 255


def test_a_stroke_may_begin_and_end_outside_of_the_picture(new_board: NewBoard) -> None:
    board = new_board(content=picture(100, 300))
    board.stroke((-60, 150), (160, 150))
    mask = board.drawing()
    assert mask.shape == (300, 100)
    assert (mask[150] == 255).all()


def test_the_keys_of_canvas_zoom_act_over_the_canvas_only(new_board: NewBoard) -> None:
    board = new_board()
    page = board.page
    board.hover((150, 100))
    size = page.evaluate("canvas.tools.brush.size")
    page.keyboard.press("w")
    assert page.evaluate("canvas.tools.brush.size") > size
    page.keyboard.press("q")
    page.keyboard.press("q")
    assert page.evaluate("canvas.tools.brush.size") < size
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.keyboard.press("e")
    expect(board.button("Eraser")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("b")
    board.stroke((50, 50), (60, 50))
    page.keyboard.press("Control+z")
    assert board.is_blank()
    page.keyboard.press("Control+Shift+z")
    assert not board.is_blank()
    page.keyboard.press("s")
    box = page.locator(".easel-canvas").bounding_box()
    assert box is not None
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 1280, 900)
    expect(board.button("Full screen")).to_be_in_viewport()
    page.mouse.move(640, 450)
    scale = page.evaluate("canvas.view.scale")
    page.mouse.wheel(0, -200)
    assert page.evaluate("canvas.view.scale") > scale
    page.keyboard.press("Escape")
    assert not page.evaluate("canvas.isLarge")
    page.locator("#prompt").click()
    board.hover((150, 100))
    page.keyboard.type("swqe")
    expect(page.locator("#prompt")).to_have_value("swqe")
    assert not page.evaluate("canvas.isLarge")
    mask = board.drawing()
    board.stroke((150, 100), (250, 100))
    page.keyboard.press("Control+z")
    expect(page.locator("#prompt")).to_have_value("swqe")
    assert (board.drawing() == mask).all(), "drawing takes the keys over from the text"
    board.begin([(150, 100), (250, 100)])
    page.keyboard.press("Escape")
    page.mouse.up()
    assert (board.drawing() == mask).all()


def test_a_pen_draws_as_wide_as_it_is_pressed_and_erases_with_its_other_end(new_board: NewBoard) -> None:
    board = new_board()
    draw = """([from, to, pressure, buttons]) => {
      const send = (type, [clientX, clientY]) => canvas.view.element.dispatchEvent(new PointerEvent(type,
        { pointerId: 1, pointerType: "pen", clientX, clientY, pressure, buttons, bubbles: true, cancelable: true }));
      canvas.view.element.setPointerCapture = () => {};
      send("pointerdown", from); send("pointermove", to); send("pointerup", to) }"""
    board.page.evaluate(draw, [board.at((50, 50)), board.at((250, 50)), 1, 1])
    board.page.evaluate(draw, [board.at((50, 150)), board.at((250, 150)), 0.3, 1])
    mask = board.drawing()
    assert (mask[:100, 150] > 127).sum() == pytest.approx(20, abs=2)
    assert (mask[100:, 150] > 127).sum() == pytest.approx(6, abs=2)
    board.page.evaluate(draw, [board.at((50, 50)), board.at((250, 50)), 1, 32])
    assert board.drawing()[:100].max() < 70, "only the smoothed edge of an edge is left"


def test_one_finger_draws_and_two_zoom_and_undo_by_a_tap(new_board: NewBoard) -> None:
    board = new_board(width=390, height=844)
    wire = board.page.context.new_cdp_session(board.page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(map(board.at, places))]
        wire.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (50, 100))
    for x in range(60, 260, 10):
        touch("touchMove", (x, 100))
    touch("touchEnd")
    mask = board.drawing()
    assert (mask[100, 50:250] == 255).all()
    scale = board.page.evaluate("canvas.view.scale")
    touch("touchStart", (150, 100))
    touch("touchStart", (150, 100), (170, 100))
    view = board.page.evaluate("[canvas.view.x, canvas.view.y, canvas.view.scale]")
    box = board.page.locator(".easel-canvas-view").bounding_box()
    assert box is not None
    left, top = box["x"] + view[0] + 150 * view[2], box["y"] + view[1] + 100 * view[2]
    for step in range(1, 9):
        spread = [{"x": left - 6 * step, "y": top, "id": 0}, {"x": left + 25 + 6 * step, "y": top, "id": 1}]
        wire.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": spread})
    touch("touchEnd")
    assert board.page.evaluate("canvas.view.scale") > scale * 1.5
    assert (board.drawing() == mask).all()
    board.press("Show all of it")
    touch("touchStart", (100, 50))
    touch("touchStart", (100, 50), (140, 50))
    touch("touchEnd")
    assert board.is_blank()


@pytest.mark.parametrize("draws", ["mask", "colour", "nothing"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_has_room_on_a_phone(new_board: NewBoard, draws: str, scheme: str) -> None:
    board = new_board(draws, width=390, height=844, scheme=scheme)
    assert board.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    for button in board.page.locator(".easel-canvas button:visible").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 36
        assert button.get_attribute("aria-label") or button.inner_text()


def test_colours_are_drawn_with_their_opacity_and_taken_from_the_picture(new_board: NewBoard) -> None:
    board = new_board("colour")
    board.page.evaluate("canvas.tools.set({ color: '#ff8000', opacity: 0.5, size: 40, hardness: 1 })")
    board.stroke((50, 100), (250, 100), (50, 100))
    strokes = board.drawing()
    assert strokes.shape == (200, 300, 4)
    assert tuple(strokes[100, 150]) == pytest.approx((255, 128, 0, 128), abs=1)
    assert not strokes[:70, :, 3].any()
    board.page.keyboard.press("i")
    board.stroke((20, 20))
    assert board.page.evaluate("canvas.tools.brush.color") == "#204060"
    expect(board.button("Brush")).to_have_attribute("aria-pressed", "true")
    flat = board.page.evaluate(
        "canvas.flattened().then((blob) => createImageBitmap(blob)).then((bitmap) => {"
        " const context = new OffscreenCanvas(300, 200).getContext('2d'); context.drawImage(bitmap, 0, 0);"
        " return [...context.getImageData(150, 100, 1, 1).data, ...context.getImageData(150, 20, 1, 1).data] })"
    )
    assert flat == pytest.approx([0x90, 0x60, 0x30, 255, 0x20, 0x40, 0x60, 255], abs=2)


def test_a_sketch_begins_on_a_white_sheet(blank_page: BlankPage, scripts: str) -> None:
    board = Board(blank_page(), scripts, "colour")
    board.press("Start with a white sheet")
    board.expect_size(512, 512)
    board.stroke((100, 100), (200, 100))
    assert tuple(board.drawing()[100, 150]) == (0xE0, 0x31, 0x31, 255)
    assert board.image(board.ids()["picture"]).convert("RGB").getpixel((5, 5)) == (255, 255, 255)
