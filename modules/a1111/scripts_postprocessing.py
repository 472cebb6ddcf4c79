"""A1111's modules.scripts_postprocessing: scripts that change finished pictures; the Extras tab would show them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from modules.a1111._host import HOST, extension_of


@dataclasses.dataclass
class PostprocessedImageSharedInfo:
    """What all scripts of one picture share."""

    target_width: int | None = None
    target_height: int | None = None


class PostprocessedImage:
    """A picture and what is noted of it."""

    def __init__(self, image: Any) -> None:
        self.image = image
        self.info: dict[str, Any] = {}
        self.shared = PostprocessedImageSharedInfo()
        self.extra_images: list[Any] = []
        self.nametags: list[str] = []
        self.disable_processing = False
        self.caption: str | None = None

    def get_suffix(self, used_suffixes: dict[str, int] | None = None) -> str:
        """Return what tells the file from others of the same picture."""
        used = {} if used_suffixes is None else used_suffixes
        suffix = "-".join(self.nametags)
        if suffix:
            suffix = f"-{suffix}"
        if suffix not in used:
            used[suffix] = 1
            return suffix
        for count in range(1, 100):
            numbered = f"{suffix}-{count}"
            if numbered not in used:
                used[numbered] = 1
                return numbered
        return suffix

    def create_copy(self, new_image: Any, *, nametags: Any = None, disable_processing: bool = False) -> Any:
        """Return another picture of the same origin."""
        made = PostprocessedImage(new_image)
        made.shared, made.nametags, made.info = self.shared, self.nametags.copy(), self.info.copy()
        made.disable_processing = disable_processing
        made.nametags += nametags or []
        return made


class ScriptPostprocessing:
    """A script of the Extras tab."""

    filename: str | None = None
    controls: Any = None
    args_from: int | None = None
    args_to: int | None = None
    order = 1000
    name: str | None = None
    group: Any = None

    def ui(self) -> Any:
        """Make the controls and return them by the names of `process`'s arguments."""

    def process(self, pp: PostprocessedImage, **args: Any) -> None:
        """Change a picture."""

    def process_firstpass(self, pp: PostprocessedImage, **args: Any) -> None:
        """Look at a picture before any is changed."""

    def image_changed(self) -> None:
        """Take note that another picture was chosen."""


class ScriptPostprocessingRunner:
    """All scripts of the Extras tab."""

    def __init__(self, data: Callable[[], list[Any]] = list) -> None:
        self._data = data
        self.scripts: list[ScriptPostprocessing] | None = None
        self.ui_created = False

    def initialize_scripts(self, scripts_data: list[Any]) -> None:
        """Make a script of every class."""
        self.scripts = []
        for data in scripts_data:
            with HOST.guarding(extension_of(data.path), "import", data.script_class.__name__):
                script = data.script_class()
                script.filename = data.path
                self.scripts.append(script)

    def scripts_in_preferred_order(self) -> list[ScriptPostprocessing]:
        """Return the scripts as they are called."""
        if self.scripts is None:
            self.initialize_scripts(self._data())
        return sorted(self.scripts or [], key=lambda script: script.order)

    def run(self, pp: PostprocessedImage, args: Any) -> None:
        """Let all scripts change a picture; `args` are the values of their controls."""
        for script in self.scripts_in_preferred_order():
            values = list(args)[script.args_from : script.args_to]
            named = dict(zip(script.controls or {}, values, strict=False))
            with HOST.guarding(extension_of(str(script.filename)), "hook", "process"):
                script.process(pp, **named)


def wrap_call(func: Any, filename: str, funcname: str, *args: Any, default: Any = None, **kwargs: Any) -> Any:
    """Return what a function gives, or `default` when it fails."""
    with HOST.guarding(extension_of(filename), "hook", funcname):
        return func(*args, **kwargs)
    return default
