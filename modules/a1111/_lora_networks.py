"""A1111's module `networks` (of its built-in extension for LoRA) over Easel's networks.

`loaded_networks` is what the present batch's prompt asks for; strengths and tensors that an extension changes there,
and networks that it takes out or adds, are what the engine uses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from torch import nn

from modules.a1111._host import HOST
from modules.a1111._ldm_present import present_model
from modules.a1111._ldm_runs import present_view
from modules.a1111._lora_network import Network, NetworkModule, NetworkOnDisk, module_of
from modules.hooks.spec import ChosenNetworks
from modules.library.network_files import NetworkFile, NetworkFolder
from modules.networks.lora import Lora
from modules.networks.patching import LoraUse
from modules.prompts.inspection import LORA_KINDS

LOADED: list[Network] = []
loaded_networks = LOADED
AVAILABLE: dict[str, NetworkOnDisk] = {}
available_networks = AVAILABLE
ALIASES: dict[str, NetworkOnDisk] = {}
available_network_aliases = ALIASES
HASHES: dict[str, NetworkOnDisk] = {}
available_network_hash_lookup = HASHES
FORBIDDEN: dict[str, int] = {}
forbidden_network_aliases = FORBIDDEN
IN_MEMORY: dict[str, Any] = {}
networks_in_memory = IN_MEMORY
BUNDLED: dict[str, Any] = {}
loaded_bundle_embeddings = BUNDLED
PREPARED: list[Network] = []
"""What `loaded_networks` was before extensions saw it."""
MODULE_TYPES: tuple[Any, ...] = ()
module_types = MODULE_TYPES
re_network_name = re.compile(r"(.*)\s*\([0-9a-fA-F]+\)")
_PATCHED = ("Linear", "Conv2d", "GroupNorm", "LayerNorm", "MultiheadAttention")
ORIGINALS = SimpleNamespace(**{f"{name}_forward": getattr(nn, name).forward for name in _PATCHED})
originals = ORIGINALS
network_Linear_forward = nn.Linear.forward  # noqa: N816 (A1111's name)
network_Conv2d_forward = nn.Conv2d.forward  # noqa: N816
network_MultiheadAttention_forward = nn.MultiheadAttention.forward  # noqa: N816
extra_network_lora = None


def _folder() -> NetworkFolder | None:
    return HOST.services.files.loras if HOST.services is not None else None


def list_available_networks() -> None:
    """Look at the folders again."""
    folder = _folder()
    if folder is not None:
        folder.refresh()
    _fill()


def _fill() -> None:
    folder = _folder()
    for table in (AVAILABLE, ALIASES, HASHES):
        table.clear()
    for file in folder.entries() if folder is not None else ():
        known = NetworkOnDisk(folder.name_of(file), str(file.path), file)
        AVAILABLE[known.name] = known
        ALIASES.setdefault(known.alias, known)
        ALIASES[known.name] = known


def update_available_networks_by_names(names: Sequence[str]) -> None:
    """Look at the folders again."""
    list_available_networks()


def load_network(name: str, network_on_disk: Any) -> Network:
    """Return a network that a file holds."""
    net = Network(name, network_on_disk)
    net._make = _modules
    return net


def load_networks(
    names: Sequence[str], te_multipliers: Any = None, unet_multipliers: Any = None, dyn_dims: Any = None
) -> None:
    """Have exactly these networks, by name, from the next pass on; names without a file are left out."""
    LOADED.clear()
    for place, name in enumerate(names):
        file = _find(name)
        if file is None:
            continue
        net = load_network(name, NetworkOnDisk(name, str(file.path), file))
        net.te_multiplier = te_multipliers[place] if te_multipliers else 1.0
        net.unet_multiplier = unet_multipliers[place] if unet_multipliers else 1.0
        net.dyn_dim = dyn_dims[place] if dyn_dims else None
        LOADED.append(net)


def _find(name: str) -> NetworkFile | None:
    folder = _folder()
    return folder.find(name) if folder is not None else None


def _modules(net: Network) -> dict[str, NetworkModule]:
    """Return what a network does to each layer of the model that counts now, by the layer's name."""
    present_view()
    patcher, file = present_model().patcher, net.network_on_disk.file
    found: dict[str, NetworkModule] = {}
    for written, change in patcher.content(file).modules.items():
        for layer in patcher.layers(written):
            key = getattr(layer, "network_layer_name", written)
            found[key] = module_of(net, written, key, layer, change)
    return found


