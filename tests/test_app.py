"""The whole application, put together: start, stop, a second start, and what is in its way."""

import contextlib
import json
import logging
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modules import app, cli
from modules.core.errors import DataFolderInUse, StorageFailed
from modules.core.request import GenerationRequest
from modules.gallery.saving import PictureStore
from modules.jobs.model import JobState
from modules.jobs.queue import JobQueue, open_queue
from modules.library.choices import Choices, default_checkpoint, open_catalog
from modules.settings.store import SettingsStore
from tests.fakes import FakeEngine, FileGate, HoldAt, run_async, wait_until

SERVE = """
import sys
from pathlib import Path
from modules import app, cli
from tests.fakes import FakeEngine, FileGate
app.make_engine = lambda *_: FakeEngine(FileGate(Path(sys.argv[1]), only=(1, 2)))
sys.exit(app.serve(cli.parse_arguments(["--data-dir", sys.argv[2], "--no-autolaunch"])))
"""


@pytest.fixture
def config(tmp_path: Path) -> cli.AppConfig:
    return cli.parse_arguments(["--data-dir", str(tmp_path), "--no-autolaunch"], environment={})


@pytest.fixture
def quiet_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep pytest's own log handlers and signal handlers."""
    monkeypatch.setattr(app, "_set_up_logging", lambda _: None)
    monkeypatch.setattr(app.signal, "signal", lambda *_: None)


@contextlib.contextmanager
def built(config: cli.AppConfig, engine: FakeEngine | None = None) -> Iterator[app.Application]:
    application = app.build(config, lambda: engine or FakeEngine())
    try:
        yield application
    finally:
        application.close()


def request(**values: object) -> GenerationRequest:
    return GenerationRequest.checked({"prompt": "a pear", "steps": 3, "width": 64, "height": 64, "seed": 7} | values)


def finish(queue: JobQueue, job_id: str) -> None:
    wait_until(lambda: queue.get(job_id).state is JobState.FINISHED)


def test_a_built_application_makes_pictures_with_the_options_that_are_set(config: cli.AppConfig) -> None:
    with built(config) as application:
        services = application.services
        services.settings.update({"outdir_txt2img_samples": "icons", "save_to_dirs": False})
        application.start()
        job = services.jobs.submit(request())
        finish(services.jobs, job.id)
        assert services.jobs.get(job.id).images[0].path == config.data_dir / "outputs" / "icons" / "00000-7.png"
        assert app.job_rules(services.settings) == app.JobRules()
        services.settings.update({"live_preview_refresh_period": 500, "show_progress_every_n_steps": 4})
        assert app.job_rules(services.settings).preview_period == pytest.approx(0.5)
        assert app.job_rules(services.settings).preview_every_steps == 4


def test_the_engine_and_the_chosen_checkpoint_are_loaded_without_a_job(config: cli.AppConfig) -> None:
    engine = FakeEngine()
    with built(config, engine) as application:
        application.services.settings.update({"sd_model_checkpoint": "starter"})
        application.start()
        wait_until(lambda: engine.preloaded)
        assert engine.preloaded[0].startswith("starter")
        wait_until(lambda: application.services.jobs.count_tokens("one two") == (2, 75))


def test_a_data_folder_of_its_own_still_has_the_starter_model(config: cli.AppConfig) -> None:
    catalog = open_catalog(config)
    assert "starter" in [entry.name for entry in catalog.entries() if entry.usable]


def test_a_chosen_checkpoint_that_is_gone_gives_way_to_the_first_usable_one(
    config: cli.AppConfig, caplog: pytest.LogCaptureFixture
) -> None:
    settings = SettingsStore(config.settings_file)
    settings.update({"sd_model_checkpoint": "no such thing.safetensors"})
    assert default_checkpoint(settings, open_catalog(config)) == ""
    assert "no such thing.safetensors" in caplog.text


