"""Statistics of centred samples under relabelling: centroids change with the labels, and pairs across are gone over again."""

import numpy as np
from numba import njit

from fieldsolve import threads
from fieldsolve.arrays import Array, Indices
from fieldsolve.exponential import REDUCE, exp

#: Rows at most: memory grows with their square.
MOST_ROWS = 2000

#: What is computed for a labelling, in this order.
STATISTICS = ("energy_distance", "mmd2_half", "mmd2_one", "mmd2_double", "smoothed_symmetric_kl")


def recentred_statistics(
    rows: Array, clusters: Indices, labels: Array, bandwidth: float, tau: float, relabelled: bool = False
) -> Array:
    """Energy distance, MMD^2 at three bandwidths and smoothed symmetric KL of two samples with their means taken off: (R, 5).

    rows: (M, d); clusters: (M,); labels: (R, M), 1 for the first sample, -1 for the second, 0 for neither, as many of each in
    every labelling; relabelled: whether to stretch the rows as `scatter_scale` says. Distances within a sample do not depend on
    its mean, and across only inner products enter: with p = Z (m_1 - m_2), |x - y - (m_1 - m_2)|^2 = |x - y|^2 - 2 (p_x - p_y)
    + |m_1 - m_2|^2.
    """
    sides = [(labels * sign > 0).astype(np.float64) for sign in (1, -1)]
    counts = [float(side[0].sum()) for side in sides]
    with threads.one_blas_thread():
        products = rows @ rows.T
        lengths = np.diag(products)
        squares = np.maximum(lengths[:, None] + lengths - 2 * products, 0.0)
        shares = sides[0] / counts[0] - sides[1] / counts[1]
        shifts = shares @ products
        if relabelled:
            scale = scatter_scale(float(lengths.sum()), (counts[0], counts[1]), np.sum(shares * shifts, axis=1))
            squares, shifts = scale**2 * squares, scale**2 * shifts
        within = _within(squares, sides, counts, bandwidth)
        own = _own(np.where(clusters[:, None] != clusters, np.exp(-0.5 / tau * squares), 0.0), clusters, sides)
    across, log_others = np.empty((len(labels), 4)), np.empty((len(labels), 2))
    members = (
        [(labels[r] > 0).nonzero()[0] for r in range(len(labels))],
        [(labels[r] < 0).nonzero()[0] for r in range(len(labels))],
    )
    scales = np.array([1 / (8 * bandwidth**2), 0.5 / tau])
    work = 8 * len(labels) * int(counts[0] * counts[1])
    arguments = squares, clusters, np.stack(members[0]), np.stack(members[1]), shifts, np.sum(shares * shifts, axis=1), scales
    threads.over_blocks(_across, len(labels), work, *arguments, across, log_others)
    signs = np.array([1.0, -1.0, -1.0, -1.0])
    divergence = (own[0] - log_others[:, 0]) / counts[0] + (own[1] - log_others[:, 1]) / counts[1]
    return np.column_stack([signs * (2 * across / (counts[0] * counts[1]) - within), divergence])


def scatter_scale(total: float, counts: tuple[float, float], squared_shifts: Array) -> float:
    """The factor by which centred rows are stretched before relabelling, so that samples keep their scatter on average.

    Rows with their own sample's mean taken off lose scatter once more when relabelled samples are centred: of the total T,
    n m/(n + m) |m_1 - m_2|^2. Unstretched, relabelled samples would be too narrow, and p-values of wide kernels too large.
    total: the centred rows' squared lengths; counts: n and m; squared_shifts: |m_1 - m_2|^2 of the labellings.
    """
    lost = counts[0] * counts[1] / (counts[0] + counts[1]) * float(squared_shifts.mean())
    return float(np.sqrt(total / (total - lost)))


def _within(squares: Array, sides: list[Array], counts: list[float], bandwidth: float) -> Array:
    """For each labelling, the sum over both samples of the mean of distance and kernels over pairs of different rows: (R, 4)."""
    diagonal = np.array([0.0, 1.0, 1.0, 1.0])
    total = np.zeros((len(sides[0]), 4))
    for index, factor in enumerate((None, 2.0, 0.5, 0.125)):
        kernel = np.sqrt(squares) if factor is None else np.exp(-factor / bandwidth**2 * squares)
        for side, count in zip(sides, counts, strict=True):
            total[:, index] += (np.sum((side @ kernel) * side, axis=1) - count * diagonal[index]) / (count * (count - 1))
    return total


def _own(kernel: Array, clusters: Indices, sides: list[Array]) -> list[Array]:
    """For each labelling and sample, the sum over its rows of the log of the mean kernel with its rows of other clusters."""
    related = (clusters[:, None] == clusters).astype(np.float64)
    sums = []
    for side in sides:
        means = np.maximum(side @ kernel, np.finfo(float).tiny) / (side.sum(axis=1, keepdims=True) - side @ related)
        sums.append(np.sum(side * np.log(np.where(side > 0, means, 1.0)), axis=1))
    return sums


@njit(nogil=True, cache=True, error_model="numpy", fastmath=REDUCE)
def _across(begin, end, squares, clusters, first, second, shifts, lengths, scales, across, log_others):
    """Sums of distance and kernels over pairs across samples, and of the logs of each row's mean smoothing kernel across."""
    n, m = first.shape[1], second.shape[1]
    columns, related = np.zeros(m), np.zeros(m)
    for r in range(begin, end):
        shift, length, xs, ys = shifts[r], lengths[r], first[r], second[r]
        columns[:] = 0.0
        related[:] = 0.0
        total_r = total_16 = total_4 = total_1 = logs = 0.0
        for i in range(n):
            x = xs[i]
            smoothed, excluded = 0.0, 0.0
            for j in range(m):
                y = ys[j]
                square = max(squares[x, y] + length - 2.0 * (shift[x] - shift[y]), 0.0)
                e = exp(-square * scales[0])
                e4 = (e * e) * (e * e)
                total_r += np.sqrt(square)
                total_1 += e
                total_4 += e4
                total_16 += (e4 * e4) * (e4 * e4)
                same = 1.0 if clusters[x] == clusters[y] else 0.0
                value = exp(-square * scales[1]) * (1.0 - same)
                smoothed += value
                excluded += same
                columns[j] += value
                related[j] += same
            logs += np.log(smoothed / (m - excluded))
        across[r, 0], across[r, 1], across[r, 2], across[r, 3] = total_r, total_16, total_4, total_1
        log_others[r, 0] = logs
        logs = 0.0
        for j in range(m):
            logs += np.log(columns[j] / (n - related[j]))
        log_others[r, 1] = logs
