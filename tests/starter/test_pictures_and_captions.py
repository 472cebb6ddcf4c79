"""What the starter model is trained on."""

import random
from pathlib import Path

import numpy as np
import pytest
from training.captions import caption, plural, standard_prompt, with_article
from training.fidelity import Judge, nearest_colour, rim_colour
from training.rendering import SIDE, FontMissingError, draw_glyph, draw_glyphs
from training.scenes import SHARES, draw, large, loose_picture, row, training_scenes, triangle
from training.subjects import COLOURS, parse, subjects
from training.vocabulary import CONTEXT, FULL_SIZE, Vocabulary

TOKENIZER = Path(__file__).resolve().parents[2] / "models" / "Stable-diffusion" / "starter" / "tokenizer"


def captions_of(seed: int, count: int = 200) -> list[str]:
    rng = random.Random(seed)
    scenes = training_scenes(len(subjects()), 0)
    return [caption(rng.choice(scenes), subjects(), rng) for _ in range(count)]


def test_no_glyph_and_no_canonical_name_occurs_twice() -> None:
    everything = subjects("all")
    assert len({subject.glyph for subject in everything}) == len(everything)
    assert len({subject.name for subject in everything}) == len(everything)


def test_the_shipped_subjects_come_first_among_all() -> None:
    assert subjects("all")[: len(subjects())] == subjects()


def test_a_table_line_becomes_subjects_with_synonyms_and_groups() -> None:
    first, second = parse("fruit,food|A red apple/apple,B pear")
    assert (first.name, first.names, first.groups) == ("red apple", ("red apple", "apple"), ("fruit", "food"))
    assert second.glyph == "B"


def test_unknown_subject_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="neither 'shipped' nor 'all'"):
        subjects("some")


def test_scenes_are_the_same_for_the_same_seed_and_differ_for_another() -> None:
    assert training_scenes(5, seed=1) == training_scenes(5, seed=1)
    assert training_scenes(5, seed=1) != training_scenes(5, seed=2)


def test_every_subject_has_scenes_of_every_kind() -> None:
    found = {(scene.kind, scene.subject) for scene in training_scenes(4, 0)}
    assert found == {(kind, subject) for kind in SHARES for subject in range(4)}


def test_captions_are_the_same_for_the_same_seed() -> None:
    assert captions_of(7) == captions_of(7)
    assert captions_of(7) != captions_of(8)


def test_about_a_tenth_of_the_captions_are_empty() -> None:
    texts = captions_of(3, 2000)
    assert 0.07 < texts.count("") / len(texts) < 0.13


def test_captions_speak_english() -> None:
    assert with_article("orange fruit") == "an orange fruit"
    words = ("strawberry", "cherries", "fish", "fox", "maple leaf", "key", "apple")
    assert [plural(word) for word in words] == [
        "strawberries", "cherries", "fishes", "foxes", "maple leaves", "keys", "apples",
    ]  # fmt: skip
    assert standard_prompt(subjects()[0], "blue") == "a red apple on a blue background"


def test_every_word_of_a_caption_is_in_the_vocabulary() -> None:
    vocabulary = Vocabulary.of(subjects(), TOKENIZER)
    strange = [text for text in captions_of(5, 1500) if 0 in vocabulary.words(text)]
    assert not strange


def test_contexts_have_77_tokens_and_unknown_words_are_zero() -> None:
    vocabulary = Vocabulary.of(subjects(), TOKENIZER)
    context = vocabulary.context("a red apple " + "xylophone " * 90)
    assert len(context) == CONTEXT
    assert context[-1] == vocabulary.end
    assert context[4] == 0


def test_the_whole_table_holds_the_used_rows_and_zeros() -> None:
    import torch  # noqa: PLC0415

    vocabulary = Vocabulary.of(subjects()[:1], TOKENIZER)
    compact = torch.arange(len(vocabulary) * 2, dtype=torch.float32).view(-1, 2)
    table = vocabulary.spread(compact)
    assert table.shape == (FULL_SIZE, 2)
    assert int((table.abs().sum(dim=1) > 0).sum()) == len(vocabulary.used)
    assert torch.equal(vocabulary.gather(table, torch.zeros_like(compact))[1:], compact[1:])


def test_pictures_are_drawn_the_same_every_time(font: Path) -> None:
    pictures = [draw(row(0, 1, "pink"), draw_glyphs([s.glyph for s in subjects()[:2]], font)) for _ in range(2)]
    assert pictures[0].shape == (SIDE, SIDE, 3)
    assert np.array_equal(pictures[0], pictures[1])
    assert 0 <= pictures[0].min() <= pictures[0].max() <= 1


def test_loose_pictures_are_seeded(font: Path) -> None:
    glyphs = draw_glyphs([subjects()[0].glyph], font)
    first, again, other = (loose_picture(random.Random(seed), glyphs) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_subject_is_in_the_font(font: Path) -> None:
    assert len(draw_glyphs([subject.glyph for subject in subjects("all")], font)) == len(subjects("all"))


def test_a_missing_font_is_named_with_its_package(tmp_path: Path) -> None:
    with pytest.raises(FontMissingError, match="fonts-noto-color-emoji"):
        draw_glyph("x", tmp_path / "none.ttf")


def test_clean_renderings_are_told_apart_with_their_colour_and_number(font: Path) -> None:
    chosen = subjects()[:20]
    judge = Judge(chosen, draw_glyphs([subject.glyph for subject in chosen], font))
    for k, colour in enumerate(COLOURS):
        picture = draw(large(k, colour, shift=8), judge.glyphs)
        assert judge.ranking(picture)[0] == k
        assert nearest_colour(rim_colour(picture)) == colour
        assert judge.arrangement(draw(triangle(k, colour), judge.glyphs), k, colour) == 3
        assert judge.arrangement(draw(row(k, k, colour), judge.glyphs), k, colour) == 2
