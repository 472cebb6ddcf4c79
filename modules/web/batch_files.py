"""The files of a batch, whether they were uploaded or lie in a folder of the server, and which mask is whose."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from modules.core.errors import FieldProblem, InvalidRequest
from modules.gallery.inputs import InputStore

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"})
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class BatchFile:
    """One picture: its name, with the folders below that of the batch, and either its hash or where it lies."""

    name: str
    digest: str = ""
    path: Path | None = None

    @property
    def stem(self) -> str:
        """The name without folders and ending."""
        return PurePosixPath(self.name).stem

    def content(self, inputs: InputStore) -> bytes:
        """Return the file. Raises InvalidRequest when it is gone or cannot be read."""
        if self.path is None:
            return inputs.content(self.digest)
        try:
            return self.path.read_bytes()
        except OSError as error:
            found = f"{self.name}, which cannot be read ({error.strerror}),"
            raise InvalidRequest([FieldProblem("image", "Image", found, "a file that can be read")]) from error

    def keep(self, inputs: InputStore) -> str:
        """Return the hash under which the picture is kept. Raises InvalidRequest, naming the file, for a broken one."""
        if self.path is None:
            inputs.find(self.digest)
            return self.digest
        return inputs.keep(self.content(inputs), "image", self.name)


class Masks:
    """The masks of a batch: one for all pictures, or each for the picture of the same name."""

    def __init__(self, files: Sequence[BatchFile]) -> None:
        self._only = files[0] if len(files) == 1 else None
        self._by_stem: dict[str, BatchFile] = {}
        for file in files:
            self._by_stem.setdefault(file.stem, file)

    def __bool__(self) -> bool:
        return bool(self._by_stem)

    def of(self, picture: BatchFile) -> BatchFile:
        """Return a picture's mask. Raises InvalidRequest when there is none of its name."""
        found = self._only or self._by_stem.get(picture.stem)
        if found is None:
            allowed = "one mask for all, or one of each picture's name"
            raise InvalidRequest([FieldProblem("masks", "Mask", f"no mask of the name {picture.stem}", allowed)])
        return found


def server_folder(text: str, field: str, label: str, base: Path) -> Path:
    """Return a folder of the server that exists; what is no absolute path begins at `base`. Raises InvalidRequest."""
    folder = _expanded(text, base)
    if folder is None or not folder.is_dir():
        raise InvalidRequest([FieldProblem(field, label, text, "a folder that exists on the server")])
    return folder


def output_folder(text: str, field: str, label: str, base: Path) -> Path:
    """Return a folder of the server, made if need be. Raises InvalidRequest when it cannot be made."""
    folder = _expanded(text, base)
    try:
        if folder is None:
            raise FileNotFoundError(2, "No such user")
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        problem = FieldProblem(field, label, f"{text} ({reason})", "a folder on the server, or one that can be made")
        raise InvalidRequest([problem]) from error
    return folder


def files_in(folder: Path, besides: Collection[Path] = ()) -> list[BatchFile]:
    """Return the pictures in a folder and in those below it, in the order of their names, numbers by value.

    Hidden ones are left out, and those in the folders `besides`, unless these are the folder itself.
    """
    return sorted(_walk(folder, besides), key=lambda file: _order(file.name))


def _walk(folder: Path, besides: Collection[Path]) -> Iterator[BatchFile]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
        other = any(path.is_relative_to(each) for each in besides if each != folder)
        if path.suffix.lower() in ENDINGS and not hidden and not other and path.is_file():
            yield BatchFile(name, path=path)


def _order(name: str) -> list[tuple[int, str]]:
    parts = _DIGITS.split(name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _expanded(text: str, base: Path) -> Path | None:
    try:
        return (base / Path(text.strip()).expanduser()).resolve()
    except (RuntimeError, ValueError, OSError):
        return None
