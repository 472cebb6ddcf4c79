"""What a LoRA file holds, what it adds to a weight, and why a file is refused."""

import json
import math
import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor

from modules.core.errors import NetworkUnavailable
from modules.networks.kinds.base import LayerChange
from modules.networks.kinds.low_rank import LowRank
from modules.networks.lora import LoraCache, read_lora
from tests.networks.tiny import TEXT_LINEAR, UNET_CONV_3, UNET_LINEAR, delta, lora_file, lora_tensors, on_disk, random


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_linear_change_is_up_times_down_times_alpha_over_rank(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = lora_tensors(dtype, rank=4, alpha=2.0)
    change = read_lora(lora_file(tmp_path / "a.safetensors", tensors)).modules[UNET_LINEAR]
    up, down = (tensors[f"{UNET_LINEAR}.lora_{part}.weight"].float() for part in ("up", "down"))
    torch.testing.assert_close(delta(change, (5, 6)), up @ down * 0.5)


def test_without_alpha_the_product_is_taken_as_it_is() -> None:
    up, down = random(5, 3), random(3, 6)
    torch.testing.assert_close(delta(LayerChange(LowRank(up, down)), (5, 6)), up @ down)


@pytest.mark.parametrize("size", [1, 3])
def test_a_convolution_acts_like_its_two_convolutions_in_a_row(size: int) -> None:
    up, down, picture = random(6, 2, 1, 1), random(2, 4, size, size), random(1, 4, 7, 7)
    change = delta(LayerChange(LowRank(up, down), 0.5), (6, 4, size, size))
    in_a_row = torch.conv2d(torch.conv2d(picture, down), up) / 2
    torch.testing.assert_close(torch.conv2d(picture, change), in_a_row, atol=1e-5, rtol=1e-5)


def test_a_convolution_in_three_parts_acts_like_its_three_convolutions_in_a_row() -> None:
    up, mid, down, picture = random(6, 2, 1, 1), random(2, 3, 3, 3), random(3, 4, 1, 1), random(1, 4, 7, 7)
    change = LayerChange(LowRank(up, down, mid), 2.0)
    in_a_row = torch.conv2d(torch.conv2d(torch.conv2d(picture, down), mid), up) * 2
    torch.testing.assert_close(torch.conv2d(picture, delta(change, (6, 4, 3, 3))), in_a_row, atol=1e-4, rtol=1e-4)
    assert torch.equal(delta(change, (6, 4, 3, 3), dyn=1), delta(change, (6, 4, 3, 3)))


def test_flat_matrices_fit_a_convolution_of_one_pixel_and_the_other_way_round() -> None:
    flat = LowRank(random(6, 2), random(2, 4))
    square = LowRank(flat.up.reshape(6, 2, 1, 1), flat.down.reshape(2, 4, 1, 1))
    for change in (flat, square):
        assert change.fits((6, 4))
        assert change.fits((6, 4, 1, 1))
        assert not change.fits((6, 4, 3, 3))
        assert not change.fits((4, 6))
    assert torch.equal(delta(LayerChange(flat), (6, 4, 1, 1)).flatten(1), delta(LayerChange(square), (6, 4)))


def test_a_cut_rank_keeps_the_first_ranks_and_the_scale() -> None:
    up, down = random(5, 4), random(4, 6)
    change = LayerChange(LowRank(up, down), 0.5)
    torch.testing.assert_close(delta(change, (5, 6), dyn=1), up[:, :1] @ down[:1] * 0.5)
    torch.testing.assert_close(delta(change, (5, 6), dyn=99), delta(change, (5, 6)))


@pytest.mark.parametrize("ending", [".pt", ".ckpt"])
@pytest.mark.parametrize("nested", [False, True])
def test_pickled_files_hold_the_same(tmp_path: Path, ending: str, nested: bool) -> None:
    file = tmp_path / f"a{ending}"
    tensors = lora_tensors()
    torch.save({"state_dict": tensors, "epoch": 3} if nested else tensors, file)
    lora = read_lora(on_disk(file))
    assert set(lora.modules) == {name.partition(".")[0] for name in tensors}
    assert torch.equal(lora.modules[TEXT_LINEAR].core.up, tensors[f"{TEXT_LINEAR}.lora_up.weight"])


class Malice:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.marker),)


def test_a_pickle_that_would_run_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    file = tmp_path / "evil.pt"
    torch.save({"lora_unet_x.alpha": Malice(tmp_path / "ran")}, file)
    with pytest.raises(NetworkUnavailable, match=r"evil\.pt .*run code"):
        read_lora(on_disk(file))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{"),
        ("page.safetensors", b"<!DOCTYPE html><html>"),
        ("empty.safetensors", b""),
        ("empty.pt", b""),
        ("page.pt", b"<!DOCTYPE html><html>"),
        ("zip.pt", b"PK\x03\x04 and then nothing"),
        ("list.pt", pickle.dumps([1, 2], protocol=2)),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NetworkUnavailable, match=name):
        read_lora(on_disk(tmp_path / name))


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(NetworkUnavailable, match=r"gone\.safetensors"):
        LoraCache().get(on_disk(tmp_path / "gone.safetensors"))


