"""Move the centroid gap of stored embeddings without changing a single cross-modal similarity but by one constant.

The loss leaves the gap free within a window, and so do given embeddings: linear maps of k directions and a constant added to both
modalities keep z.w + c exactly and change where the modalities lie. How far is a small semidefinite program (beyond the paper).
"""

import io
import json
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from fieldsolve.embeddings.files import read
from fieldsolve.embeddings.modality import check_table, check_widths, unit_blocks
from fieldsolve.encoders.gap_program import OVER, GapProgram
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import Advice, InputError
from fieldsolve.numerics.progress import Progress, Watch
from fieldsolve.output.folders import write_whole

_SCHEMA = "fieldsolve/gap-map/1"

_AT_THE_END = 1e-5  # by which a target may be outside the window, and stands for its end
_PARALLEL = 1e-9  # singular value of both centroids below which they have one direction
_MOST_DIRECTIONS = 32  # the program takes a minute then

#: Where the gap goes: to an end of the window, or to a value in it.
Target = Literal["min", "max"] | float


class Table(NamedTuple):
    """Embeddings of one modality, to be read in blocks: any array (n, d), also one mapped into memory."""

    name: str
    array: np.ndarray
    normalize: bool = False
    storage: str | None = None

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Unit rows, some thousand at a time, and where they begin."""
        storage = check_table(self.name, self.array, self.storage)
        for begin, block, _ in unit_blocks(self.name, self.array, self.normalize, storage):
            yield begin, block


@dataclass(frozen=True, eq=False)
class GapMap:
    """z' = (F_1^T (B^T z, 1), sqrt(alpha) z_perp) and w' mirrored, so that z'.w' = z.w + c exactly.

    basis: B, (d, k), orthonormal columns; factors: F_1 and F_2, (k + 1, 2 k + 2); stretch: alpha; constant: c; window: the least
    and the largest gap that k directions allow these embeddings; before, centroid_gap: it without and with the map. Rows
    have d + 2 k + 2 columns and lengths of at most 1: search them by inner product, and do not renormalise them.
    """

    basis: Array
    factors: tuple[Array, Array]
    stretch: float
    constant: float
    window: tuple[float, float]
    before: float
    centroid_gap: float

    @property
    def directions(self) -> int:
        """k, how many directions are mapped."""
        return int(self.basis.shape[1])

    @property
    def columns(self) -> int:
        """Of moved rows, d + 2 k + 2."""
        return len(self.basis) + 2 * self.directions + 2

    def __repr__(self) -> str:
        low, high = self.window
        moved = f"gap {self.before:.4f} to {self.centroid_gap:.4f}"
        return f"GapMap({self.directions} directions, window [{low:.4f}, {high:.4f}], {moved})"

    def first(self, rows: Any, normalize: bool = False) -> Array:
        """Moved embeddings of the first modality, (n, d + 2 k + 2). Those longer than 1 are shortened, with an `Advice`.

        rows: unit rows (n, d), or one (d,); normalize: scale them to unit length instead of refusing others. Raises InputError
        for rows of another dimension or off the unit sphere.
        """
        return self._moved(rows, 0, normalize)

    def second(self, rows: Any, normalize: bool = False) -> Array:
        """The same of the second modality."""
        return self._moved(rows, 1, normalize)

    def blocks(self, table: Table, modality: int) -> Iterator[tuple[int, Array, int]]:
        """Moved rows some thousand at a time: where they begin, the rows, and how many of them were shortened to length 1."""
        if table.array.ndim == 2 and table.array.shape[1] != len(self.basis):
            raise InputError(
                f"the map is of rows with {len(self.basis)} components, and {table.name} have {table.array.shape[1]}; both "
                "need the same embedding space"
            )
        factor, stretch = self.factors[modality], sqrt(self.stretch) if modality == 0 else 1 / sqrt(self.stretch)
        for begin, block in table.blocks():
            inside = block @ self.basis
            rows = np.hstack([inside @ factor[:-1] + factor[-1], stretch * (block - inside @ self.basis.T)])
            lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
            is_long = lengths > 1 + OVER
            rows[is_long] /= lengths[is_long, None]
            yield begin, rows, int(is_long.sum())

    def save(self, path: str | Path) -> None:
        """Write the map to an .npz, whole or not at all. Raises InputError if it cannot be written."""
        write_whole(Path(path), self.content())

    def content(self) -> bytes:
        """The map as the bytes of an .npz."""
        numbers = {"stretch": self.stretch, "constant": self.constant, "window": list(self.window), "before": self.before}
        words = json.dumps({"schema": _SCHEMA, "centroid_gap": self.centroid_gap, **numbers}, sort_keys=True)
        file = io.BytesIO()
        np.savez(file, basis=self.basis, first=self.factors[0], second=self.factors[1], words=np.array(words))
        return file.getvalue()

    @classmethod
    def load(cls, path: str | Path) -> "GapMap":
        """A map that `save` wrote. Raises InputError for other files, and for those that are damaged."""
        path = Path(path)
        return read(path, lambda: cls._loaded(path))

    @classmethod
    def _loaded(cls, path: Path) -> "GapMap":
        if not zipfile.is_zipfile(path):
            raise InputError(f"{path}: is no map of a gap; move-gap -o writes one")
        with np.load(path, allow_pickle=False) as archive:
            if "words" not in archive.files:
                raise InputError(f"{path}: is no map of a gap; move-gap -o writes one")
            words = json.loads(str(archive["words"]))
            if not isinstance(words, dict) or words.get("schema") != _SCHEMA:
                raise InputError(f"{path}: is no map of this version of fieldsolve; fit it again")
            basis, factors = archive["basis"], (archive["first"], archive["second"])
        k = basis.shape[-1]
        arrays = (basis, *factors)
        numbers = [words.get(name) for name in ("stretch", "constant", "before", "centroid_gap")] + list(words.get("window", []))
        is_plain = len(numbers) == 6 and all(isinstance(one, float) and np.isfinite(one) for one in numbers)
        if (
            not is_plain
            or not words["stretch"] > 0
            or basis.ndim != 2
            or any(one.shape != (k + 1, 2 * k + 2) for one in factors)
            or not all(map(_is_finite, arrays))
        ):
            raise InputError(f"{path}: is damaged: its arrays do not fit each other; fit it again")
        low, high = words["window"]
        return cls(basis, factors, words["stretch"], words["constant"], (low, high), words["before"], words["centroid_gap"])

    def _moved(self, rows: Any, modality: int, normalize: bool) -> Array:
        array = np.asarray(rows)
        if array.ndim == 1:
            return np.asarray(self._moved(array[None], modality, normalize)[0])
        table = Table("the rows", array, normalize)
        check_table(table.name, table.array)
        result = np.empty((len(table.array), self.columns))
        shortened = 0
        for begin, block, count in self.blocks(table, modality):
            result[begin : begin + len(block)] = block
            shortened += count
        if shortened:
            warnings.warn(shortened_sentence(shortened, len(result)), Advice, stacklevel=3)
        return result


def shortened_sentence(count: int, of: int) -> str:
    """What is said of rows that the map would have made longer than 1."""
    return (
        f"{count} of {of} rows would be longer than 1 and were shortened: their similarities are smaller by that factor; fit the "
        "map on more rows, or move the gap less far"
    )


def move_gap(
    first: Any, second: Any, to: Target = "min", directions: int = 2, normalize: bool = False, watch: Watch | None = None
) -> GapMap:
    """The map that takes two modalities' centroid gap to `to`, "min", "max" or a number within the window, for unit rows (n, d).

    The window is that of all maps z' = F_1^T (B^T z, 1) + sqrt(alpha) z_perp and mirrored with F_1 F_2^T = diag(1, ..., 1, c)
    under which no row gets longer than 1; B has both centroids and the leading k - 2 directions of all rows besides. What the
    rows miss of length 1 belongs to a private dimension of each, which no comparison of two rows sees, and is left out. Rows need
    not be matched. Raises InputError for rows off the unit sphere, and for a target outside the window.
    """
    tables = (
        Table("the first modality", np.asarray(first), normalize),
        Table("the second modality", np.asarray(second), normalize),
    )
    return fit_gap(tables, to, directions, watch)


def fit_gap(tables: tuple[Table, Table], to: Target = "min", directions: int = 2, watch: Watch | None = None) -> GapMap:
    """The same of tables that are read in blocks, two or three times."""
    for table in tables:
        check_table(table.name, table.array, table.storage)
    check_widths([(table.name, table.array.shape) for table in tables])
    width = tables[0].array.shape[1]
    most = min(width, _MOST_DIRECTIONS)
    if not 2 <= directions <= most:
        raise InputError(f"from 2 to {most} directions of {width} can be mapped, not {directions}")
    centroids, basis = _basis(tables, directions)
    before = float(np.linalg.norm(centroids[0] - centroids[1]))
    if watch is not None:
        watch(Progress(1, 2, "directions found; the window"))
    inside = np.append(centroids[0] @ basis, 1.0), np.append(centroids[1] @ basis, 1.0)
    program = GapProgram((_features(tables[0], basis), _features(tables[1], basis)), inside)
    least, largest = program.ends()
    low, high = least.gap, max(least.gap, largest.gap)
    state = program.between(least, largest, _target(to, low, high, directions, most))
    return GapMap(basis, program.factors(state), state.stretch, state.constant, (low, high), before, state.gap)


def _target(to: Target, low: float, high: float, directions: int, most: int) -> float:
    if to in ("min", "max"):
        return low if to == "min" else high
    try:
        value = float(to)
    except ValueError:
        raise InputError(f"the gap goes to min, max or a number, not to {to!r}") from None
    if not 0 <= value <= 2:
        raise InputError(f"the gap between centroids of unit rows is from 0 to 2, not {value:g}")
    if not low - _AT_THE_END <= value <= high + _AT_THE_END:
        more = "; more directions widen it" if directions < most else ""
        raise InputError(
            f"a gap of {value:g} is outside the window from {low:.4f} to {high:.4f} that {directions} directions allow these "
            f"rows{more}"
        )
    return min(max(value, low), high)


def _basis(tables: tuple[Table, Table], directions: int) -> tuple[tuple[Array, Array], Array]:
    """Both centroids; and an orthonormal basis of them and of the leading further directions of all rows, (d, k)."""
    centroids = [sum(block.sum(axis=0) for _, block in table.blocks()) / len(table.array) for table in tables]
    left, strengths, _ = np.linalg.svd(np.stack(centroids, axis=1), full_matrices=False)
    basis = left[:, strengths > _PARALLEL]
    if basis.shape[1] < directions:
        moments = np.zeros((len(basis), len(basis)))
        for table in tables:
            for _, block in table.blocks():
                outside = block - (block @ basis) @ basis.T
                moments += outside.T @ outside
        _, vectors = np.linalg.eigh(moments)
        basis = np.linalg.qr(np.hstack([basis, vectors[:, ::-1][:, : directions - basis.shape[1]]]))[0]
    return (np.asarray(centroids[0]), np.asarray(centroids[1])), basis


def _features(table: Table, basis: Array) -> Array:
    """(B^T z, 1, |z_perp|^2) of all rows, (n, k + 2): all that their lengths under a map depend on."""
    result = np.empty((len(table.array), basis.shape[1] + 2))
    for begin, block in table.blocks():
        inside = block @ basis
        rest = np.maximum(1 - np.einsum("ij,ij->i", inside, inside), 0.0)
        result[begin : begin + len(block)] = np.column_stack([inside, np.ones(len(block)), rest])
    return result


def _is_finite(array: np.ndarray) -> bool:
    return array.dtype.kind == "f" and bool(np.isfinite(array).all())
