"""Breaks wherever its part of the page is built."""

from modules import script_callbacks, scripts


class NoTitle(scripts.Script):
    def title(self):
        raise ValueError("broken title")

    def show(self, is_img2img):
        return scripts.AlwaysVisible


class NoControls(scripts.Script):
    def title(self):
        return "No controls"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return ["no component"]


class NeverShown(scripts.Script):
    def title(self):
        return "Never shown"

    def show(self, is_img2img):
        raise ValueError("broken show")


def broken(*args, **kwargs):
    raise ValueError("broken callback of the page")


for register in ("before_ui", "ui_tabs", "ui_settings", "after_component", "app_started", "model_loaded"):
    getattr(script_callbacks, f"on_{register}")(broken)
