"""A1111's modules.script_callbacks: functions of extensions that are called when something happens.

`on_NAME(callback, *, name=None)` registers one; `NAME_callback(...)` calls all of them. One that fails is written down
for its extension, and the others are called all the same.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from typing import Any

from modules.a1111._callback_params import (
    AfterCFGCallbackParams,
    BeforeTokenCounterParams,
    CFGDenoisedParams,
    CFGDenoiserParams,
    ExtraNoiseParams,
    ImageGridLoopParams,
    ImageSaveParams,
    UiTrainTabParams,
)
from modules.a1111._host import HOST, arranged, extension_of
from modules.a1111._placeholders import calling_files
from modules.plugins.reports import Part

__all__ = [
    "AfterCFGCallbackParams", "BeforeTokenCounterParams", "CFGDenoisedParams", "CFGDenoiserParams", "ExtraNoiseParams",
    "ImageGridLoopParams", "ImageSaveParams", "UiTrainTabParams",
]  # fmt: skip

logger = logging.getLogger(__name__)

CATEGORIES = (
    "app_started", "model_loaded", "ui_tabs", "ui_train_tabs", "ui_settings", "before_image_saved", "image_saved",
    "extra_noise", "cfg_denoiser", "cfg_denoised", "cfg_after_cfg", "before_component", "after_component",
    "image_grid", "infotext_pasted", "script_unloaded", "before_ui", "on_reload", "list_optimizers", "list_unets",
    "before_token_counter",
)  # fmt: skip
_PAGE = frozenset({"ui_tabs", "ui_train_tabs", "ui_settings", "before_component", "after_component", "before_ui"})
_START = frozenset({"app_started", "model_loaded"})


@dataclasses.dataclass
class ScriptCallback:
    """One registered function; `extension`: the folder's name of the extension that it belongs to, "" for others."""

    script: str
    callback: Callable[..., Any]
    name: str = "unnamed"
    extension: str = ""


CALLBACK_MAP: dict[str, list[ScriptCallback]] = {f"callbacks_{category}": [] for category in CATEGORIES}
callback_map = CALLBACK_MAP


def add_callback(
    callbacks: list[ScriptCallback], fun: Callable[..., Any], *, name: str | None = None, category: str = "unknown",
    filename: str | None = None,
) -> None:  # fmt: skip
    """Register a function; the file of the caller says to which extension it belongs."""
    place = filename or _caller()
    extension = extension_of(place)
    shown = f"{extension or 'base'}/{category}" + (f"/{name}" if name else "")
    callbacks.append(ScriptCallback(place, fun, shown, extension))
    if extension:
        HOST.reports.uses(extension, f"on_{category}")


def _caller() -> str:
    return next((file for file in calling_files() if file != __file__), "unknown file")


def _register(category: str, callback: Callable[..., Any], name: str | None) -> None:
    add_callback(CALLBACK_MAP[f"callbacks_{category}"], callback, name=name, category=category)


def sort_callbacks(category: str, unordered_callbacks: list[ScriptCallback], *, enable_user_sort: bool = True) -> Any:
    """Return callbacks in the order in which they are called: the user's, else that in which they were registered."""
    return arranged(unordered_callbacks, lambda each: each.extension) if enable_user_sort else list(unordered_callbacks)


def ordered_callbacks(
    category: str, unordered_callbacks: list[ScriptCallback] | None = None, *, enable_user_sort: bool = True
) -> list[ScriptCallback]:
    """Return a category's callbacks in the order in which they are called."""
    given = CALLBACK_MAP.get(f"callbacks_{category}", []) if unordered_callbacks is None else unordered_callbacks
    return list(sort_callbacks(category, given, enable_user_sort=enable_user_sort))


def enumerate_callbacks() -> Iterator[tuple[str, list[ScriptCallback]]]:
    """Yield each category with its callbacks."""
    for category, callbacks in CALLBACK_MAP.items():
        yield category.removeprefix("callbacks_"), callbacks


def clear_callbacks() -> None:
    """Forget all."""
    for callbacks in CALLBACK_MAP.values():
        callbacks.clear()


def remove_current_script_callbacks() -> None:
    """Forget the callbacks of the file that calls this."""
    place = _caller()
    for callbacks in CALLBACK_MAP.values():
        callbacks[:] = [each for each in callbacks if each.script != place]


def remove_callbacks_for_function(callback_func: Callable[..., Any]) -> None:
    """Forget a function."""
    for callbacks in CALLBACK_MAP.values():
        callbacks[:] = [each for each in callbacks if each.callback != callback_func]


def report_exception(c: ScriptCallback, job: str) -> None:
    """Log the exception that a callback raised."""
    logger.error("The callback %s of %s failed.", job, c.script)


def has_any(*categories: str) -> bool:
    """Say whether anybody registered for one of these categories."""
    return any(CALLBACK_MAP[f"callbacks_{category}"] for category in categories)


def _call(category: str, *given: Any, **named: Any) -> list[tuple[ScriptCallback, Any]]:
    """Call a category's functions and return what those gave that did not fail."""
    part: Part = "page" if category in _PAGE else "start" if category in _START else "hook"
    answers = []
    for each in ordered_callbacks(category):
        with HOST.guarding(each.extension, part, category):
            answers.append((each, each.callback(*given, **named)))
    return answers


