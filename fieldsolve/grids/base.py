"""What a grid is: equal-area points of a sphere, means over them, and smoothing by a kernel."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache
from math import isqrt

import numpy as np

from fieldsolve.arrays import Array, Indices

from fieldsolve.errors import InputError, UnresolvedKernelError
from fieldsolve.grids import allpairs, faint
from fieldsolve.kernels import RESOLUTION, Kernel


#: Smoothing over more pairs of points than this is refused: it would take minutes for every step of a descent.
MOST_SMOOTHED_PAIRS = 200_000_000

_CHUNK = 1 << 16  # points at a time, so that coordinates never take the memory of a field


class Grid(ABC):
    """Equal-area points of the sphere S^dim in R^(dim+1), each with the mass 1/size of the uniform measure.

    A field is an array (..., size). Means are plain means. Grids are immutable, hashable and cheap.
    """

    dim: int
    size: int

    @property
    @abstractmethod
    def spacing(self) -> float:
        """Width of a pixel in radians."""

    @abstractmethod
    def points(self, first: int = 0, last: int | None = None) -> Array:
        """Unit vectors of the points from first to last, shape (n, dim + 1)."""

    @abstractmethod
    def nearest(self, points: Array) -> Indices:
        """Index of the pixel that holds each point; points: (n, dim + 1)."""

    @abstractmethod
    def coverage(self, centres: Array, radius: float) -> Array:
        """Fraction of each pixel within `radius` radians of at least one of the centres (m, dim + 1), shape (size,)."""

    @abstractmethod
    def rotate(self, field: Array, rotation: Array) -> Array:
        """The field carried along by a rotation matrix R: its value at x is the field's at R^T x, interpolated."""

    @abstractmethod
    def _fast_sum(self, field: Array, kernel: Kernel) -> None:
        """Replace a field by its kernel sum, through the kernel's short spectrum."""

    @abstractmethod
    def has_short_spectrum(self, kernel: Kernel) -> bool:
        """Whether the kernel sum goes through the kernel's spectrum."""

    @abstractmethod
    def smoothing_error(self, kernel: Kernel) -> float:
        """Bound of the rounding error of `kernel_sum` relative to its largest value."""

    @abstractmethod
    def finer(self, spacing: float) -> str:
        """The smallest grid of this kind whose pixels are at most that wide, in the words a user types."""

    @property
    @abstractmethod
    def largest_degree(self) -> int:
        """The degree up to which harmonics are nearly orthonormal on the grid."""

    @abstractmethod
    def degrees(self, lmax: int) -> Indices:
        """The degree of each real harmonic up to lmax, in the order of `synthesis` and `analysis`."""

    @abstractmethod
    def synthesis(self, coefficients: Array, lmax: int) -> Array:
        """The field sum_j c_j Y_j of real harmonics that are orthonormal with respect to mu."""

    @abstractmethod
    def analysis(self, field: Array, lmax: int) -> Array:
        """int Y_j f dmu by the plain mean: the adjoint of `synthesis`, and its inverse up to the grid's quadrature."""

    def mean(self, field: Array) -> Array:
        """int f dmu: the mean over the last axis."""
        return np.asarray(np.mean(field, axis=-1))

    def evaluate(self, function: Callable[[Array], Array]) -> Array:
        """The field of a function of points, evaluated a chunk of points at a time; shape (size,)."""
        result = np.empty(self.size)
        for first in range(0, self.size, _CHUNK):
            last = min(first + _CHUNK, self.size)
            result[first:last] = function(self.points(first, last))
        return result

    def centroid(self, density: Array) -> Array:
        """int z rho(z) dmu; density: (..., size), result: (..., dim + 1)."""
        total = np.zeros((*np.shape(density)[:-1], self.dim + 1))
        for first in range(0, self.size, _CHUNK):
            last = min(first + _CHUNK, self.size)
            # Not a matrix product: its bits would depend on the number of threads.
            total += np.einsum("...n,nd->...d", density[..., first:last], self.points(first, last))
        return np.asarray(total / self.size)

    def resolves(self, kernel: Kernel) -> bool:
        """Whether the kernel is at least RESOLUTION pixels wide, so that its volume is the same at every point."""
        return kernel.width >= RESOLUTION * self.spacing

    def require(self, kernel: Kernel) -> None:
        """Raise UnresolvedKernelError, with the grid that would do, for a kernel narrower than RESOLUTION pixels.

        Raises InputError for a kernel that has to be summed over more than MOST_SMOOTHED_PAIRS pairs of points.
        """
        if not self.resolves(kernel) and not kernel.unresolved:
            raise UnresolvedKernelError(
                f"the {kernel.critic} kernel at tau = {kernel.tau:g} is {kernel.width:.2g} rad wide and this grid's "
                f"pixels {self.spacing:.2g} rad, but smoothing needs {RESOLUTION:g} pixels a width; use "
                f"{self.finer(kernel.width / RESOLUTION)}, tau = {self.least_tau(kernel):.2g} or more; solvers take "
                "--allow-unresolved (unresolved=True) too"
            )
        if not self.has_short_spectrum(kernel) and self.size**2 > MOST_SMOOTHED_PAIRS:
            raise InputError(
                f"the {kernel.critic} kernel at tau = {kernel.tau:g} has a kink at the antipode and no short spectrum, and "
                f"smoothing over all {float(self.size) ** 2:.1e} pairs of points would take too long; use at most "
                f"{isqrt(MOST_SMOOTHED_PAIRS)} points, a tau below 0.26, or another critic"
            )

    def can_smooth(self, kernel: Kernel) -> bool:
        """Whether `smooth` accepts the kernel on this grid."""
        try:
            self.require(kernel)
        except InputError:
            return False
        return True

    def least_tau(self, kernel: Kernel) -> float:
        """The smallest temperature at which the grid resolves a kernel of this critic."""
        return kernel.tau * (RESOLUTION * self.spacing / kernel.width) ** 2

    def kernel_sum(self, field: Array, kernel: Kernel) -> Array:
        """The plain sum (1/N) sum_j K(x_i, x_j) f_j at every point: through the kernel's spectrum where it is short.

        The discrete kernel volume, the kernel sum of 1, is not exactly 1 on a grid; see `balance`.
        field: (..., size). Raises UnresolvedKernelError.
        """
        self.require(kernel)
        field = np.asarray(field, dtype=np.float64)
        if field.ndim > 1:
            return np.stack([self.kernel_sum(one, kernel) for one in field])
        result = np.array(field)
        self.kernel_sum_into(result, kernel)
        return result

    def kernel_sum_into(self, field: Array, kernel: Kernel) -> None:
        """Replace a field (size,) by its kernel sum."""
        if not self.has_short_spectrum(kernel):
            field[:] = self.kernel_sum_pairs(field, kernel)
        else:
            self._fast_sum(field, kernel)

    def kernel_sum_pairs(self, field: Array, kernel: Kernel) -> Array:
        """The same as `kernel_sum` for one field (size,), pair by pair: the exact path and the oracle."""
        points = self.points()
        return np.asarray(allpairs.sums(points, points, field, kernel) * (np.exp(kernel.log_peak(self.dim)) / self.size))

    def log_kernel_rows(self, at: Indices, kernel: Kernel, of: Indices) -> Array:
        """log K(x_i, x_j) for the points i in `at` and j in `of`, shape (n, m)."""
        points = self.points()
        chords = np.linalg.norm(points[at][:, None] - points[of][None], axis=-1)
        return kernel.log_profile(2 * np.arcsin(np.minimum(chords / 2, 1.0)), self.dim)

    def kernel_rows(self, at: Indices, kernel: Kernel) -> Array:
        """What `smooth` makes of a unit mass at each of these points: densities d_i K_ij d_j, shape (n, size)."""
        self.require(kernel)
        balance = self.balance(kernel)
        rows = np.exp(self.log_kernel_rows(at, kernel, np.arange(self.size)))
        return np.asarray(balance[at][:, None] * rows * balance)

    def balance(self, kernel: Kernel) -> Array:
        """The field d > 0 for which d_i K_ij d_j / N has row and column sums 1, shape (size,).

        On a grid the volume of the kernel varies from pixel to pixel by a few times 1/N. Scaling by d on both
        sides keeps smoothing symmetric and positive and makes it conserve mass, as [Asm 2.1] has it.
        Raises InputError if no such field is found, as for kernels far too narrow for the grid.
        """
        return _balance(self, kernel)

    def kernel_volume_spread(self, kernel: Kernel) -> float:
        """Largest minus smallest discrete kernel volume (1/N) sum_j K_ij: 0 if [Asm 2.1] held exactly on the grid."""
        return float(np.ptp(self.kernel_sum(np.ones(self.size), kernel)))

    def smooth(self, field: Array, kernel: Kernel) -> Array:
        """K f, the smoothed field [Def 2.2]: symmetric, positive, and of the same mean.

        (K f)_i = d_i (1/N) sum_j K(x_i, x_j) d_j f_j with the balance d. field: (..., size), same shape returned.
        Raises UnresolvedKernelError.
        """
        self.require(kernel)
        balance = self.balance(kernel)
        if np.ndim(field) > 1:
            return np.stack([self.smooth(one, kernel) for one in field])
        result = np.asarray(balance * field)
        self.kernel_sum_into(result, kernel)
        result *= balance
        return result

    def log_smooth(self, density: Array, kernel: Kernel, weight: Array | None = None) -> Array:
        """log K rho, to 1e-10 absolute at every point, also where K rho is exp(-700) of its maximum.

        density: (..., size), non-negative; same shape returned. weight: (size,), what the points count for, if less than 1:
        the error times the weight is then at most 1e-10, and the error at most 1e-6. Raises InputError for a density that is negative, not finite or zero
        everywhere, or if the direct evaluation would take too long; UnresolvedKernelError.
        """
        self.require(kernel)
        density = np.asarray(density, dtype=np.float64)
        if density.ndim > 1:
            return np.stack([self.log_smooth(one, kernel, weight) for one in density])
        return faint.log_smooth(self, density, kernel, weight)

    def smooth_closely(self, density: Array, kernel: Kernel, relevant: float = 0.0, weight: Array | None = None) -> Array:
        """K rho with the relative accuracy of `log_smooth`, of one density (size,); what is below exp(-700) is 0 here.

        Where K rho is below `relevant` only its absolute error, 1e-10 of `relevant`, is kept.
        """
        self.require(kernel)
        return faint.smooth(self, density, kernel, relevant, weight)


@lru_cache(maxsize=2)
def _balance(grid: Grid, kernel: Kernel) -> Array:
    """Solve log d + log K d = 0 by a two-term recurrence, optimal for a derivative 1 + K with spectrum near [1, 2]."""
    log_balance = np.zeros(grid.size)
    previous = log_balance
    for _ in range(60):
        residual = log_balance + np.log(grid.kernel_sum(np.exp(log_balance), kernel))
        if np.abs(residual).max() < 1e-15 * (4 + 1 / kernel.width):
            break
        log_balance, previous = (
            log_balance - 0.6863 * residual + 0.0294 * (log_balance - previous),
            log_balance,
        )
    if not np.abs(residual).max() < 1e-11:
        raise InputError(f"the kernel {kernel} cannot be balanced on this grid; use a finer grid or a larger tau")
    balance = np.exp(log_balance)
    balance.flags.writeable = False
    return balance
