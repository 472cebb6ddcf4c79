"""Reads a ComfyUI graph as an infotext: from the saved picture back along the links to sampler, texts and model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modules.imaging.draft import Converted, Draft, mapping, model_name, number, plain
from modules.imaging.foreign_names import COMFY_SAMPLERS, COMFY_SCHEDULES
from modules.imaging.foreign_prompts import from_comfy

FARTHEST = 1000
"""Nodes that are looked at before the search gives up."""

_OUTPUTS = ("SaveImage", "PreviewImage", "SaveImageWebsocket", "SaveAnimatedWEBP")
_SAMPLERS = ("KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced")
_PARTS_OF_SAMPLERS = ("noise", "guider", "sampler", "sigmas")
_TEXTS = ("text", "text_g", "text_l", "string", "value", "prompt", "Text", "STRING")
_NUMBERS = ("value", "seed", "noise_seed", "int", "float", "number", "INT", "FLOAT")
_CONDITIONS = ("conditioning", "conditioning_to", "conditioning_from", "conditioning_1", "conditioning_2")
_PICTURES = ("images", "image", "samples", "latent", "latent_image", "pixels", "upscaled_image")
_UPSCALERS = {
    "nearest-exact": "Latent (nearest-exact)",
    "bilinear": "Latent",
    "bicubic": "Latent (bicubic)",
}
_UNDERSTOOD = frozenset({
    *_OUTPUTS, *_SAMPLERS, "CLIPTextEncode", "CLIPTextEncodeSDXL", "CheckpointLoaderSimple", "CheckpointLoader",
    "UNETLoader", "LoraLoader", "LoraLoaderModelOnly", "VAELoader", "VAEDecode", "VAEDecodeTiled", "VAEEncode",
    "EmptyLatentImage", "EmptySD3LatentImage", "LatentUpscale", "LatentUpscaleBy", "CLIPSetLastLayer", "RandomNoise",
    "CFGGuider", "BasicGuider", "KSamplerSelect", "BasicScheduler", "CLIPLoader", "DualCLIPLoader", "LoadImage",
    "PrimitiveNode", "PrimitiveInt", "PrimitiveFloat", "PrimitiveString", "PrimitiveStringMultiline",
    "ConditioningConcat", "ConditioningCombine",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Node:
    name: str
    kind: str
    inputs: Mapping[str, Any]


@dataclass(slots=True)
class _Graph:
    """The nodes by their names; `reached` are the kinds of those that the picture was made of."""

    nodes: Mapping[str, _Node]
    reached: Counter[str] = field(default_factory=Counter)

    def linked(self, node: _Node, key: str) -> _Node | None:
        """Return the node that an input is linked to; None when it is a value or leads nowhere."""
        link = node.inputs.get(key)
        if isinstance(link, list) and link and isinstance(link[0], str | int):
            return self.nodes.get(str(link[0]))
        return None

    def value(self, node: _Node | None, key: str) -> str:
        """Return an input's value, along links to nodes that only hold a value; empty when there is none."""
        return self._followed(node, key, _NUMBERS)

    def text(self, node: _Node, key: str) -> str:
        """Return an input's text, along links likewise."""
        return self._followed(node, key, _TEXTS)

    def _followed(self, node: _Node | None, key: str, holders: Iterable[str]) -> str:
        keys: tuple[str, ...] = (key,)
        for _ in range(10):
            if node is None:
                break
            found = next((name for name in keys if name in node.inputs), None)
            if found is None:
                break
            if not isinstance(node.inputs[found], list):
                return plain(node.inputs[found])
            node = self.linked(node, found)
            keys = (key, *holders)
        return ""

    def setting(self, sampler: _Node, *keys: str) -> str:
        """Return a sampler's setting, which may stand in the nodes for noise, guidance, solver and schedule."""
        parts = [self.linked(sampler, part) for part in _PARTS_OF_SAMPLERS]
        for node in (sampler, *parts):
            for key in keys:
                if written := self.value(node, key):
                    return written
        return ""

    def part(self, sampler: _Node, *keys: str) -> _Node | None:
        """Return the node that a sampler, or its guider, is linked to by one of these inputs."""
        guider = self.linked(sampler, "guider")
        for node in filter(None, (sampler, guider)):
            for key in keys:
                if (found := self.linked(node, key)) is not None:
                    return found
        return None

    def upstream(self, start: _Node | None, keys: Iterable[str]) -> Iterator[_Node]:
        """Yield the nodes that lead to `start` by these inputs, itself first, near ones before far ones."""
        keys = tuple(keys)
        waiting = [start] if start is not None else []
        seen = {start.name for start in waiting}
        while waiting and len(seen) < FARTHEST:
            node = waiting.pop(0)
            yield node
            for key in keys:
                linked = self.linked(node, key)
                if linked is not None and linked.name not in seen:
                    seen.add(linked.name)
                    waiting.append(linked)

    def reach_all(self, start: _Node) -> None:
        """Count the kinds of all nodes that lead to `start`."""
        keys = {key for node in self.nodes.values() for key in node.inputs}
        self.reached.update(node.kind for node in self.upstream(start, keys))


