"""What subscribers are told, word for word: the page's JavaScript relies on it."""

import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from modules.jobs.model import Purpose
from modules.jobs.ports import JobRules
from modules.jobs.queue import JobQueue
from tests.fakes import FakeEngine, HoldAt, infotext, wait_until
from tests.jobs.conftest import QueueMaker, small, wait_ended

Messages = list[dict[str, Any]]


def listen(queue: JobQueue) -> Messages:
    messages: Messages = []
    queue.subscribe(messages.append)
    return messages


def of_type(messages: Messages, kind: str) -> Messages:
    return [message for message in messages if message["type"] == kind]


def test_a_run_is_told_from_waiting_to_finished(make_queue: QueueMaker) -> None:
    queue = make_queue(start=False)
    messages = listen(queue)
    job = queue.submit(small(batch_count=2))
    queue.start()
    wait_ended(queue, job)
    queue.close()
    told = of_type(messages, "job")
    assert [(message["job"]["state"], len(message["job"]["images"])) for message in told] == [
        ("waiting", 0), ("running", 0), ("running", 1), ("running", 2), ("finished", 2),
    ]  # fmt: skip
    assert [message["running"] for message in of_type(messages, "queue")] == [None, job.id, None]
    assert [message["waiting"] for message in of_type(messages, "queue")] == [[job.id], [], []]
    assert json.loads(json.dumps(messages)) == messages


def test_a_job_message_has_what_the_page_shows(make_queue: QueueMaker) -> None:
    queue = make_queue()
    job = wait_ended(queue, queue.submit(small()))
    message = queue.job_message(job)
    day = job.images[0].path.parent.name
    assert message == {
        "id": job.id,
        "state": "finished",
        "created": job.created,
        "started": job.started,
        "finished": job.finished,
        "error": None,
        "request": job.request.model_dump(mode="json"),
        "images": [
            {
                "index": 0,
                "seed": 7,
                "subseed": 7,
                "url": f"/easel/image/txt2img-images/{day}/00000-7.png",
                "infotext": infotext(job.request, 0),
            }
        ],
        "image_count": 1,
        "made_count": 1,
        "part_count": 1,
        "purpose": "keep",
    }


def test_pictures_that_somebody_waits_for_are_counted_and_not_shown(make_queue: QueueMaker) -> None:
    queue = make_queue()
    messages = listen(queue)
    job = wait_ended(queue, queue.submit(small(batch_count=2), purpose=Purpose.HANDOVER))
    queue.close()
    told = [message["job"] for message in of_type(messages, "job")]
    assert len(job.images) == 2
    assert told[-1]["made_count"] == 2
    assert not [message for message in told if message["images"]]


def test_progress_tells_step_picture_and_stage(make_queue: QueueMaker) -> None:
    queue = make_queue(rules=JobRules(previews=False))
    messages = listen(queue)
    job = queue.submit(small(batch_count=2, batch_size=2))
    wait_ended(queue, job)
    told = of_type(messages, "progress")
    places = [(message["image"], message["step"], message["stage"]) for message in told if message["step"]]
    assert places == [(image, step, "saving" if step == 3 else "sampling") for image in (1, 3) for step in (1, 2, 3)]
    assert told[0]["stage"] == "loading model"
    assert told[-1]["fraction"] == 1.0
    assert {(message["job"], message["images"], message["batch_size"]) for message in told} == {(job.id, 4, 2)}
    assert queue.progress() is None


def test_a_page_that_connects_in_the_middle_gets_everything_at_once(make_queue: QueueMaker) -> None:
    gate = HoldAt(first_image=1, step=2)
    queue = make_queue(FakeEngine(gate))
    running, waiting = queue.submit(small(batch_count=2)), queue.submit(small(checkpoint="other"))
    gate.wait_reached()
    snapshot = queue.snapshot()
    assert snapshot["engine"] == {"state": "ready", "detail": ""}
    assert snapshot["model"]["title"] == "fake"
    assert snapshot["job"]["id"] == running.id
    assert len(snapshot["job"]["images"]) == 1
    assert (snapshot["progress"]["image"], snapshot["progress"]["step"]) == (2, 1)
    assert snapshot["queue"] == {
        "running": running.id,
        "paused": False,
        "reason": "",
        "waiting": [queue.job_message(waiting)],
    }
    assert json.loads(json.dumps(snapshot)) == snapshot
    gate.release()
    wait_ended(queue, waiting)
    assert queue.snapshot()["progress"] is None


def test_previews_are_jpegs_under_an_address_of_their_own(make_queue: QueueMaker) -> None:
    gate = HoldAt(step=3)
    queue = make_queue(FakeEngine(gate), JobRules(preview_period=0.0))
    messages = listen(queue)
    job = queue.submit(small())
    gate.wait_reached()
    wait_until(lambda: [message for message in of_type(messages, "progress") if message["preview"]])
    preview = queue.preview(job.id)
    assert preview is not None
    with Image.open(io.BytesIO(preview)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (16, 16))
    address = of_type(messages, "progress")[-1]["preview"]
    assert address.startswith(f"/easel/preview/{job.id}/")
    assert queue.preview("another") is None
    gate.release()
    wait_ended(queue, job)


def test_no_previews_are_made_when_nobody_watches_or_they_are_switched_off(make_queue: QueueMaker) -> None:
    queue = make_queue(rules=JobRules(preview_period=0.0))
    unwatched = wait_ended(queue, queue.submit(small()))
    queue.close()
    assert queue.preview(unwatched.id) is None

    queue = make_queue(rules=JobRules(previews=False))
    messages = listen(queue)
    switched_off = wait_ended(queue, queue.submit(small()))
    queue.close()
    assert queue.preview(switched_off.id) is None
    assert {message["preview"] for message in of_type(messages, "progress")} == {None}


def test_somebody_who_fetched_a_preview_lately_counts_as_watching(make_queue: QueueMaker) -> None:
    gate = HoldAt(step=2)
    queue = make_queue(FakeEngine(gate), JobRules(preview_period=0.0), start=False)
    job = queue.submit(small())
    assert queue.preview(job.id) is None
    queue.start()
    gate.wait_reached()
    wait_until(lambda: queue.preview(job.id))
    gate.release()
    wait_ended(queue, job)


def test_a_listener_whose_page_is_gone_is_dropped_and_the_others_still_hear(make_queue: QueueMaker) -> None:
    queue = make_queue()

    def gone(_: dict[str, Any]) -> None:
        raise RuntimeError("Event loop is closed")

    queue.subscribe(gone)
    messages = listen(queue)
    unsubscribed: Messages = []
    queue.subscribe(unsubscribed.append)()
    job = wait_ended(queue, queue.submit(small()))
    queue.close()
    assert of_type(messages, "job")[-1]["job"]["id"] == job.id
    assert unsubscribed == []
    assert gone not in queue._board._listeners


def test_addresses_of_pictures_are_quoted(make_queue: QueueMaker, outputs: Path) -> None:
    queue = make_queue()
    job = wait_ended(queue, queue.submit(small()))
    day = job.images[0].path.parent
    odd = day.rename(day.with_name("a b#ü"))
    queue.close()
    queue = make_queue(start=False)
    queue._store._connection.execute("UPDATE images SET path = ?", (f"txt2img-images/{odd.name}/00000-7.png",))
    message = queue.job_message(queue.get(job.id))
    assert message["images"][0]["url"] == "/easel/image/txt2img-images/a%20b%23%C3%BC/00000-7.png"
    assert (outputs / "txt2img-images" / odd.name / "00000-7.png") == queue.get(job.id).images[0].path
