"""Two matched samples before the pass over all their pairs: means over strangers that sums of rows give, and exchanges."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fieldsolve.diagnose.statistics.cloud import Cloud
from fieldsolve.diagnose.statistics.design import Design, Exchanges
from fieldsolve.diagnose.statistics.estimate import Estimate, mean
from fieldsolve.diagnose.statistics.matching import Matching
from fieldsolve.embeddings.centring import Means
from fieldsolve.numerics.arrays import Array, Indices

_CHUNK = 8192  # rows at a time


@dataclass(frozen=True, eq=False)
class Matched:
    """The pooled rows of two modalities in their design's order, and what their partners' ranks are.

    matching, shuffled: partners as given and passed on at random; hits: (2, depths, N), of both, the chance that a partner is
    among the first k; exchanges: slots that count as the first modality's; tau: the temperature; bias: of the sigmoid loss,
    None for InfoNCE; strangers: cosines of some rows of different clusters; means: of other rows, to be taken off, None for
    those of other folds.
    """

    cloud: Cloud
    design: Design
    matching: Matching
    shuffled: Matching
    hits: Array
    exchanges: Exchanges
    tau: float
    bias: float | None
    strangers: Array
    means: Means | None

    def one_each(self, most: int, rng: np.random.Generator) -> Indices:
        """One pair of each of at most so many clusters, drawn at random, by the places of their rows, (2, m)."""
        partners = rng.permutation(self.matching.partners, axis=1)
        chosen = np.unique(self.design.cluster[partners[0]], return_index=True)[1]
        return np.asarray(partners[:, np.sort(rng.permutation(chosen)[:most])])

    @cached_property
    def row_sums(self) -> Array:
        """Of the centred rows by slot, (S, d)."""
        rows, places = self.cloud.rows, self.design.slot_of_row
        result = np.zeros((len(self.design.group), rows.shape[1]))
        for at in range(0, len(rows), _CHUNK):
            slots = places[at : at + _CHUNK]
            begins = np.flatnonzero(np.diff(slots, prepend=-1))
            result[slots[begins]] += np.add.reduceat(rows[at : at + _CHUNK].astype(np.float64), begins, axis=0)
        return result

    @cached_property
    def squares(self) -> Array:
        """The sum of squared distances of rows of different clusters by slots, (S, S).

        Rows are taken from the middle of both centroids, so that sums of close ones keep their digits.
        """
        design, counts = self.design, self.design.counts
        away = (self.cloud.centroids - self.cloud.centroids.mean(axis=0))[design.side]
        lengths = np.bincount(design.slot_of_row, self.cloud.lengths, len(counts)).astype(np.float64)
        lengths += 2 * np.sum(away * self.row_sums, axis=1) + counts * np.sum(away**2, axis=1)
        sums = self.row_sums + counts[:, None] * away
        return _squares_of(counts, lengths, sums) - self._kin_squares(self.cloud.centroids - self.cloud.centroids.mean(axis=0))

    def _kin_squares(self, shift: Array) -> Array:
        """The sum of squared distances of rows of one cluster by slots, (S, S); shift: (2, d), of centred rows."""
        design, cloud = self.design, self.cloud
        slots = len(design.group)
        order = np.argsort(design.cluster * slots + design.slot_of_row, kind="stable")
        cluster, slot = design.cluster[order], design.slot_of_row[order]
        result = np.zeros((slots, slots))
        side = (order >= cloud.first_rows).astype(np.int64)
        for apart in range(1, len(order)):
            same = np.flatnonzero(cluster[apart:] == cluster[:-apart])
            if len(same) == 0:
                break
            for begin in range(0, len(same), _CHUNK):
                one, other = same[begin : begin + _CHUNK], same[begin : begin + _CHUNK] + apart
                rows = [cloud.rows[order[at]] + shift[side[at]] for at in (one, other)]
                values = np.sum((rows[0] - rows[1]) ** 2, axis=1)
                np.add.at(result, (slot[one], slot[other]), values)
                np.add.at(result, (slot[other], slot[one]), values)
        return result

    def across(self, sums: Array) -> Estimate:
        """The mean over strangers of different modalities of what is summed up by slots, (S, S)."""
        return self._mean(sums, self.design.is_first, 1 - self.design.is_first)

    def within(self, sums: Array, side: int) -> Estimate:
        """The mean over strangers of one modality of what is summed up by slots, (S, S)."""
        own = (self.design.side == side).astype(float)
        return self._mean(sums, own, own)

    def _mean(self, sums: Array, first: Array, second: Array) -> Estimate:
        mask = first[:, None] * second
        total, numbers = ((one * mask) for one in (sums, self.design.strangers))
        value = float(total.sum() / numbers.sum())
        parts = self._by_groups(total - value * numbers) / numbers.sum()
        return Estimate(value, np.zeros(self.design.groups), (parts + parts.T) / 2)

    def _by_groups(self, table: Array) -> Array:
        return self.design.by_group(self.design.by_group(table).T).T

    def mean(self, values: Array, rows: Indices) -> Estimate:
        """The mean of values at pooled rows, given by places."""
        group, number = self.design.group_of_row[rows], self.design.groups
        return mean(np.bincount(group, values, number), np.bincount(group, minlength=number).astype(float))

    def contrast(self, sums: Array, centred: Array | None = None) -> Estimate:
        """Twice the mean across less both within: of distances the energy distance, of kernels minus MMD^2.

        Over strangers, the paired U-statistic [Gretton et al. 2012, Lemma 6]: unbiased with dependent partners. centred: sums
        across where they are of centred rows.
        """
        across = self.across(sums if centred is None else centred)
        return 2 * across - self.within(sums, 0) - self.within(sums, 1)

    def exchanged(self, sums: Array) -> Array:
        """The contrast of every exchange, (R,)."""
        totals, counts = self._totals(sums), self._exchanged_counts
        return np.asarray(2 * totals[0] / counts[0] - totals[1] / counts[1] - totals[2] / counts[2])

    @cached_property
    def _exchanged_counts(self) -> tuple[Array, Array, Array]:
        return self._totals(self.design.strangers)

    def _totals(self, sums: Array) -> tuple[Array, Array, Array]:
        """Of every exchange the sums across its samples and within each, (R,)."""
        first, second = self.exchanges.first, self.exchanges.second
        reached = first @ sums
        return (
            np.sum(reached * second, axis=1),
            np.sum(reached * first, axis=1),
            np.sum((second @ sums) * second, axis=1),
        )

    def mixed(self, sums: Array, centred: Array) -> Array:
        """Sums by slots of rows that are centred, each less the centroid of its modality: within as they are, and across."""
        across = self.design.side[:, None] != self.design.side
        return np.where(across, centred, sums)

    @cached_property
    def centred_squares(self) -> Array:
        """The same as `squares` of rows that are centred, each less the centroid of its modality."""
        lengths = np.bincount(self.design.slot_of_row, self.cloud.lengths, len(self.design.group)).astype(np.float64)
        return _squares_of(self.design.counts, lengths, self.row_sums) - self._kin_squares(np.zeros_like(self.cloud.centroids))

    def shuffled_across(self, sums: Array, kernel: Callable[[Array], Array]) -> float:
        """The mean across with partners passed on: over strangers and former partners, less who are partners then.

        kernel: of squared distances.
        """
        mask = self.design.is_first[:, None] * (1 - self.design.is_first)
        given, passed = self.matching.squares, self.shuffled.squares
        total = float((sums * mask).sum()) + float(np.sum(kernel(given))) - float(np.sum(kernel(passed)))
        return total / (float((self.design.strangers * mask).sum()) + len(given) - len(passed))


def _squares_of(counts: Indices, lengths: Array, sums: Array) -> Array:
    """Sums of squared distances of all rows of two slots from how many they are, their squared lengths and their sums."""
    return np.asarray(np.maximum(np.outer(counts, lengths) + np.outer(lengths, counts) - 2 * sums @ sums.T, 0.0))
