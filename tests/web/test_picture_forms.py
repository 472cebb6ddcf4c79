"""What each sub-tab of img2img makes of its pictures, and what it refuses."""

import io

import numpy as np
import pytest
from PIL import Image

from modules.core.errors import InvalidRequest
from modules.gallery.inputs import InputStore
from modules.web.checkpoints import CheckpointChooser
from modules.web.picture_forms import picture_values, scaled_size
from modules.web.requests import RequestMaker
from tests.web.site import Site

WIDTH, HEIGHT = 96, 64


@pytest.fixture
def inputs(site: Site) -> InputStore:
    return site.services.inputs


@pytest.fixture
def maker(site: Site) -> RequestMaker:
    services = site.services
    chooser = CheckpointChooser(services.files.checkpoints, services.settings, services.jobs.preload)
    return RequestMaker(services, chooser)


def keep(inputs: InputStore, picture: Image.Image) -> str:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return inputs.keep(content.getvalue())


def photo(color: tuple[int, ...] = (200, 100, 50), mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (WIDTH, HEIGHT), color)


def strokes(color: tuple[int, int, int, int] = (0, 0, 255, 255)) -> Image.Image:
    """Nothing but a stroke in the left half."""
    drawn = Image.new("RGBA", (WIDTH, HEIGHT))
    drawn.paste(color, (8, 8, 40, 40))
    return drawn


def pixels(inputs: InputStore, digest: object, mode: str = "RGB") -> np.ndarray:
    return np.asarray(inputs.load(str(digest)).convert(mode)).astype(int)


def test_img2img_takes_the_picture_as_it_is(inputs: InputStore) -> None:
    picture = keep(inputs, photo())
    assert picture_values({"mode": "img2img", "picture": picture, "drawing": ""}, inputs) == {"init_image": picture}


def test_a_depth_map_goes_with_the_picture(inputs: InputStore, maker: RequestMaker) -> None:
    picture, depth = keep(inputs, photo()), keep(inputs, photo((255, 255, 255)))
    values = {"mode": "img2img", "picture": picture, "drawing": "", "depth": depth, "prompt": "a lamp"}
    assert picture_values(values, inputs) == {"init_image": picture, "depth_image": depth}
    assert maker.from_values(values).depth_image == depth
    assert maker.from_values({**values, "depth": ""}).depth_image == ""


def test_a_sketch_is_the_picture_with_the_strokes_over_it(inputs: InputStore) -> None:
    values = {"mode": "sketch", "picture": keep(inputs, photo()), "drawing": keep(inputs, strokes((0, 0, 255, 128)))}
    made = picture_values(values, inputs)
    assert set(made) == {"init_image"}
    drawn = pixels(inputs, made["init_image"])
    assert drawn[60, 90].tolist() == [200, 100, 50]
    assert np.abs(drawn[20, 20] - [99.6, 49.8, 152.9]).max() <= 1, "half of the stroke's colour"


def test_a_sketch_keeps_the_transparency_of_its_picture(inputs: InputStore) -> None:
    picture = keep(inputs, photo((200, 100, 50, 0), "RGBA"))
    made = picture_values({"mode": "sketch", "picture": picture, "drawing": keep(inputs, strokes())}, inputs)
    alpha = pixels(inputs, made["init_image"], "RGBA")[..., 3]
    assert (alpha[60, 90], alpha[20, 20]) == (0, 255)


def test_inpainting_takes_what_was_painted_as_the_mask(inputs: InputStore) -> None:
    picture, mask = keep(inputs, photo()), keep(inputs, photo((255, 255, 255)))
    for mode in ("inpaint", "inpaint_upload"):
        made = picture_values({"mode": mode, "picture": picture, "drawing": mask}, inputs)
        assert made == {"init_image": picture, "mask_image": mask}


@pytest.mark.parametrize("mode", ["inpaint", "inpaint_sketch", "inpaint_upload"])
def test_nothing_painted_is_refused_where_nothing_would_change(inputs: InputStore, mode: str) -> None:
    values = {"mode": mode, "picture": keep(inputs, photo()), "drawing": ""}
    with pytest.raises(InvalidRequest) as refused:
        picture_values({**values, "mask_mode": "Inpaint masked"}, inputs)
    assert refused.value.problems[0].field == "mask_image"
    assert "paint over it" in refused.value.problems[0].allowed
    assert picture_values({**values, "mask_mode": "Inpaint not masked"}, inputs)["mask_image"] == ""


