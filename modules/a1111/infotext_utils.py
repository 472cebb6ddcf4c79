"""A1111's modules.infotext_utils: infotexts read into A1111's keys, and buttons that send pictures and settings on."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gradio as gr
from PIL import Image

from modules.a1111 import script_callbacks, shared_items
from modules.a1111._host import HOST
from modules.core.parameter import Parameter
from modules.core.parameters import PARAMETERS
from modules.imaging.parsing import parse_infotext, quoted, unquoted

re_param_code = r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)'
re_param = re.compile(re_param_code)
re_imagesize = re.compile(r"^(\d+)x(\d+)$")
re_hypernet_hash = re.compile(r"\(([0-9a-f]+)\)$")
TYPE_OF_GR_UPDATE = type(gr.update())
type_of_gr_update = TYPE_OF_GR_UPDATE
infotext_to_setting_name_mapping = ()
DESTINATIONS = MappingProxyType({"txt2img": "txt2img", "img2img": "img2img", "inpaint": "img2img", "extras": "extras"})
PASTE_FIELDS: dict[str, Any] = {}
paste_fields = PASTE_FIELDS
BINDINGS: list[Any] = []
registered_param_bindings = BINDINGS
_DEFAULTS = MappingProxyType({
    "Clip skip": "1", "Hypernet": "", "Hires resize-1": 0, "Hires resize-2": 0, "Hires sampler": "Use same sampler",
    "Hires schedule type": "Use same scheduler", "Hires checkpoint": "Use same checkpoint", "Hires prompt": "",
    "Hires negative prompt": "", "Mask mode": "Inpaint masked", "Masked content": "original",
    "Inpaint area": "Whole picture", "Masked area padding": 32, "RNG": "GPU", "Schedule type": "Automatic",
    "Schedule max sigma": 0, "Schedule min sigma": 0, "Schedule rho": 0, "VAE Encoder": "Full", "VAE Decoder": "Full",
    "FP8 weight": "Disable", "Cache FP16 weight for LoRA": False, "Emphasis": "Original",
    "Refiner switch by sampling steps": False,
})  # fmt: skip


class PasteField(tuple):
    """A component that an infotext fills in, and the key or function that says with what."""

    def __new__(cls, component: Any, target: Any, *, api: Any = None) -> PasteField:
        """Make the pair."""
        return super().__new__(cls, (component, target))

    def __init__(self, component: Any, target: Any, *, api: Any = None) -> None:
        self.api = api
        self.component = component
        self.label = target if isinstance(target, str) else None
        self.function = target if callable(target) else None


@dataclasses.dataclass
class ParamBinding:
    """A button that sends a picture or a text to a tab."""

    paste_button: Any
    tabname: str
    source_text_component: Any = None
    source_image_component: Any = None
    source_tabname: str | None = None
    override_settings_component: Any = None
    paste_field_names: Any = None

    def __post_init__(self) -> None:
        self.paste_field_names = self.paste_field_names or []


def reset() -> None:
    """Forget all buttons and fields."""
    PASTE_FIELDS.clear()
    BINDINGS.clear()


def quote(text: Any) -> Any:
    """Return a value as infotexts have it."""
    text = str(text)
    return quoted(text) if any(mark in text for mark in ",\n:") else text


def unquote(text: str) -> str:
    """Return a value as it was before it was quoted."""
    return unquoted(text)


def parse_generation_parameters(x: str, skip_fields: list[str] | None = None) -> dict[str, Any]:
    """Return an infotext's values by A1111's keys: "Prompt", "Negative prompt", "Steps", "Size-1", …"""
    infotext = parse_infotext(x)
    values: dict[str, Any] = dict(infotext.pairs)
    for key in list(values):
        size = re_imagesize.match(str(values[key]))
        if size:
            values[f"{key}-1"], values[f"{key}-2"] = size[1], size[2]
    values["Prompt"], values["Negative prompt"] = infotext.prompt, infotext.negative_prompt
    for key, default in _DEFAULTS.items():
        values.setdefault(key, default)
    for key in skip_fields if skip_fields is not None else ():
        values.pop(key, None)
    return values


def _options_by_key() -> dict[str, Parameter]:
    return {each.infotext: each for each in PARAMETERS.values() if each.infotext and each.option}


def create_override_settings_dict(text_pairs: Any) -> dict[str, Any]:
    """Return options by their names from texts such as "Clip skip: 2"."""
    names = _options_by_key()
    found: dict[str, Any] = {}
    for pair in text_pairs:
        key, _, value = str(pair).partition(":")
        parameter = names.get(key.strip())
        if parameter is not None and parameter.option is not None:
            try:
                found[parameter.option] = parameter.parse(value.strip())
            except ValueError:
                continue
    return found


def get_override_settings(params: dict[str, Any], *, skip_fields: Any = None) -> list[tuple[str, str, Any]]:
    """Return what of an infotext is an option: (key, option, value)."""
    names = _options_by_key()
    known = set(shared_items.get_infotext_names()) - set(skip_fields or ())
    return [
        (key, str(names[key].option), value) for key, value in params.items() if key in known and key in names
    ]


def image_from_url_text(filedata: Any) -> Image.Image | None:
    """Return a picture of what the page sends of one: a path, a base64 text, a gallery's list, or a file's facts.

    Raises PermissionError for files outside Easel's own folders.
    """
    if isinstance(filedata, list):
        return image_from_url_text(filedata[0]) if filedata else None
    if isinstance(filedata, tuple) and filedata:
        return image_from_url_text(filedata[0])
    if isinstance(filedata, Image.Image) or filedata is None:
        return filedata
    if isinstance(filedata, dict):
        inner = filedata.get("image") or filedata
        return image_from_url_text(inner.get("path") or inner.get("name") or inner.get("data"))
    if isinstance(filedata, str) and filedata.startswith("data:image"):
        return Image.open(io.BytesIO(base64.b64decode(filedata.split(",", 1)[1])))
    return _image_of_file(str(filedata)) if filedata else None


def _image_of_file(name: str) -> Image.Image:
    path = Path(name.split("?")[0].removeprefix("file=")).resolve()
    folders = [HOST.config.data_dir / "outputs", *(extension.path for extension in HOST.extensions)]
    if not any(path.is_relative_to(folder.resolve()) for folder in folders):
        raise PermissionError(f"{path} is not in a folder of Easel's pictures or of an extension.")
    return Image.open(path)


def add_paste_fields(tabname: str, init_img: Any, fields: Any, override_settings_component: Any = None) -> None:
    """Keep what of a tab an infotext fills in."""
    PASTE_FIELDS[tabname] = {
        "init_img": init_img, "fields": fields, "override_settings_component": override_settings_component,
    }  # fmt: skip


def create_buttons(tabs_list: Any) -> dict[str, Any]:
    """Return buttons that send things to tabs, by the tabs' names."""
    return {tab: gr.Button(f"Send to {tab}", elem_id=f"{tab}_tab") for tab in tabs_list}


