"""What extensions replace inside `shared.sd_model` acts on the engine's pictures, and is undone when the run ends."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from modules.a1111 import _ldm_attention, sd_hijack_unet
from modules.a1111._ldm_layers import timestep_embedding
from modules.engine.memory import DeviceWishes
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.jobs.model import JobState
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from tests.a1111.conftest import Easel, Start
from tests.a1111.test_runs import pixels
from tests.engine.test_families import TINY, write_tiny

FAMILIES = ("sd1", "sd2", "sdxl")
Action = Callable[[Any], None]


@pytest.fixture(scope="module")
def engine_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelFiles, DiffusionEngine]:
    """Small models of every family, in the layout of real files."""
    folder = tmp_path_factory.mktemp("families")
    for family in TINY:
        write_tiny(folder / f"{family}.safetensors", family, TINY[family])
    files = ModelFiles(CheckpointCatalog([folder], HashCache(folder / "hashes.json")))
    for entry in files.checkpoints.entries():
        if entry.prediction is None:
            files.checkpoints.learned(entry, "epsilon")
    return files, DiffusionEngine(files, EngineSettings(DeviceWishes(use_cpu=True)))


class Runs:
    """Makes pictures while the sample extension does something to the model."""

    def __init__(self, easel: Easel) -> None:
        self.easel = easel
        self.module = easel.module("sample_inside")

    def __call__(self, *actions: Action, family: str = "sd1", **values: Any) -> np.ndarray:
        self.module.ACTION[:] = actions
        try:
            job = self.easel.run(checkpoint=family, **values)
        finally:
            self.module.ACTION.clear()
        assert job.state is JobState.FINISHED, job.error
        assert not self.easel.reports.of("sample-inside").failures
        return pixels(job)


@pytest.fixture
def runs(start: Start) -> Runs:
    return Runs(start("sample-inside"))


def unet_of(p: Any) -> Any:
    return p.sd_model.model.diffusion_model


def attentions(p: Any, name: str) -> list[Any]:
    return [module for path, module in unet_of(p).named_modules() if path.endswith(name)]


@pytest.mark.parametrize("family", TINY)
def test_looking_into_a_model_changes_no_pixel_and_its_view_makes_them(family: str, runs: Runs) -> None:
    calls: list[tuple[int, ...]] = []
    plain = runs(family=family, batch_size=2, width=72)

    def look(p: Any) -> None:
        assert p.sd_model.first_stage_model.decoder is p.sd_model.first_stage_model.decoder
        unet_of(p).register_forward_hook(lambda _module, given, _answer: calls.append(tuple(given[0].shape)))

    assert (runs(look, family=family, batch_size=2, width=72) == plain).all()
    assert calls == [(4, 4, 8, 9)] * 2
    assert (runs(family=family, batch_size=2, width=72) == plain).all()
    assert len(calls) == 2


def replace_attention(p: Any) -> None:
    """As regional prompts do: the prompt's attention computed by the extension itself, and halved."""
    for module in attentions(p, "attn2"):
        assert type(module).__name__ == "CrossAttention"

        def forward(x: Tensor, context: Any = None, mask: Any = None, module: Any = module, **_: Any) -> Tensor:
            heads = module.heads
            query, key, value = module.to_q(x), module.to_k(context), module.to_v(context)
            query, key, value = (each.unflatten(-1, (heads, -1)).transpose(1, 2) for each in (query, key, value))
            seen = (query @ key.transpose(-1, -2) * module.scale).softmax(-1) @ value
            return module.to_out(seen.transpose(1, 2).flatten(2)) * 0.5

        module.forward = forward


