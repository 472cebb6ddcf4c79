from collections.abc import Sequence

import pytest

from modules.core.errors import InvalidRequest
from modules.core.request import GenerationRequest


class Lists:
    def names(self, list_name: str) -> Sequence[str]:
        names = {"samplers": ["Euler", "DPM++ 2M"], "schedulers": ["Automatic"], "vaes": ["Automatic"]}
        return {**names, "upscalers": ["Latent"], "pixel_upscalers": ["None"]}.get(list_name, [])

    def accepts(self, list_name: str, value: str) -> bool:
        return list_name in ("checkpoints", "noise_sources") or value in self.names(list_name)


def test_a_request_survives_json_exactly() -> None:
    request = GenerationRequest.checked({"prompt": 'a "cat"\n☕', "seed": 2**62 + 1, "cfg_scale": 7.3})
    assert GenerationRequest.model_validate_json(request.model_dump_json()) == request


def test_all_wrong_fields_are_named_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        GenerationRequest.checked({"steps": 0, "width": 7, "seed": "abc", "prompt": "fine"})
    assert [problem.field for problem in refused.value.problems] == ["steps", "width", "seed"]
    assert "Sampling steps: 0 is not possible; allowed is a whole number from 1 to 150." in str(refused.value)


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="stepz"):
        GenerationRequest.checked({"stepz": 20})


def test_an_unknown_sampler_is_answered_with_the_names_that_exist() -> None:
    with pytest.raises(InvalidRequest, match="Sampling method: Eulr is not possible; allowed is one of Euler, DPM"):
        GenerationRequest.checked({"sampler": "Eulr"}, Lists())


def test_wrong_numbers_and_unknown_names_are_reported_together() -> None:
    with pytest.raises(InvalidRequest) as refused:
        GenerationRequest.checked({"sampler": "Eulr", "steps": 0}, Lists())
    assert {problem.field for problem in refused.value.problems} == {"sampler", "steps"}


def test_a_random_seed_is_fixed_once_and_then_stays() -> None:
    request = GenerationRequest()
    fixed = request.with_fixed_seed()
    assert request.seed == -1
    assert 0 <= fixed.seed < 2**32
    assert fixed.with_fixed_seed() == fixed


def test_picture_k_has_the_seed_plus_k() -> None:
    request = GenerationRequest(seed=7, batch_count=2, batch_size=3)
    assert request.image_count() == 6
    assert [request.image_seed(index) for index in range(3)] == [7, 8, 9]


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        GenerationRequest().steps = 3
