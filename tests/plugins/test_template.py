"""The template extension in docs/ is short, is loaded as any other, and does what it says."""

import ast
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from modules.core.extras import FrozenMapping
from modules.core.request import GenerationRequest
from modules.hooks.registry import HookRegistry
from modules.hooks.spec import Picture
from modules.plugins.loading import PluginLoader
from tests.plugins.conftest import House

LINES = 60


def template(repo_root: Path) -> Path:
    return repo_root / "docs" / "template-extension"


def test_the_template_has_less_than_sixty_lines_and_explains_itself(repo_root: Path) -> None:
    files = [path for path in template(repo_root).rglob("*") if path.suffix == ".py"]
    text = files[0].read_text(encoding="utf-8")
    assert [path.name for path in files] == ["easel_plugin.py"]
    assert len(text.splitlines()) < LINES
    told = (ast.Module, ast.ClassDef, ast.FunctionDef)
    assert all(ast.get_docstring(node) for node in ast.walk(ast.parse(text)) if isinstance(node, told))


def test_the_template_works_when_its_folder_is_copied(repo_root: Path, house: House) -> None:
    shutil.copytree(template(repo_root), house.installed.folder / "vignette")
    hooks = HookRegistry(strict=True)
    assert PluginLoader(hooks, house.reports, house.safety).load(house.get("vignette"))
    assert not house.reports.of("vignette").failures
    plugins = hooks.plugins
    assert [(each.name, each.place) for each in plugins.sections("txt2img")] == [("vignette", "section")]
    assert plugins.extras_of({"vignette.enabled": False}, "txt2img") == FrozenMapping()
    extras = plugins.extras_of({"vignette.enabled": True, "vignette.amount": 1.0}, "txt2img")
    assert plugins.infotext_pairs(extras) == {"Vignette": "True", "Vignette amount": "1.0"}
    run = hooks.listen(GenerationRequest(extras=extras), lambda text: None)
    picture = Picture(0, 1, Image.new("RGB", (65, 33), (200, 100, 50)), "")
    run.on_picture(picture)
    pixels = np.asarray(picture.pixels)
    assert tuple(pixels[16, 32]) == (200, 100, 50)
    assert tuple(pixels[0, 0]) == (0, 0, 0)
    assert house.reports.of("vignette").hooks == ("on_picture",)
