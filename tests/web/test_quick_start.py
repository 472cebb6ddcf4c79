"""`import gradio` must not rewrite Gradio's type stubs, and must survive a Gradio that does not."""

import ast
import importlib.util
import subprocess
import sys
import types
from importlib.abc import Loader
from pathlib import Path

import pytest

from modules.web import quick_start


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_gradio_loads_with_the_functions_swapped() -> None:
    imports = "import modules.web, gradio.component_meta as m, gradio.events as e"
    names = "print(m.create_or_modify_pyi.__name__, e.EventListener.set_doc.__name__)"
    assert run(f"{imports}; {names}") == "_do_nothing _do_nothing"


@pytest.mark.parametrize("module", quick_start.SWAPPED)
def test_gradio_still_has_the_functions_that_are_swapped(module: str) -> None:
    spec = importlib.util.find_spec("gradio")
    assert spec is not None
    assert spec.origin is not None
    source = (Path(spec.origin).parent / f"{module.split('.')[1]}.py").read_text(encoding="utf-8")
    names = {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    assert set(quick_start.SWAPPED[module]) <= names, "Gradio has changed: quick_start no longer quickens anything"


def test_the_package_of_the_web_leaves_torch_and_the_engine_alone() -> None:
    loaded = run("import sys, modules.web.server; print([n for n in ('torch','diffusers') if n in sys.modules])")
    assert loaded == "[]"


def test_the_environment_says_that_nobody_is_to_be_called() -> None:
    assert run("import os, modules.web; print(os.environ['GRADIO_ANALYTICS_ENABLED'])") == "False"


def test_a_module_without_the_function_is_left_as_it_is() -> None:
    class Loads(Loader):
        def exec_module(self, module: types.ModuleType) -> None:
            module.__dict__["other"] = 1

    for attributes in (("gone",), ("gone", "too"), ("other", "gone")):
        module = types.ModuleType("sample")
        quick_start._SwappingLoader(Loads(), attributes).exec_module(module)
        assert module.__dict__["other"] == 1
        assert not hasattr(module, "gone")


def test_a_gradio_that_is_not_installed_is_not_found() -> None:
    assert quick_start.SwappingFinder().find_spec("gradio.events", ["/nowhere"]) is None


def test_the_finder_finds_nothing_else() -> None:
    assert quick_start.SwappingFinder().find_spec("gradio.blocks", None) is None


def test_installing_twice_adds_one_finder() -> None:
    quick_start.install()
    quick_start.install()
    assert sum(isinstance(finder, quick_start.SwappingFinder) for finder in sys.meta_path) == 1
