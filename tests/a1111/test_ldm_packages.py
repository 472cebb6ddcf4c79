"""The packages `ldm` and `sgm`: they are there, build networks that compute, and are those of the view of a model."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch

from modules.a1111 import _ldm_packages, sd_hijack_open_clip
from modules.a1111._ldm_packages import FINDER, OTHER_NAMES, PACKAGES, RENAMED
from modules.a1111._placeholders import NotInEasel
from modules.sampling.denoisers import NoiseLevels


@pytest.fixture(autouse=True)
def packages() -> Iterator[None]:
    """Offers them, and takes them back."""
    _ldm_packages.offer()
    yield
    sys.meta_path.remove(FINDER)
    for name in [*PACKAGES, *OTHER_NAMES, *RENAMED]:
        sys.modules.pop(name, None)


def test_every_module_can_be_imported_by_every_way() -> None:
    for name in PACKAGES:
        assert importlib.import_module(name).__name__ == name
    ldm = importlib.import_module("ldm")
    assert ldm.modules.attention.CrossAttention is importlib.import_module("sgm.modules.attention").CrossAttention
    assert importlib.import_module("sgm").modules.GeneralConditioner.__name__ == "GeneralConditioner"
    assert importlib.import_module("open_clip").tokenizer._tokenizer is sd_hijack_open_clip.tokenizer


def test_other_names_of_theirs_fail_only_when_they_are_used() -> None:
    sampler = importlib.import_module("ldm.models.diffusion.ddim").DDIMSampler
    assert issubclass(type("Own", (sampler,), {}), sampler)
    with pytest.raises(NotInEasel, match="DDIMSampler"):
        sampler(None)


@pytest.mark.parametrize("linear", [True, False])
def test_a_transformer_is_built_and_computes(linear: bool) -> None:
    attention = importlib.import_module("ldm.modules.attention")
    made = attention.SpatialTransformer(32, 4, 8, depth=2, context_dim=16, use_linear=linear)
    x, context = torch.randn(2, 32, 4, 4), torch.randn(2, 7, 16)
    with torch.inference_mode():
        # The last layer begins as zeros, so that the block changes nothing before it is trained.
        assert torch.equal(made(x, context), x)
        made.proj_out.weight.normal_()
        changed = made(x, context)
    assert changed.shape == x.shape
    assert not torch.equal(changed, x)
    assert len([name for name in made.state_dict() if "attn2.to_k" in name]) == 2


def test_attention_heeds_masks_and_additional_tokens() -> None:
    attention = importlib.import_module("ldm.modules.attention").CrossAttention(32, 16, heads=4, dim_head=8)
    x, context = torch.randn(1, 6, 32), torch.randn(1, 5, 16)
    seen = torch.tensor([[True, True, False, False, False]])
    with torch.inference_mode():
        assert torch.allclose(attention(x, context, mask=seen), attention(x, context[:, :2]), atol=1e-6)
        assert attention(x, context, additional_tokens=torch.randn(1, 2, 32)).shape == x.shape


@pytest.mark.parametrize(("options", "rows"), [
    ({}, 8), ({"out_channels": 64}, 8), ({"down": True}, 4), ({"up": True, "use_scale_shift_norm": True}, 16),
])  # fmt: skip
def test_a_residual_block_is_built_and_computes(options: dict[str, object], rows: int) -> None:
    model = importlib.import_module("ldm.modules.diffusionmodules.openaimodel")
    block = model.TimestepEmbedSequential(model.ResBlock(32, 64, 0.0, **options))
    with torch.inference_mode():
        made = block(torch.randn(1, 32, 8, 8), torch.randn(1, 64))
    assert made.shape == (1, options.get("out_channels", 32), rows, rows)


def test_up_and_downsampling_change_the_size() -> None:
    model = importlib.import_module("ldm.modules.diffusionmodules.openaimodel")
    x = torch.randn(1, 32, 8, 8)
    with torch.inference_mode():
        assert model.Upsample(32, True)(x).shape[-2:] == (16, 16)
        assert model.Downsample(32, True)(x).shape[-2:] == (4, 4)
        assert model.Downsample(32, False)(x).shape[-2:] == (4, 4)


def test_schedules_are_stable_diffusion_s() -> None:
    util = importlib.import_module("ldm.modules.diffusionmodules.util")
    betas = torch.from_numpy(util.make_beta_schedule("linear", 1000, 0.00085, 0.012))
    assert torch.allclose(torch.cumprod(1 - betas, 0).float(), NoiseLevels.scaled_linear().alphas_cumprod)
    for name in ("cosine", "sqrt_linear", "sqrt"):
        assert util.make_beta_schedule(name, 10).shape == (10,)
    with pytest.raises(ValueError, match="nonesuch"):
        util.make_beta_schedule("nonesuch", 10)
    assert list(util.make_ddim_timesteps("uniform", 4, 1000)) == [1, 251, 501, 751]
    assert util.extract_into_tensor(torch.arange(10.0), torch.tensor([3, 5]), (2, 4, 8, 8)).shape == (2, 1, 1, 1)


def test_a_normal_distribution_is_drawn_from() -> None:
    kind = importlib.import_module("ldm.modules.distributions.distributions").DiagonalGaussianDistribution
    made = kind(torch.cat([torch.full((1, 4, 2, 2), 3.0), torch.full((1, 4, 2, 2), -40.0)], dim=1))
    assert torch.allclose(made.sample(), made.mode(), atol=1e-4)
    assert float(made.mean.mean()) == 3.0


def test_modules_of_a1111_are_found_without_being_imported_and_in_one_another() -> None:
    modules = importlib.import_module("modules")
    importlib.import_module("modules.shared")
    found = modules.textual_inversion.textual_inversion
    assert found is importlib.import_module("modules.textual_inversion.textual_inversion")
    callbacks = importlib.import_module("modules.script_callbacks")
    assert importlib.import_module("modules.scripts").script_callbacks is callbacks
    with pytest.raises(AttributeError, match="nonesuch"):
        modules.nonesuch  # noqa: B018 (asking is the test)


def test_a_module_of_torchvision_that_got_another_name_is_found_by_its_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms._functional_tensor"):
        module = ModuleType(name)
        module.__path__ = []
        monkeypatch.setitem(sys.modules, name, module)
    old = importlib.import_module("torchvision.transforms.functional_tensor")
    assert old is sys.modules["torchvision.transforms._functional_tensor"]
