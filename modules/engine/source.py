"""What a run over a picture begins with, and how its results go back into that picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from modules.core.picture_parameters import INPAINT_MASKED, LATENT_NOISE, LATENT_NOTHING, ONLY_MASKED, ORIGINAL_CONTENT
from modules.core.request import GenerationRequest
from modules.engine.families import ModelBundle
from modules.engine.hires import enlarged
from modules.engine.latents import encode
from modules.engine.plan import LATENT_PIXELS
from modules.hooks.registry import Moment, silent
from modules.hooks.spec import Enlarge, Enlarging, MaskBlend, Overlay
from modules.imaging.fitting import CROP_AND_RESIZE, JUST_RESIZE, LATENT_UPSCALE, RESIZE_AND_FILL, fitted, flattened
from modules.imaging.masks import Box, blurred, doubled, filled, mask_of, region_around, with_aspect
from modules.imaging.overlays import overlay_of
from modules.imaging.resize import NO_UPSCALER, Resize, plain, scale_to

PictureSource = Callable[[str], Image.Image]
"""Returns a stored picture, the right way up, by its content hash. Raises InvalidRequest when there is none."""


@dataclass(frozen=True, slots=True)
class Source:
    """A picture in the size that is worked in, and what of it is painted anew.

    `picture`: RGB. `mask`: 8-bit grey of the same size, white where is painted; None: everywhere. `overlay`: RGBA of
    the original's size, laid over the result; `box`: the part of the original that the result is put into, None: all.
    `sampled`: the mask that says which latents are sampled anew, where it is another than that of what is seen. With a
    mask, `original` is the RGB picture of the result's size, and `covered` the mask of that size. `resize`: how
    a result whose box is larger is enlarged. `depth`: a depth map that was handed in, 8-bit grey of the same part,
    white what is nearest.
    """

    picture: Image.Image
    mask: Image.Image | None = None
    overlay: Image.Image | None = None
    box: Box | None = None
    sampled: Image.Image | None = None
    original: Image.Image | None = None
    covered: Image.Image | None = None
    resize: Resize = plain
    depth: Image.Image | None = None

    def finished(self, made: Image.Image) -> Image.Image:
        """Return a picture that was made, put back into the original where only a part was painted."""
        return self.under(made, self.overlay)

    def under(self, made: Image.Image, overlay: Image.Image | None) -> Image.Image:
        """Return a picture that was made at its place below an overlay; without one it stays as it is."""
        if overlay is None:
            return made
        whole = made.convert("RGBA")
        if self.box is not None:
            left, top, right, bottom = self.box
            whole = Image.new("RGBA", overlay.size)
            whole.paste(fitted(made, right - left, bottom - top, CROP_AND_RESIZE, self.resize), (left, top))
        whole.alpha_composite(overlay)
        return whole.convert("RGB")


@dataclass(frozen=True, slots=True)
class Made:
    """A picture as it was decoded, and the latents that it was decoded from: (1, channels, rows, columns)."""

    index: int
    picture: Image.Image
    latents: Tensor


@dataclass(frozen=True, slots=True)
class Canvas:
    """A source in latents: (batch, channels, rows, columns); `painted`: (1, 1, rows, columns), 1 where it is new."""

    latents: Tensor
    painted: Tensor | None = None
    on_blend: Moment[MaskBlend] = field(default_factory=silent)

    def blended(self, latents: Tensor, level: Tensor | None = None) -> Tensor:
        """Return latents with the source's own where nothing is painted; `level` as in `MaskBlend`."""
        if self.painted is None:
            return latents
        mixed = latents * self.painted + self.latents * (1 - self.painted)
        if not self.on_blend:
            return mixed
        blend = MaskBlend(latents, self.latents, self.painted, level, mixed)
        self.on_blend(blend)
        return blend.blended


