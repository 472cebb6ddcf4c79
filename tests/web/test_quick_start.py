"""`import gradio` must not rewrite Gradio's type stubs, and must survive a Gradio that does not."""

import subprocess
import sys
import types
from pathlib import Path

from modules.web import quick_start


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_gradio_loads_with_the_stub_writer_swapped() -> None:
    assert run("import modules.web, gradio.component_meta as m; print(m.create_or_modify_pyi.__name__)") \
        == "_write_no_stub"


def test_gradio_still_has_the_function_that_is_swapped() -> None:
    code = "import gradio.component_meta as m; print(callable(m.create_or_modify_pyi))"
    assert run(code) == "True", "Gradio has changed: quick_start no longer quickens anything"


def test_the_package_of_the_web_leaves_torch_and_the_engine_alone() -> None:
    loaded = run("import sys, modules.web.server; print([n for n in ('torch','diffusers') if n in sys.modules])")
    assert loaded == "[]"


def test_the_environment_says_that_nobody_is_to_be_called() -> None:
    assert run("import os, modules.web; print(os.environ['GRADIO_ANALYTICS_ENABLED'])") == "False"


def test_a_module_without_the_function_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "component_meta.py").write_text("other = 1\n")
    spec = quick_start.StubWritingFinder().find_spec(quick_start.STUB_WRITING_MODULE, [str(tmp_path)])
    assert spec is None or spec.loader is not None
    module = types.ModuleType("sample")

    class Loader(quick_start.Loader):
        def exec_module(self, module: types.ModuleType) -> None:
            module.__dict__["other"] = 1

    quick_start._SwappingLoader(Loader()).exec_module(module)
    assert not hasattr(module, quick_start.STUB_WRITING_FUNCTION)


def test_the_finder_finds_nothing_else() -> None:
    assert quick_start.StubWritingFinder().find_spec("gradio.blocks", None) is None


def test_installing_twice_adds_one_finder() -> None:
    quick_start.install()
    quick_start.install()
    assert sum(isinstance(finder, quick_start.StubWritingFinder) for finder in sys.meta_path) == 1
