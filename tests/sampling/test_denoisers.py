import torch
from torch import Tensor

from modules.sampling.denoisers import EpsilonDenoiser, NoiseLevels

LEVELS = NoiseLevels.scaled_linear()


def test_timesteps_and_sigmas_are_each_other_s_inverse_with_fractions() -> None:
    timesteps = torch.tensor([0.0, 0.25, 1.0, 500.5, 998.9, 999.0])
    assert torch.allclose(LEVELS.timestep_at(LEVELS.sigma_at(timesteps)), timesteps, atol=2e-3)


def test_sigmas_beyond_the_table_are_the_table_s_ends() -> None:
    assert LEVELS.timestep_at(torch.tensor([1e-4, 100.0])).tolist() == [0.0, 999.0]


def test_a_perfect_noise_predictor_gives_the_clean_latents_back() -> None:
    clean, noise = torch.randn(2, 4, 4, 4), torch.randn(2, 4, 4, 4)
    sigma = torch.tensor([0.5, 9.0])
    seen: list[Tensor] = []

    def network(scaled: Tensor, timestep: Tensor) -> Tensor:
        seen.append(scaled)
        assert torch.allclose(LEVELS.sigma_at(timestep), sigma, rtol=1e-3)
        return noise

    noisy = clean + sigma.view(-1, 1, 1, 1) * noise
    assert torch.allclose(EpsilonDenoiser(network, LEVELS)(noisy, sigma), clean, atol=1e-5)
    assert torch.allclose(seen[0], noisy / (sigma.view(-1, 1, 1, 1) ** 2 + 1).sqrt())
