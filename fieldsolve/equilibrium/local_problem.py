"""The compiled problem at one point: both densities there, against the energy and the price of mass.

At given multipliers nu the problem of two coupled densities falls apart into one for every point of the sphere: minimise
over the box floor <= a, b <= peak

    f(a, b) = c_1 a + c_2 b + (1 - lambda) (a log a + b log b) + lambda (a log b + b log a),   c_i = U_i/tau - nu_i.

Its local minima can be listed, because the stationary pairs that may be minima are roots of monotone functions:

- Inside the box, with t = log(a/b), the two conditions leave psi(t) = (2 lambda - 1) t + 2 lambda sinh t = c_1 - c_2, and
  the determinant of the second derivatives has the sign of -psi'(t) = 1 - 2 lambda - 2 lambda cosh t. A local minimum
  has |t| < `fold` = arcosh((1 - 2 lambda)/(2 lambda)), where psi falls: there is at most one, and none for
  lambda >= 1/4. This is the matched pair.
- On a side of the box, where one density is e, with s = log(other/e), the derivative in the other density is
  (1 - lambda) s + lambda exp(-s) - kappa, kappa = -(c + 1 - lambda + log e), and the second derivative has the sign of this
  function's own. A local minimum has s > `turn` = log(lambda/(1 - lambda)), where it rises: at most one a side.
- The four corners.

The least of at most nine values is therefore the minimum: nothing is searched, and nothing can be missed. Roots are found
by Newton's method from where convexity neither lets it diverge nor leave its bracket, to rounding; values there
follow from the conditions of stationarity. All of it goes over arrays of points, so that it is vectorised; points that have
no root go along with a harmless one.
"""

from math import acosh, inf, log, sinh
from typing import NamedTuple

import numpy as np

from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import REDUCE, exp, jit

#: Sheets of local minima: both alike (matched, or both at an end of the box), the first above, the second above.
MATCHED, FIRST, SECOND = range(3)

_LAST_CHANGE = 1e-8  # of a root, relative: Newton's method leaves an error of its square
_MOST_ITERATIONS = 60  # five are usual; close to a fold it begins by halving the error


class Box(NamedTuple):
    """The constants of the problem at one point."""

    coupling: float
    floor: float
    peak: float
    log_floor: float
    log_peak: float
    fold: float  # largest |log(a/b)| of a matched pair; 0 where there is none
    fold_slope: float  # psi there, at most 0
    turn: float  # least log ratio of a minimum on a side
    turn_value: float  # (1 - coupling) s + coupling exp(-s) there


def box(coupling: float, floor: float, peak: float) -> Box:
    """The constants for a coupling in (0, 1] and densities from a floor above 0 to a peak, which may be infinite."""
    fold = acosh(min((1 - 2 * coupling) / (2 * coupling), 1e300)) if coupling < 0.25 else 0.0
    fold_slope = (2 * coupling - 1) * fold + 2 * coupling * sinh(fold)
    turn = log(coupling / (1 - coupling)) if coupling < 1 else inf
    turn_value = (1 - coupling) * (1 + turn) if coupling < 1 else inf
    return Box(coupling, floor, peak, log(floor), log(peak), fold, fold_slope, turn, turn_value)


@jit()
def with_peak(box, log_peak):
    """The constants where another peak is the largest density."""
    return Box(
        box.coupling, box.floor, np.exp(log_peak), box.log_floor, log_peak, box.fold, box.fold_slope, box.turn, box.turn_value
    )


