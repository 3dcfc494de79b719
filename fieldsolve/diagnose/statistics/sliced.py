"""Sliced Wasserstein-2: optimal transport between projections on orthonormal directions, and what exchanges make of it."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.diagnose.statistics.cloud import Cloud
from fieldsolve.diagnose.statistics.design import Design
from fieldsolve.diagnose.statistics.estimate import Estimate
from fieldsolve.diagnose.statistics.pooled import Pooled
from fieldsolve.diagnose.statistics.recentred import stretch_factor
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import REDUCE_NUMBERS, jit

#: Directions: a whole basis where its projections are few enough, but not fewer than this (of several bases in few dimensions).
FEWEST_DIRECTIONS = 64

_PROJECTIONS = 640_000  # of one modality, to be sorted
_CHUNK = 8192  # rows projected at a time
_PARTS = 16  # of the directions, whose potentials are summed up apart
_FEW = 16  # directions along which exchanges are gone over


def number_of_directions(dimension: int, rows: int) -> int:
    """How many directions are taken for so many rows of a modality."""
    return max(FEWEST_DIRECTIONS, min(dimension, _PROJECTIONS // rows))


def orthonormal_directions(dimension: int, number: int, rng: np.random.Generator) -> Array:
    """Directions (d, L) of bases of R^d drawn uniformly, L at least the number asked for."""
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
            result[:, begin : begin + _CHUNK] = (cloud.rows[begin : begin + _CHUNK] @ directions.astype(cloud.rows.dtype)).T
        for part, centroid in zip((slice(0, cloud.first_rows), slice(cloud.first_rows, None)), cloud.centroids, strict=True):
            result[:, part] += (centroid @ directions)[:, None]
    return result


def transport(pooled: Pooled, directions: Array) -> tuple[Estimate, float]:
    """The squared sliced Wasserstein-2 distance of centred samples, and the standard error of its mean over directions.

    Contributions are the potentials of the transport along each direction, phi'(x) = 2 (x - T(x)) [Santambrogio 2015, Prop.
    7.17], averaged over directions; taking the means off, W^2 less the square of their difference, tilts them. directions: (d,
    L).
    """
    projections = project(pooled.cloud, directions)
    split, total = pooled.cloud.first_rows, len(pooled.cloud.rows)
    costs, potentials = np.empty(len(projections)), np.zeros((_PARTS, total))

    def work(begin: int, end: int) -> None:
        for part in range(begin, end):
            for direction in range(part, len(projections), _PARTS):
                line = projections[direction]
                orders = np.argsort(line[:split]), np.argsort(line[split:])
                xs, ys = line[:split][orders[0]], line[split:][orders[1]]
                out = np.empty(len(xs)), np.empty(len(ys))
                apart = xs.mean() - ys.mean()
                costs[direction] = _potentials(xs, ys, *out) - apart**2
                potentials[part, orders[0]] += out[0] - 2 * apart * xs
                potentials[part, split + orders[1]] += out[1] + 2 * apart * ys

    threads.over_blocks(work, _PARTS, 64 * projections.size)
    mean = potentials.sum(axis=0) / len(projections)
    mean[:split] = (mean[:split] - mean[:split].mean()) / split
    mean[split:] = (mean[split:] - mean[split:].mean()) / (total - split)
    error = float(costs.std(ddof=1) / np.sqrt(len(costs)))
    return Estimate(float(costs.mean()), pooled.design.rows_by_group(mean)), error


@dataclass(frozen=True, eq=False)
class Costs:
    """Squared costs along a few directions of the sample and of its exchanges, (1 + R,): of rows as they are (given), of centred
    rows (centred), and of centred rows whose exchanged samples are centred anew (recentred).
    """

    given: Array
    centred: Array
    recentred: Array


def exchanged(pooled: Pooled, exchanges: Array, rng: np.random.Generator) -> Costs:
    """What exchanges make of the transport along a few directions.

    For the last, centred rows are s + d, mean and difference in their cluster, with d stretched: see `recentred`.
    """
    design, cloud = pooled.design, pooled.cloud
    directions = orthonormal_directions(cloud.rows.shape[1], _FEW, rng)
    labels = np.concatenate([design.is_first[None], exchanges])
    projections = project(cloud, directions)
    centred = projections - (cloud.centroids @ directions)[design.side[design.slot_of_row]].T
    given, recentred = (
        _costs(centred, design, labels[:1])[1],
        _costs(_stretched(design, centred, exchanges), design, exchanges)[1],
    )
    return Costs(
        given=_costs(projections, design, labels)[0],
        centred=_costs(centred, design, labels)[0],
        recentred=np.concatenate([given, recentred]),
    )


def _stretched(design: Design, centred: Array, exchanges: Array) -> Array:
    """Centred projections (L, N) with differences from their cluster's mean stretched, so that exchanges keep their scatter."""
    sizes = np.bincount(design.cluster)
    means = np.stack([np.bincount(design.cluster, line) for line in centred]) / sizes
    differences = centred - means[:, design.cluster]
    sums = np.stack([np.bincount(design.slot_of_row, line, len(design.group)) for line in differences])
    n, m = np.bincount(design.side, design.counts)
    shifts = (exchanges / n - (1 - exchanges) / m) @ sums.T
    factor = stretch_factor(float(np.sum(differences**2)), (float(n), float(m)), np.sum(shifts**2, axis=1))
    return np.asarray(centred + (factor - 1) * differences)


