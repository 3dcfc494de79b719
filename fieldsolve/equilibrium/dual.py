"""Certified lower bounds of the intrinsic energies over floored densities, by duality."""

from dataclasses import dataclass, replace
from itertools import pairwise
from math import exp, sqrt
from sys import float_info
from typing import NamedTuple

import numpy as np

from fieldsolve.equilibrium import local_passes, local_problem
from fieldsolve.grids.grid import EVEN
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.progress import Progress, Watch

Point = tuple[float, float]

#: The dual is maximised until this much (in nats, relative to 1 + its size) is left at most.
ACCURACY = 1e-11

_MOST_EVALUATIONS = 200  # some 25 are usual
_ROUNDING = 64 * float_info.epsilon  # of a sum of terms, relative to their sizes: logarithms and exponentials included
_SAMPLED, _LEAST_SAMPLE = 16, 128  # every so manieth point tells where the multipliers are, where that leaves so many
_ROUGH = 0.1  # accuracy there, over their number: the multipliers are then off by less than the sample's deviation
_DEVIATION = 2.0  # of the sample's multipliers, in units of 1/sqrt(its size)
_SETTLING = 6  # evaluations after which the cuts keep away from a window's sides, if the maximum is inside


@dataclass(frozen=True)
class Dual:
    """Where the dual of two coupled densities was highest.

    bound: a lower bound of F = (F_1 + F_2 - lambda D)/2 in nats; multipliers: (nu_1, nu_2), of 2F;
    slack: how much higher, at most, the dual's maximum is; evaluations: passes over the points it took.
    """

    bound: float
    multipliers: Point
    slack: float
    evaluations: int


def point_box(potentials: Array, floor: float, coupling: float, weights: Array = EVEN) -> local_problem.Box:
    """The constants of the problem at one point of a grid, where no density exceeds its whole mass on one pixel.

    Passes know the peaks of points with weights themselves; then that of the lightest, as far as there are numbers for it.
    """
    if weights.size > 1:
        return local_problem.box(coupling, floor, exp(local_passes.HIGHEST_LOG))
    return local_problem.box(coupling, floor, floor + (1 - floor) * potentials.shape[1])


def dual(
    potentials: Array,
    tau: float,
    floor: float,
    coupling: float,
    accuracy: float = ACCURACY,
    watch: Watch | None = None,
    weights: Array = EVEN,
) -> Dual:
    """The certified lower bound of the intrinsic energy of two coupled densities over the floored simplices.

    2F >= nu_1 + nu_2 + int min_{floor <= a, b <= peak} [f(a, b) - nu_1 a - nu_2 b] dmu for any multipliers, f the integrand of
    2F and peak the density of all excess mass on one pixel; in the continuum the best multipliers leave no gap, on a
    grid one of order 1/N. The minimum at each point is the least of a complete list (see `local_problem`), so
    that the value is a bound wherever the search for multipliers ended; what rounding may have added is taken off.

    The dual is concave with kinks (where minimisers tie), and its slope is what mass is missing. Each evaluation
    cuts off the half-plane where it cannot be higher than the best value known; the next is at the centroid of what is left.
    The area falls by a factor of at least 1 - 1/e a step, kinks or none, and in fact much faster, as old cuts deepen. The
    multipliers of every 16th point tell where to begin: whatever the points are, the dual knows of them only their values.

    potentials: (2, N); 0 < floor < 1; 0 < coupling <= 1; accuracy: relative to 1 + |2F|; watch: told the evaluations; weights: of
    the points in means. Where they are so small that a point's whole mass is beyond all numbers, densities there are looked for
    up to exp(600); the bound is -inf if it might be lower beyond.
    """
    linear = potentials / tau
    box = point_box(potentials, floor, coupling, weights)
    found = _highest(linear, box, accuracy, watch, weights)
    is_whole = weights.size == 1 or _is_least_below(box, linear, found.multipliers, weights)
    return found if is_whole else replace(found, bound=-np.inf)


def _is_least_below(box: local_problem.Box, linear: Array, multipliers: Point, weights: Array) -> bool:
    """Whether every point's integrand rises in both densities beyond the peak that light points are given."""
    light = weights < linear.shape[1] / box.peak
    rise = (1 - box.coupling) * (1 + box.log_peak) + box.coupling * box.log_floor
    return not light.any() or bool(np.all(linear[:, light] - np.reshape(multipliers, (2, 1)) + rise > 0))


