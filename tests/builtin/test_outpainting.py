"""Both kinds of outpainting: sizes, masks, seeds and passes, and that what there was stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from modules.builtin.growing import SIDES, Growth, frame
from modules.core.errors import InvalidRequest
from modules.core.events import StepDone
from tests.builtin.conftest import EnginePictures, Make, Painter
from tests.engine.conftest import Watcher

MK2, POOR = "outpainting_mk2", "poor_mans_outpainting"
GREEN, RED = (0, 128, 0), (255, 0, 0)


def extras(name: str, **values: object) -> dict[str, dict[str, object]]:
    return {name: {"pixels": 64, **values}}


@given(st.integers(8, 700), st.integers(8, 700), st.integers(1, 32), st.lists(st.sampled_from(SIDES)))
def test_a_picture_grows_on_the_named_sides_to_a_multiple_of_64(
    width: int, height: int, eighths: int, sides: list[str]
) -> None:
    growth = Growth.of((width, height), eighths * 8, ", ".join(sides))
    grown = growth.grown((width, height))
    for side in SIDES:
        assert (getattr(growth, side) >= eighths * 8 - 63) if side in sides else getattr(growth, side) == 0
    assert not {"left", "right"} & set(sides) or (grown[0] % 64 == 0 and grown[0] < width + eighths * 16 + 64)
    assert not {"up", "down"} & set(sides) or grown[1] % 64 == 0


def test_a_frame_is_white_around_what_is_inside_and_all_white_where_nothing_is() -> None:
    mask = np.asarray(frame((8, 6), (2, 1, 4, 5)))
    assert (mask[1:6, 2:5] == 0).all()
    assert (mask == 0).sum() == 15
    assert np.asarray(frame((8, 6), (5, 0, 4, 5))).min() == 255


@pytest.mark.parametrize("name", [MK2, POOR])
def test_the_whole_is_as_large_as_the_sides_make_it_and_the_middle_is_the_original(
    name: str, painter: Painter, watcher: Watcher
) -> None:
    assert painter.run(watcher, width=256, height=256, extras=extras(name)).images_done == (0,)
    found = np.asarray(watcher.images[0].pixels)
    assert found.shape == (256, 256, 3)
    assert (found[96:160, 96:160] == GREEN).all()
    for place in ((4, 4), (4, 128), (128, 4), (250, 250), (128, 250)):
        assert tuple(found[place]) == RED
    assert watcher.images[0].over_picture


@pytest.mark.parametrize("name", [MK2, POOR])
def test_only_the_named_sides_grow(name: str, painter: Painter, watcher: Watcher) -> None:
    painter.run(watcher, width=256, height=256, extras=extras(name, direction="right"))
    found = np.asarray(watcher.images[0].pixels)
    assert found.shape == (128, 192, 3)
    assert (found[:, :100] == GREEN).all()
    assert (found[:, 140:] == RED).all()


def test_mk2_works_side_by_side_on_strips_of_at_most_the_size_of_the_request(
    painter: Painter, watcher: Watcher
) -> None:
    painter.run(watcher, width=128, height=192, extras=extras(MK2, mask_blur=8))
    assert [one.picture.size for one in painter.passes] == [(128, 128), (128, 128), (256, 192), (256, 192)]
    assert [(one.request.width, one.request.height) for one in painter.passes] == [
        one.picture.size for one in painter.passes
    ]
    left = painter.passes[0]
    assert np.asarray(left.mask)[0].tolist() == [255] * 72 + [0] * 56
    assert np.asarray(left.latent_mask)[0].tolist() == [255] * 80 + [0] * 48
    right = painter.passes[1]
    assert np.asarray(right.mask)[0].tolist() == [0] * 57 + [255] * 71
    assert {(one.request.mask_blur_x, one.request.mask_blur_y) for one in painter.passes} == {(32, 32)}
    assert {one.request.masked_content for one in painter.passes} == {"original"}
    assert {one.request.extras for one in painter.passes} == {painter.passes[0].request.extras}
    assert MK2 not in painter.passes[0].request.extras


def test_mk2_softens_no_border_in_a_direction_in_which_nothing_grows(painter: Painter, watcher: Watcher) -> None:
    painter.run(watcher, width=256, height=256, extras=extras(MK2, direction="left"))
    assert (painter.passes[0].request.mask_blur_x, painter.passes[0].request.mask_blur_y) == (32, 0)


def test_mk2_begins_a_side_with_noise_and_not_with_black(painter: Painter, watcher: Watcher) -> None:
    rng = np.random.default_rng(0)
    painter.pictures["start"] = Image.fromarray(rng.integers(90, 160, (128, 128, 3), dtype=np.uint8), "RGB")
    painter.run(watcher, width=256, height=256, extras=extras(MK2, direction="left"))
    new = np.asarray(painter.passes[0].picture)[:, :64]
    assert new.min() >= 90
    assert new.std() > 5


@pytest.mark.parametrize("size", [(100, 77), (64, 130), (33, 33)])
@pytest.mark.parametrize("name", [MK2, POOR])
def test_odd_sizes_are_painted_to_the_edge(
    size: tuple[int, int], name: str, painter: Painter, watcher: Watcher
) -> None:
    painter.pictures["start"] = Image.new("RGB", size, "green")
    painter.run(watcher, width=512, height=512, extras=extras(name))
    found = watcher.images[0].pixels
    assert (found.width % 64, found.height % 64) == (0, 0)
    corners = [(0, 0), (found.width - 1, 0), (0, found.height - 1), (found.width - 1, found.height - 1)]
    assert [found.getpixel(corner) for corner in corners] == [RED] * 4
    assert all(one.request.width % 8 == one.request.height % 8 == 0 for one in painter.passes)


def test_the_poor_mans_tiles_overlap_leave_out_what_is_all_old_and_count_their_seeds_up(
    painter: Painter, watcher: Watcher
) -> None:
    painter.pictures["start"] = Image.new("RGB", (512, 512), "green")
    painter.run(watcher, width=256, height=256, extras=extras(POOR, masked_content="latent noise"))
    assert [one.request.seed for one in painter.passes] == list(range(10, 18)), "nine tiles, one of them all old"
    assert {one.picture.size for one in painter.passes} == {(256, 256)}
    assert {one.request.masked_content for one in painter.passes} == {"latent noise"}
    assert {one.request.mask_blur_x for one in painter.passes} == {8}
    corner = painter.passes[0]
    assert np.asarray(corner.mask)[100].tolist() == [255] * 72 + [0] * 184
    assert np.asarray(corner.latent_mask)[100].tolist() == [255] * 66 + [0] * 190


@pytest.mark.parametrize("name", [MK2, POOR])
def test_every_picture_has_its_own_seed_and_what_exists_is_not_made_again(
    name: str, painter: Painter, watcher: Watcher
) -> None:
    result = painter.run(watcher, frozenset({1}), batch_size=2, batch_count=2, extras=extras(name, direction="up"))
    assert result.images_done == (0, 1, 2, 3)
    assert [(image.index, image.seed) for image in watcher.images] == [(0, 10), (2, 12), (3, 13)]


def test_progress_runs_through_all_passes(painter: Painter, watcher: Watcher) -> None:
    painter.run(watcher, width=256, height=256, extras=extras(MK2))
    steps = [(event.step, event.steps) for event in watcher.events if isinstance(event, StepDone)]
    assert steps == [(2, 8), (4, 8), (6, 8), (8, 8)]


@pytest.mark.parametrize("name", [MK2, POOR])
def test_infotexts_tell_of_the_request_and_not_of_a_pass(name: str, painter: Painter, watcher: Watcher) -> None:
    painter.run(watcher, width=512, height=128, extras=extras(name, direction="left"))
    assert watcher.images[0].infotext == "told of 512"


@pytest.mark.parametrize("name", [MK2, POOR])
def test_without_a_picture_it_is_refused_by_name(name: str, painter: Painter, watcher: Watcher) -> None:
    with pytest.raises(InvalidRequest, match="Image: nothing is not possible; allowed is a picture that is to grow"):
        painter.run(watcher, init_image="", extras=extras(name))
    with pytest.raises(InvalidRequest, match="at least 1 of left, right, up, down"):
        painter.run(watcher, extras=extras(name, direction=""))


@pytest.mark.parametrize("name", [MK2, POOR])
def test_on_a_real_model_the_new_side_is_painted_and_the_old_one_stays(
    name: str, make: Make, engine_pictures: EnginePictures
) -> None:
    start = make(prompt="a green leaf", steps=6).images[0].pixels
    engine_pictures["start"] = start
    values = {"init_image": "start", "extras": extras(name, direction="right", mask_blur=0), "denoising_strength": 0.9,
              "width": 128, "height": 64}  # fmt: skip
    watcher = make(**values)
    found = np.asarray(watcher.images[0].pixels, dtype=int)
    assert found.shape == (64, 128, 3)
    assert (found[:, :63] == np.asarray(start, dtype=int)[:, :63]).all()
    assert found[:, 72:].std() > 1
    text = watcher.images[0].infotext
    assert "Size: 128x64" in text
    assert "Outpainting pixels: 64" in text
    assert "Outpainting direction: right" in text
    assert "Mask blur" not in text
    assert (np.asarray(make(**values).images[0].pixels) == found).all(), "the same request gives the same bytes"
