"""Second passes, variations, networks and the other ways in which a request changes its picture, on the real engine."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from modules.core.errors import InvalidRequest, ModelUnavailable
from modules.core.events import Remark, StepDone
from modules.core.result import GeneratedImage
from modules.engine.memory import DeviceWishes
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.library.catalog import CheckpointCatalog
from modules.library.choices import EMBEDDING_ENDINGS, LORA_ENDINGS
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from modules.library.network_files import NetworkFolder
from modules.library.vae_files import VaeCatalog
from tests.engine.conftest import MakeRequest, Watcher

Make = Callable[..., list[GeneratedImage]]
LAYER = "down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(scope="module")
def rich(catalog: CheckpointCatalog, starter_model: Path, folder: Path) -> DiffusionEngine:
    """An engine with a LoRA, an embedding and two pictures beside the starter model."""
    plain = DiffusionEngine(ModelFiles(catalog), EngineSettings(DeviceWishes(use_cpu=True)))
    plain.preload("", Watcher())
    bundle = plain.shelf.get("", Watcher()).bundle
    weight = dict(bundle.unet.named_modules())[LAYER.replace("_", ".").replace("down.blocks", "down_blocks")
        .replace("transformer.blocks", "transformer_blocks").replace("to.k", "to_k")].weight  # fmt: skip
    generator = torch.Generator().manual_seed(1)
    save_file(
        {
            f"lora_unet_{LAYER}.lora_up.weight": torch.randn(weight.shape[0], 2, generator=generator),
            f"lora_unet_{LAYER}.lora_down.weight": torch.randn(2, weight.shape[1], generator=generator),
            f"lora_unet_{LAYER}.alpha": torch.tensor(2.0),
        },
        folder / "strange.safetensors",
    )
    width = bundle.texts[0].encoder.config.hidden_size
    embeddings = folder / "embeddings"
    embeddings.mkdir()
    save_file({"emb_params": torch.randn(2, width, generator=generator)}, embeddings / "odd-thing.safetensors")
    hashes = HashCache(folder / "hashes.json")
    files = ModelFiles(
        catalog,
        VaeCatalog([folder / "vae"], [], hashes),
        NetworkFolder([folder], LORA_ENDINGS, hashes, hash_kind="tensors"),
        NetworkFolder([embeddings], EMBEDDING_ENDINGS, hashes),
    )
    picture = Image.fromarray(np.random.default_rng(3).integers(0, 255, (64, 64, 3), dtype=np.uint8), "RGB")
    settings = EngineSettings(DeviceWishes(use_cpu=True), pictures=lambda digest: picture)
    return DiffusionEngine(files, settings)


@pytest.fixture
def make(rich: DiffusionEngine, request_of: MakeRequest) -> Make:
    def make_pictures(**values: object) -> list[GeneratedImage]:
        watcher = Watcher()
        rich.generate(request_of(**values), watcher, watcher)
        return watcher.images

    return make_pictures


def bytes_of(image: GeneratedImage) -> bytes:
    return image.pixels.tobytes()


HIRES = {"enable_hr": True, "hr_scale": 2.0, "denoising_strength": 0.6}


@pytest.mark.parametrize("upscaler", ["Latent", "Latent (bicubic antialiased)", "Latent (nearest-exact)", "Lanczos",
                                      "Nearest", "None"])  # fmt: skip
def test_hires_fix_makes_a_larger_picture_by_every_upscaler(make: Make, upscaler: str) -> None:
    (image,) = make(**HIRES, hr_upscaler=upscaler)
    assert image.pixels.size == (128, 128)
    assert f"Denoising strength: 0.6, Hires upscale: 2.0, Hires upscaler: {upscaler}" in image.infotext


def test_the_second_pass_counts_its_own_steps(rich: DiffusionEngine, request_of: MakeRequest) -> None:
    watcher = Watcher()
    rich.generate(request_of(**HIRES, steps=3, hr_second_pass_steps=2), watcher, watcher)
    told = [(event.step, event.steps) for event in watcher.events if isinstance(event, StepDone)]
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize(
    ("sides", "size"), [((96, 0), (96, 96)), ((0, 80), (80, 80)), ((96, 64), (96, 64)), ((64, 96), (64, 96))]
)
def test_the_second_pass_has_the_size_that_was_asked_for(
    make: Make, sides: tuple[int, int], size: tuple[int, int]
) -> None:
    (image,) = make(enable_hr=True, hr_resize_x=sides[0], hr_resize_y=sides[1])
    assert image.pixels.size == size
    assert f"Hires resize: {sides[0]}x{sides[1]}" in image.infotext


def test_the_second_pass_heeds_its_own_sampler_schedule_and_prompts(make: Make) -> None:
    plain = make(**HIRES)[0]
    for values, words in (
        ({"hr_sampler": "Euler a"}, "Hires sampler: Euler a"),
        ({"hr_scheduler": "Karras"}, "Hires schedule type: Karras"),
        ({"hr_prompt": "a cat"}, "Hires prompt: a cat"),
        ({"hr_negative_prompt": "red"}, "Hires negative prompt: red"),
        ({"hr_second_pass_steps": 2}, "Hires steps: 2"),
        ({"extra_noise": 0.5}, "Extra noise: 0.5"),
    ):
        image = make(**HIRES, **values)[0]
        assert bytes_of(image) != bytes_of(plain)
        assert words in image.infotext


def test_a_second_pass_of_no_strength_leaves_the_enlarged_picture(make: Make) -> None:
    still, strong = (make(enable_hr=True, hr_upscaler="Nearest", denoising_strength=it)[0] for it in (0.0, 1.0))
    small = np.asarray(make()[0].pixels.resize((128, 128), Image.Resampling.NEAREST)).astype(int)
    distances = [np.abs(np.asarray(image.pixels).astype(int) - small).mean() for image in (still, strong)]
    assert distances[0] < distances[1]


def test_picture_k_of_a_batch_is_the_single_picture_in_the_hires_pass_too(make: Make) -> None:
    for values in ({"sampler": "Euler a"}, {"sampler": "DPM++ 2M SDE"}):
        both = make(**HIRES, **values, batch_size=2)
        single = make(**HIRES, **values, seed=6)
        off = np.abs(np.asarray(both[1].pixels).astype(int) - np.asarray(single[0].pixels).astype(int))
        assert off.max() <= 1


def test_with_a_variation_seed_all_pictures_share_the_seed_and_vary_by_the_other(make: Make) -> None:
    images = make(subseed=70, subseed_strength=0.3, batch_size=2)
    assert [image.seed for image in images] == [5, 5]
    assert "Variation seed: 71, Variation seed strength: 0.3" in images[1].infotext
    (single,) = make(subseed=71, subseed_strength=0.3)
    off = np.abs(np.asarray(images[1].pixels).astype(int) - np.asarray(single.pixels).astype(int))
    assert off.max() <= 1
    assert bytes_of(images[0]) != bytes_of(make()[0])


def test_a_picture_may_take_the_place_of_the_first_pass(rich: DiffusionEngine, request_of: MakeRequest) -> None:
    watcher = Watcher()
    rich.generate(request_of(**HIRES, steps=2, firstpass_image="0" * 64), watcher, watcher)
    assert [event.steps for event in watcher.events if isinstance(event, StepDone)] == [2, 2]
    assert watcher.images[0].pixels.size == (128, 128)


def test_a_first_pass_picture_that_is_gone_is_refused(engine: DiffusionEngine, request_of: MakeRequest) -> None:
    watcher = Watcher()
    with pytest.raises(InvalidRequest, match="First pass picture"):
        engine.generate(request_of(**HIRES, firstpass_image="f" * 64), watcher, watcher)


def test_a_lora_changes_the_picture_by_its_strength_and_leaves_no_trace(make: Make, rich: DiffusionEngine) -> None:
    before = make()[0]
    weights = {name: tensor.clone() for name, tensor in rich.shelf.get("", Watcher()).bundle.unet.state_dict().items()}
    weak, strong = (make(prompt=f"a red apple <lora:strange:{it}>")[0] for it in ("0.2", "1"))
    assert len({bytes_of(before), bytes_of(weak), bytes_of(strong)}) == 3
    assert 'Lora hashes: "strange: ' in strong.infotext
    assert strong.infotext.startswith("a red apple <lora:strange:1>\n")
    assert bytes_of(make()[0]) == bytes_of(before)
    after = rich.shelf.get("", Watcher()).bundle.unet.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in weights.items())


def test_a_network_that_is_missing_is_left_out_with_a_remark(rich: DiffusionEngine, request_of: MakeRequest) -> None:
    with_tag, without = Watcher(), Watcher()
    rich.generate(request_of(prompt="a red apple <lora:gone:1><hypernet:none:1>"), with_tag, with_tag)
    rich.generate(request_of(prompt="a red apple "), without, without)
    remarks = [event.text for event in with_tag.events if isinstance(event, Remark)]
    assert ["<lora:gone:1>" in remarks[0], "<hypernet:none:1>" in remarks[1]] == [True, True]
    assert bytes_of(with_tag.images[0]) == bytes_of(without.images[0])


def test_networks_can_be_switched_off_for_a_request(make: Make) -> None:
    off = make(prompt="a red apple <lora:strange:1>", disable_networks=True)[0]
    assert bytes_of(off) == bytes_of(make(prompt="a red apple ")[0])
    assert "Lora hashes" not in off.infotext


def test_a_strength_that_is_no_number_is_refused(rich: DiffusionEngine, request_of: MakeRequest) -> None:
    watcher = Watcher()
    with pytest.raises(InvalidRequest, match="<lora:strange:loud>"):
        rich.generate(request_of(prompt="<lora:strange:loud>"), watcher, watcher)


def test_an_embedding_acts_by_its_name_and_is_named_in_the_infotext(make: Make, engine: DiffusionEngine) -> None:
    with_name = make(prompt="a red odd-thing")[0]
    assert 'TI hashes: "odd-thing: ' in with_name.infotext
    assert "TI hashes" not in make(prompt="a red apple")[0].infotext


def test_the_counter_counts_an_embedding_by_its_vectors_and_tags_not_at_all(rich: DiffusionEngine) -> None:
    assert rich.count_tokens("a <lora:strange:1> cat")[0] == 2


def test_tiling_wraps_the_picture_around_and_is_undone(make: Make) -> None:
    plain, tiled, again = make()[0], make(tiling=True)[0], make()[0]
    assert bytes_of(plain) == bytes_of(again) != bytes_of(tiled)
    assert "Tiling: True" in tiled.infotext


def test_an_unknown_vae_is_refused_by_name(rich: DiffusionEngine, request_of: MakeRequest) -> None:
    watcher = Watcher()
    with pytest.raises(ModelUnavailable, match="There is no VAE named 'gone'"):
        rich.generate(request_of(vae="gone"), watcher, watcher)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sampler": "Euler", "s_churn": 5.0}, "Sigma churn: 5.0"),
        ({"sampler": "Euler a", "eta": 0.3}, "Eta: 0.3"),
        ({"sampler": "DDIM", "eta_ddim": 0.7}, "Eta DDIM: 0.7"),
        ({"sampler": "DPM++ 2S a", "s_noise": 1.05}, "Sigma noise: 1.05"),
        ({"sampler": "Euler a", "ensd": 31337}, "ENSD: 31337"),
        ({"scheduler": "Karras", "sigma_max": 9.0}, "Schedule max sigma: 9.0"),
        ({"scheduler": "Karras", "rho": 3.0}, "Schedule rho: 3.0"),
        ({"scheduler": "Beta", "beta_alpha": 0.8}, "Beta schedule alpha: 0.8, Beta schedule beta: 0.6"),
        ({"discard_penultimate": True}, "Discard penultimate sigma: True"),
        ({"sgm_noise_multiplier": True}, "SGM noise multiplier: True"),
        ({"sampler": "UniPC", "unipc_order": 1}, "UniPC order: 1"),
        ({"cfg_rescale": 0.7}, "CFG rescale: 0.7"),
        ({"ngms": 14.0}, "NGMS: 14.0"),
        ({"skip_early_cfg": 0.5}, "Skip Early CFG: 0.5"),
        ({"noise_schedule": "Zero Terminal SNR"}, "Noise Schedule: Zero Terminal SNR"),
        ({"prompt": "a (red:1.5) apple", "emphasis": "No norm"}, "Emphasis: No norm"),
        ({"prompt": "a [red:green:1.0] apple", "old_prompt_editing": True}, "Old prompt editing timelines: True"),
        ({"prompt": "apple, " * 40, "pad_conds": True}, "Pad conds: True"),
        ({"seed_resize_from_w": 128, "seed_resize_from_h": 128}, "Seed resize from: 128x128"),
    ],
)
def test_every_option_changes_the_picture_and_is_written_down(
    make: Make, values: dict[str, object], words: str
) -> None:
    without = {name: value for name, value in values.items() if name in ("sampler", "scheduler", "prompt")}
    changed, plain = make(**values)[0], make(**without)[0]
    assert words in changed.infotext
    assert bytes_of(changed) != bytes_of(plain)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sampler": "DPM++ 2M", "s_churn": 5.0}, "Sigma churn"),
        ({"sampler": "DPM++ 2M", "eta": 0.5}, "Eta"),
        ({"sampler": "DDIM", "sigma_max": 9.0}, "Schedule max sigma"),
        ({"emphasis": "No norm"}, "Emphasis"),
        ({"ngms": 0.001}, "NGMS"),
        ({"old_prompt_editing": True}, "Old prompt editing"),
    ],
)
def test_an_option_that_does_not_act_is_not_written_down(make: Make, values: dict[str, object], words: str) -> None:
    assert words not in make(**values)[0].infotext


@pytest.fixture(scope="module")
def pair(starter_model: Path, tmp_path_factory: pytest.TempPathFactory) -> DiffusionEngine:
    """An engine with the starter model and one that differs from it in the U-Net's last layer."""
    models = tmp_path_factory.mktemp("pair")
    for name in ("first", "second"):
        shutil.copytree(starter_model, models / name)
    weights = next((models / "second" / "unet").glob("*.safetensors"))
    tensors = load_file(weights)
    save_file({**tensors, "conv_out.weight": tensors["conv_out.weight"] * 0.8}, weights)
    catalog = CheckpointCatalog([models], HashCache(models / "hashes.json"))
    return DiffusionEngine(ModelFiles(catalog), EngineSettings(DeviceWishes(use_cpu=True)))


