"""Embeddings of one modality: what is accepted, and the one policy of unit lengths."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fieldsolve.numerics.arrays import Array, Indices, Rows, array_of
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import printable

#: How far from 1 the length of a stored unit vector may be: half precision rounds components by 2^-12 of themselves, bfloat16
#: by 2^-9. What is now in single or double precision may have passed through half.
ROUNDING = {"bfloat16": 8e-3, "float16": 2e-3, "float32": 2e-3, "float64": 2e-3}

_CHUNK = 8192  # rows converted at a time


@dataclass(frozen=True, eq=False)
class Modality:
    """Embeddings of one modality: unit rows (n, d), single precision unless they came in double; lengths as they were given.

    notes: what was left out of their file, for the user to know.
    """

    name: str
    rows: Rows
    lengths: tuple[float, float]
    notes: tuple[str, ...] = ()


def modality(
    name: str,
    array: Any,
    normalize: bool = False,
    storage: str | None = None,
    precision: type[np.floating] | None = None,
    chosen: Indices | None = None,
) -> Modality:
    """Embeddings (n, d) of one modality, checked and scaled to unit length.

    array: anything that numpy can take; storage: the type they were stored in, if not the array's; precision: of the rows, by
    default single unless they were stored in double; chosen: the rows that are kept, in their order, all without. All are
    checked, some thousand at a time, so that a table may be larger than memory. Raises InputError for what is no table of
    floating-point numbers, rows that are not finite or zero, and, unless `normalize`, rows off the unit sphere by more than the
    rounding of their storage.
    """
    name, (array, own) = printable(name), array_of(array)
    storage = check_table(name, array, storage or own)
    kind = precision or (np.float64 if storage == "float64" else np.float32)
    kept = np.arange(len(array)) if chosen is None else chosen
    rows: Rows = np.empty((len(kept), array.shape[1]), dtype=kind)
    least, most = np.inf, 0.0
    for begin, block, lengths in unit_blocks(name, array, normalize, storage):
        first, last = np.searchsorted(kept, (begin, begin + len(block)))
        rows[first:last] = block[kept[first:last] - begin]
        least, most = min(least, float(lengths.min())), max(most, float(lengths.max()))
    return Modality(name, rows, (least, most))


def drawn(counts: Sequence[int], most: int, seed: int) -> tuple[Indices | None, tuple[str, ...]]:
    """Rows that are drawn of tables with so many rows each, the same of all, and what is to be said of it.

    None where there are no more than `most`, or tables do not match row by row.
    """
    if len(set(counts)) != 1 or counts[0] <= most:
        return None, ()
    chosen = np.sort(np.random.default_rng([seed, 4]).permutation(counts[0])[:most])
    said = (f"{most} of {counts[0]} pairs were drawn: values, intervals, ranks and metrics of n are those of so many",)
    return chosen, said


def check_table(name: str, array: np.ndarray, storage: str | None = None) -> str:
    """The type that embeddings (n, d) were stored in. Raises InputError for what is no table of floating-point numbers."""
    storage = storage or array.dtype.name
    if storage not in ROUNDING:
        raise InputError(f"{name}: embeddings are floating-point numbers of 16 to 64 bits, not {storage}; convert them")
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] < 2:
        raise InputError(f"{name}: embeddings are a table (n, d) with d of at least 2, not of shape {array.shape}")
    return storage


def unit_blocks(name: str, array: np.ndarray, normalize: bool, storage: str) -> Iterator[tuple[int, Array, Array]]:
    """A table's rows at unit length, some thousand at a time: where they begin, the rows, and their lengths before.

    The table may be mapped into memory: it is read once, from its beginning. Raises InputError as `modality` does.
    """
    lengths = np.empty(len(array))
    for begin in range(0, len(array), _CHUNK):
        end = begin + _CHUNK
        block = array[begin:end].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            lengths[begin:end] = length = np.linalg.norm(block, axis=1)
            block /= length[:, None]
        # Refused at the first chunk that has any, so that a file of zeros is not gone through to its end.
        with np.errstate(invalid="ignore"):
            is_unit = np.abs(length - 1) <= ROUNDING[storage]
        if not is_unit.all():
            _refuse_lengths(name, array, lengths[:end], normalize, storage)
        yield begin, block, length


def _refuse_lengths(name: str, array: np.ndarray, seen: Array, normalize: bool, storage: str) -> None:
    """Raise InputError for rows whose lengths, as far as they are seen, are not finite, zero, or off 1 without `normalize`."""
    _refuse(name, array, ~np.isfinite(seen), "have values that are not finite (or too large)", "leave those pairs out")
    _refuse(name, array, seen == 0, "are zero and have no direction", "leave those pairs out")
    off = np.abs(seen - 1) > ROUNDING[storage]
    if off.any() and (not normalize or _has_unit_columns(array, storage)):
        spread = f"lengths from {seen.min():.6g} to {seen.max():.6g}"
        _refuse(name, array, off, f"are not of unit length ({spread})", _remedy(array, storage))


def check_widths(named: Sequence[tuple[str, tuple[int, ...]]]) -> None:
    """Raise InputError unless all tables (n, d), given by name and shape, have one number of components."""
    tables = [(name, shape) for name, shape in named if len(shape) == 2]
    for name, shape in tables[1:]:
        if shape[1] != tables[0][1][1]:
            raise InputError(
                f"{printable(tables[0][0])} has {tables[0][1][1]} components and {printable(name)} {shape[1]} (shapes "
                f"{tables[0][1]} and {shape}); both need the same embedding space"
            )


def _has_unit_columns(array: np.ndarray, storage: str) -> bool:
    """Whether all columns of a table that is not too large are of unit length."""
    if len(array) > _CHUNK:
        return False
    lengths = np.linalg.norm(array.astype(np.float64), axis=0)
    return bool(np.all(np.abs(lengths - 1) <= ROUNDING[storage]))


def _remedy(array: np.ndarray, storage: str) -> str:
    """What to do about rows that are not of unit length: to scale them, unless columns are."""
    if _has_unit_columns(array, storage):
        return f"its columns are, as if its shape {array.shape} were (d, n): transpose it, or scale the rows yourself"
    return "--normalize (normalize=True) scales them"


def _refuse(name: str, array: np.ndarray, bad: np.ndarray, what: str, remedy: str) -> None:
    if bad.any():
        among = f"{len(bad)}" if len(bad) == len(array) else f"the first {len(bad)}"
        raise InputError(f"{name}: {int(bad.sum())} of {among} embeddings {what}; first: row {int(np.argmax(bad))}; {remedy}")
