"""The routes of queue, settings, checkpoints and token counts."""

import pytest
from starlette.testclient import TestClient

from modules.core.parameter import LARGEST_SEED
from modules.core.request import GenerationRequest
from tests.fakes import HoldAt, wait_until
from tests.web.site import BROKEN_CHECKPOINT, Site


def submit(site: Site, prompt: str = "a dog") -> str:
    return site.jobs.submit(GenerationRequest(prompt=prompt, width=64, height=64, steps=2)).id


def ids(client: TestClient, part: str) -> list[str]:
    return [job["id"] for job in client.get("/easel/jobs").json()[part]]


def test_the_queue_can_be_paused_ordered_and_emptied(client: TestClient, site: Site) -> None:
    assert client.post("/easel/queue/pause").status_code == 200
    first, second, third = (submit(site, prompt) for prompt in "abc")
    assert ids(client, "waiting") == [first, second, third]
    client.post(f"/easel/jobs/{third}/move", json={"before": first})
    assert ids(client, "waiting") == [third, first, second]
    client.post(f"/easel/jobs/{third}/move", json={"before": None})
    assert ids(client, "waiting") == [first, second, third]
    client.post(f"/easel/jobs/{second}/cancel")
    assert ids(client, "waiting") == [first, third]
    assert client.get("/easel/jobs").json()["paused"] is True
    client.post("/easel/queue/resume")
    wait_until(lambda: not site.jobs.waiting() and site.jobs.running() is None)
    assert ids(client, "ended")[:2] == [third, first]
    assert client.post(f"/easel/jobs/{second}/remove").status_code == 200
    assert second not in ids(client, "ended")


def test_a_finished_job_runs_again(client: TestClient, site: Site) -> None:
    job = site.finish(seed=7)
    again = client.post(f"/easel/jobs/{job.id}/retry").json()
    assert again["id"] != job.id
    assert again["request"]["seed"] == "7"
    wait_until(lambda: site.jobs.running() is None and not site.jobs.waiting())


def test_large_seeds_travel_as_text(client: TestClient, site: Site) -> None:
    site.finish(seed=LARGEST_SEED)
    newest = client.get("/easel/jobs").json()["ended"][0]
    assert newest["request"]["seed"] == str(LARGEST_SEED)
    assert newest["images"][0]["seed"] == str(LARGEST_SEED)


def test_interrupt_and_skip_hit_only_the_job_that_was_meant(client: TestClient, site: Site) -> None:
    gate = HoldAt()
    site.engine.gate = gate
    job = submit(site)
    gate.wait_reached()
    assert client.post("/easel/interrupt?job=another").json() == {"done": False}
    assert client.post(f"/easel/interrupt?job={job}").json() == {"done": True}
    wait_until(lambda: site.jobs.running() is None)
    assert client.get("/easel/jobs").json()["ended"][0]["state"] == "interrupted"
    site.engine.gate = None


@pytest.mark.parametrize("action", ["cancel", "retry", "remove"])
def test_an_unknown_job_is_a_clear_404(client: TestClient, action: str) -> None:
    answer = client.post(f"/easel/jobs/none/{action}")
    assert answer.status_code == 404
    assert answer.json()["detail"]


def test_an_action_that_makes_no_sense_is_a_clear_409(client: TestClient, site: Site) -> None:
    job = site.finish()
    answer = client.post(f"/easel/jobs/{job.id}/cancel")
    assert answer.status_code == 409
    assert answer.json()["detail"]


def test_settings_are_listed_and_applied_at_once(client: TestClient, site: Site) -> None:
    options = {option["key"]: option for option in client.get("/easel/settings").json()["options"]}
    assert "sd_model_checkpoint" not in options, "it has its own control on top of the page"
    assert options["randn_source"]["choices"] == ["GPU", "CPU", "NV"]
    assert client.post("/easel/settings", json={"randn_source": "CPU"}).json() == {"changed": {"randn_source": "CPU"}}
    assert site.services.settings.get("randn_source") == "CPU"


@pytest.mark.parametrize("values", [{"CLIP_stop_at_last_layers": 99}, {"randn_source": "no"}, {"unknown_key": 1}])
def test_a_wrong_setting_names_field_value_and_what_is_allowed(client: TestClient, values: dict[str, object]) -> None:
    answer = client.post("/easel/settings", json=values)
    assert answer.status_code == 422
    problem = answer.json()["problems"][0]
    assert problem["field"] == next(iter(values))
    assert problem["allowed"]


def test_options_without_limits_are_plain_json(client: TestClient) -> None:
    assert "Infinity" not in client.get("/easel/settings").text


def test_tokens_are_counted(client: TestClient, site: Site) -> None:
    wait_until(lambda: site.services.jobs.count_tokens("a") is not None)
    assert client.post("/easel/tokens", json={"texts": ["a b c", ""]}).json() == {"counts": [[3, 75], [0, 75]]}
    assert client.post("/easel/tokens", json={"texts": ["x"] * 99}).status_code == 422


def test_a_checkpoint_is_chosen_and_loaded_ahead(client: TestClient, site: Site) -> None:
    state = client.post("/easel/checkpoint", json={"checkpoint": "starter"}).json()
    assert state["problem"] == ""
    assert state["native_size"] == 128
    assert site.services.settings.get("sd_model_checkpoint") == state["title"]
    wait_until(lambda: state["title"] in site.engine.preloaded)


def test_an_unusable_checkpoint_says_why_and_changes_nothing(client: TestClient, site: Site) -> None:
    before = site.services.settings.get("sd_model_checkpoint")
    state = client.post("/easel/checkpoint", json={"checkpoint": BROKEN_CHECKPOINT}).json()
    assert BROKEN_CHECKPOINT in state["problem"]
    assert [entry["title"] for entry in state["unusable"]] == [BROKEN_CHECKPOINT]
    assert state["unusable"][0]["reason"]
    assert site.services.settings.get("sd_model_checkpoint") == before
