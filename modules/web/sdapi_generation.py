"""A1111's txt2img and img2img: a body becomes a job, and its pictures the answer."""

from __future__ import annotations

import difflib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from modules.core.errors import FieldProblem, InvalidRequest, JobNotFound
from modules.core.parameter import RANDOM_SEED
from modules.core.parameters import PARAMETERS
from modules.core.request import LARGEST_RANDOM_SEED, GenerationRequest
from modules.imaging.parsing import parse_infotext
from modules.jobs.model import JobState, Part, Purpose
from modules.web.checkpoints import SETTING, CheckpointChooser
from modules.web.handover import discard, ended_before_gone
from modules.web.panels import RESTORES_FACES
from modules.web.pasting import Paster
from modules.web.requests import styled_prompts
from modules.web.schemas import ApiBody, BodyKind, read_body, told_back
from modules.web.sdapi_answer import generation_answer
from modules.web.sdapi_http import ApiError, answer_json, read_object
from modules.web.sdapi_options import list_problems, read_options
from modules.web.sdapi_pictures import with_pictures
from modules.web.sdapi_scripts import Offers, read_extras, with_options
from modules.web.sdapi_tasks import Tasks
from modules.web.services import WebServices
from modules.web.submitting import Submission, expand_parts

NOBODY_WAITS = 499
"""The status, by nginx's convention, of an answer that nobody will read."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a body asks for, checked: the requests, whether the pictures stay, and what the answer tells back.

    There is more than one request where several pictures are worked over. `made`: the job that becomes of them.
    """

    requests: list[GenerationRequest]
    made: Submission
    body: ApiBody
    parameters: dict[str, Any]
    purpose: Purpose

    @property
    def styles(self) -> list[str]:
        """The names of the styles that the body chose."""
        return list(self.body.rest["styles"] or ())

    @property
    def batch_size(self) -> int:
        """How many pictures A1111 would make at once."""
        several = len(self.body.rest.get("init_images") or ())
        return several if several > 1 else self.requests[0].batch_size


