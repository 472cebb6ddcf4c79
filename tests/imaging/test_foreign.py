import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.imaging.draft import Converted, model_name, plain
from modules.imaging.foreign import read_foreign
from modules.imaging.foreign_prompts import from_comfy, from_invoke, from_novelai

SIZE = (640, 448)


def read(**texts: Any) -> Converted:
    written = {key: text if isinstance(text, str) else json.dumps(text) for key, text in texts.items()}
    found = read_foreign(written, SIZE)
    assert found is not None
    return found


def test_a_picture_of_no_known_program_is_left_alone() -> None:
    assert read_foreign({}, SIZE) is None
    assert read_foreign({"parameters": "a cat\nSteps: 1, Seed: 2, Size: 8x8"}, SIZE) is None
    assert read_foreign({"parameters": '{"other": 1}', "Software": "GIMP", "Comment": "{}"}, SIZE) is None


INVOKE = {
    "app_version": "4.2.7",
    "generation_mode": "txt2img",
    "positive_prompt": "a cat++ on a (mat)1.3",
    "negative_prompt": "blurry",
    "width": 512,
    "height": 768,
    "seed": 3400881859,
    "rand_device": "cpu",
    "cfg_scale": 7.5,
    "cfg_rescale_multiplier": 0,
    "steps": 50,
    "scheduler": "dpmpp_2m_sde_k",
    "clip_skip": 1,
    "model": {"key": "x", "hash": "blake3:0123", "name": "amixx", "base": "sd-1", "type": "main"},
    "vae": {"name": "sd-vae-ft-mse.safetensors"},
    "loras": [{"model": {"name": "detail"}, "weight": 0.75}],
    "controlnets": [{"control_model": {"name": "canny"}}],
    "seamless_x": True,
}


def test_invokeai_s_metadata_become_an_infotext() -> None:
    found = read(invokeai_metadata=INVOKE)
    assert found.source == "InvokeAI"
    assert found.infotext.prompt == "a (cat:1.21) on a (mat:1.3) <lora:detail:0.75>"
    assert found.infotext.negative_prompt == "blurry"
    assert found.infotext.pairs == {
        "Steps": "50",
        "Sampler": "DPM++ 2M SDE",
        "Schedule type": "Karras",
        "CFG scale": "7.5",
        "Seed": "3400881859",
        "Size": "512x768",
        "Model": "amixx",
        "VAE": "sd-vae-ft-mse",
        "Clip skip": "2",
        "RNG": "CPU",
        "Version": "InvokeAI 4.2.7",
    }
    assert [note.partition(":")[0] for note in found.unmapped] == ["tiling along x alone", "controlnets"]


def test_invokeai_3_named_models_otherwise() -> None:
    found = read(
        invokeai_metadata={
            "model": {"model_name": "amixx"},
            "vae": None,
            "loras": [{"lora": {"model_name": "x"}, "weight": 1}],
            "clip_skip": 0,
            "scheduler": "deis",
            "refiner_model": {"model_name": "refine.safetensors"},
            "refiner_start": 0.8,
            "seamless_x": True,
            "seamless_y": True,
        }
    )
    pairs = found.infotext.pairs
    assert found.infotext.prompt == "<lora:x:1>"
    assert (pairs["Model"], pairs["Refiner"], pairs["Refiner switch at"]) == ("amixx", "refine", "0.8")
    assert pairs["Tiling"] == "True"
    assert "Clip skip" not in pairs
    assert found.unmapped == ("Sampler: deis",)


