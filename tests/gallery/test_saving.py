"""Pictures on disk: numbers without gaps, the same bytes for the same picture, nothing overwritten, nothing half."""

import errno
import hashlib
import multiprocessing
import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from PIL import Image

from modules.core.errors import StorageFailed
from modules.core.result import GeneratedImage, Place
from modules.gallery import saving
from modules.gallery.saving import GridSaving, PictureStore, SavingRules, encode_png, file_stem, unfinished
from modules.imaging.metadata import read_infotext

DAY = date(2026, 1, 31)


def picture(seed: int = 5, text: str = "a pear\nSteps: 20, Seed: 5") -> GeneratedImage:
    return GeneratedImage(0, seed, Image.new("RGB", (8, 8), (seed % 256, 20, 30)), text)


def store(outputs: Path, rules: SavingRules | None = None) -> PictureStore:
    return PictureStore(outputs, lambda: rules or SavingRules(), today=lambda: DAY)


def no_claim(path: Path, sha256: str) -> None:
    assert path
    assert len(sha256) == 64


def test_pictures_of_img2img_have_a_folder_of_their_own(tmp_path: Path) -> None:
    over = replace(picture(3), over_picture=True)
    path = store(tmp_path).save(over, True, no_claim)
    assert path == tmp_path / "img2img-images" / DAY.isoformat() / "00000-3.png"
    rules = SavingRules(picture_folder="mine")
    assert store(tmp_path, rules).save(over, True, no_claim).is_relative_to(tmp_path / "mine")


def test_pictures_are_numbered_by_folder_and_named_by_seed(tmp_path: Path) -> None:
    paths = [store(tmp_path).save(picture(seed), True, no_claim) for seed in (5, 6)]
    folder = tmp_path / "txt2img-images" / "2026-01-31"
    assert paths == [folder / "00000-5.png", folder / "00001-6.png"]
    assert sorted(path.name for path in folder.iterdir()) == ["00000-5.png", "00001-6.png"]


def test_the_number_is_one_above_the_highest_whatever_else_lies_there(tmp_path: Path) -> None:
    folder = tmp_path / "txt2img-images" / "2026-01-31"
    folder.mkdir(parents=True)
    for name in ("00007-1.png", "123456-9.png", "00003-x.png", "99-1.png", "notes.txt", "grid-999999.png"):
        (folder / name).touch()
    assert store(tmp_path).save(picture(), True, no_claim).name == "123457-5.png"


def test_the_infotext_is_in_the_chunk_that_other_programs_read(tmp_path: Path) -> None:
    for text in ("plain\nSteps: 20", "größer, 木, 🍎\nSteps: 20"):
        with Image.open(store(tmp_path).save(picture(text=text), True, no_claim)) as saved:
            assert saved.text == {"parameters": text}
            assert saved.tobytes() == picture().pixels.tobytes()


def test_equal_pictures_give_equal_bytes() -> None:
    assert encode_png(picture()) == encode_png(picture())
    assert encode_png(picture()) != encode_png(picture(text="other"))


def test_options_choose_the_folder_and_leave_out_the_infotext(tmp_path: Path) -> None:
    rules = SavingRules(folder="icons/small", folder_per_day=False, infotext=False)
    path = store(tmp_path, rules).save(picture(), True, no_claim)
    assert path == tmp_path / "icons" / "small" / "00000-5.png"
    with Image.open(path) as saved:
        assert saved.info == {}


def test_the_claim_comes_before_the_file_and_tells_its_hash(tmp_path: Path) -> None:
    claims: list[tuple[Path, str]] = []

    def claim(path: Path, sha256: str) -> None:
        assert not path.exists()
        claims.append((path, sha256))

    path = store(tmp_path).save(picture(), True, claim)
    assert claims == [(path, hashlib.sha256(path.read_bytes()).hexdigest())]


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_full_disk_leaves_no_file_behind_and_says_where_and_why(
    function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(saving.os, function, full)
        with pytest.raises(StorageFailed, match=r"2026-01-31: No space left on device") as raised:
            store(tmp_path).save(picture(), True, no_claim)
    assert isinstance(raised.value.__cause__, OSError)
    assert [path for path in (tmp_path / "txt2img-images").rglob("*") if path.is_file()] == []
    assert store(tmp_path).save(picture(), True, no_claim).name == "00000-5.png"


def test_a_folder_that_cannot_be_made_is_reported_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "txt2img-images").write_text("a file where the folder should be")
    with pytest.raises(StorageFailed, match="txt2img-images"):
        store(tmp_path).save(picture(), True, no_claim)


