"""A server with a fake engine for the browser tests: `python tests/browser/serve.py FOLDER PORT [USER:PASS,…]`.

The engine stands before every step until FOLDER/gate says that it may go on (see `tests.fakes.FileGate`).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import uvicorn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from modules.core.request import GenerationRequest
from modules.prompts.chunks import EmbeddingName, Vocabulary
from modules.prompts.inspection import InspectionRules, inspect_prompt
from modules.prompts.schedule import Timeline
from tests.fakes import FakeEngine, FileGate
from tests.web.site import open_site, site_config

START, END, COMMA = 0, 1, 2
EMBEDDING = "easel_style"
KNOWN_NETWORK = "known"


class Words:
    """A tokenizer that counts words: each gets the next free number."""

    def __init__(self) -> None:
        self._words = ["<start>", "<end>", ","]

    def tokenize(self, text: str) -> list[int]:
        words = re.findall(r"[\w]+|[^\w\s]", text)
        self._words += [word for word in dict.fromkeys(words) if word not in self._words]
        return [self._words.index(word) for word in words]

    def vocabulary(self) -> Vocabulary:
        embedding = EmbeddingName(EMBEDDING, 2, tuple(self.tokenize(EMBEDDING)))
        return Vocabulary(self.tokenize, START, END, COMMA, END, lambda: [embedding], self._words.__getitem__)


class ReadingEngine(FakeEngine):
    """A fake engine that reads prompts as the real one does."""

    def inspect(self, request: GenerationRequest, field: str) -> dict[str, Any]:
        rules = InspectionRules(Words().vocabulary(), Timeline(request.steps), divides=field == "prompt")
        return inspect_prompt(getattr(request, field), rules, lambda _, name: name == KNOWN_NETWORK)


def main(folder: Path, port: int, credentials: tuple[tuple[str, str], ...]) -> None:
    gate = folder / "gate"
    gate.mkdir(exist_ok=True)
    with open_site(site_config(folder, credentials), ReadingEngine(gate=FileGate(gate))) as site:
        uvicorn.run(
            site.application.asgi, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1
        )


if __name__ == "__main__":
    pairs = [text.partition(":") for text in (sys.argv[3] if len(sys.argv) > 3 else "").split(",") if text]
    main(Path(sys.argv[1]), int(sys.argv[2]), tuple((user, password) for user, _, password in pairs))
