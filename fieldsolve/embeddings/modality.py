"""Embeddings of one modality: what is accepted, and the one policy of unit lengths."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fieldsolve.numerics.arrays import Rows
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import printable

#: How far from 1 the length of a stored unit vector may be: half precision rounds components by 2^-12 of themselves, bfloat16
#: by 2^-9. What is now in single or double precision may have passed through half.
ROUNDING = {"bfloat16": 8e-3, "float16": 2e-3, "float32": 2e-3, "float64": 2e-3}

_CHUNK = 8192  # rows converted at a time


@dataclass(frozen=True, eq=False)
class Modality:
    """Embeddings of one modality: unit rows (n, d), single precision unless they came in double; lengths as they were given."""

    name: str
    rows: Rows
    lengths: tuple[float, float]


def modality(
    name: str, array: Any, normalize: bool = False, storage: str | None = None, precision: type[np.floating] | None = None
) -> Modality:
    """Embeddings (n, d) of one modality, checked and scaled to unit length.

    array: anything that numpy can take; storage: the type they were stored in, if not the array's; precision: of the rows, by
    default single unless they were stored in double. Raises InputError for what is no table of floating-point numbers, rows
    that are not finite or zero, and, unless `normalize`, rows off the unit sphere by more than the rounding of their storage.
    """
    name, array = printable(name), np.asarray(array)
    storage = storage or array.dtype.name
    if storage not in ROUNDING:
        raise InputError(f"{name}: embeddings are floating-point numbers of 16 to 64 bits, not {storage}; convert them")
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] < 2:
        raise InputError(f"{name}: embeddings are a table (n, d) with d of at least 2, not of shape {array.shape}")
    kind = precision or (np.float64 if storage == "float64" else np.float32)
    rows: Rows = np.empty((len(array), array.shape[1]), dtype=kind)
    lengths = np.empty(len(rows))
    for begin in range(0, len(rows), _CHUNK):
        block = array[begin : begin + _CHUNK].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            lengths[begin : begin + _CHUNK] = length = np.linalg.norm(block, axis=1)
            rows[begin : begin + _CHUNK] = block / length[:, None]
    _refuse(name, ~np.isfinite(lengths), "have values that are not finite (or too large)", "leave those pairs out")
    _refuse(name, lengths == 0, "are zero and have no direction", "leave those pairs out")
    off = np.abs(lengths - 1) > ROUNDING[storage]
    if off.any() and not normalize:
        spread = f"lengths from {lengths.min():.6g} to {lengths.max():.6g}"
        _refuse(name, off, f"are not of unit length ({spread})", "--normalize (normalize=True) scales them")
    return Modality(name, rows, (float(lengths.min()), float(lengths.max())))


def _refuse(name: str, bad: np.ndarray, what: str, remedy: str) -> None:
    if bad.any():
        raise InputError(f"{name}: {int(bad.sum())} of {len(bad)} embeddings {what}; first: row {int(np.argmax(bad))}; {remedy}")
