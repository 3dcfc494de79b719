"""Hubness: how unevenly rows are found, and what it costs retrieval."""

import numpy as np

from fieldsolve.diagnose.metrics.metric import Definition, Family, Metric, of_estimate
from fieldsolve.diagnose.statistics.estimate import left_out, share_interval
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.numerics.arrays import Array, Indices, Rows

DEPTH = 10
MOST_CLUSTERS = 4096

_WHERE = f"among queries of at most {MOST_CLUSTERS} clusters, by cosine"

DEFINITIONS = (
    *(
        Definition(
            f"hubness_{own}",
            f"hubness of {own}",
            f"skewness of how often rows of {own} are among the {DEPTH} nearest of a row of {other}, {_WHERE}",
            "Radovanovic et al. 2010, JMLR 11:2487",
            "About 0 where rows are found alike; above 2 few rows (hubs) crowd the answers. It rises with the dimension.",
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
            "About e^-10 where queries find rows at random. With hubs others are found by nobody.",
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
            f"recall@1 by s/tau - log sum e^(s/tau) over all queries of {own}, {_WHERE}",
            "Smith et al. 2017, arXiv 1702.03859",
            "What retrieval is once popular rows are held back; beside recall@1 it says what hubs cost. It needs the other "
            "queries at hand.",
            least=0.0,
            most=1.0,
            of_n=True,
        )
        for own, other in ("ab", "ba")
    ),
)


def measure(pooled: Matched, rng: np.random.Generator) -> dict[str, Metric]:
    """All of them."""
    clusters = np.sort(rng.permutation(pooled.design.independent)[:MOST_CLUSTERS])
    places = [part.start + np.flatnonzero(np.isin(pooled.design.cluster[part], clusters)) for part in pooled.cloud.parts]
    sides = [pooled.cloud.given(side)[places[side] - part.start] for side, part in enumerate(pooled.cloud.parts)]
    cosines = np.asarray(sides[0] @ sides[1].T)
    number = np.full(len(pooled.cloud.rows), -1)
    for one in places:
        number[one] = np.arange(len(one))
    links = number[pooled.matching.partners]
    links = links[:, np.all(links >= 0, axis=0)]
    found: dict[str, Metric] = {}
    for side, (own, other) in enumerate((("a", "b"), ("b", "a"))):
        table, pairs = (cosines, links) if side == 0 else (cosines.T, links[::-1])
        found |= _occurrences(pooled, table, places[side], other)
        hits = _inverted(table, pairs, pooled.tau)
        share = pooled.mean(hits, places[side])
        metric = Metric(share.value, *share_interval(share, len(clusters)))
        found[f"recall_{own}_to_{other}_at_1_inverted"] = metric
    return found


def _occurrences(pooled: Matched, table: Rows, queries: Indices, gallery: str) -> dict[str, Metric]:
    """How unevenly the columns of a table of similarities are found by its rows; errors by leaving groups of rows out."""
    depth = min(DEPTH, table.shape[1] - 1)
    nearest = np.argpartition(table, -depth, axis=1)[:, -depth:]
    group, columns = pooled.design.group_of_row[queries], table.shape[1]
    present = np.unique(group, return_inverse=True)[1]
    by_group = np.bincount((present[:, None] * columns + nearest).ravel(), minlength=(present.max() + 1) * columns)
    by_group = by_group.reshape(-1, columns).astype(float)
    whole = by_group.sum(axis=0)
    skewness = left_out(_skewness(whole), np.array([_skewness(whole - one) for one in by_group]))
    missed = left_out(float(np.mean(whole == 0)), np.array([np.mean(whole == one) for one in by_group]))
    return {
        f"hubness_{gallery}": of_estimate(skewness),
        f"never_retrieved_{gallery}": Metric(missed.value, *share_interval(missed, columns)),
    }


def _skewness(counts: Array) -> float:
    away = counts - counts.mean()
    spread = float(np.mean(away**2))
    return float(np.mean(away**3)) / spread**1.5 if spread > 0 else 0.0


def _inverted(table: Rows, pairs: Indices, tau: float) -> Array:
    """Of each row the chance that a partner has the largest score, less how well its column is liked by all rows."""
    scores = table.astype(np.float64) / tau
    largest = scores.max(axis=0)
    scores -= largest + np.log(np.exp(scores - largest).sum(axis=0))
    best = scores.max(axis=1)
    level = scores >= (best - 1e-9 / tau)[:, None]
    partners = np.bincount(pairs[0], level[pairs[0], pairs[1]], len(table))
    return np.asarray(partners / level.sum(axis=1))


FAMILY = Family("hubness", "Hubness", DEFINITIONS, measure)