def read_comfy(data: Mapping[str, Any]) -> Converted | None:
    """Return what a graph ("prompt") means, or None when it holds no sampler."""
    graph = _Graph({str(name): _node(str(name), mapping(each)) for name, each in data.items()})
    samplers = _samplers(graph)
    if not samplers:
        return None
    draft = Draft("ComfyUI")
    graph.reach_all(_end(graph) or samplers[-1])
    first = samplers[0]
    draft.prompt = _prompt(graph, draft, graph.part(first, "positive", "conditioning"))
    draft.negative_prompt = _prompt(graph, draft, graph.part(first, "negative"))
    _read_sampler(graph, draft, first)
    _read_start(graph, draft, first)
    _read_model(graph, draft, first)
    if len(samplers) > 1:
        _read_second_pass(graph, draft, samplers)
    # Its noise is always made on the CPU, and weights are not scaled back to the mean.
    draft.pairs["RNG"] = "CPU"
    if "(" in draft.prompt or "(" in draft.negative_prompt:
        draft.pairs["Emphasis"] = "No norm"
    draft.pairs["Version"] = "ComfyUI"
    for kind, count in graph.reached.items():
        if kind not in _UNDERSTOOD:
            draft.note(f"node {kind}" + (f" ({count} times)" if count > 1 else ""))
    return draft.done()


def _node(name: str, data: Mapping[str, Any]) -> _Node:
    return _Node(name, plain(data.get("class_type")), mapping(data.get("inputs")))


def _end(graph: _Graph) -> _Node | None:
    """Return the node that saves the picture, or else shows it."""
    by_kind = {kind: node for kind in reversed(_OUTPUTS) for node in graph.nodes.values() if node.kind == kind}
    return next((by_kind[kind] for kind in _OUTPUTS if kind in by_kind), None)


def _samplers(graph: _Graph) -> list[_Node]:
    """Return the samplers that the picture went through, the first one first."""
    end = _end(graph)
    found = [node for node in graph.upstream(end, _PICTURES) if node.kind in _SAMPLERS]
    if not found:
        found = [node for node in graph.nodes.values() if node.kind in _SAMPLERS][:1]
        found = [node for start in found for node in graph.upstream(start, _PICTURES) if node.kind in _SAMPLERS]
    return found[::-1]


def _prompt(graph: _Graph, draft: Draft, start: _Node | None) -> str:
    """Return the text behind a conditioning; several that are chained make chunks of their own."""
    texts: list[str] = []
    kinds: set[str] = set()
    for node in graph.upstream(start, _CONDITIONS):
        kinds.add(node.kind)
        text, second = graph.text(node, "text") or graph.text(node, "text_g"), graph.text(node, "text_l")
        if text or second:
            texts.append(text or second)
        if text and second and second != text:
            draft.note("a prompt of its own for the first text encoder", second)
    if "ConditioningCombine" in kinds:
        draft.note("combined prompts are read as parts of one, divided by AND")
    divider = " AND " if "ConditioningCombine" in kinds else " BREAK "
    return divider.join(from_comfy(text) for text in texts)


