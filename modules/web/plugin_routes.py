"""The route behind the fields of plugins: which values there are to choose from."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.parameters import LONGEST_PROMPT
from modules.web.services import WebServices


def make_plugin_router(services: WebServices) -> APIRouter:
    """Return the routes of plugins."""
    router = APIRouter(prefix="/easel/plugins")

    @router.get("/{name}/offered")
    def offered(name: str, value: Annotated[str, Query(max_length=LONGEST_PROMPT)]) -> dict[str, list[str]]:
        """Return what a plugin offers for the texts that depend on a parameter, which has this value."""
        plugin = services.plugins.get(name)
        if plugin is None or not plugin.offers:
            known = [each.name for each in services.plugins if each.offers]
            allowed = f"one of {', '.join(known)}" if known else "nothing: no plugin offers values"
            raise InvalidRequest([FieldProblem("plugin", "Plugin", name, allowed)])
        return {"values": list(plugin.offered(value, services.lists))}

    return router
