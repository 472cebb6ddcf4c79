"""What extensions for A1111 add to the page: scripts' controls, tabs, and the files that the browser loads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
from gradio.components import Component

from modules.a1111 import launch_utils, paths_internal, script_callbacks, scripts, shared
from modules.a1111._core_options import CORE_SECTIONS
from modules.a1111._gradio3 import shim
from modules.a1111._host import HOST, extension_of
from modules.a1111._lists import offer_restorers
from modules.a1111._observing import observed, outside_blocks, same_place
from modules.a1111._page_parts import parts
from modules.a1111._runner import initial_value
from modules.a1111._stand_ins import ALIASES, build_result_stand_ins, build_stand_ins
from modules.a1111._values import Usual, encode
from modules.a1111._working import extension_at_work, working_for
from modules.core.parameters import PARAMETERS
from modules.web.foreign_files import FILE_ADDRESS, stamp_of
from modules.web.panels import ApiScript, ForeignScript, ForeignTab, PageFiles

IMG2IMG = "img2img"
OWN_TABS = ("txt2img", IMG2IMG, "pnginfo", "models", "modelmerger", "queue", "settings", "extensions")
SCRIPT_ENDINGS = (".js", ".mjs")
TEMPORARY = "tmp"


class AdapterPanels:
    """The panels of the extensions that are loaded; see `web.panels.Panels` for when which method is called."""

    def __init__(self, stop: Callable[[], None] = lambda: None) -> None:
        """`stop` unloads the extensions."""
        self._stop = stop
        self._scripts: dict[str, list[ForeignScript]] = {}
        self._ids: set[str] = set(OWN_TABS)

    @property
    def present(self) -> bool:
        """Whether there is anybody who may add something."""
        return True

    @contextmanager
    def page(self) -> Iterator[None]:
        """Tell extensions that the page is about to be built, and of each of its components."""
        with observed(_before_component, _after_component):
            script_callbacks.before_ui_callback()
            offer_restorers()
            yield
        scripts.scripts_current = None

    @contextmanager
    def tab(self, tab: str) -> Iterator[None]:
        """Let the tab's scripts see its components; for a second page they are made anew."""
        runner = _runner(tab)
        scripts.scripts_current = runner
        # Scripts may register callbacks when they are made, and count on it that this is once for each tab.
        if runner.has_controls or not runner.scripts:
            # Components that a script makes already now are put into the page by its `ui`, if at all.
            with outside_blocks():
                runner.initialize_scripts(tab == IMG2IMG)
        runner.prepare_ui()
        runner.titles = _titles(runner)
        runner.title_map = dict(zip(map(str.lower, runner.titles), runner.selectable_scripts, strict=True))
        self._scripts[tab] = self._selectable(tab, runner)
        try:
            yield
            build_result_stand_ins(tab)
            runner.has_controls = True
        finally:
            scripts.scripts_current = None

    def build_sections(self, tab: str) -> None:
        """Make the controls of the scripts that always run."""
        build_stand_ins(tab)
        runner = _runner(tab)
        for script in runner.alwayson_scripts:
            _build_script(runner, script)

    def scripts(self, tab: str) -> Sequence[ForeignScript]:
        """Return the scripts of which one may be chosen."""
        return self._scripts.get(tab, ())

    def controls(self, tab: str) -> Sequence[Any]:
        """Return the components among the scripts' controls."""
        return [control for control in _runner(tab).inputs[1:] if isinstance(control, Component)]

    def values(self, tab: str, values: Sequence[object]) -> str:
        """Return the values at their controls' places; what is no component has none."""
        given = iter(values)
        inputs = _runner(tab).inputs[1:]
        placed = [next(given, None) if isinstance(control, Component) else None for control in inputs]
        return encode([0, *placed], HOST.connected.inputs.keep)

    def api_scripts(self, tab: str) -> Sequence[ApiScript]:
        """Return all scripts with what is known of their controls."""
        runner = _runner(tab)
        runner.ensure_controls()
        return [_api_script(script) for script in runner.scripts if script.args_from is not None]

    def api_arguments(self, tab: str, given: Mapping[str, Sequence[object]]) -> str:
        """Return arguments for the scripts that are named, and for all others what their controls begin with."""
        runner = _runner(tab)
        values: list[object] = [Usual()] * len(runner.inputs)
        values[0] = 0
        for script in runner.scripts:
            asked = given.get(script.name or "", ()) if script.args_from is not None else ()
            for place, value in zip(range(script.args_from or 0, script.args_to or 0), asked, strict=False):
                values[place] = value
        return encode(values, HOST.connected.inputs.keep)

    def face_restorers(self) -> Sequence[str]:
        """Return the names of the face restorers that extensions have brought."""
        return [str(each.name()) for each in shared.face_restorers]

    def locked_options(self) -> frozenset[str]:
        """Return the keys of options that their extensions keep from A1111's API."""
        labels = shared.opts.data_labels
        return frozenset(key for key, info in labels.items() if info.restrict_api) | shared.restricted_opts

    def tabs(self) -> Sequence[ForeignTab]:
        """Return the tabs that extensions have built, outside of the page that is being built."""
        with outside_blocks():
            made = list(script_callbacks.ui_tabs_callback())
        return [
            ForeignTab(self._unique(str(name)), str(title), partial(_render, blocks)) for blocks, title, name in made
        ]

    def started(self, page: Any, app: Any) -> None:
        """Tell extensions that the page was built, and give them the application for routes of their own."""
        parts().finish(page, {tab: _runner(tab).inputs[1:] for tab in ("txt2img", IMG2IMG)})
        script_callbacks.app_started_callback(page, app)

    def stopped(self) -> None:
        """Tell extensions that they are unloaded, and put back what they replaced."""
        self._stop()

    def counted(self, text: str, positive: bool, styles: Sequence[str]) -> str:
        """Return a prompt as extensions want its tokens counted."""
        if not script_callbacks.has_any("before_token_counter"):
            return text
        steps = int(PARAMETERS["steps"].default)
        params = script_callbacks.BeforeTokenCounterParams(text, steps, list(styles), is_positive=positive)
        script_callbacks.before_token_counter_callback(params)
        return str(params.prompt)

    def files(self) -> PageFiles:
        """Return the extensions' scripts and style sheets, extension by extension and by name."""
        found: list[str] = []
        styles: list[str] = []
        for extension in HOST.extensions:
            paths = [path for ending in SCRIPT_ENDINGS for path in extension.files("javascript", ending)]
            found += [_address(extension.name, extension.path, path) for path in paths]
            sheet = extension.path / "style.css"
            if sheet.is_file():
                styles.append(_address(extension.name, extension.path, sheet))
        return PageFiles(tuple(found), tuple(styles), tuple(shim().css), self._facts())

    def _facts(self) -> Mapping[str, object]:
        """Return what the page's scripts are told."""
        known = HOST.connected.settings.options()
        bounds = {
            key: (option.minimum, option.maximum, option.step)
            for key, option in known.items()
            if option.minimum is not None and option.maximum is not None
        }
        sections = {key: name for key, option in known.items() if (name := _section(key, option.section))}
        return {
            "opts": json.loads(shared.opts.dumpjson()), "bounds": bounds, "sections": sections,
            "version": launch_utils.A1111_VERSION,
        }  # fmt: skip

    def folders(self) -> Mapping[str, Path]:
        """Return the extensions' folders, and the one into which they write for their scripts."""
        own = {f"extensions/{extension.name}": extension.path for extension in HOST.extensions}
        return {**own, TEMPORARY: Path(paths_internal.script_path) / TEMPORARY}

    def _selectable(self, tab: str, runner: Any) -> list[ForeignScript]:
        """Return what the Script dropdown offers; our own scripts keep their titles to themselves."""
        own = {plugin.title for plugin in HOST.hooks.plugins.scripts(tab)}
        found = []
        for place, (script, title) in enumerate(zip(runner.selectable_scripts, runner.titles, strict=True)):
            if title and title not in own:
                found.append(ForeignScript(f"foreign_{place}", title, partial(_build_script, runner, script)))
        return found

    def _unique(self, name: str) -> str:
        """Return a tab's id that no other tab has."""
        unique, count = name, 2
        while unique in self._ids:
            unique, count = f"{name}_{count}", count + 1
        self._ids.add(unique)
        return unique