@jit(REDUCE)
def matched_ratios(difference, box, ratios):
    """Write log(a/b) of the matched pairs: the roots of psi(t) = difference with |t| < fold, or NaN. All arrays (n,)."""
    coupling, fold, fold_slope = box.coupling, box.fold, box.fold_slope
    if fold == 0.0:
        ratios[:] = np.nan
        return
    for i in range(ratios.size):
        depth = -abs(difference[i])
        depth = depth if depth > fold_slope else 0.0
        # psi is convex for t > 0: its tangent at 0 meets the depth before it does, and so does no iterate of Newton's method.
        low = -depth / (1 - 4 * coupling)
        # Close to the fold, a parabola above psi is the better start.
        near = fold - np.sqrt((depth - fold_slope) / (coupling * (exp(fold) - exp(-fold)) / 2))
        ratios[i] = max(low, near) if depth < fold_slope / 2 else low
    for _ in range(_MOST_ITERATIONS):
        unsettled = 0.0
        for i in range(ratios.size):
            depth = -abs(difference[i])
            depth = depth if depth > fold_slope else 0.0
            t = ratios[i]
            ratio = exp(t)
            excess = (2 * coupling - 1) * t + coupling * (ratio - 1 / ratio) - depth
            change = excess / (2 * coupling - 1 + coupling * (ratio + 1 / ratio))
            t = max(t - change, -depth / (1 - 4 * coupling))
            unsettled += 1.0 if abs(change) > _LAST_CHANGE * (1 + t) else 0.0
            ratios[i] = t
        if unsettled == 0.0:
            break
    for i in range(ratios.size):
        t = ratios[i] if difference[i] < 0 else -ratios[i]
        ratios[i] = t if -abs(difference[i]) > fold_slope else np.nan


@jit(REDUCE)
def side_ratios(kappa, least, most, box, ratios):
    """Write the roots of (1 - coupling) s + coupling exp(-s) = kappa with s > turn and least <= s <= most, or NaN; (n,)."""
    coupling, turn, lowest = box.coupling, box.turn, box.turn_value
    own = 1 - coupling
    if not turn < most:
        ratios[:] = np.nan
        return
    if least > turn:
        lowest = own * least + coupling * exp(-least)
    highest = own * most + coupling * exp(-most)
    harmless = lowest + 1.0
    for i in range(ratios.size):
        k = kappa[i] if (kappa[i] > box.turn_value and lowest <= kappa[i] <= highest) else harmless
        # A parabola above this convex function meets kappa before it does; the next iterate, like kappa/own, comes after.
        s = turn + np.sqrt(2 * (k - box.turn_value) / own)
        s += (k - own * s - coupling * exp(-s)) / (own - coupling * exp(-s))
        ratios[i] = min(s, k / own)
    for _ in range(_MOST_ITERATIONS):
        unsettled = 0.0
        for i in range(ratios.size):
            k = kappa[i] if (kappa[i] > box.turn_value and lowest <= kappa[i] <= highest) else harmless
            s = ratios[i]
            pull = coupling * exp(-s)
            change = (own * s + pull - k) / (own - pull)
            ratios[i] = s - change
            unsettled += 1.0 if abs(change) > _LAST_CHANGE * (1 + abs(s)) else 0.0
        if unsettled == 0.0:
            break
    for i in range(ratios.size):
        exists = kappa[i] > box.turn_value and lowest <= kappa[i] <= highest
        ratios[i] = min(max(ratios[i], least), most) if exists else np.nan


@jit()
def side_densities(c, box, log_fixed, kappa, logs):
    """Write the log of the density that is a local minimum while the other one stays at an end of the box, or NaN."""
    for i in range(c.size):
        kappa[i] = -(c[i] + 1 - box.coupling + log_fixed)
    side_ratios(kappa, box.log_floor - log_fixed, box.log_peak - log_fixed, box, logs)
    for i in range(c.size):
        logs[i] += log_fixed


class Minima(NamedTuple):
    """The least value on each sheet of local minima at some points and its pair (a, b), (3, n) each, and space to work in."""

    values: Array
    first: Array
    second: Array
    roots: Array
    work: Array


@jit()
def minima_of(size):
    """Room for the minima at so many points."""
    shape = (3, size)
    return Minima(np.empty(shape), np.empty(shape), np.empty(shape), np.empty(size), np.empty(size))


