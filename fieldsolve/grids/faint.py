"""Smoothing that is accurate where the result is faint: relative to each point's own value, not to the maximum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fieldsolve import threads
from fieldsolve.arrays import Array, Indices
from fieldsolve.errors import InputError
from fieldsolve.grids import allpairs
from fieldsolve.kernels import Kernel

if TYPE_CHECKING:
    from fieldsolve.grids.base import Grid

_HEAVY = (64, 512, 4096)  # numbers of heaviest pixels that may be split off

#: A harmonic value is kept only where its error is certainly below this fraction of it, times the point's weight.
LOG_ACCURACY = 5e-11

#: And below this fraction of it at every point, however little that counts.
FAINT_ACCURACY = 5e-7


def log_smooth(grid: Grid, density: Array, kernel: Kernel, weight: Array | None) -> Array:
    """log K rho of one density, see `Grid.log_smooth`."""
    split = _split(grid, density, kernel, 0.0, weight)
    result = split.harmonic

    def take_logarithm(at: slice) -> None:
        with np.errstate(divide="ignore"):
            np.log(result[at], out=result[at])

    threads.over_chunks(take_logarithm, grid.size)
    if len(split.heavy):
        np.logaddexp(result, split.heavy_part(), out=result)
    if len(split.lost):
        result[split.lost] = split.lost_part()
    return result


def smooth(grid: Grid, density: Array, kernel: Kernel, relevant: float, weight: Array | None) -> Array:
    """K rho of one density, see `Grid.smooth_closely`."""
    split = _split(grid, density, kernel, relevant, weight)
    result = split.harmonic
    if len(split.heavy):
        result += np.exp(split.heavy_part())
    if len(split.lost):
        result[split.lost] = np.exp(split.lost_part())
    return result


@dataclass(frozen=True, eq=False)
class _Split:
    """A density's smoothing in parts: what is harmonic, the heavy pixels to add to it, the points where it is lost in its error."""

    grid: Grid
    density: Array
    kernel: Kernel
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
        points, balance = self.grid.points(), self.grid.balance(self.kernel)
        with np.errstate(divide="ignore"):
            log_masses = np.log(balance[sources]) + np.log(masses)
        sums = allpairs.log_sums(points[targets], points[sources], log_masses, self.kernel)
        return np.asarray(sums + np.log(balance[targets]) + (self.kernel.log_peak(self.grid.dim) - np.log(self.grid.size)))


def _split(grid: Grid, density: Array, kernel: Kernel, relevant: float, weight: Array | None) -> _Split:
    """Harmonic where that is accurate; the heaviest pixels and the points far below the maximum pair by pair.

    Harmonic smoothing has an error relative to the maximum of what it smooths. The smallest value adds its constant
    exactly. Splitting the heaviest pixels off, which are then summed directly at all points, lowers the maximum of the
    rest; the points where the rest is still lost in the error are summed directly over all pixels. Of several numbers
    of heavy pixels the one with the least to sum directly is taken.
    """
    ends = threads.over_chunks(lambda at: (density[at].min(), density[at].max()), grid.size)
    base, most = float(np.min(ends)), float(np.max(ends))
    if not (base >= 0 and 0 < most < np.inf):
        raise InputError("a density must be finite, non-negative and not zero everywhere")
    harmonic, noise, least = _harmonic(grid, density, base, kernel)
    heavy, lost = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    if noise <= LOG_ACCURACY * (least - noise):
        return _Split(grid, density, kernel, base, harmonic, heavy, lost)

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
            candidate, noise, _ = _harmonic(grid, rest, base, kernel)
            still = np.flatnonzero(noise > allowed)
            if count + len(still) < len(heavy) + len(lost):
                harmonic, heavy, lost = candidate, heaviest[:count], still
    return _Split(grid, density, kernel, base, harmonic, heavy, lost)


def _harmonic(grid: Grid, density: Array, base: float, kernel: Kernel) -> tuple[Array, float, float]:
    """base + K (density - base), at least the base; a bound of its error; its smallest value."""
    balance, result = grid.balance(kernel), np.empty(grid.size)

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

    threads.over_chunks(weigh, grid.size)
    grid.kernel_sum_into(result, kernel)
    least, most = np.transpose(threads.over_chunks(finish, grid.size))
    noise = grid.smoothing_error(kernel) * float(max(most.max(), -least.min()))
    return result, noise, base + max(float(least.min()), 0.0)
