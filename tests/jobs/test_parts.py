"""Jobs of several requests: one entry of the queue, one row of pictures."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modules.core.errors import FieldProblem, InvalidRequest, NetworkUnavailable, OutOfMemory
from modules.core.ports import CancelToken, RunSink
from modules.core.request import GenerationRequest
from modules.core.result import GenerationResult, Place
from modules.jobs import parts as parts_module
from modules.jobs.migrations import MIGRATIONS, migrate
from modules.jobs.model import Job, JobState, Part, Purpose
from modules.jobs.part_runs import MOST_TOLD
from modules.jobs.ports import JobRules
from modules.jobs.queue import JobQueue
from modules.jobs.store import JobStore
from tests.fakes import FakeEngine, HoldAt, wait_until
from tests.jobs.conftest import QueueMaker, small, wait_ended

BROKEN = InvalidRequest([FieldProblem("init_image", "Image", "a file that is cut off", "a whole picture")])


def three() -> list[Part]:
    return [
        Part(small(prompt="first", seed=1)),
        Part(small(prompt="second", seed=10, batch_count=2)),
        Part(small(prompt="third", seed=20)),
    ]


class HeldAtPrompt(FakeEngine):
    """Stands before the first step of the part with this prompt until the gate opens."""

    def __init__(self, prompt: str, first_image: int = 0) -> None:
        super().__init__()
        self.hold = HoldAt(first_image)
        self._prompt = prompt

    def generate(
        self, request: GenerationRequest, sink: RunSink, cancel: CancelToken, done: frozenset[int] = frozenset()
    ) -> GenerationResult:
        self.gate = self.hold if request.prompt == self._prompt else None
        return super().generate(request, sink, cancel, done)


class Picky(FakeEngine):
    """Refuses prompts that begin with "broken"."""

    reason: Exception = BROKEN

    def generate(
        self, request: GenerationRequest, sink: RunSink, cancel: CancelToken, done: frozenset[int] = frozenset()
    ) -> GenerationResult:
        if request.prompt.startswith("broken"):
            raise self.reason
        return super().generate(request, sink, cancel, done)


def made(job: Job) -> list[tuple[int, int]]:
    return [(image.index, image.seed) for image in job.images]


def test_the_indexes_of_the_pictures_run_on_over_the_parts(make_queue: QueueMaker) -> None:
    engine = FakeEngine()
    queue = make_queue(engine)
    job = wait_ended(queue, queue.submit_parts(three()))
    assert job.state is JobState.FINISHED
    assert made(job) == [(0, 1), (1, 10), (2, 11), (3, 20)]
    assert [request.prompt for request, _ in engine.runs] == ["first", "second", "third"]
    assert [image.infotext.splitlines()[0] for image in job.images] == ["first", "second", "second", "third"]
    assert (job.image_count(), job.request.prompt) == (4, "first")


def test_progress_counts_pictures_and_steps_over_all_parts(make_queue: QueueMaker) -> None:
    queue = make_queue(rules=JobRules(previews=False), start=False)
    told: list[dict[str, Any]] = []
    queue.subscribe(told.append)
    parts = [Part(small(steps=2)), Part(small(steps=6, batch_size=2))]
    job = queue.submit_parts(parts)
    queue.start()
    wait_ended(queue, job)
    queue.close()
    steps = [message for message in told if message["type"] == "progress" and message["step"]]
    assert {message["images"] for message in steps} == {3}
    assert [(message["image"], message["batch_size"]) for message in steps[1:3]] == [(1, 1), (2, 2)]
    assert [message["fraction"] for message in steps] == [round(count / 8, 4) for count in range(1, 9)]
    message = next(message["job"] for message in told if message["type"] == "job")
    assert (message["image_count"], message["part_count"]) == (3, 2)


def test_seeds_of_minus_one_are_fixed_for_each_part_and_given_ones_stay(make_queue: QueueMaker) -> None:
    queue = make_queue(start=False)
    job = queue.submit_parts([Part(small(seed=-1)), Part(small(seed=5)), Part(small(seed=-1))])
    seeds = [part.request.seed for part in job.parts]
    assert seeds[1] == 5
    assert min(seeds) >= 0
    assert len(set(seeds)) == 3
    assert queue.get(job.id).parts == job.parts


def test_a_job_without_parts_is_refused(make_queue: QueueMaker) -> None:
    with pytest.raises(InvalidRequest, match="at least one request"):
        make_queue(start=False).submit_parts([])


def test_pictures_go_where_their_part_says(make_queue: QueueMaker, tmp_path: Path, outputs: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    queue = make_queue()
    parts = [
        Part(small(batch_count=2), Place(str(elsewhere), "kitten")),
        Part(small(), Place(stem="puppy")),
        Part(small(), Place("below")),
    ]
    job = wait_ended(queue, queue.submit_parts(parts))
    paths = [image.path for image in job.images]
    assert paths[:2] == [elsewhere / "kitten.png", elsewhere / "kitten-1.png"]
    assert paths[2].name == "puppy.png"
    assert paths[2].parent.parent == outputs / "txt2img-images"
    assert paths[3] == outputs / "below" / "00000-7.png"
    urls = [image["url"] for image in queue.job_message(job)["images"]]
    assert urls[0] == f"/easel/job-image/{job.id}/0"
    assert urls[3] == "/easel/image/below/00000-7.png"


def test_a_part_that_is_wrong_in_itself_is_told_by_name_and_the_rest_goes_on(make_queue: QueueMaker) -> None:
    queue = make_queue(Picky(), start=False)
    told: list[dict[str, Any]] = []
    queue.subscribe(told.append)
    parts = [Part(small(seed=1)), Part(small(prompt="broken", batch_count=2), name="cut.png"), Part(small(seed=2))]
    job = queue.submit_parts(parts)
    queue.start()
    ended = wait_ended(queue, job)
    queue.close()
    assert ended.state is JobState.FINISHED
    assert made(ended) == [(0, 1), (3, 2)]
    assert ended.skipped == ()
    assert ended.error == f"1 of 3 could not be made. cut.png: {BROKEN}"
    assert [message["text"] for message in told if message["type"] == "remark"] == [f"cut.png: {BROKEN}"]
    assert [message["fraction"] for message in told if message["type"] == "progress"][-1] == 1.0


@pytest.mark.parametrize("reason", [OutOfMemory("Too little memory."), NetworkUnavailable("The LoRA is broken.")])
def test_a_size_or_a_network_that_fails_concerns_its_part_alone(reason: Exception, make_queue: QueueMaker) -> None:
    engine = Picky()
    engine.reason = reason
    queue = make_queue(engine)
    job = wait_ended(queue, queue.submit_parts([Part(small(prompt="broken"), name="x"), Part(small(seed=2))]))
    assert (job.state, made(job)) == (JobState.FINISHED, [(1, 2)])
    assert job.error == f"1 of 2 could not be made. x: {reason}"


def test_a_checkpoint_that_fails_ends_the_job(make_queue: QueueMaker) -> None:
    engine = FakeEngine(missing=frozenset({"gone"}))
    queue = make_queue(engine)
    parts = [Part(small(seed=1)), *[Part(small(checkpoint="gone"))] * 2]
    job = wait_ended(queue, queue.submit_parts(parts))
    assert (job.state, job.error, made(job)) == (JobState.FAILED, "The model gone was not found.", [(0, 1)])
    assert len(engine.runs) == 2
    assert (queue.snapshot()["model"]["title"], queue.snapshot()["model"]["state"]) == ("gone", "failed")


def test_a_job_of_which_no_part_can_be_made_fails_and_does_not_list_thousands(make_queue: QueueMaker) -> None:
    queue = make_queue(Picky())
    count = MOST_TOLD + 3
    parts = [Part(small(prompt="broken"), name=f"{number}.png") for number in range(count)]
    job = wait_ended(queue, queue.submit_parts(parts))
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.startswith(f"{count} of {count} could not be made. 0.png: Image: a file")
    assert job.error.endswith("And 3 more.")
    assert f"{MOST_TOLD}.png" not in job.error


def test_a_single_request_fails_with_its_own_words(make_queue: QueueMaker) -> None:
    queue = make_queue(Picky())
    job = wait_ended(queue, queue.submit(small(prompt="broken")))
    assert (job.state, job.error) == (JobState.FAILED, str(BROKEN))


def test_an_interrupted_job_goes_on_at_the_missing_picture_of_the_right_part(make_queue: QueueMaker) -> None:
    engine = HeldAtPrompt("second", first_image=1)
    queue = make_queue(engine)
    job = queue.submit_parts(three())
    engine.hold.wait_reached()
    assert queue.interrupt(job.id)
    ended = wait_ended(queue, job)
    assert ended.state is JobState.INTERRUPTED
    assert made(ended) == [(0, 1), (1, 10)]
    engine.hold.release()
    engine.runs.clear()
    queue.retry(job.id)
    again = wait_ended(queue, job)
    assert again.state is JobState.FINISHED
    assert made(again) == [(0, 1), (1, 10), (2, 11), (3, 20)]
    assert [(request.prompt, done) for request, done in engine.runs] == [("second", {0}), ("third", frozenset())]


def test_skipping_gives_up_the_batch_of_the_part_that_runs(make_queue: QueueMaker) -> None:
    engine = HeldAtPrompt("second", first_image=1)
    queue = make_queue(engine)
    job = queue.submit_parts(three())
    engine.hold.wait_reached()
    queue.skip(job.id)
    ended = wait_ended(queue, job)
    assert ended.state is JobState.FINISHED
    assert ended.skipped == (2,)
    assert made(ended) == [(0, 1), (1, 10), (3, 20)]


def test_stopping_after_the_current_batch_begins_no_further_part(make_queue: QueueMaker) -> None:
    engine = HeldAtPrompt("first")
    queue = make_queue(engine)
    job = queue.submit_parts(three())
    engine.hold.wait_reached()
    queue.stop_after_current(job.id)
    engine.hold.release()
    ended = wait_ended(queue, job)
    assert ended.state is JobState.INTERRUPTED
    assert made(ended) == [(0, 1)]
    assert len(engine.runs) == 1


def test_a_server_that_stops_between_parts_goes_on_with_the_next(make_queue: QueueMaker) -> None:
    engine = HeldAtPrompt("third")
    queue = make_queue(engine)
    job = queue.submit_parts(three())
    engine.hold.wait_reached()
    queue.close()
    later = FakeEngine()
    reopened = make_queue(later)
    assert made(wait_ended(reopened, job)) == [(0, 1), (1, 10), (2, 11), (3, 20)]
    assert [request.prompt for request, _ in later.runs] == ["third"]


def test_a_finished_job_made_again_has_the_same_parts(make_queue: QueueMaker) -> None:
    queue = make_queue()
    job = wait_ended(queue, queue.submit_parts(three(), "ann", Purpose.UNSAVED))
    again = queue.retry(job.id)
    assert again.id != job.id
    assert (again.parts, again.owner, again.purpose) == (job.parts, "ann", Purpose.UNSAVED)


def reopened(tmp_path: Path, look: Callable[[JobStore], object]) -> object:
    store = JobStore(tmp_path / "jobs.sqlite", tmp_path)
    found = look(store)
    store.close()
    return found


def test_parts_are_the_same_after_reopening(tmp_path: Path) -> None:
    several = [
        Part(small(prompt="größer", seed=2**63 - 1, unwritten=("s_churn",)), Place("/there", "a"), "a.png"),
        Part(small(prompt="", cfg_scale=1.5, checkpoint="other"), name="b.png"),
        Part(small(extras={"soft": {"bias": 1.5}})),
    ]
    for parts in (several, several[:1], several[2:], [Part(small())]):
        added = reopened(tmp_path, lambda store, parts=parts: store.add(parts, "ann"))  # type: ignore[misc]
        assert isinstance(added, Job)
        assert added.parts == tuple(parts)
        assert reopened(tmp_path, lambda store, job_id=added.id: store.get(job_id)) == added  # type: ignore[misc]


def test_of_more_jobs_than_are_remembered_the_oldest_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_module, "REMEMBERED_PARTS", 4)
    store = JobStore(tmp_path / "jobs.sqlite", tmp_path)
    jobs = [store.add(three()) for _ in range(3)]
    assert store.waiting() == jobs
    assert len(store._read_parts._known) == 1
    assert [store.get(job.id) for job in jobs] == jobs
    store.close()


def test_a_job_that_an_older_easel_queued_has_one_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "jobs.sqlite"
    old = sqlite3.connect(path, isolation_level=None)
    with monkeypatch.context() as patch:
        patch.setattr("modules.jobs.migrations.MIGRATIONS", MIGRATIONS[:2])
        migrate(old, str(path))
    request = small(prompt="from before")
    columns = "id, state, position, request, created"
    old.execute(f"INSERT INTO jobs ({columns}) VALUES ('a', 'waiting', 1, ?, 5.0)", (request.model_dump_json(),))
    old.close()
    store = JobStore(path, tmp_path)
    assert store.get("a").parts == (Part(request),)
    store.close()


def test_each_picture_is_told_with_the_variation_seed_of_its_part(make_queue: QueueMaker) -> None:
    queue = make_queue()
    varied = {"subseed": 90, "subseed_strength": 0.5}
    parts = [Part(small(seed=1, batch_count=2, **varied)), Part(small(seed=2)), Part(small(seed=3, **varied))]
    job = wait_ended(queue, queue.submit_parts(parts))
    images = queue.job_message(job)["images"]
    assert [(image["seed"], image["subseed"]) for image in images] == [(1, 90), (1, 91), (2, 2), (3, 90)]


def test_the_part_of_a_picture_is_found_by_its_index(make_queue: QueueMaker) -> None:
    job = make_queue(start=False).submit_parts(three())
    found = [(part.request.prompt, place) for part, place in map(job.part_of, range(4))]
    assert found == [("first", 0), ("second", 0), ("second", 1), ("third", 0)]
    assert job.part_of(5) == (job.parts[-1], 2), "a further one: the last part"
    with pytest.raises(IndexError, match="no picture -1"):
        job.part_of(-1)


def test_the_queue_shows_a_job_of_many_parts_as_one(make_queue: QueueMaker) -> None:
    queue: JobQueue = make_queue()
    job = queue.submit_parts([Part(small(seed=seed)) for seed in range(50)])
    wait_until(lambda: queue.get(job.id).state is JobState.FINISHED)
    assert [each.id for each in queue.ended(10)] == [job.id]
    assert [image.index for image in queue.get(job.id).images] == list(range(50))
