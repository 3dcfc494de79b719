"""The compiled problem at one point for any number of densities, against the energy and the price of mass.

At given multipliers nu the dual falls apart into one problem for every point of the sphere: minimise over
floor <= x_1 ... x_A <= peak

    f(x) = sum_a [c_a x_a + kappa x_a log x_a] + mu (sum x)(sum log x),   c_a = U_a/tau - nu_a,

with mu = lambda/(A - 1) and kappa = 1 - lambda - mu. Its minimum is the least of a list (proof: NOTATION.md):

- Some minimiser falls as c rises (rearrangement): with c sorted, p densities at the peak, m free ones, the rest at the floor.
- One free density: (1 - lambda) log x + mu T/x, T the sum of the others, equals a number, on the branch where it rises.
- Two or more: x_a = S xi_a with S = sum x, and kappa log xi_a + mu/xi_a + c_a is the same number for all of them. With xi_a =
  (mu/kappa) e^(s_a), theta(s_a) - theta(s) = (c - c_a)/kappa for theta(s) = s + e^(-s), s and c those of the last free one, and
  all s_a > 0 but perhaps the last. sum xi = 1 less what is fixed over S is then one equation in s, which rises for s > 0 and is
  convex in e^s for s < 0; a minimum is where it rises, of which there is at most one. There is none unless kappa > mu.
"""

from typing import NamedTuple

import numpy as np

from fieldsolve.numerics.compiled import jit

BLOCK = 256  # points at a time, whose sums are added in order

#: Columns of the partial sums; the masses follow.
VALUE, SIZE, MASSES = range(3)

_LAST_CHANGE = 1e-10  # of a root, relative: what is left is its square
_MOST_ITERATIONS = 80


class Box(NamedTuple):
    """The constants of the problem at one point: mu, kappa, and the least and largest density."""

    mu: float
    kappa: float
    floor: float
    peak: float


def box(coupling: float, modalities: int, floor: float, peak: float) -> Box:
    """The constants for a coupling in (0, 1] of A >= 2 densities from a floor above 0 to a finite peak."""
    mu = coupling / (modalities - 1)
    return Box(mu, 1 - coupling - mu, floor, peak)


@jit(inline="always")
def _rising_root(q):
    """s >= 0 with s + e^(-s) = q, for q >= 1."""
    excess = max(q - 1.0, 0.0)
    # A parabola below this convex function meets q before it does; one step of Newton's method on, iterates come from above.
    s = min(np.sqrt(2 * excess), q)
    for _ in range(_MOST_ITERATIONS):
        pull = np.exp(-s)
        slope = 1 - pull
        if slope <= 0.0:
            return s
        change = (s + pull - q) / slope
        s = max(s - change, 0.0)
        if abs(change) <= _LAST_CHANGE * (1 + s):
            break
    return s


@jit()
def _fill(c, first, count, s, box, fixed, log_fixed, x):
    """Write log xi of the free densities at s of the last one; the excess of sum xi over 1, its slope in s, and log S."""
    mu, kappa = box.mu, box.kappa
    last = first + count - 1
    q = s + np.exp(-s)
    ratio, log_ratio = mu / kappa, np.log(mu / kappa)
    total, slope, logs, log_slope = 0.0, 0.0, 0.0, 0.0
    for a in range(first, last + 1):
        own = s if a == last else _rising_root(q + (c[last] - c[a]) / kappa)
        x[a] = log_ratio + own
        xi = ratio * np.exp(own)
        own_slope = 1.0 if a == last else (1 - np.exp(-s)) / max(1 - np.exp(-own), 1e-300)
        total += xi
        slope += xi * own_slope
        logs += x[a]
        log_slope += own_slope
    eta = c[last] + kappa * (log_ratio + q)
    log_s = (-kappa - eta - mu * (logs + log_fixed)) / (kappa + mu * count)
    if fixed > 0.0:
        log_s_slope = -(kappa * (1 - np.exp(-s)) + mu * log_slope) / (kappa + mu * count)
        share = fixed * np.exp(-log_s)
        total += share
        slope -= share * log_s_slope
    return total - 1, slope, log_s


@jit()
def _root_where_rising(c, first, count, high, box, fixed, log_fixed, x):
    """s from 0 to high where the excess, below 0 at 0 and above it at high, is 0: Newton's method, or half of the bracket."""
    low, s = 0.0, high
    for _ in range(_MOST_ITERATIONS):
        excess, slope, _ = _fill(c, first, count, s, box, fixed, log_fixed, x)
        if excess >= 0.0:
            high = s
        else:
            low = s
        there = s - excess / slope if slope > 0.0 else low
        if not low <= there <= high:
            there = 0.5 * (low + high)
        change = abs(there - s)
        s = there
        if change <= _LAST_CHANGE * (1 + s):
            break
    return s


@jit()
def _root_where_convex(c, first, count, high, box, fixed, log_fixed, x):
    """s <= high <= 0 where the excess, convex in u = e^s and above 0 at high, rises through 0, or NaN.

    Iterates of Newton's method fall to the root, or past all of them.
    """
    u = np.exp(high)
    for _ in range(_MOST_ITERATIONS):
        excess, slope, _ = _fill(c, first, count, np.log(u), box, fixed, log_fixed, x)
        change = excess / slope * u if slope > 0.0 else u
        if excess < -1e-12 or change >= u:
            return np.nan
        u -= change
        if change <= _LAST_CHANGE * u:
            break
    return np.log(u)