def walk_by_hand(p: Any) -> None:
    """As ControlNet does: the U-Net's forward replaced by a loop over its blocks, with something added to one."""
    model = unet_of(p)
    original = model.forward

    def forward(self: Any, x: Tensor, timesteps: Any = None, context: Any = None, y: Any = None, **_: Any) -> Tensor:
        emb = self.time_embed(timestep_embedding(timesteps, self.model_channels))
        emb = emb + self.label_emb(y) if y is not None else emb
        skips, h = [], x
        for module in self.input_blocks:
            h = module(h, emb, context)
            skips.append(h)
        h = self.middle_block(h, emb, context) + 0.5
        for module in self.output_blocks:
            h = module(torch.cat([h, skips.pop()], dim=1), emb, context)
        given = original(x, timesteps=timesteps, context=context, y=y)
        assert given.shape == self.out(h).shape
        return self.out(h)

    model.forward = forward.__get__(model, type(model))


def add_hook(p: Any) -> None:
    unet_of(p).middle_block[1].register_forward_hook(lambda _module, _given, answer: answer * 1.5)


def change_one_layer(p: Any) -> None:
    for module in attentions(p, "attn1"):
        original = module.to_q.forward
        module.to_q.forward = lambda x, original=original: original(x) * 3


def change_inner_forward(p: Any) -> None:
    for module in unet_of(p).modules():
        if isinstance(module, _ldm_attention.BasicTransformerBlock):
            module._forward = (lambda self, x, context=None: x + self.ff(self.norm3(x))).__get__(module)


def change_middle_block(p: Any) -> None:
    block = unet_of(p).middle_block
    block.before = block.forward
    block.forward = lambda *given, **named: block.before(*given, **named) + 0.3


def change_time(p: Any) -> None:
    unet_of(p).time_embed.register_forward_pre_hook(lambda _module, given: (given[0] * 0.5,))


def change_output(p: Any) -> None:
    unet_of(p).out.forward = lambda h: unet_of(p).out[2](F.silu(unet_of(p).out[0](h))) * 0.5


def change_class(p: Any) -> None:
    original = _ldm_attention.CrossAttention.forward
    _ldm_attention.CrossAttention.forward = lambda self, x, *given, **named: original(self, x, *given, **named) * 0.2


def change_joining(p: Any) -> None:
    sd_hijack_unet.th.cat = lambda tensors, dim=0: torch.cat([tensors[0] * 1.3, tensors[1]], dim=dim)


def change_apply_model(p: Any) -> None:
    p.sd_model.apply_model_ori = p.sd_model.apply_model

    def half(x: Tensor, t: Tensor, cond: Any) -> Tensor:
        assert x.shape[1] == 4
        assert t.shape == (x.shape[0],)
        return p.sd_model.apply_model_ori(x, t, cond) * 0.5

    p.sd_model.apply_model = half


def change_decoder(p: Any) -> None:
    decoder = p.sd_model.first_stage_model.decoder
    decoder.original_forward = decoder.forward
    decoder.forward = lambda z: -decoder.original_forward(z)


def change_vae_block(p: Any) -> None:
    block = p.sd_model.first_stage_model.decoder.up[0].block[0]
    block.register_forward_hook(lambda _module, _given, answer: answer * 2)


def change_decoding(p: Any) -> None:
    original = p.sd_model.decode_first_stage
    p.sd_model.decode_first_stage = lambda z: -original(z)


def change_text_layer(p: Any) -> None:
    name = next(name for name in p.sd_model.network_layer_mapping if name.endswith(("mlp_fc1", "mlp_c_fc")))
    layer = p.sd_model.network_layer_mapping[name]
    original = layer.forward
    layer.forward = lambda x: original(x) * 2


CHANGES: tuple[Action, ...] = (
    replace_attention, walk_by_hand, add_hook, change_one_layer, change_inner_forward, change_middle_block, change_time,
    change_output, change_class, change_joining, change_apply_model, change_decoder, change_vae_block, change_decoding,
    change_text_layer,
)  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_whatever_is_changed_acts_and_is_undone(family: str, runs: Runs) -> None:
    plain = runs(family=family)
    for change in CHANGES:
        assert not (runs(change, family=family) == plain).all(), change.__name__
    assert (runs(family=family) == plain).all()


