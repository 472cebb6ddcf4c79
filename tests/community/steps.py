"""Steps that scenarios are made of: fields and buttons found by their words, and what a run's picture tells."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator

from tests.community.page import Watched
from tests.community.site import Site

Scenario = Callable[[Watched, Site], "str | None"]
"""Returns what is wrong, or nothing."""
PATIENCE_MS = 60_000
PROMPT = "#txt2img_prompt textarea"
SMALL = {"steps": 4, "width": 64, "height": 64}
_TYPE = """(box, value) => {
    box.value = value;
    for (const name of ["input", "change", "blur"]) box.dispatchEvent(new Event(name, {bubbles: true}));
}"""


def part(page: Watched, words: str) -> Locator:
    """Return the section below the form that holds the words; sections that are folded count."""
    return page.page.locator(f"#{page.place}_script_container .easel-foreign-script").filter(has_text=words).first


def tick(within: Locator, label: str) -> None:
    """Check the box of a label."""
    box = within.locator("label, .label-wrap").filter(has_text=label).locator("input[type=checkbox]").first
    box.evaluate("box => box.checked || box.click()")


def fill(box: Locator, text: str) -> None:
    """Fill a field, wherever it is folded."""
    box.evaluate(_TYPE, text)


def number(within: Locator, label: str, value: float) -> None:
    """Set a slider or number."""
    fill(_field(within, label, "input[type=number]"), str(value))


def write(within: Locator, label: str, text: str) -> None:
    """Fill a text box."""
    fill(_field(within, label, "textarea, input[type=text]"), text)


def press(within: Locator, words: str) -> None:
    within.locator("button").filter(has_text=words).first.evaluate("button => button.click()")


def choose(page: Watched, within: Locator, label: str, option: str) -> None:
    """Choose an option, by a part of its words, of a dropdown that can be seen."""
    _field(within, label, "input[role=combobox], input[role=listbox]").click()
    page.page.locator("[role=option]").filter(has_text=option).first.click()


def _field(within: Locator, label: str, selector: str) -> Locator:
    """Return what a block holds that has the label; of blocks in each other the innermost."""
    blocks = within.locator(".block").filter(has_text=label).filter(has=within.page.locator(selector))
    return blocks.last.locator(selector).first


def shown(page: Watched, script: str, argument: object = None) -> bool:
    """Wait until a script says yes; tell whether it did."""
    try:
        page.page.wait_for_function(script, arg=argument, timeout=PATIENCE_MS)
    except TimeoutError:
        return False
    return True


def infotext(page: Watched) -> str:
    page.page.wait_for_timeout(1000)
    return page.page.locator(f"#html_info_{page.place}").inner_text()


def run_saying(page: Watched, word: str) -> str | None:
    """Generate, and look for a word in the picture's infotext."""
    said = page.run_job()
    text = infotext(page)
    return said or (None if word in text else f"{word!r} is not in the infotext: {text[:300]}")


def picture_of(page: Watched, prompt: str, **numbers: object) -> bytes:
    """Generate with a fixed seed and return the newest picture's pixels; raise when the job fails."""
    page.prepare(prompt, **{**SMALL, **numbers})
    page.fix_seed()
    said = page.run_job()
    if said:
        raise AssertionError(said)
    return page.pixels()


def renew(page: Watched) -> None:
    """Load the page again, with what was switched on off."""
    page.page.reload()
    page.wait_ready()
    page.wait_extensions()
    page.place = "txt2img"
    page.open_tab("txt2img")


def acts(act: Callable[[Watched], object], prompt: str = "a red apple", **numbers: object) -> Scenario:
    """Make a scenario: what `act` sets makes another picture, the same twice, and without it the first comes back."""

    def scenario(page: Watched, _: Site) -> str | None:
        plain = picture_of(page, prompt, **numbers)
        act(page)
        changed, repeated = picture_of(page, prompt, **numbers), picture_of(page, prompt, **numbers)
        renew(page)
        again = picture_of(page, prompt, **numbers)
        if changed == plain:
            return "switched on, the picture is the same"
        if repeated != changed:
            return "a second run with it makes another picture"
        return None if again == plain else "switched off again, the picture is another one"

    return scenario


def see_element(selector: str) -> Scenario:
    """Look for something of the extension's in the document."""

    def scenario(page: Watched, _: Site) -> str | None:
        return None if page.page.locator(selector).count() else f"{selector} is not in the document"

    return scenario


def see_tab(tab: str) -> Scenario:
    """Open the extension's tab, and look whether it shows controls."""

    def scenario(page: Watched, _: Site) -> str | None:
        page.open_tab(tab)
        page.page.wait_for_timeout(500)
        inside = page.page.locator(f"#tab_{tab} :is(button, input, textarea):visible")
        return None if inside.count() else f"the tab {tab} shows no control"

    return scenario
