"""A1111's txt2img: its fields, its answer, its errors, and what is left behind: nothing."""

import asyncio
import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from httpx import Response
from PIL import Image
from starlette.testclient import TestClient

from modules.core.errors import OutOfMemory
from modules.core.parameter import LARGEST_SEED
from modules.core.request import GenerationRequest
from modules.imaging.metadata import read_infotext
from modules.jobs import board
from modules.jobs.model import Purpose
from modules.web.server import create_app
from tests.fakes import HoldAt, run_async, wait_until
from tests.web.api import SMALL, ask, make, refusal
from tests.web.site import Site

INFO_KEYS = {
    "prompt", "all_prompts", "negative_prompt", "all_negative_prompts", "seed", "all_seeds", "subseed",
    "all_subseeds", "subseed_strength", "width", "height", "sampler_name", "cfg_scale", "steps", "batch_size",
    "restore_faces", "face_restoration_model", "sd_model_name", "sd_model_hash", "sd_vae_name", "sd_vae_hash",
    "seed_resize_from_w", "seed_resize_from_h", "denoising_strength", "extra_generation_params",
    "index_of_first_image", "infotexts", "styles", "job_timestamp", "clip_skip", "is_using_inpainting_conditioning",
    "version",
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_stays(site: Site) -> Iterator[None]:
    """No job for handing over, nor its picture, outlives its answer."""
    yield
    site.engine.gate = None
    wait_until(lambda: site.jobs.running() is None and not site.jobs.waiting())
    wait_until(lambda: all(job.purpose is not Purpose.HANDOVER for job in site.jobs.ended(200)))
    assert not list((site.services.outputs / "unsaved").rglob("*.png"))


@contextmanager
def asking(client: TestClient, **fields: object) -> Iterator[list[Response]]:
    """Ask for a picture in a thread of its own; the answer is there when the block is left."""
    answers: list[Response] = []
    thread = threading.Thread(target=lambda: answers.append(ask(client, **fields)))
    thread.start()
    try:
        yield answers
    finally:
        thread.join()


def last_request(site: Site) -> GenerationRequest:
    return site.engine.runs[-1][0]


def test_pictures_come_with_their_infotexts(client: TestClient) -> None:
    told = make(client, n_iter=2, batch_size=2, seed=LARGEST_SEED - 4)
    assert len(told["pictures"]) == 4
    for content, infotext in zip(told["pictures"], told["info"]["infotexts"], strict=True):
        assert read_infotext(content).text == infotext
        assert Image.open(io.BytesIO(content)).size == (64, 64)
    assert told["info"]["all_seeds"] == [LARGEST_SEED - 4 + index for index in range(4)]
    assert len(told["info"]["all_subseeds"]) == len(told["info"]["all_prompts"]) == 4
    assert set(told["info"]) == INFO_KEYS


def test_the_answer_tells_every_field_with_a1111s_defaults(client: TestClient) -> None:
    told = make(client, cfg_scale=3)["parameters"]
    assert (told["prompt"], told["cfg_scale"], told["steps"]) == ("a cat", 3, 2)
    assert (told["n_iter"], told["sampler_index"], told["hr_scale"]) == (1, "Euler", 2.0)
    assert told["seed_resize_from_w"] == told["seed_resize_from_h"] == -1
    assert told["scheduler"] is told["tiling"] is told["hr_upscaler"] is told["styles"] is None
    assert told["override_settings_restore_afterwards"] is True
    assert told["script_args"] == []


def test_what_is_left_out_is_the_apis_default_and_not_the_pages(client: TestClient, site: Site) -> None:
    client.post("/sdapi/v1/txt2img", json={"width": 64, "height": 64}).raise_for_status()
    request = last_request(site)
    assert (request.steps, request.sampler, request.denoising_strength) == (50, "Euler", 0.75)
    assert request.seed >= 0


def test_options_hold_unless_overridden(client: TestClient, site: Site) -> None:
    site.services.settings.update({"CLIP_stop_at_last_layers": 3})
    make(client)
    assert last_request(site).clip_skip == 3
    overrides = {"CLIP_stop_at_last_layers": 2.0, "eta_ancestral": 1, "samples_format": "png", "save_to_dirs": False}
    answer = ask(client, override_settings=overrides)
    assert answer.headers["x-easel-ignored"] == "samples_format, save_to_dirs"
    assert site.services.settings.get("save_to_dirs") is True
    assert (last_request(site).clip_skip, last_request(site).eta) == (2, 1.0)
    assert site.services.settings.get("CLIP_stop_at_last_layers") == 3
    make(client, override_settings={"CLIP_stop_at_last_layers": 1}, override_settings_restore_afterwards=False)
    assert site.services.settings.get("CLIP_stop_at_last_layers") == 1


def test_saved_pictures_stay_and_others_go(client: TestClient, site: Site) -> None:
    before = len(site.jobs.ended(200))
    make(client, save_images=True, prompt="kept")
    kept = site.jobs.ended(200)[0]
    assert len(site.jobs.ended(200)) == before + 1
    assert kept.purpose is Purpose.KEEP
    assert kept.images[0].path.is_file()
    assert make(client, send_images=False)["images"] == []


@pytest.mark.parametrize("name", ["k_euler_a", "euler A", "DPM++ 2M Karras"])
def test_samplers_go_by_label_alias_and_old_name(client: TestClient, name: str) -> None:
    assert len(make(client, sampler_name=name)["pictures"]) == 1


def test_the_older_sampler_field_counts_without_the_newer(client: TestClient, site: Site) -> None:
    make(client, sampler_name=None, sampler_index="Heun")
    assert last_request(site).sampler == "Heun"


def test_an_unknown_sampler_is_400_with_the_list(client: TestClient) -> None:
    text = refusal(ask(client, sampler_name="Eulr"), 400)
    assert "Eulr" in text
    assert "DPM++ 2M SDE" in text


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"steps": 0}, "Sampling steps"),
        ({"steps": 10**30}, "Sampling steps"),
        ({"steps": "many"}, "Sampling steps"),
        ({"steps": [20]}, "Sampling steps"),
        ({"width": 100}, "Width"),
        ({"seed": 2**70}, "Seed"),
        ({"cfg_scale": 1e400}, "CFG Scale"),
        ({"prompt": {"a": 1}}, "Prompt"),
        ({"prompt": "\ud800"}, "Prompt"),
        ({"batch_size": True}, "Batch size"),
        ({"scheduler": "none such"}, "Schedule type"),
        ({"enable_hr": True, "hr_upscaler": "none such"}, "Upscaler"),
        ({"no_such_field": 1}, "no_such_field"),
        ({"styles": "oil"}, "styles"),
        ({"styles": [3]}, "styles"),
        ({"override_settings": []}, "override_settings"),
        ({"override_settings": {"CLIP_stop_at_last_layers": 99}}, "Clip skip"),
        ({"override_settings": {"CLIP_stop_at_last_layer": 2}}, "CLIP_stop_at_last_layers"),
        ({"override_settings": {"sd_vae": "gone.pt"}}, "gone.pt"),
        ({"override_settings": {"sd_model_checkpoint": "none such"}}, "none such"),
        ({"restore_faces": True}, "restore_faces"),
        ({"firstphase_width": 64}, "hr_resize_x"),
        ({"script_name": "x/y/z/w plot"}, "x/y/z/w plot"),
        ({"alwayson_scripts": {"ControlNet": {"args": []}}}, "ControlNet"),
        ({"alwayson_scripts": ["ControlNet"]}, "alwayson_scripts"),
        ({"save_images": "yes"}, "save_images"),
        ({"firstpass_image": "%%%"}, "firstpass_image"),
        ({"firstpass_image": "https://example.com/a.png"}, "address on the network"),
        ({"firstpass_image": base64.b64encode(b"no picture").decode()}, "firstpass_image"),
        ({"enable_hr": True, "hr_scale": 8, "width": 4096}, "Upscale by"),
    ],
)
def test_a_wrong_field_is_named(client: TestClient, fields: dict[str, Any], named: str) -> None:
    body = json.dumps(SMALL | fields)
    assert named in refusal(client.post("/sdapi/v1/txt2img", content=body), 422)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"steps": 1' + b"0" * 9999])
