"""A1111's module `extra_networks_lora`: the kind of network behind `<lora:name:strength>`."""

from __future__ import annotations

from typing import Any

from modules.a1111 import _lora_networks
from modules.a1111.extra_networks import ExtraNetwork


class ExtraNetworkLora(ExtraNetwork):
    """LoRA and its kin; the engine puts them in itself."""

    def __init__(self) -> None:
        super().__init__("lora")
        self.errors: dict[str, int] = {}

    def activate(self, p: Any, params_list: list[Any]) -> None:
        """Fill `networks.loaded_networks` with what these arguments ask for."""
        _lora_networks.prepare(p, {"lora": params_list})

    def deactivate(self, p: Any) -> None:
        """Do nothing: the next pass has its own networks."""