@pytest.fixture
def make_with_two(pair: DiffusionEngine, request_of: MakeRequest) -> Make:
    def make_pictures(**values: object) -> list[GeneratedImage]:
        watcher = Watcher()
        pair.generate(request_of(**{"checkpoint": "first", **values}), watcher, watcher)
        return watcher.images

    return make_pictures


def test_a_refiner_takes_over_and_the_next_batch_begins_with_the_first_model_again(make_with_two: Make) -> None:
    plain = make_with_two()[0]
    refined, again = make_with_two(refiner_checkpoint="second", refiner_switch_at=0.5, batch_count=2)
    assert bytes_of(refined) != bytes_of(plain)
    assert "Refiner: second [" in refined.infotext
    assert "], Refiner switch at: 0.5" in refined.infotext
    alone = make_with_two(refiner_checkpoint="second", refiner_switch_at=0.5, seed=6)[0]
    assert bytes_of(again) == bytes_of(alone)
    assert bytes_of(make_with_two()[0]) == bytes_of(plain)


def test_a_refiner_that_takes_over_at_once_makes_the_other_models_picture(make_with_two: Make) -> None:
    # The first noise level stands at timestep 999, of which no share is done; so one step is the first model's.
    late, early = (make_with_two(refiner_checkpoint="second", refiner_switch_at=it)[0] for it in (0.99, 0.01))
    other = make_with_two(checkpoint="second")[0]
    distance = [np.abs(np.asarray(i.pixels).astype(int) - np.asarray(other.pixels).astype(int)).mean()
                for i in (early, late)]  # fmt: skip
    assert distance[0] < distance[1]


