"""Styles: named pieces of prompt in CSV files that A1111 reads and writes too (name, prompt, negative_prompt)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

from modules.core.errors import FieldProblem, InvalidRequest, StorageFailed
from modules.prompts.style_table import StyleTable, longest_cell, read_table, write_table

PLACEHOLDER = "{prompt}"
DEFAULT_NAME = "styles.csv"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Style:
    """One style; `path`: the file that it is from, None while it is not saved."""

    name: str
    prompt: str
    negative_prompt: str = ""
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A file as it was read: its stamp then, its styles, and what is wrong with it, if anything."""

    stamp: tuple[int, int] | None
    styles: tuple[Style, ...]
    problem: str | None = None


class StyleBook:
    """The styles of several files, read again when a file changes; safe to use from several threads.

    Of two styles of one name the later file's counts. A file that cannot be read is left out and named in
    `problems()`; the others work on.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._patterns = tuple(files)
        self._lock = RLock()
        self._loaded: dict[Path, _Loaded] = {}

    @property
    def default_file(self) -> Path:
        """Where new styles go: the first file, or styles.csv beside it where a pattern matches none."""
        first = self._patterns[0]
        return first if not _is_pattern(first) else next(_matches(first), first.with_name(DEFAULT_NAME))

    def files(self) -> tuple[Path, ...]:
        """Return the files that there are or may be, patterns resolved, the default file first."""
        found = [self.default_file]
        for pattern in self._patterns:
            found.extend(_matches(pattern) if _is_pattern(pattern) else [pattern])
        return tuple(dict.fromkeys(found))

    def styles(self) -> tuple[Style, ...]:
        """Return all styles in the order of their files."""
        return tuple(self._by_name().values())

    def get(self, name: str) -> Style | None:
        """Return the style of this name, or None."""
        return self._by_name().get(name)

    def problems(self) -> tuple[str, ...]:
        """Return what is wrong with the files that could not be read, one sentence for each."""
        with self._lock:
            return tuple(loaded.problem for loaded in map(self._load, self.files()) if loaded.problem)

    def save(self, style: Style) -> Style:
        """Write a style over the one of its name, into its own file, or as a new one into the default file.

        Raises InvalidRequest when its name or a text is not possible, StorageFailed when the file cannot be written
        or holds something that is no list of styles.
        """
        _check(style)
        with self._lock:
            known = self.get(style.name)
            path = style.path or (known.path if known is not None else None) or self.default_file
            table = _table_to_change(path)
            table.put(style.name, style.prompt, style.negative_prompt)
            self._write(path, table)
        return Style(style.name, style.prompt, style.negative_prompt, path)

    def delete(self, name: str) -> None:
        """Remove a style from every file that has it; raises InvalidRequest when none has."""
        with self._lock:
            if self.get(name) is None:
                raise InvalidRequest([FieldProblem("style", "Style", repr(name), "the name of a style that there is")])
            for path in self.files():
                if any(style.name == name for style in self._load(path).styles):
                    table = _table_to_change(path)
                    table.remove(name)
                    self._write(path, table)

    def apply(self, prompt: str, negative_prompt: str, names: Iterable[str]) -> tuple[str, str]:
        """Return both prompts with these styles, one after the other; names that there are not count as empty."""
        by_name = self._by_name()
        for name in names:
            style = by_name.get(name, Style(name, ""))
            prompt = merged(style.prompt, prompt)
            negative_prompt = merged(style.negative_prompt, negative_prompt)
        return prompt, negative_prompt

    def extract(self, prompt: str, negative_prompt: str) -> tuple[tuple[str, ...], str, str]:
        """Return the names of the styles that both prompts contain, in the order to apply them, and the rests.

        A style counts only if applying it to what is left gives the prompts again.
        """
        whole = prompt.strip(), negative_prompt.strip()
        remaining = [style for style in self.styles() if _does_something(style)]
        names: tuple[str, ...] = ()
        while True:
            for style in remaining:
                left = _without(style.prompt, prompt)
                negative_left = _without(style.negative_prompt, negative_prompt)
                if left is None or negative_left is None:
                    continue
                # Spaces between a style and the next may not come back; then it is not taken for one.
                again = self.apply(left, negative_left, (style.name, *names))
                if (again[0].strip(), again[1].strip()) == whole:
                    prompt, negative_prompt = left, negative_left
                    names = (style.name, *names)
                    remaining.remove(style)
                    break
            else:
                return names, prompt, negative_prompt

    def _by_name(self) -> dict[str, Style]:
        with self._lock:
            return {style.name: style for path in self.files() for style in self._load(path).styles}

    def _load(self, path: Path) -> _Loaded:
        stamp = _stamp(path)
        known = self._loaded.get(path)
        if known is None or known.stamp != stamp:
            known = _Loaded(None, ()) if stamp is None else _read(path, stamp)
            self._loaded[path] = known
        return known

    def _write(self, path: Path, table: StyleTable) -> None:
        write_table(path, table)
        self._loaded.pop(path, None)


def merged(style_prompt: str, prompt: str) -> str:
    """Return the prompt in the place of "{prompt}", or else followed by the style; empty parts leave no comma."""
    if PLACEHOLDER in style_prompt:
        return style_prompt.replace(PLACEHOLDER, prompt)
    return ", ".join(part for part in (prompt.strip(), style_prompt.strip()) if part)


def _without(style_prompt: str, prompt: str) -> str | None:
    """Return what `merged` made `prompt` of, spaces at its ends aside, or None when the style is not in it."""
    whole, part = prompt.strip(), style_prompt.strip()
    if PLACEHOLDER in part:
        before, _, after = part.partition(PLACEHOLDER)
        rest = whole[len(before) : len(whole) - len(after)]
    else:
        rest = whole.removesuffix(part).removesuffix(", ") if part else whole
    return rest if merged(part, rest).strip() == whole else None


def _does_something(style: Style) -> bool:
    return any(part.strip() not in ("", PLACEHOLDER) for part in (style.prompt, style.negative_prompt))


def _check(style: Style) -> None:
    if not style.name.strip() or style.name.startswith("#"):
        allowed = "a name that is not empty and does not begin with #"
        raise InvalidRequest([FieldProblem("name", "Name", repr(style.name), allowed)])
    for field, label, text in (
        ("name", "Name", style.name),
        ("prompt", "Prompt", style.prompt),
        ("negative_prompt", "Negative prompt", style.negative_prompt),
    ):
        if len(text) > longest_cell():
            allowed = f"up to {longest_cell()} characters"
            raise InvalidRequest([FieldProblem(field, label, f"a text of {len(text)} characters", allowed)])
        if not text.isascii() and text.encode("utf-8", "ignore").decode("utf-8") != text:
            raise InvalidRequest([FieldProblem(field, label, ascii(text), "text without halves of characters")])


def _read(path: Path, stamp: tuple[int, int]) -> _Loaded:
    try:
        rows = read_table(path).styles()
    except (OSError, ValueError) as error:
        problem = f"The styles in {path} cannot be read: {error}"
        _log.warning(problem)
        return _Loaded(stamp, (), problem)
    return _Loaded(stamp, tuple(Style(*row, path) for row in rows))


def _table_to_change(path: Path) -> StyleTable:
    if not path.exists():
        return StyleTable.empty()
    try:
        return read_table(path)
    except (OSError, ValueError) as error:
        raise StorageFailed(f"{path} is left as it is, since it cannot be read as a list of styles: {error}") from error


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _is_pattern(path: Path) -> bool:
    return "*" in path.name or "?" in path.name


def _matches(pattern: Path) -> Iterator[Path]:
    return iter(sorted(path for path in pattern.parent.glob(pattern.name) if path.is_file()))
