"""Certified lower bounds of the intrinsic energy of any number of coupled densities, by duality."""

from dataclasses import dataclass, replace
from math import exp, sqrt
from sys import float_info

import numpy as np

from fieldsolve.equilibrium import local_many
from fieldsolve.grids.grid import EVEN
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.progress import Progress, Watch

#: The dual is maximised until this much (in nats, relative to 1 + its size) is left at most.
ACCURACY = 1e-9

_MOST_EVALUATIONS = 400  # some 10 a multiplier are usual
_ROUNDING = 64 * float_info.epsilon  # of a sum of terms, relative to their sizes
_SAMPLED, _LEAST_SAMPLE, _ROUGH = 16, 128, 0.1  # every so manieth point tells where the multipliers are, roughly
_DEVIATION = 4.0  # of the sample's multipliers, in units of 1/sqrt(its size)
_LEVEL = 0.4  # of the way from the best value to the upper bound, where the next multipliers are looked for

_HIGHEST_LOG = 100.0  # of densities at points with weights

#: Memory-bound operations that a point of A densities takes, about, over A^3.
_WORK = 60


@dataclass(frozen=True, eq=False)
class ManyDual:
    """Where the dual of several coupled densities was highest.

    bound: a lower bound of F in nats; multipliers: (A,), of A F; slack: how much higher, at most, the dual's maximum is;
    evaluations: passes over the points it took.
    """

    bound: float
    multipliers: Array
    slack: float
    evaluations: int


def point_box(potentials: Array, floor: float, coupling: float, weights: Array = EVEN) -> local_many.Box:
    """The constants of the problem at one point of a grid, where no density exceeds its whole mass on one pixel.

    With weights, where no density exceeds exp(100).
    """
    if weights.size > 1:
        return local_many.box(coupling, len(potentials), floor, exp(_HIGHEST_LOG))
    return local_many.box(coupling, len(potentials), floor, floor + (1 - floor) * potentials.shape[1])


def dual_of_many(
    potentials: Array,
    tau: float,
    floor: float,
    coupling: float,
    accuracy: float = ACCURACY,
    watch: Watch | None = None,
    weights: Array = EVEN,
) -> ManyDual:
    """The certified lower bound of the intrinsic energy of A coupled densities over the floored simplices.

    A F >= sum nu + int min_{floor <= x <= peak} [f(x) - nu . x] dmu for any multipliers, f the integrand of A F; the minimum at
    each point is the least of a complete list (see `local_many`), so that the value is a bound wherever the search ended. The
    dual is concave; with equal potentials their multipliers are equal at a maximum. It is maximised by a level method
    [Lemarechal, Nemirovskii and Nesterov 1995]: its cuts bound it from above, and the next multipliers are those nearest to the
    best ones where the cuts allow a part of what is still to gain.

    potentials: (A, N), A >= 2; 0 < floor < 1; 0 < coupling <= 1; accuracy: relative to 1 + |A F|; watch: told the evaluations;
    weights: of the points in means. The bound is -inf if with weights densities beyond exp(100) might be lower.
    """
    size, linear, box = potentials.shape[1], potentials / tau, point_box(potentials, floor, coupling, weights)
    found = highest(linear, np.full(size, 1 / size) * weights, box, accuracy, watch)
    rise = box.kappa * (1 + np.log(box.peak)) + box.mu * (len(potentials) - 1) * np.log(box.floor)
    if weights.size > 1 and not np.all(linear - found.multipliers[:, None] + rise > 0):
        return replace(found, bound=-np.inf)
    return found


def highest(linear: Array, weights: Array, box: local_many.Box, accuracy: float, watch: Watch | None = None) -> ManyDual:
    """Where max over nu of sum nu + sum_i w_i min_{floor <= x <= peak} [f_i(x) - nu . x] is, over A.

    linear: what f_i adds to the logarithmic terms, c . x, (A, N); weights: of the points, of sum 1, (N,). With as many points as
    make it worth while, every 16th tells in which window to begin.
    """
    _, groups = np.unique(linear, axis=0, return_inverse=True)
    groups = np.asarray(groups).reshape(-1)
    reach = 2 + 2 * (np.log(box.peak) - np.log(box.floor))  # beyond, every point sits in the same corner of its box
    firsts = [int(np.argmax(groups == group)) for group in range(groups.max() + 1)]
    window = np.array([(linear[a].min() - reach, linear[a].max() + reach) for a in firsts])
    centre = np.array([np.median(linear[a]) for a in firsts])
    function = _Function(linear, weights, groups, box)
    found, modalities, size = None, len(linear), linear.shape[1]
    if size >= _SAMPLED * _LEAST_SAMPLE:
        share = weights[::_SAMPLED]
        sample = _Function(np.ascontiguousarray(linear[:, ::_SAMPLED]), share / share.sum(), groups, box)
        centre, radius = (
            _highest(sample, window, centre, max(accuracy, _ROUGH / len(share)), watch).at,
            _DEVIATION / sqrt(len(share)),
        )
        narrow = np.stack([np.maximum(window[:, 0], centre - radius), np.minimum(window[:, 1], centre + radius)], axis=1)
        found = _highest(function, narrow, centre, accuracy, watch)
        if found.touches(narrow):
            centre, found = found.at, None
    if found is None:
        found = _highest(function, window, centre, accuracy, watch)
    return ManyDual(found.bound / modalities, found.at[groups], (found.upper - found.bound) / modalities, found.evaluations)


