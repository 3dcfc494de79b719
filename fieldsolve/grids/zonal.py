"""Zonal densities on spheres of any dimension: nodes in the angle from an axis, their masses, the exact kernel between them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log, pi, sqrt
from typing import Any

import numpy as np

from fieldsolve.grids.bessel import log_exponential_mean
from fieldsolve.grids.gegenbauer import angular_nodes, has_legendre_nodes, largest_orthonormal, orthonormal
from fieldsolve.grids.grid import Grid, scale_of
from fieldsolve.grids.kernels import Kernel
from fieldsolve.grids.shells import Shells
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices, whole
from fieldsolve.numerics.compiled import jit, sum_of_exponentials
from fieldsolve.numerics.errors import InputError

LEAST_DIMENSION, LARGEST_DIMENSION = 3, 4096
LARGEST_COUNT = 8192

#: Concentration of kernel and density together, in 1/tau, that grids resolve where nothing is said: of tau = 0.01, CLIP's.
USUAL = 200.0

_PLAIN = 600.0  # nats that kernels may span to be kept as numbers
_SMALLEST_LOG, _LOG_ACCURACY = -744.0, -25.0  # of the least number; of what may be left out of a sum, relative
_PARTS = 4096  # of a node's cell that the rim of a cap cuts
_SAME = 1e-9  # relative, of a function's values around the axis


def nodes_for(dimension: int, concentration: float) -> int:
    """How many nodes resolve a kernel and densities whose concentrations add up to so much: 2 pi sqrt(d + kappa + b)."""
    return ceil(2 * pi * sqrt(dimension + concentration))


def zonal_for(dimension: int, kernel: Kernel) -> "Zonal":
    """The zonal grid that resolves a kernel, and the Gibbs densities of potentials of slope 1 at its temperature."""
    linear = kernel.critic.linear is not None
    return Zonal(dimension, nodes_for(dimension, kernel.concentration + 1 / kernel.tau if linear else USUAL))


@dataclass(frozen=True)
class Zonal(Grid):
    """Functions of the angle theta from an axis on S^{d-1}, at `count` nodes (beyond the paper).

    The axis is the last coordinate. A node stands for the sphere S^{d-2} of all points at its angle; of the uniform measure it
    has w_i ~ sin^{d-2} theta_i (midpoints of equal steps, which converge geometrically; Gauss and Legendre's nodes in odd
    dimensions below 33), far below all numbers near the poles: hence `log_weights`, and densities stored by mass.
    log K(t, t') = kappa t t' + log A_{d-1}(kappa r r') - log A_d(kappa), r = sqrt(1 - t^2), is exact.

    dimension: d, from 3 to 4096. count: at least 2 pi sqrt(d); by default what tau = 0.01 needs. Raises InputError for others.
    """

    dimension: int
    count: int = 0

    name = "zonal"
    turn = 180.0
    has_log_sums = True

    def __post_init__(self) -> None:
        if not LEAST_DIMENSION <= (whole(self.dimension) or 0) <= LARGEST_DIMENSION:
            raise InputError(
                f"a zonal grid is of a sphere of {LEAST_DIMENSION} to {LARGEST_DIMENSION} dimensions, not {self.dimension}; "
                "two dimensions are the circle's"
            )
        object.__setattr__(self, "dimension", int(self.dimension))
        count = whole(self.count)
        least = nodes_for(self.dimension, 0.0)
        if count == 0:
            count = nodes_for(self.dimension, USUAL)
        if not least <= (count or 0) <= LARGEST_COUNT:
            raise InputError(
                f"a zonal grid of {self.dimension} dimensions has from {least} nodes, as the uniform density needs, to "
                f"{LARGEST_COUNT}, not {self.count}"
            )
        object.__setattr__(self, "count", count)

    @property
    def dim(self) -> int:  # type: ignore[override]
        return self.dimension - 1

    @property
    def size(self) -> int:  # type: ignore[override]
        return self.count

    @property
    def spacing(self) -> float:
        return pi / self.count

    @property
    def angles(self) -> Array:
        """theta of the nodes in radians, rising, (count,)."""
        return angular_nodes(self.dimension, self.count)[0]

    @property
    def heights(self) -> Array:
        """t = cos theta of the nodes, falling, (count,)."""
        return np.asarray(np.cos(self.angles))

    @property
    def log_weights(self) -> Array:
        return angular_nodes(self.dimension, self.count)[1]

    @property
    def axis(self) -> Array:
        result = np.zeros(self.dimension)
        result[-1] = 1.0
        return result

    @property
    def direction(self) -> Array:
        return self.axis

    def points(self, first: int = 0, last: int | None = None) -> Array:
        """One point of each node's sphere."""
        return self._around(0, 1.0, slice(first, last))

    def _around(self, coordinate: int, sign: float, at: slice) -> Array:
        angle = self.angles[at]
        result = np.zeros((len(angle), self.dimension))
        result[:, coordinate], result[:, -1] = sign * np.sin(angle), np.cos(angle)
        return result

    def mean(self, field: Array) -> Array:
        return np.asarray(np.mean(field * self.weights, axis=-1))

    def evaluate(self, function: Callable[[Array], Array]) -> Array:
        """The function at the nodes. Raises InputError for one that is no function of the height along the axis."""
        around = (self._around(k, sign, slice(None)) for k, sign in ((0, 1.0), (0, -1.0), (1, 1.0)))
        values, *others = (np.asarray(function(points)) for points in around)
        size = 1 + float(np.abs(values).max())
        tolerance = _SAME * (size if np.isfinite(size) else 0.0)  # what is not finite is refused later
        if any(not np.allclose(values, other, rtol=0, atol=tolerance, equal_nan=True) for other in others):
            raise InputError(
                f"the grid {self} has functions of the height along its axis alone, and this one is none; put wells on the axis, "
                "as in vmf:12@axis or poly:0,-1, or solve on a sphere of 3 dimensions (--nside)"
            )
        return values

    def centroid(self, density: Array) -> Array:
        result = np.zeros((*np.shape(density)[:-1], self.dimension))
        result[..., -1] = np.mean(density * self.heights, axis=-1)
        return result

    def nearest(self, points: Array) -> Indices:
        angles = np.arccos(np.clip(np.asarray(points, dtype=np.float64)[:, -1], -1.0, 1.0))
        return np.asarray(np.searchsorted(self._edges(), angles), dtype=np.int64)

    def _edges(self) -> Array:
        return np.asarray((self.angles[1:] + self.angles[:-1]) / 2)

    def coverage(self, centres: Array, radius: float) -> Array:
        """Raises InputError for caps about another direction than the axis."""
        along = np.asarray(centres, dtype=np.float64)[:, -1]
        if np.any(np.abs(along) < 1 - _SAME):
            raise InputError(f"the grid {self} has caps about its axis alone")
        edges, steps = np.concatenate([[0.0], self._edges(), [pi]]), (np.arange(_PARTS) + 0.5) / _PARTS
        inside = np.zeros(self.size)
        for i in range(self.size):
            angle = edges[i] + (edges[i + 1] - edges[i]) * steps
            mass = np.log(np.sin(angle)) * (self.dimension - 2)
            share = np.exp(mass - mass.max())
            covered = (np.any(along > 0) & (angle <= radius)) | (np.any(along < 0) & (angle >= pi - radius))
            inside[i] = np.sum(share[covered]) / np.sum(share)
        return inside

    def coarser(self) -> "Zonal | None":
        half = self.count // 2
        is_half = self.count % 2 == 0 and not has_legendre_nodes(self.dimension) and half >= nodes_for(self.dimension, 0.0)
        return Zonal(self.dimension, half) if is_half else None

    def coarsened(self, field: Array) -> Array:
        return np.asarray((field[..., ::2] + field[..., 1::2]) / 2)

    def rotation(self, degrees: float) -> Array:
        """About the plane of the axis and the first coordinate: half a turn exchanges the poles."""
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        result = np.eye(self.dimension)
        result[[0, 0, -1, -1], [0, -1, 0, -1]] = c, s, -s, c
        return result

    def rotate(self, field: Array, rotation: Array) -> Array:
        turned = float(rotation[-1, -1])
        if abs(turned) < 1 - _SAME:
            raise InputError(f"the grid {self} can be turned by 180 degrees alone, which exchanges its poles")
        return np.asarray(field if turned > 0 else field[..., ::-1])

    # Kernels: those of linear critics, exactly.

    def require(self, kernel: Kernel) -> None:
        if kernel.critic.linear is None:
            raise InputError(
                f"the grid {self} knows the kernels of critics that are linear in z.z', as cosine and rbf; {kernel.critic} is not"
            )

    def nodes_needed(self, costs: Array, kernel: Kernel | None) -> int:
        """How many nodes resolve Gibbs densities exp(-costs), (A, size), and a kernel, as far as these nodes tell."""
        steepest = self._steepest(costs)
        needed = nodes_for(self.dimension, steepest * (1 - _SAME) + (0.0 if kernel is None else kernel.concentration))
        if needed > LARGEST_COUNT:
            raise InputError(
                f"the density exp(-U/tau) has a concentration of {steepest:.4g}, which {LARGEST_COUNT} zonal nodes, the most"
                " there are, do not resolve; use a larger tau or a flatter potential"
            )
        return needed

    def _steepest(self, costs: Array) -> float:
        """Of the costs in the height: the concentration that densities have at most."""
        return float(np.abs(np.diff(costs) / np.diff(self.heights)).max())

    def require_resolved(self, costs: Array, kernel: Kernel | None) -> None:
        steepest, needed = self._steepest(costs), self.nodes_needed(costs, kernel)
        if needed > self.count:
            raise InputError(
                f"the density exp(-U/tau) has a concentration of {steepest:.4g}, which {self} does not resolve; it needs "
                f"{needed} nodes, as --grid zonal:{self.dimension},{needed}"
            )

    def why_unresolved(self, kernel: Kernel) -> str | None:
        self.require(kernel)
        needed = nodes_for(self.dimension, kernel.concentration)
        if needed <= self.count:
            return None
        return f"needs {needed} nodes in {self.dimension} dimensions, and this grid has {self.count}; use a zonal grid of so many"

    def least_tau(self, kernel: Kernel) -> float:
        most = (self.count / (2 * pi)) ** 2 - self.dimension
        return kernel.tau * kernel.concentration / most if most > 0 else np.inf

    def finer(self, spacing: float) -> str:
        return f"a zonal grid of {ceil(pi / spacing)} nodes"

    def log_peak(self, kernel: Kernel) -> float:
        self.require(kernel)
        return kernel.concentration - float(log_exponential_mean(kernel.concentration, self.dimension))

    def pair_sums(self, kernel: Kernel, field: Array) -> Array:
        values = _kernel(self, kernel)
        if values.is_plain:
            # Not a matrix product: its bits would depend on the number of threads.
            return np.asarray(np.einsum("ij,j->i", values.entries, field) / self.size)
        uncounted = np.zeros(self.size)
        above, below = (np.exp(self.log_sums(kernel, np.maximum(sign * field, 0.0), uncounted)) for sign in (1, -1))
        return np.asarray(above - below)

    def log_sums(self, kernel: Kernel, density: Array, weight: Array | None = None) -> Array:
        values = _kernel(self, kernel)
        with np.errstate(divide="ignore"):
            if values.is_plain:
                return np.asarray(np.log(self.pair_sums(kernel, density)))
            logs, result = np.log(density / self.size), np.empty(self.size)
        threads.over_blocks(_log_sums_of_rows, self.size, 20 * self.size**2, values.entries, logs, result)
        most = values.entries[:, density == 0].max(axis=1, initial=-np.inf)  # what is lost with masses below all numbers
        is_lost = most + _SMALLEST_LOG + np.log(self.size) > result + _LOG_ACCURACY
        if np.any(is_lost if weight is None else is_lost & (weight > 0)):
            raise InputError(
                f"the {kernel.critic} kernel at tau = {kernel.tau:g} spans so much that a density's faintest parts, below all "
                "numbers, count; give a floor above 0 or a larger tau"
            )
        return result

    def log_volumes(self, kernel: Kernel) -> Array:
        values, result = _kernel(self, kernel), np.empty(self.size)
        rows = np.log(values.entries) if values.is_plain else values.entries
        # In logarithms: next to the poles the weights are below all numbers.
        threads.over_blocks(_log_sums_of_rows, self.size, 20 * self.size**2, rows, self.log_weights - log(self.size), result)
        return result

    def sum_error(self, kernel: Kernel) -> float:
        """0: sums of what is not negative have relative accuracy."""
        return 0.0

    def log_rows(self, kernel: Kernel, at: Indices, of: Indices) -> Array:
        self.require(kernel)
        vectors = self.shell_vectors()
        return self.shells().log_kernel(kernel, vectors[at], vectors[of])

    def shells(self) -> Shells:
        return Shells(self.dimension, 1)

    def shell_vectors(self) -> Array:
        return np.stack([np.cos(self.angles), np.sin(self.angles)], axis=1)

    def from_shells(self, vectors: Array) -> Array:
        result = np.zeros((len(vectors), self.dimension))
        result[:, 0], result[:, -1] = vectors[:, 1], vectors[:, 0]
        return result

    def interpolate(self, field: Array, points: Array) -> Array:
        angles = np.arccos(np.clip(points[:, -1], -1.0, 1.0))
        return np.asarray(np.interp(angles, self.angles, field))

    # Harmonics: the zonal ones, Gegenbauer's polynomials, one of each degree.

    @property
    def largest_degree(self) -> int:
        return largest_orthonormal(self.dimension, self.count)

    def spectrum(self, kernel: Kernel, lmax: int) -> Array:
        return kernel.spectrum(self.dim, lmax)

    def degrees(self, lmax: int) -> Indices:
        return np.arange(lmax + 1)

    def synthesis(self, coefficients: Array, lmax: int) -> Array:
        return np.asarray(coefficients @ orthonormal(self.dimension, self.heights, lmax))

    def analysis(self, field: Array, lmax: int) -> Array:
        return np.asarray(orthonormal(self.dimension, self.heights, lmax) @ field / self.size)

    def zonal(self, degree: int) -> Array:
        """The Gegenbauer polynomial of a degree in t, 1 at the axis."""
        values = orthonormal(self.dimension, np.append(self.heights, 1.0), degree)[degree]
        return np.asarray(values[:-1] / values[-1])

    # Pictures.

    def sky(self, ax: Any, field: Array, label: str = "", norm: Any = None, cmap: Any = "cividis") -> None:
        ax.plot(np.degrees(self.angles), field, color="black", lw=1.2)
        ax.set(xlabel="angle from the axis (degrees)", ylabel=label, yscale=scale_of(norm))

    def sky_density(self, ax: Any, density: Array, label: str = "", norm: Any = None, cmap: Any = "magma") -> None:
        """What each angle holds, in logarithms, over what the uniform density has there."""
        angles, lowest = np.degrees(self.angles), float(norm.vmin)
        ax.fill_between(angles, np.maximum(self.weights, lowest), lowest, color="0.85", lw=0, label="uniform density")
        ax.plot(angles, np.maximum(density, lowest), color="black", lw=1.2)
        ax.set(xlabel="angle from the axis (degrees)", ylabel="mass per angle", yscale=scale_of(norm))
        ax.legend(loc="best", fontsize=8, frameon=False)


@dataclass(frozen=True, eq=False)
class _Entries:
    """K between nodes, or log K where its values span more than numbers do."""

    entries: Array
    is_plain: bool


@lru_cache(maxsize=4)
def _kernel(grid: Zonal, kernel: Kernel) -> _Entries:
    every = np.arange(grid.size)
    entries = grid.log_rows(kernel, every, every)
    is_plain = bool(entries.max() < _PLAIN and entries.min() > -_PLAIN)
    if is_plain:
        np.exp(entries, out=entries)
    entries.flags.writeable = False
    return _Entries(entries, is_plain)


@jit()
def _log_sums_of_rows(first, last, rows, logs, result):
    exponents = np.empty(logs.size)
    for i in range(first, last):
        for j in range(logs.size):
            exponents[j] = rows[i, j] + logs[j]
        top = exponents.max()
        result[i] = top + np.log(sum_of_exponentials(exponents, top)) if top > -np.inf else -np.inf
