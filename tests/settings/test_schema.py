"""Every option checks its own values, in words."""

import pytest

from modules.settings.schema import OPTIONS, OptionError


@pytest.mark.parametrize("key", OPTIONS)
def test_an_option_accepts_its_own_default_and_describes_itself(key: str) -> None:
    option = OPTIONS[key]
    assert option.key == key
    assert option.parse(option.default) == option.default
    assert option.label
    assert option.help.endswith(".")
    assert option.section


@pytest.mark.parametrize(
    ("key", "value", "parsed"),
    [
        ("CLIP_stop_at_last_layers", 2.0, 2),
        ("live_preview_refresh_period", 100, 100.0),
        ("outdir_txt2img_samples", "icons/small", "icons/small"),
        ("randn_source", "NV", "NV"),
        ("save_to_dirs", False, False),
    ],
)
def test_good_values_come_out_in_the_options_own_type(key: str, value: object, parsed: object) -> None:
    result = OPTIONS[key].parse(value)
    assert result == parsed
    assert type(result) is type(parsed)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("CLIP_stop_at_last_layers", 0, "a whole number from 1 to 12"),
        ("CLIP_stop_at_last_layers", 1.5, "a whole number from 1 to 12"),
        ("CLIP_stop_at_last_layers", True, "a whole number from 1 to 12"),
        ("CLIP_stop_at_last_layers", "2", "a whole number from 1 to 12"),
        ("live_preview_refresh_period", float("nan"), "a number from 0 to 60000"),
        ("live_preview_refresh_period", float("inf"), "a number from 0 to 60000"),
        ("randn_source", "TPU", "one of GPU, CPU, NV"),
        ("save_to_dirs", 1, "true or false"),
        ("sd_model_checkpoint", None, "a text of at most 1000 characters"),
        ("sd_model_checkpoint", "x" * 1001, "a text of at most 1000 characters"),
        ("outdir_txt2img_samples", "", "the name of a folder inside outputs"),
        ("outdir_txt2img_samples", "/etc", "the name of a folder inside outputs"),
        ("outdir_txt2img_samples", "C:\\Windows", "the name of a folder inside outputs"),
        ("outdir_txt2img_samples", "a/../../b", "the name of a folder inside outputs"),
        ("outdir_txt2img_samples", "a\\..\\..\\b", "the name of a folder inside outputs"),
        ("outdir_txt2img_samples", ".easel", "the name of a folder inside outputs"),
        ("outdir_txt2img_samples", "a\0b", "the name of a folder inside outputs"),
    ],
)
def test_bad_values_are_refused_with_what_is_allowed(key: str, value: object, allowed: str) -> None:
    with pytest.raises(OptionError) as raised:
        OPTIONS[key].parse(value)
    assert raised.value.problem.field == key
    assert allowed in str(raised.value)
    assert OPTIONS[key].label in str(raised.value)


def test_a_list_of_names_is_kept_once_each_and_in_its_order() -> None:
    option = OPTIONS["disabled_extensions"]
    assert option.parse(["b", "a", "b"]) == ("b", "a")


@pytest.mark.parametrize("value", ["a", [1], [""], {"a": 1}, None, ["x"] * 1001])
def test_what_is_no_list_of_names_is_refused(value: object) -> None:
    with pytest.raises(OptionError, match="a list of at most 1000 names"):
        OPTIONS["disabled_extensions"].parse(value)
