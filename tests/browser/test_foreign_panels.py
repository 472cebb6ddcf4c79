"""A sample extension for A1111 in a real browser: what it shows, what its scripts find, and what Generate sends."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.browser.conftest import OpenPage, Watch
from tests.browser.driver import PATIENCE_MS, Easel, Server, running

pytestmark = pytest.mark.browser
SERVE = Path(__file__).parent / "serve_foreign.py"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Server]:
    with running(Server(tmp_path_factory.mktemp("extensions"), serve=SERVE)) as started:
        yield started


@pytest.fixture
def easel(server: Server, open_page: OpenPage) -> Iterator[Easel]:
    """A page that may hold what other tests have put into the extension's fields on the form."""
    yield loaded(open_page(server))
    server.settle()


@pytest.fixture
def untouched(server: Server, open_page: OpenPage) -> Iterator[Easel]:
    """A page whose fields are as they begin."""
    yield loaded(open_page(server, fresh=True))
    server.settle()


def loaded(easel: Easel) -> Easel:
    easel.page.wait_for_selector("html[data-extensions=loaded]", timeout=PATIENCE_MS)
    return easel


def sent(easel: Easel) -> dict[str, Any]:
    """Generate, and return what the request holds for extensions."""
    easel.prepare()
    easel.generate()
    easel.wait_running()
    extras: dict[str, Any] = easel.last_request()["extras"]["a1111"]
    return {"args": json.loads(extras["args"]), "script": extras["script"]}


def test_scripts_find_the_page_that_they_know(easel: Easel) -> None:
    found = easel.page.evaluate("window.sampleFound")
    assert found["prompt"] is True
    assert found["hidden"] == "hidden"
    assert found["folded"] is True
    assert found["tab"] >= 8
    assert found["deep"] == "deep"
    assert (found["current"], found["content"]) == ("txt2img", "tab_txt2img")
    assert found["updates"] > 0


def test_a_tab_that_is_opened_before_it_was_made_is_whole(open_page: OpenPage, server: Server) -> None:
    easel = open_page(server, fresh=True)
    easel.tab("img2img")
    expect(easel.page.locator("#img2img_prompt textarea")).to_be_visible()
    expect(easel.page.locator("#img2img_panels_sample .label-wrap")).to_be_visible()
    loaded(easel)
    assert easel.page.evaluate("window.sampleFound.folded") is True
    folded = easel.page.locator("#img2img_panels_sample #img2img_sample_amount input[type=number]")
    assert folded.count() == 1
    expect(easel.page.locator("#img2img_prompt textarea")).to_be_visible()


def test_a_website_that_was_refused_to_an_extension_can_be_allowed(
    open_page: OpenPage, server: Server, watch: Watch
) -> None:
    for expected in ("api.example.org", "status of 422"):
        watch.forgive(expected)
    easel = loaded(open_page(server, fresh=True))
    page = easel.page
    ask = "fetch('https://api.example.org/newest').then(answer => answer.text()).catch(() => 'refused')"
    answer = {"body": "hello", "headers": {"access-control-allow-origin": "*"}}
    page.route("https://api.example.org/**", lambda route: route.fulfill(**answer))
    assert page.evaluate(ask) == "refused"
    easel.tab("extensions")
    page.locator("#easel_extensions_sites summary").click()
    page.locator("[data-refused='https://api.example.org'] button").click()
    expect(page.locator("[data-site='https://api.example.org']")).to_be_visible()
    expect(page.locator("[data-refused='https://api.example.org']")).to_have_count(0)
    loaded(easel.open())
    assert page.evaluate(ask) == "hello"
    easel.tab("extensions")
    page.locator("#easel_extensions_sites summary").click()
    page.get_by_label("Another website").fill("example.org/path")
    page.get_by_role("button", name="Allow", exact=True).click()
    expect(page.locator(".easel-note")).to_contain_text("*.example.org")
    page.get_by_label("Allow https://api.example.org no longer").click()
    expect(page.locator("[data-site]")).to_have_count(0)
    loaded(easel.open())
    assert page.evaluate(ask) == "refused"


