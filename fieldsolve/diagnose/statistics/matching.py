"""Which pooled rows are partners, as given and shuffled, and how close they are."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.diagnose.statistics.cloud import Cloud
from fieldsolve.diagnose.statistics.design import Design
from fieldsolve.numerics.arrays import Array, Indices


@dataclass(frozen=True, eq=False)
class Matching:
    """Partners among the pooled rows (2, m), and their squared distances (m,).

    best, closest: the least one of each row to a partner, (N,), as they are and centred.
    """

    partners: Indices
    squares: Array
    best: Array
    closest: Array


def matchings(
    clusters: tuple[Indices, Indices], partners: Indices, design: Design, cloud: Cloud, rng: np.random.Generator
) -> tuple[Matching, Matching]:
    """Partners as given and with clusters' second members passed around a random ring, in places of the pooled rows.

    clusters: of the rows of both modalities; partners: (2, m), of those rows.
    """
    places = [np.empty(len(order), dtype=np.int64) for order in design.orders]
    for place, order in zip(places, design.orders, strict=True):
        place[order] = np.arange(len(order))
    offset = len(places[0])
    ring = rng.permutation(design.independent)
    onward = np.empty_like(ring)
    onward[ring] = np.roll(ring, 1)
    by_second, ends = (
        np.argsort(clusters[1], kind="stable"),
        np.cumsum(np.bincount(clusters[1], minlength=len(ring))),
    )
    counts = np.diff(ends, prepend=0)
    given = onward[clusters[0]]
    owners = np.repeat(np.arange(len(given)), counts[given])
    within = np.arange(len(owners)) - np.repeat(np.cumsum(counts[given]) - counts[given], counts[given])
    passed = by_second[(ends - counts)[given][owners] + within]
    both = partners, np.stack([owners, passed])
    pooled = [np.stack([places[0][one], offset + places[1][other]]) for one, other in both]
    return _matching(cloud, pooled[0]), _matching(cloud, pooled[1])


def _matching(cloud: Cloud, partners: Indices) -> Matching:
    squares, centred = (cloud.squares(partners[0], partners[1], shift) for shift in (cloud.shift, np.zeros_like(cloud.shift)))
    return Matching(partners, squares, _least(cloud, partners, squares), _least(cloud, partners, centred))


def _least(cloud: Cloud, partners: Indices, squares: Array) -> Array:
    least = np.full(len(cloud.rows), np.inf)
    for side in partners:
        np.minimum.at(least, side, squares)
    return least
