import json
from pathlib import Path

import pytest

from modules.library.identify import (
    COMPONENTS_KEY,
    Correction,
    Identity,
    Unusable,
    folder_weights,
    identify_folder,
    identify_header,
)
from modules.library.reading import Header
from tests import layouts

UNET_INPUT = "model.diffusion_model.input_blocks.0.0.weight"
CROSS = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
SD1 = {
    UNET_INPUT: (320, 4, 3, 3),
    CROSS: (320, 768),
    "first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3),
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": (49408, 768),
}


def without(prefix: str) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, shape in SD1.items() if not name.startswith(prefix)}


def test_stable_diffusion_1_is_known_by_its_names_and_context_width() -> None:
    assert identify_header(Header(SD1, {})) == Identity("sd1", 512)


def test_a_file_may_bring_the_configurations_of_smaller_components() -> None:
    components = {"unet": {"sample_size": 16}, "vae": {}, "text_encoder": {}}
    header = Header(SD1 | {CROSS: (64, 80)}, {COMPONENTS_KEY: json.dumps(components)})
    identity = identify_header(header)
    assert (identity.family, identity.native_size) == ("sd1", 128)
    assert identity.sizes == identify_header(header).sizes != identify_header(Header(SD1, {})).sizes


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        ({}, "no Stable Diffusion U-Net"),
        (SD1 | {UNET_INPUT: (320, 7, 3, 3)}, "no known family"),
        (SD1 | {UNET_INPUT: (320,)}, "no known family"),
        (SD1 | {CROSS: (320, 1024)}, "1024 numbers per token, which does not fit its text encoder"),
        (SD1 | {"joint_blocks.0.x": (1,)}, "SD 3"),
        ({"lora_unet_down_blocks_0.lora_up.weight": (4, 4)}, "LoRA"),
        ({"decoder.conv_in.weight": (4, 4)}, "VAE, not a checkpoint"),
        ({"control_model.input_blocks.0.0.weight": (4, 4)}, "ControlNet"),
    ],
)
def test_anything_else_is_refused_with_the_reason(shapes: dict[str, tuple[int, ...]], reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        identify_header(Header(shapes, {}))


def test_broken_configurations_in_a_file_are_named() -> None:
    with pytest.raises(Unusable, match=r"easel\.components"):
        identify_header(Header(SD1, {COMPONENTS_KEY: "{"}))


def test_the_starter_model_is_a_usable_folder(starter_model: Path) -> None:
    assert identify_folder(starter_model) == Identity("sd1", 128, sizes=str(starter_model))


def test_a_folder_of_another_pipeline_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(Unusable, match="FluxPipeline"):
        identify_folder(tmp_path)


def test_a_folder_without_its_parts_names_the_missing_file(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(Unusable, match=r"unet/config\.json is missing"):
        identify_folder(tmp_path)


@pytest.mark.parametrize(
    ("prefix", "missing"), [("first_stage_model.", ("vae",)), ("cond_stage_model.", ("text_encoder",))]
)
def test_a_file_may_lack_vae_or_text_encoder(prefix: str, missing: tuple[str, ...]) -> None:
    assert identify_header(Header(without(prefix), {})) == Identity("sd1", 512, missing=missing)


@pytest.mark.parametrize(
    "shapes",
    [
        {
            "input_blocks.0.0.weight": (320, 9, 3, 3),
            "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (1, 2048),
        },
        {
            "conv_in.weight": (320, 9, 3, 3),
            "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight": (1, 2048),
        },
        {
            "model_ema.diffusion_modelinput_blocks00weight": (320, 9, 3, 3),
            "model_ema.diffusion_modelinput_blocks41transformer_blocks0attn2to_kweight": (1, 2048),
        },
    ],
)
def test_a_u_net_alone_is_known_by_every_way_of_naming_it(shapes: dict[str, tuple[int, ...]]) -> None:
    identity = identify_header(Header(shapes, {}))
    assert identity == Identity("sdxl", 1024, variant="inpainting", missing=("vae", "text_encoder", "text_encoder_2"))


@pytest.mark.parametrize(("prediction", "size"), [("epsilon", 512), ("v_prediction", 768), ("", 768)])
def test_the_base_models_of_sd_2_are_for_smaller_pictures(prediction: str, size: int) -> None:
    identity = identify_header(Header(layouts.sd2().shapes(), {}), Correction(prediction=prediction))
    assert (identity.prediction, identity.native_size) == (prediction or None, size)


def test_what_the_user_knows_better_counts() -> None:
    known = Correction(prediction="v_prediction", zero_snr=True)
    found = identify_header(Header(SD1, {}), known)
    assert (found.family, found.prediction, found.zero_snr) == ("sd1", "v_prediction", True)
    with pytest.raises(Unusable, match="768 numbers per token, which is none of sdxl, as which it was noted"):
        identify_header(Header(SD1, {}), Correction(family="sdxl"))


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.safetensors"],
         "diffusion_pytorch_model.safetensors"),
        (["diffusion_pytorch_model.non_ema.safetensors", "diffusion_pytorch_model.fp16.safetensors"],
         "diffusion_pytorch_model.fp16.safetensors"),
        (["diffusion_pytorch_model.non_ema.safetensors"], "diffusion_pytorch_model.non_ema.safetensors"),
        (["diffusion_pytorch_model.bin", "diffusion_pytorch_model.fp16.safetensors"],
         "diffusion_pytorch_model.fp16.safetensors"),
        (["diffusion_pytorch_model.fp16.bin"], "diffusion_pytorch_model.fp16.bin"),
    ],
)  # fmt: skip
def test_of_several_variants_of_a_component_one_is_taken(names: list[str], chosen: str, tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    for name in names:
        (tmp_path / "unet" / name).touch()
    assert [path.name for path in folder_weights(tmp_path, "unet")] == [chosen]


@pytest.mark.parametrize("variant", ["", ".fp16"])
def test_a_component_in_pieces_is_all_of_its_pieces(variant: str, tmp_path: Path) -> None:
    (tmp_path / "text_encoder").mkdir()
    pieces = [f"model{variant}-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for name in pieces:
        (tmp_path / "text_encoder" / name).touch()
    index = tmp_path / "text_encoder" / f"model.safetensors.index{variant}.json"
    index.write_text(json.dumps({"weight_map": {"a": pieces[0], "b": pieces[1], "c": pieces[0]}}))
    assert [path.name for path in folder_weights(tmp_path, "text_encoder")] == pieces
    (tmp_path / "text_encoder" / pieces[1]).unlink()
    with pytest.raises(Unusable, match=r"of-00002\.safetensors is missing"):
        folder_weights(tmp_path, "text_encoder")
