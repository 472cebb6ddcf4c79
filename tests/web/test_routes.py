"""The routes of queue, settings and checkpoints, and that of a second pass over a finished picture."""

import pytest
from httpx import Response
from starlette.testclient import TestClient

from modules.core.errors import PluginFailed
from modules.core.parameter import LARGEST_SEED
from modules.core.request import GenerationRequest
from modules.jobs.model import Purpose
from modules.settings.schema import Option
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


def test_an_option_that_names_a_file_lists_the_names_and_refuses_others(client: TestClient, site: Site) -> None:
    options = {option["key"]: option for option in client.get("/easel/settings").json()["options"]}
    assert options["sd_vae"]["choices"] == ["Automatic", "None"]
    answer = client.post("/easel/settings", json={"sd_vae": "gone.safetensors", "send_seed": False})
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["field"] == "sd_vae"
    assert "Automatic" in answer.json()["problems"][0]["allowed"]
    assert site.services.settings.get("send_seed") is True, "all of them or none"
    assert client.post("/easel/settings", json={"sd_vae": "None"}).status_code == 200
    client.post("/easel/settings", json={"sd_vae": "Automatic"})


def test_an_option_s_choices_are_looked_for_anew_when_asked(client: TestClient, site: Site) -> None:
    found: list[str] = []

    def renewed(refresh: bool) -> Option:
        if refresh:
            found.append(f"file {len(found)}")
        return Option("sample_file", "File", "text", "", "Sample", "", choices=tuple(found), refreshes=True)

    site.services.settings.declare([renewed(False)], {"sample_file": renewed})
    answer = client.post("/easel/settings/refresh", json={"key": "sample_file"})
    assert answer.json()["choices"] == ["file 0"]
    options = {option["key"]: option for option in client.get("/easel/settings").json()["options"]}
    assert options["sample_file"]["choices"] == ["file 0"], "looking at the settings looks for no new ones"
    refused = client.post("/easel/settings/refresh", json={"key": "randn_source"})
    assert refused.status_code == 422
    assert "sample_file" in refused.json()["problems"][0]["allowed"]


def test_an_extension_that_cannot_refresh_is_named(client: TestClient, site: Site) -> None:
    def renewed(refresh: bool) -> Option:
        if refresh:
            raise PluginFailed("sample could not refresh File. OSError: gone")
        return Option("sample_lost", "File", "text", "", "Sample", "", refreshes=True)

    site.services.settings.declare([renewed(False)], {"sample_lost": renewed})
    answer = client.post("/easel/settings/refresh", json={"key": "sample_lost"})
    assert answer.status_code == 422
    assert "sample could not refresh" in answer.json()["detail"]


def test_options_without_limits_are_plain_json(client: TestClient) -> None:
    assert "Infinity" not in client.get("/easel/settings").text


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


def hires(client: TestClient, job: str, index: int = 0, **values: object) -> Response:
    return client.post("/easel/hires", json={"job": job, "index": index, "values": values})


def test_a_finished_picture_gets_a_second_pass(client: TestClient, site: Site) -> None:
    job = site.finish(seed=41, batch_count=2, prompt="a red cat", negative_prompt="dogs")
    values = {"prompt": "another", "seed": "5", "width": 512, "height": 512, "batch_count": 4, "styles": ["none"],
              "hr_scale": 1.5, "hr_upscaler": "Lanczos", "denoising_strength": 0.3, "steps": 2}  # fmt: skip
    answer = hires(client, job.id, 1, **values).json()
    wait_until(lambda: site.jobs.get(answer["job"]).finished)
    request = site.jobs.get(answer["job"]).request
    assert (request.prompt, request.negative_prompt, request.seed) == ("a red cat", "dogs", 42)
    assert (request.width, request.height, request.image_count()) == (64, 64, 1)
    assert (request.enable_hr, request.hr_scale, request.hr_upscaler, request.steps) == (True, 1.5, "Lanczos", 2)
    assert site.services.inputs.content(request.firstpass_image) == job.images[1].path.read_bytes()
    assert site.jobs.get(answer["job"]).purpose is Purpose.KEEP


def test_a_second_pass_needs_a_picture_and_possible_values(client: TestClient, site: Site) -> None:
    job = site.finish()
    assert hires(client, "none").status_code == 404
    assert hires(client, job.id, 7).status_code == 404
    assert hires(client, job.id, -1).status_code == 422
    refused = hires(client, job.id, hr_scale=99)
    assert refused.status_code == 422
    assert refused.json()["problems"][0]["field"] == "hr_scale"
    job.images[0].path.unlink()
    assert hires(client, job.id).status_code == 404
