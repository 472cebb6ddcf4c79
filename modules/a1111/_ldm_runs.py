"""Which model extensions see inside `shared.sd_model`, how the engine's calls go through it, and how all is undone.

A view of a model is made when somebody first asks for its inside, and is the same object from then on. While a run
goes on, the engine's calls of a model that has a view go through it. What was changed since the outermost run began is
undone at its end; what is changed outside of runs stays, as in A1111. There what is changed in a run stays too, and an
extension may count on it: a function that it has kept is in its place again while the next run goes on.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from torch import Tensor, nn

from modules.a1111 import _ldm_attention, _ldm_layers, _ldm_text, _ldm_unet, _ldm_vae, sd_hijack_unet
from modules.a1111._host import HOST
from modules.a1111._ldm_kept import KeptAttributes, KeptModules, Remnant
from modules.a1111._ldm_model import DiffusionEngine, DiffusionWrapper, GeneralConditioner, LatentDiffusion
from modules.a1111._ldm_present import present, present_model
from modules.a1111._patching import Patches
from modules.a1111._placeholders import NotInEasel
from modules.a1111._runs import Run
from modules.a1111._view import base_request
from modules.a1111.sd_hijack import model_hijack
from modules.engine.models import LoadedModel
from modules.engine.text import TextRules

logger = logging.getLogger(__name__)
VIEW = "_easel_view"
_CLASSES = (
    *(value for module in (_ldm_attention, _ldm_layers, _ldm_text, _ldm_unet, _ldm_vae)
      for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__),
    DiffusionEngine, DiffusionWrapper, GeneralConditioner, LatentDiffusion,
)  # fmt: skip
_LAYERS = (nn.Linear, nn.Conv2d, nn.GroupNorm, nn.LayerNorm, nn.MultiheadAttention)
_PRISTINE = KeptAttributes((*_CLASSES, sd_hijack_unet.th))
"""The views' classes as Easel has them; extensions may replace their methods."""


@dataclass(slots=True)
class Attachment:
    """A view through which the engine's calls go, what was replaced for that, and what its parts were before."""

    view: LatentDiffusion
    patches: Patches
    kept: list[KeptModules]


@dataclass(slots=True)
class Inside:
    """What the adapter knows of models' insides: those with views, and those that the engine's calls go through."""

    facade: Any = None
    views: WeakSet[LatentDiffusion] = field(default_factory=WeakSet)
    kept: dict[int, KeptModules] = field(default_factory=dict)
    remnants: list[Remnant] = field(default_factory=list)
    attached: dict[int, Attachment] = field(default_factory=dict)


def inside() -> Inside:
    """Return what is known."""
    state: Inside = HOST.state("inside of models", Inside)
    return state


@contextmanager
def undoing(facade: Any) -> Iterator[None]:
    """Run something; after the outermost of such blocks models and `facade` are what they were before."""
    if HOST.runs.current() is not None:
        yield
        return
    state = inside()
    state.facade = facade
    before = KeptAttributes((*_CLASSES, *_LAYERS, sd_hijack_unet.th, facade))
    state.kept = {id(view): _kept(view) for view in state.views}
    _put_back(state)
    try:
        yield
        parts = [*state.kept.values(), *(attachment.kept[0] for attachment in state.attached.values())]
        state.remnants = [each for kept in parts for each in kept.remnants()]
    finally:
        for attachment in reversed(state.attached.values()):
            attachment.patches.undo()
        for attachment in state.attached.values():
            for kept in attachment.kept:
                kept.restore()
            attachment.view.__dict__["loaded"].conditioner.forget()
        for kept in state.kept.values():
            kept.restore()
        before.restore()
        state.attached, state.kept = {}, {}
        HOST.own_state.pop("present models", None)


def _put_back(state: Inside) -> None:
    """Put back what extensions have kept of what they had in the models when the last run ended."""
    remnants, state.remnants = state.remnants, []
    if any(each.function() is not None for each in remnants):
        # What is only kept by a circle of its own is nobody's.
        gc.collect()
        for each in remnants:
            each.put_back()


def comes_to_work(loaded: LoadedModel) -> None:
    """Take note of the model that the engine is about to use; one that somebody has changed is used as changed."""
    state = inside()
    present().at_work = loaded
    wanted = VIEW in vars(loaded.bundle.unet) or _PRISTINE.changes() or any(
        name in vars(state.facade) for name in ("apply_model", "decode_first_stage", "encode_first_stage")
    )  # fmt: skip
    if not wanted:
        return
    try:
        view = view_of(loaded)
    except NotInEasel as error:
        logger.warning("What extensions have changed does not act: %s", error)
        return
    if any(name in vars(state.facade) for name in ("decode_first_stage", "encode_first_stage")):
        _link_vae(state, view, view.first_stage_model)
    if any(_ldm_text.is_changed(text) for text in view.__dict__["text_views"]):
        loaded.conditioner.forget()


