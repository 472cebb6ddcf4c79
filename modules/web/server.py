"""The web application: our routes, the socket and Gradio's page in one FastAPI app, and the gates in front of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from modules.cli import LOOPBACK_HOST, REPO_ROOT
from modules.core.errors import (
    DownloadFailed,
    EaselError,
    ExtensionFailed,
    FieldProblem,
    InvalidRequest,
    JobNotFound,
    JobStateConflict,
    ModelUnavailable,
    NotAllowed,
    PluginFailed,
    StorageFailed,
)
from modules.core.parameters import LONGEST_PROMPT
from modules.web.asset_server import AssetServer
from modules.web.auth import AttemptLimiter, AuthGate, Credentials, Sessions, is_admin
from modules.web.batch_routes import make_batch_router
from modules.web.checkpoints import CheckpointChooser
from modules.web.content_policy import SITES_OPTION
from modules.web.download_routes import make_download_router
from modules.web.extension_routes import make_extension_router
from modules.web.foreign_files import ForeignScripts, Places, make_file_router
from modules.web.forms import PAGE_FIELDS, describe_overrides
from modules.web.frugal import spare_work
from modules.web.guard import LARGEST_BODY, LARGEST_PICTURE_BODY, Guard, HostNames
from modules.web.input_routes import make_input_router
from modules.web.job_routes import make_job_router
from modules.web.library_routes import make_library_router
from modules.web.live import make_live_router
from modules.web.merge_routes import make_merge_router
from modules.web.option_routes import make_option_router
from modules.web.page_head import QUICK_COMPRESSION, PageHead
from modules.web.pages.generation import describe_error
from modules.web.pages.layout import build_page
from modules.web.picture_info_routes import make_picture_info_router
from modules.web.pictures import make_picture_router
from modules.web.plugin_routes import make_plugin_router
from modules.web.prompt_routes import make_prompt_router
from modules.web.sdapi_http import PlainJson
from modules.web.sdapi_routes import make_api_router
from modules.web.services import WebServices
from modules.web.tab_forms import TabForm
from modules.web.task_routes import make_task_router
from modules.web.theme import make_theme
from modules.web.verify_routes import make_verify_router

ASSETS = Path(__file__).parent / "assets"
GRADIO_ASSETS = Path(gr.__file__).parent / "templates" / "frontend" / "assets"
STATUS_OF_ERROR: Mapping[type[EaselError], int] = {
    InvalidRequest: 422,
    JobNotFound: 404,
    JobStateConflict: 409,
    ModelUnavailable: 422,
    DownloadFailed: 422,
    ExtensionFailed: 422,
    NotAllowed: 403,
    PluginFailed: 422,
    StorageFailed: 507,
}


def create_app(services: WebServices) -> Guard:
    """Return the application as the server runs it: guard, sign-in (with credentials), files, compression, routes."""
    config = services.config
    chooser = CheckpointChooser(services.files.checkpoints, services.settings, services.jobs.preload)

    forms = [TabForm(tab, services.lists, services.plugins, services.panels) for tab in PAGE_FIELDS]

    def facts(scope: Scope) -> Mapping[str, object]:
        return {
            "admin": is_admin(scope, config),
            "fields": {form.tab: form.describe() for form in forms},
            "scripts": {form.tab: form.describe_scripts() for form in forms},
            "swaps": {form.tab: form.describe_swaps() for form in forms},
            "overrides": describe_overrides(),
            "native_size": chooser.native_size(),
            "longest_prompt": LONGEST_PROMPT,
            "theme": config.theme,
            "signed_in": bool(config.credentials),
        }

    panels = services.panels
    files = panels.files if panels.present else None
    app: ASGIApp = PageHead(make_routes(services, chooser), ASSETS, assets_address(), facts, files)
    app = GZipMiddleware(app, minimum_size=1024, compresslevel=QUICK_COMPRESSION)
    scripts = ForeignScripts(_places(services)).find if panels.present else None
    app = AssetServer(app, {"/assets/": GRADIO_ASSETS, f"{assets_address()}/": ASSETS}, scripts)
    if config.credentials or config.api_credentials:
        credentials = Credentials(dict(config.credentials), dict(config.api_credentials))
        app = AuthGate(app, credentials, Sessions(), AttemptLimiter())
    # Should a server without credentials ever listen to others, it still answers to nobody but this machine's names.
    hosts = HostNames(config.host if config.credentials else LOOPBACK_HOST)
    if not panels.present:
        return Guard(app, hosts)
    return Guard(app, hosts, foreign=True, sites=lambda: services.settings.get(SITES_OPTION))


def make_routes(services: WebServices, chooser: CheckpointChooser) -> FastAPI:
    """Return the FastAPI application with every route, Gradio's included, and nothing in front of them."""
    os.environ.setdefault("GRADIO_TEMP_DIR", str(services.outputs / ".easel" / "gradio"))
    app = FastAPI(title="Easel", docs_url=None, redoc_url=None, openapi_url=None)
    # Gradio leaves cross-origin headers to its parent when that decides on them, and ours allows nobody.
    app.add_middleware(CORSMiddleware, allow_origins=[])
    app.add_exception_handler(EaselError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_malformed)
    app.include_router(make_live_router(services.jobs, services.background.tasks))
    if services.panels.present:
        app.include_router(make_file_router(_places(services)))
    app.include_router(make_picture_router(services.jobs, services.outputs))
    app.include_router(make_job_router(services, chooser))
    app.include_router(make_batch_router(services, chooser))
    app.include_router(make_task_router(services))
    app.include_router(make_download_router(services))
    app.include_router(make_merge_router(services))
    app.include_router(make_extension_router(services))
    app.include_router(make_option_router(services, chooser))
    app.include_router(make_prompt_router(services, chooser))
    app.include_router(make_plugin_router(services))
    app.include_router(make_picture_info_router(services))
    app.include_router(make_input_router(services.inputs))
    app.include_router(make_verify_router(services, chooser))
    app.include_router(make_library_router(services))
    app.include_router(make_api_router(services, chooser))
    # The gallery then refers to pictures where they are; else Gradio would copy each of them.
    gr.set_static_paths([services.outputs])
    return _mount_page(app, services, chooser)


