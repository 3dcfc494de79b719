"""The health of a sample: what would make every other number mean something else."""

from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np

from fieldsolve.diagnose.sample import Sample
from fieldsolve.diagnose.statistics.pooled import Pooled
from fieldsolve.numerics.arrays import Indices

POPULAR = 0.01  # share of rows that are the most popular ones


@dataclass(frozen=True)
class Hubs:
    """The most popular hundredth of the rows of a modality, at least one, and the share of queries whose nearest row they are."""

    rows: int
    share: float


@dataclass(frozen=True)
class Health:
    """Of both modalities each, unless said otherwise.

    copies: the share of rows that are copies of others; ceiling: of recall at 1, what copies of partners leave; spread: the root
    of the mean squared distance from the centroid; lengths: least and largest length of rows as they were given; junk: of both
    together, the share of rows none of whose partners is nearer than strangers, with a standard error [Storey 2002]; hubs: the
    most popular rows.
    """

    copies: tuple[float, float]
    ceiling: tuple[float, float]
    spread: tuple[float, float]
    lengths: tuple[tuple[float, float], tuple[float, float]]
    junk: tuple[float, float]
    hubs: tuple[Hubs, Hubs]

    def summary(self) -> dict[str, Any]:
        """All values, as JSON."""
        return {name: list(value) for name, value in asdict(self).items()}


def health(sample: Sample, pooled: Pooled) -> Health:
    """What the pass over all pairs and the sample itself tell of its health."""
    split = pooled.cloud.first_rows
    sides = slice(0, split), slice(split, len(pooled.cloud.rows))
    return Health(
        copies=_both(1 - (int(one.max()) + 1) / len(one) for one in sample.copies),
        ceiling=_ceilings(sample),
        spread=_both(sqrt(float(pooled.cloud.lengths[side].mean())) for side in sides),
        lengths=(sample.first.lengths, sample.second.lengths),
        junk=_junk(pooled),
        hubs=(
            _hubs(pooled.passed.nearest[sides[1]], split),
            _hubs(pooled.passed.nearest[sides[0]] - split, len(sample.copies[1])),
        ),
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


def _junk(pooled: Pooled) -> tuple[float, float]:
    """Twice the share of rows whose partners are all in the farther part of the other modality, and its standard error.

    The best of m partners that are strangers is beyond the share 1 - 2^(-1/m) of all with probability 1/2.
    """
    ahead, level = pooled.passed.ranks[0].astype(float)
    split, total = pooled.cloud.first_rows, len(pooled.cloud.rows)
    others = np.where(np.arange(total) < split, total - split, split)
    partners = np.maximum(np.bincount(pooled.matching.partners.ravel(), minlength=total), 1)
    far = ((ahead + level) / 2 > others * (1 - 0.5 ** (1 / partners))).astype(float)
    share = pooled.mean(far, np.arange(total))
    return min(2 * share.value, 1.0), 2 * max(share.standard_error, 1 / pooled.design.independent)


def _hubs(nearest: Indices, rows: int) -> Hubs:
    """How many rows are the most popular ones, and the share of queries that they are nearest to."""
    counts, popular = np.sort(np.bincount(nearest, minlength=rows))[::-1], max(1, round(POPULAR * rows))
    return Hubs(popular, float(counts[:popular].sum() / len(nearest)))
