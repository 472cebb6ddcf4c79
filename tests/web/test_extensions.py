"""The routes of the Extensions tab: what they tell, what they do, and who may."""

import io
import json
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from modules.jobs.task_file import TaskState
from modules.plugins.git import Git
from modules.web.content_policy import content_policy
from modules.web.guard import Guard, HostNames
from modules.web.server import create_app
from tests.fakes import wait_until
from tests.plugins.conftest import LOCAL, Repository, repository
from tests.web.conftest import BASE
from tests.web.site import Site, open_site, site_config

HERE = ("127.0.0.1", 50000)
ELSEWHERE = ("192.0.2.7", 50000)
USERS = (("anna", "a"), ("ben", "b"))
PREFIX = "/easel/extensions"


def let_local(site: Site) -> None:
    """Let git fetch from this disk."""
    site.services.extensions.installer._git = Git(LOCAL)


def visitor(site: Site, client: tuple[str, int] = HERE, **more: Any) -> TestClient:
    return TestClient(site.application.site, base_url=BASE, client=client, **more)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with open_site(site_config(tmp_path)) as opened:
        let_local(opened)
        yield opened


@pytest.fixture
def page(site: Site) -> Iterator[TestClient]:
    with visitor(site) as opened:
        yield opened


@pytest.fixture
def source(tmp_path: Path) -> Repository:
    return repository(tmp_path / "remotes" / "thing", {"scripts/a.py": "A = 1\n"})


def done(site: Site, answer: Any) -> str:
    """Wait for the task that an answer names; return its result or error."""
    assert answer.status_code == 200, answer.text
    task_id = answer.json()["task"]
    tasks = site.services.background.tasks
    wait_until(lambda: tasks.get(task_id).state in (TaskState.FINISHED, TaskState.FAILED))
    return tasks.get(task_id).result or tasks.get(task_id).error


def listed(page: TestClient) -> dict[str, Any]:
    answer = page.get(PREFIX)
    assert answer.status_code == 200
    return {each["name"]: each for each in answer.json()["extensions"]}


def test_an_extension_is_installed_updated_rolled_back_and_removed(
    site: Site, page: TestClient, source: Repository
) -> None:
    assert done(site, page.post(f"{PREFIX}/install", json={"url": source.address})) == "It is loaded at the next start."
    thing = listed(page)["thing"]
    assert (thing["enabled"], thing["restart"], thing["branch"]) == (True, True, "main")
    first, second = thing["commit"], source.commit("better", {"scripts/a.py": "A = 2\n"})
    assert done(site, page.post(f"{PREFIX}/check")) == "1 of 1 can be updated."
    assert [commit["title"] for commit in listed(page)["thing"]["update"]["commits"]] == ["better"]
    assert second[:8] in done(site, page.post(f"{PREFIX}/update", json={"names": ["thing"]}))
    history = page.get(f"{PREFIX}/one/thing/history").json()
    assert (history["current"], len(history["commits"])) == (second, 2)
    done(site, page.post(f"{PREFIX}/one/thing/commit", json={"text": first}))
    assert listed(page)["thing"]["commit"] == first
    assert "HEAD is now at" in page.get(f"{PREFIX}/one/thing/log").json()["log"]
    entry = page.post(f"{PREFIX}/one/thing/remove").json()["entry"]
    assert listed(page) == {}
    assert page.get(PREFIX).json()["trash"][0]["entry"] == entry
    assert page.post(f"{PREFIX}/trash/put-back", json={"text": entry}).json() == {"name": "thing"}
    assert "thing" in listed(page)


def test_what_is_wrong_with_an_address_is_told_at_its_field(page: TestClient) -> None:
    answer = page.post(f"{PREFIX}/install", json={"url": "ext::sh -c id"})
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["field"] == "url"


def test_a_zip_is_installed(site: Site, page: TestClient) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        opened.writestr("zipped/scripts/a.py", "A = 1")
    done(site, page.post(f"{PREFIX}/zip?file=x.zip", content=content.getvalue()))
    assert listed(page)["zipped"]["is_git"] is False


def test_switches_are_kept_in_a1111s_option(site: Site, page: TestClient, tmp_path: Path) -> None:
    (tmp_path / "extensions" / "a").mkdir(parents=True)
    assert page.post(f"{PREFIX}/switch", json={"on": {"a": False}}).status_code == 200
    assert json.loads((tmp_path / "config.json").read_text())["disabled_extensions"] == ["a"]
    assert listed(page)["a"]["off_because"] == "It is switched off."
    page.post(f"{PREFIX}/switch", json={"on": {"a": True}, "disable_all": "all"})
    assert listed(page)["a"]["off_because"] == "All extensions are switched off."
    assert page.get("/sdapi/v1/options").json()["disabled_extensions"] == []
    assert page.post(f"{PREFIX}/switch", json={"on": {"none": True}}).status_code == 422


