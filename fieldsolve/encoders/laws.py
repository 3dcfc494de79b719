"""Joint laws of two finite alphabets: which symbols of the two modalities occur together, and how often."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from pathlib import Path

import numpy as np

from fieldsolve.embeddings.files import read
from fieldsolve.grids import Circle, Grid, Healpix
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import made_of, printable, text_of
from fieldsolve.theorems.laws import PairLaw, two_modalities

#: Symbols of one alphabet, at most: a pass over all pairs of 4000 takes a second, and several tables of them are held.
MOST_SYMBOLS = 4000

_ROUNDING = 1e-6  # how far from 1 the sum of probabilities may be, to be taken for rounded ones
_SAME = 1e-11  # pointwise informations that differ by less, relative to the largest, are the same
_NEVER = -1e3  # what stands for the information of pairs that never occur where laws are compared


@dataclass(frozen=True, eq=False)
class JointLaw:
    """The joint law P_ij of symbols i = 1..n of the first modality and j = 1..m of the second.

    table: (n, m), positive or zero, sum 1, no row or column zero; label: what it is called; notes: what reading it changed.
    """

    table: Array
    label: str
    notes: tuple[str, ...] = ()

    @cached_property
    def first(self) -> Array:
        """The marginal p_i, shape (n,)."""
        return np.asarray(self.table.sum(axis=1))

    @cached_property
    def second(self) -> Array:
        """The marginal q_j, shape (m,)."""
        return np.asarray(self.table.sum(axis=0))

    @cached_property
    def pmi(self) -> Array:
        """The pointwise mutual information log P_ij/(p_i q_j), (n, m), in nats; minus infinity where a pair never occurs."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.table) - np.log(self.first)[:, None] - np.log(self.second))

    @cached_property
    def mutual_information(self) -> float:
        """I = sum P PMI, in nats."""
        return float(np.sum(self.table * np.where(self.table > 0, self.pmi, 0.0)))

    @cached_property
    def lautum(self) -> float:
        """The lautum information KL(p q^T || P) = -sum p q PMI, in nats; infinite where a pair never occurs."""
        return float(-self.first @ self.pmi @ self.second) if self.is_positive else float("inf")

    @property
    def is_positive(self) -> bool:
        """Whether every pair of symbols occurs together."""
        return bool(self.table.min() > 0)

    @cached_property
    def is_symmetric(self) -> bool:
        """Whether P = P^T, so that one encoder may serve both modalities."""
        n, m = self.table.shape
        if n != m:
            return False
        logs = np.maximum(self.pmi, _NEVER)
        return bool(np.abs(logs - logs.T).max() <= _SAME * (1 + np.abs(logs).max()))

    @cached_property
    def group(self) -> tuple[int, int] | None:
        """(k, n/k) where P_ij depends on the difference of i and j in the group Z_k x Z_(n/k) alone, else None."""
        n, m = self.table.shape
        if n != m or max(np.ptp(self.first), np.ptp(self.second)) > _SAME:
            return None
        logs = np.maximum(self.pmi, _NEVER)  # what is small in P need not be in its logarithm
        for k in (k for k in range(1, n + 1) if n % k == 0):
            rows = logs.reshape(k, n // k, k, n // k)
            if all(np.abs(np.roll(rows, 1, axes) - rows).max() <= _SAME * (1 + np.abs(logs).max()) for axes in ((0, 2), (1, 3))):
                return k, n // k
        return None

    @cached_property
    def spectrum(self) -> Array | None:
        """|PMI^_l|, the sizes of PMI's Fourier coefficients, (n,), the constant first, where there is a group; else None.

        They are PMI's singular values over n.
        """
        if self.group is None or not self.is_positive:
            return None
        return np.asarray(np.abs(np.fft.fft2(self.pmi[0].reshape(self.group)) / len(self.first)).ravel())


@dataclass(frozen=True)
class Ring:
    """P_ij proportional to exp(concentration cos(2 pi (i - j)/size)): symbols on a circle, seen through noise."""

    size: int
    concentration: float
    name = "ring"

    def law(self) -> JointLaw:
        """Its table. Raises InputError for sizes below 2 and concentrations beyond 300."""
        _check_size(self.size, self, 2)
        if not abs(self.concentration) <= 300:
            raise InputError(f"{text_of(self)}: the concentration is a number from -300 to 300")
        turn = 2 * np.pi * np.arange(self.size) / self.size
        return law_from_table(_normalised(np.exp(self.concentration * np.cos(turn[:, None] - turn))), text_of(self))


@dataclass(frozen=True)
class Simplex:
    """P = (1 - noise) identity/size + noise/size^2: partners are right but for some that are drawn at random."""

    size: int
    noise: float
    name = "simplex"

    def law(self) -> JointLaw:
        """Its table. Raises InputError for sizes below 2 and a noise outside [0, 1]."""
        return Blocks(self.size, 1, self.noise).law(text_of(self))


@dataclass(frozen=True)
class Blocks:
    """Classes of so many equally likely symbols each: partners are of one class, but for a noise of them drawn at random."""

    classes: int
    size: int
    noise: float
    name = "blocks"

    def law(self, label: str | None = None) -> JointLaw:
        """Its table. Raises InputError for fewer than 2 classes, empty ones and a noise outside [0, 1]."""
        label = label or text_of(self)
        _check_size(self.classes * self.size if min(self.classes - 1, self.size) > 0 else 0, self, 2)
        if not 0 <= self.noise <= 1:
            raise InputError(f"{label}: the noise is a share from 0 to 1")
        of_class = np.kron(np.eye(self.classes) / self.classes, np.ones((self.size, self.size)) / self.size**2)
        count = self.classes * self.size
        return law_from_table(_normalised((1 - self.noise) * of_class + self.noise / count**2), label)


@dataclass(frozen=True)
class CircleViews:
    """Two views of a uniform content on so many points of the circle, each spread with a von Mises concentration."""

    points: int
    concentration: float
    name = "circle"

    def law(self) -> JointLaw:
        """Its table. Raises InputError for what the circle's points do not resolve."""
        _check_size(self.points, self, 4)
        return _uniform_views(Circle(self.points), self.concentration, text_of(self))


@dataclass(frozen=True)
class SphereViews:
    """Two views of a uniform content on a HEALPix grid, each spread with a von Mises-Fisher concentration."""

    nside: int
    concentration: float
    name = "sphere"

    def law(self) -> JointLaw:
        """Its table. Raises InputError for what the grid does not resolve."""
        _check_size(12 * max(self.nside, 0) ** 2, self, 12)
        return _uniform_views(Healpix(self.nside), self.concentration, text_of(self))


Named = Ring | Simplex | Blocks | CircleViews | SphereViews

#: Laws by name, as in ring:24,5 or simplex:size=6,noise=0.2.
LAWS: dict[str, type[Named]] = {one.name: one for one in (Ring, Simplex, Blocks, CircleViews, SphereViews)}


def law_named(text: str, has_labels: bool = False) -> JointLaw:
    """The law that a text means: a named one (`ring:24,5`), or a table of counts or probabilities in an .npy or .csv file.

    has_labels: the file holds two columns of labels, one pair of partners a row, to be counted. Raises InputError for unknown
    names, for files that cannot be read, and for what `law_from_table` refuses.
    """
    path = Path(text)
    if path.suffix.lower() not in (".npy", ".csv"):
        if has_labels:
            raise InputError(f"{printable(text)}: labels are read from an .npy or .csv file with two columns")
        if text.partition(":")[0] not in LAWS:
            raise InputError(
                f"{printable(text)} is no law: name one ({', '.join(sorted(LAWS))}, as in ring:24,5), or give a table as .npy or "
                ".csv"
            )
        return made_of(text, LAWS, "law").law()
    cells = read(path, (lambda: np.load(path, allow_pickle=False)) if path.suffix.lower() == ".npy" else lambda: _cells(path))
    label = printable(path.name)
    if not has_labels:
        return law_from_table(cells if path.suffix.lower() == ".npy" else _numbers(cells, label), label)
    if cells.ndim != 2 or cells.shape[1] != 2:
        raise InputError(f"{label}: labels are two columns, one pair of partners a row, not of shape {cells.shape}")
    heads = [str(one) for one in cells[0]]
    if path.suffix.lower() == ".csv" and len(cells) > 2 and not np.any(cells[1:] == cells[0]):
        law = law_from_labels(cells[1:, 0].tolist(), cells[1:, 1].tolist(), label)
        note = f"{label}: its first row, {heads[0]!r} and {heads[1]!r}, is taken for a header, since neither occurs again"
        return replace(law, notes=(*law.notes, printable(note)))
    return law_from_labels(cells[:, 0].tolist(), cells[:, 1].tolist(), label)


def law_from_table(table: Array, label: str = "a table") -> JointLaw:
    """The law of a table of probabilities, or of counts (whole numbers that sum to more than 1), shape (n, m).

    Probabilities that sum to 1 within 1e-6 are scaled, with a note; rows and columns of zeros are left out, with a note.
    Raises InputError for tables that are not finite, negative, of another sum, or of more than MOST_SYMBOLS symbols.
    """
    array = np.asarray(table)
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        raise InputError(f"{label}: a law is a table of numbers (n, m), not of shape {array.shape} and type {array.dtype}")
    if max(array.shape) > MOST_SYMBOLS:
        raise InputError(
            f"{label}: has {array.shape[0]} x {array.shape[1]} symbols, and at most {MOST_SYMBOLS} of one alphabet can be solved "
            "for; merge rare ones"
        )
    values = array.astype(np.float64)
    for is_bad, what in ((~np.isfinite(values), "is not finite"), (values < 0, "is negative")):
        if is_bad.any():
            i, j = np.argwhere(is_bad)[0].tolist()
            raise InputError(f"{label}: the entry in row {i}, column {j} {what} ({values[i, j]:g}); correct it")
    with np.errstate(over="ignore"):
        total = float(values.sum())
    if not total < inf:
        raise InputError(f"{label}: the sum of its entries is not finite; scale them")
    notes = []
    is_counts = total > 1 and bool(np.all(values == np.round(values)))
    if not is_counts and not abs(total - 1) <= _ROUNDING:
        raise InputError(f"{label}: the probabilities sum to {total:.9g}, not to 1; divide by the sum, or give whole counts")
    if not is_counts and abs(total - 1) > 1e-14:
        notes.append(f"{label}: the probabilities sum to 1 {total - 1:+.1e} and were scaled")
    rows, columns = values.sum(axis=1) > 0, values.sum(axis=0) > 0
    for kept, what in ((rows, "rows"), (columns, "columns")):
        if not kept.all():
            listed = ", ".join(map(str, np.flatnonzero(~kept)[:5]))
            notes.append(f"{label}: {int((~kept).sum())} {what} hold zeros only and were left out (from 0: {listed})")
    values = values[rows][:, columns]
    if min(values.shape) < 2:
        raise InputError(f"{label}: has {values.shape[0]} x {values.shape[1]} symbols that occur; a law needs two of each")
    return JointLaw(_normalised(values), label, tuple(notes))


def law_from_labels(first: Sequence[object], second: Sequence[object], label: str = "labels") -> JointLaw:
    """The law of pairs of labels, one pair of partners an entry: how often which two occur together.

    Symbols are the labels that differ, sorted. Raises InputError for lists of different lengths, and for too many labels.
    """
    if len(first) != len(second) or not first:
        raise InputError(f"{label}: partners' labels come in pairs, not {len(first)} and {len(second)} of them")
    sides = [np.unique(np.array([str(one) for one in side]), return_inverse=True) for side in (first, second)]
    shape = len(sides[0][0]), len(sides[1][0])
    if max(shape) > MOST_SYMBOLS:
        raise InputError(f"{label}: has {shape[0]} and {shape[1]} different labels, of at most {MOST_SYMBOLS}; merge rare ones")
    counts = np.zeros(shape)
    np.add.at(counts, (sides[0][1], sides[1][1]), 1.0)
    law = law_from_table(counts, label)
    if counts.sum(axis=0).max() > 1 or counts.sum(axis=1).max() > 1:
        return law
    note = f"{label}: every label occurs once, and such pairs say nothing of how often others would occur together; merge labels"
    return replace(law, notes=(*law.notes, note))


def law_of_views(law: PairLaw) -> JointLaw:
    """The joint law of grid points of a pair law: P_ij is its mass at points i and j that have any.

    Raises InputError for grids of more than MOST_SYMBOLS points.
    """
    size = law.grid.size
    if size > MOST_SYMBOLS:
        raise InputError(f"{law.label}: its grid has {size} points, of at most {MOST_SYMBOLS}; use a coarser one")
    masses = law.marginals[0] / size
    joint = law.conditional(0, np.arange(size)) * masses[:, None] / size
    return law_from_table(_normalised(np.where(joint > 0, joint, 0.0)), law.label)


def _uniform_views(grid: Grid, concentration: float, label: str) -> JointLaw:
    return law_of_views(two_modalities(grid, np.ones(grid.size), (concentration, concentration), 0.0, label))


def _check_size(size: int, named: Named, least: int) -> None:
    if not least <= size <= MOST_SYMBOLS:
        raise InputError(f"{text_of(named)}: has {size} symbols, and a law has from {least} to {MOST_SYMBOLS}")


def _normalised(values: np.ndarray) -> Array:
    return np.asarray(values / values.sum(), dtype=np.float64)


def _cells(path: Path) -> np.ndarray:
    """The cells of a CSV file as text, separated by commas, semicolons or tabs. Raises InputError for ragged tables."""
    text = path.read_text(encoding="utf-8-sig")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count) if any(one in first for one in ",;\t") else " "
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    widths = {len(row) for row in rows}
    if not rows:
        raise InputError(f"{printable(path.name)}: is empty; a law is a table of counts or probabilities")
    if len(widths) != 1:
        least, most = min(widths, default=0), max(widths, default=0)
        raise InputError(f"{printable(path.name)}: its rows have from {least} to {most} cells; a table has as many in each")
    return np.array(rows)


