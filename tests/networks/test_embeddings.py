"""Embeddings of every layout are read, those of other models left out, broken ones told of once."""

import base64
import hashlib
import json
import logging
import random as python_random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from safetensors.torch import save_file
from torch import Tensor, nn

from modules.core.errors import NetworkUnavailable
from modules.library.hashing import HashCache
from modules.library.network_files import EMBEDDING_ENDINGS, EMBEDDING_PICTURE_ENDINGS, NetworkFolder
from modules.networks import embedding_store
from modules.networks.embedding_store import Embedding, EmbeddingStore, ModelEmbeddings
from modules.networks.embeddings import Training, read_embedding
from tests.networks.tiny import on_disk, random

WIDTH = 8


@dataclass(eq=False)
class Words:
    """A tokenizer that remembers what it was asked."""

    asked: list[str] = field(default_factory=list)

    def __call__(self, text: str) -> Sequence[int]:
        self.asked.append(text)
        return [len(word) for word in text.split("-")]


def store(folder: Path) -> EmbeddingStore:
    hashes = HashCache(folder / "hashes.json")
    pictures = NetworkFolder([folder], EMBEDDING_PICTURE_ENDINGS, hashes)
    return EmbeddingStore(NetworkFolder([folder], EMBEDDING_ENDINGS, hashes), pictures)


def webui_content(vectors: Tensor) -> dict[str, object]:
    return {
        "string_to_token": {"*": 265}, "string_to_param": {"*": nn.Parameter(vectors)}, "name": "another",
        "step": 500, "sd_checkpoint": "0123abcd", "sd_checkpoint_name": "model",
    }  # fmt: skip


def save(path: Path, content: object) -> Path:
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.safetensors", {"emb_params": random(3, WIDTH)}),
        ("a.safetensors", {"<token>": random(3, WIDTH)}),
        ("a.safetensors", {"emb_params": random(3, WIDTH), "another": random(1)}),
        ("a.pt", webui_content(random(3, WIDTH))),
        ("a.pt", {"string_to_param": nn.ParameterDict({"*": random(3, WIDTH)})}),
        ("a.bin", {"<token>": random(3, WIDTH)}),
    ],
)
def test_every_layout_is_read(tmp_path: Path, name: str, content: object) -> None:
    embedding = read_embedding(on_disk(save(tmp_path / name, content)))
    assert embedding.name == "a"
    assert (embedding.vector_count, embedding.widths) == (3, (WIDTH,))
    assert torch.equal(embedding.vectors[0], random(3, WIDTH))
    assert not embedding.vectors[0].requires_grad


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_an_embedding_for_two_text_encoders_has_vectors_for_each(tmp_path: Path, ending: str) -> None:
    file = save(tmp_path / f"a.{ending}", {"clip_g": random(2, 12), "clip_l": random(2, WIDTH)})
    embedding = read_embedding(on_disk(file))
    assert (embedding.vector_count, embedding.widths) == (2, (WIDTH, 12))
    assert torch.equal(embedding.vectors[1], random(2, 12))


def test_a_single_vector_in_half_precision_becomes_one_row_in_full(tmp_path: Path) -> None:
    file = save(tmp_path / "a.bin", {"<token>": random(WIDTH).half()})
    (vectors,) = read_embedding(on_disk(file)).vectors
    assert torch.equal(vectors, random(WIDTH).half().float().unsqueeze(0))


def test_what_a_file_tells_of_its_training_is_kept(tmp_path: Path) -> None:
    told = read_embedding(on_disk(save(tmp_path / "a.pt", webui_content(random(3, WIDTH))))).training
    assert told == Training(500, "0123abcd", "model")
    assert read_embedding(on_disk(save(tmp_path / "b.bin", {"x": random(WIDTH)}))).training == Training()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"clip_l": random(2, WIDTH), "other": random(2, 12)}, "one tensor and this file 2"),
        ({"emb_params": random(76, WIDTH)}, "76 vectors are more than the 75"),
        ({"emb_params": random(2, 3, WIDTH)}, r"\(2, 3, 8\) are no embedding"),
        ({"emb_params": torch.zeros(2, WIDTH, dtype=torch.int64)}, "no embedding"),
        ({"emb_params": torch.zeros(0, WIDTH)}, "no embedding"),
    ],
)
def test_a_file_that_is_no_embedding_says_why(tmp_path: Path, content: dict[str, Tensor], reason: str) -> None:
    with pytest.raises(NetworkUnavailable, match=rf"odd\.safetensors .*{reason}"):
        read_embedding(on_disk(save(tmp_path / "odd.safetensors", content)))


