"""A template: an extension that darkens the corners of every picture. Copy this folder into `extensions/`.

docs/hooks.md tells of every moment in which a plugin can take part, and of what it is handed there. The file may import
its neighbours: `from .looks import palette`. Packages that it needs stand in a `requirements.txt` beside it.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from modules.core.parameter import Parameter
from modules.hooks.plugins import PluginDescription
from modules.hooks.registry import RunStart
from modules.hooks.spec import Picture, RunListener

# A parameter is declared once. Form, API, the key in infotexts, pasting and an axis of X/Y/Z plot follow from that.
ENABLED = Parameter("enabled", "Vignette", "flag", False, "Darken the corners.", infotext="Vignette")
AMOUNT = Parameter(
    "amount", "Amount", "number", 0.5, "How dark the corners get: 0 leaves them as they are, 1 makes them black.",
    minimum=0, maximum=1, step=0.05, infotext="Vignette amount",
)  # fmt: skip


class Vignette:
    """The plugin. `place="section"` makes it an accordion of the form, which the flag `switch` turns on and off."""

    description = PluginDescription("vignette", "Vignette", (ENABLED, AMOUNT), place="section", switch="enabled")

    def listen(self, run: RunStart) -> RunListener:
        """Return what takes part in a run that begins; `run.values` holds the parameters, `run.say` tells the user."""
        return Corners(float(run.values["amount"]))


class Corners(RunListener):
    """One run: it may keep what it needs until the run's end."""

    def __init__(self, amount: float) -> None:
        """Take how dark the corners get, 0 to 1."""
        self.amount = amount

    def on_picture(self, picture: Picture) -> None:
        """Darken a finished picture before it is saved; it may be replaced, with its infotext."""
        picture.pixels = darkened(picture.pixels, self.amount)


def darkened(picture: Image.Image, amount: float) -> Image.Image:
    """Return a picture whose brightness falls with the square of the distance from its middle."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32)
    across, down = (np.linspace(-1, 1, size) for size in (picture.width, picture.height))
    distance = (across[None, :] ** 2 + down[:, None] ** 2) / 2
    return Image.fromarray((pixels * (1 - amount * distance[..., None])).astype(np.uint8))


PLUGINS = [Vignette()]
