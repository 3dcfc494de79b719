"""Retrieval: the chance that a partner is among the first k, both ways."""

import numpy as np

from fieldsolve.diagnose.metrics.metric import Definition, Family, Metric
from fieldsolve.diagnose.statistics.estimate import share_interval
from fieldsolve.diagnose.statistics.pooled import Pooled
from fieldsolve.diagnose.statistics.ranks import DEPTHS

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


def measure(pooled: Pooled, rng: np.random.Generator) -> dict[str, Metric]:
    """All of them."""
    found = {}
    for direction, part in zip(("a_to_b", "b_to_a"), pooled.cloud.parts, strict=True):
        rows = np.arange(part.start, part.stop)
        for index, depth in enumerate(DEPTHS):
            share = pooled.mean(pooled.hits[0, index, rows], rows)
            found[f"recall_{direction}_at_{depth}"] = Metric(
                share.value,
                *share_interval(share, pooled.design.independent),
                shuffled=float(pooled.hits[1, index, rows].mean()),
            )
    return found


FAMILY = Family("retrieval", "Retrieval", DEFINITIONS, measure)
