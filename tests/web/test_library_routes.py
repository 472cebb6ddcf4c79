"""The library's routes: cards, details, notes and previews, of listed models only."""

import hashlib
import io
import json
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.library.cards import model_id, sources_of
from modules.library.catalog import CheckpointCatalog
from modules.library.files import ModelFiles
from modules.library.hashing import HashCache
from modules.library.network_files import LORA_ENDINGS, NetworkFolder
from modules.web.library_cards import CardRules
from tests.fakes import wait_until
from tests.library.test_network_files import DATA, network
from tests.web.conftest import BASE
from tests.web.site import BROKEN_CHECKPOINT, Site, open_site, site_config

LORA = "/easel/library/lora"
NO_CHECKPOINTS = CheckpointCatalog([], HashCache(Path("nowhere.json")))
TAGS = {"10_cats": {"cat": 9, "sofa": 2}}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("library")
    loras = folder / "models" / "Lora"
    network(
        loras / "pets" / "Cat (old), 🐈.safetensors", alias="cat_v1", ss_tag_frequency=json.dumps(TAGS),
        ss_network_dim="8", ss_base_model_version="sd_v1",
    )  # fmt: skip
    network(folder / "embeddings" / "easynegative.safetensors")
    network(folder / "models" / "VAE" / "good.safetensors")
    (loras / "secret.png").write_bytes(picture())
    (folder / "private.png").write_bytes(picture())
    with open_site(site_config(folder)) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[TestClient]:
    with TestClient(site.application.site, base_url=BASE) as opened:
        yield opened


def picture(size: tuple[int, int] = (60, 40)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "teal").save(out, "PNG")
    return out.getvalue()


def id_of(client: TestClient, name: str, kind: str = "lora") -> str:
    cards = client.get(f"/easel/library/{kind}").json()["models"]
    found: str = next(card["id"] for card in cards if card["name"] == name)
    return found


def lora_folder(site: Site) -> Path:
    return site.services.config.lora_dirs[0]


