"""A1111's modules.img2img: what the Generate button calls there, and batches over folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageFilter, ImageOps

from modules.a1111 import images, processing, scripts, util
from modules.a1111._form_runs import form_of, made, processing_of_form
from modules.a1111.infotext_utils import create_override_settings_dict, parse_generation_parameters
from modules.a1111.shared_options import options
from modules.a1111.shared_state import state
from modules.a1111.ui_common import plaintext_to_html

PLAIN, SKETCH, INPAINT, INPAINT_SKETCH, INPAINT_UPLOAD, BATCH = range(6)
PICTURE_ENDINGS = frozenset(Image.registered_extensions())
_OF_INFOTEXT: Mapping[str, tuple[str, Any]] = {
    "Prompt": ("prompt", str), "Negative prompt": ("negative_prompt", str), "Seed": ("seed", int),
    "CFG scale": ("cfg_scale", float), "Sampler": ("sampler_name", str), "Steps": ("steps", int),
}  # fmt: skip
"""What a picture's own infotext may set in a batch: by its key, the attribute of `p`."""


def img2img(  # noqa: PLR0913 (A1111's signature)
    id_task: str, request: Any, mode: int, prompt: str, negative_prompt: str, prompt_styles: Any, init_img: Any,
    sketch: Any, init_img_with_mask: Any, inpaint_color_sketch: Any, inpaint_color_sketch_orig: Any,
    init_img_inpaint: Any, init_mask_inpaint: Any, mask_blur: int, mask_alpha: float, inpainting_fill: int,
    n_iter: int, batch_size: int, cfg_scale: float, image_cfg_scale: float, denoising_strength: float,
    selected_scale_tab: int, height: int, width: int, scale_by: float, resize_mode: int, inpaint_full_res: Any,
    inpaint_full_res_padding: int, inpainting_mask_invert: int, img2img_batch_input_dir: str,
    img2img_batch_output_dir: str, img2img_batch_inpaint_mask_dir: str, override_settings_texts: Sequence[str],
    img2img_batch_use_png_info: bool, img2img_batch_png_info_props: Sequence[str], img2img_batch_png_info_dir: str,
    img2img_batch_source_type: str, img2img_batch_upload: Any, *args: Any,
) -> tuple[Any, str, str, str]:  # fmt: skip
    """Make pictures of the form's values; returns them with their facts as JSON and as HTML."""
    form = form_of(args)
    if form is not None:
        named = {name: value for name, value in locals().items() if name not in ("args", "form")}
        return made(processing_of_form("img2img", named, args, form))
    drawn = {
        PLAIN: (init_img, None), SKETCH: (sketch, None), INPAINT_UPLOAD: (init_img_inpaint, init_mask_inpaint),
        BATCH: (None, None),
    }  # fmt: skip
    if mode == INPAINT:
        image, mask = init_img_with_mask["image"], processing.create_binary_mask(init_img_with_mask["mask"])
    elif mode == INPAINT_SKETCH:
        image, mask = _painted(inpaint_color_sketch, inpaint_color_sketch_orig, mask_alpha, mask_blur)
    else:
        image, mask = drawn[mode]
    image = images.fix_image(ImageOps.exif_transpose(image)) if image is not None else None
    if selected_scale_tab == 1 and mode != BATCH and image is not None:
        width, height = (int(side * scale_by) - int(side * scale_by) % 8 for side in image.size)
    p = processing.StableDiffusionProcessingImg2Img(
        prompt=prompt, negative_prompt=negative_prompt, styles=prompt_styles, batch_size=batch_size, n_iter=n_iter,
        cfg_scale=cfg_scale, width=width, height=height, init_images=[image], mask=mask, mask_blur=mask_blur,
        inpainting_fill=inpainting_fill, resize_mode=resize_mode, denoising_strength=denoising_strength,
        image_cfg_scale=image_cfg_scale, inpaint_full_res=inpaint_full_res,
        inpaint_full_res_padding=inpaint_full_res_padding, inpainting_mask_invert=inpainting_mask_invert,
        override_settings=create_override_settings_dict(override_settings_texts),
    )  # fmt: skip
    p.scripts, p.script_args = scripts.scripts_img2img, args
    if mode == BATCH:
        uploaded = img2img_batch_source_type == "upload"
        processed = process_batch(
            p, img2img_batch_upload if uploaded else img2img_batch_input_dir,
            "" if uploaded else img2img_batch_output_dir, "" if uploaded else img2img_batch_inpaint_mask_dir, args,
            to_scale=selected_scale_tab == 1, scale_by=scale_by, use_png_info=img2img_batch_use_png_info,
            png_info_props=img2img_batch_png_info_props, png_info_dir=img2img_batch_png_info_dir,
        ) or processing.Processed(p, [], p.seed, "")  # fmt: skip
    else:
        processed = scripts.scripts_img2img.run(p, *args) or processing.process_images(p)
    return processed.images, processed.js(), plaintext_to_html(processed.info), processed.comments


