"""Certified lower bounds of the intrinsic energies over floored densities, by duality."""

from dataclasses import dataclass
from itertools import combinations, pairwise
from sys import float_info

import numpy as np

from fieldsolve.equilibrium import local_problem
from fieldsolve.equilibrium.densities import require_floor
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.gibbs import gibbs_bound
from fieldsolve.equilibrium.vertices import vertex_minimum
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array

Point = tuple[float, float]

#: The dual is maximised until this much (in nats, relative to 1 + its size) is left at most.
ACCURACY = 1e-10

_MOST_EVALUATIONS = 200  # some 25 are usual
_ROUNDING = 64 * float_info.epsilon  # of a sum of terms, relative to their sizes: logarithms and exponentials included
_WORK = 200  # of the problem at one point, in memory-bound operations


def lower_bound(energy: Energy, floor: float) -> float | None:
    """A lower bound of an energy over floored densities on its grid, by what it allows; None where nothing is known.

    The exact minimum for one modality, without coupling, and for two at coupling 1; the maximum of the `dual` for two at
    couplings in between; and for more modalities, whose energy is the mean of that of their pairs, the mean of
    their bounds.
    """
    if energy.has_gibbs_form:
        return float(np.mean([gibbs_bound(one, energy.tau, floor) for one in energy.potentials]))
    if not energy.is_intrinsic or energy.strength is None:
        return None
    require_floor(floor)
    if energy.has_vertices:
        return vertex_minimum(energy.potentials, energy.tau, floor).value
    if energy.has_dual:
        return dual(energy.potentials, energy.tau, floor, energy.strength).bound
    pairs = [Energy(energy.grid, np.stack(two), energy.tau, energy.strength) for two in combinations(energy.potentials, 2)]
    return float(np.mean([lower_bound(pair, floor) for pair in pairs]))


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


def point_box(potentials: Array, floor: float, coupling: float) -> local_problem.Box:
    """The constants of the problem at one point of a grid, where no density exceeds its whole mass on one pixel."""
    return local_problem.box(coupling, floor, floor + (1 - floor) * potentials.shape[1])


def dual(potentials: Array, tau: float, floor: float, coupling: float, accuracy: float = ACCURACY) -> Dual:
    """The certified lower bound of the intrinsic energy of two coupled densities over the floored simplices.

    2F >= nu_1 + nu_2 + int min_{floor <= a, b <= peak} [f(a, b) - nu_1 a - nu_2 b] dmu for any multipliers, f the integrand of
    2F and peak the density of all excess mass on one pixel; in the continuum the best multipliers leave no gap, on a
    grid one of order 1/N. The minimum at each point is the least of a complete list (see `local_problem`), so
    that the value is a bound wherever the search for multipliers ended; what rounding may have added is taken off.

    The dual is concave with kinks (where minimisers tie), and its slope is what mass is missing. Each evaluation
    cuts off the half-plane where it cannot be higher than the best value known; the next is at the centroid of what is left.
    The area falls by a factor of at least 1 - 1/e a step, kinks or none, and in fact much faster, as old cuts deepen.

    potentials: (2, N); 0 < floor < 1; 0 < coupling <= 1; accuracy: relative to 1 + |2F|.
    """
    linear = potentials / tau
    box = point_box(potentials, floor, coupling)
    sums = local_problem.partial_sums(linear.shape[1])
    reach = 2 + 2 * (box.log_peak - box.log_floor)  # beyond, every point sits in the same corner of its box
    (low_1, high_1), (low_2, high_2) = ((float(one.min()) - reach, float(one.max()) + reach) for one in linear)
    region: list[Point] = [(low_1, low_2), (high_1, low_2), (high_1, high_2), (low_1, high_2)]
    cuts: list[tuple[float, Point, Point]] = []
    best, at, bound, upper = -np.inf, (0.0, 0.0), -np.inf, np.inf
    for _ in range(_MOST_EVALUATIONS):
        point = _centroid(region)
        threads.over_blocks(local_problem.dual_pass, len(sums), _WORK * linear.shape[1], linear, *point, box, sums)
        means = (sums.sum(axis=0) / linear.shape[1]).tolist()
        value = sum(point) + means[local_problem.VALUE]
        cuts.append((value, (1 - means[local_problem.MASS_1], 1 - means[local_problem.MASS_2]), point))
        if value > best:
            best, at = value, point
            bound = value - _ROUNDING * (means[local_problem.SIZE] + abs(point[0]) + abs(point[1]))
        for height, slope, where in cuts:
            region = _clipped(region, slope, best - height + slope[0] * where[0] + slope[1] * where[1])
        if len(region) < 3:
            upper = best
            break
        upper = min(
            height + max(slope[0] * (x - where[0]) + slope[1] * (y - where[1]) for x, y in region)
            for height, slope, where in cuts
        )
        if upper - best <= accuracy * (1 + abs(best)):
            break
    return Dual(bound / 2, at, (upper - bound) / 2, len(cuts))


def _clipped(region: list[Point], slope: Point, least: float) -> list[Point]:
    """The part of a convex polygon where slope . p >= least."""
    heights = [slope[0] * x + slope[1] * y - least for x, y in region]
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


def minimisers(potentials: Array, tau: float, floor: float, coupling: float, found: Dual) -> tuple[Array, Array]:
    """At a dual's multipliers, the least value on each sheet of minima at every point, (N, 3), and its (a, b), (N, 3, 2)."""
    linear = potentials / tau
    size = linear.shape[1]
    values, pairs = np.empty((size, 3)), np.empty((size, 3, 2))
    box, blocks = point_box(potentials, floor, coupling), len(local_problem.partial_sums(size))
    threads.over_blocks(local_problem.minima_pass, blocks, _WORK * size, linear, *found.multipliers, box, values, pairs)
    return values, pairs
