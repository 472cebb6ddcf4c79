"""What a request asks of plugins: kept exactly, and never changed."""

import math
import pickle

import pytest

from modules.core.errors import InvalidRequest
from modules.core.extras import FrozenMapping, frozen_extras, without_plugin
from modules.core.parameter import FieldError, Parameter
from modules.core.request import GenerationRequest

EXTRAS = {"plugin": {"number": 1.5, "whole": 3, "flag": True, "text": 'a "b", ☕'}, "other": {}}


def test_extras_survive_json_exactly() -> None:
    request = GenerationRequest.checked({"extras": EXTRAS})
    again = GenerationRequest.model_validate_json(request.model_dump_json())
    assert again == request
    assert again.model_dump()["extras"] == EXTRAS
    assert type(again.extras["plugin"]["whole"]) is int


def test_a_request_with_extras_can_be_hashed_and_pickled() -> None:
    request = GenerationRequest.checked({"extras": EXTRAS})
    assert pickle.loads(pickle.dumps(request)) == request
    assert hash(request) == hash(GenerationRequest.checked({"extras": EXTRAS}))


def test_changing_what_extras_were_made_from_does_not_change_them() -> None:
    given = {"plugin": {"number": 1}}
    request = GenerationRequest.checked({"extras": given})
    given["plugin"]["number"] = 2
    assert request.extras["plugin"]["number"] == 1
    assert not hasattr(request.extras, "__setitem__")


@pytest.mark.parametrize(
    ("given", "field"),
    [(3, "extras"), ({"plugin": 3}, "extras.plugin"), ({"plugin": {"a": None}}, "plugin.a"),
     ({"plugin": {"a": [1]}}, "plugin.a"), ({"plugin": {"a": math.nan}}, "plugin.a")],
)  # fmt: skip
def test_extras_of_a_wrong_form_are_refused_by_name(given: object, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        GenerationRequest.checked({"extras": given})
    assert refused.value.problems[0].field == field


def test_a_plugin_can_be_left_out() -> None:
    assert without_plugin(frozen_extras(EXTRAS), "plugin") == {"other": {}}
    assert repr(FrozenMapping({"a": 1})) == "{'a': 1}"


SIDES = Parameter("sides", "Sides", "several", "left, right", "Sides.", minimum=1, choices=("left", "right", "up"))


@pytest.mark.parametrize("value", [["right", "left"], "right,left", "left, right", ("left", "right", "left")])
def test_several_choices_are_a_text_in_their_own_order(value: object) -> None:
    assert SIDES.parse(value) == "left, right"


@pytest.mark.parametrize("value", [[], "", "left, behind", ["behind"], 3, None, [3]])
def test_too_few_choices_and_unknown_ones_are_refused(value: object) -> None:
    with pytest.raises(FieldError) as refused:
        SIDES.parse(value)
    assert refused.value.problem.allowed == "at least 1 of left, right, up"
