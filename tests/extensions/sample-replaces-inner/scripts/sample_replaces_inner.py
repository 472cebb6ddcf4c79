"""Replaces process_images_inner, brings a script for the dropdown, and makes runs inside a run and outside of any."""

import copy

from modules import processing, script_callbacks, scripts
from modules.processing import Processed, StableDiffusionProcessingImg2Img, StableDiffusionProcessingTxt2Img

SEEN = {"inner": [], "nested": []}
NESTED = [False]
ORIGINAL = processing.process_images_inner


def process_images_inner(p):
    SEEN["inner"].append((type(p).__name__, p.prompt, p.steps))
    p.extra_generation_params["Inner"] = "replaced"
    return ORIGINAL(p)


processing.process_images_inner = process_images_inner
script_callbacks.on_script_unloaded(lambda: setattr(processing, "process_images_inner", ORIGINAL))


class Repeat(scripts.Script):
    def title(self):
        return "Repeat with other seeds"

    def ui(self, is_img2img):
        return []

    def run(self, p):
        processing.fix_seed(p)
        images, texts, seeds = [], [], []
        for number in range(3):
            one = copy.copy(p)
            one.seed, one.n_iter, one.batch_size = p.seed + 100 * number, 1, 1
            made = processing.process_images(one)
            images += made.images
            texts += made.infotexts
            seeds.append(one.seed)
        return Processed(p, images, p.seed, texts[0], infotexts=texts, all_seeds=seeds)


class Nested(scripts.Script):
    def title(self):
        return "Nested"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def postprocess_image(self, p, pp):
        if not NESTED[0] or isinstance(p, StableDiffusionProcessingImg2Img):
            return
        inner = StableDiffusionProcessingImg2Img(
            init_images=[pp.image], prompt=p.prompt, steps=2, denoising_strength=0.5, width=p.width, height=p.height,
            sampler_name="Euler", seed=7, do_not_save_samples=True, inpaint_full_res=False,
        )  # fmt: skip
        made = processing.process_images(inner)
        SEEN["nested"].append(len(made.images))
        pp.image = made.images[0]


def make_outside(prompt):
    p = StableDiffusionProcessingTxt2Img(
        prompt=prompt, steps=2, width=64, height=64, sampler_name="Euler", seed=3, batch_size=2
    )
    return processing.process_images(p)
