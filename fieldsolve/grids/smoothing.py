"""Smoothing of fields on a grid by a kernel: sums, the balance that conserves mass, logarithms accurate where they are faint."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isqrt

import numpy as np

from fieldsolve.grids import allpairs
from fieldsolve.grids.grid import Grid
from fieldsolve.grids.kernels import RESOLUTION, Kernel
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.errors import InputError, UnresolvedKernelError

#: Smoothing over more pairs of points than this is refused: it would take minutes for every step of a descent.
MOST_SMOOTHED_PAIRS = 200_000_000

#: A harmonic value is kept only where its error is certainly below this fraction of it, times the point's weight.
LOG_ACCURACY = 5e-11

#: And below this fraction of it at every point, however little that counts.
FAINT_ACCURACY = 5e-7

_HEAVY = (64, 512, 4096)  # numbers of heaviest pixels that may be split off


def resolves(grid: Grid, kernel: Kernel) -> bool:
    """Whether a kernel is at least RESOLUTION pixels wide on a grid, so that its volume is the same at every point."""
    return kernel.width >= RESOLUTION * grid.spacing


def least_tau(grid: Grid, kernel: Kernel) -> float:
    """The smallest temperature at which a grid resolves a kernel of this critic."""
    return kernel.tau * (RESOLUTION * grid.spacing / kernel.width) ** 2


def require(grid: Grid, kernel: Kernel) -> None:
    """Raise UnresolvedKernelError, with the grid that would do, for a kernel narrower than RESOLUTION pixels.

    Raises InputError for a kernel that has to be summed over more than MOST_SMOOTHED_PAIRS pairs of points.
    """
    if not resolves(grid, kernel) and not kernel.unresolved:
        raise UnresolvedKernelError(
            f"the {kernel.critic} kernel at tau = {kernel.tau:g} is {kernel.width:.2g} rad wide and this grid's "
            f"pixels {grid.spacing:.2g} rad, but smoothing needs {RESOLUTION:g} pixels a width; use "
            f"{grid.finer(kernel.width / RESOLUTION)}, tau = {least_tau(grid, kernel):.2g} or more; solvers take "
            "--allow-unresolved (allow_unresolved=True) too"
        )
    if not grid.has_fast_sum(kernel) and grid.size**2 > MOST_SMOOTHED_PAIRS:
        raise InputError(
            f"the {kernel.critic} kernel at tau = {kernel.tau:g} has no short spectrum on the grid {grid} (the geodesic one has "
            f"a kink at the antipode), and smoothing over all {float(grid.size) ** 2:.1e} pairs of points would take too long; "
            f"use at most {isqrt(MOST_SMOOTHED_PAIRS)} points, a smaller tau (0.26 for geodesic), or another critic"
        )


def can_smooth(grid: Grid, kernel: Kernel) -> bool:
    """Whether a `Smoother` accepts the kernel on this grid."""
    try:
        require(grid, kernel)
    except InputError:
        return False
    return True


@dataclass(frozen=True)
class Smoother:
    """Smoothing of fields on a grid by a normalised kernel K [Def 2.2].

    Raises UnresolvedKernelError for a kernel that the grid does not resolve, InputError for one that takes too long.
    """

    grid: Grid
    kernel: Kernel

    def __post_init__(self) -> None:
        require(self.grid, self.kernel)

    def sum(self, field: Array) -> Array:
        """The plain sum (1/N) sum_j K(x_i, x_j) f_j at every point: through the kernel's spectrum where it is short.

        The discrete kernel volume, the sum of f = 1, is not exactly 1 on a grid; see `balance`. field: (..., size).
        """
        field = np.asarray(field, dtype=np.float64)
        if field.ndim > 1:
            return np.stack([self.sum(one) for one in field])
        result = np.array(field)
        self.sum_into(result)
        return result

    def sum_into(self, field: Array) -> None:
        """Replace a field (size,) by its sum."""
        if self.grid.has_fast_sum(self.kernel):
            self.grid.fast_sum(field, self.kernel)
        else:
            field[:] = self.sum_pairs(field)

    def sum_pairs(self, field: Array) -> Array:
        """The same as `sum` for one field (size,), pair by pair: the exact path and the oracle."""
        points = self.grid.points()
        sums = allpairs.sums(points, points, field, self.kernel)
        return np.asarray(sums * (np.exp(self.grid.log_peak(self.kernel)) / self.grid.size))

    def log_rows(self, at: Indices, of: Indices) -> Array:
        """log K(x_i, x_j) for the points i in `at` and j in `of`, shape (n, m)."""
        points = self.grid.points()
        chords = np.linalg.norm(points[at][:, None] - points[of][None], axis=-1)
        angles = 2 * np.arcsin(np.minimum(chords / 2, 1.0))
        return np.asarray(self.kernel.relative_profile(angles) + self.grid.log_peak(self.kernel))

    def rows(self, at: Indices) -> Array:
        """What `smooth` makes of a unit mass at each of these points: densities d_i K_ij d_j, shape (n, size)."""
        rows = np.exp(self.log_rows(at, np.arange(self.grid.size)))
        return np.asarray(self.balance[at][:, None] * rows * self.balance)

    @property
    def balance(self) -> Array:
        """The field d > 0 for which d_i K_ij d_j / N has row and column sums 1, shape (size,).

        On a grid the volume of the kernel varies from pixel to pixel by a few times 1/N. Scaling by d on both
        sides keeps smoothing symmetric and positive and makes it conserve mass, as [Asm 2.1] has it.
        Raises InputError if no such field is found, as for kernels far too narrow for the grid.
        """
        return _balance(self)

    @property
    def error(self) -> float:
        """Bound of the rounding error of `sum` relative to its largest value."""
        return self.grid.sum_error(self.kernel)

    def volume_spread(self) -> float:
        """Largest minus smallest discrete kernel volume (1/N) sum_j K_ij: 0 if [Asm 2.1] held exactly on the grid."""
        return float(np.ptp(self.sum(np.ones(self.grid.size))))

    def smooth(self, field: Array) -> Array:
        """K f, the smoothed field [Def 2.2]: symmetric, positive, and of the same mean.

        (K f)_i = d_i (1/N) sum_j K(x_i, x_j) d_j f_j with the balance d. field: (..., size), same shape returned.
        """
        if np.ndim(field) > 1:
            return np.stack([self.smooth(one) for one in field])
        balance, result = self.balance, np.empty(self.grid.size)
        _multiply(balance, np.asarray(field), result)
        self.sum_into(result)
        _multiply(balance, result, result)
        return result

    def smooth_by_pairs(self, field: Array) -> Array:
        """The same as `smooth` for one field (size,), pair by pair."""
        return np.asarray(self.balance * self.sum_pairs(self.balance * field))

    def log_smooth(self, density: Array, weight: Array | None = None) -> Array:
        """log K rho, to 1e-10 absolute at every point, also where K rho is exp(-700) of its maximum.

        density: (..., size), non-negative; same shape returned. weight: (size,), what the points count for, if less than 1: the
        error times the weight is then at most 1e-10, and the error at most 1e-6. Raises InputError for a density that is
        negative, not finite or zero everywhere, or if the direct evaluation would take too long.
        """
        density = np.asarray(density, dtype=np.float64)
        if density.ndim > 1:
            return np.stack([self.log_smooth(one, weight) for one in density])
        split = _split(self, density, 0.0, weight)
        result = split.harmonic

        def take_logarithm(at: slice) -> None:
            with np.errstate(divide="ignore"):
                np.log(result[at], out=result[at])

        threads.over_chunks(take_logarithm, self.grid.size)
        if len(split.heavy):
            np.logaddexp(result, split.heavy_part(), out=result)
        if len(split.lost):
            result[split.lost] = split.lost_part()
        return result

    def smooth_closely(self, density: Array, relevant: float = 0.0, weight: Array | None = None) -> Array:
        """K rho with the relative accuracy of `log_smooth`, of one density (size,); what is below exp(-700) is 0 here.

        Where K rho is below `relevant` only its absolute error, 1e-10 of `relevant`, is kept.
        """
        split = _split(self, density, relevant, weight)
        result = split.harmonic
        if len(split.heavy):
            result += np.exp(split.heavy_part())
        if len(split.lost):
            result[split.lost] = np.exp(split.lost_part())
        return result


def _multiply(first: Array, second: Array, out: Array) -> None:
    """The product of two fields, by several threads where that pays."""
    if threads.count(out.size) == 1:
        np.multiply(first, second, out=out)
    else:
        threads.over_chunks(lambda at: np.multiply(first[at], second[at], out=out[at]), out.size)


@lru_cache(maxsize=2)
def _balance(smoother: Smoother) -> Array:
    """Solve log d + log K d = 0 by a two-term recurrence, optimal for a derivative 1 + K with spectrum near [1, 2]."""
    size, kernel = smoother.grid.size, smoother.kernel
    log_balance = np.zeros(size)
    previous = log_balance
    for _ in range(60):
        residual = log_balance + np.log(smoother.sum(np.exp(log_balance)))
        if np.abs(residual).max() < 1e-15 * (4 + 1 / kernel.width):
            break
        log_balance, previous = log_balance - 0.6863 * residual + 0.0294 * (log_balance - previous), log_balance
    if not np.abs(residual).max() < 1e-11:
        raise InputError(
            f"the {kernel.critic} kernel at tau = {kernel.tau:g} cannot be balanced here; use a finer grid or a larger tau"
        )
    balance = np.exp(log_balance)
    balance.flags.writeable = False
    return balance


@dataclass(frozen=True, eq=False)
class _Split:
    """A density's smoothing in parts: what is harmonic, the heavy pixels to add to it, the points where it is lost in error."""

    smoother: Smoother
    density: Array
    base: float
    harmonic: Array
    heavy: Indices
    lost: Indices

    def heavy_part(self) -> Array:
        """The logarithm at all points of what the heavy pixels have above the base."""
        return self._direct(slice(None), self.heavy, self.density[self.heavy] - self.base)

    def lost_part(self) -> Array:
        """The logarithm of everything, at the points that are lost."""
        sources = np.flatnonzero(self.density)
        return self._direct(self.lost, sources, self.density[sources])

    def _direct(self, targets: slice | Indices, sources: Indices, masses: Array) -> Array:
        grid, kernel, balance = self.smoother.grid, self.smoother.kernel, self.smoother.balance
        points = grid.points()
        with np.errstate(divide="ignore"):
            log_masses = np.log(balance[sources]) + np.log(masses)
        sums = allpairs.log_sums(points[targets], points[sources], log_masses, kernel)
        return np.asarray(sums + np.log(balance[targets]) + (grid.log_peak(kernel) - np.log(grid.size)))


