"""Embeddings from files: numpy, safetensors, PyTorch, Parquet and CSV. Nothing is unpickled."""

import zipfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np

from fieldsolve.embeddings.modality import Modality, modality
from fieldsolve.numerics.arrays import Indices
from fieldsolve.numerics.errors import InputError

FORMATS = (".npy", ".npz", ".safetensors", ".pt", ".pth", ".parquet", ".csv")

_SAFETENSORS = {"F16": "float16", "F32": "float32", "F64": "float64", "BF16": "bfloat16"}

Stored = tuple[str, np.ndarray, str]  # name, values, and the type they were stored in


def read_modalities(
    sources: Sequence[str | Path], normalize: bool = False, precision: type[np.floating] | None = None
) -> list[Modality]:
    """The modalities in files, in their order: FILE, or FILE::NAME for one array of it.

    .npy: one table (n, d), or several of them (k, n, d). .npz, .safetensors (also bfloat16), .pt and .pth (if PyTorch is
    there): the named array, or all. .parquet and .csv (with pyarrow): a column of lists, or the columns whose name begins so,
    or all columns. normalize, precision: as in `modality`. Raises InputError for files that cannot be read, and for what
    `modality` refuses.
    """
    found = []
    for source in map(str, sources):
        path, _, name = source.partition("::")
        for label, array, storage in _stored(Path(path), name or None):
            if array.ndim == 3 and len(array) > 1:
                parts = enumerate(array, start=1)
                found += [modality(f"{label} {index}", part, normalize, storage, precision) for index, part in parts]
            else:
                found.append(modality(label, array, normalize, storage, precision))
    if len(found) < 2:
        raise InputError(
            f"{', '.join(map(str, sources))}: hold one modality; a gap is between two: give another file, or one (2, n, d)"
        )
    labels = [one.name for one in found]
    if len(set(labels)) < len(labels):
        found = [Modality(f"{one.name} ({chr(97 + index)})", one.rows, one.lengths) for index, one in enumerate(found)]
    return found


def read_pairs_table(path: Path) -> Indices:
    """Matched rows (m, 2) from an .npy of whole numbers, or from text with two columns separated by a comma.

    Raises InputError for files that are neither.
    """
    table = _read(
        path,
        lambda: (
            np.load(path, allow_pickle=False)
            if path.suffix == ".npy"
            else np.loadtxt(path, dtype=np.int64, delimiter=",", ndmin=2)
        ),
    )
    if not isinstance(table, np.ndarray) or table.dtype.kind not in "iu":
        raise InputError(f"{path}: pairs are whole numbers: row of the first file, row of the second, counted from 0")
    return table.astype(np.int64)


def read_groups(path: Path) -> Indices:
    """Group numbers (n,) from an .npy of whole numbers or text, or from a file with one label a line."""
    labels = _read(
        path, lambda: np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.array(path.read_text().splitlines())
    )
    if not isinstance(labels, np.ndarray) or labels.ndim != 1 or labels.dtype.kind not in "iuUS":
        raise InputError(f"{path}: groups are one label a row of the first file, numbers or text")
    return np.asarray(np.unique(labels, return_inverse=True)[1], dtype=np.int64)


def _stored(path: Path, name: str | None) -> list[Stored]:
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"{path}: embeddings are read from {', '.join(FORMATS)}")
    if suffix == ".npy":
        if name is not None:
            raise InputError(f"{path}: an .npy holds one array without a name; leave out ::{name}")
        array = _read(path, lambda: np.load(path, allow_pickle=False))
        if not isinstance(array, np.ndarray):
            raise InputError(f"{path}: is no array of numbers (.npy)")
        return [(path.stem, array, array.dtype.name)]
    if suffix in (".parquet", ".csv"):
        return [(name or path.stem, table := _read(path, lambda: _table(path, name)), table.dtype.name)]
    arrays: list[Stored] = _read(
        path, lambda: {".npz": _npz, ".safetensors": _safetensors, ".pt": _torch, ".pth": _torch}[suffix](path)
    )
    if name is None:
        return arrays
    if name not in (names := [label for label, _, _ in arrays]):
        raise InputError(f"{path}: holds no array {name!r}; it has {', '.join(names) or 'none'}")
    return [arrays[names.index(name)]]


