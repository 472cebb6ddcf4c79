import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies

from modules.core.errors import DownloadFailed, InvalidRequest, StorageFailed, TaskCancelled
from modules.library.downloads.downloader import Downloader, Wish
from modules.library.downloads.transfers import SPARE_BYTES
from modules.library.model_kinds import kind_of, safe_file_name, safe_stem
from tests.fakes import wait_until
from tests.library.fetching import CHECKPOINT, FAST, LORA, fetch, file_wish, leftovers
from tests.library.hub_server import HubServer, Served, model_file, never, sha256


def test_a_file_goes_into_the_folder_that_its_own_header_tells(hub: HubServer, downloader: Downloader) -> None:
    hub.files["/files/nice.safetensors"] = Served(LORA)
    place = fetch(downloader, file_wish(hub))
    assert place.parent.name == "lora"
    assert place.read_bytes() == LORA
    assert [path.name for path in place.parent.iterdir()] == ["nice.safetensors"]


def test_the_user_may_say_what_it_is_and_what_it_is_called(hub: HubServer, downloader: Downloader) -> None:
    hub.files["/files/nice.safetensors"] = Served(LORA)
    place = fetch(downloader, file_wish(hub, kind="vae", name="my own"))
    assert (place.parent.name, place.name) == ("vae", "my own.safetensors")


def test_a_cut_connection_is_gone_on_with_where_it_broke(hub: HubServer, downloader: Downloader) -> None:
    served = hub.files["/files/nice.safetensors"] = Served(CHECKPOINT)
    _, spec = downloader.order(file_wish(hub))
    served.cut_after = [50_000, 90_000]
    downloader.run(spec, lambda fraction, words: None, never)
    assert (downloader.folders()["checkpoint"] / "nice.safetensors").read_bytes() == CHECKPOINT
    assert hub.ranges_asked() == ["bytes=50000-", "bytes=90000-"]
    assert hub.asked[-1].headers["if-range"] == '"one"'


def test_a_server_without_ranges_begins_again(hub: HubServer, downloader: Downloader) -> None:
    served = hub.files["/files/nice.safetensors"] = Served(CHECKPOINT, ranges=False)
    _, spec = downloader.order(file_wish(hub))
    served.cut_after = [50_000]
    downloader.run(spec, lambda fraction, words: None, never)
    assert (downloader.folders()["checkpoint"] / "nice.safetensors").read_bytes() == CHECKPOINT


def test_a_file_that_has_changed_meanwhile_begins_again(hub: HubServer, downloader: Downloader) -> None:
    served = hub.files["/files/nice.safetensors"] = Served(CHECKPOINT)
    _, spec = downloader.order(file_wish(hub))
    cancel_after(downloader, served, spec, 40_000)
    changed = CHECKPOINT[:-4] + b"new!"
    hub.files["/files/nice.safetensors"] = Served(changed, etag='"two"')
    downloader.run(spec, lambda fraction, words: None, never)
    assert (downloader.folders()["checkpoint"] / "nice.safetensors").read_bytes() == changed


def test_a_part_that_nothing_vouches_for_is_not_gone_on_with(
    hub: HubServer, downloader: Downloader, folders: dict[str, Path]
) -> None:
    hub.files["/files/nice.safetensors"] = Served(CHECKPOINT, etag="")
    folders["checkpoint"].mkdir(parents=True)
    (folders["checkpoint"] / "nice.safetensors.part").write_bytes(b"something else")
    assert fetch(downloader, file_wish(hub)).read_bytes() == CHECKPOINT


def cancel_after(downloader: Downloader, served: Served, spec: dict[str, Any], count: int) -> None:
    """Let the server stall after so many bytes, and cancel the download then."""
    served.wait_after = count
    stop = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            downloader.run(spec, lambda fraction, words: None, stop.is_set)
        except TaskCancelled as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    part = downloader.folders()[spec["kind"]] / f"{spec['name']}.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 0)
    stop.set()
    thread.join(10)
    served.go.set()
    assert len(errors) == 1


def test_a_cancelled_download_ends_at_once_and_goes_on_later(hub: HubServer, downloader: Downloader) -> None:
    served = hub.files["/files/nice.safetensors"] = Served(CHECKPOINT)
    _, spec = downloader.order(file_wish(hub))
    cancel_after(downloader, served, spec, 40_960)
    part = downloader.folders()["checkpoint"] / "nice.safetensors.part"
    kept = part.stat().st_size
    assert 0 < kept <= 40_960
    served.wait_after = None
    downloader.run(spec, lambda fraction, words: None, never)
    assert hub.ranges_asked() == [f"bytes={kept}-"]
    assert (downloader.folders()["checkpoint"] / "nice.safetensors").read_bytes() == CHECKPOINT
    assert not part.exists()


def test_dismissing_a_download_deletes_what_it_left(
    hub: HubServer, downloader: Downloader, folders: dict[str, Path]
) -> None:
    served = hub.files["/files/nice.safetensors"] = Served(CHECKPOINT)
    _, spec = downloader.order(file_wish(hub))
    cancel_after(downloader, served, spec, 40_960)
    assert leftovers(folders) == ["nice.safetensors.part", "nice.safetensors.part.json"]
    downloader.discard(spec)
    assert leftovers(folders) == []