def test_the_checkpoint_of_the_command_line_becomes_the_chosen_one(tmp_path: Path, starter_model: Path) -> None:
    config = cli.parse_arguments(["--data-dir", str(tmp_path), "--ckpt", str(starter_model)], environment={})
    with built(config) as application:
        assert str(application.services.settings.get("sd_model_checkpoint")).startswith("starter")


@pytest.mark.parametrize(
    ("list_name", "good", "bad"),
    [
        ("samplers", ["Euler a", "k_euler", "DPM++ 2M Karras"], ["Eulr", ""]),
        ("schedulers", ["Automatic", "automatic", "Karras"], ["Karas", ""]),
        ("noise_sources", ["GPU", "CPU", "NV"], ["TPU", ""]),
        ("checkpoints", ["", "starter"], ["no such thing"]),
    ],
)
def test_names_and_their_aliases_are_accepted_and_others_are_not(
    list_name: str, good: list[str], bad: list[str], config: cli.AppConfig
) -> None:
    choices = Choices(open_catalog(config))
    assert [name for name in good if not choices.accepts(list_name, name)] == []
    assert [name for name in bad if choices.accepts(list_name, name)] == []
    assert all(choices.accepts(list_name, name) for name in choices.names(list_name))


def test_a_second_server_on_the_same_data_folder_is_told_who_has_it(
    config: cli.AppConfig, quiet_start: None, caplog: pytest.LogCaptureFixture
) -> None:
    with built(config) as application:
        application.lock.tell("http://127.0.0.1:7860")
        with pytest.raises(DataFolderInUse, match=r"process \d+ at http://127.0.0.1:7860.*--data-dir FOLDER"):
            app.build(config, FakeEngine)
        with caplog.at_level(logging.ERROR):
            assert app.serve(config) == 1
        assert "Easel cannot start. Another Easel" in caplog.text
        assert "Traceback" not in caplog.text
    with built(config) as application:
        assert application.services.jobs.waiting() == []


def test_an_outputs_folder_that_cannot_be_written_is_said_at_the_start(
    config: cli.AppConfig, quiet_start: None, caplog: pytest.LogCaptureFixture
) -> None:
    (config.data_dir / "outputs").write_text("a file where the folder should be")
    with pytest.raises(StorageFailed, match=r"outputs.*--data-dir"):
        app.build(config, FakeEngine)
    assert app.serve(config) == 1
    assert "Easel cannot start. The folder" in caplog.text


def test_a_queue_that_is_no_database_is_reported_and_the_folder_is_free_again(config: cli.AppConfig) -> None:
    state = config.data_dir / "outputs" / ".easel"
    state.mkdir(parents=True)
    (state / "jobs.sqlite").write_bytes(b"no database at all" * 100)
    for _ in range(2):
        with pytest.raises(StorageFailed, match=r"jobs\.sqlite cannot be used: file is not a database"):
            app.build(config, FakeEngine)


def test_without_a_tunnel_share_is_refused_in_words_and_the_page_is_served_all_the_same(
    config: cli.AppConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_network(*_: object) -> str:
        raise RuntimeError("no network")

    monkeypatch.setattr("modules.web.share.networking.setup_tunnel", no_network)
    sharing = replace(config, share=True, credentials=(("user", "password"),), port=None)

    class Stopped:
        """A server that listens for a moment and then stops."""

        def __init__(self, settings: object, on_listening: Callable[[], None]) -> None:
            self.on_listening = on_listening

        def run(self, sockets: list[socket.socket]) -> None:
            self.on_listening()
            wait_until(lambda: "--share could not open a tunnel (no network)" in caplog.text)

    monkeypatch.setattr(app, "_Server", Stopped)
    with built(sharing) as application:
        assert app._run_until_stopped(application) == 0


def test_a_port_that_is_taken_is_an_error_only_when_it_was_asked_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(app.CannotServe, match=rf"Port {port} of 127\.0\.0\.1 cannot be used.*--port"):
            app.open_listener("127.0.0.1", port)
    with app.open_listener("127.0.0.1", None) as first, app.open_listener("127.0.0.1", None) as second:
        ports = [first.getsockname()[1], second.getsockname()[1]]
        assert ports == sorted(ports)
        assert ports[0] >= cli.FIRST_PORT
        assert ports[0] != ports[1]


def test_an_address_that_is_not_this_machines_is_reported() -> None:
    with pytest.raises(app.CannotServe, match="--server-name"):
        app.open_listener("192.0.2.1", None)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("localhost", "http://localhost:1"),
        ("192.168.0.5", "http://192.168.0.5:1"),
        ("::1", "http://[::1]:1"),
        ("::", "http://127.0.0.1:1"),
    ],
)
def test_the_address_that_is_told_can_be_opened_on_this_machine(host: str, address: str) -> None:
    assert app._address(host, 1) == address


