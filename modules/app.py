"""The composition root: builds every service, joins them, and serves the page."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modules.builtin import builtin_plugins
from modules.cli import FIRST_PORT, LOOPBACK_HOST, AppConfig, build_parser, is_loopback
from modules.core.errors import EaselError, ModelUnavailable, StorageFailed, UnknownFlags
from modules.core.ports import Engine
from modules.gallery.inputs import InputStore
from modules.gallery.saving import GridSaving, PictureStore, SavingRules
from modules.hooks.registry import HookRegistry
from modules.jobs.ports import EngineFactory, JobRules
from modules.jobs.queue import JobQueue, open_queue, state_folder
from modules.jobs.server_lock import ServerLock
from modules.jobs.task_file import TaskState
from modules.jobs.tasks import TASKS_FILE, Report, TaskBoard
from modules.library.background import HashProgress, HashWorker
from modules.library.catalog import STARTER_NAME, CheckpointCatalog
from modules.library.choices import CHECKPOINT_OPTION, Choices, default_checkpoint
from modules.library.downloads.downloader import DOWNLOAD, HUB_BASES, Downloader
from modules.library.downloads.tokens import HubTokens
from modules.library.downloads.web_client import WebClient
from modules.library.files import ModelFiles
from modules.library.filling import LibraryFiller
from modules.library.hashing import stamp_of
from modules.library.merging.recipe import MERGE, MergePlaces, discard_merge
from modules.library.model_kinds import CHECKPOINT, model_folders
from modules.library.shelves import ModelLibrary
from modules.plugins.discovery import Extension
from modules.plugins.flags import judge_flags, may_add_flags
from modules.plugins.installer import EXTENSION_TASK
from modules.plugins.service import open_extensions
from modules.prompts.styles import StyleBook
from modules.settings.store import SettingsStore
from modules.web.restart import RESTARTED, start_anew
from modules.web.server import create_app
from modules.web.services import BackgroundServices, WebServices
from modules.web.share import ShareFailed, open_tunnel

logger = logging.getLogger(__name__)

PORTS_TRIED = 100
DOWNLOADS_AT_ONCE = 2
TOKENS_FILE = "hub-tokens.json"
HASHING = "hashing"
QUIET_SECONDS = 1.0
"""So long after the last request the page counts as loaded; only then may importing torch take the processor."""
NOBODY_SECONDS = 3.0
"""So long after the start the engine is loaded although nobody has opened the page."""
BUSY_SECONDS = 8.0
"""So long after the start the engine is loaded although requests keep coming."""
INPUT_SECONDS = 30 * 24 * 3600.0
"""After so long a picture that was handed in and that no listed job needs is deleted."""
LIBRARY_SECONDS = 10.0
"""So long after the engine begins to load the library begins to read the model files' headers."""


class CannotServe(EaselError):
    """The server cannot listen where it was asked to; the text says what to do."""