def present_view() -> LatentDiffusion:
    """Return the inside of the model that counts now. Raises NoModel, ModelUnavailable."""
    with HOST.own_code():
        return view_of(present_model())


def view_of(loaded: LoadedModel) -> LatentDiffusion:
    """Return the view of a model; inside a run the engine's calls go through it from now on. Raises NotInEasel."""
    unet, state = loaded.bundle.unet, inside()
    view: LatentDiffusion | None = vars(unet).get(VIEW)
    if view is None or view.__dict__["loaded"] is not loaded:
        kind = DiffusionEngine if loaded.bundle.family.size_numbers else LatentDiffusion
        view = kind(loaded, model_hijack, _rules)
        vars(unet)[VIEW] = view
    state.views.add(view)
    if HOST.runs.current() is not None and id(view) not in state.attached:
        _attach(state, view)
    return view


def _rules() -> TextRules:
    run: Run | None = HOST.runs.current()
    request = run.generation.request if run is not None else base_request()
    return TextRules(request.clip_skip, request.emphasis, request.comma_backtrack)


def _attach(state: Inside, view: LatentDiffusion) -> None:
    kept = state.kept.pop(id(view), None) or _kept(view)
    attachment = state.attached[id(view)] = Attachment(view, Patches(), [kept])
    bundle = view.__dict__["loaded"].bundle
    attachment.patches.set(bundle.unet, "forward", _through(state, view, type(bundle.unet)))
    for text in view.__dict__["text_views"]:
        _ldm_text.link(text, attachment.patches)
    view.__dict__["loaded"].conditioner.forget()
    known = view.__dict__["vaes"]
    attachment.patches.put(known, "linked", None)
    attachment.patches.put(known, "opened", lambda vae: _link_vae(state, view, vae))
    if known.get("view") is not None:
        _link_vae(state, view, known["view"])


def _through(state: Inside, view: LatentDiffusion, kind: type[nn.Module]) -> Any:
    """Return what takes the place of the U-Net's `forward`."""
    unet = view.__dict__["loaded"].bundle.unet

    def forward(
        sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, timestep_cond: Tensor | None = None,
        added_cond_kwargs: Any = None, **others: Any,
    ) -> Any:  # fmt: skip
        if any(value is not None for name, value in others.items() if name != "return_dict"):
            told = {"timestep_cond": timestep_cond, "added_cond_kwargs": added_cond_kwargs, **others}
            return kind.forward(unet, sample, timestep, encoder_hidden_states, **told)
        y = _ldm_unet.told_of(unet, added_cond_kwargs) if added_cond_kwargs else None
        latents, cond = view.asked(sample, timestep, encoder_hidden_states, y)
        if timestep_cond is not None:
            cond["timestep_cond"] = timestep_cond
        ask = vars(state.facade).get("apply_model", view.apply_model)
        return (ask(latents, timestep, cond),)

    return forward


def _link_vae(state: Inside, view: LatentDiffusion, vae: _ldm_vae.AutoencoderKL) -> None:
    """Have the VAE's calls go through its view too."""
    attachment, known = state.attached[id(view)], view.__dict__["vaes"]
    if known["linked"] is not vae:
        known["linked"] = vae
        shared = {id(module) for module in view.__dict__["loaded"].bundle.vae.modules()}
        attachment.kept.append(KeptModules([each for each in vae.modules() if id(each) not in shared], ()))
        _ldm_vae.link(vae, attachment.patches, lambda z: _decoded(state, view, vae, z))


def _decoded(state: Inside, view: LatentDiffusion, vae: Any, z: Tensor) -> Tensor:
    replaced = vars(state.facade).get("decode_first_stage")
    return vae.decode(z) if replaced is None else replaced(z * view.scale_factor)


def _kept(view: LatentDiffusion) -> KeptModules:
    """Return what a view's parts, and those of the engine below them, are now."""
    bundle = view.__dict__["loaded"].bundle
    shared = {id(module): module for part in (bundle.unet, bundle.vae, *(text.encoder for text in bundle.texts))
              for module in part.modules()}  # fmt: skip
    own = {id(module): module for module in view.modules() if id(module) not in shared}
    return KeptModules(own.values(), shared.values())
