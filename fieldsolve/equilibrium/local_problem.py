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

BLOCK = 256  # points at a time: their arrays stay in the first-level cache

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
def _side_densities(c, box, log_fixed, kappa, logs):
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
        log_b = _log_b(c2[i], ratios[i], box)
        log_a = log_b + ratios[i]
        a, b = exp(log_a), exp(log_b)
        # Where f is stationary, a df/da + b df/db = f + a + b = 0.
        is_least = low <= min(log_a, log_b) and max(log_a, log_b) <= high and -(a + b) < values[i]
        values[i] = -(a + b) if is_least else values[i]
        first[i] = a if is_least else first[i]
        second[i] = b if is_least else second[i]


@jit(REDUCE, inline="always")
def _log_b(c2, ratio, box):
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
    _side_densities(c1, box, low, work, roots)
    _side(c2, box, floor, low, roots, values[FIRST], first[FIRST], second[FIRST])
    _side_densities(c2, box, low, work, roots)
    _side(c1, box, floor, low, roots, values[SECOND], second[SECOND], first[SECOND])
    if _is_possible_at_peak(c1, box):
        _side_densities(c1, box, high, work, roots)
        _side(c2, box, peak, high, roots, values[SECOND], first[SECOND], second[SECOND])
    if _is_possible_at_peak(c2, box):
        _side_densities(c2, box, high, work, roots)
        _side(c1, box, peak, high, roots, values[FIRST], second[FIRST], first[FIRST])


@jit(REDUCE)
def _is_possible_at_peak(c, box):
    """Whether a density may have a minimum at some point while the other one is at its peak: rare, and worth knowing."""
    found = 0.0
    for i in range(c.size):
        found += 1.0 if -(c[i] + 1 - box.coupling + box.log_peak) > box.turn_value else 0.0
    return found > 0.0


@jit()
def minima_pass(first, last, linear, nu1, nu2, box, values, pairs):
    """Write `minima` of every point of the blocks from first to last. linear: (2, N), U/tau; values (3, N); pairs (2, 3, N)."""
    found = minima_of(BLOCK)
    for block in range(first, last):
        at = slice(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1]))
        minima(linear[0, at] - nu1, linear[1, at] - nu2, box, found)
        size = at.stop - at.start
        values[:, at] = found.values[:, :size]
        pairs[0, :, at], pairs[1, :, at] = found.first[:, :size], found.second[:, :size]


@jit(REDUCE)
def _dual_sums(c1, c2, logarithms, values, first, second, row):
    total, size, mass_1, mass_2 = 0.0, 0.0, 0.0, 0.0
    for i in range(c1.size):
        value, a, b = values[MATCHED, i], first[MATCHED, i], second[MATCHED, i]
        is_lower = values[FIRST, i] < value
        value = values[FIRST, i] if is_lower else value
        a = first[FIRST, i] if is_lower else a
        b = second[FIRST, i] if is_lower else b
        is_lower = values[SECOND, i] < value
        value = values[SECOND, i] if is_lower else value
        a = first[SECOND, i] if is_lower else a
        b = second[SECOND, i] if is_lower else b
        total += value
        mass_1 += a
        mass_2 += b
        size += a * (logarithms + abs(c1[i])) + b * (logarithms + abs(c2[i]))
    row[VALUE], row[SIZE], row[MASS_1], row[MASS_2] = total, size, mass_1, mass_2


@jit()
def dual_pass(first, last, linear, nu1, nu2, box, sums):
    """Write the sums of the minima over the blocks' points: VALUE, its SIZE for rounding, MASS_1 and MASS_2 of the minimisers."""
    found = minima_of(BLOCK)
    logarithms = 1 + abs(box.log_floor) + abs(box.log_peak)
    for block in range(first, last):
        at = slice(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1]))
        c1, c2 = linear[0, at] - nu1, linear[1, at] - nu2
        minima(c1, c2, box, found)
        _dual_sums(c1, c2, logarithms, found.values, found.first, found.second, sums[block])


@jit()
def choice_pass(first, last, linear, nu1, nu2, box, tied, sheets, is_mirrored, is_tied, gains, sums):
    """Write each point's cheapest sheet, and of which other ones its value differs by less than `tied` of the mass between them.

    is_mirrored: FIRST and SECOND cost the same, and one of them is the least: gains (2, N) is what FIRST has more of, and
    SECOND is chosen. is_tied: another sheet costs the same. The sums are MASS_1 and MASS_2 of what is chosen.
    """
    found = minima_of(BLOCK)
    for block in range(first, last):
        at = slice(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1]))
        minima(linear[0, at] - nu1, linear[1, at] - nu2, box, found)
        values, a, b, row = found.values, found.first, found.second, sums[block]
        row[MASS_1], row[MASS_2] = 0.0, 0.0
        for i in range(at.stop - at.start):
            point = at.start + i
            best = FIRST if values[FIRST, i] < values[MATCHED, i] else MATCHED
            best = SECOND if values[SECOND, i] < values[best, i] else best
            gains[0, point], gains[1, point] = a[FIRST, i] - a[SECOND, i], b[FIRST, i] - b[SECOND, i]
            apart = abs(gains[0, point]) + abs(gains[1, point])
            is_mirrored[point] = best != MATCHED and abs(values[FIRST, i] - values[SECOND, i]) <= tied * apart
            is_tied[point] = False
            for sheet in range(3):
                move = np.hypot(a[sheet, i] - a[best, i], b[sheet, i] - b[best, i])
                is_other = sheet != best and not (is_mirrored[point] and sheet != MATCHED)
                if is_other and move > 0 and values[sheet, i] - values[best, i] <= tied * move:
                    is_tied[point] = True
            sheets[point] = SECOND if is_mirrored[point] else best
            row[MASS_1] += a[sheets[point], i]
            row[MASS_2] += b[sheets[point], i]