def test_a_refiner_that_never_gets_its_turn_is_not_written_down(make_with_two: Make) -> None:
    image = make_with_two(refiner_checkpoint="second", refiner_switch_at=1.0)[0]
    assert "Refiner" not in image.infotext
    assert bytes_of(image) == bytes_of(make_with_two()[0])


def test_switching_by_steps_counts_steps(make_with_two: Make) -> None:
    by_noise, by_steps = (
        make_with_two(refiner_checkpoint="second", refiner_switch_at=0.4, scheduler="Karras", refiner_by_steps=it)[0]
        for it in (False, True)
    )
    assert bytes_of(by_noise) != bytes_of(by_steps)
    assert "Refiner switch by sampling steps: True" in by_steps.infotext


@pytest.mark.parametrize("which", ["first pass", "second pass", "both passes"])
def test_a_refiner_takes_over_in_the_pass_that_was_chosen(make_with_two: Make, which: str) -> None:
    values = {**HIRES, "refiner_checkpoint": "second", "refiner_switch_at": 0.3}
    image = make_with_two(**values, hires_refiner_pass=which)[0]
    assert bytes_of(image) != bytes_of(make_with_two(**HIRES)[0])
    assert ("Hires refiner: " + which in image.infotext) == (which != "second pass")


def test_the_second_pass_may_have_a_checkpoint_of_its_own(make_with_two: Make, pair: DiffusionEngine) -> None:
    own, same = make_with_two(**HIRES, hr_checkpoint="second")[0], make_with_two(**HIRES)[0]
    assert bytes_of(own) != bytes_of(same)
    assert "Hires checkpoint: second [" in own.infotext
    assert "Model: first" in own.infotext


@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
def test_a_second_pass_of_an_odd_size_is_cut_to_whole_latents(make: Make, upscaler: str) -> None:
    (image,) = make(enable_hr=True, hr_scale=1.4, hr_upscaler=upscaler)
    assert image.pixels.size == (88, 88)
