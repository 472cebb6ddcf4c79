"""Every kind of network does what its paper says, written here element by element, and what A1111 makes of it."""

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from modules.networks.kinds.base import LayerChange, PartsProblem
from modules.networks.kinds.registry import KINDS, read_change
from tests.networks.tiny import random

OUT, IN, RANK = 6, 4, 2
KERNEL = (3, 3)
WEIGHT, CONV = random(OUT, IN, seed=50), random(OUT, IN, *KERNEL, seed=51)


def changed(parts: Mapping[str, Tensor], weight: Tensor, strength: float = 1.0, dyn: int | None = None) -> Tensor:
    """The weight with what the parts do to it."""
    change = read_change(parts)
    assert change.fits(weight.shape)
    result = weight.clone()
    change.add_to(result, strength, dyn)
    return result


def close(first: Tensor, second: Tensor) -> None:
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)


def number(value: float) -> Tensor:
    return torch.tensor(value)


RECORDED = load_file(Path(__file__).parents[1] / "data" / "network_kinds.safetensors")
"""What A1111 1.10.1 made of such parts at the strength 0.7, float32, CPU: weights, parts and changes by case."""
CASES = sorted({name.partition("/")[0] for name in RECORDED} - {"weight"})


@pytest.mark.parametrize("case", CASES)
def test_a1111_makes_the_same_change_of_the_same_parts(case: str) -> None:
    own = {name.removeprefix(f"{case}/"): it for name, it in RECORDED.items() if name.startswith(f"{case}/")}
    parts = {name.removeprefix("part/"): it for name, it in own.items() if name.startswith("part/")}
    (shape,) = (name.removeprefix("change/") for name in own if name.startswith("change/"))
    weight, wanted = RECORDED[f"weight/{shape}"], own[f"change/{shape}"]
    dyn = int(own["dyn"]) if "dyn" in own else None
    torch.testing.assert_close(changed(parts, weight, 0.7, dyn) - weight, wanted, atol=3e-6, rtol=3e-5)
    bias = read_change(parts).bias
    assert (bias is None) == ("bias" not in own)
    if bias is not None:
        torch.testing.assert_close(bias * 0.7, own["bias"])


def loha(shape_in: int = IN, middle: bool = False) -> dict[str, Tensor]:
    parts = {}
    for which in ("w1", "w2"):
        seed = 1 if which == "w1" else 2
        parts[f"hada_{which}_a"] = random(*((RANK, OUT) if middle else (OUT, RANK)), seed=seed)
        parts[f"hada_{which}_b"] = random(RANK, shape_in, seed=seed + 10)
        if middle:
            parts[f"hada_t{which[1]}"] = random(RANK, RANK, *KERNEL, seed=seed + 20)
    return parts


def test_loha_is_two_products_multiplied_element_by_element() -> None:
    parts = loha() | {"alpha": number(1.0)}
    result = changed(parts, WEIGHT, 2.0)
    for o in range(OUT):
        for i in range(IN):
            first = sum(parts["hada_w1_a"][o, r] * parts["hada_w1_b"][r, i] for r in range(RANK))
            second = sum(parts["hada_w2_a"][o, r] * parts["hada_w2_b"][r, i] for r in range(RANK))
            close(result[o, i], WEIGHT[o, i] + 2.0 * 0.5 * first * second)


def test_loha_of_a_convolution_comes_flattened_or_with_cores() -> None:
    flattened = loha(IN * math.prod(KERNEL))
    wanted = (flattened["hada_w1_a"] @ flattened["hada_w1_b"]) * (flattened["hada_w2_a"] @ flattened["hada_w2_b"])
    close(changed(flattened, CONV), CONV + wanted.view(CONV.shape))
    cores = loha(middle=True)
    product = torch.ones(CONV.shape)
    for which in ("1", "2"):
        a, b, t = cores[f"hada_w{which}_a"], cores[f"hada_w{which}_b"], cores[f"hada_t{which}"]
        product *= sum(
            t[r, s][None, None] * a[r][:, None, None, None] * b[s][None, :, None, None]
            for r in range(RANK) for s in range(RANK)
        )  # fmt: skip
    close(changed(cores, CONV), CONV + product)


