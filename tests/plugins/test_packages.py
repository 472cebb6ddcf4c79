"""requirements.txt and install.py of extensions run, and never change what Easel stands on."""

import importlib.metadata
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from modules.core.errors import ExtensionFailed
from modules.plugins import expected, packages
from modules.plugins.lenient import asked_by, asked_of_pip
from modules.plugins.packages import core_versions, refusal_of, torch_index
from tests.plugins.conftest import House, open_house

CORE = "filelock"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
HERE = importlib.metadata.version(CORE)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house whose core is one small package; pip finds packages in the folder wheels only, and installs nowhere."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "requirements.txt").write_text(f"{CORE}=={HERE}  # the core\n")
    (tmp_path / "wheels").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "target"))
    # After each success pip reads what all packages of this Python need. The names deny: 0 is "do not".
    monkeypatch.setenv("PIP_NO_WARN_CONFLICTS", "0")
    monkeypatch.setenv("PIP_NO_COMPILE", "0")
    return open_house(tmp_path, root)


def wheel(folder: Path, name: str, version: str, requires: str = "") -> None:
    info = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as opened:
        opened.writestr(f"{name}.py", f"VERSION = '{version}'\n")
        opened.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        opened.writestr(f"{info}/WHEEL", WHEEL)
        opened.writestr(f"{info}/RECORD", "")


def add(house: House, **files: str) -> Path:
    place = house.installed.folder / "thing"
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name.replace("_dot_", ".")).write_text(text)
    return place


def set_up(house: House) -> str:
    return house.carry_out(house.installer.order_set_up("thing"))


def test_requirements_are_installed(house: House) -> None:
    wheel(house.folder / "wheels", "easelneeds", "1.0")
    add(house, requirements_dot_txt="easelneeds\n")
    assert set_up(house) == "It was set up again."
    assert (house.folder / "target" / "easelneeds.py").is_file()
    assert "Successfully installed easelneeds-1.0" in house.installer.log("thing")


def test_what_a1111_would_have_brought_is_installed_with_it_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expected, "EXPECTED", {"easelneeds": "easelneeds", "easelnowhere": "easelnowhere"})
    monkeypatch.syspath_prepend(house.folder / "target")
    wheel(house.folder / "wheels", "easelneeds", "1.0")
    place = add(house, install_dot_py="open('ran', 'a').write('x')")
    (place / "scripts").mkdir()
    (place / "scripts" / "main.py").write_text("import easelneeds, easelnowhere")
    for _ in range(2):
        house.installer.set_up_new(house.installed.enabled())
    assert (house.folder / "target" / "easelneeds.py").is_file()
    assert (house.folder / "root" / "ran").read_text() == "x"
    log = house.installer.log("thing")
    assert "It imports easelneeds, which A1111 has and Easel has not." in log
    assert "easelnowhere could not be installed; going on without it." in log
    assert house.get("thing").enabled
    shutil.rmtree(house.folder / "target")
    house.installer.set_up_new(house.installed.enabled())
    assert (house.folder / "target" / "easelneeds.py").is_file(), "what was taken away is missed again"


def test_what_must_fit_torch_comes_from_where_torch_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "installed_version", lambda name: {"torch": "2.13.0+cu130"}[name])
    assert torch_index() == ["--extra-index-url", "https://download.pytorch.org/whl/cu130"]
    monkeypatch.setattr(packages, "installed_version", lambda name: {"torch": "2.13.0"}[name])
    assert torch_index() == []


@pytest.mark.parametrize("asked", [f"{CORE}==0.1", "easelneeds"])
def test_what_would_change_a_core_package_is_refused_and_keeps_the_extension_off(house: House, asked: str) -> None:
    wheel(house.folder / "wheels", CORE, "0.1")
    wheel(house.folder / "wheels", CORE, HERE)
    wheel(house.folder / "wheels", "easelneeds", "1.0", f"{CORE}==0.1")
    add(house, requirements_dot_txt=f"{asked}\n", install_dot_py="raise SystemExit('not to be run')")
    with pytest.raises(ExtensionFailed, match=rf"thing is installed but off\. It wants .*{CORE}==0\.1"):
        set_up(house)
    extension = house.get("thing")
    assert not extension.enabled
    assert f"Easel needs {CORE}=={HERE}" in extension.off_because
    (failure,) = house.reports.of("thing").failures
    assert failure.part == "install"
    assert "ERROR" in failure.trace
    assert not (house.folder / "target").exists()