def prepare(p: Any, data: Any) -> None:
    """Fill `loaded_networks` with what the tags of a batch's first prompt ask for, before scripts see it."""
    if not AVAILABLE:
        _fill()
    tags = [params for kind, every in (data or {}).items() if kind in LORA_KINDS for params in every]
    strengths = [_strengths(params) for params in tags]
    names = [params.positional[0] if params.positional else "" for params in tags]
    load_networks(names, [each[0] for each in strengths], [each[1] for each in strengths], [e[2] for e in strengths])
    PREPARED[:] = LOADED
    for net in LOADED:
        net.before = (net.te_multiplier, net.unet_multiplier, net.dyn_dim)


def _strengths(params: Any) -> tuple[float, float, int | None]:
    """Return the strengths on text encoder and U-Net, and the rank, as a tag's arguments have them."""
    text = float(params.named.get("te", params.positional[1] if len(params.positional) > 1 else 1.0))
    unet = float(params.named.get("unet", params.positional[2] if len(params.positional) > 2 else text))
    rank = params.named.get("dyn", params.positional[3] if len(params.positional) > 3 else None)
    return text, unet, int(rank) if rank is not None else None


def edit(chosen: ChosenNetworks) -> None:
    """Bring what a pass is about to use to what extensions have made of it."""
    waiting = list(PREPARED)
    uses: list[LoraUse] = []
    for use in chosen.uses:
        net = next((net for net in waiting if net.network_on_disk.filename == str(use.file.path)), None)
        if net is None:
            uses.append(use)
            continue
        waiting.remove(net)
        if net in LOADED:
            uses.append(_changed(net, use))
    added = [net for net in LOADED if net not in PREPARED and isinstance(net.network_on_disk.file, NetworkFile)]
    uses += [_changed(net, LoraUse(net.network_on_disk.file, 1.0, 1.0)) for net in added]
    chosen.uses = uses


def _changed(net: Network, use: LoraUse) -> LoraUse:
    now = (net.te_multiplier, net.unet_multiplier, net.dyn_dim)
    if now != getattr(net, "before", None):
        use = replace(use, text_strength=float(now[0]), unet_strength=float(now[1]), dyn=now[2])
    content = _content(net) if net.looked_at else None
    return use if content is None else replace(use, content=content)


def _content(net: Network) -> Lora | None:
    """Return what a network's modules hold now; None as long as that is what the file holds."""
    patcher = present_model().patcher
    original = patcher.content(net.network_on_disk.file)
    now = {module.network_key: module.change() for module in net.modules.values()}
    # Of a layer that this model does not have there is no module, and one that an extension took out is gone.
    changes = {
        written: now.get(written, change)
        for written, change in original.modules.items()
        if written in now or not patcher.layers(written)
    }
    if changes == original.modules:
        return None
    known: Lora | None = getattr(net, "content", None)
    if known is None or changes != known.modules:
        known = net.content = replace(original, modules=changes)
    return known


def network_restore_weights_from_backup(self: nn.Module) -> None:
    """Give all layers their original weights back; the next pass puts its networks in again."""
    present_model().patcher.clear()


def network_reset_cached_weight(self: nn.Module) -> None:
    """Do nothing: weights are put in once for a pass, and nothing is kept of them in layers."""


def network_apply_weights(self: nn.Module) -> None:
    """Do nothing: a pass's networks are in all layers before it begins."""


def purge_networks_from_memory() -> None:
    """Do nothing: the engine keeps as many files as the option says."""


def assign_network_names_to_compvis_modules(sd_model: Any) -> None:
    """Have the model's layers know their names, as those of every model that is looked into do."""
    present_view()


def network_forward(org_module: nn.Module, input: Any, original_forward: Any) -> Any:  # noqa: A002 (A1111's name)
    """Return a layer's output with all loaded networks, none of which are in its weights."""
    network_restore_weights_from_backup(org_module)
    y = original_forward(org_module, input)
    name = getattr(org_module, "network_layer_name", None)
    for net in LOADED:
        module = net.modules.get(name) if name is not None else None
        if module is not None and hasattr(module, "forward"):
            y = module.forward(input, y)
    return y


def connect() -> None:
    """Have the adapter tell this module of batches and passes."""
    HOST.own_state["before networks"] = (prepare,)
    HOST.own_state["networks edited by"] = edit
    _fill()


connect()
