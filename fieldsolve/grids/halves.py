"""The half of a kernel: K = S S with S = K^(1/2), between a grid and points that sum products of harmonics exactly."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import pi

import ducc0
import numpy as np

from fieldsolve.grids.circle import Circle
from fieldsolve.grids.grid import Grid
from fieldsolve.grids.healpix import Healpix, adjoint_synthesis, synthesis
from fieldsolve.grids.kernels import Kernel, zonal_functions
from fieldsolve.numerics.arrays import Array, Indices

_TOLERANCE = 2.0**-53  # of S at its largest, that is left out
_ANGLES = 8  # per degree, at which the sign of S is looked at


@dataclass(frozen=True)
class Half:
    """S(z, x) = sum_l k_l^(1/2) Y_l(z) Y_l(x), with K(x_i, x_j) = sum_k w_k S(x_i, z_k) S(z_k, x_j) at all points x of a grid.

    Von Mises and Fisher's laws on spheres are infinitely divisible, so that S is positive; `deficit` is what rounding and
    truncation leave of that. The points z with their weights w (sum 1) are Gauss and Legendre's for S^2, equally spaced ones
    for S^1.
    """

    grid: Grid
    kernel: Kernel

    @cached_property
    def factors(self) -> Array:
        """k_l^(1/2), up to the degree at which the rest is below rounding."""
        roots = np.sqrt(np.maximum(self.kernel.spectrum(self.grid.dim, 2 * self.kernel.harmonic_scale()), 0.0))
        size = _multiplicities(self.grid.dim, len(roots) - 1) * roots
        tail = np.cumsum(size[::-1])[::-1]
        beyond = np.flatnonzero(tail <= _TOLERANCE * size.sum())
        return np.asarray(roots[: int(beyond[0]) if beyond.size else len(roots)])

    @property
    def lmax(self) -> int:
        return len(self.factors) - 1

    @cached_property
    def profile(self) -> tuple[float, float, float]:
        """The largest value of S, its least above 0, and by how much it is negative."""
        angles = np.linspace(0, pi, _ANGLES * self.lmax + 1)
        weights = _multiplicities(self.grid.dim, self.lmax) * self.factors
        values = np.zeros_like(angles)
        for weight, zonal in zip(weights, zonal_functions(angles, self.grid.dim, self.lmax), strict=True):
            values += weight * zonal
        return float(values[0]), float(max(values.min(), 0.0)), float(max(-values.min(), 0.0))

    @property
    def deficit(self) -> float:
        """What S must be raised by to be at least 0, rounding included."""
        largest, _, negative = self.profile
        return 4 * negative + 16 * np.finfo(np.float64).eps * largest

    @property
    def weights(self) -> Array:
        """w, (M,)."""
        return _points(self.grid.dim, self.lmax).weights

    def spread(self, field: Array) -> Array:
        """(1/N) sum_j S(z_k, x_j) f_j of fields (A, N) of the grid, (A, M)."""
        return np.stack([self._to_points(self._by_degree * self._from_grid(one)) for one in field])

    def gather(self, field: Array) -> Array:
        """sum_k w_k S(x_i, z_k) f_k of fields (A, M), (A, N): the adjoint of `spread`."""
        return np.stack([self._to_grid(self._by_degree * self._from_points(one * self.weights)) for one in field])

    @cached_property
    def _by_degree(self) -> Array:
        return self.factors[_degrees(self.grid.dim, self.lmax)]

    def _from_grid(self, field: Array) -> Array:
        if isinstance(self.grid, Circle):
            return _circle_modes(field, self.lmax) / self.grid.count
        return self.grid.analysis(field, self.lmax)

    def _to_grid(self, coefficients: Array) -> Array:
        if isinstance(self.grid, Circle):
            return _on_circle(coefficients, self.lmax, self.grid.count)
        return self.grid.synthesis(coefficients, self.lmax)

    def _to_points(self, coefficients: Array) -> Array:
        points = _points(self.grid.dim, self.lmax)
        if points.geometry is None:
            return _on_circle(coefficients, self.lmax, len(points.weights))
        return synthesis(coefficients, self.lmax, points.geometry, len(points.weights))

    def _from_points(self, field: Array) -> Array:
        points = _points(self.grid.dim, self.lmax)
        if points.geometry is None:
            return _circle_modes(field, self.lmax)
        return adjoint_synthesis(field, self.lmax, points.geometry)


def why_no_half(grid: Grid, kernel: Kernel) -> str | None:
    """Why a kernel has no half that is known to be positive on a grid, or None."""
    if not isinstance(grid, Circle | Healpix):
        return f"halves of kernels are known on circles and spheres, not on {grid}"
    if kernel.critic.linear is None:
        return f"the {kernel.critic} kernel is not known to be a square of a positive one; cosine and rbf are"
    return None


@dataclass(frozen=True, eq=False)
class _Points:
    weights: Array
    geometry: dict[str, Array] | None


@lru_cache(maxsize=4)
def _points(dim: int, lmax: int) -> _Points:
    """Points over which products of two harmonics up to lmax are summed exactly."""
    if dim == 1:
        count = 2 * lmax + 2
        return _Points(np.full(count, 1 / count), None)
    rows, around = lmax + 1, 2 * lmax + 2
    weights = np.repeat(ducc0.misc.GL_weights(rows, 1), around)
    geometry = {
        "theta": ducc0.misc.GL_thetas(rows), "phi0": np.zeros(rows), "nphi": np.full(rows, around, dtype=np.uint64),
        "ringstart": around * np.arange(rows, dtype=np.uint64),
    }  # fmt: skip
    return _Points(weights / weights.sum(), geometry)


def _multiplicities(dim: int, lmax: int) -> Array:
    degrees = np.arange(lmax + 1)
    return np.asarray(2.0 * degrees + 1 if dim == 2 else np.where(degrees == 0, 1.0, 2.0))


def _degrees(dim: int, lmax: int) -> Indices:
    return Circle(3).degrees(lmax) if dim == 1 else Healpix(1).degrees(lmax)


def _circle_modes(field: Array, lmax: int) -> Array:
    """sum_i Y_j(x_i) f_i of equally spaced points, for degrees beyond half of their number too."""
    modes = np.fft.fft(field)[np.arange(lmax + 1) % len(field)]
    rest = np.sqrt(2.0) * modes[1:]
    return np.concatenate([modes[:1].real, rest.real, -rest.imag])


def _on_circle(coefficients: Array, lmax: int, count: int) -> Array:
    """sum_j c_j Y_j at equally spaced points."""
    modes = np.zeros(count, dtype=np.complex128)
    own = np.concatenate([coefficients[:1], np.sqrt(2.0) * (coefficients[1 : lmax + 1] - 1j * coefficients[lmax + 1 :])])
    np.add.at(modes, np.arange(lmax + 1) % count, own)
    return np.asarray(np.fft.ifft(modes).real * count)