def test_an_inpaint_sketch_is_painted_anew_where_it_has_strokes(inputs: InputStore) -> None:
    values = {
        "mode": "inpaint_sketch", "picture": keep(inputs, photo()), "drawing": keep(inputs, strokes()),
        "mask_blur_x": 0, "mask_alpha": 0,
    }  # fmt: skip
    made = picture_values(values, inputs)
    mask, drawn = pixels(inputs, made["mask_image"], "L"), pixels(inputs, made["init_image"])
    assert set(np.unique(mask)) == {0, 255}
    assert (mask[8:40, 8:40] == 255).all()
    assert mask.sum() == 32 * 32 * 255
    assert drawn[20, 20].tolist() == [0, 0, 255]
    assert drawn[60, 90].tolist() == [200, 100, 50]


def test_mask_transparency_lets_the_picture_through(inputs: InputStore) -> None:
    values = {
        "mode": "inpaint_sketch", "picture": keep(inputs, photo()), "drawing": keep(inputs, strokes()),
        "mask_blur_x": 0, "mask_alpha": 60,
    }  # fmt: skip
    made = picture_values(values, inputs)
    assert np.unique(pixels(inputs, made["mask_image"], "L")).tolist() == [0, 102]
    mixed = pixels(inputs, made["init_image"])[20, 20]
    assert np.abs(mixed - (np.array([0, 0, 255]) * 0.4 + np.array([200, 100, 50]) * 0.6)).max() <= 1


def test_the_blur_softens_the_edge_of_an_inpaint_sketch(inputs: InputStore) -> None:
    picture, drawing = keep(inputs, photo()), keep(inputs, strokes())
    values = {"mode": "inpaint_sketch", "picture": picture, "drawing": drawing, "mask_blur_x": 4}
    drawn = pixels(inputs, picture_values(values, inputs)["init_image"])
    edge = drawn[24, 30:50, 2]
    assert len(set(edge.tolist())) > 5
    assert (np.diff(edge) <= 0).all()


@pytest.mark.parametrize(("values", "field"), [({"mode": "img2img"}, "init_image"), ({"mode": "x"}, "mode")])
def test_what_is_missing_is_named(inputs: InputStore, values: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        picture_values(values, inputs)
    assert [problem.field for problem in refused.value.problems] == [field]


def test_a_picture_that_is_gone_is_named(inputs: InputStore) -> None:
    for mode in ("sketch", "inpaint_sketch"):
        with pytest.raises(InvalidRequest):
            picture_values({"mode": mode, "picture": "0" * 64, "drawing": "0" * 64}, inputs)


def test_a_scale_is_of_the_pictures_own_size_in_whole_latents(inputs: InputStore) -> None:
    picture = keep(inputs, photo())
    assert scaled_size({"resize_by": True, "scale_by": 1.6}, picture, inputs) == {"width": 152, "height": 96}
    assert scaled_size({"resize_by": False, "scale_by": 1.6}, picture, inputs) == {}
    with pytest.raises(InvalidRequest):
        scaled_size({"resize_by": True, "scale_by": 9}, picture, inputs)


def test_the_form_becomes_a_request_with_its_pictures(maker: RequestMaker, inputs: InputStore) -> None:
    picture, mask = keep(inputs, photo()), keep(inputs, photo((255, 255, 255)))
    request = maker.from_values({
        "mode": "inpaint", "picture": picture, "drawing": mask, "resize_by": True, "scale_by": 2, "mask_blur_x": 7,
        "mask_blur_y": None, "prompt": "a cat", "width": 64, "height": 64,
    })  # fmt: skip
    assert (request.init_image, request.mask_image) == (picture, mask)
    assert (request.width, request.height) == (2 * WIDTH, 2 * HEIGHT)
    assert (request.mask_blur_x, request.mask_blur_y) == (7, 7)


def test_another_blur_downwards_is_kept(maker: RequestMaker, inputs: InputStore) -> None:
    picture = keep(inputs, photo())
    request = maker.from_values({"mode": "img2img", "picture": picture, "mask_blur_x": 7, "mask_blur_y": 2})
    assert (request.mask_blur_x, request.mask_blur_y) == (7, 2)
