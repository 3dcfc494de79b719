"""What a grid is: points of a homogeneous space of unit vectors, means over them, and what it knows of kernels."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fieldsolve.grids import allpairs
from fieldsolve.grids.kernels import RESOLUTION, Kernel
from fieldsolve.grids.shells import Shells
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import text_of

#: Fills an array with a field at some points, or takes one from it: next to nothing else, and no smoothing.
Access = Callable[[slice, Array], object]


#: Makes eigenvalues of others.
Shape = Callable[[Array], Array]


class Rings(NamedTuple):
    """The circles of equally spaced points that a grid of S^2 consists of, one after the other, or the one that S^1 is.

    polar: their angle from the pole; longitude: of their first point; first: its index; number: of their points; (R,) each.
    """

    polar: Array
    longitude: Array
    first: Indices
    number: Indices


#: The logarithms of equal weights, and these.
EQUAL, EVEN = np.zeros(1), np.ones(1)
EQUAL.flags.writeable = EVEN.flags.writeable = False

_POINTS = 1 << 20  # whose coordinates are made at a time, so that they never take the memory of a field
_CHUNK = 1 << 16  # points that a function gets at a time


class Grid(ABC):
    """Points of a homogeneous space embedded among the unit vectors, of equal areas unless `weights` says otherwise.

    A field is an array (..., size). Means are plain means. Grids are frozen dataclasses, hashable and cheap, whose fields are
    what makes them; `str` gives them a name that `grid_of` makes them from again, as in `healpix:64`. What is not
    abstract here has a default that is right for any such points, if slow; `fieldsolve.testing.check_grid` checks it all.

    Points need not have equal areas: where they have not, `weights` are their masses times size, and a **density is stored by
    what each point holds of it**, weights times rho, so that its mean is a plain mean still. Potentials, logarithms, variations
    and smoothed densities are functions; their mean is `mean`. With equal areas both are the same.

    name: of the kind of grid; dim: of the space; projection: of matplotlib, for its pictures; file: where fields are stored;
    turn: degrees by which fields can be turned; has_log_sums: whether `log_sums` are the grid's own.
    """

    name: ClassVar[str]
    projection: ClassVar[str | None] = None
    turn: ClassVar[float] = 30.0
    has_log_sums: ClassVar[bool] = False
    dim: int
    size: int

    @property
    @abstractmethod
    def spacing(self) -> float:
        """Width of a pixel in radians."""

    @abstractmethod
    def points(self, first: int = 0, last: int | None = None) -> Array:
        """Unit vectors of the points from first to last, shape (n, components)."""

    @property
    def components(self) -> int:
        """How many coordinates a point has: one more than the dimension on a sphere."""
        return self.dim + 1

    @property
    def log_weights(self) -> Array:
        """log(size mu_i) of the points' masses mu_i in the uniform probability measure, (size,); (1,), a 0, for equal areas."""
        return EQUAL

    @property
    def weights(self) -> Array:
        """size mu_i: the uniform density as it is stored."""
        return np.asarray(np.exp(self.log_weights))

    @property
    def axis(self) -> Array:
        """The unit vector about which `zonal` functions are, (components,)."""
        return np.asarray(self.points(0, 1)[0])

    @property
    def direction(self) -> Array:
        """A generic direction that fields of the grid can vary along, a unit vector (components,)."""
        generic = np.arange(1.0, self.components + 1)
        return np.asarray(generic / np.linalg.norm(generic))

    def __str__(self) -> str:
        return text_of(self)

    def mean(self, field: Array) -> Array:
        """int f dmu of functions, over the last axis."""
        return np.asarray(np.mean(field, axis=-1))

    def evaluate(self, function: Callable[[Array], Array]) -> Array:
        """The field of a function of points, evaluated a chunk of points at a time; shape (size,)."""
        result = np.empty(self.size)
        for first in range(0, self.size, _POINTS):
            points = self.points(first, min(first + _POINTS, self.size))
            for begin in range(0, len(points), _CHUNK):
                part = points[begin : begin + _CHUNK]
                result[first + begin : first + begin + len(part)] = function(part)
        return result

    def centroid(self, density: Array) -> Array:
        """int z rho(z) dmu; density: (..., size), result: (..., components)."""
        total = np.zeros((*np.shape(density)[:-1], self.components))
        for first in range(0, self.size, _CHUNK):
            last = min(first + _CHUNK, self.size)
            # Not a matrix product: its bits would depend on the number of threads.
            total += np.einsum("...n,nd->...d", density[..., first:last], self.points(first, last))
        return np.asarray(total / self.size)

    def nearest(self, points: Array) -> Indices:
        """Index of the pixel that holds each point; points: (n, components)."""
        own, points = self.points(), np.asarray(points, dtype=np.float64)
        step = max(1, _CHUNK * 64 // self.size)
        parts = [np.argmax(points[first : first + step] @ own.T, axis=1) for first in range(0, len(points), step)]
        return np.concatenate(parts).astype(np.int64) if parts else np.empty(0, dtype=np.int64)

    def coverage(self, centres: Array, radius: float) -> Array:
        """Fraction of each pixel within `radius` radians of at least one of the centres (m, components), shape (size,)."""
        return self.evaluate(lambda points: (distance_to_nearest(points, centres) <= radius).astype(np.float64))

    def coarser(self) -> "Grid | None":
        """The grid of this kind whose points are twice as far apart, or None where there is none."""
        return None

    def coarsened(self, field: Array) -> Array:
        """A function (..., size) on the coarser grid: averages over its pixels."""
        raise NotImplementedError(f"{self} has no coarser grid")

    def coarsened_density(self, density: Array) -> Array:
        """A density (..., size) on the coarser grid, with the same mean."""
        return self.coarsened(density)

    # How the space turns.

    def rotation(self, degrees: float) -> Array:
        """The matrix, (components, components), that turns the space by an angle: in the plane of the first two coordinates."""
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        result = np.eye(self.components)
        result[:2, :2] = [[c, -s], [s, c]]
        return result

    def rotate(self, field: Array, rotation: Array) -> Array:
        """The field carried along by a rotation matrix R: its value at x is the field's at R^T x, interpolated."""
        return np.asarray(field)[..., self.nearest(self.points() @ rotation)]

    # Kernels.

    def log_peak(self, kernel: Kernel) -> float:
        """log K(0): minus the logarithm of the mean of K/K(0) around a point."""
        first = self.points(0, 1)[0]
        angles = self.evaluate(lambda points: 2 * np.arcsin(np.minimum(np.linalg.norm(points - first, axis=1) / 2, 1.0)))
        return -float(np.log(np.mean(np.exp(kernel.relative_profile(angles)))))

    def log_volume(self, kernel: Kernel) -> float:
        """log V(tau), the volume of exp(s/tau) around any point [Asm 2.1]."""
        return kernel.critic.peak / kernel.tau - self.log_peak(kernel)

    def why_unresolved(self, kernel: Kernel) -> str | None:
        """Why the grid does not resolve a kernel, None if it does: then its volume is the same at every point."""
        if kernel.width >= RESOLUTION * self.spacing:
            return None
        return (
            f"is {kernel.width:.2g} rad wide and this grid's pixels {self.spacing:.2g} rad, but smoothing needs {RESOLUTION:g} "
            f"pixels a width; use {self.finer(kernel.width / RESOLUTION)}, tau = {self.least_tau(kernel):.2g} or more"
        )

    def resolves(self, kernel: Kernel) -> bool:
        """Whether the grid resolves a kernel."""
        return self.why_unresolved(kernel) is None

    def least_tau(self, kernel: Kernel) -> float:
        """The smallest temperature at which the grid resolves a kernel of this critic."""
        return kernel.tau * (RESOLUTION * self.spacing / kernel.width) ** 2

    def require_resolved(self, costs: Array, kernel: Kernel | None) -> None:  # noqa: B027  # nothing to refuse by default
        """Raise InputError for Gibbs densities exp(-costs), (A, size), sharper than points resolve, where the grid can tell."""

    def require(self, kernel: Kernel) -> None:  # noqa: B027  # nothing to refuse by default
        """Raise InputError for a kernel that the grid cannot smooth by, however fine it is."""

    def has_fast_sum(self, kernel: Kernel) -> bool:
        """Whether `fast_sum` has the kernel's sums; else they go over all pairs of points."""
        return False

    def fast_sum(self, kernel: Kernel, read: Access, write: Access, shape: Shape | None = None) -> None:
        """(1/N) sum_j K_ij f_j, in less time than all pairs take, of a field that `read` gives, to be taken by `write`.

        Both are called with slices that cover the points and an array: to fill with the field there, or with the sums, which
        need not last. Several threads may do so at once; no sum is written before all of the field is read. shape: what is
        made of the kernel's eigenvalues first, so that the sums are those of another kernel with the same eigenfunctions.
        """
        raise NotImplementedError(f"{self} has no fast sums")

    def sum_error(self, kernel: Kernel) -> float:
        """Bound of the rounding error of a kernel sum relative to its largest value."""
        return float(4 * np.finfo(np.float64).eps * np.sqrt(self.size))

    def pair_sums(self, kernel: Kernel, field: Array) -> Array:
        """(1/N) sum_j K_ij f_j, pair by pair: the exact path."""
        points = self.points()
        sums = allpairs.sums(points, points, field, kernel)
        return np.asarray(sums * (np.exp(self.log_peak(kernel)) / self.size))

    def log_volumes(self, kernel: Kernel) -> Array:
        """log of the discrete kernel volume (1/N) sum_j K_ij N mu_j around each point, pair by pair, (size,)."""
        return np.asarray(np.log(self.pair_sums(kernel, self.weights * np.ones(self.size))))

    def log_rows(self, kernel: Kernel, at: Indices, of: Indices) -> Array:
        """log K(x_i, x_j) for the points i in `at` and j in `of`, shape (n, m)."""
        points = self.points()
        apart, along = (np.linalg.norm(points[at][:, None] + sign * points[of][None], axis=-1) for sign in (-1, 1))
        angles = 2 * np.arctan2(apart, along)  # accurate at antipodes too
        return np.asarray(kernel.relative_profile(angles) + self.log_peak(kernel))

    def log_sums(self, kernel: Kernel, density: Array, weight: Array | None = None) -> Array:
        """log (1/N) sum_j K_ij f_j, f >= 0, each as accurate as it is itself, of a grid that `has_log_sums`.

        weight: (size,), what the sums count for. Raises InputError where one that counts depends on what is below all numbers.
        """
        raise NotImplementedError(f"{self} has no sums in logarithms of its own")

    def finer(self, spacing: float) -> str:
        """The smallest grid of this kind whose pixels are at most that wide, in the words a user types."""
        return f"a {self.name} grid whose points are {spacing:.2g} rad apart"

    def rings(self) -> "Rings | None":
        """The circles of equally spaced points that the grid consists of, pole to pole, or None: then logarithms take longer."""
        return None

    # Atoms: what densities may be made of off the points.

    def shells(self) -> Shells | None:
        """The space that an atom of the grid's densities is in, None where it is not known: points of spheres, or zonal ones."""
        return None

    def shell_vectors(self) -> Array:
        """The grid's points as `shells` has them, (size, components of a shell)."""
        return self.points()

    def from_shells(self, vectors: Array) -> Array:
        """Points (n, components) of the space that shells stand for."""
        return vectors

    def interpolate(self, field: Array, points: Array) -> Array:
        """A function at points (n, components) from its values at the grid's: those of the nearest ones by default."""
        return np.asarray(field[self.nearest(points)])

    # Harmonics: eigenfunctions of every zonal kernel. A grid without them cannot say which modes are unstable.

    @property
    def largest_degree(self) -> int:
        """The degree up to which harmonics are nearly orthonormal on the grid. Raises InputError for a grid without any."""
        raise self._without_harmonics()

    def spectrum(self, kernel: Kernel, lmax: int) -> Array:
        """Eigenvalues k_0 = 1 ... k_lmax of smoothing by a kernel, by degree. Raises InputError for a grid without harmonics."""
        raise self._without_harmonics()

    def degrees(self, lmax: int) -> Indices:
        """The degree of each real harmonic up to lmax, in the order of `synthesis` and `analysis`."""
        raise self._without_harmonics()

    def synthesis(self, coefficients: Array, lmax: int) -> Array:
        """The field sum_j c_j Y_j of real harmonics that are orthonormal with respect to mu."""
        raise self._without_harmonics()

    def analysis(self, field: Array, lmax: int) -> Array:
        """int Y_j f dmu by the plain mean: the adjoint of `synthesis`, and its inverse up to the grid's quadrature."""
        raise self._without_harmonics()

    def zonal(self, degree: int) -> Array:
        """The zonal function of a degree about the grid's axis, 1 there, shape (size,)."""
        raise self._without_harmonics()

    def _without_harmonics(self) -> InputError:
        return InputError(f"the grid {self} knows no harmonics, which this needs; use a sphere or a circle")

    # Pictures and files.

    def sky(self, ax: Any, field: Array, label: str = "", norm: Any = None, cmap: Any = "cividis") -> None:
        """Draw a field (size,) on axes of this grid's projection; label: what its values are, with their unit."""
        ax.plot(np.arange(self.size), field, color="black", lw=1.0)
        ax.set(xlabel="point", ylabel=label, yscale=scale_of(norm))

    def sky_density(self, ax: Any, density: Array, label: str = "", norm: Any = None, cmap: Any = "magma") -> None:
        """Draw a density as it is stored, at least the norm's smallest value."""
        self.sky(ax, np.maximum(density, norm.vmin), label, norm, cmap)

    def places(self, points: Array) -> tuple[Array, Array] | None:
        """Where points (n, components) are on a picture of the sky, or None if they have no place there."""
        return None

    def write_fields(self, folder: Path, fields: Mapping[str, Array]) -> None:
        """Write named fields (size,) to a folder, to the last bit, as `read_fields` reads them."""
        arrays: dict[str, Any] = dict(fields)
        np.savez(folder / "fields.npz", **arrays)

    def read_fields(self, folder: Path, names: list[str]) -> Array:
        """The named fields of a folder, (n, size). Raises OSError, ValueError or KeyError if they are not there."""
        with np.load(folder / "fields.npz", allow_pickle=False) as stored:
            return np.stack([stored[name] for name in names])


def scale_of(norm: Any) -> str:
    """The scale of an axis that shows what a norm of colours shows: log for a logarithmic one."""
    return "log" if type(norm).__name__ == "LogNorm" else "linear"


def distance_to_nearest(points: Array, centres: Array) -> Array:
    """Angle to the nearest of the centres, accurate at small angles."""
    chord = np.min([np.linalg.norm(points - centre, axis=1) for centre in centres], axis=0)
    return np.asarray(2 * np.arcsin(np.minimum(chord / 2, 1.0)))
