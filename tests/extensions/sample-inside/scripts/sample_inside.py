"""An always-on script that reaches into the model: what is put in ACTION is called with `p` before anything is made."""

from modules import scripts

ACTION = []
BATCH = []


class SampleInside(scripts.Script):
    def title(self):
        return "Sample inside"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def process(self, p, *args):
        for action in ACTION:
            action(p)

    def process_batch(self, p, *args, **kwargs):
        for action in BATCH:
            action(p)
