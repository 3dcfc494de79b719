"""Exact sums of a kernel over all pairs of points, compiled and threaded.

The path for kernels without a short spectrum, for logarithms where `nodes` does not lead, and the oracle of both.
"""

from typing import Any

import numpy as np

from fieldsolve.grids.critics import Geodesic
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.compiled import FUSE, REDUCE_NUMBERS, exp, jit, sum_of_exponentials
from fieldsolve.numerics.errors import InputError

#: More pairs than this are refused: at about a nanosecond each they would take hours.
MOST_PAIRS = 4e12

_CHUNK = 512  # sources at a time, so that exponents stay in the first-level cache
_COORDINATES = 3  # of points that the compiled loops take
_TARGETS = 16  # a block: what one thread takes at a time
_NEGLIGIBLE = 80.0  # a chunk this far below the largest exponent cannot change the sum by a rounding
#: Work of a pair, an exponential and a few products, in multiplications of the nodes' sums; as measured.
PAIR_WORK = 20

#: Sources whose bound is known together.
PATCH = 64
_FAINT = 38.0  # nats: patches whose sums are fainter by so much, and by the logarithm of their number, cannot change a sum
_WORTH_SORTING = 200  # sums over all sources that are saved
_CENTRED = 1e-12  # a patch whose mean is so short surrounds the origin, and rounding of the products of two unit vectors
_CELLS = 64.0  # a side, of the cube that is cut up to find neighbours


def log_sums(targets: Array, sources: Array, log_weights: Array, kernel: Kernel) -> Array:
    """log sum_j exp(log_weights_j + log K(x_i, y_j) - log K(0)) at every target x_i, accurate however small it is.

    targets: (n, d) unit vectors; sources: (m, d); log_weights: (m,), -inf allowed; result: (n,).
    Raises InputError for more than MOST_PAIRS pairs.
    """
    if not len(sources):
        return np.full(len(targets), -np.inf)
    left_out = len(targets) * (1 - share_summed(kernel))
    if left_out > _WORTH_SORTING and sources.shape[1] <= _COORDINATES and kernel.critic.linear:
        return _over_patches(targets, sources, log_weights, kernel)
    return _over_pairs(_log_sums, targets, sources, log_weights, kernel)


def share_summed(kernel: Kernel) -> float:
    """The share of all pairs that `log_sums` does not leave out, as measured for concentrated densities, roughly."""
    return min(1.0, max(0.2, 30 * kernel.width**2)) if kernel.critic.linear else 1.0


