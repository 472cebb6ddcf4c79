"""How A1111's API is spoken over HTTP: bodies, answers, and errors in its shape."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from modules.core.errors import (
    EaselError,
    FieldProblem,
    InvalidRequest,
    JobNotFound,
    JobStateConflict,
    NotAllowed,
    StorageFailed,
)
from modules.web.handover import read_body

IGNORED_HEADER = "x-easel-ignored"
"""Names of what was accepted and has no effect here."""
STATUS_OF_ERROR: Mapping[type[EaselError], int] = {
    InvalidRequest: 422,
    JobNotFound: 404,
    JobStateConflict: 409,
    NotAllowed: 403,
    StorageFailed: 507,
}
UNFORESEEN = 500
_DATA_ADDRESS = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)
_SPACE = re.compile(r"\s+")

Answer = Coroutine[Any, Any, Response]


class ApiError(EaselError):
    """An answer with a status of A1111's own choosing."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        self.status = status
        self.kind = kind
        super().__init__(reason)


class PlainJson(JSONResponse):
    """JSON in ASCII, which can hold whatever a text of a client's holds."""

    def render(self, content: Any) -> bytes:
        """Return the content as JSON."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


class ApiRoute(APIRoute):
    """A route whose errors are answered in A1111's shape."""

    def get_route_handler(self) -> Callable[[Request], Answer]:
        """Return FastAPI's handler, with the errors that it raises on purpose turned into answers."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except (EaselError, HTTPException, RequestValidationError) as error:
                return error_answer(error)

        return answer


def error_answer(error: EaselError | HTTPException | RequestValidationError) -> Response:
    """Return an error as A1111 tells it: its kind, what is wrong, and the same once more for clients of both habits."""
    kind, status, headers = type(error).__name__, UNFORESEEN, None
    if isinstance(error, ApiError):
        kind, status, text = error.kind, error.status, str(error)
    elif isinstance(error, HTTPException):
        status, text, headers = error.status_code, str(error.detail), error.headers
    elif isinstance(error, RequestValidationError):
        status, text = 422, "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
    else:
        status = next((code for known, code in STATUS_OF_ERROR.items() if isinstance(error, known)), UNFORESEEN)
        text = str(error)
    return PlainJson({"error": kind, "detail": text, "body": "", "errors": text}, status, headers)


async def read_object(request: Request) -> dict[str, Any]:
    """Return a body that is a JSON object. Raises InvalidRequest."""
    content = await read_body(request)
    return await run_in_threadpool(_parse_object, content)


def answer_json(content: object, ignored: Iterable[str] = ()) -> Response:
    """Return an answer that names what was ignored."""
    names = ", ".join(ignored)
    return PlainJson(content, headers={IGNORED_HEADER: names} if names else None)


def decode_picture(text: object, field: str) -> bytes:
    """Return the file that a client sends as base64, alone or as a data: address. Raises InvalidRequest.

    Addresses on the network are not fetched.
    """
    allowed = "a picture as base64, alone or as data:image/png;base64,…"
    if not isinstance(text, str):
        raise InvalidRequest([FieldProblem(field, field, f"a value of type {type(text).__name__}", allowed)])
    if text[:8].lower().startswith(("http://", "https://")):
        raise InvalidRequest([FieldProblem(field, field, "an address on the network", allowed)])
    start = _DATA_ADDRESS.match(text)
    encoded = _SPACE.sub("", text[start.end() :] if start else text)
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        problem = FieldProblem(field, field, f"a text of {len(text)} characters that is no base64", allowed)
        raise InvalidRequest([problem]) from error


def _parse_object(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        found = f"{len(content)} bytes that are no JSON" if content else "an empty body"
        raise InvalidRequest([FieldProblem("body", "Body", found, "a JSON object")]) from error
    if not isinstance(body, dict):
        raise InvalidRequest([FieldProblem("body", "Body", f"JSON of type {type(body).__name__}", "a JSON object")])
    return body
