"""Retrieval: the chance that a partner is among the first k, both ways."""

from dataclasses import replace

import numpy as np

from fieldsolve.diagnose.metrics.metric import Definition, Family, Metric
from fieldsolve.diagnose.statistics.estimate import share_interval
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.diagnose.statistics.ranks import DEPTHS
from fieldsolve.numerics.arrays import Indices

DEFINITIONS = tuple(
    Definition(
        f"recall_{one}_to_{other}_at_{depth}",
        f"recall@{depth}, {one} to {other}",
        f"share of rows of {one} that have a partner among the {depth} rows of {other} with the largest cosines; ties broken at "
        "random, in expectation",
        "Karpathy and Fei-Fei 2015, arXiv 1412.2306",
        "Depends on how many rows there are to find: chance is about k/n. Intervals take queries at random, the gallery stays.",
        of_n=True,
    )
    for one, other in ("ab", "ba")
    for depth in DEPTHS
)


DIRECTIONS = ("a_to_b", "b_to_a")


def measure(pooled: Matched, rng: np.random.Generator) -> dict[str, Metric]:
    """All of them."""
    found = {}
    for side, direction in enumerate(DIRECTIONS):
        rows = np.arange(pooled.cloud.parts[side].start, pooled.cloud.parts[side].stop)
        for index, depth in enumerate(DEPTHS):
            one = recall(pooled, index, rows, pooled.design.independent)
            shuffled = float(pooled.hits[1, index, rows].mean())
            found[f"recall_{direction}_at_{depth}"] = replace(one, shuffled=shuffled)
    return found


def recall(pooled: Matched, index: int, rows: Indices, clusters: int) -> Metric:
    """Recall of some queries, by their places, at one of DEPTHS; clusters: how many they are of."""
    share = pooled.mean(pooled.hits[0, index, rows], rows)
    return Metric(share.value, *share_interval(share, clusters, len(rows)))


FAMILY = Family("retrieval", "Retrieval", DEFINITIONS, measure)