def read_source(request: GenerationRequest, pictures: PictureSource, enlarge: Enlarge = enlarged) -> Source:
    """Return what a request works over, in the order in which A1111 prepares it. Raises InvalidRequest.

    `enlarge` acts where a picture becomes larger and the request names an upscaler.
    """
    size, resize = (request.width, request.height), partial(_resized, request.img2img_upscaler, enlarge)
    picture = flattened(pictures(request.init_image), request.background_color)
    mask = _mask(request, pictures, picture.size) if request.mask_image else None
    box = region_around(mask, request.masked_padding) if mask and request.inpaint_area == ONLY_MASKED else None
    if mask is None or (box is None and request.inpaint_area == ONLY_MASKED):
        # Where nothing is masked there is no part to work on alone.
        return Source(_sized(picture, request, resize), depth=_depth(request, pictures, picture.size, None))
    whole = picture.size
    if box is None:
        picture = _sized(picture, request, resize)
        mask = fitted(mask.convert("RGB"), *size, request.resize_mode, resize).convert("L")
        original, covered = picture, mask
        overlay = overlay_of(picture, doubled(mask))
    else:
        box = with_aspect(box, *size, picture.size)
        original, covered = picture, mask
        overlay = overlay_of(picture, mask)
        mask = fitted(mask.crop(box).convert("RGB"), *size, RESIZE_AND_FILL, resize).convert("L")
        picture = fitted(picture.crop(box), *size, RESIZE_AND_FILL, resize)
    sampled = pictures(request.latent_mask).convert("L").resize(picture.size) if request.latent_mask else None
    if request.masked_content != ORIGINAL_CONTENT:
        picture = filled(picture, sampled or mask)
    shown = overlay if request.overlay_inpaint else None
    depth = _depth(request, pictures, whole, box)
    return Source(picture, mask, shown, box, sampled, original, covered, resize, depth)


def put_back(source: Source, canvas: Canvas, made: Made, on_overlay: Moment[Overlay]) -> Image.Image:
    """Return a picture back in the original; plugins may lay something else over it than what was not masked."""
    if not on_overlay or canvas.painted is None or source.original is None or source.covered is None:
        return source.finished(made.picture)
    overlay = Overlay(
        made.index, made.picture, source.original, source.covered, source.overlay, source.box,
        made.latents, canvas.latents[:1], canvas.painted,
    )  # fmt: skip
    on_overlay(overlay)
    return source.under(made.picture, overlay.overlay)


def open_canvas(
    bundle: ModelBundle, source: Source, request: GenerationRequest, noise: Tensor, on_blend: Moment[MaskBlend]
) -> Canvas:
    """Return the latents that a run begins with; `noise`: (batch, channels, rows, columns), that of its seeds."""
    rows, columns = noise.shape[-2:]
    latents = encode(bundle, source.picture)
    if request.resize_mode == LATENT_UPSCALE:
        latents = F.interpolate(latents, size=(rows, columns), mode="bilinear")
    latents = latents.repeat(noise.shape[0], 1, 1, 1)
    if source.mask is None:
        return Canvas(latents)
    small = (source.sampled or source.mask).convert("RGB").resize((columns, rows)).getchannel(0)
    shades = torch.from_numpy(np.asarray(small, dtype=np.float32) / 255)
    painted = (shades.round() if request.mask_round else shades).to(latents.device).view(1, 1, rows, columns)
    if request.masked_content == LATENT_NOISE:
        latents = latents * (1 - painted) + noise.to(latents) * painted
    elif request.masked_content == LATENT_NOTHING:
        latents = latents * (1 - painted)
    return Canvas(latents, painted, on_blend)


def _mask(request: GenerationRequest, pictures: PictureSource, size: tuple[int, int]) -> Image.Image:
    mask = mask_of(pictures(request.mask_image), request.mask_round)
    if mask.size != size:
        mask = mask.resize(size, Image.Resampling.NEAREST)
    if request.mask_mode != INPAINT_MASKED:
        mask = ImageOps.invert(mask)
    return blurred(mask, request.mask_blur_x, request.mask_blur_y)


def _depth(
    request: GenerationRequest, pictures: PictureSource, size: tuple[int, int], box: Box | None
) -> Image.Image | None:
    """Return the depth map that was handed in, brought to size as the picture of `size` is."""
    if not request.depth_image:
        return None
    depth = flattened(pictures(request.depth_image), "#000000").resize(size, Image.Resampling.BICUBIC)
    if box is None:
        return _sized(depth, request, plain).convert("L")
    return fitted(depth.crop(box), request.width, request.height, RESIZE_AND_FILL).convert("L")


def _resized(upscaler: str, enlarge: Enlarge, picture: Image.Image, width: int, height: int) -> Image.Image:
    """Return the picture in a size; what the upscaler leaves to do, and whatever becomes smaller, Lanczos does."""
    if upscaler != NO_UPSCALER and scale_to(picture, width, height) > 1:
        picture = enlarge(Enlarging(picture.convert("RGB"), width, height, upscaler)).convert("RGB")
    return plain(picture, width, height)


def _sized(picture: Image.Image, request: GenerationRequest, resize: Resize) -> Image.Image:
    if request.resize_mode == LATENT_UPSCALE:
        # Less than one latent cannot be encoded.
        width, height = max(picture.width, LATENT_PIXELS), max(picture.height, LATENT_PIXELS)
        return fitted(picture, width, height, JUST_RESIZE)
    return fitted(picture, request.width, request.height, request.resize_mode, resize)
