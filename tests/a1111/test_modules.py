"""A1111's modules over Easel's services: options, loading, lists, pictures, and what `p` is made of."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from modules.a1111 import (
    cache,
    cmd_args,
    errors,
    extensions,
    extra_networks,
    hashes,
    images,
    infotext_utils,
    launch_utils,
    masking,
    modelloader,
    patches,
    processing,
    prompt_parser,
    script_callbacks,
    scripts,
    sd_models,
    sd_samplers,
    sd_schedulers,
    sd_vae,
    shared,
    upscaler,
    util,
)
from modules.a1111._host import HOST, NotConnected
from modules.a1111._placeholders import NotInEasel
from modules.a1111._view import Pictures, processing_of, request_of
from modules.a1111.api import api
from modules.core.request import GenerationRequest
from modules.settings.schema import Option
from modules.settings.store import SettingsStore
from tests.a1111.conftest import Easel, Start

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def easel(start: Start) -> Easel:
    return start("sample-callbacks")


def test_options_of_extensions_are_options_of_the_settings(easel: Easel) -> None:
    known = easel.services.settings.options()
    amount, names, mode = (known[f"sample_{name}"] for name in ("amount", "names", "mode"))
    assert (amount.kind, amount.section, amount.minimum, amount.maximum) == ("integer", "Sample extension", 0, 9)
    assert amount.help == "(of them)"
    assert (names.kind, mode.kind, mode.choices) == ("names", "text", ("soft", "hard")), "others may come later"
    easel.services.settings.update({"sample_amount": 7, "sample_names": ["b", "c"]})
    assert shared.opts.sample_amount == 7
    assert shared.opts.data["sample_names"] == ["b", "c"]
    assert easel.module("sample_callbacks").SEEN["changed"] == [7]
    again = SettingsStore(easel.services.config.settings_file)
    again.declare([Option("sample_amount", "x", "integer", 3, "s", "", minimum=0, maximum=9)])
    assert again.get("sample_amount") == 7


def test_what_is_set_on_opts_is_written_when_it_is_saved(easel: Easel) -> None:
    shared.opts.sample_amount = 4
    assert easel.services.settings.get("sample_amount") == 3
    assert shared.opts.set("sample_amount", 5)
    assert not shared.opts.set("sample_amount", 5)
    shared.opts.save(shared.config_filename)
    assert easel.services.settings.get("sample_amount") == 5
    shared.opts.sample_amount = "many"
    shared.opts.save()
    assert shared.opts.sample_amount == "many", "refused by the settings, kept in memory"
    assert easel.services.settings.get("sample_amount") == 5


def test_options_can_be_patched_for_a_while_as_a_dictionary(easel: Easel) -> None:
    shared.opts.data["sample_mode"] = "hard"
    for clear in (True, False):
        with patch.dict(shared.opts.data, {"sample_amount": 8, "sample_other": 1}, clear=clear):
            assert (shared.opts.sample_amount, shared.opts.data["sample_other"]) == (8, 1)
        assert (shared.opts.sample_amount, shared.opts.sample_mode) == (3, "hard")
        assert "sample_other" not in shared.opts.data
    easel.services.settings.update({"sample_amount": 6})
    assert shared.opts.sample_amount == 6, "what was put back is not held on to"


def test_what_is_no_option_of_the_settings_is_kept_beside_them(easel: Easel) -> None:
    shared.opts.add_option("sample_tree", shared.OptionInfo({"a": 1}, "Tree"))
    assert shared.opts.sample_tree == {"a": 1}
    shared.opts.sample_tree = {"a": 2, "b": [True]}
    shared.opts.data["sample_note"] = "never added"
    shared.opts.sample_lost = object()
    shared.opts.save(shared.config_filename)
    kept = SettingsStore(easel.services.config.settings_file).contents()
    assert (kept["sample_tree"], kept["sample_note"]) == ({"a": 2, "b": [True]}, "never added")
    assert "sample_lost" not in kept
    shared.opts.load()
    assert shared.opts.sample_tree == {"a": 2, "b": [True]}


def test_options_have_a1111s_defaults_and_unknown_ones_none(easel: Easel) -> None:
    assert (shared.opts.samples_format, shared.opts.grid_save, shared.opts.CLIP_stop_at_last_layers) == ("png", True, 1)
    assert shared.opts.outdir_txt2img_samples == str(easel.services.outputs / "txt2img-images")
    assert not hasattr(shared.opts, "no_such_option")
    assert shared.opts.data.get("no_such_option", 3) == 3
    assert "sample_amount" in json.loads(shared.opts.dumpjson())
    assert shared.opts.get_default("sample_mode") == "soft"


def test_an_option_for_this_moment_counts_for_runs(easel: Easel) -> None:
    plain = easel.run()
    shared.opts.CLIP_stop_at_last_layers = 2
    assert "Clip skip: 2" in easel.run().images[0].infotext
    assert "Clip skip" not in plain.images[0].infotext


def test_extensions_add_routes_when_the_server_begins(easel: Easel) -> None:
    app = FastAPI()
    script_callbacks.app_started_callback(None, app)
    assert TestClient(app).get("/sample/amount").json() == {"amount": 3}


def test_every_callback_can_be_registered_and_removed(start: Start) -> None:
    start()
    heard: list[str] = []
    for category in script_callbacks.CATEGORIES:
        name = "before_reload" if category == "on_reload" else category
        getattr(script_callbacks, f"on_{name}")(lambda *_, **__: heard.append("x"), name="test")
    params = SimpleNamespace()
    for call, arguments in (
        ("app_started", (None, None)), ("model_loaded", (None,)), ("ui_train_tabs", (params,)), ("ui_settings", ()),
        ("before_image_saved", (params,)), ("image_saved", (params,)), ("extra_noise", (params,)),
        ("cfg_denoiser", (params,)), ("cfg_denoised", (params,)), ("cfg_after_cfg", (params,)),
        ("before_component", (None,)), ("after_component", (None,)), ("image_grid", (params,)),
        ("infotext_pasted", ("", {})), ("script_unloaded", ()), ("before_ui", ()), ("app_reload", ()),
        ("list_optimizers", ()), ("list_unets", ()), ("before_token_counter", (params,)),
    ):  # fmt: skip
        before = len(heard)
        getattr(script_callbacks, f"{call}_callback")(*arguments)
        assert len(heard) == before + 1, call
    script_callbacks.remove_current_script_callbacks()
    assert not any(script_callbacks.CALLBACK_MAP.values())


def test_scripts_are_loaded_with_their_own_folder_first_and_named_by_their_files(start: Start) -> None:
    easel = start("sample-always-on", "sample-replaces-inner")
    module = easel.module("sample_always_on")
    assert module.FOLDER.endswith("extensions/sample-always-on")
    assert module.__name__ == "sample_always_on.py"
    host, *loaded = scripts.scripts_data
    assert host.script_class.__module__ == "xyz_grid.py", "A1111's own come first"
    assert [data.script_class.__name__ for data in loaded] == ["SampleAlwaysOn", "Repeat", "Nested"]
    assert loaded[0].module is module
    assert [script.title() for script in scripts.scripts_txt2img.selectable_scripts] == ["Repeat with other seeds"]
    assert sys.modules["scripts"].__path__[0].endswith("sample-replaces-inner/scripts")
    assert scripts.basedir() == str(ROOT), "asked by nobody of an extension"


def test_arguments_have_their_places(start: Start) -> None:
    start("sample-always-on", "sample-replaces-inner")
    runner = scripts.scripts_txt2img
    assert runner.default_arguments() == [0, False, "at night"]
    always_on = runner.alwayson_scripts[0]
    assert (always_on.args_from, always_on.args_to) == (1, 3)
    changed = runner.set_named_arg(runner.default_arguments(), "Sample always on", "suffix", "x", fuzzy=True)
    assert changed == [0, False, "x"]


def test_extensions_are_listed(easel: Easel) -> None:
    assert [each.name for each in extensions.active()] == ["sample-callbacks"]
    found = extensions.find_extension(extensions.active()[0].path + "/scripts/sample_callbacks.py")
    assert found is not None
    assert found.canonical_name == "sample-callbacks"


PICTURE = Image.new("RGB", (64, 64), "red")


@given(
    st.fixed_dictionaries({
        "prompt": st.text(st.characters(codec="utf-8"), max_size=20), "seed": st.integers(0, 2**40),
        "steps": st.integers(1, 20), "width": st.sampled_from([64, 136]), "batch_count": st.integers(1, 3),
        "batch_size": st.integers(1, 3), "subseed_strength": st.sampled_from([0.0, 0.5]),
        "seed_resize_from_w": st.sampled_from([0, 64]), "enable_hr": st.booleans(), "tiling": st.booleans(),
        "hr_prompt": st.sampled_from(["", "other"]), "hr_sampler": st.sampled_from(["Use same sampler", "Heun"]),
        "scheduler": st.sampled_from(["Automatic", "Karras"]), "s_tmax": st.sampled_from([0.0, 3.0]),
        "eta": st.sampled_from([0.5, 1.0]), "eta_ddim": st.sampled_from([0.0, 0.3]), "clip_skip": st.integers(1, 2),
        "refiner_checkpoint": st.sampled_from(["None", "other"]), "disable_networks": st.booleans(),
    })
)  # fmt: skip
def test_p_is_the_same_request_again_as_long_as_nobody_changes_it(values: dict[str, Any]) -> None:
    request = GenerationRequest.checked(values)
    pictures = Pictures({}.__getitem__)
    assert request_of(processing_of(request, pictures), pictures) == request


@pytest.mark.parametrize("area", ["Whole picture", "Only masked"])
@pytest.mark.parametrize("content", ["fill", "original", "latent noise", "latent nothing"])
def test_p_of_img2img_is_the_same_request_again(area: str, content: str) -> None:
    request = GenerationRequest.checked({
        "init_image": "a", "mask_image": "b", "inpaint_area": area, "masked_content": content, "mask_blur_y": 9,
        "mask_mode": "Inpaint not masked", "resize_mode": 2, "seed": 1, "masked_padding": 8, "noise_multiplier": 0.5,
    })  # fmt: skip
    stored = {"a": PICTURE, "b": PICTURE.convert("L")}
    pictures = Pictures(stored.__getitem__)
    p = processing_of(request, pictures)
    assert request_of(p, pictures) == request
    assert p.init_images == [PICTURE]
    assert p.mask_blur is None
    p.mask_blur = 7
    p.init_images = [PICTURE.copy()]
    changed = request_of(p, pictures)
    assert (changed.mask_blur_x, changed.mask_blur_y) == (7, 7)
    assert pictures(changed.init_image) is p.init_images[0]


def test_changes_of_p_are_changes_of_the_request() -> None:
    pictures = Pictures({}.__getitem__)
    p = processing_of(GenerationRequest(seed=1), pictures)
    p.steps, p.width, p.sampler_name, p.hr_checkpoint_name = 7, 70, "DPM++ 2M Exponential", "other"
    p.override_settings = {"CLIP_stop_at_last_layers": 2, "sd_model_checkpoint": "x"}
    request = request_of(p, pictures)
    assert (request.steps, request.width, request.clip_skip, request.checkpoint) == (7, 64, 2, "x")
    assert (request.sampler, request.scheduler, request.hr_checkpoint) == ("DPM++ 2M", "Exponential", "other")


def test_the_lists_of_models_and_samplers_are_easels(easel: Easel) -> None:
    titles = sd_models.checkpoint_tiles()
    assert titles[0].startswith("starter")
    info = sd_models.get_closet_checkpoint_match("starter")
    assert info is not None
    assert info.title in sd_models.checkpoints_list
    assert sd_models.get_closet_checkpoint_match("none of that name") is None
    assert shared.sd_model.sd_checkpoint_info.name == info.name
    assert not hasattr(shared.sd_model, "forge_objects")
    with pytest.raises(NotInEasel, match="cond_stage_model"):
        _ = shared.sd_model.cond_stage_model
    assert sd_vae.vae_dict == {}
    assert sd_samplers.samplers_map["k_euler_a"] == "Euler a"
    assert sd_samplers.get_sampler_and_scheduler("DPM++ 2M Karras", None) == ("DPM++ 2M", "Automatic")
    assert sd_schedulers.schedulers_map["karras"].label == "Karras"
    assert [each.name for each in shared.sd_upscalers] == ["None", "Lanczos", "Nearest"]
    made = sd_samplers.create_sampler("Euler a", shared.sd_model)
    assert (made.config.name, made.func.__name__) == ("Euler a", "sample_euler_ancestral")


def test_pictures_are_saved_numbered_with_their_infotext(easel: Easel, tmp_path: Path) -> None:
    for _ in range(2):
        path, _none = images.save_image(PICTURE, str(tmp_path / "out"), "", 5, "a cat", info="a cat\nSteps: 1",
                                        save_to_dirs=False)  # fmt: skip
    assert Path(path).name == "00001-5.png"
    text, items = images.read_info_from_image(Image.open(path))
    assert text == "a cat\nSteps: 1, Sample: seen"
    assert items == {}
    jpeg, _none = images.save_image(PICTURE, str(tmp_path), "x", extension="jpg", info="é", save_to_dirs=False)
    assert Path(jpeg).name == "x-0000.jpg"
    assert images.read_info_from_image(Image.open(jpeg))[0] == "é, Sample: seen"


def test_grids_and_tiles(easel: Easel) -> None:
    assert images.image_grid([PICTURE] * 4).size == (128, 128)
    assert images.image_grid([PICTURE] * 3, rows=1).size == (192, 64)
    large = Image.effect_noise((150, 100), 50).convert("RGB")
    grid = images.split_grid(large, 64, 64, 16)
    assert images.combine_grid(grid).size == (150, 100)
    annotated = images.draw_grid_annotations(images.image_grid([PICTURE] * 4), 64, 64,
        [[images.GridAnnotation("a")], [images.GridAnnotation("b")]], [[images.GridAnnotation("c")]] * 2)  # fmt: skip
    assert annotated.size[0] > 128
    assert annotated.size[1] > 128


def test_infotexts_are_read_into_a1111s_keys() -> None:
    text = "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler, CFG scale: 7, Size: 64x32, Clip skip: 2"
    found = infotext_utils.parse_generation_parameters(text)
    assert (found["Prompt"], found["Negative prompt"], found["Size-1"], found["Size-2"]) == ("a cat", "dog", "64", "32")
    overrides = infotext_utils.create_override_settings_dict(["Clip skip: 2", "No such: 1"])
    assert overrides == {"CLIP_stop_at_last_layers": 2}


def test_pictures_of_the_page_come_from_easels_own_folders_only(easel: Easel) -> None:
    with pytest.raises(PermissionError):
        infotext_utils.image_from_url_text("/etc/passwd")
    text = api.encode_pil_to_base64(PICTURE).decode()
    assert api.decode_base64_to_image(f"data:image/png;base64,{text}").tobytes() == PICTURE.tobytes()
    with pytest.raises(Exception, match="addresses"):
        api.decode_base64_to_image("http://127.0.0.1/x.png")


def test_prompts_as_data() -> None:
    text, tags = extra_networks.parse_prompt("a <lora:ink:0.5:te=1> cat")
    assert text == "a  cat"
    assert (tags["lora"][0].positional, tags["lora"][0].named) == (["ink", "0.5"], {"te": "1"})
    assert prompt_parser.parse_prompt_attention("a (b:1.5)") == [["a ", 1.0], ["b", 1.5]]
    assert prompt_parser.get_learned_conditioning_prompt_schedules(["[a:b:2]"], 4) == [[[2, "a"], [4, "b"]]]
    every, flat, _ = prompt_parser.get_multicond_prompt_list(["a AND b :0.5"])
    assert [weight for _, weight in every[0]] == [1.0, 0.5]
    assert len(flat) == 2


def test_small_modules_do_what_they_say(easel: Easel, tmp_path: Path) -> None:
    file = tmp_path / "b10.txt"
    file.write_text("x", encoding="utf-8")
    (tmp_path / "b9.txt").write_text("y", encoding="utf-8")
    assert [Path(path).name for path in util.walk_files(str(tmp_path), [".txt"])][:2] == ["b9.txt", "b10.txt"]
    assert hashes.sha256(str(file), "x") == hashes.calculate_sha256(str(file))
    assert hashes.sha256_from_cache(str(file), "x") == hashes.calculate_sha256(str(file))
    assert cache.cached_data_for_file("t", "k", str(file), lambda: 5) == 5
    assert cache.cached_data_for_file("t", "k", str(file), lambda: 6) == 5
    place = ModuleType("place")
    place.value = 1  # type: ignore[attr-defined]
    assert patches.patch("k", place, "value", 2) == 1
    with pytest.raises(RuntimeError):
        patches.patch("k", place, "value", 3)
    patches.undo("k", place, "value")
    assert place.value == 1
    assert modelloader.load_models(str(tmp_path), ext_filter=[".txt"])[0].endswith("b9.txt")
    mask = Image.new("L", (64, 64))
    mask.paste(255, (10, 20, 30, 40))
    assert masking.get_crop_region(mask, 2) == (8, 18, 32, 42)
    assert upscaler.all_upscalers()[1].scaler.upscale(PICTURE, 2).size == (128, 128)
    assert util.topological_sort({"a": ["b"], "b": []}) == ["b", "a"]
    errors.run(lambda: 1 / 0, "dividing")
    assert "division" in errors.get_exceptions()[0]["exception"]
    assert shared.cmd_opts.lora_dir == str(easel.services.config.models_dir / "Lora")


def test_flags_of_extensions_are_added_and_known_twice() -> None:
    parser = cmd_args.TolerantParser()
    parser.add_argument("--sample", default=1)
    parser.add_argument("--sample", default=2)
    assert parser.parse_args(["--unknown"]).sample == 2


def test_install_scripts_find_what_they_call_in_launch() -> None:
    script = "import launch\nassert launch.is_installed('PIL') and not launch.is_installed('no_such_package')\n"
    script += "assert launch.git_tag() == 'v1.10.1'\nassert 'torch' not in __import__('sys').modules\n"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=120)
    assert launch_utils.run([sys.executable, "-c", "print(5)"]).strip() == "5"
    with pytest.raises(RuntimeError, match="no good"):
        launch_utils.run([sys.executable, "-c", "raise SystemExit(3)"], errdesc="no good")


def test_what_needs_a_running_easel_says_so() -> None:
    before, HOST.services = HOST.services, None
    try:
        with pytest.raises(NotConnected):
            sd_models.list_models()
        with pytest.raises(NotConnected):
            processing.process_images(processing.StableDiffusionProcessingTxt2Img())
    finally:
        HOST.services = before


def test_nothing_of_the_adapter_is_imported_without_extensions(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom modules import app\nfrom modules.cli import parse_arguments\n"
        f"made = app.build(parse_arguments(['--data-dir', {str(tmp_path)!r}], {{}}), lambda: None)\n"
        "found = [name for name in sys.modules if name.startswith('modules.a1111')]\n"
        "made.close()\nassert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=120)
