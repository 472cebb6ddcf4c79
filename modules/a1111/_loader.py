"""Loads extensions as A1111 does: its order, its module names, its sys.path; each extension's errors stay its own."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import logging
import os
import sys
from collections import namedtuple
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from modules.a1111 import _restoring
from modules.a1111._host import HOST, extension_of
from modules.a1111._runner import ScriptRunner
from modules.a1111._script_base import Script, ScriptBuiltinUI
from modules.a1111.cmd_args import FORM_VALUES_FILE, parser
from modules.a1111.scripts_postprocessing import ScriptPostprocessing, ScriptPostprocessingRunner
from modules.a1111.util import natural_sort_key, topological_sort
from modules.cli import REPO_ROOT, FlagParser
from modules.plugins.discovery import Extension

logger = logging.getLogger(__name__)

ScriptFile = namedtuple("ScriptFile", ["basedir", "filename", "path"])
ScriptClassData = namedtuple(
    "ScriptClassData", ["script_class", "path", "basedir", "module"]
)
SCRIPTS = "scripts"
OWN_SCRIPTS = Path(__file__).parent / "_host_scripts"
"""Scripts that A1111 brings along and extensions look for among those that were loaded."""


@dataclass(slots=True)
class Loaded:
    """What was loaded. `modules`: by file; `current_folder`: of the extension that is being loaded, "" else."""

    scripts: list[Any] = field(default_factory=list)
    postprocessing: list[Any] = field(default_factory=list)
    modules: dict[str, ModuleType] = field(default_factory=dict)
    current_folder: str = ""
    txt2img: ScriptRunner = field(init=False)
    img2img: ScriptRunner = field(init=False)
    extras: ScriptPostprocessingRunner = field(init=False)

    def __post_init__(self) -> None:
        self.txt2img = ScriptRunner(lambda: self.scripts)
        self.img2img = ScriptRunner(lambda: self.scripts)
        self.extras = ScriptPostprocessingRunner(lambda: self.postprocessing)

    def forget(self) -> None:
        """Begin anew, with the same lists, which others may hold."""
        self.scripts.clear()
        self.postprocessing.clear()
        self.modules.clear()
        for runner, is_img2img in ((self.txt2img, False), (self.img2img, True)):
            runner.initialize_scripts(is_img2img)


LOADED = Loaded()
"""Filled by `load_extensions`."""


def files_of(folder: str, ending: str) -> list[ScriptFile]:
    """Return files in a folder of every extension, in the order in which they are loaded."""
    found = [
        ScriptFile(str(extension.path), path.name, str(path))
        for extension in HOST.extensions
        for path in sorted(extension.files(folder, ending), key=lambda each: natural_sort_key(each.name))
    ]
    return _arranged(found)


def _arranged(files: list[ScriptFile]) -> list[ScriptFile]:
    """Return the files so that each comes after those that its extension's metadata.ini wants before it."""
    folders = {str(extension.path): extension for extension in HOST.extensions}
    names = {extension.metadata.canonical_name for extension in HOST.extensions}
    by_name = {_script_name(file, folders[file.basedir]): file for file in files}
    after: dict[str, set[str]] = {name: set() for name in by_name}
    for name, file in by_name.items():
        extension, section = folders[file.basedir], f"scripts/{file.filename}"
        known = {*names, *by_name}
        for other in extension.metadata.listed("After", section, "scripts", known=known):
            after[name] |= {each for each in by_name if each == other or each.startswith(f"{other}/")}
        for other in extension.metadata.listed("Before", section, "scripts", known=known):
            for each in by_name:
                if each == other or each.startswith(f"{other}/"):
                    after[each].add(name)
    return [by_name[name] for name in topological_sort(after)]


def _script_name(file: ScriptFile, extension: Extension) -> str:
    return f"{extension.metadata.canonical_name}/{file.filename}"


def preload_extensions() -> None:
    """Let the extensions' preload.py add their flags to the parser."""
    for extension in HOST.extensions:
        path = extension.path / "preload.py"
        if not path.is_file():
            continue
        with HOST.guarding(extension.name, "preload", path.name), parser.declaring() as declared:
            flags_by_extension()[extension.name] = declared
            module = load_module(str(path))
            if hasattr(module, "preload"):
                module.preload(parser)


def flags_by_extension() -> dict[str, list[argparse.Action]]:
    """Return what the extensions' preload.py have declared."""
    return HOST.state("flags", dict)