def _read(path: Path, read: Any) -> Any:
    """What a reader returns; what it raises for files that are missing, truncated or foreign becomes one sentence."""
    try:
        return read()
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except MemoryError:
        raise InputError(f"{path}: claims to hold more than fits into memory; is it damaged?") from None
    except Exception as error:  # what readers of foreign formats raise is as manifold as they are
        first = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"{path}: cannot be read as {path.suffix or 'text'} ({type(error).__name__}: {first}); is it one, and whole?"
        ) from error


def _npz(path: Path) -> list[Stored]:
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: is no .npz archive, or not whole")
    with np.load(path, allow_pickle=False) as archive:
        return [(name, archive[name], archive[name].dtype.name) for name in archive.files]


def _safetensors(path: Path) -> list[Stored]:
    from safetensors import deserialize

    parse: Callable[[bytes], list[tuple[str, Any]]] = deserialize
    found: list[Stored] = []
    for name, tensor in parse(path.read_bytes()):
        storage = _SAFETENSORS.get(tensor["dtype"])
        if storage is None:
            found.append((name, np.empty(tensor["shape"], dtype=np.int8), tensor["dtype"]))
        elif storage == "bfloat16":
            found.append((name, _widened(np.frombuffer(tensor["data"], dtype="<u2")).reshape(tensor["shape"]), storage))
        else:
            values = np.frombuffer(tensor["data"], dtype=np.dtype(storage).newbyteorder("<"))
            found.append((name, values.reshape(tensor["shape"]), storage))
    return sorted(found, key=lambda stored: stored[0])


def _widened(halves: np.ndarray) -> np.ndarray:
    """bfloat16 is the upper half of a single-precision number."""
    return (halves.astype(np.uint32) << 16).view(np.float32)


def _torch(path: Path) -> list[Stored]:
    if find_spec("torch") is None:
        raise InputError(f"{path}: reading it needs PyTorch, which is not installed; install it, or save as .safetensors or .npy")
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise InputError(f"{path}: holds more than tensors, and nothing is unpickled; save the tensors alone") from None
    tensors = {path.stem: content} if isinstance(content, torch.Tensor) else content
    if not isinstance(tensors, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in tensors.values()):
        raise InputError(f"{path}: holds no tensor and no dictionary of tensors")
    return [
        (
            str(name),
            tensor.detach().float().numpy() if tensor.dtype == torch.bfloat16 else tensor.detach().numpy(),
            str(tensor.dtype).removeprefix("torch."),
        )
        for name, tensor in tensors.items()
    ]


def _table(path: Path, name: str | None) -> np.ndarray:
    if find_spec("pyarrow") is None:
        raise InputError(f"{path}: reading it needs pyarrow: pip install 'fieldsolve[tables]', or save as .npy")
    import pyarrow
    from pyarrow import csv, parquet

    table = parquet.read_table(path) if path.suffix.lower() == ".parquet" else csv.read_csv(path)
    exact = [column for column in table.column_names if column == name]
    names = exact or [column for column in table.column_names if name is None or column.startswith(name)]
    if not names:
        raise InputError(f"{path}: no column begins with {name!r}; it has {', '.join(table.column_names[:8])}")
    chosen = [table.column(column).combine_chunks() for column in names]
    if len(chosen) == 1 and (
        pyarrow.types.is_list(chosen[0].type)
        or pyarrow.types.is_large_list(chosen[0].type)
        or pyarrow.types.is_fixed_size_list(chosen[0].type)
    ):
        lengths = (
            set(chosen[0].value_lengths().to_pylist())
            if not pyarrow.types.is_fixed_size_list(chosen[0].type)
            else {chosen[0].type.list_size}
        )
        if len(lengths) != 1 or None in lengths or chosen[0].null_count:
            raise InputError(f"{path}: the lists in column {names[0]} have different lengths, or some are missing")
        return np.asarray(chosen[0].flatten().to_numpy(zero_copy_only=False).reshape(len(chosen[0]), -1))
    # A component that is 0 in every row looks like whole numbers in a CSV.
    has_fractions = any(pyarrow.types.is_floating(values.type) for values in chosen)
    foreign = [
        column
        for column, values in zip(names, chosen, strict=True)
        if not (pyarrow.types.is_floating(values.type) or (has_fractions and pyarrow.types.is_integer(values.type)))
    ]
    if foreign:
        raise InputError(
            f"{path}: column {foreign[0]} holds no floating-point numbers; name the embeddings' columns by their beginning: "
            f"{path.name}::NAME"
        )
    return np.stack([values.to_numpy(zero_copy_only=False) for values in chosen], axis=1)
