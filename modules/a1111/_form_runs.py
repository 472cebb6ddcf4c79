"""What A1111's txt2img and img2img functions do when an event's values of Easel's form reach them (S25)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from modules.a1111 import processing, scripts
from modules.a1111._host import HOST
from modules.a1111._page_parts import ORDERS
from modules.a1111._view import Pictures, processing_of
from modules.core.errors import FieldProblem, InvalidRequest
from modules.hooks.plugins import SCRIPT_FIELD
from modules.web.checkpoints import CheckpointChooser
from modules.web.forms import IMG2IMG
from modules.web.requests import RequestMaker

KEPT_OVERRIDES = ("Clip skip", "Model hash")
"""What Easel's form takes of override settings that extensions add; it has what else there is in the form itself."""


def form_of(args: Sequence[Any]) -> dict[str, Any] | None:
    """Return the form that stands last among a function's values; None where it is A1111's own list."""
    if not args or not isinstance(args[-1], str) or not args[-1].startswith("{"):
        return None
    found = json.loads(args[-1])
    return found if isinstance(found, dict) else None


def processing_of_form(tab: str, named: Mapping[str, Any], args: Sequence[Any], form: Mapping[str, Any]) -> Any:
    """Return `p` for a form; what is `named` by A1111's parameters was perhaps changed since, and counts."""
    services = HOST.connected
    values = dict(form)
    changed = {ours: named[theirs] for theirs, ours in ORDERS[tab] if ours and named.get(theirs) is not None}
    values.update({name: value for name, value in changed.items() if name in form})
    given = [str(each) for each in named.get("override_settings_texts") or () if not str(each).startswith("VAE")]
    values["override_settings"] = [each for each in given if each.startswith(KEPT_OVERRIDES)]
    runner = scripts.scripts_img2img if tab == IMG2IMG else scripts.scripts_txt2img
    title = str(values.get(SCRIPT_FIELD) or "")
    arguments = list(args[:-1])[: len(runner.inputs)]
    if title in runner.titles and arguments:
        arguments[0] = runner.titles.index(title) + 1
        values.pop(SCRIPT_FIELD)
    chooser = CheckpointChooser(services.files.checkpoints, services.settings, services.jobs.preload)
    request = RequestMaker(services, chooser).from_values(values)  # type: ignore[arg-type]
    if tab == IMG2IMG and not request.init_image:
        raise InvalidRequest([FieldProblem("init_image", "Picture", "none", "one that is sent with the form")])
    p = processing_of(request, Pictures(services.inputs.load))
    p.scripts, p.script_args = runner, arguments
    return p


def made(p: Any) -> tuple[Any, str, str, str]:
    """Make the pictures of `p`, and return them with their facts as JSON and as HTML."""
    processed = p.scripts.run(p, *p.script_args) or processing.process_images(p)
    return processed.images, processed.js(), processed.info, processed.comments