@pytest.fixture
def own(site: Site, client: TestClient, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A LoRA file for one test alone, called as the test is."""
    path = network(lora_folder(site) / "own" / f"{model_id(Path(request.node.name))}.safetensors")
    client.post(f"{LORA}/refresh")
    yield path
    shutil.rmtree(path.parent)


def address_of(client: TestClient, path: Path) -> str:
    return f"{LORA}/models/{id_of(client, path.stem)}"


def test_a_page_of_cards_tells_what_a_click_inserts(client: TestClient) -> None:
    page = client.get(LORA, params={"text": "cat"}).json()
    (card,) = page["models"]
    assert (page["total"], page["all"], page["folders"]) == (1, 1, [{"path": "pets", "count": 1}])
    assert card["name"] == "Cat (old), 🐈"
    assert "lora:Cat (old), 🐈" in card["known_tags"]
    assert card["tag"] in card["known_tags"]
    assert (card["weight"], card["activation"], card["preview"], card["problem"]) == (1.0, "", None, "")
    assert str(Path.home()) not in json.dumps(page), "no path of this machine is told"


def test_the_preferred_weight_and_texts_of_the_notes_are_on_the_card(client: TestClient, own: Path) -> None:
    notes = {"preferred weight": 0.7, "activation text": "a cat", "negative text": "dog", "description": "meow"}
    own.with_suffix(".json").write_text(json.dumps(notes))
    card = card_of(client, own)
    told = [card[name] for name in ("weight", "activation", "negative", "description")]
    assert told == [0.7, "a cat", "dog", "meow"]


def test_a_lora_goes_by_its_alias_where_that_is_wished_for_and_unique(tmp_path: Path) -> None:
    for name, alias in (("one", "first"), ("two", "shared"), ("three", "shared"), ("four", "a:b")):
        network(tmp_path / f"{name}.safetensors", alias=alias)
    loras = NetworkFolder([tmp_path], LORA_ENDINGS, HashCache(tmp_path / "hashes.json"))
    models = {model.name: model for model in sources_of(ModelFiles(NO_CHECKPOINTS, loras=loras))["lora"].models()}
    unread = CardRules(1.0, None)
    assert unread.names_of(models["one"]) == ["one"]
    wished = CardRules(1.0, loras)
    for model in models.values():
        assert model.file is not None
        assert model.file.alias
    assert wished.names_of(models["one"]) == ["first", "one"]
    assert wished.names_of(models["two"]) == ["two", "shared"], "a name that two share finds neither"
    assert wished.names_of(models["four"]) == ["four"], "no tag can hold this alias"


def test_cards_of_the_other_kinds_say_how_each_is_called(client: TestClient) -> None:
    (embedding,) = client.get("/easel/library/embedding").json()["models"]
    assert (embedding["call"], embedding["tag"]) == ("easynegative", "")
    (vae,) = client.get("/easel/library/vae").json()["models"]
    assert vae["call"] == "good.safetensors"
    checkpoints = {card["name"]: card for card in client.get("/easel/library/checkpoint").json()["models"]}
    broken = checkpoints[BROKEN_CHECKPOINT.removesuffix(".safetensors")]
    assert "cut off" in broken["problem"]
    assert broken["call"] == ""
    assert checkpoints["starter"]["call"].startswith("starter")
    assert checkpoints["starter"]["version"] == "SD 1.x"


@pytest.mark.parametrize(
    "query", [{"sort": "size"}, {"limit": 0}, {"limit": 100_000}, {"offset": -1}, {"text": "x" * 501}]
)
def test_an_impossible_query_is_refused(client: TestClient, query: dict[str, object]) -> None:
    answer = client.get(LORA, params=query)  # type: ignore[arg-type]
    assert answer.status_code == 422
    assert answer.json()["problems"]


def test_an_unknown_kind_or_model_is_not_found(client: TestClient) -> None:
    for address in ("/easel/library/nonsense", f"{LORA}/models/abc", f"{LORA}/previews/abc"):
        answer = client.get(address)
        assert answer.status_code == 404
        assert answer.json()["detail"]


def test_details_tell_file_training_tags_and_metadata(client: TestClient) -> None:
    told = client.get(f"{LORA}/models/{id_of(client, 'Cat (old), 🐈')}").json()
    again = client.get(f"{LORA}/models/{id_of(client, 'Cat (old), 🐈')}").json()
    assert again["facts"] == told["facts"], "the first look at a file tells as much as later ones"
    facts = dict(told["facts"])
    assert facts["Path"] == "pets/Cat (old), 🐈.safetensors"
    assert facts["Calls itself"] == "cat_v1"
    assert facts["Made for"] == "SD 1.x"
    assert told["tags"] == [["cat", 9], ["sofa", 2]]
    assert ["Rank", "8"] in told["training"]
    assert told["metadata"]["ss_output_name"] == "cat_v1"


def test_notes_are_written_checked_and_nothing_else_in_their_file_is_lost(client: TestClient, own: Path) -> None:
    path = own.with_suffix(".json")
    path.write_text(json.dumps({"description": "old", "from another program": {"x": 1}}))
    address = f"{address_of(client, own)}/notes"
    told = client.post(address, json={"description": "new", "activation_text": "go", "preferred_weight": 1.5}).json()
    assert (told["card"]["description"], told["card"]["weight"]) == ("new", 1.5)
    kept = json.loads(path.read_text())
    assert (kept["description"], kept["activation text"], kept["preferred weight"]) == ("new", "go", 1.5)
    assert kept["from another program"] == {"x": 1}
    for wrong in ({"preferred_weight": 3}, {"nonsense": 1}, {"notes": 7}, {"defaults": []}):
        answer = client.post(address, json=wrong)
        assert answer.status_code == 422, wrong
        assert answer.json()["problems"]
    assert json.loads(path.read_text()) == kept


def test_a_read_only_place_is_told(client: TestClient, own: Path) -> None:
    own.with_suffix(".json").mkdir()
    answer = client.post(f"{address_of(client, own)}/notes", json={"notes": "x"})
    assert answer.status_code == 507
    assert "could not be written" in answer.json()["detail"]


def test_a_checkpoints_defaults_come_with_its_choice(client: TestClient, site: Site) -> None:
    # The shipped starter model is not written to: a link of another name has notes of its own.
    starter = next(entry for entry in site.services.files.checkpoints.entries() if entry.name == "starter")
    linked = site.services.config.checkpoint_dirs[0] / "mine"
    linked.mkdir()
    for part in starter.path.iterdir():
        (linked / part.name).symlink_to(part)
    client.post("/easel/library/checkpoint/refresh")
    model = id_of(client, "mine", "checkpoint")
    defaults = {"steps": 7, "sampler": "Euler a", "clip_skip": 2}
    told = client.post(f"/easel/library/checkpoint/models/{model}/notes", json={"defaults": defaults}).json()
    assert told["notes"]["defaults"] == defaults
    assert told["identity"]["family"] == "SD 1.x"
    assert json.loads((linked.parent / "mine.json").read_text())["easel"]["defaults"] == defaults
    chosen = client.post("/easel/checkpoint", json={"checkpoint": told["card"]["call"]}).json()
    assert chosen["defaults"] == defaults
    starters = client.post("/easel/checkpoint", json={"checkpoint": "starter"}).json()
    assert starters["defaults"] == {}


def test_a_finished_picture_becomes_the_preview_with_its_infotext(client: TestClient, site: Site, own: Path) -> None:
    job = site.finish(prompt="for the card", seed=5)
    wanted = {"job": job.id, "index": job.images[0].index}
    card = client.post(f"{address_of(client, own)}/preview", json=wanted).json()["card"]
    shown = client.get(card["preview"])
    assert shown.headers["content-type"] == "image/webp"
    with Image.open(own.with_suffix(".png")) as kept:
        assert kept.info["parameters"] == job.images[0].infotext
    answer = client.post(f"{address_of(client, own)}/preview", json={"job": "nope", "index": 0})
    assert answer.status_code == 404


def test_an_uploaded_preview_is_encoded_anew_replaced_and_removed(client: TestClient, own: Path) -> None:
    model = id_of(client, own.stem)
    address = f"/easel/library/preview?kind=lora&model={model}"
    first = client.post(address, content=picture((2000, 1000))).json()["card"]["preview"]
    with Image.open(own.with_suffix(".png")) as kept:
        assert kept.size == (1024, 512)
    with Image.open(io.BytesIO(client.get(first).content)) as small:
        assert small.size == (512, 256)
    os.utime(own.with_suffix(".png"), (5, 5))
    second = client.post(address, content=picture()).json()["card"]["preview"]
    assert second != first, "the browser keeps pictures by their address"
    assert client.post(f"{LORA}/models/{model}/remove-preview").json()["card"]["preview"] is None
    assert client.get(second).status_code == 404


@pytest.mark.parametrize("content", [b"", b"<svg/>", struct.pack("<Q", 7), picture()[:50]])
def test_an_upload_that_is_no_picture_is_refused(client: TestClient, own: Path, content: bytes) -> None:
    answer = client.post(f"/easel/library/preview?kind=lora&model={id_of(client, own.stem)}", content=content)
    assert answer.status_code == 422
    assert "Preview" in answer.json()["detail"]
    assert not own.with_suffix(".png").exists()


def test_a_broken_preview_is_not_served_and_its_card_is_there(client: TestClient, own: Path) -> None:
    own.with_suffix(".png").write_bytes(b"no picture")
    assert client.get(card_of(client, own)["preview"]).status_code == 404


def test_no_address_leads_to_a_picture_that_is_no_preview(client: TestClient, site: Site) -> None:
    outside = site.services.config.data_dir / "private.png"
    wanted = ["secret", "secret.png", "..%2f..%2fprivate.png", "../../private", model_id(outside), str(outside)]
    for name in wanted:
        assert client.get(f"{LORA}/previews/{name}").status_code in (404, 422), name
        assert client.post(f"/easel/library/preview?kind=lora&model={name}", content=picture()).status_code == 404


def test_another_sites_page_changes_nothing(client: TestClient, own: Path) -> None:
    model = id_of(client, own.stem)
    foreign = {"origin": "https://example.org", "sec-fetch-site": "cross-site"}
    for address in (f"{LORA}/refresh", f"{LORA}/models/{model}/notes", f"{LORA}/models/{model}/remove-preview",
                    f"{LORA}/models/{model}/preview", f"/easel/library/preview?kind=lora&model={model}"):  # fmt: skip
        assert client.post(address, json={}, headers=foreign).status_code == 403
    assert list(own.parent.iterdir()) == [own]


def test_nothing_is_told_to_whoever_is_not_signed_in(tmp_path: Path) -> None:
    config = site_config(tmp_path, credentials=(("mia", "secret word"),))
    with open_site(config) as guarded, TestClient(guarded.application.site, base_url=BASE) as client:
        for address in (LORA, f"{LORA}/models/x", f"{LORA}/previews/x"):
            assert client.get(address, follow_redirects=False).status_code in (302, 303, 307, 401)


def test_refresh_finds_new_files_and_a_vanished_one_is_told(client: TestClient, own: Path) -> None:
    address = address_of(client, own)
    network(own.parent / "new.safetensors")
    assert client.post(f"{LORA}/refresh").json() == {"all": 3}
    own.unlink()
    answer = client.get(address)
    assert answer.status_code == 404
    assert "not there any more" in answer.json()["detail"]


def test_what_is_not_read_yet_is_read_in_the_background_and_hashed(client: TestClient, site: Site, own: Path) -> None:
    site.services.filler.start()
    wait_until(lambda: client.get(LORA).json()["unread"] == 0)
    assert client.get(LORA, params={"text": "cat_v1"}).json()["total"] == 1
    wait_until(lambda: "SHA-256" in facts_of(client, own))
    digest = facts_of(client, own)["SHA-256"]
    assert digest == hashlib.sha256(DATA).hexdigest()
    assert client.get(LORA, params={"text": digest[:8]}).json()["total"] == 2, "both files hold the same tensors"


def facts_of(client: TestClient, path: Path) -> dict[str, str]:
    return dict(client.get(address_of(client, path)).json()["facts"])


def card_of(client: TestClient, path: Path) -> dict[str, Any]:
    cards: list[dict[str, Any]] = client.get(LORA).json()["models"]
    return next(card for card in cards if card["name"] == path.stem)
