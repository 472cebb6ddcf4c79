import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modules.core.errors import DownloadFailed, InvalidRequest, StorageFailed
from modules.library.catalog import CheckpointCatalog
from modules.library.downloads.downloader import Downloader, Wish
from modules.library.downloads.tokens import HUGGING_FACE, HubTokens
from modules.library.downloads.transfers import SPARE_BYTES
from modules.library.hashing import HashCache
from modules.library.model_notes import read_notes
from modules.library.network_files import LORA_ENDINGS, NetworkFolder
from modules.library.vae_files import VaeCatalog
from tests.library.fetching import CHECKPOINT, FAST, LORA, SECRET, add_repository, fetch, leftovers
from tests.library.hub_server import HubServer, Served, never, sha256


def test_a_repository_lists_its_models_with_sizes_and_hashes(hub: HubServer, downloader: Downloader) -> None:
    add_repository(hub, {"a.safetensors": LORA, "sub/b.ckpt": CHECKPOINT, "README.md": b"hello"})
    offer = downloader.look("me/models")
    told = [(each["key"], each["size"], each["sha256"], each["pickle"]) for each in offer.message()["candidates"]]
    assert told == [
        ("a.safetensors", len(LORA), sha256(LORA), False), ("sub/b.ckpt", len(CHECKPOINT), sha256(CHECKPOINT), True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "link",
    ["me/models:a.safetensors", "{hub}/me/models/resolve/main/a.safetensors?download=true",
     "{hub}/me/models/blob/main/a.safetensors", "https://hf.co/me/models/blob/main/a.safetensors"],
)  # fmt: skip
def test_a_file_of_a_repository_is_found_by_every_kind_of_link(
    hub: HubServer, downloader: Downloader, link: str
) -> None:
    add_repository(hub, {"a.safetensors": LORA, "b.safetensors": CHECKPOINT})
    place = fetch(downloader, Wish(link.format(hub=hub.base)))
    assert (place.parent.name, place.read_bytes()) == ("lora", LORA)


def test_the_hubs_hash_is_checked(hub: HubServer, downloader: Downloader) -> None:
    add_repository(hub, {"a.safetensors": LORA})
    hub.files["/me/models/resolve/main/a.safetensors"] = Served(LORA[:-1] + b"?")
    with pytest.raises(DownloadFailed, match="SHA-256"):
        fetch(downloader, Wish("me/models:a.safetensors"))


def test_a_choice_among_several_files_is_asked_for(hub: HubServer, downloader: Downloader) -> None:
    add_repository(hub, {"a.safetensors": LORA, "b.safetensors": CHECKPOINT})
    with pytest.raises(InvalidRequest, match=r"a\.safetensors, b\.safetensors"):
        downloader.order(Wish("me/models"))
    assert fetch(downloader, Wish("me/models", key="b.safetensors")).read_bytes() == CHECKPOINT


def test_a_private_repository_is_read_with_the_token(hub: HubServer, downloader: Downloader, tokens: HubTokens) -> None:
    add_repository(hub, {"a.safetensors": LORA})
    hub.files["/me/models/resolve/main/a.safetensors"].token = SECRET
    with pytest.raises(DownloadFailed, match="token"):
        fetch(downloader, Wish("me/models"))
    tokens.set(HUGGING_FACE, SECRET)
    assert fetch(downloader, Wish("me/models")).is_file()


DIFFUSERS = {
    "model_index.json": b'{"_class_name": "StableDiffusionPipeline"}',
    "unet/config.json": b"{}",
    "unet/diffusion_pytorch_model.safetensors": CHECKPOINT,
    "unet/diffusion_pytorch_model.bin": CHECKPOINT,
    "unet/diffusion_pytorch_model.fp16.safetensors": LORA,
    "vae/config.json": b"{}",
    "vae/diffusion_pytorch_model.safetensors": LORA,
    "tokenizer/vocab.json": b"{}",
    "tokenizer/merges.txt": b"a b",
    "safety_checker/model.safetensors": LORA,
    "single.safetensors": CHECKPOINT,
}


def test_a_diffusers_repository_comes_as_a_folder(
    hub: HubServer, downloader: Downloader, folders: dict[str, Path]
) -> None:
    add_repository(hub, DIFFUSERS)
    offer = downloader.look("me/models")
    assert [candidate.key for candidate in offer.candidates] == ["diffusers folder", "single.safetensors"]
    place = fetch(downloader, Wish("me/models", key="diffusers folder"))
    assert place == folders["checkpoint"] / "models"
    found = {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    wanted = set(DIFFUSERS) - {
        "unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.fp16.safetensors", "single.safetensors",
        "safety_checker/model.safetensors",
    }  # fmt: skip
    assert found == {path: DIFFUSERS[path] for path in wanted}
    assert [path.name for path in folders["checkpoint"].iterdir()] == ["models"]


def test_half_precision_is_offered_where_every_part_has_it(hub: HubServer, downloader: Downloader) -> None:
    add_repository(hub, {**DIFFUSERS, "vae/diffusion_pytorch_model.fp16.safetensors": LORA})
    half = next(each for each in downloader.look("me/models").candidates if "float16" in each.key)
    small = sum(len(content) for path, content in DIFFUSERS.items() if path.endswith((".json", ".txt")))
    assert half.size == small + 2 * len(LORA)


def test_a_folder_that_broke_off_goes_on_with_the_files_that_are_missing(
    hub: HubServer, downloader: Downloader, folders: dict[str, Path]
) -> None:
    add_repository(hub, DIFFUSERS)
    _, spec = downloader.order(Wish("me/models", key="diffusers folder"))
    kept = hub.files.pop("/me/models/resolve/main/vae/diffusion_pytorch_model.safetensors")
    with pytest.raises(DownloadFailed, match="404"):
        downloader.run(spec, lambda fraction, words: None, never)
    assert not (folders["checkpoint"] / "models").exists()
    hub.files["/me/models/resolve/main/vae/diffusion_pytorch_model.safetensors"] = kept
    hub.asked.clear()
    downloader.run(spec, lambda fraction, words: None, never)
    assert (folders["checkpoint"] / "models" / "model_index.json").is_file()
    assert [asked.path.rsplit("/", 2)[-2] for asked in hub.asked] == ["vae"]


def test_what_is_still_growing_is_in_no_list(
    hub: HubServer, downloader: Downloader, folders: dict[str, Path], tmp_path: Path
) -> None:
    add_repository(hub, DIFFUSERS)
    add_repository(hub, {"a.safetensors": LORA}, "me/lora")
    for name, key in (("me/models", "diffusers folder"), ("me/models", "single.safetensors"), ("me/lora", "")):
        _, spec = downloader.order(Wish(name, key=key))
        last = hub.files[spec["files"][-1]["url"].removeprefix(hub.base)]
        last.cut_after = [100] * 10
        with pytest.raises(DownloadFailed, match="connection broke"):
            downloader.run(spec, lambda fraction, words: None, never)
    assert len(leftovers(folders)) > 6
    hashes = HashCache(tmp_path / "hashes.json")
    assert CheckpointCatalog(list(folders.values()), hashes).entries() == []
    assert NetworkFolder(list(folders.values()), LORA_ENDINGS, hashes).entries() == []
    assert VaeCatalog(list(folders.values()), [], hashes).entries() == []


def test_a_folder_that_the_disk_has_no_room_for_is_told_beforehand(
    hub: HubServer, downloader: Downloader, folders: dict[str, Path]
) -> None:
    add_repository(hub, DIFFUSERS)
    downloader._rules = replace(FAST, free_space=lambda folder: SPARE_BYTES + len(CHECKPOINT))
    with pytest.raises(StorageFailed, match="free"):
        fetch(downloader, Wish("me/models", key="diffusers folder"))
    assert leftovers(folders) == []


@pytest.mark.parametrize("path", ["../evil.json", "unet/../../evil.json", "unet/.hidden.json"])
def test_a_path_that_leads_out_of_the_folder_is_never_written(
    hub: HubServer, downloader: Downloader, folders: dict[str, Path], path: str
) -> None:
    add_repository(hub, DIFFUSERS)
    _, spec = downloader.order(Wish("me/models", key="diffusers folder"))
    spec["files"].append({**spec["files"][0], "path": path})
    with pytest.raises(DownloadFailed, match="unusual name"):
        downloader.run(spec, lambda fraction, words: None, never)
    assert leftovers(folders) == []


def test_a_repository_without_models_says_so(hub: HubServer, downloader: Downloader) -> None:
    add_repository(hub, {"README.md": b"hello"})
    with pytest.raises(DownloadFailed, match="has no"):
        downloader.look("me/models")


@pytest.mark.parametrize("link", ["https://huggingface.co/datasets/a/b", "{hub}/alone", "../..", "a/.."])
def test_links_that_are_no_repository_are_refused(hub: HubServer, downloader: Downloader, link: str) -> None:
    with pytest.raises((DownloadFailed, InvalidRequest)):
        downloader.look(link.format(hub=hub.base))




PICTURE = io.BytesIO()
Image.new("RGB", (900, 1200), "red").save(PICTURE, "JPEG")


def add_version(hub: HubServer, **more: Any) -> dict[str, Any]:
    version = {
        "id": 22, "modelId": 11, "name": "v2", "baseModel": "SDXL 1.0", "trainedWords": ["nice style", "by me"],
        "model": {"name": "Nice", "type": "LORA"}, "description": "<p>Use <b>it</b>.</p><script>bad()</script>",
        "files": [
            {
                "id": 5, "name": "nice_v2.safetensors", "type": "Model", "primary": True, "sizeKB": len(LORA) / 1024,
                "metadata": {"fp": "fp16", "format": "SafeTensor"}, "hashes": {"SHA256": sha256(LORA).upper()},
                "downloadUrl": f"{hub.url}/api/download/models/22?type=Model&format=SafeTensor&token=evil",
            },
            {"id": 6, "name": "training.zip", "type": "Training Data", "sizeKB": 1.0},
        ],
        "images": [
            {"url": f"{hub.url}/daring.jpeg", "nsfwLevel": 8, "type": "image"},
            {"url": f"{hub.url}/tame.jpeg", "nsfwLevel": 1, "type": "image"},
        ],
        **more,
    }  # fmt: skip
    hub.pages["/api/v1/model-versions/22"] = version
    hub.pages["/api/v1/models/11"] = {"id": 11, "name": "Nice", "type": "LORA", "modelVersions": [version]}
    hub.files["/api/download/models/22"] = Served(LORA)
    hub.files["/tame.jpeg"] = Served(PICTURE.getvalue())
    return version


@pytest.mark.parametrize(
    "link",
    ["https://civitai.com/models/11/nice?modelVersionId=22", "https://civitai.com/api/download/models/22?token=abc",
     "civitai.com/models/11", "{hub}/models/11?modelVersionId=22"],
)  # fmt: skip
def test_every_kind_of_civitai_link_is_understood(hub: HubServer, downloader: Downloader, link: str) -> None:
    add_version(hub)
    place = fetch(downloader, Wish(link.format(hub=hub.base)))
    assert (place.parent.name, place.name, place.read_bytes()) == ("lora", "nice_v2.safetensors", LORA)
    assert hub.asked[-1].path == "/api/download/models/22?type=Model&format=SafeTensor"
    assert not any("token" in asked.path for asked in hub.asked)


def test_civitais_hash_is_checked(hub: HubServer, downloader: Downloader) -> None:
    add_version(hub)
    hub.files["/api/download/models/22"] = Served(LORA[:-1] + b"?")
    with pytest.raises(DownloadFailed, match="SHA-256"):
        fetch(downloader, Wish("https://civitai.com/models/11"))


def test_the_preview_and_the_notes_come_along(
    hub: HubServer, folders: dict[str, Path], downloader: Downloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_version(hub)
    monkeypatch.setattr("modules.library.downloads.web_client._check_address", lambda url, allow_http: None)
    place = fetch(downloader, Wish("https://civitai.com/models/11"))
    notes = read_notes(place)
    assert (notes.activation_text, notes.sd_version) == ("nice style, by me", "SDXL")
    assert notes.description == "Nice · v2\n\nUse it."
    with Image.open(folders["lora"] / "nice_v2.preview.png") as preview:
        assert (preview.size, preview.format) == ((576, 768), "PNG")


def test_previews_and_notes_can_be_left_out(hub: HubServer, folders: dict[str, Path], downloader: Downloader) -> None:
    add_version(hub)
    fetch(downloader, Wish("https://civitai.com/models/11", save_notes=False))
    assert leftovers(folders) == ["nice_v2.safetensors"]


def test_a_preview_that_cannot_be_had_does_not_cost_the_model(
    hub: HubServer, folders: dict[str, Path], downloader: Downloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_version(hub)
    hub.files["/tame.jpeg"] = Served(b"no picture at all")
    monkeypatch.setattr("modules.library.downloads.web_client._check_address", lambda url, allow_http: None)
    fetch(downloader, Wish("https://civitai.com/models/11"))
    assert leftovers(folders) == ["nice_v2.json", "nice_v2.safetensors"]


@pytest.mark.parametrize("answer", [[], {"files": "x"}, {"id": 22, "files": [{"name": 5}, None]}, {"modelVersions": 3}])
def test_an_odd_answer_of_the_api_is_an_error_and_no_crash(hub: HubServer, downloader: Downloader, answer: Any) -> None:
    hub.pages["/api/v1/model-versions/22"] = answer
    hub.pages["/api/v1/models/22"] = answer
    for link in ("https://civitai.com/models/22", "https://civitai.com/api/download/models/22"):
        with pytest.raises(DownloadFailed):
            downloader.look(link)