def without(name: str) -> dict[str, Tensor]:
    tensors = lora_tensors()
    del tensors[name]
    return tensors


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"model.weight": random(2, 2)}, "holds no LoRA"),
        ({"emb_params": random(2, 8)}, "holds no LoRA"),
        ({"model.diffusion_model.out.2.weight": random(2, 2), "model.diffusion_model.out.2.bias": random(2)},
         "holds no LoRA"),
        (without(f"{UNET_LINEAR}.lora_up.weight"), f"{UNET_LINEAR} cannot be read: it lacks lora_up.weight"),
        (without(f"{UNET_CONV_3}.lora_down.weight"), f"{UNET_CONV_3} cannot be read: it lacks lora_down.weight"),
        (lora_tensors() | {f"{UNET_LINEAR}.lora_down.weight": random(3, 6)}, "do not fit each other"),
        (lora_tensors() | {f"{UNET_LINEAR}.lora_up.weight": random(5)}, "do not fit each other"),
        (lora_tensors() | {f"{UNET_CONV_3}.lora_mid.weight": random(9, 9, 3, 3)}, "do not fit each other"),
        (lora_tensors() | {f"{UNET_LINEAR}.alpha": random(2)}, "no single number"),
        (lora_tensors() | {"lora_unet_x.hada_w1_a": random(2, 2)}, "lacks hada_w1_b and hada_w2_a and hada_w2_b"),
        ({"lora_unet_x.dora_scale": random(2, 2)}, r"of no known kind \(dora_scale\)"),
    ],
)
def test_a_file_that_is_no_whole_lora_says_why(tmp_path: Path, tensors: dict[str, Tensor], reason: str) -> None:
    with pytest.raises(NetworkUnavailable, match=rf"odd\.safetensors .*{reason}"):
        read_lora(lora_file(tmp_path / "odd.safetensors", tensors))


def test_a_file_is_read_again_only_after_it_changed(tmp_path: Path) -> None:
    cache = LoraCache()
    file = lora_file(tmp_path / "a.safetensors")
    first = cache.get(file)
    assert cache.get(file) is first
    lora_file(file.path, lora_tensors(rank=3))
    assert cache.get(file).modules[UNET_LINEAR].core.down.shape[0] == 3


def test_only_the_files_read_last_are_kept(tmp_path: Path) -> None:
    cache = LoraCache(lambda: 2)
    files = [lora_file(tmp_path / f"{name}.safetensors") for name in "abc"]
    first, second, _ = (cache.get(file) for file in files)
    assert cache.get(files[1]) is second
    assert cache.get(files[0]) is not first


PEFT_LAYER = "base_model.model.down_blocks.0.attentions.0.to_q"


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({"lora_alpha": 4, "r": 2}, 2.0),
        ({"lora_alpha": 4, "use_rslora": True}, 4 / math.sqrt(2)),
        ({"lora_alpha": 4, "alpha_pattern": {"attentions.0.to_q": 1}}, 0.5),
        ({"lora_alpha": "much"}, 1.0),
        ([1], 1.0),
    ],
)
def test_the_strength_of_pefts_files_stands_in_a_file_beside_them(
    tmp_path: Path, settings: object, scale: float
) -> None:
    tensors = {f"{PEFT_LAYER}.lora_A.weight": random(2, 6), f"{PEFT_LAYER}.lora_B.weight": random(5, 2)}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    change = read_lora(lora_file(tmp_path / "adapter_model.safetensors", tensors)).modules[PEFT_LAYER]
    assert change.scale == pytest.approx(scale)


def test_without_settings_and_with_an_alpha_of_its_own_nothing_beside_a_file_counts(tmp_path: Path) -> None:
    tensors = {f"{PEFT_LAYER}.lora_A.weight": random(2, 6), f"{PEFT_LAYER}.lora_B.weight": random(5, 2)}
    assert read_lora(lora_file(tmp_path / "a.safetensors", tensors)).modules[PEFT_LAYER].scale == 1.0
    (tmp_path / "adapter_config.json").write_text("{broken")
    assert read_lora(lora_file(tmp_path / "b.safetensors", tensors)).modules[PEFT_LAYER].scale == 1.0
    (tmp_path / "adapter_config.json").write_text('{"lora_alpha": 8}')
    own = tensors | {f"{PEFT_LAYER}.alpha": torch.tensor(1.0)}
    assert read_lora(lora_file(tmp_path / "c.safetensors", own)).modules[PEFT_LAYER].scale == 0.5


def test_embeddings_in_a_file_are_kept_apart_from_its_layers(tmp_path: Path) -> None:
    words = {"bundle_emb.one.string_to_param.*": random(2, 8), "bundle_emb.two.clip_l": random(1, 8),
             "bundle_emb.two.clip_g": random(1, 12)}  # fmt: skip
    lora = read_lora(lora_file(tmp_path / "a.safetensors", lora_tensors() | words))
    assert set(lora.modules) == {name.partition(".")[0] for name in lora_tensors()}
    assert lora.strangers == ()
    assert torch.equal(lora.bundled["one"]["string_to_param"]["*"], random(2, 8))
    assert set(lora.bundled["two"]) == {"clip_l", "clip_g"}
