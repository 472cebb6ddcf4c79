"""The exported folder, the single file, and the model as it is shipped."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open
from training.architecture import TINY
from training.exporting import component_configs, read_parts, write_single_file
from training.folder import Manner, Model, Request
from training.ldm_keys import single_file_tensors
from training.subjects import subjects
from training.workshop import Bench, new_modules

MOST_BYTES = 30_000_000
# A few keys of every part of an SD 1.x checkpoint, as the original file names them.
SD1_KEYS = {
    "betas",
    "alphas_cumprod",
    "cond_stage_model.transformer.text_model.embeddings.position_ids",
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
    "cond_stage_model.transformer.text_model.encoder.layers.0.self_attn.q_proj.weight",
    "cond_stage_model.transformer.text_model.final_layer_norm.bias",
    "first_stage_model.decoder.conv_in.weight",
    "first_stage_model.decoder.mid.attn_1.proj_out.weight",
    "first_stage_model.decoder.mid.block_1.norm1.weight",
    "first_stage_model.decoder.up.1.block.0.nin_shortcut.weight",
    "first_stage_model.decoder.up.3.upsample.conv.weight",
    "first_stage_model.encoder.down.0.downsample.conv.weight",
    "first_stage_model.encoder.norm_out.weight",
    "first_stage_model.post_quant_conv.weight",
    "first_stage_model.quant_conv.weight",
    "model.diffusion_model.input_blocks.0.0.weight",
    "model.diffusion_model.input_blocks.1.0.in_layers.0.weight",
    "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight",
    "model.diffusion_model.input_blocks.3.0.op.weight",
    "model.diffusion_model.middle_block.1.proj_in.weight",
    "model.diffusion_model.middle_block.2.out_layers.3.weight",
    "model.diffusion_model.out.2.weight",
    "model.diffusion_model.output_blocks.2.1.conv.weight",
    "model.diffusion_model.output_blocks.5.2.conv.weight",
    "model.diffusion_model.output_blocks.11.0.skip_connection.weight",
    "model.diffusion_model.time_embed.2.weight",
}


def single_file(folder: Path, file: Path) -> None:
    parts = read_parts(folder)
    unet, vae, text = (dict(network.state_dict()) for network in (parts.unet, parts.vae, parts.text))
    write_single_file(single_file_tensors(unet, vae, text), component_configs(folder), file)


def test_the_exported_folder_draws_in_diffusers(trained_once: Path) -> None:
    folder = trained_once / "model"
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline.to(torch.float32)("a red apple", num_inference_steps=2, height=64, width=64).images[0]
    assert picture.size == (64, 64)


def test_an_exported_folder_starts_another_training(trained_once: Path, bench: Bench) -> None:
    folder = trained_once / "model"
    vocabulary = bench.vocabulary()
    modules = new_modules(replace(bench, init=folder), vocabulary)
    shipped = read_parts(folder)
    taken_over = modules["unet"].state_dict()
    for name, weight in shipped.unet.state_dict().items():
        assert torch.equal(taken_over[name], weight)
    table = vocabulary.spread(modules["text"].get_input_embeddings().weight.detach())
    assert torch.equal(table, shipped.text.get_input_embeddings().weight.detach())


def test_the_single_file_has_sd1s_keys_and_says_its_configs(trained_once: Path, tmp_path: Path) -> None:
    file = tmp_path / "single.safetensors"
    single_file(trained_once / "model", file)
    with safe_open(file, "pt") as tensors:
        keys, metadata = set(tensors.keys()), tensors.metadata()
    assert keys >= SD1_KEYS
    prefixes = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer.text_model.")
    assert {key for key in keys if not key.startswith(prefixes)} == {"betas", "alphas_cumprod"}
    assert metadata["modelspec.architecture"] == "stable-diffusion-v1"
    components = json.loads(metadata["easel.components"])
    assert components["unet"]["norm_num_groups"] == TINY.unet_groups
    assert components["vae"]["block_out_channels"] == list(TINY.vae_channels)
    assert components["text_encoder"]["num_attention_heads"] == TINY.text_heads


def test_the_shipped_folder_is_at_most_30_megabytes(starter_model: Path) -> None:
    size = sum(p.stat().st_size for p in starter_model.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    assert size <= MOST_BYTES


def test_the_shipped_tokenizer_is_clips(starter_model: Path) -> None:
    model = Model.load(starter_model, torch.device("cpu"))
    assert model.tokenizer("a red apple").input_ids == [49406, 320, 736, 3055, 49407]
    assert model.tokenizer.model_max_length == 77
    assert len(model.tokenizer) == 49408


def test_the_shipped_model_is_the_one_that_the_scripts_describe(starter_model: Path) -> None:
    config = component_configs(starter_model)
    assert not any("_name_or_path" in part for part in config.values())
    assert config["vae"]["scaling_factor"] == pytest.approx(0.18215)
    scheduler = json.loads((starter_model / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    assert (scheduler["prediction_type"], scheduler["beta_schedule"]) == ("epsilon", "scaled_linear")
    weights = list(starter_model.glob("*/*.safetensors"))
    assert len(weights) == 3
    for file in weights:
        with safe_open(file, "pt") as tensors:
            assert {tensors.get_slice(key).get_dtype() for key in tensors.keys()} == {"F16"}  # noqa: SIM118


def test_an_unknown_word_means_nothing_to_the_shipped_model(starter_model: Path) -> None:
    text = read_parts(starter_model).text
    table = text.get_input_embeddings().weight
    used = int((table.abs().sum(dim=1) > 0).sum())
    assert len(subjects()) < used < 2000


def test_the_shipped_model_draws_the_same_picture_for_the_same_seed(starter_model: Path) -> None:
    model = Model.load(starter_model, torch.device("cpu"))
    requests = [Request("a banana on a blue background", 5), Request("a banana on a blue background", 6)]
    first, second = (model.draw(requests, Manner(steps=4, side=64)) for _ in range(2))
    assert (first[0] == second[0]).all()
    assert (first[0] != first[1]).any()


def test_every_canonical_name_stands_in_the_model_card(starter_model: Path) -> None:
    card = " ".join((starter_model / "README.md").read_text(encoding="utf-8").split())
    assert [subject.name for subject in subjects() if subject.name not in card] == []
