"""The view of a model outside of runs: names, numbers, prompts, latents, embeddings."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from modules.a1111 import sd_models, shared
from modules.a1111._host import HOST
from modules.a1111._model import NoSuchPart
from modules.a1111.prompt_parser import (
    SdConditioning,
    get_learned_conditioning,
    get_multicond_learned_conditioning,
    reconstruct_cond_batch,
    reconstruct_multicond_batch,
    stack_conds,
)
from modules.a1111.sd_hijack import model_hijack
from modules.a1111.sd_hijack_open_clip import FrozenOpenCLIPEmbedderWithCustomWords, tokenizer
from modules.a1111.textual_inversion.textual_inversion import Embedding, create_embedding_from_data
from modules.cli import parse_arguments
from modules.engine.latents import decode, encode, encode_pixels, pixels_of
from modules.engine.memory import DeviceWishes
from modules.engine.models import LoadedModel
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.engine.text import TextRules
from modules.library.catalog import CheckpointCatalog
from modules.library.choices import EMBEDDING_ENDINGS
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from modules.library.network_files import NetworkFolder
from modules.prompts.schedule import Timeline
from modules.settings.store import SettingsStore
from tests.engine.conftest import Watcher
from tests.engine.test_families import TINY, WIDTH, write_tiny

TEXT = "a (red:1.3) apple on a table, " * 20


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> DiffusionEngine:
    folder = tmp_path_factory.mktemp("families")
    for family in TINY:
        write_tiny(folder / f"{family}.safetensors", family, TINY[family])
    (folder / "embeddings").mkdir()
    vectors = torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(1))
    save_file({"emb_params": vectors}, folder / "embeddings" / "marble.safetensors")
    save_file({"clip_l": vectors, "clip_g": vectors * 2}, folder / "embeddings" / "granite.safetensors")
    hashes = HashCache(folder / "hashes.json")
    embeddings = NetworkFolder([folder / "embeddings"], EMBEDDING_ENDINGS, hashes)
    return DiffusionEngine(
        ModelFiles(CheckpointCatalog([folder], hashes), embeddings=embeddings),
        EngineSettings(DeviceWishes(use_cpu=True)),
    )


@pytest.fixture
def chosen(engine: DiffusionEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Chooses the checkpoint of a family; returns what the engine has of it."""
    config = parse_arguments(["--data-dir", str(tmp_path), "--use-cpu"], {})
    jobs = SimpleNamespace(engine=lambda: engine, preload=lambda title: None)
    services = SimpleNamespace(
        jobs=jobs, files=engine.shelf.files, settings=SettingsStore(config.settings_file), config=config
    )
    monkeypatch.setattr(HOST, "services", services)
    monkeypatch.setattr(HOST, "own_state", {})

    def choose(family: str) -> LoadedModel:
        services.settings.update({"sd_model_checkpoint": family})
        return engine.shelf.get(family, Watcher())

    return choose


@pytest.mark.parametrize("family", TINY)
def test_all_weights_have_the_names_and_shapes_that_they_have_in_files(family: str, chosen: Any) -> None:
    chosen(family)
    found = {name: tuple(tensor.shape) for name, tensor in shared.sd_model.state_dict().items()}
    wanted = TINY[family].shapes()
    parts = ("model.diffusion_model.", "first_stage_model.")
    assert {name: it for name, it in found.items() if name.startswith(parts)} == {
        name: tuple(it) for name, it in wanted.items() if name.startswith(parts)
    }
    missing = [name for name in wanted if not name.startswith(parts) and name not in found]
    unshared = ("position_ids", "positional_embedding", "logit_scale", "text_projection")
    plain = [name for name in missing if not name.endswith(unshared)]
    assert plain == []


@pytest.mark.parametrize(("family", "kinds"), [
    ("sd1", (True, False, False)), ("sd2", (False, True, False)), ("sdxl", (False, False, True)),
])  # fmt: skip
def test_a_model_says_what_it_is(family: str, kinds: tuple[bool, bool, bool], chosen: Any) -> None:
    loaded = chosen(family)
    model = shared.sd_model
    assert (model.is_sd1, model.is_sd2, model.is_sdxl) == kinds
    assert hasattr(model, "conditioner") == model.is_sdxl
    assert model.sd_checkpoint_info.name == f"{family}.safetensors"
    assert model.alphas_cumprod.shape == (1000,)
    assert torch.allclose(model.alphas_cumprod, loaded.bundle.levels.alphas_cumprod)
    assert model.model.conditioning_key == "crossattn"
    unet = model.model.diffusion_model
    assert (len(unet.input_blocks), len(unet.middle_block), len(unet.output_blocks)) == (6, 3, 6)
    assert unet.num_classes == ("sequential" if model.is_sdxl else None)
    assert type(unet).__name__ == "UNetModel"
    assert sd_models.model_data.get_sd_model() is model