def unknown_flags(flags: Sequence[str]) -> list[str]:
    """Return what of a command line no extension has declared; exits with code 2 for a wrong value of what one has."""
    known = FlagParser(prog="launch.py", add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for actions in flags_by_extension().values():
        for action in actions:
            known._add_action(action)  # noqa: SLF001 (argparse has no other way to add a flag twice)
    return known.parse_known_args(list(flags))[1] if flags else []


def load_extensions() -> None:
    """Load all scripts of all extensions, once. The host's root stays on sys.path: `launch` is there."""
    LOADED.forget()
    if str(REPO_ROOT) not in sys.path:
        sys.path.insert(0, str(REPO_ROOT))
    _open_namespace()
    _write_files()
    _load_own()
    failed: set[str] = set()
    for file in files_of(SCRIPTS, ".py"):
        name = extension_of(file.path)
        if name in failed:
            continue
        with _loading(file.basedir), HOST.guarding(name, "import", file.filename):
            _register(load_module(file.path), file)
        _restoring.look(name)
        report = HOST.reports.of(name)
        HOST.reports.loaded(name, not report.failed("import"))
    LOADED.txt2img.initialize_scripts(is_img2img=False)
    LOADED.img2img.initialize_scripts(is_img2img=True)
    LOADED.extras.initialize_scripts(LOADED.postprocessing)


@contextlib.contextmanager
def _loading(folder: str) -> Iterator[None]:
    """Have an extension's root be the first place where its modules are looked for; what it adds itself stays."""
    before = list(sys.path)
    LOADED.current_folder = folder
    sys.path.insert(0, folder)
    # Its own modules (scripts/x.py imported as scripts.x) are found in its own folder first.
    namespace = sys.modules.get(SCRIPTS)
    own = os.path.join(folder, SCRIPTS)  # noqa: PTH118
    if namespace is not None and hasattr(namespace, "__path__"):
        namespace.__path__ = [own, *(place for place in namespace.__path__ if place != own)]
    try:
        yield
    finally:
        LOADED.current_folder = ""
        added = [place for place in sys.path if place not in before and place != folder]
        # Extensions import more of their own code while they run, so that their roots stay, behind all others.
        sys.path[:] = [*added, *before]
        if folder not in sys.path:
            sys.path.append(folder)


def _open_namespace() -> None:
    """Make `scripts` a package without a folder of its own, in which every extension's modules are found."""
    if SCRIPTS not in sys.modules:
        namespace = ModuleType(SCRIPTS)
        namespace.__path__ = []
        sys.modules[SCRIPTS] = namespace
    namespace = sys.modules[SCRIPTS]
    for extension in HOST.extensions:
        folder = str(extension.path / SCRIPTS)
        if hasattr(namespace, "__path__") and folder not in namespace.__path__:
            namespace.__path__ = [*namespace.__path__, folder]


def _write_files() -> None:
    """Have the files be there in which A1111 keeps options and its form's first values, since some open them."""
    for path in (HOST.config.settings_file, HOST.config.data_dir / FORM_VALUES_FILE):
        if not path.exists():
            with contextlib.suppress(OSError):
                path.write_text("{}\n", encoding="utf-8")


def _load_own() -> None:
    """Load the scripts that A1111 has itself, before all others; `scripts.xyz_grid` is the same module."""
    for path in sorted(OWN_SCRIPTS.glob("*.py")):
        module = load_module(str(path))
        _register(module, ScriptFile(str(REPO_ROOT), path.name, str(path)))
        sys.modules[f"{SCRIPTS}.{path.stem}"] = module
        setattr(sys.modules[SCRIPTS], path.stem, module)


def load_module(path: str) -> ModuleType:
    """Run a file as a module named by its file, `xyz_grid.py`, which is not entered in sys.modules, as in A1111."""
    spec = importlib.util.spec_from_file_location(Path(path).name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    LOADED.modules[path] = module
    return module


def _register(module: ModuleType, file: ScriptFile) -> None:
    """Note the classes of a module that are scripts."""
    for value in list(vars(module).values()):
        if not isinstance(value, type):
            continue
        if issubclass(value, Script) and value not in (Script, ScriptBuiltinUI):
            LOADED.scripts.append(ScriptClassData(value, file.path, file.basedir, module))
        elif issubclass(value, ScriptPostprocessing) and value is not ScriptPostprocessing:
            LOADED.postprocessing.append(ScriptClassData(value, file.path, file.basedir, module))
