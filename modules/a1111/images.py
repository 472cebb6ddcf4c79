"""A1111's modules.images: pictures saved, resized, laid out in grids, and their infotexts read."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from modules.a1111 import script_callbacks
from modules.a1111._host import HOST
from modules.a1111.script_callbacks import ImageGridLoopParams, ImageSaveParams
from modules.a1111.shared_options import options
from modules.a1111.upscaler import enlarged_by, foreign_upscaler
from modules.core.errors import EaselError
from modules.gallery.saving import write_whole
from modules.imaging.fitting import fitted, flattened
from modules.imaging.metadata import embed, read_infotext
from modules.imaging.resize import NO_UPSCALER, PIXEL_UPSCALERS, upscaled

LANCZOS = Image.Resampling.LANCZOS
invalid_filename_chars = '#<>:"/\\|?*\n\r\t'
invalid_filename_prefix = " "
invalid_filename_postfix = " ."
max_filename_part_length = 128
re_nonletters = re.compile(r"[\s" + re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + "]+")
re_pattern = re.compile(r"(.*?)(?:\[([^\[\]]+)\]|$)")
re_pattern_arg = re.compile(r"(.*)<([^>]*)>$")
IGNORED_INFO_KEYS = frozenset({
    "jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "exif", "loop", "background", "timestamp", "duration",
    "progressive", "progression", "icc_profile", "chromaticity", "photoshop",
})  # fmt: skip
NOTHING_AND_SKIP_PREVIOUS_TEXT = object()
_NUMBER = re.compile(r"(\d+)")
_FONT_SIZE = 30
_TEXT_MARGIN = 10


class GridAnnotation:
    """A text at a grid's edge; one that is not active is struck out."""

    def __init__(self, text: str = "", is_active: bool = True) -> None:
        self.text = text
        self.is_active = is_active
        self.size: Any = None


class Grid(NamedTuple):
    """A picture cut into tiles: rows of (top, height, [left, width, tile])."""

    tiles: list[Any]
    tile_w: int
    tile_h: int
    image_w: int
    image_h: int
    overlap: int


def flatten(img: Image.Image, bgcolor: str) -> Image.Image:
    """Return a picture in RGB, transparent pixels in a colour."""
    return flattened(img, bgcolor)


def fix_image(image: Image.Image | None) -> Image.Image | None:
    """Return a picture as the rest of A1111 takes it."""
    return image


def read(fp: Any, **kwargs: Any) -> Image.Image:
    """Return the picture in a file."""
    return Image.open(fp, **kwargs)


def resize_image(
    resize_mode: int, im: Image.Image, width: int, height: int, upscaler_name: str | None = None
) -> Image.Image:
    """Return a picture in a size: 0 stretched, 1 cropped, 2 filled up at its edges.

    Without a name the upscaler is that of the settings for img2img.
    """
    upscaler_name = upscaler_name or options().upscaler_for_img2img
    foreign = foreign_upscaler(upscaler_name)
    if foreign is not None:
        im = enlarged_by(foreign, im.convert("RGB"), width, height)
    name = upscaler_name if upscaler_name in PIXEL_UPSCALERS else NO_UPSCALER
    return fitted(im.convert("RGB"), width, height, resize_mode, partial(upscaled, upscaler=str(name)))


def sanitize_filename_part(text: str | None, replace_spaces: bool = True) -> str | None:
    """Return a text that may stand in a file's name."""
    if text is None:
        return None
    text = text.replace(" ", "_") if replace_spaces else text
    text = text.translate({ord(letter): "_" for letter in invalid_filename_chars})
    return text.lstrip(invalid_filename_prefix)[:max_filename_part_length].rstrip(invalid_filename_postfix)


