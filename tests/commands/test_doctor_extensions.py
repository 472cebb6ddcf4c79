"""`launch.py doctor --extensions`: how each extension stands."""

import json
from pathlib import Path

import pytest

from modules.cli import AppConfig
from modules.commands import doctor
from modules.commands.doctor_extensions import examine_extensions
from tests.fakes import FakeEngine
from tests.web.site import open_site, site_config

SOUND = """
print("hello from an extension")
from modules.hooks.plugins import PluginDescription
from modules.hooks.spec import RunListener


class Quiet:
    description = PluginDescription("quiet", "Quiet")

    def listen(self, run):
        return RunListener()


PLUGINS = [Quiet()]
"""


def add(folder: Path, name: str, plugin: str = SOUND) -> None:
    place = folder / "extensions" / name
    place.mkdir(parents=True)
    (place / "easel_plugin.py").write_text(plugin)


def told(config: AppConfig, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object]]:
    code = examine_extensions(config, as_json=True)
    return code, json.loads(capsys.readouterr().out)


def test_each_extension_is_told_with_its_state_and_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(tmp_path, "broken", "1 / 0")
    add(tmp_path, "off")
    add(tmp_path, "sound")
    (tmp_path / "config.json").write_text('{"disabled_extensions": ["off"]}')
    assert doctor.main(["--extensions", "--json", "--data-dir", str(tmp_path), "--use-cpu"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert [(each["name"], each["state"]) for each in answer["extensions"]] == [
        ("broken", "errors"), ("off", "off"), ("sound", "on"),
    ]  # fmt: skip
    broken, off, sound = answer["extensions"]
    assert broken["errors"][0]["reason"] == "ZeroDivisionError: division by zero"
    assert "1 / 0" in broken["errors"][0]["trace"]
    assert off["off_because"] == "It is switched off."
    assert sound["loaded"]
    assert {"missing", "shims", "hooks", "load_seconds"} <= sound.keys()


def test_people_get_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(tmp_path, "sound")
    assert examine_extensions(site_config(tmp_path), as_json=False) == 0
    out = capsys.readouterr().out
    assert "\non     sound " in out
    assert "hello from an extension" not in out


def test_of_a_running_server_its_own_notes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(tmp_path, "sound")
    config = site_config(tmp_path)
    with open_site(config, FakeEngine()):
        capsys.readouterr()
        code, answer = told(config, capsys)
    assert code == 0
    assert "A server runs" in str(answer["source"])
    assert [each["name"] for each in answer["extensions"]] == ["sound"]  # type: ignore[attr-defined]


def test_nothing_is_installed_by_asking(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(tmp_path, "sound")
    (tmp_path / "extensions/sound/install.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    code, _ = told(site_config(tmp_path), capsys)
    assert code == 0
    assert not (tmp_path / "ran").exists()


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert examine_extensions(site_config(tmp_path), as_json=False) == 0
    assert "No extension is installed." in capsys.readouterr().out
