"""Checkpoints to merge and a hub to download from: `python tests/browser/serve_models.py FOLDER PORT`.

The hub has the repository me/models. Its file slow.safetensors stops in the middle until FOLDER/go exists.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import uvicorn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from modules.library.downloads.tokens import CIVITAI, HUGGING_FACE
from modules.library.downloads.web_client import WebClient
from tests.fakes import FakeEngine
from tests.library.fetching import add_repository
from tests.library.hub_server import HubServer, hub_server, model_file
from tests.web.site import Site, open_site, site_config

CHECKPOINT_TENSORS = ("model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.x")


def join_hub(site: Site, hub: HubServer) -> None:
    """Let downloads ask the hub on loopback in place of the real ones."""
    downloader = site.services.background.downloader
    downloader._client = WebClient(site.services.background.tokens.for_origin, allow_private=True)
    downloader._bases = {HUGGING_FACE: hub.base, CIVITAI: hub.base}


def fill_hub(hub: HubServer, folder: Path) -> None:
    lora = model_file("lora_unet_a.lora_up.weight", "lora_unet_a.lora_down.weight", filler=400_000)
    large = model_file(*CHECKPOINT_TENSORS, filler=3_000_000)
    files = {"watercolour-lora.safetensors": lora, "slow.safetensors": large, "old/embedding.pt": b"PK" + bytes(5000)}
    add_repository(hub, files)
    slow = hub.files["/me/models/resolve/main/slow.safetensors"]
    slow.wait_after = 2_000_000

    def open_gate() -> None:
        while not (folder / "go").exists():
            time.sleep(0.05)
        slow.go.set()

    threading.Thread(target=open_gate, daemon=True).start()


def main(folder: Path, port: int) -> None:
    with hub_server() as hub, open_site(site_config(folder), FakeEngine()) as site:
        fill_hub(hub, folder)
        join_hub(site, hub)
        uvicorn.run(
            site.application.asgi, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
