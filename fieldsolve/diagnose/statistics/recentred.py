"""Two samples with their own means taken off: what an exchange of partners makes of their distances and divergences.

Centred pairs are s +- d, mean and difference. An exchange flips the signs of d; its samples are centred anew, which takes the new
mean of d off and with it a share of d's scatter. So d alone is stretched by sqrt(n/(n - 1)) first: exchanged samples then have
the scatter of given ones, and p-values are calibrated for partners that are correlated too. Stretching s as well is not.
"""

from dataclasses import dataclass

import numpy as np

from fieldsolve.diagnose.statistics.design import Design, arrange
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
    """Exchanges of as many clusters as fit into MOST_ROWS, centred anew.

    None where too few clusters fit, or none can be exchanged.
    """
    places = _some_rows(pooled.design, rng)
    clusters = np.unique(pooled.design.cluster[places], return_inverse=True)[1].astype(np.int64).ravel()
    count = int(clusters.max(initial=-1)) + 1
    if count < FEWEST_CLUSTERS:
        return None
    split = int(np.searchsorted(places, pooled.cloud.first_rows))
    design = arrange((clusters[:split], clusters[split:]), rng)
    labels = design.exchanges(number, rng)
    if labels is None:
        return None
    order = np.concatenate([places[:split][design.orders[0]], places[split:][design.orders[1]]])
    rows = pooled.cloud.rows[order].astype(np.float64)
    # Of these clusters the means are others than of all, and would count as scatter when differences change their signs.
    rows[:split] -= rows[:split].mean(axis=0)
    rows[split:] -= rows[split:].mean(axis=0)
    first, given = labels[:, design.slot_of_row], design.is_first[None, design.slot_of_row]
    observed = recentred_statistics(rows, design.cluster, given, pooled.bandwidth.value, pooled.tau)[0]
    stretched = stretch(rows, design.cluster, first)
    exchanged = recentred_statistics(stretched, design.cluster, first, pooled.bandwidth.value, pooled.tau)
    return Recentred(observed, exchanged, count / pooled.design.independent)


def stretch(rows: Array, clusters: Indices, first: Array) -> Array:
    """Centred rows with their differences from their cluster's mean stretched, so that exchanges keep their scatter on average.

    Of the differences' scatter T = sum |d|^2 centring anew takes n m/(n + m) |m_1 - m_2|^2: the factor is
    sqrt(T/(T - lost)), for pairs sqrt(n/(n - 1)). first: (R, M), 1 for rows that an exchange puts first.
    """
    sizes = np.bincount(clusters)
    means = np.stack([np.bincount(clusters, column) for column in rows.T], axis=1) / sizes[:, None]
    differences = rows - means[clusters]
    n, m = float(first[0].sum()), float(len(rows) - first[0].sum())
    shifts = (first / n - (1 - first) / m) @ differences
    return np.asarray(rows + (stretch_factor(float(np.sum(differences**2)), (n, m), np.sum(shifts**2, axis=1)) - 1) * differences)


def stretch_factor(scatter: float, counts: tuple[float, float], squared_shifts: Array) -> float:
    """sqrt(T/(T - mean n m/(n + m) |m_1 - m_2|^2)): T the differences' scatter, the shifts those of exchanges, (R,)."""
    lost = counts[0] * counts[1] / (counts[0] + counts[1]) * float(squared_shifts.mean())
    return float(np.sqrt(scatter / (scatter - lost))) if lost < scatter else 1.0


