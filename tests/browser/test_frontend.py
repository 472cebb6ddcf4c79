"""Gradio's own functions beside what is served in their place, in a browser."""

import re

import pytest

from modules.web.frontend import changed
from modules.web.server import GRADIO_ASSETS
from tests.browser.conftest import BlankPage

pytestmark = pytest.mark.browser
EVENTS = [
    {"targets": [[1, "change"], [2, "click"], [1, "input"]]}, {"targets": [[2, None], [2, "late"]]},
    {"targets": []}, {"targets": [[1, "blur"], [3, "load"]]},
]  # fmt: skip


def test_the_events_of_components_are_those_that_gradio_finds(blank_page: BlankPage) -> None:
    source = max((path.read_text("utf-8") for path in GRADIO_ASSETS.glob("core-*.js")), key=len)
    found = re.search(r"find_attached_events\(\w,\w\)\{.*?attached_events=\w,\w\}", source)
    assert found is not None
    asked = "made.find_attached_events({ id, props: { shared_props: {} } }, events).props.shared_props.attached_events"
    script = f"(events) => {{ const made = new (class {{ %s }}); return [1, 2, 3, 4].map((id) => {asked}); }}"
    page = blank_page()
    both = (found[0], changed(found[0].encode()).decode())
    theirs, ours = (page.evaluate(script % each, EVENTS) for each in both)
    assert both[0] != both[1]
    assert theirs == ours == [["change", "blur"], ["click"], ["load"], []]
