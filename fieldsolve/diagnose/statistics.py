"""Two-sample statistics of any resample: quadratic forms in the weights of slots, and log-sums of their fields."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import t as student

from fieldsolve.diagnose.metric import Metric
from fieldsolve.diagnose.pairwise import DISTANCE, DOUBLE, HALF, ONE, UNIFORMITY, Cloud, PairSums
from fieldsolve.diagnose.resampling import Slots
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices, Rows

_CHUNK = 1024  # rows whose log-sums are held at a time
_MOMENTS = 1 << 26  # entries of second moments held at a time
_PARTS = 32

_KERNELS = {"mmd2_half": HALF, "mmd2_one": ONE, "mmd2_double": DOUBLE}


@dataclass(frozen=True, eq=False)
class Pooled:
    """The pooled rows of two modalities in their slots' order, what the pass over all pairs left, and how clusters are made up.

    members: (2, N), how many rows of each modality a row's cluster has.
    """

    cloud: Cloud
    slots: Slots
    clusters: Indices
    members: Indices
    pair_sums: PairSums

    @property
    def rows(self) -> Rows:
        """The rows, (N, d), each less the centroid of its modality."""
        return self.cloud.rows

    @property
    def centroids(self) -> Array:
        """Of both modalities, (2, d)."""
        return self.cloud.centroids

    @cached_property
    def centred_sums(self) -> Array:
        """Of the centred rows by slot, (S, d)."""
        edges = zip(self.slots.starts[:-1], self.slots.starts[1:], strict=True)
        return np.stack([self.rows[begin:end].sum(axis=0, dtype=np.float64) for begin, end in edges])

    @cached_property
    def sums(self) -> Array:
        """Of the rows as they were given by slot, (S, d)."""
        return np.asarray(self.centred_sums + self.slots.counts[:, None] * self.centroids[self._side])

    @cached_property
    def _around_middle(self) -> tuple[Array, Array]:
        """Sums by slot of the rows less the mean of both centroids, (S, d), and of their squared lengths, (S,)."""
        away = (self.centroids - self.centroids.mean(axis=0))[self._side]
        lengths = np.bincount(self.slots.slot_of_row, self.cloud.lengths, len(self.slots.group))
        counts = self.slots.counts
        sums = self.centred_sums + counts[:, None] * away
        return sums, lengths + 2 * np.sum(away * self.centred_sums, axis=1) + counts * np.sum(away**2, axis=1)

    @property
    def _side(self) -> Indices:
        """The modality of each slot."""
        return (np.arange(len(self.slots.group)) >= self.slots.first).astype(np.int64)

    @property
    def first_rows(self) -> int:
        """How many of the rows are the first modality's."""
        return self.cloud.first_rows

    @property
    def parts(self) -> tuple[slice, slice]:
        """The rows of the first and of the second modality."""
        return slice(0, self.first_rows), slice(self.first_rows, len(self.rows))

    @property
    def independent(self) -> int:
        """The number of clusters."""
        return int(self.clusters.max()) + 1

    @property
    def group_of_row(self) -> Indices:
        """The group of each row."""
        return self.slots.group[self.slots.slot_of_row]

    def centroid(self, weights: Array) -> Array:
        """The means of the rows with these weights of their slots, (R, d)."""
        return np.asarray((weights @ self.sums) / (weights @ self.slots.counts)[:, None])

    def centroids_of(self, first: Array, second: Array) -> dict[str, Array]:
        """Squared centroid gap and norms, and the cosine between the centroids."""
        one, other = self.centroid(first), self.centroid(second)
        squares = np.sum(one**2, axis=1), np.sum(other**2, axis=1)
        product = np.sum(one * other, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            cosine = product / np.sqrt(squares[0] * squares[1])
        return {
            "centroid_gap": np.sum((one - other) ** 2, axis=1), "centroid_norm_a": squares[0], "centroid_norm_b": squares[1],
            "centroid_cosine": cosine,
        }  # fmt: skip

    def distances_of(self, first: Array, second: Array) -> dict[str, Array]:
        """Energy distance with its parts, MMD^2 at three bandwidths, mean cosines, uniformity within and across."""
        found = {}
        cross, within_a, within_b = self._means(DISTANCE, first, second)
        found["energy_cross"], found["energy_within_a"], found["energy_within_b"] = cross, within_a, within_b
        found["energy_distance"] = 2 * cross - within_a - within_b
        for name, kernel in _KERNELS.items():
            cross, within_a, within_b = self._means(kernel, first, second)
            found[name] = within_a + within_b - 2 * cross
        for name, mean in zip(
            ("uniformity_across", "uniformity_a", "uniformity_b"), self._means(UNIFORMITY, first, second), strict=True
        ):
            found[name] = np.log(mean)
        for name, weights in (("cosine_within_a_mean", first), ("cosine_within_b_mean", second)):
            found[name] = 1 - self.mean_square(weights) / 2
        return found

    def centred_values(self) -> dict[str, float]:
        """Energy distance, MMD^2 and smoothed KL of the rows with their own modality's centroid taken off."""
        whole = self.slots.both(np.ones((1, self.slots.groups)))
        sizes = self.first_rows, len(self.rows) - self.first_rows
        found = {}
        for name, kernel in {"energy_distance": DISTANCE, **_KERNELS}.items():
            _, within_a, within_b = self._means(kernel, *whole)
            cross = float(self.pair_sums.centred_sums[kernel].sum()) / (sizes[0] * sizes[1])
            found[name] = float(2 * cross - within_a[0] - within_b[0]) * (1 if kernel == DISTANCE else -1)
        entropies = self.divergences_of(*whole, 0.0)
        for name, own, side in (("smoothed_kl_a_b", "cross_entropy_a_a", 0), ("smoothed_kl_b_a", "cross_entropy_b_b", 1)):
            others = sizes[1 - side] - self.members[1 - side, self.parts[side]]
            across = -float(np.mean(np.log(self.pair_sums.centred_fields[self.parts[side]] / others)))
            found[name] = across - float(entropies[own][0])
        found["smoothed_symmetric_kl"] = found["smoothed_kl_a_b"] + found["smoothed_kl_b_a"]
        return found

    def divergences_of(self, first: Array, second: Array, peak: float, only: slice = slice(None)) -> dict[str, Array]:
        """Cross-entropies of each sample with both samples' smoothed densities, and Kullback-Leibler divergences made of them.

        H(q_a, q~_b) = -E log q~_b, q~_b the kernel density of the other rows, those of the row's own cluster left out.
        peak: log K(0); only: the pooled rows that have weight.
        """
        blocks = list(self._row_blocks(only))
        parts = np.empty((len(blocks), 2, 2, len(first)))
        masses = first @ self.slots.counts, second @ self.slots.counts
        bars = [self._group_means(weights) for weights in (first, second)]

        def work(begin: int, end: int) -> None:
            for index in range(begin, end):
                at = blocks[index]
                field, slot = self.pair_sums.fields[:, at], self.slots.slot_of_row[at]
                for of, weights in enumerate((first, second)):
                    log = np.log(weights @ field) - np.log(masses[of][:, None] - self._own(bars[of], at))
                    for side, own in enumerate((first, second)):
                        parts[index, side, of] = np.sum(own[:, slot] * log, axis=1)

        with threads.one_blas_thread():
            threads.over_blocks(work, len(blocks), len(first) * len(self.slots.group) * _CHUNK * len(blocks))
        sums = [parts[:, side].sum(axis=0) / masses[side] for side in (0, 1)]
        found = {
            "cross_entropy_a_a": -sums[0][0] - peak, "cross_entropy_a_b": -sums[0][1] - peak,
            "cross_entropy_b_a": -sums[1][0] - peak, "cross_entropy_b_b": -sums[1][1] - peak,
        }  # fmt: skip
        found["smoothed_kl_a_b"] = found["cross_entropy_a_b"] - found["cross_entropy_a_a"]
        found["smoothed_kl_b_a"] = found["cross_entropy_b_a"] - found["cross_entropy_b_b"]
        found["smoothed_symmetric_kl"] = found["smoothed_kl_a_b"] + found["smoothed_kl_b_a"]
        return found

    def mean_square(self, weights: Array) -> Array:
        """The mean squared distance of pairs of different rows with these weights of their slots, (R,)."""
        sums, lengths = self._around_middle
        mass, own = weights @ self.slots.counts, (weights**2) @ self.slots.counts
        total = 2 * (mass * (weights @ lengths) - np.sum((weights @ sums) ** 2, axis=1))
        return np.asarray(np.maximum(total, 0.0) / (mass**2 - own))

    def total_square(self, first: Array, second: Array) -> Array:
        """The sum of squared distances over pairs across two samples with these weights of their slots, (R,)."""
        sums, lengths = self._around_middle
        counts = self.slots.counts
        alone = (first @ lengths) * (second @ counts) + (second @ lengths) * (first @ counts)
        return np.asarray(alone - 2 * np.sum((first @ sums) * (second @ sums), axis=1))

    def _means(self, kernel: int, first: Array, second: Array) -> tuple[Array, Array, Array]:
        """The mean of a kernel across two samples, and within each over pairs of different rows."""
        sums, counts = self.pair_sums.sums[kernel], self.slots.counts
        masses = first @ counts, second @ counts
        cross = np.sum((first @ sums) * second, axis=1) / (masses[0] * masses[1])
        within = [
            np.sum((w @ sums) * w, axis=1) / (mass**2 - (w**2) @ counts) for w, mass in zip((first, second), masses, strict=True)
        ]
        return cross, within[0], within[1]

    def _row_blocks(self, only: slice) -> Iterator[slice]:
        """Ranges of rows, each of one modality."""
        begin, end, _ = only.indices(len(self.rows))
        for first, last in ((begin, min(end, self.first_rows)), (max(begin, self.first_rows), end)):
            for at in range(first, last, _CHUNK):
                yield slice(at, min(at + _CHUNK, last))

    def _group_means(self, weights: Array) -> tuple[Array, Array]:
        """The mean weight of a group's slots of each modality, (R, G)."""
        means = []
        for is_own in (self.slots.is_first, 1 - self.slots.is_first):
            belongs = np.zeros((len(self.slots.group), self.slots.groups))
            belongs[np.arange(len(self.slots.group)), self.slots.group] = is_own
            means.append((weights @ belongs) / belongs.sum(axis=0))
        return means[0], means[1]

    def _own(self, means: tuple[Array, Array], at: slice) -> Array:
        """The weight of each row's own cluster, (R, rows)."""
        group = self.slots.group[self.slots.slot_of_row[at]]
        return np.asarray(means[0][:, group] * self.members[0, at] + means[1][:, group] * self.members[1, at])


def effective_rank(pooled: Pooled, second: bool) -> Metric:
    """exp of the entropy of the centred rows' singular values, scaled to sum 1 [Roy and Vetterli 2007].

    The interval is a jackknife's, which leaves out one of at most 32 parts of the groups at a time: an eigenvalue problem each.
    """
    slots, dimension = pooled.slots, pooled.rows.shape[1]
    parts = min(_PARTS, slots.groups, max(4, _MOMENTS // dimension**2))
    part = slots.group % parts
    moments, sums, counts = np.zeros((parts, dimension, dimension)), np.zeros((parts, dimension)), np.zeros(parts)
    with threads.one_blas_thread():
        for slot in np.flatnonzero(slots.is_first != second):
            for at in range(int(slots.starts[slot]), int(slots.starts[slot + 1]), _CHUNK):
                block = pooled.rows[at : min(at + _CHUNK, int(slots.starts[slot + 1]))].astype(np.float64)
                moments[part[slot]] += block.T @ block
            sums[part[slot]] += pooled.centred_sums[slot]
            counts[part[slot]] += slots.counts[slot]
        total = moments.sum(axis=0), sums.sum(axis=0), float(counts.sum())

        def rank(moment: Array, vector: Array, count: float) -> float:
            values = np.linalg.eigvalsh(moment / count - np.outer(vector, vector) / count**2)
            singular = np.sqrt(np.maximum(values, 0.0))
            shares = singular / singular.sum()
            shares = shares[shares > 0]
            return float(np.exp(-np.sum(shares * np.log(shares))))

        value = rank(*total)
        left_out = np.array([rank(total[0] - moments[k], total[1] - sums[k], total[2] - counts[k]) for k in range(parts)])
    error = float(np.sqrt((parts - 1) / parts * np.sum((left_out - left_out.mean()) ** 2)))
    half = float(student.ppf(0.975, parts - 1)) * error
    return Metric(value, value - half, value + half)
