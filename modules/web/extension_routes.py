"""The routes behind the Extensions tab: all for admins, and what brings programs only from where that is allowed."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from modules.core.errors import JobStateConflict
from modules.plugins.index import INDEX_ADDRESS, Index
from modules.plugins.installer import EXTENSION_TASK, Order
from modules.plugins.service import DISABLE_ALL_OPTION
from modules.plugins.sources import same_source
from modules.web.auth import require_admin
from modules.web.content_policy import SITES_OPTION, read_sites
from modules.web.extension_access import require_installer, why_not
from modules.web.handover import read_body
from modules.web.services import WebServices

PREFIX = "/easel/extensions"
ZIP_PATH = f"{PREFIX}/zip"
Short = Annotated[str, Field(max_length=1000)]


class Switches(BaseModel):
    """Which extensions are on, and whether all are off."""

    on: dict[Short, bool] = Field(default_factory=dict)
    disable_all: Literal["none", "extra", "all"] | None = None


class Wanted(BaseModel):
    """An extension from a git address."""

    url: Short
    branch: Short = ""
    name: Short = ""


class Names(BaseModel):
    """Some extensions."""

    names: Annotated[list[Short], Field(max_length=1000)]


class Text(BaseModel):
    """One text: a commit, an address, a name, or an entry of the trash."""

    text: Short


def make_extension_router(services: WebServices) -> APIRouter:
    """Return the routes under /easel/extensions."""

    def admin(request: Request) -> None:
        require_admin(request, services.config)

    def installer(request: Request) -> None:
        require_installer(request, services.config)

    looking = APIRouter(prefix=PREFIX, dependencies=[Depends(admin)])
    changing = APIRouter(prefix=PREFIX, dependencies=[Depends(installer)])
    _add_list(looking, services)
    _add_switches(looking, services)
    _add_care(looking, services)
    _add_index(looking, changing, services)
    _add_installing(changing, services)
    _add_backups(looking, changing, services)
    router = APIRouter()
    router.include_router(looking)
    router.include_router(changing)
    return router


def _start(services: WebServices, order: Order) -> dict[str, str]:
    title, spec = order
    return {"task": services.background.tasks.start(EXTENSION_TASK, title, spec).id}


def _add_list(router: APIRouter, services: WebServices) -> None:
    extensions = services.extensions
    started = secrets.token_hex(8)

    @router.get("")
    def overview(request: Request) -> dict[str, Any]:
        """Return all that the tab shows but the list of what can be installed."""
        return {
            "started": started,
            "folder": str(extensions.installed.folder),
            "safe_mode": extensions.safety.safe_mode,
            "disable_all": services.settings.get(DISABLE_ALL_OPTION),
            "why_not": why_not(request, services.config),
            "can_restart": services.restarter.possible,
            "extensions": [extensions.describe(each) for each in extensions.installed.all()],
            "order": extensions.order(),
            "sites": services.settings.get(SITES_OPTION),
            "trash": [asdict(each) for each in extensions.installer.trash.entries()],
            "backups": [each.message() for each in extensions.installer.snapshots.all()],
        }

    @router.get("/one/{name}/history")
    def history(name: str) -> dict[str, Any]:
        """Return the commits that an extension can go to."""
        current = extensions.known(name).commit
        return {"current": current, "commits": [each.message() for each in extensions.installer.history(name)]}

    @router.get("/one/{name}/log")
    def log(name: str) -> dict[str, str]:
        """Return what was said when something was done with an extension last."""
        return {"log": extensions.installer.log(name)}


def _add_switches(router: APIRouter, services: WebServices) -> None:
    @router.post("/switch")
    def switch(wanted: Switches) -> dict[str, bool]:
        """Switch extensions on and off; acts at the next start."""
        for name in wanted.on:
            services.extensions.known(name)
        services.extensions.switch(wanted.on)
        if wanted.disable_all is not None:
            services.settings.update({DISABLE_ALL_OPTION: wanted.disable_all})
        return {"done": True}

    @router.post("/order")
    def arrange(wanted: Names) -> dict[str, bool]:
        """Have plugins and extensions called in this order, from the next run on."""
        services.extensions.arrange(wanted.names)
        return {"done": True}

    @router.post("/sites")
    def allow(wanted: Names) -> dict[str, bool]:
        """Let extensions load from these websites, and no others, in pages that are opened from now on."""
        services.settings.update({SITES_OPTION: read_sites(wanted.names)})
        return {"done": True}

    @router.post("/restart")
    def restart() -> dict[str, bool]:
        """Start the server anew. A running job goes on afterwards."""
        if not services.restarter.ask():
            raise JobStateConflict("This server cannot start itself anew; stop it and start it again.")
        return {"done": True}


def _add_care(router: APIRouter, services: WebServices) -> None:
    installer = services.extensions.installer

    @router.post("/one/{name}/remove")
    def remove(name: str) -> dict[str, str]:
        """Move an extension to the trash."""
        return {"entry": installer.remove(name)}

    @router.post("/trash/put-back")
    def put_back(entry: Text) -> dict[str, str]:
        """Put an extension back where it was."""
        return {"name": installer.put_back(entry.text)}

    @router.post("/trash/empty")
    def empty() -> dict[str, int]:
        """Delete for good what lies in the trash."""
        return {"deleted": installer.trash.empty()}


def _add_installing(router: APIRouter, services: WebServices) -> None:
    installer = services.extensions.installer

    @router.post("/install")
    def install(wanted: Wanted) -> dict[str, str]:
        """Begin to install from a git address."""
        return _start(services, installer.order_install(wanted.url, wanted.branch, wanted.name))

    @router.post("/zip")
    async def install_zip(request: Request, file: str = "", name: str = "") -> dict[str, str]:
        """Begin to install from the zip file that is the body."""
        content = await read_body(request)
        order = await run_in_threadpool(installer.order_unpack, content, file[:1000], name[:1000])
        return _start(services, order)

    @router.post("/check")
    def check() -> dict[str, str]:
        """Begin to ask all remotes for what is new."""
        return _start(services, installer.order_check())

    @router.post("/update")
    def update(names: Names) -> dict[str, str]:
        """Begin to update some extensions."""
        return _start(services, installer.order_update(names.names))

    @router.post("/one/{name}/commit")
    def go_to(name: str, commit: Text) -> dict[str, str]:
        """Begin to bring an extension to another commit."""
        return _start(services, installer.order_go_to(name, commit.text))

    @router.post("/one/{name}/set-up")
    def set_up(name: str, lenient: bool = False) -> dict[str, str]:
        """Begin to run an extension's requirements and install.py again; leniently: without what is refused."""
        return _start(services, installer.order_set_up(name, lenient))


