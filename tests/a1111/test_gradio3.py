"""Code for Gradio 3.41 runs on Gradio 6: one case for each trap, each in a file of an extension's."""

import asyncio
import io
import json
from collections import Counter
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from modules.a1111._gradio3 import Gradio3
from modules.a1111._host import HOST
from modules.a1111._working import extension_at_work, working_for
from modules.gallery.inputs import InputStore

FILE = "/somewhere/extensions/sample/scripts/sample.py"


class Sample:
    """An extension's script, and what is counted for it."""

    def __init__(self, shim: Gradio3) -> None:
        self.counts: Counter[str] = Counter()
        self.shim = shim
        shim.install(self._count)

    def _count(self, extension: str, what: str) -> None:
        self.counts[f"{extension}: {what}"] += 1

    def run(self, source: str) -> dict[str, Any]:
        """Run code as the extension's, within a page; returns its names."""
        names: dict[str, Any] = {"gr": gr, "np": np}
        with gr.Blocks(analytics_enabled=False) as names["page"]:
            exec(compile(source, FILE, "exec"), names)
        return names

    def counted(self, what: str) -> int:
        return self.counts[f"sample: {what}"]


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sample]:
    # Without what is left of a page that another test has built.
    monkeypatch.setattr(HOST, "own_state", {})
    shim = Gradio3()
    yield Sample(shim)
    shim.remove()


def props(component: Any) -> dict[str, Any]:
    config: dict[str, Any] = component.get_config()
    return config


def only_event(names: dict[str, Any]) -> Any:
    (event,) = names["page"].fns.values()
    return event


def awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine does, in a thread of its own: a browser of other tests may have a loop in this one."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, coroutine).result()


def call(names: dict[str, Any], *values: object) -> Any:
    return only_event(names).fn(*values)


def test_without_the_shim_gradio_is_left_as_it_was() -> None:
    before = (gr.Button.__init__, gr.Button.click, gr.update, gr.Blocks.get_config, hasattr(gr, "Box"))
    shim = Gradio3()
    shim.install(lambda extension, what: None)
    assert gr.Button.click is not before[1]
    shim.remove()
    assert (gr.Button.__init__, gr.Button.click, gr.update, gr.Blocks.get_config, hasattr(gr, "Box")) == before


def test_our_own_code_is_not_shimmed(sample: Sample) -> None:
    with pytest.raises(TypeError):
        gr.Textbox(optional=True)
    assert not sample.counts


def test_whose_code_runs_is_told_by_its_file_or_by_who_calls(sample: Sample) -> None:
    names: dict[str, Any] = {"at_work": extension_at_work}
    exec(compile("def ask(): return at_work()", FILE, "exec"), names)
    assert names["ask"]() == "sample"
    with working_for("another"):
        assert extension_at_work() == "another"
        assert names["ask"]() == "sample"
    assert extension_at_work() == ""


def test_s1_old_scripts_of_listeners_run(sample: Sample) -> None:
    names = sample.run("gr.Button('x').click(fn=None, inputs=[], outputs=[], _js='() => hello()')")
    assert only_event(names).js == "() => hello()"
    assert sample.counted("S1 _js=") == 1


def test_s1_old_scripts_of_following_events_run(sample: Sample) -> None:
    names = sample.run("gr.Button('x').click(lambda: None).then(fn=None, _js='hello').success(fn=None, _js='bye')")
    assert [event.js for event in names["page"].fns.values()] == [None, "hello", "bye"]


def test_s1_old_scripts_of_page_load_run(sample: Sample) -> None:
    names = sample.run("page.load(fn=None, _js='hello')")
    assert only_event(names).js == "hello"


def test_s2_update_of_a_class_tells_what_changes(sample: Sample) -> None:
    names = sample.run("answer = gr.Dropdown.update(choices=['a', 'b'], value='a')\nmore = gr.Checkbox.update(True)")
    assert names["answer"] == {"__type__": "update", "choices": ["a", "b"], "value": "a"}
    assert names["more"] == {"__type__": "update", "value": True}
    assert sample.counted("S2 .update()") == 2


def test_s3_unknown_keywords_are_dropped_and_counted(sample: Sample) -> None:
    names = sample.run("box = gr.Textbox(label='a', optional=True, default='x', placeholder='p')")
    assert props(names["box"])["placeholder"] == "p"
    assert sample.counted("S3 Textbox(optional=)") == sample.counted("S3 Textbox(default=)") == 1