def test_invokeai_2_wrote_sd_metadata() -> None:
    image = {"prompt": [{"prompt": "a cat [dog]", "weight": 1}], "steps": 20, "cfg_scale": 7.5, "seed": 5, "width": 512}
    image |= {"height": 512, "sampler": "k_euler_a", "type": "txt2img", "seamless": False, "perlin": 0.2}
    found = read(**{"sd-metadata": {"model_weights": "stable-diffusion-1.5", "model_hash": "ab" * 32, "image": image}})
    assert (found.infotext.prompt, found.infotext.negative_prompt) == ("a cat", "dog")
    assert found.infotext.pairs["Sampler"] == "Euler a"
    assert found.infotext.pairs["Model hash"] == "ababababab"
    assert found.unmapped == ("perlin: 0.2",)


def test_the_oldest_invokeai_wrote_its_command() -> None:
    found = read(Dream='"a cat, on [dog] a -s mat" -s50 -S 42 -W 512 -H 768 -C7.5 -A k_lms -G 0.8')
    assert (found.infotext.prompt, found.infotext.negative_prompt) == ("a cat, on  a -s mat", "dog")
    assert found.infotext.pairs == {
        "Sampler": "LMS",
        "Steps": "50",
        "CFG scale": "7.5",
        "Seed": "42",
        "Size": "512x768",
    }
    assert found.unmapped == ("option -G: 0.8",)


NOVELAI = {
    "steps": 28,
    "sampler": "k_euler_ancestral",
    "seed": 123,
    "strength": 0.69,
    "noise": 0.667,
    "scale": 11.0,
    "uc": "[lowres], bad (hands)",
}


def test_novelai_s_comment_is_read_as_a1111_reads_it() -> None:
    found = read(Software="NovelAI", Description="{{a cat}}, mat", Source="Stable Diffusion F1022A28", Comment=NOVELAI)
    assert found.source == "NovelAI"
    assert found.infotext.prompt == "(a cat:1.103), mat"
    assert found.infotext.negative_prompt == r"(lowres:0.952), bad \(hands\)"
    assert found.infotext.pairs == {
        "Steps": "28",
        "Sampler": "Euler a",
        "CFG scale": "11.0",
        "Seed": "123",
        "Size": "640x448",
        "Clip skip": "2",
        "ENSD": "31337",
    }
    assert found.unmapped == ("model: Stable Diffusion F1022A28", "noise: 0.667")


def test_novelai_4_has_its_prompts_elsewhere() -> None:
    def caption(text: str, *characters: str) -> dict[str, Any]:
        return {"caption": {"base_caption": text, "char_captions": [{"char_caption": each} for each in characters]}}

    comment = {"v4_prompt": caption("a cat", "a dog"), "v4_negative_prompt": caption("bad"), "sampler": "k_new"}
    comment |= {"noise_schedule": "karras", "sm": True}
    found = read(Software="NovelAI", Comment=comment)
    assert (found.infotext.prompt, found.infotext.negative_prompt) == ("a cat", "bad")
    assert (found.infotext.pairs["Sampler"], found.infotext.pairs["Schedule type"]) == ("Euler a", "Karras")
    assert found.unmapped == ("Sampler: k_new", "sm: True", 'prompts of single characters: ["a dog"]')


FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)",
    "base_model": "juggernautXL_v8",
    "base_model_hash": "aeb7e9e689",
    "clip_skip": 2,
    "full_negative_prompt": ["bad", "blurry"],
    "full_prompt": ["cinematic still a cat", "a cat"],
    "guidance_scale": 4,
    "lora_combined_1": "offset.safetensors : 0.1",
    "loras": [["offset", 0.1, "4852686128"]],
    "metadata_scheme": "fooocus",
    "negative_prompt": "",
    "performance": "Speed",
    "prompt": "a cat",
    "refiner_model": "None",
    "refiner_switch": 0.5,
    "resolution": "(1152, 896)",
    "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras",
    "seed": "4735906",
    "sharpness": 2,
    "steps": 30,
    "vae": "Default (model)",
    "version": "Fooocus v2.5.5",
}


