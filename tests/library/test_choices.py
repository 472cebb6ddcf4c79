"""Which names the lists offer and take."""

from pathlib import Path

import pytest

from modules.cli import parse_arguments
from modules.library.choices import Choices, open_catalog, open_embeddings, open_loras, open_vaes


def test_vaes_are_listed_and_taken_when_there_is_a_catalog(tmp_path: Path) -> None:
    config = parse_arguments(["--data-dir", str(tmp_path)], {})
    catalog = open_catalog(config)
    config.vae_dirs[0].mkdir(parents=True)
    (config.vae_dirs[0] / "a.pt").write_bytes(b"")
    choices = Choices(catalog, vaes=open_vaes(config, catalog))
    assert list(choices.names("vaes")) == ["Automatic", "None", "a.pt"]
    assert choices.accepts("vaes", "a.pt")
    assert not choices.accepts("vaes", "b.pt")


@pytest.mark.parametrize(("name", "known"), [("Automatic", True), ("None", True), ("a.pt", False)])
def test_without_a_catalog_the_vaes_are_those_without_a_file(tmp_path: Path, name: str, known: bool) -> None:
    choices = Choices(open_catalog(parse_arguments(["--data-dir", str(tmp_path)], {})))
    assert list(choices.names("vaes")) == ["Automatic", "None"]
    assert choices.accepts("vaes", name) is known


def test_upscalers_are_those_that_need_no_model(tmp_path: Path) -> None:
    choices = Choices(open_catalog(parse_arguments(["--data-dir", str(tmp_path)], {})))
    assert {"Latent", "None", "Lanczos", "Nearest"} <= set(choices.names("upscalers"))
    assert all(choices.accepts("upscalers", name) for name in choices.names("upscalers"))
    assert not choices.accepts("upscalers", "starter")
    assert list(choices.names("pixel_upscalers")) == ["None", "Lanczos", "Nearest"]
    assert choices.accepts("pixel_upscalers", "Lanczos")
    assert not choices.accepts("pixel_upscalers", "Latent")


def test_networks_are_found_where_the_command_line_says(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    config = parse_arguments(["--data-dir", str(tmp_path), "--lora-dir", "more", "--embeddings-dir", "more"], {})
    for file in ("models/Lora/a.pt", "more/b.ckpt", "more/c.bin", "embeddings/d.bin", "models/embeddings/e.pt"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"")
    hashes = open_catalog(config).hashes
    assert [file.name for file in open_loras(config, hashes).entries()] == ["a", "b"]
    assert [file.name for file in open_embeddings(config, hashes).entries()] == ["c", "d", "e"]
