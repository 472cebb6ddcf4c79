"""Command-line flags, under AUTOMATIC1111's names, to one frozen `AppConfig`. Standard library only."""

from __future__ import annotations

import argparse
import ipaddress
import os
import secrets
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn

MemoryMode = Literal["normal", "medium", "low"]
Theme = Literal["dark", "light"]
DisableExtensions = Literal["none", "extra", "all"]

REPO_ROOT = Path(__file__).resolve().parent.parent
LOOPBACK_HOST = "127.0.0.1"
EVERY_INTERFACE = "0.0.0.0"
FIRST_PORT = 7860
LAST_PORT = 65535
CHECKPOINT_FOLDER = "Stable-diffusion"
LORA_FOLDER = "Lora"
HYPERNETWORK_FOLDER = "hypernetworks"
EMBEDDING_FOLDER = "embeddings"
VAE_FOLDER = "VAE"
PREVIEW_FOLDERS = ("VAE-taesd", "VAE-approx")
STYLES_FILE = "styles.csv"
WILDCARDS = "*?["
GENERATED_USER = "easel"
GENERATED_PASSWORD_BYTES = 12
KEPT_PASSWORD = "EASEL_KEPT_PASSWORD"
"""Environment variable by which a server that starts itself anew keeps the password that it had made up."""
EXTENSIONS_WITH_FLAGS = "extensions/*/preload.py"
"""Which files below the data folder may add flags."""
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

EPILOG = """commands (in place of flags):
  launch.py generate "PROMPT" -o FILE   make pictures without the page (generate --help lists its flags)
  launch.py doctor [--json]             say what is wrong with this installation and how to mend it
  launch.py doctor --extensions [--json]  say how each extension stands: errors, missing names, shims
  launch.py prepare                     install everything and stop
  launch.py test [pytest arguments]     run the tests and the linters

Flags may also stand in the environment variable COMMANDLINE_ARGS; those given on the command line win.
Relative paths start at --data-dir; --data-dir itself starts at the current folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppConfig:
    """How this process was asked to run; made once by `parse_arguments` and handed over, never changed.

    `data_dir`: folder, absolute; the user's config.json, models/, outputs/ and extensions/ lie here. May not exist yet.
    `models_dir`: folder, absolute. May not exist yet when it was not asked for.
    `checkpoint_dirs`: folders to search for checkpoints, in order; the first is always `models_dir`/Stable-diffusion.
    `lora_dirs`, `vae_dirs`, `hypernetwork_dirs`: folders to search, in order; the first is `models_dir`/Lora, VAE or
        hypernetworks.
    `embeddings_dirs`: folders to search, in order; the first are embeddings in `data_dir` and in `models_dir`.
    `preview_dirs`: folders with TAESD's decoders.
    `styles_files`: files with styles, absolute, in order; a file's name (no folder's) may hold the wildcards * ? [].
        None of them need exist.
    `settings_file`: the options' JSON file, absolute. May not exist yet.
    `checkpoint`: file or diffusers folder to load first, absolute and there; None: the one used last.
    `host`: address or name to bind.
    `port`: TCP port; None: the first free one from 7860 on.
    `share`: open a public tunnel to this server.
    `credentials`: (user, password) pairs, never empty when anybody beyond this machine can connect; empty: no sign-in.
    `admins`: users who may download, merge and delete models; empty where nobody signs in, and everybody may.
    `api_credentials`: (user, password) pairs that the API asks for; empty: whoever may see the page may use the API.
    `generated_password`: the password that was made up for the user "easel", to be told once; None: nothing made up.
    `half`, `half_vae`: may the model, and the VAE within it, use 16-bit floats where the device is faster with them.
    `use_cpu`: keep everything on the CPU.
    `memory_mode`: GPU memory against speed; "low" saves most and is slowest. `medvram_sdxl`: "medium" for SDXL alone.
    `device_index`: which GPU, counted from 0; None: the first.
    `autolaunch`: open the page in the desktop's browser once the server answers.
    `theme`: None follows the browser's own setting.
    `hashing`: compute the hashes of all model files in the background.
    `installs`: set up what extensions need when they are new. `safe_mode`: load no extension.
    `disable_extensions`: as the option `disable_all_extensions`, on top of it.
    `extension_access`: admins may install and update extensions from other machines too.
    `log_level`: a name from `LOG_LEVELS`.
    `arguments`: what all of this was read from, COMMANDLINE_ARGS first. `foreign_flags`: those of them that only
        extensions may know, and that are to be refused if none does.
    """

    data_dir: Path
    models_dir: Path
    checkpoint_dirs: tuple[Path, ...]
    settings_file: Path
    lora_dirs: tuple[Path, ...] = ()
    hypernetwork_dirs: tuple[Path, ...] = ()
    embeddings_dirs: tuple[Path, ...] = ()
    vae_dirs: tuple[Path, ...] = ()
    preview_dirs: tuple[Path, ...] = ()
    styles_files: tuple[Path, ...] = ()
    checkpoint: Path | None = None
    host: str = LOOPBACK_HOST
    port: int | None = None
    share: bool = False
    credentials: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    admins: tuple[str, ...] = ()
    api_credentials: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    generated_password: str | None = field(default=None, repr=False)
    half: bool = True
    half_vae: bool = True
    use_cpu: bool = False
    memory_mode: MemoryMode = "normal"
    medvram_sdxl: bool = False
    device_index: int | None = None
    autolaunch: bool = False
    theme: Theme | None = None
    hashing: bool = True
    safe_mode: bool = False
    installs: bool = True
    disable_extensions: DisableExtensions = "none"
    extension_access: bool = False
    log_level: str = "INFO"
    arguments: tuple[str, ...] = field(default=(), repr=False)
    foreign_flags: tuple[str, ...] = field(default=(), repr=False)


class FlagParser(argparse.ArgumentParser):
    """An ArgumentParser whose complaints say where the list of flags is."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and leave with exit code 2."""
        self.exit(2, f"{self.prog}: {message}\n`python launch.py --help` lists every flag.\n")