@jit()
def _several(c, first, count, box, fixed, log_fixed, x):
    """Write log x of two or more free densities at their one candidate; whether there is one."""
    if not box.kappa > box.mu:
        return False
    high = -np.log(box.mu / box.kappa * count)
    if high > 0.0 and _fill(c, first, count, 0.0, box, fixed, log_fixed, x)[0] < 0.0:
        s = _root_where_rising(c, first, count, high, box, fixed, log_fixed, x)
    else:
        s = _root_where_convex(c, first, count, min(high, 0.0), box, fixed, log_fixed, x)
    if np.isnan(s):
        return False
    log_s = _fill(c, first, count, s, box, fixed, log_fixed, x)[2]
    for a in range(first, first + count):
        x[a] += log_s
    return True


@jit()
def _one(c, at, box, fixed, log_fixed, x):
    """Write log x of the one free density at its candidate; whether there is one."""
    own = box.kappa + box.mu
    if not own > 0.0:
        return False
    start = np.log(box.mu) + np.log(fixed) - np.log(own)  # their product may underflow
    q = -(c[at] + own + box.mu * log_fixed) / own - start
    if q < 1.0:
        return False
    x[at] = start + _rising_root(q)
    return True


@jit()
def minimum(c, box, x, tried, best):
    """The least value at rising costs c, (A,); writes the densities there to `best`. x, tried: room, (A,)."""
    size, low, high = c.size, np.log(box.floor), np.log(box.peak)
    least = np.inf
    for peaks in range(size + 1):
        for count in range(size - peaks + 1):
            floors = size - peaks - count
            fixed = peaks * box.peak + floors * box.floor
            log_fixed = peaks * high + floors * low
            x[:peaks] = high
            x[size - floors :] = low
            exists = True
            if count == 1:
                exists = _one(c, peaks, box, fixed, log_fixed, x)
            elif count > 1:
                exists = _several(c, peaks, count, box, fixed, log_fixed, x)
            for a in range(peaks, peaks + count):
                exists = exists and low <= x[a] <= high
            if exists:
                tried[:] = np.exp(x)
                value = value_at(c, tried, box)
                if value < least:
                    least = value
                    best[:] = tried
    return least


@jit()
def value_at(costs, x, box):
    """f of densities x with costs, (A,) each."""
    linear, own, total, logs = 0.0, 0.0, 0.0, 0.0
    for a in range(x.size):
        log_x = np.log(x[a])
        linear += costs[a] * x[a]
        own += x[a] * log_x
        total += x[a]
        logs += log_x
    return linear + box.kappa * own + box.mu * total * logs


@jit()
def deal(linear, nu, box, weights, rank, choices, orders, preferred, tied, dealt):
    """Deal minimisers to modalities, points in the order of `rank`; choices: (3, A, N), falling, with places in `orders`, (A, N).

    Of the choices that cost the same to `tied` of their mass the one is taken that leaves least mass missing. preferred: which
    modality has the first place where others cost the same, -1 for none. weights: of points, (N,). dealt: (A, N), written.
    """
    modalities = len(linear)
    ahead, trial, costs, values = np.zeros(modalities), np.empty(modalities), np.empty(modalities), np.empty(3)
    placed = np.empty(modalities, dtype=np.int64)
    for point in rank:
        order = orders[:, point]
        costs[:] = linear[order, point] - nu[order]
        for choice in range(3):
            values[choice] = value_at(costs, choices[choice, :, point], box)
        least, best = values.min(), np.inf
        for choice in range(3):
            x = choices[choice, :, point]
            if values[choice] - least <= tied * x.sum():
                placed[:] = order
                _take_turns(placed, costs, ahead, preferred[point], tied)
                trial[placed] = x
                missing = np.sum((ahead + weights[point] * (trial - 1)) ** 2)
                if missing < best:
                    best = missing
                    dealt[:, point] = trial
        ahead += weights[point] * (dealt[:, point] - 1)


@jit()
def _take_turns(placed, costs, ahead, preferred, tied):
    """Order modalities that cost the same by what they have so far, least first, a preferred one before all."""
    first = 0
    while first < placed.size:
        last = first
        while last + 1 < placed.size and costs[last + 1] - costs[first] <= tied:
            last += 1
        for place in range(first, last):
            for other in range(place + 1, last + 1):
                is_held = place == first and placed[place] == preferred
                is_wanted = place == first and placed[other] == preferred
                if is_wanted or (not is_held and ahead[placed[other]] < ahead[placed[place]]):
                    placed[place], placed[other] = placed[other], placed[place]
        first = last + 1


@jit()
def dual_pass(first, last, linear, weights, nu, box, sums):
    """Write the weighted sums of the minima over the blocks' points: VALUE, its SIZE for rounding, and the minimisers' MASSES."""
    modalities = len(linear)
    x, tried, best, c = np.empty(modalities), np.empty(modalities), np.empty(modalities), np.empty(modalities)
    logarithms = 1 + abs(np.log(box.floor)) + abs(np.log(box.peak))
    for block in range(first, last):
        row = sums[block]
        row[:] = 0.0
        for i in range(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1])):
            costs = linear[:, i] - nu
            order = np.argsort(costs)
            c[:] = costs[order]
            row[VALUE] += weights[i] * minimum(c, box, x, tried, best)
            for a in range(modalities):
                row[SIZE] += weights[i] * best[a] * (modalities * logarithms + abs(c[a]))
                row[MASSES + order[a]] += weights[i] * best[a]


@jit()
def minima_pass(first, last, linear, nu, box, sorted_densities, orders):
    """Write each point's minimiser, falling, and which modality has which place: (A, N) each."""
    modalities = len(linear)
    x, tried, best = np.empty(modalities), np.empty(modalities), np.empty(modalities)
    for block in range(first, last):
        for i in range(block * BLOCK, min((block + 1) * BLOCK, linear.shape[1])):
            costs = linear[:, i] - nu
            order = np.argsort(costs)
            minimum(costs[order], box, x, tried, best)
            sorted_densities[:, i] = best
            orders[:, i] = order
