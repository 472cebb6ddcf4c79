"""The routes of downloads, merges and their tasks, and who may use them."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from starlette.testclient import TestClient

from modules.library.downloads.tokens import CIVITAI, HUGGING_FACE
from modules.library.downloads.web_client import WebClient
from tests.fakes import wait_until
from tests.library.fetching import LORA, add_repository
from tests.library.hub_server import HubServer, hub_server
from tests.library.test_merging import tensors_of
from tests.web.conftest import BASE, LIVE
from tests.web.site import Site, open_site, site_config

SECRET = "hf_VerySecretToken"
USERS = (("anna", "secret-a"), ("ben", "secret-b"), ("cleo", "secret-c"))
CHANGES = [
    ("/easel/downloads/look", {"link": "me/models"}), ("/easel/downloads", {"link": "me/models"}),
    ("/easel/downloads/token", {"hub": CIVITAI, "token": "x"}), ("/easel/merge", {"primary": "a", "secondary": "b"}),
    ("/easel/merge/plan", {"primary": "a"}), ("/easel/merge/metadata", {"primary": "a"}),
    ("/easel/tasks/1/cancel", None), ("/easel/tasks/1/retry", None), ("/easel/tasks/1/dismiss", None),
]  # fmt: skip


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    with hub_server() as opened:
        add_repository(opened, {"a.safetensors": LORA, "b.safetensors": LORA, "c.pt": b"PK" + bytes(600)})
        yield opened


@contextmanager
def joined_site(folder: Path, hub: HubServer, **more: Any) -> Iterator[Site]:
    checkpoints = folder / "models" / "Stable-diffusion"
    checkpoints.mkdir(parents=True)
    for number, name in enumerate("ab"):
        save_file(tensors_of(number), checkpoints / f"{name}.safetensors", {"author": name})
    with open_site(replace(site_config(folder), **more)) as site:
        background = site.services.background
        background.downloader._client = WebClient(background.tokens.for_origin, allow_private=True)
        background.downloader._bases = {HUGGING_FACE: hub.base, CIVITAI: hub.base}
        yield site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, hub: HubServer) -> Iterator[Site]:
    with joined_site(tmp_path_factory.mktemp("open"), hub) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[TestClient]:
    with TestClient(site.application.site, base_url=BASE) as opened:
        yield opened


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, hub: HubServer) -> Iterator[TestClient]:
    with (
        joined_site(tmp_path_factory.mktemp("guarded"), hub, credentials=USERS, admins=("ben", "cleo")) as site,
        TestClient(site.application.site, base_url=BASE) as opened,
    ):
        yield opened


def headers_of(user: str) -> dict[str, str]:
    encoded = base64.b64encode(f"{user}:{dict(USERS)[user]}".encode()).decode()
    return {"authorization": f"Basic {encoded}"}


def task_of(client: TestClient, task_id: str) -> dict[str, Any]:
    tasks: list[dict[str, Any]] = client.get("/easel/tasks").json()["tasks"]
    return next(task for task in tasks if task["id"] == task_id)


def finish(client: TestClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    task_id = answer.json()["task"]
    wait_until(lambda: task_of(client, task_id)["state"] not in ("waiting", "running"))
    return task_of(client, task_id)


def test_a_link_is_looked_up(client: TestClient) -> None:
    offer = client.post("/easel/downloads/look", json={"link": "me/models"}).json()
    assert [candidate["name"] for candidate in offer["candidates"]] == ["a.safetensors", "b.safetensors", "c.pt"]
    assert "url" not in json.dumps(offer)


def test_a_download_runs_as_a_task_and_its_file_is_in_the_lists(client: TestClient, site: Site) -> None:
    task = finish(client, "/easel/downloads", {"link": "me/models", "key": "a.safetensors"})
    assert (task["state"], task["result"]) == ("finished", "LoRA in models/Lora, from Hugging Face · me/models.")
    folder = site.services.config.models_dir / "Lora"
    assert (folder / "a.safetensors").read_bytes() == LORA
    assert [path.name for path in folder.iterdir()] == ["a.safetensors"]


def test_a_problem_is_told_at_its_field(client: TestClient) -> None:
    answer = client.post("/easel/downloads", json={"link": "me/models", "key": "c.pt", "kind": "embedding"})
    assert answer.status_code == 422
    assert [problem["field"] for problem in answer.json()["problems"]] == ["allow_pickle"]
    assert client.post("/easel/downloads/look", json={"link": "no/where"}).json()["detail"].startswith("localhost does")


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/x.safetensors", "https://[::1]/x.safetensors"])
def test_the_server_s_own_network_is_closed_unless_a_test_opens_it(tmp_path: Path, address: str) -> None:
    with open_site(site_config(tmp_path)) as site, TestClient(site.application.site, base_url=BASE) as client:
        answer = client.post("/easel/downloads/look", json={"link": address, "allow_http": True})
    assert "private network" in answer.json()["detail"]


def test_a_token_is_kept_and_never_told_again(client: TestClient, site: Site) -> None:
    client.post("/easel/downloads/token", json={"hub": HUGGING_FACE, "token": SECRET})
    answers = [
        client.get(path).text for path in ("/easel/downloads", "/easel/tasks", "/easel/settings", "/easel/merge", "/")
    ]
    assert json.loads(answers[0])["tokens"] == {HUGGING_FACE: True, CIVITAI: False}
    assert not any(SECRET in answer for answer in answers)
    assert SECRET not in (site.services.outputs / ".easel" / "tasks.json").read_text(encoding="utf-8")
    told = client.post("/easel/downloads/token", json={"hub": HUGGING_FACE, "token": ""}).json()
    assert told["tokens"][HUGGING_FACE] is False


def test_a_merge_runs_as_a_task_and_its_result_is_in_the_list(client: TestClient) -> None:
    body = {"primary": "a", "secondary": "b", "multiplier": 0.5}
    name = client.post("/easel/merge/plan", json=body).json()["name"]
    assert name == "0.5(a) + 0.5(b).safetensors"
    task = finish(client, "/easel/merge", body)
    assert (task["state"], task["title"]) == ("finished", name)
    listed = [entry["name"] for entry in client.get("/easel/merge").json()["checkpoints"]]
    assert name in listed


def test_a_new_checkpoint_does_not_become_the_chosen_one(client: TestClient, site: Site) -> None:
    finish(client, "/easel/merge", {"primary": "a", "secondary": "b", "custom_name": "0 first of all"})
    assert site.services.files.checkpoints.default().name == "0 first of all.safetensors"
    assert str(site.services.settings.get("sd_model_checkpoint")).startswith("a.safetensors")


def test_a_merge_is_planned_at_its_fields(client: TestClient) -> None:
    answer = client.post("/easel/merge/plan", json={"primary": "a", "secondary": "b", "discard": "(["})
    assert [problem["field"] for problem in answer.json()["problems"]] == ["discard"]


def test_metadata_are_read_for_editing(client: TestClient) -> None:
    text = client.post("/easel/merge/metadata", json={"primary": "a", "secondary": "b"}).json()["metadata"]
    assert json.loads(text) == {"author": "b"}


def test_tasks_are_cancelled_and_dismissed(client: TestClient) -> None:
    task = finish(client, "/easel/merge", {"primary": "a", "secondary": "b", "custom_name": "again"})
    assert client.post(f"/easel/tasks/{task['id']}/cancel").status_code == 409
    assert client.post(f"/easel/tasks/{task['id']}/dismiss").json() == {"done": True}
    assert client.post(f"/easel/tasks/{task['id']}/dismiss").status_code == 404
    assert client.post(f"/easel/tasks/{task['id']}/explode").status_code == 422


def test_a_page_that_connects_hears_of_the_tasks(client: TestClient) -> None:
    task = finish(client, "/easel/merge", {"primary": "a", "secondary": "b", "custom_name": "heard"})
    with client.websocket_connect(LIVE) as socket:
        snapshot = socket.receive_json()
        assert [told["state"] for told in snapshot["tasks"] if told["id"] == task["id"]] == ["finished"]
        client.post(f"/easel/tasks/{task['id']}/dismiss")
        heard = [task["id"]]
        while task["id"] in heard:
            message = socket.receive_json()
            heard = [told["id"] for told in message["tasks"]] if message["type"] == "tasks" else heard
    assert task["id"] not in heard


def test_a_merge_that_a_stopped_server_left_goes_on_at_the_next_start(tmp_path: Path, hub: HubServer) -> None:
    state = tmp_path / "outputs" / ".easel"
    state.mkdir(parents=True)
    spec = {
        "primary": "a", "secondary": "b", "tertiary": "", "interpolation": "Weighted sum", "multiplier": 0.3,
        "save_as_half": False, "custom_name": "late", "vae": "None", "discard": "", "save_metadata": False,
        "add_recipe": False, "copy_metadata": False, "metadata": "{}", "target": "late.safetensors",
    }  # fmt: skip
    task = {
        "id": "1", "kind": "merge", "title": "late.safetensors", "spec": spec, "state": "running", "fraction": 0.4,
        "detail": "", "error": "", "result": "", "created": 1.0,
    }  # fmt: skip
    (state / "tasks.json").write_text(json.dumps({"tasks": [task]}), encoding="utf-8")
    part = tmp_path / "models" / "Stable-diffusion" / "late.safetensors.part"
    with joined_site(tmp_path, hub) as site:
        tasks = site.services.background.tasks
        wait_until(lambda: tasks.get("1").state == "finished")
    assert not part.exists()
    assert set(load_file(part.with_suffix(""))) == set(tensors_of(0))


# Admins


def test_without_credentials_everybody_is_an_admin(client: TestClient) -> None:
    assert '"admin": true' in client.get("/").text
    assert client.get("/easel/downloads").status_code == 200


@pytest.mark.parametrize(("path", "body"), CHANGES)
def test_others_are_told_that_only_admins_may_do_this(guarded: TestClient, path: str, body: Any) -> None:
    answer = guarded.post(path, json=body, headers=headers_of("anna"))
    assert answer.status_code == 403
    assert "Only an admin" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/easel/downloads", "/easel/merge"])
def test_others_do_not_even_see_the_forms_facts(guarded: TestClient, path: str) -> None:
    assert guarded.get(path, headers=headers_of("anna")).status_code == 403
    assert guarded.get(path, headers=headers_of("ben")).status_code == 200


@pytest.mark.parametrize(("user", "told"), [("anna", '"admin": false'), ("ben", '"admin": true')])
def test_the_page_knows_whether_its_user_is_an_admin(guarded: TestClient, user: str, told: str) -> None:
    assert told in guarded.get("/", headers={**headers_of(user), "accept": "text/html"}).text


def test_an_admin_may_do_it(guarded: TestClient) -> None:
    answer = guarded.post("/easel/merge/plan", json={"primary": "a", "secondary": "b"}, headers=headers_of("cleo"))
    assert answer.json() == {"name": "0.7(a) + 0.3(b).safetensors"}


def test_the_first_user_is_the_admin_when_none_is_named(tmp_path: Path, hub: HubServer) -> None:
    with (
        joined_site(tmp_path, hub, credentials=USERS) as site,
        TestClient(site.application.site, base_url=BASE) as client,
    ):
        answers = {user: client.get("/easel/merge", headers=headers_of(user)).status_code for user in dict(USERS)}
    assert answers == {"anna": 200, "ben": 403, "cleo": 403}


def test_strangers_get_nothing(guarded: TestClient) -> None:
    assert guarded.get("/easel/tasks").status_code == 401
    assert guarded.post("/easel/downloads/look", json={"link": "me/models"}).status_code == 401
