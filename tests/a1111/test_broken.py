"""Ten sample extensions that break in ten ways: each is told of, and nothing else breaks."""

from __future__ import annotations

import gradio as gr

from modules.a1111 import script_callbacks, shared
from modules.a1111._panels import AdapterPanels
from modules.jobs.model import JobState
from modules.plugins.discovery import Extensions, Switches
from modules.plugins.loading import PluginLoader
from modules.plugins.safety import Safety
from tests.a1111.conftest import SAMPLES, Easel, Start
from tests.a1111.test_runs import on, pixels

BROKEN = tuple(sorted(path.name for path in SAMPLES.glob("broken_*")))
TOLD = {
    "broken_dependency": {("import", "ModuleNotFoundError: No module named 'a_package_that_nobody_has'")},
    "broken_exit": {("preload", "SystemExit: 2"), ("page", "SystemExit: 3"), ("hook", "SystemExit: 4")},
    "broken_hooks": {("hook", "ValueError: broken hook")},
    "broken_missing": {("import", "NotInEasel: The extension broken_missing uses modules.deepbooru.DeepDanbooru")},
    "broken_networks": {("hook", "ValueError: broken network"), ("hook", "ValueError: broken list")},
    "broken_page": {
        ("import", "ValueError: broken show"),
        ("page", "ValueError: broken title"),
        ("page", "AttributeError: 'str' object has no attribute 'custom_script_source'"),
        ("page", "ValueError: broken callback of the page"),
        ("start", "ValueError: broken callback of the page"),
    },
    "broken_sampler": {
        ("hook", "TypeError: create_sampler answered str, which is no sampler"),
        ("hook", "ValueError: broken sampler"),
        ("hook", "ValueError: a tensor of the shape (1, 4, 8, 8) is wanted, not (0, 4, 8, 8)"),
    },
    "broken_syntax": {("import", "SyntaxError: '(' was never closed (<string>, line 1)")},
    "broken_values": {
        ("hook", "ValueError: CFGDenoiserParams.text_cond must keep its number of rows, 1; 0 was assigned"),
        ("hook", "ValueError: CFGDenoisedParams.x must keep its shape, (2, 4, 8, 8); (2, 4, 8, 1) was assigned"),
        ("hook", "ValueError: AfterCFGCallbackParams.x must keep its shape, (1, 4, 8, 8); (1, 4, 8, 1) was assigned"),
        ("hook", "ValueError: PostSampleArgs.samples must keep its shape, (1, 4, 8, 8); (1, 2, 3) was assigned"),
        ("hook", "ValueError: PostprocessImageArgs.image must keep its kind, picture; NoneType was assigned"),
        ("hook", "ValueError: PostprocessImageArgs.image must keep its kind, picture; str was assigned"),
    },
}


def build_page() -> None:
    panels = AdapterPanels()
    with gr.Blocks() as page, panels.page():
        for tab in ("txt2img", "img2img"):
            with panels.tab(tab):
                panels.build_sections(tab)
        panels.tabs()
    panels.started(page, None)
    panels.counted("a red apple", True, ())
    script_callbacks.model_loaded_callback(shared.sd_model)


def told(easel: Easel, name: str) -> set[tuple[str, str]]:
    return {(failure.part, failure.reason) for failure in easel.reports.of(name).failures}


def test_there_are_ten() -> None:
    assert set(BROKEN) == {*TOLD, "broken_plugin"}
    assert len(BROKEN) == 10


def test_every_broken_extension_is_told_of_and_a_sound_one_works_beside_them(start: Start) -> None:
    plain = start("sample-always-on").run(on(True, "in snow"))
    easel = start(*BROKEN)
    build_page()
    module = easel.module("sample_always_on")
    module.CALLS.clear()
    job = easel.run(on(True, "in snow"))
    assert job.state is JobState.FINISHED, job.error
    assert (pixels(job) == pixels(plain)).all()
    assert job.images[0].infotext == plain.images[0].infotext
    assert not easel.reports.of("sample-always-on").failures
    for name, wanted in TOLD.items():
        found = told(easel, name)
        for part, reason in wanted:
            assert any(each == part and text.startswith(reason) for each, text in found), (name, part, reason, found)
        assert all(failure.trace for failure in easel.reports.of(name).failures)


def test_a_method_that_breaks_is_told_of_by_its_name(start: Start) -> None:
    easel = start("broken_hooks")
    easel.run()
    places = {failure.where for failure in easel.reports.of("broken_hooks").failures}
    methods = {"process", "process_before_every_sampling", "postprocess_image"}
    assert {f"BrokenHooks.{method}" for method in methods} <= places


def test_a_plugin_of_our_own_kind_that_is_none_is_told_of(start: Start) -> None:
    easel = start("broken_plugin")
    folder = easel.services.config.data_dir
    safety = Safety(folder / "safety.json")
    loader = PluginLoader(easel.hooks, easel.reports, safety)
    assert loader.load(Extensions(folder / "extensions", Switches, safety).enabled()[0])
    job = easel.run()
    assert job.state is JobState.FINISHED, job.error
    assert told(easel, "broken_plugin") == {("hook", "Listener.on_nothing is no hook.")}
