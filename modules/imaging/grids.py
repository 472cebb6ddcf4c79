"""Several pictures as one: in rows and columns, with labels above and at the left.

Proportions are those of A1111's grids: the labels at the left take three quarters of a picture's width, and a line is a
25th of a picture's width and height together. A label that is not active is grey and struck through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageDraw, ImageFont

MEGA = 1_000_000
LONGEST_LABEL = 1000
"""Characters of a label that are drawn."""
SMALLEST_LINE = 8
"""Pixels; smaller letters cannot be read."""
UNICODE_FONTS = (
    "NotoSansCJK-Regular.ttc", "NotoSans-Regular.ttf", "DejaVuSans.ttf", "Arial Unicode.ttf", "msyh.ttc", "arial.ttf",
)  # fmt: skip
"""Fonts of systems that are tried for what Pillow's own, which is there everywhere, has no letters for."""
_BACKGROUND, _ACTIVE, _INACTIVE = "white", "black", (153, 153, 153)
_EMPTY = "black"
_LATIN = 0x250
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class Label:
    """A text beside a row or above a column."""

    text: str
    active: bool = True


Labels = tuple[tuple[Label, ...], ...]
"""For each row or column its labels, one below the other."""


@dataclass(frozen=True, slots=True)
class GridLayout:
    """How a grid looks: `cell` is the width and height of its largest picture in pixels, as is `margin` between them.

    `above`: the labels of the columns; `left`: those of the rows; empty: none.
    """

    cell: tuple[int, int]
    columns: int
    rows: int
    above: Labels = ()
    left: Labels = ()
    margin: int = 0

    def megapixels(self) -> float:
        """Return how many megapixels the pictures have together, without what is between and beside them."""
        return self.cell[0] * self.cell[1] * self.columns * self.rows / MEGA


def grid_size(layout: GridLayout) -> tuple[int, int]:
    """Return the width and height in pixels that `draw_grid` makes of a layout."""
    return _Legend(layout).size()


def draw_grid(layout: GridLayout, picture: Callable[[int, int], Image.Image | None]) -> Image.Image:
    """Return the grid, RGB. `picture` is asked once for each column and row; where it returns None the place is black.

    A picture that is smaller than the largest stands in the middle of its place.
    """
    (width, height), margin = layout.cell, layout.margin
    sheet = _Legend(layout)
    grid = Image.new("RGB", sheet.size(), _BACKGROUND)
    for row in range(layout.rows):
        for column in range(layout.columns):
            left, top = sheet.left + column * (width + margin), sheet.top + row * (height + margin)
            grid.paste(_EMPTY, (left, top, left + width, top + height))
            one = picture(column, row)
            if one is not None:
                grid.paste(one.convert("RGB"), (left + (width - one.width) // 2, top + (height - one.height) // 2))
    sheet.draw(grid)
    return grid


def switched_labels(texts: Sequence[str]) -> Labels:
    """Return labels for all combinations of texts: in the one of number n those whose bit is set in n are active."""
    return tuple(
        tuple(Label(text, bool(number >> bit & 1)) for bit, text in enumerate(texts))
        for number in range(1 << len(texts))
    ) if texts else ()  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that was fitted into its place."""

    text: str
    font: Font
    active: bool


class _Legend:
    """The labels of a grid, fitted: `left` and `top` are the pixels that they take beside and above the pictures."""

    def __init__(self, layout: GridLayout) -> None:
        self._layout = layout
        width, height = layout.cell
        self._line = max(SMALLEST_LINE, (width + height) // 25)
        self._gap = self._line // 2
        self.left = width * 3 // 4 if _any(layout.left) else 0
        self._rows = [self._fitted(labels, self.left - self._gap, height) for labels in layout.left if self.left]
        self._columns = [self._fitted(labels, width, None) for labels in layout.above if _any(layout.above)]
        tallest = max((self._height(lines) for lines in self._columns), default=0)
        self.top = tallest + 2 * self._gap if tallest else 0

    def size(self) -> tuple[int, int]:
        """Return the width and height of the whole grid."""
        layout = self._layout
        (width, height), margin = layout.cell, layout.margin
        return (
            self.left + layout.columns * (width + margin) - margin,
            self.top + layout.rows * (height + margin) - margin,
        )

    def draw(self, grid: Image.Image) -> None:
        """Draw all labels, each in the middle of its place."""
        draw = ImageDraw.Draw(grid)
        (width, height), margin = self._layout.cell, self._layout.margin
        for number, lines in enumerate(self._columns):
            self._block(draw, lines, self.left + number * (width + margin) + width // 2, self.top // 2)
        for number, lines in enumerate(self._rows):
            self._block(draw, lines, self.left // 2, self.top + number * (height + margin) + height // 2)

    def _fitted(self, labels: Sequence[Label], width: int, height: int | None) -> list[_Line]:
        """Return the labels' lines in the largest letters in which they fit into a place; None: any height does."""
        size = self._line
        while True:
            lines = [line for label in labels for line in _wrapped(_short(label), size, max(1, width))]
            if size <= SMALLEST_LINE or height is None or self._height(lines) <= height:
                return lines
            size -= 1

    def _height(self, lines: Sequence[_Line]) -> int:
        return sum(_tall(line) for line in lines)

    def _block(self, draw: ImageDraw.ImageDraw, lines: Sequence[_Line], middle: int, centre: int) -> None:
        top = centre - self._height(lines) // 2
        for line in lines:
            tall = _tall(line)
            at = (middle, top + tall // 2)
            draw.text(at, line.text, fill=_ACTIVE if line.active else _INACTIVE, font=line.font, anchor="mm")
            if not line.active:
                half = int(line.font.getlength(line.text)) // 2
                draw.line((middle - half, at[1], middle + half, at[1]), _INACTIVE, max(1, tall // 12))
            top += tall


def _any(labels: Labels) -> bool:
    return any(label.text.strip() for line in labels for label in line)


def _short(label: Label) -> Label:
    text = " ".join(label.text.split())
    return replace(label, text=text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…")


def _tall(line: _Line) -> int:
    size = line.font.size if isinstance(line.font, ImageFont.FreeTypeFont) else SMALLEST_LINE
    return int(size * 1.25)


def _wrapped(label: Label, size: int, width: int) -> Iterator[_Line]:
    """Yield the lines that a label has in a place of `width` pixels: broken between words, or within one too long."""
    font = _font(label.text, size)
    line = ""
    for word in label.text.split(" "):
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= width:
            line = longer
            continue
        if line:
            yield _Line(line, font, label.active)
        *full, line = _pieces(word, font, width)
        for piece in full:
            yield _Line(piece, font, label.active)
    if line:
        yield _Line(line, font, label.active)


def _pieces(word: str, font: Font, width: int) -> list[str]:
    """Return a word in pieces that are at most `width` pixels long, or one letter."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and font.getlength(pieces[-1] + letter) > width:
            pieces.append(letter)
        else:
            pieces[-1] += letter
    return pieces


def _font(text: str, size: int) -> Font:
    for name in UNICODE_FONTS if any(ord(letter) >= _LATIN for letter in text) else ():
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)
