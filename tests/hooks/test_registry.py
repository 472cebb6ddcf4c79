"""Who is called, in which order, and what happens when somebody fails."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from modules.core.errors import GenerationStopped, InvalidRequest, PluginFailed
from modules.core.request import GenerationRequest
from modules.core.result import GenerationResult
from modules.hooks.plugins import PluginDescription
from modules.hooks.registry import HookRegistry
from modules.hooks.spec import HOOKS, Generation, Picture, RunListener
from tests.engine.conftest import Watcher
from tests.hooks.plugins import SCRIPT, SECTION, Plugin

REQUEST = GenerationRequest(seed=1)
RESULT = GenerationResult((0,))


def picture() -> Picture:
    return Picture(0, 1, None, "text")  # type: ignore[arg-type]


def generation(request: GenerationRequest = REQUEST) -> Generation:
    watcher = Watcher()
    return Generation(request, watcher, watcher, {}.__getitem__, lambda generation: RESULT)


def broken(*_: Any) -> Any:
    raise KeyError("missing")


def named(name: str, told: list[str], **wishes: Any) -> Plugin:
    description = PluginDescription(name, name.title(), **wishes)
    return Plugin(description=description, on_picture=lambda picture: told.append(name))


def order(registry: HookRegistry, told: list[str]) -> list[str]:
    told.clear()
    registry.listen(REQUEST, print).on_picture(picture())
    return told


def test_every_hook_is_a_moment_of_a_run() -> None:
    assert set(HOOKS) == {name for name in vars(RunListener) if not name.startswith("_")}
    hooks = HookRegistry([Plugin()]).listen(REQUEST, print)
    assert all(hasattr(hooks, name) for name in HOOKS)


def test_a_moment_is_false_when_nobody_takes_part() -> None:
    hooks = HookRegistry([Plugin(on_picture=lambda picture: None)]).listen(REQUEST, print)
    assert hooks.on_picture
    assert not hooks.before_model


def test_edits_follow_one_another() -> None:
    def append(text: str) -> Any:
        return lambda picture: setattr(picture, "infotext", picture.infotext + text)

    shown = picture()
    plugins = [Plugin("a", on_picture=append("1")), Plugin("b", on_picture=append("2"))]
    HookRegistry(plugins).listen(REQUEST, print).on_picture(shown)
    assert shown.infotext == "text12"


def test_plugins_are_called_in_the_order_in_which_they_came_but_for_their_wishes() -> None:
    told: list[str] = []
    registry = HookRegistry([named("a", told, after=("c",)), named("b", told), named("c", told, before=("b", "gone"))])
    assert order(registry, told) == ["c", "a", "b"]


def test_users_arrange_plugins_as_far_as_their_wishes_allow() -> None:
    told: list[str] = []
    registry = HookRegistry([named("a", told), named("b", told), named("c", told, after=("b",))])
    registry.arrange(["c", "b"])
    assert order(registry, told) == ["b", "c", "a"]


def test_plugins_that_want_to_come_before_each_other_are_named_and_still_called(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []
    registry = HookRegistry([named("a", told, before=("b",)), named("b", told, before=("a",))])
    assert sorted(order(registry, told)) == ["a", "b"]
    assert "a, b want to come before each other" in caplog.text


def test_a_plugin_that_was_removed_is_not_called_and_may_come_again() -> None:
    told: list[str] = []
    registry = HookRegistry([named("a", told), named("b", told)])
    running = registry.listen(REQUEST, print)
    registry.remove("a")
    assert order(registry, told) == ["b"]
    assert [plugin.name for plugin in registry.plugins] == ["b"]
    running.on_picture(picture())
    assert told == ["b", "a", "b"], "a run keeps those that it began with"
    registry.add(named("a", told))
    assert order(registry, told) == ["b", "a"]


def test_two_plugins_of_one_id_are_both_named() -> None:
    one, two = (Plugin(description=PluginDescription("x", title)) for title in ("One", "Two"))
    with pytest.raises(PluginFailed, match="Two cannot be added: One has the same id x"):
        HookRegistry([one, two])


def test_a_plugin_takes_part_only_when_the_request_asks_for_it() -> None:
    section, always = Plugin(description=SECTION, on_picture=lambda picture: None), Plugin()
    registry = HookRegistry([section, always])
    assert not registry.listen(REQUEST, print).on_picture
    asked = GenerationRequest.checked({"extras": {"glow": {"amount": 0.2}}})
    assert registry.listen(asked, print).on_picture
    assert section.runs[0].values == {"amount": 0.2, "mood": "warm"}, "what is missing has its default"
    assert len(always.runs) == 2


def test_wrong_values_of_a_plugin_end_the_run_with_the_field_named() -> None:
    with pytest.raises(InvalidRequest, match="Amount"):
        HookRegistry([Plugin(description=SECTION)]).listen(
            GenerationRequest.checked({"extras": {"glow": {"amount": 9}}}), print
        )


def test_a_plugin_that_does_not_exist_is_told_and_has_no_effect() -> None:
    told: list[str] = []
    HookRegistry().listen(GenerationRequest.checked({"extras": {"gone": {}}}), told.append)
    assert told == ["There is no plugin gone here; what was asked of it has no effect."]


def test_an_error_is_logged_with_its_trace_told_once_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    calls: list[int] = []
    plugins = [Plugin("bad", on_picture=broken), Plugin("good", on_picture=lambda picture: calls.append(1))]
    hooks = HookRegistry(plugins).listen(REQUEST, told.append)
    with caplog.at_level(logging.ERROR):
        hooks.on_picture(picture())
        hooks.on_picture(picture())
    assert calls == [1, 1]
    assert told == ["Bad failed and takes no further part in this run: KeyError: 'missing'."]
    assert caplog.text.count("The plugin bad failed in on_picture.") == 1
    assert "Traceback" in caplog.text


def test_what_easel_raises_on_purpose_comes_through() -> None:
    def stop(*_: object) -> None:
        raise GenerationStopped

    hooks = HookRegistry([Plugin(on_picture=stop)]).listen(REQUEST, print)
    with pytest.raises(GenerationStopped):
        hooks.on_picture(picture())


def test_in_strict_mode_errors_come_through() -> None:
    with pytest.raises(KeyError):
        HookRegistry([Plugin(on_picture=broken)], strict=True).listen(REQUEST, print).on_picture(picture())


def test_a_plugin_that_cannot_begin_a_run_is_left_out_of_it() -> None:
    plugin = Plugin("bad", on_picture=broken)
    plugin.listen = broken  # type: ignore[method-assign]
    told: list[str] = []
    assert not HookRegistry([plugin]).listen(REQUEST, told.append).on_picture
    assert "Bad failed" in told[0]


def test_a_method_that_looks_like_a_hook_and_is_none_is_named() -> None:
    told: list[str] = []
    sound = Plugin("sound", on_picture=lambda picture: None)
    run = HookRegistry([Plugin(on_pictures=broken), sound]).listen(REQUEST, told.append)
    assert run.on_picture, "the others go on"
    assert "Listener.on_pictures: there is no hook of that name" in told[0]
    with pytest.raises(PluginFailed, match="on_pictures: there is no hook of that name"):
        HookRegistry([Plugin(on_pictures=broken)], strict=True).listen(REQUEST, print)


def test_wrappers_stand_around_one_another_and_may_change_the_run() -> None:
    told: list[str] = []

    def wrapper(name: str) -> Any:
        def around(generation: Generation, call_next: Any) -> GenerationResult:
            told.append(f"{name} {generation.request.steps}")
            request = generation.request.model_copy(update={"steps": generation.request.steps + 1})
            result: GenerationResult = call_next(replace(generation, request=request))
            told.append(f"{name} done")
            return result

        return around

    plugins = [Plugin("a", around_generate=wrapper("a")), Plugin("b", around_generate=wrapper("b"))]
    steps: list[int] = []

    def make(generation: Generation) -> GenerationResult:
        steps.append(generation.request.steps)
        return RESULT

    assert HookRegistry(plugins).listen(REQUEST, print).around_generate(generation(), make) is RESULT
    assert told == ["a 20", "b 21", "b done", "a done"]
    assert steps == [22]


def test_a_wrapper_that_fails_before_the_run_is_left_out() -> None:
    told: list[str] = []
    hooks = HookRegistry([Plugin("bad", around_generate=broken)]).listen(REQUEST, told.append)
    assert hooks.around_generate(generation(), lambda generation: RESULT) is RESULT
    assert len(told) == 1


def test_a_wrapper_that_fails_after_the_run_does_not_make_the_pictures_again() -> None:
    runs: list[int] = []

    def make(generation: Generation) -> GenerationResult:
        runs.append(1)
        return RESULT

    def around(generation: Generation, call_next: Any) -> GenerationResult:
        call_next(generation)
        raise KeyError("late")

    hooks = HookRegistry([Plugin("bad", around_generate=around)]).listen(REQUEST, lambda text: None)
    assert hooks.around_generate(generation(), make) is RESULT
    assert runs == [1]


def test_an_error_of_the_run_itself_is_not_taken_for_the_wrappers() -> None:
    told: list[str] = []
    through = Plugin("good", around_generate=lambda generation, call_next: call_next(generation))
    hooks = HookRegistry([through]).listen(REQUEST, told.append)
    with pytest.raises(KeyError, match="missing"):
        hooks.around_generate(generation(), broken)
    assert told == []


def test_a_chosen_script_that_fails_ends_the_run_and_is_named() -> None:
    request = GenerationRequest.checked({"extras": {"echo": {}}})
    hooks = HookRegistry([Plugin(description=SCRIPT, around_generate=broken)]).listen(request, print)
    with pytest.raises(PluginFailed, match="The script Echo, twice failed: KeyError: 'missing'"):
        hooks.around_generate(generation(request), lambda generation: RESULT)