def app_started_callback(demo: Any, app: Any) -> None:
    """Tell that the server begins: Gradio's page and the FastAPI application."""
    _call("app_started", demo, app)


def app_reload_callback() -> None:
    """Tell that the page is about to be built anew."""
    _call("on_reload")


def model_loaded_callback(sd_model: Any) -> None:
    """Tell that a checkpoint is in memory."""
    _call("model_loaded", sd_model)


def ui_tabs_callback() -> list[tuple[Any, str, str]]:
    """Return the tabs of extensions: (Blocks, title, id)."""
    return [tab for _, tabs in _call("ui_tabs") for tab in tabs or ()]


def ui_train_tabs_callback(params: UiTrainTabParams) -> None:
    """Let extensions add to the Train tab."""
    _call("ui_train_tabs", params)


def ui_settings_callback() -> None:
    """Let extensions add their options."""
    _call("ui_settings")


def before_image_saved_callback(params: ImageSaveParams) -> None:
    """Let extensions change a picture before it is saved."""
    _call("before_image_saved", params)


def image_saved_callback(params: ImageSaveParams) -> None:
    """Tell of a picture that was saved."""
    _call("image_saved", params)


def extra_noise_callback(params: ExtraNoiseParams) -> None:
    """Let extensions change noise."""
    _call("extra_noise", params)


def cfg_denoiser_callback(params: CFGDenoiserParams) -> None:
    """Let extensions change what the network is asked."""
    _call("cfg_denoiser", params)


def cfg_denoised_callback(params: CFGDenoisedParams) -> None:
    """Let extensions change what the network answered."""
    _call("cfg_denoised", params)


def cfg_after_cfg_callback(params: AfterCFGCallbackParams) -> None:
    """Let extensions change the joined answer."""
    _call("cfg_after_cfg", params)


def before_component_callback(component: Any, **kwargs: Any) -> None:
    """Tell that a component of the page is about to be made."""
    _call("before_component", component, **kwargs)


def after_component_callback(component: Any, **kwargs: Any) -> None:
    """Tell that a component of the page was made."""
    _call("after_component", component, **kwargs)


def image_grid_callback(params: ImageGridLoopParams) -> None:
    """Let extensions change a grid."""
    _call("image_grid", params)


def infotext_pasted_callback(infotext: str, params: dict[str, Any]) -> None:
    """Let extensions change what a pasted infotext gives."""
    _call("infotext_pasted", infotext, params)


def script_unloaded_callback() -> None:
    """Tell extensions that they are unloaded, the last one first."""
    for each in reversed(ordered_callbacks("script_unloaded")):
        with HOST.guarding(each.extension, "hook", "script_unloaded"):
            each.callback()


def before_ui_callback() -> None:
    """Tell that the page is about to be built."""
    _call("before_ui")


def list_optimizers_callback() -> list[Any]:
    """Return what extensions add to the ways of computing attention; Easel keeps to torch's own."""
    found: list[Any] = []
    _call("list_optimizers", found)
    return found


def list_unets_callback() -> list[Any]:
    """Return what extensions add to the U-Nets."""
    found: list[Any] = []
    _call("list_unets", found)
    return found


def before_token_counter_callback(params: BeforeTokenCounterParams) -> None:
    """Let extensions change a prompt before its tokens are counted."""
    _call("before_token_counter", params)


def on_app_started(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for the server's start."""
    _register("app_started", callback, name)


def on_before_reload(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for the page's being built anew."""
    _register("on_reload", callback, name)


def on_model_loaded(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for checkpoints; called at once too if one was loaded, as extensions come later than that."""
    _register("model_loaded", callback, name)


def on_ui_tabs(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for tabs."""
    _register("ui_tabs", callback, name)


def on_ui_train_tabs(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for the Train tab."""
    _register("ui_train_tabs", callback, name)


def on_ui_settings(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for options."""
    _register("ui_settings", callback, name)


def on_before_image_saved(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for pictures before they are saved."""
    _register("before_image_saved", callback, name)


def on_image_saved(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for saved pictures."""
    _register("image_saved", callback, name)


def on_extra_noise(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for noise."""
    _register("extra_noise", callback, name)


def on_cfg_denoiser(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for what the network is asked."""
    _register("cfg_denoiser", callback, name)


def on_cfg_denoised(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for what the network answered."""
    _register("cfg_denoised", callback, name)


def on_cfg_after_cfg(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for the joined answer."""
    _register("cfg_after_cfg", callback, name)


def on_before_component(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for components before they are made."""
    _register("before_component", callback, name)


def on_after_component(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for components that were made."""
    _register("after_component", callback, name)


def on_image_grid(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for grids."""
    _register("image_grid", callback, name)


def on_infotext_pasted(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for pasted infotexts."""
    _register("infotext_pasted", callback, name)


def on_script_unloaded(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for being unloaded."""
    _register("script_unloaded", callback, name)


def on_before_ui(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for the page's being built."""
    _register("before_ui", callback, name)


def on_list_optimizers(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for the ways of computing attention."""
    _register("list_optimizers", callback, name)


def on_list_unets(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for U-Nets."""
    _register("list_unets", callback, name)


def on_before_token_counter(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Register for the counting of tokens."""
    _register("before_token_counter", callback, name)
