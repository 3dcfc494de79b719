"""Resampling of pairs by groups: what bootstraps, exchanges and splits of a sample have in common."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.numerics.arrays import Array, Indices

MOST_SLOTS = 512
LARGEST_EXCHANGEABLE = 16  # members of a cluster; those of larger ones are not exchanged

_SPLITS = 20  # of one modality


@dataclass(frozen=True, eq=False)
class Slots:
    """The rows of two modalities, arranged so that statistics of any resample are sums over slots.

    A cluster is a row of one modality with its partners of the other. Clusters of one shape are put into groups at random, one
    cluster a group where there are few; a slot holds the rows that have the same place in their clusters, over a group. All
    members of a group are resampled, exchanged or split together.

    orders: the rows of the first and of the second modality, by slot; starts: (S + 1,) the pooled place where each slot begins,
    those of the first modality first; group: (S,) the group of each slot; first: how many slots are the first modality's.
    exchangeable: whether places in a cluster are slots of their own, so that its members can exchange modalities.
    """

    orders: tuple[Indices, Indices]
    starts: Indices
    group: Indices
    first: int
    groups: int
    exchangeable: bool

    @property
    def counts(self) -> Indices:
        """Rows in each slot."""
        return np.diff(self.starts)

    @property
    def is_first(self) -> Array:
        """1 for the first modality's slots, 0 for the second's."""
        return (np.arange(len(self.group)) < self.first).astype(np.float64)

    @property
    def slot_of_row(self) -> Indices:
        """The slot of each pooled row."""
        return np.repeat(np.arange(len(self.group)), self.counts)

    def both(self, weights: Array) -> tuple[Array, Array]:
        """Weights of slots in the first and in the second modality, (R, S) each, from weights of groups (R, groups)."""
        spread = weights[:, self.group]
        return spread * self.is_first, spread * (1 - self.is_first)


@dataclass(frozen=True, eq=False)
class Draws:
    """What is drawn of the groups of a sample, the same for every metric.

    whole: (1, groups), the sample itself; bootstraps: (R, groups), how often each group is drawn, with replacement; labels: (R,
    S), slots that count as the first modality's when members of clusters exchange modalities, 1 or 0, or None where they
    cannot; halves: (splits, groups), the groups of one half, 1 or 0.
    """

    whole: Array
    bootstraps: Array
    labels: Array | None
    halves: Array


def draw(slots: Slots, resamples: int, rng: np.random.Generator) -> Draws:
    """Draw so many bootstraps and exchanges."""
    groups = slots.groups
    return Draws(
        whole=np.ones((1, groups)),
        bootstraps=rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(np.float64),
        labels=_exchanged(slots, rng.random((resamples, len(slots.group)))) if slots.exchangeable else None,
        halves=halve(groups, rng),
    )


def halve(count: int, rng: np.random.Generator) -> Array:
    """Random halves of so many things, 1 or 0: (splits, count)."""
    ranks = np.argsort(rng.random((_SPLITS, count)), axis=1)
    return (ranks < count // 2).astype(np.float64)


def _exchanged(slots: Slots, keys: Array) -> Array:
    """In every group as many of its slots as are the first modality's, those with the least keys."""
    chosen = np.zeros(keys.shape)
    for group in range(slots.groups):
        members = np.flatnonzero(slots.group == group)
        ranks = np.argsort(np.argsort(keys[:, members], axis=1), axis=1)
        chosen[:, members] = ranks < np.count_nonzero(members < slots.first)
    return chosen


def arrange(clusters: tuple[Indices, Indices], rng: np.random.Generator) -> Slots:
    """Slots for rows whose clusters, numbered from 0 and the same for both modalities, are given."""
    number = int(clusters[0].max()) + 1
    shapes = np.stack([np.bincount(one, minlength=number) for one in clusters], axis=1)
    exchangeable = int(shapes.sum(axis=1).max()) <= LARGEST_EXCHANGEABLE
    # Clusters too large for a slot a place are taken as a whole: one slot for each modality's members.
    if not exchangeable:
        shapes = np.ones_like(shapes)
    kinds, kind = np.unique(shapes, axis=0, return_inverse=True)
    group = np.empty(number, dtype=np.int64)
    places: list[tuple[int, int]] = []
    budget = MOST_SLOTS / float(np.mean(kinds[kind].sum(axis=1)))
    for index, (first, second) in enumerate(kinds):
        members = rng.permutation(np.flatnonzero(kind == index))
        groups = min(len(members), max(1, int(budget * len(members) / number)))
        group[members] = len(places) + np.arange(len(members)) * groups // len(members)
        places += [(int(first), int(second))] * groups
    orders, starts, slot_groups, first_slots = [], [0], [], 0
    for modality in (0, 1):
        widths = np.array([place[modality] for place in places])
        offsets = np.concatenate([[0], np.cumsum(widths)])
        position = position_in_cluster(clusters[modality]) if exchangeable else np.zeros(len(clusters[modality]), np.int64)
        slot = offsets[group[clusters[modality]]] + position
        orders.append(np.argsort(slot, kind="stable"))
        starts += (starts[-1] + np.cumsum(np.bincount(slot, minlength=int(offsets[-1])))).tolist()
        slot_groups.append(np.repeat(np.arange(len(places)), widths))
        first_slots = first_slots or int(offsets[-1])
    return Slots((orders[0], orders[1]), np.array(starts), np.concatenate(slot_groups), first_slots, len(places), exchangeable)


def position_in_cluster(cluster: Indices) -> Indices:
    """How many earlier rows each row's cluster has."""
    order = np.argsort(cluster, kind="stable")
    sorted_clusters = cluster[order]
    position = np.empty(len(cluster), dtype=np.int64)
    position[order] = np.arange(len(cluster)) - np.searchsorted(sorted_clusters, sorted_clusters)
    return position