def test_fooocus_s_json_becomes_an_infotext() -> None:
    found = read(parameters=FOOOCUS, fooocus_scheme="fooocus")
    assert found.source == "Fooocus"
    assert found.infotext.prompt == "cinematic still a cat, a cat <lora:offset:0.1>"
    assert found.infotext.negative_prompt == "bad, blurry"
    assert found.infotext.pairs == {
        "Steps": "30",
        "Sampler": "DPM++ 2M SDE",
        "Schedule type": "Karras",
        "CFG scale": "4",
        "Seed": "4735906",
        "Size": "1152x896",
        "Model hash": "aeb7e9e689",
        "Model": "juggernautXL_v8",
        "Clip skip": "2",
        "Version": "Fooocus v2.5.5",
    }
    assert found.unmapped == ("adm guidance: (1.5, 0.8, 0.3)", "performance: Speed", "sharpness: 2")


def test_fooocus_s_json_is_known_without_its_mark_and_may_have_a_refiner() -> None:
    data = {"base_model": "x", "refiner_model": "y.safetensors", "refiner_switch": 0.7}
    found = read(parameters={**data, "lora_combined_1": "False : a : 1"})
    assert found.infotext.pairs == {"Model": "x", "Refiner": "y", "Refiner switch at": "0.7"}
    assert found.infotext.prompt == ""


def test_fooocus_s_own_kind_of_infotext_is_brought_into_form() -> None:
    text = (
        "cinematic still, a cat\nNegative prompt: bad\nSteps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 1, Size: 8x8, "
        'Sharpness: 2, Scheduler: karras, Raw prompt: a cat, Lora weights: "offset: 0.1, more: 1", Version: Fooocus v2'
    )
    found = read(parameters=text, fooocus_scheme="a1111")
    assert found.infotext.prompt == "cinematic still, a cat <lora:offset:0.1> <lora:more:1>"
    assert found.infotext.pairs["Schedule type"] == "Karras"
    assert not {"Scheduler", "Lora weights", "Sharpness", "Raw prompt"} & set(found.infotext.pairs)
    assert found.unmapped == ("Raw prompt: a cat", "Sharpness: 2")


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def graph(**changes: dict[str, Any]) -> dict[str, Any]:
    usual = {
        "3": node(
            "KSampler", seed=156680208700286, steps=20, cfg=8, sampler_name="euler_ancestral", scheduler="normal",
            denoise=1, model=["10", 0], positive=["6", 0], negative=["7", 0], latent_image=["5", 0],
        ),
        "4": node("CheckpointLoaderSimple", ckpt_name="sub\\v1-5.safetensors"),
        "5": node("EmptyLatentImage", width=512, height=768, batch_size=1),
        "6": node("CLIPTextEncode", text="a (cat:1.2) [x] embedding:good", clip=["11", 0]),
        "7": node("CLIPTextEncode", text="bad", clip=["11", 0]),
        "8": node("VAEDecode", samples=["3", 0], vae=["12", 0]),
        "9": node("SaveImage", filename_prefix="x", images=["8", 0]),
        "10": node("LoraLoader", lora_name="a.safetensors", strength_model=0.5, strength_clip=1, model=["13", 0]),
        "11": node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["10", 1]),
        "12": node("VAELoader", vae_name="ft-mse.pt"),
        "13": node("LoraLoaderModelOnly", lora_name="b.safetensors", strength_model=0.7, model=["4", 0]),
    }  # fmt: skip
    return {**usual, **changes}


def test_a_usual_comfyui_graph_becomes_an_infotext() -> None:
    found = read(prompt=graph(), workflow="{}")
    assert found.source == "ComfyUI"
    assert found.infotext.prompt == r"a (cat:1.2) \[x\] good <lora:b:0:0.7> <lora:a:1:0.5>"
    assert found.infotext.negative_prompt == "bad"
    assert found.infotext.pairs == {
        "Steps": "20",
        "Sampler": "Euler a",
        "Schedule type": "Normal",
        "CFG scale": "8",
        "Seed": "156680208700286",
        "Size": "512x768",
        "Model": "v1-5",
        "VAE": "ft-mse",
        "Clip skip": "2",
        "RNG": "CPU",
        "Emphasis": "No norm",
        "Version": "ComfyUI",
    }
    assert found.unmapped == ()


