"""A1111's modules.extra_networks: the tags of networks in prompts."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modules.a1111._host import HOST
from modules.a1111._owners import owner_of
from modules.a1111._placeholders import calling_extension
from modules.prompts.tags import read_tags

re_extra_net = re.compile(r"<(\w+):([^>]+)>")
REGISTRY: dict[str, Any] = {}
extra_network_registry = REGISTRY
ALIASES: dict[str, Any] = {}
extra_network_aliases = ALIASES


class ExtraNetworkParams:
    """The arguments of a tag: by place in `positional`, by name in `named`; `items` has all as texts."""

    def __init__(self, items: Any = None) -> None:
        self.items = items or []
        self.positional: list[str] = []
        self.named: dict[str, str] = {}
        for item in self.items:
            parts = str(item).split("=", 2)
            if len(parts) == 2:
                self.named[parts[0]] = parts[1]
            else:
                self.positional.append(item)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExtraNetworkParams) and self.items == other.items

    def __hash__(self) -> int:
        return hash(tuple(self.items))


class ExtraNetwork:
    """A kind of network; Easel's own kinds are the engine's, and one that an extension adds is never asked."""

    def __init__(self, name: str) -> None:
        self.name = name

    def activate(self, p: Any, params_list: list[ExtraNetworkParams]) -> None:
        """Put the networks of a batch's prompts into the model."""
        raise NotImplementedError

    def deactivate(self, p: Any) -> None:
        """Take them out again."""
        raise NotImplementedError


def initialize() -> None:
    """Forget all kinds."""
    REGISTRY.clear()
    ALIASES.clear()


def register_extra_network(extra_network: ExtraNetwork) -> None:
    """Keep a kind of network under its name."""
    culprit = calling_extension()
    if culprit:
        HOST.reports.claim(culprit, "network", extra_network.name)
    REGISTRY[extra_network.name] = extra_network


def register_extra_network_alias(extra_network: ExtraNetwork, alias: str) -> None:
    """Keep a kind of network under another name."""
    ALIASES[alias] = extra_network


def register_default_extra_networks() -> None:
    """Do nothing: the engine knows its own kinds."""


def lookup_extra_networks(extra_network_data: dict[str, Any]) -> dict[Any, list[Any]]:
    """Return the arguments of tags by the kind of network, for the kinds that were kept here."""
    found: dict[Any, list[Any]] = {}
    for name, arguments in extra_network_data.items():
        network = REGISTRY.get(name) or ALIASES.get(name)
        if network is not None:
            found.setdefault(network, []).extend(arguments)
    return found


def activate(p: Any, extra_network_data: dict[str, Any]) -> None:
    """Let the kinds that extensions added put in their networks, and tell the scripts; the engine puts in its own.

    Kinds that no prompt names are asked too, with nothing to put in.
    """
    for prepare in HOST.own_state.get("before networks", ()):
        prepare(p, extra_network_data)
    asked = lookup_extra_networks(extra_network_data or {})
    for network in dict.fromkeys([*asked, *REGISTRY.values()]):
        with HOST.guarding(owner_of(type(network)), "hook", f"{network.name}.activate"):
            network.activate(p, asked.get(network, []))
    if p.scripts is not None:
        p.scripts.after_extra_networks_activate(
            p, batch_number=p.iteration, prompts=p.prompts, seeds=p.seeds, subseeds=p.subseeds,
            extra_network_data=extra_network_data,
        )  # fmt: skip


def deactivate(p: Any, extra_network_data: dict[str, Any]) -> None:
    """Let the kinds that extensions added take their networks out."""
    for network in dict.fromkeys([*lookup_extra_networks(extra_network_data or {}), *REGISTRY.values()]):
        with HOST.guarding(owner_of(type(network)), "hook", f"{network.name}.deactivate"):
            network.deactivate(p)


def parse_prompt(prompt: str) -> tuple[str, dict[str, list[ExtraNetworkParams]]]:
    """Return the prompt without its tags, and the tags' arguments by kind."""
    text, tags = read_tags(prompt)
    found: dict[str, list[ExtraNetworkParams]] = defaultdict(list)
    for tag in tags:
        found[tag.kind].append(ExtraNetworkParams(str(tag)[1:-1].split(":")[1:]))
    return text, found


def parse_prompts(prompts: Iterable[str]) -> tuple[list[str], dict[str, list[ExtraNetworkParams]] | None]:
    """Return the prompts without their tags, and the tags of the first."""
    texts, first = [], None
    for prompt in prompts:
        text, found = parse_prompt(prompt)
        first = found if first is None else first
        texts.append(text)
    return texts, first


def get_user_metadata(filename: str | None, lister: Any = None) -> dict[str, Any]:
    """Return the notes on a model, from the JSON file beside it."""
    if filename is None:
        return {}
    path = Path(filename).with_suffix(".json")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