def test_what_a_killed_save_left_is_cleared_away(tmp_path: Path) -> None:
    path = tmp_path / "00000-5.png"
    unfinished(path).write_bytes(b"half a pict")
    store(tmp_path).discard(path)
    assert list(tmp_path.iterdir()) == []
    store(tmp_path).discard(path)


def save_several(outputs: Path, seed: int) -> None:
    for _ in range(10):
        store(outputs).save(picture(seed), True, no_claim)


def test_two_processes_neither_leave_gaps_nor_overwrite(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.jobs.killable_server", "tests.gallery.test_saving"])
    processes = [context.Process(target=save_several, args=(tmp_path, seed)) for seed in (5, 6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    names = sorted(path.name for path in tmp_path.rglob("*.png"))
    assert [int(name.split("-")[0]) for name in names] == list(range(20))
    assert sorted(name.split("-")[1] for name in names) == ["5.png"] * 10 + ["6.png"] * 10


def test_a_place_of_its_own_goes_before_folders_days_and_numbers(tmp_path: Path) -> None:
    rules = SavingRules(folder_per_day=True)
    for kept in (True, False):
        below = store(tmp_path, rules).save(picture(), kept, no_claim, Place("mine/here"))
        assert below.parent == tmp_path / "mine" / "here"
    elsewhere = tmp_path / "elsewhere"
    path = store(tmp_path / "outputs", rules).save(picture(), True, no_claim, Place(str(elsewhere), "kitten"))
    assert path == elsewhere / "kitten.png"


def test_a_name_that_is_taken_gets_a_number_and_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "kitten.png").write_bytes(b"the user's own")
    place = Place(str(tmp_path), "kitten")
    names = [store(tmp_path).save(picture(), True, no_claim, place).name for _ in range(2)]
    assert names == ["kitten-1.png", "kitten-2.png"]
    assert (tmp_path / "kitten.png").read_bytes() == b"the user's own"


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("kitten", "kitten"),
        ("größer 木", "größer 木"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\\b:c\0d\n", "a_b_c_d_"),
        (".hidden. ", "hidden"),
        ("", "_"),
        ("..", "_"),
        ("nul", "_nul"),
        ("COM1.backup", "_COM1.backup"),
        ("a\udc80", "a_"),
    ],
)
def test_any_name_becomes_one_that_every_system_takes(name: str, stem: str) -> None:
    assert file_stem(name) == stem
    assert file_stem(stem) == stem


def test_a_long_name_is_cut_so_that_it_can_be_written(tmp_path: Path) -> None:
    place = Place(str(tmp_path), "木" * 300)
    paths = [store(tmp_path).save(picture(), True, no_claim, place) for _ in range(2)]
    assert all(path.is_file() and path.name.startswith("木木") for path in paths)


def grid(width: int = 8, height: int = 8, over_picture: bool = False) -> GeneratedImage:
    return GeneratedImage(0, 7, Image.new("RGB", (width, height)), "a grid\nSteps: 1, Seed: 7, Size: 8x8", over_picture)


def saved_grid(pictures: PictureStore, image: GeneratedImage, kept: bool = True, folder: str = "") -> Path:
    return pictures.save(image, kept, no_claim, Place(folder, series="xyz_grid"))


def test_grids_are_numbered_by_series_in_folders_of_their_own(tmp_path: Path) -> None:
    pictures = store(tmp_path)
    paths = [saved_grid(pictures, grid()), saved_grid(pictures, grid()), saved_grid(pictures, grid(over_picture=True)),
             saved_grid(pictures, grid(), kept=False), saved_grid(pictures, grid(), folder="mine")]  # fmt: skip
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "txt2img-grids/2026-01-31/xyz_grid-0000-7.png", "txt2img-grids/2026-01-31/xyz_grid-0001-7.png",
        "img2img-grids/2026-01-31/xyz_grid-0000-7.png", "unsaved/2026-01-31/xyz_grid-0000-7.png",
        "mine/xyz_grid-0000-7.png",
    ]  # fmt: skip


@pytest.mark.parametrize(("file_format", "width", "ending"), [
    ("jpg", 8, ".jpg"), ("webp", 8, ".webp"), ("png", 8, ".png"), ("jpg", 65_536, ".png"), ("webp", 16_384, ".png"),
])  # fmt: skip
def test_a_grid_has_the_format_of_the_option_unless_it_is_too_large_for_that(
    file_format: str, width: int, ending: str, tmp_path: Path
) -> None:
    rules = SavingRules(grids=GridSaving(folder_per_day=False, file_format=file_format))
    path = saved_grid(store(tmp_path, rules), grid(width, 1))
    assert path.relative_to(tmp_path).as_posix() == f"txt2img-grids/xyz_grid-0000-7{ending}"
    assert read_infotext(path.read_bytes()).text == grid().infotext
