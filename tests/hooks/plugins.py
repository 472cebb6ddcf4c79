"""Plugins for the tests: one for each place, and one whose moments are functions of the test."""

from collections.abc import Callable
from typing import Any

from modules.core.parameter import Parameter
from modules.hooks.plugins import PluginDescription, PluginList
from modules.hooks.registry import RunStart
from modules.hooks.spec import RunListener

SECTION = PluginDescription(
    "glow", "Glow",
    (
        Parameter("enabled", "Glow", "flag", False, "On.", infotext="Glow enabled"),
        Parameter("amount", "Amount", "number", 0.5, "How much.", minimum=0, maximum=1, infotext="Glow amount"),
        Parameter("mood", "Mood", "choice", "warm", "Which.", choices=("warm", "cold"), infotext="Glow mood"),
    ),
    place="section", switch="enabled", numbered=frozenset({"mood"}),
)  # fmt: skip
SCRIPT = PluginDescription(
    "echo", "Echo, twice",
    (
        Parameter("times", "Times", "integer", 2, "How often.", minimum=1, maximum=9, infotext="Echo times"),
        Parameter("ends", "Ends", "several", "up, down", "Where.", choices=("up", "down"), infotext="Echo ends"),
        Parameter("start", "Start", "seed", -1, "Where it begins.", minimum=-1, maximum=2**63 - 1),
    ),
    place="script", tabs=("img2img",), arguments=("", "times", "ends", "start"),
)  # fmt: skip
PLUGINS = PluginList(lambda: (SECTION, SCRIPT))


def method(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, *given: function(*given)


class Plugin:
    """A plugin whose listener has the given functions as its moments."""

    def __init__(self, name: str = "test", /, *, description: PluginDescription | None = None, **moments: Any) -> None:
        self.description = description or PluginDescription(name, name.title())
        self.moments = moments
        self.runs: list[RunStart] = []

    def listen(self, run: RunStart) -> RunListener:
        self.runs.append(run)
        methods = {name: method(function) for name, function in self.moments.items()}
        listener: RunListener = type("Listener", (RunListener,), methods)()
        return listener
