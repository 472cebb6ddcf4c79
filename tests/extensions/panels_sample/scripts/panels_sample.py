"""A sample extension with what most have on the page: a folded section, a script, a tab, settings and events."""

import gradio as gr

from modules import script_callbacks, scripts, shared
from modules.infotext_utils import ParamBinding, register_paste_params_button
from modules.ui_components import FormRow, InputAccordion, ToolButton

SEEN = []
FILES = ["none"]
MADE = []


class Always(scripts.Script):
    def __init__(self):
        MADE.append(self)

    def title(self):
        return "Panels sample"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        tab = "img2img" if is_img2img else "txt2img"
        with gr.Accordion("Panels sample", open=False, elem_id=f"{tab}_panels_sample"):
            with FormRow():
                enabled = gr.Checkbox(label="Sample enabled", value=False, elem_id=f"{tab}_sample_enabled")
                amount = gr.Slider(minimum=0, maximum=10, step=1, label="Sample amount", value=3, elem_id=f"{tab}_sample_amount")
            secret = gr.Textbox(value="hidden", visible=False, elem_id=f"{tab}_sample_secret")
            picture = gr.Image(source="upload", type="pil", elem_id=f"{tab}_sample_picture")
            state = gr.State({1, 2})
            button = ToolButton("🔄", elem_id=f"{tab}_sample_button", tooltip="Doubles the amount")
        with InputAccordion(False, label="Switched sample", elem_id=f"{tab}_sample_switch") as switched:
            inner = gr.Number(label="Inner", value=5, elem_id=f"{tab}_sample_inner")
        button.click(fn=lambda value: gr.Slider.update(value=value * 2), inputs=[amount], outputs=[amount], _js="sampleClicked")
        return [enabled, amount, secret, picture, state, switched, inner]

    def after_component(self, component, **kwargs):
        SEEN.append(kwargs.get("elem_id"))


class Chosen(scripts.Script):
    def title(self):
        return "Chosen sample"

    def ui(self, is_img2img):
        kind = gr.Dropdown(["first", "second"], value="second", type="index", label="Sample kind",
                           elem_id=f"{'img2img' if is_img2img else 'txt2img'}_sample_kind")
        return [kind]


def measured(value):
    return "nothing" if value is None else f"{value['image'].size} {value['mask'].getextrema()[0]}"


def on_ui_tabs():
    with gr.Blocks(analytics_enabled=False, css=".sample-css {color: rgb(1, 2, 3)}") as tab:
        with gr.Tabs():
            with gr.TabItem("One"):
                text = gr.Textbox(label="Text", elem_id="sample_text")
                with gr.Box(elem_id="sample_box"):
                    button = gr.Button("Reverse", elem_id="sample_reverse")
            with gr.TabItem("Two"):
                gr.HTML("<b>deep</b>", elem_id="sample_deep")
                shown = gr.Textbox(label="Infotext", elem_id="sample_infotext")
                send = gr.Button("Send", elem_id="sample_send")
                sheet = gr.Image(tool="sketch", type="pil", label="Sheet", elem_id="sample_sheet")
                size = gr.Textbox(label="Size", elem_id="sample_size")
                measure = gr.Button("Measure", elem_id="sample_measure")
        register_paste_params_button(ParamBinding(paste_button=send, tabname="txt2img", source_text_component=shown))
        measure.click(measured, inputs=[sheet], outputs=[size])
        button.click(lambda value: value[::-1], inputs=[text], outputs=[text], show_progress=False)
    return [(tab, "Sample tab", "sample_tab")]


def on_ui_settings():
    section = ("sample", "Panels sample")
    shared.opts.add_option("panels_sample_option", shared.OptionInfo(7, "Sample option", gr.Slider,
                           {"minimum": 0, "maximum": 10, "step": 1}, section=section))
    note = shared.OptionHTML("Written <b>between</b> options, see <a href='https://example.org/help'>the help</a>.")
    note.section = section
    shared.opts.add_option("panels_sample_note", note)
    shared.opts.add_option("panels_sample_colour", shared.OptionInfo("#102030", "Sample colour", gr.ColorPicker, {}, section=section))
    shared.opts.add_option("panels_sample_some", shared.OptionInfo(["one"], "Sample names", gr.CheckboxGroup,
                           {"choices": ["one", "two", "three"]}, section=section))
    shared.opts.add_option("panels_sample_kept", shared.OptionInfo("kept", "Out of sight", gr.Textbox, {"visible": False}, section=section))
    shared.opts.add_option("panels_sample_file", shared.OptionInfo("none", "Sample file", gr.Dropdown,
                           lambda: {"choices": list(FILES)}, refresh=lambda: FILES.append(f"file {len(FILES)}"), section=section))


script_callbacks.on_ui_tabs(on_ui_tabs)
script_callbacks.on_ui_settings(on_ui_settings)
