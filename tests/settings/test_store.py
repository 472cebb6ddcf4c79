"""The settings file: whole or not at all, and nothing in it is ever lost."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from modules.core.errors import InvalidRequest, StorageFailed
from modules.settings.schema import OPTIONS, Look, Option
from modules.settings.store import SettingsStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "config.json"


def test_without_a_file_every_option_has_its_default(path: Path) -> None:
    assert SettingsStore(path).all() == {key: option.default for key, option in OPTIONS.items()}
    assert not path.exists()


def test_a_change_is_returned_and_there_after_a_restart(path: Path) -> None:
    store = SettingsStore(path)
    assert store.update({"CLIP_stop_at_last_layers": 2, "randn_source": "GPU"}) == {"CLIP_stop_at_last_layers": 2}
    assert store.get("CLIP_stop_at_last_layers") == 2
    assert SettingsStore(path).get("CLIP_stop_at_last_layers") == 2
    assert list(path.parent.iterdir()) == [path]


def test_setting_what_is_set_already_writes_nothing(path: Path) -> None:
    assert SettingsStore(path).update({"randn_source": "GPU"}) == {}
    assert not path.exists()


def test_one_wrong_value_refuses_all_and_names_every_wrong_one(path: Path) -> None:
    store = SettingsStore(path)
    with pytest.raises(InvalidRequest) as raised:
        store.update({"randn_source": "CPU", "CLIP_stop_at_last_layers": 99, "no_such_option": 1})
    assert [problem.field for problem in raised.value.problems] == ["CLIP_stop_at_last_layers", "no_such_option"]
    assert "99 is not possible; allowed is a whole number from 1 to 12" in str(raised.value)
    assert store.get("randn_source") == "GPU"


def test_unknown_keys_in_the_file_are_kept(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"from_an_extension": [1, 2], "randn_source": "CPU"}', encoding="utf-8")
    store = SettingsStore(path)
    assert store.get("randn_source") == "CPU"
    assert "from_an_extension" not in store.all()
    store.update({"randn_source": "NV"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"from_an_extension": [1, 2], "randn_source": "NV"}


@pytest.mark.parametrize("content", ["{broken", "[1, 2]", "\xff\xfe"])
def test_a_broken_file_is_moved_aside_and_defaults_are_used(
    content: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    for number in (1, 2):
        path.write_bytes(content.encode("latin-1"))
        with caplog.at_level(logging.WARNING):
            assert SettingsStore(path).get("randn_source") == "GPU"
        assert (path.parent / f"config.json.broken-{number}").read_bytes() == content.encode("latin-1")
        assert f"config.json.broken-{number}; defaults are used" in caplog.text
    assert not path.exists()


def test_what_nobody_declared_can_be_kept_and_declared_options_are_not_touched_so(path: Path) -> None:
    store = SettingsStore(path)
    given = {"theirs": {"a": [1, 2.5, None]}, "randn_source": "nonsense"}
    store.keep(given)
    given["theirs"]["a"].append("later")  # type: ignore[index, attr-defined]
    store.update({"CLIP_stop_at_last_layers": 2})
    with pytest.raises(TypeError):
        store.keep({"theirs": object()})
    again = SettingsStore(path)
    assert store.contents() == again.contents() == {"theirs": {"a": [1, 2.5, None]}, "CLIP_stop_at_last_layers": 2}
    assert again.get("randn_source") == OPTIONS["randn_source"].default


def test_an_impossible_value_in_the_file_falls_back_to_the_default(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_text('{"CLIP_stop_at_last_layers": 99, "randn_source": "CPU"}', encoding="utf-8")
    store = SettingsStore(path)
    assert (store.get("CLIP_stop_at_last_layers"), store.get("randn_source")) == (1, "CPU")
    assert "allowed is a whole number from 1 to 12" in caplog.text


def test_listeners_hear_the_changes_until_they_unsubscribe(path: Path) -> None:
    store = SettingsStore(path)
    heard: list[Mapping[str, object]] = []
    unsubscribe = store.subscribe(heard.append)
    store.update({"randn_source": "CPU"})
    store.update({"randn_source": "CPU"})
    unsubscribe()
    store.update({"randn_source": "NV"})
    assert heard == [{"randn_source": "CPU"}]


def test_a_file_that_cannot_be_written_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SettingsStore(path)
    store.update({"randn_source": "CPU"})

    def read_only(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("modules.settings.store.os.replace", read_only)
    with pytest.raises(StorageFailed, match=r"config\.json cannot be written: Permission denied"):
        store.update({"randn_source": "NV"})
    assert store.get("randn_source") == "CPU"
    assert list(path.parent.iterdir()) == [path]
    assert json.loads(path.read_text(encoding="utf-8"))["randn_source"] == "CPU"


def test_a_folder_in_the_files_place_is_reported(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StorageFailed, match="cannot be read"):
        SettingsStore(path)


def sample(choices: tuple[str, ...], look: Look = "plain") -> Option:
    return Option("sample_file", "File", "text", "none", "Sample", "", choices=choices, refreshes=True, look=look)


def test_an_option_whose_choices_change_is_asked_for_them_again(path: Path) -> None:
    store = SettingsStore(path)
    found = ["none"]

    def renewed(refresh: bool) -> Option:
        if refresh:
            found.append("fresh")
        return sample(tuple(found))

    store.declare([sample(("none",))], {"sample_file": renewed})
    store.renew()
    assert store.options()["sample_file"].choices == ("none",)
    store.renew("sample_file")
    assert store.options()["sample_file"].choices == ("none", "fresh")
    store.declare([sample(("other",))])
    store.renew("sample_file")
    assert store.options()["sample_file"].choices == ("other",), "who declared it anew is asked no more"


def test_a_note_has_no_value_and_takes_none(path: Path) -> None:
    store = SettingsStore(path)
    store.declare([sample((), "note")])
    assert "sample_file" not in store.all()
    with pytest.raises(InvalidRequest):
        store.update({"sample_file": "none"})