def bind_buttons(buttons: dict[str, Any], send_image: Any, send_generate_info: Any) -> None:
    """Let buttons send a picture and its infotext."""
    for tab, button in buttons.items():
        text = send_generate_info if not isinstance(send_generate_info, str) else None
        source = send_generate_info if isinstance(send_generate_info, str) else None
        register_paste_params_button(ParamBinding(button, tab, text, send_image, source))


def register_paste_params_button(binding: ParamBinding) -> None:
    """Keep a button; the page connects it when it is built."""
    BINDINGS.append(binding)


def connect_paste_params_buttons() -> None:
    """Do nothing: the page connects the buttons that are kept."""


def connect_paste(
    button: Any, local_paste_fields: Any, input_comp: Any, override_settings_component: Any, tabname: str
) -> None:
    """Let a button fill an infotext into an extension's own fields."""

    def paste(text: str) -> list[Any]:
        params = parse_generation_parameters(text)
        script_callbacks.infotext_pasted_callback(text, params)
        return [_pasted(target, params) for _, target in local_paste_fields]

    button.click(fn=paste, inputs=[input_comp], outputs=[component for component, _ in local_paste_fields])


def _pasted(target: str | Callable[[dict[str, Any]], Any], params: dict[str, Any]) -> Any:
    value = target(params) if callable(target) else params.get(target)
    return gr.update() if value is None else value


def send_image_and_dimensions(x: Any) -> tuple[Any, Any, Any]:
    """Return a picture with its width and height."""
    image = image_from_url_text(x)
    return (image, image.width, image.height) if image is not None else (None, gr.update(), gr.update())


def restore_old_hires_fix_params(res: dict[str, Any]) -> None:
    """Do nothing: `parse_generation_parameters` has brought old forms into today's."""
