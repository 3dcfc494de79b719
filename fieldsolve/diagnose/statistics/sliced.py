"""Sliced Wasserstein-2: optimal transport between projections on orthonormal directions, and what exchanges make of it."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.diagnose.statistics.cloud import Cloud
from fieldsolve.diagnose.statistics.design import Design, Exchanges
from fieldsolve.diagnose.statistics.estimate import Estimate
from fieldsolve.diagnose.statistics.pooled import Pooled
from fieldsolve.diagnose.statistics.recentred import stretch
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import jit

#: Directions: a whole basis where its projections are few enough, but not fewer than this (of several bases in few dimensions).
FEWEST_DIRECTIONS = 64

_PROJECTIONS = 640_000  # of one modality, to be sorted
_CHUNK = 8192  # rows projected at a time
_PARTS = 16  # of the directions, whose potentials are summed up apart
_FEW = 12  # directions along which exchanges are gone over


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


def exchanged(pooled: Pooled, exchanges: Exchanges, rng: np.random.Generator) -> Costs:
    """What exchanges make of the transport along a few directions.

    For the last, centred rows have the differences of their clusters' sides stretched: see `recentred`.
    """
    design, cloud = pooled.design, pooled.cloud
    directions = orthonormal_directions(cloud.rows.shape[1], _FEW, rng)
    both = design.given_and(exchanges)
    projections = project(cloud, directions)
    centred = projections - (cloud.centroids @ directions)[design.side[design.slot_of_row]].T
    stretched = stretch(centred.T, design).T
    given, recentred = _costs(centred, design, design.as_given)[1], _costs(stretched, design, exchanges)[1]
    return Costs(
        given=_costs(projections, design, both)[0],
        centred=_costs(centred, design, both)[0],
        recentred=np.concatenate([given, recentred]),
    )


def _costs(projections: Array, design: Design, samples: Exchanges) -> tuple[Array, Array]:
    """The mean over directions (L, N) of W^2 between both samples of exchanges, as it is and centred, (R,) each."""
    costs, slots = np.empty((len(projections), len(samples.first), 2)), design.slot_of_row.astype(np.uint32)
    first, second = (side / (side @ design.counts)[:, None] for side in (samples.first, samples.second))

    def work(begin: int, end: int) -> None:
        for direction in range(begin, end):
            order = np.argsort(projections[direction])
            _transports(projections[direction][order], slots[order], first, second, costs[direction])

    threads.over_blocks(work, len(projections), 2 * projections.size * len(first))
    means = costs.mean(axis=0)
    return means[:, 0], means[:, 1]


@jit()
def _transports(values, slots, first, second, costs):
    """Both costs of every pair of samples along one direction, from values in their order; weights are shares of the samples."""
    count = len(values)
    xs, ys, own, other = np.empty(count + 1), np.empty(count + 1), np.empty(count + 1), np.empty(count + 1)
    for r in range(len(first)):
        # Both places are written, and one moves on: a branch on weights, which are random, would be mispredicted half the time.
        # Unsigned places: no check for negative ones, which would cost as much as the rest.
        n, m = np.uint64(0), np.uint64(0)
        for k in range(count):
            one, two = first[r, slots[k]], second[r, slots[k]]
            xs[n], own[n] = values[k], one
            ys[m], other[m] = values[k], two
            n += np.uint64(one > 0.0)
            m += np.uint64(two > 0.0)
        costs[r, 0], mean = _cost(xs[:n], ys[:m], own[:n], other[:m])
        costs[r, 1] = costs[r, 0] - mean**2


@jit()
def _cost(xs, ys, own, other):
    """int (F^-1 - G^-1)^2 dt of two sorted samples with shares, and int F^-1 - G^-1 dt: the lesser share left is moved."""
    i = j = 0
    left_own, left_other, total, mean = own[0], other[0], 0.0, 0.0
    while True:
        mass, apart = min(left_own, left_other), xs[i] - ys[j]
        total += mass * apart**2
        mean += mass * apart
        left_own -= mass
        left_other -= mass
        if left_own <= 0.0:
            i += 1
            if i == len(xs):
                break
            left_own = own[i]
        if left_other <= 0.0:
            j += 1
            if j == len(ys):
                break
            left_other = other[j]
    return total, mean


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
