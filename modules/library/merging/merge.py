"""The checkpoint merger: two or three checkpoints into a new one, block by block, so that little memory is needed.

The formulas are AUTOMATIC1111's: weighted sum A·(1 - M) + B·M, add difference A + (B - C)·M, in the precision that
the files have. What of A has no counterpart in B is taken over, and so is everything that is no weight of the network:
the noise schedule and whole numbers such as position ids.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from modules.core.errors import ModelUnavailable, StorageFailed, TaskCancelled
from modules.library.catalog import CheckpointEntry
from modules.library.downloads.meters import folder_text, size_text
from modules.library.downloads.transfers import SPARE_BYTES
from modules.library.hashing import HashCache, digest_of, stamp_of
from modules.library.merging.recipe import (
    ADD_DIFFERENCE,
    NO_INTERPOLATION,
    MergePlaces,
    MergeWish,
    Recipe,
    check_wish,
    result_metadata,
)
from modules.library.merging.tensor_files import SafetensorsWriter, TensorFacts, TensorFile, open_tensors
from modules.library.reading import UnreadableFile

BLOCK = 2**21
"""Elements that are in memory at once, of each of the files."""
LATENT_CHANNELS = 4
_VAE_PREFIX = "first_stage_model."
_NETWORK_MARK = "model"
"""What is in the name of every weight that is merged, as in A1111."""
_SKIPPED = "cond_stage_model.transformer.text_model.embeddings.position_ids"
_OLD_NAMES: Mapping[str, str] = {
    f"cond_stage_model.transformer.{part}.": f"cond_stage_model.transformer.text_model.{part}."
    for part in ("embeddings", "encoder", "final_layer_norm")
}
"""Where the first files of SD 1.x have the text encoder's weights, to where all others have them."""
_HALVED = (torch.float32, torch.float64)
_EIGHT_BITS = (torch.float8_e4m3fn, torch.float8_e5m2)
_MIXED_CHANNELS = (9, 8)

Report = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class _Source:
    """An open file, and its tensors' own names by the names that all files have in common."""

    file: TensorFile
    names: Mapping[str, str]

    def facts(self, name: str) -> TensorFacts | None:
        return self.file.facts[self.names[name]] if name in self.names else None

    def read(self, name: str, start: int, count: int) -> Tensor:
        return self.file.read(self.names[name], start, count)


@dataclass(frozen=True, slots=True)
class _Sources:
    """The files of A, B and C as far as they are needed, and of the VAE."""

    models: tuple[_Source, ...]
    vae: _Source | None


def run_merge(spec: Mapping[str, Any], places: MergePlaces, report: Report, cancelled: Callable[[], bool]) -> str:
    """Merge as `spec`, a `MergeWish`, says; as the board of tasks wants it. Returns what came out, in words.

    Raises InvalidRequest, ModelUnavailable, StorageFailed, TaskCancelled; then nothing of the result is left.
    """
    recipe = check_wish(MergeWish.read(spec), places)

    def stop_if_cancelled() -> None:
        if cancelled():
            raise TaskCancelled("The merge was cancelled.")

    def sha256_of(entry: CheckpointEntry) -> str:
        report(0.0, f"hashing {entry.name}")
        return _sha256(entry.path, places.checkpoints.hashes, stop_if_cancelled)

    try:
        metadata = result_metadata(recipe, sha256_of)
        with _opened(recipe) as sources:
            Merge(recipe, sources, metadata).write(report, stop_if_cancelled)
    except UnreadableFile as error:
        raise ModelUnavailable(f"A file cannot be read: {error}.") from error
    return f"Checkpoint in {folder_text(recipe.target.parent)}."


