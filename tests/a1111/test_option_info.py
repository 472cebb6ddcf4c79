"""What an extension says of an option becomes an option of Easel's with the same reach."""

from typing import Any

import gradio as gr
import pytest

from modules.a1111._option_info import OptionHTML, OptionInfo, described, plain_text
from modules.settings.schema import Option


def option_of(default: Any, component: Any = None, **arguments: Any) -> Option:
    found = described("sample_key", OptionInfo(default, "Sample", component, arguments, section=("sample", "Sample")))
    assert found is not None
    return found


def test_a_slider_that_begins_at_a_whole_number_takes_the_fractions_of_its_steps() -> None:
    slider = option_of(1, gr.Slider, minimum=0, maximum=2, step=0.1)
    assert (slider.kind, slider.look, slider.step, slider.parse(0.5)) == ("number", "slider", 0.1, 0.5)
    assert option_of(1, gr.Slider, minimum=0, maximum=2, step=1).kind == "integer"


@pytest.mark.parametrize(
    ("arguments", "kind"), [({}, "number"), ({"precision": 0}, "integer"), ({"precision": 2}, "number")]
)
def test_a_number_is_whole_where_its_precision_says_so(arguments: dict[str, Any], kind: str) -> None:
    assert option_of(3, gr.Number, **arguments).kind == kind


@pytest.mark.parametrize(
    ("default", "component", "look"),
    [
        ("#ff0000", gr.ColorPicker, "colour"),
        ("words", gr.Textbox, "plain"),
        ("read this", gr.HTML, "note"),
        (True, gr.Checkbox, "plain"),
    ],
)
def test_the_component_says_how_the_option_looks(default: Any, component: Any, look: str) -> None:
    assert option_of(default, component).look == look


def test_what_is_invisible_in_a1111_has_a_value_and_no_row() -> None:
    hidden = option_of("kept", gr.Textbox, visible=False)
    assert (hidden.look, hidden.default) == ("hidden", "kept")


def test_a_text_box_keeps_its_lines_and_code_has_room() -> None:
    assert option_of("", gr.Textbox, lines=5).lines == 5
    assert option_of("", gr.Code, language="json").lines > 1


def test_choices_that_may_change_offer_and_do_not_refuse() -> None:
    fixed = option_of("a", gr.Radio, choices=["a", "b"])
    assert (fixed.kind, fixed.choices) == ("choice", ("a", "b"))
    info = OptionInfo("a", "Sample", gr.Dropdown, lambda: {"choices": ["a", "b"]}, refresh=lambda: None)
    moving = described("sample_key", info)
    assert moving is not None
    assert (moving.kind, moving.choices, moving.refreshes) == ("text", ("a", "b"), True)


def test_a_text_between_options_is_a_note_with_what_its_markup_says() -> None:
    note = described("sample_note", OptionHTML("<p>Read <a href='https://example.org'>this</a> &amp; that</p>"))
    assert note is not None
    assert (note.look, note.label) == ("note", "Read this (https://example.org) & that")


def test_markup_around_a_label_is_told_in_words() -> None:
    info = OptionInfo(False, "Sample").link("wiki", "https://example.org/w").info("<b>really</b>").needs_restart()
    found = described("sample_key", info)
    assert found is not None
    assert found.help == "[wiki (https://example.org/w)] (really)"
    assert found.restart
    assert plain_text("1 &lt; 2<br>and<br>so on") == "1 < 2 and so on"
