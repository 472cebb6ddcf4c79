"""Every method of its script breaks."""

from modules import scripts


def broken(*args, **kwargs):
    raise ValueError("broken hook")


class BrokenHooks(scripts.Script):
    def title(self):
        return "Broken hooks"

    def show(self, is_img2img):
        return scripts.AlwaysVisible


for name in (
    "setup", "before_process", "process", "before_process_batch", "after_extra_networks_activate", "process_batch",
    "process_before_every_sampling", "post_sample", "postprocess_batch", "postprocess_batch_list", "postprocess_image",
    "postprocess_image_after_composite", "postprocess",
):
    setattr(BrokenHooks, name, broken)
