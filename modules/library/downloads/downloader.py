"""Downloading models: from a link to what it offers, and from a choice among that to files in their places.

Nothing is asked of any server unless a user asks for it.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from modules.core.errors import DownloadFailed, EaselError, FieldProblem, InvalidRequest, StorageFailed
from modules.library.downloads import civitai, hugging_face
from modules.library.downloads.meters import folder_text, size_text
from modules.library.downloads.offers import Candidate, Offer, RemoteFile
from modules.library.downloads.previews import save_preview
from modules.library.downloads.tokens import CIVITAI, HUGGING_FACE
from modules.library.downloads.transfers import (
    SPARE_BYTES,
    Order,
    Report,
    Transfer,
    TransferRules,
    check_start,
    discard,
)
from modules.library.downloads.web_client import Asking, WebClient, host_of
from modules.library.model_kinds import (
    KIND_LABELS,
    LONGEST_FIRST_BYTES,
    MODEL_ENDINGS,
    SAFE_ENDING,
    endings_of,
    header_names,
    is_pickle,
    kind_of,
    safe_file_name,
    safe_stem,
)
from modules.library.model_notes import write_notes

logger = logging.getLogger(__name__)

DOWNLOAD = "download"
HUB_BASES: Mapping[str, str] = {HUGGING_FACE: "https://huggingface.co", CIVITAI: "https://civitai.com"}
LONGEST_LINK = 2000
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_BARE_ADDRESS = re.compile(r"[\w-]+(\.[\w-]+)+/.+/.+|(?:www\.)?(?:huggingface\.co|hf\.co|civitai\.com)/.+")
_ATTACHED = re.compile(r"filename\*?=(?:UTF-8'')?\"?([^\";]+)", re.IGNORECASE)
_FOLDER_PART = re.compile(r"[\w][\w.-]*")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user wants of a link: which candidate, as what, under which name, and what it must hash to.

    Empty `key`: the only candidate; empty `kind`: as the hub or the file's own header tells; empty `name`: its own.
    """

    link: str
    key: str = ""
    kind: str = ""
    name: str = ""
    sha256: str = ""
    allow_pickle: bool = False
    allow_http: bool = False
    save_notes: bool = True


