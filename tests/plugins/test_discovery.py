"""Which extensions there are, and which of them are to be loaded."""

from pathlib import Path

import pytest

from modules.plugins.discovery import Extensions, Switches
from modules.plugins.git_facts import read_git, without_password
from modules.plugins.metadata import read_metadata, split_names
from modules.plugins.safety import Safety
from tests.plugins.conftest import Repository


def extensions(folder: Path, switches: Switches | None = None, safe_mode: bool = False) -> Extensions:
    chosen = switches or Switches()
    return Extensions(folder / "extensions", lambda: chosen, Safety(folder / "safety.json", safe_mode))


def add(folder: Path, name: str, **files: str) -> Path:
    place = folder / "extensions" / name
    (place / "scripts").mkdir(parents=True)
    for file, text in files.items():
        (place / file.replace("__", "/").replace("_dot_", ".")).write_text(text)
    return place


def test_folders_are_found_by_name_and_hidden_ones_and_files_are_not(tmp_path: Path) -> None:
    for name in ("b", "A", "c", ".easel-d", "__pycache__"):
        add(tmp_path, name)
    (tmp_path / "extensions" / "README.md").write_text("hello")
    assert [each.name for each in extensions(tmp_path).all()] == ["A", "b", "c"]


def test_without_the_folder_there_is_none(tmp_path: Path) -> None:
    assert extensions(tmp_path).all() == []


@pytest.mark.parametrize(
    ("switches", "safe_mode", "enabled"),
    [
        (Switches(), False, ["a", "b"]),
        (Switches(frozenset({"a"})), False, ["b"]),
        (Switches(disable_all="all"), False, []),
        (Switches(disable_all="extra"), False, []),
        (Switches(), True, []),
    ],
)
def test_switches_and_safe_mode_decide_what_is_loaded(
    tmp_path: Path, switches: Switches, safe_mode: bool, enabled: list[str]
) -> None:
    for name in ("a", "b"):
        add(tmp_path, name)
    found = extensions(tmp_path, switches, safe_mode)
    assert [each.name for each in found.enabled()] == enabled
    assert all(bool(each.off_because) is not each.enabled for each in found.all())


def test_the_second_of_one_canonical_name_is_off_and_says_which_the_first_is(tmp_path: Path) -> None:
    for name in ("a", "b"):
        add(tmp_path, name, metadata_dot_ini="[Extension]\nName = Same\n")
    first, second = extensions(tmp_path).all()
    assert first.enabled
    assert "extension a has the same name 'same'" in second.off_because


def test_a_file_tells_its_extension(tmp_path: Path) -> None:
    place = add(tmp_path, "a")
    found = extensions(tmp_path)
    assert found.of_file(place / "scripts" / "x.py") == "a"
    assert found.of_file(tmp_path / "elsewhere.py") is None


def test_files_come_by_name_and_of_one_ending(tmp_path: Path) -> None:
    add(tmp_path, "a", scripts__b_dot_py="", scripts__a_dot_py="", scripts__c_dot_txt="")
    (found,) = extensions(tmp_path).all()
    assert [path.name for path in found.files("scripts", ".py")] == ["a.py", "b.py"]
    assert found.files("javascript", ".js") == []
    assert found.uses_a1111
    assert not found.has_plugins


def test_what_an_extension_requires_and_lacks_is_said(tmp_path: Path) -> None:
    add(tmp_path, "a", metadata_dot_ini="[Extension]\nRequires = b, missing, x|c\n")
    add(tmp_path, "b")
    add(tmp_path, "c")
    found = extensions(tmp_path, Switches(frozenset({"b"})))
    assert found.unmet(found.all()[0]) == [
        "It requires the extension b, which is off.",
        "It requires the extension missing, which is not installed.",
    ]


def test_a_restart_is_needed_when_a_switch_or_the_commit_has_changed(tmp_path: Path, source: Repository) -> None:
    (tmp_path / "extensions").mkdir()
    source.path.rename(tmp_path / "extensions" / "a")
    moved = Repository(tmp_path / "extensions" / "a")
    found = extensions(tmp_path)
    found.note_running(found.enabled())
    assert not found.needs_restart(found.all()[0])
    moved.commit("second", {"x": "2"})
    assert found.needs_restart(found.all()[0])
    found.note_running([])
    assert found.needs_restart(found.all()[0])


def test_metadata_list_what_comes_before_with_alternatives(tmp_path: Path) -> None:
    text = "[scripts]\nBefore = all\n[scripts/One.py]\nBefore = x|Y, z\n[Extension]\nName = My Extension\n"
    metadata = read_metadata(add(tmp_path, "Folder", metadata_dot_ini=text))
    assert metadata.canonical_name == "my extension"
    assert metadata.listed("Before", "scripts/One.py", "scripts", known={"y"}) == ("y", "z", "all")
    assert metadata.listed("After", "scripts/One.py") == ()


def test_broken_metadata_are_a_problem_and_no_more(tmp_path: Path) -> None:
    metadata = read_metadata(add(tmp_path, "Folder", metadata_dot_ini="no section = here\n"))
    assert metadata.canonical_name == "folder"
    assert "cannot be read" in metadata.problem


def test_lists_are_divided_by_commas_and_blanks() -> None:
    assert split_names(" A, b  c,,\n d ") == ("a", "b", "c", "d")


def test_commit_branch_and_remote_are_read_without_git(source: Repository) -> None:
    source.git("remote", "add", "origin", "https://anna:token@example.org/a/b.git")
    facts = read_git(source.path)
    assert facts is not None
    assert facts.commit == source.git("rev-parse", "HEAD")
    assert facts.version == facts.commit[:8]
    assert (facts.branch, facts.remote) == ("main", "https://example.org/a/b.git")


def test_packed_refs_a_bare_commit_and_a_worktree_are_read_too(source: Repository, tmp_path: Path) -> None:
    commit = source.git("rev-parse", "HEAD")
    source.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "tree"))
    source.git("pack-refs", "--all")
    packed, tree = read_git(source.path), read_git(tmp_path / "tree")
    source.git("checkout", "--quiet", "--detach")
    detached = read_git(source.path)
    assert packed is not None
    assert tree is not None
    assert detached is not None
    assert {packed.commit, tree.commit, detached.commit} == {commit}
    assert (packed.branch, tree.branch, detached.branch) == ("main", "other", "")


def test_what_is_no_checkout_has_no_facts(tmp_path: Path) -> None:
    assert read_git(tmp_path) is None
    (tmp_path / ".git").mkdir()
    assert read_git(tmp_path) is None
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/none\n")
    assert read_git(tmp_path) is None


def test_a_password_in_an_address_is_left_out() -> None:
    assert without_password("https://user:secret@host/a") == "https://host/a"
    assert without_password("git@host:a/b") == "git@host:a/b"
