"""A1111's modules.launch_utils: what extensions' install.py calls. Also reached as `launch.run_pip` and the like.

P's installer runs install.py in a process of its own, with our versions as constraints for pip.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from modules.a1111.cmd_args import completed, parser
from modules.cli import REPO_ROOT
from modules.core.version import VERSION

python = sys.executable
GIT = os.environ.get("GIT", "git")
git = GIT
INDEX_URL = os.environ.get("INDEX_URL", "")
index_url = INDEX_URL
dir_repos = "repositories"
default_command_live = os.environ.get("WEBUI_LAUNCH_LIVE_OUTPUT") == "1"
re_requirement = re.compile(r"\s*([-_a-zA-Z0-9]+)\s*(?:==\s*([-+_.a-zA-Z0-9]+))?\s*")
A1111_VERSION = "v1.10.1"
"""The version whose API this is, for extensions that compare versions."""


def __getattr__(name: str) -> Any:
    """Return the command line as A1111's parser reads it."""
    if name == "args":
        flags = parser.parse_args()
        completed(flags)
        return flags
    raise AttributeError(name)


def git_tag() -> str:
    """Return A1111's version whose API Easel has."""
    return A1111_VERSION


@cache
def commit_hash() -> str:
    """Return Easel's version: it has no commit of A1111's."""
    return f"easel-{VERSION}"


def run(
    command: str | Sequence[str],
    desc: str | None = None,
    errdesc: str | None = None,
    custom_env: dict[str, str] | None = None,
    live: bool = default_command_live,
) -> str:
    """Run a command and return what it says. Raises RuntimeError with its output when it fails."""
    if desc:
        sys.stdout.write(f"{desc}\n")
    words = shlex.split(command, posix=os.name != "nt") if isinstance(command, str) else list(command)
    if os.name == "nt":
        words = [word.strip('"') for word in words]
    result = subprocess.run(
        words, env=custom_env or os.environ, capture_output=not live, text=True, errors="ignore", check=False
    )
    if result.returncode:
        said = "" if live else f"\nstdout: {result.stdout}\nstderr: {result.stderr}"
        raise RuntimeError(
            f"{errdesc or 'Error running command'}.\nCommand: {command}\nError code: {result.returncode}{said}"
        )
    return result.stdout or ""


def is_installed(package: str) -> bool:
    """Say whether a distribution or an importable module of that name is there."""
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        try:
            return importlib.util.find_spec(package) is not None
        except (ImportError, ValueError):
            return False
    return True


def repo_dir(name: str) -> str:
    """Return where the repository of another program would lie."""
    return str(REPO_ROOT / dir_repos / name)


def run_pip(command: str, desc: str | None = None, live: bool = default_command_live) -> str:
    """Run `pip` with some arguments, in the environment that Easel runs in."""
    index = ["--index-url", index_url] if index_url else []
    words = [python, "-m", "pip", *shlex.split(command, posix=os.name != "nt"), "--prefer-binary", *index]
    return run(words, f"Installing {desc}" if desc else None, f"Couldn't install {desc}", live=live)


def requirements_met(requirements_file: str) -> bool:
    """Say whether every line of a requirements file is installed, in its version where one is pinned."""
    for line in Path(requirements_file).read_text(encoding="utf-8").splitlines():
        match = re_requirement.match(line)
        if not line.strip() or line.lstrip().startswith("#") or match is None:
            continue
        try:
            there = importlib.metadata.version(match[1].strip())
        except importlib.metadata.PackageNotFoundError:
            return False
        if match[2] and there != match[2].strip():
            return False
    return True


def run_git(
    dir: str, name: str, command: str, desc: str | None = None, errdesc: str | None = None,  # noqa: A002
    custom_env: dict[str, str] | None = None, live: bool = default_command_live,
) -> str:  # fmt: skip
    """Run `git` in a folder."""
    return run([git, "-C", dir, *shlex.split(command)], desc, errdesc or f"git failed in {name}", custom_env, live)


def git_clone(url: str, dir: str, name: str, commithash: str | None = None) -> None:  # noqa: A002
    """Clone a repository into a folder, at a commit where one is given; what is there stays."""
    if not Path(dir).exists():
        run([git, "clone", "--config", "core.filemode=false", url, dir], f"Cloning {name}", f"Couldn't clone {name}")
    if commithash is not None:
        run_git(dir, name, f"checkout {commithash}")


def git_pull_recursive(dir: str) -> None:  # noqa: A002
    """Pull every repository directly below a folder."""
    for place in Path(dir).iterdir():
        if (place / ".git").is_dir():
            run_git(str(place), place.name, "pull --autostash")


def check_python_version() -> None:
    """Do nothing: launch.py has checked it."""


def prepare_environment() -> None:
    """Do nothing: launch.py has done it."""