class Downloader:
    """Looks links up and fetches what was chosen. Safe to use from several threads."""

    def __init__(
        self,
        client: WebClient,
        folders: Mapping[str, Path],
        *,
        bases: Mapping[str, str] = HUB_BASES,
        rules: TransferRules | None = None,
        done: Callable[[Path, str], None] = lambda path, sha256: None,
    ) -> None:
        """Take the folder of each kind of model, where the hubs are, and what is told of each file and its SHA-256."""
        self._client = client
        self._folders = dict(folders)
        self._bases = dict(bases)
        self._rules = rules
        self._done = done
        self._lock = threading.Lock()
        self._busy: set[Path] = set()

    def look(self, link: str, allow_http: bool = False) -> Offer:
        """Return what a link offers. Raises DownloadFailed, InvalidRequest."""
        link = _plain_link(link)
        page = civitai.parse_link(link, self._bases[CIVITAI])
        if page is not None:
            return civitai.look_up(page, self._client, self._bases[CIVITAI])
        repository = hugging_face.parse_link(link, self._bases[HUGGING_FACE])
        if repository is not None:
            return hugging_face.look_up(repository, self._client, self._bases[HUGGING_FACE])
        return self._look_at_file(link, allow_http)

    def order(self, wish: Wish) -> tuple[str, dict[str, Any]]:
        """Return title and specification of the task that fetches what is wished for. Raises as `look`.

        Everything that can be known beforehand is checked here: what kind it is, whether its place is free, pickles.
        """
        offer = self.look(wish.link, wish.allow_http)
        candidate = _chosen(offer, wish.key)
        kind = wish.kind or candidate.kind or self._probe(candidate, wish.allow_http)
        if kind not in self._folders:
            raise _problem("kind", "Kind", kind or "no choice", f"one of {', '.join(KIND_LABELS.values())}")
        name = self._name(candidate, kind, wish.name)
        _refuse_pickles(candidate, wish.allow_pickle)
        sha256 = wish.sha256.strip().lower()
        if sha256 and (not _SHA256.fullmatch(sha256) or candidate.folder):
            raise _problem("sha256", "SHA-256", sha256[:70], "64 digits from 0 to f, for a single file")
        target = self._folders[kind] / name
        if target.exists() or self._is_busy(target):
            raise _problem("name", "File name", name, f"one that is not yet in {target.parent}")
        files = [
            {"path": file.path, "url": file.url, "size": file.size, "sha256": sha256 or file.sha256}
            for file in candidate.files
        ]
        wants_notes = wish.save_notes and bool(candidate.notes or candidate.preview)
        spec = {
            "kind": kind, "name": name, "place": offer.place, "folder": candidate.folder, "files": files,
            "allow_http": wish.allow_http,
            "notes": dict(candidate.notes) if wants_notes else {}, "preview": candidate.preview if wants_notes else "",
        }  # fmt: skip
        return name, spec

    def run(self, spec: Mapping[str, Any], report: Report, cancelled: Callable[[], bool]) -> str:
        """Fetch what `order` has written down; as the board of tasks wants it."""
        target = self._target(spec)
        with self._alone(target):
            if spec["folder"]:
                self._fetch_folder(spec, target, report, cancelled)
            else:
                order = self._orders(spec, target)[0]
                self._done(target, Transfer(order, self._client, report, cancelled, self._rules).run())
        self._keep_notes(spec, target)
        return f"{KIND_LABELS[spec['kind']]} in {folder_text(target.parent)}, from {spec['place']}."

    def discard(self, spec: Mapping[str, Any]) -> None:
        """Delete what an unfinished download has left, unless another one goes on with it."""
        target = self._target(spec)
        if self._is_busy(target):
            return
        if spec["folder"]:
            shutil.rmtree(_growing(target), ignore_errors=True)
        else:
            discard(self._orders(spec, target)[0])

    def folders(self) -> dict[str, Path]:
        """Return where each kind of model goes."""
        return dict(self._folders)

    def _target(self, spec: Mapping[str, Any]) -> Path:
        """Return the place of a task's model; the name is checked again, whatever the task's file says."""
        name = safe_stem(spec["name"]) if spec["folder"] else safe_file_name(spec["name"])
        return self._folders[spec["kind"]] / name

    def _orders(self, spec: Mapping[str, Any], target: Path) -> list[Order]:
        http = bool(spec["allow_http"]) or any(base.startswith("http:") for base in self._bases.values())
        if not spec["folder"]:
            file = spec["files"][0]
            return [Order(file["url"], target, file["size"], file["sha256"], http)]
        return [
            Order(
                file["url"],
                _growing(target).joinpath(*_safe_parts(file["path"])),
                file["size"],
                file["sha256"],
                http,
                model=file["path"].endswith(MODEL_ENDINGS),
            )
            for file in spec["files"]
        ]

    def _fetch_folder(
        self, spec: Mapping[str, Any], target: Path, report: Report, cancelled: Callable[[], bool]
    ) -> None:
        """Fetch the files of a folder one after the other into a hidden one, which gets its name at the end."""
        orders = self._orders(spec, target)
        whole = max(1, sum(order.size or 0 for order in orders))
        _growing(target).mkdir(parents=True, exist_ok=True)
        self._check_room(target, sum(order.size or 0 for order in orders if not order.target.exists()))
        done = 0
        for order in orders:
            own = order.size or 0
            if not order.target.exists():
                part = _part_of(report, done, own, whole)
                Transfer(order, self._client, part, cancelled, self._rules).run()
            done += own
        if target.exists():
            raise DownloadFailed(f"{target.name} is there already, and nothing is ever overwritten.")
        _growing(target).rename(target)

    def _check_room(self, target: Path, missing: int) -> None:
        """Raise StorageFailed when a folder cannot be fetched to its end."""
        free = (self._rules or TransferRules()).free_space(target.parent)
        if free < missing + SPARE_BYTES:
            raise StorageFailed(
                f"{target.name} needs up to {size_text(missing)} more, and {target.parent} has only {size_text(free)}"
                " free. Free some space, then try again."
            )

    def _keep_notes(self, spec: Mapping[str, Any], target: Path) -> None:
        """Write what the hub told of the model beside it; that this fails is no reason to lose the model."""
        try:
            if spec["notes"]:
                write_notes(target, spec["notes"])
            if spec["preview"]:
                save_preview(spec["preview"], target, self._client)
        except EaselError as error:
            logger.warning("The notes or the preview of %s could not be kept. %s", target.name, error)

    def _is_busy(self, target: Path) -> bool:
        with self._lock:
            return target in self._busy

    @contextlib.contextmanager
    def _alone(self, target: Path) -> Iterator[None]:
        with self._lock:
            if target in self._busy:
                raise DownloadFailed(f"{target.name} is being downloaded already.")
            self._busy.add(target)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(target)

    def _look_at_file(self, link: str, allow_http: bool) -> Offer:
        """Ask for a plain file's name and size, and look at its first bytes."""
        with self._client.open(link, Asking({}, allow_http)) as answer:
            name = _name_of(link, answer.headers.get("content-disposition", ""))
            if answer.status != 200:
                raise answer.refusal(name or "that file")
            length = answer.headers.get("content-length", "")
            size = int(length) if length.isdecimal() else None
            checked = safe_file_name(name) if name.lower().endswith(MODEL_ENDINGS) else ""
            kind = _kind_from(answer.chunks(), checked, answer.host)
        if not checked:
            raise DownloadFailed(
                f"{host_of(link)} offers no file whose name ends in {', '.join(MODEL_ENDINGS)} there."
                " Give the address of the model file itself."
            )
        host = host_of(link)
        return Offer(checked, host, (Candidate("file", checked, (RemoteFile(checked, link, size),), kind),))

    def _probe(self, candidate: Candidate, allow_http: bool) -> str:
        """Return the kind that the first bytes of a file tell, "" when they do not."""
        file = candidate.files[0]
        http = allow_http or any(base.startswith("http:") for base in self._bases.values())
        with self._client.open(file.url, Asking({}, http)) as answer:
            if answer.status != 200:
                raise answer.refusal(candidate.name)
            return _kind_from(answer.chunks(), candidate.name, answer.host)

    def _name(self, candidate: Candidate, kind: str, wished: str) -> str:
        """Return the name under which the candidate is kept; the ending is always the file's own."""
        if candidate.folder:
            return safe_stem(wished or candidate.name) or "model"
        own = safe_file_name(candidate.name)
        ending = own[own.rindex(".") :]
        stem = safe_stem(wished.removesuffix(ending)) if wished.strip() else own.removesuffix(ending)
        if not stem:
            raise _problem("name", "File name", wished, "a plain name")
        return safe_file_name(stem + ending, endings_of(kind))