def test_what_is_typed_while_the_other_tabs_are_made_stays(open_page: OpenPage, server: Server) -> None:
    easel = open_page(server, fresh=True)
    prompt = easel.page.locator("#txt2img_prompt textarea")
    prompt.click()
    prompt.press_sequentially("written early, before all was there")
    loaded(easel)
    expect(prompt).to_have_value("written early, before all was there")
    expect(prompt).to_be_focused()


def test_controls_travel_with_generate(untouched: Easel) -> None:
    page = untouched.page
    page.locator("#txt2img_panels_sample .label-wrap").click()
    page.locator("#txt2img_sample_enabled input").check()
    page.locator("#txt2img_sample_amount input[type=number]").fill("7")
    args = sent(untouched)["args"]
    assert args[:4] == [0, True, 7, "hidden"]
    assert args[4] is None
    assert args[5]["$easel"] == "object"
    assert args[6:] == [False, 5, 1]


def test_a_picture_travels_as_its_hash(untouched: Easel, tmp_path: Path) -> None:
    Image.new("RGB", (16, 8), "red").save(tmp_path / "red.png")
    untouched.page.locator("#txt2img_panels_sample .label-wrap").click()
    untouched.page.locator("#txt2img_sample_picture input[type=file]").set_input_files(tmp_path / "red.png")
    expect(untouched.page.locator("#txt2img_sample_picture img")).to_be_visible()
    picture = sent(untouched)["args"][4]
    assert picture["$easel"] == "picture"
    assert len(picture["hash"]) == 64


def test_a_chosen_script_shows_its_controls_and_is_sent(untouched: Easel) -> None:
    page = untouched.page
    expect(page.locator("#txt2img_sample_kind")).to_be_hidden()
    page.locator("#txt2img_script_list input").click()
    page.locator("[role=option][aria-label='Chosen sample']").click()
    expect(page.locator("#txt2img_sample_kind")).to_be_visible()
    assert sent(untouched)["script"] == "Chosen sample"


def test_old_events_run_their_script_and_function(untouched: Easel) -> None:
    page = untouched.page
    page.locator("#txt2img_panels_sample .label-wrap").click()
    page.locator("#txt2img_sample_button").click()
    expect(page.locator("#txt2img_sample_amount input[type=number]")).to_have_value("6")
    assert page.evaluate("window.sampleFound.clicked") >= 1
    assert page.locator("#txt2img_sample_button").get_attribute("title") == "Doubles the amount"


def test_the_switch_of_an_accordion_is_its_value(untouched: Easel) -> None:
    page = untouched.page
    expect(page.locator("#txt2img_sample_inner input")).to_be_hidden()
    page.locator("#txt2img_sample_switch .input-accordion-checkbox").check()
    expect(page.locator("#txt2img_sample_inner input")).to_be_visible()
    assert sent(untouched)["args"][6] is True


def test_a_tab_of_an_extension_works(easel: Easel) -> None:
    page = easel.page
    easel.tab("sample_tab")
    page.locator("#tab_sample_tab button[role=tab]", has_text="One").click()
    page.locator("#sample_text textarea").fill("abc")
    page.locator("#sample_reverse").click()
    expect(page.locator("#sample_text textarea")).to_have_value("cba")
    assert page.evaluate("get_uiCurrentTabContent().id") == "tab_sample_tab"
    assert page.locator("#sample_box").first.evaluate("e => getComputedStyle(e).outlineColor") == "rgb(4, 5, 6)"


def test_scripts_can_go_to_a_tab(easel: Easel) -> None:
    easel.page.evaluate("switch_to_img2img_tab(2)")
    assert easel.page.evaluate("get_uiCurrentTabContent().id") == "tab_img2img"
    expect(easel.page.locator("#mode_img2img [data-mode=inpaint]")).to_have_attribute("aria-selected", "true")
    assert easel.page.evaluate("window.sampleFound.tabs") >= 2


