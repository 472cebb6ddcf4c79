"""The routes behind downloads: what a link offers, fetching it, and the tokens of the hubs; all for admins only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from modules.library.downloads.downloader import DOWNLOAD, LONGEST_LINK, Wish
from modules.library.downloads.tokens import HUB_LABELS
from modules.library.model_kinds import KIND_LABELS, endings_of
from modules.web.auth import require_admin
from modules.web.services import WebServices

Short = Annotated[str, Field(max_length=LONGEST_LINK)]


class Link(BaseModel):
    """Where something is to be downloaded from."""

    link: Short
    allow_http: bool = False


class Choice(Link):
    """What of it, and how; see `Wish`."""

    key: Short = ""
    kind: Short = ""
    name: Short = ""
    sha256: Short = ""
    allow_pickle: bool = False
    save_notes: bool = True


class Token(BaseModel):
    """A hub's token; an empty one is forgotten."""

    hub: Short
    token: Short = ""


def make_download_router(services: WebServices) -> APIRouter:
    """Return the routes under /easel/downloads."""
    router = APIRouter(prefix="/easel/downloads")
    downloader, tokens = services.background.downloader, services.background.tokens

    @router.get("")
    def facts(request: Request) -> dict[str, Any]:
        """Return what the form needs: the kinds with their folders, and for which hubs there is a token."""
        require_admin(request, services.config)
        folders = downloader.folders()
        return {
            "kinds": [
                {
                    "key": kind,
                    "label": label,
                    "folder": shown_folder(folders[kind], services.config.data_dir),
                    "endings": endings_of(kind),
                }
                for kind, label in KIND_LABELS.items()
            ],
            "hubs": [{"key": hub, "label": label} for hub, label in HUB_LABELS.items()],
            "tokens": tokens.known(),
        }

    @router.post("/look")
    def look(link: Link, request: Request) -> dict[str, Any]:
        """Ask the server that a link names what it offers."""
        require_admin(request, services.config)
        return downloader.look(link.link, link.allow_http).message()

    @router.post("")
    def start(choice: Choice, request: Request) -> dict[str, str]:
        """Begin to download what was chosen."""
        require_admin(request, services.config)
        title, spec = downloader.order(Wish(**choice.model_dump()))
        return {"task": services.background.tasks.start(DOWNLOAD, title, spec).id}

    @router.post("/token")
    def set_token(token: Token, request: Request) -> dict[str, Any]:
        """Keep or forget a hub's token; it is never told to anybody again."""
        require_admin(request, services.config)
        tokens.set(token.hub, token.token)
        return {"tokens": tokens.known()}

    return router


def shown_folder(folder: Path, data_dir: Path) -> str:
    """Return a folder as people see it: below the data folder, if it is there."""
    return folder.relative_to(data_dir).as_posix() if folder.is_relative_to(data_dir) else str(folder)