class Merge:
    """One merge: what every tensor of the result is made from, and the making."""

    def __init__(self, recipe: Recipe, sources: _Sources, metadata: Mapping[str, str]) -> None:
        self._recipe = recipe
        self._sources = sources
        self._metadata = metadata
        self._facts = {name: self._result(name) for name in sources.models[0].names if self._kept(name)}
        if len(sources.models) > 1 and not any(map(self._is_merged, self._facts)):
            raise ModelUnavailable("A and B have no weights of the same names, so there is nothing to merge.")

    def write(self, report: Report, stop_if_cancelled: Callable[[], None]) -> None:
        """Write the result beside its place and rename it; on any failure nothing is left."""
        part, target = self._recipe.part, self._recipe.target
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            size = sum(facts.size for facts in self._facts.values())
            free = shutil.disk_usage(target.parent).free
            if free < size + SPARE_BYTES:
                raise StorageFailed(
                    f"{target.name} will have {size_text(size)}, and {target.parent} has only {size_text(free)} free."
                )
            with part.open("wb") as file:
                self._write_all(file, size, report, stop_if_cancelled)
            # The name may have been taken in the meantime.
            if target.exists():
                raise StorageFailed(f"{target.name} is there already, and nothing is ever overwritten.")
            os.replace(part, target)
        except OSError as error:
            full = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)
            raise StorageFailed(f"{target.name} cannot be written to {target.parent}: {full}.") from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def _write_all(
        self, file: BinaryIO, size: int, report: Report, stop_if_cancelled: Callable[[], None]
    ) -> None:
        writer = SafetensorsWriter(file, self._facts, self._metadata)
        done = 0
        for name in writer.order:
            for block in self._blocks(name):
                stop_if_cancelled()
                tensor = block.to(self._facts[name].dtype)
                writer.write(tensor)
                done += tensor.numel() * tensor.element_size()
                report(done / size, f"{size_text(done)} of {size_text(size)} written")
        file.flush()
        os.fsync(file.fileno())

    def _kept(self, name: str) -> bool:
        return self._recipe.discard is None or self._recipe.discard.search(name) is None

    def _result(self, name: str) -> TensorFacts:
        """Return type and shape of a tensor of the result. Raises ModelUnavailable where the models do not fit."""
        own = self._sources.models[0].facts(name)
        assert own is not None
        vae = self._from_vae(name)
        dtype = own.dtype
        if vae is not None:
            if vae.shape != own.shape:
                raise ModelUnavailable(f"The VAE does not fit the checkpoint: {name} has another shape.")
            dtype = vae.dtype
        elif self._is_merged(name):
            dtype = self._merged_type(name, own)
        halved = self._recipe.wish.save_as_half and dtype in _HALVED and _NETWORK_MARK in name
        return TensorFacts(torch.float16 if halved else dtype, own.shape)

    def _from_vae(self, name: str) -> TensorFacts | None:
        vae = self._sources.vae
        return vae.facts(name) if vae is not None and name.startswith(_VAE_PREFIX) else None

    def _is_merged(self, name: str) -> bool:
        """Say whether a tensor is combined with B's; whole numbers stay A's."""
        if len(self._sources.models) < 2 or _NETWORK_MARK not in name or name == _SKIPPED:
            return False
        found = [source.facts(name) for source in self._sources.models[:2]]
        return all(facts is not None and facts.dtype.is_floating_point for facts in found)

    def _merged_type(self, name: str, own: TensorFacts) -> torch.dtype:
        others = [facts for source in self._sources.models[1:] if (facts := source.facts(name)) is not None]
        if any(facts.shape != others[0].shape for facts in others):
            raise ModelUnavailable(f"B and C do not fit together: {name} has {_shapes(others)}.")
        if own.shape != others[0].shape:
            if not _has_more_channels(own.shape, others[0].shape):
                raise ModelUnavailable(f"A and B do not fit together: {name} has {_shapes([own, *others])}.")
            return _calculable(own.dtype)
        dtype = _calculable(own.dtype)
        for facts in others:
            dtype = torch.promote_types(dtype, _calculable(facts.dtype))
        return dtype

    def _blocks(self, name: str) -> Iterator[Tensor]:
        """Yield the elements of a tensor of the result in order, in one dimension."""
        own = self._sources.models[0].facts(name)
        assert own is not None
        vae = self._sources.vae if self._from_vae(name) is not None else None
        if vae is None and self._is_merged(name) and own.shape != self._other(name).shape:
            yield self._mixed(name, own)
            return
        for start in range(0, own.count, BLOCK):
            count = min(BLOCK, own.count - start)
            if vae is not None:
                yield vae.read(name, start, count)
            elif self._is_merged(name):
                yield self._merged(name, start, count)
            else:
                yield self._sources.models[0].read(name, start, count)

    def _other(self, name: str) -> TensorFacts:
        facts = self._sources.models[1].facts(name)
        assert facts is not None
        return facts

    def _merged(self, name: str, start: int, count: int) -> Tensor:
        return self._formula(_readable(self._sources.models[0].read(name, start, count)), name, start, count)

    def _formula(self, first: Tensor, name: str, start: int, count: int) -> Tensor:
        """Return A's elements combined with those of the others, by the interpolation that was chosen."""
        multiplier = self._recipe.wish.multiplier
        second = _readable(self._sources.models[1].read(name, start, count)).reshape(-1)
        if self._recipe.wish.interpolation != ADD_DIFFERENCE:
            return ((1 - multiplier) * first) + (multiplier * second)
        third = self._sources.models[2]
        if third.facts(name) is None:
            # As in A1111, what C lacks has no difference.
            return first + (multiplier * torch.zeros_like(second))
        return first + (multiplier * (second - _readable(third.read(name, start, count))))

    def _mixed(self, name: str, own: TensorFacts) -> Tensor:
        """Return the first convolution of an inpainting or pix2pix model, merged in the channels of the latents."""
        other = self._other(name)
        tensor = _readable(self._sources.models[0].read(name, 0, own.count)).reshape(own.shape).clone()
        common = tensor[:, :LATENT_CHANNELS].reshape(-1)
        tensor[:, :LATENT_CHANNELS] = self._formula(common, name, 0, other.count).reshape(other.shape)
        return tensor.reshape(-1)


