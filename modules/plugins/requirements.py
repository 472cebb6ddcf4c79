"""Requirements as pip takes them, and what of them is installed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable

from packaging.requirements import InvalidRequirement, Requirement


def parsed(text: str) -> Requirement | None:
    """Return a requirement; None for an address, a path or a flag."""
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def applies(requirement: Requirement, extras: Iterable[str] = ()) -> bool:
    """Say whether a requirement holds on this system, for what was asked for with these extras."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, ""))


def installed_version(name: str) -> str:
    """Return a package's version as it lies on disk now, "" when it is not there."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def needs_of(name: str) -> list[str]:
    """Return what an installed package needs, conditions included; nothing for one that is not there."""
    try:
        return list(importlib.metadata.requires(name) or ())
    except importlib.metadata.PackageNotFoundError:
        return []