class LateStart:
    """ASGI application that hands everything on, and calls `start` once the first page has been served.

    Importing torch and diffusers holds the interpreter for seconds, in which the page would answer slowly. So this
    waits, beginning with the server's start or the first request, for a moment of quiet.
    """

    def __init__(self, app: ASGIApp, start: Callable[[], None]) -> None:
        self._app = app
        self._start = start
        self._asked: float | None = None
        self._waiter: threading.Thread | None = None
        self._closed = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note when requests come and go."""

        async def noting_send(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._begin()
            await send(message)

        if scope["type"] == "http":
            self._begin()
            self._asked = time.monotonic()
        await self._app(scope, receive, noting_send)
        if scope["type"] == "http":
            self._asked = time.monotonic()

    def close(self) -> None:
        """Start nothing any more."""
        self._closed.set()

    def _begin(self) -> None:
        if self._waiter is None:
            self._waiter = threading.Thread(target=self._wait, name="late-start", daemon=True)
            self._waiter.start()

    def _wait(self) -> None:
        begun = time.monotonic()
        while not self._closed.wait(0.1):
            now = time.monotonic()
            quiet = now - begun >= NOBODY_SECONDS if self._asked is None else now - self._asked >= QUIET_SECONDS
            if quiet or now - begun >= BUSY_SECONDS:
                self._start()
                return


class Application:
    """The running whole: owns every service, and `close`s them in the right order."""

    def __init__(self, config: AppConfig, services: WebServices, lock: ServerLock) -> None:
        self.config = config
        self.services = services
        self.lock = lock
        self.site = create_app(services)
        self._late_start = LateStart(self.site, self.start)
        self.asgi: ASGIApp = self._late_start

    def start(self) -> None:
        """Let jobs run and load engine and default checkpoint; comes by itself once the page has been served."""
        self.services.jobs.start()
        self.services.jobs.preload(default_checkpoint(self.services.settings, self.services.files.checkpoints))
        self.services.background.tasks.begin()
        self.services.filler.start(LIBRARY_SECONDS)
        self.services.extensions.write_report(state_folder(self.services.outputs))
        gone = self.services.inputs.forget_old(self.services.jobs.digests(), INPUT_SECONDS)
        if gone:
            logger.info("%d pictures that were handed in and that no job needs are gone.", gone)

    def close(self) -> bool:
        """Stop the running job so that it goes on at the next start, and free the data folder.

        Returns False when the engine's thread could not be stopped.
        """
        self._late_start.close()
        self.services.background.tasks.close()
        self.services.filler.close()
        self.services.hashes.close()
        stopped = self.services.jobs.close()
        self.services.panels.stopped()
        self.services.extensions.safety.close()
        self.lock.release()
        return stopped


def build(config: AppConfig, engine_factory: EngineFactory | None = None) -> Application:
    """Build every service. Raises DataFolderInUse, and StorageFailed when the data folder cannot be written."""
    outputs = config.data_dir / "outputs"
    state = state_folder(outputs)
    lock = ServerLock(state)
    try:
        _make_folders(config)
        settings = SettingsStore(config.settings_file)
        files, inputs = ModelFiles.of(config), InputStore(state / "inputs", lambda: largest_picture(settings))
        styles = StyleBook(config.styles_files)
        hooks = HookRegistry(builtin_plugins(styles, lambda: float(settings.get("img_max_size_mp"))))
        extensions = open_extensions(config, settings, state, hooks)
        enabled = extensions.start()
        _choose_checkpoint(config.checkpoint, settings, files.checkpoints)
        jobs = open_queue(
            outputs,
            PictureStore(outputs, lambda: saving_rules(settings)),
            engine_factory or (lambda: make_engine(config, files, settings, inputs, hashes, hooks)),
            lambda: job_rules(settings),
            hooks.after_job,
        )
        _recover(jobs)
        library = ModelLibrary(files, state)
        hashes = HashWorker(files.checkpoints.hashes, busy=lambda: jobs.running() is not None, fills=config.hashing)
        services = WebServices(
            jobs=jobs,
            settings=settings,
            files=files,
            lists=Choices(files.checkpoints, vaes=files.vaes),
            styles=styles,
            inputs=inputs,
            outputs=outputs,
            config=config,
            library=library,
            hashes=hashes,
            filler=LibraryFiller(library, hashes, lambda: jobs.running() is not None),
            background=open_background(config, files, state),
            extensions=extensions,
            plugins=hooks.plugins,
        )
        join_tasks(services)
        return Application(config, with_adapter(services, hooks, enabled), lock)
    except BaseException:
        lock.release()
        raise


def serve(config: AppConfig) -> int:
    """Run the server until it is stopped; returns the exit code."""
    _set_up_logging(config.log_level)
    # uvicorn stops at SIGTERM and then raises it again; this way the running job is still put back in the queue.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        application = build(config)
    except EaselError as error:
        logger.error("Easel cannot start. %s", error)
        return 2 if isinstance(error, UnknownFlags) else 1
    except KeyboardInterrupt:
        return 0
    code = _run_until_stopped(application)
    stopped = application.close()
    if application.services.restarter.asked:
        start_anew(config)
    if not stopped:
        # Python would wait for, or stumble over, native code that still runs; nothing is left to be written.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    return code


def open_listener(host: str, port: int | None) -> socket.socket:
    """Return a socket bound to `port`, or to the first free one from 7860 on. Raises CannotServe."""
    if port is not None:
        try:
            return _bind(host, port)
        except OSError as error:
            raise CannotServe(
                f"Port {port} of {host} cannot be used: {error.strerror or error}. Choose another with --port, or leave"
                " --port out to get the first free one."
            ) from error
    problem: OSError | None = None
    for candidate in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        try:
            return _bind(host, candidate)
        except OSError as error:
            problem = problem or error
    reason = problem.strerror or problem if problem is not None else "none is free"
    raise CannotServe(
        f"No port from {FIRST_PORT} to {FIRST_PORT + PORTS_TRIED - 1} of {host} can be used: {reason}."
        " Choose one with --port, and the address with --server-name."
    ) from problem


def make_engine(
    config: AppConfig,
    files: ModelFiles,
    settings: SettingsStore,
    inputs: InputStore,
    hashes: HashWorker,
    hooks: HookRegistry,
) -> Engine:
    """Import and build the engine, which takes seconds: called in the job runner's thread, behind the served page."""
    create = importlib.import_module("modules.engine.service").create_engine
    engine: Engine = create(config, files, settings.get, inputs.load, hashes.ask, hooks)
    return engine