def test_a_body_that_is_no_json_object_is_refused(client: TestClient, body: bytes) -> None:
    assert "JSON" in refusal(client.post("/sdapi/v1/txt2img", content=body), 422)


def test_an_infotext_fills_what_the_body_leaves_open(client: TestClient, site: Site) -> None:
    site.services.settings.update({"eta_noise_seed_delta": 31337})
    infotext = "a dog\nSteps: 3, Sampler: Heun, CFG scale: 4, Seed: 9, Size: 128x64, Clip skip: 2, RNG: CPU"
    body = {"infotext": infotext, "steps": 2, "override_settings": {"randn_source": "NV"}}
    client.post("/sdapi/v1/txt2img", json=body).raise_for_status()
    request = last_request(site)
    assert (request.prompt, request.sampler, request.seed, request.width) == ("a dog", "Heun", 9, 128)
    assert (request.steps, request.noise_source, request.clip_skip) == (2, "NV", 2)
    assert request.ensd == 0, "what an infotext does not name had its default"
    client.post("/sdapi/v1/txt2img", json={**body, "sampler_index": "LMS"}).raise_for_status()
    assert last_request(site).sampler == "LMS"
    site.services.settings.update({"eta_noise_seed_delta": 0})


def test_styles_go_into_both_passes_prompts(client: TestClient, site: Site) -> None:
    client.post("/easel/styles", json={"name": "oil", "prompt": "oil", "negative_prompt": "photo"})
    told = make(client, styles=["oil"], hr_prompt="closer")
    request = last_request(site)
    assert (request.prompt, request.negative_prompt) == ("a cat, oil", "photo")
    assert (request.hr_prompt, request.hr_negative_prompt) == ("closer, oil", "")
    assert told["info"]["styles"] == ["oil"]
    assert told["info"]["all_prompts"] == ["a cat, oil"]


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_a_finished_picture_takes_the_first_passs_place(client: TestClient, site: Site, prefix: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "navy").save(out, "PNG")
    make(client, enable_hr=True, firstpass_image=prefix + base64.b64encode(out.getvalue()).decode())
    digest = last_request(site).firstpass_image
    assert site.services.inputs.content(digest) == out.getvalue()


