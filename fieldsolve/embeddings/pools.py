"""Search by inner product in one modality's rows, and in a pool of both: where a query finds its partners."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.compiled import jit
from fieldsolve.numerics.errors import InputError

#: Embeddings (n, d), in single or double precision.
Table = np.ndarray[tuple[int, ...], np.dtype[np.float32 | np.float64]]

_BLOCK = 256  # queries at a time
_PRODUCT = 100  # operations that a similarity costs, about
_ROUNDING = (3e-7, 1e-13)  # of similarities in single and in double precision


#: Similarities of some rows of a modality, by their places, with all rows of the other one and of their own, (b, m) and (b, n).
Similar = Callable[[Indices], tuple[Table, Table]]


@dataclass(frozen=True, eq=False)
class Search:
    """How queries of one modality find the nearest of their partners, ties broken at random; arrays are over queries (q,).

    first: the probability that a partner is the nearest row of the other modality; rank: the nearest partner's mean rank among
    them, from 1; mixed_first, mixed_rank: the same among these and all other rows of the query's own modality; other_share: of
    the other modality among the nearest `depth` of that pool; nearest: these and the next one, (q, depth + 1), rows of the other
    modality by their places and those of the own from m on.
    """

    first: Array
    rank: Array
    mixed_first: Array
    mixed_rank: Array
    other_share: Array
    nearest: Indices
    depth: int

    @property
    def recall(self) -> float:
        """The share of queries of which a partner is the nearest row of the other modality."""
        return float(np.mean(self.first))

    @property
    def median_rank(self) -> float:
        """Of the nearest partner in the pool of both."""
        return float(np.median(self.mixed_rank))


def search(
    queries: Table, others: Table, partners: Indices | None = None, chosen: Indices | None = None, depth: int = 10
) -> Search:
    """Let rows of `queries` (n, d) look for their partners in `others` (m, d), by inner product.

    partners: (2, k), row of `queries` and row of `others`, row by row without; chosen: the rows that look, (q,), all without.
    The pool of both has all rows of `others` and all of `queries` but the one that looks. Similarities that differ by rounding
    are the same. Raises InputError for tables of different shapes without `partners`, and for rows chosen that have none.
    """
    if queries.shape[1] != others.shape[1] or (partners is None and len(queries) != len(others)):
        raise InputError(f"queries and partners are matched rows of one space, not of shapes {queries.shape} and {others.shape}")
    partners = np.stack([np.arange(len(queries))] * 2) if partners is None else partners
    chosen = np.arange(len(queries)) if chosen is None else chosen

    def similar(rows: Indices) -> tuple[Table, Table]:
        return queries[rows] @ others.T, queries[rows] @ queries.T

    return search_by(similar, (len(queries), len(others)), partners, chosen, depth)


def search_by(similar: Similar, counts: tuple[int, int], partners: Indices, chosen: Indices, depth: int = 10) -> Search:
    """The same where similarities are computed some other way; counts: rows of the modality that looks and of the other."""
    starts, listed = _lists(partners, counts[0])
    if np.any(starts[chosen] == starts[chosen + 1]):
        raise InputError("some rows that look have no partner; leave them out")
    depth = min(depth, sum(counts) - 2)
    found, nearest = np.empty((5, len(chosen))), np.empty((len(chosen), depth + 1), dtype=np.int64)

    def look(first: int, last: int) -> None:
        for block in range(first, last):
            part = slice(block * _BLOCK, min((block + 1) * _BLOCK, len(chosen)))
            across, own = similar(chosen[part])
            tied = tolerance(across)
            _look(across, own, chosen[part], starts, listed, tied, found[:, part], nearest[part])

    with threads.one_blas_thread():
        threads.over_blocks(look, -(-len(chosen) // _BLOCK), len(chosen) * sum(counts) * _PRODUCT)
    return Search(found[0], found[1], found[2], found[3], found[4], nearest, depth)


def tolerance(table: Table) -> float:
    """By how much similarities of unit rows may differ and be tied: what rounding can make of them."""
    return _ROUNDING[table.dtype.name == "float64"]


def _lists(partners: Indices, count: int) -> tuple[Indices, Indices]:
    """The partners of every row one after the other, and where each row's begin, (count + 1,)."""
    order = np.argsort(partners[0], kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(partners[0], minlength=count))])
    return starts.astype(np.int64), partners[1][order].astype(np.int64)


