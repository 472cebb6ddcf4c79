"""Options of extensions through A1111's API: read, set, refused, and for one request alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from modules.a1111 import shared
from modules.a1111._loader import LOADED
from tests.a1111.whole import with_samples
from tests.web.api import make, refusal

PATH = "/sdapi/v1/options"
LOCKED = "sample_locked"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with with_samples(tmp_path_factory.mktemp("whole"), "sample-callbacks", "sample-axes") as (_, client):
        shared.opts.add_option(LOCKED, shared.OptionInfo("a", "Locked", restrict_api=True))
        yield client


def module(name: str) -> Any:
    return next(each for path, each in LOADED.modules.items() if Path(path).stem == name)


def test_they_stand_among_all_options(real: TestClient) -> None:
    told = real.get(PATH).json()
    assert {key: told[key] for key in ("sample_names", "sample_mode")} == {"sample_names": ["a"], "sample_mode": "soft"}


def test_setting_one_acts_at_once_and_tells_the_extension(real: TestClient) -> None:
    assert real.post(PATH, json={"sample_amount": 4, "sample_names": ["a", "b"]}).json() is None
    assert (shared.opts.sample_amount, shared.opts.sample_names) == (4, ["a", "b"])
    assert real.get("/sample/amount").json() == {"amount": 4}
    assert module("sample_callbacks").SEEN["changed"][-1] == 4
    assert real.get(PATH).json()["sample_amount"] == 4


def test_what_an_extension_has_set_itself_does_not_outlive_the_clients_value(real: TestClient) -> None:
    shared.opts.sample_amount = 9
    real.post(PATH, json={"sample_amount": 5})
    assert shared.opts.sample_amount == 5


def test_values_are_held_against_what_the_extension_allows(real: TestClient) -> None:
    assert "allowed is a whole number from 0 to 9" in refusal(real.post(PATH, json={"sample_amount": 10}), 422)
    near = refusal(real.post(PATH, json={"sample_amonut": 1}), 422)
    assert "near it are sample_amount" in near


def test_an_option_that_is_kept_from_the_api_stays_and_the_answer_says_so(real: TestClient) -> None:
    answer = real.post(PATH, json={LOCKED: "b", "sample_mode": "hard"})
    assert answer.headers["x-easel-ignored"] == LOCKED
    assert (shared.opts.sample_locked, shared.opts.sample_mode) == ("a", "hard")


def test_one_request_may_have_another_value(real: TestClient) -> None:
    seen = module("sample_axes").SEEN
    shared.opts.add_option("sample_axes_option", shared.OptionInfo(1, "Option"))
    make(real, override_settings={"sample_axes_option": 7})
    make(real)
    assert [option for _, option, _ in seen[-2:]] == [7, 1]
    make(real, override_settings={"sample_axes_option": 8}, override_settings_restore_afterwards=False)
    make(real)
    assert [option for _, option, _ in seen[-2:]] == [8, 8]
