"""The parameters of img2img and inpainting; `parameters.py` has them among all others."""

from __future__ import annotations

from modules.core.parameter import Parameter

INPAINT_MASKED, INPAINT_NOT_MASKED = "Inpaint masked", "Inpaint not masked"
WHOLE_PICTURE, ONLY_MASKED = "Whole picture", "Only masked"
FILL, ORIGINAL_CONTENT, LATENT_NOISE, LATENT_NOTHING = "fill", "original", "latent noise", "latent nothing"
MASKED_CONTENTS = (FILL, ORIGINAL_CONTENT, LATENT_NOISE, LATENT_NOTHING)
"""By number, as the API has them."""

_IMG2IMG = "img2img"

PICTURE_PARAMETERS = (
    Parameter(
        "init_image", "Image", "text", "", "Content hash of the stored picture that is worked over; empty: none.",
        maximum=64, flags=("--init-image",),
    ),
    Parameter(
        "mask_image", "Mask", "text", "",
        "Content hash of the stored picture whose white parts are painted anew; empty: everything is.",
        maximum=64, flags=("--mask-image",),
    ),
    Parameter(
        "latent_mask", "Latent mask", "text", "",
        "Content hash of a stored mask of what is sampled anew, in the size that is worked in; empty: as the mask.",
        maximum=64,
    ),
    Parameter(
        "depth_image", "Depth map", "text", "",
        "Content hash of a stored picture, white what is nearest, for depth checkpoints; empty: it is estimated.",
        maximum=64, flags=("--depth-image",),
    ),
    Parameter(
        "resize_mode", "Resize mode", "integer", 0,
        "How the picture is brought to size: 0 stretched, 1 cropped, 2 filled up at its edges, 3 as latents.",
        minimum=0, maximum=3, api="resize_mode", flags=("--resize-mode",),
    ),
    Parameter(
        "image_cfg_scale", "Image CFG Scale", "number", 1.5,
        "How strictly instruct-pix2pix checkpoints keep to the picture; 1: guided by the prompt alone.",
        minimum=0, maximum=3, step=0.05, infotext="Image CFG scale", api="image_cfg_scale",
        flags=("--image-cfg-scale",),
    ),
    Parameter(
        "mask_mode", "Mask mode", "choice", INPAINT_MASKED, "Whether what is masked is painted anew, or the rest.",
        choices=(INPAINT_MASKED, INPAINT_NOT_MASKED), infotext="Mask mode", flags=("--mask-mode",),
    ),
    Parameter(
        "mask_blur_x", "Mask blur, across", "integer", 4, "How far the mask's edge is softened, in pixels.",
        minimum=0, maximum=64, infotext="Mask blur", api="mask_blur_x", flags=("--mask-blur",),
    ),
    Parameter(
        "mask_blur_y", "Mask blur, down", "integer", 4, "The same from top to bottom.",
        minimum=0, maximum=64, infotext="Mask blur", api="mask_blur_y",
    ),
    Parameter(
        "masked_content", "Masked content", "choice", ORIGINAL_CONTENT,
        "What stands below the mask in the beginning: colours from around it, the picture, noise, or nothing.",
        choices=MASKED_CONTENTS, infotext="Masked content", flags=("--masked-content",),
    ),
    Parameter(
        "inpaint_area", "Inpaint area", "choice", WHOLE_PICTURE,
        "Work on the whole picture, or enlarge the masked part, work on that alone, and put it back.",
        choices=(WHOLE_PICTURE, ONLY_MASKED), infotext="Inpaint area", flags=("--inpaint-area",),
    ),
    Parameter(
        "masked_padding", "Only masked padding, pixels", "integer", 32,
        "How much around the masked part is seen when that alone is worked on.",
        minimum=0, maximum=256, step=4, infotext="Masked area padding", api="inpaint_full_res_padding", api_default=0,
        flags=("--masked-padding",),
    ),
    Parameter(
        "mask_round", "Round the mask", "flag", True,
        "A latent is either painted anew or kept; without it shades of the mask mix both.", api="mask_round",
    ),
    Parameter(
        "noise_multiplier", "Noise multiplier for img2img", "number", 1.0, "Strength of the noise that is added.",
        minimum=0, maximum=1.5, step=0.001, infotext="Noise multiplier", api="initial_noise_multiplier",
        option="initial_noise_multiplier", section=_IMG2IMG,
    ),
    Parameter(
        "fix_steps", "With img2img, do exactly the amount of steps the slider specifies", "flag", False,
        "Otherwise a denoising strength of 0.5 makes half of the steps.",
        option="img2img_fix_steps", section=_IMG2IMG,
    ),
    Parameter(
        "background_color", "With img2img, fill transparent parts of the input image with this color", "text",
        "#ffffff", "As #rrggbb.", maximum=7, option="img2img_background_color", section=_IMG2IMG,
    ),
    Parameter(
        "color_correction", "Apply color correction to img2img results to match original colors", "flag", False,
        "Hues are brought back to those of the picture; brightness stays that of the result.",
        option="img2img_color_correction", section=_IMG2IMG,
    ),
    Parameter(
        "img2img_upscaler", "Upscaler for img2img", "choice", "None",
        "What enlarges a picture that is smaller than the size that is asked for.",
        choices="pixel_upscalers", option="upscaler_for_img2img", section=_IMG2IMG,
    ),
    Parameter(
        "overlay_inpaint", "Overlay original for inpaint", "flag", True,
        "Put the original over the result where nothing was masked, so that it stays as it was.",
        option="overlay_inpaint", section=_IMG2IMG,
    ),
    Parameter(
        "mask_weight", "Inpainting conditioning mask strength", "number", 1.0,
        "How much inpainting models are kept from seeing what is below the mask.",
        minimum=0, maximum=1, step=0.01, infotext="Conditional mask weight",
        option="inpainting_mask_weight", section=_IMG2IMG,
    ),
)  # fmt: skip
