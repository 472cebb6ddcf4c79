"""What of Gradio 3's `Blocks` was looked into from outside: its dependencies as a list of dictionaries (S25)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gradio as gr

from modules.a1111._patching import Patches


def add_blocks_views(patches: Patches) -> None:
    """Give Blocks what Gradio 3's had."""
    patches.set(gr.Blocks, "dependencies", property(dependencies))


def dependencies(blocks: Any) -> list[dict[str, Any]]:
    """Return the events of a page as Gradio 3 listed them; a copy, so that only reading makes sense."""
    return [
        {
            "targets": [target for target, _ in function.targets],
            "trigger": next((event for _, event in function.targets), None),
            "inputs": ids(function.inputs),
            "outputs": ids(function.outputs),
            "backend_fn": function.fn is not None,
            "js": function.js,
            "queue": function.queue,
            "api_name": function.api_name,
            "trigger_after": function.trigger_after,
        }
        for function in blocks.fns.values()
    ]


def ids(components: Iterable[Any]) -> list[int]:
    """Return the numbers by which the page knows components."""
    return [vars(component)["_id"] for component in components]
