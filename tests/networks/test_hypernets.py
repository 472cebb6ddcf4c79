"""Hypernetworks do to attention what their files say, one after the other, and leave no trace."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from modules.networks.hypernets import HypernetworkPatcher, HypernetworkUse, read_hypernetwork
from tests.networks.test_lora import Malice
from tests.networks.tiny import OnDisk, on_disk, random

WIDTH, OTHER = 6, 4


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = nn.Linear(OTHER, 3), nn.Linear(WIDTH, 3), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, ...]:
        return self.to_q(x), self.to_k(context), self.to_v(context)


class Unet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn2 = Attention()


@pytest.fixture
def unet() -> Unet:
    torch.manual_seed(3)
    return Unet().requires_grad_(False)


def sequential(sizes: list[float], seed: int, extra: list[nn.Module] | None = None) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = [nn.Linear(int(WIDTH * a), int(WIDTH * b)) for a, b in pairwise(sizes)]
    if extra is None:
        return nn.Sequential(*layers)
    mixed = [layer for pair in zip(layers, extra, strict=True) for layer in pair]
    return nn.Sequential(*(layer for layer in mixed if not isinstance(layer, nn.Flatten)))


def tables(network: nn.Sequential) -> dict[str, Tensor]:
    return {f"linear.{name}": tensor for name, tensor in network.state_dict().items()}


def write(path: Path, keys: nn.Sequential, values: nn.Sequential, **facts: object) -> OnDisk:
    torch.save({WIDTH: (tables(keys), tables(values)), "step": 5, "name": "x", "sd_checkpoint": None, **facts}, path)
    return on_disk(path)


def attended(unet: Unet) -> tuple[Tensor, ...]:
    result: tuple[Tensor, ...] = unet.attn2(random(2, 5, OTHER), random(2, 7, WIDTH))
    return result


def test_keys_and_values_go_through_their_own_network_times_its_strength(tmp_path: Path, unet: Unet) -> None:
    keys, values = sequential([1, 2, 1], 1), sequential([1, 2, 1], 2)
    use = HypernetworkUse(write(tmp_path / "a.pt", keys, values, layer_structure=[1, 2, 1]), 0.5)
    before, context = attended(unet), random(2, 7, WIDTH)
    patcher = HypernetworkPatcher(unet)
    assert patcher.set([use]) == {}
    query, key, value = attended(unet)
    assert torch.equal(query, before[0])
    torch.testing.assert_close(key, unet.attn2.to_k.forward(context + 0.5 * keys(context)))
    torch.testing.assert_close(value, unet.attn2.to_v.forward(context + 0.5 * values(context)))
    patcher.set([])
    assert all(torch.equal(one, other) for one, other in zip(attended(unet), before, strict=True))


def test_several_act_one_after_the_other(tmp_path: Path, unet: Unet) -> None:
    first, second = sequential([1, 1], 1), sequential([1, 1], 2)
    uses = [HypernetworkUse(write(tmp_path / f"{name}.pt", it, it, layer_structure=[1, 1]), strength)
            for name, it, strength in (("a", first, 1.0), ("b", second, -2.0))]  # fmt: skip
    HypernetworkPatcher(unet).set(uses)
    context = random(2, 7, WIDTH)
    context = context + first(context)
    context = context - 2 * second(context)
    torch.testing.assert_close(attended(unet)[1], unet.attn2.to_k.forward(context))


def test_a_width_that_the_network_lacks_is_left_alone(tmp_path: Path) -> None:
    unet = Unet().requires_grad_(False)
    unet.attn2.to_v = nn.Linear(OTHER, 3)
    network = sequential([1, 2, 1], 1)
    HypernetworkPatcher(unet).set([HypernetworkUse(write(tmp_path / "a.pt", network, network), 1.0)])
    other = random(2, 7, OTHER)
    assert torch.equal(unet.attn2.to_v(other), unet.attn2.to_v.forward(other))


@pytest.mark.parametrize(
    ("activation", "layer"),
    [("relu", nn.ReLU()), ("leakyrelu", nn.LeakyReLU()), ("elu", nn.ELU()), ("swish", nn.Hardswish()),
     ("tanh", nn.Tanh()), ("sigmoid", nn.Sigmoid()), ("mish", nn.Mish()), ("softsign", nn.Softsign()),
     ("softmax", nn.Softmax(dim=0)), ("linear", nn.Flatten()), (None, nn.Flatten())],
)  # fmt: skip
@pytest.mark.parametrize("on_output", [True, False])
def test_every_activation_stands_between_the_layers(
    tmp_path: Path, activation: str | None, layer: nn.Module, on_output: bool
) -> None:
    network = sequential([1, 1.5, 1], 1, [layer, layer if on_output else nn.Flatten()])
    file = write(tmp_path / "a.pt", network, network, layer_structure=[1, 1.5, 1], activation_func=activation,
                 activate_output=on_output)  # fmt: skip
    built = read_hypernetwork(file).pairs[WIDTH][0]
    context = random(2, 7, WIDTH)
    torch.testing.assert_close(built(context), network(context))


def test_norms_and_dropouts_keep_their_places_and_dropouts_do_nothing(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Linear(WIDTH, 12), nn.ReLU(), nn.LayerNorm(12), nn.Dropout(0.3), nn.Linear(12, 12), nn.ReLU(),
        nn.LayerNorm(12), nn.Linear(12, WIDTH), nn.LayerNorm(WIDTH),
    ).eval()  # fmt: skip
    facts = {"layer_structure": [1, 2, 2, 1], "activation_func": "relu", "is_layer_norm": True,
             "activate_output": False}  # fmt: skip
    context = random(2, 7, WIDTH)
    for number, how in enumerate(({"use_dropout": True}, {"dropout_structure": [0, 0.3, 0, 0]})):
        file = write(tmp_path / f"{number}.pt", network, network, **facts, **how)
        torch.testing.assert_close(read_hypernetwork(file).pairs[WIDTH][1](context), network(context))


def test_the_oldest_files_have_two_layers_of_other_names_and_say_nothing(tmp_path: Path) -> None:
    network = sequential([1, 2, 1], 1)
    old = {f"linear{int(name[0]) + 1}{name[1:]}": tensor for name, tensor in network.state_dict().items()}
    torch.save({WIDTH: (old, old)}, tmp_path / "old.pt")
    context = random(2, 7, WIDTH)
    pair = read_hypernetwork(on_disk(tmp_path / "old.pt")).pairs[WIDTH]
    torch.testing.assert_close(pair[0](context), network(context))


def test_half_precision_comes_back_as_such(tmp_path: Path, unet: Unet) -> None:
    unet.bfloat16()
    network = sequential([1, 2, 1], 1)
    HypernetworkPatcher(unet).set([HypernetworkUse(write(tmp_path / "a.pt", network, network), 1.0)])
    assert unet.attn2.to_k(random(2, 7, WIDTH, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_what_cannot_be_used_is_named_and_the_others_act(tmp_path: Path, unet: Unet) -> None:
    good = sequential([1, 2, 1], 1)
    (tmp_path / "page.pt").write_bytes(b"<html>")
    torch.save({"emb_params": random(2, 2)}, tmp_path / "embedding.pt")
    torch.save({OTHER * 10: (tables(good), tables(good))}, tmp_path / "misfit.pt")
    torch.save({WIDTH: (Malice(tmp_path / "ran"), {})}, tmp_path / "evil.pt")
    write(tmp_path / "odd.pt", good, good, activation_func="explode")
    write(tmp_path / "sizes.pt", good, good, layer_structure=[2, 1])
    foreign = sequential([1, 2, 1], 1)
    torch.save({99: ({"linear.0.weight": random(198, 99), "linear.0.bias": random(198), "linear.1.bias": random(99),
                      "linear.1.weight": random(99, 198)},) * 2}, tmp_path / "foreign.pt")  # fmt: skip
    names = ("page", "embedding", "misfit", "evil", "odd", "sizes", "foreign", "gone")
    bad = [HypernetworkUse(on_disk(tmp_path / f"{name}.pt"), 1.0) for name in names]
    use = HypernetworkUse(write(tmp_path / "good.pt", good, good), 1.0)
    patcher = HypernetworkPatcher(unet)
    refused = patcher.set([*bad, use])
    assert set(refused) == set(bad)
    assert all(f"{it.file.name}.pt" in refused[it] for it in bad)
    assert not (tmp_path / "ran").exists()
    assert patcher.set([*bad, use]) is refused
    context = random(2, 7, WIDTH)
    torch.testing.assert_close(attended(unet)[1], unet.attn2.to_k.forward(context + foreign(context)))
