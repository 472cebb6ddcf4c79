"""Wants what sample-sampler has too: the same function, the same option, the same id, the same kind of network."""

import gradio as gr

from modules import extra_networks, processing, script_callbacks, scripts, sd_samplers, shared

inner = sd_samplers.create_sampler
sd_samplers.create_sampler = lambda name, model: inner(name or "Euler", model)
processing.StableDiffusionProcessing.rival = True
processing.create_infotext_of_rival = processing.create_infotext
processing.StableDiffusionProcessing.setup_prompts = lambda self: None
sd_samplers.all_samplers_map.clear()
sd_samplers.samplers.append(None)
shared.opts.add_option("sample_shared", shared.OptionInfo(1, "Shared", section=("rival", "Rival")))


class Rival(extra_networks.ExtraNetwork):
    pass


extra_networks.register_extra_network(Rival("sample"))


class SampleRival(scripts.Script):
    def title(self):
        return "Sample rival"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return [gr.Checkbox(label="Rival", elem_id="sample_shared_id")]


def start(demo, app):
    scripts.scripts_txt2img.run = lambda p, *args: None


script_callbacks.on_app_started(start)
