"""A1111's modules.ui: the symbols of its buttons and the small helpers that extensions build their pages with."""

from __future__ import annotations

import html
import platform
from typing import Any

import gradio as gr

from modules.a1111._host import HOST
from modules.a1111._page_parts import parts
from modules.a1111.call_queue import wrap_gradio_call, wrap_gradio_call_no_job, wrap_gradio_gpu_call, wrap_queued_call
from modules.a1111.ui_common import create_output_panel, create_refresh_button, folder_symbol, refresh_symbol
from modules.a1111.ui_common import plaintext_to_html as _plain_paragraph
from modules.a1111.ui_components import (
    FormColumn,
    FormGroup,
    FormHTML,
    FormRow,
    InputAccordion,
    ResizeHandleRow,
    ToolButton,
)

__all__ = [
    "FormColumn", "FormGroup", "FormHTML", "FormRow", "InputAccordion", "ResizeHandleRow", "ToolButton",
    "create_output_panel", "create_refresh_button", "folder_symbol", "refresh_symbol", "wrap_gradio_call",
    "wrap_gradio_call_no_job", "wrap_gradio_gpu_call", "wrap_queued_call",
]  # fmt: skip

random_symbol = "\U0001f3b2\ufe0f"
reuse_symbol = "\u267b\ufe0f"
paste_symbol = "\u2199\ufe0f"
save_style_symbol = "\U0001f4be"
apply_style_symbol = "\U0001f4cb"
clear_prompt_symbol = "\U0001f5d1\ufe0f"
extra_networks_symbol = "\U0001f3b4"
switch_values_symbol = "\U000021c5"
restore_progress_symbol = "\U0001f300"
detect_image_size_symbol = "\U0001f4d0"
sample_img2img = None


def __getattr__(name: str) -> Any:
    """Return what an infotext fills in on a tab, under the names that older versions had for it."""
    if name in ("txt2img_paste_fields", "img2img_paste_fields"):
        return parts().paste_fields(name.partition("_")[0])
    raise AttributeError(name)


def plaintext_to_html(text: str, classname: str | None = None) -> str:
    """Return a text as a paragraph of HTML."""
    return _plain_paragraph(text, classname)


def gr_show(visible: bool = True) -> dict[str, Any]:
    """Return the update that shows a component, or hides it."""
    return {"visible": True if visible else "hidden", "__type__": "update"}


def send_gradio_gallery_to_image(x: Any) -> Any:
    """Return a gallery's first picture; None for an empty one."""
    return x[0] if x else None


def calc_resolution_hires(
    enable: bool, width: int, height: int, hr_scale: float, hr_resize_x: int, hr_resize_y: int
) -> str:
    """Return the size of the first pass and of the second as HTML; "" without a second."""
    if not enable:
        return ""
    if hr_resize_x or hr_resize_y:
        wide = hr_resize_x or int(hr_resize_y * width // height)
        high = hr_resize_y or int(hr_resize_x * height // width)
    else:
        wide, high = int(width * hr_scale), int(height * hr_scale)
    size = f"<span class='resolution'>{width}x{height}</span>"
    return f"from {size} to <span class='resolution'>{wide}x{high}</span>"


def resize_from_to_html(width: int, height: int, scale_by: float) -> str:
    """Return a size before and after scaling as HTML."""
    target = f"{int(width * scale_by)}x{int(height * scale_by)}"
    if not width or not height:
        return "no image selected"
    return f"resize: from <span class='resolution'>{width}x{height}</span> to <span class='resolution'>{target}</span>"


def ordered_ui_categories() -> list[str]:
    """Return the parts of a generation tab in their order."""
    return [
        "sampler", "accordions", "checkboxes", "dimensions", "cfg", "denoising", "seed", "batch", "override_settings",
        "scripts",
    ]  # fmt: skip


def versions_html() -> str:
    """Return which programs of which versions are running, as HTML."""
    parts = {"python": platform.python_version(), "gradio": gr.__version__}
    return "\n&#x2000;•&#x2000;\n".join(f"{name}: {html.escape(version)}" for name, version in parts.items())


def apply_setting(key: str, value: Any) -> Any:
    """Give an option another value, and return the update that shows it."""
    if value is None:
        return gr.update()
    HOST.connected.settings.update({key: value})
    return value


def connect_clear_prompt(button: Any) -> None:
    """Have a button empty the prompts: Easel's page has one of its own, so there is nothing to be done."""
