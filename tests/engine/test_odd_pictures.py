"""Pictures and masks of every kind that may be handed in are worked over; what nobody foresaw is a clear refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modules.core.errors import InvalidRequest
from modules.engine.memory import DeviceWishes
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.gallery.inputs import InputStore
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from tests.engine.conftest import MakeRequest, Watcher
from tests.odd_pictures import ODD_FILES, SIZE, file_of

WIDTH, HEIGHT = 72, 64


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> InputStore:
    return InputStore(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def painter(catalog: CheckpointCatalog, store: InputStore) -> DiffusionEngine:
    return DiffusionEngine(ModelFiles(catalog), EngineSettings(DeviceWishes(use_cpu=True), pictures=store.load))


def made(painter: DiffusionEngine, request_of: MakeRequest, **values: object) -> np.ndarray:
    watcher = Watcher()
    size = {"width": WIDTH, "height": HEIGHT, "steps": 2, "denoising_strength": 0.6}
    painter.generate(request_of(**(size | values)), watcher, watcher)
    assert len(watcher.images) == 1
    return np.asarray(watcher.images[0].pixels, dtype=int)


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", sorted(set(ODD_FILES) - {"a line of 40000 pixels"}))
def test_every_kind_of_picture_is_worked_over(
    painter: DiffusionEngine, store: InputStore, request_of: MakeRequest, kind: str, mode: int
) -> None:
    digest = store.keep(ODD_FILES[kind])
    assert made(painter, request_of, init_image=digest, resize_mode=mode).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_a_line_of_40000_pixels_is_worked_over(
    painter: DiffusionEngine, store: InputStore, request_of: MakeRequest, mode: int
) -> None:
    digest = store.keep(ODD_FILES["a line of 40000 pixels"])
    assert made(painter, request_of, init_image=digest, resize_mode=mode).shape == (HEIGHT, WIDTH, 3)


def test_sixteen_bits_of_grey_are_as_bright_as_eight(
    painter: DiffusionEngine, store: InputStore, request_of: MakeRequest
) -> None:
    eight = store.keep(file_of(Image.new("RGB", SIZE, (0x80, 0x80, 0x80))))
    sixteen = store.keep(ODD_FILES["16 bits"])
    one, other = (made(painter, request_of, init_image=digest) for digest in (eight, sixteen))
    assert (one == other).all()


@pytest.mark.parametrize("kind", ["one pixel", "16 bits", "CMYK", "animated", "black and white", "webp", "turned"])
def test_a_mask_of_any_kind_and_size_is_stretched_to_the_picture(
    painter: DiffusionEngine, store: InputStore, request_of: MakeRequest, kind: str
) -> None:
    picture = store.keep(file_of(Image.new("RGB", (100, 100), "green")))
    for area in ("Whole picture", "Only masked"):
        found = made(painter, request_of, init_image=picture, mask_image=store.keep(ODD_FILES[kind]), inpaint_area=area)
        assert found.shape == ((HEIGHT, WIDTH, 3) if area == "Whole picture" else (100, 100, 3))


def test_a_mask_that_is_all_white_is_as_none(
    painter: DiffusionEngine, store: InputStore, request_of: MakeRequest
) -> None:
    picture, white = store.keep(ODD_FILES["webp"]), store.keep(file_of(Image.new("L", (7, 5), 255)))
    masked = made(painter, request_of, init_image=picture, mask_image=white)
    assert (masked == made(painter, request_of, init_image=picture)).all()


def test_a_mask_that_is_all_black_leaves_the_picture_as_it_is_and_only_masked_becomes_img2img(
    painter: DiffusionEngine, store: InputStore, request_of: MakeRequest
) -> None:
    picture = Image.fromarray(np.random.default_rng(3).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8), "RGB")
    values = {"init_image": store.keep(file_of(picture)), "mask_image": store.keep(file_of(Image.new("L", (9, 9))))}
    assert (made(painter, request_of, **values) == np.asarray(picture)).all()
    alone = made(painter, request_of, **values, inpaint_area="Only masked")
    assert (alone == made(painter, request_of, init_image=values["init_image"])).all()


def test_a_picture_that_was_damaged_after_it_was_handed_in_is_a_clear_refusal(
    painter: DiffusionEngine, store: InputStore, request_of: MakeRequest
) -> None:
    content = file_of(Image.new("RGB", (300, 300), "navy"))
    digest = store.keep(content)
    Path(store.find(digest)).write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidRequest, match="a PNG picture that is damaged"):
        made(painter, request_of, init_image=digest)


def test_colour_correction_brings_the_hues_of_the_picture_back(
    painter: DiffusionEngine, store: InputStore, request_of: MakeRequest
) -> None:
    shades = np.asarray(Image.linear_gradient("L").resize((WIDTH, HEIGHT)))[..., None] // 3
    blue = Image.fromarray(shades + np.array([0, 40, 150], dtype=np.uint8), "RGB")
    values = {"init_image": store.keep(file_of(blue)), "denoising_strength": 0.9, "prompt": "a red apple"}
    plain, corrected = (made(painter, request_of, **values, color_correction=on) for on in (False, True))
    wanted, before, after = (
        float((each[..., 2] - each[..., 0]).mean()) for each in (np.asarray(blue, dtype=int), plain, corrected)
    )
    assert abs(after - wanted) < abs(before - wanted) / 2
    weights = np.array([0.299, 0.587, 0.114])
    assert np.abs((plain - corrected) @ weights).mean() < 2


def test_without_a_picture_colour_correction_changes_nothing(painter: DiffusionEngine, request_of: MakeRequest) -> None:
    one, other = (made(painter, request_of, color_correction=on) for on in (False, True))
    assert (one == other).all()


def test_a_small_picture_is_enlarged_by_the_upscaler_that_is_set(
    painter: DiffusionEngine, store: InputStore, request_of: MakeRequest
) -> None:
    digest = store.keep(file_of(Image.radial_gradient("L").resize((16, 16))))
    found = [made(painter, request_of, init_image=digest, denoising_strength=0.0, img2img_upscaler=name)
             for name in ("None", "Lanczos", "Nearest")]  # fmt: skip
    assert np.abs(found[0] - found[2]).mean() > 1
    assert (found[0] != found[1]).any()