def test_s3_copy_buttons_stay(sample: Sample) -> None:
    names = sample.run("box = gr.Textbox(label='a', show_copy_button=True)")
    assert props(names["box"])["buttons"] == ["copy"]


def test_s3_a_text_box_that_nobody_has_touched_holds_an_empty_text(sample: Sample) -> None:
    names = sample.run("boxes = gr.Textbox(label='a'), gr.Text(), gr.TextArea()\nchange = gr.Textbox.update(label='b')")
    assert [box.value for box in names["boxes"]] == ["", "", ""]
    assert "value" not in names["change"]


def test_s3_a_dropdown_without_value_has_none(sample: Sample) -> None:
    names = sample.run("one = gr.Dropdown(['a', 'b'])\nmany = gr.Dropdown(['a', 'b'], multiselect=True)")
    assert names["one"].value is None
    assert names["many"].value == []
    assert names["many"].preprocess(None) == []


def test_s3_a_value_that_is_no_choice_is_handed_on(sample: Sample) -> None:
    names = sample.run("box = gr.Dropdown(['a', 'b'])\nradio = gr.Radio(['a'])\nboxes = gr.CheckboxGroup(['a'])")
    assert names["boxes"].preprocess(None) is None
    assert names["box"].preprocess("c") == "c"
    assert names["radio"].preprocess("c") == "c"
    with gr.Blocks(), pytest.raises(gr.Error):
        gr.Dropdown(["a"]).preprocess("c")


def test_s4_tooltips_are_kept(sample: Sample) -> None:
    names = sample.run("button = gr.Button('x', tooltip='Help')")
    assert props(names["button"])["webui_tooltip"] == "Help"


@pytest.mark.parametrize(
    ("source", "sources"),
    [
        ("gr.Image(source='upload', type='pil')", ["upload", "clipboard"]),
        ("gr.Image(source='webcam')", ["webcam"]),
        ("gr.Video(source='upload')", ["upload"]),
        ("gr.Audio(source='microphone')", ["microphone"]),
    ],
)
def test_s5_the_source_of_a_picture_is_a_list(sample: Sample, source: str, sources: list[str]) -> None:
    assert props(sample.run(f"box = {source}")["box"])["sources"] == sources


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InputStore:
    store = InputStore(tmp_path)
    monkeypatch.setattr(HOST, "services", SimpleNamespace(inputs=store))
    return store