def _painted(drawing: Image.Image, original: Image.Image | None, alpha: float, blur: int) -> tuple[Image.Image, Any]:
    """Return a coloured drawing blended into its original, and the mask of what was drawn."""
    plain = (drawing if original is None else original).convert("RGB")
    changed = ImageChops.difference(drawing.convert("RGB"), plain).convert("L").point(lambda value: 255 if value else 0)
    shown = changed.point(lambda value: value * (1 - alpha / 100)).filter(ImageFilter.GaussianBlur(blur))
    return Image.composite(drawing.convert("RGB"), plain, shown), changed


def process_batch(  # noqa: PLR0913 (A1111's signature)
    p: Any, input: Any, output_dir: str, inpaint_mask_dir: str, args: Any, to_scale: bool = False,  # noqa: A002
    scale_by: float = 1.0, use_png_info: bool = False, png_info_props: Sequence[str] | None = None,
    png_info_dir: str | None = None,
) -> Any:  # fmt: skip
    """Work over every picture of a folder, or of a list of files; returns all results in one, None for no picture.

    With `output_dir` the pictures are written there, under the names that they came with.
    """
    files = sorted(map(Path, util.listfiles(input))) if isinstance(input, str) else [Path(str(each)) for each in input]
    files = [file for file in files if file.suffix.lower() in PICTURE_ENDINGS]
    masks = [Path(each) for each in util.listfiles(inpaint_mask_dir)] if inpaint_mask_dir else []
    usual = {attribute: getattr(p, attribute) for attribute, _ in _OF_INFOTEXT.values()}
    results: Any = None
    progress = state()
    progress.job_count = len(files) * p.n_iter
    for number, file in enumerate(files, start=1):
        progress.job = f"{number} out of {len(files)}"
        if progress.interrupted or progress.stopping_generation:
            break
        picture = _opened(file)
        if picture is None:
            continue
        if to_scale:
            p.width, p.height = (int(side * scale_by) for side in picture.size)
        p.init_images = [picture] * p.batch_size
        mask = _mask_for(file, masks)
        if mask is not None:
            p.image_mask = processing.create_binary_mask(mask)
        _take_from_infotext(p, usual, file, png_info_dir, png_info_props if use_png_info else None)
        p.do_not_save_samples = p.do_not_save_samples or bool(output_dir)
        made = scripts.scripts_img2img.run(p, *args) or processing.process_images(p)
        if output_dir:
            _write(made, Path(output_dir), file)
        if results is None:
            results = made
        else:
            results.images += made.images
            results.infotexts += made.infotexts
    return results


def _opened(file: Path) -> Image.Image | None:
    try:
        opened = ImageOps.exif_transpose(Image.open(file))
    except OSError:
        return None
    return opened.convert("RGBA" if opened.has_transparency_data else "RGB")


def _mask_for(file: Path, masks: Sequence[Path]) -> Image.Image | None:
    """Return the mask of a picture's own name, or the only one there is."""
    own = [mask for mask in masks if mask.stem == file.stem] or (masks if len(masks) == 1 else [])
    return _opened(own[0]) if own else None


def _take_from_infotext(
    p: Any, usual: Mapping[str, Any], file: Path, folder: str | None, wanted: Sequence[str] | None
) -> None:
    """Set what was chosen from the infotext of a picture, or of the one of its name in a folder; all else is usual."""
    for attribute, value in usual.items():
        setattr(p, attribute, value)
    if wanted is None:
        return
    source = Path(folder) / file.name if folder else file
    if not source.is_file():
        return
    with Image.open(source) as picture:
        found = parse_generation_parameters(images.read_info_from_image(picture)[0] or "")
    for key in wanted:
        if key not in found or key not in _OF_INFOTEXT:
            continue
        attribute, kind = _OF_INFOTEXT[key]
        joined = f"{usual[attribute]} {found[key]}".strip() if kind is str and key.endswith("rompt") else found[key]
        setattr(p, attribute, kind(joined))


def _write(made: Any, folder: Path, file: Path) -> None:
    ending = str(options().samples_format)
    for number, picture in enumerate(made.images):
        text = made.infotexts[number] if number < len(made.infotexts) else made.info
        name = file.stem if len(made.images) == 1 else f"{file.stem}-{number}"
        images.save_image(
            picture, str(folder), extension=ending, info=text, forced_filename=name, save_to_dirs=False, p=None
        )
