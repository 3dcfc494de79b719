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
follow from the conditions of stationarity.
"""

from math import acosh, inf, log, sinh
from typing import NamedTuple

import numpy as np

from fieldsolve.equilibrium.energy_pass import BLOCK
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import exp, jit

#: Sheets of local minima: both alike (matched, or both at an end of the box), the first above, the second above.
MATCHED, FIRST, SECOND = range(3)

# Columns of the partial sums of the passes.
VALUE, SIZE, MASS_1, MASS_2 = range(4)
FOLDED, RESPONSE_11, RESPONSE_12, RESPONSE_22 = 4, 5, 6, 7
COLUMNS = 8

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


def partial_sums(size: int) -> Array:
    """An array for the partial sums of a pass over so many points."""
    return np.zeros((-(-size // BLOCK), COLUMNS))


@jit()
def matched_ratio(difference, coupling, fold, fold_slope):
    """log(a/b) of the matched pair: the root of psi(t) = difference with |t| < fold, or NaN."""
    depth = -abs(difference)
    if not depth > fold_slope:
        return np.nan
    # psi is convex for t > 0: its tangent at 0 meets the depth before it does, and so does no iterate of Newton's method.
    low = -depth / (1 - 4 * coupling)
    t = low
    if depth < fold_slope / 2:  # close to the fold, a parabola above psi is the better start
        t = max(low, fold - np.sqrt((depth - fold_slope) / (coupling * (exp(fold) - exp(-fold)) / 2)))
    for _ in range(_MOST_ITERATIONS):
        ratio = exp(t)
        excess = (2 * coupling - 1) * t + coupling * (ratio - 1 / ratio) - depth
        change = excess / (2 * coupling - 1 + coupling * (ratio + 1 / ratio))
        t = max(t - change, low)
        if abs(change) <= _LAST_CHANGE * (1 + t):
            break
    return t if difference < 0 else -t


@jit()
def side_ratio(kappa, coupling, least, most, turn, turn_value):
    """The root of (1 - coupling) s + coupling exp(-s) = kappa with s > turn and least <= s <= most, or NaN."""
    if not kappa > turn_value:
        return np.nan
    own = 1 - coupling
    # A parabola above this convex function meets kappa before it does; the next iterate, like kappa/own, comes after.
    s = turn + np.sqrt(2 * (kappa - turn_value) / own)
    s += (kappa - own * s - coupling * exp(-s)) / (own - coupling * exp(-s))
    s = min(s, kappa / own)
    for _ in range(_MOST_ITERATIONS):
        if s < least:  # and iterates only fall
            return np.nan
        pull = coupling * exp(-s)
        change = (own * s + pull - kappa) / (own - pull)
        s -= change
        if abs(change) <= _LAST_CHANGE * (1 + abs(s)):
            break
    return s if least <= s <= most else np.nan


@jit()
def matched_pair(c1, c2, box):
    """(log a, log b) of the matched pair, inside the box or not; NaN if there is none."""
    if box.fold == 0.0:
        return np.nan, np.nan
    t = matched_ratio(c1 - c2, box.coupling, box.fold, box.fold_slope)
    log_b = -(c2 + 1 - box.coupling + box.coupling * (t + exp(t)))
    return log_b + t, log_b


@jit()
def side_density(c, box, log_fixed):
    """log of the density that is a local minimum while the other one stays at an end of the box, or NaN."""
    kappa = -(c + 1 - box.coupling + log_fixed)
    least, most = box.log_floor - log_fixed, box.log_peak - log_fixed
    return log_fixed + side_ratio(kappa, box.coupling, least, most, box.turn, box.turn_value)


@jit()
def _side_value(c_fixed, coupling, fixed, log_fixed, free, log_free):
    """f on a side, where its derivative in the free density is 0."""
    return fixed * (c_fixed + (1 - coupling) * log_fixed + coupling * (log_free - 1)) - (1 - coupling) * free


@jit()
def minima(c1, c2, box, values, pairs):
    """Write the least value on each sheet of local minima, (3,), and its (a, b), (3, 2)."""
    coupling, low, high, floor, peak = box.coupling, box.log_floor, box.log_peak, box.floor, box.peak
    mixed = (1 - coupling) * (floor * low + peak * high) + coupling * (floor * high + peak * low)
    values[FIRST], pairs[FIRST, 0], pairs[FIRST, 1] = c1 * peak + c2 * floor + mixed, peak, floor
    values[SECOND], pairs[SECOND, 0], pairs[SECOND, 1] = c1 * floor + c2 * peak + mixed, floor, peak
    values[MATCHED], pairs[MATCHED, 0], pairs[MATCHED, 1] = (c1 + c2 + 2 * low) * floor, floor, floor
    if (c1 + c2 + 2 * high) * peak < values[MATCHED]:
        values[MATCHED], pairs[MATCHED, 0], pairs[MATCHED, 1] = (c1 + c2 + 2 * high) * peak, peak, peak
    log_a, log_b = matched_pair(c1, c2, box)
    if low <= min(log_a, log_b) and max(log_a, log_b) <= high:
        a, b = exp(log_a), exp(log_b)
        if -(a + b) < values[MATCHED]:  # where f is stationary, a df/da + b df/db = f + a + b = 0
            values[MATCHED], pairs[MATCHED, 0], pairs[MATCHED, 1] = -(a + b), a, b
    for end in range(2):
        fixed, log_fixed = (floor, low) if end == 0 else (peak, high)
        log_a = side_density(c1, box, log_fixed)
        if log_a == log_a:  # not NaN
            a = exp(log_a)
            here, sheet = _side_value(c2, coupling, fixed, log_fixed, a, log_a), FIRST if end == 0 else SECOND
            if here < values[sheet]:
                values[sheet], pairs[sheet, 0], pairs[sheet, 1] = here, a, fixed
        log_b = side_density(c2, box, log_fixed)
        if log_b == log_b:
            b = exp(log_b)
            here, sheet = _side_value(c1, coupling, fixed, log_fixed, b, log_b), SECOND if end == 0 else FIRST
            if here < values[sheet]:
                values[sheet], pairs[sheet, 0], pairs[sheet, 1] = here, fixed, b


@jit()
def minima_pass(first, last, linear, nu1, nu2, box, values, pairs):
    """Write `minima` of every point of the blocks from first to last. linear: (2, N), U/tau; values (N, 3); pairs (N, 3, 2)."""
    for i in range(first * BLOCK, min(last * BLOCK, linear.shape[1])):
        minima(linear[0, i] - nu1, linear[1, i] - nu2, box, values[i], pairs[i])


@jit()
def dual_pass(first, last, linear, nu1, nu2, box, sums):
    """Write the sums of the minima over the blocks' points: VALUE, its SIZE for rounding, MASS_1 and MASS_2 of the minimisers."""
    values, pairs = np.empty(3), np.empty((3, 2))
    logarithms = 1 + abs(box.log_floor) + abs(box.log_peak)
    for block in range(first, last):
        total, size, mass_1, mass_2 = 0.0, 0.0, 0.0, 0.0
        for i in range(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1])):
            c1, c2 = linear[0, i] - nu1, linear[1, i] - nu2
            minima(c1, c2, box, values, pairs)
            best = FIRST if values[FIRST] < values[MATCHED] else MATCHED
            best = SECOND if values[SECOND] < values[best] else best
            total += values[best]
            mass_1 += pairs[best, 0]
            mass_2 += pairs[best, 1]
            size += pairs[best, 0] * (logarithms + abs(c1)) + pairs[best, 1] * (logarithms + abs(c2))
        sums[block, VALUE], sums[block, SIZE], sums[block, MASS_1], sums[block, MASS_2] = total, size, mass_1, mass_2