def test_values_in_nodes_of_their_own_are_followed() -> None:
    changes = {
        "6": node("CLIPTextEncode", text=["20", 0], clip=["4", 1]),
        "20": node("StringNode", string="from afar"),
        "3": node("KSampler", seed=["21", 0], steps=3, positive=["6", 0], latent_image=["5", 0], model=["4", 0]),
        "21": node("PrimitiveInt", value=77),
    }
    found = read(prompt=graph(**changes))
    assert (found.infotext.prompt, found.infotext.pairs["Seed"]) == ("from afar", "77")
    assert found.unmapped == ("node StringNode",)


def test_the_two_prompts_of_sdxl_are_one_if_they_agree() -> None:
    found = read(prompt=graph(**{"6": node("CLIPTextEncodeSDXL", text_g="a cat", text_l="a cat")}))
    assert found.infotext.prompt.startswith("a cat <lora")
    assert found.unmapped == ()
    found = read(prompt=graph(**{"6": node("CLIPTextEncodeSDXL", text_g="a cat", text_l="a dog")}))
    assert found.infotext.prompt.startswith("a cat <lora")
    assert found.unmapped == ("a prompt of its own for the first text encoder: a dog",)


def test_chained_prompts_have_chunks_of_their_own() -> None:
    changes = {
        "6": node("ConditioningConcat", conditioning_to=["70", 0], conditioning_from=["71", 0]),
        "70": node("CLIPTextEncode", text="one", clip=["4", 1]),
        "71": node("CLIPTextEncode", text="two", clip=["4", 1]),
    }
    assert read(prompt=graph(**changes)).infotext.prompt.startswith("one BREAK two <lora")


def test_a_second_sampler_is_the_hires_pass() -> None:
    changes = {
        "8": node("VAEDecode", samples=["31", 0], vae=["4", 2]),
        "30": node("LatentUpscaleBy", samples=["3", 0], upscale_method="nearest-exact", scale_by=1.5),
        "31": node("KSampler", seed=1, steps=12, denoise=0.55, latent_image=["30", 0], positive=["6", 0]),
    }
    pairs = read(prompt=graph(**changes)).infotext.pairs
    assert (pairs["Steps"], pairs["Hires steps"], pairs["Denoising strength"]) == ("20", "12", "0.55")
    assert (pairs["Hires upscale"], pairs["Hires upscaler"]) == ("1.5", "Latent (nearest-exact)")
    changes["30"] = node("LatentUpscale", samples=["3", 0], upscale_method="bislerp", width=1024, height=1536)
    found = read(prompt=graph(**changes))
    assert found.infotext.pairs["Hires resize"] == "1024x1536"
    assert found.unmapped == ("Hires upscaler: bislerp",)


def test_a_sampler_in_parts_is_put_together() -> None:
    changes = {
        "3": node(
            "SamplerCustomAdvanced", noise=["40", 0], guider=["41", 0], sampler=["42", 0], sigmas=["43", 0],
            latent_image=["5", 0],
        ),
        "40": node("RandomNoise", noise_seed=9),
        "41": node("CFGGuider", cfg=3.5, model=["4", 0], positive=["6", 0], negative=["7", 0]),
        "42": node("KSamplerSelect", sampler_name="dpmpp_2m"),
        "43": node("BasicScheduler", scheduler="sgm_uniform", steps=8, denoise=1, model=["4", 0]),
    }  # fmt: skip
    found = read(prompt=graph(**changes))
    pairs = found.infotext.pairs
    assert (pairs["Seed"], pairs["CFG scale"], pairs["Sampler"], pairs["Steps"]) == ("9", "3.5", "DPM++ 2M", "8")
    assert (pairs["Schedule type"], pairs["Model"], found.infotext.negative_prompt) == ("SGM Uniform", "v1-5", "bad")


