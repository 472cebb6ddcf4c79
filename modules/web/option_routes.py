"""The routes behind the Settings tab and the checkpoint selector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, Field

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.parameters import LONGEST_PROMPT
from modules.core.request import ChoiceLists
from modules.settings.schema import ADMIN_OPTIONS, Option
from modules.web.auth import require_admin
from modules.web.checkpoints import CheckpointChooser
from modules.web.sdapi_options import list_problems
from modules.web.services import WebServices

OWN_CONTROL = frozenset({"sd_model_checkpoint", *ADMIN_OPTIONS})
"""Options that have a control of their own elsewhere on the page."""


class Choice(BaseModel):
    """The checkpoint that is to be used from now on."""

    checkpoint: Annotated[str, Field(max_length=LONGEST_PROMPT)]


class Refresh(BaseModel):
    """The option whose choices are to be looked for anew."""

    key: Annotated[str, Field(max_length=LONGEST_PROMPT)]


def make_option_router(services: WebServices, chooser: CheckpointChooser) -> APIRouter:
    """Return the routes of settings, checkpoints and token counts."""
    router = APIRouter(prefix="/easel")

    @router.get("/settings")
    def read_settings() -> dict[str, Any]:
        """Return every option with its present value, section by section."""
        services.settings.renew()
        values = services.settings.all()
        return {
            "options": [
                describe_option(option, values.get(key), services.lists)
                for key, option in services.settings.options().items()
                if key not in OWN_CONTROL
            ]
        }

    @router.post("/settings")
    def change_settings(values: Annotated[dict[str, Any], Body()], request: Request) -> dict[str, Any]:
        """Apply some options at once; all of them or, when one is wrong, none."""
        if ADMIN_OPTIONS & values.keys():
            require_admin(request, services.config)
        problems = list_problems(values, services.lists)
        if problems:
            raise InvalidRequest(problems)
        return {"changed": services.settings.update(values)}

    @router.post("/settings/refresh")
    def refresh_choices(wanted: Refresh) -> dict[str, Any]:
        """Have an option's extension look for its choices anew; return the option."""
        option = services.settings.options().get(wanted.key)
        if option is None or not option.refreshes:
            named = [key for key, each in services.settings.options().items() if each.refreshes]
            raise InvalidRequest([FieldProblem("key", "Option", wanted.key, "one of " + (", ".join(named) or "none"))])
        services.settings.renew(wanted.key)
        renewed = services.settings.options()[wanted.key]
        return describe_option(renewed, services.settings.all().get(wanted.key), services.lists)

    @router.post("/checkpoint")
    def choose_checkpoint(choice: Choice) -> Mapping[str, object]:
        """Use another checkpoint from now on and begin to load it."""
        return chooser.choose(choice.checkpoint)

    return router


def describe_option(option: Option, value: object, lists: ChoiceLists) -> dict[str, Any]:
    """Return an option as the Settings tab gets it; one that is taken from a list comes with the names of now."""
    choices = option.choices if option.list_name is None else lists.names(option.list_name)
    return {
        "key": option.key,
        "label": option.label,
        "kind": option.kind,
        "value": value,
        "default": option.default,
        "section": option.section,
        "help": option.help,
        "choices": list(choices),
        "minimum": option.minimum,
        "maximum": option.maximum,
        "step": option.step,
        "restart": option.restart,
        "look": option.look,
        "lines": option.lines,
        "refreshes": option.refreshes,
    }
