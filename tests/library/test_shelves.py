"""The library: models of every kind are found by words, folder and order, and their notes and previews are kept."""

import io
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from modules.cli import AppConfig
from modules.core.errors import InvalidRequest, StorageFailed
from modules.library.cards import HIDDEN_NAME, UNWRITABLE_NAME
from modules.library.files import ModelFiles
from modules.library.shelves import ModelLibrary, Query
from tests.library.test_network_files import network

LORA = "lora"


@pytest.fixture
def config(tmp_path: Path) -> AppConfig:
    models = tmp_path / "models"
    return AppConfig(
        data_dir=tmp_path,
        models_dir=models,
        checkpoint_dirs=(models / "Stable-diffusion",),
        settings_file=tmp_path / "config.json",
        lora_dirs=(models / "Lora", tmp_path / "more"),
        embeddings_dirs=(tmp_path / "embeddings",),
        vae_dirs=(models / "VAE",),
    )


@pytest.fixture
def loras(config: AppConfig) -> Path:
    return config.lora_dirs[0]


@pytest.fixture
def open_library(config: AppConfig, tmp_path: Path) -> Callable[[], ModelLibrary]:
    return lambda: ModelLibrary(ModelFiles.of(config), tmp_path / "cache")


def names(library: ModelLibrary, kind: str = LORA, **query: object) -> list[str]:
    return [model.name for model in library.page(kind, Query(**query)).models]  # type: ignore[arg-type]


def picture(size: tuple[int, int] = (40, 30), kind: str = "PNG", colour: str = "teal") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue()


def test_all_words_of_a_search_are_found_in_name_path_alias_description_and_hash(
    loras: Path, open_library: Callable[[], ModelLibrary]
) -> None:
    network(loras / "people" / "Mia.safetensors", alias="portrait_v2", sshs_model_hash="ab12" * 16)
    network(loras / "places" / "Mia's garden.safetensors")
    (loras / "places" / "Mia's garden.json").write_text(json.dumps({"description": "Roses in the evening"}))
    network(loras / "plain.safetensors")
    (loras / "plain.txt").write_text("Ruins, for the old way of describing")
    library = open_library()
    for model in library.models(LORA):
        library.read(model)
    assert names(library, text="mia") == ["Mia", "Mia's garden"]
    assert names(library, text="MIA places") == ["Mia's garden"]
    assert names(library, text="portrait_V2") == ["Mia"]
    assert names(library, text="ab12ab") == ["Mia"]
    assert names(library, text="evening roses") == ["Mia's garden"]
    assert names(library, text="ruins") == ["plain"]
    assert names(library, text="nothing of this") == []


def test_what_nobody_has_read_yet_is_counted_and_found_once_it_is_read(
    loras: Path, open_library: Callable[[], ModelLibrary]
) -> None:
    network(loras / "a.safetensors", alias="called otherwise")
    library = open_library()
    page = library.page(LORA, Query("otherwise"))
    assert (page.total, page.unread) == (0, 1)
    for model in library.models(LORA):
        assert not library.is_read(model)
        library.read(model)
        assert library.is_read(model)
    page = library.page(LORA, Query("otherwise"))
    assert (page.total, page.unread) == (1, 0)


def test_what_was_read_is_known_at_the_next_start(loras: Path, open_library: Callable[[], ModelLibrary]) -> None:
    network(loras / "a.safetensors", alias="kept")
    first = open_library()
    first.read(first.models(LORA)[0])
    first.save(LORA)
    assert open_library().page(LORA, Query("kept")).total == 1


def test_models_are_sorted_by_path_name_and_date_both_ways(
    loras: Path, open_library: Callable[[], ModelLibrary]
) -> None:
    for number, name in enumerate(("z/m2", "a/m10", "m1")):
        os.utime(network(loras / f"{name}.safetensors"), (1000 + number, 1000 + number))
    library = open_library()
    assert names(library, sort="path") == ["m10", "m1", "m2"]
    assert names(library, sort="name") == ["m1", "m2", "m10"]
    assert names(library, sort="changed") == ["m2", "m10", "m1"]
    assert names(library, sort="changed", descending=True) == ["m1", "m10", "m2"]


def test_a_folder_holds_what_lies_in_and_below_it(loras: Path, open_library: Callable[[], ModelLibrary]) -> None:
    for name in ("x", "b/x1", "b/c/x2", "bc/x3"):
        network(loras / f"{name}.safetensors")
    library = open_library()
    assert dict(library.page(LORA, Query()).folders) == {"b": 2, "b/c": 1, "bc": 1}
    assert names(library, folder="b") == ["x2", "x1"]
    assert names(library, folder="b/c") == ["x2"]


