"""Verify: a picture is made again from its infotext, and nothing is called identical that is not."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.testclient import TestClient

from modules.core.errors import OutOfMemory
from modules.imaging.metadata import embed
from modules.jobs.model import Job, Purpose
from tests.fakes import HoldAt, wait_until
from tests.web.api import make
from tests.web.site import Site

LINE = "Steps: 2, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 64x64, Model: starter"


@pytest.fixture(autouse=True)
def nothing_stays(site: Site) -> Iterator[None]:
    """No job of a verification outlives it."""
    yield
    site.engine.gate = None
    wait_until(lambda: site.jobs.running() is None and not site.jobs.waiting())
    wait_until(lambda: all(job.purpose is not Purpose.HANDOVER for job in site.jobs.ended(200)))


def title(site: Site) -> str:
    return site.services.files.checkpoints.find("starter").title


def finish(site: Site, **values: object) -> Job:
    return site.finish(checkpoint=title(site), sampler="Euler", seed=5, **values)


def report(client: TestClient, **choice: object) -> dict[str, Any]:
    started = client.post("/easel/verify", json=choice)
    assert started.status_code == 200, started.text
    job = started.json()["job"]
    told: dict[str, Any] = {}

    def ended() -> bool:
        told.update(client.get(f"/easel/verify/{job}").json())
        return told["state"] in ("finished", "failed")

    wait_until(ended)
    return told


def hand_in(client: TestClient, text: str | None, picture: Image.Image | None = None, kind: str = "png") -> str:
    content = embed(picture or Image.new("RGB", (64, 64)), text, kind)
    return str(client.post("/easel/png-info", content=content).json()["digest"])


def facts(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {fact["name"]: fact for fact in told["facts"]}


def test_a_picture_is_made_again_pixel_for_pixel(client: TestClient, site: Site) -> None:
    job = finish(site, batch_count=2, prompt="(a cat:1.2) BREAK in a hat")
    told = report(client, job=job.id, index=1)
    assert (told["state"], told["error"], told["identical"]) == ("finished", None, True)
    assert (told["max"], told["mean"], told["share"]) == (0, 0.0, 0.0)
    assert site.engine.runs[-1][0].seed == 6
    assert site.engine.runs[-1][0].image_count() == 1
    named = facts(told)
    assert named["Sampler"]["same"] is True
    assert named["Size in pixels"]["same"] is True
    assert named["Noise"]["same"] is None, "nobody knows which device made it"
    assert named["Prompt"]["then"] == "emphasis, BREAK"
    assert "Program" not in named
    for which in ("original", "made", "difference"):
        answer = client.get(told[which])
        assert answer.headers["content-type"] == "image/png"
        assert Image.open(io.BytesIO(answer.content)).size == (64, 64)


def test_present_options_do_not_count(client: TestClient, site: Site) -> None:
    job = finish(site)
    site.services.settings.update({"CLIP_stop_at_last_layers": 4, "tiling": True, "sd_vae": "Automatic"})
    report(client, job=job.id, index=0)
    request = site.engine.runs[-1][0]
    assert (request.clip_skip, request.tiling, request.vae) == (1, False, "None")
    site.services.settings.update({"CLIP_stop_at_last_layers": 1, "tiling": False})


def test_a_changed_pixel_is_found_and_shown(client: TestClient, site: Site) -> None:
    job = finish(site)
    picture = Image.open(job.images[0].path).convert("RGB")
    red, green, blue = picture.getpixel((3, 4))
    picture.putpixel((3, 4), (red, green, blue - 5))
    told = report(client, digest=hand_in(client, job.images[0].infotext, picture))
    assert (told["identical"], told["max"], told["amplified"]) == (False, 5, 51.0)
    assert told["mean"] == pytest.approx(5 / (64 * 64 * 3))
    assert told["share"] == pytest.approx(100 / (64 * 64))
    shown = Image.open(io.BytesIO(client.get(told["difference"]).content))
    assert shown.getpixel((3, 4)) == (0, 0, 255)
    assert shown.getpixel((4, 3)) == (0, 0, 0)


def test_another_size_is_never_identical(client: TestClient) -> None:
    told = report(client, digest=hand_in(client, f"a cat\n{LINE}", Image.new("RGB", (128, 64))))
    assert (told["state"], told["identical"], told["max"], told["difference"]) == ("finished", False, None, None)
    assert facts(told)["Size in pixels"] == {
        "name": "Size in pixels", "then": "128 x 64", "now": "64 x 64", "same": False,
    }  # fmt: skip


@pytest.mark.parametrize("version", ["easel-0.1.0", "v1.10.1"])
def test_a_picture_of_the_same_rules_is_not_called_another_programs(client: TestClient, version: str) -> None:
    told = report(client, digest=hand_in(client, f"a cat\n{LINE}, Version: {version}"))
    assert "Program" not in facts(told)


def test_another_programs_picture_is_called_so(client: TestClient) -> None:
    told_by_it = {
        "positive_prompt": "a fox", "steps": 2, "seed": 3, "cfg_scale": 5, "scheduler": "euler", "width": 64,
        "height": 64, "model": {"name": "starter"},
    }  # fmt: skip
    chunks = PngInfo()
    chunks.add_text("invokeai_metadata", json.dumps(told_by_it))
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, "PNG", pnginfo=chunks)
    digest = client.post("/easel/png-info", content=out.getvalue()).json()["digest"]
    told = facts(report(client, digest=digest))
    assert (told["Program"]["then"], told["Program"]["same"]) == ("InvokeAI", False)


def test_what_differs_is_among_the_facts(client: TestClient) -> None:
    text = (
        f'a cat <hypernet:x:1>\n{LINE}, Model hash: 0123456789, VAE hash: abcdefabcd, VAE: other.pt, RNG: CPU, '
        'Lora hashes: "style: 0123456789ab", TI hashes: "bad: 0123456789ab", Face restoration: GFPGAN, Version: v1.9.0'
    )
    told = report(client, digest=hand_in(client, text, kind="jpg"))
    named = facts(told)
    assert (named["VAE"]["then"], named["VAE"]["now"]) == ("other.pt [abcdefabcd]", "the checkpoint's own")
    for name in ("VAE", "LoRA style", "Embedding bad", "Network x", "Face restoration", "File format", "Noise"):
        assert named[name]["same"] is False, name
    assert named["Version"]["then"] == "v1.9.0"
    assert named["Model"]["then"] == "starter [0123456789]"
    assert "other.pt" in named["Could not be taken over"]["then"]
    assert told["identical"] is False


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (None, "none"),
        ("only a prompt", "none"),
        (f"a cat\n{LINE}, Denoising strength: 0.5", "img2img"),
        ("a cat\nSteps: 2, Sampler: Euler, CFG scale: 7, Size: 64x64", "Seed"),
        ("a cat\nSteps: 2, Sampler: Euler, CFG scale: 7, Seed: 5", "Width"),
        (f"a cat\n{LINE.replace('Euler', 'Warp')}", "Sampling method"),
        (f"a cat\n{LINE.replace('Steps: 2', 'Steps: 0')}", "Sampling steps"),
        (f"a cat\n{LINE.replace('starter', 'unknown')}, Model hash: 0123456789", "unknown 0123456789"),
    ],
)
def test_a_picture_that_cannot_be_made_again_is_refused(client: TestClient, text: str | None, named: str) -> None:
    answer = client.post("/easel/verify", json={"digest": hand_in(client, text)})
    assert answer.status_code == 422
    assert named in answer.json()["detail"]


def test_pixels_that_cannot_be_read_are_refused(client: TestClient, site: Site) -> None:
    job = finish(site)
    content = embed(Image.effect_noise((64, 64), 50), f"a cat\n{LINE}", "png")
    job.images[0].path.write_bytes(content[: len(content) // 2])
    assert client.post("/easel/verify", json={"job": job.id, "index": 0}).status_code == 422


def test_a_damaged_picture_still_tells_its_infotext(client: TestClient) -> None:
    content = embed(Image.effect_noise((64, 64), 50), f"a cat\n{LINE}", "png")
    told = client.post("/easel/png-info", content=content[: len(content) // 2]).json()
    assert told["text"].startswith("a cat")
    assert told["digest"] == ""
    assert "damaged" in told["problem"]


def test_a_picture_of_img2img_is_made_again_from_the_same_picture(client: TestClient, site: Site) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "orange").save(picture, "PNG")
    digest = site.services.inputs.keep(picture.getvalue())
    wanted = {"init_image": digest, "resize_mode": 2, "denoising_strength": 0.4}
    job = site.finish(**wanted, checkpoint=site.services.files.checkpoints.default().title)
    image = job.images[0]
    image.path.write_bytes(embed(Image.open(image.path), f"{image.infotext}, Denoising strength: 0.4", "png"))
    report(client, job=job.id, index=0)
    again = site.engine.runs[-1][0]
    assert {name: getattr(again, name) for name in wanted} == wanted


def test_two_passes_are_repeated(client: TestClient, site: Site) -> None:
    text = f"a cat\n{LINE}, Denoising strength: 0.5, Hires upscale: 2, Hires upscaler: Latent"
    report(client, digest=hand_in(client, text))
    request = site.engine.runs[-1][0]
    assert (request.enable_hr, request.denoising_strength, request.hr_scale) == (True, 0.5, 2.0)


def test_a_second_pass_over_a_finished_picture_begins_with_it_again(client: TestClient, site: Site) -> None:
    job = finish(site)
    wish = {"job": job.id, "index": 0, "values": {"sampler": "Euler", "steps": 2}}
    enlarged = client.post("/easel/hires", json=wish).json()["job"]
    wait_until(lambda: site.jobs.get(enlarged).finished)
    image = site.jobs.get(enlarged).images[0]
    text = f"{image.infotext}, Denoising strength: 0.7, Hires upscale: 2, Hires upscaler: Latent"
    image.path.write_bytes(embed(Image.open(image.path), text, "png"))
    told = report(client, job=enlarged, index=0)
    assert facts(told)["First pass"]["same"] is True
    assert site.engine.runs[-1][0].firstpass_image == site.jobs.get(enlarged).request.firstpass_image


def test_what_the_infotext_does_not_hold_is_named(client: TestClient, site: Site) -> None:
    make(client, s_churn=2, save_images=True, override_settings={"sd_model_checkpoint": "starter"})
    job = site.jobs.ended(1)[0]
    named = facts(report(client, job=job.id, index=0))
    assert (named["s_churn"]["then"], named["s_churn"]["same"]) == ("2.0", False)


def test_a_verification_that_fails_or_is_stopped_says_so(client: TestClient, site: Site) -> None:
    job = finish(site)
    site.engine.fail_at[0] = OutOfMemory("Too little memory: lower the size.")
    told = report(client, job=job.id, index=0)
    assert (told["state"], told["error"], told["identical"]) == ("failed", "Too little memory: lower the size.", None)
    gate = HoldAt()
    site.engine.gate = gate
    started = client.post("/easel/verify", json={"job": job.id, "index": 0}).json()["job"]
    gate.wait_reached()
    assert client.get(f"/easel/verify/{started}").json()["state"] == "running"
    client.post(f"/easel/interrupt?job={started}")
    wait_until(lambda: client.get(f"/easel/verify/{started}").json()["state"] == "failed")
    assert "stopped" in client.get(f"/easel/verify/{started}").json()["error"]


def test_a_waiting_verification_waits_and_can_be_taken_out(client: TestClient, site: Site) -> None:
    job = finish(site)
    site.jobs.pause()
    started = client.post("/easel/verify", json={"job": job.id, "index": 0}).json()["job"]
    assert client.get(f"/easel/verify/{started}").json()["state"] == "waiting"
    client.post(f"/easel/jobs/{started}/remove")
    wait_until(lambda: client.get(f"/easel/verify/{started}").json()["state"] == "failed")
    site.jobs.resume()


@pytest.mark.parametrize(
    ("choice", "status"),
    [
        ({}, 422), ({"job": "x"}, 422), ({"job": "none", "index": 0}, 404), ({"digest": "../../config.json"}, 422),
        ({"digest": "0" * 64}, 422), ({"job": 5, "index": "a"}, 422), ({"job": "none", "index": 10**30}, 422),
    ],
)  # fmt: skip
def test_a_picture_that_is_not_there_is_refused(client: TestClient, choice: dict[str, object], status: int) -> None:
    answer = client.post("/easel/verify", json=choice)
    assert answer.status_code == status
    assert answer.json()["detail"]


@pytest.mark.parametrize("path", ["none", "none/made", "none/original"])
def test_an_unknown_verification_is_404(client: TestClient, path: str) -> None:
    assert client.get(f"/easel/verify/{path}").status_code == 404


def test_only_the_newest_results_are_kept(client: TestClient, site: Site) -> None:
    job = finish(site)
    numbers = [report(client, job=job.id, index=0)["original"].split("/")[3] for _ in range(10)]
    wait_until(lambda: client.get(f"/easel/verify/{numbers[0]}").status_code == 404)
    assert client.get(f"/easel/verify/{numbers[-1]}").json()["state"] == "finished"
    assert client.get(f"/easel/verify/{numbers[-1]}/nothing").status_code == 422
