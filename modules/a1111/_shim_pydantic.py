"""What pydantic 2 no longer takes of pydantic 1's spellings, for models that extensions write (S24)."""

from __future__ import annotations

import functools
import json
import types
import typing
from collections.abc import Callable
from typing import Any

import pydantic
import pydantic.deprecated.class_validators
import pydantic.fields
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from modules.a1111._patching import Patches
from modules.a1111._working import extension_at_work

LENIENT: dict[str, Any] = {"coerce_numbers_to_str": True, "protected_namespaces": (), "arbitrary_types_allowed": True}
"""What pydantic 1 did unasked."""


def add_pydantic_names(patches: Patches, used: Callable[[str], None]) -> None:
    """Let extensions' models be written as for pydantic 1; `used` is told what was changed."""
    metaclass: Any = type(pydantic.BaseModel)
    make = metaclass.__new__

    def new(mcs: Any, name: str, bases: Any, namespace: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if extension_at_work():
            as_before(namespace, used)
        return make(mcs, name, bases, namespace, *args, **kwargs)

    patches.set(metaclass, "__new__", staticmethod(new))
    patches.set(pydantic.BaseModel, "__config__", type("Config", (), {}))
    patches.set(pydantic.BaseModel, "json", _json_of(pydantic.BaseModel.json, used))
    validators = pydantic.deprecated.class_validators
    root = _root_validator(validators.root_validator, used)
    field = _field(pydantic.Field, used)
    for owner in (validators, pydantic):
        patches.set(owner, "root_validator", root)
    for owner in (pydantic.fields, pydantic):
        patches.set(owner, "Field", field)


def as_before(namespace: dict[str, Any], used: Callable[[str], None]) -> None:
    """Change a class's body: what may be None is None where nothing is given, and values are taken leniently."""
    if "model_config" not in namespace and "Config" not in namespace:
        namespace["model_config"] = dict(LENIENT)
    for name, kind in namespace.get("__annotations__", {}).items():
        if not _may_be_none(kind):
            continue
        given = namespace.get(name, PydanticUndefined)
        if given is PydanticUndefined:
            used("S24 Optional without a default")
            namespace[name] = None
        elif isinstance(given, FieldInfo) and given.default in (PydanticUndefined, ...) and not given.default_factory:
            used("S24 Optional without a default")
            given.default = None
            given._attributes_set["default"] = None  # noqa: SLF001 (by which pydantic knows what was given)


def _may_be_none(kind: Any) -> bool:
    if isinstance(kind, str):
        text = kind.replace(" ", "")
        return text.startswith(("Optional[", "typing.Optional[", "None|")) or text.endswith("|None")
    return typing.get_origin(kind) in (typing.Union, types.UnionType) and type(None) in typing.get_args(kind)


def _json_of(original: Callable[..., str], used: Callable[[str], None]) -> Callable[..., str]:
    known = {"include", "exclude", "by_alias", "exclude_unset", "exclude_defaults", "exclude_none", "encoder"}

    @functools.wraps(original)
    def as_json(self: Any, **kwargs: Any) -> str:
        more = {name: value for name, value in kwargs.items() if name not in known}
        if not more or not extension_at_work():
            return original(self, **kwargs)
        used("S24 .json() with json.dumps' arguments")
        own = {name: value for name, value in kwargs.items() if name in known - {"encoder"}}
        return json.dumps(self.model_dump(mode="json", **own), **more)

    return as_json


def _root_validator(original: Callable[..., Any], used: Callable[[str], None]) -> Callable[..., Any]:
    @functools.wraps(original)
    def root_validator(*args: Any, **kwargs: Any) -> Any:
        if not extension_at_work() or kwargs.get("pre") or kwargs.get("skip_on_failure"):
            return original(*args, **kwargs)
        used("S24 @root_validator")
        decorate = original(**{**kwargs, "skip_on_failure": True})
        return decorate(args[0]) if args else decorate

    return root_validator


def _field(original: Callable[..., Any], used: Callable[[str], None]) -> Callable[..., Any]:
    renamed = {"regex": "pattern", "min_items": "min_length", "max_items": "max_length"}

    @functools.wraps(original)
    def field(*args: Any, **kwargs: Any) -> Any:
        if extension_at_work():
            for old in [name for name in (*renamed, "const") if name in kwargs]:
                used(f"S24 Field({old}=)")
                value = kwargs.pop(old)
                if old in renamed:
                    kwargs.setdefault(renamed[old], value)
        return original(*args, **kwargs)

    return field
