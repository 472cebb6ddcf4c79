"""The routes behind the Checkpoint Merger; all for admins only."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from modules.core.errors import InvalidRequest, ModelUnavailable
from modules.library.catalog import CheckpointEntry
from modules.library.merging.recipe import (
    DEFAULT_MULTIPLIER,
    INTERPOLATIONS,
    LONGEST_METADATA,
    MERGE,
    NO_VAE,
    WEIGHTED_SUM,
    MergeWish,
    check_wish,
    joined_metadata,
)
from modules.web.auth import require_admin
from modules.web.download_routes import shown_folder
from modules.web.pages.generation import describe_error
from modules.web.services import WebServices

LONGEST_NAME = 1000
Name = Annotated[str, Field(max_length=LONGEST_NAME)]


class Models(BaseModel):
    """The checkpoints of the form: titles, "" for none."""

    primary: Name = ""
    secondary: Name = ""
    tertiary: Name = ""


class Merge(Models):
    """The form's values; see `MergeWish`."""

    interpolation: Name = WEIGHTED_SUM
    multiplier: float = DEFAULT_MULTIPLIER
    save_as_half: bool = False
    custom_name: Name = ""
    vae: Name = NO_VAE
    discard: Name = ""
    save_metadata: bool = True
    add_recipe: bool = True
    copy_metadata: bool = True
    metadata: Annotated[str, Field(max_length=LONGEST_METADATA)] = "{}"


def make_merge_router(services: WebServices) -> APIRouter:
    """Return the routes under /easel/merge."""
    router = APIRouter(prefix="/easel/merge")
    places = services.background.merges

    @router.get("")
    def choices(request: Request) -> dict[str, Any]:
        """Return what may be chosen on the form."""
        require_admin(request, services.config)
        vaes = places.vaes.entries() if places.vaes is not None else []
        return {
            "checkpoints": [_describe(entry) for entry in places.checkpoints.entries() if entry.usable],
            "vaes": [NO_VAE, *(entry.name for entry in vaes)],
            "interpolations": INTERPOLATIONS,
            "folder": shown_folder(places.folder, services.config.data_dir),
        }

    @router.post("/metadata")
    def read_metadata(models: Models, request: Request) -> dict[str, str]:
        """Return the metadata of the chosen checkpoints in one, as JSON for editing."""
        require_admin(request, services.config)
        names = [name for name in (models.primary, models.secondary, models.tertiary) if name.strip()]
        entries = [entry for name in names if not (entry := places.checkpoints.find(name)).path.is_dir()]
        return {"metadata": json.dumps(joined_metadata(entries), indent=4, ensure_ascii=False)}

    @router.post("/plan")
    def plan(merge: Merge, request: Request) -> dict[str, Any]:
        """Say what the result would be called, or why it cannot be made; that too is an answer."""
        require_admin(request, services.config)
        try:
            return {"name": check_wish(MergeWish(**merge.model_dump()), places).target.name}
        except (InvalidRequest, ModelUnavailable) as error:
            return {"name": "", **describe_error(error)}

    @router.post("")
    def start(merge: Merge, request: Request) -> dict[str, str]:
        """Begin to merge."""
        require_admin(request, services.config)
        recipe = check_wish(MergeWish(**merge.model_dump()), places)
        return {"task": services.background.tasks.start(MERGE, recipe.target.name, recipe.spec()).id}

    return router


def _describe(entry: CheckpointEntry) -> dict[str, Any]:
    return {
        "title": entry.title,
        "name": entry.name,
        "family": entry.family,
        "variant": entry.variant,
        "folder": entry.path.is_dir(),
    }