def _add_index(looking: APIRouter, changing: APIRouter, services: WebServices) -> None:
    store = services.extensions.index

    def shown(index: Index) -> dict[str, Any]:
        remotes = [each.remote for each in services.extensions.installed.all() if each.remote]
        entries = [
            {**each.message(), "installed": any(same_source(each.url, remote) for remote in remotes)}
            for each in index.extensions
        ]
        return {"source": index.source, "address": INDEX_ADDRESS, "tags": dict(index.tags), "extensions": entries}

    @looking.get("/index")
    def now() -> dict[str, Any]:
        """Return the list that was loaded last."""
        return shown(store.now())

    @changing.post("/index")
    def load(address: Text) -> dict[str, Any]:
        """Load the list from an address."""
        return shown(store.load(address.text))

    @looking.post("/index/file")
    async def take(request: Request) -> dict[str, Any]:
        """Take the list from the file that is the body."""
        content = await read_body(request)
        return shown(await run_in_threadpool(store.take, content))


def _add_backups(looking: APIRouter, changing: APIRouter, services: WebServices) -> None:
    installer = services.extensions.installer

    @looking.post("/backups")
    def back_up(name: Text) -> dict[str, Any]:
        """Write down which extensions there are, at which commits, and which are on."""
        return installer.back_up(name.text).message()

    @looking.post("/backups/delete")
    def delete(file: Text) -> dict[str, bool]:
        """Delete a backup."""
        installer.snapshots.delete(file.text)
        return {"done": True}

    @changing.post("/backups/restore")
    def restore(file: Text) -> dict[str, str]:
        """Begin to make all extensions as a backup says."""
        return _start(services, installer.order_restore(file.text))
