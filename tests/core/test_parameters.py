import math

import pytest

from modules.core.parameter import LARGEST_SEED, FieldError, Value
from modules.core.parameters import LONGEST_PROMPT, PARAMETERS
from modules.core.request import GenerationRequest


def test_every_field_of_a_request_has_a_parameter_with_the_same_default() -> None:
    fields = GenerationRequest.model_fields
    assert set(fields) - {"unwritten", "extras"} == set(PARAMETERS)
    assert {name: fields[name].default for name in PARAMETERS} == {
        name: parameter.default for name, parameter in PARAMETERS.items()
    }


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_every_default_is_accepted_by_its_own_parameter(name: str) -> None:
    parameter = PARAMETERS[name]
    assert parameter.parse(parameter.default) == parameter.default


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_every_parameter_says_what_it_does_and_what_is_allowed(name: str) -> None:
    assert PARAMETERS[name].help.endswith(".")
    assert PARAMETERS[name].allowed()


@pytest.mark.parametrize(
    ("name", "value", "parsed"),
    [
        ("steps", "20", 20),
        ("steps", 20.0, 20),
        ("steps", 1, 1),
        ("steps", 150, 150),
        ("cfg_scale", "7", 7.0),
        ("cfg_scale", 7.3, 7.3),
        ("width", 64, 64),
        ("width", 8192, 8192),
        ("seed", "9007199254740993", 2**53 + 1),
        ("seed", str(LARGEST_SEED), LARGEST_SEED),
        ("seed", " -1 ", -1),
    ],
)
def test_good_values_are_taken_in_any_spelling(name: str, value: object, parsed: Value) -> None:
    result = PARAMETERS[name].parse(value)
    assert result == parsed
    assert type(result) is type(parsed)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("steps", 10_000),
        ("steps", 20.5),
        ("steps", "twenty"),
        ("steps", True),
        ("steps", None),
        ("width", 7),
        ("width", 100_000),
        ("width", 513),
        ("batch_size", 1_000),
        ("batch_count", 1_000),
        ("seed", 2**63),
        ("seed", "abc"),
        ("seed", ""),
        ("seed", -2),
        ("cfg_scale", math.nan),
        ("cfg_scale", math.inf),
        ("cfg_scale", "1e999"),
        ("prompt", "x" * (LONGEST_PROMPT + 1)),
        ("prompt", 5),
        ("prompt", "half a pair \ud800"),
    ],
)
def test_a_bad_value_is_refused_with_its_label_and_what_is_allowed(name: str, value: object) -> None:
    parameter = PARAMETERS[name]
    with pytest.raises(FieldError) as refused:
        parameter.parse(value)
    problem = refused.value.problem
    assert problem.field == name
    assert parameter.label in str(problem)
    assert parameter.allowed() in str(problem)
    assert len(str(problem)) < 200
