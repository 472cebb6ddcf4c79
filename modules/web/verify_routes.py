"""The routes of Verify: make a picture again from its infotext and see whether the same comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from modules.core.errors import FieldProblem, InvalidRequest
from modules.web.checkpoints import CheckpointChooser
from modules.web.job_pictures import LONGEST_NAME, JobPicture, find_picture_of_job, read_picture
from modules.web.pictures import MEDIA_TYPES
from modules.web.services import WebServices
from modules.web.verify import Claim, read_claim
from modules.web.verify_facts import Fact
from modules.web.verify_runs import Verifications


class PictureChoice(BaseModel):
    """Which picture: one of a job by its index, or one that was handed in by its hash."""

    job: Annotated[str, Field(max_length=LONGEST_NAME)] | None = None
    index: Annotated[int, Field(ge=0, le=2**31)] | None = None
    digest: Annotated[str, Field(max_length=LONGEST_NAME)] | None = None


def make_verify_router(services: WebServices, chooser: CheckpointChooser) -> APIRouter:
    """Return the routes under /easel/verify."""
    router = APIRouter(prefix="/easel/verify")
    runs = Verifications(services.jobs)

    @router.post("")
    async def verify(choice: PictureChoice, request: Request) -> dict[str, str]:
        """Put the making of a picture into the queue once more."""
        claim = await run_in_threadpool(claim_of, choice, services, chooser)
        return {"job": await runs.start(claim, request.scope.get("user_name"))}

    @router.get("/{job}")
    def report(job: str) -> dict[str, Any]:
        """Tell how a verification stands or what came out."""
        return runs.report(job)

    @router.get("/{job}/{which}")
    def picture(job: str, which: Literal["original", "made", "difference"]) -> Response:
        """Serve one of the pictures of a verification."""
        content, file_format = runs.picture(job, which)
        media_type = MEDIA_TYPES.get(f".{file_format.lower()}", "application/octet-stream")
        return Response(content, media_type=media_type, headers={"cache-control": "no-store"})

    return router


def claim_of(choice: PictureChoice, services: WebServices, chooser: CheckpointChooser) -> Claim:
    """Return what the chosen picture claims. Raises InvalidRequest, and JobNotFound for one that is gone."""
    if choice.digest is not None:
        return read_claim(services.inputs.content(choice.digest), services, chooser)
    if choice.job is None or choice.index is None:
        allowed = "a job with an index, or the hash of a picture that was handed in"
        raise InvalidRequest([FieldProblem("job", "Picture", "no choice", allowed)])
    job, image = find_picture_of_job(services.jobs, JobPicture(job=choice.job, index=choice.index))
    then = job.part_of(image.index)[0].request
    claim = read_claim(read_picture(image), services, chooser, (then, image.infotext))
    facts: Mapping[str, Fact] = {
        name: Fact(name, str(getattr(then, name)), "not in the infotext", False) for name in then.unwritten
    }
    if then.init_image:
        facts = {**facts, "init_image": Fact("Image", "the picture that was handed in", "the same picture", True)}
    if not (then.enable_hr and then.firstpass_image):
        return replace(claim, found=tuple(facts.values()))
    # The first pass was a finished picture, which is kept and taken again; the infotext alone could not tell.
    request = claim.request.model_copy(update={"firstpass_image": then.firstpass_image})
    first = Fact("First pass", "a finished picture", "the same picture", True)
    return replace(claim, request=request, found=(*facts.values(), first))
