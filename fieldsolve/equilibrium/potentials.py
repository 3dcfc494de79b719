"""Alignment potentials: named ones, von Mises-Fisher mixtures, HEALPix maps, and their rotations."""

import hashlib
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fieldsolve.equilibrium.mixtures import log_mixture
from fieldsolve.grids import Grid, Healpix
from fieldsolve.grids.healpix import interpolate
from fieldsolve.grids.maps import MARKED, read_fits
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.files import require_file
from fieldsolve.numerics.names import printable

_KINDS = "a Potential, a name, a map's path, an array of the grid's size, or a function of points"


@dataclass(frozen=True, eq=False)
class Potential:
    """An alignment potential U [Def 3.1], a function on the sphere that can be put on any grid and rotated.

    function: maps unit vectors (n, d) to values (n,). label: what pictures call it; name: what makes it again (`named`), None if
    nothing does. wells: (m, d), the directions of its named wells, None by default. dimension: d, None if any will do.
    rotation: the rotation matrix that has carried the potential along. sampled: of one that is known on a grid, that and the
    values there. points: (n, d), the embeddings behind it, with the share of their squared length that they retain;
    None for other potentials. digest: the checksum of the map file that was read. turned: by how many degrees
    what was stored of it is misaligned already. notes: what was done to get it, for the user to know.
    """

    function: Callable[[Array], Array]
    label: str
    name: str | None = None
    wells: Array | None = None
    dimension: int | None = None
    rotation: Array | None = None
    sampled: tuple[Grid, Array] | None = None
    points: Array | None = None
    retained_fraction: float | None = None
    digest: str | None = None
    turned: float = 0.0
    notes: tuple[str, ...] = field(default=())

    def on(self, grid: Grid) -> Array:
        """The values at the points of a grid, shape (size,). Raises InputError for another dimension, or values that are none."""
        self._require_space_of(grid)
        if self.sampled is not None and grid in (self.sampled[0], self.sampled[0].coarser()):
            own, known = self.sampled
            values = known if self.rotation is None else own.rotate(known, self.rotation)
            return values if own == grid else own.coarsened(values)
        values = grid.evaluate(self.at)
        if not np.all(np.isfinite(values)):
            raise InputError(f"the potential {self.label} has values that are not finite")
        return values

    def at(self, points: Array) -> Array:
        """The values at unit vectors (n, d), shape (n,)."""
        return self._values(points if self.rotation is None else points @ self.rotation)

    def _require_space_of(self, grid: Grid) -> None:
        if self.dimension not in (None, grid.components):
            raise InputError(
                f"the potential {self.label} lives on S^{self.dimension - 1} and the grid {grid} has points of {grid.components} "
                "components; on the circle use flat, a mixture vmf:KAPPA@x,y or pairs in the plane, on the sphere anything else, "
                "in other dimensions flat, vmf:KAPPA@axis, poly:C0,C1,... or pairs"
            )

    def _values(self, points: Array) -> Array:
        values = np.asarray(self.function(points))
        if values.shape != (len(points),) or values.dtype.kind not in "fiu":
            raise InputError(
                f"the potential {self.label} must return a real number for each of {len(points)} points, not an array of shape "
                f"{values.shape} and type {values.dtype}"
            )
        return values

    def rotate(self, rotation: Array) -> "Potential":
        """The potential carried along by a rotation matrix R: its value at x is the original's at R^T x."""
        return replace(
            self,
            name=None,
            wells=None if self.wells is None else self.wells @ rotation.T,
            points=None if self.points is None else self.points @ rotation.T,
            rotation=rotation if self.rotation is None else rotation @ self.rotation,
        )

    def misalign(self, degrees: float, grid: Grid) -> "Potential":
        """The potential rotated by an angle as a grid's space turns; see `Grid.rotation`. Raises InputError."""
        if not np.isfinite(degrees):
            raise InputError(f"the misalignment must be a finite angle in degrees, not {degrees}")
        if degrees == self.turned or self.dimension is None:
            return self
        self._require_space_of(grid)
        label = self.label.removesuffix(_rotated_by(self.turned)) + _rotated_by(degrees)
        return replace(self.rotate(grid.rotation(degrees - self.turned)), label=label, turned=0.0)


