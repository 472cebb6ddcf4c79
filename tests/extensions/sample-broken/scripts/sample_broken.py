"""Fails where an extension may fail: in its calls while pictures are made."""

from modules import script_callbacks, scripts, sd_hijack


class Broken(scripts.Script):
    def title(self):
        return "Broken"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def process(self, p):
        raise ValueError("broken on purpose")

    def postprocess_image(self, p, pp):
        sd_hijack.model_hijack.embedding_db.anything()


script_callbacks.on_ui_settings(lambda: 1 / 0)
