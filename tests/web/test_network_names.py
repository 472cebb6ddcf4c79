"""An infotext's networks are found again under the names that their files have now, and old keys become tags."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modules.imaging.parsing import Infotext, parse_infotext
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from modules.library.network_files import EMBEDDING_ENDINGS, LORA_ENDINGS, NetworkFolder
from modules.web.forms import PASTED_FIELDS
from modules.web.network_names import with_present_names
from modules.web.pasting import Paster
from modules.web.sdapi_lists import embeddings, hypernetworks
from tests.networks.tiny import random
from tests.web.site import Site

LINE = "Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64"


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    """A LoRA "present", which its maker called "Shown", an embedding "word-now", and their hashes known."""
    hashes = HashCache(tmp_path / "hashes.json")
    for name in ("loras", "embeddings"):
        (tmp_path / name).mkdir()
    save_file({"a": random(2, 2)}, tmp_path / "loras" / "present.safetensors", {"ss_output_name": "Shown"})
    save_file({"emb_params": random(2, 8)}, tmp_path / "embeddings" / "word-now.safetensors")
    loras = NetworkFolder([tmp_path / "loras"], LORA_ENDINGS, hashes, hash_kind="tensors")
    words = NetworkFolder([tmp_path / "embeddings"], EMBEDDING_ENDINGS, hashes)
    found = ModelFiles(CheckpointCatalog([tmp_path / "none"], hashes), loras=loras, embeddings=words)
    for folder in (loras, words):
        for file in folder.entries():
            folder.short_hash(file)
    return found


def short(folder: NetworkFolder | None) -> str:
    assert folder is not None
    return folder.short_hash(folder.entries()[0])


def renamed(files: ModelFiles, prompt: str, pairs: Mapping[str, str], **how: str) -> str:
    return with_present_names(Infotext(prompt, "", pairs), files, **how).prompt


def test_a_renamed_lora_is_found_by_its_hash_and_called_as_the_option_says(files: ModelFiles) -> None:
    pairs = {"Lora hashes": f"old: {short(files.loras)}, other: 0123456789ab"}
    prompt = "a <lora:old:0.5:te=1> <lyco:old> <lora:other:1> <lora:never:1> old"
    assert renamed(files, prompt, pairs) == (
        "a <lora:Shown:0.5:te=1> <lyco:Shown> <lora:other:1> <lora:never:1> old"
    )
    assert renamed(files, prompt, pairs, preferred="Filename").startswith("a <lora:present:0.5:te=1> <lyco:present>")


def test_an_alias_that_two_files_share_is_not_used(files: ModelFiles, tmp_path: Path) -> None:
    pairs = {"Lora hashes": f"old: {short(files.loras)}"}
    shutil.copy(tmp_path / "loras" / "present.safetensors", tmp_path / "loras" / "twin.safetensors")
    assert files.loras is not None
    files.loras.refresh()
    assert renamed(files, "<lora:old:1>", pairs) == "<lora:present:1>"


def test_a_renamed_embedding_is_found_by_its_hash_as_a_whole_word_in_every_prompt(files: ModelFiles) -> None:
    pairs = {"TI hashes": f"Old-Word: {short(files.embeddings)}", "Hires prompt": "more old-word", "Seed": "1"}
    infotext = with_present_names(Infotext("an old-word, old-words", "(old-word:1.2)", pairs), files)
    assert infotext.prompt == "an word-now, old-words"
    assert infotext.negative_prompt == "(word-now:1.2)"
    assert infotext.pairs["Hires prompt"] == "more word-now"


def test_an_embedding_that_is_still_there_keeps_its_name(files: ModelFiles) -> None:
    pairs = {"TI hashes": f"word-now: {short(files.embeddings)}"}
    assert renamed(files, "a WORD-now", pairs) == "a WORD-now"


def test_hashes_that_are_not_known_change_nothing(files: ModelFiles) -> None:
    pairs = {"Lora hashes": "old: ffffffffffff, broken, : , x: 12", "TI hashes": "a: ffffffffffff"}
    assert renamed(files, "a <lora:old:1>", pairs) == "a <lora:old:1>"
    assert with_present_names(Infotext("a", "b", {}), ModelFiles(files.checkpoints)).prompt == "a"


@pytest.mark.parametrize(("pairs", "added"), [
    ({"Hypernet": "anime"}, "<hypernet:anime:1.0>"),
    ({"Hypernet": "anime(0a1b2c3d)", "Hypernet strength": "0.6"}, "<hypernet:anime:0.6>"),
    ({"AddNet Module 1": "LoRA", "AddNet Model 1": "some name(0a1b2c3d4e5f)", "AddNet Weight A 1": "0.7",
      "AddNet Module 2": "LoRA", "AddNet Model 2": "b"}, "\n<lora:some name:0.7><lora:b:1.0>"),
    ({"AddNet Module 1": "Other", "AddNet Model 1": "a"}, ""),
])  # fmt: skip
def test_old_keys_become_tags(files: ModelFiles, pairs: dict[str, str], added: str) -> None:
    assert renamed(files, "a cat", pairs) == "a cat" + added


def test_pasting_takes_old_keys_over_without_a_note(site: Site) -> None:
    line = f"{LINE}, Hypernet: anime, Hypernet strength: 0.5, AddNet Enabled: True"
    pasted = Paster(site.services).paste_infotext(parse_infotext(f"a cat\n{line}"), PASTED_FIELDS)
    assert pasted.fields["prompt"] == "a cat<hypernet:anime:0.5>"
    assert not any("Hypernet" in note or "AddNet" in note for note in pasted.notes)


def test_the_api_lists_embeddings_by_the_widths_of_the_chosen_model(site: Site) -> None:
    folder = site.services.config.embeddings_dirs[0]
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"emb_params": random(3, 768)}, folder / "fits.safetensors")
    save_file({"clip_l": random(2, 768), "clip_g": random(2, 1280)}, folder / "large.safetensors")
    torch.save({"string_to_param": {"*": random(4, 1024)}, "step": 3}, folder / "second.pt")
    catalog = site.services.files.embeddings
    assert catalog is not None
    catalog.refresh()
    try:
        listed = embeddings(site.services)
        assert {name: told["vectors"] for name, told in listed["loaded"].items()} == {"fits": 3}
        assert {name: told["shape"] for name, told in listed["skipped"].items()} == {"large": 2048, "second": 1024}
        assert json.dumps(hypernetworks(site.services)) == "[]"
    finally:
        for name in ("fits.safetensors", "large.safetensors", "second.pt"):
            (folder / name).unlink()
        catalog.refresh()
