"""The hook around upscalers in a real run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image, ImageOps

from modules.core.errors import InvalidRequest
from modules.hooks.spec import Enlarge, Enlarging
from tests.engine.test_hooks import Go, engine, go, same  # noqa: F401 (fixtures)


def test_hook_around_upscale(go: Go) -> None:  # noqa: F811
    asked: list[Enlarging] = []
    second = {"enable_hr": True, "hr_upscaler": "Nearest", "hr_second_pass_steps": 2, "denoising_strength": 0.4}

    def look(enlarging: Enlarging, call_next: Enlarge) -> Image.Image:
        asked.append(enlarging)
        return call_next(enlarging)

    def invert(enlarging: Enlarging, call_next: Enlarge) -> Image.Image:
        return ImageOps.invert(call_next(replace(enlarging, upscaler="Lanczos")).resize((100, 70)))

    plain = go(**second)[0]
    assert same(go(moments={"around_upscale": look}, **second)[0], plain), "looking changes nothing"
    assert [(each.width, each.height, each.upscaler) for each in asked] == [(128, 128, "Nearest")]
    changed = go(moments={"around_upscale": invert}, **second)[0]
    assert changed[0].shape == (128, 128, 3)
    assert not same(changed, plain)
    with pytest.raises(InvalidRequest, match="Upscaler: Odd is not possible; allowed is one of Latent"):
        go(**second | {"hr_upscaler": "Odd"})
