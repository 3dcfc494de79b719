"""The compiled passes over all points' problems: sums at given multipliers, choices of pairs, the matched branch."""

import numpy as np

from fieldsolve.equilibrium.local_problem import (
    FIRST,
    MATCHED,
    SECOND,
    log_of_second,
    matched_ratios,
    minima,
    minima_of,
    side_densities,
    with_peak,
)
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import REDUCE, exp, jit

BLOCK = 256  # points at a time: their arrays stay in the first-level cache

_MOST_EXCHANGES = 200  # a handful is usual
_FEW = 64  # points, up to which two are exchanged at once

#: The logarithm of densities where points weigh so little that their whole mass would be beyond all numbers.
HIGHEST_LOG = 600.0

#: Of all points' problems at once, in memory-bound operations a point.
WORK = 60

# Columns of the partial sums of the passes.
VALUE, SIZE, MASS_1, MASS_2 = range(4)
FOLDED, RESPONSE_11, RESPONSE_12, RESPONSE_22 = 4, 5, 6, 7
COLUMNS = 8


def partial_sums(size: int) -> Array:
    """An array for the partial sums of a pass over so many points."""
    return np.zeros((blocks_of(size), COLUMNS))


def blocks_of(size: int) -> int:
    """How many blocks so many points are."""
    return -(-size // BLOCK)


@jit()
def _minima_at(at, c1, c2, box, weights, found, one):
    """`minima` at a block of points, whose densities exceed their whole mass at none: equal areas, or weights (N,)."""
    if weights.size == 1:
        minima(c1, c2, box, found)
        return
    size = weights.size
    for i in range(c1.size):
        peak = box.floor + (1 - box.floor) * size / weights[at.start + i]
        minima(c1[i : i + 1], c2[i : i + 1], with_peak(box, min(np.log(peak), HIGHEST_LOG)), one)
        for sheet in range(3):
            found.values[sheet, i] = one.values[sheet, 0]
            found.first[sheet, i], found.second[sheet, i] = one.first[sheet, 0], one.second[sheet, 0]


@jit()
def minima_pass(first, last, linear, nu1, nu2, box, weights, values, pairs):
    """Write `minima` of every point of the blocks from first to last. linear: (2, N), U/tau; values (3, N); pairs (2, 3, N).

    weights: (N,) of the points, or (1,) where all are 1; also below.
    """
    found, one = minima_of(BLOCK), minima_of(1)
    for block in range(first, last):
        at = slice(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1]))
        _minima_at(at, linear[0, at] - nu1, linear[1, at] - nu2, box, weights, found, one)
        size = at.stop - at.start
        values[:, at] = found.values[:, :size]
        pairs[0, :, at], pairs[1, :, at] = found.first[:, :size], found.second[:, :size]


@jit(REDUCE)
def _dual_sums(c1, c2, logarithms, values, first, second, weights, row):
    total, size, mass_1, mass_2 = 0.0, 0.0, 0.0, 0.0
    is_weighted = weights.size > 1
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
        if is_weighted:
            value, a, b = weights[i] * value, weights[i] * a, weights[i] * b
        total += value
        mass_1 += a
        mass_2 += b
        size += a * (logarithms + abs(c1[i])) + b * (logarithms + abs(c2[i]))
    row[VALUE], row[SIZE], row[MASS_1], row[MASS_2] = total, size, mass_1, mass_2


@jit()
def dual_pass(first, last, linear, nu1, nu2, box, weights, sums):
    """Write the sums of the minima over the blocks' points: VALUE, its SIZE for rounding, MASS_1 and MASS_2 of the minimisers."""
    found, one = minima_of(BLOCK), minima_of(1)
    logarithms = 1 + abs(box.log_floor) + abs(box.log_peak)
    for block in range(first, last):
        at = slice(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1]))
        c1, c2 = linear[0, at] - nu1, linear[1, at] - nu2
        _minima_at(at, c1, c2, box, weights, found, one)
        here = weights[at] if weights.size > 1 else weights
        _dual_sums(c1, c2, logarithms, found.values, found.first, found.second, here, sums[block])


