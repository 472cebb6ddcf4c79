"""Flags become an AppConfig; every wrong one is refused with its name, its value and what is allowed."""

import dataclasses
import re
from pathlib import Path

import pytest

from modules.cli import KEPT_PASSWORD, LOG_LEVELS, AppConfig, build_parser, has_desktop, is_loopback, parse_arguments


def parse(*arguments: str, **environment: str) -> AppConfig:
    return parse_arguments(arguments, environment)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str, **environment: str) -> str:
    with pytest.raises(SystemExit) as leaving:
        parse(*arguments, **environment)
    assert leaving.value.code == 2
    return capsys.readouterr().err


def test_without_flags_only_this_machine_can_connect(repo_root: Path) -> None:
    config = parse()
    assert (config.host, config.port, config.share, config.credentials) == ("127.0.0.1", None, False, ())
    assert config.data_dir == repo_root
    assert config.models_dir == repo_root / "models"
    assert config.checkpoint_dirs == (repo_root / "models" / "Stable-diffusion",)
    assert config.settings_file == repo_root / "config.json"
    assert config.lora_dirs == (repo_root / "models" / "Lora",)
    assert config.embeddings_dirs == (repo_root / "embeddings", repo_root / "models" / "embeddings")
    assert config.vae_dirs == (repo_root / "models" / "VAE",)
    assert config.styles_files == (repo_root / "styles.csv",)
    assert config.api_credentials == ()
    assert config.half
    assert config.half_vae
    assert config.memory_mode == "normal"
    assert not config.medvram_sdxl
    assert config.generated_password is None


@pytest.mark.parametrize("arguments", [("--listen",), ("--server-name", "192.168.1.5"), ("--share",)])
def test_whoever_opens_the_server_gets_a_password_made_up(arguments: tuple[str, ...]) -> None:
    config = parse(*arguments)
    assert config.credentials == (("easel", config.generated_password),)
    assert config.generated_password is not None
    assert len(config.generated_password) >= 16
    assert config.generated_password not in repr(config)
    assert config.generated_password != parse(*arguments).generated_password


def test_given_credentials_are_kept_and_nothing_is_made_up() -> None:
    config = parse("--listen", "--gradio-auth", "ann:se:cret, bob:b")
    assert config.credentials == (("ann", "se:cret"), ("bob", "b"))
    assert config.generated_password is None
    assert config.host == "0.0.0.0"
    assert "se:cret" not in repr(config)


def test_the_api_may_have_credentials_of_its_own() -> None:
    config = parse("--api", "--api-auth", "ann:se:cret, bob:b")
    assert config.api_credentials == (("ann", "se:cret"), ("bob", "b"))
    assert config.credentials == ()
    assert "se:cret" not in repr(config)


def test_credentials_are_read_from_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "users.txt").write_text("ann:one\nbob:two,\n\ncid:three\n")
    config = parse("--data-dir", str(tmp_path), "--gradio-auth-path", "users.txt", "--gradio-auth", "ann:first")
    assert dict(config.credentials) == {"ann": "first", "bob": "two", "cid": "three"}


