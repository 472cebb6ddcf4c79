"""How models get into a prompt and out of it again, whatever else the prompt holds."""

from typing import Any

import pytest

from tests.browser.driver import Easel

pytestmark = pytest.mark.browser
MODULE = "new URL('library_insert.js', document.querySelector('script[src$=\"main.js\"]').src).href"

INSERTED = [
    ("", 0, "<lora:a:1>", "<lora:a:1>"),
    ("a cat", 5, "<lora:a:1>", "a cat <lora:a:1>"),
    ("a cat ", 6, "<lora:a:1>", "a cat <lora:a:1>"),
    ("a cat", 1, "<lora:a:1>", "a <lora:a:1> cat"),
    ("a cat", 5, "style", "a cat, style"),
    ("a cat, ", 7, "style", "a cat, style"),
    ("a cat,", 6, "style", "a cat, style"),
    ("a cat  ", 7, "style", "a cat, style"),
    ("a cat\n", 6, "style", "a cat\nstyle"),
    ("(", 1, "style", "(style"),
    ("[a|]", 3, "style", "[a|style]"),
    ("<lora:a:1>", 10, "style", "<lora:a:1> style"),
    ("one, two", 3, "style", "one, style, two"),
]
TAGS_TAKEN_OUT = [
    ("<lora:a:1>", "", ""),
    ("a cat <lora:a:1>", "", "a cat"),
    ("a cat, <lora:a:0.5:0.7>", "", "a cat"),
    ("a <lora:a:1> cat", "", "a cat"),
    ("a, <lora:a:1>, cat", "", "a, cat"),
    ("<lora:a:1> cat", "", "cat"),
    ("<lora:a:1>, cat", "", "cat"),
    ("<lora:A:1><lora:b:1>", "", "<lora:b:1>"),
    ("x <lora:a:1> go fast, y", "go fast", "x, y"),
    ("x <lora:a:1>, go fast", "go fast", "x"),
    ("go fast, x <lora:a:1>", "go fast", "x"),
    ("x <lora:a:1> go faster", "go fast", "x go faster"),
    ("<lora:ab:1> <lora:a:1> <hypernet:a:1>", "", "<lora:ab:1> <hypernet:a:1>"),
    ("one\n<lora:a:1>\ntwo", "", "one\n\ntwo"),
]
WORDS_TAKEN_OUT = [
    ("style", "style", ""),
    ("a, style", "style", "a"),
    ("a, Style, b", "style", "a, b"),
    ("style, b", "style", "b"),
    ("styles and lifestyle, style-2", "style", "styles and lifestyle, style-2"),
    ("(old) [x] {y}, b", "(old) [x] {y}", "b"),
    ("🐈, b", "🐈", "b"),
    ("日本, b", "日本", "b"),
]


@pytest.fixture(scope="module")
def ask(browser: Any, server: Any) -> Any:
    page = browser.new_page()
    easel = Easel(page, server.url).open()

    def call(function: str, *arguments: object) -> Any:
        script = f"async ([name, given]) => (await import({MODULE}))[name](...given)"
        return easel.page.evaluate(script, [function, list(arguments)])

    yield call
    page.close()


@pytest.mark.parametrize(("text", "cursor", "piece", "expected"), INSERTED)
def test_a_piece_goes_in_apart_from_what_is_around_it(
    ask: Any, text: str, cursor: int, piece: str, expected: str
) -> None:
    after = ask("inserted", {"text": text, "start": cursor, "end": cursor}, piece)
    assert after["text"] == expected
    assert expected[: after["end"]].endswith(piece)


@pytest.mark.parametrize(("text", "activation", "expected"), TAGS_TAKEN_OUT)
def test_a_network_goes_out_with_its_words_and_one_separator(
    ask: Any, text: str, activation: str, expected: str
) -> None:
    assert ask("hasTag", text, "lora:a")
    after = ask("withoutTag", text, "lora:a", activation)
    assert after == expected
    assert not ask("hasTag", after, "lora:a")


@pytest.mark.parametrize(("text", "words", "expected"), WORDS_TAKEN_OUT)
def test_words_go_out_whole_only(ask: Any, text: str, words: str, expected: str) -> None:
    assert ask("withoutWords", text, words) == expected


@pytest.mark.parametrize("name", ["plain", "Cat (old) [v2], 🐈", "x.y+z*", "日本の", "$&", "\\1", "c|d^", "-", "a/b"])
@pytest.mark.parametrize("prompt", ["", "one, two", "(a:1.2) [b:c:0.5], "])
def test_what_was_put_in_comes_out_again(ask: Any, prompt: str, name: str) -> None:
    place = {"text": prompt, "start": len(prompt), "end": len(prompt)}
    within = ask("inserted", place, f"<lora:{name}:0.7> some words")
    assert ask("hasTag", within["text"], f"lora:{name}")
    assert ask("withoutTag", within["text"], f"lora:{name}", "some words").rstrip(", ") == prompt.rstrip(", ")
    within = ask("inserted", place, name)
    assert ask("hasWords", within["text"], name)
    assert ask("withoutWords", within["text"], name).rstrip(", ") == prompt.rstrip(", ")
