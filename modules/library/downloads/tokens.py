"""The tokens by which hubs know who asks: kept in a file that only its owner may read, and told to nobody else."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Mapping
from pathlib import Path

from modules.core.errors import FieldProblem, InvalidRequest, StorageFailed
from modules.core.files import write_whole

HUGGING_FACE, CIVITAI = "huggingface", "civitai"
HUB_LABELS: Mapping[str, str] = {HUGGING_FACE: "Hugging Face", CIVITAI: "Civitai"}
_PLAIN = re.compile(r"[\x21-\x7e]{1,500}")

logger = logging.getLogger(__name__)


class HubTokens:
    """One token per hub. Safe to use from several threads."""

    def __init__(self, path: Path, origins: Mapping[str, str]) -> None:
        """Take the file, which need not exist, and the origin ("https://host") that each hub's token is for."""
        self._path = path
        self._origins = dict(origins)
        self._lock = threading.Lock()

    def known(self) -> dict[str, bool]:
        """Say for which hubs there is a token."""
        tokens = self._read()
        return {hub: bool(tokens.get(hub)) for hub in self._origins}

    def for_origin(self, origin: str) -> str:
        """Return the token that belongs to an origin, "" for every other."""
        hub = next((hub for hub, own in self._origins.items() if own == origin), None)
        return self._read().get(hub, "") if hub is not None else ""

    def set(self, hub: str, token: str) -> None:
        """Keep a hub's token, or forget it when it is empty. Raises InvalidRequest, StorageFailed."""
        token = token.strip()
        if hub not in self._origins:
            raise InvalidRequest([FieldProblem("hub", "Site", repr(hub)[:40], ", ".join(self._origins))])
        if token and not _PLAIN.fullmatch(token):
            # The value itself is secret.
            raise InvalidRequest([FieldProblem("token", "Token", "what was given", "letters, digits and signs only")])
        with self._lock:
            tokens = {**self._read(), hub: token}
            self._write({name: value for name, value in tokens.items() if value})

    def _read(self) -> dict[str, str]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            logger.warning("The file of the hubs' tokens cannot be read; set them again.")
            return {}
        return {str(hub): str(token) for hub, token in content.items()} if isinstance(content, dict) else {}

    def _write(self, tokens: Mapping[str, str]) -> None:
        try:
            write_whole(self._path, json.dumps(dict(tokens)), private=True)
        except OSError as error:
            raise StorageFailed(f"The tokens could not be kept: {error.strerror or error}.") from error
