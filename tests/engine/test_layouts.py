"""The layouts in which one and the same model comes: averages, 8-bit floats, without VAE or text encoders, alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from modules.core.errors import ModelUnavailable
from modules.core.events import Remark
from modules.engine.service import DiffusionEngine
from modules.library.identify import TEXT_ENCODERS
from modules.library.model_notes import write_notes
from tests.engine.conftest import MakeRequest, Watcher
from tests.engine.test_families import TINY, engine_for, picture, tiny_metadata, tiny_tensors, write_tiny

UNET = "model.diffusion_model."
VAE = "first_stage_model."
Tensors = dict[str, Tensor]


def rewrite(folder: Path, family: str, change: Callable[[Tensors], Tensors], name: str = "changed") -> None:
    """Write a model of `family` whose tensors were changed, and nothing else, into `folder`."""
    folder.mkdir(exist_ok=True)
    layout = TINY[family]
    tensors = {key: tensor.contiguous() for key, tensor in change(dict(tiny_tensors(layout))).items()}
    save_file(tensors, folder / f"{name}.safetensors", tiny_metadata(family, layout))


def unchanged(tensors: Tensors) -> Tensors:
    return tensors


def only(*prefixes: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: it for name, it in tensors.items() if name.startswith(prefixes)}


def without(*prefixes: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: it for name, it in tensors.items() if not name.startswith(prefixes)}


def averaged(tensors: Tensors) -> Tensors:
    """The U-Net under the names that trainers give its averages, and nothing else of it."""
    return {
        f"model_ema.diffusion_model{name.removeprefix(UNET).replace('.', '')}" if name.startswith(UNET) else name: it
        for name, it in tensors.items()
    } | {"model_ema.decay": torch.tensor(0.99), "model_ema.num_updates": torch.tensor(5)}


def with_averages(tensors: Tensors) -> Tensors:
    zeros = {name: torch.zeros_like(it) for name, it in averaged(tensors).items() if name.startswith("model_ema.")}
    return tensors | zeros | {"optimizer.something": torch.zeros(3), "global_step": torch.tensor(7)}


def scaled(tensors: Tensors) -> Tensors:
    """Linear weights at half their size, with the factor beside them."""
    found = dict(tensors)
    for name, tensor in tensors.items():
        if name.startswith(UNET) and name.endswith("to_q.weight"):
            found[name] = tensor / 2
            found[name.replace(".weight", ".scale_weight")] = torch.tensor(2.0)
    return found


@pytest.fixture(scope="module", params=TINY)
def plain(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, request_of: MakeRequest
) -> tuple[str, np.ndarray]:
    """A family, and the picture of its model as it is."""
    folder = tmp_path_factory.mktemp("plain")
    write_tiny(folder / "model.safetensors", request.param, TINY[request.param])
    return request.param, picture(engine_for(folder), request_of)


@pytest.mark.parametrize("change", [averaged, with_averages, scaled])
def test_other_names_and_more_names_make_the_same_picture(
    plain: tuple[str, np.ndarray], change: Callable[[Tensors], Tensors], tmp_path: Path, request_of: MakeRequest
) -> None:
    family, wanted = plain
    rewrite(tmp_path, family, change)
    assert (picture(engine_for(tmp_path), request_of) == wanted).all()


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2])
def test_a_file_in_less_precision_makes_nearly_the_same_picture(
    family: str, dtype: torch.dtype, tmp_path: Path, request_of: MakeRequest
) -> None:
    def less(tensors: Tensors) -> Tensors:
        return {name: it.to(dtype) if it.is_floating_point() else it for name, it in tensors.items()}

    def rounded(tensors: Tensors) -> Tensors:
        return {name: it.to(dtype).float() if it.is_floating_point() else it for name, it in tensors.items()}

    rewrite(tmp_path / "rounded", family, rounded)
    rewrite(tmp_path / "less", family, less)
    wanted = picture(engine_for(tmp_path / "rounded"), request_of)
    assert (picture(engine_for(tmp_path / "less"), request_of) == wanted).all()


def made(engine: DiffusionEngine, request_of: MakeRequest, checkpoint: str) -> tuple[np.ndarray, list[str]]:
    watcher = Watcher()
    engine.generate(request_of(checkpoint=checkpoint, steps=2), watcher, watcher)
    remarks = [event.text for event in watcher.events if isinstance(event, Remark)]
    return np.asarray(watcher.images[0].pixels), remarks


@pytest.mark.parametrize("family", TINY)
@pytest.mark.parametrize("prefix", ["", "diffusion_model."])
def test_a_u_net_alone_is_completed_by_another_checkpoint_of_its_family(
    family: str, prefix: str, tmp_path: Path, request_of: MakeRequest
) -> None:
    rewrite(tmp_path, family, unchanged, "whole")
    rewrite(tmp_path, family, lambda tensors: {
        prefix + name.removeprefix(UNET): it for name, it in only(UNET)(tensors).items()
    }, "bare")  # fmt: skip
    # So small a U-Net does not tell its family, as a real one's numbers per token do.
    write_notes(tmp_path / "bare.safetensors", {"family": family})
    engine = engine_for(tmp_path)
    wanted, nothing = made(engine, request_of, "whole")
    found, remarks = made(engine, request_of, "bare")
    assert (found == wanted).all()
    assert nothing == []
    assert len(remarks) == 1 + len(TEXT_ENCODERS[family])
    assert "bare.safetensors holds no VAE: that of whole.safetensors is used." in remarks


def test_a_u_net_under_diffusers_names_is_completed_too(tmp_path: Path, request_of: MakeRequest) -> None:
    rewrite(tmp_path, "sdxl", unchanged, "whole")
    engine = engine_for(tmp_path)
    wanted, _ = made(engine, request_of, "whole")
    unet = engine.shelf.get("whole", Watcher()).bundle.unet.state_dict()
    metadata = tiny_metadata("sdxl", TINY["sdxl"])
    save_file({name: it.contiguous() for name, it in unet.items()}, tmp_path / "bare.safetensors", metadata)
    write_notes(tmp_path / "bare.safetensors", {"family": "sdxl"})
    found, _ = made(engine_for(tmp_path), request_of, "bare")
    assert (found == wanted).all()


@pytest.mark.parametrize(("prefix", "name"), [(VAE, "VAE"), ("cond_stage_model.", "text encoder")])
def test_what_nobody_can_lend_is_named(prefix: str, name: str, tmp_path: Path, request_of: MakeRequest) -> None:
    rewrite(tmp_path, "sd1", without(prefix))
    write_notes(tmp_path / "changed.safetensors", {"family": "sd1"})
    rewrite(tmp_path, "sdxl", unchanged, "other family")
    with pytest.raises(ModelUnavailable, match=rf"changed\.safetensors cannot be used: it holds no {name}"):
        made(engine_for(tmp_path), request_of, "changed")


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_distilled_u_net_is_told_the_cfg_scale_and_needs_no_negative_prompt(
    family: str, tmp_path: Path, request_of: MakeRequest
) -> None:
    def told(tensors: Tensors) -> Tensors:
        weight = torch.randn(32, 256, generator=torch.Generator().manual_seed(2))
        return tensors | {f"{UNET}time_embed.cond_proj.weight": weight}

    rewrite(tmp_path, family, told)
    engine = engine_for(tmp_path)
    plain = picture(engine, request_of, cfg_scale=2)
    assert (picture(engine, request_of, cfg_scale=8) != plain).any()
    assert (picture(engine, request_of, cfg_scale=2, negative_prompt="a cat") == plain).all()


def test_a_missing_tensor_is_named(tmp_path: Path, request_of: MakeRequest) -> None:
    rewrite(tmp_path, "sd1", without(f"{UNET}middle_block.1.norm"))
    with pytest.raises(ModelUnavailable, match=r"its U-Net lacks 2 tensors, the first of them mid_block"):
        made(engine_for(tmp_path), request_of, "changed")


def test_what_the_user_notes_about_a_checkpoint_counts_at_once(tmp_path: Path, request_of: MakeRequest) -> None:
    rewrite(tmp_path, "sdxl", unchanged, "model")
    engine = engine_for(tmp_path)
    epsilon, _ = made(engine, request_of, "model")
    write_notes(tmp_path / "model.safetensors", {"prediction": "v_prediction"})
    assert (made(engine, request_of, "model")[0] == epsilon).all()
    engine.shelf.files.refresh()
    velocity, _ = made(engine, request_of, "model")
    assert engine.shelf.get("model", Watcher()).bundle.prediction == "v_prediction"
    assert (velocity != epsilon).any()
    write_notes(tmp_path / "model.safetensors", {"prediction": "", "zero_snr": "yes"})
    engine.shelf.files.refresh()
    assert (made(engine, request_of, "model")[0] != epsilon).any()
