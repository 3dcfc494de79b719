"""Arrays in files of numpy, safetensors and PyTorch: what is there is listed, and loaded only where it is asked for."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO

import numpy as np

from fieldsolve.numerics.errors import InputError

#: An archive's array that unpacks to more bytes than this, and to so many times its packed size, is no table of embeddings:
#: those hardly shrink.
LARGEST_UNQUESTIONED, LARGEST_RATIO = 1 << 26, 100

_SAFETENSORS = {"F16": "float16", "F32": "float32", "F64": "float64", "BF16": "bfloat16"}


@dataclass(frozen=True, eq=False)
class Stored:
    """An array in a file, as far as it is known before it is loaded.

    shape, kind: of what is stored, kind a type's name; load: loads it, or maps it into memory; columns: the names of its columns,
    in tables that have any; notes: what was left out of it, for the user to know.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    load: Callable[[], np.ndarray]
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_floating(self) -> bool:
        """Whether it holds floating-point numbers."""
        return self.kind.startswith(("float", "bfloat"))


def npy(path: Path) -> list[Stored]:
    """The one array of a .npy. Raises InputError or ValueError for files that are none."""
    with path.open("rb") as file:
        shape, kind, _ = _header(file)
    mode: Any = "r" if kind != "object" and 0 not in shape else None
    return [Stored(path.stem, shape, kind, lambda: np.asarray(np.load(path, mmap_mode=mode, allow_pickle=False)))]


def npz(path: Path) -> list[Stored]:
    """The arrays of a .npz; one that is damaged does not keep others from being read. Raises InputError for no archive."""
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: is no .npz archive, or not whole")
    found = []
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            try:
                with archive.open(member) as file:
                    shape, kind, size = _header(file)  # type: ignore[arg-type]
            except Exception as error:  # damaged members raise all kinds
                found.append(Stored(name, (), "damaged", partial(_raise, error)))
            else:
                found.append(Stored(name, shape, kind, partial(_unpacked, path, member, size)))
    return found


def safetensors(path: Path) -> list[Stored]:
    """The tensors of a .safetensors, in the order of their names. Raises what the library does for files that are none."""
    from safetensors import safe_open

    found = []
    with safe_open(path, framework="numpy") as file:
        for name in sorted(file.keys()):
            tensor = file.get_slice(name)
            kind = _SAFETENSORS.get(tensor.get_dtype(), tensor.get_dtype())
            load = _widened if kind == "bfloat16" else _tensor
            found.append(Stored(name, tuple(tensor.get_shape()), kind, partial(load, path, name)))
    return found


def torch(path: Path) -> list[Stored]:
    """The tensor of a PyTorch file, or those of the dictionary in it; nothing is unpickled. Raises InputError."""
    if find_spec("torch") is None:
        raise InputError(f"{path}: reading it needs PyTorch, which is not installed; install it, or save as .safetensors or .npy")
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except UnpicklingError:
        raise InputError(f"{path}: holds more than tensors, and nothing is unpickled; save the tensors alone") from None
    named = content if isinstance(content, dict) else {path.stem: content}
    tensors = {str(name): one for name, one in named.items() if isinstance(one, torch.Tensor)}
    if not tensors:
        raise InputError(f"{path}: holds no tensor and no dictionary of tensors")
    return [
        Stored(name, tuple(one.shape), str(one.dtype).removeprefix("torch."), partial(_of_torch, one))
        for name, one in tensors.items()
    ]


def check_unpacked(path: Path, size: int, packed: int) -> None:
    """Raise InputError for what would unpack to many times its size: embeddings hardly shrink."""
    if size > LARGEST_UNQUESTIONED and size > LARGEST_RATIO * packed:
        raise InputError(
            f"{path}: would unpack from {packed} bytes to {size}, which embeddings do not; is it what it should be? Save it with "
            "numpy.savez, which does not compress, if it is"
        )


def _header(file: BinaryIO) -> tuple[tuple[int, ...], str, int]:
    """Shape, type and size of a .npy's data in bytes, from its header."""
    # Version 3 has names of fields in UTF-8, which embeddings have none of.
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    readers[(3, 0)] = readers[(2, 0)]
    shape, _, dtype = readers[np.lib.format.read_magic(file)](file)
    count = 1
    for length in shape:
        if length < 0:
            raise ValueError("a negative length")
        count *= length
    return shape, dtype.name, count * dtype.itemsize


def _raise(error: Exception) -> np.ndarray:
    raise error


def _unpacked(path: Path, member: zipfile.ZipInfo, size: int) -> np.ndarray:
    if member.file_size < size:
        raise InputError(f"{path}: {member.filename} claims {size} bytes and holds {member.file_size}; is it damaged?")
    check_unpacked(path, size, member.compress_size)
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def _tensor(path: Path, name: str) -> np.ndarray:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return np.asarray(file.get_tensor(name))


def _widened(path: Path, name: str) -> np.ndarray:
    """A bfloat16 tensor, which numpy has no type for: each is the upper half of a single-precision number."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(size))[name]
    halves = np.memmap(path, "<u2", "r", 8 + size + entry["data_offsets"][0], tuple(entry["shape"]))
    return (halves.astype(np.uint32) << 16).view(np.float32)


def _of_torch(tensor: Any) -> np.ndarray:
    import torch

    return np.asarray((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().numpy())
