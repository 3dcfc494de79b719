"""Statistics of samples that are centred anew: centroids change with every resample, and pairs across are gone over again."""

import numpy as np

from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.compiled import REDUCE_NUMBERS, exp, jit

#: Rows at most: memory grows with their square.
MOST_ROWS = 1000

#: What is computed for a resample, in this order.
STATISTICS = (
    *("energy_distance", "mmd2_half", "mmd2_one", "mmd2_double"),
    *("smoothed_kl_a_b", "smoothed_kl_b_a", "smoothed_symmetric_kl"),
)


def recentred_statistics(
    rows: Array, clusters: Indices, first: Array, second: Array, bandwidth: float, tau: float, stretch: float = 1.0
) -> Array:
    """Energy distance, MMD^2 at three bandwidths and smoothed KL of two weighted samples with their means taken off: (R, 7).

    rows: (M, d); clusters: (M,); first, second: (R, M), how often each row counts in either sample; stretch: a factor of all
    rows. Distances within a sample do not depend on its mean, and across only inner products enter: with p = Z (m_1 - m_2), |x
    - y - (m_1 - m_2)|^2 = |x - y|^2 - 2 (p_x - p_y) + |m_1 - m_2|^2.
    """
    masses = first.sum(axis=1, keepdims=True), second.sum(axis=1, keepdims=True)
    with threads.one_blas_thread():
        products = stretch**2 * (rows @ rows.T)
        lengths = np.diag(products)
        squares = np.maximum(lengths[:, None] + lengths - 2 * products, 0.0)
        shares = first / masses[0] - second / masses[1]
        shifts = shares @ products
        within = _within(squares, (first, second), bandwidth)
        related = (clusters[:, None] == clusters).astype(np.float64)
        smoothing = np.exp(-0.5 / tau * squares) * (1 - related)
        own = [_mean_log(weights, smoothing, related) for weights in (first, second)]
        counts = masses[0] - first @ related, masses[1] - second @ related
    across, log_others = np.empty((len(first), 4)), np.empty((len(first), 2))
    scales = np.array([1 / (8 * bandwidth**2), 0.5 / tau])
    arguments = squares, clusters, first, second, shifts, np.sum(shares * shifts, axis=1), scales, *counts
    threads.over_blocks(_across, len(first), 2 * len(first) * len(rows) ** 2, *arguments, across, log_others)
    signs = np.array([1.0, -1.0, -1.0, -1.0])
    directions = [own[side] - log_others[:, side] / masses[side][:, 0] for side in (0, 1)]
    distances = signs * (2 * across / (masses[0] * masses[1]) - within)
    return np.column_stack([distances, *directions, directions[0] + directions[1]])


def scatter_scale(total: float, counts: tuple[float, float], squared_shifts: Array) -> float:
    """The factor by which centred rows are stretched before relabelling, so that samples keep their scatter on average.

    Rows with their own sample's mean taken off lose scatter once more when relabelled samples are centred: of the total T,
    n m/(n + m) |m_1 - m_2|^2. Unstretched, relabelled samples would be too narrow, and p-values of wide kernels too large.
    total: the centred rows' squared lengths; counts: n and m; squared_shifts: |m_1 - m_2|^2 of the labellings.
    """
    lost = counts[0] * counts[1] / (counts[0] + counts[1]) * float(squared_shifts.mean())
    return float(np.sqrt(total / (total - lost)))


def _within(squares: Array, sides: tuple[Array, Array], bandwidth: float) -> Array:
    """For each resample, the sum over both samples of the mean of distance and kernels over pairs of different rows: (R, 4)."""
    total = np.zeros((len(sides[0]), 4))
    for index, factor in enumerate((None, 2.0, 0.5, 0.125)):
        kernel = np.sqrt(squares) if factor is None else np.exp(-factor / bandwidth**2 * squares)
        np.fill_diagonal(kernel, 0.0)
        for side in sides:
            total[:, index] += np.sum((side @ kernel) * side, axis=1) / (side.sum(axis=1) ** 2 - np.sum(side**2, axis=1))
    return total


def _mean_log(weights: Array, kernel: Array, related: Array) -> Array:
    """For each resample, the mean over a sample of the log of its mean kernel with rows of other clusters: (R,)."""
    means = (weights @ kernel) / (weights.sum(axis=1, keepdims=True) - weights @ related)
    logs = np.log(np.where(weights > 0, means, 1.0))
    return np.asarray(np.sum(weights * logs, axis=1) / weights.sum(axis=1))


@jit(REDUCE_NUMBERS)
def _across(
    begin, end, squares, clusters, first, second, shifts, lengths, scales, first_counts, second_counts, across, log_others
):
    """Sums of distance and kernels over pairs across samples, and of the logs of each row's mean smoothing kernel across."""
    for r in range(begin, end):
        shift, length = shifts[r], lengths[r]
        xs, ys = np.nonzero(first[r])[0], np.nonzero(second[r])[0]
        columns = np.zeros(len(ys))
        total_r = total_16 = total_4 = total_1 = logs = 0.0
        for x in xs:
            smoothed = row_r = row_16 = row_4 = row_1 = 0.0
            for j in range(len(ys)):
                y = ys[j]
                weight = second[r, y]
                square = max(squares[x, y] + length - 2.0 * (shift[x] - shift[y]), 0.0)
                e = exp(-square * scales[0])
                e4 = (e * e) * (e * e)
                row_r += weight * np.sqrt(square)
                row_1 += weight * e
                row_4 += weight * e4
                row_16 += weight * (e4 * e4) * (e4 * e4)
                value = exp(-square * scales[1]) if clusters[x] != clusters[y] else 0.0
                smoothed += weight * value
                columns[j] += first[r, x] * value
            total_r += first[r, x] * row_r
            total_16 += first[r, x] * row_16
            total_4 += first[r, x] * row_4
            total_1 += first[r, x] * row_1
            logs += first[r, x] * np.log(smoothed / second_counts[r, x])
        across[r, 0], across[r, 1], across[r, 2], across[r, 3] = total_r, total_16, total_4, total_1
        log_others[r, 0] = logs
        logs = 0.0
        for j in range(len(ys)):
            logs += second[r, ys[j]] * np.log(columns[j] / first_counts[r, ys[j]])
        log_others[r, 1] = logs
