"""HEALPix maps in FITS files: their columns in RING order, with missing values as NaN, whichever way they were marked."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

#: What is as large is a mark for a missing value: HEALPix's -1.6375e30, or the least number of single or double precision.
MARKED = 1e30

_NESTED, _RING = ("NEST", "NESTED"), ("RING",)
_OF_PIXELS = re.compile(r"(I|HPX|HP)?(PIX(EL)?S?|INDEX)([_ ]?(INDEX|ID|NUMBER|NO))?", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class FitsMap:
    """The columns of a map by name, (N,) each; notes: how they were read, for the user to know."""

    columns: dict[str, Array]
    notes: tuple[str, ...]

    def first(self) -> tuple[Array, list[str]]:
        """The first column of values, which is none of pixel numbers, with all that is to be said of it.

        Raises InputError where all columns hold pixel numbers.
        """
        numbers = [name for name, values in self.columns.items() if _are_pixel_numbers(name, values)]
        others = [name for name in self.columns if name not in numbers]
        if not others:
            raise InputError(f"none of its columns ({', '.join(self.columns) or 'there are none'}) holds values")
        notes = [f"column {name} holds pixel numbers and is left out" for name in numbers]
        if len(others) > 1:
            notes.append(f"column {others[0]} of {', '.join(others)} is read")
        return self.columns[others[0]], [*self.notes, *notes]


def read_fits(path: Path) -> FitsMap:
    """The map in the first table of a FITS file, in RING order.

    NaN stands for values that are missing: UNSEEN, BAD_DATA, TNULL, BLANK, pixels that an explicit index does not list. Raises
    InputError for a file without a table and an ordering that is none, and what astropy raises for files that are no FITS.
    """
    from astropy.io import fits  # slow to import

    with fits.open(path, memmap=False) as parts:
        table = next((part for part in parts if isinstance(part, fits.BinTableHDU)), None)
        if table is None:
            raise InputError("holds no table, as HEALPix maps are; write it with healpy.write_map")
        header = table.header
        columns = {column.name: _values(table, k) for k, column in enumerate(table.columns) if column.format[-1] != "A"}
    said, notes = str(header.get("ORDERING", "")).strip(), []
    if not said:
        notes.append("no ORDERING in its header: it is read as RING")
    elif said.upper() not in _NESTED + _RING:
        raise InputError(f"its ORDERING is {said!r}, which is neither RING nor NESTED; correct its header")
    if columns and str(header.get("INDXSCHM", "")).strip().upper() == "EXPLICIT":
        listed = columns.pop(next(iter(columns)))
        columns = {name: _spread(listed, values, header) for name, values in columns.items()}
    if said.upper() in _NESTED:
        columns = {name: _in_rings(name, values) for name, values in columns.items()}
    return FitsMap(columns, tuple(notes))


def _values(table: Any, k: int) -> Array:
    """A column in double precision, NaN where it says that a value is missing."""
    column, header = table.columns[k], table.header
    values = np.asarray(table.data.field(k), dtype=np.float64).ravel()
    scale, zero = column.bscale or 1.0, column.bzero or 0.0
    marks = [scale * float(column.null) + zero] if column.null not in (None, "") else []
    for key in ("BAD_DATA", "BLANK"):
        try:
            marks.append(float(header[key]))
        except (KeyError, TypeError, ValueError):
            continue
    for mark in marks:
        values = np.where(np.isclose(values, mark, rtol=1e-6, atol=0) if mark else values == 0, np.nan, values)
    return np.where(np.abs(values) >= MARKED, np.nan, values)


def _are_pixel_numbers(name: str, values: Array) -> bool:
    """Whether a column counts the pixels, by its name or from 0 or 1."""
    counted = len(values) > 1 and values[0] in (0, 1) and bool(np.all(np.diff(values) == 1))
    return counted or (_OF_PIXELS.fullmatch(name) is not None and bool(np.all(values == np.floor(values))))


def _spread(pixels: Array, values: Array, header: Any) -> Array:
    """The whole map of the pixels that are listed."""
    size = 12 * int(header.get("NSIDE", 0)) ** 2
    at = pixels.astype(np.int64)
    if len(at) != len(values) or np.any(at != pixels) or np.any((at < 0) | (at >= size)) or len(np.unique(at)) < len(at):
        raise InputError(f"its list of pixels does not fit the {size} of nside {header.get('NSIDE')}; is it damaged?")
    whole = np.full(size, np.nan)
    whole[at] = values
    return whole


def _in_rings(name: str, values: Array) -> Array:
    import healpy  # slow to import

    if _are_pixel_numbers(name, values):
        return values
    if not healpy.isnpixok(len(values)):
        raise InputError(f"{len(values)} values are no HEALPix map; it has 12 nside^2, nside a power of two")
    return np.asarray(healpy.reorder(values, n2r=True))