def minima(linear: Array, multipliers: Array, box: local_many.Box) -> tuple[Array, Indices]:
    """Every point's minimiser, falling, and which modality has which place, (A, N) each."""
    modalities, size = linear.shape
    least, orders = np.empty_like(linear), np.empty(linear.shape, dtype=np.int64)
    blocks, work = -(-size // local_many.BLOCK), _WORK * modalities**3 * size
    threads.over_blocks(local_many.minima_pass, blocks, work, linear, multipliers, box, least, orders)
    return least, orders


def slack(linear: Array, multipliers: Array, box: local_many.Box, fields: Array) -> float:
    """The most per mass that any point could gain by leaving densities exp(fields), (A, N), for the least ones."""
    least, orders = minima(linear, multipliers, box)
    costs = linear - multipliers[:, None]

    def value(costs: Array, x: Array) -> Array:
        logs = np.log(x)
        return np.asarray((costs * x + box.kappa * x * logs).sum(axis=0) + box.mu * x.sum(axis=0) * logs.sum(axis=0))

    here = np.exp(fields)
    gained = value(costs, here) - value(np.take_along_axis(costs, orders, axis=0), least)
    return float(np.max(gained / here.sum(axis=0)))


class _Function:
    """The dual at multipliers, one a group of equal potentials: a value, what rounding may have added, and its slope."""

    def __init__(self, linear: Array, weights: Array, groups: Indices, box: local_many.Box) -> None:
        self.linear, self.weights, self.groups, self.box = linear, weights, groups, box
        self.sums = np.zeros((-(-linear.shape[1] // local_many.BLOCK), local_many.MASSES + len(linear)))

    def __call__(self, at: Array) -> tuple[float, float, Array]:
        modalities, size = self.linear.shape
        nu = at[self.groups]
        work = _WORK * modalities**3 * size
        threads.over_blocks(local_many.dual_pass, len(self.sums), work, self.linear, self.weights, nu, self.box, self.sums)
        totals = self.sums.sum(axis=0)
        rounding = _ROUNDING * float(totals[local_many.SIZE] + np.abs(nu).sum())
        slope = np.asarray(np.bincount(self.groups, 1 - totals[local_many.MASSES :]), dtype=np.float64)
        return float(nu.sum() + totals[local_many.VALUE]), rounding, slope


@dataclass(frozen=True, eq=False)
class _Maximum:
    bound: float
    at: Array
    upper: float
    evaluations: int

    def touches(self, window: Array) -> bool:
        """Whether the best multipliers are next to the window's sides, beyond which they may be better."""
        margin = 1e-6 * (window[:, 1] - window[:, 0])
        return bool(np.any((self.at - window[:, 0] <= margin) | (window[:, 1] - self.at <= margin)))


def _highest(function: _Function, window: Array, centre: Array, accuracy: float, watch: Watch | None) -> _Maximum:
    """The maximum over a window, by the level method; the upper bound is the window's."""
    values: list[float] = []
    slopes: list[Array] = []
    best, bound, at, known, upper = -np.inf, -np.inf, centre, 0.0, np.inf
    point = centre
    while len(values) < _MOST_EVALUATIONS:
        value, rounding, slope = function(point)
        # The cut in the multipliers themselves: at most value + slope . (nu - point).
        values.append(value + rounding - float(slope @ point))
        slopes.append(slope)
        if value > best:
            best, bound, at, known = value, value - rounding, point, accuracy * (1 + abs(value)) + 2 * rounding
        upper = min(upper, max(best, _upper(values, slopes, window)))
        if watch is not None:
            size = function.linear.shape[1]
            watch(Progress(len(values), None, f"evaluations of the bound on {size} points, known to {upper - best:.0e} nats"))
        if upper - best <= known or not np.isfinite(upper):  # costs beyond what linear programs are solved for
            break
        point = _nearest(values, slopes, window, at, best + _LEVEL * (upper - best))
    return _Maximum(bound, at, upper, len(values))


def _upper(values: list[float], slopes: list[Array], window: Array) -> float:
    """The largest value in a window that all cuts value + slope . nu allow."""
    from scipy.optimize import linprog  # slow to import: 0.4 s

    rows = np.column_stack([np.ones(len(values)), -np.stack(slopes)])
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    cost = np.append(-1.0, np.zeros(len(window)))
    found = linprog(cost, rows, np.array(values), bounds=[(None, None), *map(tuple, window)], options=tight)
    return float(-found.fun) if found.status == 0 else np.inf


def _nearest(values: list[float], slopes: list[Array], window: Array, to: Array, level: float) -> Array:
    """The multipliers of a window nearest to given ones at which all cuts allow a level: a least-distance program.

    min |x| with G x >= h follows from the non-negative least squares of (G^T, h^T) against (0, ..., 0, 1) [Lawson and Hanson
    1974].
    """
    from scipy.optimize import nnls

    sides = np.eye(len(to))
    rows = np.concatenate([np.stack(slopes), sides, -sides])
    right = np.concatenate([level - np.array(values) - np.stack(slopes) @ to, window[:, 0] - to, to - window[:, 1]])
    scale = np.maximum(np.linalg.norm(rows, axis=1), 1e-300)
    system = np.column_stack([rows, right]).T / scale
    target = np.append(np.zeros(len(to)), 1.0)
    weights, _ = nnls(system, target, maxiter=100 * len(rows))
    rest = system @ weights - target
    step = -rest[:-1] / rest[-1] if abs(rest[-1]) > 0 else np.zeros(len(to))
    return np.asarray(np.clip(to + step, window[:, 0], window[:, 1]))
