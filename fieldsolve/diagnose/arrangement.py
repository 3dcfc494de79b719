"""How a sample is laid out before anything is measured: rows by groups, partners, exchanges, and cosines of strangers."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fieldsolve.diagnose.sample import Sample
from fieldsolve.diagnose.statistics import ranks
from fieldsolve.diagnose.statistics.cloud import Cloud
from fieldsolve.diagnose.statistics.design import Design, Exchanges, arrange
from fieldsolve.diagnose.statistics.estimate import Estimate, median_estimate
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.diagnose.statistics.matching import Matching, matchings
from fieldsolve.diagnose.statistics.pairwise import Counts, PairSums, cross_ranks
from fieldsolve.diagnose.statistics.pooled import Pooled
from fieldsolve.embeddings.centring import Means
from fieldsolve.numerics.arrays import Array, Rows

_SHOWN = 700  # rows of each modality whose cosines make the distributions' quantiles and pictures, and the bandwidth


@dataclass(frozen=True, eq=False)
class Arrangement:
    """A sample's rows in the design's order, partners as given and passed on, exchanges.

    tolerance: (2, N), by how much squared distances may differ and be tied; cosines: of strangers across (unmatched) and within
    modalities; bandwidth: their median distance across.
    """

    cloud: Cloud
    design: Design
    exchanges: Exchanges
    matchings: tuple[Matching, Matching]
    tolerance: Array
    cosines: dict[str, Array]
    bandwidth: Estimate

    @property
    def limits(self) -> tuple[Array, Array]:
        """Squared distances (2, N) below which a row is nearer than the best partner, and up to which it is as near."""
        best = np.stack([one.best for one in self.matchings])
        return best - self.tolerance, best + self.tolerance

    def matched(self, tau: float, bias: float | None, means: Means | None) -> Matched:
        """The sample with its ranks, from a pass over the pairs across."""
        counts = cross_ranks(self.cloud, self.design, self.limits)
        return Matched(**self._fields(counts), tau=tau, bias=bias, means=means)

    def pooled(self, sums: PairSums, tau: float, bias: float | None, means: Means | None) -> Pooled:
        """The sample with what a pass over all pairs leaves."""
        return Pooled(**self._fields(sums.ranks), tau=tau, bias=bias, means=means, passed=sums, bandwidth=self.bandwidth)

    def _fields(self, counts: Counts) -> dict[str, Any]:
        return {
            "cloud": self.cloud,
            "design": self.design,
            "matching": self.matchings[0],
            "shuffled": self.matchings[1],
            "hits": np.stack([ranks.hits(*one) for one in zip(counts, self.matchings, self.tolerance, strict=True)]),
            "exchanges": self.exchanges,
            "strangers": self.cosines["unmatched"],
        }


def arrangement(sample: Sample, exchanges: int, seed: int) -> Arrangement:
    """Lay out a sample, with so many exchanges; seed: of all that is drawn."""
    rngs = [np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(4)]
    design = arrange(sample.clusters, rngs[0])
    drawn = design.exchanges(exchanges, rngs[1])
    cosines, bandwidth = _strangers(sample, design, rngs[2])
    cloud = Cloud.of(*(one.rows[order] for one, order in zip((sample.first, sample.second), design.orders, strict=True)))
    both = matchings(sample.clusters, sample.partners, design, cloud, rngs[3])
    tolerance = np.stack([ranks.tolerances(cloud, one) for one in both])
    return Arrangement(cloud, design, drawn, both, tolerance, cosines, bandwidth)


def _strangers(sample: Sample, design: Design, rng: np.random.Generator) -> tuple[dict[str, Array], Estimate]:
    """Cosines of strangers, across and within modalities, and their median distance across (the root of the mean square
    where that is 0, 1 where all are); of some rows if there are many.
    """
    chosen = [np.sort(rng.permutation(len(cluster))[:_SHOWN]) for cluster in sample.clusters]
    rows = [one.rows[at] for one, at in zip((sample.first, sample.second), chosen, strict=True)]
    clusters = [cluster[at] for cluster, at in zip(sample.clusters, chosen, strict=True)]
    across = _squares(*rows)
    within = [_squares(one, one)[np.triu(own[:, None] != own, 1)] for one, own in zip(rows, clusters, strict=True)]
    stranger = clusters[0][:, None] != clusters[1][None, :]
    squares = {"unmatched": across[stranger], "within_a": within[0], "within_b": within[1]}
    group = np.empty(design.independent, dtype=np.int64)
    group[design.cluster] = design.group_of_row
    median = median_estimate(np.sqrt(across), stranger, (group[clusters[0]], group[clusters[1]]), design.groups)
    cosines = {name: 1 - one / 2 for name, one in squares.items()}
    # Where most distances are 0 their median is no scale; any other is as good where all are.
    return cosines, median if median.value > 0 else replace(median, value=float(np.sqrt(across.mean())) or 1.0)


def _squares(first: Rows, second: Rows) -> Array:
    """Squared distances of all rows of two tables, taken from their middle so that close ones keep their digits."""
    middle = (first.mean(axis=0) + second.mean(axis=0)) / 2
    one, other = first - middle, second - middle
    lengths = np.sum(one**2, axis=1)[:, None] + np.sum(other**2, axis=1)
    return np.asarray(np.maximum(lengths - 2 * one @ other.T, 0.0), dtype=np.float64)
