"""The merger against formulas of its own: everything is computed a second time with whole tensors, in NumPy."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from modules.core.errors import InvalidRequest, ModelUnavailable, StorageFailed, TaskCancelled
from modules.library.catalog import CheckpointCatalog
from modules.library.hashing import HashCache
from modules.library.merging import merge as merging
from modules.library.merging.merge import run_merge
from modules.library.merging.recipe import (
    ADD_DIFFERENCE,
    NO_INTERPOLATION,
    MergePlaces,
    MergeWish,
    check_wish,
    discard_merge,
    joined_metadata,
)
from modules.library.vae_files import VaeCatalog
from tests.layouts import CheckpointLayout, TextLayout, UNetLayout, VaeLayout

Tensors = dict[str, torch.Tensor]
INPUT = "model.diffusion_model.input_blocks.0.0.weight"
POSITIONS = "cond_stage_model.transformer.text_model.embeddings.position_ids"
SOME = "model.diffusion_model.out.2.weight"
SCHEDULE = "alphas_cumprod"


def small(in_channels: int = 4, context: int = 768) -> CheckpointLayout:
    unet = UNetLayout(32, (1, 2), (1, 0), 1, context, linear=False, in_channels=in_channels, res_blocks=1)
    text = {"cond_stage_model.transformer.": TextLayout(16, 1, words=50)}
    if context == 1024:
        text = {"cond_stage_model.model.": TextLayout(16, 1, open_clip=True, words=50)}
    return CheckpointLayout(unet, text, VaeLayout(32, (1, 2)))


def tensors_of(seed: int, layout: CheckpointLayout | None = None, dtype: torch.dtype = torch.float32) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    made = {
        name: torch.randn(shape, generator=generator).to(dtype) for name, shape in (layout or small()).shapes().items()
    }
    if POSITIONS in made:
        made[POSITIONS] = torch.arange(77).reshape(1, 77) + seed
    return made | {SCHEDULE: torch.linspace(0.99, 0.01, 10) + seed}


class Bench:
    """A models folder, files to put into it, and merges of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkpoints"
        self.vaes = folder / "vaes"
        self.folder.mkdir()
        self.vaes.mkdir()
        hashes = HashCache(folder / "hashes.json")
        self.catalog = CheckpointCatalog([self.folder], hashes)
        self.models = MergePlaces(self.catalog, VaeCatalog([self.vaes], [], hashes), self.folder)

    def add(self, name: str, tensors: Tensors, metadata: dict[str, str] | None = None) -> Tensors:
        save_file(tensors, self.folder / f"{name}.safetensors", metadata)
        self.catalog.refresh()
        return tensors

    def merge(self, cancelled: Callable[[], bool] = lambda: False, **wishes: Any) -> Path:
        wish = MergeWish(**{"primary": "a", "secondary": "b", "tertiary": "c", "custom_name": "out", **wishes})
        recipe = check_wish(wish, self.models)
        run_merge(json.loads(json.dumps(recipe.spec())), self.models, lambda fraction, words: None, cancelled)
        return recipe.target

    def left(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.numpy()


def same(found: torch.Tensor, wanted: np.ndarray) -> bool:
    return found.numpy().dtype == wanted.dtype and found.numpy().tobytes() == np.ascontiguousarray(wanted).tobytes()


# Formulas


@pytest.mark.parametrize("multiplier", [0.0, 0.05, 0.3, 0.65, 1.0])
def test_a_weighted_sum_is_bit_for_bit_the_formula(bench: Bench, multiplier: float) -> None:
    a, b = bench.add("a", tensors_of(1)), bench.add("b", tensors_of(2))
    made = load_file(bench.merge(multiplier=multiplier))
    assert sorted(made) == sorted(a)
    first, second = np.float32(1 - multiplier), np.float32(multiplier)
    for name in set(a) - {POSITIONS, SCHEDULE}:
        assert same(made[name], first * array(a[name]) + second * array(b[name])), name
    for name in (POSITIONS, SCHEDULE):
        assert same(made[name], array(a[name])), name


def test_an_added_difference_is_bit_for_bit_the_formula(bench: Bench) -> None:
    a, b, c = (bench.add(name, tensors_of(number)) for number, name in enumerate("abc"))
    made = load_file(bench.merge(interpolation=ADD_DIFFERENCE, multiplier=0.7))
    for name in set(a) - {POSITIONS, SCHEDULE}:
        assert same(made[name], array(a[name]) + np.float32(0.7) * (array(b[name]) - array(c[name]))), name


def test_no_interpolation_copies_a(bench: Bench) -> None:
    a = bench.add("a", tensors_of(1))
    made = load_file(bench.merge(interpolation=NO_INTERPOLATION))
    assert all(same(made[name], array(a[name])) for name in a)


def test_blocks_change_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.add("a", tensors_of(1))
    bench.add("b", tensors_of(2))
    whole = load_file(bench.merge(custom_name="whole"))
    monkeypatch.setattr(merging, "BLOCK", 7 * 13)
    pieces = load_file(bench.merge(custom_name="pieces"))
    assert all(same(pieces[name], array(whole[name])) for name in whole)


def test_half_precision_files_are_merged_as_torch_does_it(bench: Bench) -> None:
    a, b = bench.add("a", tensors_of(1, dtype=torch.float16)), bench.add("b", tensors_of(2, dtype=torch.float16))
    made = load_file(bench.merge(multiplier=0.3))
    for name in set(a) - {POSITIONS, SCHEDULE}:
        # Every operation of its own rounds to float16.
        first = (array(a[name]).astype(np.float32) * np.float32(0.7)).astype(np.float16)
        second = (array(b[name]).astype(np.float32) * np.float32(0.3)).astype(np.float16)
        assert same(made[name], first + second), name


@pytest.mark.parametrize("first", [torch.float16, torch.bfloat16])
def test_files_of_two_precisions_give_the_finer_one(bench: Bench, first: torch.dtype) -> None:
    bench.add("a", tensors_of(1, dtype=first))
    bench.add("b", tensors_of(2))
    made = load_file(bench.merge())
    assert made[SOME].dtype == torch.float32


def test_saving_as_float16_rounds_the_weights_and_leaves_the_noise_schedule(bench: Bench) -> None:
    a, b = bench.add("a", tensors_of(1)), bench.add("b", tensors_of(2))
    made = load_file(bench.merge(save_as_half=True))
    wanted = (np.float32(0.7) * array(a[SOME]) + np.float32(0.3) * array(b[SOME])).astype(np.float16)
    assert same(made[SOME], wanted)
    assert made[SCHEDULE].dtype == torch.float32
    assert made[POSITIONS].dtype == torch.int64
    alone = load_file(bench.merge(save_as_half=True, interpolation=NO_INTERPOLATION, custom_name="alone"))
    assert same(alone[SOME], array(a[SOME]).astype(np.float16))


def test_what_b_or_c_lack_is_taken_from_a(bench: Bench) -> None:
    a, b, c = (tensors_of(number) for number in range(3))
    b.pop(SOME)
    other = "first_stage_model.encoder.conv_in.weight"
    c.pop(other)
    for name, tensors in (("a", a), ("b", b), ("c", c)):
        bench.add(name, tensors)
    made = load_file(bench.merge(interpolation=ADD_DIFFERENCE, multiplier=1.0))
    assert same(made[SOME], array(a[SOME]))
    assert same(made[other], array(a[other]))


def test_the_text_encoder_s_old_names_are_understood(bench: Bench) -> None:
    a = bench.add("a", tensors_of(1))
    b = tensors_of(2)
    bench.add("b", {name.replace("transformer.text_model.", "transformer."): tensor for name, tensor in b.items()})
    name = "cond_stage_model.transformer.text_model.final_layer_norm.weight"
    made = load_file(bench.merge(multiplier=0.5))
    assert same(made[name], np.float32(0.5) * array(a[name]) + np.float32(0.5) * array(b[name]))


def test_pickled_checkpoints_are_merged_without_being_run(bench: Bench) -> None:
    a, b = bench.add("a", tensors_of(1)), tensors_of(2)
    torch.save({"state_dict": b, "epoch": 3}, bench.folder / "b.ckpt")
    bench.catalog.refresh()
    made = load_file(bench.merge())
    assert same(made[SOME], np.float32(0.7) * array(a[SOME]) + np.float32(0.3) * array(b[SOME]))


def test_a_pickled_tensor_that_is_a_view_is_read_as_it_is(bench: Bench) -> None:
    a, b = bench.add("a", tensors_of(1)), tensors_of(2)
    shape = b[SOME].shape
    b[SOME] = torch.randn(100 + b[SOME].numel())[100:].reshape(shape[1], shape[0], *shape[2:]).transpose(0, 1)
    torch.save(b, bench.folder / "b.ckpt")
    bench.catalog.refresh()
    made = load_file(bench.merge(multiplier=1.0))
    assert same(made[SOME], np.float32(0.0) * array(a[SOME]) + array(b[SOME]))


# Inpainting, pix2pix and what does not fit


@pytest.mark.parametrize(("channels", "ending"), [(9, ".inpainting"), (8, ".instruct-pix2pix")])
@pytest.mark.parametrize("interpolation", ["Weighted sum", ADD_DIFFERENCE])
def test_a_model_with_more_channels_is_merged_in_the_first_four(
    bench: Bench, channels: int, ending: str, interpolation: str
) -> None:
    a, b = bench.add("a", tensors_of(1, small(channels))), bench.add("b", tensors_of(2))
    c = bench.add("c", tensors_of(3))
    place = bench.merge(interpolation=interpolation)
    made = load_file(place)[INPUT]
    assert place.name == f"out{ending}.safetensors"
    own, other, base = array(a[INPUT]), array(b[INPUT]), array(c[INPUT])
    if interpolation == ADD_DIFFERENCE:
        common = own[:, :4] + np.float32(0.3) * (other - base)
    else:
        common = np.float32(0.7) * own[:, :4] + np.float32(0.3) * other
    assert same(made[:, :4].contiguous(), common)
    assert same(made[:, 4:].contiguous(), own[:, 4:])


def test_two_inpainting_models_are_merged_as_any_two(bench: Bench) -> None:
    a, b = bench.add("a", tensors_of(1, small(9))), bench.add("b", tensors_of(2, small(9)))
    place = bench.merge()
    assert place.name == "out.safetensors"
    assert same(load_file(place)[INPUT], np.float32(0.7) * array(a[INPUT]) + np.float32(0.3) * array(b[INPUT]))


@pytest.mark.parametrize("channels", [9, 8])
def test_an_inpainting_model_as_b_is_refused_with_advice(bench: Bench, channels: int) -> None:
    bench.add("a", tensors_of(1))
    bench.add("b", tensors_of(2, small(channels)))
    with pytest.raises(ModelUnavailable, match="as A"):
        bench.merge()


def test_models_of_two_families_are_refused(bench: Bench) -> None:
    bench.add("a", tensors_of(1))
    bench.add("b", tensors_of(2, small(context=1024)))
    with pytest.raises(ModelUnavailable, match=r"family sd1 .* sd2"):
        bench.merge()


def test_shapes_that_do_not_fit_are_refused_before_anything_is_written(bench: Bench) -> None:
    bench.add("a", tensors_of(1))
    b = tensors_of(2)
    b[SOME] = torch.zeros(3, 3)
    bench.add("b", b)
    before = bench.left()
    with pytest.raises(ModelUnavailable, match=r"out\.2\.weight"):
        bench.merge()
    assert bench.left() == before


def test_models_without_a_common_weight_are_refused(bench: Bench) -> None:
    bench.add("a", {INPUT: tensors_of(1)[INPUT], "model.diffusion_model.x.attn2.to_k.weight": torch.zeros(4, 768)})
    names = {"diffusion_model.input_blocks.0.0.weight": tensors_of(2)[INPUT]}
    bench.add("b", {**names, "diffusion_model.x.attn2.to_k.weight": torch.zeros(4, 768)})
    with pytest.raises(ModelUnavailable, match="nothing to merge"):
        bench.merge()


def test_a_diffusers_folder_is_refused(bench: Bench, starter_model: Path) -> None:
    bench.catalog.folders = (bench.folder, starter_model.parent)
    bench.add("b", tensors_of(2))
    with pytest.raises(ModelUnavailable, match="diffusers folder"):
        bench.merge(primary="starter")


# VAE, discarding, names


@pytest.mark.parametrize("prefix", ["", "first_stage_model."])
def test_a_vae_is_baked_in(bench: Bench, prefix: str) -> None:
    bench.add("a", tensors_of(1))
    bench.add("b", tensors_of(2))
    vae = {name: torch.full(shape, 7.0) for name, shape in VaeLayout(32, (1, 2)).shapes().items()}
    save_file({prefix + name: tensor for name, tensor in vae.items()}, bench.vaes / "other.safetensors")
    made = load_file(bench.merge(vae="other.safetensors"))
    assert all(bool((made[f"first_stage_model.{name}"] == 7).all()) for name in vae)
    assert not bool((made[SOME] == 7).all())


def test_a_vae_of_another_size_is_refused(bench: Bench) -> None:
    bench.add("a", tensors_of(1))
    bench.add("b", tensors_of(2))
    vae = {name: torch.zeros(shape) for name, shape in VaeLayout(16, (1, 2)).shapes().items()}
    save_file(vae, bench.vaes / "other.safetensors")
    with pytest.raises(ModelUnavailable, match="VAE does not fit"):
        bench.merge(vae="other.safetensors")


def test_weights_are_discarded_by_name(bench: Bench) -> None:
    a = bench.add("a", tensors_of(1))
    bench.add("b", tensors_of(2))
    made = load_file(bench.merge(discard=r"^cond_stage_model\.|alphas"))
    assert set(made) == {name for name in a if not name.startswith(("cond_stage_model.", "alphas"))}


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"discard": "(["}, "discard"), ({"metadata": "{x"}, "metadata"), ({"metadata": "[1]"}, "metadata"),
        ({"multiplier": 1.2}, "multiplier"), ({"multiplier": float("nan")}, "multiplier"),
        ({"interpolation": "Magic"}, "interpolation"), ({"secondary": ""}, "secondary"), ({"primary": " "}, "primary"),
        ({"interpolation": ADD_DIFFERENCE, "tertiary": ""}, "tertiary"), ({"custom_name": "a"}, "custom_name"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(bench: Bench, wish: dict[str, Any], field: str) -> None:
    bench.add("a", tensors_of(1))
    bench.add("b", tensors_of(2))
    before = bench.left()
    with pytest.raises(InvalidRequest) as refused:
        bench.merge(**wish)
    assert [problem.field for problem in refused.value.problems] == [field]
    assert bench.left() == before


@pytest.mark.parametrize(
    ("wishes", "name"),
    [
        ({}, "0.7(a) + 0.3(b).safetensors"), ({"multiplier": 1.0}, "0.0(a) + 1.0(b).safetensors"),
        ({"interpolation": ADD_DIFFERENCE, "multiplier": 0.25}, "a + 0.25(b - c).safetensors"),
        ({"interpolation": NO_INTERPOLATION, "discard": "x"}, "mine.safetensors"),
    ],
)  # fmt: skip
def test_without_a_name_of_its_own_the_result_is_called_as_in_a1111(
    bench: Bench, wishes: dict[str, Any], name: str
) -> None:
    for number, letter in enumerate("abc"):
        bench.add(letter, tensors_of(number))
    if name == "mine.safetensors":
        (bench.folder / "sub").mkdir()
        save_file(tensors_of(5), bench.folder / "sub" / "mine.safetensors")
        bench.catalog.refresh()
        wishes = {**wishes, "primary": "sub/mine"}
    assert bench.merge(custom_name="", **wishes).name == name


def test_a_custom_name_cannot_leave_the_folder(bench: Bench) -> None:
    bench.add("a", tensors_of(1))
    bench.add("b", tensors_of(2))
    assert bench.merge(custom_name="../../evil.safetensors") == bench.folder / "evil.safetensors"


# Metadata


def metadata_of(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return dict(file.metadata() or {})


def test_the_recipe_is_written_as_a1111_does(bench: Bench) -> None:
    earlier = {"abc": {"name": "old", "legacy_hash": "1", "sd_merge_recipe": None}}
    own = {"type": "webui", "multiplier": 0.5}
    texts = {"sd_merge_recipe": json.dumps(own), "sd_merge_models": json.dumps(earlier), "author": "me", "x": "1"}
    bench.add("a", tensors_of(1), texts)
    bench.add("b", tensors_of(2), {"author": "you"})
    found = metadata_of(bench.merge(metadata='{"license": "free", "more": {"y": 1}}'))
    hashes = [hashlib.sha256((bench.folder / f"{name}.safetensors").read_bytes()).hexdigest() for name in "ab"]
    assert json.loads(found["sd_merge_recipe"]) == {
        "type": "webui", "primary_model_hash": hashes[0], "secondary_model_hash": hashes[1],
        "tertiary_model_hash": None, "interp_method": "Weighted sum", "multiplier": 0.3, "save_as_half": False,
        "custom_name": "out", "config_source": 3, "bake_in_vae": "None", "discard_weights": "",
        "is_inpainting": False, "is_instruct_pix2pix": False,
    }  # fmt: skip
    with (bench.folder / "a.safetensors").open("rb") as file:
        file.seek(0x100000)
        legacy = hashlib.sha256(file.read(0x10000)).hexdigest()[:8]
    models = json.loads(found["sd_merge_models"])
    assert models[hashes[0]] == {"name": "a.safetensors", "legacy_hash": legacy, "sd_merge_recipe": own}
    assert models[hashes[1]]["sd_merge_recipe"] is None
    assert models["abc"] == earlier["abc"]
    assert (found["author"], found["x"], found["license"], found["format"]) == ("you", "1", "free", "pt")
    assert json.loads(found["more"]) == {"y": 1}


def test_metadata_can_be_left_out_or_kept_apart(bench: Bench) -> None:
    bench.add("a", tensors_of(1), {"author": "me", "modelspec.prediction_type": "v"})
    bench.add("b", tensors_of(2))
    bare = metadata_of(bench.merge(save_metadata=False, custom_name="bare"))
    assert bare == {"modelspec.prediction_type": "v"}
    own = metadata_of(bench.merge(copy_metadata=False, add_recipe=False, custom_name="own", metadata='{"z": "1"}'))
    assert own == {"modelspec.prediction_type": "v", "z": "1", "format": "pt"}


def test_the_models_metadata_can_be_read_for_editing(bench: Bench) -> None:
    bench.add("a", tensors_of(1), {"author": "me", "sd_merge_models": '{"abc": {}}', "broken": "{"})
    bench.add("b", tensors_of(2), {"author": "you"})
    entries = [bench.catalog.find(name) for name in "ab"]
    assert joined_metadata(entries) == {"author": "you", "sd_merge_models": {"abc": {}}, "broken": "{"}


# Files


def test_the_result_is_in_the_list_and_usable(bench: Bench) -> None:
    bench.add("a", tensors_of(1))
    bench.add("b", tensors_of(2))
    bench.merge()
    bench.catalog.refresh()
    assert bench.catalog.find("out").usable


def test_every_tensor_of_the_result_is_aligned(bench: Bench) -> None:
    a = tensors_of(1, dtype=torch.float16)
    a["odd"] = torch.zeros(3, dtype=torch.uint8)
    bench.add("a", a)
    bench.add("b", tensors_of(2, dtype=torch.float16))
    raw = bench.merge().read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__")
    widths = {"F32": 4, "F16": 2, "U8": 1, "I64": 8}
    assert length % 8 == 0
    assert all(entry["data_offsets"][0] % widths[entry["dtype"]] == 0 for entry in header.values())


def test_a_cancelled_merge_leaves_nothing(bench: Bench) -> None:
    bench.add("a", tensors_of(1))
    bench.add("b", tensors_of(2))
    before = bench.left()
    asked = iter(range(10_000))
    with pytest.raises(TaskCancelled):
        bench.merge(cancelled=lambda: next(asked) > 20)
    assert next(asked) > 20
    assert bench.left() == before


def test_a_merge_that_was_killed_begins_again(bench: Bench) -> None:
    bench.add("a", tensors_of(1))
    bench.add("b", tensors_of(2))
    (bench.folder / "out.safetensors.part").write_bytes(b"half of it" * 10_000_000)
    assert set(load_file(bench.merge())) == set(tensors_of(1))
    assert bench.left() == {"a.safetensors", "b.safetensors", "out.safetensors"}


def test_dismissing_a_killed_merge_deletes_its_part(bench: Bench) -> None:
    part = bench.folder / "out.safetensors.part"
    part.write_bytes(b"half of it")
    discard_merge({"target": "out.safetensors"}, bench.folder)
    assert not part.exists()


def test_a_full_disk_is_told_and_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.add("a", tensors_of(1))
    bench.add("b", tensors_of(2))
    monkeypatch.setattr("modules.library.merging.merge.SPARE_BYTES", 2**60)
    with pytest.raises(StorageFailed, match="free"):
        bench.merge()
    assert bench.left() == {"a.safetensors", "b.safetensors"}
