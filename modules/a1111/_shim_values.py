"""What galleries hand to functions: Gradio 3's dictionaries and Gradio 4's pairs in one (S21).

And labels: extensions have invisible ones among an event's inputs, in whose place its script puts what it likes (S27).
"""

from __future__ import annotations

import functools
from typing import Any

import gradio as gr
from gradio.components.label import LabelData
from pydantic import ValidationError

from modules.a1111._patching import Patches


class GalleryEntry(tuple[Any, Any]):
    """A picture and its caption, which also answers as {"name": path, "data": address, "is_file": True} would."""

    file: dict[str, Any]

    def __new__(cls, pair: Any, path: str, address: str) -> GalleryEntry:
        """Make the entry of a pair, a file and where that is served."""
        made = super().__new__(cls, pair)
        made.file = {"name": path, "data": address, "is_file": True}
        return made

    def __getitem__(self, key: Any) -> Any:
        """Return a part by its place or name."""
        return self.file[key] if isinstance(key, str) else super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a part by its name."""
        return self.file.get(key, default)


class LabelValue(LabelData):
    """What a label shows, or anything else that a script has put in its place."""

    @classmethod
    def model_validate(cls, obj: Any, **rules: Any) -> Any:
        """Return what a label shows, as an object; anything else as it is."""
        try:
            return super().model_validate(obj, **rules)
        except ValidationError:
            return obj


def add_label_values(patches: Patches) -> None:
    """Have labels hand over whatever has been put into them."""
    original = gr.Label.__dict__["preprocess"]

    @functools.wraps(original)
    def preprocess(self: Any, payload: Any) -> Any:
        return original(self, payload) if payload is None or isinstance(payload, LabelData) else payload

    patches.set(gr.Label, "data_model", LabelValue)
    patches.set(gr.Label, "preprocess", preprocess)


def add_gallery_values(patches: Patches) -> None:
    """Have galleries of extensions hand over such entries."""
    original = gr.Gallery.__dict__["preprocess"]

    @functools.wraps(original)
    def preprocess(self: Any, payload: Any) -> Any:
        values = original(self, payload)
        if not hasattr(self, "easel_extension") or not values:
            return values
        return [_entry(value, item) for value, item in zip(values, payload.root, strict=True)]

    patches.set(gr.Gallery, "preprocess", preprocess)


def _entry(pair: Any, item: Any) -> GalleryEntry:
    file = getattr(item, "image", None) or item.video
    return GalleryEntry(pair, str(file.path or ""), str(file.url or ""))
