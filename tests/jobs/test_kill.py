"""A server that is killed at any moment loses nothing: its pictures are those of a run that was left alone."""

import multiprocessing
import signal
import sys
from pathlib import Path

import pytest

from modules.jobs.model import JobState
from tests.jobs.killable_server import MOMENTS, open_fixed_queue, serve_until_killed, submit_all, work_off

LATER_MOMENTS = (
    ("between rename and saved", 4), ("between writing and rename", 6),
    # In the job of several parts: in its first part, between its parts, and within a batch of its second.
    ("between claim and writing", 7), ("after saved", 8), ("between rename and saved", 9),
    ("before the end is written", 3),
)  # fmt: skip

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is not a thing of Windows")


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    outputs = tmp_path_factory.mktemp("undisturbed")
    queue = open_fixed_queue(outputs)
    submit_all(queue)
    work_off(queue)
    return files_below(outputs / "txt2img-images")


@pytest.mark.parametrize(
    ("moment", "number"),
    [*((moment, 1) for moment in MOMENTS), *LATER_MOMENTS],
)
def test_a_killed_server_goes_on_byte_for_byte(
    moment: str, number: int, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    # A fork server has imported everything once; each server is still a process of its own.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.jobs.killable_server"])
    server = context.Process(target=serve_until_killed, args=(tmp_path, moment, number))
    server.start()
    server.join(60)
    assert server.exitcode == -signal.SIGKILL

    queue = open_fixed_queue(tmp_path)
    assert queue.running() is None
    work_off(queue)

    assert files_below(tmp_path / "txt2img-images") == undisturbed
    reopened = open_fixed_queue(tmp_path)
    ended = reopened.ended(10)
    reopened.close()
    assert [job.state for job in ended] == [JobState.FINISHED] * 3
    assert sorted(image.path.name for job in ended for image in job.images) == sorted(
        Path(name).name for name in undisturbed
    )


def test_the_undisturbed_run_is_what_it_should_be(undisturbed: dict[str, bytes]) -> None:
    assert sorted(Path(name).name for name in undisturbed) == [
        "00000-11.png",
        "00001-12.png",
        "00002-13.png",
        "00003-14.png",
        "00004-9223372036854775807.png",
        "00005-9223372036854775808.png",
        "pear-1.png",
        "pear.png",
        "plum-1.png",
        "plum.png",
    ]