@jit()
def choice_pass(first, last, linear, nu1, nu2, box, weights, tied, sheets, is_mirrored, is_tied, gains, sums):
    """Write each point's cheapest sheet, and of which other ones its value differs by less than `tied` of the mass between them.

    is_mirrored: FIRST and SECOND cost the same, and one of them is the least: gains (2, N) is what FIRST has more of, and
    SECOND is chosen. is_tied: another sheet costs the same. The sums are MASS_1 and MASS_2 of what is chosen.
    """
    found, one = minima_of(BLOCK), minima_of(1)
    for block in range(first, last):
        at = slice(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1]))
        _minima_at(at, linear[0, at] - nu1, linear[1, at] - nu2, box, weights, found, one)
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
            weight = weights[point] if weights.size > 1 else 1.0
            row[MASS_1] += weight * a[sheets[point], i]
            row[MASS_2] += weight * b[sheets[point], i]


@jit()
def _move(values, pairs, tied, sheets, point, sheet):
    """What another sheet of a point has more of, (0, 0) if it costs more."""
    chosen = sheets[point]
    move_1 = pairs[0, sheet, point] - pairs[0, chosen, point]
    move_2 = pairs[1, sheet, point] - pairs[1, chosen, point]
    if values[sheet, point] - values[:, point].min() <= tied * np.hypot(move_1, move_2):
        return move_1, move_2
    return 0.0, 0.0


@jit()
def exchange(values, pairs, tied, missing_1, missing_2, sheets):
    """Exchange sheets, (n,), for others that cost the same, point by point: values (3, n), pairs (2, 3, n).

    Done where at least half of the mass that it moves makes up for mass that is missing or in excess, which is returned.
    """
    for point in range(sheets.size):
        for sheet in range(3):
            move_1, move_2 = _move(values, pairs, tied, sheets, point, sheet)
            size = np.hypot(move_1, move_2)
            if size > 0 and np.hypot(missing_1, missing_2) - np.hypot(missing_1 - move_1, missing_2 - move_2) >= size / 2:
                missing_1, missing_2 = missing_1 - move_1, missing_2 - move_2
                sheets[point] = sheet
                break
    return missing_1, missing_2


@jit()
def _least_left(values, pairs, tied, missing_1, missing_2, sheets, after):
    """The point, from one on, and the sheet whose exchange leaves least mass missing, and how much that is."""
    least, best_point, best_sheet = np.inf, -1, -1
    for point in range(after, sheets.size):
        for sheet in range(3):
            move_1, move_2 = _move(values, pairs, tied, sheets, point, sheet)
            left = np.hypot(missing_1 - move_1, missing_2 - move_2)
            if sheet != sheets[point] and (move_1 != 0.0 or move_2 != 0.0) and left < least:
                least, best_point, best_sheet = left, point, sheet
    return least, best_point, best_sheet


@jit()
def exchange_best(values, pairs, tied, missing_1, missing_2, sheets):
    """The same for few points: the exchange that leaves least missing, or the pair of exchanges, as long as one helps."""
    for _ in range(_MOST_EXCHANGES):
        least, point, sheet = _least_left(values, pairs, tied, missing_1, missing_2, sheets, 0)
        other, other_sheet = -1, -1
        if not least < np.hypot(missing_1, missing_2) and sheets.size <= _FEW:
            for first in range(sheets.size - 1):
                for turned in range(3):
                    move_1, move_2 = _move(values, pairs, tied, sheets, first, turned)
                    if move_1 == 0.0 and move_2 == 0.0:
                        continue
                    rest_1, rest_2 = missing_1 - move_1, missing_2 - move_2
                    left, second, its = _least_left(values, pairs, tied, rest_1, rest_2, sheets, first + 1)
                    if left < least:
                        least, point, sheet, other, other_sheet = left, first, turned, second, its
        if not least < np.hypot(missing_1, missing_2):
            break
        for at, to in ((point, sheet), (other, other_sheet)):
            if at >= 0:
                missing_1 -= pairs[0, to, at] - pairs[0, sheets[at], at]
                missing_2 -= pairs[1, to, at] - pairs[1, sheets[at], at]
                sheets[at] = to


