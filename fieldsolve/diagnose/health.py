"""The health of a sample: what would make every other number mean something else."""

from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np

from fieldsolve.diagnose.sample import Sample
from fieldsolve.diagnose.statistics.pooled import Pooled
from fieldsolve.numerics.arrays import Indices

POPULAR = 0.01  # share of rows that are the most popular ones

_TOP = 0.1  # share of rows that are the nearest ones
_DRAWS = 8


@dataclass(frozen=True)
class Unrelated:
    """Rows whose partners are no nearer than strangers [Storey 2002].

    share: twice that of rows whose partners are in the farther half, with its standard error; between: the same from the nearer
    half less its nearest tenth: near the share if other partners are among the nearest, larger if all are merely nearer. chance:
    of a partner among ten.
    """

    share: float
    error: float
    between: float
    chance: float


@dataclass(frozen=True)
class Hubs:
    """The most popular hundredth of a modality's distinct rows, at least one, and the share of queries of which they are the
    nearest strangers; chance: that share where every query has one at random.
    """

    rows: int
    share: float
    chance: float


@dataclass(frozen=True)
class Health:
    """Of both modalities each, unless said otherwise.

    copies: the share of rows that are copies of others; ceiling: of recall at 1, what copies of partners leave; spread: the root
    of the mean squared distance from the centroid; lengths: least and largest length of rows as they were given; unrelated: of
    both together; hubs: the most popular rows.
    """

    copies: tuple[float, float]
    ceiling: tuple[float, float]
    spread: tuple[float, float]
    lengths: tuple[tuple[float, float], tuple[float, float]]
    unrelated: Unrelated
    hubs: tuple[Hubs, Hubs]

    def summary(self) -> dict[str, Any]:
        """All values, as JSON."""
        return asdict(self)


def health(sample: Sample, pooled: Pooled) -> Health:
    """What the pass over all pairs and the sample itself tell of its health."""
    return Health(
        copies=_both(1 - (int(one.max()) + 1) / len(one) for one in sample.copies),
        ceiling=_ceilings(sample),
        spread=_both(sqrt(float(pooled.cloud.lengths[side].mean())) for side in pooled.cloud.parts),
        lengths=(sample.first.lengths, sample.second.lengths),
        unrelated=_unrelated(pooled),
        hubs=(_hubs(pooled, sample.copies[0], 0), _hubs(pooled, sample.copies[1], 1)),
    )


def _both(values: Any) -> tuple[float, float]:
    first, second = values
    return float(first), float(second)


def _ceilings(sample: Sample) -> tuple[float, float]:
    """The largest recall at 1 from either modality to the other: copies of partners are tied with them."""
    found = []
    for side in (0, 1):
        queries, copies = sample.partners[side], sample.copies[1 - side][sample.partners[1 - side]]
        numbers = np.bincount(sample.copies[1 - side])
        # Of the distinct rows that are partners of a query, the one with the largest share of its copies matched is first.
        pairs, matched = np.unique(np.stack([queries, copies]), axis=1, return_counts=True)
        best = np.zeros(int(queries.max()) + 1)
        np.maximum.at(best, pairs[0], matched / numbers[pairs[1]])
        found.append(float(best.mean()))
    return found[0], found[1]


def _unrelated(pooled: Pooled) -> Unrelated:
    """Rows whose partners are where strangers are.

    The best of m partners that are strangers has a rank with the tail (1 - u)^m, u its share of all: 1 - (1 - u)^m is uniform.
    """
    ahead, level = pooled.passed.ranks[0].astype(float)
    split, total = pooled.cloud.first_rows, len(pooled.cloud.rows)
    others = np.where(np.arange(total) < split, total - split, split)
    partners = np.maximum(np.bincount(pooled.matching.partners.ravel(), minlength=total), 1)
    chance = 1 - (1 - (ahead + level) / 2 / others) ** partners
    rows = np.arange(total)
    far = pooled.mean((chance > 0.5).astype(float), rows)
    between = pooled.mean(((chance > _TOP) & (chance <= 0.5)).astype(float), rows)
    return Unrelated(
        share=min(2 * far.value, 1.0),
        error=2 * max(far.standard_error, 1 / pooled.design.independent),
        between=between.value / (0.5 - _TOP),
        chance=float(np.mean(1 - (1 - np.minimum(partners / others, 1.0)) ** 10)),
    )


def _hubs(pooled: Pooled, copies: Indices, side: int) -> Hubs:
    """The most popular rows of a modality, copies taken for one, by the clusters of the other's queries."""
    design, queries = pooled.design, pooled.cloud.parts[1 - side]
    places = pooled.passed.nearest[queries] - pooled.cloud.parts[side].start
    weight = 1 / np.bincount(design.cluster[queries], minlength=design.independent)[design.cluster[queries]]
    counts = np.sort(np.bincount(copies[design.orders[side]][places], weight, int(copies.max()) + 1))[::-1]
    popular = max(1, round(POPULAR * len(counts)))
    # Few queries crowd on few rows of many by chance.
    drawn = np.random.default_rng(0).multinomial(design.independent, np.full(len(counts), 1 / len(counts)), size=_DRAWS)
    chance = np.sort(drawn, axis=1)[:, ::-1][:, :popular].sum(axis=1).mean() / design.independent
    return Hubs(popular, float(counts[:popular].sum() / weight.sum()), float(chance))
