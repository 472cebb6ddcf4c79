import pytest
import torch

from tests.networks.tiny import TextEncoder, Unet


@pytest.fixture
def unet() -> Unet:
    torch.manual_seed(1)
    return Unet().requires_grad_(False)


@pytest.fixture
def text_encoder() -> TextEncoder:
    torch.manual_seed(2)
    return TextEncoder().requires_grad_(False)