def _plain_link(link: str) -> str:
    link = link.strip().strip("<>\"'")
    if not link or len(link) > LONGEST_LINK or any(character.isspace() for character in link):
        allowed = "OWNER/NAME on Hugging Face, a link to Hugging Face or Civitai, or the address of a file"
        raise _problem("link", "Link", link[:60] or "nothing", allowed)
    return f"https://{link}" if "://" not in link and _BARE_ADDRESS.fullmatch(link) else link


def _chosen(offer: Offer, key: str) -> Candidate:
    if not key and len(offer.candidates) == 1:
        return offer.candidates[0]
    found = next((candidate for candidate in offer.candidates if candidate.key == key), None)
    if found is None:
        keys = ", ".join(candidate.key for candidate in offer.candidates)
        raise _problem("key", "File", key or "no choice", f"one of {keys[:500]}")
    return found


def _refuse_pickles(candidate: Candidate, allowed: bool) -> None:
    found = [file.path for file in candidate.files if is_pickle(file.path)]
    if found and not allowed:
        raise _problem(
            "allow_pickle", "Pickle", found[0],
            "a .safetensors file, unless pickles are allowed. A pickle is a program: Easel reads it without running it,"
            " other software may not",
        )  # fmt: skip


def _kind_from(chunks: Iterator[bytes], name: str, host: str) -> str:
    """Return the kind of model that begins with these bytes, "" when they do not tell. Raises DownloadFailed."""
    if not name.lower().endswith(SAFE_ENDING):
        return ""
    start = b""
    for chunk in chunks:
        start += chunk
        if len(start) < 16:
            continue
        check_start(start, name, host)
        try:
            names = header_names(start)
        except ValueError:
            return ""
        if names is not None or len(start) > LONGEST_FIRST_BYTES:
            return kind_of(names or ())
    return ""


def _name_of(link: str, attached: str) -> str:
    """Return the file name that an address or, if that has none, the answer gives; still to be made safe."""
    from_link = unquote(urlsplit(link).path).rsplit("/", 1)[-1]
    given = _ATTACHED.search(attached)
    return from_link if from_link.lower().endswith(MODEL_ENDINGS) or not given else unquote(given[1])


def _safe_parts(path: str) -> list[str]:
    """Return the parts of a path inside a diffusers folder. Raises DownloadFailed for anything that leads elsewhere."""
    parts = path.split("/")
    if len(parts) > 2 or not all(_FOLDER_PART.fullmatch(part) for part in parts):
        raise DownloadFailed(f"The folder has a file of an unusual name: {path[:80]!r}.")
    return parts


def _part_of(report: Report, before: int, own: int, whole: int) -> Report:
    """Return what turns the progress of one file of `own` bytes into that of all of them."""

    def report_part(fraction: float, words: str) -> None:
        report((before + fraction * own) / whole, f"file by file, {size_text(whole)} in all: {words}")

    return report_part


def _growing(target: Path) -> Path:
    """Return where a folder grows; hidden folders are in no list."""
    return target.with_name(f".{target.name}.part")


def _problem(field: str, label: str, value: str, allowed: str) -> InvalidRequest:
    return InvalidRequest([FieldProblem(field, label, value, allowed)])
