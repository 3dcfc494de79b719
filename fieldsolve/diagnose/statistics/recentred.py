"""Two samples with their own means taken off: what an exchange of modalities makes of their distances and divergences.

Of a cluster's centred rows s is the mean of both sides' means, and +-d are these less s. An exchange flips the sign of d; its
samples are centred anew, which takes the new mean of d off and with it a share of d's scatter. So d alone is stretched first,
for pairs by sqrt(n/(n - 1)): exchanged samples then have the scatter of given ones, and p-values are calibrated for partners
that are correlated too. Stretching s as well is not.
"""

from dataclasses import dataclass

import numpy as np

from fieldsolve.diagnose.statistics.design import Design, Exchanges, arrange
from fieldsolve.diagnose.statistics.pairwise import FACTORS
from fieldsolve.diagnose.statistics.pooled import Pooled
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.compiled import REDUCE_NUMBERS, exp, jit

MOST_ROWS = 512  # whose pairs every exchange goes over again
FEWEST_CLUSTERS = 20

#: What is computed for an exchange, in this order.
STATISTICS = ("energy_distance", "mmd2_half", "mmd2_one", "mmd2_double", "smoothed_symmetric_kl")


@dataclass(frozen=True, eq=False)
class Recentred:
    """What exchanges of some clusters say of statistics that are centred anew.

    observed: (5,), the statistics of these clusters; exchanged: (R, 5), of their exchanges; share: of all clusters, so that
    costs of centring and standard deviations are this share of those of exchanges.
    """

    observed: Array
    exchanged: Array
    share: float


def exchange(pooled: Pooled, number: int, rng: np.random.Generator) -> Recentred | None:
    """Exchanges of as many clusters as fit into MOST_ROWS, centred anew; None where those are fewer than FEWEST_CLUSTERS."""
    places = _some_rows(pooled.design, rng)
    clusters = np.unique(pooled.design.cluster[places], return_inverse=True)[1].astype(np.int64).ravel()
    count = int(clusters.max(initial=-1)) + 1
    if count < FEWEST_CLUSTERS:
        return None
    split = int(np.searchsorted(places, pooled.cloud.first_rows))
    design = arrange((clusters[:split], clusters[split:]), rng, count)
    order = np.concatenate([places[:split][design.orders[0]], places[split:][design.orders[1]]])
    rows = pooled.cloud.rows[order].astype(np.float64)
    # Of these clusters the means are others than of all, and would count as scatter when differences change their signs.
    rows[:split] -= rows[:split].mean(axis=0)
    rows[split:] -= rows[split:].mean(axis=0)
    bandwidth, tau, drawn = pooled.bandwidth.value, pooled.tau, design.exchanges(number, rng)
    observed = recentred_statistics(rows, design, design.as_given, bandwidth, tau)[0]
    exchanged = recentred_statistics(stretch(rows, design), design, drawn, bandwidth, tau)
    return Recentred(observed, exchanged, count / pooled.design.independent)


def stretch(rows: Array, design: Design) -> Array:
    """Centred rows (N, d) with the differences of their groups' sides stretched, so that exchanges keep their scatter on average.

    Of T = sum (a + b) |d|^2 over groups of a and b rows centring anew takes sum (a^2/n + b^2/m) |d|^2 on average, n and m the
    rows of both samples: the factor is sqrt(T/(T - lost)).
    """
    groups, counts = design.groups, design.counts
    sums = np.stack([np.bincount(design.slot_of_row, column, len(counts)) for column in rows.T], axis=1)
    means = sums / counts[:, None]
    differences = (means[:groups] - means[groups:]) / 2
    squares, totals = np.sum(differences**2, axis=1), (counts[:groups].sum(), counts[groups:].sum())
    scatter = float((counts[:groups] + counts[groups:]) @ squares)
    lost = float((counts[:groups] ** 2 / totals[0] + counts[groups:] ** 2 / totals[1]) @ squares)
    if lost >= scatter:
        return rows
    signed = np.concatenate([differences, -differences])
    return np.asarray(rows + (np.sqrt(scatter / (scatter - lost)) - 1) * signed[design.slot_of_row])