def test_what_is_changed_acts_on_every_batch_and_in_both_passes(runs: Runs) -> None:
    seen: list[tuple[int, ...]] = []

    def watch(p: Any) -> None:
        attentions(p, "attn2")[0].register_forward_hook(lambda _m, given, _answer: seen.append(tuple(given[0].shape)))

    runs(watch, batch_count=2, enable_hr=True, hr_scale=2, hr_upscaler="Latent")
    assert [shape[1] for shape in seen] == [64, 64, 256, 256] * 2


def test_a_model_that_an_extension_has_loaded_makes_the_same_pictures_ever_after(runs: Runs) -> None:
    """Libraries make themselves ready in layers when these are first used, which must not be undone."""
    plain = runs(family="sdxl")
    runs(family="sd1")
    runs.easel.services.jobs.engine().shelf._loaded.clear()
    for _ in range(2):
        assert (runs(lambda p: unet_of(p).out, family="sdxl") == plain).all()
    assert (runs(family="sdxl") == plain).all()


def test_a_function_that_looks_like_what_it_wraps_is_undone_too(runs: Runs) -> None:
    plain = runs()

    def wrap(p: Any) -> None:
        layer = unet_of(p).input_blocks[0][0]
        original = layer.forward
        layer.forward = functools.wraps(original)(lambda x: original(x) * 2)

    assert not (runs(wrap) == plain).all()
    assert (runs() == plain).all()


def test_a_change_in_a_failing_run_is_undone_too(runs: Runs) -> None:
    plain = runs()

    def fail(p: Any) -> None:
        def forward(*_: Any, **__: Any) -> None:
            raise RuntimeError("on purpose")

        unet_of(p).middle_block.forward = forward

    runs.module.ACTION[:] = [fail]
    assert runs.easel.run(checkpoint="sd1").state is JobState.FAILED
    runs.module.ACTION.clear()
    assert (runs() == plain).all()