def _section(key: str, title: str) -> str:
    """Return what A1111 calls the section of an option in ids; "" where that is not known."""
    info = shared.opts.data_labels.get(key)
    own = info.section[0] if info is not None and info.section else None
    return str(own or CORE_SECTIONS.get(title, ""))


def _runner(tab: str) -> Any:
    return scripts.scripts_img2img if tab == IMG2IMG else scripts.scripts_txt2img


def _titles(runner: Any) -> list[str]:
    """Return the titles of a runner's selectable scripts; "" for one that cannot tell it."""
    return [_guarded(script.filename, script.title) or "" for script in runner.selectable_scripts]


def _guarded(filename: str, call: Callable[[], Any]) -> Any:
    """Return what an extension's code answers, or None where it fails, which its report then tells."""
    extension = extension_of(filename)
    with HOST.guarding(extension, "page", Path(filename).name), working_for(extension):
        return call()
    return None


def _api_script(script: Any) -> ApiScript:
    title = str(_guarded(script.filename, script.title) or script.name)
    arguments = tuple(_described(control) for control in script.controls or ())
    return ApiScript(script.name or title.lower(), title, bool(script.alwayson), arguments)


def _described(control: Any) -> dict[str, Any]:
    """Return what A1111's API tells of a control; a value that is no plain JSON is left out."""
    choices = getattr(control, "choices", None)
    facts = {name: getattr(control, name, None) for name in ("minimum", "maximum", "step")}
    return {
        "label": getattr(control, "label", None) or "",
        "value": json.loads(json.dumps(initial_value(control), default=lambda value: None)),
        **{name: value if isinstance(value, (int, float)) else None for name, value in facts.items()},
        "choices": None if choices is None else [each[0] if isinstance(each, tuple) else each for each in choices],
    }


