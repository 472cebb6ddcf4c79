"""The routes of A1111's API that Easel serves, under the names and in the shapes of version 1.10."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from modules.core.errors import FieldProblem, InvalidRequest, ModelUnavailable
from modules.imaging.infotext import PNG_CHUNK
from modules.imaging.metadata import read_infotext
from modules.imaging.parsing import Infotext
from modules.settings.schema import ADMIN_OPTIONS, OPTIONS
from modules.web.auth import require_admin
from modules.web.checkpoints import SETTING, CheckpointChooser
from modules.web.schemas import IMG2IMG, TXT2IMG
from modules.web.sdapi_facts import USUAL_PAIRS
from modules.web.sdapi_generation import BodyMaker
from modules.web.sdapi_http import ApiRoute, PlainJson, answer_json, decode_picture, read_object
from modules.web.sdapi_lists import LISTINGS, Listing
from modules.web.sdapi_options import ReadOptions, list_problems, read_options
from modules.web.sdapi_progress import ProgressQuestion, overall_progress, task_progress
from modules.web.sdapi_tasks import Tasks
from modules.web.services import WebServices

API_PREFIX = "/sdapi/v1"
_SPLIT_PAIRS = ("Size", "Hires resize", "Seed resize from", "First pass size")


def make_api_router(services: WebServices, chooser: CheckpointChooser) -> APIRouter:
    """Return the routes under /sdapi/v1, and the one of /internal that tells how far a task is."""
    router = APIRouter(route_class=ApiRoute, default_response_class=PlainJson)
    tasks = Tasks()
    _add_generation(router, services, chooser, tasks)
    _add_options(router, services, chooser)
    for name, listing in LISTINGS.items():
        _add_listing(router, services, name, listing)
    _add_refreshing(router, services)
    _add_png_info(router)
    return router


def _add_generation(router: APIRouter, services: WebServices, chooser: CheckpointChooser, tasks: Tasks) -> None:
    jobs = services.jobs
    from_text = BodyMaker(TXT2IMG, services, chooser, tasks)
    from_picture = BodyMaker(IMG2IMG, services, chooser, tasks)

    @router.post(f"{API_PREFIX}/txt2img")
    async def txt2img(request: Request) -> Response:
        """Make pictures from a prompt and answer with them."""
        return await from_text.answer(request)

    @router.post(f"{API_PREFIX}/img2img")
    async def img2img(request: Request) -> Response:
        """Make pictures from a picture and answer with them."""
        return await from_picture.answer(request)

    @router.get(f"{API_PREFIX}/progress")
    def progress(skip_current_image: bool = False) -> dict[str, Any]:
        """Tell how far the running job is."""
        return overall_progress(jobs, not skip_current_image)

    @router.post("/internal/progress")
    def internal_progress(question: ProgressQuestion) -> dict[str, Any]:
        """Tell how far one task is."""
        return task_progress(jobs, tasks, question)

    @router.post(f"{API_PREFIX}/interrupt")
    def interrupt() -> dict[str, Any]:
        """Stop the running job; its finished pictures are answered."""
        jobs.interrupt()
        return {}

    @router.post(f"{API_PREFIX}/skip")
    def skip() -> None:
        """Give up the batch that is sampled now."""
        jobs.skip()


def _add_options(router: APIRouter, services: WebServices, chooser: CheckpointChooser) -> None:
    @router.get(f"{API_PREFIX}/options")
    def get_options() -> dict[str, Any]:
        """Return every option; the checkpoint is the one in use, whatever the option leaves open."""
        current = chooser.current()
        title = current.title if current is not None else ""
        digest = current.sha256 if current is not None else None
        return {**services.settings.all(), SETTING: title, "sd_checkpoint_hash": digest or ""}

    @router.post(f"{API_PREFIX}/options")
    async def set_options(request: Request) -> Response:
        """Change options, all of them or none."""
        body = await read_object(request)
        locked = services.panels.locked_options() & body.keys()
        given = {key: value for key, value in body.items() if key not in locked}
        read = read_options(given, services.settings.options())
        if any(read.values[key] != services.settings.get(key) for key in ADMIN_OPTIONS & read.values.keys()):
            require_admin(request, services.config)
        await run_in_threadpool(_change_options, read, services, chooser)
        return answer_json(None, (*read.ignored, *sorted(locked)))


def _add_listing(router: APIRouter, services: WebServices, name: str, listing: Listing) -> None:
    @router.get(f"{API_PREFIX}/{name}", name=name)
    def show() -> Any:
        """Return one list."""
        return listing(services)


def _add_refreshing(router: APIRouter, services: WebServices) -> None:
    folders = {
        "checkpoints": services.files.checkpoints,
        "vae": services.files.vaes,
        "loras": services.files.loras,
        "embeddings": services.files.embeddings,
    }
    for name in folders:
        _add_refresh(router, name, folders[name])


def _add_refresh(router: APIRouter, name: str, folder: Any) -> None:
    @router.post(f"{API_PREFIX}/refresh-{name}", name=f"refresh-{name}")
    def refresh() -> None:
        """Look at the disk again."""
        if folder is not None:
            folder.refresh()


def _add_png_info(router: APIRouter) -> None:
    @router.post(f"{API_PREFIX}/png-info")
    async def png_info(request: Request) -> Response:
        """Tell what a picture says of itself."""
        body = await read_object(request)
        return answer_json(await run_in_threadpool(_png_info, body.get("image")))


def _change_options(read: ReadOptions, services: WebServices, chooser: CheckpointChooser) -> None:
    values: dict[str, object] = dict(read.values)
    problems = list_problems(values, services.lists)
    wanted = str(values.get(SETTING, ""))
    if wanted:
        try:
            values[SETTING] = services.files.checkpoints.find(wanted).title
        except ModelUnavailable as error:
            problems.append(FieldProblem(SETTING, OPTIONS[SETTING].label, wanted, f"one that can be used. {error}"))
    if problems:
        raise InvalidRequest(problems)
    services.settings.update(values)
    if wanted:
        chooser.choose(str(values[SETTING]))


def _png_info(image: object) -> dict[str, Any]:
    found = read_infotext(decode_picture(image, "image"))
    items = {key: text for key, text in found.items.items() if key != PNG_CHUNK}
    told = {} if found.infotext is None else _told(found.infotext)
    return {"info": found.text or "", "items": items, "parameters": told}


def _told(infotext: Infotext) -> dict[str, str | int]:
    """Return an infotext's parts by A1111's keys, sizes in two, with what it means that a key is absent."""
    told: dict[str, str | int] = {"Prompt": infotext.prompt, "Negative prompt": infotext.negative_prompt}
    for key, value in infotext.pairs.items():
        width, mark, height = value.partition("x")
        if key in _SPLIT_PAIRS and mark and width.strip().isdecimal() and height.strip().isdecimal():
            told |= {f"{key}-1": width.strip(), f"{key}-2": height.strip()}
        else:
            told[key] = value
    return {**USUAL_PAIRS, **told}
