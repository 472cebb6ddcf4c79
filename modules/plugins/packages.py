"""What an extension wants installed, held to the versions that Easel stands on.

First what it imports and A1111 would have brought (`expected.py`), then its requirements.txt and install.py.

Core packages are those that requirements.txt of Easel names and all that these need. pip is told their versions as
constraints, which install.py's own calls of pip inherit. What still changes one of them is put back, and refused.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from modules.core.errors import ExtensionFailed
from modules.core.files import write_whole
from modules.plugins.expected import ImportMemory, missing_packages
from modules.plugins.lenient import REQUIREMENTS_FILE, LenientInstall, asked_by, asked_of_pip, conflicts_of
from modules.plugins.programs import Watch, quiet_environment, run_program
from modules.plugins.requirements import applies, installed_version, parsed
from modules.plugins.sources import PROTOCOLS

logger = logging.getLogger(__name__)

INSTALL_FILE = "install.py"
CONSTRAINTS_FILE = "extension-constraints.txt"
DONE_FILE = "extension-setups.json"
IMPORTS_FILE = "extension-imports.json"
TORCH_WHEELS = "https://download.pytorch.org/whl"
COUPLED = frozenset({"torchvision", "torchaudio", "xformers", "bitsandbytes", "flash-attn", "sageattention", "triton"})
"""Packages that fit one build of torch alone; with another one they cannot be imported, nor what tries to use them."""
_LAST_LINES = 5
_MOST_TRIES = 6
"""So often an install.py runs that asks for one thing after another that cannot be had."""
_KEPT_LINES = 400
_VERSIONS = re.compile(r" \(from versions: [^)]*\)?")
_LENIENT = "lenient:"
"""Stands before what is noted of an extension that was set up leniently, and will be when it is updated."""
_CONSTRAINED = re.compile(r"The user requested \(constraint\) (?P<pin>\S+)")
_ASKED = re.compile(
    r"^\s*(?:The user requested (?!\(constraint\))(?P<user>\S.*)|(?P<who>\S+ \S+) depends on (?P<needs>\S.*))$"
)


class CoreRefused(ExtensionFailed):
    """An extension would have changed a package that Easel itself stands on."""


@dataclass(frozen=True, slots=True)
class SetupPlaces:
    """Where things lie, and how to see whether Easel still starts.

    `root`: Easel's own folder, in which install.py runs; `state`: for what is remembered. `trial`: what Python is to
    run after packages have come, which fails when Easel cannot be imported any more; empty for no trial.
    """

    root: Path
    state: Path
    trial: tuple[str, ...] = ()


class PackageSetup:
    """Sets extensions up: what they need from pip, and their install.py. Raises ExtensionFailed and TaskCancelled."""

    def __init__(self, places: SetupPlaces, protocols: tuple[str, ...] = PROTOCOLS) -> None:
        self._places = places
        self._protocols = protocols
        self._imports = ImportMemory(places.state / IMPORTS_FILE)

    def wanted(self, folder: Path) -> bool:
        """Say whether an extension has anything to set up that was not set up, or tried, as it is now."""
        digest = _digest(folder, missing_packages(folder, self._imports))
        return bool(digest) and self._noted(folder).removeprefix(_LENIENT) != digest

    def run(self, folder: Path, watch: Watch, lenient: bool = False) -> bool:
        """Set an extension up; says whether there was anything to do. Raises CoreRefused too.

        `lenient`: what would change a core package is left out, and all else installed; see `LenientInstall`.
        """
        missing = missing_packages(folder, self._imports)
        digest = _digest(folder, missing)
        if not digest:
            return False
        lenient = lenient or self._noted(folder).startswith(_LENIENT)
        mark = _LENIENT if lenient else ""
        # Noted first: what fails, or kills, is not tried again at every start.
        _note_done(self._places.state, folder.name, mark + digest)
        before, there = core_versions(self._places.root / REQUIREMENTS_FILE), installed_names()
        environment = self._environment(before)
        # What came before it failed or was stopped may keep Easel from starting as well.
        to_the_end = Watch(watch.line, lambda: False)
        try:
            self._install_expected(missing, environment, watch)
            if lenient:
                self._set_up_leniently(folder, before, environment, watch)
            else:
                self._install_requirements(folder, before, environment, watch)
                self._run_installer(folder, before, environment, watch)
        finally:
            try:
                self._put_back(before, environment, to_the_end)
            finally:
                self._try_out(there, environment, to_the_end)
        _note_done(self._places.state, folder.name, mark + _digest(folder, missing_packages(folder, self._imports)))
        return True

    def forget(self, name: str) -> None:
        """Forget that an extension of this name was set up."""
        _note_done(self._places.state, name, "")

    def _noted(self, folder: Path) -> str:
        return _read_done(self._places.state).get(folder.name, "")

    def _install_expected(self, missing: Sequence[str], environment: Mapping[str, str], watch: Watch) -> None:
        """Install each of these packages that can be had; the extension says by itself what it cannot do without."""
        for package in missing:
            watch.line(f"It imports {package}, which A1111 has and Easel has not.")
            command = ["-m", "pip", "install", "--prefer-binary", package, *torch_index()]
            if self._run(command, environment, watch) is not None:
                watch.line(f"{package} could not be installed; going on without it.")

    def _install_requirements(
        self, folder: Path, core: Mapping[str, str], environment: Mapping[str, str], watch: Watch
    ) -> None:
        file = folder / REQUIREMENTS_FILE
        if file.is_file():
            said = self._run(["-m", "pip", "install", "--prefer-binary", "-r", str(file)], environment, watch)
            if said is not None:
                _raise_refusal(said, f"pip could not install its {REQUIREMENTS_FILE}", core)

    def _run_installer(
        self, folder: Path, core: Mapping[str, str], environment: Mapping[str, str], watch: Watch
    ) -> None:
        file = folder / INSTALL_FILE
        if file.is_file():
            said = self._run([str(file)], environment, watch)
            if said is not None:
                _raise_refusal(said, f"its {INSTALL_FILE} failed", core)

    def _set_up_leniently(
        self, folder: Path, core: Mapping[str, str], environment: Mapping[str, str], watch: Watch
    ) -> None:
        """Install all that can be had without changing the core, and have install.py find it there."""

        def pip(arguments: Sequence[str]) -> bool:
            return self._run(["-m", "pip", *arguments], environment, watch) is None

        packages = LenientInstall(core, pip, watch.line)
        packages.install(asked_by(folder))
        for _ in range(_MOST_TRIES if (folder / INSTALL_FILE).is_file() else 0):
            said = self._run([str(folder / INSTALL_FILE)], environment, watch)
            if said is None:
                return
            if not packages.install(asked_of_pip(said)):
                if refusal_of(said, core) is None:
                    _raise_refusal(said, f"its {INSTALL_FILE} failed", core)
                watch.line("Going on without what would change what Easel stands on.")
                return

    def _run(self, arguments: Sequence[str], environment: Mapping[str, str], watch: Watch) -> list[str] | None:
        """Run Python; returns None when all went well, else the last of what it said."""
        said: list[str] = []

        def line(text: str) -> None:
            said.append(text)
            del said[:-_KEPT_LINES]
            watch.line(text)

        code = run_program([sys.executable, *arguments], self._places.root, environment, Watch(line, watch.cancelled))
        # An install.py often goes on when its pip was refused, and ends well.
        return said if code or any(_CONSTRAINED.search(text) for text in said) else None

    def _environment(self, pins: Mapping[str, str]) -> dict[str, str]:
        path = self._places.state / CONSTRAINTS_FILE
        path.write_text("".join(f"{name}=={version}\n" for name, version in sorted(pins.items())), encoding="utf-8")
        known = os.environ.get("PYTHONPATH", "")
        python_path = os.pathsep.join([str(self._places.root), *([known] if known else [])])
        # As an address, since pip divides the variable at blanks, which a path may hold.
        more = {"PIP_CONSTRAINT": path.as_uri(), "PYTHONPATH": python_path, "PIP_RETRIES": "1", "PIP_TIMEOUT": "20"}
        return quiet_environment(self._protocols, more)

    def _put_back(self, before: Mapping[str, str], environment: Mapping[str, str], watch: Watch) -> None:
        now = {name: installed_version(name) for name in before}
        changed = {name: version for name, version in before.items() if now[name] != version}
        if not changed:
            return
        wanted = [f"{name}=={version}" for name, version in sorted(changed.items())]
        watch.line(f"Putting back {', '.join(wanted)}")
        failed = self._run(["-m", "pip", "install", "--no-deps", "--force-reinstall", *wanted], environment, watch)
        what = ", ".join(f"{name} {before[name]} to {now[name] or 'nothing'}" for name in sorted(changed))
        end = " They could not be put back: run `python launch.py prepare`." if failed else " They were put back."
        raise CoreRefused(f"It changed packages that Easel needs as they are: {what}.{end}")

    def _try_out(self, before: frozenset[str], environment: Mapping[str, str], watch: Watch) -> None:
        """Take new packages away again when Easel cannot be imported beside them."""
        # What changes no core package may still break one: transformers fails beside a torchvision for another torch.
        added = sorted(installed_names() - before)
        if not added or not self._places.trial:
            return
        said = self._run(self._places.trial, environment, watch)
        if said is None:
            return
        reason = next((line.rstrip(".") for line in reversed(said) if line.strip()), "it did not say why")
        coupled = sorted(COUPLED.intersection(added))
        if coupled:
            self._remove(coupled, environment, watch)
            if self._run(self._places.trial, environment, watch) is None:
                raise ExtensionFailed(f"Easel cannot start beside {', '.join(coupled)}, now removed: {reason}.")
        self._remove(added, environment, watch)
        left = sorted(installed_names() - before)
        end = f"{', '.join(left)} could not be removed: uninstall that by hand." if left else "They were removed."
        raise CoreRefused(f"Easel cannot start beside what it brought ({', '.join(added)}): {reason}. {end}")

    def _remove(self, names: Sequence[str], environment: Mapping[str, str], watch: Watch) -> None:
        watch.line(f"Removing {', '.join(names)}")
        self._run(["-m", "pip", "uninstall", "-y", *names], environment, watch)


def core_versions(requirements: Path) -> dict[str, str]:
    """Return the installed versions of the packages that a requirements file names and of all that these need."""
    lines = requirements.read_text(encoding="utf-8").splitlines() if requirements.is_file() else []
    waiting = [name for line in lines for name in _names([line.partition("#")[0]])]
    found: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found[name] = distribution.version
        waiting += _names(distribution.requires or ())
    return found


def installed_names() -> frozenset[str]:
    """Return the names of all packages that lie on disk now."""
    found = (distribution.metadata["Name"] for distribution in importlib.metadata.distributions())
    return frozenset(canonicalize_name(name) for name in found if name)


def refusal_of(lines: Sequence[str], core: Mapping[str, str]) -> str | None:
    """Return why pip refuses what would change a core package, in words; None when that is not the reason."""
    unmet = dict(conflicts_of(lines, core))
    pins = [match["pin"] for line in lines if (match := _CONSTRAINED.search(line))] + list(unmet.values())
    if not pins:
        return None
    asked = list(unmet) + [match["user"] or f"{match['who']}, which needs {match['needs']}" for line in lines
             if (match := _ASKED.match(line))]  # fmt: skip
    wants = f"It wants {'; '.join(dict.fromkeys(asked))}" if asked else "It wants other versions"
    return f"{wants}, but Easel needs {', '.join(dict.fromkeys(pins))}."


def _raise_refusal(said: Sequence[str], what: str, core: Mapping[str, str]) -> None:
    refusal = refusal_of(said, core)
    if refusal is not None:
        raise CoreRefused(refusal)
    telling = [line for line in said if line.startswith("ERROR:")] or [line for line in said if line.strip()]
    told = " ".join(_VERSIONS.sub("", line) for line in telling[-_LAST_LINES:])
    raise ExtensionFailed(f"{what}: {told or 'it did not say why.'}")


def _names(requirements: Sequence[str]) -> Iterator[str]:
    """Yield the packages that requirements name, those for other systems and for extras left out."""
    for requirement in filter(None, map(parsed, requirements)):
        if applies(requirement):
            yield canonicalize_name(requirement.name)


def torch_index() -> list[str]:
    """Return pip's flags for where the torch that is installed comes from, if that is not PyPI: others must fit it."""
    build = installed_version("torch").partition("+")[2]
    return ["--extra-index-url", f"{TORCH_WHEELS}/{build}"] if build else []


def _digest(folder: Path, missing: Sequence[str]) -> str:
    """Return what tells one state of an extension's setup from another; "" when it has nothing to set up."""
    digest = hashlib.sha256()
    files = [path for name in (REQUIREMENTS_FILE, INSTALL_FILE) if (path := folder / name).is_file()]
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    digest.update(" ".join(missing).encode())
    return digest.hexdigest() if files or missing else ""


def _read_done(state: Path) -> dict[str, str]:
    try:
        content = json.loads((state / DONE_FILE).read_text(encoding="utf-8"))
        return {str(name): str(digest) for name, digest in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        logger.warning("What was set up for extensions cannot be read (%s).", error)
        return {}


def _note_done(state: Path, name: str, digest: str) -> None:
    done = {**_read_done(state), name: digest}
    content = json.dumps({name: digest for name, digest in done.items() if digest}, indent=1)
    write_whole(state / DONE_FILE, content)
