"""The txt2img tab: the prompts and their tools, the settings, the buttons over a running job, and the gallery."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from modules.core.errors import EaselError, InvalidRequest, JobNotFound
from modules.core.parameters import PARAMETERS
from modules.web.checkpoints import CheckpointChooser
from modules.web.forms import STYLES_FIELD, TXT2IMG_FIELDS, choices_of, make_component
from modules.web.pages.events import FRONTEND_ONLY, SERVER
from modules.web.pages.txt2img_settings import build_settings_column
from modules.web.requests import RequestMaker
from modules.web.services import WebServices

TAB = "txt2img"
LISTED = ("hr_checkpoint", "refiner_checkpoint")
"""Fields whose choices change while the server runs."""
SHOW_OUTCOME = "(text) => { window.easel.messages.outcome(text); return [] }"
REMEMBER = "(...values) => { window.easel.form.remember(values); return [] }"
COLLECT = "(...values) => { window.easel.form.collect(values); return [] }"
COLLECTED = "() => [window.easel.form.collected]"
FILL = "(...values) => window.easel.form.fill(values)"
RESTORE = "(...values) => window.easel.form.restore(values)"


@dataclass(frozen=True, slots=True)
class ListedFields:
    """The dropdowns whose choices change while the server runs.

    `updates` returns their present choices; for a page that is new (True) only those that are not as it was built.
    """

    components: list[Any]
    updates: Callable[[bool], list[Any]]


def build_txt2img(page: Any, services: WebServices, chooser: CheckpointChooser) -> ListedFields:
    """Build the tab's content and wire its events."""
    fields: dict[str, Any] = {}

    def add(name: str) -> Any:
        fields[name] = make_component(TAB, name, services.lists)
        return fields[name]

    with gr.Row(elem_id=f"{TAB}_toprow", elem_classes=["easel-toprow"]):
        with gr.Column(scale=6, elem_id=f"{TAB}_prompt_container", min_width=300):
            _build_prompt(add, "prompt", "token_counter")
            _build_prompt(add, "negative_prompt", "negative_token_counter")
            gr.HTML("", elem_id=f"{TAB}_inspector", js_on_load=None)
        with gr.Column(scale=1, elem_id=f"{TAB}_actions_column", min_width=240):
            generate = _build_buttons()
            _build_tools(add)
    for place in ("extra_tabs", "library"):
        gr.HTML("", elem_id=f"{TAB}_{place}", elem_classes=["easel-library-place"], js_on_load=None)
    with gr.Row(elem_id=f"{TAB}_generation", elem_classes=["easel-columns"]):
        with gr.Column(scale=5, elem_id=f"{TAB}_settings", min_width=320):
            build_settings_column(TAB, add)
        with gr.Column(scale=6, elem_id=f"{TAB}_results", min_width=320):
            _build_results(services)
    components = [fields[name] for name in TXT2IMG_FIELDS]
    _wire_generate(generate, components, services, chooser)
    _wire_memory(page, components)
    return _listed_fields(fields, services)


def submit_form(
    values: Sequence[object], services: WebServices, chooser: CheckpointChooser, owner: str | None
) -> dict[str, object]:
    """Put the form's request into the queue; return the job's id, or what is wrong field by field."""
    maker = RequestMaker(services, chooser)
    try:
        request = maker.from_values(dict(zip(TXT2IMG_FIELDS, values, strict=True)))
        job = services.jobs.submit(request, owner, maker.purpose())
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
    components = [fields[name] for name in (*LISTED, STYLES_FIELD)]
    built = [[text for text, _ in component.choices] for component in components]

    def updates(new_page: bool) -> list[Any]:
        present = [choices_of(PARAMETERS[name], services.lists) for name in LISTED]
        present.append([style.name for style in services.styles.styles()])
        return [
            gr.skip() if new_page and now == then else gr.Dropdown(choices=now)
            for now, then in zip(present, built, strict=True)
        ]

    return ListedFields(components, updates)


def _build_prompt(add: Callable[[str], Any], name: str, counter: str) -> None:
    with gr.Column(elem_classes=["easel-prompt-box"]):
        add(name)
        gr.HTML("<span>0/75</span>", elem_id=f"{TAB}_{counter}", elem_classes=["easel-counter"], js_on_load=None)


