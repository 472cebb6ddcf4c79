"""Weights follow the set of networks that is asked for, and come back bit for bit."""

import logging
import re
from pathlib import Path

import pytest
import torch
from accelerate import cpu_offload
from torch import Tensor, nn

from modules.networks.kinds.low_rank import LowRank
from modules.networks.lora import LoraCache, read_lora
from modules.networks.patching import LoraUse, NetworkPatcher
from tests.networks.tiny import (
    TEXT_LINEAR,
    UNET_CONV_3,
    UNET_LINEAR,
    OldTextEncoder,
    TextEncoder,
    Unet,
    delta,
    lora_file,
    lora_tensors,
    on_disk,
    random,
)

LAYERS = 4


def weights(*networks: nn.Module) -> dict[str, Tensor]:
    return {
        f"{number}.{name}": tensor.clone()
        for number, network in enumerate(networks)
        for name, tensor in network.state_dict().items()
    }


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Bit by bit."""
    return all(torch.equal(bits(first[name]), bits(second[name])) for name in first)


def bits(tensor: Tensor) -> Tensor:
    return tensor.flatten().contiguous().view(torch.uint8)


def changed(first: dict[str, Tensor], second: dict[str, Tensor]) -> set[str]:
    return {name for name in first if not torch.equal(first[name], second[name])}


def test_every_kind_of_layer_gets_its_change_times_its_strength(
    tmp_path: Path, unet: Unet, text_encoder: TextEncoder
) -> None:
    before = weights(unet, text_encoder)
    file = lora_file(tmp_path / "a.safetensors")
    NetworkPatcher(unet, text_encoder).set([LoraUse(file, 0.5, -2.0)])
    after = weights(unet, text_encoder)
    changes = read_lora(file).modules
    expected = {
        "0.down_blocks.0.attentions.0.to_q.weight": delta(changes[UNET_LINEAR], (5, 6)) * -2,
        "0.conv_in.weight": delta(changes[UNET_CONV_3], (6, 4, 3, 3)) * -2,
        "1.encoder.layers.0.self_attn.q_proj.weight": delta(changes[TEXT_LINEAR], (8, 8)) * 0.5,
    }
    for name, change in expected.items():
        torch.testing.assert_close(after[name], before[name] + change)
    assert changed(before, after) == {*expected, "0.down_blocks.0.attentions.0.proj_in.weight"}


def test_the_older_text_encoder_has_the_same_layers(tmp_path: Path, unet: Unet) -> None:
    encoder = OldTextEncoder()
    before = weights(encoder)
    NetworkPatcher(unet, encoder).set([LoraUse(lora_file(tmp_path / "a.safetensors"), 1.0, 1.0)])
    assert changed(before, weights(encoder)) == {"0.text_model.encoder.layers.0.self_attn.q_proj.weight"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_are_bit_equal_again_after_many_changes(
    tmp_path: Path, unet: Unet, text_encoder: TextEncoder, dtype: torch.dtype
) -> None:
    unet.to(dtype).to(memory_format=torch.channels_last)
    text_encoder.to(dtype)
    # Some values that careless arithmetic would not bring back.
    unet.conv_in.weight[0, 0, 0] = torch.tensor([-0.0, 1e-7, 60000.0], dtype=dtype)
    before = weights(unet, text_encoder)
    first = lora_file(tmp_path / "a.safetensors")
    second = lora_file(tmp_path / "b.safetensors", {k: v for k, v in lora_tensors(seed_shift=7).items() if "unet" in k})
    patcher = NetworkPatcher(unet, text_encoder)
    patcher.set([LoraUse(first, 1.0, 1.0)])
    alone = weights(unet, text_encoder)
    for strength in (0.3, 1.7, -1.0):
        patcher.set([LoraUse(first, strength, strength), LoraUse(second, 1.0, 1.0)])
        patcher.set([LoraUse(second, 1.0, strength)])
    patcher.set([LoraUse(first, 1.0, 1.0)])
    assert same(alone, weights(unet, text_encoder))
    patcher.set([])
    assert same(before, weights(unet, text_encoder))


def test_half_precision_weights_are_rounded_once(tmp_path: Path, unet: Unet, text_encoder: TextEncoder) -> None:
    unet.half()
    weight = unet.down_blocks[0].attentions[0].to_q.weight
    original = weight.float()
    file = lora_file(tmp_path / "a.safetensors")
    NetworkPatcher(unet, text_encoder).set([LoraUse(file, 0.0, 2**-7), LoraUse(file, 0.0, 2**-6)])
    change = delta(read_lora(file).modules[UNET_LINEAR], (5, 6))
    assert torch.equal(weight, (original + change * 2**-7 + change * 2**-6).half())


def test_the_same_set_again_touches_nothing(
    tmp_path: Path, unet: Unet, text_encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    patcher = NetworkPatcher(unet, text_encoder)
    uses = [LoraUse(lora_file(tmp_path / "a.safetensors"), 1.0, 0.5, 1)]
    patcher.set(uses)
    unet.conv_in.weight[0, 0, 0, 0] = 12345
    marked = weights(unet, text_encoder)
    monkeypatch.setattr(LowRank, "add_to", None)
    patcher.set(list(uses))
    assert same(marked, weights(unet, text_encoder))


def test_a_file_that_changed_on_disk_is_applied_anew(tmp_path: Path, unet: Unet, text_encoder: TextEncoder) -> None:
    patcher = NetworkPatcher(unet, text_encoder)
    file = lora_file(tmp_path / "a.safetensors")
    patcher.set([LoraUse(file, 1.0, 1.0)])
    old = weights(unet)
    lora_file(file.path, lora_tensors(rank=3))
    patcher.set([LoraUse(file, 1.0, 1.0)])
    assert changed(old, weights(unet))


def test_the_rank_can_be_cut(tmp_path: Path, unet: Unet, text_encoder: TextEncoder) -> None:
    file = lora_file(tmp_path / "a.safetensors", lora_tensors(torch.float32))
    weight = unet.down_blocks[0].attentions[0].to_q.weight
    before = weight.clone()
    NetworkPatcher(unet, text_encoder).set([LoraUse(file, 1.0, 1.0, dyn=1)])
    torch.testing.assert_close(weight, before + delta(read_lora(file).modules[UNET_LINEAR], (5, 6), dyn=1))


def test_strength_zero_leaves_a_network_alone(tmp_path: Path, unet: Unet, text_encoder: TextEncoder) -> None:
    before = weights(unet, text_encoder)
    NetworkPatcher(unet, text_encoder).set([LoraUse(lora_file(tmp_path / "a.safetensors"), 1.0, 0.0)])
    assert changed(before, weights(unet, text_encoder)) == {"1.encoder.layers.0.self_attn.q_proj.weight"}


def test_a_failure_while_applying_brings_the_original_weights_back(
    tmp_path: Path, unet: Unet, text_encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = weights(unet, text_encoder)
    patcher = NetworkPatcher(unet, text_encoder)
    uses = [LoraUse(lora_file(tmp_path / "a.safetensors"), 1.0, 1.0)]
    patcher.set(uses)
    calls, add = [], LowRank.add_to

    def failing(change: LowRank, weight: Tensor, strength: float, dyn: int | None = None) -> None:
        calls.append(strength)
        add(change, weight, strength, dyn)
        if len(calls) == LAYERS - 1:
            raise torch.OutOfMemoryError("no memory left")

    monkeypatch.setattr(LowRank, "add_to", failing)
    with pytest.raises(torch.OutOfMemoryError):
        patcher.set([LoraUse(uses[0].file, 2.0, 2.0)])
    assert same(before, weights(unet, text_encoder))
    monkeypatch.undo()
    patcher.set(uses)
    assert changed(before, weights(unet, text_encoder))


def test_a_file_that_cannot_be_used_is_left_out_and_the_others_act(
    tmp_path: Path, unet: Unet, text_encoder: TextEncoder
) -> None:
    before = weights(unet, text_encoder)
    good = LoraUse(lora_file(tmp_path / "a.safetensors"), 1.0, 1.0)
    bad = LoraUse(lora_file(tmp_path / "b.safetensors", {"weight": random(2, 2)}), 1.0, 1.0)
    gone = LoraUse(on_disk(tmp_path / "gone.safetensors"), 1.0, 1.0)
    patcher = NetworkPatcher(unet, text_encoder)
    patcher.set([good])
    applied = weights(unet, text_encoder)
    outcome = patcher.set([bad, good, gone])
    assert same(applied, weights(unet, text_encoder))
    assert set(outcome.refused) == {bad, gone}
    assert "b.safetensors" in outcome.refused[bad]
    assert "gone.safetensors" in outcome.refused[gone]
    patcher.set([bad])
    assert same(before, weights(unet, text_encoder))


REFUSALS = [
    (
        {f"{UNET_LINEAR}.lora_up.weight": random(5, 2), f"{UNET_LINEAR}.lora_down.weight": random(2, 9)},
        rf"another kind of model \(its {UNET_LINEAR} is \(5, 9\), this model's \(5, 6\)\)",
    ),
    (
        {"lora_te2_x.lora_up.weight": random(5, 2), "lora_te2_x.lora_down.weight": random(2, 9)},
        "it was made for SDXL, this checkpoint is SD 1.x",
    ),
    (
        {"lora_unet_x.lora_up.weight": random(5, 2), "lora_unet_x.lora_down.weight": random(2, 9)},
        "none of its layers is one of this model's .*lora_unet_x",
    ),
    (
        {"lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight": random(5, 2),
         "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": random(2, 9)},
        "it was made for Flux, this checkpoint is SD 1.x",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("tensors", "reason"), REFUSALS)
def test_a_file_for_another_model_is_refused(
    tmp_path: Path, unet: Unet, text_encoder: TextEncoder, tensors: dict[str, Tensor], reason: str
) -> None:
    before = weights(unet, text_encoder)
    use = LoraUse(lora_file(tmp_path / "foreign.safetensors", tensors), 1.0, 1.0)
    outcome = NetworkPatcher(unet, text_encoder, kind="SD 1.x").set([use])
    assert re.search(rf"foreign\.safetensors .*{reason}", outcome.refused[use])
    assert same(before, weights(unet, text_encoder))


def test_a_few_layers_that_do_not_fit_are_left_out_with_a_remark(
    tmp_path: Path, unet: Unet, text_encoder: TextEncoder
) -> None:
    tensors = lora_tensors() | {f"{UNET_LINEAR}.lora_down.weight": random(2, 9)}
    before = weights(unet, text_encoder)
    use = LoraUse(lora_file(tmp_path / "a.safetensors", tensors), 1.0, 1.0)
    outcome = NetworkPatcher(unet, text_encoder).set([use])
    assert outcome.refused == {}
    assert outcome.remarks == ("1 layers of the network a.safetensors do not fit this model and were left out.",)
    assert len(changed(before, weights(unet, text_encoder))) == LAYERS - 1


def test_only_what_differs_is_touched_and_files_in_use_are_not_read_again(
    tmp_path: Path, unet: Unet, text_encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = lora_tensors()
    text = lora_file(tmp_path / "t.safetensors", {name: it for name, it in tensors.items() if "_te_" in name})
    convs = lora_file(tmp_path / "c.safetensors", {name: it for name, it in tensors.items() if "conv_in" in name})
    cache = LoraCache(lambda: 0)
    patcher = NetworkPatcher(unet, text_encoder, cache)
    patcher.set([LoraUse(text, 1.0, 1.0), LoraUse(convs, 1.0, 1.0)])
    text_encoder.encoder["layers"][0].self_attn["q_proj"].weight[0, 0] = 12345
    monkeypatch.setattr(cache, "get", None)
    layers: list[int] = []
    before = weights(unet, text_encoder)
    patcher.set([LoraUse(text, 1.0, 1.0), LoraUse(convs, 1.0, 0.5)], lambda: layers.append(1))
    assert changed(before, weights(unet, text_encoder)) == {"0.conv_in.weight"}
    assert len(layers) == 1


def test_a_stop_between_two_layers_brings_the_original_weights_back(
    tmp_path: Path, unet: Unet, text_encoder: TextEncoder
) -> None:
    before = weights(unet, text_encoder)
    patcher = NetworkPatcher(unet, text_encoder)
    calls: list[int] = []

    def stop_at_the_third() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    use = LoraUse(lora_file(tmp_path / "a.safetensors"), 1.0, 1.0)
    with pytest.raises(KeyboardInterrupt):
        patcher.set([use], stop_at_the_third)
    assert same(before, weights(unet, text_encoder))
    patcher.set([use])
    assert len(changed(before, weights(unet, text_encoder))) == LAYERS


@pytest.mark.parametrize("has_bias", [True, False])
def test_biases_and_norms_change_and_come_back(tmp_path: Path, text_encoder: TextEncoder, has_bias: bool) -> None:
    unet = nn.ModuleDict({"a": nn.Linear(4, 3, bias=has_bias), "n": nn.GroupNorm(2, 4), "m": nn.LayerNorm(4)})
    unet.requires_grad_(False)
    file = lora_file(tmp_path / "a.safetensors", {
        "lora_unet_a.diff": random(3, 4), "lora_unet_a.diff_b": random(3), "lora_unet_n.w_norm": random(4),
        "lora_unet_n.b_norm": random(4, seed=1), "lora_unet_m.w_norm": random(4, seed=2),
    })  # fmt: skip
    before = weights(unet)
    picture, bias = random(1, 4), unet["a"].bias.clone() if has_bias else torch.zeros(3)
    out = unet["a"](picture)
    patcher = NetworkPatcher(unet, text_encoder)
    patcher.set([LoraUse(file, 1.0, 0.5)])
    wanted = nn.functional.linear(picture, before["0.a.weight"] + random(3, 4) / 2, bias + random(3) / 2)
    torch.testing.assert_close(unet["a"](picture), wanted)
    torch.testing.assert_close(unet["n"].bias, before["0.n.bias"] + random(4, seed=1) / 2)
    torch.testing.assert_close(unet["m"].weight, before["0.m.weight"] + random(4, seed=2) / 2)
    patcher.set([LoraUse(file, 1.0, 1.5)])
    patcher.set([])
    assert torch.equal(unet["a"](picture), out)
    assert set(weights(unet)) == set(before)
    assert same(before, weights(unet))


def test_weights_in_eight_bits_are_changed_and_come_back(tmp_path: Path, text_encoder: TextEncoder) -> None:
    unet = nn.ModuleDict({"a": nn.Linear(4, 3)}).requires_grad_(False)
    unet["a"].weight.data = unet["a"].weight.data.to(torch.float8_e4m3fn)
    before = weights(unet)
    file = lora_file(tmp_path / "a.safetensors", {"lora_unet_a.diff": random(3, 4)})
    patcher = NetworkPatcher(unet, text_encoder)
    patcher.set([LoraUse(file, 1.0, 1.0)])
    wanted = (before["0.a.weight"].float() + random(3, 4)).to(torch.float8_e4m3fn)
    assert torch.equal(unet["a"].weight.float(), wanted.float())
    patcher.set([])
    assert same(before, weights(unet))


def test_the_first_convolution_of_an_inpainting_model_changes_in_its_latents_alone(
    tmp_path: Path, text_encoder: TextEncoder
) -> None:
    unet = nn.ModuleDict({"conv_in": nn.Conv2d(9, 6, 3)}).requires_grad_(False)
    before = unet["conv_in"].weight.clone()
    file = lora_file(tmp_path / "a.safetensors", {k: v for k, v in lora_tensors().items() if "conv_in" in k})
    change = delta(read_lora(file).modules[UNET_CONV_3], (6, 4, 3, 3))
    NetworkPatcher(unet, text_encoder).set([LoraUse(file, 1.0, 1.0)])
    torch.testing.assert_close(unet["conv_in"].weight[:, :4], before[:, :4] + change)
    assert torch.equal(unet["conv_in"].weight[:, 4:], before[:, 4:])


def test_unknown_names_in_a_file_are_told_once(
    tmp_path: Path, unet: Unet, text_encoder: TextEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    extra = {"lora_unet_elsewhere.lora_up.weight": random(5, 2), "lora_unet_elsewhere.lora_down.weight": random(2, 6)}
    file = lora_file(tmp_path / "a.safetensors", lora_tensors() | extra | {"bundle_emb.x": random(2, 2)})
    patcher = NetworkPatcher(unet, text_encoder)
    with caplog.at_level(logging.WARNING):
        for strength in (1.0, 2.0):
            patcher.set([LoraUse(file, strength, strength)])
    (record,) = caplog.records
    assert "1 names" in record.getMessage()
    assert "lora_unet_elsewhere" in record.getMessage()


def test_models_can_share_the_files_in_memory(tmp_path: Path, unet: Unet, text_encoder: TextEncoder) -> None:
    cache = LoraCache()
    use = LoraUse(lora_file(tmp_path / "a.safetensors"), 1.0, 1.0)
    NetworkPatcher(unet, text_encoder, cache).set([use])
    kept = cache.get(use.file)
    NetworkPatcher(Unet(), TextEncoder(), cache).set([use])
    assert cache.get(use.file) is kept


def test_a_model_streamed_layer_by_layer_is_patched_where_its_weights_lie(
    tmp_path: Path, unet: Unet, text_encoder: TextEncoder
) -> None:
    use = LoraUse(lora_file(tmp_path / "a.safetensors"), 1.0, 1.0)
    picture = random(1, 4, 5, 5)
    plain = unet(picture)
    whole = NetworkPatcher(unet, text_encoder)
    whole.set([use])
    patched = unet(picture)
    whole.set([])
    cpu_offload(unet, execution_device=torch.device("cpu"))
    assert unet.conv_in.weight.is_meta
    streamed = NetworkPatcher(unet, text_encoder)
    streamed.set([use])
    assert torch.equal(unet(picture), patched)
    streamed.set([])
    assert torch.equal(unet(picture), plain)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_weights_on_the_gpu_are_bit_equal_again_and_patched_as_on_the_cpu(
    tmp_path: Path, unet: Unet, text_encoder: TextEncoder
) -> None:
    use = LoraUse(lora_file(tmp_path / "a.safetensors"), 1.0, 1.0)
    unet.half()
    before = weights(unet)
    NetworkPatcher(unet, text_encoder).set([use])
    on_cpu = weights(unet)
    other = Unet().half()
    other.load_state_dict({name.removeprefix("0."): tensor for name, tensor in before.items()})
    other.cuda()
    patcher = NetworkPatcher(other, text_encoder)
    patcher.set([use])
    for name, tensor in weights(other).items():
        torch.testing.assert_close(tensor.cpu(), on_cpu[name], atol=2e-3, rtol=2e-3)
    patcher.set([])
    assert same(before, {name: tensor.cpu() for name, tensor in weights(other).items()})


def test_a_layer_without_bias_gets_none_while_it_is_streamed(tmp_path: Path, text_encoder: TextEncoder) -> None:
    unet = nn.ModuleDict({"a": nn.Linear(4, 3, bias=False)}).requires_grad_(False)
    file = lora_file(tmp_path / "a.safetensors", {"lora_unet_a.diff": random(3, 4), "lora_unet_a.diff_b": random(3)})
    picture = random(1, 4)
    before, wanted = unet["a"](picture), nn.functional.linear(picture, unet["a"].weight + random(3, 4))
    cpu_offload(unet, execution_device=torch.device("cpu"))
    patcher = NetworkPatcher(unet, text_encoder)
    patcher.set([LoraUse(file, 1.0, 1.0)])
    torch.testing.assert_close(unet["a"](picture), wanted)
    patcher.set([])
    assert torch.equal(unet["a"](picture), before)


def test_a_change_of_open_clips_fused_projection_goes_to_its_three_layers(tmp_path: Path) -> None:
    encoder = nn.Module()
    encoder.encoder = nn.ModuleDict({"layers": nn.ModuleList([nn.ModuleDict({"self_attn": nn.ModuleDict(
        {name: nn.Linear(4, 4) for name in ("q_proj", "k_proj", "v_proj", "out_proj")})})])})  # fmt: skip
    encoder.requires_grad_(False)
    layer = "lora_te_model_transformer_resblocks_0_attn_in_proj"
    up, down = random(12, 2), random(2, 4, seed=1)
    file = lora_file(tmp_path / "a.safetensors", {f"{layer}.lora_up.weight": up, f"{layer}.lora_down.weight": down})
    before = weights(encoder)
    patcher = NetworkPatcher(Unet(), encoder)
    patcher.set([LoraUse(file, 0.5, 1.0)])
    after = weights(encoder)
    for piece, name in enumerate(("q_proj", "k_proj", "v_proj")):
        key = f"0.encoder.layers.0.self_attn.{name}.weight"
        torch.testing.assert_close(after[key], before[key] + 0.5 * up[piece * 4 : piece * 4 + 4] @ down)
    assert len(changed(before, after)) == 3
    turning = lora_file(tmp_path / "b.safetensors", {f"{layer}.oft_blocks": random(6, 2, 2)})
    use = LoraUse(turning, 1.0, 1.0)
    assert use in patcher.set([use]).refused
    assert same(before, weights(encoder))