def _over_patches(targets: Array, sources: Array, log_weights: Array, kernel: Kernel) -> Array:
    """`log_sums` without the patches of sources that cannot change a sum by a rounding, as their bounds show."""
    _require_few(len(targets) * len(sources) * share_summed(kernel))
    order = _by_cell(sources)
    placed, log_weights = coordinates(sources[order]), np.asarray(log_weights, dtype=np.float64)[order]
    result = np.empty(len(targets))
    patches = bound_patches(placed, log_weights)
    arguments = coordinates(targets), placed, log_weights, patches, kernel.concentration, result
    threads.over_blocks(_log_sums_of_patches, -(-len(targets) // _TARGETS), len(targets) * len(sources) // 8, *arguments)
    return result


def bound_patches(placed: Array, log_weights: Array) -> Array:
    """What `reach_of_patches` has to know of each PATCH of sources, (6, patches). placed: (3, n), log_weights: (n,)."""
    bounds = np.empty((_COORDINATES + 3, -(-len(log_weights) // PATCH)))
    threads.over_blocks(_bound_patches, bounds.shape[1], 10 * len(log_weights), placed, log_weights, bounds)
    return bounds


def _by_cell(points: Array) -> Indices:
    """An order of points in which neighbours are close: by the interleaved bits of their cell's place."""
    cells = np.minimum((points + 1) * (_CELLS / 2), _CELLS - 1).astype(np.int64)
    key = np.zeros(len(points), dtype=np.int64)
    for bit in range(int(_CELLS).bit_length() - 1):
        for d in range(points.shape[1]):
            key |= ((cells[:, d] >> bit) & 1) << (bit * points.shape[1] + d)
    return np.argsort(key, kind="stable")


def sums(targets: Array, sources: Array, weights: Array, kernel: Kernel) -> Array:
    """sum_j weights_j K(x_i, y_j) / K(0) at every target x_i, for weights of either sign; shapes as in `log_sums`."""
    return _over_pairs(_sums, targets, sources, weights, kernel)


def _over_pairs(compiled: Any, targets: Array, sources: Array, weights: Array, kernel: Kernel) -> Array:
    pairs = float(len(targets)) * len(sources)
    _require_few(pairs)
    is_geodesic = type(kernel.critic) is Geodesic  # a subclass may have another profile
    if targets.shape[1] > _COORDINATES or not (is_geodesic or kernel.critic.linear):
        return _in_blocks(compiled is _log_sums, targets, sources, weights, kernel)
    result = np.empty(len(targets))
    blocks = -(-len(targets) // _TARGETS)
    arguments = coordinates(targets), coordinates(sources), np.ascontiguousarray(weights, dtype=np.float64)
    rate = 1 / kernel.tau if is_geodesic else kernel.concentration
    threads.over_blocks(compiled, blocks, int(pairs), *arguments, rate, is_geodesic, result)
    return result


def _require_few(pairs: float) -> None:
    if pairs > MOST_PAIRS:
        raise InputError(
            f"{pairs:.1e} pairs of points would have to be summed one by one; raise the floor or tau, or use a coarser grid"
        )


def _in_blocks(in_logarithms: bool, targets: Array, sources: Array, weights: Array, kernel: Kernel) -> Array:
    """The same for any critic and any number of coordinates, a block of targets at a time, in numpy."""
    result = np.empty(len(targets))

    def fill(first: int, last: int) -> None:
        for block in range(first, last):
            at = slice(block * _TARGETS, (block + 1) * _TARGETS)
            squares = sum((targets[at, d, None] - sources[None, :, d]) ** 2 for d in range(targets.shape[1]))
            exponents = kernel.relative_profile(2 * np.arcsin(np.minimum(np.sqrt(squares) / 2, 1.0)))
            if in_logarithms:
                exponents += weights
                top = exponents.max(axis=1)
                shift = np.where(np.isfinite(top), top, 0.0)
                with np.errstate(divide="ignore"):
                    result[at] = shift + np.log(np.exp(exponents - shift[:, None]).sum(axis=1))
            else:
                result[at] = (np.exp(exponents) * weights).sum(axis=1)

    work = 40 * len(targets) * len(sources) * targets.shape[1]
    threads.over_blocks(fill, -(-len(targets) // _TARGETS), work)
    return result


def coordinates(points: Array) -> Array:
    """Points (n, d) as contiguous rows of coordinates, (3, n), with a third coordinate 0 on the circle."""
    rows = np.zeros((_COORDINATES, len(points)))
    rows[: points.shape[1]] = points.T
    return rows


@jit(FUSE)
def _exponents(x, y, z, sources, start, stop, rate, geodesic, result):
    """log K(x, y_j) - log K(0): rate (x.y - 1), by chords, or -rate angle^2 for the geodesic critic."""
    if geodesic:
        for j in range(start, stop):
            dx, dy, dz = x - sources[0, j], y - sources[1, j], z - sources[2, j]
            sx, sy, sz = x + sources[0, j], y + sources[1, j], z + sources[2, j]
            # Accurate near both poles, where the arc cosine is not.
            angle = 2.0 * np.arctan2(np.sqrt(dx * dx + dy * dy + dz * dz), np.sqrt(sx * sx + sy * sy + sz * sz))
            result[j - start] = -rate * angle * angle
    else:
        for j in range(start, stop):
            dx, dy, dz = x - sources[0, j], y - sources[1, j], z - sources[2, j]
            result[j - start] = -0.5 * rate * (dx * dx + dy * dy + dz * dz)


@jit(REDUCE_NUMBERS)
def _largest(values):
    largest = -np.inf
    for i in range(values.size):
        largest = max(largest, values[i])
    return largest


@jit(REDUCE_NUMBERS)
def _weighted_sum(exponents, weights):
    for i in range(exponents.size):
        exponents[i] = exp(exponents[i])
    total = 0.0
    for i in range(exponents.size):
        total += weights[i] * exponents[i]
    return total


@jit(FUSE)
def _add(values, other):
    for i in range(values.size):
        values[i] += other[i]


@jit()
def _with_more(shift, total, exponents, largest):
    """A sum total exp(shift) with more exponents, the largest of them given, added to it; they are used up."""
    if largest > shift:
        total *= np.exp(shift - largest)
        shift = largest
    return shift, total + sum_of_exponentials(exponents, shift)


@jit()
def _log_sums(first, last, targets, sources, log_weights, rate, geodesic, result):
    buffer = np.empty(_CHUNK)
    for i in range(first * _TARGETS, min(last * _TARGETS, result.size)):
        shift, total = -np.inf, 0.0
        for start in range(0, log_weights.size, _CHUNK):
            stop = min(start + _CHUNK, log_weights.size)
            exponents = buffer[: stop - start]
            _exponents(targets[0, i], targets[1, i], targets[2, i], sources, start, stop, rate, geodesic, exponents)
            _add(exponents, log_weights[start:stop])
            largest = _largest(exponents)
            if largest > -np.inf and largest >= shift - _NEGLIGIBLE:
                shift, total = _with_more(shift, total, exponents, largest)
        result[i] = shift + np.log(total) if total > 0.0 else -np.inf


@jit()
def _sums(first, last, targets, sources, weights, rate, geodesic, result):
    buffer = np.empty(_CHUNK)
    for i in range(first * _TARGETS, min(last * _TARGETS, result.size)):
        total = 0.0
        for start in range(0, weights.size, _CHUNK):
            stop = min(start + _CHUNK, weights.size)
            exponents = buffer[: stop - start]
            _exponents(targets[0, i], targets[1, i], targets[2, i], sources, start, stop, rate, geodesic, exponents)
            total += _weighted_sum(exponents, weights[start:stop])
        result[i] = total


@jit()
def _bound_patches(first, last, sources, log_weights, bounds):
    """Write each patch's centre, the cosine and sine of its radius, and what the logarithm of its weights' sum is at most."""
    for patch in range(first, last):
        start, stop = patch * PATCH, min((patch + 1) * PATCH, log_weights.size)
        for d in range(_COORDINATES):
            bounds[d, patch] = sources[d, start:stop].mean()
        length = np.sqrt((bounds[:_COORDINATES, patch] ** 2).sum())
        bounds[:_COORDINATES, patch] /= max(length, _CENTRED)
        cosine = 1.0 if length > _CENTRED else -1.0
        for j in range(start, stop):
            product = 0.0
            for d in range(_COORDINATES):
                product += bounds[d, patch] * sources[d, j]
            cosine = min(cosine, product - _CENTRED)
        bounds[_COORDINATES, patch], bounds[_COORDINATES + 1, patch] = cosine, np.sqrt(max(1 - cosine * cosine, 0.0))
        bounds[_COORDINATES + 2, patch] = log_weights[start:stop].max() + np.log(stop - start)


@jit(FUSE)
def reach_of_patches(x, y, z, bounds, rate, reach):
    """Write what the logarithm of each patch's sum at a point is at most."""
    for patch in range(reach.size):
        cosine = x * bounds[0, patch] + y * bounds[1, patch] + z * bounds[2, patch]
        cosine = max(min(cosine, 1.0), -1.0)
        apart = cosine * bounds[3, patch] + np.sqrt(1 - cosine * cosine) * bounds[4, patch]
        closest = 1.0 if cosine >= bounds[3, patch] else apart
        reach[patch] = bounds[5, patch] + rate * (closest - 1.0)


@jit()
def _log_sums_of_patches(first, last, targets, sources, log_weights, bounds, rate, result):
    buffer, reach = np.empty(PATCH), np.empty(bounds.shape[1])
    for i in range(first * _TARGETS, min(last * _TARGETS, result.size)):
        x, y, z = targets[0, i], targets[1, i], targets[2, i]
        reach_of_patches(x, y, z, bounds, rate, reach)
        best = int(np.argmax(reach))
        depth = _FAINT + np.log(reach.size)
        shift, total = -np.inf, 0.0
        for turn in range(-1, reach.size):
            patch = best if turn < 0 else turn
            if turn == best or reach[patch] < shift - depth:
                continue
            start, stop = patch * PATCH, min((patch + 1) * PATCH, log_weights.size)
            exponents = buffer[: stop - start]
            _exponents(x, y, z, sources, start, stop, rate, False, exponents)
            _add(exponents, log_weights[start:stop])
            largest = _largest(exponents)
            if largest > -np.inf:
                shift, total = _with_more(shift, total, exponents, largest)
        result[i] = shift + np.log(total) if total > 0.0 else -np.inf