def parse_arguments(
    argv: Sequence[str], environment: Mapping[str, str] | None = None, strict: bool = True
) -> AppConfig:
    """Return what `argv` (without the program's name) and the environment ask for; exits with code 2 on bad values.

    Unknown flags are bad too if `strict`, else they become `foreign_flags`.
    """
    environment = os.environ if environment is None else environment
    parser = build_parser()
    arguments = (*_arguments_from_environment(parser, environment), *argv)
    flags, foreign = _known_and_foreign(parser, arguments, strict)
    data_dir = flags.data_dir.expanduser().resolve()
    if data_dir.exists() and not data_dir.is_dir():
        parser.error(f"argument --data-dir: {data_dir} is not a folder; allowed is a folder, which need not exist yet")
    models_dir = _folder(parser, "--models-dir", data_dir, flags.models_dir) or data_dir / "models"
    checkpoint_dirs = (models_dir / CHECKPOINT_FOLDER, *_folders(parser, "--ckpt-dir", data_dir, flags.ckpt_dir))
    embeddings_dirs = (data_dir / EMBEDDING_FOLDER, models_dir / EMBEDDING_FOLDER)
    host = flags.server_name or (EVERY_INTERFACE if flags.listen else LOOPBACK_HOST)
    credentials = _read_credentials(parser, data_dir, flags)
    password = None if credentials or not (flags.share or not is_loopback(host)) else _made_up_password(environment)
    credentials = ((GENERATED_USER, password),) if password else credentials
    return AppConfig(
        data_dir=data_dir,
        models_dir=models_dir,
        checkpoint_dirs=checkpoint_dirs,
        lora_dirs=(models_dir / LORA_FOLDER, *_folders(parser, "--lora-dir", data_dir, flags.lora_dir)),
        hypernetwork_dirs=(
            models_dir / HYPERNETWORK_FOLDER, *_folders(parser, "--hypernetwork-dir", data_dir, flags.hypernetwork_dir),
        ),
        embeddings_dirs=(*embeddings_dirs, *_folders(parser, "--embeddings-dir", data_dir, flags.embeddings_dir)),
        vae_dirs=(models_dir / VAE_FOLDER, *_folders(parser, "--vae-dir", data_dir, flags.vae_dir)),
        preview_dirs=tuple(models_dir / name for name in PREVIEW_FOLDERS),
        styles_files=_styles_files(parser, data_dir, flags.styles_file),
        settings_file=data_dir / flags.ui_settings_file.expanduser(),
        checkpoint=_find_checkpoint(parser, (data_dir, *checkpoint_dirs), flags.ckpt),
        host=host,
        port=flags.port,
        share=flags.share,
        credentials=credentials,
        admins=_admins(parser, credentials, flags.admin),
        api_credentials=flags.api_auth,
        generated_password=password,
        half=not flags.no_half,
        half_vae=not (flags.no_half or flags.no_half_vae),
        use_cpu=flags.use_cpu is not None,
        memory_mode=flags.memory_mode,
        medvram_sdxl=flags.medvram_sdxl,
        device_index=flags.device_id,
        autolaunch=has_desktop(environment) if flags.autolaunch is None else flags.autolaunch,
        theme=flags.theme,
        hashing=not flags.no_hashing,
        safe_mode=flags.safe_mode,
        installs=not flags.skip_install,
        disable_extensions=flags.disable_extensions,
        extension_access=flags.enable_insecure_extension_access,
        log_level=flags.loglevel,
        arguments=arguments,
        foreign_flags=tuple(foreign),
    )


