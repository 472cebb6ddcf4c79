"""Puts parts of its own into `p`: noise and sampling; brings a kind of network, an upscaler and a face restorer."""

import torch
from PIL import Image

from modules import extra_networks, face_restoration, script_callbacks, scripts, shared, upscaler

DO = set()
SEEN = []


class Still:
    """Noise that is the same for every picture."""

    def __init__(self, like):
        self.like = like
        self.draws = 0

    def next(self):
        self.draws += 1
        generator = torch.Generator().manual_seed(self.draws)
        one = torch.randn(self.like.shape, generator=generator)
        return torch.stack([one] * len(self.like.seeds))


class SampleParts(scripts.Script):
    def title(self):
        return "Sample parts"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def process_batch(self, p, **kwargs):
        SEEN.append(("rng", type(p.rng).__name__, p.rng.shape, list(p.rng.seeds)))
        if "rng" in DO:
            p.rng = Still(p.rng)
        if "sample" in DO:
            original = p.sample

            def sample(conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
                SEEN.append(("sample", list(seeds), list(prompts)))
                latents = original(conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts)
                return latents.flip(-1)

            p.sample = sample
        if "broken" in DO:
            def broken(*args, **kwargs):
                raise ValueError("broken on purpose")

            p.sample = broken


class Shout(extra_networks.ExtraNetwork):
    """A kind of network: <shout:name:strength>."""

    def __init__(self):
        super().__init__("shout")

    def activate(self, p, params_list):
        SEEN.append(("activate", [params.positional for params in params_list]))

    def deactivate(self, p):
        SEEN.append(("deactivate",))


class Blocks(upscaler.Upscaler):
    """Enlarges with nearest pixels, and paints the picture's corner green."""

    def __init__(self):
        super().__init__()
        self.name = "Blocks"
        self.scalers = [upscaler.UpscalerData("Blocks 2x", None, self, 2)]

    def do_upscale(self, img, selected_model):
        SEEN.append(("upscale", img.size))
        made = img.resize((img.width * 2, img.height * 2), Image.NEAREST)
        made.paste((0, 255, 0), (0, 0, 32, 32))
        return made


class Blush(face_restoration.FaceRestoration):
    """Makes whole pictures red."""

    def name(self):
        return "Blush"

    def restore(self, np_image):
        made = np_image.copy()
        made[:, :, 0] = 255
        return made


def on_before_ui():
    extra_networks.register_extra_network(Shout())
    if not any(each.name() == "Blush" for each in shared.face_restorers):
        shared.face_restorers.append(Blush())


script_callbacks.on_before_ui(on_before_ui)
