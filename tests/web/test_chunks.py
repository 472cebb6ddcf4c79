"""Which of Gradio's scripts a page needs is read from the installed Gradio."""

from pathlib import Path

import pytest

from modules.web.chunks import chunks_of, component_types
from modules.web.server import GRADIO_ASSETS


def test_the_types_are_those_that_the_configuration_names() -> None:
    page = b'<script>window.gradio_config = {"components":[{"id":1,"type":"dropdown"},{"type": "html"}]}</script>'
    assert component_types(page) == {"dropdown", "html"}


def test_the_installed_gradio_s_scripts_are_found() -> None:
    plain, more = chunks_of(GRADIO_ASSETS, ()), chunks_of(GRADIO_ASSETS, ("dropdown", "no such type"))
    assert all((GRADIO_ASSETS / name).is_file() for name in more)
    assert len(set(more)) == len(more)
    for kind in ("Index-", "Blocks-", "core-"):
        assert any(name.startswith(kind) for name in plain), kind
    own = set(more) - set(plain)
    assert own, "a component has scripts of its own"
    texts = [(GRADIO_ASSETS / name).read_text(encoding="utf-8") for name in own]
    assert any("filterable" in text for text in texts), "one of them is the dropdown's"


@pytest.mark.parametrize("content", ["", "m.f=[1", "import(`./Index-a.js`),__vite__mapDeps([7])"])
def test_a_gradio_that_is_built_in_another_way_is_left_to_the_browser(tmp_path: Path, content: str) -> None:
    assert chunks_of(tmp_path, ("dropdown",)) == []
    (tmp_path / "core-1.js").write_text(content)
    (tmp_path / "index-1.js").write_text(content)
    assert set(chunks_of(tmp_path, ("dropdown",))) <= {"Index-a.js"}
