"""launch.py: what it installs and when, how it goes on inside `.venv`, which browser the tests get."""

import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import launch


class FakeRunner:
    """Stands for the programs that launch.py runs: `failing` maps an argument of the command to stderr lines."""

    def __init__(self, failing: Mapping[str, list[str]] | None = None) -> None:
        self.failing = dict(failing or {})
        self.commands: list[list[str]] = []

    def __call__(self, command: Sequence[str]) -> tuple[int, list[str]]:
        self.commands.append(list(command))
        for word, errors in self.failing.items():
            if word in command:
                return 1, errors
        if "venv" in command:
            make_python(Path(command[-1]))
        return 0, []


def make_python(venv: Path) -> None:
    python = launch.venv_python(venv)
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("torch==1.0\n")
    return path


@pytest.fixture
def quiet_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCH_INDEX_URL", raising=False)
    monkeypatch.setattr(launch, "has_nvidia_driver", lambda environment: False)


def test_importing_it_does_nothing_whatever_the_arguments_are(repo_root: Path, tmp_path: Path) -> None:
    program = (
        "import sys; sys.argv = ['webui.py', '--port', 'nonsense', 'test']\n"
        f"sys.path.insert(0, {str(repo_root)!r})\n"
        "import os; before = dict(os.environ)\n"
        "import launch\n"
        "assert dict(os.environ) == before\n"
        "assert not any(name.partition('.')[0] == 'modules' for name in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_help_needs_no_installation(repo_root: Path) -> None:
    command = [sys.executable, "-S", "launch.py", "--help"]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for flag in ("--listen", "--gradio-auth", "--ckpt-dir", "--medvram", "launch.py generate", "launch.py doctor"):
        assert flag in done.stdout


def test_a_wrong_flag_ends_the_start_before_anything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "prepare", lambda **_: pytest.fail("installs"))
    with pytest.raises(SystemExit) as leaving:
        launch.main(["--port", "99999"])
    assert leaving.value.code == 2


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_supported_pythons_pass(version: tuple[int, int]) -> None:
    launch.check_python(version)


@pytest.mark.parametrize("version", [(3, 8), (3, 10), (3, 14)])
def test_other_pythons_are_refused_in_a_plain_sentence(
    version: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch.shutil, "which", lambda name: "/usr/bin/python3.12" if name == "python3.12" else None)
    with pytest.raises(launch.LaunchFailed, match=r"3\.11, 3\.12 or 3\.13.*`python3\.12 launch\.py`"):
        launch.check_python(version)
    monkeypatch.setattr(launch.shutil, "which", lambda name: None)
    with pytest.raises(launch.LaunchFailed, match="Install one of them"):
        launch.check_python(version)


@pytest.mark.usefixtures("quiet_system")
def test_the_first_start_makes_the_venv_and_installs(tmp_path: Path, requirements: Path) -> None:
    venv, run = tmp_path / "venv", FakeRunner()
    assert not launch.is_current(venv, [requirements])
    launch.install(venv, [requirements], run)
    assert [command[2] for command in run.commands] == ["venv", "pip"]
    assert run.commands[1][-2:] == ["-r", str(requirements)]
    assert launch.is_current(venv, [requirements])


@pytest.mark.usefixtures("quiet_system")
def test_only_a_changed_file_is_installed_again(tmp_path: Path, requirements: Path) -> None:
    venv, run = tmp_path / "venv", FakeRunner()
    launch.install(venv, [requirements], run)
    requirements.write_text("torch==1.1\n")
    assert not launch.is_current(venv, [requirements])
    launch.install(venv, [requirements], run)
    assert [command[2] for command in run.commands] == ["venv", "pip", "import pip", "pip"]
    assert launch.is_current(venv, [requirements])


@pytest.mark.usefixtures("quiet_system")
def test_the_requirements_of_the_tests_have_a_stamp_of_their_own(tmp_path: Path, requirements: Path) -> None:
    venv, run = tmp_path / "venv", FakeRunner()
    (tmp_path / "tests").mkdir()
    for_tests = tmp_path / "tests" / "requirements.txt"
    for_tests.write_text("pytest==1.0\n")
    launch.install(venv, [requirements], run)
    assert not launch.is_current(venv, [requirements, for_tests])
    launch.install(venv, [requirements, for_tests], run)
    assert run.commands[-1][-4:] == ["-r", str(requirements), "-r", str(for_tests)]
    assert launch.is_current(venv, [requirements, for_tests])
    for_tests.write_text("pytest==2.0\n")
    assert launch.is_current(venv, [requirements])
    assert not launch.is_current(venv, [requirements, for_tests])