def _read_sampler(graph: _Graph, draft: Draft, sampler: _Node) -> None:
    draft.pair("Steps", graph.setting(sampler, "steps"))
    name = graph.setting(sampler, "sampler_name")
    draft.named("Sampler", name.removesuffix("_gpu").removesuffix("_bh2"), COMFY_SAMPLERS)
    draft.named("Schedule type", graph.setting(sampler, "scheduler"), COMFY_SCHEDULES)
    draft.pair("CFG scale", graph.setting(sampler, "cfg"))
    draft.pair("Seed", graph.setting(sampler, "seed", "noise_seed"))
    if name == "uni_pc_bh2":
        draft.pairs["UniPC variant"] = "bh2"
    if name.endswith("_gpu"):
        draft.note("the sampler's noise is of the GPU", name)
    for key, harmless in (("start_at_step", "0"), ("add_noise", "enable")):
        value = graph.value(sampler, key)
        if value not in ("", "True", harmless):
            draft.note(key.replace("_", " "), value)
    end, steps = number(graph.value(sampler, "end_at_step")), number(graph.value(sampler, "steps"))
    if end is not None and steps is not None and end < steps:
        draft.note("end at step", int(end))


def _read_start(graph: _Graph, draft: Draft, sampler: _Node) -> None:
    """Read the size from an empty latent, or the strength with which a picture was changed."""
    for node in graph.upstream(graph.linked(sampler, "latent_image"), _PICTURES):
        if node.kind.startswith("Empty") and "width" in node.inputs:
            draft.size(graph.value(node, "width"), graph.value(node, "height"))
            count = number(graph.value(node, "batch_size")) or 1
            if count > 1:
                draft.note("pictures of one batch share their seed; batch size", int(count))
        elif node.kind == "LoadImage":
            draft.pair("Denoising strength", graph.setting(sampler, "denoise"))
            draft.note("the picture to begin with", graph.value(node, "image"))


def _read_model(graph: _Graph, draft: Draft, sampler: _Node) -> None:
    loras = []
    for node in graph.upstream(graph.part(sampler, "model"), ("model",)):
        if node.kind in ("LoraLoader", "LoraLoaderModelOnly"):
            loras.append(node)
        elif name := graph.value(node, "ckpt_name") or graph.value(node, "unet_name"):
            draft.pair("Model", model_name(name))
    for node in reversed(loras):
        strength = graph.value(node, "strength_model")
        text_strength = "0" if node.kind == "LoraLoaderModelOnly" else graph.value(node, "strength_clip")
        draft.lora(graph.value(node, "lora_name"), text_strength, strength)
    for node in graph.upstream(_end(graph), (*_PICTURES, "vae")):
        if node.kind == "VAELoader":
            draft.pair("VAE", model_name(graph.value(node, "vae_name")))
    texts = graph.part(sampler, "positive", "conditioning")
    for node in graph.upstream(texts, (*_CONDITIONS, "clip")):
        if node.kind == "CLIPSetLastLayer":
            layer = number(graph.value(node, "stop_at_clip_layer"))
            draft.pair("Clip skip", -int(layer) if layer and layer < -1 else None)


def _read_second_pass(graph: _Graph, draft: Draft, samplers: list[_Node]) -> None:
    """Read the second sampler as the hires pass."""
    second = samplers[1]
    draft.pair("Denoising strength", graph.setting(second, "denoise"))
    draft.pair("Hires steps", graph.setting(second, "steps"))
    for node in graph.upstream(graph.linked(second, "latent_image"), _PICTURES):
        if node.kind in _SAMPLERS:
            break
        if node.kind == "LatentUpscaleBy":
            draft.pair("Hires upscale", graph.value(node, "scale_by"))
        elif node.kind == "LatentUpscale":
            draft.pair("Hires resize", f"{graph.value(node, 'width')}x{graph.value(node, 'height')}")
        else:
            continue
        draft.named("Hires upscaler", graph.value(node, "upscale_method"), _UPSCALERS)
    if len(samplers) > 2:
        draft.note("further passes of a sampler", len(samplers) - 2)