def test_a_file_that_is_just_being_fetched_is_neither_fetched_twice_nor_deleted(
    hub: HubServer, downloader: Downloader, folders: dict[str, Path]
) -> None:
    served = hub.files["/files/nice.safetensors"] = Served(CHECKPOINT, wait_after=None)
    _, spec = downloader.order(file_wish(hub))
    served.wait_after = 40_960
    thread = threading.Thread(target=downloader.run, args=(spec, lambda fraction, words: None, never))
    thread.start()
    part = folders["checkpoint"] / "nice.safetensors.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 0)
    downloader.discard(spec)
    with pytest.raises(DownloadFailed, match="already"):
        downloader.run(spec, lambda fraction, words: None, never)
    hub.files["/files/nice.safetensors"] = Served(CHECKPOINT)
    with pytest.raises(InvalidRequest, match="not yet in"):
        downloader.order(file_wish(hub))
    served.go.set()
    thread.join(10)
    assert (folders["checkpoint"] / "nice.safetensors").read_bytes() == CHECKPOINT


def test_a_wrong_hash_throws_the_file_away(hub: HubServer, downloader: Downloader, folders: dict[str, Path]) -> None:
    hub.files["/files/nice.safetensors"] = Served(LORA)
    with pytest.raises(DownloadFailed, match="SHA-256"):
        fetch(downloader, file_wish(hub, sha256="0" * 64))
    assert leftovers(folders) == []


def test_the_right_hash_is_accepted_in_any_case(hub: HubServer, downloader: Downloader) -> None:
    hub.files["/files/nice.safetensors"] = Served(LORA)
    assert fetch(downloader, file_wish(hub, sha256=sha256(LORA).upper())).is_file()


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><title>Sign in</title>" + b" " * 100, b"\n<html><body>" + b"." * 50])
def test_a_web_page_in_place_of_a_model_is_refused(
    hub: HubServer, downloader: Downloader, folders: dict[str, Path], page: bytes
) -> None:
    hub.files["/files/nice.safetensors"] = Served(page, media_type="text/html")
    with pytest.raises(DownloadFailed, match="web page"):
        downloader.order(file_wish(hub))
    assert leftovers(folders) == []


def test_a_model_that_turns_into_a_web_page_is_refused_too(hub: HubServer, downloader: Downloader) -> None:
    hub.files["/files/nice.safetensors"] = Served(LORA)
    _, spec = downloader.order(file_wish(hub))
    hub.files["/files/nice.safetensors"] = Served(b"<html>" + b"x" * (len(LORA) - 6))
    with pytest.raises(DownloadFailed, match="web page"):
        downloader.run(spec, lambda fraction, words: None, never)


def test_a_file_that_is_shorter_than_its_header_says_is_refused(
    hub: HubServer, downloader: Downloader, folders: dict[str, Path]
) -> None:
    hub.files["/files/nice.safetensors"] = Served(LORA[:-100], lengthless=True)
    with pytest.raises(DownloadFailed, match="cut off"):
        fetch(downloader, file_wish(hub))
    assert leftovers(folders) == []


def test_another_size_than_was_announced_is_refused(hub: HubServer, downloader: Downloader) -> None:
    hub.files["/files/nice.safetensors"] = Served(LORA)
    _, spec = downloader.order(file_wish(hub))
    hub.files["/files/nice.safetensors"] = Served(LORA + b"more")
    with pytest.raises(DownloadFailed, match="announced"):
        downloader.run(spec, lambda fraction, words: None, never)


def test_a_full_disk_is_told_before_anything_is_written(
    hub: HubServer, downloader: Downloader, folders: dict[str, Path]
) -> None:
    hub.files["/files/nice.safetensors"] = Served(CHECKPOINT)
    downloader._rules = replace(FAST, free_space=lambda folder: SPARE_BYTES + 1000)
    with pytest.raises(StorageFailed, match="free"):
        fetch(downloader, file_wish(hub))
    assert leftovers(folders) in ([], ["nice.safetensors.part"])
    assert not any(path.stat().st_size for path in folders["checkpoint"].iterdir())


def test_nothing_is_ever_overwritten(hub: HubServer, downloader: Downloader, folders: dict[str, Path]) -> None:
    hub.files["/files/nice.safetensors"] = Served(LORA)
    _, spec = downloader.order(file_wish(hub))
    folders["lora"].mkdir(parents=True)
    (folders["lora"] / "nice.safetensors").write_bytes(b"mine")
    with pytest.raises(DownloadFailed, match="overwritten"):
        downloader.run(spec, lambda fraction, words: None, never)
    with pytest.raises(InvalidRequest, match="not yet in"):
        downloader.order(file_wish(hub))
    assert (folders["lora"] / "nice.safetensors").read_bytes() == b"mine"


