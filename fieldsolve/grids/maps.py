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
_NUMBERS = tuple("LBIJKED")  # formats of columns that hold real numbers
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
    """The map in a table of a FITS file, in RING order: of the first table whose header is a map's, or of the first.

    NaN stands for values that are missing: UNSEEN, BAD_DATA, TNULL, BLANK, pixels that a list of them does not have. Raises
    InputError for a file without a table, an ordering that is none and a header that does not fit the values, and what astropy
    raises for files that are no FITS.
    """
    from astropy.io import fits  # slow to import

    with fits.open(path, memmap=False) as parts:
        tables = [part for part in parts if isinstance(part, fits.BinTableHDU)]
        maps = [part for part in tables if "NSIDE" in part.header or "ORDERING" in part.header] or tables
        if not maps:
            raise InputError("holds no table, as HEALPix maps are; write it with healpy.write_map")
        header = maps[0].header
        formats = {column.name: column.format.lstrip("0123456789")[:1] for column in maps[0].columns}
        columns = {
            column.name: _values(maps[0], k) for k, column in enumerate(maps[0].columns) if formats[column.name] in _NUMBERS
        }
        said = str(header.get("ORDERING", parts[0].header.get("ORDERING", ""))).strip()
    notes = [f"table {tables.index(maps[0]) + 1} of {len(tables)} is read"] if len(tables) > 1 else []
    foreign = [name for name, kind in formats.items() if kind not in _NUMBERS]
    if foreign:
        notes.append(f"columns that hold no real numbers are left out: {', '.join(foreign)}")
    if not said:
        notes.append("no ORDERING in its header: it is read as RING")
    elif said.upper() not in _NESTED + _RING:
        raise InputError(f"its ORDERING is {said!r}, which is neither RING nor NESTED; correct its header")
    columns = _whole(columns, header)
    if said.upper() in _NESTED:
        columns = {name: _in_rings(name, values) for name, values in columns.items()}
    return FitsMap(columns, tuple(notes))


def _whole(columns: dict[str, Array], header: Any) -> dict[str, Array]:
    """The columns as whole maps: put where a list of pixels says, or from FIRSTPIX on."""
    nside, first = header.get("NSIDE"), header.get("FIRSTPIX", 0)
    is_listed = "EXPLICIT" in str(header.get("INDXSCHM", "")).upper() or "PARTIAL" in str(header.get("OBJECT", "")).upper()
    listing = next(iter(columns), None)
    if listing is not None and (is_listed or (_is_of_pixels(listing, columns[listing]) and len(columns) > 1)):
        pixels = columns[listing]
        if is_listed or not _counts(pixels):
            size = 12 * int(nside) ** 2 if isinstance(nside, int) else len(pixels)
            return {name: _spread(pixels, values, size) for name, values in columns.items() if name != listing}
    for values in columns.values():
        if isinstance(nside, int) and len(values) != 12 * nside**2 and isinstance(first, int):
            pixels = float(first) + np.arange(len(values), dtype=np.float64)
            return {name: _spread(pixels, one, 12 * nside**2) for name, one in columns.items()}
    return columns


def _values(table: Any, k: int) -> Array:
    """A column in double precision, NaN where it says that a value is missing."""
    column, header = table.columns[k], table.header
    stored = np.asarray(table.data.field(k)).ravel()
    scale, zero = column.bscale or 1.0, column.bzero or 0.0
    marks = [scale * float(column.null) + zero] if column.null not in (None, "") else []
    for key in ("BAD_DATA", "BLANK"):
        try:
            marks.append(float(header[key]))
        except (KeyError, TypeError, ValueError):
            continue
    values = stored.astype(np.float64)
    # In the column's own precision: a header has more digits than single precision.
    precision = np.float32 if stored.dtype.kind == "f" and stored.dtype.itemsize == 4 else np.float64
    for mark in marks:
        with np.errstate(over="ignore"):
            values = np.where(values == float(precision(mark)), np.nan, values)
    return np.where(np.abs(values) >= MARKED, np.nan, values)


def _counts(values: Array) -> bool:
    """Whether values count from 0 or 1."""
    return len(values) > 1 and values[0] in (0, 1) and bool(np.all(np.diff(values) == 1))


def _is_of_pixels(name: str, values: Array) -> bool:
    """Whether a column is one of pixel numbers by its name: whole numbers, each once."""
    return _OF_PIXELS.fullmatch(name) is not None and bool(np.all(values == np.floor(values))) and _are_distinct(values)


def _are_distinct(values: Array) -> bool:
    return len(np.unique(values)) == len(values)


def _are_pixel_numbers(name: str, values: Array) -> bool:
    """Whether a column counts the pixels, by its name or from 0 or 1."""
    return _counts(values) or _is_of_pixels(name, values)


def _spread(pixels: Array, values: Array, size: int) -> Array:
    """The whole map of the pixels that are listed."""
    fits = len(pixels) == len(values) and np.all(pixels == np.floor(pixels)) and _are_distinct(pixels)
    if not fits or np.any((pixels < 0) | (pixels >= size)):
        raise InputError(f"its header or its list of pixels does not fit {len(values)} values on {size} pixels; is it damaged?")
    whole = np.full(size, np.nan)
    whole[pixels.astype(np.int64)] = values
    return whole


def _in_rings(name: str, values: Array) -> Array:
    import healpy  # slow to import

    if _are_pixel_numbers(name, values):
        return values
    if not healpy.isnpixok(len(values)):
        raise InputError(f"{len(values)} values are no HEALPix map; it has 12 nside^2, nside a power of two")
    return np.asarray(healpy.reorder(values, n2r=True))
