"""The page's configuration and HTML: what our JavaScript and users' extensions rely on, before any browser."""

import json
import re
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from modules.web.asset_server import AssetServer
from modules.web.forms import PAGE_FIELDS
from modules.web.page_head import KEPT_PAGES, STYLES, PageHead
from modules.web.server import ASSETS, GRADIO_ASSETS, assets_address
from tests.web.test_forms import A1111_IDS, A1111_IMG2IMG_IDS

IDS = {
    "quicksettings", "setting_sd_model_checkpoint", "refresh_sd_model_checkpoint", "easel_status",
    "easel_checkpoint_note", "easel_checkpoint_sync", "tabs", "tab_txt2img", "tab_queue", "tab_settings",
    "txt2img_toprow", "txt2img_token_counter", "txt2img_negative_token_counter", "txt2img_generate_box",
    "txt2img_generate", "txt2img_interrupt", "txt2img_skip", "txt2img_message", "txt2img_settings",
    "txt2img_res_switch_btn", "txt2img_random_seed", "txt2img_reuse_seed", "txt2img_results", "txt2img_progress",
    "txt2img_gallery_container", "txt2img_gallery", "txt2img_live_preview", "html_info_txt2img", "txt2img_fill",
    "txt2img_gallery_refresh", "txt2img_remember", "txt2img_collected", "easel_queue", "easel_settings",
    "easel_pnginfo", "tab_pnginfo", "txt2img_inspector", "txt2img_tools", "txt2img_styles_row", "txt2img_styles_edit",
    "txt2img_hr", "txt2img_hr_more", "txt2img_hr_own", "txtimg_hr_finalres", "txt2img_enable",
    "txt2img_enable-checkbox", "txt2img_subseed_show", "txt2img_seed_extras", "txt2img_random_subseed",
    "txt2img_reuse_subseed", "txt2img_override_settings_row", "image_buttons_txt2img", *A1111_IDS.values(),
    "tab_img2img", "img2img_source", "inpaint_controls", "img2img_mask_blur_more", "img2img_mask_blur_own",
    "img2img_tabs_resize", "img2img_tab_resize_to", "img2img_tab_resize_by", "img2img_scale_resolution_preview",
    "img2img_detect_image_size", "img2img_settings", "img2img_gallery", "img2img_fill", "img2img_remember",
    "img2img_generate", "img2img_res_switch_btn", *A1111_IMG2IMG_IDS.values(),
}


@pytest.fixture(scope="module")
def html(client: TestClient) -> str:
    return client.get("/").text


@pytest.fixture(scope="module")
def config(html: str) -> dict[str, Any]:
    start = html.index("window.gradio_config = ") + len("window.gradio_config = ")
    parsed: dict[str, Any] = json.JSONDecoder().raw_decode(html[start:])[0]
    return parsed


def test_every_element_that_the_scripts_use_is_on_the_page(config: dict[str, Any]) -> None:
    assert {component["props"].get("elem_id") for component in config["components"]} >= IDS


def test_labels_are_those_that_users_know(config: dict[str, Any]) -> None:
    labels = {component["props"].get("label") for component in config["components"]}
    assert labels >= {
        "Prompt", "Negative prompt", "Sampling method", "Schedule type", "Sampling steps", "Width", "Height",
        "Batch count", "Batch size", "CFG Scale", "Seed", "Stable Diffusion checkpoint", "txt2img", "Queue", "Settings",
        "Variation seed", "Variation strength", "Resize seed from width", "Resize seed from height", "Hires. fix",
        "Upscaler", "Hires steps", "Denoising strength", "Upscale by", "Resize width to", "Resize height to",
        "Hires checkpoint", "Hires sampling method", "Hires schedule type", "Hires prompt", "Hires negative prompt",
        "Refiner checkpoint", "Switch at", "Styles", "Override settings", "PNG Info",
        "img2img", "Resize mode", "Mask blur", "Mask transparency", "Mask mode", "Masked content", "Inpaint area",
        "Only masked padding, pixels", "Scale", "Image CFG Scale",
    }


def test_no_event_stays_open_or_is_offered_to_others(config: dict[str, Any]) -> None:
    assert config["dependencies"]
    for event in config["dependencies"]:
        assert event["queue"] is False, event
        assert event["api_visibility"] == "private", event
        assert event["show_progress"] == "hidden", event


def test_no_event_waits_for_many_fields_on_the_server(config: dict[str, Any]) -> None:
    """Gradio looks for each input of such an event several times over, which a click on Generate would feel."""
    for event in config["dependencies"]:
        assert not event["backend_fn"] or len(event["inputs"]) <= 1, event


def test_no_component_tells_of_every_change(config: dict[str, Any]) -> None:
    """A listener on each field would be called with all values for each key, and for each field at the start."""
    assert [target for event in config["dependencies"] for target in event["targets"] if target[1] == "change"] == []


def test_no_state_on_the_page_holds_a_connection_per_tab(config: dict[str, Any]) -> None:
    assert "state" not in {component["type"] for component in config["components"]}
    assert not config["connect_heartbeat"]