def _highest(linear: Array, box: local_problem.Box, accuracy: float, watch: Watch | None, weights: Array = EVEN) -> Dual:
    size = linear.shape[1]
    reach = 2 + 2 * (box.log_peak - box.log_floor)  # beyond, every point sits in the same corner of its box
    (low_1, high_1), (low_2, high_2) = ((float(one.min()) - reach, float(one.max()) + reach) for one in linear)
    whole = _Window((low_1, low_2), (high_1, high_2))
    window = whole
    if size >= _SAMPLED * _LEAST_SAMPLE and weights.size == 1:
        sample = np.ascontiguousarray(linear[:, ::_SAMPLED])
        near = _highest(sample, box, max(accuracy, _ROUGH / sample.shape[1]), watch).multipliers
        window = whole.around(near, _DEVIATION / sqrt(sample.shape[1]))
    sums = local_passes.partial_sums(size)
    region, cuts = window.corners(), list[_Cut]()
    best, at, bound, known, upper = -np.inf, (0.0, 0.0), -np.inf, 0.0, np.inf
    while len(cuts) < _MOST_EVALUATIONS:
        point = _centroid(region)
        threads.over_blocks(local_passes.dual_pass, len(sums), local_passes.WORK * size, linear, *point, box, weights, sums)
        means = (sums.sum(axis=0) / size).tolist()
        value = sum(point) + means[local_passes.VALUE]
        rounding = _ROUNDING * (means[local_passes.SIZE] + abs(point[0]) + abs(point[1]))
        cuts.append(_Cut(value + rounding, (1 - means[local_passes.MASS_1], 1 - means[local_passes.MASS_2]), point))
        is_better = value > best
        if is_better:
            best, at, bound, known = value, point, value - rounding, accuracy * (1 + abs(value)) + 2 * rounding
        for cut in cuts if is_better else cuts[-1:]:
            region = cut.applied(region, best)
        if window != whole and (len(region) < 3 or (len(cuts) >= _SETTLING and window.is_touched(region))):
            # The maximum may be beyond what was searched; all cuts hold there as well.
            window, region = whole, whole.corners()
            for cut in cuts:
                region = cut.applied(region, best)
        if len(region) < 3:
            upper = best
            break
        upper = min(max(cut.height(corner) for corner in region) for cut in cuts)
        if watch is not None:
            watch(Progress(len(cuts), None, f"evaluations of the bound on {size} points, known to {upper - best:.0e} nats"))
        if upper - best <= known and not (window != whole and window.is_touched(region)):
            break
    return Dual(bound / 2, at, (upper - bound) / 2, len(cuts))


class _Window(NamedTuple):
    """A rectangle of multipliers."""

    low: Point
    high: Point

    def corners(self) -> list[Point]:
        (x0, y0), (x1, y1) = self
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]

    def around(self, centre: Point, radius: float) -> "_Window":
        """The part of it within a radius, in either multiplier."""
        low = max(self.low[0], centre[0] - radius), max(self.low[1], centre[1] - radius)
        high = min(self.high[0], centre[0] + radius), min(self.high[1], centre[1] + radius)
        return _Window(low, high)

    def is_touched(self, region: list[Point]) -> bool:
        """Whether a part of it reaches its sides: if not, everything that the cuts leave of the plane is inside."""
        margin = 1e-9 * (self.high[0] - self.low[0])
        return any(min(x - self.low[0], self.high[0] - x, y - self.low[1], self.high[1] - y) <= margin for x, y in region)


class _Cut(NamedTuple):
    """What one evaluation says of all multipliers: the dual is at most value + slope . (p - at), rounding included."""

    value: float
    slope: Point
    at: Point

    def height(self, point: Point) -> float:
        return self.value + self.slope[0] * (point[0] - self.at[0]) + self.slope[1] * (point[1] - self.at[1])

    def applied(self, region: list[Point], least: float) -> list[Point]:
        """The part of a convex polygon where the dual may be at least so high."""
        heights = [self.height(corner) - least for corner in region]
        kept = []
        for k, (x, y) in enumerate(region):
            height, before, (from_x, from_y) = heights[k], heights[k - 1], region[k - 1]
            if (height < 0 < before) or (before < 0 < height):
                share = before / (before - height)
                kept.append((from_x + share * (x - from_x), from_y + share * (y - from_y)))
            if height >= 0:
                kept.append((x, y))
        return kept


def _centroid(region: list[Point]) -> Point:
    (x0, y0), area, x, y = region[0], 0.0, 0.0, 0.0
    for (ax, ay), (bx, by) in pairwise(region[1:]):
        part = (ax - x0) * (by - y0) - (ay - y0) * (bx - x0)
        area, x, y = area + part, x + part * (ax + bx - 2 * x0), y + part * (ay + by - 2 * y0)
    if not area > 0:
        return sum(p[0] for p in region) / len(region), sum(p[1] for p in region) / len(region)
    return x0 + x / (3 * area), y0 + y / (3 * area)
