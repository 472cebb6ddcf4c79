"""What the tests of A1111's API share: asking, and reading the answer."""

import base64
import json
from typing import Any

from httpx import Response
from starlette.testclient import TestClient

SMALL = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 5, "sampler_name": "Euler"}
"""A body for a small picture."""


def ask(client: TestClient, **fields: object) -> Response:
    """Post a small txt2img body with these fields."""
    return client.post("/sdapi/v1/txt2img", json=SMALL | fields)


def make(client: TestClient, **fields: object) -> dict[str, Any]:
    """Return the answer to a small txt2img body, with "info" read and the pictures decoded."""
    answer = ask(client, **fields)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    pictures = [base64.b64decode(picture) for picture in told["images"]]
    return told | {"info": json.loads(told["info"]), "pictures": pictures}


def refusal(answer: Response, status: int) -> str:
    """Return the text of an answer that refuses in A1111's shape."""
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert set(told) == {"error", "detail", "body", "errors"}
    assert told["detail"]
    return str(told["detail"])
