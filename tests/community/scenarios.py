"""What each known extension is for, done once through the page or its own addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.community.page import Watched
from tests.community.site import Site

Scenario = Callable[[Watched, Site], "str | None"]
"""Returns what is wrong, or nothing."""

SCENARIOS: Mapping[str, Scenario] = {}
PREPARATIONS: Mapping[str, Callable[[Site], None]] = {}
"""What is put into the data folder before the server begins."""
