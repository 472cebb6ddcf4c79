"""A1111's infotext read into its three parts: prompt, negative prompt and the pairs of its last line.

What the pairs mean is for `infotext.py`; here is only how they are written, and what older versions wrote otherwise.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

FEWEST_PAIRS = 3
"""A last line with fewer pairs belongs to the prompt."""

_NEGATIVE = "Negative prompt:"
_SPECIAL = ",:\n"
_JSON_STRING = re.compile(r'"(?:\\.|[^\\"])+"')
_JSON = json.JSONDecoder()
_STEPS_LINE = re.compile(r"Steps: *\d+ *,")
_LATER_LINE = re.compile(r"(?P<key>\w[\w \-/]+): *(?P<value>.*)")
_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})")
_HASH_AT_END = re.compile(r"\([0-9a-f]+\)$")


@dataclass(frozen=True, slots=True)
class Infotext:
    """The parts of an infotext; the pairs as text, unquoted, in their order, sizes such as "512x768" in one piece."""

    prompt: str = ""
    negative_prompt: str = ""
    pairs: Mapping[str, str] = field(default_factory=dict)


def quoted(value: str) -> str:
    """Return `value` as it stands in the line: a JSON string when it holds a comma, a colon or a line break.

    Beyond A1111's rule, which reads them all the same, also when it would else come back changed: with spaces at its
    ends, in quotation marks of its own, or with a character that some take for a line break.
    """
    plain = value == value.strip() and unquoted(value) == value and len(value.splitlines()) == 1
    if plain and not any(mark in value for mark in _SPECIAL):
        return value
    return json.dumps(value, ensure_ascii=False)


def unquoted(value: str) -> str:
    """Return what `quoted` was given; what is no JSON string stays as it is."""
    if len(value) < 2 or not (value.startswith('"') and value.endswith('"')):
        return value
    try:
        # A lone half of a character pair is valid JSON, and no text that could be written anywhere.
        return str(json.loads(value)).encode("utf-8", "replace").decode("utf-8")
    except ValueError:
        return value


def join_infotext(infotext: Infotext) -> str:
    """Return the text that `parse_infotext` reads as `infotext`."""
    lines = [infotext.prompt]
    if infotext.negative_prompt:
        lines.append(f"{_NEGATIVE} {infotext.negative_prompt}")
    lines.append(", ".join(f"{key}: {quoted(value)}" for key, value in infotext.pairs.items()))
    return "\n".join(lines).strip()


def parse_infotext(text: str) -> Infotext:
    """Return the parts of any text; one without pairs is all prompt.

    The last line holds the pairs when it has at least three. A line that begins with "Steps: 20," does so too when
    the last one names no steps, since SD.Next, Civitai and some extensions write further lines after it. Older keys
    are brought into today's form.
    """
    lines = text.strip().split("\n")
    first = _parameter_line(lines)
    pairs = {} if first is None else _pairs_of(lines[first:])
    prompt, negative = _prompts(lines if first is None else lines[:first])
    return _modern(Infotext(prompt, negative, pairs))


def _parameter_line(lines: Sequence[str]) -> int | None:
    """Return the number of the line that holds the pairs."""
    last = len(lines) - 1
    counts = _has_enough_pairs(lines[last])
    if not (counts and "Steps" in read_pairs(lines[last])):
        for number in range(last - 1, -1, -1):
            line = lines[number].strip()
            if _STEPS_LINE.match(line) and _has_enough_pairs(line):
                return number
    return last if counts else None


def _has_enough_pairs(line: str) -> bool:
    return sum(key != "" for _, key, _ in _scan(line)) >= FEWEST_PAIRS


def _pairs_of(lines: Sequence[str]) -> dict[str, str]:
    """Return the pairs of a line and of the lines after it, each "Key: value" or the rest of the one before."""
    pairs = read_pairs(lines[0], with_lone_keys=True)
    key = None
    for line in lines[1:]:
        match = _LATER_LINE.fullmatch(line.strip())
        if match and match["key"] not in pairs:
            key = match["key"]
            pairs[key] = match["value"]
        elif key is not None:
            pairs[key] += "\n" + line
    return pairs


def _prompts(lines: Sequence[str]) -> tuple[str, str]:
    positive: list[str] = []
    negative: list[str] = []
    into = positive
    for line in lines:
        line = line.strip()
        if line.startswith(_NEGATIVE):
            into = negative
            line = line.removeprefix(_NEGATIVE).strip()
        # Empty lines before the first word of a prompt are dropped, later ones are kept.
        if into or line:
            into.append(line)
    return "\n".join(positive), "\n".join(negative)


def read_pairs(line: str, with_lone_keys: bool = False) -> dict[str, str]:
    """Return the "Key: value" pairs of one line. `with_lone_keys`: an item without a colon is its own value."""
    pairs: dict[str, str] = {}
    for before, key, value in _scan(line):
        if with_lone_keys:
            pairs.update((lone, lone) for lone in _lone_keys(before) if lone not in pairs)
        if key:
            pairs[key] = value
    return pairs


def _scan(line: str) -> Iterator[tuple[str, str, str]]:
    """Yield what stands before a pair, its key and its value; at the end what is left, with an empty key.

    By hand instead of by one regular expression, which would take the square of the line's length for a long line.
    """
    at = begin = 0
    while (colon := line.find(":", at)) >= 0:
        start = _key_start(line, begin, colon)
        if colon - start < 2:
            at = colon + 1
            continue
        value, end = _value(line, colon + 1)
        yield line[begin:start], line[start:colon], value
        at = begin = end + 1
    yield line[begin:], "", ""


def _key_start(line: str, begin: int, colon: int) -> int:
    """Return where the key that ends at `colon` starts; `colon` itself when there is none."""
    start = colon
    while start > begin and _is_key_mark(line[start - 1]):
        start -= 1
    while start < colon and line[start] in " -/":
        start += 1
    return start


def _is_key_mark(mark: str) -> bool:
    return mark.isalnum() or mark in "_ -/"


def _value(line: str, begin: int) -> tuple[str, int]:
    """Return the value that begins at `begin` and the place of the comma after it, or of the end."""
    while begin < len(line) and line[begin].isspace():
        begin += 1
    string = _JSON_STRING.match(line, begin)
    if string and _ends(line, string.end()):
        return unquoted(string.group()), string.end()
    structure = _structure_end(line, begin)
    if structure is not None:
        return line[begin:structure], structure
    comma = line.find(",", begin)
    end = len(line) if comma < 0 else comma
    return unquoted(line[begin:end]), end


def _ends(line: str, at: int) -> bool:
    return at == len(line) or line[at] == ","


def _structure_end(line: str, begin: int) -> int | None:
    """Return where a JSON list or object ends, as Civitai writes them without quotes, or None when there is none."""
    if line[begin : begin + 1] not in ("[", "{"):
        return None
    try:
        _, end = _JSON.raw_decode(line, begin)
    except (ValueError, RecursionError):
        return None
    return end if _ends(line, end) else None


def _lone_keys(text: str) -> Iterator[str]:
    for item in text.split(","):
        item = item.strip()
        if len(item) > 1 and item[0] not in "-/" and all(_is_key_mark(mark) for mark in item):
            yield item


def _modern(infotext: Infotext) -> Infotext:
    """Return the infotext with old keys in today's form: hypernetworks and the size of the first pass."""
    pairs = dict(infotext.pairs)
    prompt = infotext.prompt
    if "Hypernet" in pairs:
        name = _HASH_AT_END.sub("", pairs.pop("Hypernet"))
        prompt += f"<hypernet:{name}:{pairs.pop('Hypernet strength', '1.0')}>"
    first = _SIZE.fullmatch(pairs.get("First pass size", ""))
    size = _SIZE.fullmatch(pairs.get("Size", "512x512"))
    if first and size:
        del pairs["First pass size"]
        width, height = _first_pass((int(first[1]), int(first[2])), (int(size[1]), int(size[2])))
        pairs["Hires resize"] = size.group()
        pairs["Size"] = f"{width}x{height}"
    return replace(infotext, prompt=prompt, pairs=pairs)


def _first_pass(first: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Return width and height of the first pass; 0 meant about 512 x 512 pixels in the picture's proportions."""
    if all(first) or not all(size):
        return first
    scale = math.sqrt(512 * 512 / (size[0] * size[1]))
    return math.ceil(scale * size[0] / 64) * 64, math.ceil(scale * size[1] / 64) * 64
