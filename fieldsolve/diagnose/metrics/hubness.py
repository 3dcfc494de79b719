"""Hubness: how unevenly rows are found, and what it costs retrieval."""

from collections.abc import Iterator

import numpy as np

from fieldsolve.diagnose.metrics.metric import Definition, Family, Metric, of_estimate
from fieldsolve.diagnose.metrics.mixed import queries_of
from fieldsolve.diagnose.statistics.estimate import left_out, share_interval
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.embeddings.pools import tolerance
from fieldsolve.numerics.arrays import Array, Indices, Rows

DEPTH = 10

_BLOCK = 256  # queries at a time

_WHERE = "by cosine, ties shared; queries as of the mixed index, the gallery is whole"

DEFINITIONS = (
    *(
        Definition(
            f"hubness_{own}",
            f"hubness of {own}",
            f"skewness of how often rows of {own} are among the {DEPTH} nearest of a row of {other}, {_WHERE}",
            "Radovanovic et al. 2010, JMLR 11:2487",
            f"Where q queries find m rows at random sqrt(m/({DEPTH} q)), 0.3 for one size; above 2 few rows (hubs) crowd the "
            "answers. "
            "It rises with the dimension.",
            of_n=True,
        )
        for own, other in ("ab", "ba")
    ),
    *(
        Definition(
            f"never_retrieved_{own}",
            f"rows of {own} never retrieved",
            f"share of rows of {own} that are among the {DEPTH} nearest of no row of {other}, {_WHERE}",
            "Radovanovic et al. 2010, JMLR 11:2487",
            f"Where q queries find m rows at random e^(-{DEPTH} q/m), 5e-5 for one size. With hubs others are found by nobody.",
            least=0.0,
            most=1.0,
            of_n=True,
        )
        for own, other in ("ab", "ba")
    ),
    *(
        Definition(
            f"recall_{own}_to_{other}_at_1_inverted",
            f"recall@1, {own} to {other}, inverted softmax",
            f"recall@1 by s/tau - log sum e^(s/tau) over the queries, {_WHERE}",
            "Smith et al. 2017, arXiv 1702.03859",
            "What retrieval is once popular rows are held back; beside recall@1 it says what hubs cost. It needs other queries "
            "at "
            "hand.",
            least=0.0,
            most=1.0,
            of_n=True,
        )
        for own, other in ("ab", "ba")
    ),
)


def measure(pooled: Matched, rng: np.random.Generator) -> dict[str, Metric]:
    """All of them."""
    rows = [pooled.cloud.given(side) for side in (0, 1)]
    found: dict[str, Metric] = {}
    for side, (own, other) in enumerate((("a", "b"), ("b", "a"))):
        queries = queries_of(len(rows[side]))
        places = queries + pooled.cloud.parts[side].start
        found |= _occurrences(pooled, rows[side][queries], rows[1 - side], places, side)
        hits = _inverted(pooled, rows[side][queries], rows[1 - side], queries, side)
        share = pooled.mean(hits, places)
        clusters = len(np.unique(pooled.design.cluster[places]))
        found[f"recall_{own}_to_{other}_at_1_inverted"] = Metric(share.value, *share_interval(share, clusters, len(hits)))
    return found


def _blocks(queries: Rows, gallery: Rows) -> Iterator[tuple[slice, Rows]]:
    for begin in range(0, len(queries), _BLOCK):
        part = slice(begin, min(begin + _BLOCK, len(queries)))
        yield part, np.asarray(queries[part] @ gallery.T)


def _occurrences(pooled: Matched, queries: Rows, gallery: Rows, places: Indices, side: int) -> dict[str, Metric]:
    """How unevenly the gallery's rows are found; errors by leaving groups out, as queries and as rows."""
    depth, tied = min(DEPTH, len(gallery) - 1), tolerance(gallery)
    of_query = pooled.design.group_of_row[places]
    of_row = pooled.design.group_of_row[pooled.cloud.parts[1 - side]]
    by_group = np.zeros((pooled.design.groups, len(gallery)))
    for part, table in _blocks(queries, gallery):
        least = np.partition(table, -depth, axis=1)[:, -depth, None]
        inside = table > least + tied
        edge = ~inside & (table >= least - tied)
        left = (depth - inside.sum(axis=1)) / edge.sum(axis=1)
        member = (of_query[part] == np.arange(pooled.design.groups)[:, None]).astype(float)
        by_group += member @ (inside + left[:, None] * edge)
    whole = by_group.sum(axis=0)
    without = [(whole - one)[of_row != number] for number, one in enumerate(by_group)]
    skewness = left_out(_skewness(whole), np.array([_skewness(one) for one in without]))
    missed = left_out(float(np.mean(whole < _NEVER)), np.array([np.mean(one < _NEVER) for one in without]))
    letter, clusters = "ba"[side], len(np.unique(pooled.design.cluster[pooled.cloud.parts[1 - side]]))
    return {
        f"hubness_{letter}": of_estimate(skewness),
        f"never_retrieved_{letter}": Metric(missed.value, *share_interval(missed, clusters, len(gallery))),
    }


_NEVER = 1e-9  # of how often a row is found: sums of shares less those of a group


def _skewness(counts: Array) -> float:
    away = counts - counts.mean()
    spread = float(np.mean(away**2))
    return float(np.mean(away**3)) / spread**1.5 if spread > _NEVER else 0.0


def _inverted(pooled: Matched, queries: Rows, gallery: Rows, chosen: Indices, side: int) -> Array:
    """Of each query the chance that a partner has the largest score, less how well its row is liked by all queries."""
    scale = 1 / pooled.tau
    largest = np.full(len(gallery), -np.inf)
    for _, table in _blocks(queries, gallery):
        largest = np.maximum(largest, table.max(axis=0))
    liked = np.zeros(len(gallery))
    for _, table in _blocks(queries, gallery):
        liked += np.exp(scale * (table - largest)).sum(axis=0)
    level = scale * largest + np.log(liked)
    first, second = pooled.matching.partners if side == 0 else pooled.matching.partners[::-1]
    number = np.full(len(pooled.cloud.rows), -1)
    number[chosen + pooled.cloud.parts[side].start] = np.arange(len(chosen))
    pairs = np.stack([number[first], second - pooled.cloud.parts[1 - side].start])[:, number[first] >= 0]
    hits = np.empty(len(queries))
    for part, table in _blocks(queries, gallery):
        scores = scale * table.astype(np.float64) - level
        is_best = scores >= scores.max(axis=1, keepdims=True) - scale * tolerance(gallery)
        here = pairs[:, (pairs[0] >= part.start) & (pairs[0] < part.stop)]
        partners = np.bincount(here[0] - part.start, is_best[here[0] - part.start, here[1]], len(scores))
        hits[part] = partners / is_best.sum(axis=1)
    return hits


FAMILY = Family("hubness", "Hubness", DEFINITIONS, measure)
