"""Pictures worked over, on the starter model and on small ones: strength, masks, sizes, and what stays as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modules.core.errors import EaselError
from modules.core.request import GenerationRequest
from modules.engine.latents import decode, encode
from modules.engine.memory import DeviceWishes
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from tests.engine.conftest import MakeRequest, Watcher
from tests.engine.test_families import TINY, write_tiny

Pictures = dict[str, Image.Image]
SIZE = 128


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """Pictures by the name that stands for their hash here."""
    return {}


@pytest.fixture(scope="module")
def painter(catalog: CheckpointCatalog, pictures: Pictures) -> DiffusionEngine:
    settings = EngineSettings(DeviceWishes(use_cpu=True), pictures=pictures.__getitem__)
    return DiffusionEngine(ModelFiles(catalog), settings)


def made(engine: DiffusionEngine, request_of: MakeRequest, **values: object) -> np.ndarray:
    watcher = Watcher()
    engine.generate(request_of(**{"width": SIZE, "height": SIZE, "steps": 6, **values}), watcher, watcher)
    return np.stack([np.asarray(image.pixels, dtype=int) for image in watcher.images])


@pytest.fixture(scope="module")
def original(painter: DiffusionEngine, pictures: Pictures) -> Image.Image:
    """A picture of the model's own."""
    watcher = Watcher()
    request = GenerationRequest.checked({"prompt": "a green leaf", "seed": 7, "steps": 12, "width": SIZE,
                                         "height": SIZE, "checkpoint": "starter", "sampler": "Euler"})  # fmt: skip
    painter.generate(request, watcher, watcher)
    pictures["original"] = watcher.images[0].pixels
    return watcher.images[0].pixels


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M", "DDIM", "UniPC"])
def test_the_stronger_the_denoising_the_further_from_the_picture(
    sampler: str, painter: DiffusionEngine, original: Image.Image, request_of: MakeRequest
) -> None:
    start = np.asarray(original)
    far = [distance(made(painter, request_of, init_image="original", denoising_strength=strength, sampler=sampler,
                         steps=10)[0], start) for strength in (0.0, 0.3, 0.6, 1.0)]  # fmt: skip
    assert far == sorted(far)
    assert far[-1] > 3 * far[0]


def test_a_strength_of_nothing_is_the_vae_there_and_back(
    painter: DiffusionEngine, original: Image.Image, request_of: MakeRequest
) -> None:
    bundle = painter.shelf.get("starter", Watcher()).bundle
    with torch.inference_mode():
        back = np.asarray(decode(bundle, encode(bundle, original)), dtype=int)
    found = made(painter, request_of, init_image="original", denoising_strength=0.0, sampler="DDIM")[0]
    assert np.abs(found - back).max() <= 1


def test_at_full_strength_it_is_as_far_as_a_picture_from_noise(
    painter: DiffusionEngine, original: Image.Image, request_of: MakeRequest
) -> None:
    start = np.asarray(original)
    over = distance(made(painter, request_of, init_image="original", denoising_strength=1.0)[0], start)
    fresh = distance(made(painter, request_of)[0], start)
    assert 0.7 * fresh < over < 1.3 * fresh


def put_mask(pictures: Pictures, box: tuple[int, int, int, int], size: tuple[int, int] = (SIZE, SIZE)) -> np.ndarray:
    mask = Image.new("L", size)
    mask.paste(255, box)
    pictures["mask"] = mask
    return np.asarray(mask) > 0


@pytest.mark.parametrize("values", [
    {}, {"inpaint_area": "Only masked"}, {"masked_content": "fill"}, {"masked_content": "latent noise"},
    {"masked_content": "latent nothing"}, {"sampler": "DDIM"}, {"mask_blur_x": 8, "mask_blur_y": 8},
    {"mask_mode": "Inpaint not masked"},
])  # fmt: skip
def test_pixels_that_are_not_masked_stay_as_they_were_to_the_byte(
    values: Mapping[str, object], painter: DiffusionEngine, original: Image.Image, pictures: Pictures,
    request_of: MakeRequest,
) -> None:  # fmt: skip
    painted = put_mask(pictures, (32, 32, 96, 96))
    if "mask_mode" in values:
        painted = ~painted
    found = made(painter, request_of, init_image="original", mask_image="mask", denoising_strength=0.9,
                 **{"mask_blur_x": 0, "mask_blur_y": 0, **values})[0]  # fmt: skip
    start = np.asarray(original, dtype=int)
    reach = int(2.5 * int(values.get("mask_blur_x", 0)) + 0.5)  # type: ignore[call-overload]
    edge = np.zeros_like(painted)
    edge[32 - reach : 96 + reach, 32 - reach : 96 + reach] = True
    kept = ~edge if reach else ~painted
    assert (found[kept] == start[kept]).all()
    assert distance(found[painted], start[painted]) > 2


def test_without_the_overlay_the_rest_is_the_vae_there_and_back(
    painter: DiffusionEngine, original: Image.Image, pictures: Pictures, request_of: MakeRequest
) -> None:
    put_mask(pictures, (32, 32, 96, 96))
    bundle = painter.shelf.get("starter", Watcher()).bundle
    with torch.inference_mode():
        back = np.asarray(decode(bundle, encode(bundle, original)), dtype=int)
    found = made(painter, request_of, init_image="original", mask_image="mask", overlay_inpaint=False)[0]
    start = np.asarray(original, dtype=int)
    # The corner is far from the mask, which the VAE's convolutions and norms carry a little outwards.
    corner = (slice(0, 16), slice(0, 16))
    assert (found[corner] != start[corner]).any()
    assert distance(found[corner], back[corner]) < distance(found[48:80, 48:80], back[48:80, 48:80]) / 2


