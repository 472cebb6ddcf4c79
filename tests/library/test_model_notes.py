"""What users note of a model, in A1111's own file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modules.core.errors import InvalidRequest, StorageFailed
from modules.library.model_notes import ModelNotes, notes_path, read_notes, write_notes


def test_notes_of_a1111_are_read(tmp_path: Path) -> None:
    model = tmp_path / "dog v1.2.safetensors"
    content = {
        "description": "a dog", "notes": "mine", "sd version": "SD1", "activation text": "sks dog",
        "preferred weight": 0.8, "negative text": "cat", "vae": "good.vae.pt",
    }  # fmt: skip
    (tmp_path / "dog v1.2.json").write_text(json.dumps(content), encoding="utf-8")
    assert read_notes(model) == ModelNotes(
        description="a dog", notes="mine", sd_version="SD1", activation_text="sks dog", preferred_weight=0.8,
        negative_text="cat", vae="good.vae.pt",
    )  # fmt: skip


def test_what_others_wrote_into_the_file_is_kept(tmp_path: Path) -> None:
    model = tmp_path / "dog.safetensors"
    notes_path(model).write_text('{"civitai": {"id": 3}, "easel": {"later": 1}, "notes": "old"}', encoding="utf-8")
    write_notes(model, {"notes": "new", "family": "sdxl"})
    content = json.loads(notes_path(model).read_text(encoding="utf-8"))
    assert content == {"civitai": {"id": 3}, "easel": {"later": 1, "family": "sdxl"}, "notes": "new"}
    write_notes(model, {"family": ""})
    assert json.loads(notes_path(model).read_text(encoding="utf-8"))["easel"] == {"later": 1}


def test_notes_come_back_as_they_were_written(tmp_path: Path) -> None:
    model = tmp_path / "große [v2], 🐶.ckpt"
    defaults = {"sampler": "Euler", "steps": 8, "cfg_scale": 1.5, "width": 768, "height": 512, "clip_skip": 2}
    written = write_notes(model, {"description": "größer\n🐶", "defaults": defaults, "prediction": "v_prediction"})
    assert written == read_notes(model)
    assert (written.description, written.prediction, written.defaults) == ("größer\n🐶", "v_prediction", defaults)


def test_a_folder_has_its_notes_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "model.v2"
    folder.mkdir()
    assert notes_path(folder) == tmp_path / "model.v2.json"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"preferred_weight": 3}, "Preferred weight: 3 is not possible"),
        ({"preferred_weight": "much"}, "allowed is a number from 0 (none) to 2"),
        ({"sd_version": "SD9"}, "allowed is one of SD1, SD2, SDXL, Unknown"),
        ({"family": "flux"}, "allowed is one of sd1, sd2"),
        ({"notes": 3}, "allowed is a text"),
        ({"defaults": {"steps": 1000}}, "allowed is a whole number from 1 to 150"),
        ({"defaults": {"seed": 1}}, "allowed is one of sampler, scheduler"),
        ({"defaults": "steps"}, "allowed is a table"),
        ({"colour": "red"}, "one of the fields description"),
    ],
)
def test_wrong_notes_are_refused_and_nothing_is_written(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        write_notes(tmp_path / "a.safetensors", {"notes": "good", **changes})
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_values_that_make_no_sense_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = tmp_path / "a.safetensors"
    content = {"notes": "good", "preferred weight": "heavy", "easel": {"family": "flux"}}
    notes_path(model).write_text(json.dumps(content), encoding="utf-8")
    assert read_notes(model) == ModelNotes(notes="good")
    assert "heavy" in caplog.text
    assert "flux" in caplog.text


@pytest.mark.parametrize("content", ["not json", "[1, 2]", '{"a": '])
def test_a_file_that_is_something_else_is_neither_read_nor_overwritten(tmp_path: Path, content: str) -> None:
    model = tmp_path / "a.safetensors"
    notes_path(model).write_text(content, encoding="utf-8")
    assert read_notes(model) == ModelNotes()
    with pytest.raises(StorageFailed, match="move it away"):
        write_notes(model, {"notes": "new"})
    assert notes_path(model).read_text(encoding="utf-8") == content


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(StorageFailed, match="could not be written"):
        write_notes(tmp_path / "file" / "a.safetensors", {"notes": "new"})
