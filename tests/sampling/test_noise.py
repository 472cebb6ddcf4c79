import pytest
import torch

from modules.sampling.noise import BatchNoise, PhiloxGenerator
from modules.sampling.registry import NOISE_SOURCES

CPU = torch.device("cpu")
SHAPE = (4, 8, 8)


@pytest.mark.parametrize("source", NOISE_SOURCES)
def test_picture_k_of_a_batch_has_the_noise_of_the_single_picture_of_seed_plus_k(source: str) -> None:
    batch = BatchNoise([11, 12, 13], SHAPE, source, CPU)
    single = BatchNoise([13], SHAPE, source, CPU)
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
    draws = BatchNoise([2**63 - 1, 2**63 - 2], SHAPE, source, CPU).draw()
    assert not torch.equal(draws[0], draws[1])


def test_an_unknown_source_is_named_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="'TPU' is none of GPU, CPU, NV"):
        BatchNoise([1], SHAPE, "TPU", CPU)
