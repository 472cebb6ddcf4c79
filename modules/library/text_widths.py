"""How many numbers a token has in each of a family's text encoders: what embeddings must have to be used with it."""

from __future__ import annotations

from collections.abc import Mapping

from modules.library.identify import SD1_FAMILY, SD2_FAMILY, SDXL_FAMILY, SDXL_REFINER_FAMILY

TEXT_WIDTHS: Mapping[str, tuple[int, ...]] = {
    SD1_FAMILY: (768,), SD2_FAMILY: (1024,), SDXL_FAMILY: (768, 1280), SDXL_REFINER_FAMILY: (1280,),
}  # fmt: skip
