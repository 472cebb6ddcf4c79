"""Tokenizers are read once, whichever folders hold their files."""

import shutil
from pathlib import Path

import pytest

from modules.engine.families import TOKENIZER
from modules.engine.words import tokenizer_of


def test_folders_with_the_same_files_share_a_tokenizer(tmp_path: Path) -> None:
    shutil.copytree(TOKENIZER, tmp_path / "copy")
    assert tokenizer_of(tmp_path / "copy") is tokenizer_of(TOKENIZER)


def test_whoever_works_at_the_same_time_has_one_of_their_own() -> None:
    assert tokenizer_of(TOKENIZER, "page") is not tokenizer_of(TOKENIZER)


def test_other_content_is_another_tokenizer(tmp_path: Path) -> None:
    shutil.copytree(TOKENIZER, tmp_path / "copy")
    merges = tmp_path / "copy" / "merges.txt"
    merges.write_text("\n".join(merges.read_text(encoding="utf-8").splitlines()[:20]), encoding="utf-8")
    other = tokenizer_of(tmp_path / "copy")
    assert len(other("photograph").input_ids) > len(tokenizer_of(TOKENIZER)("photograph").input_ids)


def test_a_folder_that_is_not_there_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        tokenizer_of(tmp_path / "nowhere")