def test_scripts_find_the_settings_and_all_canvases(easel: Easel) -> None:
    found = easel.page.evaluate("window.sampleFound")
    assert found["setting"] == "png"
    assert found["canvases"] == 5


def test_scripts_hear_of_settings_that_change(easel: Easel) -> None:
    page = easel.page
    easel.tab("settings")
    box = page.locator("#setting_panels_sample_option input[inputmode=decimal]")
    before = page.evaluate("window.sampleFound.changes")
    box.fill("4")
    box.blur()
    page.wait_for_function("before => window.sampleFound.changes > before", arg=before, timeout=PATIENCE_MS)
    assert page.evaluate("opts.panels_sample_option") == 4
    assert page.evaluate("Boolean(gradioApp().querySelector('#setting_samples_format textarea'))")


def test_scripts_find_a_slider_and_a_number_at_an_option_with_bounds(easel: Easel) -> None:
    assert easel.page.evaluate("window.sampleFound.slider") == ["0", "10", "7", "7"]


def test_options_of_extensions_have_the_controls_that_they_ask_for(easel: Easel) -> None:
    page = easel.page
    easel.tab("settings")
    slider = page.locator("#setting_panels_sample_option input[type=range]:visible")
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator("#setting_panels_sample_option input[inputmode=decimal]")).to_have_value("0")
    page.wait_for_function("opts.panels_sample_option === 0", timeout=PATIENCE_MS)
    page.locator("#setting_panels_sample_colour input[type=color]").fill("#ff8000")
    page.wait_for_function("opts.panels_sample_colour === '#ff8000'", timeout=PATIENCE_MS)
    names = page.locator("#setting_panels_sample_some .easel-checks")
    names.get_by_label("three").check()
    page.wait_for_function("String(opts.panels_sample_some) === 'one,three'", timeout=PATIENCE_MS)
    expect(page.locator("#setting_panels_sample_note")).to_have_text(
        "Written between options, see the help (https://example.org/help)."
    )
    expect(page.locator("#easel_settings").get_by_text("Out of sight")).to_have_count(0)


def test_scripts_find_what_is_in_an_option_at_any_time(easel: Easel) -> None:
    page = easel.page
    easel.tab("settings")
    expect(page.locator("#setting_panels_sample_kept textarea")).to_have_count(1)
    # The rows are made anew whenever the tab is shown; what stands between is seen by no timer.
    page.evaluate("""() => {
      window.sampleLost = 0;
      new MutationObserver(() => {
        if (!document.querySelector("#setting_samples_format textarea")) window.sampleLost += 1;
      }).observe(document.getElementById("easel_settings"), { childList: true });
    }""")
    for tab in ("txt2img", "settings", "txt2img", "settings"):
        easel.tab(tab)
        page.wait_for_timeout(300)
    assert page.evaluate("window.sampleLost") == 0


def test_what_scripts_add_to_a_section_of_the_settings_stays_in_it(easel: Easel) -> None:
    page = easel.page
    page.evaluate("""() => {
      const own = document.createElement("b");
      own.id = "sample_own";
      document.getElementById("settings_sample").append(own);
    }""")
    inside = page.locator("#easel_settings #settings_sample")
    for tab in ("settings", "txt2img", "settings"):
        easel.tab(tab)
        page.wait_for_timeout(300)
    expect(inside.locator("#setting_panels_sample_option input[type=range]:visible")).to_have_count(1)
    expect(inside.locator("> #sample_own")).to_have_count(1)
    assert page.evaluate("document.querySelectorAll('[id=setting_panels_sample_option]').length") == 1
    # As scripts tell of a change: at the control alone.
    page.evaluate("""() => {
      const box = document.querySelector("#settings_sample #setting_panels_sample_some input[value=two]");
      box.checked = !box.checked;
      box.dispatchEvent(new Event("change"));
    }""")
    page.wait_for_function("opts.panels_sample_some.includes('two')", timeout=PATIENCE_MS)