class BodyMaker:
    """Takes bodies of one kind, one job for each."""

    def __init__(self, kind: BodyKind, services: WebServices, chooser: CheckpointChooser, tasks: Tasks) -> None:
        self.kind = kind
        self._services = services
        self._offers = Offers(services.plugins, services.panels)
        self._chooser = chooser
        self._tasks = tasks

    async def answer(self, request: Request) -> Response:
        """Make the pictures that the body of `request` asks for, and wait for them.

        A job whose pictures were only for this answer is removed then, whatever became of it; when the client leaves
        before, it is stopped. Raises InvalidRequest, and ApiError for a job that failed.
        """
        body = await read_object(request)
        order = await run_in_threadpool(self.prepare, body)
        owner = request.scope.get("user_name")
        job = await run_in_threadpool(self._submit, order, owner)
        try:
            if not await ended_before_gone(self._services.jobs, job, request):
                return Response(status_code=NOBODY_WAITS)
            return await run_in_threadpool(self._answer, job, order)
        finally:
            if order.purpose is Purpose.HANDOVER:
                await discard(self._services.jobs, job)

    def prepare(self, body: Mapping[str, Any]) -> Order:
        """Check everything about a body before anything is changed. Raises InvalidRequest and ApiError."""
        options = self._services.settings.all()
        known = self._services.settings.options()
        read = read_body(self.kind, body, options, self._pasted(body), known)
        restorers = self._services.panels.face_restorers()
        _refuse_unbuilt(read.rest, bool(restorers))
        overrides = read_options(read.rest["override_settings"] or {}, known)
        problems = list_problems(overrides.values, self._services.lists)
        if problems:
            raise InvalidRequest(problems)
        current = self._chooser.current()
        values: dict[str, object] = {"checkpoint": current.title if current else "", **read.values}
        self._check_sampler(values.get("sampler"))
        values.update(self._styled(values, read.rest["styles"] or ()))
        pairs = parse_infotext(read.rest["infotext"] or "").pairs
        extras = read_extras(self.kind.name, read.rest, self._offers, pairs)
        restores = {} if not restorers or body.get("restore_faces") is None else {
            RESTORES_FACES: read.rest["restore_faces"]
        }
        values["extras"] = with_options(extras, {**read.foreign, **restores})
        request = _with_subseed(GenerationRequest.checked(values, self._services.lists))
        requests = with_pictures(request, read.rest, self._services.inputs)
        purpose = Purpose.KEEP if read.rest["save_images"] else Purpose.HANDOVER
        made = expand_parts([Part(each) for each in requests], self._services)
        return Order(requests, made, read, told_back(self.kind, body), purpose)

    def _submit(self, order: Order, owner: str | None) -> str:
        changes = dict(order.body.changes)
        checkpoint = changes.pop(SETTING, None)
        self._services.settings.update(changes)
        if checkpoint:
            self._chooser.choose(str(checkpoint))
        job = self._services.jobs.submit_parts(order.made.parts, owner, order.purpose, order.made.origins)
        self._tasks.remember(order.body.rest["force_task_id"], job.id)
        return job.id

    def _answer(self, job_id: str, order: Order) -> Response:
        try:
            job = self._services.jobs.get(job_id)
        except JobNotFound as error:
            raise ApiError(409, "JobRemoved", "The job was removed from the queue before it was done.") from error
        if job.state is JobState.FAILED:
            raise ApiError(500, "GenerationFailed", job.error or "The pictures could not be made.")
        if job.state is JobState.CANCELLED:
            raise ApiError(409, "JobCancelled", "The job was taken out of the queue before it began.")
        try:
            answer = generation_answer(job, order.parameters, order.styles, order.batch_size)
        except OSError as error:
            raise ApiError(500, "PictureGone", f"A finished picture cannot be read: {error.strerror}.") from error
        return answer_json(answer, order.body.ignored)

    def _pasted(self, body: Mapping[str, Any]) -> dict[str, object]:
        """Return the parameters that the body's infotext gives; options that it does not name had their defaults."""
        text = body.get("infotext")
        if not isinstance(text, str) or not text.strip():
            return {}
        infotext = parse_infotext(text)
        values: dict[str, object] = dict(Paster(self._services).values(infotext)[0])
        if self._services.settings.get("disable_weights_auto_swap"):
            values.pop("checkpoint", None)
        if not infotext.pairs:
            return values
        named = (parameter for parameter in PARAMETERS.values() if parameter.option and parameter.infotext)
        return {parameter.name: parameter.default for parameter in named} | values

    def _styled(self, values: Mapping[str, object], names: Any) -> dict[str, object]:
        if any(not isinstance(name, str) for name in names):
            raise InvalidRequest([FieldProblem("styles", "styles", "a list", "a list of names or null")])
        return styled_prompts(self._services.styles, values, names)

    def _check_sampler(self, name: object) -> None:
        if isinstance(name, str) and not self._services.lists.accepts("samplers", name):
            names = list(self._services.lists.names("samplers"))
            near = difflib.get_close_matches(name, names)
            meant = f" Near it are {', '.join(near)}." if near else ""
            raise ApiError(400, "HTTPException", f"Sampler not found: {name!r}.{meant} There are {', '.join(names)}.")


def _refuse_unbuilt(rest: Mapping[str, Any], restores_faces: bool) -> None:
    """Refuse what would change the pictures and does not exist here. Raises InvalidRequest."""
    problems = []
    if rest["restore_faces"] and not restores_faces:
        allowed = "false: only extensions can restore faces, and none is here that does"
        problems.append(FieldProblem("restore_faces", "restore_faces", "true", allowed))
    for name in ("firstphase_width", "firstphase_height"):
        if rest.get(name):
            allowed = "0: width and height are the first pass's size, hr_resize_x and hr_resize_y the second's"
            problems.append(FieldProblem(name, name, str(rest[name]), allowed))
    if problems:
        raise InvalidRequest(problems)


def _with_subseed(request: GenerationRequest) -> GenerationRequest:
    """Return the request with a fixed variation seed even where it does nothing, since the answer tells it."""
    if request.subseed != RANDOM_SEED:
        return request
    return request.model_copy(update={"subseed": random.SystemRandom().randrange(LARGEST_RANDOM_SEED)})
