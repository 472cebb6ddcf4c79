"""The scripts of one tab: made, asked for their controls, and called in A1111's order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from modules.a1111._host import HOST, arranged, extension_of
from modules.a1111._making import making
from modules.a1111._script_base import AlwaysVisible, OnComponent, Script
from modules.core.errors import EaselError, PluginFailed

logger = logging.getLogger(__name__)
TABS = ("txt2img", "img2img")


class ScriptRunner:
    """One tab's scripts. `p.script_args[i]` is the value of the control `inputs[i]`; 0 is the Script dropdown."""

    def __init__(self, data: Callable[[], list[Any]] = list) -> None:
        """Take what returns the classes that were loaded: ScriptClassData."""
        self._data = data
        self.scripts: list[Script] = []
        self.selectable_scripts: list[Script] = []
        self.alwayson_scripts: list[Script] = []
        self.titles: list[str] = []
        self.title_map: dict[str, Script] = {}
        self.infotext_fields: list[Any] = []
        self.paste_field_names: list[str] = []
        self.inputs: list[Any] = [None]
        self.callback_map: dict[str, Any] = {}
        self.callback_names: tuple[str, ...] = ()
        self.on_before_component_elem_id: dict[str, list[Any]] = {}
        self.on_after_component_elem_id: dict[str, list[Any]] = {}
        self.is_img2img = False
        self.has_controls = False

    def initialize_scripts(self, is_img2img: bool) -> None:
        """Make a script of every loaded class that is for this tab."""
        self.scripts, self.alwayson_scripts, self.selectable_scripts = [], [], []
        self.is_img2img, self.has_controls, self.inputs = is_img2img, False, [None]
        with making(TABS[is_img2img], anew=True):
            for data in self._data():
                with HOST.guarding(extension_of(data.path), "import", f"{data.script_class.__name__}.show"):
                    self._add(data, is_img2img)
        self._by_component()

    def _add(self, data: Any, is_img2img: bool) -> None:
        script = data.script_class()
        script.filename, script.is_txt2img, script.is_img2img = data.path, not is_img2img, is_img2img
        script.tabname = "img2img" if is_img2img else "txt2img"
        visibility = script.show(is_img2img)
        if visibility is AlwaysVisible or visibility == AlwaysVisible:
            script.alwayson = True
            self.scripts.append(script)
            self.alwayson_scripts.append(script)
        elif visibility:
            self.scripts.append(script)
            self.selectable_scripts.append(script)

    def _by_component(self) -> None:
        self.on_before_component_elem_id, self.on_after_component_elem_id = {}, {}
        for script in self.scripts:
            for element, callback in script.on_before_component_elem_id or ():
                self.on_before_component_elem_id.setdefault(element, []).append((callback, script))
            for element, callback in script.on_after_component_elem_id or ():
                self.on_after_component_elem_id.setdefault(element, []).append((callback, script))

    def prepare_ui(self) -> None:
        """Begin to collect controls."""
        self.inputs = [None]

    def create_script_ui(self, script: Script) -> None:
        """Have a script make its controls; one that fails has none."""
        script.args_from = script.args_to = len(self.inputs)
        script.controls = ()
        where = f"{type(script).__name__}.ui"
        with making(TABS[script.is_img2img]), HOST.guarding(extension_of(str(script.filename)), "page", where):
            self._create(script)

    def _create(self, script: Script) -> None:
        script.name = str(script.title()).lower()
        controls = script.ui(script.is_img2img)
        if controls is None:
            return
        script.controls = list(controls) if isinstance(controls, (list, tuple)) else [controls]
        for control in script.controls:
            control.custom_script_source = str(script.filename).rsplit("/", 1)[-1]
        self.inputs += script.controls
        script.args_to = len(self.inputs)
        if script.infotext_fields is not None:
            self.infotext_fields += script.infotext_fields
        if script.paste_field_names is not None:
            self.paste_field_names += script.paste_field_names

    def setup_ui(self) -> list[Any]:
        """Have every script make its controls, in the block of Gradio's that is open, and return them all."""
        self.titles = [str(script.title()) for script in self.selectable_scripts]
        self.title_map = {str(script.title()).lower(): script for script in self.selectable_scripts}
        self.prepare_ui()
        for script in (*self.alwayson_scripts, *self.selectable_scripts):
            self.create_script_ui(script)
        self.has_controls = True
        return self.inputs

    def ensure_controls(self) -> None:
        """Have the scripts make their controls where no page has shown them, as for the API."""
        if not self.has_controls and any(script.args_from is None for script in self.scripts):
            with gr.Blocks():
                self.setup_ui()

    def default_arguments(self) -> list[Any]:
        """Return the value of every control as it stands on a fresh page."""
        self.ensure_controls()
        return [0, *(_initial(control) for control in self.inputs[1:])]

    def script(self, title: str) -> Script | None:
        """Return a script by its title in any case."""
        return next((each for each in self.scripts if str(each.title()).lower() == title.lower()), None)

    def selected(self, arguments: list[Any] | tuple[Any, ...]) -> Script | None:
        """Return the script that the first argument chooses, counted from 1; None for none."""
        index = arguments[0] if arguments else 0
        if not isinstance(index, int) or not 0 < index <= len(self.selectable_scripts):
            return None
        return self.selectable_scripts[index - 1]

    def run(self, p: Any, *args: Any) -> Any:
        """Let the chosen script make the pictures. None: there is none. Raises PluginFailed when it fails."""
        script = self.selected(args)
        if script is None:
            return None
        try:
            return script.run(p, *args[script.args_from : script.args_to])
        except EaselError:
            raise
        except Exception as error:
            extension = extension_of(str(script.filename))
            HOST.reports.fail(extension or "?", "hook", error, "run")
            logger.exception("The script %s failed.", script.title())
            raise PluginFailed(f"The script {script.title()} failed: {type(error).__name__}: {error}.") from error

    def list_scripts_for_method(self, method_name: str) -> Iterator[Script]:
        """Yield the always-on scripts that override a method."""
        plain = getattr(Script, method_name)
        for script in self.alwayson_scripts:
            if getattr(type(script), method_name, plain) is not plain or method_name in vars(script):
                yield script

    def ordered_scripts(self, method_name: str) -> list[Script]:
        """Return the always-on scripts that override a method, in the order in which they are called."""
        return arranged(self.list_scripts_for_method(method_name), lambda script: extension_of(str(script.filename)))

    def call(self, method_name: str, p: Any, *given: Any, **named: Any) -> None:
        """Call a method of every always-on script; one that fails is written down, and the others go on."""
        for script in self.ordered_scripts(method_name):
            extension = extension_of(str(script.filename))
            arguments = tuple(p.script_args)[script.args_from : script.args_to]
            with HOST.guarding(extension, "hook", f"{type(script).__name__}.{method_name}"):
                getattr(script, method_name)(p, *given, *arguments, **named)

    def setup_scrips(self, p: Any, *, is_ui: bool = True) -> None:
        """Call `setup` (the name is A1111's)."""
        for script in self.ordered_scripts("setup"):
            if is_ui or not script.setup_for_ui_only:
                with HOST.guarding(extension_of(str(script.filename)), "hook", "setup"):
                    script.setup(p, *tuple(p.script_args)[script.args_from : script.args_to])

    def before_process(self, p: Any) -> None:
        """Call it on all scripts."""
        self.call("before_process", p)

    def process(self, p: Any) -> None:
        """Call it on all scripts."""
        self.call("process", p)

    def before_process_batch(self, p: Any, **kwargs: Any) -> None:
        """Call it on all scripts."""
        self.call("before_process_batch", p, **kwargs)

    def process_before_every_sampling(self, p: Any, **kwargs: Any) -> None:
        """Call it on all scripts."""
        self.call("process_before_every_sampling", p, **kwargs)

    def after_extra_networks_activate(self, p: Any, **kwargs: Any) -> None:
        """Call it on all scripts."""
        self.call("after_extra_networks_activate", p, **kwargs)

    def process_batch(self, p: Any, **kwargs: Any) -> None:
        """Call it on all scripts."""
        self.call("process_batch", p, **kwargs)

    def postprocess(self, p: Any, processed: Any) -> None:
        """Call it on all scripts."""
        self.call("postprocess", p, processed)

    def postprocess_batch(self, p: Any, images: Any, **kwargs: Any) -> None:
        """Call it on all scripts."""
        self.call("postprocess_batch", p, images=images, **kwargs)

    def postprocess_batch_list(self, p: Any, pp: Any, **kwargs: Any) -> None:
        """Call it on all scripts."""
        self.call("postprocess_batch_list", p, pp, **kwargs)

    def post_sample(self, p: Any, ps: Any) -> None:
        """Call it on all scripts."""
        self.call("post_sample", p, ps)

    def on_mask_blend(self, p: Any, mba: Any) -> None:
        """Call it on all scripts."""
        self.call("on_mask_blend", p, mba)

    def postprocess_image(self, p: Any, pp: Any) -> None:
        """Call it on all scripts."""
        self.call("postprocess_image", p, pp)

    def postprocess_maskoverlay(self, p: Any, ppmo: Any) -> None:
        """Call it on all scripts."""
        self.call("postprocess_maskoverlay", p, ppmo)

    def postprocess_image_after_composite(self, p: Any, pp: Any) -> None:
        """Call it on all scripts."""
        self.call("postprocess_image_after_composite", p, pp)

    def before_hr(self, p: Any) -> None:
        """Call it on all scripts."""
        self.call("before_hr", p)

    def before_component(self, component: Any, **kwargs: Any) -> None:
        """Tell all scripts of a component that is about to be made."""
        self._tell_of("before_component", self.on_before_component_elem_id, component, kwargs)

    def after_component(self, component: Any, **kwargs: Any) -> None:
        """Tell all scripts of a component that was made."""
        self._tell_of("after_component", self.on_after_component_elem_id, component, kwargs)

    def _tell_of(self, method: str, wanted: dict[str, list[Any]], component: Any, kwargs: dict[str, Any]) -> None:
        for callback, script in wanted.get(str(kwargs.get("elem_id")), ()):
            with HOST.guarding(extension_of(str(script.filename)), "page", method):
                callback(OnComponent(component=component))
        for script in self.scripts:
            if getattr(type(script), method) is getattr(Script, method):
                continue
            with HOST.guarding(extension_of(str(script.filename)), "page", method):
                getattr(script, method)(component, **kwargs)

    def reload_sources(self, cache: Any) -> None:
        """Do nothing: code is loaded anew with the server."""

    def set_named_arg(self, args: Any, script_name: str, arg_elem_id: str, value: Any, fuzzy: bool = False) -> Any:
        """Return arguments in which the control of an id has another value. Raises KeyError when there is none."""
        script = self.script(script_name)
        controls = list(script.controls or ()) if script is not None else []
        for place, control in enumerate(controls):
            element = str(getattr(control, "elem_id", ""))
            if element == arg_elem_id or (fuzzy and arg_elem_id in element):
                changed = list(args)
                changed[(script.args_from or 0) + place] = value
                return type(args)(changed) if isinstance(args, (list, tuple)) else changed
        raise KeyError(f"{script_name} has no control {arg_elem_id}")


def initial_value(control: Any) -> Any:
    """Return what a control that nobody has touched shows."""
    value = getattr(control, "value", None)
    return value() if callable(value) else value


def _initial(control: Any) -> Any:
    """Return what a function gets of a control that nobody has touched: of some its choice's number."""
    value = initial_value(control)
    if getattr(control, "type", None) != "index":
        return value
    choices = [choice[-1] if isinstance(choice, (list, tuple)) else choice for choice in control.choices or ()]
    if isinstance(value, (list, tuple)):
        return [choices.index(each) for each in value if each in choices]
    return choices.index(value) if value in choices else None
