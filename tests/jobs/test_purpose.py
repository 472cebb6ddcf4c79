"""Jobs whose pictures are not for keeping leave nothing behind, and no page takes them for its own."""

from pathlib import Path

from modules.core.events import Remark
from modules.core.ports import CancelToken, RunSink
from modules.core.request import GenerationRequest
from modules.core.result import GenerationResult
from modules.jobs.model import JobState, Purpose
from modules.jobs.ports import JobRules
from tests.fakes import FakeEngine, HoldAt
from tests.jobs.conftest import QueueMaker, small, wait_ended


class Talking(FakeEngine):
    """Says something of each run."""

    def generate(
        self, request: GenerationRequest, sink: RunSink, cancel: CancelToken, done: frozenset[int] = frozenset()
    ) -> GenerationResult:
        sink.publish(Remark("The prompt's <lora:gone> was left out."))
        return super().generate(request, sink, cancel, done)


def pictures(outputs: Path) -> list[str]:
    return sorted(path.relative_to(outputs).parts[0] for path in outputs.rglob("*.png"))


def test_a_kept_picture_stays_when_its_job_is_removed(make_queue: QueueMaker, outputs: Path) -> None:
    queue = make_queue()
    job = wait_ended(queue, queue.submit(small()))
    queue.remove(job.id)
    assert pictures(outputs) == ["txt2img-images"]


def test_an_unsaved_picture_goes_with_its_job(make_queue: QueueMaker, outputs: Path) -> None:
    queue = make_queue()
    job = wait_ended(queue, queue.submit(small(batch_count=2), purpose=Purpose.UNSAVED))
    assert pictures(outputs) == ["unsaved", "unsaved"]
    queue.remove(job.id)
    assert pictures(outputs) == []


def test_an_unsaved_picture_goes_when_its_job_is_forgotten(make_queue: QueueMaker, outputs: Path) -> None:
    queue = make_queue(rules=JobRules(keep_ended=1))
    wait_ended(queue, queue.submit(small(), purpose=Purpose.UNSAVED))
    wait_ended(queue, queue.submit(small()))
    wait_ended(queue, queue.submit(small()))
    assert "unsaved" not in pictures(outputs)


def test_a_page_is_not_shown_a_job_that_somebody_else_waits_for(make_queue: QueueMaker) -> None:
    queue = make_queue()
    own = wait_ended(queue, queue.submit(small()))
    handed = wait_ended(queue, queue.submit(small(), purpose=Purpose.HANDOVER))
    latest = queue.latest()
    assert latest is not None
    assert latest.id == own.id
    assert queue.job_message(handed)["purpose"] == "handover"


def test_after_a_crash_jobs_that_nobody_waits_for_any_more_are_gone(make_queue: QueueMaker, outputs: Path) -> None:
    hold = HoldAt(first_image=1)
    queue = make_queue(FakeEngine(gate=hold))
    queue.submit(small(batch_count=2), purpose=Purpose.HANDOVER)
    waiting = queue.submit(small())
    hold.wait_reached()
    # The server is stopped in the middle, and so the job would wait to go on.
    hold.release()
    queue.close()
    again = make_queue(start=False)
    assert [job.purpose for job in (*again.waiting(), *again.ended(10))].count(Purpose.HANDOVER) == 0
    assert waiting.id in [job.id for job in (*again.waiting(), *again.ended(10))]
    assert "unsaved" not in pictures(outputs)


def test_a_finished_job_made_again_has_the_same_purpose(make_queue: QueueMaker) -> None:
    queue = make_queue()
    job = wait_ended(queue, queue.submit(small(), purpose=Purpose.UNSAVED))
    assert queue.retry(job.id).purpose is Purpose.UNSAVED


def test_what_the_engine_remarks_is_told_to_the_pages(make_queue: QueueMaker) -> None:
    queue = make_queue(Talking(), start=False)
    told: list[dict[str, object]] = []
    queue.subscribe(told.append)
    queue.start()
    job = wait_ended(queue, queue.submit(small()))
    assert job.state is JobState.FINISHED
    remarks = [message for message in told if message["type"] == "remark"]
    assert remarks == [{"type": "remark", "job": job.id, "text": "The prompt's <lora:gone> was left out."}]