@jit()
def _look(across, own, rows, starts, partners, tied, found, nearest):
    """Ranks of the nearest partner, the nearest rows and the other modality's share, for similarities (b, m) and (b, n)."""
    depth = nearest.shape[1] - 1
    top = np.empty(depth + 1, across.dtype)
    for i in range(len(rows)):
        line, mine = across[i], own[i]
        mine[rows[i]] = -np.inf
        wanted, best = -np.inf, 0
        for k in range(starts[rows[i]], starts[rows[i] + 1]):
            wanted = max(wanted, line[partners[k]])
        for k in range(starts[rows[i]], starts[rows[i] + 1]):
            best += line[partners[k]] >= wanted - tied
        ahead, level = _counts(line, wanted + tied, wanted - tied)
        own_ahead, own_level = _counts(mine, wanted + tied, wanted - tied)
        # Of e rows that are level with p partners so many come before the first of these on average: e/(p + 1).
        strangers, own_strangers = level - ahead - best, own_level - own_ahead
        found[0, i] = best / (best + strangers) if ahead == 0 else 0.0
        found[1, i] = 1 + ahead + strangers / (best + 1)
        both = strangers + own_strangers
        found[2, i] = best / (best + both) if ahead + own_ahead == 0 else 0.0
        found[3, i] = 1 + ahead + own_ahead + both / (best + 1)
        top[:] = -np.inf
        _keep(line, 0, top, nearest[i])
        _keep(mine, len(line), top, nearest[i])
        least = top[depth - 1]
        (inside, level), (own_inside, own_level) = (
            _counts(line, least + tied, least - tied),
            _counts(mine, least + tied, least - tied),
        )
        edge, own_edge = level - inside, own_level - own_inside
        share = edge / (edge + own_edge)
        found[4, i] = (inside + (depth - inside - own_inside) * share) / depth


@jit()
def _counts(values, high, low):
    """How many values reach each of two limits, compared in their own precision."""
    limits = np.array([high, low]).astype(values.dtype)
    upper, lower = limits[0], limits[1]
    above, reached = np.int32(0), np.int32(0)
    for k in range(len(values)):
        above += np.int32(values[k] >= upper)
        reached += np.int32(values[k] >= lower)
    return np.int64(above), np.int64(reached)


@jit()
def _keep(values, begin, top, places):
    """Put values into the largest ones found so far, the largest first, with their places counted from `begin`."""
    last = len(top) - 1
    for k in range(len(values)):
        if values[k] > top[last]:
            at = last
            while at > 0 and top[at - 1] < values[k]:
                top[at], places[at] = top[at - 1], places[at - 1]
                at -= 1
            top[at], places[at] = values[k], begin + k


def own_neighbours(before: Table, after: Table, depth: int = 10) -> float:
    """The mean share of each row's nearest rows of its own modality, by inner product, that are the same before and after."""
    depth = min(depth, len(before) - 1)
    one, other = nearest_of_own(before, depth), nearest_of_own(after, depth)
    return sum(len(np.intersect1d(*pair)) for pair in zip(one, other, strict=True)) / one.size


def nearest_of_own(rows: Table, depth: int) -> Indices:
    """The rows of the same table that are nearest to each row by inner product, itself left out, in no order: (n, depth)."""
    found = np.empty((len(rows), depth), dtype=np.int64)
    for begin in range(0, len(rows), _BLOCK):
        block = np.arange(begin, min(begin + _BLOCK, len(rows)))
        own = rows[block] @ rows.T
        own[np.arange(len(block)), block] = -np.inf
        found[block] = np.argpartition(own, -depth, axis=1)[:, -depth:]
    return found