@pytest.fixture
def removing(house: House, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where packages go, and have pip take them away from there too."""
    target = house.folder / "target"
    monkeypatch.syspath_prepend(target)
    monkeypatch.setenv("PYTHONPATH", str(target))
    run = packages.run_program

    def run_there(command: list[str], *others: Any) -> int:
        if "uninstall" not in command:
            return run(command, *others)
        # pip removes nothing from a target folder.
        for name in command[command.index("-y") + 1:]:
            for path in target.glob(f"{name}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return 0

    monkeypatch.setattr(packages, "run_program", run_there)
    for name in ("easelneeds", "easelbreaks", "easelplain"):
        wheel(house.folder / "wheels", name, "1.0", "easelneeds" if name == "easelbreaks" else "")
    return target


def test_packages_beside_which_easel_cannot_start_are_removed(house: House, removing: Path) -> None:
    add(house, requirements_dot_txt="easelneeds\n")
    set_up(house)
    (house.installed.folder / "thing" / "requirements.txt").write_text("easelneeds\neaselbreaks\n")
    with pytest.raises(ExtensionFailed, match=r"beside .* \(easelbreaks\): No start\. They were removed\."):
        set_up(house)
    assert not house.get("thing").enabled
    assert {path.name for path in removing.iterdir() if "easel" in path.name} >= {"easelneeds.py"}
    assert not list(removing.glob("easelbreaks*"))


def test_what_keeps_easel_from_starting_is_removed_though_the_rest_was_refused(
    house: House, removing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expected, "EXPECTED", {"easelbreaks": "easelbreaks"})
    place = add(house, requirements_dot_txt=f"{CORE}==0.1\n")
    (place / "scripts").mkdir()
    (place / "scripts" / "main.py").write_text("import easelbreaks")
    with pytest.raises(ExtensionFailed, match=r"is installed but off\. Easel cannot start beside"):
        set_up(house)
    assert not list(removing.glob("easelbreaks*"))


def test_of_packages_beside_which_easel_cannot_start_what_fits_one_torch_alone_goes_first(
    house: House, removing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "COUPLED", frozenset({"easelbreaks"}))
    add(house, requirements_dot_txt="easelplain\neaselbreaks\n")
    with pytest.raises(ExtensionFailed, match=r"is installed, but Easel cannot start beside easelbreaks, now rem"):
        set_up(house)
    assert house.get("thing").enabled
    assert {path.name for path in removing.glob("easel*.py")} == {"easelplain.py", "easelneeds.py"}
    house.safety.keep_off("thing", "install", "It was refused.")
    with pytest.raises(ExtensionFailed, match="beside easelbreaks"):
        set_up_leniently(house)
    assert house.get("thing").enabled, "it is on with what could be had"


def test_install_py_runs_at_easels_root_and_its_pip_is_held_to_the_same_versions(house: House) -> None:
    wheel(house.folder / "wheels", CORE, "0.1")
    wheel(house.folder / "wheels", CORE, HERE)
    script = (
        "import os, subprocess, sys\nprint('in', os.getcwd(), 'for', __file__, os.environ['GIT_TERMINAL_PROMPT'])\n"
        f"subprocess.run([sys.executable, '-m', 'pip', 'install', '{CORE}==0.1'])\n"
    )
    place = add(house, install_dot_py=script)
    with pytest.raises(ExtensionFailed, match="installed but off"):
        set_up(house)
    assert f"in {house.folder / 'root'} for {place / 'install.py'} 0" in house.installer.log("thing")


def test_an_install_py_that_fails_is_told_and_does_not_keep_the_extension_off(house: House) -> None:
    add(house, install_dot_py="raise SystemExit('no weights to be had')")
    with pytest.raises(ExtensionFailed, match=r"its install.py failed: no weights"):
        set_up(house)
    assert house.get("thing").enabled
    assert house.reports.of("thing").failed("install")


def test_a_core_package_that_was_changed_all_the_same_is_put_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(house.folder / "wheels", CORE, HERE)
    monkeypatch.setattr(packages, "installed_version", lambda name: "0.1")
    add(house, install_dot_py="")
    with pytest.raises(ExtensionFailed, match=rf"{CORE} {HERE} to 0\.1\. They were put back"):
        set_up(house)
    assert (house.folder / "target" / f"{CORE}-{HERE}.dist-info").is_dir()
    assert not house.get("thing").enabled


def test_what_was_put_into_the_folder_by_hand_is_set_up_once(house: House) -> None:
    add(house, install_dot_py="open('ran', 'a').write('x')")
    for _ in range(2):
        house.installer.set_up_new(house.installed.enabled())
    assert (house.folder / "root" / "ran").read_text() == "x"
    (house.installed.folder / "thing" / "install.py").write_text("open('ran', 'a').write('y')")
    house.installer.set_up_new(house.installed.enabled())
    assert (house.folder / "root" / "ran").read_text() == "xy"


def test_an_extension_without_either_file_has_nothing_to_set_up(house: House) -> None:
    add(house)
    assert set_up(house) == "It has nothing to set up."


def test_the_core_is_what_is_named_and_all_that_it_needs() -> None:
    found = core_versions(Path(__file__).parents[2] / "requirements.txt")
    assert found["torch"] == importlib.metadata.version("torch")
    assert {"starlette", "pydantic-core", "huggingface-hub", "anyio"} <= found.keys()
    assert "pytest" not in found
    assert core_versions(Path("/none")) == {}


def test_a_refusal_names_who_wants_what() -> None:
    said = [
        "ERROR: Cannot install a==1 because these package versions have conflicting dependencies.",
        "The conflict is caused by:",
        "    a 1 depends on torch==1.13",
        "    The user requested (constraint) torch==2.13.0",
    ]
    assert refusal_of(said, {}) == "It wants a 1, which needs torch==1.13, but Easel needs torch==2.13.0."
    assert refusal_of(["ERROR: no matching distribution"], {"torch": "2.13.0"}) is None
    nothing = "ERROR: No matching distribution found for {}"
    assert refusal_of([nothing.format('torch[all]<2; extra == "x"')], {"torch": "2.13.0"}) == (
        "It wants torch[all]<2, but Easel needs torch==2.13.0."
    )
    for other in ("torch>=2", "elsewhere<2", "not a requirement <"):
        assert refusal_of([nothing.format(other)], {"torch": "2.13.0"}) is None


def around(house: House, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have what pip installs be there, and packages that want another core; returns where they go."""
    target = house.folder / "target"
    monkeypatch.syspath_prepend(target)
    wheels = house.folder / "wheels"
    wheel(wheels, CORE, "0.1")
    wheel(wheels, "easelneeds", "1.0", f"{CORE}==0.1\nRequires-Dist: easelmore\nRequires-Dist: easelno; extra == 'no'")
    wheel(wheels, "easelmore", "1.0", f"{CORE}<1")
    wheel(wheels, "easelplain", "1.0")
    return target


def set_up_leniently(house: House) -> str:
    return house.carry_out(house.installer.order_set_up("thing", lenient=True))


def test_what_was_refused_is_set_up_without_what_would_change_the_core(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = around(house, monkeypatch)
    requirements = f"# all\n{CORE}==0.1\neaselneeds[more]  # this\neaselnowhere\neaselplain\n"
    add(house, requirements_dot_txt=requirements, install_dot_py="open('ran', 'a').write('x')")
    with pytest.raises(ExtensionFailed, match="is installed but off"):
        set_up(house)
    assert not house.get("thing").enabled
    assert set_up_leniently(house) == "It was set up without what would change Easel's own packages."
    assert house.get("thing").enabled
    assert {path.name for path in target.glob("easel*.py")} == {"easelneeds.py", "easelmore.py", "easelplain.py"}
    assert (house.folder / "root" / "ran").read_text() == "x"
    log = house.installer.log("thing")
    assert f"{CORE}==0.1 is left out: {CORE} stays {HERE}." in log
    assert f"{CORE}<1 is left out" in log
    assert "easelnowhere could not be installed; going on without it." in log
    assert "easelno;" not in log
    assert not house.installer.set_up_new(house.installed.enabled()), "it is not tried again at the next start"
    assert (house.folder / "root" / "ran").read_text() == "x"


def test_an_update_of_what_was_set_up_leniently_is_set_up_so_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    target = around(house, monkeypatch)
    place = add(house, requirements_dot_txt=f"{CORE}==0.1\n")
    set_up_leniently(house)
    (place / "requirements.txt").write_text(f"{CORE}==0.1\neaselplain\n")
    house.installer.set_up_new(house.installed.enabled())
    assert (target / "easelplain.py").is_file()
    assert house.get("thing").enabled


def test_what_pip_was_asked_for_is_read_from_what_it_said() -> None:
    said = [
        "Collecting ultralytics>=8.3.75", "Collecting numpy<2 (from mediapipe)", "  Downloading ultralytics-8.4.whl",
        "ERROR: Cannot install one, two[all]==2.0 and three<3 because these package versions have conflicting"
        " dependencies.",
    ]  # fmt: skip
    assert asked_of_pip(said) == ["ultralytics>=8.3.75", "one", "two[all]==2.0", "three<3"]


INSTALLS = """
import importlib.metadata, subprocess, sys
for name in ("easelplain", "easelneeds", "easelmore"):
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        subprocess.run([sys.executable, "-m", "pip", "install", name], check=True)
open("ran", "a").write("x")
"""


def test_an_install_py_that_calls_pip_finds_what_could_be_had(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    target = around(house, monkeypatch)
    monkeypatch.setenv("PYTHONPATH", str(target))
    add(house, install_dot_py=INSTALLS)
    with pytest.raises(ExtensionFailed, match="is installed but off"):
        set_up(house)
    house.installed.note_running(house.installed.all())
    set_up_leniently(house)
    assert not house.reports.of("thing").failed("install"), "what went wrong before is mended"
    assert house.installed.needs_restart(house.get("thing"))
    assert (target / "easelneeds.py").is_file()
    assert (house.folder / "root" / "ran").read_text() == "x"
    assert house.get("thing").enabled


def test_an_install_py_that_wants_the_core_itself_is_gone_on_without(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    around(house, monkeypatch)
    pip = f"[sys.executable, '-m', 'pip', 'install', '{CORE}==0.1']"
    add(house, install_dot_py=f"import subprocess, sys\nsubprocess.run({pip}, check=True)")
    set_up_leniently(house)
    assert house.get("thing").enabled
    assert "Going on without what would change what Easel stands on." in house.installer.log("thing")


def test_an_install_py_that_fails_for_another_reason_is_told_leniently_too(house: House) -> None:
    add(house, install_dot_py="raise SystemExit('no disk')")
    with pytest.raises(ExtensionFailed, match=r"its install\.py failed: no disk"):
        set_up_leniently(house)


def test_pyproject_is_asked_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["one~=1.0", "two"]\n')
    (tmp_path / "requirements.txt").write_text("-r other.txt\n# these\ntwo  # too\nthree ; python_version > '3'\n")
    assert asked_by(tmp_path) == ["two", "three ; python_version > '3'", "one~=1.0"]
    (tmp_path / "pyproject.toml").write_text("[project\n")
    assert asked_by(tmp_path) == ["two", "three ; python_version > '3'"]