def open_background(config: AppConfig, files: ModelFiles, state: Path) -> BackgroundServices:
    """Build what runs beside the queue; nothing is asked of any server before a user wants it."""
    folders = model_folders(config)
    tokens = HubTokens(state / TOKENS_FILE, HUB_BASES)
    hashes = files.checkpoints.hashes

    def keep_hash(path: Path, sha256: str) -> None:
        hashes.keep(path, "file", stamp_of(path), sha256)
        hashes.save()

    downloader = Downloader(WebClient(tokens.for_origin), folders, done=keep_hash)
    merges = MergePlaces(files.checkpoints, files.vaes, folders[CHECKPOINT])
    return BackgroundServices(TaskBoard(state / TASKS_FILE), downloader, tokens, merges)


def with_adapter(services: WebServices, hooks: HookRegistry, enabled: Sequence[Extension]) -> WebServices:
    """Return the services with what extensions for A1111 add to the page; nothing is imported where there is none."""
    if not any(extension.uses_a1111 for extension in enabled):
        judge_flags(services.config.foreign_flags, services.extensions)
        return services
    adapter = importlib.import_module("modules.a1111._adapter")
    own = services.extensions
    connection = adapter.Connection(hooks, own.reports, tuple(enabled), own.safety, services.config.arguments)
    return replace(services, panels=adapter.start(services, connection, lambda flags: judge_flags(flags, own)))


def tell_flags(config: AppConfig) -> None:
    """Print the help with the flags of extensions that are on."""
    parser, settings = build_parser(), SettingsStore(config.settings_file)
    extensions = open_extensions(config, settings, state_folder(config.data_dir / "outputs"), HookRegistry())
    enabled = [extension for extension in extensions.installed.enabled() if may_add_flags(extension)]
    if enabled:
        importlib.import_module("modules.a1111._adapter").add_flags(parser, config, enabled)
    parser.print_help()


def join_tasks(services: WebServices) -> None:
    """Tell the board how each kind of task is done; what a task has made is in the lists when it ends."""
    background = services.background
    tasks, downloader, merges = background.tasks, background.downloader, background.merges

    def look_again() -> None:
        _keep_chosen(services.settings, services.files.checkpoints)
        services.files.refresh()
        services.filler.again()

    def download(spec: Mapping[str, Any], report: Report, cancelled: Callable[[], bool]) -> str:
        result = downloader.run(spec, report, cancelled)
        look_again()
        return result

    def merge(spec: Mapping[str, Any], report: Report, cancelled: Callable[[], bool]) -> str:
        report(0.0, "starting")
        run_merge = importlib.import_module("modules.library.merging.merge").run_merge
        result: str = run_merge(spec, merges, report, cancelled)
        look_again()
        return result

    def show_hashing(progress: HashProgress | None) -> None:
        if progress is None or progress.done >= progress.total:
            tasks.remove(HASHING)
            return
        fraction = (progress.done + progress.fraction) / progress.total
        tasks.show(HASHING, "Hashes of model files", fraction, f"{progress.done} of {progress.total} · {progress.name}")

    services.hashes.listen(show_hashing)
    tasks.register(DOWNLOAD, download, downloader.discard, at_once=DOWNLOADS_AT_ONCE)
    def discard(spec: Mapping[str, Any]) -> None:
        # A merge that runs may be one of the same name.
        if not any(task.kind == MERGE and task.state is TaskState.RUNNING for task in tasks.tasks()):
            discard_merge(spec, merges.folder)

    tasks.register(MERGE, merge, discard)
    tasks.register(EXTENSION_TASK, services.extensions.run, services.extensions.installer.discard)


def job_rules(settings: SettingsStore) -> JobRules:
    """Fold the options that jobs heed into one value."""
    return JobRules(
        previews=settings.get("live_previews_enable"),
        preview_every_steps=settings.get("show_progress_every_n_steps"),
        preview_period=settings.get("live_preview_refresh_period") / 1000,
        keep_ended=settings.get("keep_finished_jobs"),
        save_added=settings.get("grid_save"),
        show_added=settings.get("return_grid"),
    )


