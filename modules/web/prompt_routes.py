"""The routes behind the prompts: pasting, the inspector, token counters and styles."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from modules.core.parameters import LONGEST_PROMPT
from modules.jobs.model import Purpose
from modules.prompts.brackets import unbalanced
from modules.prompts.grammar import without_comments
from modules.prompts.styles import Style
from modules.prompts.tags import read_tags
from modules.web.checkpoints import CheckpointChooser
from modules.web.forms import PASTED_FIELDS
from modules.web.pasting import Pasted, Paster
from modules.web.requests import RequestMaker
from modules.web.services import WebServices

MOST_TEXTS = 8
MOST_STYLES = 1000
LONGEST_INFOTEXT = 10 * LONGEST_PROMPT
JOBS_LOOKED_AT = 200

Prompt = Annotated[str, Field(max_length=LONGEST_PROMPT)]
StyleNames = Annotated[list[Prompt], Field(max_length=MOST_STYLES)]


class Text(BaseModel):
    """A text that was pasted; an empty one means the newest picture's infotext."""

    text: Annotated[str, Field(max_length=LONGEST_INFOTEXT)] = ""


class FormValues(BaseModel):
    """The form by parameter name, with "styles" and "override_settings"."""

    values: dict[str, Any]


class Texts(BaseModel):
    """Texts whose tokens are to be counted, prompt and negative prompt by turns, and the styles that go into them."""

    texts: Annotated[list[Prompt], Field(max_length=MOST_TEXTS)]
    styles: StyleNames = []


class StyleText(BaseModel):
    """A style as the page's editor holds it."""

    name: Prompt
    prompt: Prompt = ""
    negative_prompt: Prompt = ""


class StyleName(BaseModel):
    """Which style."""

    name: Prompt


class StyledPrompts(BaseModel):
    """Two prompts, and the styles that are to be written into them."""

    prompt: Prompt = ""
    negative_prompt: Prompt = ""
    styles: StyleNames = []


def make_prompt_router(services: WebServices, chooser: CheckpointChooser) -> APIRouter:
    """Return the routes of pasting, inspector, token counts and styles."""
    router = APIRouter(prefix="/easel")
    maker = RequestMaker(services, chooser)

    @router.post("/paste")
    def paste(text: Text) -> dict[str, Any]:
        """Return what an infotext becomes on the form, and the infotext itself."""
        infotext = text.text if text.text.strip() else newest_infotext(services)
        if not infotext:
            return {**Pasted({}, notes=["No picture has been made yet."]).message(), "text": ""}
        return {**Paster(services).paste(infotext, PASTED_FIELDS).message(), "text": infotext}

    @router.post("/inspect")
    def inspect(form: FormValues) -> dict[str, Any]:
        """Return how the form's prompts are understood, or null while the engine starts."""
        request = maker.from_values(form.values).with_fixed_seed()
        return {name: services.jobs.inspect(request, name) for name in ("prompt", "negative_prompt")}

    @router.post("/tokens")
    def count_tokens(texts: Texts) -> dict[str, Any]:
        """Count tokens: for each text [tokens, length of its chunks], or null while the engine starts."""
        wanted = [services.panels.counted(text, place % 2 == 0, texts.styles) for place, text in enumerate(texts.texts)]
        styled = _styled(texts.model_copy(update={"texts": wanted}), services)
        read = [_without_asides(text, services) for text in styled]
        current = chooser.current()
        checkpoint = current.title if current else ""
        return {
            "counts": [services.jobs.count_tokens(text, checkpoint) for text in read],
            "brackets": [unbalanced(text) for text in read],
        }

    _add_style_routes(router, services)
    return router


def newest_infotext(services: WebServices) -> str:
    """Return the infotext of the first picture of the newest job that has one, "" when there is none.

    As A1111 keeps it in params.txt: with the first picture's seed the whole job can be made again.
    """
    running = services.jobs.running()
    jobs = [*([running] if running else []), *services.jobs.ended(JOBS_LOOKED_AT)]
    texts = (job.images[0].infotext for job in jobs if job.images and job.purpose is not Purpose.HANDOVER)
    return next(texts, "")


def _add_style_routes(router: APIRouter, services: WebServices) -> None:
    book = services.styles

    def tell() -> dict[str, Any]:
        styles = [
            {"name": style.name, "prompt": style.prompt, "negative_prompt": style.negative_prompt}
            for style in book.styles()
        ]
        return {"styles": styles, "problems": list(book.problems())}

    @router.get("/styles")
    def list_styles() -> dict[str, Any]:
        """Return all styles, and which files cannot be read."""
        return tell()

    @router.post("/styles")
    def save_style(style: StyleText) -> dict[str, Any]:
        """Save a style over the one of its name or as a new one."""
        book.save(Style(style.name, style.prompt, style.negative_prompt))
        return tell()

    @router.post("/styles/delete")
    def delete_style(style: StyleName) -> dict[str, Any]:
        """Delete a style."""
        book.delete(style.name)
        return tell()

    @router.post("/styles/apply")
    def apply_styles(wanted: StyledPrompts) -> dict[str, str]:
        """Write styles into both prompts."""
        prompt, negative = book.apply(wanted.prompt, wanted.negative_prompt, wanted.styles)
        return {"prompt": prompt, "negative_prompt": negative}


def _styled(texts: Texts, services: WebServices) -> list[str]:
    """Return the texts with the styles, of which each prompt and negative prompt gets its part."""
    styled: list[str] = []
    for place in range(0, len(texts.texts), 2):
        pair = [*texts.texts[place : place + 2], ""][:2]
        styled += services.styles.apply(pair[0], pair[1], texts.styles)
    return styled[: len(texts.texts)]


def _without_asides(text: str, services: WebServices) -> str:
    """Return what of a prompt reaches the text encoder: no comments, no tags."""
    if services.settings.get("enable_prompt_comments"):
        text = without_comments(text)
    return read_tags(text)[0]
