"""Embeddings from files: numpy, safetensors, PyTorch, Parquet and CSV. Nothing is unpickled."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TypeVar

import numpy as np

from fieldsolve.embeddings import archives
from fieldsolve.embeddings.archives import Stored, check_unpacked
from fieldsolve.embeddings.modality import Modality, check_widths, drawn, modality
from fieldsolve.embeddings.shards import check_expanded, join, shards_of
from fieldsolve.embeddings.tables import align, read_table
from fieldsolve.numerics.arrays import Indices
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.files import require_file
from fieldsolve.numerics.names import printable

_ARCHIVES = {
    ".npy": archives.npy,
    ".npz": archives.npz,
    ".safetensors": archives.safetensors,
    ".pt": archives.torch,
    ".pth": archives.torch,
}
_TABLES = (".parquet", ".csv")

FORMATS = (*_ARCHIVES, *_TABLES)

_MOST_TABLES = 16  # in one array (k, n, d)

_Read = TypeVar("_Read")


def read_modalities(
    sources: Sequence[str | Path],
    normalize: bool = False,
    precision: type[np.floating] | None = None,
    most: int | None = None,
    seed: int = 0,
) -> list[Modality]:
    """The modalities in files, in their order: FILE, or FILE::NAME for one array of it.

    .npy: one table (n, d), or several of them (k, n, d). .npz, .safetensors (also bfloat16), .pt and .pth (if PyTorch is
    there): the named array, or all of floating-point numbers. .parquet and .csv (with pyarrow): a column of lists, or the columns
    whose name begins so, or all columns, see `read_table`; columns of several tables are those of one name. Only what is asked
    for is loaded. normalize, precision: as in `modality`; most: of tables that match row by row and have more rows, so many are
    drawn, the same of all. Raises InputError for files that cannot be read, and for what
    `modality` refuses.
    """
    parts = tables_in(sources)
    chosen, said = (None, ()) if most is None else drawn([sum(one.shape[:1]) for one in parts], most, seed)
    parts[0] = replace(parts[0], notes=(*parts[0].notes, *said))
    found = [_modality(one, normalize, precision, chosen) for one in parts]
    labels = [one.name for one in found]
    if len(set(labels)) < len(labels):
        found = [replace(one, name=f"{one.name} ({chr(97 + index)})") for index, one in enumerate(found)]
    return found


def tables_in(sources: Sequence[str | Path]) -> list[Stored]:
    """The tables (n, d) in files, two or more, not loaded yet; sources and errors as in `read_modalities`."""
    check_expanded(sources)
    stored = [one for source in sources for one in _chosen(str(source))]
    parts = [part for one in align(stored) for part in _parts(one)]
    if len(parts) < 2:
        raise InputError(
            f"{', '.join(map(str, sources))}: hold one modality; a gap is between two: give another file, or one (2, n, d)"
        )
    check_widths([(one.name, one.shape) for one in parts])
    return parts


def read(path: Path, reader: Callable[[], _Read]) -> _Read:
    """What a reader returns; what it raises for files that are damaged or foreign becomes one sentence.

    Raises InputError, also for what is no regular file.
    """
    require_file(path)
    try:
        return reader()
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{path}: claims to hold more than fits into memory; is it damaged?") from None
    except Exception as error:  # what readers of foreign formats raise is as manifold as they are
        first = printable((str(error).splitlines() or [""])[0])
        raise InputError(
            f"{path}: cannot be read as {path.suffix or 'text'} ({type(error).__name__}: {first}); is it one, and whole?"
        ) from error


def _chosen(source: str) -> list[Stored]:
    """The arrays that FILE or FILE::NAME means, their loading guarded as reading is; FILE may stand for shards."""
    text, _, name = source.partition("::")
    path = Path(text)
    shards = shards_of(path, FORMATS)
    if shards is None:
        return _of_file(path, name)
    return join(path, [(shard, _of_file(shard, name)) for shard in shards])


def _of_file(path: Path, name: str) -> list[Stored]:
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"{path}: embeddings are read from {', '.join(FORMATS)}")
    if suffix in _TABLES:
        return [read(path, lambda: read_table(path, name or None))]
    if suffix == ".npy" and name:
        raise InputError(f"{path}: an .npy holds one array without a name; leave out ::{name}")
    found = read(path, lambda: _ARCHIVES[suffix](path))
    if name:
        names = [one.name for one in found]
        if name not in names:
            raise InputError(f"{path}: holds no array {name!r}; it has {', '.join(names) or 'none'}")
        found = [found[names.index(name)]]
    elif any(one.is_floating and len(one.shape) > 1 for one in found):
        check_unpacked(path, sum(4 * prod(one.shape) for one in found if one.is_floating), path.stat().st_size)
        left_out = ", ".join(f"{one.name} ({_said(one)})" for one in found if not (one.is_floating and len(one.shape) > 1))
        found = [one for one in found if one.is_floating and len(one.shape) > 1]
        if left_out:
            note = f"{path.name}: arrays that are no tables of floating-point numbers are left out: {left_out}"
            found[0] = replace(found[0], notes=(*found[0].notes, note))
    for one in found:
        if one.kind == "damaged":
            read(path, one.load)
        if not one.is_floating:
            objects = "; nothing is unpickled" if one.kind == "object" else ""
            raise InputError(f"{one.name}: embeddings are floating-point numbers, not {one.kind}{objects}; convert them")
    return [replace(one, load=_guarded(path, one.load)) for one in found]


def _said(one: Stored) -> str:
    return one.kind if not one.is_floating else f"of shape {one.shape}"


def _guarded(path: Path, load: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
    return lambda: read(path, load)


def _parts(one: Stored) -> list[Stored]:
    """The tables (n, d) of an array: itself, or those of (k, n, d)."""
    if len(one.shape) != 3 or one.shape[0] == 1:
        return [one]
    tables, rows, width = one.shape
    if (tables > 2 and tables > min(rows, _MOST_TABLES)) or rows == 0 or width < 2:
        raise InputError(
            f"{one.name}: an array of shape {one.shape} is no table of embeddings (n, d), and not several, (2, n, d): "
            "reshape it or exchange its axes (numpy.swapaxes)"
        )
    return [
        replace(one, name=f"{one.name} {k + 1}", shape=one.shape[1:], load=_item(one, k), notes=one.notes if k == 0 else ())
        for k in range(tables)
    ]


def _item(one: Stored, k: int) -> Callable[[], np.ndarray]:
    return lambda: np.asarray(one.load()[k])


def _modality(one: Stored, normalize: bool, precision: type[np.floating] | None, chosen: Indices | None) -> Modality:
    try:
        made = modality(one.name, one.load(), normalize, one.kind, precision, chosen)
    except MemoryError:
        raise InputError(f"{one.name}: an array of shape {one.shape} does not fit into memory; is it damaged?") from None
    return replace(made, notes=tuple(map(printable, one.notes)))