def _build_buttons() -> Any:
    with gr.Column(elem_id=f"{TAB}_generate_box", elem_classes=["easel-generate-box"]):
        generate = gr.Button("Generate", variant="primary", elem_id=f"{TAB}_generate")
        gr.Button("Interrupt", elem_id=f"{TAB}_interrupt", elem_classes=["easel-while-running"])
        gr.Button("Skip", elem_id=f"{TAB}_skip", elem_classes=["easel-while-running"])
    gr.HTML("", elem_id=f"{TAB}_message", js_on_load=None)
    return generate


def _build_tools(add: Callable[[str], Any]) -> None:
    """Build the styles and the place of the small buttons, which assets/prompt_tools.js makes."""
    gr.HTML("", elem_id=f"{TAB}_tools", js_on_load=None)
    with gr.Row(elem_id=f"{TAB}_styles_row", elem_classes=["easel-styles-row"]):
        add(STYLES_FIELD)
        gr.HTML("", elem_id=f"{TAB}_styles_edit", js_on_load=None)


def _build_results(services: WebServices) -> None:
    gr.HTML("", elem_id=f"{TAB}_progress", js_on_load=None)
    with gr.Column(elem_id=f"{TAB}_gallery_container"):
        gallery = gr.Gallery(
            label="Output",
            show_label=False,
            elem_id=f"{TAB}_gallery",
            interactive=False,
            preview=True,
            columns=4,
            height="auto",
            object_fit="contain",
            buttons=[],
        )
        gr.HTML("", elem_id=f"{TAB}_live_preview", js_on_load=None)
    gr.HTML("", elem_id=f"image_buttons_{TAB}", js_on_load=None)
    gr.HTML("", elem_id=f"html_info_{TAB}", elem_classes=["easel-infotext"], js_on_load=None)
    refresh = gr.Button(elem_id=f"{TAB}_gallery_refresh", visible="hidden")
    wanted = gr.Textbox(elem_id=f"{TAB}_gallery_wanted", visible="hidden")

    def show_pictures(text: str) -> Any:
        wish: Mapping[str, Any] = json.loads(text)
        try:
            images = services.jobs.get(str(wish["job"])).images
        except JobNotFound:
            images = ()
        selected = min(int(wish["selected"]), len(images) - 1) if images else None
        return gr.Gallery(value=[str(image.path) for image in images], selected_index=selected)

    refresh.click(
        show_pictures, [wanted], [gallery], js="() => [window.easel.gallery.wanted()]",
        **(SERVER | {"trigger_mode": "always_last"}),
    )


def _wire_generate(
    generate: Any, components: list[Any], services: WebServices, chooser: CheckpointChooser
) -> None:
    outcome = gr.Textbox(elem_id=f"{TAB}_outcome", visible="hidden")
    collected = gr.Textbox(elem_id=f"{TAB}_collected", visible="hidden")

    def submit(request: gr.Request, values: str) -> str:
        owner = request.request.scope.get("user_name")
        return json.dumps(submit_form(json.loads(values), services, chooser, owner))

    # The values travel as one text: Gradio looks for each input of a server event several times over.
    event = generate.click(None, components, None, js=COLLECT, **FRONTEND_ONLY)
    event = event.then(submit, [collected], [outcome], js=COLLECTED, **SERVER)
    event.then(None, [outcome], None, js=SHOW_OUTCOME, **FRONTEND_ONLY)


def _wire_memory(page: Any, components: list[Any]) -> None:
    """Have the browser keep the form and put it back after a reload; a hidden button fills it from a job.

    Another one tells the form's values to assets/form.js, which presses it once after a burst of input: a listener on
    each component would be called with all values for every key, and for every component when the page is built.
    """
    fill = gr.Button(elem_id=f"{TAB}_fill", visible="hidden")
    fill.click(None, components, components, js=FILL, **FRONTEND_ONLY)
    remember = gr.Button(elem_id=f"{TAB}_remember", visible="hidden")
    remember.click(None, components, None, js=REMEMBER, **FRONTEND_ONLY)
    page.load(None, components, components, js=RESTORE, **FRONTEND_ONLY)
