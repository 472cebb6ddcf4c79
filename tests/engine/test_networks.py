"""What network tags and embeddings do in whole runs: on models of every family, and when files cannot be used."""

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from modules.core.events import Event, Remark, StepDone
from modules.engine.memory import DeviceWishes
from modules.engine.service import DiffusionEngine, EngineSettings
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from modules.library.network_files import (
    EMBEDDING_ENDINGS,
    EMBEDDING_PICTURE_ENDINGS,
    HYPERNETWORK_ENDINGS,
    LORA_ENDINGS,
    NetworkFolder,
)
from modules.networks.patching import NetworkPatcher
from tests.engine.conftest import MakeRequest, Watcher
from tests.engine.test_families import TINY, WIDTH, write_tiny
from tests.networks.test_embeddings import as_json, card
from tests.networks.test_lora import Malice

BLOCK = "down_blocks_0_attentions_0_transformer_blocks_0"
DOTTED = "down_blocks.0.attentions.0.transformer_blocks.0"
PLAIN = "a red apple"


@dataclass
class Workshop:
    """An engine with one tiny model, and folders for networks beside it."""

    folder: Path
    engine: DiffusionEngine
    request_of: MakeRequest

    def run(self, prompt: str = PLAIN, **values: object) -> Watcher:
        watcher = Watcher()
        request = self.request_of(**{"checkpoint": "model", "steps": 2, "prompt": prompt, **values})
        self.engine.generate(request, watcher, watcher)
        return watcher

    def pixels(self, prompt: str = PLAIN, **values: object) -> bytes:
        return self.run(prompt, **values).images[0].pixels.tobytes()

    def remarks(self, watcher: Watcher) -> list[str]:
        return [event.text for event in watcher.events if isinstance(event, Remark)]

    def save(self, name: str, tensors: dict[str, Tensor]) -> None:
        save_file(tensors, self.folder / f"{name}.safetensors")
        for catalog in (self.engine.shelf.files.loras, self.engine.shelf.files.embeddings):
            assert catalog is not None
            catalog.refresh()

    def weights(self) -> dict[str, Tensor]:
        bundle = self.engine.shelf.get("model", Watcher()).bundle
        parts = [bundle.unet, *(text.encoder for text in bundle.texts)]
        return {f"{number}.{name}": it.clone() for number, part in enumerate(parts)
                for name, it in part.state_dict().items()}  # fmt: skip


Open = Callable[[str], Workshop]


@pytest.fixture
def workshop(tmp_path: Path, request_of: MakeRequest) -> Open:
    def opened(family: str) -> Workshop:
        models = tmp_path / "models"
        models.mkdir()
        write_tiny(models / "model.safetensors", family, TINY[family])
        hashes = HashCache(tmp_path / "hashes.json")
        files = ModelFiles(
            CheckpointCatalog([models], hashes),
            loras=NetworkFolder([tmp_path], LORA_ENDINGS, hashes, hash_kind="tensors"),
            embeddings=NetworkFolder([tmp_path], EMBEDDING_ENDINGS, hashes),
            hypernetworks=NetworkFolder([tmp_path], HYPERNETWORK_ENDINGS, hashes),
            embedding_pictures=NetworkFolder([tmp_path], EMBEDDING_PICTURE_ENDINGS, hashes),
        )
        return Workshop(tmp_path, DiffusionEngine(files, EngineSettings(DeviceWishes(use_cpu=True))), request_of)

    return opened


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def pair(layer: str, inside: int = WIDTH, up: str = "lora_up.weight", down: str = "lora_down.weight",
         seed: int = 0) -> dict[str, Tensor]:  # fmt: skip
    return {f"{layer}.{up}": random(WIDTH, 2, seed=seed), f"{layer}.{down}": random(2, inside, seed=seed + 1)}


def test_a_lora_acts_the_same_whichever_layout_its_file_has(workshop: Open) -> None:
    shop = workshop("sd1")
    peft = {"up": "lora_B.weight", "down": "lora_A.weight"}
    shop.save("kohya", pair(f"lora_unet_{BLOCK}_attn2_to_k"))
    shop.save("ldm", pair("lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_k"))
    shop.save("diffusers", pair(f"unet.{DOTTED}.attn2.to_k", **peft))
    shop.save("peft", pair(f"base_model.model.{DOTTED}.attn2.to_k", up="lora_B.default.weight",
                           down="lora_A.default.weight"))  # fmt: skip
    shop.save("oldest", pair(f"unet.{DOTTED}.attn2.processor", up="to_k_lora.up.weight", down="to_k_lora.down.weight"))
    made = {shop.pixels(f"{PLAIN}<lora:{name}:1>") for name in ("kohya", "ldm", "diffusers", "peft", "oldest")}
    assert len(made) == 1
    assert shop.pixels() not in made


