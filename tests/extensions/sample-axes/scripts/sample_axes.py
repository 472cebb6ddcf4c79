"""Axes for X/Y/Z plot as extensions add them: one that sets an attribute of `p`, one with prepared values, one of options."""

from functools import partial

from modules import script_callbacks, scripts, shared

SEEN = []


def find_plot():
    for data in scripts.scripts_data:
        if data.script_class.__module__ == "xyz_grid.py":
            return data.module
    return None


def set_value(p, x, xs, *, field):
    if not hasattr(p, "_sample_xyz"):
        p._sample_xyz = {}
    p._sample_xyz[field] = x


def set_option(p, x, xs):
    shared.opts.data["sample_axes_option"] = x


def confirm_modes(p, xs):
    for x in xs:
        if x not in ("soft", "hard"):
            raise RuntimeError(f"Unknown mode: {x} ({p.width} pixels wide)")


def fail(p, x, xs):
    raise ValueError("broken on purpose")


def add_axes():
    plot = find_plot()
    if plot is None or any(option.label.startswith("[Sample]") for option in plot.axis_options):
        return
    plot.axis_options.extend([
        plot.AxisOption("[Sample] Amount", float, partial(set_value, field="amount")),
        plot.AxisOption(
            "[Sample] Mode", str, partial(set_value, field="mode"), confirm=confirm_modes, cost=0.5,
            choices=lambda: ["soft", "hard"],
        ),
        plot.AxisOptionTxt2Img("[Sample] Pairs", tuple, partial(set_value, field="pair"),
                               format_value=lambda p, opt, x: "+".join(x),
                               prepare=lambda text: [part.split("=") for part in text.split(";")]),
        plot.AxisOptionImg2Img("[Sample] Picture", int, plot.apply_field("sample_picture")),
        plot.AxisOption("[Sample] Option", int, set_option),
        plot.AxisOption("[Sample] Steps", int, plot.apply_field("steps")),
        plot.AxisOption("[Sample] Broken", str, fail),
    ])


class SampleAxes(scripts.Script):
    def __init__(self):
        # Many extensions do so, once for each tab: the axis is for this very script.
        self.cache = {}
        plot = find_plot()
        plot.axis_options.append(plot.AxisOption("[Own sample] Cached", int, self.keep))

    def keep(self, p, x, xs):
        self.cache["cached"] = x

    def title(self):
        return "Sample axes"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def process(self, p):
        values = {**getattr(p, "_sample_xyz", {}), **self.cache}
        self.cache.clear()
        SEEN.append((values, getattr(shared.opts, "sample_axes_option", None), p.steps))
        p.extra_generation_params |= {f"Sample {name}": str(value) for name, value in values.items()}


script_callbacks.on_before_ui(add_axes)
