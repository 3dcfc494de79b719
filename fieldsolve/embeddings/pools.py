"""Search by inner product in one modality's rows, and in a pool of both: where a query finds its partner."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

_BLOCK = 1024  # queries at a time
_ROUNDING = (3e-7, 1e-13)  # of similarities in single and in double precision


@dataclass(frozen=True, eq=False)
class Search:
    """How queries of one modality find their partners, ties broken at random; arrays are over queries (n,).

    first: the probability that the partner is the nearest row of the other modality; rank: the partner's mean rank among them,
    from 1; mixed_rank: among these and all other rows of the query's own; other_share: of the other modality among the nearest
    `depth` of the pool.
    """

    first: Array
    rank: Array
    mixed_rank: Array
    other_share: Array
    depth: int

    @property
    def recall(self) -> float:
        """The share of queries whose partner is the nearest row of the other modality."""
        return float(np.mean(self.first))

    @property
    def median_rank(self) -> float:
        """Of the partner in the pool of both."""
        return float(np.median(self.mixed_rank))


def search(queries: Array, partners: Array, depth: int = 10) -> Search:
    """Let each row of `queries` (n, d) look for the same row of `partners` (n, d), by inner product.

    Similarities that differ by rounding are the same. Raises InputError for tables of different shapes.
    """
    if queries.shape != partners.shape:
        raise InputError(
            f"queries and partners are matched rows of one space, not of shapes {queries.shape} and {partners.shape}"
        )
    count = len(queries)
    depth = min(depth, 2 * count - 1)
    first, rank, mixed, share = (np.empty(count) for _ in range(4))
    tied = _ROUNDING[queries.dtype.name == "float64"]
    for begin in range(0, count, _BLOCK):
        chosen = np.arange(begin, min(begin + _BLOCK, count))
        place = np.arange(len(chosen))
        across, own = queries[chosen] @ partners.T, queries[chosen] @ queries.T
        own[place, chosen] = -np.inf
        wanted = across[place, chosen][:, None]
        ahead, level = np.sum(across > wanted + tied, axis=1), np.sum(np.abs(across - wanted) <= tied, axis=1)
        own_ahead, own_level = np.sum(own > wanted + tied, axis=1), np.sum(np.abs(own - wanted) <= tied, axis=1)
        first[chosen] = (ahead == 0) / level
        rank[chosen] = 1 + ahead + 0.5 * (level - 1)
        mixed[chosen] = rank[chosen] + own_ahead + 0.5 * own_level
        nearest = np.argpartition(np.hstack([across, own]), -depth, axis=1)[:, -depth:]
        share[chosen] = np.mean(nearest < count, axis=1)
    return Search(first, rank, mixed, share, depth)


def own_neighbours(before: Array, after: Array, depth: int = 10) -> float:
    """The mean share of each row's nearest rows of its own modality, by inner product, that are the same before and after."""
    count = len(before)
    depth, kept = min(depth, count - 1), 0.0
    for begin in range(0, count, _BLOCK):
        chosen = np.arange(begin, min(begin + _BLOCK, count))
        found = []
        for rows in (before, after):
            own = rows[chosen] @ rows.T
            own[np.arange(len(chosen)), chosen] = -np.inf
            found.append(np.argpartition(own, -depth, axis=1)[:, -depth:])
        kept += sum(len(np.intersect1d(one, other)) for one, other in zip(*found, strict=True))
    return kept / (count * depth)