def test_what_has_no_counterpart_is_told() -> None:
    changes = {
        "3": node(
            "KSamplerAdvanced", noise_seed=1, steps=20, cfg=7, sampler_name="ddpm", scheduler="linear_quadratic",
            start_at_step=5, end_at_step=15, add_noise="disable", model=["50", 0], positive=["51", 0],
            negative=["7", 0], latent_image=["5", 0],
        ),
        "5": node("EmptyLatentImage", width=512, height=512, batch_size=4),
        "50": node("FreeU", b1=1.1, model=["4", 0]),
        "51": node("ConditioningCombine", conditioning_1=["6", 0], conditioning_2=["52", 0]),
        "52": node("CLIPTextEncode", text="two", clip=["4", 1]),
    }  # fmt: skip
    found = read(prompt=graph(**changes))
    assert found.infotext.prompt == r"a (cat:1.2) \[x\] good AND two"
    assert set(found.unmapped) == {
        "combined prompts are read as parts of one, divided by AND",
        "Sampler: ddpm",
        "Schedule type: linear_quadratic",
        "start at step: 5",
        "end at step: 15",
        "add noise: disable",
        "pictures of one batch share their seed; batch size: 4",
        "node FreeU",
    }


def test_a_picture_that_another_one_was_made_of_is_told() -> None:
    changes = {
        "3": node("KSampler", seed=1, steps=20, denoise=0.6, latent_image=["60", 0], positive=["6", 0]),
        "60": node("VAEEncode", pixels=["61", 0], vae=["4", 2]),
        "61": node("LoadImage", image="photo.png"),
    }
    found = read(prompt=graph(**changes))
    assert found.infotext.pairs["Denoising strength"] == "0.6"
    assert found.unmapped == ("the picture to begin with: photo.png",)


def test_a1111_s_own_text_beside_a_graph_wins_unless_it_is_no_infotext() -> None:
    texts = {"prompt": json.dumps(graph())}
    assert read_foreign({**texts, "parameters": "a\nSteps: 1, Seed: 2, Size: 8x8"}, SIZE) is None
    assert read_foreign({**texts, "parameters": "nothing"}, SIZE) is not None


def test_a_graph_that_goes_in_circles_ends() -> None:
    circle = {"1": node("KSampler", seed=["1", 0], model=["1", 0], positive=["1", 0], latent_image=["1", 0])}
    assert read(prompt=circle).infotext.prompt == ""


def test_a_graph_without_a_sampler_says_nothing() -> None:
    assert read_foreign({"prompt": json.dumps({"1": node("LoadImage", image="x")})}, SIZE) is None


KEYS = ["invokeai_metadata", "sd-metadata", "Dream", "prompt", "parameters", "Comment"]
broken = ["{", "[]", "null", "[" * 100_000, '{"a":' * 100_000, '"x" -s', "NaN", '{"seed": ' + "9" * 5000 + "}"]


@pytest.mark.parametrize("text", broken)
@pytest.mark.parametrize("key", KEYS)
def test_broken_data_are_no_failure(key: str, text: str) -> None:
    found = read_foreign({key: text, "Software": "NovelAI"}, SIZE)
    assert found is None or found.source in ("InvokeAI", "NovelAI")


short = st.text(max_size=5)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | short | st.sampled_from(["1", "\ud800"])
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(short, inner))
whole_samples = st.sampled_from([INVOKE, NOVELAI, FOOOCUS, {"image": {"prompt": "x"}}, graph()])


