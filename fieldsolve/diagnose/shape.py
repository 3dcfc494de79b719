"""Metrics of shape: the modalities with their own centroids taken off."""

import numpy as np

from fieldsolve.arrays import Array, Indices
from fieldsolve.diagnose import recentred, sliced
from fieldsolve.diagnose.metric import Metric, p_value
from fieldsolve.diagnose.resampling import Draws, halved
from fieldsolve.diagnose.statistics import Pooled


def centred_divergences(pooled: Pooled, first: Array, second: Array, peak: float) -> dict[str, Array]:
    """The smoothed divergences of centred rows, for resamples of pairs; their centroids are held fixed."""
    found = pooled.divergences_of(first, second, peak, centred=True)
    return {f"{name}_centred": found[name] for name in ("smoothed_kl_a_b", "smoothed_kl_b_a", "smoothed_symmetric_kl")}


def relabelled_transport(pooled: Pooled, projections: Array, directions: Array, labels: Array) -> Array:
    """The centred transport cost of relabelled centred rows, (R,); raw ones would mix the offset into the shapes."""
    is_second = (1 - pooled.slots.is_first).astype(np.int64)
    sizes = float(pooled.first_rows), float(len(pooled.rows) - pooled.first_rows)
    sums = pooled.sums - pooled.slots.counts[:, None] * pooled.centroids[is_second]
    shifts = (labels / sizes[0] - (1 - labels) / sizes[1]) @ sums
    total = sum(sizes) - sum(size * float(np.sum(centroid**2)) for size, centroid in zip(sizes, pooled.centroids, strict=True))
    scale = recentred.scatter_scale(total, sizes, np.sum(shifts**2, axis=1))
    slot = pooled.slots.slot_of_row
    centred = scale * (projections - (pooled.centroids @ directions)[is_second[slot]].T)
    return sliced.transport_costs(centred, slot, labels, 1 - labels)[1]


def shape_tests(
    pooled: Pooled, draws: Draws, known: dict[str, Metric], bandwidth: float, tau: float, rng: np.random.Generator
) -> dict[str, Metric]:
    """The centred distances and divergences with their p-values and floors; of some clusters if there are many.

    Exchanges here are of single clusters, and every one of them is centred anew.
    """
    number, part = pooled.independent, min(1.0, recentred.MOST_ROWS / len(pooled.rows))
    chosen = np.zeros(number, dtype=bool)
    chosen[rng.permutation(number)[: int(part * number)]] = True
    kept = np.flatnonzero(chosen[pooled.clusters])
    is_second = (kept >= pooled.first_rows).astype(np.int64)
    rows = pooled.rows[kept] - pooled.centroids[is_second]
    clusters = np.unique(pooled.clusters[kept], return_inverse=True)[1].astype(np.int64)
    signs = np.where(is_second, -1.0, 1.0)
    p_values: dict[str, float] = {}
    if draws.labels is not None:
        labels = _exchanged(signs, clusters, len(draws.labels), rng)
        observed = recentred.recentred_statistics(rows, clusters, signs[None], bandwidth, tau)[0]
        permuted = recentred.recentred_statistics(rows, clusters, labels, bandwidth, tau, relabelled=True)
        p_values = {name: p_value(float(observed[k]), permuted[:, k]) for k, name in enumerate(recentred.STATISTICS)}
    floors = []
    for sign in (1.0, -1.0):
        own = np.flatnonzero(signs == sign)
        split = 2 * halved(int(clusters.max()) + 1, rng)[:, clusters[own]] - 1
        floors.append(recentred.recentred_statistics(rows[own], clusters[own], split, bandwidth, tau).mean(axis=0))
    found = {}
    for name, floor in zip(recentred.STATISTICS, np.maximum(*floors), strict=True):
        one = known[f"{name}_centred"]
        found[f"{name}_centred"] = Metric(one.value, one.ci_low, one.ci_high, p_values.get(name), float(floor))
    return found


def _exchanged(signs: Array, clusters: Indices, resamples: int, rng: np.random.Generator) -> Array:
    """Signs permuted within clusters, (resamples, M)."""
    by_cluster = np.argsort(clusters, kind="stable")
    orders = np.argsort(clusters[by_cluster] + rng.random((resamples, len(signs))), axis=1)
    result = np.empty((resamples, len(signs)))
    result[:, by_cluster] = signs[by_cluster][orders]
    return result