def test_a_failed_job_is_an_error_in_words(client: TestClient, site: Site) -> None:
    site.engine.fail_at[0] = OutOfMemory("Too little memory: lower the size.")
    assert refusal(ask(client), 500) == "Too little memory: lower the size."


def test_a_picture_that_cannot_be_read_back_is_an_error(client: TestClient, site: Site) -> None:
    gate = HoldAt(first_image=1)
    site.engine.gate = gate
    with asking(client, n_iter=2) as answer:
        gate.wait_reached()
        running = site.jobs.running()
        assert running is not None
        running.images[0].path.unlink()
        gate.release()
    refusal(answer[0], 500)


def test_an_interrupted_job_answers_what_is_there(client: TestClient, site: Site) -> None:
    gate = HoldAt(first_image=1, step=2)
    site.engine.gate = gate
    with asking(client, n_iter=3) as answer:
        gate.wait_reached()
        progress = client.get("/sdapi/v1/progress").json()
        assert client.post("/sdapi/v1/interrupt").json() == {}
    told = answer[0].json()
    assert len(told["images"]) == 1
    assert json.loads(told["info"])["all_seeds"] == [5]
    assert 0.3 < progress["progress"] < 0.7
    assert (progress["state"]["job_no"], progress["state"]["job_count"]) == (1, 3)
    assert progress["state"]["sampling_steps"] == 2


def test_a_skipped_batch_is_left_out(client: TestClient, site: Site) -> None:
    gate = HoldAt(first_image=1)
    site.engine.gate = gate
    with asking(client, n_iter=3) as answer:
        gate.wait_reached()
        assert client.post("/sdapi/v1/skip").json() is None
    info = json.loads(answer[0].json()["info"])
    assert info["all_seeds"] == [5, 7]
    assert len(info["infotexts"]) == 2


def test_a_job_that_is_taken_out_of_the_queue_is_an_error(client: TestClient, site: Site) -> None:
    for action, status in (("cancel", 409), ("remove", 409)):
        site.jobs.pause()
        with asking(client) as answer:
            wait_until(site.jobs.waiting)
            client.post(f"/easel/jobs/{site.jobs.waiting()[0].id}/{action}")
        refusal(answer[0], status)
        site.jobs.resume()


def test_waiting_clients_cause_no_previews(
    client: TestClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "ASKED_LATELY_SECONDS", 0.0)
    gate = HoldAt(step=2)
    site.engine.gate = gate
    with asking(client) as answer:
        gate.wait_reached()
        watched = site.jobs._board.watched()
        gate.release()
    assert not watched
    assert answer[0].status_code == 200


async def _leave_early(site: Site, gate: HoldAt) -> list[dict[str, Any]]:
    """Ask for a picture over ASGI and hang up while it is made."""
    sent: list[dict[str, Any]] = []
    body = [{"type": "http.request", "body": json.dumps(SMALL).encode(), "more_body": False}]

    async def receive() -> dict[str, Any]:
        if body:
            return body.pop()
        await asyncio.to_thread(gate.wait_reached)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/sdapi/v1/txt2img",
        "raw_path": b"/sdapi/v1/txt2img", "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 7860), "headers": [(b"host", b"127.0.0.1:7860")],
    }  # fmt: skip
    await create_app(site.services)(scope, receive, send)
    return sent


def test_a_client_that_leaves_stops_its_job(client: TestClient, site: Site) -> None:
    gate = HoldAt()
    site.engine.gate = gate
    run_async(_leave_early(site, gate))
    assert site.jobs.running() is None
    assert client.get("/sdapi/v1/progress").json()["state"]["job_count"] == 0
