"""What the tests of downloads share: files to fetch, and how they are fetched and looked for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modules.library.downloads.downloader import Downloader, Wish
from modules.library.downloads.transfers import TransferRules
from tests.library.hub_server import HubServer, Served, model_file, never, sha256

LORA = model_file("lora_unet_a.lora_up.weight", "lora_unet_a.lora_down.weight")
CHECKPOINT = model_file("model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.x", filler=60_000)
SECRET = "hf_VerySecretToken"
FAST = TransferRules(retry_seconds=(0.01, 0.01, 0.01))


def fetch(downloader: Downloader, wish: Wish, cancelled: Callable[[], bool] = never) -> Path:
    _, spec = downloader.order(wish)
    downloader.run(json.loads(json.dumps(spec)), lambda fraction, words: None, cancelled)
    return downloader.folders()[spec["kind"]] / spec["name"]


def file_wish(hub: HubServer, **more: Any) -> Wish:
    return Wish(f"{hub.url}/files/nice.safetensors", allow_http=True, **more)


def leftovers(folders: dict[str, Path]) -> list[str]:
    root = folders["lora"].parent
    return sorted(path.name for path in root.rglob("*") if path.is_file()) if root.exists() else []


def add_repository(hub: HubServer, files: dict[str, bytes], name: str = "me/models", revision: str = "main") -> None:
    entries: list[dict[str, Any]] = [{"type": "directory", "path": "folder", "size": 0}]
    for path, content in files.items():
        large = {"lfs": {"oid": sha256(content), "size": len(content), "pointerSize": 134}}
        entries.append({"type": "file", "path": path, "size": len(content), **(large if len(content) > 500 else {})})
        hub.files[f"/{name}/resolve/{revision}/{path}"] = Served(content)
    hub.pages[f"/api/models/{name}/tree/{revision}?recursive=true"] = entries
