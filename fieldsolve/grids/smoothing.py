"""Smoothing of fields on a grid by a kernel: sums, the balance that conserves mass, logarithms accurate where they are faint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt

import numpy as np

from fieldsolve.grids import allpairs, boxes, nodes
from fieldsolve.grids.grid import Access, Grid
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.errors import InputError, UnresolvedKernelError

#: Smoothing over more pairs of points than this is refused: it would take minutes for every step of a descent.
MOST_SMOOTHED_PAIRS = 200_000_000

#: A harmonic value is kept only where its error is certainly below this fraction of it, times the point's weight.
LOG_ACCURACY = 5e-11

#: And below this fraction of it at every point, however little that counts.
FAINT_ACCURACY = 5e-7

_BALANCED = 1e-11  # of a kernel's volume, in logarithms
_IN_RANGE = 1e-250, 1e250  # of largest values


def require(grid: Grid, kernel: Kernel) -> None:
    """Raise UnresolvedKernelError, with the grid that would do, for a kernel that a grid does not resolve.

    Raises InputError for a kernel that the grid does not know, or that has to be summed over more than MOST_SMOOTHED_PAIRS
    pairs of points.
    """
    grid.require(kernel)
    why = grid.why_unresolved(kernel)
    if why is not None and not kernel.unresolved:
        raise UnresolvedKernelError(
            f"the {kernel.critic} kernel at tau = {kernel.tau:g} {why}; solvers take --allow-unresolved "
            "(allow_unresolved=True) too"
        )
    if not (grid.has_fast_sum(kernel) or grid.has_log_sums) and grid.size**2 > MOST_SMOOTHED_PAIRS:
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
        result = np.empty(self.grid.size)
        self.sum_through(lambda at, out: np.copyto(out, field[at]), lambda at, sums: np.copyto(result[at], sums))
        return result

    def sum_through(self, read: Access, write: Access) -> None:
        """The sum of a field that `read` gives, a part at a time, to be taken by `write`: see `Grid.fast_sum`."""
        if self.grid.has_fast_sum(self.kernel):
            self.grid.fast_sum(self.kernel, read, write)
        else:
            everything, field = slice(0, self.grid.size), np.empty(self.grid.size)
            read(everything, field)
            write(everything, self.sum_pairs(field))

    def sum_pairs(self, field: Array) -> Array:
        """The same as `sum` for one field (size,), pair by pair: the exact path and the oracle."""
        return self.grid.pair_sums(self.kernel, field)

    def log_rows(self, at: Indices, of: Indices) -> Array:
        """log K(x_i, x_j) for the points i in `at` and j in `of`, shape (n, m)."""
        return self.grid.log_rows(self.kernel, at, of)

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
        return _balance(self)[0]

    @property
    def error(self) -> float:
        """Bound of the rounding error of `sum` relative to its largest value."""
        return self.grid.sum_error(self.kernel)

    @property
    def close_work(self) -> float:
        """How much work `smooth_closely` is where harmonic values are lost everywhere, in multiplications."""
        return _route(self, self.grid.size, self.grid.size, nodes.FINE)[0]

    def volume_spread(self) -> float:
        """Largest minus smallest discrete kernel volume (1/N) sum_j K_ij: 0 if [Asm 2.1] held exactly on the grid."""
        return _balance(self)[1]

    def smooth(self, field: Array) -> Array:
        """K f, the smoothed density [Def 2.2], a function: symmetric, positive, and of the same mean.

        (K f)_i = d_i (1/N) sum_j K(x_i, x_j) d_j f_j with the balance d. field: (..., size), same shape returned.
        """
        if np.ndim(field) > 1:
            return np.stack([self.smooth(one) for one in field])
        field, balance, result = np.asarray(field), self.balance, np.empty(self.grid.size)
        self.sum_through(
            lambda at, out: np.multiply(balance[at], field[at], out=out),
            lambda at, sums: np.multiply(balance[at], sums, out=result[at]),
        )
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
        least, power = _range_of(density)
        if power:
            return np.asarray(self.log_smooth(np.ldexp(density, -power), weight) + power * np.log(2.0))
        if self.grid.has_log_sums:
            return self._log_sums(density, weight)
        result, lost = _harmonic_where_accurate(self, density, least, 0.0, weight)

        def take_logarithm(at: slice) -> None:
            with np.errstate(divide="ignore"):
                np.log(result[at], out=result[at])

        threads.over_chunks(take_logarithm, self.grid.size)
        if len(lost.points):
            result[lost.points] = _log_smoothed_at(self, density, lost)
        return result

    def smooth_closely(self, density: Array, relevant: float = 0.0, weight: Array | None = None) -> Array:
        """K rho with the relative accuracy of `log_smooth`, of one density (size,); what is below exp(-700) is 0 here.

        Where K rho is below `relevant` only its absolute error, 1e-10 of `relevant`, is kept.
        """
        least, power = _range_of(density)
        if power:
            scaled = self.smooth_closely(np.ldexp(density, -power), float(np.ldexp(relevant, -power)), weight)
            return np.ldexp(scaled, power)
        if self.grid.has_log_sums:
            return np.asarray(np.exp(self._log_sums(density, np.zeros(self.grid.size))))
        result, lost = _harmonic_where_accurate(self, density, least, relevant, weight)
        if len(lost.points):
            result[lost.points] = np.exp(_log_smoothed_at(self, density, lost))
        return result

    def _log_sums(self, density: Array, weight: Array | None) -> Array:
        return self.grid.log_sums(self.kernel, self.balance * density, weight) + np.log(self.balance)


@lru_cache(maxsize=2)
def _balance(smoother: Smoother) -> tuple[Array, float]:
    """The balance, and the spread of the kernel's volume: log d + log K d = 0 by Newton's method.

    Where K has a fast sum its eigenvalues give (1 + K/k_0)^-1 too, but for the grid's quadrature. Elsewhere a two-term
    recurrence solves it, optimal for a derivative with spectrum near [1, 2].
    """
    grid, kernel = smoother.grid, smoother.kernel
    if grid.has_log_sums:
        volumes = grid.log_volumes(kernel)
        if np.abs(volumes).max() < _BALANCED:
            return np.ones(grid.size), float(np.ptp(np.exp(volumes)))
    log_balance, residual, weights = np.zeros(grid.size), np.empty(grid.size), grid.weights
    last_step = None if grid.has_fast_sum(kernel) else np.zeros(grid.size)
    spread = worst = np.inf
    ends: list[tuple[float, float, float]] = []

    def read(at: slice, out: Array) -> None:
        np.exp(log_balance[at], out=out)
        if weights.size > 1:
            out *= weights[at]

    def write(at: slice, sums: Array) -> None:
        here = residual[at]
        np.log(sums, out=here)
        here += log_balance[at]
        ends.append((float(sums.min()), float(sums.max()), max(float(here.max()), -float(here.min()))))

    def correct(at: slice, sums: Array) -> None:
        log_balance[at] += sums - residual[at]

    for _ in range(60):
        ends.clear()
        smoother.sum_through(read, write)
        least, most, residuals = np.transpose(ends)
        spread = float(most.max() - least.min()) if spread == np.inf else spread
        worst = float(residuals.max())
        if worst < 1e-15 * (4 + 1 / kernel.width):
            break
        if last_step is None:
            grid.fast_sum(kernel, lambda at, out: np.copyto(out, residual[at]), correct, lambda k: k / (k[0] + k))
        else:
            last_step = 0.0294 * last_step - 0.6863 * residual
            log_balance += last_step
    if not worst < 1e-11:
        raise InputError(
            f"the {kernel.critic} kernel at tau = {kernel.tau:g} cannot be balanced here; use a finer grid or a larger tau"
        )
    np.exp(log_balance, out=log_balance)
    log_balance.flags.writeable = False
    return log_balance, spread


def _range_of(density: Array) -> tuple[float, int]:
    """A density's least value, and the power of two of its largest where sums could overflow or lose digits as denormals; else 0.

    Raises InputError for what is no density.
    """
    ends = threads.over_chunks(lambda at: (density[at].min(), density[at].max()), density.size)
    least, most = float(np.min(ends)), float(np.max(ends))
    if not (least >= 0 and 0 < most < np.inf):
        raise InputError("a density must be finite, non-negative and not zero everywhere")
    return least, 0 if _IN_RANGE[0] < most < _IN_RANGE[1] else int(np.frexp(most)[1])


@dataclass(frozen=True, eq=False)
class _Lost:
    """Points, rising, where the harmonic value is lost in its error; whether all of them may have an error of FAINT_ACCURACY."""

    points: Indices
    are_faint: bool


def _harmonic_where_accurate(
    smoother: Smoother, density: Array, base: float, relevant: float, weight: Array | None
) -> tuple[Array, _Lost]:
    """The harmonic value, whose error is relative to the maximum of what it smooths, and the points where that is too much.

    base: the least value of the density, whose smoothing is exact.
    """
    grid = smoother.grid
    harmonic, noise, least = _harmonic(smoother, density, base)
    if noise <= LOG_ACCURACY * (least - noise):
        return harmonic, _Lost(np.empty(0, dtype=np.int64), True)

    def counts(at: slice | Indices) -> Array | float:
        """The error that is allowed, relative to the value."""
        if weight is None:
            return LOG_ACCURACY
        return LOG_ACCURACY / np.minimum(np.maximum(weight[at], LOG_ACCURACY / FAINT_ACCURACY), 1.0)

    def find(at: slice) -> Indices:
        least = np.maximum(harmonic[at] - noise, relevant)
        return np.asarray(np.flatnonzero(least * counts(at) < noise) + at.start)

    lost = np.concatenate(threads.over_chunks(find, grid.size))
    return harmonic, _Lost(lost, bool(np.all(counts(lost) >= 4 * nodes.COARSE_ERROR)))


#: The logarithms of sum_j masses_j K(x_i, x_j)/K(0) at some points, of masses at all.
_Route = Callable[[Array, Indices], Array]


def _route(smoother: Smoother, targets: int, sources: int, distance: float) -> tuple[float, _Route]:
    """The way to sums with relative accuracy that is the least work for so many points, and its work in multiplications."""
    grid, kernel, rings = smoother.grid, smoother.kernel, smoother.grid.rings()

    def over_pairs(masses: Array, at: Indices) -> Array:
        points, there = grid.points(), np.flatnonzero(masses)
        return allpairs.log_sums(points[at], points[there], np.log(masses[there]), kernel)

    routes: list[tuple[float, _Route]] = [
        (allpairs.PAIR_WORK * float(targets) * sources * allpairs.share_summed(kernel), over_pairs)
    ]
    if rings is not None and kernel.critic.linear is not None:
        kappa = kernel.concentration
        net = nodes.net_of(rings, kappa, distance)

        def through_nodes(masses: Array, at: Indices) -> Array:
            most = float(masses.max())
            with np.errstate(divide="ignore"):
                return np.asarray(np.log(nodes.sums(net, masses / most, at)) + np.log(most))

        def in_boxes(masses: Array, at: Indices) -> Array:
            with np.errstate(divide="ignore"):
                return boxes.log_sums(rings, grid.points(), np.log(masses), kappa, at)

        if kappa <= nodes.MOST_CONCENTRATED:
            routes.append((nodes.work(net, grid.size), through_nodes))
        routes.append((boxes.work(rings, kappa, grid.size, targets), in_boxes))
    return min(routes, key=lambda route: route[0])


def _log_smoothed_at(smoother: Smoother, density: Array, lost: _Lost) -> Array:
    """log K rho at the points that are lost."""
    grid, balance = smoother.grid, smoother.balance
    distance = nodes.COARSE if lost.are_faint else nodes.FINE
    _, route = _route(smoother, len(lost.points), int(np.count_nonzero(density)), distance)
    sums = route(balance * density, lost.points)
    return np.asarray(sums + np.log(balance[lost.points]) + (grid.log_peak(smoother.kernel) - np.log(grid.size)))


def _harmonic(smoother: Smoother, density: Array, base: float) -> tuple[Array, float, float]:
    """base + K (density - base), at least the base; a bound of its error; its smallest value."""
    balance, result = smoother.balance, np.empty(smoother.grid.size)
    ends: list[tuple[float, float]] = []

    def read(at: slice, out: Array) -> None:
        np.subtract(density[at], base, out=out)
        out *= balance[at]

    def write(at: slice, sums: Array) -> None:
        sums *= balance[at]
        ends.append((float(sums.min()), float(sums.max())))
        np.maximum(sums, 0.0, out=sums)
        np.add(sums, base, out=result[at])

    smoother.sum_through(read, write)
    least, most = np.transpose(ends)
    noise = smoother.error * float(max(most.max(), -least.min()))
    return result, noise, base + max(float(least.min()), 0.0)
