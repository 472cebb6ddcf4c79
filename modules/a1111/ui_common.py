"""A1111's modules.ui_common: refresh buttons, output panels and texts as HTML."""

from __future__ import annotations

import html
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from modules.a1111._host import HOST
from modules.a1111.ui_components import ToolButton

folder_symbol = "\U0001f4c2"
refresh_symbol = "\U0001f504"


@dataclass(frozen=True, slots=True)
class OutputPanel:
    """The parts of a place where pictures are shown."""

    gallery: Any = None
    generation_info: Any = None
    infotext: Any = None
    html_log: Any = None
    button_upscale: Any = None


def plaintext_to_html(text: str, classname: str | None = None) -> str:
    """Return a text as paragraphs of HTML, with nothing in it that is markup."""
    body = "<br>\n".join(html.escape(line) for line in str(text).split("\n"))
    return f"<p class='{html.escape(classname)}'>{body}</p>" if classname else f"<p>{body}</p>"


def update_generation_info(generation_info: Any, html_info: Any, img_index: Any) -> tuple[Any, Any]:
    """Return the infotext of a gallery's picture as HTML, twice as the events want it."""
    try:
        infotexts = json.loads(generation_info)["infotexts"]
        return plaintext_to_html(infotexts[int(img_index)]), gr.update()
    except (ValueError, TypeError, KeyError, IndexError):
        return html_info, gr.update()


def create_output_panel(tabname: str, outdir: str, toprow: Any = None) -> OutputPanel:
    """Make a gallery with its texts and the places of its buttons, in the layout that is being built."""
    with gr.Column(elem_id=f"{tabname}_results"):
        with gr.Group(elem_id=f"{tabname}_gallery_container"):
            gallery = gr.Gallery(
                label="Output", show_label=False, elem_id=f"{tabname}_gallery", columns=4, preview=True, height="auto",
                interactive=False, format="png",
            )  # fmt: skip
        with gr.Row(elem_id=f"image_buttons_{tabname}", elem_classes=["image-buttons"]):
            for target, symbol in (("img2img", "🖼️"), ("inpaint", "🎨️"), ("extras", "📐")):
                ToolButton(symbol, elem_id=f"{tabname}_send_to_{target}", tooltip=f"Send to {target}.")
        with gr.Group():
            infotext = gr.HTML(elem_id=f"html_info_{tabname}", elem_classes=["infotext"])
            html_log = gr.HTML(elem_id=f"html_log_{tabname}", elem_classes=["html-log"])
            generation_info = gr.Textbox(visible="hidden", elem_id=f"generation_info_{tabname}")
    return OutputPanel(gallery, generation_info, infotext, html_log)


def create_refresh_button(
    refresh_component: Any, refresh_method: Callable[[], Any], refreshed_args: Any, elem_id: str
) -> ToolButton:
    """Make a small button that looks at something again, and then changes one component or several by arguments."""
    components = refresh_component if isinstance(refresh_component, list) else [refresh_component]

    def refresh() -> Any:
        refresh_method()
        args = refreshed_args() if callable(refreshed_args) else refreshed_args
        for name, value in args.items():
            for component in components:
                setattr(component, name, value)
        updates = [gr.update(**(args or {})) for _ in components]
        return updates if len(updates) > 1 else updates[0]

    label = next((each.label for each in components if getattr(each, "label", None)), "")
    tooltip = f"{label}: refresh" if label else "Refresh"
    button = ToolButton(refresh_symbol, elem_id=elem_id, tooltip=tooltip)
    button.click(fn=refresh, inputs=[], outputs=components, show_progress="hidden", api_visibility="private")
    return button


def setup_dialog(button_show: Any, dialog: Any, *, button_close: Any = None) -> None:
    """Have one button show a part of the page, and another hide it."""
    dialog.visible = "hidden"
    button_show.click(fn=lambda: gr.update(visible=True), inputs=[], outputs=[dialog], show_progress="hidden")
    if button_close is not None:
        button_close.click(fn=lambda: gr.update(visible="hidden"), inputs=[], outputs=[dialog], show_progress="hidden")


def save_files(js_data: str, images: Any, do_make_zip: bool, index: int) -> tuple[Any, str]:
    """Copy a gallery's pictures, or the one at `index`, into the folder of saved ones; tells where they are."""
    chosen = list(images or ())
    if isinstance(index, int) and 0 <= index < len(chosen):
        chosen = [chosen[index]]
    folder = HOST.connected.outputs / "saved"
    folder.mkdir(parents=True, exist_ok=True)
    saved = []
    for source in filter(None, map(_path_of, chosen)):
        target = folder / source.name
        shutil.copyfile(source, target)
        saved.append(target)
    if do_make_zip and saved:
        archive = folder / f"{saved[0].stem}.zip"
        with zipfile.ZipFile(archive, "w") as packed:
            for path in saved:
                packed.write(path, path.name)
        saved.insert(0, archive)
    names = ", ".join(path.name for path in saved) or "nothing"
    return gr.update(value=[str(path) for path in saved], visible=True), plaintext_to_html(f"Saved: {names}")


def _path_of(picture: Any) -> Path | None:
    """Return the file of a gallery's entry: (path, caption), or a dictionary of Gradio 3's; None if it has none."""
    if isinstance(picture, (tuple, list)) and picture:
        picture = picture[0]
    if isinstance(picture, dict):
        picture = picture.get("path") or picture.get("name") or (picture.get("image") or {}).get("path")
    path = Path(str(picture).partition("?")[0]) if picture else None
    return path if path is not None and path.is_file() else None