def test_what_a_model_does_not_have_is_named(chosen: Any) -> None:
    chosen("sd1")
    assert not hasattr(shared.sd_model, "forge_objects")
    with pytest.raises(NoSuchPart, match="forge_objects"):
        shared.sd_model.forge_objects.unet  # noqa: B018 (asking is the test)
    with pytest.raises(NoSuchPart, match="conditioner, which this model does not have"):
        shared.sd_model.conditioner  # noqa: B018


def test_without_a_model_in_memory_the_message_says_so(chosen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen("sd1")
    monkeypatch.setattr(HOST.services.jobs, "engine", lambda: None)
    with pytest.raises(NoSuchPart, match="still starting"):
        shared.sd_model.model  # noqa: B018
    assert shared.sd_model.is_sd1


@pytest.mark.parametrize("family", ["sd1", "sd2"])
def test_prompts_are_read_as_the_engine_reads_them(family: str, chosen: Any) -> None:
    loaded = chosen(family)
    with torch.inference_mode():
        made = shared.sd_model.get_learned_conditioning([TEXT, "an owl"])
        wanted = loaded.conditioner.readers[0].read([TEXT, "an owl"], TextRules()).contexts
    assert made.shape == (2, 77 * 2, WIDTH)
    # The weights of all texts of a batch are evened out together.
    assert torch.equal(made, wanted)


def test_sdxl_is_told_of_sizes_beside_the_prompt(chosen: Any) -> None:
    loaded = chosen("sdxl")
    with torch.inference_mode():
        made = shared.sd_model.get_learned_conditioning(SdConditioning(["an owl"], width=640, height=512))
        plain = shared.sd_model.get_learned_conditioning(["an owl"])
        nothing = shared.sd_model.get_learned_conditioning(SdConditioning([""], is_negative_prompt=True))
        encoded = loaded.conditioner.encode("an owl", TextRules(), Timeline(1))
        sizes = torch.tensor([512, 640, 0, 0, 512, 640], dtype=torch.float32)
        waves = loaded.bundle.unet.add_time_proj(sizes).reshape(1, -1)
    assert torch.equal(made["crossattn"][0], encoded.stages[0].context)
    assert torch.equal(made["vector"], torch.cat([encoded.stages[0].pooled[None], waves], dim=1))
    assert made["vector"].shape == (1, TINY["sdxl"].unet.adm)
    assert not torch.equal(plain["vector"], made["vector"])
    assert not nothing["crossattn"].any()
    assert nothing["vector"][:, WIDTH:].any()
    assert shared.sd_model.cond_stage_model is shared.sd_model.conditioner


@pytest.mark.parametrize("family", TINY)
def test_apply_model_predicts_what_the_u_net_does(family: str, chosen: Any) -> None:
    loaded = chosen(family)
    model, unet = shared.sd_model, loaded.bundle.unet
    x, t = torch.randn(2, 4, 8, 8), torch.tensor([10.0, 900.0])
    with torch.inference_mode():
        cond = model.get_learned_conditioning(["an owl", "a fox"])
        if family.startswith("sdxl"):
            predicted = model.apply_model(x, t, cond)
            again = model.model.diffusion_model(x, t, context=cond["crossattn"], y=cond["vector"])
        else:
            predicted = model.apply_model(x, t, cond)
            again = model.apply_model(x, t, {"c_crossattn": [cond], "c_concat": [torch.zeros(2, 5, 1, 1)]})
            assert torch.equal(predicted, unet(x, t, cond, return_dict=False)[0])
    assert torch.equal(predicted, again)
    assert predicted.shape == x.shape


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_pictures_become_latents_and_latents_pictures(family: str, chosen: Any) -> None:
    loaded = chosen(family)
    model = shared.sd_model
    picture = Image.radial_gradient("L").resize((64, 64)).convert("RGB")
    with torch.inference_mode():
        posterior = model.encode_first_stage(pixels_of(picture))
        latents = model.get_first_stage_encoding(posterior)
        mean = encode(loaded.bundle, picture)
        if family == "sd1":
            assert torch.equal(posterior.mode() * model.scale_factor, mean)
        assert latents.shape == mean.shape == (1, 4, 8, 8)
        pixels = model.decode_first_stage(mean)
    made = decode(loaded.bundle, mean)
    array = ((pixels[0] + 1) / 2).clamp(0, 1).mul(255).permute(1, 2, 0).to(torch.uint8).numpy()
    assert Image.fromarray(array).tobytes() == made.tobytes()
    assert encode_pixels(loaded.bundle, pixels_of(picture)).equal(mean)


def test_noise_goes_on_and_comes_off(chosen: Any) -> None:
    chosen("sd1")
    model = shared.sd_model
    x0, noise, t = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8), torch.tensor([3, 700])
    noisy = model.q_sample(x0, t, noise)
    assert torch.allclose(model.predict_start_from_noise(noisy, t, noise), x0, atol=1e-4)
    v = model.get_v(x0, noise, t)
    assert torch.allclose(model.predict_start_from_z_and_v(noisy, t, v), x0, atol=1e-4)
    assert torch.allclose(model.predict_eps_from_z_and_v(noisy, t, v), noise, atol=1e-4)


