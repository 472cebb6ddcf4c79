"""Callbacks only: options, a route, what the network is asked, and pictures before and after saving."""

from modules import script_callbacks, shared

SEEN = {"steps": [], "saved": [], "before": [], "shapes": [], "guided": 0, "changed": []}
STRENGTH = [0.0]


def on_ui_settings():
    section = ("sample", "Sample extension")
    shared.opts.add_option(
        key="sample_amount",
        info=shared.OptionInfo(
            3, "How many", None, {"minimum": 0, "maximum": 9}, section=section,
            onchange=lambda: SEEN["changed"].append(shared.opts.sample_amount),
        ).info("of them"),
    )
    shared.opts.add_option("sample_names", shared.OptionInfo(["a"], "Names", section=section))
    shared.opts.add_option(
        "sample_mode", shared.OptionInfo("soft", "Mode", None, lambda: {"choices": ["soft", "hard"]}, section=section)
    )


def on_app_started(demo, app):
    @app.get("/sample/amount")
    def amount():
        return {"amount": shared.opts.sample_amount}


def on_cfg_denoiser(params):
    SEEN["shapes"].append((tuple(params.x.shape), tuple(params.text_cond.shape), tuple(params.text_uncond.shape)))
    SEEN["steps"].append((params.sampling_step, params.total_sampling_steps))
    params.text_cond = params.text_cond * (1 - STRENGTH[0])


def on_cfg_after_cfg(params):
    SEEN["guided"] += 1


def on_before_image_saved(params):
    SEEN["before"].append(params.filename)
    params.pnginfo["parameters"] += ", Sample: seen"


def on_image_saved(params):
    SEEN["saved"].append(params.filename)


script_callbacks.on_ui_settings(on_ui_settings)
script_callbacks.on_app_started(on_app_started)
script_callbacks.on_cfg_denoiser(on_cfg_denoiser)
script_callbacks.on_cfg_after_cfg(on_cfg_after_cfg)
script_callbacks.on_before_image_saved(on_before_image_saved)
script_callbacks.on_image_saved(on_image_saved)
