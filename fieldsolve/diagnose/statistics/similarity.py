"""Whether partners have the same neighbours and similarities in both modalities, against partners passed on at random."""

from dataclasses import dataclass, replace

import numpy as np

from fieldsolve.diagnose.statistics.estimate import Estimate, left_out
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.embeddings.pools import tolerance
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.compiled import FUSE, jit

MOST_PAIRS = 512
NEIGHBOURS = 10


@dataclass(frozen=True, eq=False)
class Pairs:
    """One pair of each of some clusters: rows (m, d) of both modalities, their places, and permutations of partners (R, m)."""

    first: Array
    second: Array
    places: Indices
    permutations: Indices

    @classmethod
    def drawn(cls, pooled: Matched, number: int, rng: np.random.Generator) -> "Pairs":
        """Of at most MOST_PAIRS clusters, with so many permutations."""
        both = pooled.one_each(MOST_PAIRS, rng)
        first, second = (pooled.cloud.rows[rows].astype(np.float64) for rows in both)
        permutations = np.stack([rng.permutation(len(first)) for _ in range(number)])
        return cls(first, second, both[0], permutations)


def mutual_neighbours(pooled: Matched, pairs: Pairs) -> tuple[Estimate, Array]:
    """The mean share of a row's nearest ten that its partner has among its own [Huh et al. 2024], and that of permutations."""
    depth = min(NEIGHBOURS, len(pairs.first) - 2)
    given = [rows + centroid for rows, centroid in zip((pairs.first, pairs.second), pooled.cloud.centroids, strict=True)]
    near = [_near(rows, depth) for rows in given]
    both = near[0] * near[1]
    estimate = pooled.mean(both.sum(axis=1) / depth, pairs.places)
    # Rows are neighbours of others, too: what those would lack without them.
    reached = (both.sum(axis=0) / depth - estimate.value) / len(both)
    added = np.bincount(pooled.design.group_of_row[pairs.places], reached, pooled.design.groups)
    row, column = np.nonzero(near[0])
    shares = near[0][row, column]
    passed = [float(shares @ near[1][order[row], order[column]]) / (depth * len(both)) for order in pairs.permutations]
    return replace(estimate, single=estimate.single + added), np.array(passed)


def _near(rows: Array, depth: int) -> Array:
    """Which rows are among the nearest of each, itself left out, ties shared: (m, m)."""
    table, tied = rows @ rows.T, tolerance(rows)
    np.fill_diagonal(table, -np.inf)
    least = np.partition(table, -depth, axis=1)[:, -depth, None]
    inside = table > least + tied
    edge = ~inside & (table >= least - tied)
    return np.asarray(inside + (depth - inside.sum(axis=1))[:, None] / edge.sum(axis=1)[:, None] * edge)


def debiased_cka(pooled: Matched, pairs: Pairs) -> tuple[Estimate, Array]:
    """HSIC_1(K, L)/sqrt(HSIC_1(K, K) HSIC_1(L, L)) of linear kernels [Song et al. 2012], and that of permutations.

    Standard errors by leaving groups out. 0 where a modality does not vary.
    """
    groups = pooled.design.group_of_row[pairs.places]
    member = (groups[:, None] == np.unique(groups)).astype(float)
    tables = []
    for rows in (pairs.first, pairs.second):
        table = rows @ rows.T
        np.fill_diagonal(table, 0.0)
        tables.append(table)
    cross, own, other = (_hsic(tables[i], tables[j], member) for i, j in ((0, 1), (0, 0), (1, 1)))
    if own[0] <= 0 or other[0] <= 0:
        return Estimate(0.0, np.zeros(pooled.design.groups)), np.zeros(len(pairs.permutations))
    values = cross / np.sqrt(np.maximum(own * other, np.finfo(float).tiny))
    count, sums = len(pairs.first), [table.sum(axis=1) for table in tables]
    products = np.empty(len(pairs.permutations))
    threads.over_blocks(_permuted, len(products), products.size * count**2, *tables, pairs.permutations, products)
    mixed = np.array([sums[0] @ sums[1][order] for order in pairs.permutations])
    permuted = _statistic(products, sums[0].sum() * sums[1].sum(), mixed, count) / np.sqrt(own[0] * other[0])
    single = np.zeros(pooled.design.groups)
    single[np.unique(groups)] = left_out(float(values[0]), values[1:]).single
    return Estimate(float(values[0]), single), permuted


def _hsic(first: Array, second: Array, member: Array) -> Array:
    """HSIC_1 of two tables without diagonals: of all, and without each group; member: (m, G) of 1 and 0."""
    product, counts = first * second, member.sum(axis=0)
    reached = [member.T @ table for table in (product, first, second)]  # (G, m)
    inside = [np.sum(one * member.T, axis=1) for one in reached]
    whole = [float(table.sum()) for table in (product, first, second)]
    traces, ones, others = (
        np.concatenate([[total], total - 2 * one.sum(axis=1) + own])
        for total, one, own in zip(whole, reached, inside, strict=True)
    )
    sums = first.sum(axis=1), second.sum(axis=1)
    left = [np.where(member.T > 0, 0.0, one - part) for one, part in zip(sums, reached[1:], strict=True)]
    mixed = np.concatenate([[sums[0] @ sums[1]], np.sum(left[0] * left[1], axis=1)])
    return _statistic(traces, ones * others, mixed, len(first) - np.concatenate([[0.0], counts]))


def _statistic(trace: Array, sums: Array | float, mixed: Array, count: Array | int) -> Array:
    """[tr KL + 1'K1 1'L1/((m-1)(m-2)) - 2/(m-2) 1'KL1]/(m(m-3)) [Song et al. 2012, eq. 4]."""
    return np.asarray((trace + sums / ((count - 1) * (count - 2)) - 2 / (count - 2) * mixed) / (count * (count - 3)))


@jit(FUSE)
def _permuted(begin, end, first, second, permutations, products):
    """tr(K L) with the rows and columns of L in another order."""
    count = len(first)
    for number in range(begin, end):
        order, total = permutations[number], 0.0
        for i in range(count):
            line, other = first[i], second[order[i]]
            part = 0.0
            for j in range(count):
                part += line[j] * other[order[j]]
            total += part
        products[number] = total
