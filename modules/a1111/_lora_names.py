"""A1111's module `lora`: the older names of what `networks` has."""

from modules.a1111 import _lora_networks as networks

list_available_loras = networks.list_available_networks
load_loras = networks.load_networks
available_loras = networks.AVAILABLE
available_lora_aliases = networks.ALIASES
available_lora_hash_lookup = networks.HASHES
forbidden_lora_aliases = networks.FORBIDDEN
loaded_loras = networks.LOADED
