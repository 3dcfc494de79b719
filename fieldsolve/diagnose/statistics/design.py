"""How a sample is laid out: clusters in groups, rows in slots, and the exchanges of modalities within clusters."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fieldsolve.numerics.arrays import Array, Indices

MOST_GROUPS = 128


@dataclass(frozen=True, eq=False)
class Exchanges:
    """Samples that exchanges of modalities make: how much the rows of each slot count in the first and in the second, (R, S)."""

    first: Array
    second: Array

    def few(self, number: int) -> "Exchanges":
        """The first of them."""
        return Exchanges(self.first[:number], self.second[:number])


@dataclass(frozen=True, eq=False)
class Design:
    """The rows of two modalities, arranged so that statistics of any exchange are sums over slots.

    A cluster is what is independent of the rest. Clusters are put into groups at random, one cluster a group where there are few;
    a slot holds one modality's rows of a group. All members of a group are exchanged or left out together.

    orders: the rows of the first and of the second modality, by slot; starts: (S + 1,) the pooled place where each slot begins,
    those of the first modality first, in the order of groups; cluster: (N,) of each pooled row.
    """

    orders: tuple[Indices, Indices]
    starts: Indices
    cluster: Indices

    @property
    def groups(self) -> int:
        """The number of groups."""
        return (len(self.starts) - 1) // 2

    @property
    def first(self) -> int:
        """How many slots are the first modality's."""
        return self.groups

    @cached_property
    def group(self) -> Indices:
        """The group of each slot."""
        return np.tile(np.arange(self.groups), 2)

    @property
    def independent(self) -> int:
        """The number of clusters."""
        return int(self.cluster.max()) + 1

    @cached_property
    def counts(self) -> Indices:
        """Rows in each slot."""
        return np.diff(self.starts)

    @cached_property
    def side(self) -> Indices:
        """The modality of each slot, 0 or 1."""
        return np.repeat([0, 1], self.groups)

    @cached_property
    def is_first(self) -> Array:
        """1 for the first modality's slots, 0 for the second's."""
        return np.asarray(1.0 - self.side, dtype=np.float64)

    @property
    def as_given(self) -> Exchanges:
        """The sample itself, as an exchange that leaves everything where it is."""
        return Exchanges(self.is_first[None], 1 - self.is_first[None])

    def given_and(self, exchanges: Exchanges) -> Exchanges:
        """The sample itself and exchanges of it, (1 + R, S)."""
        both = (self.as_given.first, exchanges.first), (self.as_given.second, exchanges.second)
        return Exchanges(*(np.concatenate(one) for one in both))

    @cached_property
    def slot_of_row(self) -> Indices:
        """The slot of each pooled row."""
        return np.repeat(np.arange(len(self.group)), self.counts)

    @cached_property
    def group_of_row(self) -> Indices:
        """The group of each pooled row."""
        return self.group[self.slot_of_row]

    @cached_property
    def kin(self) -> Array:
        """Ordered pairs of rows of one cluster, a row with itself among them, by slots, (S, S)."""
        slots = len(self.group)
        result = np.zeros((slots, slots))
        pairs, times = np.unique(self.cluster * slots + self.slot_of_row, return_counts=True)
        cluster, slot = pairs // slots, pairs % slots
        # Clusters have few slots: each pair of them is met at some distance in the list, which is sorted by cluster.
        for apart in range(len(pairs)):
            same = cluster[apart:] == cluster[: len(pairs) - apart]
            if not same.any():
                break
            one, other = slot[: len(pairs) - apart][same], slot[apart:][same]
            product = (times[: len(pairs) - apart] * times[apart:])[same].astype(float)
            np.add.at(result, (one, other), product)
            if apart:
                np.add.at(result, (other, one), product)
        return result

    @cached_property
    def strangers(self) -> Array:
        """Ordered pairs of rows of different clusters by slots, (S, S)."""
        return np.asarray(np.outer(self.counts, self.counts) - self.kin)

    def by_group(self, values: Array) -> Array:
        """Sums over the groups of what is given by slot, (..., S) to (..., groups)."""
        return np.asarray(values @ self._memberships)

    @cached_property
    def _memberships(self) -> Array:
        """1 where a slot is of a group, (S, groups)."""
        return np.asarray(self.group[:, None] == np.arange(self.groups), dtype=np.float64)

    def rows_by_group(self, values: Array) -> Array:
        """Sums over the groups of what is given by pooled row, (N,) to (groups,)."""
        return np.bincount(self.group_of_row, values, self.groups).astype(np.float64)

    def exchanges(self, number: int, rng: np.random.Generator) -> Exchanges:
        """Exchanges of the modalities of every group with probability 1/2, (number, S).

        A group of a rows of the first modality and b of the second gives its b rows to the first sample, a/b each, and its a rows
        to the second, b/a each: the sign of what it adds to the difference of both samples changes. Exact for partners that are
        exchangeable one by one; a wild bootstrap of clusters else [Cameron, Gelbach and Miller 2008].
        """
        swapped = np.tile(rng.random((number, self.groups)) < 0.5, 2)
        first_rows, second_rows = self.counts[: self.groups], self.counts[self.groups :]
        ratio = np.concatenate([second_rows / first_rows, first_rows / second_rows])
        moved = swapped * ratio
        first = np.where(swapped, np.where(self.side == 1, moved, 0.0), self.is_first)
        second = np.where(swapped, np.where(self.side == 0, moved, 0.0), 1 - self.is_first)
        return Exchanges(first, second)


def arrange(clusters: tuple[Indices, Indices], rng: np.random.Generator, most_groups: int = MOST_GROUPS) -> Design:
    """A design for rows whose clusters, numbered from 0 and the same for both modalities, are given."""
    number = int(clusters[0].max()) + 1
    groups = min(number, most_groups)
    group = np.empty(number, dtype=np.int64)
    group[rng.permutation(number)] = np.arange(number) * groups // number
    slots = [group[own] for own in clusters]
    orders = [np.argsort(slot, kind="stable") for slot in slots]
    counts = np.concatenate([np.bincount(slot, minlength=groups) for slot in slots])
    pooled = np.concatenate([one[order] for one, order in zip(clusters, orders, strict=True)])
    return Design((orders[0], orders[1]), np.concatenate([[0], np.cumsum(counts)]), pooled)
