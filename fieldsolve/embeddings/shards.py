"""Embeddings in several files: the shards of one table, in the order of the numbers in their names, read as one."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fieldsolve.embeddings.archives import Stored
from fieldsolve.embeddings.tables import align
from fieldsolve.numerics.errors import InputError

_PATTERN = re.compile(r"[*?\[]")


def shards_of(path: Path, formats: Sequence[str]) -> list[Path] | None:
    """The files that a folder, or a pattern such as part_*.npy, stands for, part_2 before part_10; None for one file.

    Raises InputError for folders and patterns without such files, and for files of several formats.
    """
    if path.is_dir():
        found = [one for one in path.iterdir() if one.suffix.lower() in formats and not one.name.startswith((".", "_"))]
        what = "a folder without embeddings"
    elif _PATTERN.search(path.name) and not path.exists():
        found, what = list(path.parent.glob(path.name)), "no file is called like that"
    else:
        return None
    if not found:
        raise InputError(f"{path}: {what}; shards are read from {', '.join(formats)}")
    kinds = sorted({one.suffix.lower() for one in found})
    if len(kinds) > 1 or kinds[0] not in formats:
        raise InputError(f"{path}: holds files of several kinds ({', '.join(kinds)}); name one, as {path.name}/*{kinds[0]}")
    return sorted(found, key=_in_order)


def _in_order(path: Path) -> list[tuple[bool, int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def join(path: Path, shards: Sequence[tuple[Path, list[Stored]]]) -> list[Stored]:
    """The arrays of shards as those of one file: rows one after the other.

    Raises InputError for shards that hold other arrays, columns, types or numbers of components than the first.
    """
    (first, wanted), *others = shards
    for shard, found in others:
        if len(found) != len(wanted):
            raise InputError(f"{shard}: holds {len(found)} arrays, and {first.name} {len(wanted)}; all shards need the same")
    return [_joined(path, [(shard, found[k]) for shard, found in shards], len(wanted) == 1) for k in range(len(wanted))]


def _joined(path: Path, parts: list[tuple[Path, Stored]], is_alone: bool) -> Stored:
    first = parts[0][1]
    axis = 1 if len(first.shape) == 3 else 0
    aligned = align([one for _, one in parts])
    for (shard, _), one in zip(parts, aligned, strict=True):
        rest = [size for k, size in enumerate(one.shape) if k != axis]
        if len(one.shape) != len(first.shape) or rest != [size for k, size in enumerate(first.shape) if k != axis]:
            raise InputError(
                f"{shard}: is of shape {one.shape}, and {parts[0][0].name} of {first.shape}; all shards need the same"
            )
        if one.kind != first.kind:
            raise InputError(f"{shard}: holds {one.kind}, and {parts[0][0].name} {first.kind}; all shards need the same")
    count = sum(one.shape[axis] for one in aligned)
    shape = tuple(count if k == axis else size for k, size in enumerate(first.shape))
    name = path.stem if is_alone else first.name
    notes = tuple(dict.fromkeys(note for one in aligned for note in one.notes))
    return replace(first, name=name, shape=shape, load=_loader(aligned, shape, axis), notes=notes)


def _loader(parts: list[Stored], shape: tuple[int, ...], axis: int) -> Callable[[], np.ndarray]:
    def load() -> np.ndarray:
        table, begin = np.empty(shape, dtype=parts[0].load().dtype), 0
        for one in parts:
            rows = one.load()
            end = begin + rows.shape[axis]
            table[(slice(None),) * axis + (slice(begin, end),)] = rows
            begin = end
        return table

    return load