def kron_by_hand(first: Tensor, second: Tensor) -> Tensor:
    rows = [torch.cat([first[a, c] * second for c in range(first.shape[1])], dim=1) for a in range(first.shape[0])]
    return torch.cat(rows, dim=0)


@pytest.mark.parametrize("first_in_factors", [False, True])
@pytest.mark.parametrize("second_in_factors", [False, True])
def test_lokr_lays_blocks_side_by_side(first_in_factors: bool, second_in_factors: bool) -> None:
    parts: dict[str, Tensor] = {"alpha": number(3.0)}
    first, second = random(2, 2, seed=3), random(3, 2, seed=4)
    if first_in_factors:
        parts |= {"lokr_w1_a": random(2, 1, seed=5), "lokr_w1_b": random(1, 2, seed=6)}
        first = parts["lokr_w1_a"] @ parts["lokr_w1_b"]
    else:
        parts["lokr_w1"] = first
    if second_in_factors:
        parts |= {"lokr_w2_a": random(3, 1, seed=7), "lokr_w2_b": random(1, 2, seed=8)}
        second = parts["lokr_w2_a"] @ parts["lokr_w2_b"]
    else:
        parts["lokr_w2"] = second
    # With both matrices whole there is no rank, and alpha says nothing.
    scale = 3.0 if first_in_factors or second_in_factors else 1.0
    close(changed(parts, WEIGHT), WEIGHT + scale * kron_by_hand(first, second))


def test_lokr_of_a_convolution_is_whole_flattened_or_with_a_core() -> None:
    first, kernel = random(2, 2, seed=3), random(3, 2, *KERNEL, seed=4)
    wanted = torch.stack(
        [kron_by_hand(first, kernel[:, :, y, x]) for y in range(3) for x in range(3)], dim=-1
    ).view(CONV.shape)  # fmt: skip
    close(changed({"lokr_w1": first, "lokr_w2": kernel}, CONV), CONV + wanted)
    left, right, core = random(1, 3, seed=5), random(1, 2, seed=6), random(1, 1, *KERNEL, seed=7)
    parts = {"lokr_w1": first, "lokr_w2_a": left, "lokr_w2_b": right, "lokr_t2": core}
    kernel = core[0, 0][None, None] * left[0][:, None, None, None] * right[0][None, :, None, None]
    whole = changed({"lokr_w1": first, "lokr_w2": kernel}, CONV)
    close(changed(parts, CONV), whole)
    flattened = {"lokr_w1": first, "lokr_w2_a": random(3, 1), "lokr_w2_b": random(1, 18)}
    kernel = (flattened["lokr_w2_a"] @ flattened["lokr_w2_b"]).view(3, 2, *KERNEL)
    close(changed(flattened, CONV), changed({"lokr_w1": first, "lokr_w2": kernel}, CONV))


@pytest.mark.parametrize("weight", [WEIGHT, CONV])
def test_ia3_scales_outputs_or_inputs(weight: Tensor) -> None:
    rows, columns = random(OUT), random(IN)
    out = changed({"weight": rows, "on_input": number(0)}, weight, 0.5)
    into = changed({"weight": columns.view(1, -1, *[1] * (weight.dim() - 2)), "on_input": number(1)}, weight, 0.5)
    for o in range(OUT):
        close(out[o], weight[o] * (1 + 0.5 * rows[o]))
    for i in range(IN):
        close(into[:, i], weight[:, i] * (1 + 0.5 * columns[i]))


@pytest.mark.parametrize("weight", [WEIGHT, CONV])
@pytest.mark.parametrize("alpha", [None, 0.0, 0.01])
def test_oft_turns_groups_of_outputs_and_keeps_their_lengths(weight: Tensor, alpha: float | None) -> None:
    blocks = random(3, 2, 2, seed=1)
    parts = {"oft_blocks": blocks} | ({} if alpha is None else {"alpha": number(alpha)})
    turned = changed(parts, weight)
    skew = blocks - blocks.mT
    if alpha:
        skew = skew / skew.norm() * alpha * OUT
    for group in range(3):
        q = skew[group]
        rotation = (torch.eye(2) + q) @ torch.linalg.inv(torch.eye(2) - q)
        rows = weight[group * 2 : group * 2 + 2].flatten(1)
        close(turned[group * 2 : group * 2 + 2].flatten(1), rotation.T @ rows)
    close(turned.flatten(1).norm(dim=0), weight.flatten(1).norm(dim=0))
    close(changed(parts, weight, 0.5), weight + 0.5 * (turned - weight))