@jit()
def _on_matched_sheet(c1, c2, box, held_1, held_2):
    """(log a, log b) where a pair of the matched branch goes, or NaN where it ends.

    held_1, held_2: whether the densities of the pair were at the floor before. One that was stays there as long as the energy
    would rise if it lifted off; it lifts off into a matched pair if the other density is no more than the fold above it.
    """
    low = box.log_floor
    log_a, log_b = matched_pair(c1, c2, box)
    exists = log_a == log_a
    if not (held_1 or held_2):
        if exists and min(log_a, log_b) >= low:
            return log_a, log_b
        if not exists:  # past the fold: had the lower density reached the floor before it?
            strong = min(c1, c2)
            at_fold = -(strong - box.fold_slope + 1 - box.coupling + box.coupling * (box.fold + exp(box.fold)))
            if box.fold == 0.0 or at_fold >= low:
                return np.nan, np.nan
    first_is_low = c1 > c2 if held_1 == held_2 else held_1
    c_low, c_high = (c1, c2) if first_is_low else (c2, c1)
    high = side_density(c_high, box, low)
    if high != high:
        if box.coupling >= 0.5 and not (held_1 and held_2):
            return np.nan, np.nan
        high = low
    rise = c_low + (1 - box.coupling) * (1 + low) + box.coupling * (high + exp(high - low))
    if rise < 0:
        if high - low > box.fold:
            return np.nan, np.nan
        if exists and min(log_a, log_b) >= low:
            return log_a, log_b
    return (low, high) if first_is_low else (high, low)


