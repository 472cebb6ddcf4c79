"""A1111's options, lists, progress and png-info."""

import base64

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.core.request import GenerationRequest
from modules.imaging.metadata import embed
from modules.imaging.resize import LATENT_UPSCALERS
from modules.sampling.registry import sampler_labels, schedule_labels
from modules.settings.schema import OPTIONS
from tests.fakes import HoldAt, wait_until
from tests.web.api import refusal
from tests.web.site import BROKEN_CHECKPOINT, Site

OPTIONS_PATH = "/sdapi/v1/options"


def test_options_go_around(client: TestClient) -> None:
    told = client.get(OPTIONS_PATH).json()
    assert set(told) == {*OPTIONS, "sd_checkpoint_hash"}
    assert told["sd_model_checkpoint"].startswith("starter"), "the one in use, though the option is empty"
    assert client.post(OPTIONS_PATH, json={"send_seed": False}).json() is None
    assert client.get(OPTIONS_PATH).json()["send_seed"] is False
    client.post(OPTIONS_PATH, json={"send_seed": True})
    again = client.post(OPTIONS_PATH, json=told)
    assert again.status_code == 200, "clients send back what they got"
    assert again.headers["x-easel-ignored"] == "sd_checkpoint_hash"


@pytest.mark.parametrize(
    ("key", "given", "kept"),
    [
        ("CLIP_stop_at_last_layers", 2.0, 2),
        ("CLIP_stop_at_last_layers", "3", 3),
        ("eta_ancestral", 1, 1.0),
        ("tiling", 1, True),
        ("tiling", "False", False),
        ("randn_source", "CPU", "CPU"),
    ],
)
def test_a_value_of_a_neighbouring_type_is_taken(
    client: TestClient, site: Site, key: str, given: object, kept: object
) -> None:
    assert client.post(OPTIONS_PATH, json={key: given}).status_code == 200
    assert site.services.settings.get(key) == kept
    site.services.settings.update({key: OPTIONS[key].default})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("CLIP_stop_at_last_layers", 1.5), ("CLIP_stop_at_last_layers", "nan"), ("CLIP_stop_at_last_layers", None),
        ("CLIP_stop_at_last_layers", True), ("CLIP_stop_at_last_layers", []), ("eta_ancestral", "inf"),
        ("tiling", 2), ("tiling", "yes"), ("randn_source", "TPU"), ("sd_vae", "gone.pt"), ("sd_vae", 3),
        ("sd_model_checkpoint", "gone"), ("sd_model_checkpoint", BROKEN_CHECKPOINT), ("outdir_txt2img_samples", "../x"),
    ],
)  # fmt: skip
def test_an_impossible_value_changes_nothing(client: TestClient, site: Site, key: str, value: object) -> None:
    before = site.services.settings.all()
    text = refusal(client.post(OPTIONS_PATH, json={"send_size": False, key: value}), 422)
    assert OPTIONS[key].label in text or key in text
    assert site.services.settings.all() == before


def test_unknown_options_are_refused_with_what_is_near(client: TestClient) -> None:
    text = refusal(client.post(OPTIONS_PATH, json={"sd_model_chekpoint": "x"}), 422)
    assert "sd_model_chekpoint" in text
    assert "sd_model_checkpoint" in text


def test_options_of_a1111_without_a_counterpart_are_named(client: TestClient) -> None:
    answer = client.post(OPTIONS_PATH, json={"samples_format": "jpg", "n_rows": 2, "send_seed": True})
    assert answer.headers["x-easel-ignored"] == "samples_format, n_rows"


def test_choosing_a_checkpoint_loads_it(client: TestClient, site: Site) -> None:
    assert client.post(OPTIONS_PATH, json={"sd_model_checkpoint": "STARTER"}).status_code == 200
    title = client.get(OPTIONS_PATH).json()["sd_model_checkpoint"]
    assert site.services.settings.get("sd_model_checkpoint") == title
    wait_until(lambda: title in site.engine.preloaded)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"7"])
def test_options_must_be_an_object(client: TestClient, body: bytes) -> None:
    refusal(client.post(OPTIONS_PATH, content=body), 422)


def test_samplers_and_schedules_are_listed(client: TestClient) -> None:
    samplers = {entry["name"]: entry for entry in client.get("/sdapi/v1/samplers").json()}
    assert list(samplers) == sampler_labels()
    assert samplers["Euler a"] == {
        "name": "Euler a", "aliases": ["k_euler_a", "k_euler_ancestral"], "options": {"uses_ensd": "True"},
    }  # fmt: skip
    assert samplers["DPM++ SDE"]["options"]["scheduler"] == "karras"
    schedules = client.get("/sdapi/v1/schedulers").json()
    assert [entry["label"] for entry in schedules] == schedule_labels()
    assert {"name": "karras", "label": "Karras", "aliases": None, "default_rho": 7.0, "need_inner_model": False} in (
        schedules
    )