def _build_script(runner: Any, script: Any) -> None:
    """Make a script's controls in a group of their own, unless the script wants none."""

    def build() -> None:
        with same_place():
            if not script.create_group:
                runner.create_script_ui(script)
                return
            with gr.Group(elem_classes=["easel-foreign-script"]) as script.group:
                runner.create_script_ui(script)

    _guarded(script.filename, build)


def _render(blocks: Any) -> None:
    with same_place():
        blocks.render()


def _address(name: str, folder: Path, path: Path) -> str:
    """Return where a file of an extension's is served; it changes with the file."""
    place = quote(f"extensions/{name}/{path.relative_to(folder).as_posix()}")
    return f"{FILE_ADDRESS}{place}?{stamp_of(path)}"


def _renamed(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return what a component is made with, its id as A1111 has it."""
    element = kwargs.get("elem_id")
    return {**kwargs, "elem_id": ALIASES[element]} if element in ALIASES else kwargs


def _before_component(component: Any, **kwargs: Any) -> None:
    kwargs = _renamed(kwargs)
    script_callbacks.before_component_callback(component, **kwargs)
    if scripts.scripts_current is not None:
        scripts.scripts_current.before_component(component, **kwargs)


def _after_component(component: Any, **kwargs: Any) -> None:
    parts().note(component, kwargs.get("elem_id"))
    extension = extension_at_work() if kwargs.get("elem_id") else ""
    if extension:
        HOST.reports.claim(extension, "id", str(kwargs["elem_id"]))
    kwargs = _renamed(kwargs)
    script_callbacks.after_component_callback(component, **kwargs)
    if scripts.scripts_current is not None:
        scripts.scripts_current.after_component(component, **kwargs)