@jit()
def matched_pass(first, last, linear, nu1, nu2, box, before, fields, sums):
    """Write the logarithms of the matched pairs that follow those before, and the sums FOLDED, MASS_1, MASS_2 and RESPONSE.

    The response is that of the masses to the multipliers, the inverse second derivatives of f.
    """
    own, low = 1 - box.coupling, box.log_floor
    for block in range(first, last):
        row = sums[block]
        row[:] = 0.0
        for i in range(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1])):
            held_1, held_2 = before[0, i] <= low, before[1, i] <= low
            log_a, log_b = _on_matched_sheet(linear[0, i] - nu1, linear[1, i] - nu2, box, held_1, held_2)
            fields[0, i], fields[1, i] = log_a, log_b
            if log_a != log_a:
                row[FOLDED] += 1.0
                continue
            a, b = exp(log_a), exp(log_b)
            row[MASS_1] += a
            row[MASS_2] += b
            if log_a > low and log_b > low:
                determinant = 1 - 2 * box.coupling - box.coupling * (a / b + b / a)
                row[RESPONSE_11] += a * (own - box.coupling * a / b) / determinant
                row[RESPONSE_12] -= box.coupling * (a + b) / determinant
                row[RESPONSE_22] += b * (own - box.coupling * b / a) / determinant
            elif log_a > low:
                row[RESPONSE_11] += a / (own - box.coupling * b / a)
            elif log_b > low:
                row[RESPONSE_22] += b / (own - box.coupling * a / b)


@jit()
def slack_pass(first, last, linear, nu1, nu2, box, fields, sums):
    """Write in VALUE the most that any point of a block could gain by leaving its pair (log a, log b) for another minimum."""
    values, pairs = np.empty(3), np.empty((3, 2))
    own = 1 - box.coupling
    for block in range(first, last):
        most = 0.0
        for i in range(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1])):
            c1, c2 = linear[0, i] - nu1, linear[1, i] - nu2
            minima(c1, c2, box, values, pairs)
            x, y = fields[0, i], fields[1, i]
            here = exp(x) * (c1 + own * x + box.coupling * y) + exp(y) * (c2 + own * y + box.coupling * x)
            most = max(most, (here - values.min()) / (exp(x) + exp(y)))
        sums[block, VALUE] = most