def test_old_oft_files_hold_the_rotations_themselves() -> None:
    matrices = random(3, 2, 2)
    turned = changed({"oft_diag": matrices, "alpha": number(9.0)}, WEIGHT)
    close(turned, torch.cat([matrices[g].T @ WEIGHT[2 * g : 2 * g + 2] for g in range(3)]))


def test_boft_turns_partners_at_growing_distances() -> None:
    weight, blocks, rescale = random(8, 3), random(2, 4, 2, 2, seed=1), random(8, 1)
    wanted = weight.clone()
    for time in range(2):
        stride, pairs = 2**time, []
        for start in range(0, 8, 2 * stride):
            pairs += [(start + k, start + k + stride) for k in range(stride)]
        before = wanted.clone()
        for group, (one, other) in enumerate(pairs):
            q = blocks[time, group] - blocks[time, group].T
            rotation = (torch.eye(2) + q) @ torch.linalg.inv(torch.eye(2) - q)
            wanted[one] = rotation[0, 0] * before[one] + rotation[0, 1] * before[other]
            wanted[other] = rotation[1, 0] * before[one] + rotation[1, 1] * before[other]
    close(changed({"oft_blocks": blocks}, weight), wanted)
    close(changed({"oft_blocks": blocks, "rescale": rescale}, weight), wanted * rescale)


def glora(newer: bool) -> tuple[dict[str, Tensor], Tensor]:
    on_input = random(IN, RANK, seed=1), random(RANK, IN, seed=2)
    added = random(OUT, RANK, seed=3), random(RANK, IN, seed=4)
    names = ("a1", "a2", "b1", "b2") if newer else ("a2", "a1", "b2", "b1")
    parts = {f"{name}.weight": it for name, it in zip(names, (*on_input, *added), strict=True)}
    return parts | {"alpha": number(1.0)}, WEIGHT @ on_input[0] @ on_input[1] + added[0] @ added[1]


def test_glora_adds_a_product_with_the_weight_and_one_without() -> None:
    parts, wanted = glora(newer=False)
    close(changed(parts, WEIGHT, 0.5), WEIGHT + 0.5 * wanted)
    parts, wanted = glora(newer=True)
    close(changed(parts, WEIGHT, 0.5), WEIGHT + 0.5 / RANK * wanted)


@pytest.mark.parametrize("weight", [WEIGHT, CONV])
def test_differences_are_added_as_they_are(weight: Tensor) -> None:
    difference = random(*weight.shape, seed=9)
    close(changed({"diff": difference, "alpha": number(7.0)}, weight, 0.5), weight + 0.5 * difference)


def test_a_norm_has_a_difference_of_its_own_name_and_a_bias() -> None:
    change = read_change({"w_norm": random(5), "b_norm": random(5, seed=1)})
    assert change.fits((5,))
    assert not change.fits((4,))
    assert torch.equal(change.delta(torch.zeros(5)), random(5))
    assert change.bias is not None
    assert torch.equal(change.bias, random(5, seed=1))
    assert torch.equal(read_change({"diff_b": random(5)}).delta(torch.zeros(5, 2)), torch.zeros(5, 2))