def _rotated_by(degrees: float) -> str:
    return f" rotated by {degrees:g} degrees" if degrees else ""


def flat() -> Potential:
    """U = 0: nothing but entropy and coupling."""
    return Potential(lambda points: np.zeros(len(points)), "flat", name="flat")


def mixture(means: Array, concentrations: Array, weights: Array | None = None, label: str | None = None) -> Potential:
    """U(z) = -(1/max kappa) log sum_i w_i exp(kappa_i z.m_i): wells at the means of a von Mises-Fisher mixture.

    means: (m, d), any non-zero length; concentrations kappa: (m,) > 0; weights: (m,) > 0, equal by default,
    normalised to sum 1. Raises InputError otherwise.
    """
    means = np.atleast_2d(np.asarray(means, dtype=np.float64))
    kappa = np.broadcast_to(np.asarray(concentrations, dtype=np.float64), (len(means),))
    weight = np.full(len(means), 1.0) if weights is None else np.asarray(weights, dtype=np.float64)
    if weight.shape != (len(means),):
        raise InputError(f"a mixture of {len(means)} has as many weights, not of shape {weight.shape}")
    norms = np.linalg.norm(means, axis=1)
    for name, values in (("mean direction's length", norms), ("concentration", kappa), ("weight", weight)):
        if not (np.all(np.isfinite(values)) and np.all(values > 0)):
            raise InputError(f"every {name} of a von Mises-Fisher mixture must be a positive number, got {values}")
    means = means / norms[:, None]
    log_weight = np.log(weight / weight.sum())
    largest = float(kappa.max())

    def potential(points: Array) -> Array:
        return log_mixture(points, means, kappa, log_weight) / -largest

    return Potential(potential, label or f"mixture of {len(means)}", wells=means, dimension=means.shape[1])


def two_well() -> Potential:
    """The paper's potential of experiment D.2: two equal wells, kappa = 12, at (0, 0, 1) and (0.85, 0.15, -0.5)."""
    means = np.array([[0.0, 0.0, 1.0], [0.85, 0.15, -0.5]])
    return replace(mixture(means, np.array([12.0, 12.0]), label="two-well"), name="two-well")


def from_map(values: Array, label: str = "map") -> Potential:
    """The potential of a HEALPix map in RING order, interpolated bilinearly off its own pixels' centres.

    values: (12 nside^2,), finite. Raises InputError for any other length, or for values that are not finite.
    """
    if np.asarray(values).dtype.kind not in "fiu":
        raise InputError(f"{label}: a map must hold real numbers, not {np.asarray(values).dtype}")
    values = np.array(values, dtype=np.float64)  # the caller may change theirs
    if values.ndim != 1:
        raise InputError(f"{label}: a map must have one dimension, not the shape {values.shape}")
    nside = round((len(values) / 12) ** 0.5)
    if len(values) == 0 or 12 * nside**2 != len(values) or nside & (nside - 1):
        raise InputError(f"{label}: {len(values)} values are no HEALPix map; it has 12 nside^2, nside a power of two")
    bad = ~(np.abs(values) < MARKED)
    if bad.any():
        raise InputError(
            f"{label}: {int(bad.sum())} of {len(values)} pixels are NaN, infinite or marked as missing (first: pixel "
            f"{int(np.argmax(bad))} in RING order); fill them first, every pixel needs a value"
        )

    return Potential(lambda points: interpolate(values, points), label, dimension=3, sampled=(Healpix(nside), values))


