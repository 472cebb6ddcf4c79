"""Extensions that want the same are both named, and what they replaced is put back when they are unloaded."""

from __future__ import annotations

import gradio as gr

from modules.a1111 import _adapter, extra_networks, processing, sd_samplers, sd_samplers_kdiffusion, sd_schedulers
from modules.a1111._loader import LOADED
from modules.a1111._panels import AdapterPanels
from tests.a1111.conftest import Start

BOTH = ("sample-sampler", "sample-rival")


def everything() -> tuple[object, ...]:
    return (
        sd_samplers.create_sampler, sd_samplers_kdiffusion.KDiffusionSampler.callback_state,
        processing.StableDiffusionProcessing.setup_prompts, list(sd_samplers.all_samplers),
        dict(sd_samplers.all_samplers_map), list(sd_samplers.samplers), list(sd_schedulers.schedulers),
        dict(extra_networks.extra_network_registry), LOADED.txt2img.run,
    )  # fmt: skip


def test_unloading_puts_every_replaced_function_back(start: Start) -> None:
    before = everything()
    easel = start(*BOTH)
    LOADED.txt2img.run = lambda p, *args: None
    changed = everything()
    assert all(one != other for one, other in zip(before, changed, strict=True))
    assert processing.create_infotext_of_rival is processing.create_infotext
    module = easel.module("sample_sampler")
    _adapter.stop()
    assert everything() == before
    assert module.SEEN["unloaded"] == 1
    assert not hasattr(processing.StableDiffusionProcessing, "rival")
    assert "create_infotext_of_rival" not in vars(processing)


def test_starting_again_begins_from_what_was_there_first(start: Start) -> None:
    before = everything()
    start("sample-rival")
    again = start()
    assert again.module("sample_rival").inner is before[0]


def test_two_extensions_that_want_the_same_are_both_named(start: Start) -> None:
    easel = start(*BOTH)
    panels = AdapterPanels()
    with gr.Blocks(), panels.page(), panels.tab("txt2img"):
        panels.build_sections("txt2img")
    for one, other in (BOTH, BOTH[::-1]):
        assert set(easel.reports.of(one).fights) == {
            f"{other}: both replace modules.sd_samplers.create_sampler",
            f"{other}: both have the option sample_shared",
            f"{other}: both have the kind of network sample",
            f"{other}: both have an element by the id sample_shared_id",
        }
        assert easel.reports.of(one).message()["fights"]


def test_an_extension_alone_is_at_odds_with_nobody(start: Start) -> None:
    easel = start("sample-sampler")
    panels = AdapterPanels()
    with gr.Blocks(), panels.page():
        for tab in ("txt2img", "img2img"):
            with panels.tab(tab):
                panels.build_sections(tab)
    assert easel.reports.of("sample-sampler").fights == ()


def test_extensions_are_called_in_the_users_order(start: Start) -> None:
    easel = start("sample-always-on", "sample-sampler")
    easel.services.settings.update({"call_order": ["sample-sampler", "sample-always-on"]})
    scripts = [type(each).__name__ for each in LOADED.txt2img.ordered_scripts("process_batch")]
    assert scripts == ["SampleSampler", "SampleAlwaysOn"]
    easel.services.settings.update({"call_order": ["sample-always-on"]})
    assert [type(each).__name__ for each in LOADED.txt2img.ordered_scripts("process_batch")] == scripts[::-1]
