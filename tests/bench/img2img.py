"""Time of img2img and inpainting beside diffusers' own pipelines: `python tests/bench/img2img.py`.

Same model, picture, mask, sampler, size, CFG scale and number of calls of the U-Net, in one process and in turns. Ours
includes what users get with it, as in txt2img.py: among others the result put back into the picture byte for byte.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
from PIL import Image, ImageDraw

from modules.core.request import GenerationRequest
from tests.bench.txt2img import STARTER, in_turns, name_of, our_run, show, their_wishes, tuned

OUR_STRENGTH, THEIR_STRENGTH = 0.75, 0.8
"""With 20 steps both call the U-Net 16 times: A1111's rule, which is ours, makes one step more than the share."""


def make_pictures(size: int) -> dict[str, Image.Image]:
    """Return a picture and a mask of its middle."""
    picture = Image.linear_gradient("L").resize((size, size)).convert("RGB")
    ImageDraw.Draw(picture).ellipse((size // 4, size // 4, size // 2, size // 2), fill=(200, 40, 40))
    mask = Image.new("L", (size, size))
    ImageDraw.Draw(mask).rectangle((size // 3, size // 3, 2 * size // 3, 2 * size // 3), fill=255)
    return {"picture": picture, "mask": mask}


def their_run(model: Path, request: GenerationRequest, device: torch.device) -> tuple[Callable[[], None], Any]:
    """Return a function that makes the same pictures with diffusers, and the U-Net that it calls."""
    pictures = make_pictures(request.width)
    kind: Any = StableDiffusionInpaintPipeline if request.mask_image else StableDiffusionImg2ImgPipeline
    pipeline = tuned(kind, model, device)
    given: dict[str, Any] = {"image": pictures["picture"], "strength": THEIR_STRENGTH}
    if request.mask_image:
        given |= {"mask_image": pictures["mask"], "width": request.width, "height": request.height}
    return lambda: pipeline(**given, **their_wishes(request)), pipeline.unet


def count_calls(unet: torch.nn.Module, run: Callable[[], None]) -> int:
    """Return how often a run calls the U-Net."""
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    handle = unet.register_forward_pre_hook(count)
    run()
    handle.remove()
    return calls


def main() -> None:
    """Run each kind in turns and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=STARTER, help="a diffusers folder")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--runs", type=int, default=9)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pictures = make_pictures(given.size)
    for kind, mask in (("img2img", ""), ("inpainting", "mask")):
        request = GenerationRequest(
            prompt="a red apple on a blue background", sampler="Euler", steps=20, width=given.size, height=given.size,
            cfg_scale=5.0, seed=1, checkpoint=given.model.name, noise_source="CPU", init_image="picture",
            mask_image=mask, denoising_strength=OUR_STRENGTH,
        )  # fmt: skip
        ours = our_run(given.model, request, device, pictures.__getitem__)
        theirs, unet = their_run(given.model, request, device)
        ours()
        calls = count_calls(unet, theirs)
        size = f"{given.size} x {given.size}"
        print(f"{kind}, {given.model.name}, {size}, {calls} calls of the U-Net, on {name_of(device)}")
        show(in_turns(ours, theirs, given.runs))


if __name__ == "__main__":
    main()