def test_pages_follow_each_other(loras: Path, open_library: Callable[[], ModelLibrary]) -> None:
    for number in range(7):
        network(loras / f"m{number}.safetensors")
    library = open_library()
    pages = [library.page(LORA, Query(offset=offset, limit=3)) for offset in (0, 3, 6, 9)]
    assert [len(page.models) for page in pages] == [3, 3, 1, 0]
    assert {page.total for page in pages} == {7}
    assert len({model.id for page in pages for model in page.models}) == 7


def test_files_that_come_and_go_are_seen_without_a_refresh(
    loras: Path, open_library: Callable[[], ModelLibrary]
) -> None:
    first = network(loras / "a.safetensors")
    library = open_library()
    revision = library.page(LORA, Query()).revision
    known = library.models(LORA)[0].id
    os.utime(loras, (1, 1))
    network(loras / "b.safetensors")
    first.unlink()
    page = library.page(LORA, Query())
    assert [model.name for model in page.models] == ["b"]
    assert page.revision > revision
    assert library.model(LORA, known) is None


def test_of_equal_names_the_second_is_called_with_its_folder_or_cannot_be_called(
    config: AppConfig, open_library: Callable[[], ModelLibrary]
) -> None:
    network(config.lora_dirs[0] / "same.safetensors")
    network(config.lora_dirs[1] / "same.safetensors", data=b"another")
    network(config.lora_dirs[1] / "deep" / "same.safetensors", data=b"a third")
    models = {model.path: model for model in open_library().models(LORA)}
    calls = [models[config.lora_dirs[place] / name].call for place, name in (
        (0, "same.safetensors"), (1, "same.safetensors"), (1, "deep/same.safetensors"),
    )]  # fmt: skip
    assert calls == ["same", "", "deep/same"]
    assert models[config.lora_dirs[1] / "same.safetensors"].problem == HIDDEN_NAME
    assert len({model.id for model in models.values()}) == 3


@pytest.mark.parametrize("name", ["(old) [one], 日本", "🦊 fox", "a{b}|c", "ümläut #1", "dots.in.name"])
def test_strange_names_are_listed_and_called_as_they_are(
    loras: Path, open_library: Callable[[], ModelLibrary], name: str
) -> None:
    network(loras / f"{name}.safetensors")
    library = open_library()
    (model,) = library.models(LORA)
    assert (model.name, model.call, model.problem) == (name, name, "")
    assert names(library, text=name.split(maxsplit=1)[0]) == [name]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_names_that_no_tag_or_text_can_hold_are_shown_with_the_reason(
    loras: Path, open_library: Callable[[], ModelLibrary]
) -> None:
    network(loras / "a>b:c.safetensors")
    network(loras / "x.safetensors").rename(loras / os.fsdecode(b"\xff\xfe.safetensors"))
    models = {model.path.name: model for model in open_library().models(LORA)}
    assert models["a>b:c.safetensors"].problem == UNWRITABLE_NAME
    json.dumps(models[os.fsdecode(b"\xff\xfe.safetensors")].name).encode("utf-8")


def test_a_broken_file_tells_its_reason_once_it_was_read(
    loras: Path, open_library: Callable[[], ModelLibrary]
) -> None:
    loras.mkdir(parents=True)
    (loras / "broken.safetensors").write_bytes(struct.pack("<Q", 99) + b"{")
    library = open_library()
    (model,) = library.models(LORA)
    assert model.problem == ""
    library.read(model)
    assert "cut off" in model.problem


def test_a_folder_that_cannot_be_read_is_told_and_the_others_are_listed(
    loras: Path, open_library: Callable[[], ModelLibrary], monkeypatch: pytest.MonkeyPatch
) -> None:
    network(loras / "locked" / "a.safetensors")
    network(loras / "open" / "b.safetensors")
    scandir = os.scandir

    def forbidding(place: str) -> object:
        if Path(place).name == "locked":
            raise PermissionError(13, "Permission denied", place)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", forbidding)
    page = open_library().page(LORA, Query())
    assert [model.name for model in page.models] == ["b"]
    assert page.problems == [f"The folder {loras / 'locked'} cannot be read: Permission denied."]


def test_checkpoints_and_vaes_are_in_the_library_too(
    config: AppConfig, open_library: Callable[[], ModelLibrary]
) -> None:
    place = config.checkpoint_dirs[0] / "cut off.safetensors"
    place.parent.mkdir(parents=True)
    place.write_bytes(struct.pack("<Q", 99) + b"{")
    network(config.vae_dirs[0] / "sub" / "good.safetensors")
    library = open_library()
    checkpoints = {model.name: model for model in library.models("checkpoint")}
    assert checkpoints["cut off"].call == ""
    assert "cut off" in checkpoints["cut off"].problem
    (vae,) = library.models("vae")
    assert (vae.call, vae.folder, vae.problem) == ("good.safetensors", "sub", "")


