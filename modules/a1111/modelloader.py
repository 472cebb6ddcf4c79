"""A1111's modules.modelloader: model files found and fetched."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

from modules.a1111.util import walk_files
from modules.core.errors import DownloadFailed
from modules.library.downloads.transfers import Order, Transfer
from modules.library.downloads.web_client import WebClient

logger = logging.getLogger(__name__)


def load_file_from_url(
    url: str, *, model_dir: str, progress: bool = True, file_name: str | None = None, hash_prefix: str | None = None
) -> str:
    """Return the path of a file below `model_dir`, fetched over https when it is not there. Raises DownloadFailed."""
    folder = Path(model_dir)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / (file_name or PurePosixPath(urlparse(url).path).name)
    if target.is_file():
        return str(target)
    logger.info("%s is fetched to %s.", target.name, folder)
    digest = _fetched(url, target)
    if hash_prefix and not digest.startswith(hash_prefix):
        target.unlink(missing_ok=True)
        raise DownloadFailed(f"{target.name} has the hash {digest[:10]}, and not {hash_prefix}; it was not kept.")
    return str(target)


def _fetched(url: str, target: Path) -> str:
    """Fetch a file and return its SHA-256."""
    order = Order(url, target, model=False)
    return Transfer(order, WebClient(), lambda fraction, text: None, lambda: False).run()


def load_models(
    model_path: str,
    model_url: str | None = None,
    command_path: str | None = None,
    ext_filter: Iterable[str] | None = None,
    download_name: str | None = None,
    ext_blacklist: Sequence[str] | None = None,
    hash_prefix: str | None = None,
) -> list[str]:
    """Return the model files below two folders; if there are none, what is fetched from `model_url`."""
    found: list[str] = []
    for place in dict.fromkeys(filter(None, (command_path, model_path))):
        for path in walk_files(place, allowed_extensions=ext_filter):
            if ext_blacklist is None or not any(path.endswith(ending) for ending in ext_blacklist):
                found.append(path)  # noqa: PERF401
    if not found and model_url is not None:
        if download_name is None:
            return [model_url]
        found.append(
            load_file_from_url(model_url, model_dir=model_path, file_name=download_name, hash_prefix=hash_prefix)
        )
    return list(dict.fromkeys(found))


def friendly_name(file: str) -> str:
    """Return a file's name without folder and ending."""
    if file.startswith("http"):
        file = urlparse(file).path
    return os.path.splitext(os.path.basename(file))[0]  # noqa: PTH119, PTH122
