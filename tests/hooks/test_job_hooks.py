"""Plugins that make several requests of one, and what they add when these are done."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from modules.core.errors import FieldProblem, InvalidRequest, PluginFailed
from modules.core.extras import PluginValues, without_plugin
from modules.core.request import ChoiceLists, GenerationRequest
from modules.hooks.job_hooks import AddedPicture, Expander, FinishedJob, JobFinisher
from modules.hooks.plugins import SCRIPT_KEY, PluginList
from modules.hooks.registry import HookRegistry
from tests.hooks.plugins import SCRIPT, Plugin
from tests.lists import NoLists

LISTS = NoLists()


class Twice(Plugin):
    """Makes two requests of one, unless it is told otherwise."""

    def __init__(self, error: Exception | None = None, draws: Exception | None = None) -> None:
        super().__init__(description=SCRIPT)
        self.error = error
        self.draws = draws

    def expand(
        self, request: GenerationRequest, values: PluginValues, lists: ChoiceLists
    ) -> Sequence[GenerationRequest] | None:
        if self.error is not None:
            raise self.error
        if values["times"] == 1:
            return None
        plain = request.model_copy(update={"extras": without_plugin(request.extras, SCRIPT.name)})
        return [plain] * int(values["times"])

    def after_job(self, job: FinishedJob) -> None:
        if self.error is not None:
            raise self.error

        def draw() -> Image.Image:
            if self.draws is not None:
                raise self.draws
            return Image.new("RGB", (1, 1))

        job.added.append(AddedPicture("twice", 1, SCRIPT_KEY, draw))


def asked(**values: int) -> GenerationRequest:
    return GenerationRequest.checked({"extras": {SCRIPT.name: values}})


def finished() -> FinishedJob:
    return FinishedJob(asked(), asked().extras[SCRIPT.name], ())


def test_a_plugin_is_asked_only_for_requests_that_name_it_and_may_leave_them_as_they_are() -> None:
    plugins = HookRegistry([Twice()]).plugins
    assert plugins.expand(GenerationRequest(), LISTS) is None
    assert plugins.expand(asked(times=1), LISTS) is None
    expansion = plugins.expand(asked(), LISTS)
    assert expansion is not None
    assert (expansion.plugin, expansion.title) == (SCRIPT.name, SCRIPT.title)
    assert expansion.requests == (GenerationRequest(), GenerationRequest())


def test_a_list_of_plugins_without_a_registry_expands_nothing() -> None:
    assert PluginList(lambda: (SCRIPT,)).expand(asked(), LISTS) is None


def test_a_plugin_can_refuse_a_value_and_one_that_fails_refuses_the_job() -> None:
    wrong = InvalidRequest([FieldProblem("echo.times", "Times", "13", "less")])
    with pytest.raises(InvalidRequest, match="Times: 13"):
        HookRegistry([Twice(wrong)]).expand(asked(), LISTS)
    with pytest.raises(PluginFailed, match="Echo, twice failed: KeyError: 'x'"):
        HookRegistry([Twice(KeyError("x"))]).expand(asked(), LISTS)


def test_what_a_plugin_adds_is_handed_on_and_every_failure_is_named() -> None:
    job = finished()
    HookRegistry([Twice()]).after_job(SCRIPT.name, job)
    assert job.added[0].draw().size == (1, 1)
    with pytest.raises(PluginFailed, match="Echo, twice failed: OSError: gone"):
        HookRegistry([Twice(OSError("gone"))]).after_job(SCRIPT.name, finished())
    HookRegistry([Twice(draws=MemoryError())]).after_job(SCRIPT.name, job := finished())
    with pytest.raises(PluginFailed, match="there is too little memory"):
        job.added[0].draw()
    with pytest.raises(PluginFailed, match="There is no plugin echo here any more"):
        HookRegistry().after_job(SCRIPT.name, finished())


@pytest.mark.parametrize(("protocol", "name"), [(Expander, "expand"), (JobFinisher, "after_job")])
def test_the_page_about_hooks_has_the_exact_signatures(protocol: type, name: str, repo_root: Path) -> None:
    signature = inspect.signature(getattr(protocol, name))
    given = [parameter for parameter in signature.parameters.values() if parameter.name != "self"]
    told = str(signature.replace(parameters=given)).replace("'", "")
    text = (repo_root / "docs" / "hooks.md").read_text(encoding="utf-8")
    assert re.search(rf"^`{re.escape(name + told)}`$", text, flags=re.MULTILINE)