def test_prompts_become_chunks_with_weights(chosen: Any) -> None:
    chosen("sd1")
    encoder = shared.sd_model.cond_stage_model
    chunks, count = encoder.tokenize_line("a (red:1.3) apple")
    assert (len(chunks), count) == (1, 3)
    assert len(chunks[0].tokens) == len(chunks[0].multipliers) == 77
    assert chunks[0].multipliers[1:4] == [1.0, 1.3, 1.0]
    assert chunks[0].tokens[0] == encoder.id_start
    assert chunks[0].tokens[4] == encoder.id_end
    assert encoder.tokenize(["a red apple"])[0] == chunks[0].tokens[1:4]
    assert [encoder.get_target_prompt_token_count(each) for each in (0, 75, 76)] == [75, 75, 150]
    assert encoder.encode_embedding_init_text("a red apple", 2).shape == (2, WIDTH)
    assert model_hijack.get_prompt_lengths("a red apple", encoder) == (3, 75)
    assert model_hijack.tokenize("a red apple") == (3, 75)


def test_the_table_of_tokens_is_where_extensions_look_for_it(chosen: Any) -> None:
    loaded = chosen("sd1")
    wrapped = shared.sd_model.cond_stage_model.wrapped
    table = wrapped.transformer.text_model.embeddings.token_embedding.wrapped.weight
    assert table is loaded.bundle.texts[0].encoder.embeddings.token_embedding.weight
    assert (type(wrapped).__name__, type(wrapped.tokenizer).__name__) == ("FrozenCLIPEmbedder", "CLIPTokenizer")
    (token,) = wrapped.tokenizer("apple", add_special_tokens=False)["input_ids"]
    letters = wrapped.tokenizer.decoder[token]
    assert wrapped.tokenizer._convert_token_to_id(letters) == token
    assert wrapped.tokenizer._convert_id_to_token(token) == letters
    assert bytes(wrapped.tokenizer.byte_decoder[letter] for letter in letters.removesuffix("</w>")) == b"apple"
    chosen("sd2")
    encoder = shared.sd_model.cond_stage_model
    assert isinstance(encoder, FrozenOpenCLIPEmbedderWithCustomWords)
    assert encoder.wrapped.model.token_embedding.wrapped.weight.shape[1] == WIDTH
    assert type(tokenizer).__name__ == "SimpleTokenizer"
    assert tokenizer.decode(tokenizer.encode("a red apple")).strip() == "a red apple"
    assert encoder.wrapped.model.transformer.resblocks[0].attn.in_proj_weight.shape == (3 * WIDTH, WIDTH)


def test_layers_have_the_names_that_networks_have_for_them(chosen: Any) -> None:
    chosen("sd1")
    layers = shared.sd_model.network_layer_mapping
    name = "diffusion_model_input_blocks_1_1_transformer_blocks_0_attn2_to_k"
    assert layers[name] is shared.sd_model.model.diffusion_model.input_blocks[1][1].transformer_blocks[0].attn2.to_k
    assert layers[name].network_layer_name == name
    assert "transformer_text_model_encoder_layers_0_self_attn_q_proj" in layers
    chosen("sdxl")
    names = shared.sd_model.network_layer_mapping
    assert "0_transformer_text_model_encoder_layers_0_self_attn_q_proj" in names
    assert "1_model_transformer_resblocks_0_mlp_c_fc" in names