def low_rank(scale: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    return {"lora_up.weight": random(OUT, RANK), "lora_down.weight": random(RANK, IN), **(scale or {})}


def test_a_scale_stands_before_alpha_and_a_bias_is_added_before_both() -> None:
    parts, bias = low_rank(), random(OUT, IN, seed=7)
    product = parts["lora_up.weight"] @ parts["lora_down.weight"]
    close(changed(low_rank({"scale": number(3.0), "alpha": number(9.0)}), WEIGHT), WEIGHT + 3 * product)
    close(changed(low_rank({"bias": bias, "alpha": number(1.0)}), WEIGHT, 0.5), WEIGHT + 0.25 * (product + bias))


LENGTHS = {"columns": (1, IN), "rows": (OUT, 1), "peft's rows": (OUT,)}


@pytest.mark.parametrize("side", LENGTHS)
def test_dora_gives_columns_or_rows_their_lengths(side: str) -> None:
    lengths = random(*LENGTHS[side], seed=3).abs() + 0.1
    parts = low_rank({"dora_scale": lengths, "alpha": number(4.0)})
    result = changed(parts, WEIGHT)
    moved = WEIGHT + 2 * (parts["lora_up.weight"] @ parts["lora_down.weight"])
    by_column = side == "columns"
    close(result.norm(dim=0 if by_column else 1), lengths.flatten())
    close(result / result.norm(dim=0 if by_column else 1, keepdim=True),
          moved / moved.norm(dim=0 if by_column else 1, keepdim=True))  # fmt: skip
    close(changed(parts, WEIGHT, 0.5), (WEIGHT + result) / 2)


def test_dora_works_on_every_low_rank_kind_and_on_convolutions() -> None:
    lengths = random(1, IN, 1, 1).abs()
    for parts in (loha(middle=True), {"lokr_w1": random(2, 2), "lokr_w2": random(3, 2, *KERNEL)}):
        result = changed(parts | {"dora_scale": lengths}, CONV)
        close(result.transpose(0, 1).flatten(1).norm(dim=1), lengths.flatten())


def test_a_column_of_zeros_stays_one_under_dora() -> None:
    weight = torch.zeros(OUT, IN)
    parts = {"diff": torch.zeros(OUT, IN), "dora_scale": torch.ones(1, IN)}
    assert torch.equal(changed(parts, weight), weight)


@settings(max_examples=30, deadline=None)
@given(out=st.integers(1, 6), inner=st.integers(1, 6), rank=st.integers(1, 4), strength=st.floats(-2, 2))
def test_low_rank_products_of_all_sizes_add_up(out: int, inner: int, rank: int, strength: float) -> None:
    up, down, weight = random(out, rank), random(rank, inner, seed=1), random(out, inner, seed=2)
    result = changed({"lora_up.weight": up, "lora_down.weight": down}, weight, strength)
    close(result, weight + strength * up @ down)


WRONG = [
    loha() | {"hada_w1_b": random(3, IN)},
    loha() | {"hada_w2_b": random(RANK, IN + 1)},
    {"lokr_w1": random(2), "lokr_w2": random(3, 2)},
    {"oft_blocks": random(3, 2, 3)},
    {"oft_blocks": random(2, 3, 3, 3)},
    {"oft_blocks": random(4, 3, 2, 2)},
    {"weight": random(2, 3), "on_input": number(0)},
    {**glora(False)[0], "b1.weight": random(RANK + 1, IN)},
    {"oft_blocks": random(3, 2, 2), "alpha": random(2)},
]


@pytest.mark.parametrize("parts", WRONG)
def test_parts_that_do_not_fit_each_other_are_refused(parts: dict[str, Tensor]) -> None:
    with pytest.raises(PartsProblem):
        read_change(parts)


MISFITS = [
    (low_rank(), (OUT, IN + 1)), (loha(), (OUT + 1, IN)), ({"oft_blocks": random(3, 2, 2)}, (8, IN)),
    ({"weight": random(OUT), "on_input": number(0)}, (OUT + 1, IN)), ({"diff": random(OUT, IN)}, (IN, OUT)),
    (low_rank({"dora_scale": random(1, IN + 1)}), (OUT, IN)), (low_rank({"bias": random(3)}), (OUT, IN)),
    ({"diff": random(OUT, IN), "diff_b": random(IN)}, (OUT, IN)),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "shape"), MISFITS)
def test_a_change_says_when_it_does_not_fit_a_weight(parts: dict[str, Tensor], shape: tuple[int, ...]) -> None:
    assert not read_change(parts).fits(shape)


def test_kinds_that_look_at_the_weight_say_so() -> None:
    looking = [{"oft_blocks": random(3, 2, 2)}, glora(False)[0], {"weight": random(OUT), "on_input": number(0)},
               low_rank({"dora_scale": random(1, IN)}), {"oft_blocks": random(2, 2, 2, 2)}]  # fmt: skip
    assert [read_change(parts).reads_weight for parts in looking] == [True] * len(looking)
    assert not any(read_change(parts).reads_weight for parts in (low_rank(), loha(), {"diff": random(1)}))


def test_every_kind_has_a_name_of_its_own() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS) == 8
    assert isinstance(read_change(low_rank()), LayerChange)
