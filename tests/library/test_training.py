"""What trainers wrote down is shown readable: facts in words, tags with counts over all folders."""

import json

import pytest

from modules.library.headers import sd_version
from modules.library.training import LONGEST_RAW, raw_metadata, tag_counts, training_facts


def test_facts_are_labelled_and_what_says_nothing_is_left_out() -> None:
    metadata = {
        "ss_network_dim": "16", "ss_sd_model_name": "base.safetensors", "ss_vae_name": "x", "ss_seed": "None",
        "ss_training_started_at": "1700000000.25", "ss_training_finished_at": "some day", "ss_training_comment": " ",
    }  # fmt: skip
    assert training_facts(metadata) == [
        ("Trained on", "base.safetensors"), ("Rank", "16"), ("Training began", "2023-11-14 22:13"),
        ("Training ended", "some day"),
    ]  # fmt: skip


def test_tags_are_counted_over_all_folders_the_most_frequent_first() -> None:
    folders = {"10_a": {"cat": 3, " dog ": 5}, "1_b": {"cat": 4, "": 9, "fish": "many"}, "c": None}
    assert tag_counts({"ss_tag_frequency": json.dumps(folders)}) == [("cat", 7), ("dog", 5)]


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"a": 3}', "null"])
def test_a_broken_table_of_tags_has_none(text: str) -> None:
    assert tag_counts({"ss_tag_frequency": text}) == []


def test_the_raw_metadata_is_all_there_by_name_long_values_cut() -> None:
    raw = raw_metadata({"b": "x" * (LONGEST_RAW + 5), "a": "1"})
    assert list(raw) == ["a", "b"]
    assert raw["b"].endswith(f"({LONGEST_RAW + 5:,} characters)")


@pytest.mark.parametrize(
    ("metadata", "version"),
    [
        ({"ss_base_model_version": "sdxl_base_v1-0"}, "SDXL"),
        ({"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"}, "SDXL"),
        ({"ss_base_model_version": "sd_v1"}, "SD1"),
        ({"ss_v2": "False"}, "SD1"),
        ({"ss_v2": "True", "ss_base_model_version": "sd_v2"}, "SD2"),
        ({}, ""),
    ],
)
def test_what_a_network_was_made_for_is_told_from_its_metadata(metadata: dict[str, str], version: str) -> None:
    assert sd_version(metadata) == version
