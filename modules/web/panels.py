"""What code from outside Easel adds to the page, as the page asks for it; without such code it is nothing at all.

The adapter of A1111's API implements `Panels`. What it builds are components of Gradio, made in the layout that is
being built when the page calls; their values travel with Generate and become part of the request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

FOREIGN_FIELD = "a1111"
"""The form value, and the name in a request's extras, under which foreign controls' values stand.

There it is {"args": a JSON list with a place for each control, "script": the title of the chosen script, or "",
"options": a JSON object of extensions' options for this request alone}.
"""
RESTORES_FACES = "face_restoration"
"""The option that has the faces of every picture be restored; it is there where an extension restores faces."""


@dataclass(frozen=True, slots=True)
class ForeignScript:
    """What the Script dropdown offers besides ours. `name`: unique among all scripts. `build` makes its controls."""

    name: str
    title: str
    build: Callable[[], None]


@dataclass(frozen=True, slots=True)
class ApiScript:
    """A foreign script as A1111's API has it. `name`: its title in lower case; `arguments`: its controls, described."""

    name: str
    title: str
    is_alwayson: bool
    arguments: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignTab:
    """A tab of the page. `id`: unique among the tabs, part of its element's id."""

    id: str
    title: str
    build: Callable[[], None]


@dataclass(frozen=True, slots=True)
class PageFiles:
    """What is loaded into the page before Gradio, in order.

    `scripts` and `styles`: addresses; a script that ends in .mjs is a module. `css`: style sheets as text. `facts`:
    what the page's scripts are told.
    """

    scripts: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    css: tuple[str, ...] = ()
    facts: Mapping[str, object] | None = None


class Panels(Protocol):
    """What others add to the page. The page calls in the order of these methods while it is built."""

    @property
    def present(self) -> bool:
        """Whether there is anybody who may add something; False leaves the page as it is."""

    def page(self) -> AbstractContextManager[None]:
        """Return what surrounds the building of the whole page."""

    def tab(self, tab: str) -> AbstractContextManager[None]:
        """Return what surrounds the building of a generation tab."""

    def build_sections(self, tab: str) -> None:
        """Make the controls that a tab always shows."""

    def scripts(self, tab: str) -> Sequence[ForeignScript]:
        """Return what a tab's Script dropdown offers besides ours."""

    def controls(self, tab: str) -> Sequence[Any]:
        """Return the components whose values travel with Generate; complete once the tab was built."""

    def values(self, tab: str, values: Sequence[object]) -> str:
        """Return the controls' values, as their functions would get them, as the JSON list that a request holds."""

    def api_scripts(self, tab: str) -> Sequence[ApiScript]:
        """Return all scripts of a tab; a title that a script of ours has too belongs to ours."""

    def api_arguments(self, tab: str, given: Mapping[str, Sequence[object]]) -> str:
        """Return the JSON list that a request holds, for arguments by position, by their scripts' names.

        Controls without an argument have the values that they begin with.
        """

    def face_restorers(self) -> Sequence[str]:
        """Return the names of what restores faces."""

    def locked_options(self) -> frozenset[str]:
        """Return the keys of options that are not to be changed through A1111's API."""

    def tabs(self) -> Sequence[ForeignTab]:
        """Return the tabs that come after ours; asked for when all of ours but the settings were built."""

    def stopped(self) -> None:
        """Be told that the server stops, when no job runs any more."""

    def counted(self, text: str, positive: bool, styles: Sequence[str]) -> str:
        """Return a prompt, or a negative one, as its tokens are to be counted; the styles go in after that."""

    def started(self, page: Any, app: Any) -> None:
        """Be told that the page was built; `app`, FastAPI's application, serves it and may be given more routes."""

    def files(self) -> PageFiles:
        """Return what is to be loaded into the page."""

    def folders(self) -> Mapping[str, Path]:
        """Return the folders whose files the page may load, by the beginning of their addresses: "extensions/NAME"."""


class NoPanels:
    """There is nobody who adds anything."""

    @property
    def present(self) -> bool:
        """Whether there is anybody."""
        return False

    def page(self) -> AbstractContextManager[None]:
        """Return a context that does nothing."""
        return nullcontext()

    def tab(self, tab: str) -> AbstractContextManager[None]:
        """Return a context that does nothing."""
        return nullcontext()

    def build_sections(self, tab: str) -> None:
        """Make nothing."""

    def scripts(self, tab: str) -> Sequence[ForeignScript]:
        """Return none."""
        return ()

    def controls(self, tab: str) -> Sequence[Any]:
        """Return none."""
        return ()

    def values(self, tab: str, values: Sequence[object]) -> str:
        """Return an empty list."""
        return "[]"

    def api_scripts(self, tab: str) -> Sequence[ApiScript]:
        """Return none."""
        return ()

    def api_arguments(self, tab: str, given: Mapping[str, Sequence[object]]) -> str:
        """Return an empty list."""
        return "[]"

    def face_restorers(self) -> Sequence[str]:
        """Return none."""
        return ()

    def locked_options(self) -> frozenset[str]:
        """Return none."""
        return frozenset()

    def tabs(self) -> Sequence[ForeignTab]:
        """Return none."""
        return ()

    def stopped(self) -> None:
        """Do nothing."""

    def counted(self, text: str, positive: bool, styles: Sequence[str]) -> str:
        """Return the prompt."""
        return text

    def started(self, page: Any, app: Any) -> None:
        """Do nothing."""

    def files(self) -> PageFiles:
        """Return nothing."""
        return PageFiles()

    def folders(self) -> Mapping[str, Path]:
        """Return none."""
        return {}
