"""What each known extension is for, done once through the page or its own addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tests.community import scenarios_a, scenarios_bc, scenarios_d
from tests.community.site import Site
from tests.community.steps import Scenario

SCENARIOS: Mapping[str, Scenario] = {**scenarios_a.SCENARIOS, **scenarios_bc.SCENARIOS, **scenarios_d.SCENARIOS}
PREPARATIONS: Mapping[str, Callable[[Site], None]] = {
    **scenarios_a.PREPARATIONS, **scenarios_bc.PREPARATIONS, **scenarios_d.PREPARATIONS,
}  # fmt: skip
"""What is put into the data folder before the server begins."""
FLAGS: Mapping[str, Sequence[str]] = {"sd-webui-deforum": ("--deforum-api",)}
"""Flags of their own that the server is started with."""
