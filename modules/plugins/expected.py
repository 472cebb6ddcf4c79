"""Packages that AUTOMATIC1111's web UI brings and extensions therefore import without asking for them.

Easel stands on few packages, so what an extension's own modules import of those is installed with it.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from importlib.machinery import PathFinder
from pathlib import Path, PurePosixPath

from modules.core.files import write_whole

logger = logging.getLogger(__name__)

EXPECTED: Mapping[str, str] = {
    "aiohttp": "aiohttp", "blendmodes": "blendmodes", "cv2": "opencv-python-headless", "diskcache": "diskcache",
    "einops": "einops", "facexlib": "facexlib", "git": "GitPython", "inflection": "inflection",
    "jsonmerge": "jsonmerge", "kornia": "kornia", "lark": "lark", "matplotlib": "matplotlib", "omegaconf": "omegaconf",
    "open_clip": "open-clip-torch", "piexif": "piexif", "psutil": "psutil", "pytorch_lightning": "pytorch-lightning",
    "requests": "requests", "resize_right": "resize-right", "scipy": "scipy", "skimage": "scikit-image",
    "spandrel": "spandrel", "timm": "timm", "tomesd": "tomesd", "torchdiffeq": "torchdiffeq", "torchsde": "torchsde",
    "torchvision": "torchvision", "tqdm": "tqdm", "yaml": "PyYAML",
}  # fmt: skip
"""Modules of A1111 1.10's requirements and of what these bring along, each with the package on PyPI that holds it."""
_MOST_FILES = 500
_LARGEST_FILE = 2**20
# Reading lines takes a hundredth of the time of parsing, and this is done at every start.
_IMPORT = re.compile(
    r"""^[ \t]*(?: import[ \t]+(?P<modules>[\w. \t,]+)
              | from[ \t]+(?P<origin>\.*[\w.]*)[ \t]+import[ \t]+(?P<names>\([^)]*\)|[^\n#]*) )""",
    re.MULTILINE | re.VERBOSE,
)
_NAME = re.compile(r"[A-Za-z_]\w*")


def missing_packages(folder: Path, known: ImportMemory | None = None) -> tuple[str, ...]:
    """Return the packages that an extension's modules import, that A1111 brings, and that are not installed here."""
    importlib.invalidate_caches()
    modules = imported_modules(folder) if known is None else known.modules(folder)
    missing = {EXPECTED[module] for module in modules & EXPECTED.keys() if not _is_there(module)}
    return tuple(sorted(missing))


class ImportMemory:
    """Remembers what extensions import for as long as their files stay as they are.

    Looking through a large extension takes a second, and is asked for at every start.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def modules(self, folder: Path) -> frozenset[str]:
        """Return what `imported_modules` does."""
        stamp = _stamp(folder)
        known = self._read()
        kept = known.get(folder.name)
        if isinstance(kept, dict) and kept.get("stamp") == stamp and isinstance(kept.get("modules"), list):
            return frozenset(map(str, kept["modules"]))
        found = imported_modules(folder)
        self._write({**known, folder.name: {"stamp": stamp, "modules": sorted(found)}})
        return found

    def _read(self) -> dict[str, object]:
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _write(self, content: Mapping[str, object]) -> None:
        try:
            write_whole(self._file, json.dumps(content, indent=1), lasting=False)
        except OSError as error:
            logger.warning("What extensions import cannot be remembered (%s).", error)


def _stamp(folder: Path) -> str:
    """Return what is another text when a Python file of the folder has come, gone or changed."""
    digest = hashlib.sha256(_IMPORT.pattern.encode())
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        for name in sorted(each for each in files if each.endswith(".py")):
            path = Path(place, name)
            facts = path.stat()
            digest.update(f"{path}\0{facts.st_mtime_ns}\0{facts.st_size}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def imported_modules(folder: Path) -> frozenset[str]:
    """Return the top modules that an extension imports from elsewhere, from its scripts on.

    Only files that these lead to count: many extensions carry whole repositories of which they use a part.
    """
    waiting = [folder / "preload.py", *sorted((folder / "scripts").glob("*.py"))]
    seen, found = set[Path](), set[str]()
    while waiting and len(seen) < _MOST_FILES:
        path = waiting.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        for module, names in _imports(path):
            own = list(_own_files(folder, path, module, names))
            waiting += own
            if not own and module and not module.startswith("."):
                found.add(module.partition(".")[0])
    return frozenset(found)


def _is_there(module: str) -> bool:
    # Not what stands in for a package while extensions run.
    return PathFinder.find_spec(module) is not None


def _imports(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each module that a file imports, with the names that it takes from it."""
    if path.stat().st_size > _LARGEST_FILE:
        return
    for match in _IMPORT.finditer(path.read_text(encoding="utf-8", errors="replace")):
        if match["modules"] is None:
            yield match["origin"], tuple(_NAME.findall(match["names"]))
            continue
        for each in match["modules"].split(","):
            module = each.split()
            if module:
                yield module[0], ()


def _own_files(folder: Path, path: Path, module: str, names: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files of the extension that an import may mean: beside the file, in its folder or in its scripts."""
    dots = len(module) - len(module.lstrip("."))
    parts = module.lstrip(".").split(".") if module.lstrip(".") else []
    if parts[:2] == ["extensions", folder.name]:
        parts = parts[2:]
    elif not parts and not dots:
        return
    places = [path.parents[dots - 1]] if dots else [folder, folder / "scripts", path.parent]
    for place in places:
        base = place.joinpath(*PurePosixPath(*parts).parts) if parts else place
        for target in (base, *(base / name for name in names)):
            yield from (file for file in (target.with_suffix(".py"), target / "__init__.py") if file.is_file())
