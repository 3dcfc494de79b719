"""Metrics of the two marginal distributions: offset, distances, divergences, separability."""

import numpy as np

from fieldsolve.diagnose import separability, sliced
from fieldsolve.diagnose.metric import Metric, basic_interval, p_value, share_interval
from fieldsolve.diagnose.resampling import Draws
from fieldsolve.diagnose.shape import relabelled_transport
from fieldsolve.diagnose.statistics import Pooled
from fieldsolve.numerics.arrays import Array

_ROOTS = frozenset({"centroid_gap", "centroid_norm_a", "centroid_norm_b", "sliced_w2", "sliced_w2_centred"})
_MMD = ("mmd2_half", "mmd2_one", "mmd2_double")
_TESTED = frozenset({"centroid_gap", "energy_distance", *_MMD, "sliced_w2", "sliced_w2_centred", "smoothed_symmetric_kl"})


def marginal_metrics(pooled: Pooled, draws: Draws, peak: float, rng: np.random.Generator) -> dict[str, Metric]:
    """All of them but separability and those of centred rows, the sliced transport excepted; peak: log K(0) of the smoothing."""
    slots, slot = pooled.slots, pooled.slots.slot_of_row
    directions = sliced.orthonormal_directions(
        pooled.rows.shape[1], max(pooled.first_rows, len(pooled.rows) - pooled.first_rows), rng
    )
    projections = sliced.project(pooled.cloud, directions)

    def statistics(first: Array, second: Array, only: slice = slice(None)) -> dict[str, Array]:
        found = pooled.centroids_of(first, second) | pooled.distances_of(first, second)
        found |= pooled.divergences_of(first, second, peak, only=only)
        costs = sliced.transport_costs(projections[:, only], slot[only], first, second)
        return found | {"sliced_w2": costs[0], "sliced_w2_centred": costs[1]}

    observed, resampled = (statistics(*slots.both(groups)) for groups in (draws.whole, draws.bootstraps))
    permuted: dict[str, Array] = {}
    if draws.labels is not None:
        permuted = statistics(draws.labels, 1 - draws.labels)
        permuted["sliced_w2_centred"] = relabelled_transport(pooled, projections, directions, draws.labels)
    floors = [
        statistics(draws.halves[:, slots.group] * side, (1 - draws.halves[:, slots.group]) * side, part)
        for side, part in zip((slots.is_first, 1 - slots.is_first), pooled.parts, strict=True)
    ]
    found = {}
    for name, values in observed.items():
        value = float(values[0])
        low, high = basic_interval(value, resampled[name], pooled.slots.groups)
        found[name] = Metric(
            value=float(_rooted(name, value)),
            ci_low=float(_rooted(name, low)),
            ci_high=float(_rooted(name, high)),
            p_value=p_value(value, permuted[name]) if name in _TESTED and permuted else None,
            floor=max(float(_rooted(name, one[name]).mean()) for one in floors) if name in _TESTED else None,
        )
    return found


def _rooted(name: str, value: Array | float) -> Array:
    """Squared lengths are resampled and tested as squares, and reported as lengths."""
    return np.sqrt(np.maximum(value, 0.0)) if name in _ROOTS else np.asarray(value)


def separability_metric(pooled: Pooled, draws: Draws) -> Metric:
    """Linear separability; its interval holds the classifiers fixed, its p-value and floor train them anew."""
    slots, whole = pooled.slots, pooled.slots.both(draws.whole)
    given = whole
    if draws.labels is not None:
        given = np.concatenate([whole[0], draws.labels]), np.concatenate([whole[1], 1 - draws.labels])
    correct = separability.classify(pooled.cloud, slots, given)
    accuracies = separability.balanced_accuracy(correct, slots.counts, given)
    resampled = separability.balanced_accuracy(correct[:1], slots.counts, slots.both(draws.bootstraps))
    floors = []
    for side in (slots.is_first, 1 - slots.is_first):
        split = draws.halves[:, slots.group] * side, (1 - draws.halves)[:, slots.group] * side
        floors.append(
            separability.balanced_accuracy(separability.classify(pooled.cloud, slots, split), slots.counts, split).mean()
        )
    value = float(accuracies[0])
    p = None if draws.labels is None else p_value(value, accuracies[1:])
    return Metric(value, *share_interval(value, resampled, pooled.independent), p, float(max(floors)))