def get_next_sequence_number(path: str, basename: str) -> int:
    """Return one more than the highest number that files in a folder begin with, after `basename-`; 0 for the first."""
    start = f"{basename}-" if basename else ""
    highest = -1
    for file in Path(path).iterdir():
        found = _NUMBER.match(file.name[len(start) :]) if file.name.startswith(start) else None
        highest = max(highest, int(found[1])) if found else highest
    return highest + 1


class FilenameGenerator:
    """Fills in patterns such as "[seed]-[prompt_spaces]"."""

    def __init__(self, p: Any, seed: Any, prompt: Any, image: Any, zip: bool = False, basename: str = "") -> None:  # noqa: A002
        self.p = p
        self.seed = seed
        self.prompt = prompt
        self.image = image
        self.basename = basename
        self.zip = zip

    def values(self) -> dict[str, Any]:
        """Return what every pattern stands for."""
        now = datetime.now()  # noqa: DTZ005 (files are named by the user's own time)
        words = [word for word in re_nonletters.split(self.prompt or "") if word]
        return {
            "seed": self.seed, "basename": self.basename, "date": now.strftime("%Y-%m-%d"),
            "datetime": now.strftime("%Y%m%d%H%M%S"), "prompt": sanitize_filename_part(self.prompt),
            "prompt_no_styles": sanitize_filename_part(self.prompt), "prompt_words": " ".join(words[:8]),
            "prompt_spaces": sanitize_filename_part(self.prompt, replace_spaces=False),
            "width": getattr(self.image, "width", ""), "height": getattr(self.image, "height", ""),
            **{name: getattr(self.p, name, "") for name in ("steps", "sampler_name", "batch_size")},
            "denoising": getattr(self.p, "denoising_strength", ""),
            "cfg": getattr(self.p, "cfg_scale", ""), "sampler": getattr(self.p, "sampler_name", ""),
        }  # fmt: skip

    def apply(self, x: str) -> str:
        """Return a pattern with its parts filled in; unknown ones stay."""
        values = self.values()
        return re.sub(r"\[([a-z_]+)\]", lambda found: str(values.get(found[1], found[0])), x)


def save_image(  # noqa: PLR0913 (A1111's signature)
    image: Image.Image, path: str, basename: str = "", seed: Any = None, prompt: Any = None, extension: str = "png",
    info: str | None = None, short_filename: bool = False, no_prompt: bool = False, grid: bool = False,
    pnginfo_section_name: str = "parameters", p: Any = None, existing_info: Any = None,
    forced_filename: str | None = None, suffix: str = "", save_to_dirs: bool | None = None,
) -> tuple[str, str | None]:  # fmt: skip
    """Write a picture to a folder, numbered, with its infotext; returns the path, and that of a text file: None.

    Raises StorageFailed and OSError.
    """
    names = FilenameGenerator(p, seed, prompt, image, basename=basename)
    folder = Path(path)
    in_folders = options().grid_save_to_dirs if grid else options().save_to_dirs
    if in_folders if save_to_dirs is None else save_to_dirs:
        folder /= names.apply(options().directories_filename_pattern or "[date]").strip("\\/ ")
    folder.mkdir(parents=True, exist_ok=True)
    stem = forced_filename if forced_filename is not None else _stem(folder, basename, names, short_filename)
    target = folder / f"{stem}{suffix}.{extension}"
    params = ImageSaveParams(image, p, str(target), {**(existing_info or {}), pnginfo_section_name: info})
    script_callbacks.before_image_saved_callback(params)
    text = params.pnginfo.get(pnginfo_section_name)
    kept = text if options().enable_pnginfo else None
    target = Path(params.filename)
    write_whole(target, embed(params.image, kept, target.suffix.lstrip("."), int(options().jpeg_quality)))
    image.already_saved_as = str(target)  # type: ignore[attr-defined]
    script_callbacks.image_saved_callback(params)
    return str(target), None


