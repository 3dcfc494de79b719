"""Metrics of shape: the modalities with their own centroids taken off."""

import numpy as np

from fieldsolve.diagnose import recentred, sliced
from fieldsolve.diagnose.metric import Metric, basic_interval, p_value
from fieldsolve.diagnose.resampling import LARGEST_EXCHANGEABLE, Draws, halve, position_in_cluster
from fieldsolve.diagnose.statistics import Pooled
from fieldsolve.numerics.arrays import Array, Indices


def relabelled_transport(pooled: Pooled, projections: Array, directions: Array, labels: Array) -> Array:
    """The centred transport cost of relabelled centred rows, (R,); raw ones would mix the offset into the shapes."""
    is_second = (1 - pooled.slots.is_first).astype(np.int64)
    sizes = float(pooled.first_rows), float(len(pooled.rows) - pooled.first_rows)
    shifts = (labels / sizes[0] - (1 - labels) / sizes[1]) @ pooled.centred_sums
    scale = recentred.scatter_scale(float(pooled.cloud.lengths.sum()), sizes, np.sum(shifts**2, axis=1))
    slot = pooled.slots.slot_of_row
    centred = scale * (projections - (pooled.centroids @ directions)[is_second[slot]].T)
    return sliced.transport_costs(centred, slot, labels, 1 - labels)[1]


def shape_metrics(pooled: Pooled, draws: Draws, bandwidth: float, tau: float, rng: np.random.Generator) -> dict[str, Metric]:
    """Centred distances and divergences.

    Every resample has centroids of its own, which no sums over slots foresee: bootstraps and exchanges, here of single
    clusters, go over the pairs again. Of many clusters some are taken; their bootstrap's bias is scaled to all of them like
    1/n, its deviations like 1/sqrt(n).
    """
    values = pooled.centred_values()
    kept, number = _some_rows(pooled, rng), pooled.independent
    is_second = (kept >= pooled.first_rows).astype(np.int64)
    rows = pooled.rows[kept].astype(np.float64)
    clusters = np.unique(pooled.clusters[kept], return_inverse=True)[1].astype(np.int64)
    count, resamples = int(clusters.max()) + 1, len(draws.bootstraps)
    sides = (is_second == 0).astype(np.float64)[None], (is_second == 1).astype(np.float64)[None]

    def statistics(first: Array, second: Array, stretch: float = 1.0) -> Array:
        return recentred.recentred_statistics(rows, clusters, first, second, bandwidth, tau, stretch)

    observed = statistics(*sides)[0]
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples)[:, clusters]
    resampled = statistics(drawn * sides[0], drawn * sides[1])
    means = resampled.mean(axis=0)
    share = count / number
    permuted = None
    if draws.labels is not None:
        first = _exchanged(sides[0][0], clusters, resamples, rng)
        sizes = float(sides[0].sum()), float(sides[1].sum())
        shifts = (first / sizes[0] - (1 - first) / sizes[1]) @ rows
        permuted = statistics(first, 1 - first, recentred.scatter_scale(float(np.sum(rows**2)), sizes, np.sum(shifts**2, axis=1)))
    floors = []
    for side in sides:
        half = halve(count, rng)[:, clusters]
        floors.append(statistics(half * side, (1 - half) * side).mean(axis=0))
    found = {}
    for index, name in enumerate(recentred.STATISTICS):
        value = values[name]
        spread = value + share * (means[index] - observed[index]) + np.sqrt(share) * (resampled[:, index] - means[index])
        # Directions are parts of a statistic, not statistics of their own.
        whole = name not in ("smoothed_kl_a_b", "smoothed_kl_b_a")
        found[f"{name}_centred"] = Metric(
            value,
            *basic_interval(value, spread, number),
            p_value=p_value(float(observed[index]), permuted[:, index]) if permuted is not None and whole else None,
            floor=float(max(floor[index] for floor in floors)) if whole else None,
        )
    return found


def _some_rows(pooled: Pooled, rng: np.random.Generator) -> Indices:
    """The rows of as many clusters as fit, drawn at random; of large clusters the first members only."""
    position = np.concatenate([position_in_cluster(pooled.clusters[part]) for part in pooled.parts])
    usable = position < LARGEST_EXCHANGEABLE
    chosen = np.zeros(pooled.independent, dtype=bool)
    part = min(1.0, recentred.MOST_ROWS / np.count_nonzero(usable))
    chosen[rng.permutation(pooled.independent)[: int(part * pooled.independent)]] = True
    return np.flatnonzero(chosen[pooled.clusters] & usable)


def _exchanged(is_first: Array, clusters: Indices, resamples: int, rng: np.random.Generator) -> Array:
    """Which rows count as the first modality's, 1 or 0, permuted within clusters: (resamples, M)."""
    by_cluster = np.argsort(clusters, kind="stable")
    orders = np.argsort(clusters[by_cluster] + rng.random((resamples, len(is_first))), axis=1)
    result = np.empty((resamples, len(is_first)))
    result[:, by_cluster] = is_first[by_cluster][orders]
    return result
