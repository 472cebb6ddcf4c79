"""The route behind img2img's Batch tab: many pictures, one click, one job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from modules.core.errors import FieldProblem, InvalidRequest, NotAllowed
from modules.jobs.model import Purpose
from modules.web.auth import is_admin
from modules.web.batch import PNG_INFO_PROPS, BatchMaker, BatchWish, PictureTexts
from modules.web.batch_files import BatchFile, Masks, files_in, output_folder, server_folder
from modules.web.checkpoints import CheckpointChooser
from modules.web.requests import RequestMaker
from modules.web.services import WebServices
from modules.web.submitting import submit

MOST_PICTURES = 10_000
LONGEST_NAME = 1000
LONGEST_PATH = 4000
MASK_FOLDER = "Inpaint batch mask directory"
UPLOAD, DIRECTORY = "upload", "directory"
Folder = Annotated[str, Field(max_length=LONGEST_PATH)]


class Upload(BaseModel):
    """A picture that was handed in: its content hash, and what its file was called."""

    id: Annotated[str, Field(max_length=64)]
    name: Annotated[str, Field(max_length=LONGEST_NAME)]


class Batch(BaseModel):
    """The Batch tab's values beside those of the form; folders are of the server, "" for none."""

    values: dict[str, Any]
    source: Literal["upload", "directory"] = "upload"
    pictures: Annotated[list[Upload], Field(max_length=MOST_PICTURES)] = []
    masks: Annotated[list[Upload], Field(max_length=MOST_PICTURES)] = []
    input_dir: Folder = ""
    output_dir: Folder = ""
    inpaint_mask_dir: Folder = ""
    use_png_info: bool = False
    png_info_props: Annotated[list[str], Field(max_length=len(PNG_INFO_PROPS))] = []
    png_info_dir: Folder = ""


def make_batch_router(services: WebServices, chooser: CheckpointChooser) -> APIRouter:
    """Return the route of batches."""
    router = APIRouter(prefix="/easel")
    maker = RequestMaker(services, chooser)

    @router.post("/batch")
    def batch(wish: Batch, request: Request) -> dict[str, Any]:
        """Put a job over many pictures into the queue, and tell which of them were left out and why."""
        if _folders(wish) and not is_admin(request.scope, services.config):
            raise NotAllowed(
                "Only an admin may have folders of the server read or written; upload the pictures instead."
                " Admins are named with --admin when the server is started."
            )
        read = read_wish(wish, services)
        made = BatchMaker(services, maker).parts(read)
        purpose = maker.purpose() if read.output is None else Purpose.KEEP
        job = submit(made.parts, services, request.scope.get("user_name"), purpose)
        return {"job": job.id, "count": len(made.parts), "left_out": made.left_out}

    return router


def read_wish(wish: Batch, services: WebServices) -> BatchWish:
    """Return what the tab asks for, its files found. Raises InvalidRequest, naming the folder that is not there."""
    base, texts = services.config.data_dir, PictureTexts()
    if wish.use_png_info:
        folder = _found(wish.png_info_dir, "png_info_dir", "PNG info directory", base)
        texts = PictureTexts(_props(wish.png_info_props), folder)
    own_names = bool(services.settings.get("img2img_batch_use_original_name"))
    if wish.source == UPLOAD:
        pictures, masks = _uploaded(wish.pictures), _uploaded(wish.masks)
        return BatchWish(wish.values, pictures, Masks(masks), texts, None, own_names)
    source = _found(wish.input_dir, "input_dir", "Input directory", base)
    if source is None:
        problem = FieldProblem("input_dir", "Input directory", "an empty value", "a folder that exists on the server")
        raise InvalidRequest([problem])
    output = output_folder(wish.output_dir, "output_dir", "Output directory", base) if wish.output_dir.strip() else None
    mask_folder = _found(wish.inpaint_mask_dir, "inpaint_mask_dir", MASK_FOLDER, base)
    found = files_in(source, [each for each in (output, mask_folder) if each is not None])
    if not 0 < len(found) <= MOST_PICTURES:
        allowed = f"a folder with 1 to {MOST_PICTURES} pictures"
        raise InvalidRequest([FieldProblem("input_dir", "Input directory", f"{len(found)} pictures", allowed)])
    masks = [] if mask_folder is None else files_in(mask_folder)
    if mask_folder is not None and not masks:
        allowed = "a folder with a picture in it"
        raise InvalidRequest([FieldProblem("inpaint_mask_dir", MASK_FOLDER, wish.inpaint_mask_dir, allowed)])
    return BatchWish(wish.values, found, Masks(masks), texts, output, own_names)


def _props(names: list[str]) -> frozenset[str]:
    wrong = [name for name in names if name not in PNG_INFO_PROPS]
    if wrong:
        label, allowed = "Parameters to take from png info", f"any of {', '.join(PNG_INFO_PROPS)}"
        raise InvalidRequest([FieldProblem("png_info_props", label, ", ".join(wrong), allowed)])
    return frozenset(names)


def _folders(wish: Batch) -> bool:
    """Say whether folders of the server are to be read or written."""
    return wish.source == DIRECTORY or bool(wish.use_png_info and wish.png_info_dir.strip())


def _found(text: str, field: str, label: str, base: Path) -> Path | None:
    return server_folder(text, field, label, base) if text.strip() else None


def _uploaded(files: list[Upload]) -> list[BatchFile]:
    return [BatchFile(file.name, digest=file.id) for file in files]
