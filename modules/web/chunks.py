"""Which of Gradio's scripts a page will need, so that the browser fetches them at once and not one after another.

Gradio's page finds out in five rounds: its entry, the page, the tree of components, and each component's own scripts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_LISTED = re.compile(r"m\.f=(\[[^\]]*\])")
_IMPORTED = re.compile(r"import\(`\./(?P<file>[\w-]+\.js)`\)[^`]{0,60}?__vite__mapDeps\(\[(?P<needs>[\d,]*)\]\)")
_TYPES = re.compile(rb'"type": ?"(\w+)"')
ENTRY, PAGE, TREE, COMPONENTS = "index-*.js", "Index-*.js", "Blocks-*.js", "core-*.js"


def component_types(page: bytes) -> frozenset[str]:
    """Return the types of the components that a page's configuration names, with what else is called a type in it."""
    return frozenset(name.decode() for name in _TYPES.findall(page))


def chunks_of(folder: Path, types: Iterable[str]) -> list[str]:
    """Return the names of the scripts in Gradio's folder that a page with components of these types needs.

    A version of Gradio that is built in another way yields none, or some: the browser finds the others by itself.
    """
    found: dict[str, None] = {}
    for entry in folder.glob(ENTRY):
        for name, needs in _imports(entry):
            if re.match(r"Index-", name):
                found.update(dict.fromkeys([name, *needs]))
                found.update(dict.fromkeys(_tree(folder / name)))
    for core in folder.glob(COMPONENTS):
        text = core.read_text(encoding="utf-8")
        for kind in sorted(types):
            found.update(dict.fromkeys(_component(text, kind)))
    return [name for name in found if name.endswith(".js")]


def _tree(page: Path) -> Iterator[str]:
    if page.is_file():
        for name, needs in _imports(page):
            if name.startswith("Blocks-"):
                yield from (name, *needs)


def _component(text: str, kind: str) -> Iterator[str]:
    """Yield what a component is shown with; what shows it as an example is left out."""
    listed = _listed(text)
    found = re.search(rf"[{{,]{kind}:\{{(?:(?!component:)[^{{}}])*component:\(\)=>\w+\(\(\)=>{_IMPORTED.pattern}", text)
    if found is not None:
        yield found["file"]
        yield from _named(listed, found["needs"])


def _imports(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield what a script imports when it is needed, each with what that needs in turn."""
    text = file.read_text(encoding="utf-8")
    listed = _listed(text)
    for match in _IMPORTED.finditer(text):
        yield match["file"], list(_named(listed, match["needs"]))


def _listed(text: str) -> list[str]:
    found = _LISTED.search(text)
    return [str(each).removeprefix("./") for each in json.loads(found[1])] if found is not None else []


def _named(listed: list[str], numbers: str) -> Iterator[str]:
    for number in filter(None, numbers.split(",")):
        if int(number) < len(listed):
            yield listed[int(number)]
