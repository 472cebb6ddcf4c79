"""Every name that A1111 1.10.1 defines can be imported; what Easel does not have says so when it is used."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from modules.a1111._names import known_names
from modules.a1111._placeholders import NotInEasel

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("module", sorted(known_names()))
def test_every_name_of_a_module_can_be_imported(module: str) -> None:
    found = importlib.import_module(f"modules.{module}")
    assert all(hasattr(found, name) for name in known_names()[module])


def test_there_are_as_many_names_as_a1111_has() -> None:
    assert sum(map(len, known_names().values())) == 1389


def test_both_names_are_the_same_object() -> None:
    for module in ("shared", "api.models", "textual_inversion.textual_inversion"):
        short, long = (importlib.import_module(f"modules.{prefix}{module}") for prefix in ("", "a1111."))
        assert short is long
        assert short.__spec__ is not None
        assert short.__spec__.name == f"modules.a1111.{module}"


def test_nothing_of_the_adapter_is_loaded_before_it_is_asked_for() -> None:
    script = (
        "import sys, modules.app, modules.jobs.runner\n"
        "assert not any(name.startswith('modules.a1111') for name in sys.modules)\n"
        "from modules import errors\n"
        "assert 'modules.a1111.errors' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=120)


def test_what_is_neither_ours_nor_a1111s_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("modules.no_such_module")
    with pytest.raises(ImportError):
        exec("from modules.sd_hijack_unet import no_such_name")


def test_a_function_that_is_missing_names_itself_when_called() -> None:
    function = importlib.import_module("modules.sd_hijack_unet").apply_model
    for use in (lambda: function(1), lambda: function.attribute, lambda: function[0], lambda: list(function)):
        with pytest.raises(NotInEasel, match=r"modules\.sd_hijack_unet\.apply_model"):
            use()
    assert not function


def test_a_class_that_is_missing_can_be_derived_from_but_not_made() -> None:
    kind = importlib.import_module("modules.sd_disable_initialization").DisableInitialization
    derived = type("Derived", (kind,), {})
    for each in (kind, derived):
        with pytest.raises(NotInEasel, match="DisableInitialization"):
            each()


def test_the_extension_at_fault_is_named(tmp_path: Path) -> None:
    script = tmp_path / "extensions" / "sd-webui-example" / "scripts" / "example.py"
    script.parent.mkdir(parents=True)
    body = "from modules.sd_hijack_unet import apply_model\ndef run():\n    apply_model()\n"
    script.write_text(body, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("example_extension", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(NotInEasel, match="The extension sd-webui-example uses"):
        module.run()