def test_switching_on_forgives_what_kept_it_off(site: Site, page: TestClient, tmp_path: Path) -> None:
    (tmp_path / "extensions" / "a").mkdir(parents=True)
    site.services.extensions.safety.keep_off("a", "import", "The server died while its code was imported.")
    assert listed(page)["a"]["kept_off"]
    assert not listed(page)["a"]["switched_on"]
    page.post(f"{PREFIX}/switch", json={"on": {"a": True}})
    assert listed(page)["a"]["enabled"]


def test_the_index_comes_from_a_file_and_knows_what_is_installed(
    site: Site, page: TestClient, source: Repository
) -> None:
    done(site, page.post(f"{PREFIX}/install", json={"url": source.address}))
    entries = [{"name": "Thing", "url": source.address, "tags": ["tab"]}, {"name": "Other", "url": "https://host/a/b"}]
    index = json.dumps({"tags": {"tab": "adds a tab"}, "extensions": entries})
    answer = page.post(f"{PREFIX}/index/file", content=index).json()
    assert [(each["name"], each["installed"]) for each in answer["extensions"]] == [("Thing", True), ("Other", False)]
    assert page.get(f"{PREFIX}/index").json() == answer
    assert page.post(f"{PREFIX}/index", json={"text": "file:///etc/passwd"}).status_code == 422


def test_backups_are_made_restored_and_deleted(site: Site, page: TestClient, tmp_path: Path) -> None:
    (tmp_path / "extensions" / "a").mkdir(parents=True)
    file = page.post(f"{PREFIX}/backups", json={"text": "Mine"}).json()["file"]
    page.post(f"{PREFIX}/switch", json={"on": {"a": False}})
    done(site, page.post(f"{PREFIX}/backups/restore", json={"text": file}))
    assert listed(page)["a"]["switched_on"]
    assert page.get(PREFIX).json()["backups"][0]["name"] == "Mine"
    page.post(f"{PREFIX}/backups/delete", json={"text": file})
    assert page.get(PREFIX).json()["backups"] == []


def test_a_server_that_nobody_can_start_anew_says_so(site: Site, page: TestClient) -> None:
    assert page.post(f"{PREFIX}/restart").status_code == 409
    stopped: list[bool] = []
    site.services.restarter.fulfil_by(lambda: stopped.append(True))
    assert page.post(f"{PREFIX}/restart").status_code == 200
    assert stopped == [True]
    assert site.services.restarter.asked


@pytest.mark.parametrize(
    ("changes", "client", "headers", "allowed"),
    [
        ({}, HERE, {}, True),
        ({}, ("::1", 5), {}, True),
        ({}, ("::ffff:127.0.0.1", 5), {}, True),
        ({}, ELSEWHERE, {}, False),
        ({}, HERE, {"x-forwarded-for": "192.0.2.7"}, False),
        ({"share": True}, HERE, {}, False),
        ({"extension_access": True}, ELSEWHERE, {}, True),
        ({"extension_access": True, "share": True}, HERE, {"x-forwarded-for": "192.0.2.7"}, True),
    ],
)
def test_installing_is_for_this_machine_or_for_whoever_the_owner_lets(
    site: Site, changes: dict[str, Any], client: tuple[str, int], headers: dict[str, str], allowed: bool
) -> None:
    services = replace(site.services, config=replace(site.services.config, **changes))
    with TestClient(create_app(services), base_url=BASE, client=client, headers=headers) as page:
        assert bool(page.get(PREFIX).json()["why_not"]) is not allowed
        answers = [
            page.post(f"{PREFIX}/install", json={"url": "nonsense"}),
            page.post(f"{PREFIX}/zip?name=..", content=b""),
            page.post(f"{PREFIX}/index", json={"text": "nonsense"}),
            page.post(f"{PREFIX}/update", json={"names": ["none"]}),
            page.post(f"{PREFIX}/backups/restore", json={"text": "none.json"}),
            page.post(f"{PREFIX}/one/none/set-up"),
            page.post(f"{PREFIX}/one/none/commit", json={"text": "a" * 40}),
        ]
    assert {answer.status_code for answer in answers} == {422 if allowed else 403}


def test_only_admins_get_anything(tmp_path: Path) -> None:
    with open_site(site_config(tmp_path, USERS)) as site, visitor(site) as page:
        for user, password, status in (("ben", "b", 403), ("anna", "a", 200)):
            assert page.get(PREFIX, auth=(user, password)).status_code == status
            assert page.get(f"{PREFIX}/index", auth=(user, password)).status_code == status
            assert page.post(f"{PREFIX}/trash/empty", auth=(user, password)).status_code == status
            sites = {"names": ["https://example.org"]}
            assert page.post(f"{PREFIX}/sites", json=sites, auth=(user, password)).status_code == status
            options = {"extension_sites": []}
            assert page.post("/easel/settings", json=options, auth=(user, password)).status_code == status
            options = {"disable_all_extensions": "all"}
            assert page.post("/easel/settings", json=options, auth=(user, password)).status_code == status
            site.services.settings.update({"disable_all_extensions": "none"})
            assert page.post("/sdapi/v1/options", json=options, auth=(user, password)).status_code == status
        same = {"disable_all_extensions": "all", "samples_save": True}
        assert page.post("/sdapi/v1/options", json=same, auth=("ben", "b")).status_code == 200


