"""Puts what cannot be used into everything that may be changed."""

import torch

from modules import script_callbacks, scripts


class BrokenValues(scripts.Script):
    def title(self):
        return "Broken values"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def post_sample(self, p, ps):
        ps.samples = torch.zeros(1, 2, 3)

    def postprocess_image(self, p, pp):
        pp.image = None

    def postprocess_image_after_composite(self, p, pp):
        pp.image = "a picture"


def wrong_rows(params):
    params.text_cond = params.text_cond[:0]


def wrong_shape(params):
    params.x = params.x[..., :1]


script_callbacks.on_cfg_denoiser(wrong_rows)
script_callbacks.on_cfg_denoised(wrong_shape)
script_callbacks.on_cfg_after_cfg(wrong_shape)
