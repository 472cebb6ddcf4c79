"""An always-on script with controls: it edits prompts, notes itself in the infotext, and tints every picture."""

import gradio as gr
from helpers import TAG
from PIL import ImageOps

from modules import scripts

FOLDER = scripts.basedir()
CALLS = []


class SampleAlwaysOn(scripts.Script):
    def title(self):
        return "Sample always on"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        with gr.Accordion(TAG, open=False):
            enabled = gr.Checkbox(value=False, label="Enabled", elem_id=self.elem_id("enabled"))
            suffix = gr.Textbox(value="at night", label="Suffix", elem_id=self.elem_id("suffix"))
        self.infotext_fields = [(enabled, "Sample enabled"), (suffix, "Sample suffix")]
        self.paste_field_names = ["sample_suffix"]
        return [enabled, suffix]

    def before_process(self, p, enabled, suffix):
        CALLS.append("before_process")

    def process(self, p, enabled, suffix):
        CALLS.append(("process", enabled, suffix, list(p.all_seeds)))
        if not enabled:
            return
        p.all_prompts = [f"{prompt}, {suffix} {number}" for number, prompt in enumerate(p.all_prompts)]
        p.extra_generation_params["Sample suffix"] = suffix
        p.extra_generation_params["Sample number"] = [str(number) for number in range(len(p.all_prompts))]

    def before_process_batch(self, p, enabled, suffix, **kwargs):
        CALLS.append(("before_process_batch", kwargs["batch_number"], list(kwargs["prompts"])))

    def process_batch(self, p, enabled, suffix, **kwargs):
        CALLS.append(("process_batch", kwargs["batch_number"], list(kwargs["seeds"])))

    def postprocess_batch(self, p, enabled, suffix, **kwargs):
        CALLS.append(("postprocess_batch", tuple(kwargs["images"].shape)))

    def postprocess_batch_list(self, p, pp, enabled, suffix, **kwargs):
        CALLS.append(("postprocess_batch_list", len(pp.images)))

    def postprocess_image(self, p, pp, enabled, suffix):
        CALLS.append(("postprocess_image", p.batch_index))
        if enabled:
            pp.image = ImageOps.invert(pp.image)

    def postprocess(self, p, processed, enabled, suffix):
        CALLS.append(("postprocess", len(processed.images)))
