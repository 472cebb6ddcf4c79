"""Files of a repository on Hugging Face, found through the hub's public API.

API: https://huggingface.co/docs/hub/api, GET /api/models/OWNER/NAME/tree/REVISION; a file of Git LFS comes with its
SHA-256 as `lfs.oid`. Files: GET /OWNER/NAME/resolve/REVISION/PATH.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from modules.core.errors import DownloadFailed
from modules.library.downloads.offers import Candidate, Offer, RemoteFile
from modules.library.downloads.tokens import HUGGING_FACE
from modules.library.downloads.web_client import Asking, WebClient, origin_of
from modules.library.model_kinds import CHECKPOINT, LORA, MODEL_ENDINGS, VAE, is_pickle, safe_stem

MOST_PAGES = 20
_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(:(?P<file>[^?#]+))?")
_NEXT_PAGE = re.compile(r'<([^>]+)>;\s*rel="next"')
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NO_PAGE = "That is no model's page on Hugging Face. A model's address is huggingface.co/OWNER/NAME."
_INDEX = "model_index.json"
_SMALL_ENDINGS = (".json", ".txt", ".model")
_PART_FOLDERS = frozenset({
    "unet", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler", "feature_extractor",
})  # fmt: skip
"""What Easel reads of a diffusers folder; a safety checker is as large as the rest and never looked at."""
_WEIGHTS = re.compile(r"(diffusion_pytorch_model|model|pytorch_model)(\.fp16)?(-\d+-of-\d+)?\.(safetensors|bin)")
_INDEX_FILE = re.compile(r".*\.index(\.fp16)?\.json")


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository, its branch or commit, and a file in it, "" for all."""

    name: str
    revision: str = "main"
    file: str = ""


def parse_link(text: str, base: str) -> Repository | None:
    """Return what `owner/name`, `owner/name:file` or an address of the hub means; None for anything else."""
    known = _ID.fullmatch(text)
    if known is not None and _is_name(known["repo"]):
        return Repository(known["repo"], file=(known["file"] or "").strip("/"))
    parts = urlsplit(text)
    if parts.hostname is None or parts.hostname not in (urlsplit(base).hostname, "hf.co", "www.huggingface.co"):
        return None
    path = [unquote(part) for part in parts.path.split("/") if part]
    if path[:1] in (["datasets"], ["spaces"]) or len(path) < 2:
        raise DownloadFailed(_NO_PAGE)
    name = "/".join(path[:2])
    if not _is_name(name):
        raise DownloadFailed(_NO_PAGE)
    if len(path) > 3 and path[2] in ("blob", "resolve", "raw", "tree"):
        return Repository(name, path[3], "/".join(path[4:]))
    return Repository(name)


def _is_name(text: str) -> bool:
    return _ID.fullmatch(text) is not None and not {".", ".."} & set(text.split("/"))


def look_up(repository: Repository, client: WebClient, base: str) -> Offer:
    """Ask the hub what the repository holds. Raises DownloadFailed."""
    files = _files(repository, client, base)
    wanted = repository.file
    models = [file for file in files if file.path.lower().endswith(MODEL_ENDINGS)]
    if wanted:
        models = [file for file in models if file.path == wanted or file.path.startswith(f"{wanted}/")]
    candidates = [_candidate(file) for file in models if wanted or not _belongs_to_folder(file.path, files)]
    if not wanted:
        candidates = [*_folders(repository, files), *candidates]
    if not candidates:
        what = f"model file {wanted}" if wanted else "file that is a model"
        raise DownloadFailed(f"{repository.name} on Hugging Face has no {what} ({', '.join(MODEL_ENDINGS)}).")
    return Offer(repository.name, f"Hugging Face · {repository.name}", tuple(candidates), HUGGING_FACE)


def _files(repository: Repository, client: WebClient, base: str) -> list[RemoteFile]:
    what = f"the files of {repository.name}"
    revision = quote(repository.revision, safe="")
    url: str | None = f"{base}/api/models/{repository.name}/tree/{revision}?recursive=true"
    found: list[RemoteFile] = []
    for _ in range(MOST_PAGES):
        if url is None:
            break
        content, url = _page(client, url, what)
        found += [file for entry in content if (file := _file(entry, repository, base)) is not None]
    return found


