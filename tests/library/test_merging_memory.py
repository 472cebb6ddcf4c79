"""How much memory a merge needs, measured in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.library.test_merging import small

MEASURE = """
import json, resource, sys
from pathlib import Path
sys.path.insert(0, {root!r})
import torch
from modules.library.catalog import CheckpointCatalog
from modules.library.hashing import HashCache
from modules.library.merging.recipe import MergePlaces, MergeWish, check_wish
from modules.library.merging.merge import run_merge
folder = Path({folder!r})
catalog = CheckpointCatalog([folder], HashCache(folder / "hashes.json"))
wish = MergeWish("a", "b", custom_name="out", add_recipe=False, save_as_half=True)
places = MergePlaces(catalog, None, folder)
spec = check_wish(wish, places).spec()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run_merge(spec, places, lambda fraction, words: None, lambda: False)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux counts it")
def test_merging_two_files_of_400_mb_needs_less_memory_than_two_of_their_tensors(
    tmp_path: Path, repo_root: Path
) -> None:
    folder = tmp_path / "big"
    folder.mkdir()
    large = {f"model.diffusion_model.big.{number}.weight": (5000, 10_000) for number in range(2)}
    for name in "ab":
        write_sparse(folder / f"{name}.safetensors", {**small().shapes(), **large})
    program = MEASURE.format(root=str(repo_root), folder=str(folder))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (folder / "out.safetensors").stat().st_size > 200_000_000
    assert int(done.stdout) < 2 * 5000 * 10_000 * 4


def write_sparse(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """Write a checkpoint of zeros that needs no room on the disk."""
    header, place = {}, 0
    for name, shape in shapes.items():
        size = int(np.prod(shape, dtype=np.int64)) * 4
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [place, place + size]}
        place += size
    raw = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        file.truncate(8 + len(raw) + place)