def _known_and_foreign(
    parser: argparse.ArgumentParser, arguments: Sequence[str], strict: bool
) -> tuple[argparse.Namespace, list[str]]:
    flags, foreign = parser.parse_known_args(arguments)
    if foreign and strict:
        parser.error(f"unrecognized arguments: {' '.join(foreign)}")
    return flags, foreign


def _made_up_password(environment: Mapping[str, str]) -> str:
    return environment.get(KEPT_PASSWORD) or secrets.token_urlsafe(GENERATED_PASSWORD_BYTES)


def check_arguments(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> AppConfig:
    """Do as `parse_arguments`; unknown flags are bad unless an extension in the data folder may have flags."""
    config = parse_arguments(argv, environment, strict=False)
    if config.foreign_flags and not may_have_flags(config):
        return parse_arguments(argv, environment)
    return config


def may_have_flags(config: AppConfig) -> bool:
    """Say whether there is any extension that may add flags, switched on or not."""
    return any(config.data_dir.glob(EXTENSIONS_WITH_FLAGS))


def without_help(argv: Sequence[str]) -> list[str]:
    """Return a command line without the flags that ask for help."""
    return [argument for argument in argv if argument not in ("-h", "--help")]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser that knows every flag; it opens no file and checks no folder."""
    parser = FlagParser(
        prog="launch.py",
        description="Easel: a web page on which a prompt becomes a picture.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_network_flags(parser.add_argument_group("network"))
    _add_path_flags(parser.add_argument_group("paths"))
    _add_compute_flags(parser.add_argument_group("compute"))
    _add_start_flags(parser.add_argument_group("start"))
    _add_extension_flags(parser.add_argument_group("extensions"))
    return parser


def is_loopback(host: str) -> bool:
    """Say whether a server bound to `host` can be reached from this machine alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def has_desktop(environment: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Say whether a person sits at this machine's own screen, as far as `environment` tells."""
    if "SSH_CONNECTION" in environment or "SSH_TTY" in environment:
        return False
    if platform in ("win32", "darwin"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def _add_network_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--listen", action="store_true", help="let other machines connect (bind to 0.0.0.0)")
    group.add_argument("--server-name", type=_host, metavar="HOST", help="bind to this address instead of 127.0.0.1")
    group.add_argument("--port", type=_port, help=f"default: the first free port from {FIRST_PORT} on")
    group.add_argument("--share", action="store_true", help="open a public address through Gradio's tunnel")
    group.add_argument(
        "--gradio-auth",
        type=_credentials,
        default=(),
        metavar="USER:PASS[,USER:PASS]",
        help="who may sign in; without it --listen and --share make up a password and print it",
    )
    group.add_argument(
        "--gradio-auth-path", type=Path, metavar="FILE", help="the same from a file, separated by commas or lines"
    )
    group.add_argument(
        "--admin", action="append", default=[], metavar="USER",
        help="who of them may download, merge and delete models; may be given often; default: the first",
    )  # fmt: skip
    group.add_argument(
        "--api", action="store_true", help="accepted for A1111's command lines: the API is always served"
    )
    group.add_argument(
        "--api-auth",
        type=_credentials,
        default=(),
        metavar="USER:PASS[,USER:PASS]",
        help="who may use the API; without it, whoever may see the page",
    )


def _add_path_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--data-dir", type=Path, default=REPO_ROOT, metavar="DIR", help="where settings, models and pictures lie"
    )
    group.add_argument("--models-dir", type=Path, metavar="DIR", help="default: models")
    group.add_argument(
        "--ckpt-dir", type=Path, action="append", default=[], metavar="DIR", help="one more folder with checkpoints"
    )
    group.add_argument("--ckpt", type=Path, metavar="FILE", help="the checkpoint to load first")
    for flag, content in (
        ("--lora-dir", "LoRA files"), ("--embeddings-dir", "embeddings"), ("--vae-dir", "VAEs"),
        ("--hypernetwork-dir", "hypernetworks"),
    ):  # fmt: skip
        group.add_argument(
            flag, type=Path, action="append", default=[], metavar="DIR", help=f"one more folder with {content}"
        )
    group.add_argument(
        "--styles-file",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help=f"may be given often, its name may hold wildcards (*); default: {STYLES_FILE}",
    )
    group.add_argument(
        "--ui-settings-file", type=Path, default=Path("config.json"), metavar="FILE", help="default: config.json"
    )


def _add_compute_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--no-half", action="store_true", help="32-bit floats throughout")
    group.add_argument("--no-half-vae", action="store_true", help="32-bit floats in the VAE")
    group.add_argument(
        "--use-cpu", nargs="?", const="all", choices=["all"], metavar="all", help="no GPU, even where there is one"
    )
    for flag, mode, text in (
        ("--medvram", "medium", "less GPU memory, somewhat slower"),
        ("--lowvram", "low", "least GPU memory, much slower"),
    ):
        group.add_argument(flag, dest="memory_mode", action="store_const", const=mode, default="normal", help=text)
    group.add_argument("--medvram-sdxl", action="store_true", help="--medvram for SDXL checkpoints alone")
    group.add_argument("--device-id", type=_device_index, metavar="N", help="which GPU, counted from 0")


def _add_start_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--autolaunch",
        action=argparse.BooleanOptionalAction,
        help="open the page in a browser; default: only where a desktop is seen",
    )
    group.add_argument("--theme", choices=["dark", "light"], help="default: what the browser prefers")
    group.add_argument(
        "--no-hashing", action="store_true", help="compute the hashes of model files only when they are needed"
    )
    group.add_argument("--skip-install", action="store_true", help="start with what is installed, right or wrong")
    group.add_argument(
        "--loglevel", type=str.upper, choices=LOG_LEVELS, default="INFO", metavar="LEVEL", help=", ".join(LOG_LEVELS)
    )


def _add_extension_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--safe-mode", action="store_true", help="load no extension, should one ruin the start")
    for flag, mode in (("--disable-all-extensions", "all"), ("--disable-extra-extensions", "extra")):
        group.add_argument(
            flag, dest="disable_extensions", action="store_const", const=mode, default="none",
            help="load nothing from the folder extensions",
        )  # fmt: skip
    group.add_argument(
        "--enable-insecure-extension-access", action="store_true",
        help="with --listen or --share, let admins install extensions (which are programs) from other machines too",
    )  # fmt: skip


def _arguments_from_environment(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> list[str]:
    text = environment.get("COMMANDLINE_ARGS", "")
    try:
        return shlex.split(text, posix=sys.platform != "win32")
    except ValueError as problem:
        parser.error(f"environment variable COMMANDLINE_ARGS: {text!r} cannot be split into flags: {problem}")


def _port(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= LAST_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port; allowed is a whole number from 1 to {LAST_PORT}")


def _device_index(text: str) -> int:
    if text.isdecimal():
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a GPU's number; allowed is a whole number from 0 on")


def _host(text: str) -> str:
    host = text.removeprefix("[").removesuffix("]")
    if host and not any(character.isspace() or character in "/@" for character in host):
        return host
    raise argparse.ArgumentTypeError(f"{text!r} is not a host; allowed is an IP address or a host name")


def _credentials(text: str) -> tuple[tuple[str, str], ...]:
    """Split "user:password,user:password"; the complaint counts entries, since the text itself is secret."""
    entries = [entry.strip() for entry in text.replace("\n", ",").split(",") if entry.strip()]
    if not entries:
        raise argparse.ArgumentTypeError("no user in it; allowed is USER:PASS[,USER:PASS]")
    passwords: dict[str, str] = {}
    for number, entry in enumerate(entries, start=1):
        user, _, password = entry.partition(":")
        if not user or not password:
            raise argparse.ArgumentTypeError(f"entry {number} of {len(entries)} is not of the form USER:PASS")
        if user in passwords:
            raise argparse.ArgumentTypeError(f"entry {number} of {len(entries)} names the user {user!r} again")
        passwords[user] = password
    return tuple(passwords.items())


def _read_credentials(
    parser: argparse.ArgumentParser, data_dir: Path, flags: argparse.Namespace
) -> tuple[tuple[str, str], ...]:
    given: tuple[tuple[str, str], ...] = flags.gradio_auth
    if flags.gradio_auth_path is None:
        return given
    path = data_dir / flags.gradio_auth_path.expanduser()
    try:
        from_file = _credentials(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        parser.error(f"argument --gradio-auth-path: {path} cannot be read ({problem}); allowed is a text file")
    except argparse.ArgumentTypeError as problem:
        parser.error(f"argument --gradio-auth-path: in {path}, {problem}")
    return tuple({**dict(from_file), **dict(given)}.items())


def _admins(
    parser: argparse.ArgumentParser, credentials: Sequence[tuple[str, str]], given: Sequence[str]
) -> tuple[str, ...]:
    users = [user for user, _ in credentials]
    unknown = next((name for name in given if name not in users), None)
    if unknown is not None:
        allowed = f"allowed is one of {', '.join(users)}" if users else "name users with --gradio-auth first"
        parser.error(f"argument --admin: there is no user {unknown!r}; {allowed}")
    return tuple(dict.fromkeys(given)) or tuple(users[:1])


def _folder(parser: argparse.ArgumentParser, flag: str, data_dir: Path, given: Path | None) -> Path | None:
    if given is None:
        return None
    folder = (data_dir / given.expanduser()).resolve()
    if not folder.is_dir():
        parser.error(f"argument {flag}: {folder} is not there; allowed is an existing folder")
    return folder


def _folders(parser: argparse.ArgumentParser, flag: str, data_dir: Path, given: Sequence[Path]) -> list[Path]:
    found = (_folder(parser, flag, data_dir, folder) for folder in given)
    return [folder for folder in found if folder is not None]


def _styles_files(parser: argparse.ArgumentParser, data_dir: Path, given: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files in absolute form; wildcards stay, since matching files may come later."""
    places = []
    for file in given or (Path(STYLES_FILE),):
        place = data_dir / file.expanduser()
        if place.is_dir() or any(character in str(file.parent) for character in WILDCARDS):
            allowed = "allowed is a file, with wildcards in its name only"
            parser.error(f"argument --styles-file: {str(file)!r} is not possible; {allowed}")
        places.append(place.parent.resolve() / place.name)
    return tuple(dict.fromkeys(places))


def _find_checkpoint(parser: argparse.ArgumentParser, folders: Sequence[Path], given: Path | None) -> Path | None:
    """Return the first place where `given` exists: as written, or by its name in a checkpoint folder."""
    if given is None:
        return None
    places = ((folder / given.expanduser()).resolve() for folder in folders)
    found = next((place for place in places if place.exists()), None)
    if found is None:
        looked = ", ".join(str(folder) for folder in folders)
        parser.error(
            f"argument --ckpt: {str(given)!r} is not there; allowed is a file or a diffusers folder in {looked}"
        )
    return found
