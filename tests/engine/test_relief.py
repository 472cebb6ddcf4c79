"""When the memory runs out: the picture is finished all the same, the user is told how, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import SlicedAttnProcessor
from torch import nn

from modules.core.errors import OutOfMemory
from modules.core.events import Remark
from modules.engine.families import ModelBundle
from modules.engine.memory import DevicePlan, Residency, explaining_out_of_memory
from modules.engine.relief import Relief
from modules.engine.service import DiffusionEngine
from tests.engine.conftest import MakeRequest, Watcher
from tests.engine.test_families import TINY, engine_for, write_tiny

Fits = Callable[[ModelBundle, tuple[Any, ...], dict[str, Any]], bool]


@pytest.fixture
def small_engine(tmp_path: Path) -> DiffusionEngine:
    write_tiny(tmp_path / "model.safetensors", "sdxl", TINY["sdxl"])
    return engine_for(tmp_path)


def bundle_of(engine: DiffusionEngine) -> ModelBundle:
    return engine.shelf.get("", Watcher()).bundle


def limit(monkeypatch: pytest.MonkeyPatch, network: nn.Module, method: str, bundle: ModelBundle, fits: Fits) -> None:
    """Let a call of a network fail as CUDA's do unless it `fits`."""
    plain = getattr(network, method)

    def limited(*values: Any, **named: Any) -> Any:
        if not fits(bundle, values, named):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return plain(*values, **named)

    monkeypatch.setattr(network, method, limited)


def made(engine: DiffusionEngine, request_of: MakeRequest, **values: object) -> tuple[list[np.ndarray], list[str]]:
    watcher = Watcher()
    engine.generate(request_of(**{"checkpoint": "", "batch_size": 2, **values}), watcher, watcher)
    remarks = [event.text for event in watcher.events if isinstance(event, Remark)]
    return [np.asarray(image.pixels, dtype=int) for image in watcher.images], remarks


def is_clean(bundle: ModelBundle) -> bool:
    relief = bundle.relief
    sliced = any(isinstance(it, SlicedAttnProcessor) for it in bundle.unet.attn_processors.values())
    return not (relief.single or relief.sliced or relief.in_strips or relief.vae_on_cpu or sliced)


def one_row(_: ModelBundle, __: tuple[Any, ...], named: dict[str, Any]) -> bool:
    return bool(named["sample"].shape[0] == 1)


def sliced(bundle: ModelBundle, _: tuple[Any, ...], named: dict[str, Any]) -> bool:
    processors = bundle.unet.attn_processors.values()
    return bool(named["sample"].shape[0] == 1) and all(isinstance(it, SlicedAttnProcessor) for it in processors)


