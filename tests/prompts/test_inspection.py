import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts.chunks import EmbeddingName, Vocabulary, split_chunks
from modules.prompts.grammar import parse_emphasis
from modules.prompts.inspection import InspectionRules, inspect_prompt
from modules.prompts.schedule import Timeline

WORDS = ["<start>", "<end>", ",", "a", "cat", "dog", "red", "easy", "neg"]


def tokenize(text: str) -> list[int]:
    words = text.lower().replace(",", " , ").split()
    return [WORDS.index(word) if word in WORDS else 100 + len(word) for word in words]


def spell(token: int) -> str:
    return WORDS[token] if token < len(WORDS) else "?"


VOCABULARY = Vocabulary(
    tokenize, 0, 1, 2, 1, lambda: [EmbeddingName("easy neg", 3, (WORDS.index("easy"), WORDS.index("neg")))], spell
)
RULES = InspectionRules(VOCABULARY, Timeline(10))


def inspect(prompt: str, rules: InspectionRules = RULES) -> dict[str, Any]:
    return inspect_prompt(prompt, rules, lambda kind, name: (kind, name) == ("lora", "here"))


def words(chunk: dict[str, Any]) -> list[tuple[str, float]]:
    return [(token["text"], round(token["weight"], 3)) for token in chunk["tokens"]]


def test_comments_are_text_where_they_are_not_read_as_such() -> None:
    rules = InspectionRules(VOCABULARY, Timeline(10), comments=False)
    plain, read = inspect("cat # dog"), inspect("cat # dog", rules)
    assert (plain["comments"], read["comments"]) == (["# dog"], [])
    assert read["tokens"] > plain["tokens"]


def test_a_plain_prompt_is_one_part_of_one_stage_of_one_chunk() -> None:
    found = inspect("a (red) cat")
    (part,) = found["parts"]
    (stage,) = part["stages"]
    assert (part["weight"], stage["from"], stage["to"], stage["text"]) == (1.0, 1, 10, "a (red) cat")
    assert [words(chunk) for chunk in stage["chunks"]] == [[("a", 1.0), ("red", 1.1), ("cat", 1.0)]]
    assert (found["tokens"], found["room"], found["brackets"]) == (3, 75, None)


def test_comments_are_shown_apart_and_left_out() -> None:
    found = inspect("a # not a dog\n# nor <lora:x>\ncat")
    assert found["comments"] == ["# not a dog", "# nor <lora:x>"]
    assert found["text"] == "a \ncat"
    assert found["networks"] == []


def test_networks_are_shown_with_their_strengths_and_whether_they_are_there() -> None:
    networks = inspect("a <lora:here:0.5:unet=0.7> <lora:gone> <hypernet:h:2> <magic:x>")["networks"]
    assert [(each["name"], each["known"], each["exists"]) for each in networks] == [
        ("here", True, True),
        ("gone", True, False),
        ("h", True, False),
        ("x", False, False),
    ]
    assert networks[0]["strengths"] == {"text_encoder": 0.5, "unet": 0.7, "rank": None}
    assert networks[2]["strengths"] == {"unet": 2.0}
    assert all(each["problem"] is None for each in networks)


def test_a_strength_that_is_no_number_is_a_problem_and_no_failure() -> None:
    (network,) = inspect("<lora:here:strong>")["networks"]
    assert "strong" in network["problem"]
    assert network["strengths"] == {}


def test_and_makes_parts_with_weights_only_where_it_divides() -> None:
    assert [part["weight"] for part in inspect("a AND cat :0.5")["parts"]] == [1.0, 0.5]
    assert len(inspect("a AND cat", InspectionRules(VOCABULARY, Timeline(10), divides=False))["parts"]) == 1


def test_an_edited_prompt_has_stages() -> None:
    (part,) = inspect("a [cat:dog:4]")["parts"]
    assert [(stage["from"], stage["to"], stage["text"]) for stage in part["stages"]] == [
        (1, 4, "a cat"),
        (5, 10, "a dog"),
    ]
    assert words(part["stages"][1]["chunks"][0]) == [("a", 1.0), ("dog", 1.0)]


def test_break_is_marked_at_the_chunk_that_it_ends() -> None:
    (stage,) = inspect("a BREAK cat " + "dog " * 75)["parts"][0]["stages"]
    assert [(chunk["break"], chunk["used"]) for chunk in stage["chunks"]] == [(True, 1), (False, 75), (False, 1)]


def test_an_embedding_is_one_mark_with_its_vectors() -> None:
    (stage,) = inspect("a (easy neg:1.2) cat")["parts"][0]["stages"]
    (chunk,) = stage["chunks"]
    assert chunk["tokens"][1] == {"text": "easy neg", "weight": 1.2, "embedding": True, "vectors": 3}
    assert (words(chunk)[2], chunk["used"]) == (("cat", 1.0), 5)


def test_the_mode_of_emphasis_decides_what_brackets_are() -> None:
    rules = InspectionRules(VOCABULARY, Timeline(10), mode="Ignore")
    (stage,) = inspect("(red:1.5)", rules)["parts"][0]["stages"]
    assert words(stage["chunks"][0]) == [("red", 1.0)]


def test_brackets_without_partners_are_told() -> None:
    assert inspect("(a")["brackets"] == "( without )"


def test_without_a_spelling_tokens_are_shown_by_number() -> None:
    vocabulary = Vocabulary(tokenize, 0, 1, 2, 1)
    (stage,) = inspect("cat", InspectionRules(vocabulary, Timeline(10)))["parts"][0]["stages"]
    assert stage["chunks"][0]["tokens"][0]["text"] == str(WORDS.index("cat"))


PIECES = ["a ", "cat, ", "BREAK ", "(red", ":1.2)", "easy neg ", "dog " * 30, "[", "]", "", "<lora:x:1>", "#", "\n"]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_the_chunks_shown_are_the_chunks_made(prompt: str) -> None:
    for part in inspect(prompt)["parts"]:
        for stage in part["stages"]:
            made = split_chunks(parse_emphasis(stage["text"]), VOCABULARY)
            assert [chunk["used"] for chunk in stage["chunks"]] == [chunk.used for chunk in made]


@given(st.text())
def test_any_text_can_be_inspected_and_sent(text: str) -> None:
    assert json.loads(json.dumps(inspect(text)))["parts"]


@pytest.mark.parametrize("prompt", ["", "BREAK", "AND", "[a|cat]"])
def test_odd_prompts_have_at_least_a_chunk_in_every_stage(prompt: str) -> None:
    assert all(stage["chunks"] for part in inspect(prompt)["parts"] for stage in part["stages"])
