"""docs/hooks.md tells of every hook, with its exact signature and kind."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from modules.hooks.spec import HOOKS, RunListener


def sections(repo_root: Path) -> dict[str, str]:
    text = (repo_root / "docs" / "hooks.md").read_text(encoding="utf-8")
    parts = re.split(r"^## `(\w+)`$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_hook_has_a_heading_and_no_other_has(repo_root: Path) -> None:
    assert list(sections(repo_root)) == list(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_told_with_its_exact_signature_and_kind(name: str, repo_root: Path) -> None:
    signature = inspect.signature(getattr(RunListener, name))
    given = [parameter for parameter in signature.parameters.values() if parameter.name != "self"]
    told = str(signature.replace(parameters=given)).replace("'", "")
    lines = sections(repo_root)[name].strip().splitlines()
    assert lines[0] == f"`{name}{told}`"
    assert lines[2].startswith(f"{HOOKS[name].capitalize()}. ")


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_has_a_test_in_a_real_run(name: str, repo_root: Path) -> None:
    files = sorted((repo_root / "tests" / "engine").glob("test_*hooks.py"))
    assert any(f"def test_hook_{name}(" in file.read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize("name", HOOKS)
def test_every_hooks_docstring_begins_with_its_kind(name: str) -> None:
    words = {"notify": "Take note", "edit": "Edit", "wrap": "Wrap"}
    assert (getattr(RunListener, name).__doc__ or "").startswith(words[HOOKS[name]])
