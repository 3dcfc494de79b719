"""Embeddings in several files: the shards of one table, in the order of the numbers in their names, read as one."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
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
    if _is_folder(path):
        found = [one for one in path.iterdir() if one.suffix.lower() in formats and not one.name.startswith((".", "_"))]
        what = "is a folder without embeddings"
    elif _PATTERN.search(path.name) and not path.exists() and path.parent.is_dir():
        try:
            found, what = list(path.parent.glob(path.name)), "no file is called like that"
        except ValueError as error:
            raise InputError(f"{path}: is no pattern of file names ({error}); * and ? stand for characters of a name") from None
    else:
        return None
    if not found:
        raise InputError(f"{path}: {what}; shards are read from {', '.join(formats)}")
    kinds = sorted({one.suffix.lower() for one in found})
    if len(kinds) > 1 or kinds[0] not in formats:
        raise InputError(f"{path}: holds files of several kinds ({', '.join(kinds)}); name one, as {path.name}/*{kinds[0]}")
    return sorted(found, key=_in_order)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # names that no file has; what is wrong with them is said by who reads files
        return False


def check_expanded(sources: Sequence[str | Path]) -> None:
    """Raise InputError for more than two files whose names differ in a number only: a pattern that the shell has filled in."""
    files = [Path(source) for source in dict.fromkeys(map(str, sources))]
    patterns = [str(one.with_name(re.sub(r"\d+", "*", one.name))) for one in files if one.name]
    again = next((one for one in patterns if patterns.count(one) > 1), None)
    if len(sources) > 2 and again is not None:
        raise InputError(
            f"{', '.join(map(str, sources[:3]))}, ...: shards of one table, or modalities? For shards put the pattern in quotes, "
            f"'{again}', or give their folder; modalities need names that differ in more than a number"
        )


def _in_order(path: Path) -> list[tuple[bool, int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def join(path: Path, shards: Sequence[tuple[Path, list[Stored]]]) -> list[Stored]:
    """The arrays of shards as those of one file: rows one after the other.

    Raises InputError for shards that hold other arrays, columns, types or numbers of components than the first.
    """
    (first, wanted), *others = shards
    if len(wanted) == 1 and all(len(found) == 1 for _, found in others):
        return [_joined(path, [(shard, found[0]) for shard, found in shards], True)]
    names = [one.name for one in wanted]
    for shard, found in others:
        if sorted(one.name for one in found) != sorted(names):
            here = ", ".join(one.name for one in found)
            raise InputError(f"{shard}: holds {here}, and {first.name} {', '.join(names)}; all shards need the same arrays")
    return [_joined(path, [(shard, _named(found, name)) for shard, found in shards], False) for name in names]


def _named(found: list[Stored], name: str) -> Stored:
    return next(one for one in found if one.name == name)


def _joined(path: Path, parts: list[tuple[Path, Stored]], is_alone: bool) -> Stored:
    first = parts[0][1]
    if len(first.shape) < 2:
        raise InputError(f"{parts[0][0]}: holds an array of shape {first.shape}; shards are tables of embeddings (n, d)")
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
        first = parts[0].load()
        table = np.empty(shape, dtype=first.dtype)
        begin = 0
        for rows in chain([first], (one.load() for one in parts[1:])):
            end = begin + rows.shape[axis]
            table[(slice(None),) * axis + (slice(begin, end),)] = rows
            begin = end
        return table

    return load
