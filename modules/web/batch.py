"""img2img over many pictures: each becomes a part of one job, as A1111's Batch tab has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from modules.core.errors import FieldProblem, InvalidRequest
from modules.core.parameters import PARAMETERS
from modules.core.result import AS_ALWAYS, Place
from modules.imaging.metadata import read_infotext
from modules.imaging.parsing import Infotext, parse_infotext
from modules.jobs.model import Part
from modules.web.batch_files import BatchFile, Masks
from modules.web.picture_forms import DRAWING_KEY, MODE_KEY, PICTURE_KEY
from modules.web.requests import CHECKPOINT_KEY, RequestMaker
from modules.web.services import WebServices

PROMPT, NEGATIVE_PROMPT = "Prompt", "Negative prompt"
_REPLACED = {"Seed": "seed", "CFG scale": "cfg_scale", "Sampler": "sampler", "Steps": "steps"}
PNG_INFO_PROPS = (PROMPT, NEGATIVE_PROMPT, *_REPLACED, CHECKPOINT_KEY)
"""What a picture's own infotext may give, by A1111's names."""
_OF_PAGE = frozenset({MODE_KEY, PICTURE_KEY, DRAWING_KEY})


@dataclass(frozen=True, slots=True)
class PictureTexts:
    """Which of its own infotext a picture brings: `props` of `PNG_INFO_PROPS`.

    `folder`: where files of the pictures' names are read instead; None: the pictures themselves.
    """

    props: frozenset[str] = frozenset()
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class BatchWish:
    """What is to be worked over, and how: `values` are the form's; `output`: where to, None: where it always goes.

    `own_names`: pictures are named like those that they are made of, which they always are in `output`.
    """

    values: Mapping[str, Any]
    pictures: Sequence[BatchFile]
    masks: Masks
    texts: PictureTexts = field(default_factory=PictureTexts)
    output: Path | None = None
    own_names: bool = False


@dataclass(slots=True)
class BatchParts:
    """The parts of the job, and what was left out: each file and the reason, in words."""

    parts: list[Part] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


class BatchMaker:
    """Makes the parts of batches for the page that shows `services`."""

    def __init__(self, services: WebServices, maker: RequestMaker) -> None:
        self._services = services
        self._maker = maker

    def parts(self, wish: BatchWish) -> BatchParts:
        """Return a part for every picture that can be read; all have the same seed, unless their infotext has another.

        Raises InvalidRequest when the form's values are not possible, or when there is no picture to work over.
        """
        made, values = BatchParts(), {key: value for key, value in wish.values.items() if key not in _OF_PAGE}
        fixed: dict[str, object] | None = None
        for picture in wish.pictures:
            try:
                pictures = self._pictures(picture, wish.masks)
            except InvalidRequest as error:
                made.left_out.append(f"{picture.name}: {error}")
                continue
            if fixed is None:
                # What is wrong with the form is wrong for every picture, and told once.
                first = self._maker.from_values(values | pictures).with_fixed_seed()
                fixed = {"seed": first.seed, "subseed": first.subseed}
            try:
                request = self._maker.from_values(self._with_texts(values | fixed, picture, wish.texts) | pictures)
            except InvalidRequest as error:
                made.left_out.append(f"{picture.name}: {error}")
                continue
            made.parts.append(Part(request, _place(picture, wish), picture.name))
        if not made.parts:
            found = " ".join(made.left_out[:3]) or "no picture"
            raise InvalidRequest([FieldProblem("pictures", "Pictures", found, "at least one picture that can be read")])
        return made

    def _pictures(self, picture: BatchFile, masks: Masks) -> dict[str, object]:
        """Return the hashes of a picture and its mask by parameter. Raises InvalidRequest."""
        mask = masks.of(picture).keep(self._services.inputs) if masks else ""
        return {"init_image": picture.keep(self._services.inputs), "mask_image": mask}

    def _with_texts(self, values: dict[str, Any], picture: BatchFile, texts: PictureTexts) -> dict[str, Any]:
        """Return the form's values with what the picture says of itself: prompts are appended, the rest replaces."""
        if not texts.props:
            return values
        said = self._infotext(picture, texts.folder)
        found = dict(values)
        prompts = {PROMPT: ("prompt", said.prompt), NEGATIVE_PROMPT: ("negative_prompt", said.negative_prompt)}
        for prop in texts.props & prompts.keys():
            name, text = prompts[prop]
            if text:
                found[name] = f"{values.get(name) or ''} {text}"
        for prop in texts.props & said.pairs.keys() & _REPLACED.keys():
            found[_REPLACED[prop]] = said.pairs[prop]
        checkpoint = said.pairs.get(CHECKPOINT_KEY, "")
        chosen = str(PARAMETERS["checkpoint"].choices)
        if CHECKPOINT_KEY in texts.props and checkpoint and self._services.lists.accepts(chosen, checkpoint):
            found["checkpoint"] = checkpoint
            # Else the form's own choice would go before the picture's.
            others = (str(pair) for pair in values.get("override_settings") or ())
            found["override_settings"] = [pair for pair in others if not pair.startswith(f"{CHECKPOINT_KEY}:")]
        return found

    def _infotext(self, picture: BatchFile, folder: Path | None) -> Infotext:
        """Return what a picture's file says, or that of its name in `folder`; a file that is not there says nothing."""
        file = picture if folder is None else BatchFile(picture.name, path=folder / PurePosixPath(picture.name).name)
        try:
            text = read_infotext(file.content(self._services.inputs)).text
        except InvalidRequest:
            return Infotext()
        return parse_infotext(text) if text else Infotext()


def _place(picture: BatchFile, wish: BatchWish) -> Place:
    if wish.output is not None:
        return Place(str(wish.output), picture.stem)
    return Place(stem=picture.stem) if wish.own_names else AS_ALWAYS
