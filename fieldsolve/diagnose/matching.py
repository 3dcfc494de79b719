"""Which pooled rows are partners, as given and shuffled, and how close they are."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.diagnose.resampling import Slots
from fieldsolve.diagnose.sample import Sample
from fieldsolve.numerics.arrays import Array, Indices

_CHUNK = 8192  # pairs at a time


@dataclass(frozen=True, eq=False)
class Matching:
    """Partners among the pooled rows (2, m), their cosines (m,), and the best cosine of each row with a partner (N,)."""

    partners: Indices
    cosines: Array
    best: Array


def matchings(sample: Sample, slots: Slots, rng: np.random.Generator) -> tuple[Matching, Matching]:
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
    return tuple(_matching(sample, places, offset, one) for one in both)  # type: ignore[return-value]


def _matching(sample: Sample, places: list[Indices], offset: int, partners: Indices) -> Matching:
    cosines = np.empty(partners.shape[1])
    for at in range(0, len(cosines), _CHUNK):
        one, other = partners[:, at : at + _CHUNK]
        cosines[at : at + _CHUNK] = np.einsum(
            "md,md->m", sample.first.rows[one].astype(np.float64), sample.second.rows[other].astype(np.float64)
        )
    pooled = np.stack([places[0][partners[0]], offset + places[1][partners[1]]])
    return Matching(pooled, cosines, _best(offset + len(places[1]), pooled, cosines))


def _best(count: int, partners: Indices, cosines: Array) -> Array:
    best = np.full(count, -np.inf)
    for side in partners:
        np.maximum.at(best, side, cosines)
    return best
