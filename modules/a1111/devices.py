"""A1111's modules.devices: where tensors live and in which precision, as Easel's engine decides it."""

from __future__ import annotations

import contextlib
import gc
from typing import Any

import torch
from torch import Tensor

from modules.a1111._host import HOST
from modules.engine.memory import DevicePlan, DeviceWishes, plan_device

CPU = torch.device("cpu")
cpu = CPU
fp8 = False
force_fp16 = False
unet_needs_upcast = False
nv_rng = None


class NansException(Exception):
    """Raised when a tensor holds nothing but NaN."""


def _plan() -> DevicePlan:
    config = HOST.config
    wishes = DeviceWishes(
        use_cpu=config.use_cpu, device_index=config.device_index, half=config.half, half_vae=config.half_vae
    )
    return HOST.state(f"device {wishes}", lambda: plan_device(wishes))


def __getattr__(name: str) -> Any:
    """Return device or precision, which nobody works out before somebody asks."""
    if name in ("device", "device_interrogate", "device_gfpgan", "device_esrgan", "device_codeformer"):
        return _plan().device
    if name in ("dtype", "dtype_unet", "dtype_inference"):
        return _plan().dtype
    if name == "dtype_vae":
        return getattr(_plan(), "vae_dtype", _plan().dtype)
    raise AttributeError(name)


def has_xpu() -> bool:
    """Say whether an Intel GPU is used: never."""
    return False


def has_mps() -> bool:
    """Say whether this is an Apple GPU."""
    return _plan().device.type == "mps"


def cuda_no_autocast(device_id: int | None = None) -> bool:
    """Say whether the GPU must not be used with mixed precision: never."""
    return False


def get_cuda_device_id() -> int:
    """Return the number of the GPU."""
    return _plan().device.index or 0


def get_cuda_device_string() -> str:
    """Return the name of the GPU in torch's words."""
    return str(_plan().device)


def get_optimal_device_name() -> str:
    """Return the name of the device in torch's words."""
    return str(_plan().device)


def get_optimal_device() -> torch.device:
    """Return the device."""
    return _plan().device


def get_device_for(task: str) -> torch.device:
    """Return the device for a task, such as "sd", "esrgan" or "controlnet"."""
    return _plan().device


def torch_gc() -> None:
    """Give memory back that nothing uses."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def autocast(disable: bool = False) -> contextlib.AbstractContextManager[Any]:
    """Return a block of mixed precision on a GPU in half precision; elsewhere a block that does nothing."""
    plan = _plan()
    if disable or plan.device.type != "cuda" or plan.dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast("cuda", dtype=plan.dtype)


def without_autocast(disable: bool = False) -> contextlib.AbstractContextManager[Any]:
    """Return a block without mixed precision."""
    if disable or not torch.is_autocast_enabled():
        return contextlib.nullcontext()
    return torch.autocast("cuda", enabled=False)


def cond_cast_unet(tensor: Tensor) -> Tensor:
    """Return a tensor in the U-Net's precision."""
    return tensor.to(_plan().dtype)


def cond_cast_float(tensor: Tensor) -> Tensor:
    """Return a tensor in single precision."""
    return tensor.float()


def test_for_nans(x: Tensor, where: str) -> None:
    """Raise NansException when a tensor holds nothing but NaN; `where` is "unet" or "vae"."""
    if torch.isnan(x).all():
        raise NansException(f"A tensor with all NaNs was produced in {where}.")


def enable_tf32() -> None:
    """Do nothing: the engine decides on this."""


def first_time_calculation() -> None:
    """Do nothing: the engine warms up by itself."""


def torch_npu_set_device() -> None:
    """Do nothing: there is no such device here."""


def manual_cast(target_dtype: torch.dtype) -> contextlib.AbstractContextManager[Any]:
    """Return a block that does nothing: layers of ours have one precision."""
    return contextlib.nullcontext()