def test_diffusers_strength_is_that_of_the_settings_in_its_file(workshop: Open) -> None:
    shop = workshop("sd1")
    layer = f"unet.{DOTTED}.attn2.to_k"
    tensors = pair(layer, up="lora_B.weight", down="lora_A.weight")
    told = '{"unet.r": 2, "unet.lora_alpha": 1, "text_encoder.lora_alpha": 9}'
    save_file(tensors, shop.folder / "told.safetensors", {"lora_adapter_metadata": told})
    shop.save("plain", tensors)
    assert shop.pixels(f"{PLAIN}<lora:told:1>") == shop.pixels(f"{PLAIN}<lora:plain:0.5>")


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_every_kind_changes_the_picture_and_leaves_no_trace(workshop: Open, family: str) -> None:
    shop = workshop(family)
    context = 2 * WIDTH if family == "sdxl" else WIDTH
    block = BLOCK.replace("blocks_0", "blocks_1", 1) if family == "sdxl" else BLOCK
    layer, text = f"lora_unet_{block}_attn2_to_k", "lora_te1_" if family == "sdxl" else "lora_te_"
    text_layer, values = f"{text}text_model_encoder_layers_0_self_attn_v_proj", layer.replace("to_k", "to_v")
    kinds: dict[str, dict[str, Tensor]] = {
        "lora": pair(layer, context), "text": pair(text_layer),
        "dora": pair(layer, context) | {f"{layer}.dora_scale": random(1, context).abs()},
        "loha": {f"{layer}.hada_w{n}_{side}": random(*((WIDTH, 2) if side == "a" else (2, context)), seed=n)
                 for n in (1, 2) for side in "ab"},
        "lokr": {f"{layer}.lokr_w1": random(2, 2), f"{layer}.lokr_w2": random(WIDTH // 2, context // 2)},
        "ia3": {f"{layer}.weight": random(WIDTH), f"{layer}.on_input": torch.tensor(0)},
        # Turned keys hardly show in so small a model; turned values do.
        "oft": {f"{values}.oft_blocks": random(4, WIDTH // 4, WIDTH // 4)},
        "boft": {f"{values}.oft_blocks": random(2, 8, 4, 4)},
        "full": {f"{layer}.diff": random(WIDTH, context)},
        "norm": {f"lora_unet_{block}_norm2.w_norm": random(WIDTH), f"lora_unet_{block}_norm2.b_norm": random(WIDTH)},
        "glora": {f"{layer}.a2.weight": random(context, 2), f"{layer}.a1.weight": random(2, context),
                  f"{layer}.b2.weight": random(WIDTH, 2), f"{layer}.b1.weight": random(2, context)},
    }  # fmt: skip
    before, weights = shop.pixels(), shop.weights()
    for name, tensors in kinds.items():
        shop.save(name, tensors)
        changed = shop.run(f"{PLAIN}<lora:{name}:0.7>")
        assert shop.remarks(changed) == []
        assert changed.images[0].pixels.tobytes() != before, name
    every = "".join(f"<lora:{name}:0.3>" for name in kinds)
    assert shop.pixels(PLAIN + every) != before
    assert shop.pixels() == before
    assert all(torch.equal(it, weights[name]) for name, it in shop.weights().items())


def test_a_lora_for_another_family_is_named_and_the_run_goes_on(workshop: Open) -> None:
    shop = workshop("sd1")
    block = "lora_unet_input_blocks_1_1_transformer_blocks_0"
    shop.save("large", pair(f"{block}_attn2_to_k", 2048) | pair(f"{block}_attn1_to_q"))
    run = shop.run(f"{PLAIN}<lora:large:1>")
    (text,) = shop.remarks(run)
    assert text == ("The network large.safetensors cannot be used: it was made for SDXL, this checkpoint is SD 1.x.")
    assert run.images[0].pixels.tobytes() == shop.pixels()
    assert "Lora hashes" not in run.images[0].infotext


def test_files_that_cannot_be_used_are_named_once_and_the_run_goes_on(workshop: Open) -> None:
    shop = workshop("sd1")
    good = pair(f"lora_unet_{BLOCK}_attn2_to_k")
    shop.save("good", good)
    whole = (shop.folder / "good.safetensors").read_bytes()
    (shop.folder / "cut.safetensors").write_bytes(whole[:-40])
    (shop.folder / "empty.safetensors").write_bytes(b"")
    (shop.folder / "page.safetensors").write_bytes(b"<!DOCTYPE html>")
    torch.save({"lora_unet_x.alpha": Malice(shop.folder / "ran")}, shop.folder / "evil.pt")
    (shop.folder / "plain.pt").write_bytes(pickle.dumps([1, 2], protocol=2))
    shop.save("foreign", {"emb_params": random(2, 3)})
    names = ("cut", "empty", "page", "evil", "plain", "foreign")
    run = shop.run(PLAIN + "".join(f"<lora:{name}:1>" for name in names) + "<lora:good:1>", batch_count=2)
    remarks = shop.remarks(run)
    assert len(remarks) == len(names)
    assert all(any(f"{name}." in text for text in remarks) for name in names)
    assert not (shop.folder / "ran").exists()
    assert run.images[0].pixels.tobytes() == shop.pixels(f"{PLAIN}<lora:good:1>")
    assert 'Lora hashes: "good: ' in run.images[0].infotext


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user may read everything")
def test_a_file_that_may_not_be_read_is_named_and_the_run_goes_on(workshop: Open) -> None:
    shop = workshop("sd1")
    shop.save("locked", pair(f"lora_unet_{BLOCK}_attn2_to_k"))
    (shop.folder / "locked.safetensors").chmod(0)
    (text,) = shop.remarks(shop.run(f"{PLAIN}<lora:locked:1>"))
    assert "locked.safetensors cannot be read" in text


def test_an_interrupt_between_two_layers_leaves_the_original_weights(
    workshop: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = workshop("sd1")
    shop.save("a", pair(f"lora_unet_{BLOCK}_attn2_to_k") | pair(f"lora_unet_{BLOCK}_attn2_to_v"))
    before, weights = shop.pixels(), shop.weights()
    watcher = Watcher()
    renew = NetworkPatcher._renew

    def renew_and_stop(self: NetworkPatcher, *rest: object) -> None:
        renew(self, *rest)  # type: ignore[arg-type]
        watcher.stop = True

    monkeypatch.setattr(NetworkPatcher, "_renew", renew_and_stop)
    request = shop.request_of(checkpoint="model", prompt=f"{PLAIN}<lora:a:1>")
    assert shop.engine.generate(request, watcher, watcher).interrupted
    monkeypatch.undo()
    assert all(torch.equal(it, weights[name]) for name, it in shop.weights().items())
    assert shop.pixels() == before


def test_a_name_that_comes_twice_acts_twice_with_the_later_strength(workshop: Open) -> None:
    shop = workshop("sd1")
    shop.save("a", pair(f"lora_unet_{BLOCK}_attn2_to_k"))
    assert shop.pixels(f"{PLAIN}<lora:a:0.9><lora:a:0.25>") == shop.pixels(f"{PLAIN}<lora:a:0.5>")


def hypernetwork(folder: Path, width: int = WIDTH) -> None:
    tensors = {"linear.0.weight": random(2 * width, width) * 0.3, "linear.0.bias": random(2 * width),
               "linear.1.weight": random(width, 2 * width) * 0.3, "linear.1.bias": random(width)}  # fmt: skip
    torch.save({width: (tensors, tensors), "layer_structure": [1, 2, 1], "name": "other"}, folder / "hyper.pt")


def test_a_hypernetwork_changes_the_picture_by_its_strength_and_leaves_no_trace(workshop: Open) -> None:
    shop = workshop("sd1")
    hypernetwork(shop.folder)
    before = shop.pixels()
    made = {shop.pixels(f"{PLAIN}<hypernet:hyper:{it}>") for it in ("0.2", "1")}
    assert len({before, *made}) == 3
    assert shop.pixels(f"{PLAIN}<hypernet:hyper:0>") == before
    assert shop.pixels(f"{PLAIN}<hypernet:hyper>") in made
    assert shop.pixels() == before


def test_a_hypernetwork_for_other_widths_is_named_and_the_run_goes_on(workshop: Open) -> None:
    shop = workshop("sd1")
    hypernetwork(shop.folder, 5)
    run = shop.run(f"{PLAIN}<hypernet:hyper:1>")
    assert "another kind of model (its widths are [5]" in shop.remarks(run)[0]
    assert run.images[0].pixels.tobytes() == shop.pixels()


def test_an_embedding_for_sdxl_acts_through_both_text_encoders(workshop: Open) -> None:
    shop = workshop("sdxl")
    vectors = random(2, WIDTH), random(2, WIDTH, seed=1)
    shop.save("both-parts", {"clip_l": vectors[0], "clip_g": vectors[1]})
    shop.save("other-first", {"clip_l": vectors[0] + 1, "clip_g": vectors[1]})
    shop.save("other-second", {"clip_l": vectors[0], "clip_g": vectors[1] + 1})
    shop.save("for-one", {"emb_params": vectors[0]})
    runs = [shop.run(f"a {name}") for name in ("both-parts", "other-first", "other-second")]
    assert len({run.images[0].pixels.tobytes() for run in runs}) == 3
    assert 'TI hashes: "both-parts: ' in runs[0].images[0].infotext
    assert "TI hashes" not in shop.run("a for-one").images[0].infotext
    assert shop.engine.count_tokens("a both-parts", "model")[0] == 3
    assert shop.engine.count_tokens("a for-one", "model")[0] == 4
    shown = shop.engine.inspect(shop.request_of(checkpoint="model", prompt="a both-parts"), "prompt")
    assert shown["parts"][0]["stages"][0]["chunks"][0]["tokens"][1]["vectors"] == 2


def test_the_counter_knows_the_embeddings_of_a_model_that_is_not_in_memory_by_its_family(workshop: Open) -> None:
    shop = workshop("sdxl")
    shop.save("both-parts", {"clip_l": random(4, 768), "clip_g": random(4, 1280)})
    shop.save("for-one", {"emb_params": random(9, 768)})
    assert shop.engine.count_tokens("a both-parts", "model")[0] == 5
    assert shop.engine.count_tokens("a for-one", "model")[0] == 4
    assert shop.engine.count_tokens("a for-one", "no such model")[0] == 10


def test_an_embedding_that_is_put_into_its_folder_is_known_to_the_next_run(workshop: Open) -> None:
    shop = workshop("sd1")
    plain = shop.pixels("a new-word")
    save_file({"emb_params": random(2, WIDTH)}, shop.folder / "new-word.safetensors")
    assert shop.pixels("a new-word") != plain
    (shop.folder / "new-word.safetensors").unlink()
    assert shop.pixels("a new-word") == plain


def test_an_embedding_in_a_picture_acts_under_the_name_inside(workshop: Open) -> None:
    shop = workshop("sd2")
    card(as_json(random(2, WIDTH), "hidden-thing")).save(shop.folder / "card.png")
    run = shop.run("a hidden-thing")
    assert 'TI hashes: "hidden-thing: ' in run.images[0].infotext
    assert shop.engine.count_tokens("a hidden-thing", "model")[0] == 3


def test_embeddings_in_a_lora_act_with_it_alone_and_are_named_by_it(workshop: Open) -> None:
    shop = workshop("sd1")
    plain = shop.pixels("a strange-word")
    shop.save("bringer", pair(f"lora_unet_{BLOCK}_attn2_to_k") | {
        "bundle_emb.strange-word.string_to_param.*": random(2, WIDTH), "bundle_emb.odd.emb_params": random(2, 3),
    })  # fmt: skip
    shop.save("same", pair(f"lora_unet_{BLOCK}_attn2_to_k"))
    brought, same = (shop.run(f"a strange-word<lora:{name}:1>") for name in ("bringer", "same"))
    assert brought.images[0].pixels.tobytes() != same.images[0].pixels.tobytes()
    assert 'TI hashes: "strange-word: bringer"' in brought.images[0].infotext
    assert "TI hashes" not in same.images[0].infotext
    assert shop.pixels("a strange-word") == plain


@pytest.mark.parametrize(
    ("option", "missing"),
    [("lora_hashes", "Lora hashes"), ("embedding_hashes", "TI hashes"), ("bundled_hashes", "own: ")],
)
def test_hashes_are_left_out_of_the_infotext_on_request(workshop: Open, option: str, missing: str) -> None:
    shop = workshop("sd1")
    shop.save("bringer", pair(f"lora_unet_{BLOCK}_attn2_to_k") | {"bundle_emb.own.emb_params": random(1, WIDTH)})
    shop.save("word", {"emb_params": random(2, WIDTH)})
    prompt = "a own word<lora:bringer:1>"
    texts = [shop.run(prompt, **values).images[0].infotext for values in ({}, {option: False})]
    assert [missing in text for text in texts] == [True, False]


def test_the_refiner_is_not_told_of_networks_for_the_first_model(workshop: Open, request_of: MakeRequest) -> None:
    shop = workshop("sdxl")
    write_tiny(shop.folder / "models" / "refiner.safetensors", "sdxl_refiner", TINY["sdxl_refiner"])
    shop.engine.shelf.files.checkpoints.refresh()
    block = BLOCK.replace("blocks_0", "blocks_1", 1)
    shop.save("a", pair(f"lora_unet_{block}_attn2_to_k", 2 * WIDTH))
    run = shop.run(f"{PLAIN}<lora:a:1>", steps=4, refiner_checkpoint="refiner", refiner_switch_at=0.5)
    assert shop.remarks(run) == []
    assert 'Lora hashes: "a: ' in run.images[0].infotext
    assert "Refiner: refiner" in run.images[0].infotext


def test_a_broken_file_says_so_before_the_first_step(workshop: Open) -> None:
    shop = workshop("sd1")
    (shop.folder / "page.safetensors").write_bytes(b"<!DOCTYPE html>")
    kinds: list[type[Event]] = [type(event) for event in shop.run(f"{PLAIN}<lora:page:1>").events]
    assert kinds.index(Remark) < kinds.index(StepDone)
