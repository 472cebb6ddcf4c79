"""What became of each extension."""

import threading

import pytest

from modules.core.errors import GenerationStopped, PluginFailed
from modules.plugins.reports import MOST_FAILURES, PARTS, Part, Reports


def test_an_error_in_a_guarded_block_is_noted_with_its_trace_and_goes_no_further() -> None:
    reports = Reports(lambda: 7.0)
    with reports.guard("a", "import", "one.py"):
        raise ValueError("not   that\nway")
    (failure,) = reports.of("a").failures
    assert (failure.part, failure.where, failure.when) == ("import", "one.py", 7.0)
    assert failure.reason == "ValueError: not that way"
    assert 'raise ValueError("not   that' in failure.trace
    assert reports.of("a").failed("import")
    assert not reports.of("a").failed("page")


@pytest.mark.parametrize("error", [SystemExit(1), PluginFailed("no")])
def test_whoever_wants_to_end_the_server_while_it_is_imported_only_fails(error: BaseException) -> None:
    reports = Reports()
    with reports.guard("a", "import"):
        raise error
    assert reports.of("a").failed("import")


@pytest.mark.parametrize("part", ["hook", "start"])
def test_what_easel_raises_on_purpose_goes_through_hooks(part: Part) -> None:
    reports = Reports()
    with pytest.raises(GenerationStopped), reports.guard("a", part):
        raise GenerationStopped
    assert reports.of("a").failures == ()


def test_control_c_goes_through() -> None:
    with pytest.raises(KeyboardInterrupt), Reports().guard("a", "import"):
        raise KeyboardInterrupt


def test_the_same_failure_is_counted_and_too_many_drop_the_oldest() -> None:
    reports = Reports()
    for _ in range(3):
        reports.fail("a", "hook", "again", "process")
    assert [failure.count for failure in reports.of("a").failures] == [3]
    for number in range(MOST_FAILURES + 5):
        reports.fail("a", "hook", f"number {number}")
    assert len(reports.of("a").failures) == MOST_FAILURES
    assert reports.of("a").failures[-1].reason == f"number {MOST_FAILURES + 4}"


def test_seconds_shims_names_and_hooks_add_up() -> None:
    reports = Reports()
    reports.took("a", "import", 0.5)
    reports.took("a", "page", 0.25)
    reports.took("a", "import", 0.5)
    reports.shim("a", "S3", 2)
    reports.shim("a", "S3")
    for name in ("x", "y", "x"):
        reports.lacks("a", name)
        reports.uses("a", name)
        reports.note("a", name)
    reports.loaded("a")
    message = reports.of("a").message()
    assert message["load_seconds"] == 1.25
    assert message["seconds"] == {"import": 1.0, "page": 0.25}
    assert message["shims"] == {"S3": 3}
    assert message["missing"] == message["hooks"] == message["notes"] == ["x", "y"]
    assert message["loaded"]
    assert set(message["seconds"]) <= set(PARTS)


def test_a_forgotten_extension_begins_anew() -> None:
    reports = Reports()
    reports.fail("a", "page", "no")
    reports.forget("a")
    assert reports.of("a").failures == ()
    assert reports.all() == {}


def test_many_threads_may_report_at_once() -> None:
    reports = Reports()

    def report() -> None:
        for _ in range(200):
            reports.shim("a", "S1")

    threads = [threading.Thread(target=report) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reports.of("a").shims["S1"] == 800
