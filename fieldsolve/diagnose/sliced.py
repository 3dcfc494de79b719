"""Sliced Wasserstein-2: optimal transport between projections on orthonormal directions, for any resample of slots."""

import numpy as np

from fieldsolve.diagnose.pairwise import Cloud
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.compiled import REDUCE_NUMBERS, jit

#: Directions: a whole basis where its projections are few enough, but not fewer than this (of several bases in few dimensions).
FEWEST_DIRECTIONS = 64

_PROJECTIONS = 2_560_000  # of one modality, to be sorted and resampled
_CHUNK = 8192  # rows projected at a time
_COPIES = 3  # written of each value, whether or not they count


def orthonormal_directions(dimension: int, rows: int, rng: np.random.Generator) -> Array:
    """Directions (d, L) of bases of R^d drawn uniformly, for so many rows of a modality.

    The offset's share in a few random directions varies much; in a whole basis it is the same whatever the basis.
    """
    number = max(FEWEST_DIRECTIONS, min(dimension, _PROJECTIONS // rows))
    bases = []
    for _ in range(-(-number // dimension)):
        basis, triangle = np.linalg.qr(rng.normal(size=(dimension, min(dimension, number))))
        bases.append(basis * np.sign(np.diag(triangle)))
    return np.concatenate(bases, axis=1)


def project(cloud: Cloud, directions: Array) -> Array:
    """The rows as they were given along each direction, (L, N)."""
    result = np.empty((directions.shape[1], len(cloud.rows)))
    with threads.one_blas_thread():
        for begin in range(0, len(cloud.rows), _CHUNK):
            result[:, begin : begin + _CHUNK] = (cloud.rows[begin : begin + _CHUNK].astype(np.float64) @ directions).T
        for part, centroid in zip((slice(0, cloud.first_rows), slice(cloud.first_rows, None)), cloud.centroids, strict=True):
            result[:, part] += (centroid @ directions)[:, None]
    return result


def transport_costs(projections: Array, slots: Indices, first: Array, second: Array) -> tuple[Array, Array]:
    """The squared Wasserstein-2 distance averaged over directions, as it is and with both samples' means taken off, (R,) each.

    In one dimension W^2 = int (F^-1 - G^-1)^2 dt, and taking the means off lowers it by the square of their difference.
    projections: (L, n); slots: of their columns; first, second: (R, S), how often each slot's rows count in either sample,
    whole numbers.
    """
    sizes = [int((weights @ np.bincount(slots, minlength=weights.shape[1])).max()) for weights in (first, second)]
    costs = np.empty((len(projections), len(first), 2))
    weights, places = (first.astype(np.uint64), second.astype(np.uint64)), slots.astype(np.uint32)

    def work(begin: int, end: int) -> None:
        room = np.empty(sizes[0] + _COPIES), np.empty(sizes[1] + _COPIES)
        for direction in range(begin, end):
            order = np.argsort(projections[direction], kind="stable")
            _transport(projections[direction][order], places[order], *weights, *room, costs[direction])

    threads.over_blocks(work, len(projections), projections.size * len(first))
    means = costs.mean(axis=0)
    return means[:, 0], means[:, 1]


@jit()
def _transport(values, slots, first, second, xs, ys, costs):
    """Both costs of every resample along one direction, from values in their order."""
    for r in range(len(first)):
        # Unsigned places: no check for negative ones, which would cost as much as the rest.
        n, m, own, other = np.uint64(0), np.uint64(0), first[r], second[r]
        for k in range(len(values)):
            value, slot = values[k], slots[k]
            n = _repeated(xs, n, value, own[slot])
            m = _repeated(ys, m, value, other[slot])
        costs[r, 0] = _cost(xs[:n], ys[:m])
        costs[r, 1] = costs[r, 0] - (_mean(xs[:n]) - _mean(ys[:m])) ** 2


@jit(inline="always")
def _repeated(into, at, value, times):
    """Append a value so many times; where the next one goes.

    Some copies are written in any case and overwritten by what follows: weights are random, and a branch on them would be
    mispredicted half the time.
    """
    into[at] = value
    into[at + np.uint64(1)] = value
    into[at + np.uint64(2)] = value
    if times > 3:
        for k in range(3, times):
            into[at + np.uint64(k)] = value
    return at + times


@jit(REDUCE_NUMBERS)
def _mean(values):
    total = 0.0
    for k in range(len(values)):
        total += values[k]
    return total / len(values)


@jit(REDUCE_NUMBERS)
def _cost(xs, ys):
    """int (F^-1 - G^-1)^2 dt of two sorted samples of equal masses, 1/n and 1/m each."""
    n, m = len(xs), len(ys)
    total = 0.0
    if n == m:
        for k in range(n):
            total += (xs[k] - ys[k]) ** 2
        return total / n
    i = j = at = 0
    while i < n and j < m:
        onward = min((i + 1) * m, (j + 1) * n)
        total += (onward - at) * (xs[i] - ys[j]) ** 2
        at = onward
        if at == (i + 1) * m:
            i += 1
        if at == (j + 1) * n:
            j += 1
    return total / (n * m)
