"""A plugin of Easel's own kind with a hook that there is not."""

from modules.hooks.plugins import PluginDescription
from modules.hooks.registry import RunStart
from modules.hooks.spec import RunListener


class Listener(RunListener):
    def on_nothing(self, nothing):
        raise AssertionError("nobody calls this")


class Broken:
    description = PluginDescription("broken_plugin", "Broken plugin")

    def listen(self, run: RunStart) -> RunListener:
        return Listener()


PLUGINS = [Broken()]