@jit()
def _add_response(a, b, box, weight, row):
    """Add the response of a pair's masses to the multipliers, the inverse second derivatives of f in what is not at an end."""
    own, coupling = 1 - box.coupling, box.coupling
    is_free_1, is_free_2 = box.floor < a < box.peak, box.floor < b < box.peak
    if is_free_1 and is_free_2:
        determinant = 1 - 2 * coupling - coupling * (a / b + b / a)
        row[RESPONSE_11] += weight * a * (own - coupling * a / b) / determinant
        row[RESPONSE_12] -= weight * coupling * (a + b) / determinant
        row[RESPONSE_22] += weight * b * (own - coupling * b / a) / determinant
    elif is_free_1:
        row[RESPONSE_11] += weight * a / (own - coupling * b / a)
    elif is_free_2:
        row[RESPONSE_22] += weight * b / (own - coupling * a / b)


@jit()
def sheets_pass(first, last, linear, nu1, nu2, box, weights, sheets, fields, sums):
    """Write the logarithms of the pairs on given sheets, and the sums MASS_1, MASS_2 and RESPONSE."""
    found, one = minima_of(BLOCK), minima_of(1)
    for block in range(first, last):
        at = slice(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1]))
        _minima_at(at, linear[0, at] - nu1, linear[1, at] - nu2, box, weights, found, one)
        row = sums[block]
        row[:] = 0.0
        for i in range(at.stop - at.start):
            sheet = sheets[at.start + i]
            a, b = found.first[sheet, i], found.second[sheet, i]
            fields[0, at.start + i], fields[1, at.start + i] = np.log(a), np.log(b)
            weight = weights[at.start + i] if weights.size > 1 else 1.0
            row[MASS_1] += weight * a
            row[MASS_2] += weight * b
            _add_response(a, b, box, weight, row)


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
def _are_inside(c2, box, ratios, before):
    """Whether all pairs were and are above the floor, so that nothing on the box's sides matters."""
    for i in range(ratios.size):
        log_b = log_of_second(c2[i], ratios[i], box)
        if not (min(log_b, log_b + ratios[i]) >= box.log_floor and min(before[0, i], before[1, i]) > box.log_floor):
            return False
    return True


@jit()
def matched_pass(first, last, linear, nu1, nu2, box, weights, before, fields, sums):
    """Write the logarithms of the matched pairs that follow those before, and the sums FOLDED, MASS_1, MASS_2 and RESPONSE."""
    low = box.log_floor
    work, ratios, high_1, high_2 = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for block in range(first, last):
        at = slice(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1]))
        size = at.stop - at.start
        c1, c2 = linear[0, at] - nu1, linear[1, at] - nu2
        matched_ratios(c1 - c2, box, ratios[:size])
        if not _are_inside(c2, box, ratios[:size], before[:, at]):
            side_densities(c1, box, low, work[:size], high_1[:size])
            side_densities(c2, box, low, work[:size], high_2[:size])
        row = sums[block]
        row[:] = 0.0
        for i in range(size):
            point = at.start + i
            log_b = log_of_second(c2[i], ratios[i], box)
            held_1, held_2 = before[0, point] <= low, before[1, point] <= low
            log_a, log_b = _on_matched_sheet(c1[i], c2[i], box, held_1, held_2, log_b + ratios[i], log_b, high_1[i], high_2[i])
            fields[0, point], fields[1, point] = log_a, log_b
            if log_a != log_a:
                row[FOLDED] += 1.0
                continue
            a, b = box.floor if log_a <= low else exp(log_a), box.floor if log_b <= low else exp(log_b)
            weight = weights[point] if weights.size > 1 else 1.0
            row[MASS_1] += weight * a
            row[MASS_2] += weight * b
            _add_response(a, b, box, weight, row)


@jit()
def slack_pass(first, last, linear, nu1, nu2, box, weights, fields, sums):
    """Write in VALUE the most that any point of a block could gain by leaving its pair (log a, log b) for another minimum."""
    found, one = minima_of(BLOCK), minima_of(1)
    own = 1 - box.coupling
    for block in range(first, last):
        at = slice(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1]))
        c1, c2 = linear[0, at] - nu1, linear[1, at] - nu2
        _minima_at(at, c1, c2, box, weights, found, one)
        most = 0.0
        for i in range(c1.size):
            x, y = fields[0, at.start + i], fields[1, at.start + i]
            a, b = exp(x), exp(y)
            here = a * (c1[i] + own * x + box.coupling * y) + b * (c2[i] + own * y + box.coupling * x)
            least = min(found.values[MATCHED, i], found.values[FIRST, i], found.values[SECOND, i])
            most = max(most, (here - least) / (a + b))
        sums[block, VALUE] = most