@pytest.mark.parametrize("moment", ["after the link", "after the part went", "after the marks went"])
def test_a_file_that_a_killed_server_had_just_finished_counts_as_finished(
    hub: HubServer, downloader: Downloader, folders: dict[str, Path], moment: str
) -> None:
    hub.files["/files/nice.safetensors"] = Served(LORA)
    _, spec = downloader.order(file_wish(hub, sha256=sha256(LORA) if moment == "after the marks went" else ""))
    folders["lora"].mkdir(parents=True)
    place = folders["lora"] / "nice.safetensors"
    place.write_bytes(LORA)
    if moment != "after the marks went":
        place.with_name("nice.safetensors.part.json").write_text('{"validator": ""}')
    if moment == "after the link":
        place.with_name("nice.safetensors.part").hardlink_to(place)
    downloader.run(spec, lambda fraction, words: None, never)
    assert leftovers(folders) == ["nice.safetensors"]


def test_pickles_are_refused_unless_they_are_allowed(hub: HubServer, downloader: Downloader) -> None:
    hub.files["/files/old.pt"] = Served(b"PK\x03\x04" + b"x" * 100)
    wish = Wish(f"{hub.url}/files/old.pt", kind="embedding", allow_http=True)
    with pytest.raises(InvalidRequest, match="program"):
        downloader.order(wish)
    # This one is allowed and then turns out to be no model.
    with pytest.raises(DownloadFailed, match="thrown away"):
        fetch(downloader, replace(wish, allow_pickle=True))


def test_a_file_of_unknown_kind_asks_the_user(hub: HubServer, downloader: Downloader) -> None:
    hub.files["/files/nice.safetensors"] = Served(model_file("something", "odd"))
    with pytest.raises(InvalidRequest, match="Kind"):
        downloader.order(file_wish(hub))


@pytest.mark.parametrize("name", ["/files/page.html", "/files/archive.zip", "/files/"])
def test_a_link_to_something_else_is_refused(hub: HubServer, downloader: Downloader, name: str) -> None:
    hub.files[name] = Served(b"hello")
    with pytest.raises(DownloadFailed, match="model file itself"):
        downloader.look(hub.url + name, allow_http=True)



def test_progress_tells_bytes_and_speed(hub: HubServer, downloader: Downloader) -> None:
    ticks = iter(range(10_000))
    downloader._rules = replace(FAST, clock=lambda: float(next(ticks)))
    hub.files["/files/nice.safetensors"] = Served(CHECKPOINT)
    _, spec = downloader.order(file_wish(hub))
    told: list[tuple[float, str]] = []
    downloader.run(spec, lambda fraction, words: told.append((fraction, words)), never)
    assert told[-1][0] == 1.0
    assert any("/s · " in words and words.endswith(" left") for _, words in told)
    assert told[-1][1].startswith("120 KB of 120 KB")


@pytest.mark.parametrize("link", ["", "  ", "two words", "x" * 3000, "nothing"])
def test_a_link_that_is_none_says_what_is_allowed(downloader: Downloader, link: str) -> None:
    with pytest.raises((InvalidRequest, DownloadFailed)):
        downloader.look(link)


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("../../etc/passwd", "passwd"), ("a\\..\\b", "b"), (".hidden", "hidden"), ("..", ""), ("nul", "_nul"),
        ("COM1.x", "_COM1.x"), ("a<b>:c", "a_b_c"), ("line\nbreak", "line_break"), ("ok name (v1)", "ok name (v1)"),
        ("-rf", "rf"), ("x" * 400, "x" * 180), ("画" * 100, "画" * 60), ("evil\u202esrotcnes", "evil_srotcnes"),
        ("half\ud800", "half_"),
    ],
)  # fmt: skip
def test_names_become_plain(given: str, plain: str) -> None:
    assert safe_stem(given) == plain


@given(strategies.text())
def test_no_name_leads_anywhere_else(text: str) -> None:
    stem = safe_stem(text)
    assert len(f"{stem}.instruct-pix2pix.safetensors.part.json".encode()) <= 255
    assert not stem.startswith((".", "-", " "))
    if stem:
        assert (Path("/models") / stem).parent == Path("/models")
        assert safe_stem(stem) == stem


@pytest.mark.parametrize("name", ["x.exe", "x", ".safetensors", "x.safetensors.exe", "../.pt"])
def test_names_that_are_no_model_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        safe_file_name(name)


def test_a_name_from_the_address_cannot_leave_its_folder(hub: HubServer, downloader: Downloader) -> None:
    hub.files["/files/..%2F..%2Fevil.safetensors"] = Served(LORA)
    place = fetch(downloader, Wish(f"{hub.url}/files/..%2F..%2Fevil.safetensors", allow_http=True))
    assert (place.parent.name, place.name) == ("lora", "evil.safetensors")


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["model.diffusion_model.a", "lora_unet_b"], "checkpoint"), (["lora_te_x.alpha"], "lora"),
        (["unet.down.lora_A.weight"], "lora"), (["emb_params"], "embedding"), (["clip_l", "clip_g"], "embedding"),
        (["encoder.conv_in.weight"], "vae"), (["first_stage_model.decoder.conv_in.weight"], "vae"), (["x"], ""),
    ],
)  # fmt: skip
def test_kinds_are_told_by_the_tensors_names(names: list[str], kind: str) -> None:
    assert kind_of(names) == kind