def _numbers(cells: np.ndarray, label: str) -> Array:
    """A table of numbers; a first row or column of names is left out, with an empty corner also one of numbers.

    Raises InputError for a first row that counts columns, as pandas writes them.
    """
    is_number = np.vectorize(_is_number, otypes=[bool])(cells)
    # Names of rows alone, no header: words, and then numbers, in every row.
    is_named = bool(cells[0, 0]) and not is_number[:, 0].any() and bool(is_number[:, 1:].all())
    rows = 0 if is_number[0].all() or is_named else 1
    columns = 0 if is_number[rows:, 0].all() and not (rows and is_number[0, 1:].all()) else 1
    width = cells.shape[1]
    if rows == 0 and width > 2 and [*cells[0]] in ([str(k) for k in range(width)], [str(k + 1) for k in range(width)]):
        raise InputError(
            f"{label}: its first row ({', '.join(cells[0][:4])}, ...) may number columns or be counts; name the columns"
        )
    body = is_number[rows:, columns:]
    if body.size == 0 or not body.all():
        place = "none" if body.size == 0 else str(cells[rows:, columns:][~body][0])
        raise InputError(f"{label}: {place!r} is no number; a law is a table of numbers, or two columns of labels (--labels)")
    return cells[rows:, columns:].astype(np.float64)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