@pytest.mark.usefixtures("quiet_system")
def test_a_failed_installation_leaves_no_stamp_and_quotes_pip(tmp_path: Path, requirements: Path) -> None:
    venv = tmp_path / "venv"
    run = FakeRunner({"install": ["ERROR: Could not install packages: [Errno 28] No space left on device"]})
    with pytest.raises(launch.LaunchFailed, match=r"No space left on device[\s\S]*The disk is full"):
        launch.install(venv, [requirements], run)
    assert not launch.is_current(venv, [requirements])


@pytest.mark.usefixtures("quiet_system")
def test_a_venv_without_a_working_pip_is_made_afresh(tmp_path: Path, requirements: Path) -> None:
    venv, run = tmp_path / "venv", FakeRunner({"import pip": ["No module named pip"]})
    make_python(venv)
    launch.install(venv, [requirements], run)
    assert run.commands[1] == [sys.executable, "-m", "venv", "--clear", str(venv)]


def test_another_interpreter_behind_the_venv_means_installing_again(tmp_path: Path, requirements: Path) -> None:
    venv = tmp_path / "venv"
    make_python(venv)
    stamp = launch.stamp_path(venv, requirements)
    stamp.write_text(launch.stamp_text(venv, requirements))
    assert launch.is_current(venv, [requirements])
    python = launch.venv_python(venv)
    python.rename(tmp_path / "python3.99")
    assert not launch.is_current(venv, [requirements])
    python.symlink_to(tmp_path / "python3.99")
    assert not launch.is_current(venv, [requirements])


def test_without_ensurepip_the_debian_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(launch.LaunchFailed, match=rf"apt install python3\.{sys.version_info[1]}-venv"):
        launch.make_venv(tmp_path / "venv", FakeRunner())


def test_a_failing_venv_is_reported_with_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(launch.LaunchFailed, match="quota exceeded"):
        launch.make_venv(tmp_path / "venv", FakeRunner({"venv": ["quota exceeded"]}))


@pytest.mark.parametrize(
    ("environment", "system", "nvidia", "flags"),
    [
        ({}, "linux", True, []),
        ({}, "linux", False, []),
        ({}, "win32", False, []),
        ({}, "win32", True, ["--extra-index-url", launch.CUDA_WHEELS]),
        (
            {"TORCH_INDEX_URL": "https://example.org/cpu"},
            "linux",
            False,
            ["--extra-index-url", "https://example.org/cpu"],
        ),
        ({"TORCH_INDEX_URL": ""}, "win32", True, []),
    ],
)
def test_torch_comes_from_its_own_index_only_where_needed(
    environment: dict[str, str], system: str, nvidia: bool, flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "has_nvidia_driver", lambda environment: nvidia)
    assert launch.torch_index(environment, system) == flags


@pytest.mark.parametrize(
    ("errors", "advice"),
    [
        (["ConnectionError: Temporary failure in name resolution"], "network"),
        (["ERROR: No matching distribution found for torch"], "another Python"),
        (["PermissionError: Permission denied"], "writable"),
        (["something odd"], r"delete the folder \.venv"),
        ([], r"delete the folder \.venv"),
    ],
)
def test_advice_fits_the_complaint(errors: list[str], advice: str) -> None:
    assert advice.replace("\\", "") in launch.advice_on(errors)


def test_complaints_are_passed_through_and_quoted(capfd: pytest.CaptureFixture[str]) -> None:
    program = "import sys; print('progress'); [print('line', n, file=sys.stderr) for n in range(20)]; sys.exit(3)"
    code, errors = launch.run_quoting([sys.executable, "-c", program])
    shown = capfd.readouterr()
    assert code == 3
    assert errors == [f"line {number}" for number in range(12, 20)]
    assert "progress" in shown.out
    assert "line 0" in shown.err


