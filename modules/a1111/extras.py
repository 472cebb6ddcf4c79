"""A1111's modules.extras: what the PNG Info tab calls there."""

from __future__ import annotations

import html
from typing import Any

from modules.a1111 import images


def run_pnginfo(image: Any) -> tuple[str, str, str]:
    """Return nothing, a picture's infotext, and all that its file says as HTML."""
    if image is None:
        return "", "", ""
    text, items = images.read_info_from_image(image)
    every = {"parameters": text, **items} if text is not None else items
    row = "<div><p><b>{}</b></p><p>{}</p></div>".format
    rows = [row(html.escape(str(key)), html.escape(str(value))) for key, value in every.items()]
    return "", text or "", "".join(rows) or "<div><p>Nothing found in the image.</p></div>"