def _costs(projections: Array, design: Design, labels: Array) -> tuple[Array, Array]:
    """The mean over directions (L, N) of W^2 between rows whose slots are labelled 1 and 0, as it is and centred, (R,) each."""
    costs, slots = np.empty((len(projections), len(labels), 2)), design.slot_of_row.astype(np.uint32)
    flags = labels > 0

    def work(begin: int, end: int) -> None:
        room = np.empty(len(slots) + 1), np.empty(len(slots) + 1)
        for direction in range(begin, end):
            order = np.argsort(projections[direction])
            _transports(projections[direction][order], slots[order], flags, *room, costs[direction])

    threads.over_blocks(work, len(projections), projections.size * len(labels))
    means = costs.mean(axis=0)
    return means[:, 0], means[:, 1]


@jit()
def _transports(values, slots, flags, xs, ys, costs):
    """Both costs of every labelling along one direction, from values in their order."""
    for r in range(len(flags)):
        # Both places are written, and one moves on: a branch on labels, which are random, would be mispredicted half the time.
        # Unsigned places: no check for negative ones, which would cost as much as the rest.
        n, m, label = np.uint64(0), np.uint64(0), flags[r]
        for k in range(len(values)):
            is_first = np.uint64(label[slots[k]])
            xs[n] = values[k]
            ys[m] = values[k]
            n += is_first
            m += np.uint64(1) - is_first
        costs[r, 0] = _cost(xs[:n], ys[:m])
        costs[r, 1] = costs[r, 0] - (_mean(xs[:n]) - _mean(ys[:m])) ** 2


@jit()
def _potentials(xs, ys, first, second):
    """The cost of transport between sorted samples, 1/n and 1/m each, and its potentials at their rows.

    The potential of a row grows from one to the next by the mean of 2 (x - T(x)) at both times their distance.
    """
    n, m = len(xs), len(ys)
    first[:] = 0.0
    second[:] = 0.0
    i = j = at = 0
    total = 0.0
    while i < n and j < m:
        onward = min((i + 1) * m, (j + 1) * n)
        mass, apart = onward - at, xs[i] - ys[j]
        total += mass * apart**2
        first[i] += mass * apart / m
        second[j] -= mass * apart / n
        at = onward
        if at == (i + 1) * m:
            i += 1
        if at == (j + 1) * n:
            j += 1
    for values, potential in ((xs, first), (ys, second)):
        before, value = potential[0], 0.0
        potential[0] = 0.0
        for k in range(1, len(values)):
            here = potential[k]
            value += (before + here) * (values[k] - values[k - 1])
            potential[k] = value
            before = here
    return total / (n * m)


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