def test_two_starts_at_once_install_one_after_the_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def second() -> None:
        with launch.only_installer(tmp_path / "lock"):
            order.append("second")

    with launch.only_installer(tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join(timeout=10)
    assert order == ["first", "second"]
    assert "waiting" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    with (
        pytest.raises(launch.LaunchFailed, match="cannot be written"),
        launch.only_installer(tmp_path / "missing" / "lock"),
    ):
        pass


def test_skip_install_installs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "VENV", tmp_path / "venv")
    monkeypatch.setattr(launch, "install", lambda *_: pytest.fail("installs"))
    assert launch.prepare(skip_install=True) == Path(sys.executable)
    make_python(tmp_path / "venv")
    assert launch.prepare(skip_install=True) == launch.venv_python(tmp_path / "venv")


def test_the_running_venv_is_recognised(tmp_path: Path) -> None:
    assert launch.is_running(launch.venv_python(Path(sys.prefix)))
    assert not launch.is_running(launch.venv_python(tmp_path))


def test_it_goes_on_inside_the_venv_with_the_same_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[list[str]] = []
    monkeypatch.setattr(launch, "prepare", lambda **_: Path("/elsewhere/bin/python"))
    monkeypatch.setattr(launch, "hand_over", lambda command: handed.append(list(command)) or 7)
    arguments = ["generate", "a red apple", "-o", "apple.png"]
    assert launch.main(arguments) == 7
    assert handed == [["/elsewhere/bin/python", str(launch.ROOT / "launch.py"), *arguments]]


