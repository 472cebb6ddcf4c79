"""The routes behind the Settings tab and the token counters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field

from modules.core.parameters import LONGEST_PROMPT
from modules.settings.schema import OPTIONS, Option
from modules.web.checkpoints import CheckpointChooser
from modules.web.services import WebServices

MOST_TEXTS = 8
OWN_CONTROL = frozenset({"sd_model_checkpoint"})
"""Options that have a control of their own on top of the page."""


class Texts(BaseModel):
    """Texts whose tokens are to be counted."""

    texts: Annotated[list[Annotated[str, Field(max_length=LONGEST_PROMPT)]], Field(max_length=MOST_TEXTS)]


class Choice(BaseModel):
    """The checkpoint that is to be used from now on."""

    checkpoint: Annotated[str, Field(max_length=LONGEST_PROMPT)]


def make_option_router(services: WebServices, chooser: CheckpointChooser) -> APIRouter:
    """Return the routes of settings, checkpoints and token counts."""
    router = APIRouter(prefix="/easel")

    @router.get("/settings")
    def read_settings() -> dict[str, Any]:
        """Return every option with its present value, section by section."""
        values = services.settings.all()
        return {
            "options": [
                describe_option(option, values[key]) for key, option in OPTIONS.items() if key not in OWN_CONTROL
            ]
        }

    @router.post("/settings")
    def change_settings(values: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """Apply some options at once; all of them or, when one is wrong, none."""
        return {"changed": services.settings.update(values)}

    @router.post("/checkpoint")
    def choose_checkpoint(choice: Choice) -> Mapping[str, object]:
        """Use another checkpoint from now on and begin to load it."""
        return chooser.choose(choice.checkpoint)

    @router.post("/tokens")
    def count_tokens(texts: Texts) -> dict[str, Any]:
        """Count tokens: for each text [tokens, length of its chunks], or null while the engine starts."""
        return {"counts": [services.jobs.count_tokens(text) for text in texts.texts]}

    return router


def describe_option(option: Option, value: object) -> dict[str, Any]:
    """Return an option as the Settings tab gets it."""
    return {
        "key": option.key,
        "label": option.label,
        "kind": option.kind,
        "value": value,
        "default": option.default,
        "section": option.section,
        "help": option.help,
        "choices": list(option.choices),
        "minimum": option.minimum,
        "maximum": option.maximum,
        "step": option.step,
        "restart": option.restart,
    }