def test_gradio_keeps_no_history_and_shows_no_footer(config: dict[str, Any]) -> None:
    assert config["run_history"] is False
    assert config["footer_links"] == []
    assert config["analytics_enabled"] is False


def test_the_page_links_to_no_foreign_host(html: str) -> None:
    links = re.findall(r"""(?:src|href|content)=["']?(?:https?:)?//([\w.-]+)""", html)
    assert links == []


def test_our_scripts_come_before_gradios(html: str) -> None:
    assert html.index("/main.js") < html.index("/assets/index-")
    assert html.index("easel-facts") < html.index("easel.scheme") < html.index("/main.js")
    assert html.index("--easel-page") < html.index("</head>")


def test_facts_cannot_end_their_script(html: str) -> None:
    facts = html.split('id="easel-facts">')[1].split("</script>")[0]
    assert "<" not in facts
    described = json.loads(facts)["fields"]
    for tab, fields in PAGE_FIELDS.items():
        assert [field["name"] for field in described[tab] if "." not in field["name"]][: len(fields)] == [*fields]
    soft = [field for field in described["img2img"] if field.get("plugin", {}).get("name") == "soft_inpainting"]
    assert [field["name"] for field in soft if field["plugin"]["switches"]] == ["soft_inpainting.enabled"]


def test_the_page_is_never_kept_and_its_files_always_are(client: TestClient) -> None:
    assert client.get("/").headers["cache-control"] == "no-store"
    answer = client.get(f"{assets_address()}/main.js", headers={"accept-encoding": "gzip"})
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.text == (ASSETS / "main.js").read_text()
    plain = client.get(f"{assets_address()}/main.js", headers={"accept-encoding": "identity"})
    assert plain.text == answer.text


def test_gradios_scripts_are_served_from_memory(client: TestClient) -> None:
    name = next(GRADIO_ASSETS.glob("index-*.js")).name
    answer = client.get(f"/assets/{name}")
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert client.head(f"/assets/{name}").status_code == 200


@pytest.mark.parametrize("path", ["../server.py", "%2e%2e/server.py", "login.html", "none.js", "..%2fserver.py"])
def test_nothing_but_the_files_themselves_is_served(client: TestClient, path: str) -> None:
    assert client.get(f"{assets_address()}/{path}").status_code == 404


def test_an_asset_is_looked_for_in_the_folder_only() -> None:
    server = AssetServer(lambda *_: None, {"/assets/": ASSETS})  # type: ignore[arg-type,return-value]
    assert server._find("/assets/main.js") is not None
    assert server._find("/assets/../server.js") is None
    assert server._find("/other/main.js") is None


def test_a_page_that_is_kept_is_the_one_that_gradio_made(client: TestClient) -> None:
    made = client.get("/", headers={"x-forwarded-proto": "http"}).text
    first, kept = client.get("/"), client.get("/")
    assert made == first.text == kept.text
    assert kept.headers["cache-control"] == "no-store"
    plain = client.get("/", headers={"accept-encoding": "identity"})
    assert plain.text == made
    assert ("content-encoding" in plain.headers, kept.headers["content-encoding"]) == (False, "gzip")


def test_gradios_part_is_made_once_for_each_address_and_ours_each_time() -> None:
    asked: list[str] = []
    facts = {"number": 0}

    async def gradio(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(Headers(scope=scope)["host"])
        page = '<meta name="viewport" content="x"><body>' + asked[-1]
        await HTMLResponse(page, 200 if asked[-1] != "broken" else 500)(scope, receive, send)

    opened = TestClient(PageHead(gradio, ASSETS, "/own", lambda scope: facts))
    for host in ("a", "b", "a", "a", "broken", "broken"):
        facts["number"] += 1
        text = opened.get("/", headers={"host": host}).text
        assert text.endswith(f"<body>{host}")
        assert f'{{"number": {facts["number"]}}}' in text
    assert asked == ["a", "b", "broken", "broken"]
    opened.get("/?__theme=dark", headers={"host": "a"})
    opened.get("/", headers={"host": "a", "x-forwarded-host": "c"})
    assert asked[4:] == ["a", "a"]
    for number in range(KEPT_PAGES):
        opened.get("/", headers={"host": f"other{number}"})
    opened.get("/", headers={"host": "a"})
    assert asked[-1] == "a"


def test_gradios_own_script_leaves_its_name_to_others(html: str) -> None:
    assert html.count("const ce = ") == 1
    assert re.search(r"<script>\{\s*const ce = .*?\}</script>", html, re.S)


def test_every_style_sheet_is_in_the_page(html: str) -> None:
    assert {path.name for path in ASSETS.glob("*.css")} == set(STYLES)
    for name in STYLES:
        assert (ASSETS / name).read_text()[:60] in html


def test_scripts_set_no_markup_from_text() -> None:
    for path in ASSETS.glob("*.js"):
        script = path.read_text()
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert way not in script, (path.name, way)


def test_no_asset_reaches_out() -> None:
    for path in ASSETS.iterdir():
        assert not re.search(r"https?://(?!www\.w3\.org)", path.read_text()), path.name
