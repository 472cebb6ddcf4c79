"""The routes of the library: cards, details, notes and previews of the models on disk.

A model is named by its kind and by an id that only the library turns into a file, so that no address leads anywhere
else.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from modules.core.errors import InvalidRequest
from modules.library.cards import Model
from modules.library.model_kinds import CHECKPOINT
from modules.library.shelves import MOST_PER_PAGE, ModelLibrary, SortField
from modules.library.shelves import Query as Wanted
from modules.web.handover import read_body
from modules.web.job_pictures import JobPicture, find_picture_of_job, read_picture
from modules.web.library_cards import describe_model, describe_page
from modules.web.pictures import FOREVER
from modules.web.sdapi_http import PlainJson
from modules.web.services import WebServices

PREFIX = "/easel/library"
LONGEST_QUERY = 500
_IDENTITY_FIELDS = frozenset({"family", "prediction", "zero_snr"})

Short = Annotated[str, Query(max_length=LONGEST_QUERY)]


def make_library_router(services: WebServices) -> APIRouter:
    """Return the routes of the library."""
    router = APIRouter(prefix=PREFIX, default_response_class=PlainJson)
    _add_lists(router, services)
    _add_notes(router, services)
    _add_previews(router, services)
    return router


def find_model(library: ModelLibrary, kind: str, wanted: str) -> Model:
    """Return the model that the page names. Raises HTTPException when it is gone."""
    model = library.model(kind, wanted)
    if model is None:
        raise HTTPException(404, "This model is not there any more. Refresh the list.")
    return model


def _add_lists(router: APIRouter, services: WebServices) -> None:
    library = services.library

    def known(kind: str) -> str:
        if kind not in library.kinds:
            raise HTTPException(404, f"There are no models of the kind {kind!r}; there are {', '.join(library.kinds)}.")
        return kind

    @router.get("/{kind}")
    def list_models(
        kind: str,
        text: Short = "",
        folder: Short = "",
        sort: SortField = "path",
        descending: bool = False,
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_PER_PAGE)] = 100,
    ) -> dict[str, Any]:
        """Return a page of cards."""
        services.filler.hurry()
        wanted = Wanted(text, folder, sort, descending, offset, limit)
        return describe_page(library.page(known(kind), wanted), library, services)

    @router.post("/{kind}/refresh")
    def refresh(kind: str) -> dict[str, int]:
        """Look at the folders of a kind again."""
        library.refresh(known(kind))
        services.filler.again()
        return {"all": len(library.models(kind))}

    @router.get("/{kind}/models/{model}")
    def show_model(kind: str, model: str) -> dict[str, Any]:
        """Return everything that is known of a model."""
        return describe_model(find_model(library, kind, model), library, services)


def _add_notes(router: APIRouter, services: WebServices) -> None:
    library = services.library

    @router.post("/{kind}/models/{model}/notes")
    def write_notes(kind: str, model: str, changes: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """Change what is noted of a model; of two who do so at once the last one wins."""
        found = find_model(library, kind, model)
        before = library.notes(found)
        after = library.write_notes(found, changes)
        if kind == CHECKPOINT and any(getattr(before, name) != getattr(after, name) for name in _IDENTITY_FIELDS):
            services.files.checkpoints.refresh()
        return describe_model(find_model(library, kind, model), library, services)


def _add_previews(router: APIRouter, services: WebServices) -> None:
    library = services.library

    def tell(kind: str, model: str) -> dict[str, Any]:
        return describe_model(find_model(library, kind, model), library, services)

    @router.get("/{kind}/previews/{model}")
    def preview(kind: str, model: str) -> Response:
        """Serve the small version of a model's preview."""
        picture = library.preview(find_model(library, kind, model))
        if picture is None:
            raise HTTPException(404, "This model has no preview.")
        try:
            small = library.thumbnails.of(picture)
        except InvalidRequest as error:
            raise HTTPException(404, str(error)) from error
        return FileResponse(small, media_type="image/webp", headers={"cache-control": FOREVER})

    @router.post("/{kind}/models/{model}/preview")
    def take_preview(kind: str, model: str, wanted: JobPicture) -> dict[str, Any]:
        """Make a picture of a job the model's preview."""
        found = find_model(library, kind, model)
        image = find_picture_of_job(services.jobs, wanted)[1]
        library.set_preview(found, read_picture(image), image.infotext)
        return tell(kind, model)

    @router.post("/preview")
    async def upload_preview(kind: Short, model: Short, request: Request) -> dict[str, Any]:
        """Make the picture that is the body a model's preview."""
        content = await read_body(request)

        def keep() -> dict[str, Any]:
            library.set_preview(find_model(library, kind, model), content)
            return tell(kind, model)

        return await run_in_threadpool(keep)

    @router.post("/{kind}/models/{model}/remove-preview")
    def remove_preview(kind: str, model: str) -> dict[str, Any]:
        """Delete a model's preview."""
        library.remove_preview(find_model(library, kind, model))
        return tell(kind, model)