def _split(smoother: Smoother, density: Array, relevant: float, weight: Array | None) -> _Split:
    """Harmonic where that is accurate; the heaviest pixels and the points far below the maximum pair by pair.

    Harmonic smoothing has an error relative to the maximum of what it smooths. The smallest value adds its constant
    exactly. Splitting the heaviest pixels off, which are then summed directly at all points, lowers the maximum of the
    rest; the points where the rest is still lost in the error are summed directly over all pixels. Of several numbers
    of heavy pixels the one with the least to sum directly is taken.
    """
    grid = smoother.grid
    ends = threads.over_chunks(lambda at: (density[at].min(), density[at].max()), grid.size)
    base, most = float(np.min(ends)), float(np.max(ends))
    if not (base >= 0 and 0 < most < np.inf):
        raise InputError("a density must be finite, non-negative and not zero everywhere")
    harmonic, noise, least = _harmonic(smoother, density, base)
    heavy, lost = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    if noise <= LOG_ACCURACY * (least - noise):
        return _Split(smoother, density, base, harmonic, heavy, lost)

    def allowed_error(at: slice) -> Array:
        """Of what the value is certainly at least."""
        allowed = harmonic[at] - noise
        np.maximum(allowed, relevant, out=allowed)
        if weight is None:
            allowed *= LOG_ACCURACY
        else:
            allowed *= FAINT_ACCURACY
            counts = np.maximum(weight[at], LOG_ACCURACY / FAINT_ACCURACY)
            np.minimum(counts, 1.0, out=counts)
            counts *= FAINT_ACCURACY / LOG_ACCURACY
            allowed /= counts
        return allowed

    lost = np.concatenate(threads.over_chunks(lambda at: np.flatnonzero(allowed_error(at) < noise) + at.start, grid.size))
    if len(lost):
        allowed = np.concatenate(threads.over_chunks(allowed_error, grid.size))
        most_heavy = min(_HEAVY[-1], grid.size // 2)
        heaviest = np.argpartition(density, -most_heavy)[-most_heavy:]
        heaviest = heaviest[np.argsort(density[heaviest], kind="stable")[::-1]]
        for count in _HEAVY:
            if count > min(len(heaviest), len(heavy) + len(lost)):
                break
            rest = density.copy()
            rest[heaviest[:count]] = base
            candidate, noise, _ = _harmonic(smoother, rest, base)
            still = np.flatnonzero(noise > allowed)
            if count + len(still) < len(heavy) + len(lost):
                harmonic, heavy, lost = candidate, heaviest[:count], still
    return _Split(smoother, density, base, harmonic, heavy, lost)


def _harmonic(smoother: Smoother, density: Array, base: float) -> tuple[Array, float, float]:
    """base + K (density - base), at least the base; a bound of its error; its smallest value."""
    balance, result, size = smoother.balance, np.empty(smoother.grid.size), smoother.grid.size

    def weigh(at: slice) -> None:
        np.subtract(density[at], base, out=result[at])
        result[at] *= balance[at]

    def finish(at: slice) -> tuple[float, float]:
        result[at] *= balance[at]
        ends = float(result[at].min()), float(result[at].max())
        if ends[0] < 0:
            np.maximum(result[at], 0.0, out=result[at])
        result[at] += base
        return ends

    threads.over_chunks(weigh, size)
    smoother.sum_into(result)
    least, most = np.transpose(threads.over_chunks(finish, size))
    noise = smoother.error * float(max(most.max(), -least.min()))
    return result, noise, base + max(float(least.min()), 0.0)