@jit()
def exchange(order, values, pairs, tied, missing_1, missing_2, sheets):
    """Exchange sheets, (n,), for others that cost the same, point by point in the order given: values (3, n), pairs (2, 3, n).

    Done where at least half of the mass that it moves makes up for mass that is missing or in excess.
    """
    for point in order:
        chosen, least = sheets[point], values[:, point].min()
        for sheet in range(3):
            move_1 = pairs[0, sheet, point] - pairs[0, chosen, point]
            move_2 = pairs[1, sheet, point] - pairs[1, chosen, point]
            size = np.hypot(move_1, move_2)
            if size > 0 and values[sheet, point] - least <= tied * size:
                left = np.hypot(missing_1 - move_1, missing_2 - move_2)
                if np.hypot(missing_1, missing_2) - left >= size / 2:
                    missing_1, missing_2 = missing_1 - move_1, missing_2 - move_2
                    sheets[point] = sheet
                    break


@jit()
def _add_response(a, b, box, row):
    """Add the response of a pair's masses to the multipliers, the inverse second derivatives of f in what is not at an end."""
    own, coupling = 1 - box.coupling, box.coupling
    is_free_1, is_free_2 = box.floor < a < box.peak, box.floor < b < box.peak
    if is_free_1 and is_free_2:
        determinant = 1 - 2 * coupling - coupling * (a / b + b / a)
        row[RESPONSE_11] += a * (own - coupling * a / b) / determinant
        row[RESPONSE_12] -= coupling * (a + b) / determinant
        row[RESPONSE_22] += b * (own - coupling * b / a) / determinant
    elif is_free_1:
        row[RESPONSE_11] += a / (own - coupling * b / a)
    elif is_free_2:
        row[RESPONSE_22] += b / (own - coupling * a / b)


@jit()
def sheets_pass(first, last, linear, nu1, nu2, box, sheets, fields, sums):
    """Write the logarithms of the pairs on given sheets, and the sums MASS_1, MASS_2 and RESPONSE."""
    found = minima_of(BLOCK)
    for block in range(first, last):
        at = slice(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1]))
        minima(linear[0, at] - nu1, linear[1, at] - nu2, box, found)
        row = sums[block]
        row[:] = 0.0
        for i in range(at.stop - at.start):
            sheet = sheets[at.start + i]
            a, b = found.first[sheet, i], found.second[sheet, i]
            fields[0, at.start + i], fields[1, at.start + i] = np.log(a), np.log(b)
            row[MASS_1] += a
            row[MASS_2] += b
            _add_response(a, b, box, row)


@jit()
def _on_matched_sheet(c1, c2, box, held_1, held_2, log_a, log_b, high_1, high_2):
    """(log a, log b) where a pair of the matched branch goes, or NaN where it ends.

    held_1, held_2: whether the densities of the pair were at the floor before. One that was stays there as long as the energy
    would rise if it lifted off; it lifts off into a matched pair if the other density is no more than the fold above it.
    log_a, log_b: the matched pair; high_1, high_2: each density's log while the other one is at the floor; NaN for none.
    """
    low = box.log_floor
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
    c_low, high = (c1, high_2) if first_is_low else (c2, high_1)
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
    """Write the logarithms of the matched pairs that follow those before, and the sums FOLDED, MASS_1, MASS_2 and RESPONSE."""
    low = box.log_floor
    work, ratios, high_1, high_2 = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for block in range(first, last):
        at = slice(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1]))
        size = at.stop - at.start
        c1, c2 = linear[0, at] - nu1, linear[1, at] - nu2
        matched_ratios(c1 - c2, box, ratios[:size])
        _side_densities(c1, box, low, work[:size], high_1[:size])
        _side_densities(c2, box, low, work[:size], high_2[:size])
        row = sums[block]
        row[:] = 0.0
        for i in range(size):
            point = at.start + i
            log_b = _log_b(c2[i], ratios[i], box)
            held_1, held_2 = before[0, point] <= low, before[1, point] <= low
            log_a, log_b = _on_matched_sheet(
                c1[i], c2[i], box, held_1, held_2, log_b + ratios[i], log_b, high_1[i], high_2[i]
            )
            fields[0, point], fields[1, point] = log_a, log_b
            if log_a != log_a:
                row[FOLDED] += 1.0
                continue
            a, b = box.floor if log_a <= low else exp(log_a), box.floor if log_b <= low else exp(log_b)
            row[MASS_1] += a
            row[MASS_2] += b
            _add_response(a, b, box, row)


@jit()
def slack_pass(first, last, linear, nu1, nu2, box, fields, sums):
    """Write in VALUE the most that any point of a block could gain by leaving its pair (log a, log b) for another minimum."""
    found = minima_of(BLOCK)
    own = 1 - box.coupling
    for block in range(first, last):
        at = slice(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1]))
        c1, c2 = linear[0, at] - nu1, linear[1, at] - nu2
        minima(c1, c2, box, found)
        most = 0.0
        for i in range(c1.size):
            x, y = fields[0, at.start + i], fields[1, at.start + i]
            a, b = exp(x), exp(y)
            here = a * (c1[i] + own * x + box.coupling * y) + b * (c2[i] + own * y + box.coupling * x)
            least = min(found.values[MATCHED, i], found.values[FIRST, i], found.values[SECOND, i])
            most = max(most, (here - least) / (a + b))
        sums[block, VALUE] = most
