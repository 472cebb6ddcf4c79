"""`launch.py doctor`: each thing that can be wrong is named, with how to mend it."""

import argparse
import errno
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from PIL import Image

from modules.commands import doctor
from modules.core.errors import OutOfMemory
from modules.library.catalog import CheckpointCatalog
from modules.library.choices import SHIPPED_CHECKPOINTS
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from tests.fakes import FakeEngine


def fake_torch(cuda: str | None = None, available: bool = False, apple: bool = False) -> Any:
    card = SimpleNamespace(name="A Card", total_memory=24 * doctor.GIB)
    return SimpleNamespace(
        version=SimpleNamespace(cuda=cuda),
        cuda=SimpleNamespace(
            is_available=lambda: available, device_count=lambda: 1, get_device_properties=lambda _: card
        ),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: apple)),
    )


def run(folder: Path, *arguments: str, engine: FakeEngine | None = None) -> int:
    return doctor.main(
        ["--data-dir", str(folder), "--use-cpu", *arguments], lambda config, catalog: engine or FakeEngine()
    )


def test_a_sound_installation_is_called_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path) == 0
    told = capsys.readouterr().out
    assert "WRONG" not in told
    assert told.endswith("Everything works.\n")
    for name in ("Python", "torch", "GPU", "folder for outputs", "disk", "models", "a picture"):
        assert f" {name}: " in told


def test_json_is_one_object_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    assert {"name", "state", "ok", "detail", "mend"} == set(told["checks"][0])
    assert told["checks"][-1]["name"] == "a picture"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OutOfMemory("Too little memory; lower the size."), "could not be made. Too little memory; lower the size."),
        (RuntimeError("a bolt came loose"), "could not be made: RuntimeError: a bolt came loose"),
    ],
)
def test_a_picture_that_cannot_be_made_is_wrong(
    error: Exception, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--json", engine=FakeEngine(fail_at={0: error})) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert told["checks"][-1]["ok"] is False
    assert told["checks"][-1]["detail"] == words


def test_a_picture_of_one_colour_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fakes.paint", lambda *_: Image.new("RGB", (8, 8)))
    config = doctor.config_from(parsed(tmp_path))
    check = doctor.check_generation(config, ModelFiles.of(config), lambda *_: FakeEngine())
    assert (check.state, check.detail) == ("fail", "came out in a single colour")
    assert "--no-half" in check.mend


def parsed(folder: Path) -> Any:
    parser = argparse.ArgumentParser()
    doctor.add_server_flags(parser)
    return parser.parse_args(["--data-dir", str(folder)])


@pytest.mark.parametrize(
    ("torch", "driver", "state", "words"),
    [
        (fake_torch("13.0", True), "A Card, driver 580.1", "ok", "A Card with 24 GiB; A Card, driver 580.1"),
        (fake_torch("13.0"), "A Card, driver 470.1", "warn", "is built for CUDA 13.0 but finds no card"),
        (fake_torch(), "A Card, driver 580.1", "warn", "is built without CUDA"),
        (fake_torch(apple=True), None, "ok", "Metal"),
        (fake_torch(), None, "warn", "none: pictures are made on the CPU"),
    ],
)
def test_the_graphics_card_is_described_with_what_keeps_it_from_being_used(
    torch: Any, driver: str | None, state: str, words: str
) -> None:
    check = doctor.check_device(torch, use_cpu=False, driver=driver)
    assert check.state == state
    assert words in check.detail
    assert bool(check.mend) == (state == "warn" and driver is not None)


def test_a_torch_that_does_not_load_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> NoReturn:
        raise OSError("libtorch.so: cannot open shared object file")

    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    checks = list(doctor.check_torch(doctor.config_from(parsed(tmp_path))))
    assert [(check.name, check.state) for check in checks] == [("torch", "fail")]
    assert "libtorch.so" in checks[0].detail
    assert "launch.py prepare" in checks[0].mend


def test_nvidias_tool_tells_cards_and_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'A Card, 580.1'\necho 'B Card, 580.1'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.nvidia_driver() == "A Card, driver 580.1; B Card, driver 580.1"
    tool.write_text("#!/no/such/interpreter\n")
    assert "does not answer" in (doctor.nvidia_driver() or "")
    tool.unlink()
    assert doctor.nvidia_driver() is None


def test_a_folder_that_cannot_be_written_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(**_: object) -> NoReturn:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", read_only)
    check = doctor.check_writable("outputs", tmp_path)
    assert (check.state, check.detail) == ("fail", f"{tmp_path} cannot be written: Read-only file system")
    assert "--data-dir" in check.mend


@pytest.mark.parametrize(("free", "state"), [(100, "fail"), (5 * doctor.GIB, "warn"), (50 * doctor.GIB, "ok")])
def test_the_room_on_the_disk_is_judged(
    free: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    check = doctor.check_space(tmp_path / "not" / "made" / "yet")
    assert check.state == state
    assert "GiB free" in check.detail


def test_models_are_listed_and_unusable_ones_with_their_reason(tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"not a model")
    hashes = HashCache(tmp_path / "hashes.json")
    checks = list(doctor.check_models(CheckpointCatalog([tmp_path, SHIPPED_CHECKPOINTS], hashes)))
    assert (checks[0].name, checks[0].state) == ("models", "ok")
    assert "starter" in checks[0].detail
    broken = next(check for check in checks if check.name == "model broken.safetensors")
    assert broken.state == "warn"
    assert broken.detail.startswith("cannot be used: ")
    assert broken.mend

    checks = list(doctor.check_models(CheckpointCatalog([tmp_path], hashes)))
    assert (checks[0].state, checks[0].detail) == ("fail", f"none usable in {tmp_path}")


def test_the_real_engine_makes_the_doctors_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--data-dir", str(tmp_path), "--use-cpu", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["checks"][-1]["detail"].startswith("128 x 128 pixels, 4 steps, in ")