def test_notes_are_written_beside_the_model_and_found_by_searches(
    loras: Path, open_library: Callable[[], ModelLibrary]
) -> None:
    network(loras / "a.safetensors")
    library = open_library()
    (model,) = library.models(LORA)
    assert names(library, text="hidden") == []
    library.write_notes(model, {"notes": "a hidden word", "preferred_weight": 0.8})
    assert json.loads((loras / "a.json").read_text())["preferred weight"] == 0.8
    assert names(library, text="hidden") == ["a"]
    assert library.notes(model).preferred_weight == 0.8
    with pytest.raises(InvalidRequest):
        library.write_notes(model, {"preferred_weight": 9})


def test_a_preview_is_found_by_a1111s_names_in_their_order(
    loras: Path, open_library: Callable[[], ModelLibrary]
) -> None:
    network(loras / "a.safetensors")
    library = open_library()
    (model,) = library.models(LORA)
    assert library.preview(model) is None
    names_in_order = ("a.gif", "a.webp", "a.jpeg", "a.preview.jpg", "a.jpg", "a.preview.png", "a.png")
    for number, name in enumerate(names_in_order):
        (loras / name).write_bytes(b"")
        # A clock may be too coarse to show that something came.
        os.utime(loras, (number, number))
        assert library.preview(model) == loras / name


def test_a_small_preview_is_made_once_and_again_when_the_picture_changes(
    loras: Path, open_library: Callable[[], ModelLibrary]
) -> None:
    network(loras / "a.safetensors")
    preview = loras / "a.png"
    preview.write_bytes(picture((1600, 800)))
    library = open_library()
    small = library.thumbnails.of(preview)
    with Image.open(small) as opened:
        assert (opened.format, opened.size) == ("WEBP", (512, 256))
    assert library.thumbnails.of(preview) == small
    preview.write_bytes(picture((100, 200)))
    newer = library.thumbnails.of(preview)
    assert newer != small
    assert not small.exists()


@pytest.mark.parametrize("content", [b"", b"no picture", picture()[:60], b"<svg/>"])
def test_what_is_no_picture_becomes_no_preview(
    loras: Path, open_library: Callable[[], ModelLibrary], content: bytes
) -> None:
    network(loras / "a.safetensors")
    library = open_library()
    with pytest.raises(InvalidRequest, match="Preview"):
        library.set_preview(library.models(LORA)[0], content)
    assert not list(loras.glob("*.png"))
    (loras / "a.png").write_bytes(content)
    with pytest.raises(InvalidRequest):
        library.thumbnails.of(loras / "a.png")


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(
    loras: Path, open_library: Callable[[], ModelLibrary]
) -> None:
    network(loras / "a.safetensors")
    library = open_library()
    with pytest.raises(InvalidRequest, match="9000 x 9000"):
        library.set_preview(library.models(LORA)[0], picture((9000, 9000)))


def test_a_preview_is_set_small_with_its_infotext_only_and_removed(
    loras: Path, open_library: Callable[[], ModelLibrary]
) -> None:
    network(loras / "a.safetensors")
    library = open_library()
    (model,) = library.models(LORA)
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    out = io.BytesIO()
    Image.new("RGB", (3000, 1500), "red").save(out, "JPEG", exif=exif)
    library.set_preview(model, out.getvalue(), "a cat\nSteps: 3")
    with Image.open(loras / "a.png") as kept:
        assert kept.size == (1024, 512)
        assert kept.info == {"parameters": "a cat\nSteps: 3"}
    (loras / "a.jpg").write_bytes(picture(kind="JPEG"))
    library.remove_preview(model)
    assert library.preview(model) is None
    assert model.path.exists()


def test_an_embeddings_preview_never_takes_the_place_of_an_embedding(
    config: AppConfig, open_library: Callable[[], ModelLibrary]
) -> None:
    folder = config.embeddings_dirs[0]
    network(folder / "e.safetensors")
    (folder / "e.png").write_bytes(b"perhaps the embedding itself")
    library = open_library()
    (model,) = library.models("embedding")
    assert library.preview(model) == folder / "e.png"
    library.set_preview(model, picture())
    assert library.preview(model) == folder / "e.preview.png"
    with pytest.raises(StorageFailed, match=r"e\.png is left alone"):
        library.remove_preview(model)
    assert [path.name for path in folder.glob("*.png")] == ["e.png"]


def test_what_cannot_be_written_says_so(loras: Path, open_library: Callable[[], ModelLibrary]) -> None:
    network(loras / "a.safetensors")
    for name in ("a.json", "a.png"):
        (loras / name).mkdir()
    library = open_library()
    (model,) = library.models(LORA)
    with pytest.raises(StorageFailed, match=r"a\.json could not be written"):
        library.write_notes(model, {"notes": "x"})
    with pytest.raises(StorageFailed, match=r"a\.png could not be written"):
        library.set_preview(model, picture())