def test_scripts_find_the_group_of_all_scripts(easel: Easel) -> None:
    script = "document.getElementById('txt2img_script_container').querySelector('.styler').children"
    assert easel.page.evaluate(f"[...{script}].some(each => each.classList.contains('easel-foreign-script'))")
    assert easel.page.evaluate(f"[...{script}].some(each => each.querySelector('#txt2img_script_list'))")


def test_a_picture_that_a_script_makes_is_one_by_its_name(easel: Easel) -> None:
    kinds = "[['a.png'], ['b.JPG'], ['c.txt'], ['d.png', { type: 'text/plain' }]].map(([name, told]) => {"
    kinds += " const file = new File(['x'], name, told); return file instanceof File ? file.type : null; })"
    assert easel.page.evaluate(kinds) == ["image/png", "image/jpeg", "", "text/plain"]


def test_an_option_s_choices_are_looked_for_anew(easel: Easel) -> None:
    page = easel.page
    easel.tab("settings")
    choices = page.locator("#setting_panels_sample_file select option")
    expect(choices.first).to_be_attached()
    before = choices.count()
    page.locator("#refresh_panels_sample_file").click()
    expect(choices).to_have_count(before + 1)
    page.locator("#setting_panels_sample_file select").select_option(f"file {before}")
    page.wait_for_function("name => opts.panels_sample_file === name", arg=f"file {before}", timeout=PATIENCE_MS)


def test_a_button_sends_an_infotext_to_the_form(easel: Easel) -> None:
    page = easel.page
    easel.tab("sample_tab")
    page.locator("#tab_sample_tab button[role=tab]", has_text="Two").click()
    page.locator("#sample_infotext textarea").fill("a sent apple\nSteps: 11, Sampler: Euler, CFG scale: 4, Seed: 3")
    page.locator("#sample_send").click()
    easel.wait_form(prompt="a sent apple", steps=11)
    assert page.evaluate("get_uiCurrentTabContent().id") == "tab_txt2img"


def test_a_box_to_paint_on_is_a_canvas(easel: Easel, tmp_path: Path) -> None:
    page = easel.page
    Image.new("RGB", (48, 32), "red").save(tmp_path / "sheet.png")
    easel.tab("sample_tab")
    page.locator("#tab_sample_tab button[role=tab]", has_text="Two").click()
    page.locator("#sample_sheet .easel-canvas input[type=file]").first.set_input_files(tmp_path / "sheet.png")
    stored = "document.querySelector('#sample_sheet textarea').value.includes('picture')"
    page.wait_for_function(stored, timeout=PATIENCE_MS)
    page.locator("#sample_measure").click()
    expect(page.locator("#sample_size textarea")).to_have_value("(48, 32) (0, 0)")


def test_the_form_goes_along_with_an_event_like_generates(easel: Easel) -> None:
    easel.prepare("an apple for others")
    easel.wait_form(prompt="an apple for others")
    values = easel.page.evaluate("create_submit_args(['id', 'easel-form:txt2img'])")
    assert values[0] == "id"
    assert json.loads(values[1])["prompt"] == "an apple for others"


def test_img2imgs_form_goes_along_with_its_picture(easel: Easel, tmp_path: Path) -> None:
    page = easel.page
    Image.new("RGB", (64, 48), "green").save(tmp_path / "green.png")
    easel.tab("img2img")
    page.locator("#mode_img2img [data-mode=img2img]").click()
    page.locator(".easel-canvas[data-name=img2img] input[type=file]").first.set_input_files(tmp_path / "green.png")
    page.wait_for_function("a1111Pictures.picture", timeout=PATIENCE_MS)
    sent = json.loads(page.evaluate("create_submit_args(['id', 'easel-form:img2img'])")[1])
    assert (sent["mode"], len(sent["picture"]), sent["drawing"]) == ("img2img", 64, "")
    page.locator("#mode_img2img [data-mode=inpaint]").click()
    page.wait_for_function("a1111Pictures.mode === 'inpaint'", timeout=PATIENCE_MS)
    assert json.loads(page.evaluate("create_submit_args(['id', 'easel-form:img2img'])")[1])["picture"] == ""