def recentred_statistics(rows: Array, clusters: Indices, first: Array, bandwidth: float, tau: float) -> Array:
    """Energy distance, MMD^2 at three bandwidths and smoothed symmetric KL of two samples with their means taken off, (R, 5).

    All over strangers, rows of different clusters. rows: (M, d); clusters: (M,); first: (R, M), 1 for rows of the first sample,
    0 for the second's. Distances within a sample do not depend on its mean, and across only inner products enter: with p = Z
    (m_1 - m_2), |x - y - (m_1 - m_2)|^2 = |x - y|^2 - 2 (p_x - p_y) + |m_1 - m_2|^2.
    """
    first = np.ascontiguousarray(first)
    second = 1 - first
    with threads.one_blas_thread():
        products = rows @ rows.T
        lengths = np.diag(products)
        squares = np.maximum(lengths[:, None] + lengths - 2 * products, 0.0)
        shares = first / first.sum(axis=1, keepdims=True) - second / second.sum(axis=1, keepdims=True)
        shifts = shares @ products
        stranger = (clusters[:, None] != clusters).astype(np.float64)
        counts = np.stack([first @ stranger, second @ stranger])
        within = np.zeros((len(first), 4))
        for index, factor in enumerate((None, *FACTORS)):
            kernel = stranger * (np.sqrt(squares) if factor is None else np.exp(-factor / bandwidth**2 * squares))
            for sample, count in zip((first, second), counts, strict=True):
                within[:, index] += np.sum((sample @ kernel) * sample, axis=1) / np.sum(count * sample, axis=1)
        smoothing = np.exp(-0.5 / tau * squares) * stranger
        own = [
            np.sum(np.log(np.where(sample > 0, (sample @ smoothing) / np.maximum(count, 1.0), 1.0)), axis=1) / sample.sum(axis=1)
            for sample, count in zip((first, second), counts, strict=True)
        ]
    across, logs = np.empty((len(first), 4)), np.empty((len(first), 2))
    scales = np.array([1 / (8 * bandwidth**2), 0.5 / tau])
    arguments = squares, clusters, first, shifts, np.sum(shares * shifts, axis=1), scales, across, logs
    threads.over_blocks(_across, len(first), 2 * len(first) * len(rows) ** 2, *arguments)
    signs = np.array([1.0, -1.0, -1.0, -1.0])
    distances = signs * (2 * across / np.sum(counts[1] * first, axis=1)[:, None] - within)
    divergence = own[0] + own[1] - logs.sum(axis=1)
    return np.column_stack([distances, divergence])


def _some_rows(design: Design, rng: np.random.Generator) -> Indices:
    """The places of the rows of as many clusters as fit, drawn at random."""
    sizes = np.bincount(design.cluster)
    order = rng.permutation(len(sizes))
    chosen = np.zeros(len(sizes), dtype=bool)
    chosen[order[np.cumsum(sizes[order]) <= MOST_ROWS]] = True
    return np.flatnonzero(chosen[design.cluster])


@jit(REDUCE_NUMBERS)
def _across(begin, end, squares, clusters, first, shifts, lengths, scales, across, logs):
    """Means of logs of each row's mean smoothing kernel across, and sums of distance and kernels over strangers across."""
    wide, narrow = scales[0], scales[1]
    for r in range(begin, end):
        shift, length = shifts[r], lengths[r]
        xs, ys = np.nonzero(first[r] > 0)[0], np.nonzero(first[r] == 0)[0]
        count = len(ys)
        columns, numbers, square = np.zeros(count), np.zeros(count), np.empty(count)
        stranger, power = np.empty(count), np.empty(count)
        far, half, one, double = np.zeros(count), np.zeros(count), np.zeros(count), np.zeros(count)
        logs_first = logs_second = 0.0
        for x in xs:
            for j in range(count):
                y = ys[j]
                square[j] = max(squares[x, y] + length - 2.0 * (shift[x] - shift[y]), 0.0)
                stranger[j] = 1.0 if clusters[x] != clusters[y] else 0.0
            for j in range(count):
                far[j] += stranger[j] * np.sqrt(square[j])
            for j in range(count):
                power[j] = stranger[j] * exp(-square[j] * wide)
                double[j] += power[j]
            for j in range(count):
                power[j] = (power[j] * power[j]) * (power[j] * power[j])
                one[j] += power[j]
            for j in range(count):
                half[j] += (power[j] * power[j]) * (power[j] * power[j])
            smoothed = number = 0.0
            for j in range(count):
                power[j] = stranger[j] * exp(-square[j] * narrow)
                smoothed += power[j]
                number += stranger[j]
            for j in range(count):
                columns[j] += power[j]
                numbers[j] += stranger[j]
            logs_first += np.log(smoothed / number)
        for j in range(count):
            logs_second += np.log(columns[j] / numbers[j])
        across[r, 0], across[r, 1], across[r, 2], across[r, 3] = far.sum(), half.sum(), one.sum(), double.sum()
        logs[r, 0], logs[r, 1] = logs_first / len(xs), logs_second / count