@pytest.mark.parametrize(("fits", "measures"), [
    (one_row, ["pictures and prompts go through the U-Net one at a time"]),
    (sliced, ["pictures and prompts go through the U-Net one at a time", "attention is computed in slices"]),
])  # fmt: skip
def test_a_u_net_call_too_large_for_the_memory_is_made_smaller(
    fits: Fits, measures: list[str], small_engine: DiffusionEngine, request_of: MakeRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    wanted, nothing = made(small_engine, request_of)
    bundle = bundle_of(small_engine)
    with monkeypatch.context() as patched:
        limit(patched, bundle.unet, "forward", bundle, fits)
        found, remarks = made(small_engine, request_of)
    assert nothing == []
    assert remarks == [f"The memory did not suffice: {measure}." for measure in measures]
    assert max(np.abs(one - other).max() for one, other in zip(found, wanted, strict=True)) <= 1
    assert is_clean(bundle)
    again, _ = made(small_engine, request_of)
    assert all((one == other).all() for one, other in zip(again, wanted, strict=True))


def test_a_vae_too_large_for_the_memory_works_in_strips(
    small_engine: DiffusionEngine, request_of: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, _ = made(small_engine, request_of)
    bundle = bundle_of(small_engine)
    limit(monkeypatch, bundle.vae, "decode", bundle, lambda *_: False)
    found, remarks = made(small_engine, request_of)
    assert remarks == ["The memory did not suffice: the VAE works in strips."]
    assert max(np.abs(one - other).max() for one, other in zip(found, wanted, strict=True)) <= 1
    assert is_clean(bundle)


def test_what_never_fits_ends_the_job_alone_and_leaves_nothing_behind(
    small_engine: DiffusionEngine, request_of: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, _ = made(small_engine, request_of)
    bundle = bundle_of(small_engine)
    with monkeypatch.context() as patched:
        limit(patched, bundle.unet, "forward", bundle, lambda *_: False)
        with pytest.raises(OutOfMemory, match="Whatever was tried: There is too little memory"):
            made(small_engine, request_of)
    assert is_clean(bundle)
    again, _ = made(small_engine, request_of)
    assert all((one == other).all() for one, other in zip(again, wanted, strict=True))


def test_other_errors_are_not_taken_for_a_lack_of_memory(
    small_engine: DiffusionEngine, request_of: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundle_of(small_engine)

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(bundle.unet, "forward", broken)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        made(small_engine, request_of)


@pytest.mark.parametrize("error", [
    torch.OutOfMemoryError("CUDA out of memory"), MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
])  # fmt: skip
def test_every_device_s_error_is_explained(error: Exception) -> None:
    with pytest.raises(OutOfMemory, match="Lower width, height or batch size"), explaining_out_of_memory():
        raise error


@dataclass(frozen=True)
class SeparatePlan(DevicePlan):
    """A plan as for a graphics card, on a machine without one."""

    @property
    def has_own_memory(self) -> bool:
        return True


def test_more_and_more_is_kept_away_from_the_device_and_then_brought_back(tmp_path: Path) -> None:
    write_tiny(tmp_path / "model.safetensors", "sd1", TINY["sd1"])
    bundle = bundle_of(engine_for(tmp_path))
    plan = SeparatePlan(torch.device("cpu"), torch.float32, torch.float32)
    residency = Residency(plan, (bundle.unet, bundle.vae), streamed=bundle.unet)
    weights = {name: it.clone() for name, it in bundle.unet.state_dict().items()}
    said: list[str] = []
    relief = Relief(residency, bundle.unet, said.append)
    tries = []

    def work() -> str:
        tries.append((residency.mode, next(bundle.unet.parameters()).is_meta))
        if len(tries) < 5:
            raise torch.OutOfMemoryError
        return "done"

    assert relief.sample(work) == "done"
    assert tries == [("normal", False), ("normal", False), ("normal", False), ("medium", False), ("low", True)]
    assert [text.split(": ")[1] for text in said[2:]] == [
        "only the part at work is kept on the graphics card.",
        "the U-Net is streamed from main memory layer by layer.",
    ]
    relief.reset()
    assert residency.mode == "normal"
    assert all(torch.equal(it, weights[name]) for name, it in bundle.unet.state_dict().items())


def test_a_model_that_does_not_fit_when_it_is_loaded_is_held_in_part() -> None:
    plan = SeparatePlan(torch.device("cpu"), torch.float32, torch.float32)

    class Large(nn.Linear):
        full = 0

        def to(self, *where: Any, **named: Any) -> Any:
            Large.full += 1
            if Large.full == 1:
                raise torch.OutOfMemoryError
            return super().to(*where, **named)

    residency = Residency(plan, (Large(2, 2), nn.Linear(2, 2)), streamed=nn.Linear(2, 2))
    assert residency.mode == "medium"


def test_a_vae_that_overflows_is_run_in_full_precision_and_the_user_is_told(
    small_engine: DiffusionEngine, request_of: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, _ = made(small_engine, request_of)
    bundle = bundle_of(small_engine)
    bundle.vae.to(torch.float16)
    plain = bundle.vae.decode

    def overflowing(latents: torch.Tensor, **named: Any) -> Any:
        if latents.dtype == torch.float16:
            return (torch.full((1, 3, 64, 64), float("nan"), dtype=torch.float16),)
        return plain(latents, **named)

    monkeypatch.setattr(bundle.vae, "decode", overflowing)
    found, remarks = made(small_engine, request_of)
    assert remarks == ["The VAE overflowed in half precision; it works in full precision from now on."]
    assert max(np.abs(one - other).max() for one, other in zip(found, wanted, strict=True)) <= 2


@pytest.mark.parametrize(("mode", "large", "wanted"), [
    ("normal", "normal", "normal"), ("normal", "medium", "medium"), ("medium", "normal", "medium"),
    ("low", "medium", "low"),
])  # fmt: skip
def test_models_of_sdxl_s_size_may_be_held_in_part_alone(mode: Any, large: Any, wanted: str) -> None:
    plan = DevicePlan(torch.device("cpu"), torch.float32, torch.float32, mode, large)
    assert plan.for_large().mode == wanted