def on_grid(grid: Grid, values: Array, label: str = "array") -> Potential:
    """The potential that is known at a grid's points, interpolated elsewhere as the grid can.

    values: (size,), finite. Raises InputError for any other.
    """
    if isinstance(grid, Healpix):
        potential = from_map(values, label)
        if len(values) != grid.size:
            raise InputError(f"{label}: {len(values)} values are no potential on the grid {grid}, which has {grid.size} points")
        return potential
    values = np.asarray(values)
    if values.shape != (grid.size,) or values.dtype.kind not in "fiu":
        raise InputError(f"{label}: a potential on the grid {grid} has {grid.size} real numbers, not the shape {values.shape}")
    values = values.astype(np.float64)
    if not np.all(np.isfinite(values)):
        bad = int(np.sum(~np.isfinite(values)))
        raise InputError(f"{label}: {bad} of {len(values)} values are not finite; every point needs one")
    return Potential(lambda points: grid.interpolate(values, points), label, dimension=grid.components, sampled=(grid, values))


def potential_of(given: Any, grid: Grid) -> Potential:
    """The potential that a user means: a Potential, a name, a map's path, an array of the grid's size, or a function of points.

    Raises InputError for anything else.
    """
    if isinstance(given, Potential):
        return given
    if isinstance(given, str | Path):
        return potential_named(str(given), grid)
    if callable(given):
        return Potential(given, getattr(given, "__name__", "function"), dimension=grid.components)
    try:
        values = np.asarray(given)
    except (TypeError, ValueError):
        values = np.empty((), dtype=object)
    if values.dtype.kind in "fiu" and values.ndim == 1:
        return on_grid(grid, values.copy())
    raise InputError(f"a potential is {_KINDS}, not {_described(given)}")


def as_tuple(given: Any) -> tuple[Any, ...]:
    """One potential or several, as a tuple: rows of an array of two dimensions, items of a list that holds more than numbers.

    Raises InputError for an empty list.
    """
    if isinstance(given, str | Path | Potential) or callable(given):
        return (given,)
    if isinstance(given, Sequence) and not all(isinstance(one, int | float) for one in given):
        return tuple(given)
    try:
        values = np.asarray(given)
    except (TypeError, ValueError):
        return (given,)
    if values.ndim == 2 and len(values):
        return tuple(values)
    if values.size == 0:
        raise InputError(f"a problem needs a potential for each modality: {_KINDS}")
    return (given,)


def _described(given: Any) -> str:
    if isinstance(given, np.ndarray):
        return f"an array of shape {given.shape} and type {given.dtype}"
    return f"{type(given).__name__} {str(given)[:40]!r}"


