"""Models on Civitai, found through its public REST API.

API: https://developer.civitai.com, GET /api/v1/models/ID and /api/v1/model-versions/ID. Sizes are in KiB, hashes by
name; a file is fetched from /api/download/models/VERSION, with `type`, `format`, `size` and `fp` where a version has
several.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from modules.core.errors import DownloadFailed
from modules.library.downloads.offers import Candidate, Offer, RemoteFile
from modules.library.downloads.tokens import CIVITAI
from modules.library.downloads.web_client import Asking, WebClient
from modules.library.model_kinds import CHECKPOINT, EMBEDDING, HYPERNETWORK, LORA, MODEL_ENDINGS, VAE

MOST_VERSIONS = 12
"""Of a model's versions, newest first."""
MOST_DARING = 3
"""The highest `nsfwLevel` of a picture that is kept as preview: 1 is for everybody, 2 is PG-13; they add up."""
LONGEST_DESCRIPTION = 20_000
_KINDS: Mapping[str, str] = {
    "checkpoint": CHECKPOINT, "lora": LORA, "locon": LORA, "dora": LORA, "textualinversion": EMBEDDING,
    "hypernetwork": HYPERNETWORK, "vae": VAE,
}  # fmt: skip
_HOSTS = ("civitai.com", "www.civitai.com", "civitai.green", "civitai.red")
_VERSION_LINK = re.compile(r"/api/download/models/(\d+)|/api/v1/model-versions/(\d+)")
_MODEL_LINK = re.compile(r"/(?:api/v1/)?models/(\d+)(?:/.*)?")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_KIB = 1024
_ROUNDING = 0.001
_QUERY = ("type", "format", "size", "fp")
_SD_VERSIONS = (("sdxl", "SDXL"), ("pony", "SDXL"), ("illustrious", "SDXL"), ("sd 2", "SD2"), ("sd 1", "SD1"))


@dataclass(frozen=True, slots=True)
class Page:
    """What a link of Civitai's names: a model, or one version of it."""

    model: int | None = None
    version: int | None = None


def parse_link(text: str, base: str) -> Page | None:
    """Return what an address of Civitai's means; None for any other. Tokens in it are left out."""
    parts = urlsplit(text)
    if parts.hostname not in _HOSTS and parts.hostname != urlsplit(base).hostname:
        return None
    version = _VERSION_LINK.fullmatch(parts.path.rstrip("/"))
    if version is not None:
        return Page(version=int(version[1] or version[2]))
    model = _MODEL_LINK.fullmatch(parts.path)
    asked = parse_qs(parts.query).get("modelVersionId", [""])[0]
    if model is not None:
        return Page(int(model[1]), int(asked) if asked.isdecimal() else None)
    if parts.hostname in _HOSTS:
        raise DownloadFailed("That is no model's page on Civitai. A model's address is civitai.com/models/NUMBER.")
    return None


def look_up(page: Page, client: WebClient, base: str) -> Offer:
    """Ask Civitai what there is. Raises DownloadFailed."""
    asking = Asking({}, allow_http=base.startswith("http:"))
    if page.version is not None:
        content = client.json(f"{base}/api/v1/model-versions/{page.version}", f"version {page.version}", asking)
        model = _table(_table(content).get("model"))
        versions = [content]
    else:
        content = client.json(f"{base}/api/v1/models/{page.model}", f"model {page.model}", asking)
        model = _table(content)
        versions = _list(model.get("modelVersions"))
    kind = _KINDS.get(str(model.get("type", "")).lower(), "")
    found = [
        candidate
        for version in versions[:MOST_VERSIONS]
        for candidate in _candidates(_table(version), model, kind, base)
    ]
    if not found:
        raise DownloadFailed("Civitai offers no file there that is a model.")
    title = str(model.get("name") or "Model")
    return Offer(title, f"Civitai · {title}", tuple(found), CIVITAI)