def test_only_what_is_masked_is_enlarged_and_put_back(
    painter: DiffusionEngine, pictures: Pictures, request_of: MakeRequest
) -> None:
    pictures["large"] = Image.effect_noise((400, 300), 80).convert("RGB")
    painted = put_mask(pictures, (300, 200, 340, 230), (400, 300))
    found = made(painter, request_of, init_image="large", mask_image="mask", inpaint_area="Only masked",
                 masked_padding=16, mask_blur_x=0, mask_blur_y=0)[0]  # fmt: skip
    start = np.asarray(pictures["large"], dtype=int)
    assert found.shape == (300, 400, 3)
    assert (found[~painted] == start[~painted]).all()
    assert (found[painted] != start[painted]).any()


@pytest.mark.parametrize("values", [{"inpaint_area": "Only masked"}, {}])
def test_a_black_mask_leaves_the_picture_or_paints_it_all(
    values: Mapping[str, object], painter: DiffusionEngine, original: Image.Image, pictures: Pictures,
    request_of: MakeRequest,
) -> None:  # fmt: skip
    pictures["mask"] = Image.new("L", (SIZE, SIZE))
    found = made(painter, request_of, init_image="original", mask_image="mask", **values)[0]
    plain = made(painter, request_of, init_image="original")[0]
    # A1111 works on the whole picture when there is no part to work on alone.
    assert (found == (plain if values else np.asarray(original))).all()


@pytest.mark.parametrize("mode", range(4))
def test_every_resize_mode_gives_the_size_that_was_asked_for(
    mode: int, painter: DiffusionEngine, pictures: Pictures, request_of: MakeRequest
) -> None:
    pictures["wide"] = Image.new("RGB", (200, 90), "teal")
    found = made(painter, request_of, init_image="wide", resize_mode=mode, width=64, height=128, steps=2)
    assert found.shape == (1, 128, 64, 3)


@pytest.mark.parametrize("size", [(1, 1), (3, 700)])
def test_pictures_of_odd_sizes_work(
    size: tuple[int, int], painter: DiffusionEngine, pictures: Pictures, request_of: MakeRequest
) -> None:
    pictures["odd"] = Image.new("RGB", size, "red")
    for mode in range(3):
        found = made(painter, request_of, init_image="odd", resize_mode=mode, width=64, height=64, steps=2)
        assert found.shape == (1, 64, 64, 3)


def test_a_batch_gives_what_single_pictures_give(
    painter: DiffusionEngine, original: Image.Image, pictures: Pictures, request_of: MakeRequest
) -> None:
    put_mask(pictures, (32, 32, 96, 96))
    values = {"init_image": "original", "mask_image": "mask", "masked_content": "latent noise", "sampler": "Euler a"}
    batch = made(painter, request_of, **values, batch_size=2)
    singles = [made(painter, request_of, **values, seed=seed)[0] for seed in (5, 6)]
    assert all(np.abs(one - other).max() <= 2 for one, other in zip(batch, singles, strict=True))


def test_noise_multiplier_and_exact_steps_act(
    painter: DiffusionEngine, original: Image.Image, request_of: MakeRequest
) -> None:
    plain = made(painter, request_of, init_image="original", denoising_strength=0.5)
    assert (
        made(painter, request_of, init_image="original", denoising_strength=0.5, noise_multiplier=0.8) != plain
    ).any()
    watchers = []
    for fix in (False, True):
        watcher = Watcher()
        request = request_of(init_image="original", denoising_strength=0.5, fix_steps=fix, steps=8)
        painter.generate(request, watcher, watcher)
        watchers.append(sum(type(event).__name__ == "StepDone" for event in watcher.events))
    assert watchers == [5, 8]


@pytest.mark.parametrize("channels", [9, 8])
def test_models_that_see_the_picture_are_shown_it(channels: int, tmp_path: Path, request_of: MakeRequest) -> None:
    layout = TINY["sd1"]
    write_tiny(tmp_path / "model.safetensors", "sd1", replace(layout, unet=replace(layout.unet, in_channels=channels)))
    shown: Pictures = {"red": Image.new("RGB", (64, 64), "red"), "blue": Image.new("RGB", (64, 64), "blue")}
    put_mask(shown, (16, 16, 48, 48), (64, 64))
    catalog = CheckpointCatalog([tmp_path], HashCache(tmp_path / "hashes.json"))
    engine = DiffusionEngine(
        ModelFiles(catalog), EngineSettings(DeviceWishes(use_cpu=True), pictures=shown.__getitem__)
    )
    values = {"checkpoint": "model", "width": 64, "height": 64, "denoising_strength": 1.0, "overlay_inpaint": False}
    red, blue = (made(engine, request_of, **values, init_image=name) for name in ("red", "blue"))
    assert (red != blue).any()
    if channels == 8:
        by_picture = made(engine, request_of, **values, init_image="red", image_cfg_scale=3.0)
        assert (by_picture != red).any()
        watcher = Watcher()
        engine.generate(request_of(**values, init_image="red", steps=1), watcher, watcher)
        assert "CFG scale: 7.0, Image CFG scale: 1.5, Seed:" in watcher.images[0].infotext
        with pytest.raises(EaselError, match="AND cannot be used"):
            made(engine, request_of, **values, init_image="red", prompt="a AND b")
        assert made(engine, request_of, **values, init_image="red", prompt="a AND b", image_cfg_scale=1).any()
    if channels == 9:
        masked = {weight: made(engine, request_of, **values, init_image="red", mask_image="mask", mask_weight=weight)
                  for weight in (0.0, 1.0)}  # fmt: skip
        assert (masked[0.0] != masked[1.0]).any()