@jit(REDUCE)
def _corners(c1, c2, box, values, first, second):
    coupling, low, high, floor, peak = box.coupling, box.log_floor, box.log_peak, box.floor, box.peak
    mixed = (1 - coupling) * (floor * low + peak * high) + coupling * (floor * high + peak * low)
    for i in range(c1.size):
        values[FIRST, i], first[FIRST, i], second[FIRST, i] = c1[i] * peak + c2[i] * floor + mixed, peak, floor
        values[SECOND, i], first[SECOND, i], second[SECOND, i] = c1[i] * floor + c2[i] * peak + mixed, floor, peak
        at_floor, at_peak = (c1[i] + c2[i] + 2 * low) * floor, (c1[i] + c2[i] + 2 * high) * peak
        both = peak if at_peak < at_floor else floor
        values[MATCHED, i], first[MATCHED, i], second[MATCHED, i] = min(at_floor, at_peak), both, both


@jit(REDUCE)
def _matched(c1, c2, box, ratios, values, first, second):
    low, high = box.log_floor, box.log_peak
    for i in range(c1.size):
        log_b = log_of_second(c2[i], ratios[i], box)
        log_a = log_b + ratios[i]
        a, b = exp(log_a), exp(log_b)
        # Where f is stationary, a df/da + b df/db = f + a + b = 0.
        is_least = low <= min(log_a, log_b) and max(log_a, log_b) <= high and -(a + b) < values[i]
        values[i] = -(a + b) if is_least else values[i]
        first[i] = a if is_least else first[i]
        second[i] = b if is_least else second[i]


@jit(REDUCE, inline="always")
def log_of_second(c2, ratio, box):
    """log b of the matched pair with log(a/b) = ratio."""
    return -(c2 + 1 - box.coupling + box.coupling * (ratio + exp(ratio)))


@jit(REDUCE)
def _side(c_fixed, box, fixed, log_fixed, logs, values, free, held):
    """Take the minima on a side, where the derivative of f in the free density is 0, in which they are the least of a sheet."""
    coupling = box.coupling
    for i in range(logs.size):
        density = exp(logs[i])
        value = fixed * (c_fixed[i] + (1 - coupling) * log_fixed + coupling * (logs[i] - 1)) - (1 - coupling) * density
        is_least = value < values[i]
        values[i] = value if is_least else values[i]
        free[i] = density if is_least else free[i]
        held[i] = fixed if is_least else held[i]


@jit()
def minima(c1, c2, box, found):
    """Write the least value on each sheet of local minima and its pair at points with costs c1 and c2, (n,) each."""
    size = c1.size
    values, first, second = found.values[:, :size], found.first[:, :size], found.second[:, :size]
    roots, work = found.roots[:size], found.work[:size]
    _corners(c1, c2, box, values, first, second)
    if box.fold > 0.0:
        for i in range(size):
            work[i] = c1[i] - c2[i]
        matched_ratios(work, box, roots)
        _matched(c1, c2, box, roots, values[MATCHED], first[MATCHED], second[MATCHED])
    low, high, floor, peak = box.log_floor, box.log_peak, box.floor, box.peak
    side_densities(c1, box, low, work, roots)
    _side(c2, box, floor, low, roots, values[FIRST], first[FIRST], second[FIRST])
    side_densities(c2, box, low, work, roots)
    _side(c1, box, floor, low, roots, values[SECOND], second[SECOND], first[SECOND])
    if _is_possible_at_peak(c1, box):
        side_densities(c1, box, high, work, roots)
        _side(c2, box, peak, high, roots, values[SECOND], first[SECOND], second[SECOND])
    if _is_possible_at_peak(c2, box):
        side_densities(c2, box, high, work, roots)
        _side(c1, box, peak, high, roots, values[FIRST], second[FIRST], first[FIRST])


@jit(REDUCE)
def _is_possible_at_peak(c, box):
    """Whether a density may have a minimum at some point while the other one is at its peak: rare, and worth knowing."""
    found = 0.0
    for i in range(c.size):
        found += 1.0 if -(c[i] + 1 - box.coupling + box.log_peak) > box.turn_value else 0.0
    return found > 0.0
