"""How a sample is laid out: clusters in groups, rows in slots, and the exchanges of modalities within clusters."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fieldsolve.numerics.arrays import Array, Indices

MOST_SLOTS = 256  # about: each kind of cluster has a group at least
LARGEST_PERMUTED = 16  # rows of a cluster that change places one by one


@dataclass(frozen=True, eq=False)
class Design:
    """The rows of two modalities, arranged so that statistics of any exchange are sums over slots.

    A cluster is what is independent of the rest. Clusters of one shape are put into groups at random, one cluster a group where
    there are few; a slot holds the rows that have the same place in their clusters, over a group. All members of a group are
    exchanged or left out together.

    orders: the rows of the first and of the second modality, by slot; starts: (S + 1,) the pooled place where each slot begins,
    those of the first modality first; group: (S,) the group of each slot; first: how many slots are the first modality's;
    cluster: (N,) of each pooled row; exchangeable: (groups,) whether the clusters of a group can exchange their modalities.
    """

    orders: tuple[Indices, Indices]
    starts: Indices
    group: Indices
    first: int
    cluster: Indices
    exchangeable: np.ndarray

    @property
    def groups(self) -> int:
        """The number of groups."""
        return len(self.exchangeable)

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
        return (np.arange(len(self.group)) >= self.first).astype(np.int64)

    @cached_property
    def is_first(self) -> Array:
        """1 for the first modality's slots, 0 for the second's."""
        return np.asarray(1.0 - self.side, dtype=np.float64)

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

    def exchanges(self, number: int, rng: np.random.Generator) -> Array | None:
        """Slots that count as the first modality's when members of clusters exchange modalities, 1 or 0, (number, S).

        Of every group that can, as many slots as are the first modality's, drawn uniformly; None where no group can.
        """
        if not self.exchangeable.any():
            return None
        keys = rng.random((number, len(self.group)))
        chosen = np.tile(self.is_first, (number, 1))
        for group in np.flatnonzero(self.exchangeable):
            members = np.flatnonzero(self.group == group)
            ranks = np.argsort(np.argsort(keys[:, members], axis=1), axis=1)
            chosen[:, members] = ranks < np.count_nonzero(members < self.first)
        return chosen


def arrange(clusters: tuple[Indices, Indices], rng: np.random.Generator) -> Design:
    """A design for rows whose clusters, numbered from 0 and the same for both modalities, are given.

    A row with its partners has a slot a member: any of them may stand for the row. A cluster of as many rows of one modality as
    of the other, copies of pairs, has one slot for either modality, and exchanges them as a whole. Others are not exchanged.
    """
    number = int(clusters[0].max()) + 1
    shapes = np.stack([np.bincount(one, minlength=number) for one in clusters], axis=1)
    permuted = (shapes.min(axis=1) == 1) & (shapes.sum(axis=1) <= LARGEST_PERMUTED)
    widths = np.where(permuted[:, None], shapes, 1)
    able = permuted | (shapes[:, 0] == shapes[:, 1])
    kinds, kind = np.unique(np.column_stack([widths, able]), axis=0, return_inverse=True)
    kind = kind.ravel()
    budget = MOST_SLOTS / float(np.mean(kinds[kind, :2].sum(axis=1)))
    group = np.empty(number, dtype=np.int64)
    places: list[np.ndarray] = []
    for index, one in enumerate(kinds):
        members = rng.permutation(np.flatnonzero(kind == index))
        groups = min(len(members), max(1, int(budget * len(members) / number)))
        group[members] = len(places) + np.arange(len(members)) * groups // len(members)
        places += [one] * groups
    table = np.array(places)
    orders, starts, slot_groups = [], [0], []
    for modality in (0, 1):
        offsets = np.concatenate([[0], np.cumsum(table[:, modality])])
        own = clusters[modality]
        position = np.where(permuted[own], position_in_cluster(own), 0)
        slot = offsets[group[own]] + position
        orders.append(np.argsort(slot, kind="stable"))
        starts += (starts[-1] + np.cumsum(np.bincount(slot, minlength=int(offsets[-1])))).tolist()
        slot_groups.append(np.repeat(np.arange(len(places)), table[:, modality]))
    pooled = np.concatenate([one[order] for one, order in zip(clusters, orders, strict=True)])
    return Design(
        (orders[0], orders[1]),
        np.array(starts),
        np.concatenate(slot_groups),
        len(slot_groups[0]),
        pooled,
        table[:, 2].astype(bool),
    )


def position_in_cluster(cluster: Indices) -> Indices:
    """How many earlier rows each row's cluster has."""
    order = np.argsort(cluster, kind="stable")
    sorted_clusters = cluster[order]
    position = np.empty(len(cluster), dtype=np.int64)
    position[order] = np.arange(len(cluster)) - np.searchsorted(sorted_clusters, sorted_clusters)
    return position
