"""Starts Easel: makes `.venv`, installs the requirements into it, and goes on inside it.

`python launch.py --help` lists what it can do. Standard library only, and importing it does nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Callable, Iterator, Mapping, NamedTuple, NoReturn, Sequence

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements.txt"
TEST_REQUIREMENTS = ROOT / "tests" / "requirements.txt"
COMMANDS = ("serve", "generate", "doctor", "prepare", "test")
OLDEST_PYTHON = (3, 11)
NEWEST_PYTHON = (3, 13)
CUDA_WHEELS = "https://download.pytorch.org/whl/cu130"
VENV_PACKAGE = f"sudo apt install python3.{sys.version_info[1]}-venv"
QUOTED_LINES = 8
DOWNLOAD_SECONDS = 600
ASK_PLAYWRIGHT = (
    "from playwright.sync_api import sync_playwright\n"
    "with sync_playwright() as driver: print(driver.chromium.executable_path)"
)
ASK_VERSIONS = (
    "import json, importlib.metadata as metadata\n"
    "print(json.dumps({found.metadata['Name'].lower(): found.version for found in metadata.distributions()}))"
)
ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    # How long torch's waiting threads spin before they sleep. By default that is so long that it takes the processor
    # from whatever else runs, torch's own threads included; sleeping at once costs more than the small networks' work.
    "GOMP_SPINCOUNT": "20000",
}
SYSTEM_BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)

Runner = Callable[[Sequence[str]], "tuple[int, list[str]]"]


class LaunchFailed(Exception):
    """Why the start ends here and how to mend it, in words for the person who started it."""

    def __init__(self, reason: str, mend: str = "") -> None:
        super().__init__(f"{reason} {mend}".strip())
        self.reason = reason
        self.mend = mend


class Finding(NamedTuple):
    """One thing that the doctor looked at; `mend` says what to do where `ok` is false."""

    name: str
    ok: bool
    detail: str
    mend: str = ""


def main(argv: Sequence[str]) -> int:
    """Do what `argv` (without the program's name) says; return the exit code."""
    arguments = [argument for argument in argv if argument != "--skip-install"]
    command = arguments.pop(0) if arguments and arguments[0] in COMMANDS else "serve"
    skip_install = "--skip-install" in [*argv, *os.environ.get("COMMANDLINE_ARGS", "").split()]
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        check_python(sys.version_info[:2])
        if command == "serve":
            check_flags(arguments, is_running(venv_python(VENV)) or is_current(VENV, [REQUIREMENTS]))
        if command == "doctor":
            return examine(arguments, argv)
        if command == "prepare" and arguments:
            raise LaunchFailed(f"`prepare` takes no arguments, and got {' '.join(arguments)!r}")
        python = prepare(with_tests=command == "test", skip_install=skip_install)
        if command == "prepare":
            print(f"Everything is installed in {VENV}.")
            return 0
        if command == "test":
            return run_tests(python, arguments)
        if not is_running(python):
            return hand_over([str(python), str(ROOT / "launch.py"), *argv])
        return serve(arguments) if command == "serve" else generate(arguments)
    except LaunchFailed as failure:
        print(f"\nEasel cannot start: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def serve(arguments: Sequence[str]) -> int:
    """Run the server until it is stopped."""
    from modules import cli

    if cli.without_help(arguments) != list(arguments):
        with explained_imports():
            from modules import app
        app.tell_flags(cli.parse_arguments(cli.without_help(arguments), strict=False))
        return 0
    config = cli.parse_arguments(arguments, strict=False)
    if config.generated_password:
        print(f"Others can connect, so sign in as {cli.GENERATED_USER!r} with the password {config.generated_password}")
        print("(made up for this run; --gradio-auth USER:PASS sets your own)", flush=True)
    with explained_imports():
        from modules import app
    return app.serve(config)


def generate(arguments: Sequence[str]) -> int:
    """Make pictures without the page."""
    with explained_imports():
        from modules.commands import generate as command
    return command.main(arguments)


@contextlib.contextmanager
def explained_imports() -> Iterator[None]:
    """Say in words why an import fails: a package (OSError: a library of its) is broken, or the clone is incomplete."""
    try:
        yield
    except (ImportError, OSError) as problem:
        if (getattr(problem, "name", None) or "").partition(".")[0] == "modules":
            mend = "This copy of Easel is incomplete or damaged: fetch it again."
        else:
            mend = "Delete the folder .venv and run `python launch.py prepare`."
        raise LaunchFailed(f"{type(problem).__name__}: {problem}.", mend) from problem


def check_flags(arguments: Sequence[str], installed: bool) -> None:
    """Leave with a clear message when a flag is wrong, or with the help: before anything is installed.

    Flags of extensions are known only when everything is installed and those are loaded: they are judged then.
    """
    from modules import cli

    config = cli.check_arguments(cli.without_help(arguments))
    if cli.without_help(arguments) != list(arguments) and not (installed and cli.may_have_flags(config)):
        cli.parse_arguments(["--help"])


def check_python(version: Sequence[int]) -> None:
    """Raise LaunchFailed on a Python that the requirements do not support, naming a better one if there is one."""
    if OLDEST_PYTHON <= tuple(version) <= NEWEST_PYTHON:
        return
    names = [f"python3.{minor}" for minor in range(NEWEST_PYTHON[1], OLDEST_PYTHON[1] - 1, -1)]
    found = next((name for name in names if shutil.which(name)), None)
    advice = f"Start it with `{found} launch.py`." if found else "Install one of them and start launch.py with it."
    shown = ".".join(str(part) for part in version)
    raise LaunchFailed(f"it needs Python 3.11, 3.12 or 3.13, and {sys.executable} is Python {shown}. {advice}")


def prepare(with_tests: bool = False, skip_install: bool = False) -> Path:
    """Make `.venv` and install what is not there yet; return the Python to go on with."""
    python = venv_python(VENV)
    if skip_install:
        return python if python.exists() else Path(sys.executable)
    files = [REQUIREMENTS, TEST_REQUIREMENTS] if with_tests else [REQUIREMENTS]
    if not is_current(VENV, files):
        with only_installer(ROOT / ".venv.lock"):
            # Another start may have done it all while this one waited.
            if not is_current(VENV, files):
                install(VENV, files)
    return python


def venv_python(venv: Path) -> Path:
    """Return where the Python of the virtual environment `venv` lies."""
    return venv / "Scripts" / "python.exe" if os.name == "nt" else venv / "bin" / "python"


def is_running(python: Path) -> bool:
    """Say whether this process already runs in the virtual environment of `python`, or is `python` itself."""
    return Path(sys.executable) == python or Path(sys.prefix).resolve() == python.parent.parent.resolve()


def stamp_path(venv: Path, requirements: Path) -> Path:
    """Return the file that remembers what of `requirements` was installed last."""
    return venv / f".installed-{requirements.parent.name}-{requirements.name}"


def stamp_text(venv: Path, requirements: Path) -> str:
    """Return what the stamp says after a success: the file's hash and the interpreter that it was installed for."""
    interpreter = venv_python(venv).resolve()
    return f"{hashlib.sha256(requirements.read_bytes()).hexdigest()} {interpreter}"


def is_current(venv: Path, files: Sequence[Path]) -> bool:
    """Say whether `venv` holds exactly what `files` ask for, as far as the stamps tell."""
    if not venv_python(venv).exists():
        return False
    stamps = [stamp_path(venv, file) for file in files]
    return all(
        stamp.is_file() and stamp.read_text(encoding="utf-8") == stamp_text(venv, file)
        for stamp, file in zip(stamps, files)
    )


def install(venv: Path, files: Sequence[Path], run: Runner | None = None) -> None:
    """Install `files` into `venv`, which is made when it is missing or without a working pip."""
    run = run or run_quoting
    python = str(venv_python(venv))
    if not Path(python).exists() or run([python, "-c", "import pip"])[0]:
        make_venv(venv, run)
    print(f"Installing into {venv}; the first time this downloads some gigabytes.", flush=True)
    flags = [part for file in files for part in ("-r", str(file))]
    code, errors = run([python, "-m", "pip", "install", "--disable-pip-version-check", *flags, *torch_index()])
    if code:
        quoted = "\n  ".join(errors) or "(pip said nothing)"
        raise LaunchFailed(f"pip could not install the requirements. Its last lines:\n  {quoted}\n{advice_on(errors)}")
    for file in files:
        temporary = stamp_path(venv, file).with_suffix(".new")
        temporary.write_text(stamp_text(venv, file), encoding="utf-8")
        os.replace(temporary, stamp_path(venv, file))


def make_venv(venv: Path, run: Runner) -> None:
    """Make the virtual environment afresh, or say what this Python lacks for it."""
    if is_running(venv_python(venv)):
        raise LaunchFailed(f"{venv} has no working pip. Delete that folder and start with another Python than its own.")
    if importlib.util.find_spec("ensurepip") is None:
        raise LaunchFailed(f"this Python cannot make virtual environments. On Debian and Ubuntu: {VENV_PACKAGE}")
    print(f"Making {venv} with Python {platform.python_version()} …", flush=True)
    code, errors = run([sys.executable, "-m", "venv", "--clear", str(venv)])
    if code:
        raise LaunchFailed(f"making {venv} failed:\n  " + "\n  ".join(errors))


def torch_index(environment: Mapping[str, str] = os.environ, system: str = sys.platform) -> list[str]:
    """Return pip's flags for where torch comes from: PyPI's own torch uses the GPU on Linux, but not on Windows."""
    url = environment.get("TORCH_INDEX_URL")
    if url is None and system == "win32" and has_nvidia_driver(environment):
        url = CUDA_WHEELS
    return ["--extra-index-url", url] if url else []


def has_nvidia_driver(environment: Mapping[str, str]) -> bool:
    """Say whether NVIDIA's driver is installed here, by its own tool."""
    tool = Path(environment.get("SystemRoot", "C:/Windows"), "System32", "nvidia-smi.exe")
    return shutil.which("nvidia-smi") is not None or tool.exists()


def run_quoting(command: Sequence[str]) -> tuple[int, list[str]]:
    """Run `command` with its output passed through; return its exit code and its last lines of complaint."""
    # Only stderr is read here: on the terminal itself pip still draws its progress bars.
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, errors="replace") as process:
        last: deque[str] = deque(maxlen=QUOTED_LINES)
        assert process.stderr is not None
        for line in process.stderr:
            print(line, end="", file=sys.stderr, flush=True)
            last.append(line.rstrip())
    return process.returncode, [line for line in last if line]


def advice_on(errors: Sequence[str]) -> str:
    """Say what to do about pip's complaints."""
    text = "\n".join(errors).lower()
    if "no space left" in text:
        return f"The disk is full: {shutil.disk_usage(ROOT).free / 2**30:.1f} GiB are free; make room and start again."
    if "permission denied" in text or "read-only file system" in text:
        return f"Make {VENV} writable, or move this folder to where you may write."
    if any(sign in text for sign in ("name resolution", "connection", "timed out", "getaddrinfo", "max retries")):
        return "Check the network (or the proxy: HTTPS_PROXY, PIP_INDEX_URL) and start again; what is done is kept."
    if "no matching distribution" in text:
        return "This system or pip's index has no such package: try another Python (3.11 to 3.13) or index."
    return "Start again; if it stays so, delete the folder .venv and start once more."


@contextlib.contextmanager
def only_installer(lock: Path) -> Iterator[None]:
    """Hold `lock` for the block, so that two starts at once do not install into each other."""
    try:
        handle = lock.open("a+b")
    except OSError as problem:
        advice = advice_on(["permission denied"])
        raise LaunchFailed(f"{lock.parent} cannot be written ({problem.strerror}). {advice}") from problem
    with handle:
        if not try_lock(handle.fileno()):
            print("Another start is installing; waiting for it …", flush=True)
            wait_for_lock(handle.fileno())
        yield


if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> bool:
        """Take the lock unless somebody holds it; closing the file gives it back."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def wait_for_lock(descriptor: int) -> None:
        """Take the lock as soon as it is free."""
        while True:
            # LK_LOCK itself gives up after ten seconds.
            with contextlib.suppress(OSError):
                return msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Take the lock unless somebody holds it; closing the file gives it back."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def wait_for_lock(descriptor: int) -> None:
        """Take the lock as soon as it is free."""
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def hand_over(command: Sequence[str], windows: bool = os.name == "nt") -> int:
    """Go on as `command`: in this very process, or on Windows, which cannot, in a child; return its exit code."""
    sys.stdout.flush()
    sys.stderr.flush()
    if not windows:
        os.execv(command[0], list(command))
    # The console sends Ctrl+C to the child as well, and the child decides what to do about it.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with subprocess.Popen(command) as child:
            signal.signal(signal.SIGTERM, lambda *_: child.terminate())
            return child.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def run_tests(python: Path, arguments: Sequence[str]) -> int:
    """Go on as pytest, with EASEL_CHROMIUM naming the browser for the browser tests."""
    browser = find_chromium(python, os.environ)
    if browser:
        os.environ["EASEL_CHROMIUM"] = browser
    else:
        os.environ.pop("EASEL_CHROMIUM", None)
        print("No Chromium was found or could be downloaded: the browser tests will be skipped.", flush=True)
    os.chdir(ROOT)
    return hand_over([str(python), "-m", "pytest", *workers(arguments), *arguments])


def workers(arguments: Sequence[str]) -> list[str]:
    """Return what makes pytest share the tests among a few processes, unless the arguments say how themselves.

    A file's tests stay together, since they share what is dear to make. tests/sharing.py says how many processes there
    are and which files are first.
    """
    told = any(argument.startswith(("-n", "--numprocesses", "--pdb", "-s")) for argument in arguments)
    return [] if told else ["-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]


def find_chromium(python: Path, environment: Mapping[str, str]) -> str | None:
    """Return a Chromium: the one asked for, the system's, Playwright's, or one that Playwright downloads now."""
    asked = environment.get("EASEL_CHROMIUM")
    if asked:
        if Path(asked).is_file():
            return asked
        print(f"EASEL_CHROMIUM names {asked!r}, which is not there; looking for another browser.", flush=True)
    system = next((path for path in map(shutil.which, SYSTEM_BROWSERS) if path), None)
    if system:
        return system
    own = playwright_chromium(python)
    if own:
        return own
    print("Downloading Chromium for the browser tests …", flush=True)
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run([str(python), "-m", "playwright", "install", "chromium"], timeout=DOWNLOAD_SECONDS, check=True)
        return playwright_chromium(python)
    return None


def playwright_chromium(python: Path) -> str | None:
    """Return the Chromium in Playwright's own cache, if it is there."""
    answer = ask(python, ASK_PLAYWRIGHT)
    return answer if answer and Path(answer).is_file() else None


def ask(python: Path, program: str) -> str | None:
    """Return what `program` prints when `python` runs it; None when it fails."""
    try:
        done = subprocess.run([str(python), "-c", program], capture_output=True, text=True, timeout=120, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def examine(arguments: Sequence[str], argv: Sequence[str]) -> int:
    """Check what the doctor itself stands on; when that is sound, go on as the doctor inside `.venv`."""
    python = venv_python(VENV)
    findings = examine_installation(VENV)
    if all(finding.ok for finding in findings):
        if not is_running(python):
            return hand_over([str(python), str(ROOT / "launch.py"), *argv])
        try:
            with explained_imports():
                from modules.commands import doctor
        except LaunchFailed as failure:
            findings.append(Finding("imports", False, failure.reason, failure.mend))
        else:
            return doctor.main(arguments)
    if "--json" in arguments:
        print(json.dumps({"ok": False, "checks": [finding._asdict() for finding in findings]}, indent=2))
    else:
        for finding in findings:
            print(f"{'ok   ' if finding.ok else 'WRONG'} {finding.name}: {finding.detail}")
            if not finding.ok:
                print(f"      -> {finding.mend}")
    return 1


def examine_installation(venv: Path) -> list[Finding]:
    """Look at Python, the virtual environment and the packages in it, without changing anything."""
    version = platform.python_version()
    findings = [Finding("Python", True, f"{version} at {sys.executable}")]
    can_make = importlib.util.find_spec("ensurepip") is not None or venv_python(venv).exists()
    findings.append(
        Finding("venv module", True, "usable") if can_make else Finding("venv module", False, "missing", VENV_PACKAGE)
    )
    answer = ask(venv_python(venv), ASK_VERSIONS) if venv_python(venv).exists() else None
    mend = "Run `python launch.py prepare`."
    if answer is None:
        return [*findings, Finding("virtual environment", False, f"{venv} is missing or does not run", mend)]
    findings.append(Finding("virtual environment", True, str(venv)))
    wrong = wrong_packages(REQUIREMENTS.read_text(encoding="utf-8"), json.loads(answer))
    detail = "; ".join(wrong) or "every pinned version is installed"
    findings.append(Finding("packages", not wrong, detail, mend if wrong else ""))
    return findings


def wrong_packages(requirements: str, installed: Mapping[str, str]) -> list[str]:
    """Return a sentence for each pin of `requirements` that `installed` (name in lower case: version) does not meet."""
    wrong = []
    for line in requirements.splitlines():
        name, _, pin = line.partition("#")[0].strip().partition("==")
        version = installed.get(name.lower())
        if name and version is None:
            wrong.append(f"{name} is missing")
        # torch's builds add where they come from, as in 2.13.0+cpu.
        elif name and version is not None and version.partition("+")[0] != pin:
            wrong.append(f"{name} is {version} instead of {pin}")
    return wrong


def __getattr__(name: str) -> object:
    """Return what install.py of A1111's extensions calls here, such as `launch.run_pip` and `launch.is_installed`."""
    if name.startswith("__"):
        raise AttributeError(name)
    import importlib

    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    try:
        return getattr(importlib.import_module("modules.a1111.launch_utils"), name)
    except ImportError:
        raise AttributeError(f"module 'launch' has no attribute {name!r}") from None


def run_from_command_line() -> NoReturn:
    """Run `main` on this process's own arguments."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run_from_command_line()