def _stem(folder: Path, basename: str, names: FilenameGenerator, short: bool) -> str:
    """Return the file's name without its ending: number, or base name and number, and what the pattern says."""
    pattern = options().samples_filename_pattern or ("" if short or names.seed is None else "[seed]")
    filled = names.apply(pattern) if not short else ""
    number = get_next_sequence_number(str(folder), basename)
    start = f"{basename}-{number:04d}" if basename else f"{number:05d}"
    return f"{start}-{filled}" if filled else start


def save_image_with_geninfo(
    image: Image.Image, geninfo: str | None, filename: str, extension: str | None = None,
    existing_pnginfo: Any = None, pnginfo_section_name: str = "parameters",
) -> None:  # fmt: skip
    """Write a picture to a path with its infotext."""
    target = Path(filename)
    write_whole(target, embed(image, geninfo, (extension or target.suffix).lstrip("."), int(options().jpeg_quality)))


def read_info_from_image(image: Image.Image) -> tuple[str | None, dict[str, Any]]:
    """Return a picture's infotext, and what else its file says."""
    items = {str(key): value for key, value in dict(image.info or {}).items() if key not in IGNORED_INFO_KEYS}
    text = items.pop("parameters", None)
    if text is None and "exif" in image.info:
        buffer = io.BytesIO()
        Image.new("RGB", (1, 1)).save(buffer, "JPEG", exif=image.info["exif"])
        try:
            text = read_infotext(buffer.getvalue()).text
        except EaselError:
            text = None
    return text, items


def image_data(data: bytes) -> tuple[str, str | None]:
    """Return the infotext in a file's bytes, or the bytes as text."""
    try:
        return read_infotext(data).text or "", None
    except EaselError:
        return data[:100_000].decode("utf-8", "ignore"), None