def largest_picture(settings: SettingsStore) -> int:
    """Return how many megapixels a picture that is handed in may have."""
    return int(settings.get("largest_input_megapixels"))


def saving_rules(settings: SettingsStore) -> SavingRules:
    """Fold the options that saving heeds into one value."""
    return SavingRules(
        folder=settings.get("outdir_txt2img_samples"),
        picture_folder=settings.get("outdir_img2img_samples"),
        folder_per_day=settings.get("save_to_dirs"),
        infotext=settings.get("enable_pnginfo"),
        grids=GridSaving(
            folder=settings.get("outdir_grids") or settings.get("outdir_txt2img_grids"),
            picture_folder=settings.get("outdir_grids") or settings.get("outdir_img2img_grids"),
            folder_per_day=settings.get("grid_save_to_dirs"),
            file_format=settings.get("grid_format"),
        ),
    )


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it listens."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, then tell."""
        await super().startup(sockets)
        if self.started:
            self._on_listening()


def _run_until_stopped(application: Application) -> int:
    try:
        listener = open_listener(application.config.host, application.config.port)
        _run_server(application, listener)
    except EaselError as error:
        logger.error("Easel cannot start. %s", error)
        return 1
    except KeyboardInterrupt:
        logger.info("Stopping …")
    return 0


def _run_server(application: Application, listener: socket.socket) -> None:
    config = application.config
    address = _address(config.host, listener.getsockname()[1])
    application.lock.tell(address)
    wanted = application.services.settings.get("auto_launch_browser") != "Disable"

    def share() -> None:
        try:
            public = open_tunnel(config, application.site, listener.getsockname()[1])
        except ShareFailed as error:
            logger.error("%s", error)
            return
        sys.stdout.write(f"Running on public URL: {public}\n")
        sys.stdout.flush()

    def listening() -> None:
        # Not through logging, so that it is told at any --loglevel.
        sys.stdout.write(f"Running on local URL:  {address}\n")
        sys.stdout.flush()
        if config.autolaunch and wanted and RESTARTED not in os.environ:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        if config.share:
            threading.Thread(target=share, name="share", daemon=True).start()

    settings = uvicorn.Config(
        application.asgi, log_config=None, access_log=False, timeout_graceful_shutdown=1, ws="websockets-sansio"
    )
    with listener:
        server = _Server(settings, listening)
        # As Ctrl+C does it.
        application.services.restarter.fulfil_by(lambda: setattr(server, "should_exit", True))
        server.run(sockets=[listener])


def _address(host: str, port: int) -> str:
    """Return the address that this machine's own browser can open."""
    shown = host if is_loopback(host) or host not in ("0.0.0.0", "::", "") else LOOPBACK_HOST
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":
            # Lets a restart have the port at once; on Windows the same option would let two servers share it.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _make_folders(config: AppConfig) -> None:
    """Make the folders into which users put things; one that cannot be made matters only to who needs it."""
    for folder in (config.models_dir, config.checkpoint_dirs[0]):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            logger.warning("The folder %s cannot be made: %s.", folder, error.strerror or error)


def _choose_checkpoint(wanted: Path | None, settings: SettingsStore, catalog: CheckpointCatalog) -> None:
    """Make the checkpoint that the command line names the chosen one."""
    for entry in catalog.entries() if wanted is not None else ():
        if entry.path.resolve() == wanted:
            try:
                settings.update({CHECKPOINT_OPTION: entry.title})
            except StorageFailed as error:
                logger.warning("%s", error)


def _keep_chosen(settings: SettingsStore, catalog: CheckpointCatalog) -> None:
    """Choose the default checkpoint where none is chosen, so that a new file does not become it by its name alone."""
    try:
        entry = catalog.default()
        if not settings.get(CHECKPOINT_OPTION) and entry.name != STARTER_NAME:
            settings.update({CHECKPOINT_OPTION: entry.title})
    except (ModelUnavailable, StorageFailed) as error:
        logger.debug("No checkpoint is kept chosen: %s", error)


def _recover(jobs: JobQueue) -> None:
    for job in jobs.recover():
        logger.info("Job %s goes on where the last server left it: %d picture(s) are there.", job.id, len(job.images))


def _set_up_logging(level: str) -> None:
    """Send our own messages to standard output at `level`, and those of libraries from WARNING up."""
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(message)s", force=True)
    logging.getLogger("modules").setLevel(level)