def test_embeddings_that_fit_are_known_by_name(chosen: Any) -> None:
    chosen("sd1")
    database = model_hijack.embedding_db
    assert list(database.word_embeddings) == ["marble"]
    assert list(database.skipped_embeddings) == ["granite"]
    embedding = database.word_embeddings["marble"]
    assert (embedding.name, embedding.vectors, embedding.shape) == ("marble", 2, WIDTH)
    assert len(embedding.checksum()) == 4
    assert database.word_embeddings["marble"] is embedding
    tokens = shared.sd_model.cond_stage_model.tokenize(["a marble owl"])[0]
    assert database.find_embedding_at_position(tokens, 1)[0] is embedding
    assert database.find_embedding_at_position(tokens, 0) == (None, None)
    chosen("sdxl")
    assert list(database.word_embeddings) == ["granite"]
    assert set(database.word_embeddings["granite"].vec) == {"clip_l", "clip_g"}


def test_an_embedding_in_a_prompt_is_read_by_the_view_too(chosen: Any) -> None:
    loaded = chosen("sd1")
    with torch.inference_mode():
        made = shared.sd_model.get_learned_conditioning(["a marble owl"])
        wanted = loaded.conditioner.readers[0].read(["a marble owl"], TextRules()).contexts
        other = loaded.conditioner.readers[0].read(["a marbles owl"], TextRules()).contexts
    assert torch.equal(made, wanted)
    assert not torch.equal(made, other)


def test_an_embedding_of_an_extension_is_saved_read_and_known(chosen: Any, tmp_path: Path) -> None:
    loaded = chosen("sd1")
    embedding = Embedding(torch.ones(1, WIDTH), "basalt")
    embedding.step = 7
    embedding.save(str(tmp_path / "basalt.pt"))
    content = torch.load(tmp_path / "basalt.pt", weights_only=True)
    read = create_embedding_from_data(content, "basalt")
    assert (read.step, read.vectors) == (7, 1)
    assert torch.equal(read.vec, embedding.vec)
    database = model_hijack.embedding_db
    before = loaded.conditioner.encode("a basalt owl", TextRules(), Timeline(1)).stages[0].context
    try:
        database.register_embedding(read, shared.sd_model)
        after = loaded.conditioner.encode("a basalt owl", TextRules(), Timeline(1))
        assert after.embeddings == ("basalt",)
        assert not torch.equal(after.stages[0].context, before)
        assert "basalt" in database.word_embeddings
    finally:
        database.register_embedding_by_name(None, shared.sd_model, "basalt")
    again = loaded.conditioner.encode("a basalt owl", TextRules(), Timeline(1)).stages[0].context
    assert torch.equal(again, before)


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_prompts_with_stages_and_parts_are_learned_and_put_together_again(family: str, chosen: Any) -> None:
    chosen(family)
    prompts = SdConditioning(["an [owl:fox:2] AND a (tree:1.2) :0.5", "a hill"], width=64, height=64)
    with torch.inference_mode():
        learned = get_multicond_learned_conditioning(shared.sd_model, prompts, 4)
        negative = get_learned_conditioning(shared.sd_model, SdConditioning(["", ""], copy_from=prompts), 4)
        wanted = shared.sd_model.get_learned_conditioning(SdConditioning(["an fox"], copy_from=prompts))
    assert learned.shape == (2,)
    assert [[part.weight for part in parts] for parts in learned.batch] == [[1.0, 0.5], [1.0]]
    parts, late = reconstruct_multicond_batch(learned, 3)
    _, early = reconstruct_multicond_batch(learned, 1)
    assert parts == [[(0, 1.0), (1, 0.5)], [(2, 1.0)]]
    tensors = [each["crossattn"] if family == "sdxl" else each for each in (early, late, wanted)]
    assert tensors[1].shape[:2] == (3, 77)
    assert torch.equal(tensors[1][0], tensors[2][0])
    assert not torch.equal(tensors[0][0], tensors[1][0])
    assert reconstruct_cond_batch(negative, 0).shape[:2] == (2, 77)
    assert stack_conds([torch.zeros(77, 4), torch.ones(154, 4)]).shape == (2, 154, 4)