@contextlib.contextmanager
def _opened(recipe: Recipe) -> Iterator[_Sources]:
    """Open the files of a recipe."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open_tensors(model.path)) for model in recipe.models]
        models = tuple(_Source(file, {_common_name(name): name for name in file.facts}) for file in files)
        vae = None
        if recipe.vae is not None:
            file = stack.enter_context(open_tensors(recipe.vae.path))
            vae = _Source(file, {_VAE_PREFIX + name.removeprefix(_VAE_PREFIX): name for name in file.facts})
            if not set(vae.names) & set(models[0].names):
                raise ModelUnavailable(f"The VAE {recipe.vae.name} does not fit {recipe.models[0].name}.")
        yield _Sources(models if recipe.wish.interpolation != NO_INTERPOLATION else models[:1], vae)


def _common_name(name: str) -> str:
    old = next((start for start in _OLD_NAMES if name.startswith(start)), None)
    return name if old is None else _OLD_NAMES[old] + name[len(old) :]


def _has_more_channels(own: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Say whether A's convolution takes what B's takes and a mask or a picture besides."""
    same = len(own) == len(other) and own[:1] + own[2:] == other[:1] + other[2:]
    return same and own[1] in _MIXED_CHANNELS and other[1] == LATENT_CHANNELS


def _calculable(dtype: torch.dtype) -> torch.dtype:
    """Return the type in which is calculated: 8-bit floats know no arithmetic."""
    return torch.float16 if dtype in _EIGHT_BITS else dtype


def _readable(tensor: Tensor) -> Tensor:
    return tensor.to(_calculable(tensor.dtype))


def _shapes(found: list[TensorFacts]) -> str:
    return " and ".join(dict.fromkeys("×".join(map(str, facts.shape)) for facts in found))


def _sha256(path: Path, hashes: HashCache, stop_if_cancelled: Callable[[], None]) -> str:
    """Return a file's hash, known or computed; the computing can be cancelled."""
    known = hashes.known(path)
    if known is not None:
        return known
    stamp = stamp_of(path)
    digest = digest_of(path, "file", lambda count: stop_if_cancelled())
    hashes.keep(path, "file", stamp, digest)
    return digest
