"""Every hook in a real run: that it comes, what it is given, and that its changes count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from modules.core.events import Remark
from modules.core.request import GenerationRequest
from modules.core.result import GenerationResult
from modules.engine.memory import DeviceWishes
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.hooks.registry import HookRegistry
from modules.hooks.spec import (
    BatchStart,
    CallNetwork,
    CallNext,
    Decoded,
    Described,
    ExtraNoise,
    Generation,
    Guided,
    MaskBlend,
    ModelAtWork,
    ModelInput,
    NetworkCall,
    NetworkInput,
    NetworkOutput,
    Overlay,
    PassPrompts,
    PassStart,
    Picture,
    Sampled,
    Sampling,
    Step,
    StepStart,
    Walk,
)
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from tests.engine.conftest import MakeRequest, Watcher
from tests.hooks.plugins import SECTION, Plugin

SIZE = 64
Go = Callable[..., tuple[list[np.ndarray], Watcher]]


@pytest.fixture(scope="module")
def engine(catalog: CheckpointCatalog) -> DiffusionEngine:
    mask = Image.new("L", (SIZE, SIZE))
    mask.paste(255, (16, 16, 48, 48))
    pictures = {"picture": Image.new("RGB", (SIZE, SIZE), "green"), "mask": mask}
    settings = EngineSettings(DeviceWishes(use_cpu=True), pictures=pictures.__getitem__)
    return DiffusionEngine(ModelFiles(catalog), settings)


@pytest.fixture
def go(engine: DiffusionEngine, request_of: MakeRequest) -> Go:
    """Makes pictures with the given moments of a plugin, and returns their pixels and what was told."""

    def make(strict: bool = True, plugin: Plugin | None = None, moments: Any = None, **values: Any) -> Any:
        hooks = HookRegistry([plugin or Plugin(**(moments or {}))], strict=strict)
        engine.settings = replace(engine.settings, hooks=hooks)
        watcher = Watcher()
        engine.generate(request_of(**values), watcher, watcher)
        return [np.asarray(image.pixels, dtype=int) for image in watcher.images], watcher

    return make


INPAINT: dict[str, object] = {"init_image": "picture", "mask_image": "mask", "mask_blur_x": 0, "mask_blur_y": 0}


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all((a == b).all() for a, b in zip(one, other, strict=True))


def test_hook_around_generate(go: Go) -> None:
    seen: list[GenerationRequest] = []

    def around(generation: Generation, call_next: CallNext) -> GenerationResult:
        seen.append(generation.request)
        request = generation.request.model_copy(update={"seed": 99})
        return call_next(replace(generation, request=request))

    changed, watcher = go(moments={"around_generate": around})
    assert [request.seed for request in seen] == [5]
    assert same(changed, go(seed=99)[0])
    assert watcher.images[0].seed == 99


def test_hook_before_batch(go: Go) -> None:
    seen: list[BatchStart] = []

    def other_seeds(batch: BatchStart) -> None:
        seen.append(batch)
        batch.seeds = [seed + 10 for seed in batch.seeds]

    changed, watcher = go(moments={"before_batch": other_seeds}, batch_count=2)
    assert [batch.indexes for batch in seen] == [(0,), (1,)]
    assert [image.seed for image in watcher.images] == [15, 16]
    assert same(changed, go(seed=15, batch_count=2)[0])
    assert "Seed: 15" in watcher.images[0].infotext


def test_hook_on_model(go: Go) -> None:
    seen: list[ModelAtWork] = []
    plain, _ = go(batch_count=2)

    def double(model: ModelAtWork) -> None:
        seen.append(model)
        layer = model.model.bundle.unet.conv_out
        handles.append(layer.register_forward_hook(lambda _layer, _given, answer: answer * 2))

    handles: list[Any] = []
    try:
        changed, _ = go(moments={"on_model": double}, batch_count=2)
    finally:
        for handle in handles:
            handle.remove()
    assert len(seen) == 2
    assert seen[0].checkpoint == seen[0].model.bundle.entry.title
    assert not same(changed, plain)
    assert same(go(batch_count=2)[0], plain)


def test_hook_on_networks(go: Go) -> None:
    seen: list[list[Any]] = []
    go(moments={"on_networks": lambda networks: seen.append(networks.uses)}, enable_hr=True)
    # For the prompts of each pass and for its sampling.
    assert seen == [[]] * 4


def test_hook_on_prompts(go: Go) -> None:
    seen: list[PassPrompts] = []

    def other(prompts: PassPrompts) -> None:
        seen.append(replace(prompts, parts=list(prompts.parts)))
        prompts.parts = [("a green pear", 1.0), ("snow", 0.5)]
        prompts.negative = "a cat"

    changed, watcher = go(moments={"on_prompts": other}, prompt="a <lora:none:1>red apple AND a dog :0.2", batch_size=2)
    assert [(each.index, each.pictures) for each in seen] == [(0, 2)]
    assert [(text.strip(), weight) for text, weight in seen[0].parts] == [("a red apple", 1.0), ("a dog", 0.2)]
    written = {"prompt": "a green pear AND snow :0.5", "negative_prompt": "a cat"}
    assert same(changed, go(batch_size=2, **written)[0])
    assert watcher.images[0].infotext.startswith("a <lora:none:1>red apple AND a dog :0.2\n")


def test_hook_before_pass(go: Go) -> None:
    seen: list[PassStart] = []

    def begin(begun: PassStart) -> None:
        seen.append(begun)
        begun.noise = torch.ones_like(begun.noise)

    hires = {"enable_hr": True, "hr_scale": 2.0, "denoising_strength": 0.5}
    ones, _ = go(moments={"before_pass": begin}, **hires)
    assert [(begun.index, begun.noise.shape[-1], begun.latents is None) for begun in seen] == [
        (0, 8, True), (1, 16, False)
    ]  # fmt: skip
    assert same(ones, go(moments={"before_pass": begin}, seed=77, **hires)[0]), "all noise was replaced"


def test_hook_on_extra_noise(go: Go) -> None:
    seen: list[ExtraNoise] = []

    def silence(extra: ExtraNoise) -> None:
        seen.append(extra)
        extra.noise = torch.zeros_like(extra.noise)

    silent, _ = go(moments={"on_extra_noise": silence}, init_image="picture", extra_noise=0.4)
    assert [extra.strength for extra in seen] == [0.4]
    assert seen[0].noise.shape == seen[0].latents.shape == seen[0].noisy.shape
    assert same(silent, go(init_image="picture")[0])
    assert not same(silent, go(init_image="picture", extra_noise=0.4)[0])


def test_hook_around_sampling(go: Go) -> None:
    walks: list[Sampling] = []

    def look(sampling: Sampling, call_next: Walk) -> torch.Tensor:
        walks.append(sampling)
        return call_next(sampling)

    assert same(go(moments={"around_sampling": look}, batch_size=2)[0], go(batch_size=2)[0]), "looking changes nothing"
    assert [(len(walk.sigmas), walk.index, walk.latents.shape[0]) for walk in walks] == [(4, 0, 2)]


def test_hook_before_model(go: Go) -> None:
    calls: list[ModelInput] = []

    def brighten(shown: ModelInput) -> None:
        calls.append(shown)
        shown.latents = shown.latents + 0.5

    changed, _ = go(moments={"before_model": brighten}, batch_size=2)
    assert [shown.call for shown in calls] == [0, 1, 2]
    assert calls[0].latents.shape[0] == 2
    assert calls[0].latents.shape[2:] == (SIZE // 8, SIZE // 8)
    assert calls[0].sigma.shape == (2,)
    assert not same(changed, go(batch_size=2)[0])


def test_hook_before_network(go: Go) -> None:
    calls: list[NetworkInput] = []

    def look(asked: NetworkInput) -> None:
        calls.append(asked)

    same_as_without, _ = go(moments={"before_network": look}, batch_size=2, cfg_scale=7)
    assert same(same_as_without, go(batch_size=2, cfg_scale=7)[0]), "looking changes nothing"
    assert [asked.call for asked in calls] == [0, 1, 2]
    assert calls[0].latents.shape[:2] == (2, 2), "prompts, then pictures"
    assert calls[0].unconditional is not None
    assert calls[0].conditionals[0].context.shape[:2] == (2, 77)
    assert calls[0].sigma.shape == (2,)


def test_hook_before_network_changes_one_prompts_latents_or_one_pictures_vectors(go: Go) -> None:
    def other_latents(asked: NetworkInput) -> None:
        asked.latents = torch.cat([asked.latents[:1] + 0.5, asked.latents[1:]])

    def other_vectors(asked: NetworkInput) -> None:
        context = asked.conditionals[0].context.clone()
        context[1] = 0
        asked.conditionals[0].context = context

    plain, _ = go(batch_size=2, cfg_scale=7)
    changed, _ = go(moments={"before_network": other_latents}, batch_size=2, cfg_scale=7)
    assert not same(changed, plain)
    first, second = go(moments={"before_network": other_vectors}, batch_size=2, cfg_scale=7)[0]
    assert np.abs(first - plain[0]).max() <= 1
    assert np.abs(second - plain[1]).max() > 1


def test_hook_before_network_may_make_one_prompt_longer(go: Go) -> None:
    """Then the prompts no longer fit into one call, and each is asked with its own latents."""

    def longer(asked: NetworkInput) -> None:
        vectors = asked.conditionals[0]
        vectors.context = torch.cat([vectors.context, vectors.context], dim=1)

    plain, _ = go(cfg_scale=7)
    changed, _ = go(moments={"before_network": longer}, cfg_scale=7)
    # Attention over everything twice is attention over it once.
    assert np.abs(changed[0] - plain[0]).max() <= 1


def test_hook_around_network(go: Go) -> None:
    calls: list[NetworkCall] = []

    def look(call: NetworkCall, call_next: CallNetwork) -> torch.Tensor:
        calls.append(call)
        return call_next(call)

    looked, _ = go(moments={"around_network": look}, batch_size=2, cfg_scale=7)
    assert same(looked, go(batch_size=2, cfg_scale=7)[0])
    assert [call.latents.shape for call in calls] == [(4, 4, 8, 8)] * 3
    assert calls[0].vectors.context.shape[:2] == (4, 77)
    assert calls[0].sigma.shape == (4,)


def test_hook_after_network(go: Go) -> None:
    answers: list[NetworkOutput] = []

    def without_negative(answered: NetworkOutput) -> None:
        answers.append(answered)
        answered.estimates = torch.stack([answered.estimates[0]] * len(answered.estimates))

    changed, _ = go(moments={"after_network": without_negative}, cfg_scale=7)
    assert [answered.negative for answered in answers] == [True] * 3
    assert np.abs(changed[0] - go(cfg_scale=1)[0][0]).max() <= 1


def test_hook_on_decoded(go: Go) -> None:
    seen: list[Decoded] = []

    def red(decoded: Decoded) -> None:
        seen.append(decoded)
        decoded.pictures = [decoded.pictures[0], Image.new("RGB", (SIZE, SIZE), "red")]

    changed, _ = go(moments={"on_decoded": red}, batch_size=2)
    assert [decoded.indexes for decoded in seen] == [(0, 1)]
    assert same(changed[:1], go(batch_size=2)[0][:1])
    assert changed[1][0, 0].tolist() == [255, 0, 0]
    painted, _ = go(moments={"on_decoded": lambda decoded: setattr(decoded, "pictures", [
        Image.new("RGB", (SIZE, SIZE), "red")
    ])}, **INPAINT)  # fmt: skip
    assert painted[0][32, 32].tolist() == [255, 0, 0]
    assert painted[0][2, 2].tolist() == [0, 128, 0], "the original lies over it"


def test_hook_on_infotext(go: Go) -> None:
    seen: list[Described] = []

    def describe(described: Described) -> None:
        seen.append(described)
        described.pairs["Mood"] = "warm, soft"

    _, watcher = go(moments={"on_infotext": describe}, batch_size=2)
    assert [(described.index, described.seed) for described in seen] == [(0, 5), (1, 6)]
    assert ', Mood: "warm, soft", Version: ' in watcher.images[1].infotext


def test_hook_on_guidance(go: Go) -> None:
    answers: list[Guided] = []

    def unguided(answer: Guided) -> None:
        answers.append(answer)
        expected = answer.unconditional + 7 * (answer.conditionals[0] - answer.unconditional)
        torch.testing.assert_close(answer.guided, expected)
        answer.guided = answer.conditionals[0]

    changed, _ = go(moments={"on_guidance": unguided}, cfg_scale=7)
    without, _ = go(cfg_scale=1)
    assert len(answers) == 3
    assert np.abs(changed[0] - without[0]).max() <= 1


@pytest.mark.parametrize(("sampler", "last"), [("Euler", 0.0), ("DDIM", 1.0)])
def test_hook_on_mask_blend(sampler: str, last: float, go: Go) -> None:
    blends: list[MaskBlend] = []

    def all_old(blend: MaskBlend) -> None:
        blends.append(blend)
        expected = blend.made * blend.painted + blend.original * (1 - blend.painted)
        torch.testing.assert_close(blend.blended, expected)
        if blend.level is None:
            blend.blended = blend.original

    changed, _ = go(moments={"on_mask_blend": all_old}, **INPAINT, sampler=sampler, overlay_inpaint=False)
    levels = [float(blend.level) for blend in blends if blend.level is not None]
    assert blends[-1].level is None
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] > last, "in the sampler's own measure: sigma, or the timestep"
    assert blends[0].painted.shape == (1, 1, SIZE // 8, SIZE // 8)
    # What is left is the picture through the VAE: green all over.
    assert np.abs(changed[0] - changed[0].mean(axis=(0, 1))).mean() < 12


def test_hook_before_step(go: Go) -> None:
    seen: list[tuple[int, int, float]] = []
    told: list[Step] = []

    def fade(begun: StepStart) -> None:
        seen.append((begun.index, begun.steps, begun.sigma))
        assert begun.latents.shape == (1, 4, SIZE // 8, SIZE // 8)
        if begun.index == 1:
            begun.latents = begun.latents * 0.5

    def note(begun: StepStart) -> None:
        seen.append((begun.index, begun.steps, begun.sigma))

    assert same(go(moments={"before_step": note})[0], go()[0])
    assert [each[:2] for each in seen] == [(0, 3), (1, 3), (2, 3)]
    assert seen == sorted(seen, key=lambda each: -each[2])
    changed, _ = go(moments={"before_step": fade, "after_step": told.append})
    assert not same(changed, go()[0])
    plain: list[Step] = []
    go(moments={"after_step": plain.append})
    assert torch.equal(told[0].latents, plain[0].latents)
    torch.testing.assert_close(told[1].latents, plain[1].latents * 0.5)


def test_hook_after_step(go: Go) -> None:
    steps: list[Step] = []
    changed, _ = go(moments={"after_step": steps.append})
    assert [(step.index, step.steps) for step in steps] == [(0, 3), (1, 3), (2, 3)]
    assert steps[0].latents.shape == steps[0].denoised.shape == (1, 4, SIZE // 8, SIZE // 8)
    assert same(changed, go()[0])


def test_hook_after_sampling(go: Go) -> None:
    batches: list[int] = []

    def turn(sampled: Sampled) -> None:
        batches.append(sampled.first_image)
        sampled.latents = sampled.latents.flip(0)

    changed, _ = go(moments={"after_sampling": turn}, batch_size=2, batch_count=2)
    assert batches == [0, 2]
    plain, _ = go(batch_size=2, batch_count=2)
    assert same(changed, [plain[1], plain[0], plain[3], plain[2]])


@pytest.mark.parametrize("area", ["Whole picture", "Only masked"])
def test_hook_on_overlay(area: str, go: Go) -> None:
    overlays: list[Overlay] = []

    def cover(overlay: Overlay) -> None:
        overlays.append(overlay)
        overlay.overlay = Image.new("RGBA", overlay.original.size, "red")

    changed, _ = go(moments={"on_overlay": cover}, **INPAINT, inpaint_area=area, masked_padding=4, batch_size=2)
    assert [overlay.index for overlay in overlays] == [0, 1]
    assert (changed[0] == (255, 0, 0)).all()
    assert overlays[0].original.size == overlays[0].mask.size == (SIZE, SIZE)
    assert (overlays[0].box is not None) == (area == "Only masked")
    assert overlays[1].latents.shape == overlays[1].source.shape == (1, 4, SIZE // 8, SIZE // 8)
    go(moments={"on_overlay": cover}, init_image="picture")
    assert len(overlays) == 2, "without a mask nothing is laid over the result"


def test_hook_on_picture(go: Go) -> None:
    def sign(picture: Picture) -> None:
        picture.pixels = picture.pixels.resize((8, 8))
        picture.infotext += f", Signed: {picture.seed}"

    _, watcher = go(moments={"on_picture": sign}, batch_size=2)
    assert [image.pixels.size for image in watcher.images] == [(8, 8), (8, 8)]
    assert watcher.images[1].infotext.endswith("Signed: 6")


def test_a_plugin_that_fails_in_the_loop_costs_nothing_but_itself(go: Go) -> None:
    def fail(_: object) -> None:
        raise KeyError("oh")

    moments = dict.fromkeys(("before_model", "on_guidance", "after_step", "on_picture"), fail)
    changed, watcher = go(strict=False, moments=moments)
    told = [event.text for event in watcher.events if isinstance(event, Remark)]
    assert told == ["Test failed and takes no further part in this run: KeyError: 'oh'."]
    assert same(changed, go()[0])


def test_infotexts_name_the_values_of_the_plugins_that_took_part(go: Go) -> None:
    plugin = Plugin(description=SECTION)
    _, watcher = go(plugin=plugin, extras={"glow": {"amount": 0.25, "mood": "cold"}})
    assert "Glow enabled: True, Glow amount: 0.25, Glow mood: cold, Version: " in watcher.images[0].infotext
    assert "Glow" not in go(plugin=Plugin(description=SECTION))[1].images[0].infotext


def test_a_latent_mask_says_what_is_sampled_and_the_mask_what_is_seen(go: Go, engine: DiffusionEngine) -> None:
    painted: list[torch.Tensor] = []
    moments = {"on_mask_blend": lambda blend: painted.append(blend.painted)}
    nothing = {"nothing": Image.new("L", (SIZE, SIZE))}
    known = engine.settings.pictures
    engine.settings = replace(engine.settings, pictures=lambda name: nothing[name] if name in nothing else known(name))
    go(moments=moments, **INPAINT, latent_mask="nothing")
    assert painted[0].sum() == 0
    painted.clear()
    go(moments=moments, **INPAINT)
    assert painted[0].sum() == 16
