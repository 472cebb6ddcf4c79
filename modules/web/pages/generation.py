"""A generation tab, txt2img or img2img: prompts and their tools, settings, buttons over a running job, and gallery."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from modules.core.errors import EaselError, InvalidRequest, JobNotFound
from modules.core.parameters import PARAMETERS
from modules.jobs.model import Part
from modules.web.checkpoints import CheckpointChooser
from modules.web.forms import STYLES_FIELD, choices_of
from modules.web.job_pictures import gallery_source
from modules.web.pages.events import FRONTEND_ONLY, SERVER
from modules.web.pages.settings_column import build_settings_column
from modules.web.panels import FOREIGN_FIELD
from modules.web.requests import RequestMaker
from modules.web.services import WebServices
from modules.web.submitting import submit
from modules.web.tab_forms import TabForm

LISTED = ("hr_checkpoint", "refiner_checkpoint")
"""Fields whose choices change while the server runs."""
GALLERY_CLASS = "easel-gallery"


@dataclass(frozen=True, slots=True)
class ListedFields:
    """The dropdowns whose choices change while the server runs.

    `updates` returns their present choices; for a page that is new (True) only those that are not as it was built.
    """

    components: list[Any]
    updates: Callable[[bool], list[Any]]


@dataclass(frozen=True, slots=True)
class Tab:
    """One generation tab while it is built."""

    form: TabForm
    services: WebServices
    chooser: CheckpointChooser

    @property
    def name(self) -> str:
        """The first part of the ids of its elements."""
        return self.form.tab

    def script(self, method: str) -> str:
        """Return the JavaScript of an event that hands the fields' values to a method of the tab's form."""
        return f"async (...values) => {{ await window.easel.pages.{self.name}.form.{method}(values); return [] }}"


@dataclass(frozen=True, slots=True)
class BuiltTab:
    """A generation tab that was built: its fields' components in their order, and those whose choices change."""

    tab: Tab
    components: list[Any]
    listed: ListedFields


def build_generation(tab: Tab) -> BuiltTab:
    """Build the tab's content and wire its events; `wire_memory` does the rest outside of it."""
    with tab.form.panels.tab(tab.name):
        return _build_content(tab)


def _build_content(tab: Tab) -> BuiltTab:
    fields: dict[str, Any] = {}

    def add(name: str) -> Any:
        fields[name] = tab.form.make(name)
        return fields[name]

    with gr.Row(elem_id=f"{tab.name}_toprow", elem_classes=["easel-toprow"]):
        with gr.Column(scale=6, elem_id=f"{tab.name}_prompt_container", min_width=300):
            _build_prompt(tab, add, "prompt", "token_counter")
            _build_prompt(tab, add, "negative_prompt", "negative_token_counter")
            gr.HTML("", elem_id=f"{tab.name}_inspector", js_on_load=None)
        with gr.Column(scale=1, elem_id=f"{tab.name}_actions_column", min_width=240):
            generate = _build_buttons(tab)
            _build_tools(tab, add)
    for place in ("extra_tabs", "library"):
        gr.HTML("", elem_id=f"{tab.name}_{place}", elem_classes=["easel-library-place"], js_on_load=None)
    with gr.Row(elem_id=f"{tab.name}_generation", elem_classes=["easel-columns"]):
        with gr.Column(scale=5, elem_id=f"{tab.name}_settings", elem_classes=["easel-settings-column"], min_width=320):
            build_settings_column(tab.form, add)
        with gr.Column(scale=6, elem_id=f"{tab.name}_results", elem_classes=["easel-results"], min_width=320):
            _build_results(tab)
    components = [fields[name] for name in tab.form.names()]
    _wire_generate(generate, components, tab)
    return BuiltTab(tab, components, _listed_fields(fields, tab.services))


def submit_form(
    values: Mapping[str, object], services: WebServices, chooser: CheckpointChooser, owner: str | None
) -> dict[str, object]:
    """Put the form's request into the queue; return the job's id, or what is wrong field by field."""
    maker = RequestMaker(services, chooser)
    try:
        job = submit([Part(maker.from_values(values))], services, owner, maker.purpose())
    except EaselError as error:
        return describe_error(error)
    return {"job": job.id}


def describe_error(error: EaselError) -> dict[str, object]:
    """Return an error as the page gets it: one text, and the wrong fields if it names any."""
    problems = error.problems if isinstance(error, InvalidRequest) else ()
    return {
        "detail": str(error),
        "problems": [
            {"field": each.field, "label": each.label, "value": each.value, "allowed": each.allowed}
            for each in problems
        ],
    }


def _listed_fields(fields: Mapping[str, Any], services: WebServices) -> ListedFields:
    listed = [name for name in LISTED if name in fields]
    components = [fields[name] for name in (*listed, STYLES_FIELD)]
    built = [[text for text, _ in component.choices] for component in components]

    def updates(new_page: bool) -> list[Any]:
        present = [choices_of(PARAMETERS[name], services.lists) for name in listed]
        present.append([style.name for style in services.styles.styles()])
        return [
            gr.skip() if new_page and now == then else gr.Dropdown(choices=now)
            for now, then in zip(present, built, strict=True)
        ]

    return ListedFields(components, updates)


def _build_prompt(tab: Tab, add: Callable[[str], Any], name: str, counter: str) -> None:
    with gr.Column(elem_classes=["easel-prompt-box"]):
        add(name)
        gr.HTML("<span>0/75</span>", elem_id=f"{tab.name}_{counter}", elem_classes=["easel-counter"], js_on_load=None)


