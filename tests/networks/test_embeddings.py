"""Embeddings of every layout are read, those of other models left out, broken ones told of once."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from modules.core.errors import NetworkUnavailable
from modules.library.hashing import HashCache
from modules.library.network_files import EMBEDDING_ENDINGS, NetworkFolder
from modules.networks.embeddings import EmbeddingStore, Training, read_embedding
from modules.prompts.chunks import EmbeddingName
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
    return EmbeddingStore(NetworkFolder([folder], EMBEDDING_ENDINGS, HashCache(folder / "hashes.json")))


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
    assert (embedding.vector_count, embedding.width) == (3, WIDTH)
    assert torch.equal(embedding.vectors, random(3, WIDTH))
    assert not embedding.vectors.requires_grad


def test_a_single_vector_in_half_precision_becomes_one_row_in_full(tmp_path: Path) -> None:
    file = save(tmp_path / "a.bin", {"<token>": random(WIDTH).half()})
    vectors = read_embedding(on_disk(file)).vectors
    assert torch.equal(vectors, random(WIDTH).half().float().unsqueeze(0))


def test_what_a_file_tells_of_its_training_is_kept(tmp_path: Path) -> None:
    told = read_embedding(on_disk(save(tmp_path / "a.pt", webui_content(random(3, WIDTH))))).training
    assert told == Training(500, "0123abcd", "model")
    assert read_embedding(on_disk(save(tmp_path / "b.bin", {"x": random(WIDTH)}))).training == Training()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"clip_l": random(2, WIDTH), "clip_g": random(2, 12)}, "one tensor and this file 2"),
        ({"emb_params": random(76, WIDTH)}, "76 vectors are more than the 75"),
        ({"emb_params": random(2, 3, WIDTH)}, r"\(2, 3, 8\) are no embedding"),
        ({"emb_params": torch.zeros(2, WIDTH, dtype=torch.int64)}, "no embedding"),
        ({"emb_params": torch.zeros(0, WIDTH)}, "no embedding"),
    ],
)
def test_a_file_that_is_no_embedding_says_why(tmp_path: Path, content: dict[str, Tensor], reason: str) -> None:
    with pytest.raises(NetworkUnavailable, match=rf"odd\.safetensors .*{reason}"):
        read_embedding(on_disk(save(tmp_path / "odd.safetensors", content)))


def test_an_embedding_comes_with_its_hash_and_is_found_in_any_case(tmp_path: Path) -> None:
    file = save(tmp_path / "Nice.safetensors", {"emb_params": random(2, WIDTH)})
    embedding = store(tmp_path).get("nICE")
    assert embedding is not None
    assert embedding.name == "Nice"
    assert embedding.short_hash == hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    assert torch.equal(embedding.vectors, random(2, WIDTH))
    assert store(tmp_path).get("nicer") is None


def test_an_embedding_whose_file_went_away_is_none(tmp_path: Path) -> None:
    file = save(tmp_path / "a.safetensors", {"emb_params": random(2, WIDTH)})
    embeddings = store(tmp_path)
    assert len(embeddings.fitting(WIDTH)) == 1
    file.unlink()
    assert embeddings.get("a") is None


def test_those_of_another_width_are_left_out_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "fits.safetensors", {"emb_params": random(2, WIDTH)})
    save(tmp_path / "wide.safetensors", {"emb_params": random(2, 12)})
    embeddings = store(tmp_path)
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert [content.name for content in embeddings.fitting(WIDTH)] == ["fits"]
    assert [content.name for content in embeddings.skipped(WIDTH)] == ["wide"]
    (record,) = [record for record in caplog.records if "wide" in record.getMessage()]
    assert "12 numbers where this model's have 8" in record.getMessage()


def test_a_broken_file_costs_only_itself_and_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "good.safetensors", {"emb_params": random(2, WIDTH)})
    (tmp_path / "broken.pt").write_bytes(b"<html>")
    embeddings = store(tmp_path)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert [content.name for content in embeddings.fitting(WIDTH)] == ["good"]
        assert embeddings.get("broken") is None
    assert [record.getMessage() for record in caplog.records if "broken.pt" in record.getMessage()] == [
        record.getMessage() for record in caplog.records
    ]
    assert len(caplog.records) == 1


def test_names_are_tokenized_once_until_the_files_change(tmp_path: Path) -> None:
    save(tmp_path / "one-three.safetensors", {"emb_params": random(2, WIDTH)})
    embeddings, tokenize = store(tmp_path), Words()
    assert embeddings.names(tokenize, WIDTH) == [EmbeddingName("one-three", 2, (3, 5))]
    embeddings.names(tokenize, WIDTH)
    assert tokenize.asked == ["one-three"]
    save(tmp_path / "two.safetensors", {"emb_params": random(4, WIDTH)})
    embeddings.files.refresh()  # type: ignore[attr-defined]
    assert [name.name for name in embeddings.names(tokenize, WIDTH)] == ["one-three", "two"]


def test_a_file_is_read_again_after_it_changed(tmp_path: Path) -> None:
    file = save(tmp_path / "a.safetensors", {"emb_params": random(2, WIDTH)})
    embeddings = store(tmp_path)
    first = embeddings.fitting(WIDTH)[0]
    assert embeddings.fitting(WIDTH)[0] is first
    save(file, {"emb_params": random(5, WIDTH)})
    assert embeddings.fitting(WIDTH)[0].vector_count == 5
