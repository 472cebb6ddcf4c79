"""One CSV file of styles as a table: what is not changed is written back as it was, comments and columns included."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modules.core.errors import StorageFailed
from modules.core.files import write_whole

HEADER = ("name", "prompt", "negative_prompt")
OLD_PROMPT = "text"
"""What the column of prompts was called at first."""
COMMENT = "#"


@dataclass(slots=True)
class StyleTable:
    """The header and the rows below it, all as text."""

    header: list[str]
    rows: list[list[str]]

    @classmethod
    def empty(cls) -> StyleTable:
        """Return the table of a file that is not there yet."""
        return cls(list(HEADER), [])

    def styles(self) -> list[tuple[str, str, str]]:
        """Return name, prompt and negative prompt of each style; the last one of a name counts."""
        found = {row[self._column("name")]: row for row in self._named_rows()}
        prompt, negative = self._prompt_column(), self._column("negative_prompt")
        return [(name, _cell(row, prompt), _cell(row, negative)) for name, row in found.items()]

    def put(self, name: str, prompt: str, negative_prompt: str) -> None:
        """Write over the row of that name, the last one if there are several, or add one."""
        if "negative_prompt" not in self.header:
            self.header.append("negative_prompt")
        at = self._column("name")
        row = next((row for row in reversed(list(self._named_rows())) if row[at] == name), None)
        if row is None:
            row = []
            self.rows.append(row)
        row.extend([""] * (len(self.header) - len(row)))
        row[at], row[self._prompt_column()], row[self._column("negative_prompt")] = name, prompt, negative_prompt

    def remove(self, name: str) -> None:
        """Remove every row of that name."""
        gone = [row for row in self._named_rows() if row[self._column("name")] == name]
        self.rows = [row for row in self.rows if row not in gone]

    def _named_rows(self) -> Iterator[list[str]]:
        at = self._column("name")
        for row in self.rows:
            if len(row) > at and row[at] and not row[at].startswith(COMMENT):
                yield row

    def _column(self, name: str) -> int:
        """Return the column's place; one that is missing is to the right of them all."""
        return self.header.index(name) if name in self.header else len(self.header)

    def _prompt_column(self) -> int:
        return self._column("prompt" if "prompt" in self.header else OLD_PROMPT)


def longest_cell() -> int:
    """Return how many characters a cell may have so that the file can be read again."""
    return csv.field_size_limit()


def read_table(path: Path) -> StyleTable:
    """Return the table in a file; raises OSError or ValueError with the reason when there is none."""
    text = path.read_bytes().decode("utf-8-sig")
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), skipinitialspace=True))
    except csv.Error as error:
        raise ValueError(f"it is no CSV file ({error})") from error
    if not text.strip():
        return StyleTable.empty()
    header = [cell.strip() for cell in rows[0]]
    if "name" not in header or not {"prompt", OLD_PROMPT} & set(header):
        raise ValueError(f"its first line is {','.join(rows[0])[:80]!r} instead of {','.join(HEADER)!r}")
    return StyleTable(header, rows[1:])


def write_table(path: Path, table: StyleTable) -> None:
    """Write a table beside its place and rename it; raises StorageFailed when that is not possible."""
    out = io.StringIO(newline="")
    plain, quoting = csv.writer(out), csv.writer(out, quoting=csv.QUOTE_ALL)
    for row in (table.header, *table.rows):
        # A reader drops the spaces at the start of a cell that is not quoted.
        (quoting if any(cell.startswith(" ") for cell in row) else plain).writerow(row)
    try:
        write_whole(path, out.getvalue().encode("utf-8-sig"))
    except OSError as error:
        raise StorageFailed(f"The styles cannot be written to {path}: {error.strerror or error}") from error


def _cell(row: list[str], column: int) -> str:
    return row[column] if column < len(row) else ""
