from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from modules.sampling.denoisers import (
    LAST_ALPHA,
    EpsilonDenoiser,
    FlowDenoiser,
    FlowLevels,
    LcmDenoiser,
    LcmLevels,
    NoiseLevels,
    VelocityDenoiser,
    downcasted,
    zero_terminal_snr,
)

LEVELS = NoiseLevels.scaled_linear()
LCM = LcmLevels(LEVELS)


def pictures(seed: int) -> Tensor:
    return torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(seed))


def recorder(answer: Tensor, seen: list[tuple[Tensor, Tensor]]) -> Callable[[Tensor, Tensor], Tensor]:
    def network(x: Tensor, timestep: Tensor) -> Tensor:
        seen.append((x, timestep))
        return answer

    return network


def test_timesteps_and_sigmas_are_each_other_s_inverse_with_fractions() -> None:
    timesteps = torch.tensor([0.0, 0.25, 1.0, 500.5, 998.9, 999.0])
    assert torch.allclose(LEVELS.timestep_at(LEVELS.sigma_at(timesteps)), timesteps, atol=2e-3)


def test_sigmas_beyond_the_table_are_the_table_s_ends() -> None:
    assert LEVELS.timestep_at(torch.tensor([1e-4, 100.0])).tolist() == [0.0, 999.0]


def test_quantized_timesteps_are_the_nearest_whole_ones() -> None:
    sigmas = LEVELS.sigma_at(torch.tensor([0.4, 0.6, 500.5001, 998.4, 999.0]))
    assert LEVELS.timestep_at(sigmas, quantize=True).tolist() == [0.0, 1.0, 501.0, 998.0, 999.0]


def test_a_perfect_noise_predictor_gives_the_clean_latents_back() -> None:
    clean, noise, sigma = pictures(1), pictures(2), torch.tensor([0.5, 9.0])
    spread = sigma.view(-1, 1, 1, 1)
    seen: list[tuple[Tensor, Tensor]] = []
    noisy = clean + spread * noise
    assert torch.allclose(EpsilonDenoiser(recorder(noise, seen), LEVELS)(noisy, sigma), clean, atol=1e-5)
    assert torch.allclose(seen[0][0], noisy / (spread**2 + 1).sqrt())
    assert torch.allclose(LEVELS.sigma_at(seen[0][1]), sigma, rtol=1e-3)


def test_a_perfect_velocity_predictor_gives_the_clean_latents_back() -> None:
    clean, noise, sigma = pictures(1), pictures(2), torch.tensor([0.5, 9.0])
    spread = sigma.view(-1, 1, 1, 1)
    scale = (spread**2 + 1).sqrt()
    velocity = noise / scale - clean * spread / scale
    seen: list[tuple[Tensor, Tensor]] = []
    noisy = clean + spread * noise
    assert torch.allclose(VelocityDenoiser(recorder(velocity, seen), LEVELS)(noisy, sigma), clean, atol=1e-5)
    assert torch.allclose(seen[0][0], noisy / scale)


def test_a_perfect_flow_gives_the_clean_latents_back() -> None:
    clean, noise, sigma = pictures(1), pictures(2), torch.tensor([0.25, 0.9])
    levels = FlowLevels(shift=3.0)
    seen: list[tuple[Tensor, Tensor]] = []
    noisy = torch.stack([levels.noised(clean[i], noise[i], float(sigma[i])) for i in range(2)])
    assert torch.allclose(FlowDenoiser(recorder(noise - clean, seen), levels)(noisy, sigma), clean, atol=1e-5)
    assert torch.equal(seen[0][0], noisy)
    assert seen[0][1].tolist() == pytest.approx([250.0, 900.0])


def test_the_denoisers_give_whole_timesteps_when_told_to() -> None:
    for kind in (EpsilonDenoiser, VelocityDenoiser):
        seen: list[tuple[Tensor, Tensor]] = []
        kind(recorder(pictures(1), seen), LEVELS, quantize=True)(pictures(2), torch.tensor([1.0, 2.0]))
        assert torch.equal(seen[0][1], seen[0][1].round())


def test_a_shifted_flow_spends_more_of_its_time_in_noise() -> None:
    times = torch.tensor([1.0, 500.0, 1000.0])
    assert FlowLevels().sigma_at(times).tolist() == pytest.approx([0.001, 0.5, 1.0])
    assert FlowLevels(3.0).sigma_at(times).tolist() == pytest.approx([0.003 / 1.002, 0.75, 1.0])
    assert FlowLevels(3.0).timestep_at(torch.tensor([0.75])).tolist() == [750.0]


def test_a_consistency_model_knows_every_twentieth_timestep() -> None:
    assert len(LCM.sigmas) == 50
    assert torch.equal(LCM.sigmas, LEVELS.sigmas[19::20])
    assert (LCM.first_timestep, LCM.last_timestep) == (19.0, 999.0)
    assert LCM.timestep_at(LEVELS.sigmas[[0, 19, 22, 35, 999]]).tolist() == [19.0, 19.0, 19.0, 39.0, 999.0]
    assert torch.allclose(LCM.sigma_at(torch.tensor([19.0, 39.0, 999.0, 5.0])), LCM.sigmas[[0, 1, 49, 0]])


def test_the_consistency_function_is_almost_x0() -> None:
    x, x0, sigma = pictures(1), pictures(2), LCM.sigmas[[0, 49]]
    answer = LcmDenoiser(lambda noisy, level: x0, LCM)(x, sigma)
    time = 190.0
    first = x0[0] * time / (time**2 + 0.25) ** 0.5 + x[0] * 0.25 / (time**2 + 0.25)
    assert torch.allclose(answer[0], first, atol=1e-6)
    assert torch.allclose(answer[1], x0[1], atol=1e-6)


def test_zero_terminal_snr_keeps_the_first_alpha_and_ends_in_noise() -> None:
    alphas = zero_terminal_snr(LEVELS.alphas_cumprod)
    assert alphas[0].item() == pytest.approx(LEVELS.alphas_cumprod[0].item(), rel=1e-5)
    assert alphas[-1].item() == pytest.approx(LAST_ALPHA)
    assert (alphas.diff() < 0).all()
    assert NoiseLevels(alphas).sigma_max == pytest.approx(4518.76, rel=1e-3)
    assert LEVELS.alphas_cumprod[-1].item() == pytest.approx(0.00466, rel=1e-2)


def test_downcasting_rounds_the_sigmas_as_float16_arithmetic_does() -> None:
    levels = NoiseLevels(downcasted(LEVELS.alphas_cumprod))
    assert levels.sigma_min == 0.03125
    assert torch.equal(levels.sigmas, levels.sigmas.half().float())
    assert torch.allclose(levels.sigmas[5:], LEVELS.sigmas[5:], rtol=0.03)


@pytest.mark.parametrize("downcast_first", [True, False])
def test_downcasting_and_zero_terminal_snr_together_stay_finite(downcast_first: bool) -> None:
    alphas = LEVELS.alphas_cumprod
    both = zero_terminal_snr(downcasted(alphas)) if downcast_first else downcasted(zero_terminal_snr(alphas))
    levels = NoiseLevels(both)
    assert levels.sigmas.isfinite().all()
    assert levels.log_sigmas.isfinite().all()
    assert levels.sigma_max > 1000
