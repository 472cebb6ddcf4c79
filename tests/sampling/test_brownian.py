from itertools import pairwise

import pytest
import torch
import torchsde
from torch import Tensor

from modules.sampling.brownian import BrownianTree
from modules.sampling.noise import BrownianNoise, PhiloxGenerator
from modules.sampling.schedules import karras
from tests.sampling.toys import LEVELS

SHAPE = (2, 3, 4)
START, END = 0.0291675, 14.6146


def draw(seed: int) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def theirs(seed: int, start: float, end: float) -> torchsde.BrownianTree:
    return torchsde.BrownianTree(w0=torch.zeros(SHAPE), t0=torch.tensor(start), t1=torch.tensor(end), entropy=seed)


@pytest.mark.filterwarnings("ignore:Should have")
@pytest.mark.parametrize("seed", [0, 1, 12345, 2**32 + 7, 2**63 - 1])
def test_the_path_is_that_of_the_library_to_the_last_bit(seed: int) -> None:
    start, end = float(torch.tensor(START)), float(torch.tensor(END))
    tree, reference = BrownianTree(seed, start, end, draw), theirs(seed, start, end)
    levels = karras(LEVELS, 12)[:-1].tolist()
    for high, low in pairwise(levels):
        middle = (low * high) ** 0.5
        for ends in ((middle, high), (low, high), (low, middle)):
            expected = reference(*(torch.tensor(time) for time in ends))
            assert torch.equal(tree.increment(*(float(torch.tensor(time)) for time in ends)), expected)


def test_the_path_does_not_depend_on_what_was_asked_before() -> None:
    tree = BrownianTree(7, START, END, draw)
    for ends in ((0.1, 9.0), (2.0, 3.0), (2.5, 2.6)):
        tree.increment(*ends)
    assert torch.equal(tree.increment(1.0, 4.0), BrownianTree(7, START, END, draw).increment(1.0, 4.0))


def test_increments_add_up_and_the_whole_is_the_first_draw() -> None:
    tree = BrownianTree(7, START, END, draw)
    parts = [tree.increment(*ends) for ends in ((START, 0.5), (0.5, 8.0), (8.0, END))]
    assert torch.allclose(sum(parts[1:], start=parts[0]), tree.total, atol=1e-5)


def test_an_interval_that_rounds_to_nothing_has_no_growth() -> None:
    assert not BrownianTree(7, START, END, draw).increment(1.0000001, 1.0000002).any()


def test_times_beyond_the_ends_are_the_ends() -> None:
    tree = BrownianTree(7, START, END, draw)
    assert torch.equal(tree.increment(0.0, 100.0), tree.total)


def test_the_noise_follows_the_source() -> None:
    x = torch.zeros(1, *SHAPE)
    noise = {source: BrownianNoise([5], x, START, END, source)(9.0, 4.0) for source in ("CPU", "GPU", "NV")}
    assert torch.equal(noise["CPU"], noise["GPU"])
    assert not torch.allclose(noise["CPU"], noise["NV"])
    tree = BrownianTree(
        5, float(torch.tensor(START)), float(torch.tensor(END)), lambda seed: PhiloxGenerator(seed).randn(SHAPE)
    )
    assert torch.equal(noise["NV"][0], -tree.increment(4.0, 9.0) / 5**0.5)


def test_the_noise_has_unit_variance_and_turns_its_sign_with_the_direction() -> None:
    noise = BrownianNoise([3], torch.zeros(1, 4, 64, 64), START, END, "CPU")
    assert noise(8.0, 2.0).std().item() == pytest.approx(1.0, abs=0.03)
    assert torch.equal(noise(8.0, 2.0), -noise(2.0, 8.0))
    assert not noise(2.0, 2.0).any()


def test_a_shared_path_makes_a_picture_depend_on_its_batch() -> None:
    alone = BrownianNoise([3], torch.zeros(1, *SHAPE), START, END, "CPU", shared=True)(8.0, 2.0)
    batch = BrownianNoise([3, 4], torch.zeros(2, *SHAPE), START, END, "CPU", shared=True)(8.0, 2.0)
    assert batch.shape == (2, *SHAPE)
    assert not torch.allclose(alone[0], batch[0])