def _candidates(version: Mapping[str, Any], model: Mapping[str, Any], kind: str, base: str) -> list[Candidate]:
    files = [_table(file) for file in _list(version.get("files"))]
    found = []
    for file in sorted(files, key=lambda file: not file.get("primary")):
        name = str(file.get("name", ""))
        if not name.lower().endswith(MODEL_ENDINGS) or not isinstance(version.get("id"), int):
            continue
        own_kind = VAE if str(file.get("type", "")).lower() == "vae" else kind
        remote = RemoteFile(name, _address(file, version["id"], base), _size(file), _hash(file))
        found.append(
            Candidate(
                f"{version['id']}-{file.get('id', name)}",
                name,
                (remote,),
                own_kind,
                _label(version, file),
                notes=_notes(version, model),
                preview=_preview(version),
            )
        )
    return found


def _address(file: Mapping[str, Any], version: int, base: str) -> str:
    """Return where a file is fetched: always at Civitai itself, whatever address the answer names."""
    asked = parse_qs(urlsplit(str(file.get("downloadUrl", ""))).query)
    query = {key: asked[key][0] for key in _QUERY if asked.get(key)}
    return f"{base}/api/download/models/{version}" + (f"?{urlencode(query)}" if query else "")


def _size(file: Mapping[str, Any]) -> int | None:
    """Return the size in bytes where the KiB with their fraction give it exactly."""
    size = file.get("sizeKB")
    if not isinstance(size, int | float) or isinstance(size, bool) or size <= 0:
        return None
    exact = size * _KIB
    return round(exact) if abs(exact - round(exact)) < _ROUNDING else None


def _hash(file: Mapping[str, Any]) -> str | None:
    digest = str(_table(file.get("hashes")).get("SHA256", ""))
    return digest.lower() if _SHA256.fullmatch(digest) else None


def _label(version: Mapping[str, Any], file: Mapping[str, Any]) -> str:
    about = _table(file.get("metadata"))
    parts = (version.get("name"), version.get("baseModel"), about.get("size"), about.get("fp"))
    return " · ".join(str(part) for part in parts if part)


def _notes(version: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, str]:
    words = [str(word).strip(" ,") for word in _list(version.get("trainedWords"))]
    described = plain_text(str(model.get("description") or version.get("description") or ""))
    base_model = str(version.get("baseModel") or "").lower()
    name = " · ".join(str(part) for part in (model.get("name"), version.get("name")) if part)
    found = {
        "description": f"{name}\n\n{described}".strip()[:LONGEST_DESCRIPTION],
        "activation_text": ", ".join(word for word in words if word)[:LONGEST_DESCRIPTION],
        "sd_version": next((known for mark, known in _SD_VERSIONS if base_model.startswith(mark)), ""),
    }
    return {key: text for key, text in found.items() if text}


def _preview(version: Mapping[str, Any]) -> str:
    """Return the address of the mildest picture, "" when none is fit for everybody's eyes."""
    pictures = [_table(image) for image in _list(version.get("images"))]
    fit = [
        image
        for image in pictures
        if image.get("type", "image") == "image"
        and isinstance(image.get("nsfwLevel"), int)
        and image["nsfwLevel"] <= MOST_DARING
    ]
    return str(fit[0].get("url", "")) if fit else ""


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


class _Text(HTMLParser):
    """Collects the text of a piece of HTML, one line per block."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a new line at a block; take no scripts."""
        self._hidden += tag in ("script", "style")
        if tag in ("p", "br", "li", "div", "h1", "h2", "h3", "h4", "tr"):
            self.parts.append("\n- " if tag == "li" else "\n")

    def handle_endtag(self, tag: str) -> None:
        """End a script."""
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        """Take a text."""
        if self._hidden <= 0:
            self.parts.append(data)


def plain_text(html: str) -> str:
    """Return the text of a piece of HTML."""
    reader = _Text()
    reader.feed(html)
    reader.close()
    lines = [line.strip() for line in "".join(reader.parts).splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
