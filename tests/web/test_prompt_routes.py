"""Pasting, the inspector, token counters, styles and PNG Info."""

import io
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.testclient import TestClient

from modules.core.parameter import LARGEST_SEED
from modules.core.parameters import LONGEST_PROMPT
from modules.imaging.metadata import embed
from tests.fakes import wait_until
from tests.web.conftest import BASE
from tests.web.site import Site, open_site, site_config

INFOTEXT = (
    "a castle, (old:1.2)\nNegative prompt: people\n"
    f"Steps: 12, Sampler: Euler a, CFG scale: 6.5, Seed: {LARGEST_SEED}, Size: 128x192, Clip skip: 2"
)


def picture(text: str | None, kind: str = "png") -> bytes:
    return embed(Image.new("RGB", (24, 16), "teal"), text, kind)


def test_a_pasted_infotext_becomes_the_forms_values(client: TestClient) -> None:
    pasted = client.post("/easel/paste", json={"text": INFOTEXT}).json()
    fields = pasted["fields"]
    assert (fields["prompt"], fields["steps"], fields["sampler"]) == ("a castle, (old:1.2)", 12, "Euler a")
    assert fields["seed"] == str(LARGEST_SEED), "JavaScript would round a number"
    assert "Clip skip: 2" in pasted["override_settings"]
    assert pasted["text"] == INFOTEXT


def test_pasting_nothing_before_the_first_picture_changes_nothing(tmp_path: Path) -> None:
    with open_site(site_config(tmp_path)) as fresh, TestClient(fresh.application.site, base_url=BASE) as client:
        pasted = client.post("/easel/paste", json={"text": ""}).json()
    assert (pasted["fields"], pasted["text"], pasted["override_settings"]) == ({}, "", [])
    assert pasted["notes"]


def test_pasting_nothing_takes_the_newest_jobs_infotext(client: TestClient, site: Site) -> None:
    job = site.finish(prompt="the newest", seed=77, batch_count=2)
    pasted = client.post("/easel/paste", json={"text": " "}).json()
    assert pasted["text"] == job.images[0].infotext
    assert (pasted["fields"]["prompt"], pasted["fields"]["seed"]) == ("the newest", "77")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"text": 5}', b'{"text": "\\ud800"}', b'{"text": null}', b"\xff\xfe"]
)
def test_a_malformed_body_is_told_field_by_field(client: TestClient, body: bytes) -> None:
    answer = client.post("/easel/paste", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert answer.json()["problems"][0]["field"]


def test_the_inspector_reads_both_prompts_with_styles(client: TestClient, site: Site) -> None:
    wait_until(lambda: site.jobs.count_tokens("a") is not None)
    client.post("/easel/styles", json={"name": "oil", "prompt": "oil painting", "negative_prompt": "photo"})
    values = {"prompt": "a cat", "negative_prompt": "", "styles": ["oil"], "seed": "-1"}
    told = client.post("/easel/inspect", json={"values": values}).json()
    assert told["prompt"]["text"] == "a cat, oil painting"
    assert told["negative_prompt"]["text"] == "photo"
    refused = client.post("/easel/inspect", json={"values": {**values, "steps": 0}})
    assert refused.status_code == 422
    assert refused.json()["problems"][0]["field"] == "steps"


def test_tokens_are_counted_with_styles_and_without_comments_and_tags(client: TestClient, site: Site) -> None:
    wait_until(lambda: site.jobs.count_tokens("a") is not None)
    plain = client.post("/easel/tokens", json={"texts": ["a b c", ""]}).json()
    assert plain == {"counts": [[3, 75], [0, 75]], "brackets": [None, None]}
    client.post("/easel/styles", json={"name": "two words", "prompt": "x y", "negative_prompt": "z"})
    texts = {"texts": ["a # not (this\nb", "(c <lora:d:1>", "e"], "styles": ["two words"]}
    told = client.post("/easel/tokens", json=texts).json()
    assert [count for count, _ in told["counts"]] == [4, 3, 3]
    assert told["brackets"][0] is None
    assert "(" in told["brackets"][1]
    assert client.post("/easel/tokens", json={"texts": ["x"] * 99}).status_code == 422
    assert client.post("/easel/tokens", json={"texts": ["x" * (LONGEST_PROMPT + 1)]}).status_code == 422


def test_styles_are_saved_applied_and_deleted(client: TestClient) -> None:
    style = {"name": "neon", "prompt": "neon {prompt}", "negative_prompt": "dull"}
    assert style in client.post("/easel/styles", json=style).json()["styles"]
    assert style in client.get("/easel/styles").json()["styles"]
    wanted = {"prompt": "a cat", "negative_prompt": "", "styles": ["neon", "unknown"]}
    assert client.post("/easel/styles/apply", json=wanted).json() == {"prompt": "neon a cat", "negative_prompt": "dull"}
    assert style not in client.post("/easel/styles/delete", json={"name": "neon"}).json()["styles"]


def test_an_impossible_style_is_refused(client: TestClient) -> None:
    for body in ({"name": " "}, {"name": "#x"}, {"prompt": "x"}, {"name": "x", "prompt": 7}):
        answer = client.post("/easel/styles", json=body)
        assert answer.status_code == 422, body
        assert answer.json()["problems"]
    assert client.post("/easel/styles/delete", json={"name": "never saved"}).status_code == 422


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_a_picture_tells_how_it_was_made_and_is_kept(client: TestClient, site: Site, kind: str) -> None:
    content = picture(INFOTEXT, kind)
    told = client.post("/easel/png-info", content=content).json()
    assert (told["text"], told["source"], told["width"], told["height"]) == (INFOTEXT, "A1111", 24, 16)
    assert told["pasted"]["fields"]["seed"] == str(LARGEST_SEED)
    assert site.services.inputs.content(told["digest"]) == content


def test_a_picture_without_an_infotext_says_so(client: TestClient) -> None:
    told = client.post("/easel/png-info", content=picture(None)).json()
    assert (told["text"], told["source"], told["pasted"]) == (None, None, None)
    assert told["format"] == "PNG"


def test_another_programs_picture_is_pasted_too(client: TestClient) -> None:
    out = io.BytesIO()
    chunk = '{"positive_prompt": "a fox", "steps": 9, "seed": 3, "cfg_scale": 5, "width": 64, "height": 64}'
    info = Image.new("RGB", (64, 64))
    info.save(out, "PNG", pnginfo=_chunks(invokeai_metadata=chunk))
    told = client.post("/easel/png-info", content=out.getvalue()).json()
    assert told["source"] == "InvokeAI"
    assert told["pasted"]["fields"]["prompt"] == "a fox"
    assert told["pasted"]["fields"]["seed"] == "3"


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"<svg/>"])
def test_what_is_no_picture_is_refused(client: TestClient, content: bytes) -> None:
    answer = client.post("/easel/png-info", content=content)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["allowed"]


def _chunks(**texts: str) -> PngInfo:
    chunks = PngInfo()
    for key, text in texts.items():
        chunks.add_text(key, text)
    return chunks