def as_json(vectors: Tensor, name: str = "hidden") -> bytes:
    table = {"string_to_token": {"*": 265}, "string_to_param": {"*": {"TORCHTENSOR": vectors.tolist()}},
             "name": name, "step": 7, "sd_checkpoint": None, "sd_checkpoint_name": None}  # fmt: skip
    return json.dumps(table).encode()


def card(content: bytes, width: int = 40, height: int = 32) -> Image.Image:
    """A card as A1111 makes it: low bits on the left, the picture, high bits on the right, black columns between."""
    packed = np.frombuffer(zlib.compress(content, 9), np.uint8)
    size = -(-len(packed) // (height * 3)) * height * 3
    packed = np.resize(packed, size)
    state, numbers = 0, []
    for _ in range(size):
        state = (1664525 * state + 1013904223) % 2**32
        numbers.append(state % 255)
    mask = np.array(numbers, np.uint8) & 0x0F
    decoration = np.random.default_rng(1).integers(1, 16, size, dtype=np.uint8) << 4
    low, high = ((half ^ mask ^ decoration).reshape(height, -1, 3) for half in (packed & 0x0F, packed >> 4))
    picture = np.random.default_rng(2).integers(17, 255, (height, width, 3), dtype=np.uint8) | 1
    black = np.zeros((height, 1, 3), np.uint8)
    return Image.fromarray(np.concatenate([low, black, picture, black, high], axis=1), "RGB")


@pytest.mark.parametrize("ending", ["png", "webp"])
def test_an_embedding_hidden_in_a_pictures_pixels_is_read_under_its_own_name(tmp_path: Path, ending: str) -> None:
    vectors = random(2, WIDTH)
    card(as_json(vectors)).save(tmp_path / f"card.{ending}", **({"lossless": True} if ending == "webp" else {}))
    embedding = read_embedding(on_disk(tmp_path / f"card.{ending}"))
    assert (embedding.name, embedding.training.step) == ("hidden", 7)
    torch.testing.assert_close(embedding.vectors[0], vectors)


def test_the_text_beside_a_pictures_pixels_is_read_before_them(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("sd-ti-embedding", base64.b64encode(as_json(random(3, WIDTH), "told")).decode())
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    embedding = read_embedding(on_disk(tmp_path / "a.png"))
    assert (embedding.name, embedding.vector_count) == ("told", 3)


@pytest.mark.parametrize("kind", ["plain", "black", "columns", "cut", "text", "no picture", "a list"])
def test_other_pictures_and_broken_cards_hold_no_embedding(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "a.png"
    info = PngImagePlugin.PngInfo()
    picture = card(as_json(random(2, WIDTH)))
    if kind == "plain":
        picture = Image.new("RGB", (8, 8), "white")
    elif kind == "black":
        picture = Image.new("RGB", (8, 8))
    elif kind == "columns":
        row = np.array([[90] * 3, [0] * 3, [91] * 3, [0] * 3, [92] * 3], np.uint8)
        picture = Image.fromarray(np.tile(row, (4, 1, 1)))
    elif kind == "cut":
        picture = picture.crop((0, 0, picture.width, picture.height // 2))
    elif kind == "text":
        info.add_text("sd-ti-embedding", "this is no base64!")
    elif kind == "a list":
        info.add_text("sd-ti-embedding", base64.b64encode(b"[1, 2]").decode())
    picture.save(file, pnginfo=info)
    if kind == "no picture":
        file.write_bytes(b"<html>")
    with pytest.raises(NetworkUnavailable, match=r"a\.png"):
        read_embedding(on_disk(file))


def test_pictures_are_known_by_the_name_inside_and_previews_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card(as_json(random(2, WIDTH))).save(tmp_path / "card.png")
    Image.new("RGB", (8, 8), "white").save(tmp_path / "plain.png")
    save(tmp_path / "b.pt", webui_content(random(3, WIDTH)))
    for name in ("b.png", "x.preview.png"):
        card(as_json(random(2, WIDTH), "never")).save(tmp_path / name)
    opened: list[str] = []
    read = embedding_store.read_embedding
    monkeypatch.setattr(embedding_store, "read_embedding", lambda file: opened.append(file.path.name) or read(file))
    embeddings = store(tmp_path)
    for _ in range(2):
        assert set(embeddings.named()) == {"b", "hidden"}
    assert sorted(opened) == ["card.png", "plain.png"]
    found = ModelEmbeddings(embeddings, (WIDTH,)).get("HIDDEN")
    assert found is not None
    assert found.short_hash == hashlib.sha256((tmp_path / "card.png").read_bytes()).hexdigest()[:12]


def test_an_embedding_comes_with_its_hash_and_is_found_in_any_case(tmp_path: Path) -> None:
    file = save(tmp_path / "Nice.safetensors", {"emb_params": random(2, WIDTH)})
    embeddings = ModelEmbeddings(store(tmp_path), (WIDTH,))
    embedding = embeddings.get("nICE")
    assert embedding is not None
    assert embedding.name == "Nice"
    assert embedding.short_hash == hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    assert torch.equal(embedding.vectors[0], random(2, WIDTH))
    assert embeddings.get("nicer") is None
    file.unlink()
    assert embeddings.get("Nice") is None


def found_in(embeddings: ModelEmbeddings, name: str, tokenize: Words | None = None) -> int:
    """How many vectors the name stands for in a prompt, 0 for none."""
    words = tokenize or Words()
    embedding = embeddings.index(words).at(words(name), 0)
    return 0 if embedding is None else embedding.vector_count


def test_those_of_another_width_are_left_out_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "fits.safetensors", {"emb_params": random(2, WIDTH)})
    save(tmp_path / "too-wide.safetensors", {"emb_params": random(2, 12)})
    save(tmp_path / "for-two.safetensors", {"clip_l": random(3, WIDTH), "clip_g": random(3, 12)})
    one, two = (ModelEmbeddings(store(tmp_path), widths) for widths in ((WIDTH,), (WIDTH, 12)))
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert [found_in(one, name) for name in ("fits", "too-wide", "for-two")] == [2, 0, 0]
    assert [found_in(two, name) for name in ("fits", "too-wide", "for-two")] == [0, 0, 3]
    assert one.get("too-wide") is None
    (record,) = [record for record in caplog.records if "too-wide" in record.getMessage()]
    assert "12 numbers where this model's have 8" in record.getMessage()


def test_a_broken_file_costs_only_itself_and_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "good.safetensors", {"emb_params": random(2, WIDTH)})
    (tmp_path / "it-broke.pt").write_bytes(b"<html>")
    embeddings = ModelEmbeddings(store(tmp_path), (WIDTH,))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert [found_in(embeddings, name) for name in ("good", "it-broke")] == [2, 0]
        assert embeddings.get("it-broke") is None
    assert len(caplog.records) == 1
    assert "it-broke.pt" in caplog.records[0].getMessage()


def test_only_files_whose_names_stand_in_a_prompt_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = python_random.Random(1).sample(range(1000), 20)
    for number in numbers:
        save(tmp_path / f"{'x' * number}.safetensors" if number < 200 else tmp_path / f"n{number}.pt",
             {"emb_params": random(1, WIDTH)})  # fmt: skip
    save(tmp_path / "this-one.pt", {"a": random(2, WIDTH)})
    opened: list[str] = []
    read = embedding_store.read_embedding
    monkeypatch.setattr(embedding_store, "read_embedding", lambda file: opened.append(file.path.name) or read(file))
    assert found_in(ModelEmbeddings(store(tmp_path), (WIDTH,)), "this-one") == 2
    assert opened == ["this-one.pt"]


def test_names_are_tokenized_once_until_the_files_change(tmp_path: Path) -> None:
    save(tmp_path / "one-three.safetensors", {"emb_params": random(2, WIDTH)})
    files, tokenize = store(tmp_path), Words()
    embeddings = ModelEmbeddings(files, (WIDTH,))
    first = embeddings.index(tokenize)
    assert embeddings.index(tokenize) is first
    assert tokenize.asked == ["one-three"]
    save(tmp_path / "two.safetensors", {"emb_params": random(4, WIDTH)})
    files.files.refresh()  # type: ignore[attr-defined]
    assert embeddings.index(tokenize) is not first
    assert tokenize.asked == ["one-three", "two"]


def test_a_file_is_read_again_after_it_changed(tmp_path: Path) -> None:
    file = save(tmp_path / "a.safetensors", {"emb_params": random(2, WIDTH)})
    embeddings = ModelEmbeddings(store(tmp_path), (WIDTH,))
    first = embeddings.get("a")
    assert first is not None
    again = embeddings.get("a")
    assert again is not None
    assert again.vectors is first.vectors
    save(file, {"emb_params": random(5, WIDTH)})
    assert found_in(embeddings, "a") == 5


def test_embeddings_that_networks_bring_stand_behind_files_and_must_fit(tmp_path: Path) -> None:
    save(tmp_path / "a.safetensors", {"emb_params": random(2, WIDTH)})
    embeddings = ModelEmbeddings(store(tmp_path), (WIDTH,))
    brought = [Embedding(name, (random(4, width),), "its lora") for name, width in
               (("A", WIDTH), ("from-lora", WIDTH), ("too-wide", 12))]  # fmt: skip
    assert embeddings.bundle(brought)
    assert [found_in(embeddings, name) for name in ("a", "from-lora", "too-wide")] == [2, 4, 0]
    assert embeddings.get("from-lora") is brought[1]
    assert not embeddings.bundle(brought)
    assert embeddings.bundle([])
    assert found_in(embeddings, "from-lora") == 0
