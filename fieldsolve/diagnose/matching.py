"""Which pooled rows are partners, as given and shuffled, and how close they are."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.diagnose.pairwise import Cloud
from fieldsolve.diagnose.resampling import Slots
from fieldsolve.diagnose.sample import Sample
from fieldsolve.numerics.arrays import Array, Indices


@dataclass(frozen=True, eq=False)
class Matching:
    """Partners among the pooled rows (2, m), their squared distances (m,), and the least one of each row to a partner (N,).

    closest: the least one with both modalities centred, (N,).
    """

    partners: Indices
    squares: Array
    best: Array
    closest: Array

    @property
    def cosines(self) -> Array:
        """Of partners, (m,): rows are unit vectors."""
        return np.asarray(1 - self.squares / 2)


def matchings(sample: Sample, slots: Slots, cloud: Cloud, rng: np.random.Generator) -> tuple[Matching, Matching]:
    """The sample's matching, and one with clusters' second members passed around a random ring, in places of the pooled rows."""
    places = [np.empty(len(order), dtype=np.int64) for order in slots.orders]
    for place, order in zip(places, slots.orders, strict=True):
        place[order] = np.arange(len(order))
    offset = len(places[0])
    ring = rng.permutation(sample.independent)
    onward = np.empty_like(ring)
    onward[ring] = np.roll(ring, 1)
    by_second, ends = (
        np.argsort(sample.clusters[1], kind="stable"),
        np.cumsum(np.bincount(sample.clusters[1], minlength=len(ring))),
    )
    counts = np.diff(ends, prepend=0)
    given = onward[sample.clusters[0]]
    owners = np.repeat(np.arange(len(given)), counts[given])
    within = np.arange(len(owners)) - np.repeat(np.cumsum(counts[given]) - counts[given], counts[given])
    partners = by_second[(ends - counts)[given][owners] + within]
    both = sample.partners, np.stack([owners, partners])
    pooled = [np.stack([places[0][one], offset + places[1][other]]) for one, other in both]
    return tuple(_matching(cloud, one) for one in pooled)  # type: ignore[return-value]


def _matching(cloud: Cloud, partners: Indices) -> Matching:
    squares, centred = (cloud.squares(partners[0], partners[1], shift) for shift in (cloud.shift, np.zeros_like(cloud.shift)))
    return Matching(partners, squares, _least(cloud, partners, squares), _least(cloud, partners, centred))


def _least(cloud: Cloud, partners: Indices, squares: Array) -> Array:
    least = np.full(len(cloud.rows), np.inf)
    for side in partners:
        np.minimum.at(least, side, squares)
    return least
