"""What is on a generation tab's form: our own fields, and those that plugins declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.core.parameter import Parameter
from modules.core.request import ChoiceLists
from modules.hooks.plugins import NO_SCRIPT, SCRIPT_FIELD, PluginDescription, PluginList, form_value
from modules.web.forms import PAGE_FIELDS, component_of, describe_field, element_id, make_component
from modules.web.panels import ForeignScript, NoPanels, Panels

SCRIPT_ID = "script_list"
"""AUTOMATIC1111's element id of the Script dropdown."""


class TabForm:
    """The form of one tab with the plugins that there are now, and what others add to it."""

    def __init__(self, tab: str, lists: ChoiceLists, plugins: PluginList, panels: Panels | None = None) -> None:
        self.tab = tab
        self.panels: Panels = panels or NoPanels()
        self._lists = lists
        self._plugins = plugins

    def sections(self) -> list[PluginDescription]:
        """Return the plugins that have an accordion."""
        return self._plugins.sections(self.tab)

    def scripts(self) -> list[PluginDescription]:
        """Return the plugins that the Script dropdown offers."""
        return self._plugins.scripts(self.tab)

    def foreign_scripts(self) -> list[ForeignScript]:
        """Return what the Script dropdown offers besides plugins."""
        return list(self.panels.scripts(self.tab))

    def script_titles(self) -> list[str]:
        """Return what the Script dropdown offers besides none."""
        return [*(script.title for script in self.scripts()), *(script.title for script in self.foreign_scripts())]

    def names(self) -> tuple[str, ...]:
        """Return all fields in the order in which their values travel."""
        return (*PAGE_FIELDS[self.tab], *self._plugin_fields())

    def make(self, name: str) -> Any:
        """Create the component of a field in the layout that is being built."""
        parameter = self._plugin_fields().get(name)
        if parameter is None:
            return make_component(self.tab, name, self._lists)
        return component_of(parameter, self.element(name), self._lists)

    def element(self, name: str) -> str:
        """Return the id of a field's element."""
        if name == SCRIPT_FIELD:
            return f"{self.tab}_{SCRIPT_ID}"
        return element_id(self.tab, name.replace(".", "_"))

    def describe(self) -> list[dict[str, object]]:
        """Return what the page's JavaScript knows of each field; of a plugin's also whose it is."""
        own = [describe_field(self.tab, name) for name in PAGE_FIELDS[self.tab]]
        return [*own, *(self._describe(name, parameter) for name, parameter in self._plugin_fields().items())]

    def describe_scripts(self) -> dict[str, str]:
        """Return the scripts' titles by their names."""
        own = {script.name: script.title for script in self.scripts()}
        return own | {script.name: script.title for script in self.foreign_scripts()}

    def describe_swaps(self) -> list[dict[str, object]]:
        """Return the buttons that exchange values of plugins' fields, and below whose fields they are."""
        return [
            {
                "script": plugin.name,
                "label": swap.label,
                "element": swap.element,
                "pairs": [[f"{plugin.name}.{each}" for each in pair] for pair in swap.pairs],
            }
            for plugin in self._plugins.shown(self.tab)
            for swap in plugin.swaps
        ]

    def _plugin_fields(self) -> Mapping[str, Parameter]:
        fields = {
            plugin.field(parameter): parameter
            for plugin in self._plugins.shown(self.tab)
            for parameter in plugin.parameters
        }
        titles = self.script_titles()
        if titles:
            fields[SCRIPT_FIELD] = Parameter(
                SCRIPT_FIELD, "Script", "choice", NO_SCRIPT, "What is made of the form besides the usual.",
                choices=(NO_SCRIPT, *titles),
            )  # fmt: skip
        return fields

    def _describe(self, name: str, parameter: Parameter) -> dict[str, object]:
        plugin, _, own = name.partition(".")
        described: dict[str, object] = {
            "name": name,
            "element": self.element(name),
            "label": parameter.label,
            "help": parameter.help,
            "default": form_value(parameter, parameter.default),
        }
        if own:
            found = self._plugins.get(plugin)
            switches = found is not None and found.switch == own
            described["plugin"] = {"name": plugin, "parameter": own, "switches": switches, "kind": parameter.kind}
            if found is not None and own in found.offers:
                described["offeredBy"] = f"{plugin}.{found.offers[own]}"
        return described
