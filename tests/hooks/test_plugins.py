"""One declaration, and what follows from it: form, request, API arguments, infotext and pasting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.builtin import builtin_plugins
from modules.core.errors import InvalidRequest
from modules.core.parameter import Value
from modules.core.request import GenerationRequest
from modules.hooks.job_hooks import Expander
from modules.hooks.plugins import PluginDescription, PluginList
from modules.hooks.registry import HookRegistry
from modules.imaging.infotext import RunFacts, write_infotext
from modules.imaging.parsing import parse_infotext
from tests.hooks.plugins import PLUGINS, SCRIPT, SECTION

ON = {"glow.enabled": True, "glow.amount": 0.25, "glow.mood": "cold"}
CHOSEN = {"script": "Echo, twice", "echo.times": "3", "echo.ends": ["down"], "echo.start": str(2**62 + 1)}
OURS = HookRegistry(builtin_plugins()).plugins
EXPANDED = {plugin.description.name for plugin in builtin_plugins() if isinstance(plugin, Expander)}


def test_a_tab_shows_only_the_plugins_that_are_for_it() -> None:
    assert PLUGINS.sections("txt2img") == PLUGINS.sections("img2img") == [SECTION]
    assert PLUGINS.scripts("txt2img") == []
    assert PLUGINS.shown("img2img") == [SECTION, SCRIPT]


def test_what_is_off_or_not_chosen_is_not_in_the_request() -> None:
    assert PLUGINS.extras_of({**ON, "glow.enabled": False, **CHOSEN, "script": "None"}, "img2img") == {}
    assert PLUGINS.extras_of({}, "img2img") == {}


def test_form_values_become_the_values_of_the_plugins_and_come_back() -> None:
    extras = PLUGINS.extras_of({**ON, **CHOSEN}, "img2img")
    assert extras["glow"] == {"amount": 0.25, "mood": "cold"}
    assert extras["echo"] == {"times": 3, "ends": "down", "start": 2**62 + 1}
    assert PLUGINS.values_of(extras, "img2img") == {**ON, **CHOSEN, "echo.times": 3}


def test_the_form_values_of_nothing_are_the_defaults() -> None:
    values = PLUGINS.values_of({}, "img2img")
    assert values == {
        "script": "None", "glow.enabled": False, "glow.amount": 0.5, "glow.mood": "warm",
        "echo.times": 2, "echo.ends": ["up", "down"], "echo.start": "-1",
    }  # fmt: skip
    assert "script" not in PLUGINS.values_of({}, "txt2img")


def test_every_wrong_value_is_named_at_once_with_its_field_and_label() -> None:
    with pytest.raises(InvalidRequest) as refused:
        PLUGINS.extras_of({**ON, **CHOSEN, "glow.amount": 3, "echo.times": None}, "img2img")
    assert [problem.field for problem in refused.value.problems] == ["glow.amount", "echo.times"]
    assert "Glow: Amount: 3 is not possible; allowed is a number from 0 to 1." in str(refused.value)


def test_an_unknown_script_is_answered_with_those_that_exist() -> None:
    with pytest.raises(InvalidRequest, match="Script: Ecco is not possible; allowed is one of None, Echo, twice"):
        PLUGINS.extras_of({"script": "Ecco"}, "img2img")


def test_an_unknown_value_of_a_known_plugin_is_refused_and_an_unknown_plugin_is_kept() -> None:
    assert PLUGINS.checked({"gone": {"a": 1}}) == {"gone": {"a": 1}}
    with pytest.raises(InvalidRequest, match="an unknown field"):
        PLUGINS.checked({"glow": {"amountt": 1}})


def test_arguments_by_position_skip_what_means_nothing_and_keep_the_defaults_of_what_is_missing() -> None:
    assert SCRIPT.by_position(["<p>help</p>", 4, None, 7]) == {"times": 4, "start": 7}
    assert SECTION.by_position([True, 0.1, 1]) == {"enabled": True, "amount": 0.1, "mood": "cold"}
    assert SECTION.by_position([True, 0.1, 5])["mood"] == 5, "a number that is none of them is refused later"


def test_an_argument_that_stands_twice_takes_the_later_value_and_a_list_becomes_a_text() -> None:
    plot = OURS.script("x/y/z plot", "txt2img")
    assert plot is not None
    assert plot.by_position([4, "1-5", ["a, b", "c"]])["x_values"] == '"a, b",c'
    for empty in ("", [], None):
        assert plot.by_position([4, "1-5", empty]) == {"x_type": "Steps", "x_values": "1-5"}


def test_scripts_and_sections_are_found_by_title_in_any_case_and_by_id() -> None:
    assert PLUGINS.script("ECHO, TWICE", "img2img") is PLUGINS.script("echo", "img2img") is SCRIPT
    assert PLUGINS.section("glow", "txt2img") is SECTION
    assert PLUGINS.script("glow", "img2img") is PLUGINS.section("echo", "img2img") is None


def through_infotext(plugins: PluginList, extras: dict[str, dict[str, Value]], tab: str = "img2img") -> object:
    facts = RunFacts("Euler", "Automatic", 1, "m", None, "easel", extra=plugins.infotext_pairs(extras))
    pairs = parse_infotext(write_infotext(GenerationRequest(seed=1), facts)).pairs
    return plugins.extras_of_pairs(pairs, tab)


@given(amount=st.floats(0, 1), mood=st.sampled_from(["warm", "cold"]), times=st.integers(1, 9))
def test_values_come_back_from_an_infotext(amount: float, mood: str, times: int) -> None:
    extras = PLUGINS.checked({"glow": {"amount": amount, "mood": mood}, "echo": {"times": times, "ends": "up, down"}})
    assert through_infotext(PLUGINS, extras) == (extras, [])  # type: ignore[arg-type]


def test_an_infotext_without_a_plugins_switch_asks_nothing_of_it() -> None:
    assert PLUGINS.extras_of_pairs({"Glow amount": "0.2", "Echo times": "3"}, "img2img") == ({}, [])


def test_what_is_wrong_in_an_infotext_is_told_and_left_out() -> None:
    pairs = {"Glow enabled": "True", "Glow amount": "7", "Script": "None such"}
    extras, notes = PLUGINS.extras_of_pairs(pairs, "img2img")
    assert extras == {}
    assert "Glow: Amount: 7" in notes[0]
    assert notes[1] == "Script: there is no None such here."


def test_the_keys_that_plugins_read_are_known() -> None:
    assert PLUGINS.infotext_keys() == {
        "Script", "Glow enabled", "Glow amount", "Glow mood", "Echo times", "Echo ends",
    }  # fmt: skip


@pytest.mark.parametrize("plugin", [*OURS], ids=lambda plugin: plugin.name)
def test_every_parameter_of_our_own_plugins_has_help_an_api_place_and_comes_back_from_infotexts(
    plugin: PluginDescription,
) -> None:
    extras = OURS.checked({plugin.name: {}})
    assert through_infotext(OURS, extras, plugin.tabs[-1]) == (extras, [])  # type: ignore[arg-type]
    names = {parameter.name for parameter in plugin.parameters}
    assert set(plugin.arguments or names) - {""} == names
    assert {*plugin.numbered, plugin.switch} <= names | {""}
    for parameter in plugin.parameters:
        assert parameter.parse(parameter.default) == parameter.default
        assert parameter.help.endswith(".")
        # What a script makes requests of is told by their own values; the grid of a plot alone tells of its axes.
        assert parameter.infotext is not None or plugin.name in EXPANDED
