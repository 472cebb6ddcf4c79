"""Plugins of Easel's own kind in an extension's folder."""

import sys

import pytest
from PIL import Image

from modules.core.errors import GenerationStopped
from modules.core.request import GenerationRequest
from modules.hooks.registry import HookRegistry
from modules.hooks.spec import Picture
from modules.plugins.loading import PluginLoader, package_of
from tests.plugins.conftest import House

PLUGIN = '''
from modules.hooks.plugins import PluginDescription
from modules.hooks.spec import RunListener
from .looks import COLOUR


class Painted(RunListener):
    def on_picture(self, picture):
        picture.pixels.paste(COLOUR, (0, 0, 4, 4))


class Painter:
    description = PluginDescription("painter", "Painter")

    def listen(self, run):
        return Painted()


PLUGINS = [Painter()]
'''


class Bench:
    """A loader over one house."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.hooks = HookRegistry()
        self.loader = PluginLoader(self.hooks, house.reports, house.safety)
        self.said: list[str] = []

    def add(self, plugin: str, name: str = "my thing", **more: str) -> None:
        place = self.house.installed.folder / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "easel_plugin.py").write_text(plugin)
        for file, text in more.items():
            (place / f"{file}.py").write_text(text)

    def load(self, name: str = "my thing") -> bool:
        return self.loader.load(self.house.get(name))

    def names(self) -> list[str]:
        return [each.name for each in self.hooks.descriptions()]

    def painted(self) -> Picture:
        run = self.hooks.listen(GenerationRequest(prompt="a cat"), self.said.append)
        picture = Picture(0, 1, Image.new("RGB", (4, 4)), "")
        run.on_picture(picture)
        return picture


@pytest.fixture
def bench(house: House) -> Bench:
    return Bench(house)


def test_a_plugin_takes_part_and_goes_again(bench: Bench) -> None:
    bench.add(PLUGIN, looks="COLOUR = (255, 0, 0)\n")
    assert bench.load()
    assert bench.names() == ["painter"]
    assert bench.painted().pixels.getpixel((1, 1)) == (255, 0, 0)
    report = bench.house.reports.of("my thing")
    assert report.loaded
    assert report.hooks == ("on_picture",)
    assert report.seconds["import"] > 0
    bench.loader.unload("my thing")
    assert bench.names() == []
    assert not [name for name in sys.modules if name.startswith(package_of("my thing"))]
    assert not bench.house.reports.of("my thing").loaded


def test_a_reload_takes_changed_files(bench: Bench) -> None:
    bench.add(PLUGIN, looks="COLOUR = (255, 0, 0)\n")
    bench.load()
    # Of another length, since Python tells compiled files apart by size and whole seconds.
    bench.add(PLUGIN, looks="COLOUR = (0, 0, 255)  # now blue\n")
    assert bench.loader.reload(bench.house.get("my thing"))
    assert bench.painted().pixels.getpixel((1, 1)) == (0, 0, 255)


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        ("this is no Python", "SyntaxError"),
        ("raise RuntimeError('broken')", "RuntimeError: broken"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("x = 1", "has no list PLUGINS"),
        ("PLUGINS = [1]", "is no plugin"),
        ("import does_not_exist", "ModuleNotFoundError"),
    ],
)
def test_a_broken_file_is_named_with_its_trace_and_adds_nothing(bench: Bench, plugin: str, reason: str) -> None:
    bench.add(plugin)
    assert not bench.load()
    assert bench.names() == []
    (failure,) = bench.house.reports.of("my thing").failures
    assert reason in failure.reason
    assert failure.part == "import"
    assert failure.trace
    assert not [name for name in sys.modules if name.startswith(package_of("my thing"))]


def test_of_two_with_one_id_the_second_is_left_out_whole(bench: Bench) -> None:
    looks = "COLOUR = (255, 0, 0)\n"
    bench.add(PLUGIN, "a", looks=looks)
    described = "description = PluginDescription('other', 'Other')"
    other = f"class Other(Painter):\n    {described}\n\n\nPLUGINS = [Other(), Painter()]\n"
    bench.add(PLUGIN.replace("PLUGINS = [Painter()]\n", other), "b", looks=looks)
    assert bench.load("a")
    assert not bench.load("b")
    assert bench.names() == ["painter"]
    assert "same id painter" in bench.house.reports.of("b").failures[0].reason


def test_an_error_in_a_hook_is_reported_and_the_run_goes_on(bench: Bench) -> None:
    bench.add(PLUGIN, looks="COLOUR = object()\n")
    bench.load()
    bench.painted()
    (failure,) = bench.house.reports.of("my thing").failures
    assert (failure.part, failure.where) == ("hook", "on_picture")
    assert "Painter failed" in bench.said[0]


def test_what_easel_raises_on_purpose_comes_through(bench: Bench) -> None:
    bench.add(
        PLUGIN.replace("picture.pixels.paste(COLOUR, (0, 0, 4, 4))", "raise COLOUR"),
        looks="from modules.core.errors import GenerationStopped\nCOLOUR = GenerationStopped()\n",
    )
    bench.load()
    with pytest.raises(GenerationStopped):
        bench.painted()
    assert bench.house.reports.of("my thing").failures == ()


def test_a_method_that_is_no_hook_is_refused_by_its_name(bench: Bench) -> None:
    bench.add(PLUGIN.replace("def on_picture", "def on_pictures"), looks="COLOUR = (1, 2, 3)\n")
    bench.load()
    assert bench.painted().pixels.getpixel((0, 0)) == (0, 0, 0), "the run goes on without"
    assert "Painted.on_pictures: there is no hook of that name" in bench.said[0]
    assert [failure.reason for failure in bench.house.reports.of("my thing").failures] == [
        "Painted.on_pictures is no hook."
    ]


def test_an_extension_without_the_file_loads_nothing(bench: Bench) -> None:
    (bench.house.installed.folder / "plain").mkdir(parents=True)
    assert not bench.load("plain")
    assert bench.house.reports.all() == {}


def test_a_path_is_a_package_of_its_own() -> None:
    assert package_of("sd-webui thing.2") == "easel_extension_sd_webui_thing_2"