@pytest.mark.parametrize("flag", ["--gradio-auth", "--api-auth"])
@pytest.mark.parametrize("text", ["", "ann", "ann:", ":secret", "ann:secret,bob", "ann:secret,ann:other"])
def test_malformed_credentials_are_refused_without_repeating_them(
    flag: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refusal(capsys, flag, text)
    assert flag in message
    assert "secret" not in message


def test_a_missing_or_malformed_credentials_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.txt").write_text("nobody")
    for name in ("missing.txt", "bad.txt"):
        message = refusal(capsys, "--data-dir", str(tmp_path), "--gradio-auth-path", name)
        assert "--gradio-auth-path" in message
        assert str(tmp_path / name) in message


@pytest.mark.parametrize("value", ["0", "65536", "99999", "-1", "abc", "7860.5", ""])
def test_a_bad_port_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    message = refusal(capsys, f"--port={value}")
    assert "--port" in message
    assert repr(value) in message
    assert "1 to 65535" in message


@pytest.mark.parametrize(
    ("arguments", "flag", "value"),
    [
        (("--server-name", "http://here"), "--server-name", "http://here"),
        (("--server-name", ""), "--server-name", "''"),
        (("--device-id", "-1"), "--device-id", "-1"),
        (("--device-id", "first"), "--device-id", "first"),
        (("--theme", "pink"), "--theme", "pink"),
        (("--loglevel", "chatty"), "--loglevel", "CHATTY"),
        (("--use-cpu", "interrogate"), "--use-cpu", "interrogate"),
        (("--models-dir", "nowhere"), "--models-dir", "nowhere"),
        (("--ckpt-dir", "nowhere"), "--ckpt-dir", "nowhere"),
        (("--lora-dir", "nowhere"), "--lora-dir", "nowhere"),
        (("--embeddings-dir", "nowhere"), "--embeddings-dir", "nowhere"),
        (("--vae-dir", "nowhere"), "--vae-dir", "nowhere"),
        (("--styles-file", "sty*/a.csv"), "--styles-file", "sty*/a.csv"),
        (("--styles-file", "."), "--styles-file", "'.'"),
        (("--ckpt", "nothing.safetensors"), "--ckpt", "nothing.safetensors"),
        (("--xformers",), "--xformers", "--help"),
        (("surprise",), "surprise", "--help"),
    ],
)
def test_a_bad_value_is_refused_by_name(
    arguments: tuple[str, ...], flag: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refusal(capsys, *arguments)
    assert flag in message
    assert value in message


def test_a_data_folder_may_be_new_but_not_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert parse("--data-dir", str(tmp_path / "new")).models_dir == tmp_path / "new" / "models"
    (tmp_path / "file").write_text("")
    assert "--data-dir" in refusal(capsys, "--data-dir", str(tmp_path / "file"))


def test_relative_paths_start_at_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "one.safetensors").write_bytes(b"")
    flags = ["--ckpt-dir", "more", "--ui-settings-file", "mine.json", "--ckpt", "more/one.safetensors"]
    config = parse("--data-dir", str(tmp_path), *flags)
    assert config.checkpoint_dirs == (tmp_path / "models" / "Stable-diffusion", tmp_path / "more")
    assert config.settings_file == tmp_path / "mine.json"
    assert config.checkpoint == tmp_path / "more" / "one.safetensors"


def test_more_folders_come_behind_the_first_ones(tmp_path: Path) -> None:
    for name in ("models", "one", "two"):
        (tmp_path / name).mkdir()
    flags = [f"--{kind}-dir={name}" for kind in ("lora", "embeddings", "vae", "hypernetwork")
             for name in ("one", "two")]  # fmt: skip
    config = parse("--data-dir", str(tmp_path), "--models-dir", str(tmp_path / "models"), *flags)
    more = (tmp_path / "one", tmp_path / "two")
    assert config.lora_dirs == (tmp_path / "models" / "Lora", *more)
    assert config.embeddings_dirs == (tmp_path / "embeddings", tmp_path / "models" / "embeddings", *more)
    assert config.vae_dirs == (tmp_path / "models" / "VAE", *more)
    assert config.hypernetwork_dirs == (tmp_path / "models" / "hypernetworks", *more)


def test_styles_may_come_from_several_files_with_wildcards_in_their_names(tmp_path: Path) -> None:
    data_dir = tmp_path / "[data]"
    config = parse(
        "--data-dir", str(data_dir), "--styles-file", "sub/a*.csv", "--styles-file", "b.csv", "--styles-file", "b.csv"
    )
    assert config.styles_files == (data_dir / "sub" / "a*.csv", data_dir / "b.csv")


def test_a_checkpoint_is_found_by_its_name_in_a_checkpoint_folder(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "one.safetensors").write_bytes(b"")
    config = parse("--data-dir", str(tmp_path), "--ckpt-dir", "more", "--ckpt", "one.safetensors")
    assert config.checkpoint == tmp_path / "more" / "one.safetensors"


def test_the_environment_gives_flags_that_the_command_line_overrules() -> None:
    config = parse("--port", "8001", COMMANDLINE_ARGS="--port 8000 --lowvram --theme dark")
    assert (config.port, config.memory_mode, config.theme) == (8001, "low", "dark")


def test_an_unclosed_quote_in_the_environment_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert "COMMANDLINE_ARGS" in refusal(capsys, COMMANDLINE_ARGS='--theme "dark')


@pytest.mark.parametrize("arguments", [("--use-cpu",), ("--use-cpu", "all")])
def test_the_cpu_can_be_asked_for(arguments: tuple[str, ...]) -> None:
    assert parse(*arguments).use_cpu
    assert not parse().use_cpu


def test_no_half_covers_the_vae() -> None:
    assert not parse("--no-half").half_vae
    only_vae = parse("--no-half-vae")
    assert only_vae.half
    assert not only_vae.half_vae


@pytest.mark.parametrize("level", LOG_LEVELS)
def test_log_levels_are_taken_in_any_case(level: str) -> None:
    assert parse("--loglevel", level.lower()).log_level == level


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *((host, True) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost", "a.localhost")),
        *((host, False) for host in ("0.0.0.0", "::", "192.168.0.2", "example.org", "", "0")),
    ],
)
def test_only_loopback_addresses_count_as_this_machine(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_an_ipv6_address_may_stand_in_brackets() -> None:
    assert parse("--server-name", "[::1]").host == "::1"


@pytest.mark.parametrize(
    ("environment", "platform", "desktop"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": ":10", "SSH_CONNECTION": "a b"}, "linux", False),
        ({}, "win32", True),
        ({"SSH_TTY": "/dev/pts/1"}, "darwin", False),
    ],
)
def test_a_browser_opens_only_where_a_desktop_is_seen(
    environment: dict[str, str], platform: str, desktop: bool
) -> None:
    assert has_desktop(environment, platform) is desktop


def test_autolaunch_can_be_forced_either_way() -> None:
    assert parse("--autolaunch").autolaunch
    assert not parse("--no-autolaunch", DISPLAY=":0").autolaunch


def test_every_field_is_described() -> None:
    for field in dataclasses.fields(AppConfig):
        assert f"`{field.name}`" in (AppConfig.__doc__ or ""), field.name


def test_every_flag_has_help() -> None:
    text = build_parser().format_help()
    for action in build_parser()._actions:
        assert action.help, action.option_strings
        assert action.option_strings[0] in text
    assert re.search(r"launch\.py generate .*\n\s+launch\.py doctor", text)


def test_the_help_says_that_the_api_is_always_there() -> None:
    assert re.search(r"--api\s[^-]*always\s+served", build_parser().format_help())


def test_the_config_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse().port = 1  # type: ignore[misc]


def test_the_first_user_is_the_admin_unless_others_are_named(tmp_path: Path) -> None:
    users = ["--data-dir", str(tmp_path), "--gradio-auth", "anna:x,ben:y"]
    assert parse_arguments(users, {}).admins == ("anna",)
    assert parse_arguments([*users, "--admin", "ben", "--admin", "anna"], {}).admins == ("ben", "anna")
    assert parse_arguments(["--data-dir", str(tmp_path)], {}).admins == ()


@pytest.mark.parametrize("more", [[], ["--gradio-auth", "anna:x"]])
def test_an_admin_must_be_a_user(tmp_path: Path, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--data-dir", str(tmp_path), *more, "--admin", "ben"], {})
    assert "there is no user 'ben'" in capsys.readouterr().err


def test_extensions_can_be_left_out_and_installed_from_elsewhere_only_by_flags(tmp_path: Path) -> None:
    def parsed(*flags: str) -> AppConfig:
        return parse_arguments(["--data-dir", str(tmp_path), *flags], {})

    usual = parsed()
    assert (usual.safe_mode, usual.disable_extensions, usual.extension_access, usual.installs) == (
        False, "none", False, True,
    )  # fmt: skip
    assert parsed("--safe-mode").safe_mode
    assert parsed("--disable-all-extensions").disable_extensions == "all"
    assert parsed("--disable-extra-extensions").disable_extensions == "extra"
    assert parsed("--enable-insecure-extension-access").extension_access
    assert not parsed("--skip-install").installs


def test_a_server_that_starts_itself_anew_keeps_the_password_that_it_made_up(tmp_path: Path) -> None:
    config = parse_arguments(["--data-dir", str(tmp_path), "--listen"], {KEPT_PASSWORD: "as before"})
    assert config.credentials == (("easel", "as before"),)
    own = ["--data-dir", str(tmp_path), "--listen", "--gradio-auth", "anna:x"]
    assert parse_arguments(own, {KEPT_PASSWORD: "as before"}).credentials == (("anna", "x"),)
