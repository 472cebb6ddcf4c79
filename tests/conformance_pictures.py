"""Hold our pictures against A1111's own: `python tests/conformance_pictures.py DIR CHECKPOINT`.

DIR holds one NAME.json per case, with the request as A1111's API takes it, the names of its pictures and its
infotexts; CHECKPOINT is the file that the pictures were made from, beside which lie the VAE, LoRA and embedding.
A1111 ran on a CPU in fp32 with its noise source set to CPU; so do we. An fp32 implementation of the same meaning
lands within 2 of 255, on average under 0.01. Cases that ask for what does not exist yet are skipped by name. The exit
status is 1 when a case failed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image

from modules.core.errors import InvalidRequest
from modules.core.request import GenerationRequest
from modules.engine.memory import DeviceWishes
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.library.catalog import CheckpointCatalog
from modules.library.choices import EMBEDDING_ENDINGS, LORA_ENDINGS
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from modules.library.network_files import NetworkFolder
from modules.library.vae_files import VaeCatalog
from modules.settings.schema import OPTIONS
from modules.web.schemas import IMG2IMG, TXT2IMG, read_body
from tests.conformance import Case, NotBuilt, run
from tests.fakes import Collector

CLOSE_PICTURE_MAX = 2
CLOSE_PICTURE_MEAN = 0.01


def picture_cases(folder: Path, checkpoint: Path) -> Iterator[Case]:
    """Yield A1111's own pictures; the checkpoint is the one that they were made from."""
    place = checkpoint.parent
    hashes = HashCache(place / ".hashes.json")
    catalog = CheckpointCatalog([place], hashes)
    files = ModelFiles(
        catalog,
        VaeCatalog([place], [place], hashes),
        NetworkFolder([place], LORA_ENDINGS, hashes, hash_kind="tensors"),
        NetworkFolder([place], EMBEDDING_ENDINGS, hashes),
    )
    names = {"INIT": "_init.png", "INIT2": "_init2.png", "MASK": "_mask.png", "MASK2": "_mask2.png"}
    settings = EngineSettings(DeviceWishes(use_cpu=True), pictures=lambda name: Image.open(folder / names[name]))
    engine = DiffusionEngine(files, settings)
    for path in sorted(folder.glob("*.json")):
        if not path.name.startswith("_"):
            case = json.loads(path.read_text(encoding="utf-8"))
            yield Case(f"picture {path.stem}", lambda case=case: check_picture(case, folder, engine, checkpoint.name))


def check_picture(case: dict[str, Any], folder: Path, engine: DiffusionEngine, checkpoint: str) -> tuple[str, bool]:
    """Make the pictures of `case` and compare them with A1111's. Raises NotBuilt."""
    request = picture_request(case, checkpoint)
    collector = Collector()
    engine.generate(request, collector, collector)
    texts, close = [], True
    for image, name in zip(collector.images, case["images"], strict=True):
        theirs = np.asarray(Image.open(folder / name).convert("RGB")).astype(int)
        off = np.abs(np.asarray(image.pixels).astype(int) - theirs)
        texts.append(f"max {off.max()} mean {off.mean():.4f}")
        close = close and off.max() <= CLOSE_PICTURE_MAX and off.mean() < CLOSE_PICTURE_MEAN
    infotexts = (collector.images[0].infotext, case["infotexts"][0])
    ours, reference = (re.sub(r", Version: .*", "", text) for text in infotexts)
    if ours != reference:
        return f"{'; '.join(texts)}; infotext {ours!r} where {reference!r} is expected", False
    return "; ".join(texts), close


def picture_request(case: dict[str, Any], checkpoint: str) -> GenerationRequest:
    """Return our request for a recorded one. Raises NotBuilt for what cannot be asked for yet."""
    kind = {"txt2img": TXT2IMG, "img2img": IMG2IMG}.get(case["mode"])
    if kind is None:
        raise NotBuilt(case["mode"])
    options = {key: option.default for key, option in OPTIONS.items()} | {"randn_source": "CPU", "sd_vae": "None"}
    try:
        body = read_body(kind, case["request"], options, {})
        pictures = {"init_image": (body.rest.get("init_images") or [""])[0], "mask_image": body.rest.get("mask") or ""}
        return GenerationRequest.checked({"checkpoint": checkpoint, **body.values, **pictures})
    except InvalidRequest as error:
        raise NotBuilt(str(error)) from error


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases whose name holds TEXT")
    given = parser.parse_args()
    sys.exit(1 if run(picture_cases(given.folder, given.checkpoint), given.only) else 0)