def read_map(path: Path, grid: Grid) -> Potential:
    """The potential of a map file: FITS in either ordering (the first column of values), or .npy in RING order.

    A map of another nside than the grid's is regraded, and the note says so: averaged over pixels if it is finer,
    interpolated if it is coarser. Raises InputError for files that cannot be read and maps that are none.
    """
    checksum, label = digest(path), printable(path.name)
    values, notes = _read(path)
    potential = from_map(values, label)
    assert potential.sampled is not None
    own, values = potential.sampled
    if isinstance(grid, Healpix) and isinstance(own, Healpix) and own != grid:
        notes.append(f"regraded from nside {own.nside} to {grid.nside}")
        is_finer = own.nside > grid.nside
        while own.nside > grid.nside:
            own, values = Healpix(own.nside // 2), own.coarsened(values)
        if is_finer:
            potential = from_map(values, label)
    return replace(potential, name=str(path), digest=checksum, notes=tuple(f"{label}: {printable(note)}" for note in notes))


def _read(path: Path) -> tuple[Array, list[str]]:
    """The values of a map file, NaN where they are missing, and how they were read."""
    is_numpy = path.suffix.lower() == ".npy"
    kind = "a numpy array of numbers" if is_numpy else "a HEALPix map in FITS format"
    try:
        if is_numpy:
            values = np.load(path, allow_pickle=False)
            if isinstance(values, np.ndarray):
                return values, []
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of astropy, on broken files; the error says enough
                return read_fits(path).first()
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except ImportError:
        raise InputError(f"{path}: reading it needs healpy and astropy: pip install healpy, where it has a wheel") from None
    except Exception as error:  # healpy and astropy raise many kinds; all mean the same here
        raise InputError(f"{path}: cannot be read as {kind}; is it one, and whole?") from error
    raise InputError(f"{path}: cannot be read as {kind}; is it one, and whole?")


def digest(path: Path) -> str:
    """The checksum of a map file. Raises InputError if it cannot be read."""
    status = require_file(path)
    try:
        return _digest(path, status.st_mtime_ns, status.st_size, status.st_ino)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


@lru_cache(maxsize=64)
def _digest(path: Path, *_: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_map_file(text: str) -> bool:
    """Whether a potential's name is that of a map file."""
    return text.lower().endswith((".fits", ".fit", ".fits.gz", ".npy"))


def potential_named(text: str, grid: Grid) -> Potential:
    """The potential that a user names: flat, two-well, a mixture vmf:KAPPA@x,y,z[*WEIGHT][+...], poly:C0,C1,..., or a map file.

    On the circle the mean directions are x,y; everywhere they may be axis or -axis, the grid's, on a disk axis:DEGREES. poly:
    sum_k C_k t^k of the height t along that axis.

    Raises InputError for anything else.
    """
    if text == "flat":
        return flat()
    if text == "two-well":
        return two_well()
    if text.startswith("vmf:"):
        return _parsed_mixture(text, grid)
    if text.startswith("poly:"):
        return _parsed_polynomial(text, grid)
    if is_map_file(text):
        return read_map(Path(text), grid)
    raise InputError(
        f"unknown potential {text!r}: it is flat, two-well, vmf:KAPPA@x,y,z[*WEIGHT][+...] (@axis in any dimension), "
        "poly:C0,C1,..., or a map file (.fits, .npy)"
    )


def _direction(text: str, grid: Grid) -> list[float]:
    """A mean direction: coordinates, or the grid's axis, either way or turned. Raises ValueError for anything else."""
    if text.removeprefix("-") == "axis":
        sign = -1.0 if text.startswith("-") else 1.0
        return [sign * one for one in grid.axis.tolist()]
    if text.startswith("axis:"):
        angle = float(text.removeprefix("axis:"))
        turned = grid.rotation(angle) @ grid.axis
        if abs(turned @ grid.axis - np.cos(np.radians(angle))) < 1e-9:
            return [float(one) for one in turned]
    return [float(number) for number in text.split(",")]


def _parsed_polynomial(text: str, grid: Grid) -> Potential:
    try:
        coefficients = [float(number) for number in text.removeprefix("poly:").split(",")]
    except ValueError:
        raise InputError(f"cannot read {text!r}: a polynomial of the height along the axis is poly:C0,C1,...") from None
    axis = grid.axis

    def potential(points: Array) -> Array:
        return np.asarray(np.polynomial.polynomial.polyval(points @ axis, coefficients))

    return Potential(potential, text, name=text, dimension=grid.components)


def _parsed_mixture(text: str, grid: Grid) -> Potential:
    means, kappas, weights = [], [], []
    for part in re.split(r"(?<![eE])\+", text.removeprefix("vmf:")):
        match = re.fullmatch(r"([^@*]+)@([^@*]+)(?:\*([^@*]+))?", part.strip())
        try:
            if match is None:
                raise ValueError
            kappas.append(float(match[1]))
            means.append(_direction(match[2].strip(), grid))
            weights.append(1.0 if match[3] is None else float(match[3]))
        except ValueError:
            raise InputError(f"cannot read {part!r} in {text!r}: a component is KAPPA@x,y,z or KAPPA@x,y,z*WEIGHT") from None
    if len({len(mean) for mean in means}) != 1:
        raise InputError(f"the mean directions in {text!r} differ in dimension")
    return replace(mixture(np.array(means), np.array(kappas), np.array(weights), label=text), name=text)