def recentred_statistics(rows: Array, design: Design, samples: Exchanges, bandwidth: float, tau: float) -> Array:
    """Energy distance, MMD^2 at three bandwidths and smoothed symmetric KL of two samples with their means taken off, (R, 5).

    All over strangers, rows of different clusters. rows: (N, d). Distances within a sample do not depend on its mean, and across
    only inner products enter: with p = Z (m_1 - m_2), |x - y - (m_1 - m_2)|^2 = |x - y|^2 - 2 (p_x - p_y) + |m_1 - m_2|^2.
    """
    first, second = (np.ascontiguousarray(side[:, design.slot_of_row]) for side in (samples.first, samples.second))
    clusters = design.cluster
    with threads.one_blas_thread():
        products = rows @ rows.T
        lengths = np.diag(products)
        squares = np.maximum(lengths[:, None] + lengths - 2 * products, 0.0)
        shares = first / first.sum(axis=1, keepdims=True) - second / second.sum(axis=1, keepdims=True)
        shifts = shares @ products
        stranger = (clusters[:, None] != clusters).astype(np.float64)
        counts = first @ stranger, second @ stranger
        within = np.zeros((len(first), 4))
        for index, factor in enumerate((None, *FACTORS)):
            kernel = stranger * (np.sqrt(squares) if factor is None else np.exp(-factor / bandwidth**2 * squares))
            for sample, count in zip((first, second), counts, strict=True):
                within[:, index] += np.sum((sample @ kernel) * sample, axis=1) / np.sum(count * sample, axis=1)
        smoothing = np.exp(-0.5 / tau * squares) * stranger
        own = [
            np.sum(sample * np.log(np.where(sample > 0, (sample @ smoothing) / count, 1.0)), axis=1) / sample.sum(axis=1)
            for sample, count in zip((first, second), counts, strict=True)
        ]
    across, logs = np.empty((len(first), 4)), np.empty((len(first), 2))
    scales = np.array([FACTORS[-1] / bandwidth**2, 0.5 / tau])
    arguments = squares, clusters, first, second, shifts, np.sum(shares * shifts, axis=1), scales, across, logs
    threads.over_blocks(_across, len(first), 2 * len(first) * len(rows) ** 2, *arguments)
    signs = np.array([1.0, -1.0, -1.0, -1.0])
    distances = signs * (2 * across / np.sum(counts[1] * first, axis=1)[:, None] - within)
    divergence = own[0] + own[1] - logs[:, 0] / first.sum(axis=1) - logs[:, 1] / second.sum(axis=1)
    return np.column_stack([distances, divergence])


def _some_rows(design: Design, rng: np.random.Generator) -> Indices:
    """The places of the rows of as many clusters as fit, drawn at random; those that are too large are passed over."""
    sizes = np.bincount(design.cluster)
    chosen, room = np.zeros(len(sizes), dtype=bool), MOST_ROWS
    for cluster in rng.permutation(len(sizes)):
        if sizes[cluster] <= room:
            chosen[cluster] = True
            room -= sizes[cluster]
        if room < 2:
            break
    return np.flatnonzero(chosen[design.cluster])


@jit(REDUCE_NUMBERS)
def _across(begin, end, squares, clusters, first, second, shifts, lengths, scales, across, logs):
    """Weighted sums of distance and kernels over strangers across, and over rows of logs of their mean smoothing kernel."""
    wide, narrow = scales[0], scales[1]
    for r in range(begin, end):
        shift, length = shifts[r], lengths[r]
        xs, ys = np.nonzero(first[r] > 0)[0], np.nonzero(second[r] > 0)[0]
        count = len(ys)
        columns, numbers, square = np.zeros(count), np.zeros(count), np.empty(count)
        weight, power = np.empty(count), np.empty(count)
        far, half, one, double = np.zeros(count), np.zeros(count), np.zeros(count), np.zeros(count)
        logs_first = logs_second = 0.0
        for x in xs:
            own = first[r, x]
            for j in range(count):
                y = ys[j]
                square[j] = max(squares[x, y] + length - 2.0 * (shift[x] - shift[y]), 0.0)
                weight[j] = own * second[r, y] if clusters[x] != clusters[y] else 0.0
            for j in range(count):
                far[j] += weight[j] * np.sqrt(square[j])
            for j in range(count):
                power[j] = exp(-square[j] * wide)
                double[j] += weight[j] * power[j]
            for j in range(count):
                power[j] = (power[j] * power[j]) * (power[j] * power[j])
                one[j] += weight[j] * power[j]
            for j in range(count):
                half[j] += weight[j] * ((power[j] * power[j]) * (power[j] * power[j]))
            smoothed = number = 0.0
            for j in range(count):
                power[j] = weight[j] * exp(-square[j] * narrow)
                smoothed += power[j]
                number += weight[j]
            for j in range(count):
                columns[j] += power[j]
                numbers[j] += weight[j]
            logs_first += own * np.log(smoothed / number)
        for j in range(count):
            logs_second += second[r, ys[j]] * np.log(columns[j] / numbers[j])
        across[r, 0], across[r, 1], across[r, 2], across[r, 3] = far.sum(), half.sum(), one.sum(), double.sum()
        logs[r, 0], logs[r, 1] = logs_first, logs_second