def test_the_other_lists_have_their_shapes(client: TestClient) -> None:
    models = client.get("/sdapi/v1/sd-models").json()
    assert set(models[0]) == {"title", "model_name", "hash", "sha256", "filename", "config"}
    assert all(BROKEN_CHECKPOINT not in entry["filename"] for entry in models)
    assert client.get("/sdapi/v1/sd-vae").json() == []
    assert client.get("/sdapi/v1/loras").json() == []
    assert client.get("/sdapi/v1/embeddings").json() == {"loaded": {}, "skipped": {}}
    assert [entry["name"] for entry in client.get("/sdapi/v1/latent-upscale-modes").json()] == list(LATENT_UPSCALERS)
    upscalers = client.get("/sdapi/v1/upscalers").json()
    assert upscalers[0] == {"name": "None", "model_name": None, "model_path": None, "model_url": None, "scale": 4.0}
    client.post("/easel/styles", json={"name": "ink", "prompt": "ink"})
    assert {"name": "ink", "prompt": "ink", "negative_prompt": ""} in client.get("/sdapi/v1/prompt-styles").json()


@pytest.mark.parametrize("what", ["checkpoints", "vae", "loras", "embeddings"])
def test_the_folders_are_looked_at_again(client: TestClient, what: str) -> None:
    answer = client.post(f"/sdapi/v1/refresh-{what}")
    assert (answer.status_code, answer.json()) == (200, None)


def test_a_task_is_followed_by_its_name(client: TestClient, site: Site) -> None:
    gate = HoldAt(step=2)
    site.engine.gate = gate
    job = site.jobs.submit(GenerationRequest(prompt="x", steps=3, width=64, height=64))
    gate.wait_reached()
    waiting = site.jobs.submit(GenerationRequest(prompt="x", steps=3, width=64, height=64))
    running = client.post("/internal/progress", json={"id_task": job.id}).json()
    assert (running["active"], running["queued"], running["completed"]) == (True, False, False)
    assert 0 < running["progress"] < 1
    queued = client.post("/internal/progress", json={"id_task": waiting.id}).json()
    assert (queued["queued"], queued["textinfo"]) == (True, "In queue: 1/1")
    gate.release()
    site.engine.gate = None
    wait_until(lambda: site.jobs.get(waiting.id).finished)
    assert client.post("/internal/progress", json={"id_task": job.id}).json()["completed"] is True
    named = {"force_task_id": "task(1)", "prompt": "x", "steps": 1, "width": 64, "height": 64}
    client.post("/sdapi/v1/txt2img", json=named).raise_for_status()
    assert client.post("/internal/progress", json={"id_task": "task(1)"}).json()["completed"] is True
    unknown = client.post("/internal/progress", json={"id_task": "task(2)"}).json()
    assert (unknown["active"], unknown["queued"], unknown["completed"]) == (False, False, False)
    refusal(client.post("/internal/progress", json={"id_task": 7}), 422)


def test_nothing_runs_and_progress_says_so(client: TestClient, site: Site) -> None:
    wait_until(lambda: site.jobs.running() is None)
    told = client.get("/sdapi/v1/progress").json()
    assert (told["progress"], told["eta_relative"], told["current_image"]) == (0.0, 0.0, None)
    assert set(told["state"]) == {
        "skipped", "interrupted", "stopping_generation", "job", "job_count", "job_timestamp", "job_no",
        "sampling_step", "sampling_steps",
    }  # fmt: skip
    refusal(client.get("/sdapi/v1/progress?skip_current_image=perhaps"), 422)


def test_png_info_tells_the_parameters(client: TestClient) -> None:
    text = "a cat\nNegative prompt: dogs\nSteps: 4, Sampler: Euler, CFG scale: 7.0, Seed: 3, Size: 64x128"
    content = base64.b64encode(embed(Image.new("RGB", (8, 8)), text, "png")).decode()
    for image in (content, f"data:image/png;base64,{content}"):
        told = client.post("/sdapi/v1/png-info", json={"image": image}).json()
        assert told["info"] == text
        assert told["items"] == {}
        assert (told["parameters"]["Prompt"], told["parameters"]["Negative prompt"]) == ("a cat", "dogs")
        assert (told["parameters"]["Size-1"], told["parameters"]["Size-2"]) == ("64", "128")
        assert told["parameters"]["Clip skip"] == "1"


@pytest.mark.parametrize("image", ["", "%%%", "QUJD", None, 7, "http://127.0.0.1/x.png", "data:image/png;base64,"])
def test_png_info_refuses_what_is_no_picture(client: TestClient, image: object) -> None:
    refusal(client.post("/sdapi/v1/png-info", json={"image": image}), 422)