class KeptLayer:
    """As networks of extensions are: an object that stands in for a layer's forward, and that the extension keeps."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.original = layer.forward
        layer.forward = self.forward

    def forward(self, x: Tensor) -> Tensor:
        return self.original(x) * 2

    def restore(self) -> None:
        self.layer.forward = self.original


@pytest.mark.parametrize("family", FAMILIES)
def test_what_an_extension_has_kept_acts_in_its_next_runs_until_it_takes_it_back(family: str, runs: Runs) -> None:
    kept: list[KeptLayer] = []

    def layers(p: Any) -> list[Any]:
        text = next(name for name in p.sd_model.network_layer_mapping if name.endswith(("mlp_fc1", "mlp_c_fc")))
        return [unet_of(p).input_blocks[0][0], attentions(p, "attn1")[0].to_q, p.sd_model.network_layer_mapping[text]]

    plain = runs(family=family)
    changed = runs(lambda p: kept.extend(KeptLayer(layer) for layer in layers(p)), family=family)
    assert not (changed == plain).all()
    for _ in range(2):
        assert (runs(family=family) == changed).all()
    unet = runs.easel.services.jobs.engine().shelf.loaded(family).bundle.unet
    replaced = [vars(module)["forward"] for module in unet.modules() if "forward" in vars(module)]
    assert not [each for each in replaced if isinstance(getattr(each, "__self__", None), KeptLayer)]
    assert (runs(lambda p: [each.restore() for each in kept], family=family) == plain).all()
    assert (runs(family=family) == plain).all()


def test_what_nobody_keeps_is_gone_though_it_keeps_itself(runs: Runs) -> None:
    plain = runs()

    def change(p: Any) -> None:
        layer = KeptLayer(unet_of(p).input_blocks[0][0])
        layer.itself = layer  # type: ignore[attr-defined]

    assert not (runs(change) == plain).all()
    assert (runs() == plain).all()


def test_what_an_extension_has_kept_is_left_out_after_a_run_that_failed(runs: Runs) -> None:
    plain = runs()
    kept: list[KeptLayer] = []

    def fail(p: Any) -> None:
        kept.append(KeptLayer(unet_of(p).input_blocks[0][0]))
        kept[0].original = lambda x: 1 / 0

    runs.module.ACTION[:] = [fail]
    assert runs.easel.run(checkpoint="sd1").state is JobState.FAILED
    runs.module.ACTION.clear()
    assert (runs() == plain).all()


@pytest.mark.parametrize("family", TINY)
def test_replaced_reading_of_prompts_acts(family: str, runs: Runs) -> None:
    plain = runs(family=family)

    def embedders(p: Any) -> list[Any]:
        every = p.sd_model.conditioner.embedders if family.startswith("sdxl") else [p.sd_model.cond_stage_model]
        return [each for each in every if hasattr(each, "tokenize_line")]

    def tokens(p: Any) -> None:
        reader = embedders(p)[0]
        original = reader.process_tokens
        seen.append(type(reader).__name__)
        reader.process_tokens = lambda remade, weights: original(remade, [[1.5] * 77 for _ in weights])

    def words(p: Any) -> None:
        for reader in embedders(p):
            original = reader.tokenize_line
            reader.tokenize_line = lambda line, original=original: original(line.replace("apple", "pear"))

    def hidden(p: Any) -> None:
        reader = embedders(p)[0]
        original = reader.encode_with_transformers

        def halved(tokens: Tensor) -> Tensor:
            made = original(tokens)
            half = made * 0.5
            if hasattr(made, "pooled"):
                half.pooled = made.pooled
            return half

        reader.encode_with_transformers = halved

    seen: list[str] = []
    changed = {change.__name__: runs(change, family=family).tobytes() for change in (tokens, words, hidden)}
    assert plain.tobytes() not in changed.values()
    assert seen[0].endswith("CustomWords")
    assert (runs(family=family) == plain).all()
    assert (runs(words, family=family) == runs(family=family, prompt="a red pear")).all()


def test_what_an_extension_puts_on_the_model_is_gone_after_the_run(runs: Runs) -> None:
    runs(lambda p: setattr(p.sd_model, "own_mark", 1), lambda p: seen.append(p.sd_model.own_mark))
    assert seen == [1]
    runs(lambda p: seen.append(hasattr(p.sd_model, "own_mark")))
    assert seen == [1, False]


seen: list[Any] = []


def test_a_model_in_memory_has_one_view_which_outside_changes_stay_in(runs: Runs) -> None:
    from modules.a1111 import shared  # noqa: PLC0415 (it is loaded by the first extension)

    plain = runs()
    runs.easel.services.settings.update({"sd_model_checkpoint": "sd1"})
    view = shared.sd_model.model.diffusion_model
    seen_views: list[Any] = []
    runs(lambda p: seen_views.append(unet_of(p)))
    assert seen_views == [view]
    handle = view.out.register_forward_hook(lambda _module, _given, answer: answer * 0.5)
    assert not (runs() == plain).all()
    assert not (runs() == plain).all()
    handle.remove()
    assert (runs() == plain).all()


def test_what_extensions_draw_at_random_is_the_same_for_the_same_seed(runs: Runs) -> None:
    def disturb(p: Any) -> None:
        from modules.a1111 import rng  # noqa: PLC0415 (it is loaded by the first extension)

        def noisy(_module: Any, _given: Any, answer: Tensor) -> Tensor:
            return answer + rng.randn_like(answer) + torch.randn(answer.shape)

        unet_of(p).middle_block[1].register_forward_hook(noisy)

    first = runs(disturb, seed=5, batch_count=2)
    assert not (first == runs(seed=5, batch_count=2)).all()
    assert (first == runs(disturb, seed=5, batch_count=2)).all()
    assert not (first == runs(disturb, seed=6, batch_count=2)).all()


def test_a_lora_acts_beneath_the_view(runs: Runs, tmp_path: Path) -> None:
    """The view's layers are the engine's own, so that what networks do to these counts."""
    layer_weights: list[Tensor] = []
    runs(lambda p: layer_weights.append(unet_of(p).input_blocks[1][1].transformer_blocks[0].attn2.to_k.weight))
    engine = runs.easel.services.jobs.engine()
    unet = engine.shelf.loaded("sd1").bundle.unet
    assert layer_weights[0] is unet.down_blocks[0].attentions[0].transformer_blocks[0].attn2.to_k.weight

