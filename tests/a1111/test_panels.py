"""What extensions add to the page, before any browser."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from modules.a1111._host import HOST
from modules.a1111._loader import LOADED
from modules.web.server import create_app
from tests.a1111.page_site import with_extensions
from tests.web.site import Site, open_site, site_config

BASE = "http://127.0.0.1:7860"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("site")
    with open_site(site_config(folder)) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[TestClient]:
    with (
        with_extensions(site.services, "panels_sample") as services,
        TestClient(create_app(services), base_url=BASE) as opened,
    ):
        yield opened


@pytest.fixture(scope="module")
def html(client: TestClient) -> str:
    return client.get("/").text


@pytest.fixture(scope="module")
def config(html: str) -> dict[str, Any]:
    start = html.index("window.gradio_config = ") + len("window.gradio_config = ")
    parsed: dict[str, Any] = json.JSONDecoder().raw_decode(html[start:])[0]
    return parsed


def test_no_part_of_the_sample_failed(client: TestClient) -> None:
    assert HOST.reports.of("panels_sample").failures == ()


def test_a_script_is_made_once_for_each_tab(client: TestClient) -> None:
    """It may register callbacks then, which would act twice otherwise."""
    made = next(module.MADE for path, module in LOADED.modules.items() if path.endswith("panels_sample.py"))
    assert [script.is_img2img for script in made] == [False, True]
    assert made == [LOADED.txt2img.script("Panels sample"), LOADED.img2img.script("Panels sample")]


def test_scripts_and_tabs_are_on_the_page(config: dict[str, Any]) -> None:
    ids = {component["props"].get("elem_id") for component in config["components"]}
    assert ids >= {
        "txt2img_sample_enabled",
        "img2img_sample_enabled",
        "txt2img_sample_kind",
        "tab_sample_tab",
        "sample_text",
        "txt2img_script_container",
        "txt2img_sample_switch",
        "txt2img_sample_switch-checkbox",
    }
    script = next(each for each in config["components"] if each["props"].get("elem_id") == "txt2img_script_list")
    assert ["Chosen sample", "Chosen sample"] in script["props"]["choices"]


def test_components_have_the_classes_of_gradio_3(config: dict[str, Any]) -> None:
    classes = {each["props"].get("elem_id"): each["props"].get("elem_classes") for each in config["components"]}
    assert "gradio-slider" in classes["txt2img_sample_amount"]
    assert "gradio-textbox" in classes["txt2img_prompt"]


def test_extensions_see_the_components_of_the_page(client: TestClient) -> None:
    runner = next(iter(HOST.extensions)).path
    module = next(value for path, value in LOADED.modules.items() if path.startswith(str(runner)))
    assert {"txt2img_prompt", "txt2img_steps", "img2img_width", "txt2img_generate"} <= set(module.SEEN)


WATCHED = [
    "txt2img_height",
    "txt2img_width",
    "img2img_generate",
    "img2img_height",
    "img2img_width",
    "txt2img_generate",
    "txt2img_prompt",
    "img2img_prompt",
    "img2img_steps",
    "txt2img_denoising_strength",
    "txt2img_hires_steps",
    "txt2img_hr-checkbox",
    "txt2img_hr_scale",
    "txt2img_hr_upscaler",
    "txt2img_steps",
    "hires_neg_prompt",
    "hires_prompt",
    "img2img_actions_column",
    "img2img_batch_count",
    "img2img_batch_inpaint_mask_dir",
    "img2img_batch_input_dir",
    "img2img_batch_output_dir",
    "img2img_batch_size",
    "img2img_batch_tab",
    "img2img_cfg_scale",
    "img2img_denoising_strength",
    "img2img_gallery",
    "img2img_generate_box",
    "img2img_generation_info_button",
    "img2img_image",
    "img2img_img2img_sketch_tab",
    "img2img_img2img_tab",
    "img2img_inpaint_full_res",
    "img2img_inpaint_sketch_tab",
    "img2img_inpaint_tab",
    "img2img_inpaint_upload_tab",
    "img2img_mask_alpha",
    "img2img_mask_blur",
    "img2img_neg_prompt",
    "img2img_sampling",
    "img2img_scheduler",
    "img2img_send_to_extras",
    "img2img_sketch",
    "img2img_toprow",
    "script_list",
    "settings_json",
    "txt2img_actions_column",
    "txt2img_batch_count",
    "txt2img_batch_size",
    "txt2img_cfg_scale",
    "txt2img_gallery",
    "txt2img_generate_box",
    "txt2img_generation_info_button",
    "txt2img_hires_fix_row1",
    "txt2img_hires_fix_row2",
    "txt2img_hires_fix_row4",
    "txt2img_neg_prompt",
    "txt2img_results",
    "txt2img_sampling",
    "txt2img_scheduler",
    "txt2img_send_to_extras",
    "txt2img_toprow",
]


@pytest.mark.parametrize("element", WATCHED)
def test_each_element_that_extensions_watch_for_is_told_of(client: TestClient, element: str) -> None:
    seen = next(module.SEEN for path, module in LOADED.modules.items() if path.endswith("panels_sample.py"))
    assert element in seen


def test_what_only_stands_in_has_no_id_in_the_document(config: dict[str, Any]) -> None:
    ids = [component["props"].get("elem_id") for component in config["components"]]
    assert "a1111_img2img_img2img_image" in ids
    assert "img2img_image" not in ids


def test_extensions_options_are_in_the_settings(client: TestClient) -> None:
    options = {option["key"]: option for option in client.get("/easel/settings").json()["options"]}
    assert options["panels_sample_option"]["label"] == "Sample option"
    assert options["panels_sample_option"]["value"] == 7


def test_files_of_extensions_come_before_gradio_in_order(html: str) -> None:
    places = [html.index(text) for text in ("a1111_globals.js", "javascript/panels_sample.js", "window.gradio_config")]
    assert places == sorted(places)
    assert "extensions/panels_sample/style.css" in html
    assert "easelMountAll = true" in html
    assert ".sample-css" in html


def test_extensions_files_are_served_and_nothing_else(client: TestClient, site: Site) -> None:
    outputs = site.services.outputs
    outputs.mkdir(exist_ok=True)
    (outputs / "a.png").write_bytes(b"png")
    (outputs / "a.html").write_bytes(b"no")
    assert client.get("/file=extensions/panels_sample/javascript/panels_sample.js?1").status_code == 200
    assert client.get(f"/file={outputs}/a.png").content == b"png"
    for path in (
        f"{outputs}/a.html",
        "config.json",
        "extensions/panels_sample/scripts/panels_sample.py",
        "/etc/passwd",
        "extensions/panels_sample/../../../README.md",
        f"{outputs}/.easel/jobs.db",
        "extensions/panels_sample/.git/config",
    ):
        assert client.get(f"/file={path}").status_code in (400, 404), path


def test_what_was_shimmed_is_counted(client: TestClient) -> None:
    counted = HOST.reports.of("panels_sample").shims
    assert counted["S1 _js="] == 2
    assert counted["S5 Image(source=)"] == 2
    assert counted["S8 gr.Box"] == 1
    assert counted["S17 Accordion(open=False)"] == 2


def test_without_extensions_the_page_has_nothing_of_theirs(site: Site) -> None:
    with TestClient(create_app(site.services), base_url=BASE) as plain:
        html = plain.get("/").text
        assert plain.get("/file=README.md").status_code == 404
        assert plain.post("/gradio_api/upload").status_code == 403
    for text in ("easelMountAll", "a1111", "script_container", "gradio-slider"):
        assert text not in html.replace("easel-foreign", "")
