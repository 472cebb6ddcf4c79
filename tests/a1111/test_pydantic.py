"""Models that extensions wrote for pydantic 1."""

from collections.abc import Iterator
from typing import Any, Optional

import pydantic
import pytest

from modules.a1111._patching import Patches
from modules.a1111._shim_pydantic import add_pydantic_names
from modules.a1111._working import working_for


@pytest.fixture
def used() -> Iterator[list[str]]:
    patches, told = Patches(), []
    add_pydantic_names(patches, told.append)
    with working_for("sample"):
        yield told
    patches.undo()


def test_what_may_be_none_need_not_be_given(used: list[str]) -> None:
    class Task(pydantic.BaseModel):
        name: Optional[str]  # noqa: UP045 (as extensions write it)
        priority: int | None = pydantic.Field(title="Priority")
        model_id: "Optional[int]"  # noqa: UP045
        needed: str

    task = Task(needed=5)  # type: ignore[arg-type]
    assert (task.name, task.priority, task.model_id, task.needed) == (None, None, None, "5")
    assert used
    with pytest.raises(pydantic.ValidationError):
        Task()


def test_a_bare_root_validator_runs(used: list[str]) -> None:
    class Unit(pydantic.BaseModel):
        amount: int = 1

        @pydantic.root_validator
        def _doubled(cls, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N805 (a class method to pydantic 1)
            return {**values, "amount": values["amount"] * 2}

    assert Unit(amount=4).amount == 8
    assert "S24 @root_validator" in used


def test_a_configuration_is_derived_from_another(used: list[str]) -> None:
    class Base(pydantic.BaseModel):
        amount: int = 1

    class Derived(Base):
        class Config(Base.__config__):  # type: ignore[name-defined]
            title = "Derived"

    assert Derived(amount=2).amount == 2


def test_json_takes_what_json_dumps_takes(used: list[str]) -> None:
    class Base(pydantic.BaseModel):
        amount: int = 1

    assert Base().json(indent=1) == '{\n "amount": 1\n}'


def test_our_own_models_stay_as_they_are() -> None:
    patches = Patches()
    add_pydantic_names(patches, lambda what: None)
    try:
        class Strict(pydantic.BaseModel):
            name: Optional[str]  # noqa: UP045

        with pytest.raises(pydantic.ValidationError):
            Strict()
    finally:
        patches.undo()
    assert not hasattr(pydantic.BaseModel, "__config__")
