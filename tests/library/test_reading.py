import json
import struct
from pathlib import Path

import pytest

from modules.library.reading import UnreadableFile, read_header, read_metadata


def safetensors(entries: dict[str, object], data: int) -> bytes:
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + bytes(data)


WHOLE = {"weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {"a": "b"}}


def test_names_shapes_and_metadata_come_from_the_header(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    file.write_bytes(safetensors(WHOLE, 24))
    header = read_header(file)
    assert header.shapes == {"weight": (2, 3)}
    assert header.metadata == {"a": "b"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"abc", "cut off"),
        (b"PK\x03\x04 a zip file, as .ckpt files are", "not a safetensors file"),
        (struct.pack("<Q", 5000) + b"{}", "cut off inside its header"),
        (struct.pack("<Q", 4) + b"nope", "not a safetensors file"),
        (struct.pack("<Q", 2) + b"[]", "not a safetensors file"),
        (safetensors(WHOLE, 10), "14 bytes are missing"),
        (safetensors({"weight": {"dtype": "F32"}}, 10), "'weight' is broken"),
    ],
)
def test_a_file_that_is_not_whole_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "a.safetensors"
    file.write_bytes(content)
    with pytest.raises(UnreadableFile, match=reason):
        read_header(file)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_header(tmp_path / "none.safetensors")


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("metadata", [{}, {"name": 'a "quoted" ü'}, {"number": 3}])
def test_metadata_alone_is_the_same_wherever_it_stands(
    tmp_path: Path, first: bool, metadata: dict[str, object]
) -> None:
    tensor = {"weight": WHOLE["weight"]}
    about = {"__metadata__": metadata}
    file = tmp_path / "a.safetensors"
    file.write_bytes(safetensors(about | tensor if first else tensor | about, 24))
    assert read_metadata(file) == read_header(file).metadata == {key: str(value) for key, value in metadata.items()}


def test_a_file_without_metadata_has_none(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    file.write_bytes(safetensors({"weight": WHOLE["weight"]}, 24))
    assert read_metadata(file) == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 and more", struct.pack("<Q", 4) + b"nope", struct.pack("<Q", 17) + b'{"__metadata__":{'],
)
def test_metadata_of_a_broken_file_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.safetensors"
    file.write_bytes(content)
    with pytest.raises(UnreadableFile):
        read_metadata(file)
