"""Which version of A1111 wrote an infotext, and what has to be set so that newer rules make the same picture."""

from __future__ import annotations

import re
from collections.abc import Mapping

Version = tuple[int, int, int, int]
"""Major, minor, patch, and how many commits after it; a release candidate counts as -1 commits."""

NEW_TIMELINES: Version = (1, 6, 0, 0)
FULL_PRECISION_ALPHAS: Version = (1, 7, 0, 225)
REFINER_BY_TIMESTEP: Version = (1, 8, 0, 0)

_VERSION = re.compile(
    r"(?:f[\d.]+(?=v))?"  # Forge puts its own version before A1111's
    r"v?(?P<major>\d{1,4})\.(?P<minor>\d{1,4})(?:\.(?P<patch>\d{1,4}))?"
    r"(?P<candidate>-?rc\d*)?"
    r"(?:-(?P<commits>\d{1,6}))?(?:[-+].*)?",
    re.IGNORECASE | re.DOTALL,
)


def read_version(text: str | None) -> Version | None:
    """Return the version of A1111 that "v1.7.0-225-gabcdef" names, or None for a text of another form."""
    match = _VERSION.fullmatch((text or "").strip())
    if match is None:
        return None
    commits = -1 if match["candidate"] else int(match["commits"] or 0)
    return int(match["major"]), int(match["minor"]), int(match["patch"] or 0), commits


def version_below(text: str | None, bound: Version) -> bool:
    """Say whether an infotext's "Version" is of A1111 and below `bound`; without a version nothing is known."""
    version = read_version(text)
    return version is not None and version < bound


def compatibility(pairs: Mapping[str, str], prompt: str) -> dict[str, str]:
    """Return the pairs to add so that an infotext of an older version of A1111 means what it meant then."""
    version = pairs.get("Version")
    added = {}
    if version_below(version, NEW_TIMELINES) and "[" in prompt:
        added["Old prompt editing timelines"] = "True"
    if version_below(version, NEW_TIMELINES) and pairs.get("Sampler") in ("DDIM", "PLMS"):
        added["Pad conds v0"] = "True"
    if version_below(version, FULL_PRECISION_ALPHAS):
        added["Downcast alphas_cumprod"] = "True"
    if version_below(version, REFINER_BY_TIMESTEP) and pairs.get("Refiner"):
        added["Refiner switch by sampling steps"] = "True"
    return added