def image_grid(imgs: Sequence[Image.Image], batch_size: int = 1, rows: int | None = None) -> Image.Image:
    """Return pictures side by side; without `rows` as many as the option n_rows says, or as nearly square as can be."""
    if rows is None:
        wanted = int(options().n_rows)
        rows = wanted if wanted > 0 else batch_size if wanted == 0 else round(math.sqrt(len(imgs)))
        while options().grid_prevent_empty_spots and wanted < 0 and len(imgs) % rows:
            rows -= 1
    rows = max(1, min(rows, len(imgs)))
    params = ImageGridLoopParams(list(imgs), math.ceil(len(imgs) / rows), rows)
    script_callbacks.image_grid_callback(params)
    width, height = (max(sizes) for sizes in zip(*(image.size for image in params.imgs), strict=True))
    whole = Image.new("RGB", (params.cols * width, params.rows * height), options().grid_background_color)
    for place, image in enumerate(params.imgs):
        left, top = place % params.cols * width, place // params.cols * height
        whole.paste(image, (left + (width - image.width) // 2, top + (height - image.height) // 2))
    return whole


def split_grid(image: Image.Image, tile_w: int = 512, tile_h: int = 512, overlap: int = 64) -> Grid:
    """Return a picture cut into tiles that overlap at least so much."""
    columns, rows = (_count(side, tile, overlap) for side, tile in ((image.width, tile_w), (image.height, tile_h)))
    across = (image.width - tile_w) / (columns - 1) if columns > 1 else 0
    down = (image.height - tile_h) / (rows - 1) if rows > 1 else 0
    grid = Grid([], tile_w, tile_h, image.width, image.height, overlap)
    for row in range(rows):
        top = min(int(row * down), max(image.height - tile_h, 0))
        line = []
        for column in range(columns):
            left = min(int(column * across), max(image.width - tile_w, 0))
            line.append([left, tile_w, image.crop((left, top, left + tile_w, top + tile_h))])
        grid.tiles.append([top, tile_h, line])
    return grid


def _count(side: int, tile: int, overlap: int) -> int:
    return max(1, math.ceil((side - overlap) / (tile - overlap)))


def combine_grid(grid: Grid) -> Image.Image:
    """Return the picture of tiles, each fading into the one before where they overlap."""
    whole = Image.new("RGB", (grid.image_w, grid.image_h))
    for top, height, row in grid.tiles:
        line = Image.new("RGB", (grid.image_w, height))
        for left, _, tile in row:
            line.paste(tile, (left, 0), _fade(tile.size, grid.overlap if left else 0, across=True))
        whole.paste(line, (0, top), _fade(line.size, grid.overlap if top else 0, across=False))
    return whole


def _fade(size: tuple[int, int], overlap: int, *, across: bool) -> Image.Image:
    values = np.full((size[1], size[0]), 255, dtype=np.float32)
    ramp = np.linspace(0, 255, overlap, dtype=np.float32) if overlap else np.zeros(0, dtype=np.float32)
    if across:
        values[:, :overlap] = ramp
    else:
        values[:overlap, :] = ramp[:, None]
    return Image.fromarray(values.astype(np.uint8), "L")


def get_font(fontsize: int) -> Any:
    """Return a font of a size."""
    wanted = str(options().font or "")
    try:
        return ImageFont.truetype(wanted, fontsize) if wanted else ImageFont.load_default(fontsize)
    except OSError:
        return ImageFont.load_default(fontsize)


def draw_grid_annotations(
    im: Image.Image, width: int, height: int, hor_texts: Sequence[Sequence[GridAnnotation]],
    ver_texts: Sequence[Sequence[GridAnnotation]], margin: int = 0,
) -> Image.Image:  # fmt: skip
    """Return a grid with texts over its columns and beside its rows; `width` and `height` are those of one picture."""
    font = get_font(_FONT_SIZE)
    left = width * 3 // 4 if any(text.text for texts in ver_texts for text in texts) else 0
    top = _lines_height(hor_texts, font)
    columns, rows = len(hor_texts), len(ver_texts)
    size = im.width + left + margin * (columns - 1), im.height + top + margin * (rows - 1)
    whole = Image.new("RGB", size, options().grid_background_color)
    for row in range(rows):
        for column in range(columns):
            box = (column * width, row * height, (column + 1) * width, (row + 1) * height)
            whole.paste(im.crop(box), (left + (width + margin) * column, top + (height + margin) * row))
    draw = ImageDraw.Draw(whole)
    for column, texts in enumerate(hor_texts):
        _write(draw, (left + (width + margin) * column + width / 2, top / 2), texts, font)
    for row, texts in enumerate(ver_texts):
        _write(draw, (left / 2, top + (height + margin) * row + height / 2), texts, font)
    return whole


def _lines_height(columns: Sequence[Sequence[GridAnnotation]], font: Any) -> int:
    most = max((len([text for text in texts if text.text]) for texts in columns), default=0)
    return most * (_FONT_SIZE + _TEXT_MARGIN) + 2 * _TEXT_MARGIN if most else 0


def _write(draw: Any, middle: tuple[float, float], texts: Sequence[GridAnnotation], font: Any) -> None:
    lines = [text for text in texts if text.text]
    first = middle[1] - (len(lines) - 1) * (_FONT_SIZE + _TEXT_MARGIN) / 2
    for place, text in enumerate(lines):
        colour = options().grid_text_active_color if text.is_active else options().grid_text_inactive_color
        at = middle[0], first + place * (_FONT_SIZE + _TEXT_MARGIN)
        draw.text(at, text.text, fill=colour, font=font, anchor="mm")


def get_scheduler_str(sampler_name: Any, scheduler_name: Any) -> Any:
    """Return a schedule's name."""
    return scheduler_name


def get_sampler_scheduler_str(sampler_name: Any, scheduler_name: Any) -> str:
    """Return sampler and schedule in one text."""
    return f"{sampler_name} {scheduler_name}"


def outputs_folder() -> str:
    """Return the folder of all pictures."""
    return str(HOST.config.data_dir / "outputs")
