"""A1111's modules.ui_extra_networks: the library's models as its pages list them; extensions' own pages are kept."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modules.a1111._host import HOST
from modules.library.cards import Model
from modules.library.model_kinds import CHECKPOINT, EMBEDDING, HYPERNETWORK, LORA

allowed_preview_extensions_ = ("png", "jpg", "jpeg", "webp", "gif")
KINDS = {"Textual Inversion": EMBEDDING, "Hypernetworks": HYPERNETWORK, "Checkpoints": CHECKPOINT, "Lora": LORA}
PREFIXES = {LORA: "lora", HYPERNETWORK: "hypernet"}


class ExtraNetworksPage:
    """One kind of models; extensions derive their own from it."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.name = title.lower()
        self.id_page = self.name.replace(" ", "_")
        self.extra_networks_tabname = self.id_page
        self.allow_negative_prompt = title == "Textual Inversion"
        self.metadata: dict[str, Any] = {}
        self.items: dict[str, Any] = {}

    def refresh(self) -> None:
        """Look at the folders again."""

    def list_items(self) -> Iterator[dict[str, Any]]:
        """Yield what is known of each model."""
        return iter(())

    def allowed_directories_for_previews(self) -> list[str]:
        """Return the folders in which pictures of models lie."""
        return []

    def link_preview(self, filename: str) -> str:
        """Return a preview's address."""
        return f"/file={html.escape(Path(filename).as_posix())}"

    def search_terms_from_path(self, filename: str, possible_directories: Any = None) -> str:
        """Return what a path may be found by."""
        return Path(filename).as_posix()

    def find_preview(self, path: str) -> str | None:
        """Return a picture beside a model, without its type."""
        places = [f"{path}{middle}.{kind}" for kind in allowed_preview_extensions_ for middle in ("", ".preview")]
        return next((each for each in places if os.path.isfile(each)), None)  # noqa: PTH113

    def find_description(self, path: str) -> str | None:
        """Return the text beside a model."""
        file = Path(f"{path}.txt")
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None


class LibraryPage(ExtraNetworksPage):
    """One kind of models of Easel's library."""

    def __init__(self, title: str, kind: str) -> None:
        super().__init__(title)
        self._kind = kind

    def refresh(self) -> None:
        """Look at the folders again."""
        HOST.connected.files.refresh()

    def list_items(self) -> Iterator[dict[str, Any]]:
        """Yield the library's models of the kind."""
        library: Any = getattr(HOST.connected, "library", None)
        for place, model in enumerate(library.models(self._kind) if library is not None else ()):
            yield self._item(library, model, place)

    def _item(self, library: Any, model: Model, place: int) -> dict[str, Any]:
        preview = library.preview(model)
        return {
            "name": model.name,
            "filename": str(model.path),
            "shorthash": (library.hash_of(model) or "")[:12] or None,
            "preview": self.link_preview(str(preview)) if preview is not None else None,
            "description": library.description(model),
            "search_terms": [self.search_terms_from_path(str(model.path))],
            "prompt": json.dumps(self._prompt(model.name)),
            "local_preview": f"{model.path.with_suffix('')}.png",
            "metadata": None,
            "sort_keys": {"default": place, "name": model.name.lower()},
        }

    def _prompt(self, name: str) -> str:
        prefix = PREFIXES.get(self._kind)
        return f"<{prefix}:{name}:1>" if prefix else name


EXTRA_PAGES: list[ExtraNetworksPage] = [LibraryPage(title, kind) for title, kind in KINDS.items()]
extra_pages = EXTRA_PAGES


def register_page(page: ExtraNetworksPage) -> None:
    """Keep an extension's page for those that list them; Easel's library does not show it."""
    EXTRA_PAGES.append(page)
