"""Its network, and its lists of networks, break when they are asked for."""

from modules import extra_networks, script_callbacks


class BrokenNetwork(extra_networks.ExtraNetwork):
    def activate(self, p, params_list):
        raise ValueError("broken network")


def broken(*args, **kwargs):
    raise ValueError("broken list")


extra_networks.register_extra_network(BrokenNetwork("broken"))
script_callbacks.on_list_unets(broken)
script_callbacks.on_list_optimizers(broken)
script_callbacks.on_before_token_counter(broken)