def _build_buttons(tab: Tab) -> Any:
    with gr.Column(elem_id=f"{tab.name}_generate_box", elem_classes=["easel-generate-box"]):
        generate = gr.Button("Generate", variant="primary", elem_id=f"{tab.name}_generate")
        gr.Button("Interrupt", elem_id=f"{tab.name}_interrupt", elem_classes=["easel-while-running"])
        gr.Button("Skip", elem_id=f"{tab.name}_skip", elem_classes=["easel-while-running"])
    gr.HTML("", elem_id=f"{tab.name}_message", js_on_load=None)
    return generate


def _build_tools(tab: Tab, add: Callable[[str], Any]) -> None:
    """Build the styles and the place of the small buttons, which assets/prompt_tools.js makes."""
    gr.HTML("", elem_id=f"{tab.name}_tools", js_on_load=None)
    with gr.Row(elem_id=f"{tab.name}_styles_row", elem_classes=["easel-styles-row"]):
        add(STYLES_FIELD)
        gr.HTML("", elem_id=f"{tab.name}_styles_edit", js_on_load=None)


def _build_results(tab: Tab) -> None:
    gr.HTML("", elem_id=f"{tab.name}_progress", js_on_load=None)
    with gr.Column(elem_id=f"{tab.name}_gallery_container"):
        gallery = gr.Gallery(
            label="Output",
            show_label=False,
            elem_id=f"{tab.name}_gallery",
            elem_classes=[GALLERY_CLASS],
            interactive=False,
            preview=True,
            columns=4,
            height="auto",
            object_fit="contain",
            buttons=[],
        )
        gr.HTML("", elem_id=f"{tab.name}_live_preview", js_on_load=None)
    gr.HTML("", elem_id=f"image_buttons_{tab.name}", js_on_load=None)
    gr.HTML("", elem_id=f"html_info_{tab.name}", elem_classes=["easel-infotext"], js_on_load=None)
    refresh = gr.Button(elem_id=f"{tab.name}_gallery_refresh", visible="hidden")
    wanted = gr.Textbox(elem_id=f"{tab.name}_gallery_wanted", visible="hidden")

    def show_pictures(request: gr.Request, job_id: str) -> Any:
        outputs = tab.services.outputs
        try:
            images = tab.services.jobs.get(job_id).shown()
        except JobNotFound:
            images = ()
        sources = [gallery_source(image, job_id, outputs, request.headers.get("origin", "")) for image in images]
        # The page's script learns by the class whose pictures these are, in the very moment in which they are there.
        return gr.Gallery(value=sources, elem_classes=[GALLERY_CLASS, f"easel-of-job-{job_id}"])

    refresh.click(
        show_pictures, [wanted], [gallery], js=f"() => [window.easel.pages.{tab.name}.gallery.wanted()]",
        **(SERVER | {"trigger_mode": "always_last"}),
    )


def _wire_generate(generate: Any, components: list[Any], tab: Tab) -> None:
    outcome = gr.Textbox(elem_id=f"{tab.name}_outcome", visible="hidden")
    collected = gr.Textbox(elem_id=f"{tab.name}_collected", visible="hidden")

    panels = tab.form.panels
    controls = list(panels.controls(tab.name))

    def submit(request: gr.Request, values: str, *foreign: object) -> str:
        if not values:
            return json.dumps({"quiet": True})
        owner = request.request.scope.get("user_name")
        form: dict[str, object] = json.loads(values)
        if controls:
            form[FOREIGN_FIELD] = panels.values(tab.name, foreign)
        return json.dumps(submit_form(form, tab.services, tab.chooser, owner))

    # The values travel as one text: Gradio looks for each input of a server event several times over.
    event = generate.click(None, components, None, js=tab.script("collect"), **FRONTEND_ONLY)
    script = f"(text, ...foreign) => [window.easel.pages.{tab.name}.form.collected, ...foreign]"
    # Foreign code gets its values as Gradio hands them out, pictures and files among them.
    how = SERVER | {"preprocess": bool(controls)}
    event = event.then(submit, [collected, *controls], [outcome], js=script, **how)
    show = f"(text) => {{ window.easel.pages.{tab.name}.outcome.show(text); return [] }}"
    event.then(None, [outcome], None, js=show, **FRONTEND_ONLY)


def wire_memory(page: Any, built: BuiltTab) -> None:
    """Have the browser keep the form and put it back after a reload; a hidden button fills it from a job.

    To be called outside of the tab, whose content is not in the document before it is opened. Another button tells the
    form's values to assets/form.js, which presses it once after a burst of input: a listener on each component would
    be called with all values for every key, and for every component when the page is built.
    """
    tab, components = built.tab, built.components
    form = f"window.easel.pages.{tab.name}.form"
    fill = gr.Button(elem_id=f"{tab.name}_fill", visible="hidden")
    fill.click(None, components, components, js=f"(...values) => {form}.fill(values)", **FRONTEND_ONLY)
    remember = gr.Button(elem_id=f"{tab.name}_remember", visible="hidden")
    remember.click(None, components, None, js=tab.script("remember"), **FRONTEND_ONLY)
    page.load(None, components, components, js=f"(...values) => {form}.restore(values)", **FRONTEND_ONLY)
