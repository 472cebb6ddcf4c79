"""The class that scripts of extensions are derived from, with what its methods are given."""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable
from typing import Any

from modules.a1111._callback_params import Checked, shape_of

AlwaysVisible = object()
"""What `Script.show` returns for a script that is always there."""
OnComponent = namedtuple("OnComponent", ["component"])


class MaskBlendArgs:
    """How new and old latents are mixed; `blended_latent` may be changed."""

    blended_latent = Checked("shape", shape_of)

    def __init__(
        self, current_latent: Any, nmask: Any, init_latent: Any, mask: Any, blended_latent: Any, denoiser: Any = None,
        sigma: Any = None,
    ) -> None:  # fmt: skip
        self.current_latent = current_latent
        self.nmask = nmask
        self.init_latent = init_latent
        self.mask = mask
        self.blended_latent = blended_latent
        self.denoiser = denoiser
        self.is_final_blend = denoiser is None
        self.sigma = sigma


class PostSampleArgs:
    """The latents after sampling; `samples` may be changed."""

    samples = Checked("shape", shape_of)

    def __init__(self, samples: Any) -> None:
        self.samples = samples


class PostprocessImageArgs:
    """A picture; `image` may be changed."""

    image = Checked("kind", lambda value: "picture" if hasattr(value, "convert") else type(value).__name__)

    def __init__(self, image: Any, index: int = 0) -> None:
        self.image = image
        self.index = index


class PostProcessMaskOverlayArgs:
    """What is laid over a picture of inpainting; both may be changed."""

    def __init__(self, index: int, mask_for_overlay: Any, overlay_image: Any) -> None:
        self.index = index
        self.mask_for_overlay = mask_for_overlay
        self.overlay_image = overlay_image


class PostprocessBatchListArgs:
    """A batch's pictures, each (3, height, width) from 0 to 1; `images` may be changed."""

    def __init__(self, images: list[Any]) -> None:
        self.images = images


class Script:
    """A script. Subclasses override what they need; `args` are the values of the controls that `ui` returned."""

    name: str | None = None
    section: str | None = None
    filename: str | None = None
    args_from: int | None = None
    args_to: int | None = None
    alwayson = False
    is_txt2img = False
    is_img2img = False
    tabname: str | None = None
    group: Any = None
    create_group = True
    infotext_fields: Any = None
    paste_field_names: Any = None
    api_info: Any = None
    on_before_component_elem_id: Any = None
    on_after_component_elem_id: Any = None
    setup_for_ui_only = False
    controls: Any = None
    load_script_extension = ""

    def title(self) -> str:
        """Return the name in the Script dropdown or of the accordion."""
        raise NotImplementedError

    def ui(self, is_img2img: bool) -> Any:
        """Make the script's components and return those whose values it wants."""

    def show(self, is_img2img: bool) -> Any:
        """Return whether it is in this tab's dropdown, or AlwaysVisible."""
        return True

    def run(self, p: Any, *args: Any) -> Any:
        """Make the pictures in the script's own way; only of the chosen script. None: as always."""

    def setup(self, p: Any, *args: Any) -> None:
        """Come before everything else, when the processing object was made."""

    def before_process(self, p: Any, *args: Any) -> None:
        """Come before anything is done."""

    def process(self, p: Any, *args: Any) -> None:
        """Come when prompts and seeds are known."""

    def before_process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """Come before a batch, while its networks are not read yet."""

    def after_extra_networks_activate(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """Come when the batch's networks are read."""

    def process_before_every_sampling(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """Come before each pass of sampling."""

    def process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """Come before a batch."""

    def postprocess_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """Come when a batch is decoded: `images`, (batch, 3, height, width) from 0 to 1."""

    def postprocess_batch_list(self, p: Any, pp: PostprocessBatchListArgs, *args: Any, **kwargs: Any) -> None:
        """Come when a batch is decoded, with a list that may be changed."""

    def on_mask_blend(self, p: Any, mba: MaskBlendArgs, *args: Any) -> None:
        """Come when new and old latents are mixed."""

    def post_sample(self, p: Any, ps: PostSampleArgs, *args: Any) -> None:
        """Come when a batch was sampled."""

    def postprocess_image(self, p: Any, pp: PostprocessImageArgs, *args: Any) -> None:
        """Come for each picture, before it is put back into an original."""

    def postprocess_maskoverlay(self, p: Any, ppmo: PostProcessMaskOverlayArgs, *args: Any) -> None:
        """Come before an original is laid over a picture."""

    def postprocess_image_after_composite(self, p: Any, pp: PostprocessImageArgs, *args: Any) -> None:
        """Come for each picture as it will be saved."""

    def postprocess(self, p: Any, processed: Any, *args: Any) -> None:
        """Come when all pictures are made."""

    def before_hr(self, p: Any, *args: Any) -> None:
        """Come before the second pass."""

    def before_component(self, component: Any, **kwargs: Any) -> None:
        """Come before a component of the page is made."""

    def after_component(self, component: Any, **kwargs: Any) -> None:
        """Come when a component of the page was made."""

    def describe(self) -> str:
        """Return what the script does, in words."""
        return ""

    def on_before_component(self, callback: Callable[..., Any], *, elem_id: str) -> None:
        """Have `callback` called before the component of an id is made."""
        if self.on_before_component_elem_id is None:
            self.on_before_component_elem_id = []
        self.on_before_component_elem_id.append((elem_id, callback))

    def on_after_component(self, callback: Callable[..., Any], *, elem_id: str) -> None:
        """Have `callback` called when the component of an id was made."""
        if self.on_after_component_elem_id is None:
            self.on_after_component_elem_id = []
        self.on_after_component_elem_id.append((elem_id, callback))

    def elem_id(self, item_id: str) -> str:
        """Return an id for a component, unlike those of other scripts and of the other tab."""
        both = self.show(True) == self.show(False)
        tab = ("img2img_" if self.is_img2img else "txt2img_") if both else ""
        title = re.sub(r"[^a-z_0-9]", "", re.sub(r"\s", "_", self.title().lower()))
        return f"script_{tab}{title}_{item_id}"


class ScriptBuiltinUI(Script):
    """A script that is a part of A1111's own page."""

    setup_for_ui_only = True

    def elem_id(self, item_id: str) -> str:
        """Return an id for a component."""
        both = self.show(True) == self.show(False)
        tab = ("img2img_" if self.is_img2img else "txt2img_") if both else ""
        return f"{tab}{item_id}"