def test_the_engine_starts_once_after_the_page_was_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "QUIET_SECONDS", 0.05)
    starts: list[bool] = []
    served: list[str] = []

    async def page(scope: dict[str, object], *_: object) -> None:
        served.append(str(scope["type"]))

    late = app.LateStart(page, lambda: starts.append(bool(served)))
    for _ in range(3):
        run_async(late({"type": "http"}, None, None))
    wait_until(lambda: starts)
    late.close()
    late._waiter.join()
    assert starts == [True]
    assert served == ["http"] * 3


def test_the_engine_starts_although_nobody_opens_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "NOBODY_SECONDS", 0.05)
    starts: list[None] = []

    async def lifespan(_: object, __: object, send: object) -> None:
        await send({"type": "lifespan.startup.complete"})

    async def ignore(_: object) -> None:
        return

    late = app.LateStart(lifespan, lambda: starts.append(None))
    run_async(late({"type": "lifespan"}, None, ignore))
    wait_until(lambda: starts)
    late._waiter.join()
    assert starts == [None]


def test_closing_puts_the_running_job_back(config: cli.AppConfig) -> None:
    gate = HoldAt(first_image=1, step=2)
    with built(config, FakeEngine(gate)) as application:
        application.start()
        job = application.services.jobs.submit(request(batch_count=2))
        gate.wait_reached()
    with built(config) as application:
        assert [waiting.id for waiting in application.services.jobs.waiting()] == [job.id]
        application.start()
        finish(application.services.jobs, job.id)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is not a thing of Windows")
def test_a_served_page_survives_a_second_start_and_sigterm_in_the_middle_of_a_job(
    tmp_path: Path, repo_root: Path
) -> None:
    data, gate_folder = tmp_path / "data", tmp_path / "gate"
    gate_folder.mkdir()
    outputs = data / "outputs"
    outputs.mkdir(parents=True)
    before = open_queue(outputs, PictureStore(outputs), FakeEngine)
    job = before.submit(request(batch_count=2))
    before.close()

    command = [sys.executable, "-c", SERVE, str(gate_folder), str(data)]
    with subprocess.Popen(command, cwd=repo_root, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        line = next(line for line in server.stdout if line.startswith("Running on"))
        address = re.fullmatch(r"Running on local URL:  (http://127\.0\.0\.1:\d+)\n", line)
        assert address is not None
        with urllib.request.urlopen(address[1]) as page:
            assert b"gradio" in page.read()
        holder = json.loads((outputs / ".easel" / "server.json").read_text())
        assert holder == {"pid": server.pid, "address": address[1]}
        FileGate(gate_folder).wait_reached(1, 2)

        second = cli.parse_arguments(["--data-dir", str(data)], environment={})
        with pytest.raises(DataFolderInUse, match=f"process {server.pid} at {address[1]}"):
            app.build(second, FakeEngine)

        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0

    after = open_queue(outputs, PictureStore(outputs), FakeEngine)
    put_back = after.get(job.id)
    after.close()
    assert put_back.state is JobState.WAITING
    assert [image.index for image in put_back.images] == [0]