def kept(inputs: InputStore, picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return inputs.keep(file.getvalue())


def test_s6_a_sketch_is_a_picture_and_its_mask(sample: Sample, inputs: InputStore) -> None:
    names = sample.run("box = gr.Image(source='upload', type='numpy', tool='sketch', brush_radius=9, label='Draw')")
    box = names["box"]
    assert props(box)["name"] == box.get_block_name() == "textbox"
    assert "a1111-canvas-mask" in box.elem_classes
    mask = Image.new("L", (8, 4))
    mask.putpixel((3, 2), 255)
    text = json.dumps({"picture": kept(inputs, Image.new("RGB", (8, 4), "red")), "drawing": kept(inputs, mask)})
    drawn = box.preprocess(text)
    assert drawn["image"].shape == drawn["mask"].shape == (4, 8, 3)
    assert drawn["image"][0, 0].tolist() == [255, 0, 0]
    assert (drawn["mask"][..., 0] > 0).sum() == 1
    assert box.preprocess("") is None


def test_s6_a_picture_without_strokes_has_an_empty_mask(sample: Sample, inputs: InputStore) -> None:
    box = sample.run("box = gr.Image(tool='sketch')")["box"]
    shown = box.postprocess(np.full((4, 8, 3), 7, np.uint8))
    assert box.preprocess(shown)["image"].max() == 7
    assert box.preprocess(shown)["mask"].max() == 0
    assert box.postprocess(None) == ""


def test_s6_a_colour_sketch_is_the_painted_picture(sample: Sample, inputs: InputStore) -> None:
    box = sample.run("box = gr.Image(type='pil', tool='color-sketch')")["box"]
    ids = {
        "picture": kept(inputs, Image.new("RGB", (2, 2), "red")),
        "drawing": kept(inputs, Image.new("RGBA", (2, 2), "blue")),
    }
    assert box.preprocess(json.dumps(ids)).getpixel((0, 0)) == (0, 0, 255)


def test_s6_the_events_of_a_picture_box_are_there(sample: Sample) -> None:
    names = sample.run(
        "box = gr.Image(tool='sketch')\n"
        "made = [box.upload(lambda value: None, box, None), box.clear(lambda: None), box.edit(lambda value: None, box)]"
    )
    assert [each["targets"] for each in names["made"]] == [[(names["box"]._id, "change")]] * 3


def test_s21_a_gallery_gives_pairs_that_are_also_dictionaries(sample: Sample, tmp_path: Path) -> None:
    box = sample.run("box = gr.Gallery(label='a', type='filepath')")["box"]
    path = tmp_path / "a.png"
    Image.new("RGB", (2, 2), "red").save(path)
    payload = box.data_model(root=[{"image": {"path": str(path), "url": "/file=a.png"}, "caption": "red"}])
    [entry] = box.preprocess(payload)
    picture, caption = entry
    assert (picture, caption) == (entry["name"], "red")
    assert (entry["is_file"], entry.get("data"), entry[1]) == (True, "/file=a.png", "red")


def test_s18_tabs_without_any_tab_do_not_break_the_page(sample: Sample) -> None:
    names = sample.run("with gr.Tabs() as box:\n    with gr.Row():\n        gr.Textbox()")
    assert names["box"].get_config()["initial_tabs"] == []


def test_s7_style_returns_the_component_and_sets_what_there_still_is(sample: Sample) -> None:
    names = sample.run("box = gr.Gallery(label='a').style(grid=4, height='auto', margin=True)")
    assert (names["box"].columns, names["box"].height) == (4, "auto")
    assert sample.counted("S7 .style()") == 1


def test_s8_a_box_is_a_group(sample: Sample) -> None:
    names = sample.run("with gr.Box(elem_id='b') as box:\n    gr.Textbox()")
    assert props(names["box"])["elem_id"] == "b"
    assert names["box"].get_block_name() == "group"
    assert sample.counted("S8 gr.Box") == 1


def test_s9_old_namespaces_and_names_are_there(sample: Sample) -> None:
    names = sample.run(
        "import gradio.inputs\nfrom gradio.outputs import Label\nfrom gradio.components import IOComponent\n"
        "from gradio.events import Releaseable, Changeable\nfrom gradio.deprecation import GradioDeprecationWarning\n"
        "box = gr.inputs.Textbox(default='x')\nstate = gr.Variable(3)"
    )
    assert isinstance(names["box"], names["IOComponent"])
    assert names["state"].value == 3


def test_s10_files_are_paths_with_a_name(sample: Sample) -> None:
    names = sample.run("box = gr.File(type='file')\nmore = gr.UploadButton('x', type='bytes')")
    assert names["box"].type == "filepath"
    assert names["more"].type == "binary"


def test_s11_style_sheets_of_blocks_are_collected(sample: Sample) -> None:
    sample.run("with gr.Blocks(css='.x {color: red}', theme='x', variant='compact', elem_id='own') as own:\n    pass")
    assert sample.shim.css == [".x {color: red}"]
    assert sample.counted("S3 Blocks(variant=)") == 1


def test_s12_an_empty_slider_is_widened(sample: Sample) -> None:
    box = sample.run("box = gr.Slider(minimum=1, maximum=1, step=1, value=1)")["box"]
    assert (box.minimum, box.maximum) == (1, 2)


def test_s13_classes_in_files_that_are_no_modules_can_be_made(sample: Sample) -> None:
    names = sample.run(
        "class Tool(gr.components.FormComponent, gr.Button):\n"
        "    def __init__(self, **kwargs):\n        super().__init__(variant='tool', **kwargs)\n"
        "tool = Tool(value='x', elem_id='tool', elem_classes=['y'])"
    )
    tool = names["tool"]
    assert tool.get_block_name() == "button"
    assert tool.component_class_id == gr.Button.get_component_class_id()
    assert props(tool).items() >= {"value": "x", "elem_id": "tool", "variant": "tool"}.items()


def test_s14_positional_arguments_of_derived_classes_arrive(sample: Sample) -> None:
    names = sample.run(
        "class Tool(gr.Button):\n"
        "    def __init__(self, *args, **kwargs):\n        super().__init__(*args, **kwargs)\n"
        "tool = Tool('text', elem_id='tool')"
    )
    assert props(names["tool"]).items() >= {"value": "text", "elem_id": "tool"}.items()


def test_s16_what_is_invisible_stays_in_the_document(sample: Sample) -> None:
    names = sample.run(
        "box = gr.Textbox(visible=False)\nrow = gr.Row(visible=False)\n"
        "gr.Button('x').click(lambda: gr.update(visible=False), [], [box])"
    )
    assert props(names["box"])["visible"] == props(names["row"])["visible"] == "hidden"
    assert call(names) == {"__type__": "update", "visible": "hidden"}


def test_s17_what_is_folded_away_stays_in_the_document(sample: Sample) -> None:
    box = sample.run("box = gr.Accordion('a', open=False)")["box"]
    assert props(box)["open"] == 0
    assert props(box)["open"] is not False


def test_s21_pictures_travel_as_png(sample: Sample) -> None:
    names = sample.run("box = gr.Image()\nmany = gr.Gallery()")
    assert props(names["box"])["format"] == props(names["many"])["format"] == "png"


def test_s25_dependencies_are_a_list(sample: Sample) -> None:
    names = sample.run("box = gr.Textbox()\nbutton = gr.Button('x')\nbutton.click(lambda x: x, [box], [box])")
    (event,) = names["page"].dependencies
    assert event["targets"] == [names["button"]._id]
    assert event["inputs"] == event["outputs"] == [names["box"]._id]
    assert event["trigger"] == "click"


def test_s29_functions_of_the_page_are_given_pictures_by_their_content(sample: Sample) -> None:
    names = sample.run("gr.Button('x').click(None, [gr.Image(), gr.Textbox()], None, _js='send')")
    assert only_event(names).js == "(...values) => a1111WithPictures(send, values)"
    assert sample.counted("S29 a picture for a script") == 1


def test_s29_events_that_give_something_back_keep_their_functions(sample: Sample) -> None:
    names = sample.run("box = gr.Image()\ngr.Button('x').click(None, [box], [box], _js='send')")
    assert only_event(names).js == "send"


GONE = ["queue=None", "api_name=False", "show_api=False", "status_tracker=None", "every=2"]


@pytest.mark.parametrize("keyword", GONE)
def test_s26_keywords_of_listeners_that_are_gone_do_no_harm(sample: Sample, keyword: str) -> None:
    names = sample.run(f"gr.Button('x').click(lambda: 1, [], [], {keyword})")
    assert only_event(names).fn() == 1
    assert sum(sample.counts.values()) == 1


def test_functions_of_events_run_as_the_extension(sample: Sample) -> None:
    names = sample.run(
        "def asked():\n    return gr.Radio.update(choices=['a'], visible=False)\n"
        "gr.Button('x').click(asked, [], [])"
    )
    assert call(names) == {"__type__": "update", "choices": ["a"], "visible": "hidden"}


def test_generators_and_coroutines_of_events_stay_what_they_are(sample: Sample) -> None:
    names = sample.run(
        "def many():\n    yield 1\n    yield gr.update(visible=False)\n"
        "async def one():\n    return 3\n"
        "box = gr.Textbox()\ngr.Button('x').click(many, [], [box])\ngr.Button('y').click(one, [], [box])"
    )
    many, one = (event.fn for event in names["page"].fns.values())
    assert list(many()) == [1, {"__type__": "update", "visible": "hidden"}]
    # By hand, since the browser tests' loop may be running in this thread.
    with pytest.raises(StopIteration) as ended:
        one().send(None)
    assert ended.value.value == 3


def test_positional_arguments_of_listeners_arrive(sample: Sample) -> None:
    names = sample.run("box = gr.Textbox()\ngr.Button('x').click(lambda x: x + 1, box, box)")
    assert call(names, 1) == 2
    assert only_event(names).inputs == [names["box"]]


def test_a_label_hands_over_what_a_script_has_put_into_it(sample: Sample) -> None:
    names = sample.run(
        "box, hidden = gr.Textbox(), gr.Label(visible=False)\n"
        "box.change(lambda task, points, text: None, [hidden, hidden, box])"
    )
    page, label = names["page"], names["hidden"]
    function = only_event(names)
    given = awaited(page.preprocess_data(function, ["task(5)", [[1, 2]], "text"], None))
    assert given == ["task(5)", [[1, 2]], "text"]
    shown = awaited(page.preprocess_data(function, [{"label": "cat"}, None, ""], None))
    assert shown == ["cat", None, ""]
    assert label.api_info()


def test_tabs_stand_before_what_else_is_between_them(sample: Sample) -> None:
    names = sample.run(
        "with gr.Tabs() as tabs:\n"
        "    note = gr.Textbox()\n"
        "    with gr.Tab('a') as first:\n        gr.Textbox()\n"
        "    with gr.Tab('b') as second:\n        gr.Textbox()\n"
    )
    first, second, other = names["tabs"].children
    assert (first, second) == (names["first"], names["second"])
    assert names["note"] in (other, *other.children)
