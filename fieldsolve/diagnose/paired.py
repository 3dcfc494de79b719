"""Metrics of the matching: cosines, alignment, retrieval, relative gap."""

import numpy as np

from fieldsolve.diagnose.matching import Matching
from fieldsolve.diagnose.metric import Metric, basic_interval, percentile_interval, share_interval, weighted_quantiles
from fieldsolve.diagnose.resampling import Draws
from fieldsolve.diagnose.retrieval import DEPTHS
from fieldsolve.diagnose.statistics import Pooled
from fieldsolve.numerics.arrays import Array, Indices

QUANTILES = {"p05": 0.05, "p50": 0.5, "p95": 0.95}


def paired_metrics(pooled: Pooled, draws: Draws, matching: Matching, shuffled: Matching, hits: Array) -> dict[str, Metric]:
    """All of them; hits: of both matchings at all depths."""
    found = matched_cosines(pooled, draws, matching, shuffled) | alignment_within(pooled, draws) | recalls(pooled, draws, hits)
    found["cosine_unmatched_mean"] = unmatched_cosine(pooled, draws, matching)
    found["relative_modality_gap"] = relative_modality_gap(pooled, draws, matching, shuffled)
    return found


def matched_cosines(pooled: Pooled, draws: Draws, matching: Matching, shuffled: Matching) -> dict[str, Metric]:
    """Mean, spread and quantiles of partners' cosines, and their mean squared distance."""
    group = pooled.group_of_row[matching.partners[0]]
    squares, middle = _Means(pooled, draws, group, matching.squares), float(matching.squares.mean())
    scatter = _Means(pooled, draws, group, (matching.squares - middle) ** 2)
    spread = np.sqrt(scatter.whole) / 2, np.sqrt(np.maximum(scatter.resampled - (squares.resampled - middle) ** 2, 0.0)) / 2
    control = float(shuffled.squares.mean())
    found = {
        "cosine_matched_mean": Metric(
            1 - squares.whole / 2,
            *basic_interval(1 - squares.whole / 2, 1 - squares.resampled / 2, pooled.slots.groups),
            shuffled=1 - control / 2,
        ),
        "cosine_matched_sd": Metric(
            float(spread[0]),
            *basic_interval(float(spread[0]), spread[1], pooled.slots.groups),
            shuffled=float(shuffled.cosines.std()),
        ),
        "alignment": Metric(
            squares.whole, *basic_interval(squares.whole, squares.resampled, pooled.slots.groups), shuffled=control
        ),
    }
    levels = np.array(list(QUANTILES.values()))
    quantiles = weighted_quantiles(matching.cosines, group, np.concatenate([draws.whole, draws.bootstraps]), levels)
    controls = np.quantile(shuffled.cosines, levels, method="inverted_cdf")
    for index, name in enumerate(QUANTILES):
        values = quantiles[:, index]
        found[f"cosine_matched_{name}"] = Metric(
            float(values[0]), *percentile_interval(values[1:]), shuffled=float(controls[index])
        )
    return found


def relative_modality_gap(pooled: Pooled, draws: Draws, matching: Matching, shuffled: Matching) -> Metric:
    """p/(p + w), p the mean of (1 - cosine)/2 of partners, w that of strangers within a modality [Schrodi et al. 2024].

    A cosine c of unit vectors is a squared distance of 2 - 2 c, which keeps its digits where c is near 1.
    """
    apart = _Means(pooled, draws, pooled.group_of_row[matching.partners[0]], matching.squares)
    within = [
        np.mean(np.stack([pooled.mean_square(side) for side in pooled.slots.both(groups)]), axis=0)
        for groups in (draws.whole, draws.bootstraps)
    ]
    control = float(shuffled.squares.mean())
    value = apart.whole / (apart.whole + float(within[0][0]))
    resampled = apart.resampled / (apart.resampled + within[1])
    return Metric(
        value, *basic_interval(value, resampled, pooled.slots.groups), shuffled=control / (control + float(within[0][0]))
    )


def unmatched_cosine(pooled: Pooled, draws: Draws, matching: Matching) -> Metric:
    """The mean cosine of rows of different clusters: that of all pairs across modalities, less the matched ones."""
    group, groups, counts = pooled.group_of_row[matching.partners[0]], pooled.slots.groups, pooled.slots.counts
    matched, number = np.bincount(group, matching.squares, groups), np.bincount(group, minlength=groups)

    def mean(weights: Array) -> Array:
        first, second = pooled.slots.both(weights)
        total = pooled.total_square(first, second) - (weights**2) @ matched
        return np.asarray(1 - total / ((first @ counts) * (second @ counts) - (weights**2) @ number) / 2)

    value = float(mean(draws.whole)[0])
    return Metric(value, *basic_interval(value, mean(draws.bootstraps), pooled.slots.groups))


def alignment_within(pooled: Pooled, draws: Draws) -> dict[str, Metric]:
    """E|z - z'|^2 over different rows of one modality with a common partner, where there are any.

    Over a cluster of c rows the sum over ordered pairs is 2 (c times the sum of their squared lengths - |sum of them|^2).
    """
    found = {}
    for letter, part in zip("ab", pooled.parts, strict=True):
        clusters = pooled.clusters[part]
        order = np.argsort(clusters, kind="stable")
        starts = np.flatnonzero(np.diff(clusters[order], prepend=-1))
        counts = np.diff(np.append(starts, len(order)))
        if counts.max() < 2:
            continue
        totals = [pooled.rows[part][order[a:b]] for a, b in zip(starts, starts + counts, strict=True)]
        squares = np.array([2 * len(one) * np.sum((one - one.mean(axis=0, dtype=np.float64)) ** 2) for one in totals])
        group = pooled.group_of_row[part][order[starts]]
        sums, number = (np.bincount(group, one, pooled.slots.groups) for one in (squares, counts * (counts - 1.0)))
        value = float(sums.sum() / number.sum())
        # Groups without such rows may make up a whole resample; it says nothing.
        drawn = draws.bootstraps[draws.bootstraps @ number > 0]
        found[f"alignment_within_{letter}"] = Metric(
            value, *basic_interval(value, (drawn @ sums) / (drawn @ number), pooled.slots.groups)
        )
    return found


def recalls(pooled: Pooled, draws: Draws, hits: Array) -> dict[str, Metric]:
    """The share of rows with a partner among the first k, both ways; hits: as given and shuffled, (2, depths, N)."""
    found = {}
    for direction, part in zip(("a_to_b", "b_to_a"), pooled.parts, strict=True):
        for index, depth in enumerate(DEPTHS):
            mean = _Means(pooled, draws, pooled.group_of_row[part], hits[0, index, part])
            interval = share_interval(mean.whole, mean.resampled, pooled.independent)
            found[f"recall_{direction}_at_{depth}"] = Metric(mean.whole, *interval, shuffled=float(hits[1, index, part].mean()))
    return found


class _Means:
    """The mean of values whose groups are given, over the sample and over each bootstrap."""

    def __init__(self, pooled: Pooled, draws: Draws, groups: Indices, values: Array) -> None:
        sums = np.bincount(groups, values, pooled.slots.groups)
        counts = np.bincount(groups, minlength=pooled.slots.groups)
        self.whole = float(values.mean())
        self.resampled = (draws.bootstraps @ sums) / (draws.bootstraps @ counts)
