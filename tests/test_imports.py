"""What must stay light stays light: measured in a fresh interpreter, not guessed from the source."""

import subprocess
import sys
from pathlib import Path

import pytest


def loaded_by(module: str, suspects: tuple[str, ...], root: Path) -> list[str]:
    program = f"import sys, {module}\nprint(*(name for name in {suspects!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    "module",
    [
        "modules.core.request", "modules.core.parameters", "modules.prompts", "modules.jobs.runner",
        "modules.jobs.store", "modules.hooks.registry", "modules.hooks.spec", "modules.builtin",
    ],
)
def test_importing_it_loads_neither_torch_nor_gradio(module: str, repo_root: Path) -> None:
    assert loaded_by(module, ("torch", "gradio", "diffusers", "transformers", "scipy"), repo_root) == []


def test_the_list_of_samplers_loads_without_torch(repo_root: Path) -> None:
    assert loaded_by("modules.sampling.registry", ("torch", "gradio"), repo_root) == []


def test_the_app_shows_its_page_before_torch_is_loaded(repo_root: Path) -> None:
    assert loaded_by("modules.app", ("torch", "diffusers", "transformers"), repo_root) == []


@pytest.mark.parametrize("module", ["launch", "modules.cli"])
def test_the_launcher_needs_only_the_standard_library(module: str, repo_root: Path) -> None:
    program = (
        f"import sys, {module}\n"
        "allowed = sys.stdlib_module_names | {'modules', 'launch', '__main__'}\n"
        "print(*(name for name in sys.modules if name.partition('.')[0] not in allowed))"
    )
    # -S leaves site-packages out altogether; -I would also leave out the current folder.
    command = [sys.executable, "-S", "-c", program]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_measurement_sees_a_module_that_is_loaded(repo_root: Path) -> None:
    assert loaded_by("wave, modules.cli", ("wave",), repo_root) == ["wave"]
