"""Gradio's own functions beside what is served in their place, in a browser."""

import re

import httpx
import pytest

from modules.web.frontend import changed
from modules.web.server import GRADIO_ASSETS
from tests.browser.conftest import BlankPage, NewPage
from tests.browser.driver import Server

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


def test_what_the_page_fetches_of_gradio_is_asked_for_in_its_head(new_page: NewPage, server: Server) -> None:
    head = httpx.get(server.url).text.partition("</head>")[0]
    named = set(re.findall(r'<link rel="modulepreload" href="(/assets/[^"]+)">', head))
    page = new_page().page
    fetched = page.evaluate(
        "performance.getEntriesByType('resource').map((entry) => new URL(entry.name).pathname)"
        ".filter((path) => path.startsWith('/assets/') && path.endsWith('.js'))"
    )
    entry = {path for path in fetched if path.startswith("/assets/index-")}
    assert named
    assert set(fetched) - entry - named == set(), "nothing is found out late"
    assert named - set(fetched) == set(), "nothing is fetched in vain"
