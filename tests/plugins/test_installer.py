"""Installing, updating, rolling back, restoring and removing, with real git on local repositories."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from modules.core.errors import ExtensionFailed, InvalidRequest, TaskCancelled
from modules.plugins.git import Git
from tests.plugins.conftest import House, Repository, open_house, repository


def installed(house: House, source: Repository, **more: str) -> None:
    house.carry_out(house.installer.order_install(source.address, **more))


def test_a_repository_becomes_an_extension_named_after_it(house: House, source: Repository) -> None:
    order = house.installer.order_install(source.address)
    assert order[0] == "Extension sd-webui-thing"
    assert house.carry_out(order) == "It is loaded at the next start."
    extension = house.get("sd-webui-thing")
    assert (extension.enabled, extension.branch, extension.remote) == (True, "main", source.address)
    assert extension.commit == source.git("rev-parse", "HEAD")
    assert [path.name for path in house.installed.folder.iterdir()] == ["sd-webui-thing"]
    assert "Cloning into" in house.installer.log("sd-webui-thing")


def test_branch_and_folder_can_be_chosen(house: House, source: Repository) -> None:
    source.git("checkout", "--quiet", "-b", "next")
    wanted = source.commit("on next", {"scripts/two.py": "TWO = 2\n"})
    source.git("checkout", "--quiet", "main")
    installed(house, source, branch="next", name="Mine")
    assert (house.get("Mine").branch, house.get("Mine").commit) == ("next", wanted)


def test_a_branch_that_is_not_there_leaves_nothing_behind(house: House, source: Repository) -> None:
    with pytest.raises(ExtensionFailed, match=r"git clone failed: .*none"):
        installed(house, source, branch="none")
    assert list(house.installed.folder.iterdir()) == []


@pytest.mark.parametrize("name", ["sd-webui-thing", "SD-WEBUI-THING"])
def test_a_taken_folder_is_refused_when_it_is_ordered(house: House, source: Repository, name: str) -> None:
    installed(house, source)
    with pytest.raises(InvalidRequest, match="Folder name"):
        house.installer.order_install("https://example.org/a/other", name=name)


def test_the_same_repository_is_refused_a_second_time(house: House, source: Repository) -> None:
    installed(house, source)
    with pytest.raises(InvalidRequest, match="installed as sd-webui-thing"):
        house.installer.order_install(f"{source.address}.git", name="again")


def test_outside_of_tests_files_are_no_source(source: Repository, tmp_path: Path) -> None:
    house = open_house(tmp_path)
    house.installer._git = Git()
    with pytest.raises(InvalidRequest, match="https"):
        house.installer.order_install(source.address)
    (tmp_path / "extensions").mkdir(exist_ok=True)
    with pytest.raises(ExtensionFailed, match="not allowed"):
        house.carry_out(("", {"action": "install", "url": source.address, "branch": "", "name": "x"}))


def test_a_cancelled_installation_stops_and_leaves_nothing(house: House, source: Repository) -> None:
    _, spec = house.installer.order_install(source.address)
    with pytest.raises(TaskCancelled):
        house.installer.run(spec, lambda fraction, detail: None, lambda: True)
    assert list(house.installed.folder.iterdir()) == []


def test_an_order_that_a_stopped_server_left_goes_on(house: House, source: Repository) -> None:
    order = house.installer.order_install(source.address)
    house.carry_out(order)
    assert house.carry_out(order) == "It is loaded at the next start."
    other = repository(source.path.parent / "other")
    with pytest.raises(ExtensionFailed, match="already"):
        house.carry_out(("", {**order[1], "url": other.address}))


def test_updates_are_told_with_their_commits_and_then_taken(house: House, source: Repository) -> None:
    installed(house, source)
    assert house.carry_out(house.installer.order_check()) == "0 of 1 can be updated."
    wanted = source.commit("second: better", {"scripts/one.py": "ONE = 2\n"})
    assert house.carry_out(house.installer.order_check()) == "1 of 1 can be updated."
    (commit,) = house.installer.updates()["sd-webui-thing"].commits
    assert (commit.title, commit.author, commit.commit) == ("second: better", "Anna", wanted)
    said = house.carry_out(house.installer.order_update(["sd-webui-thing"]))
    assert f"to {wanted[:8]}" in said
    assert (house.get("sd-webui-thing").path / "scripts/one.py").read_text() == "ONE = 2\n"
    assert house.installer.updates() == {}
    assert house.carry_out(house.installer.order_update(["sd-webui-thing"])) == "Nothing was new."


def test_a_remote_that_is_gone_is_a_problem_of_that_extension_alone(house: House, source: Repository) -> None:
    installed(house, source)
    source.path.rename(source.path.parent / "gone")
    house.carry_out(house.installer.order_check())
    assert "git fetch failed" in house.installer.updates()["sd-webui-thing"].problem
    with pytest.raises(ExtensionFailed, match="sd-webui-thing: git fetch failed"):
        house.carry_out(house.installer.order_update(["sd-webui-thing"]))


def test_an_extension_goes_back_to_any_commit_and_forward_again(house: House, source: Repository) -> None:
    first = source.git("rev-parse", "HEAD")
    second = source.commit("second", {"scripts/one.py": "ONE = 2\n"})
    installed(house, source)
    assert [commit.commit for commit in house.installer.history("sd-webui-thing")][-1] == first
    house.carry_out(house.installer.order_go_to("sd-webui-thing", first))
    assert (house.get("sd-webui-thing").commit, house.get("sd-webui-thing").branch) == (first, "main")
    assert {commit.commit for commit in house.installer.history("sd-webui-thing")} == {first, second}
    house.carry_out(house.installer.order_update(["sd-webui-thing"]))
    assert house.get("sd-webui-thing").commit == second


def test_a_commit_that_is_only_at_the_remote_is_fetched(house: House, source: Repository) -> None:
    installed(house, source)
    wanted = source.commit("later", {"a": "1"})
    house.carry_out(house.installer.order_go_to("sd-webui-thing", wanted))
    assert house.get("sd-webui-thing").commit == wanted
    with pytest.raises(ExtensionFailed):
        house.carry_out(house.installer.order_go_to("sd-webui-thing", "f" * 40))


def test_the_users_own_changes_are_put_aside_and_never_lost(house: House, source: Repository) -> None:
    installed(house, source)
    place = house.get("sd-webui-thing").path
    (place / "scripts/one.py").write_text("MINE = 1\n")
    (place / "notes.txt").write_text("untracked")
    source.commit("second", {"scripts/one.py": "ONE = 2\n"})
    assert "git stash" in house.carry_out(house.installer.order_update(["sd-webui-thing"]))
    assert (place / "scripts/one.py").read_text() == "ONE = 2\n"
    assert (place / "notes.txt").read_text() == "untracked"
    assert "MINE = 1" in Repository(place).git("stash", "show", "--patch")


def test_hooks_in_a_checkout_are_not_run(house: House, source: Repository, tmp_path: Path) -> None:
    installed(house, source)
    hook = house.get("sd-webui-thing").path / ".git/hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    source.commit("second", {"a": "2"})
    house.carry_out(house.installer.order_update(["sd-webui-thing"]))
    assert not (tmp_path / "ran").exists()


def test_a_removed_extension_lies_in_the_trash_and_comes_back(house: House, source: Repository) -> None:
    installed(house, source)
    entry = house.installer.remove("sd-webui-thing")
    assert house.installed.all() == []
    assert [(each.entry, each.name) for each in house.installer.trash.entries()] == [(entry, "sd-webui-thing")]
    assert house.installer.put_back(entry) == "sd-webui-thing"
    assert house.get("sd-webui-thing").enabled
    house.installer.remove("sd-webui-thing")
    assert house.installer.trash.empty() == 1
    with pytest.raises(ExtensionFailed, match="no longer"):
        house.installer.put_back(entry)


def test_a_link_is_removed_and_what_it_leads_to_stays(house: House, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    house.installed.folder.mkdir()
    (house.installed.folder / "linked").symlink_to(tmp_path / "work")
    house.installer.remove("linked")
    house.installer.trash.empty()
    assert (tmp_path / "work").is_dir()


def test_what_is_not_there_or_no_checkout_is_refused(house: House) -> None:
    (house.installed.folder / "plain").mkdir(parents=True)
    with pytest.raises(ExtensionFailed, match="no extension none"):
        house.installer.remove("none")
    for ask in (lambda: house.installer.order_update(["plain"]), lambda: house.installer.history("plain")):
        with pytest.raises(ExtensionFailed, match="no git checkout"):
            ask()
    with pytest.raises(ExtensionFailed, match="no extension none"):
        house.installer.order_go_to("none", "a" * 40)


def zipped(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    return content.getvalue()


def test_a_zip_becomes_an_extension_and_its_upload_is_gone_then(house: House) -> None:
    order = house.installer.order_unpack(zipped({"thing-main/scripts/a.py": "A"}), "download.zip")
    assert order[0] == "Extension thing"
    house.carry_out(order)
    assert (house.get("thing").path / "scripts/a.py").read_text() == "A"
    assert list((house.folder / "state/extension-uploads").iterdir()) == []
    assert not house.get("thing").is_builtin
    assert house.get("thing").version == ""


def test_a_dismissed_zip_is_cleared_away(house: House) -> None:
    _, spec = house.installer.order_unpack(b"no zip", "my thing.zip")
    assert spec["name"] == "my-thing"
    with pytest.raises(ExtensionFailed):
        house.installer.run(spec, lambda fraction, detail: None, lambda: False)
    house.installer.discard(spec)
    assert list((house.folder / "state/extension-uploads").iterdir()) == []


def test_a_whole_set_is_backed_up_and_restored(house: House, source: Repository) -> None:
    other = repository(source.path.parent / "other")
    installed(house, source)
    installed(house, other)
    house.off.add("other")
    backup = house.installer.back_up("Before")
    before = house.get("sd-webui-thing").commit
    source.commit("second", {"a": "2"})
    house.carry_out(house.installer.order_update(["sd-webui-thing"]))
    house.installer.remove("other")
    (house.installed.folder / "newer").mkdir()
    house.off.clear()
    said = house.carry_out(house.installer.order_restore(backup.file))
    assert said.startswith("2 extensions are as they were; 1 others are off")
    assert house.get("sd-webui-thing").commit == before
    assert [(each.name, each.switched_on) for each in house.installed.all()] == [
        ("newer", False), ("other", False), ("sd-webui-thing", True),
    ]  # fmt: skip


def test_backups_are_in_a1111s_format_and_its_own_are_read(house: House, source: Repository) -> None:
    installed(house, source)
    backup = house.installer.back_up("My set")
    content = json.loads((house.folder / "config_states" / backup.file).read_text())
    entry = content["extensions"]["sd-webui-thing"]
    assert {"created_at", "webui", "extensions", "name"} <= content.keys()
    assert (entry["enabled"], entry["commit_hash"]) == (True, source.git("rev-parse", "HEAD"))
    foreign = {
        "created_at": 1.5,
        "extensions": {
            "a": {"enabled": True, "remote": None, "commit_hash": "", "is_builtin": False, "branch": None},
            "LDSR": {"enabled": True, "is_builtin": True},
        },
    }
    (house.folder / "config_states" / "foreign.json").write_text(json.dumps(foreign))
    found = house.installer.snapshots.get("foreign.json")
    assert (found.name, found.created, [each.name for each in found.extensions]) == ("Config", 1.5, ["a"])
    house.installer.snapshots.delete("foreign.json")
    assert [each.file for each in house.installer.snapshots.all()] == [backup.file]


@pytest.mark.parametrize("file", ["../config.json", "none.json", "broken.json", "evil.json"])
def test_what_is_no_backup_is_refused(house: House, file: str) -> None:
    folder = house.folder / "config_states"
    folder.mkdir()
    (folder / "broken.json").write_text("{")
    (folder / "evil.json").write_text('{"created_at": 1, "extensions": {"../evil": {"enabled": true}}}')
    with pytest.raises(ExtensionFailed, match="no backup"):
        house.installer.order_restore(file)


def test_a_backup_with_a_source_that_is_not_allowed_restores_the_rest(house: House, source: Repository) -> None:
    installed(house, source)
    content = {
        "created_at": 1,
        "extensions": {
            "bad": {"enabled": True, "remote": "ext::sh -c id", "commit_hash": "a" * 40},
            "sd-webui-thing": {"enabled": False, "commit_hash": ""},
        },
    }
    (house.folder / "config_states").mkdir()
    (house.folder / "config_states/x.json").write_text(json.dumps(content))
    with pytest.raises(ExtensionFailed, match="bad: Address"):
        house.carry_out(house.installer.order_restore("x.json"))
    assert house.off == {"sd-webui-thing"}
