"""Values of extensions' controls survive the way through a request."""

import json
from io import BytesIO

import numpy as np
import pytest
from gradio.utils import NamedString
from PIL import Image

from modules.a1111._values import ValueGone, decode, encode


class Store:
    """Keeps pictures by number."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []

    def keep(self, content: bytes) -> str:
        self.kept.append(content)
        return str(len(self.kept) - 1)

    def load(self, name: str) -> Image.Image:
        return Image.open(BytesIO(self.kept[int(name)]))


def through(*values: object) -> list[object]:
    store = Store()
    return decode(encode(values, store.keep), store.load)


def test_plain_values_stay_as_they_are() -> None:
    values = [1, 0.5, True, None, "text", ["a", 2], {"key": [1, {"deep": "ü"}]}]
    assert through(*values) == values


def test_a_tuple_becomes_a_list() -> None:
    assert through((1, 2)) == [[1, 2]]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_picture_is_kept_and_comes_back_in_its_mode(mode: str) -> None:
    picture = Image.new(mode, (3, 2), 7 if mode == "L" else "red")
    (back,) = through(picture)
    assert isinstance(back, Image.Image)
    assert (back.mode, back.size, back.getpixel((0, 0))) == (mode, (3, 2), picture.getpixel((0, 0)))


def test_an_array_that_is_a_picture_comes_back_as_one() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    (back,) = through({"image": array, "mask": array})
    assert isinstance(back, dict)
    assert np.array_equal(back["image"], array)
    assert np.array_equal(back["mask"], array)


def test_a_file_keeps_its_name() -> None:
    (back,) = through(NamedString("/tmp/a.png"))
    assert isinstance(back, NamedString)
    assert back.name == "/tmp/a.png"


def test_what_json_cannot_hold_is_the_same_object_afterwards() -> None:
    thing, numbers = object(), {1: "keys that are numbers"}
    back = through(thing, numbers, float("nan"))
    assert back[0] is thing
    assert back[1] is numbers
    assert back[2] != back[2]


def test_a_value_of_a_server_that_has_ended_is_named_as_gone() -> None:
    with pytest.raises(ValueGone, match="Generate again"):
        decode(json.dumps([{"$easel": "object", "token": "0" * 16}]), Store().load)


def test_a_user_cannot_name_a_value_by_pretending_to_be_a_mark() -> None:
    given = {"$easel": "picture", "hash": "../../etc/passwd"}
    assert through(given) == [given]
