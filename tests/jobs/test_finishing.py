"""What plugins add to a job when its last part is done: saved, shown, made again, and never lost in a kill."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from PIL import Image

from modules.core.errors import InvalidRequest, PluginFailed, StorageFailed
from modules.core.ports import CancelToken, RunSink
from modules.core.request import GenerationRequest
from modules.core.result import GenerationResult
from modules.jobs.model import Job, JobState, Purpose
from modules.jobs.ports import JobRules
from modules.jobs.queue import JobQueue
from tests.fakes import FakeEngine, HoldAt, wait_until
from tests.jobs.conftest import wait_ended
from tests.jobs.grids import Adder, asked, open_with, parts, serve_until_killed, work_off

GRIDS = "txt2img-grids/2026-01-31"


@contextmanager
def opened(
    outputs: Path, adder: Adder, rules: JobRules | None = None, engine: FakeEngine | None = None
) -> Iterator[JobQueue]:
    with closing(open_with(outputs, adder, rules, engine)) as queue:
        queue.start()
        yield queue


def made(queue: JobQueue, purpose: Purpose = Purpose.KEEP) -> Job:
    own, origins = parts()
    return wait_ended(queue, queue.submit_parts(own, purpose=purpose, origins=origins))


def grids(outputs: Path) -> list[str]:
    return sorted(path.relative_to(outputs).as_posix() for path in outputs.rglob("grid-*"))


def test_what_is_added_is_saved_among_the_grids_and_shown_first(outputs: Path) -> None:
    adder = Adder(hides=False)
    with opened(outputs, adder) as queue:
        job = made(queue)
        message = queue.job_message(job)
    assert job.state is JobState.FINISHED
    assert [image.index for image in job.shown()] == [3, 4, 0, 1, 2]
    assert [image["infotext"] for image in message["images"]][:2] == ["grid 1", "grid 2"]
    assert (message["image_count"], message["made_count"]) == (3, 3)
    assert grids(outputs) == [f"{GRIDS}/grid-0000-7.png", f"{GRIDS}/grid-0001-7.png"]
    with Image.open(outputs / GRIDS / "grid-0001-7.png") as grid:
        assert (grid.size, grid.info["parameters"]) == ((3, 2), "grid 2")


def test_the_plugin_gets_every_part_with_its_pictures(outputs: Path) -> None:
    adder = Adder()
    with opened(outputs, adder) as queue:
        job = made(queue)
    finished, = adder.jobs
    assert (finished.request, finished.values) == (asked(), {"times": 2})
    assert [[picture.seed for picture in part.pictures] for part in finished.parts] == [[7], [20, 21]]
    assert [part.request for part in finished.parts] == [part.request for part in job.parts]
    picture = finished.parts[1].pictures[0]
    assert picture.infotext == job.images[1].infotext
    with picture.open() as image:
        assert image.size == (64, 64)


def test_parts_can_be_hidden_behind_what_was_added(outputs: Path) -> None:
    with opened(outputs, Adder()) as queue:
        job = made(queue)
        assert [image.index for image in job.shown()] == [3, 4]
        assert len(job.own()) == 3
        assert queue.job_message(job)["request"] == asked().model_dump(mode="json"), "what was asked for"


def test_a_job_that_no_plugin_made_has_nothing_added(outputs: Path) -> None:
    adder = Adder()
    with opened(outputs, adder) as queue:
        job = wait_ended(queue, queue.submit_parts(parts()[0]))
    assert not adder.jobs
    assert len(job.shown()) == 3


def test_what_cannot_be_added_is_told_and_the_pictures_are_shown(outputs: Path) -> None:
    with opened(outputs, Adder(error=PluginFailed("The grid is too large."))) as queue:
        job = made(queue)
    assert (job.state, job.error) == (JobState.FINISHED, "The grid is too large.")
    assert [image.index for image in job.shown()] == [0, 1, 2]


def test_a_grid_that_cannot_be_saved_fails_the_job_and_a_retry_makes_only_the_grid(outputs: Path) -> None:
    engine, adder = FakeEngine(), Adder(error=StorageFailed("The disk is broken."))
    with opened(outputs, adder, engine=engine) as queue:
        job = made(queue)
        assert (job.state, job.error) == (JobState.FAILED, "The disk is broken.")
        adder.error = None
        again = wait_ended(queue, queue.retry(job.id))
    assert again.state is JobState.FINISHED
    assert len(engine.runs) == 2
    assert adder.drawn == [1, 2]


@pytest.mark.parametrize(("rules", "files", "shown"), [
    (JobRules(save_added=False), ["unsaved/2026-01-31/grid-0000-7.png", "unsaved/2026-01-31/grid-0001-7.png"], [3, 4]),
    (JobRules(show_added=False), [f"{GRIDS}/grid-0000-7.png", f"{GRIDS}/grid-0001-7.png"], [0, 1, 2]),
    (JobRules(save_added=False, show_added=False), [], [0, 1, 2]),
])  # fmt: skip
def test_the_options_say_whether_it_is_kept_and_shown(
    rules: JobRules, files: list[str], shown: list[int], outputs: Path
) -> None:
    with opened(outputs, Adder(), rules) as queue:
        job = made(queue)
    assert grids(outputs) == files
    assert [image.index for image in job.shown()] == shown


@pytest.mark.parametrize(("purpose", "saved", "left"), [
    (Purpose.KEEP, True, 5), (Purpose.KEEP, False, 3), (Purpose.UNSAVED, True, 2), (Purpose.UNSAVED, False, 0),
    (Purpose.HANDOVER, True, 0),
])  # fmt: skip
def test_what_is_not_kept_goes_with_its_job(purpose: Purpose, saved: bool, left: int, outputs: Path) -> None:
    with opened(outputs, Adder(), JobRules(save_added=saved)) as queue:
        job = made(queue, purpose)
        assert sum(image.path.is_file() for image in job.images) == 5
        queue.remove(job.id)
    assert len([*outputs.rglob("*.png")]) == left


def test_an_interrupted_job_has_what_there_is_and_gets_it_anew_when_it_goes_on(outputs: Path) -> None:
    gate = HoldAt(first_image=1, step=1)
    adder = Adder()
    with opened(outputs, adder, engine=FakeEngine(gate)) as queue:
        own, origins = parts()
        job = queue.submit_parts(own, origins=origins)
        gate.wait_reached()
        queue.interrupt(job.id)
        job = wait_ended(queue, job)
        assert job.state is JobState.INTERRUPTED
        assert [len(part.pictures) for part in adder.jobs[0].parts] == [1, 1]
        assert len(job.shown()) == 2
        gate.release()
        job = wait_ended(queue, queue.retry(job.id))
    assert job.state is JobState.FINISHED
    assert [len(part.pictures) for part in adder.jobs[1].parts] == [1, 2]
    assert [image.index for image in job.shown()] == [3, 4]
    with Image.open(job.shown()[0].path) as grid:
        assert grid.width == 3


def test_a_job_of_which_nothing_was_made_gets_nothing(outputs: Path) -> None:
    class Broken(FakeEngine):
        def generate(
            self, request: GenerationRequest, sink: RunSink, cancel: CancelToken, done: frozenset[int] = frozenset()
        ) -> GenerationResult:
            raise InvalidRequest(())

    adder = Adder()
    with opened(outputs, adder, engine=Broken()) as queue:
        assert made(queue).state is JobState.FAILED
    assert not adder.jobs


def test_a_finished_job_that_is_run_again_is_made_of_the_same(outputs: Path) -> None:
    with opened(outputs, Adder()) as queue:
        again = wait_ended(queue, queue.retry(made(queue).id))
        assert [image.index for image in again.shown()] == [3, 4]
        assert queue.get(again.id).origins == tuple(parts()[1])


def test_a_server_that_closes_leaves_the_grid_to_the_next(outputs: Path) -> None:
    gate, adder = HoldAt(first_image=0, step=1), Adder()
    with opened(outputs, adder, engine=FakeEngine(gate)) as queue:
        own, origins = parts()
        queue.submit_parts(own, origins=origins)
        gate.wait_reached()
    assert not adder.jobs
    with opened(outputs, adder) as queue:
        wait_until(lambda: queue.ended(1))
        assert len(queue.ended(1)[0].shown()) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is not a thing of Windows")
@pytest.mark.parametrize(("moment", "drawn"), [(0, [1, 2]), (1, [1, 2]), (2, [2])])
def test_a_kill_between_the_last_part_and_the_grid_loses_nothing(
    moment: int, drawn: list[int], outputs: Path
) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.jobs.grids"])
    server = context.Process(target=serve_until_killed, args=(outputs, moment))
    server.start()
    server.join(60)
    assert server.exitcode == -signal.SIGKILL

    adder, engine = Adder(), FakeEngine()
    work_off(open_with(outputs, adder, engine=engine))
    assert not engine.runs, "the parts were done"
    assert adder.drawn == drawn
    assert grids(outputs) == [f"{GRIDS}/grid-0000-7.png", f"{GRIDS}/grid-0001-7.png"]
    with closing(open_with(outputs, adder)) as queue:
        job, = queue.ended(10)
    assert [image.infotext for image in job.shown()] == ["grid 1", "grid 2"]