def _page(client: WebClient, url: str, what: str) -> tuple[list[Any], str | None]:
    """Return one page of the list, and where the next one is."""
    content, headers = client.json_page(url, what, Asking({}, allow_http=url.startswith("http:")))
    if not isinstance(content, list):
        raise DownloadFailed(f"Hugging Face does not tell about {what} in a way that is understood.")
    link = _NEXT_PAGE.search(headers.get("link", ""))
    return content, link[1] if link and origin_of(link[1]) == origin_of(url) else None


def _file(entry: Any, repository: Repository, base: str) -> RemoteFile | None:
    if not isinstance(entry, dict) or entry.get("type") != "file" or not isinstance(entry.get("path"), str):
        return None
    large = entry.get("lfs") if isinstance(entry.get("lfs"), dict) else {}
    sha256 = str(large.get("oid", "")).removeprefix("sha256:") if large else ""
    size = large.get("size", entry.get("size")) if large else entry.get("size")
    address = f"{base}/{repository.name}/resolve/{quote(repository.revision, safe='')}/{quote(entry['path'])}"
    checked = sha256 if _SHA256.fullmatch(sha256) else None
    return RemoteFile(entry["path"], address, size if isinstance(size, int) else None, checked)


def _candidate(file: RemoteFile) -> Candidate:
    name = file.path.rsplit("/", 1)[-1]
    folder = file.path.rpartition("/")[0]
    return Candidate(file.path, name, (file,), _kind_by_name(file.path), f"in {folder}" if folder else "")


def _kind_by_name(path: str) -> str:
    folded = path.lower()
    if ".vae." in folded or folded.rsplit("/", 1)[-1].startswith("vae"):
        return VAE
    return LORA if "lora" in folded.rsplit("/", 1)[-1] else ""


def _belongs_to_folder(path: str, files: Iterable[RemoteFile]) -> bool:
    """Say whether a file is a part of a diffusers folder, of no use by itself."""
    return path.split("/")[0] in (*_PART_FOLDERS, "safety_checker", "image_encoder") and any(
        file.path == _INDEX for file in files
    )


def _folders(repository: Repository, files: list[RemoteFile]) -> list[Candidate]:
    """Return the repository as a diffusers folder, in full and half precision as far as it has them."""
    if all(file.path != _INDEX for file in files):
        return []
    name = safe_stem(repository.name) or "model"
    found = []
    for half, label in ((False, "diffusers folder"), (True, "diffusers folder, float16")):
        chosen = _folder_files(files, half)
        if chosen is not None:
            folder = f"{name}-fp16" if half else name
            found.append(Candidate(label, folder, tuple(chosen), CHECKPOINT, label, folder=True))
    return found


def _folder_files(files: list[RemoteFile], half: bool) -> list[RemoteFile] | None:
    """Return the files of a diffusers folder in one precision; None when a part lacks that precision."""
    chosen = [file for file in files if file.path == _INDEX]
    for part in sorted(_PART_FOLDERS):
        inside = [file for file in files if file.path.rpartition("/")[0] == part]
        weights = {file.path: match for file in inside if (match := _weights(file.path))}
        chosen += [
            file for file in inside if file.path.endswith(_SMALL_ENDINGS) and not _INDEX_FILE.fullmatch(file.path)
        ]
        fitting = [file for file in inside if file.path in weights and bool(weights[file.path][2]) is half]
        if weights and not fitting:
            return None
        safe = [file for file in fitting if not is_pickle(file.path)]
        whole = [file for file in safe or fitting if not weights[file.path][3]]
        chosen += whole or safe or fitting
        if fitting and not whole:
            chosen += [file for file in inside if _INDEX_FILE.fullmatch(file.path)]
    return chosen


def _weights(path: str) -> re.Match[str] | None:
    return _WEIGHTS.fullmatch(path.rsplit("/", 1)[-1])