@given(whole_samples, st.data(), st.sampled_from(KEYS))
def test_data_of_the_wrong_types_are_no_failure(sample: dict[str, Any], data: st.DataObject, key: str) -> None:
    changed = dict(sample)
    for name in data.draw(st.lists(st.sampled_from(sorted(sample)), max_size=5)):
        changed[name] = data.draw(anything)
    texts = {key: json.dumps(changed), "Software": "NovelAI", "fooocus_scheme": "fooocus"}
    found = read_foreign(texts, SIZE)
    if found is not None:
        written = [found.infotext.prompt, *found.infotext.pairs.values(), *found.unmapped]
        assert all(isinstance(text, str) for text in written)


@given(st.dictionaries(st.sampled_from("12345"), st.builds(
    lambda kind, inputs: {"class_type": kind, "inputs": inputs},
    st.sampled_from(["KSampler", "SaveImage", "CLIPTextEncode", "LoraLoader", "LatentUpscale", "LoadImage"]),
    st.dictionaries(
        st.sampled_from(["model", "positive", "latent_image", "images", "samples", "text", "seed", "noise", "guider"]),
        st.tuples(st.sampled_from("123456"), st.just(0)).map(list) | scalars,
    ),
)))  # fmt: skip
def test_any_graph_is_read(nodes: dict[str, Any]) -> None:
    found = read_foreign({"prompt": json.dumps(nodes)}, SIZE)
    assert found is None or found.source == "ComfyUI"


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("", ""),
        ("a cat", "a cat"),
        ("{a}", "(a:1.05)"),
        ("{{a} b}", "(a:1.103)( b:1.05)"),
        ("[a]", "(a:0.952)"),
        ("a (b)", r"a \(b\)"),
        (r"a \(b\)", r"a \(b\)"),
        ("a }b", r"a \}b"),
        ("{a", "(a:1.05)"),
        ("1.5::a, b:: c", "(a, b:1.5) c"),
        ("-2::a::", "(a:-2)"),
        ("{[a]}", "a"),
    ],
)
def test_novelai_s_weights_become_a1111_s(prompt: str, expected: str) -> None:
    assert from_novelai(prompt) == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a cat+", "a (cat:1.1)"),
        ("a cat--", "a (cat:0.81)"),
        ("close- up", "close- up"),
        ("c++ and ++", "(c:1.21) and ++"),
        ("(a cat)1.5 b", "(a cat:1.5) b"),
        ("(a cat)- b", "(a cat:0.9) b"),
        ("(a cat)+++", "(a cat:1.331)"),
        ("(1990)", "(1990)"),
        ("(a)1.5.", "(a:1.5)."),
    ],
)
def test_invokeai_s_weights_become_a1111_s(prompt: str, expected: str) -> None:
    assert from_invoke(prompt) == expected


def test_comfyui_s_square_brackets_are_letters() -> None:
    assert from_comfy(r"[a] \[b\] (c:1.2) embedding:name, x") == r"\[a\] \[b\] (c:1.2) name, x"


@given(st.text() | st.text("{}[]()1.:+-a \\"))
def test_any_prompt_can_be_turned(prompt: str) -> None:
    assert all(isinstance(turn(prompt), str) for turn in (from_novelai, from_comfy, from_invoke))


@pytest.mark.parametrize("prompt", ["{" * 100_000, "1.0::" * 50_000, "a" * 100_000 + "+" * 100_000, ")" * 100_000])
def test_no_prompt_is_too_long(prompt: str) -> None:
    assert all(turn(prompt) is not None for turn in (from_novelai, from_comfy, from_invoke))


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a.safetensors", "a"), ("x/y\\b.ckpt", "b"), ("v1.5", "v1.5"), (None, ""), (3, "3"), ("C.PT", "C")],
)
def test_models_go_by_their_name_alone(value: object, expected: str) -> None:
    assert model_name(value) == expected


def test_only_texts_and_numbers_are_values() -> None:
    assert [plain(value) for value in (" a ", 7, 7.0, True, None, [1], float("nan"), "\ud800")] == [
        "a", "7", "7.0", "True", "", "", "", "?",
    ]  # fmt: skip
