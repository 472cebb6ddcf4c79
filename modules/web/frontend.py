"""What is changed in the scripts of Gradio's page before they are served.

Each change names its place by what stands there, so another version of Gradio that has it elsewhere is served as it is.
Those that begin with a name begin at its first letter and take it whole: else every end of every name is tried.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """A place in one of Gradio's scripts, and what stands there instead."""

    place: re.Pattern[bytes]
    instead: bytes


MOUNTING = Change(
    re.compile(rb"(function \w+\((\w),\w,\w\)\{)(return \2\.type===`accordion`&&\2\.props\.props\.open===!1&&)"),
    rb"\1if(globalThis.easelMountAll)return \2;\3",
)
"""Gradio leaves what is in closed accordions and unopened tabs out of the document.

With `easelMountAll` set before it starts, all of it is there, as extensions for A1111 expect.
"""
BUILDING = Change(
    re.compile(rb"\b(\w++\(\)),(\w+\(\(\)=>\{\w+\.reload\(\w+\.components,)"),
    rb"\1&&\2",
)
"""Gradio builds the tree of a page's components twice: when it has loaded, and at once after that as if it were new.

The second time is meant for a page whose program has changed while it was shown, which it counts; none of ours does.
"""
ASKING = Change(
    re.compile(rb"(async get_state\((\w)\)\{let (\w)=this\.#\w\.get\(\2\)),(\w=\w\(this\.root,\2\);)"),
    rb"\1;if(\3)return await \3();let \4",
)
"""Gradio walks through the tree for each value that it hands to an event, though a mounted component knows its own."""
TIMING = Change(
    re.compile(
        rb"\b(\w++)&&(\w+\(\)\}\)\}let \w+=\w+\(\(\)=>\{let \w+=null;.{0,4000}?(\w)\.status===`pending`\?)", re.S
    ),
    rb"(\1&&=\3.status===`pending`)&&\2",
)
"""The clock of what is shown while the page loads goes on at every frame for as long as the page is open."""
CHANGES: Sequence[Change] = (MOUNTING, BUILDING, ASKING, TIMING)


def changed(script: bytes) -> bytes:
    """Return one of Gradio's scripts as it is served."""
    for change in CHANGES:
        script = change.place.sub(change.instead, script)
    return script
