from pathlib import Path

import numpy as np
import pytest
import torch

from modules.core.parameters import NOISE_SOURCES
from modules.sampling.noise import BatchNoise, NoiseSeeds, PhiloxGenerator, pasted, slerp
from tests import conformance

CPU = torch.device("cpu")
SHAPE = (4, 8, 8)
RECORDED = Path(__file__).parents[1] / "data" / "reference" / "numbers.npz"


def noise_of(*seeds: int, source: str = "CPU", shape: tuple[int, int, int] = SHAPE) -> BatchNoise:
    return BatchNoise(NoiseSeeds(seeds), shape, source, CPU)


@pytest.mark.parametrize("source", NOISE_SOURCES)
def test_picture_k_of_a_batch_has_the_noise_of_the_single_picture_of_seed_plus_k(source: str) -> None:
    batch, single = noise_of(11, 12, 13, source=source), noise_of(13, source=source)
    for _ in range(3):
        assert torch.equal(batch.draw()[2], single.draw()[0])


def test_philox_gives_the_known_numbers_of_seed_zero() -> None:
    expected = torch.tensor([-0.92466259, -0.42534415, -2.6438457, 0.14518388])
    assert torch.allclose(PhiloxGenerator(0).randn((4,)), expected, atol=1e-5)


def test_philox_uses_all_64_bits_of_the_seed() -> None:
    assert not torch.equal(PhiloxGenerator(5).randn((4,)), PhiloxGenerator(5 + 2**32).randn((4,)))


def test_philox_is_standard_normal() -> None:
    noise = PhiloxGenerator(3).randn((100_000,))
    assert noise.mean().abs().item() < 0.02
    assert noise.std().item() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("source", NOISE_SOURCES)
def test_the_largest_seed_works_and_differs_from_its_neighbour(source: str) -> None:
    draws = noise_of(2**63 - 1, 2**63 - 2, source=source).draw()
    assert not torch.equal(draws[0], draws[1])


def test_an_unknown_source_is_named_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="'TPU' is none of GPU, CPU, NV"):
        noise_of(1, source="TPU")


def test_the_first_draws_are_the_recorded_ones() -> None:
    arrays = np.load(RECORDED)
    firsts = [name for name in arrays.files if name.startswith("rng|") and name.endswith("|first")]
    stems = [name.removesuffix("|first") for name in firsts]
    assert len(stems) >= 9
    for stem in stems:
        text, close = conformance.check_batch_noise(stem, 42, arrays)
        assert close, f"{stem}: {text}"


def test_a_variation_is_between_its_seeds_and_reaches_neither_at_one_half() -> None:
    plain, other = noise_of(1).draw(), noise_of(2).draw()
    for strength, nearest in ((0.0, plain), (0.01, plain), (0.99, other), (1.0, other)):
        varied = BatchNoise(NoiseSeeds((1,), (2,), strength), SHAPE, "CPU", CPU).draw()
        assert (varied - nearest).abs().max() < 0.1
    half = BatchNoise(NoiseSeeds((1,), (2,), 0.5), SHAPE, "CPU", CPU).draw()
    assert min((half - plain).abs().max(), (half - other).abs().max()) > 0.5


def test_a_picture_without_a_subseed_takes_zero() -> None:
    short = BatchNoise(NoiseSeeds((1, 1), (2,), 0.4), SHAPE, "CPU", CPU).draw()
    whole = BatchNoise(NoiseSeeds((1, 1), (2, 0), 0.4), SHAPE, "CPU", CPU).draw()
    assert torch.equal(short, whole)


@pytest.mark.parametrize("source", NOISE_SOURCES)
def test_variation_and_size_change_the_first_noise_only(source: str) -> None:
    seeds = NoiseSeeds((1,), (2,), 0.4, resize_from=(5, 9))
    varied, plain = BatchNoise(seeds, SHAPE, source, CPU), noise_of(1, source=source)
    assert not torch.equal(varied.draw(), plain.draw())
    assert torch.equal(varied.draw(), plain.draw())


def test_the_seed_delta_changes_all_noise_but_the_first() -> None:
    moved = BatchNoise(NoiseSeeds((1,), seed_delta=10), SHAPE, "CPU", CPU)
    assert torch.equal(moved.draw(), noise_of(1).draw())
    assert torch.equal(moved.draw(), noise_of(11).draw())


def test_noise_of_another_size_stands_in_the_middle() -> None:
    drawn = BatchNoise(NoiseSeeds((1,), resize_from=(4, 12)), SHAPE, "CPU", CPU).draw()[0]
    small, ground = noise_of(1, shape=(4, 4, 12)).draw()[0], noise_of(1).draw()[0]
    assert torch.equal(drawn[:, 2:6], small[:, :, 2:10])
    assert torch.equal(drawn[:, [0, 1, 6, 7]], ground[:, [0, 1, 6, 7]])


def test_the_same_size_is_no_other_size() -> None:
    same = BatchNoise(NoiseSeeds((1,), resize_from=(8, 8)), SHAPE, "CPU", CPU)
    plain = noise_of(1)
    for _ in range(2):
        assert torch.equal(same.draw(), plain.draw())


@pytest.mark.parametrize(
    ("size", "ground", "kept"), [(3, 8, 3), (8, 3, 2), (9, 8, 7), (8, 8, 8), (2, 1, 0), (10, 8, 8)]
)
def test_an_odd_difference_of_sizes_cuts_more(size: int, ground: int, kept: int) -> None:
    whole = pasted(torch.ones(1, size, size), torch.zeros(1, ground, ground))
    assert whole.sum().item() == kept**2


def test_a_turn_keeps_the_length_of_every_column() -> None:
    low, high = torch.eye(4).unsqueeze(0), torch.eye(4).roll(1, 0).unsqueeze(0)
    assert torch.allclose(slerp(0.3, low, high).norm(dim=1), torch.ones(1, 4))
    assert torch.allclose(slerp(0.5, low, high), (low + high) / 2**0.5)


def test_parallel_noises_are_blended_with_their_shares_swapped() -> None:
    low = torch.ones(1, 4, 4)
    assert torch.allclose(slerp(0.25, low, 3 * low), 0.25 * low + 0.75 * 3 * low)


def test_pictures_of_one_row_can_be_varied() -> None:
    varied = BatchNoise(NoiseSeeds((1,), (2,), 0.3), (4, 1, 8), "CPU", CPU).draw()
    assert varied.isfinite().all()
