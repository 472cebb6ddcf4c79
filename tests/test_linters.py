"""ruff, mypy and import-linter are part of the suite, and the import contracts are shown to bite."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

PROGRAMS = Path(sys.executable).parent
CONTRACTS = (
    "Imports point down",
    "Vocabulary, prompts, queue and sampler list load without torch",
    "Only the engine knows diffusers and transformers",
    "Only the rim knows Gradio",
    "Only app.py knows the A1111 adapter",
    "No package imports itself in a circle",
    "Nobody imports the root package itself",
)
VIOLATIONS = {
    "core/bad.py": "import torch\nimport modules.sampling.bad\n",
    "sampling/bad.py": "import diffusers\n",
    "jobs/bad.py": "import gradio\nimport modules\n",
    "settings/bad_one.py": "import modules.settings.bad_two\n",
    "settings/bad_two.py": "import modules.settings.bad_one\n",
    "a1111/__init__.py": "",
    "a1111/bad.py": "",
    "commands/bad.py": "import modules.a1111.bad\n",
}


def run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def expect_success(result: subprocess.CompletedProcess[str]) -> None:
    assert result.returncode == 0, f"\n{result.stdout}\n{result.stderr}"


def verdicts(output: str) -> dict[str, str]:
    return dict(re.findall(r"^(.+?) (KEPT|BROKEN)", output, flags=re.MULTILINE))


def test_ruff_finds_nothing(repo_root: Path) -> None:
    expect_success(run([str(PROGRAMS / "ruff"), "check", "--output-format", "concise", "."], repo_root))


@pytest.mark.timeout(600)
def test_mypy_finds_nothing(repo_root: Path) -> None:
    expect_success(run([str(PROGRAMS / "mypy")], repo_root))


def test_imports_keep_every_contract(repo_root: Path) -> None:
    result = run([str(PROGRAMS / "lint-imports"), "--no-logo", "--no-cache"], repo_root)
    expect_success(result)
    assert verdicts(result.stdout) == dict.fromkeys(CONTRACTS, "KEPT")


def test_a_violation_breaks_every_contract(repo_root: Path, tmp_path: Path) -> None:
    shutil.copytree(repo_root / "modules", tmp_path / "modules", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repo_root / "pyproject.toml", tmp_path)
    for name, source in VIOLATIONS.items():
        path = tmp_path / "modules" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    result = run([str(PROGRAMS / "lint-imports"), "--no-logo", "--no-cache"], tmp_path)
    assert result.returncode == 1, f"\n{result.stdout}\n{result.stderr}"
    assert verdicts(result.stdout) == dict.fromkeys(CONTRACTS, "BROKEN")


def test_a_package_outside_the_layers_is_noticed(repo_root: Path, tmp_path: Path) -> None:
    shutil.copytree(repo_root / "modules", tmp_path / "modules", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repo_root / "pyproject.toml", tmp_path)
    (tmp_path / "modules" / "unplanned.py").write_text("")
    result = run([str(PROGRAMS / "lint-imports"), "--no-logo", "--no-cache"], tmp_path)
    assert verdicts(result.stdout)[CONTRACTS[0]] == "BROKEN", result.stdout
    assert "modules.unplanned" in result.stdout
