"""Flags of the real command line that extensions declare in preload.py."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import launch
from modules import app
from modules.a1111 import shared
from modules.a1111._host import HOST, Host
from modules.a1111._loader import LOADED
from modules.cli import check_arguments, parse_arguments
from modules.core.errors import UnknownFlags
from tests.a1111.whole import SAMPLES, with_samples

NAME = "sample-flags"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder with the extension; what the adapter keeps is as before afterwards."""
    before = {name: getattr(HOST, name) for name in Host.__slots__}
    shutil.copytree(SAMPLES / NAME, tmp_path / "extensions" / NAME)
    yield tmp_path
    for name, value in before.items():
        setattr(HOST, name, value)


def test_they_reach_the_extension(tmp_path: Path) -> None:
    arguments = ("--sample-level", "5", "--sample-names", "a", "b", "--ngrok-region=us")
    with with_samples(tmp_path, NAME, arguments=arguments):
        assert (shared.cmd_opts.sample_level, shared.cmd_opts.sample_names) == (5, ["a", "b"])
        assert shared.cmd_opts.ngrok_region == "us"
        module = next(module for path, module in LOADED.modules.items() if path.endswith("sample_flags.py"))
        assert module.SEEN == {"level": 5, "names": ["a", "b"]}
        assert module.AGAIN == 9


def test_without_them_they_have_their_defaults(tmp_path: Path) -> None:
    with with_samples(tmp_path, NAME):
        assert (shared.cmd_opts.sample_level, shared.cmd_opts.sample_names) == (3, [])


def test_the_environment_counts_as_the_command_line(folder: Path) -> None:
    config = check_arguments(["--data-dir", str(folder)], {"COMMANDLINE_ARGS": "--sample-level 4"})
    assert config.foreign_flags == ("--sample-level", "4")
    assert config.arguments[:2] == ("--sample-level", "4")


def test_an_unknown_flag_stays_an_error(tmp_path: Path) -> None:
    wrong = ("--sampel-level", "5")
    with (
        pytest.raises(UnknownFlags, match="Unrecognized arguments: --sampel-level 5"),
        with_samples(tmp_path, NAME, arguments=wrong),
    ):
        pytest.fail("began")


def test_a_wrong_value_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving, with_samples(tmp_path, NAME, arguments=("--sample-level", "much")):
        pytest.fail("began")
    assert leaving.value.code == 2
    assert "argument --sample-level: invalid int value: 'much'" in capsys.readouterr().err


@pytest.mark.parametrize("off", [("--safe-mode",), ("--disable-all-extensions",)])
def test_flags_of_an_extension_that_is_off_have_no_effect(
    off: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), with_samples(tmp_path, NAME, arguments=("--sample-level", "5", *off)):
        assert "Extensions that may know them are not loaded: sample-flags." in caplog.text


def test_the_help_lists_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app.tell_flags(parse_arguments(["--data-dir", str(folder)], {}))
    told = capsys.readouterr().out
    assert "--listen" in told
    assert "extension sample-flags:" in told
    assert "how much of it" in told
    assert "which ones" in told


def test_before_anything_is_installed_flags_of_extensions_are_let_through(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launch.check_flags(["--data-dir", str(folder), "--sample-level", "5"], False)
    shutil.rmtree(folder / "extensions")
    with pytest.raises(SystemExit) as leaving:
        launch.check_flags(["--data-dir", str(folder), "--sample-level", "5"], False)
    assert leaving.value.code == 2
    assert "unrecognized arguments: --sample-level 5" in capsys.readouterr().err


@pytest.mark.parametrize(("installed", "goes_on"), [(True, True), (False, False)])
def test_the_help_waits_for_extensions_only_where_they_can_be_asked(
    folder: Path, installed: bool, goes_on: bool
) -> None:
    try:
        launch.check_flags(["--data-dir", str(folder), "--help"], installed)
        left = False
    except SystemExit as leaving:
        left = leaving.code == 0
    assert left is not goes_on
