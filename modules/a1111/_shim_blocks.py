"""What of Gradio 3's `Blocks` was looked into from outside: its dependencies and functions as lists (S25).

And what else there may be between tabs (S28).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import gradio as gr

from modules.a1111._page_parts import parts
from modules.a1111._patching import Patches
from modules.a1111._working import extension_at_work


class Functions(dict[int, Any]):
    """Gradio 6's functions by number, which yield themselves where Gradio 3 had a list of them."""

    def __iter__(self) -> Iterator[Any]:
        yield from self.values()
        yield from parts().events


def add_blocks_views(patches: Patches) -> None:
    """Give Blocks what Gradio 3's had."""
    original = gr.Blocks.__dict__["fns"].fget

    def functions(blocks: Any) -> dict[int, Any]:
        found: dict[int, Any] = original(blocks)
        return Functions(found) if extension_at_work() else found

    patches.set(gr.Blocks, "fns", property(functions))
    patches.set(gr.Blocks, "dependencies", property(dependencies))


def add_tabs_order(patches: Patches) -> None:
    """Let tabs stand before whatever an extension has put between them.

    Gradio 6 counts a tab's place among all that is inside, and shows one twice where something else is before it.
    """
    original = gr.Tabs.__exit__

    def leave(tabs: Any, *raised: Any) -> None:
        original(tabs, *raised)
        tabs.children.sort(key=lambda child: not isinstance(child, gr.Tab))

    patches.set(gr.Tabs, "__exit__", leave)


def dependencies(blocks: Any) -> list[dict[str, Any]]:
    """Return the events of a page as Gradio 3 listed them, Generate's too; a copy, so that only reading makes sense."""
    known = dict.values(blocks.fns)
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
        for function in (*known, *parts().events)
    ]


def ids(components: Iterable[Any]) -> list[int]:
    """Return the numbers by which the page knows components."""
    return [vars(component)["_id"] for component in components]