def _places(services: WebServices) -> Places:
    cache = Path(os.environ["GRADIO_TEMP_DIR"])
    return Places(services.outputs, cache, REPO_ROOT, services.panels.folders)


def assets_address() -> str:
    """Return where our scripts and styles are served; it changes with their content, so they can be kept forever."""
    digest = hashlib.sha256()
    for path in sorted(ASSETS.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return f"/easel/assets/{digest.hexdigest()[:12]}"


def _mount_page(app: FastAPI, services: WebServices, chooser: CheckpointChooser) -> FastAPI:
    page = build_page(services, chooser)
    services.panels.started(page, app)
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        page,
        path="/",
        theme=make_theme(),
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        max_file_size=LARGEST_PICTURE_BODY if services.panels.present else LARGEST_BODY,
        show_error=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
    )
    spare_work(page)
    return mounted


async def _answer_error(_: Request, error: Exception) -> Response:
    """Turn an error of ours into a status and a text for the user."""
    if not isinstance(error, EaselError):
        raise error
    status = next((code for kind, code in STATUS_OF_ERROR.items() if isinstance(error, kind)), 400)
    return PlainJson(describe_error(error), status)


async def _answer_malformed(_: Request, error: Exception) -> Response:
    """Say what is wrong with a body or an address that has not even the right form."""
    if not isinstance(error, RequestValidationError):
        raise error
    problems = []
    for each in error.errors():
        field = ".".join(str(part) for part in each["loc"][1:]) or "body"
        problems.append(FieldProblem(field, field, type(each.get("input")).__name__, str(each["msg"])))
    return PlainJson(describe_error(InvalidRequest(problems)), 422)