def test_on_windows_the_exit_code_of_the_child_is_returned() -> None:
    assert launch.hand_over([sys.executable, "-c", "raise SystemExit(5)"], windows=True) == 5


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot replace a process")
def test_elsewhere_the_process_is_replaced(repo_root: Path) -> None:
    program = (
        f"import os, sys; sys.path.insert(0, {str(repo_root)!r}); import launch\n"
        "child = [sys.executable, '-c', 'import os; print(os.getpid())']\n"
        "print(os.getpid(), flush=True); launch.hand_over(child)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    first, second = done.stdout.split()
    assert first == second


def test_prepare_only_installs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(launch, "prepare", lambda **_: Path("/elsewhere/bin/python"))
    monkeypatch.setattr(launch, "hand_over", lambda command: pytest.fail("goes on"))
    assert launch.main(["prepare"]) == 0
    assert "installed" in capsys.readouterr().out
    assert launch.main(["prepare", "everything"]) == 1
    assert "everything" in capsys.readouterr().err


def test_nothing_phones_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in launch.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    seen: dict[str, str] = {}
    monkeypatch.setattr(launch, "prepare", lambda **_: seen.update(os.environ) or Path(sys.executable))
    launch.main(["prepare"])
    assert {name: seen[name] for name in launch.ENVIRONMENT} == launch.ENVIRONMENT
    assert seen["HF_HUB_OFFLINE"] == "1"
    assert seen["GRADIO_ANALYTICS_ENABLED"] == "False"


def test_test_passes_the_browser_and_the_arguments_on_to_pytest(
    monkeypatch: pytest.MonkeyPatch, repo_root: Path
) -> None:
    prepared: list[bool] = []
    handed: list[list[str]] = []
    monkeypatch.chdir(repo_root)
    monkeypatch.delenv("EASEL_CHROMIUM", raising=False)
    monkeypatch.setattr(launch, "prepare", lambda **asked: prepared.append(asked["with_tests"]) or Path("/venv/python"))
    monkeypatch.setattr(launch, "find_chromium", lambda python, environment: "/a/chromium")
    monkeypatch.setattr(launch, "hand_over", lambda command: handed.append(list(command)) or 4)
    assert launch.main(["test", "--skip-install", "-k", "cli"]) == 4
    assert prepared == [True]
    sharing = ["-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]
    assert handed == [["/venv/python", "-m", "pytest", *sharing, "-k", "cli"]]
    assert os.environ["EASEL_CHROMIUM"] == "/a/chromium"


@pytest.mark.parametrize("told", ["-n0", "-n", "--numprocesses=3", "-s", "--pdb"])
def test_who_says_how_many_processes_there_are_is_heeded(told: str) -> None:
    assert launch.workers(["-q", told]) == []


def test_without_a_browser_the_tests_run_and_say_so(
    monkeypatch: pytest.MonkeyPatch, repo_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(repo_root)
    monkeypatch.setenv("EASEL_CHROMIUM", "/gone")
    monkeypatch.setattr(launch, "find_chromium", lambda python, environment: None)
    monkeypatch.setattr(launch, "hand_over", lambda command: 0)
    assert launch.run_tests(Path("/venv/python"), []) == 0
    assert "EASEL_CHROMIUM" not in os.environ
    assert "skipped" in capsys.readouterr().out


def test_chromium_is_the_one_asked_for_then_the_systems_then_playwrights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = tmp_path / "asked"
    asked.write_text("")
    python = tmp_path / "python"
    monkeypatch.setattr(launch.shutil, "which", lambda name: "/usr/bin/chrome" if name == "google-chrome" else None)
    monkeypatch.setattr(launch, "playwright_chromium", lambda python: "/cache/chrome")
    assert launch.find_chromium(python, {"EASEL_CHROMIUM": str(asked)}) == str(asked)
    assert launch.find_chromium(python, {"EASEL_CHROMIUM": str(tmp_path / "gone")}) == "/usr/bin/chrome"
    assert "gone" in capsys.readouterr().out
    assert launch.find_chromium(python, {}) == "/usr/bin/chrome"
    monkeypatch.setattr(launch.shutil, "which", lambda name: None)
    assert launch.find_chromium(python, {}) == "/cache/chrome"


def test_chromium_is_downloaded_as_a_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    downloads: list[list[str]] = []
    monkeypatch.setattr(launch.shutil, "which", lambda name: None)
    monkeypatch.setattr(launch, "playwright_chromium", lambda python: "/new/chrome" if downloads else None)
    monkeypatch.setattr(launch.subprocess, "run", lambda command, **_: downloads.append(command))
    assert launch.find_chromium(tmp_path / "python", {}) == "/new/chrome"
    assert downloads == [[str(tmp_path / "python"), "-m", "playwright", "install", "chromium"]]


def test_no_chromium_at_all_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch.shutil, "which", lambda name: None)
    assert launch.find_chromium(tmp_path / "no-python-here", {}) is None


def test_wrong_packages_are_named_one_by_one() -> None:
    pins = "# comment\ntorch==2.0\ngradio==6.0  # why\n\nPillow==1.0\n"
    assert launch.wrong_packages(pins, {"torch": "2.0+cpu", "gradio": "6.0", "pillow": "1.0"}) == []
    assert launch.wrong_packages(pins, {"torch": "2.1", "pillow": "1.0"}) == [
        "torch is 2.1 instead of 2.0",
        "gradio is missing",
    ]


def test_every_requirement_is_pinned_exactly(repo_root: Path) -> None:
    for path in (launch.REQUIREMENTS, launch.TEST_REQUIREMENTS):
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        assert lines
        assert all("==" in line for line in lines)


def test_the_doctor_says_what_is_missing_when_there_is_no_venv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "VENV", tmp_path / "venv")
    assert launch.main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "WRONG virtual environment" in shown
    assert "-> Run `python launch.py prepare`." in shown
    assert launch.main(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert [check["name"] for check in report["checks"] if not check["ok"]] == ["virtual environment"]


def test_the_doctor_names_packages_of_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, requirements: Path
) -> None:
    make_python(tmp_path / "venv")
    monkeypatch.setattr(launch, "REQUIREMENTS", requirements)
    monkeypatch.setattr(launch, "ask", lambda python, program: json.dumps({"torch": "0.9"}))
    finding = launch.examine_installation(tmp_path / "venv")[-1]
    assert not finding.ok
    assert "torch is 0.9 instead of 1.0" in finding.detail
    assert "prepare" in finding.mend


def test_a_failure_is_one_sentence_and_not_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> Path:
        raise launch.LaunchFailed("the reason.")

    monkeypatch.setattr(launch, "prepare", fail)
    assert launch.main(["prepare"]) == 1
    assert capsys.readouterr().err.strip() == "Easel cannot start: the reason."


@pytest.mark.parametrize(
    ("problem", "advice"),
    [
        (ImportError("No module named 'torch'", name="torch"), r"delete.*\.venv"),
        (ImportError("No module named 'modules.app'", name="modules.app"), "fetch it again"),
        (OSError("libgomp.so.1: cannot open shared object file"), r"delete.*\.venv"),
    ],
)
def test_a_failing_import_is_explained(problem: Exception, advice: str) -> None:
    with pytest.raises(launch.LaunchFailed, match=f"(?i){advice}") as failure, launch.explained_imports():
        raise problem
    assert str(problem) in failure.value.reason