def test_safe_mode_is_told_and_loads_nothing(tmp_path: Path) -> None:
    place = tmp_path / "extensions" / "a"
    place.mkdir(parents=True)
    (place / "easel_plugin.py").write_text("raise SystemExit")
    with open_site(replace(site_config(tmp_path), safe_mode=True)) as site, visitor(site) as page:
        assert page.get(PREFIX).json()["safe_mode"]
        assert listed(page)["a"]["errors"] == []
        assert "safe mode" in listed(page)["a"]["off_because"]


def test_a_broken_extension_is_told_with_its_trace_and_the_server_serves(tmp_path: Path) -> None:
    place = tmp_path / "extensions" / "a"
    place.mkdir(parents=True)
    (place / "easel_plugin.py").write_text("raise RuntimeError('broken')")
    with open_site(site_config(tmp_path)) as site, visitor(site) as page:
        (error,) = listed(page)["a"]["errors"]
        assert (error["part"], error["reason"]) == ("import", "RuntimeError: broken")
        assert "easel_plugin.py" in error["trace"]
        assert site.finish().images


BUILD = "import sys; from pathlib import Path; from tests.web.site import *; build(site_config(Path(sys.argv[1])))"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_extension_that_kills_the_server_is_off_at_the_next_start(tmp_path: Path) -> None:
    place = tmp_path / "extensions" / "killer"
    place.mkdir(parents=True)
    (place / "easel_plugin.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    root = Path(__file__).parents[2]
    code = subprocess.run([sys.executable, "-c", BUILD, str(tmp_path)], cwd=root, check=False).returncode
    assert code == -signal.SIGKILL
    with open_site(site_config(tmp_path)) as site, visitor(site) as page:
        assert listed(page)["killer"]["kept_off"]
        assert "The server died while its code was imported" in listed(page)["killer"]["off_because"]


def test_the_order_of_plugins_is_the_users(site: Site, page: TestClient) -> None:
    before = [place["id"] for place in page.get(PREFIX).json()["order"]]
    assert len(before) > 2
    assert page.post(f"{PREFIX}/order", json={"names": before[::-1]}).status_code == 200
    assert [place["id"] for place in page.get(PREFIX).json()["order"]] == before[::-1]
    assert site.services.settings.get("call_order") == tuple(before[::-1])
    assert page.post(f"{PREFIX}/order", json={"names": ["nobody"]}).status_code == 422


def test_extensions_for_a1111_have_their_places_too(site: Site, page: TestClient, tmp_path: Path) -> None:
    for name in ("one", "two"):
        scripts = site.services.extensions.installed.folder / name / "scripts"
        scripts.mkdir(parents=True)
        (scripts / "a.py").write_text("A = 1\n")
    found = [place for place in page.get(PREFIX).json()["order"] if place["kind"] == "extension"]
    assert [(place["id"], place["title"]) for place in found] == [("one", "one"), ("two", "two")]
    page.post(f"{PREFIX}/order", json={"names": ["two", "one"]})
    assert [place["id"] for place in page.get(PREFIX).json()["order"]][-2:] == ["two", "one"]


def test_websites_for_extensions_are_the_admins_and_act_where_there_are_extensions(
    site: Site, page: TestClient, tmp_path: Path
) -> None:
    assert page.get(PREFIX).json()["sites"] == []
    assert page.post(f"{PREFIX}/sites", json={"names": ["https://api.github.com/"]}).status_code == 200
    assert page.get(PREFIX).json()["sites"] == ["https://api.github.com"]
    # Without extensions that are loaded nobody profits.
    assert "github" not in page.get("/").headers["content-security-policy"]
    answer = page.post(f"{PREFIX}/sites", json={"names": ["github.com/path"]})
    assert answer.status_code == 422
    assert "github.com/path" in answer.text
    assert "*.example.org" in answer.text
    assert site.services.settings.get("extension_sites") == ("https://api.github.com",)


def test_a_guard_lets_extensions_load_from_the_websites_of_now() -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("x")(scope, receive, send)

    sites: list[str] = []
    client = TestClient(Guard(answer, HostNames("127.0.0.1"), foreign=True, sites=lambda: sites), base_url=BASE)
    before = client.get("/").headers["content-security-policy"]
    sites.append("https://api.github.com")
    after = client.get("/").headers["content-security-policy"]
    assert (before, after) == (content_policy(), content_policy(sites))
    assert before != after
