"""What people might type to get a scene; made afresh each time that the scene is trained on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from types import MappingProxyType

from training.scenes import Scene
from training.subjects import COLOUR_SYNONYMS, Subject

EMPTY_SHARE = 0.10  # captions left empty, for classifier-free guidance
UNCOUNTED = frozenset({"grapes", "french fries", "pancakes", "scissors", "eyeglasses", "glasses", "cherries", "fries"})
OPENINGS = ("a picture of ", "a drawing of ", "a photo of ", "an image of ", "an icon of ", "an emoji of ")
PRAISE = (
    "masterpiece", "best quality", "highly detailed", "4k", "8k", "sharp focus", "trending on artstation",
    "beautiful", "cute", "professional", "centered", "clean", "simple",
)  # fmt: skip
SIZE_WORDS = MappingProxyType({"small": ("small ", "tiny ", "little "), "single": ("big ", "large ", "huge ")})
BACKGROUNDS = (
    " on a {} background", " on a {} background", " on a {} background", " on a {} background",
    ", {} background", ", {} background", ", {} background", " on {}", ", {}", " with a {} background",
)  # fmt: skip


def with_article(noun: str) -> str:
    """``apple`` to ``an apple``."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def plural(noun: str) -> str:
    """``strawberry`` to ``strawberries``; a noun that is a plural already stays."""
    if noun.endswith("s") or noun in UNCOUNTED:
        return noun
    if noun.endswith(("ch", "sh", "x")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun[:-4] + "leaves" if noun.endswith("leaf") else noun + "s"


def standard_prompt(subject: Subject, background: str) -> str:
    """The form that the measurements use: ``a red apple on a blue background``."""
    return f"{with_article(subject.name)} on a {background} background"


def caption(scene: Scene, subjects: Sequence[Subject], rng: random.Random) -> str:
    """A random caption of the scene, of the standard form about every third time, and sometimes empty."""
    if rng.random() < EMPTY_SHARE:
        return ""
    if scene.kind in ("single", "shifted") and rng.random() < 0.3:
        return standard_prompt(subjects[scene.subject], scene.background)
    bare = rng.random() < 0.25
    text = _things(scene, subjects, bare, rng)
    if not bare and rng.random() < 0.25:
        text = rng.choice(OPENINGS) + text
    if rng.random() < 0.78:
        text += rng.choice(BACKGROUNDS).format(_colour_word(scene.background, rng))
    return _with_praise(text, rng) if rng.random() < 0.12 else text


def _things(scene: Scene, subjects: Sequence[Subject], bare: bool, rng: random.Random) -> str:
    """The part of a caption that names what is seen; ``bare`` leaves out articles."""
    one_of_each = scene.kind not in ("two", "three")
    words = [_word(subjects[item.subject], one_of_each, rng) for item in scene.items]
    if scene.kind == "pair":
        left, right = words if bare else map(with_article, words)
        sides = (" on the left", " on the right") if rng.random() < 0.3 else ("", "")
        return f"{left}{sides[0]} and {right}{sides[1]}"
    if scene.kind == "two":
        return rng.choice(("two ", "two ", "2 ", "a pair of ")) + plural(words[0])
    if scene.kind == "three":
        return rng.choice(("three ", "three ", "3 ")) + plural(words[0])
    if scene.kind in SIZE_WORDS and rng.random() < (0.7 if scene.kind == "small" else 0.06):
        words[0] = rng.choice(SIZE_WORDS[scene.kind]) + words[0]
    text = words[0] if bare else with_article(words[0])
    return f"{text} {scene.position}" if scene.position and rng.random() < 0.6 else text


def _word(subject: Subject, group_too: bool, rng: random.Random) -> str:
    """Mostly the canonical name, often a synonym, with ``group_too`` now and then only the group (``fruit``)."""
    if rng.random() < 0.03 and group_too:
        return rng.choice(subject.groups)
    return subject.name if rng.random() < 0.55 else rng.choice(subject.names)


def _colour_word(colour: str, rng: random.Random) -> str:
    """The colour's name, or now and then a synonym."""
    return rng.choice(COLOUR_SYNONYMS.get(colour, (colour,))) if rng.random() < 0.3 else colour


def _with_praise(text: str, rng: random.Random) -> str:
    """The words that people add to every prompt: the model must learn to pass over them."""
    words = rng.sample(PRAISE, rng.randint(1, 3))
    return ", ".join([*words, text] if rng.random() < 0.5 else [text, *words])
