"""Mixed index: what queries of either modality find in one pool of both, as it is and with means taken off."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import hypot, sqrt
from typing import Any

import numpy as np

from fieldsolve.diagnose.metrics.metric import Definition, Family, Metric
from fieldsolve.diagnose.statistics.estimate import quantile_interval, share_interval, student
from fieldsolve.diagnose.statistics.folds import Folds
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.diagnose.statistics.separability import FOLDS
from fieldsolve.embeddings.centring import TREATMENTS
from fieldsolve.embeddings.pools import Search, search, search_by
from fieldsolve.numerics.arrays import Array, Indices

DEPTH = 10

#: Of each modality so many rows look, evenly spaced where there are more; the pool has all.
MOST_QUERIES = 1024

FIGURES = ("other_share_at_10", "partner_median_rank", "partner_recall_at_1", "recall_at_1")

_TREATED = {
    "raw": "as it is",
    "centred": "with each modality's mean taken off",
    "standardised": "with each modality's mean taken off, divided by its standard deviations",
}
_HOW = {
    "raw": "",
    "centred": "; rows less their modality's mean, scaled to length 1; means of other folds than either row's, or given",
    "standardised": "; components less their modality's mean over its standard deviation, scaled to length 1; of other "
    "folds than either row's, or given",
}
_WHAT = {
    "other_share_at_10": (
        f"share of rows of {{other}} among the {DEPTH} nearest of all of {{other}} and all other of {{own}}",
        "0 where queries find rows of their own modality only, as with an offset; 1/2 where both are of one size and mixed.",
        1.0,
    ),
    "partner_median_rank": (
        "median rank of the nearest partner among all rows of {other} and all other of {own}; ties at their mean rank",
        "1 if most partners come first; where every row of the own modality outranks them, as many as it has.",
        np.inf,
    ),
    "partner_recall_at_1": (
        "share of queries whose partner is the nearest of all rows of {other} and all other of {own}",
        "Recall in one index of both modalities.",
        1.0,
    ),
    "recall_at_1": (
        "share of queries whose partner is the nearest row of {other}",
        "Whether taking off means costs retrieval across: to be compared with that of rows as they are.",
        1.0,
    ),
}  # fmt: skip


def name_of(side: str, treatment: str, figure: str) -> str:
    """The name of a metric of queries of modality a or b."""
    return f"mixed_{side}_{treatment}_{figure}"


def gain_of(side: str, treatment: str) -> str:
    """The name of what a treatment adds to recall across of queries of modality a or b."""
    return f"mixed_{side}_{treatment}_recall_gain"


def nested(metrics: dict[str, Metric]) -> dict[str, Any]:
    """The metrics as JSON has them under `mixed`: by side, treatment and figure, each a value with its interval."""
    return {
        side: {
            treatment: {
                figure: {end: getattr(metrics[name_of(side, treatment, figure)], end) for end in ("value", "ci_low", "ci_high")}
                for figure in FIGURES
            }
            for treatment in TREATMENTS
        }
        for side in "ab"
    }


def _definitions() -> Iterator[Definition]:
    for own, other in ("ab", "ba"):
        for treatment in TREATMENTS:
            for figure in FIGURES:
                formula, meaning, most = _WHAT[figure]
                yield Definition(
                    name_of(own, treatment, figure),
                    f"{'mixed ' if figure != 'recall_at_1' else ''}{figure.replace('_at_', '@').replace('_', ' ')} of {own}, "
                    f"{_TREATED[treatment]}",
                    f"{formula.format(own=own, other=other)}{_HOW[treatment]}",
                    "Liang et al. 2022, arXiv 2203.02053" if treatment == "raw" else "Schrodi et al. 2024, arXiv 2404.07983",
                    meaning,
                    least=1.0 if figure == "partner_median_rank" else 0.0,
                    most=most,
                    of_n=True,
                )
            if treatment != "raw":
                yield Definition(
                    gain_of(own, treatment),
                    f"gain of recall@1 of {own}, {_TREATED[treatment]}",
                    f"recall@1 of queries of {own} among rows of {other} less that of rows as they are, the same queries",
                    "Bonett and Price 2012, J. Educational and Behavioral Statistics 37:479 (interval)",
                    "What the treatment costs or brings across modalities; paired, with two clusters more of which each has one.",
                    least=-1.0,
                    most=1.0,
                    of_n=True,
                )


DEFINITIONS = tuple(_definitions())


def measure(pooled: Matched, rng: np.random.Generator) -> dict[str, Metric]:
    """All of them."""
    folds, found = Folds.of(pooled), {}
    for side, letter in enumerate("ab"):
        looked = {treatment: look(pooled, folds, side, treatment) for treatment in TREATMENTS}
        for treatment, one in looked.items():
            for figure, metric in _figures(pooled, one).items():
                found[name_of(letter, treatment, figure)] = metric
            if treatment != "raw":
                found[gain_of(letter, treatment)] = _gain(pooled, looked["raw"], one)
    return found


def measure_raw(pooled: Matched) -> dict[str, Metric]:
    """What queries of both modalities find among rows as they are."""
    folds, found = Folds.of(pooled), {}
    for side, letter in enumerate("ab"):
        for figure, metric in _figures(pooled, look(pooled, folds, side, "raw")).items():
            found[name_of(letter, "raw", figure)] = metric
    return found


def _gain(pooled: Matched, raw: "Looked", other: "Looked") -> Metric:
    share = pooled.mean(other.found.first - raw.found.first, raw.rows)
    clusters = len(np.unique(pooled.design.cluster[raw.rows]))
    half = student(pooled.design.groups - 1) * hypot(share.standard_error, sqrt(2) / clusters)
    middle = share.value * clusters / (clusters + 2)
    return Metric(share.value, middle - half, middle + half)


@dataclass(frozen=True, eq=False)
class Looked:
    """What queries of a modality find; rows: their places among the pooled rows, (q,)."""

    found: Search
    rows: Indices
    side: int

    def reached(self, pooled: Matched) -> Array:
        """What each pooled row adds to the mean share of the other modality by being near to queries, (N,).

        Without it a query's first row beyond the ten would take its place.
        """
        split, total, m = pooled.cloud.first_rows, len(pooled.cloud.rows), pooled.cloud.parts[1 - self.side]
        count, nearest = m.stop - m.start, self.found.nearest
        is_other = nearest < count
        places = np.where(is_other, nearest + m.start, nearest - count + (0 if self.side == 0 else split))
        gained = is_other[:, :-1].astype(float) - is_other[:, -1:]
        return np.bincount(places[:, :-1].ravel(), gained.ravel(), total) / nearest[:, :-1].size


def look(pooled: Matched, folds: Folds, side: int, treatment: str) -> Looked:
    """What queries of a modality find among rows less means of other folds, unless means of other rows are given."""
    rows = folds.rows
    links = pooled.matching.partners - np.array([[0], [pooled.cloud.first_rows]])
    links = links if side == 0 else links[::-1]
    queries = queries_of(len(rows[side]))
    places = queries + pooled.cloud.parts[side].start
    if treatment == "raw" or pooled.means is not None:
        means = pooled.means
        treated = rows if means is None else [means.treat(one, index, treatment) for index, one in enumerate(rows)]
        return Looked(search(treated[side], treated[1 - side], links, queries, DEPTH), places, side)
    parts = []
    for number in range(FOLDS):
        here = queries[folds.fold[side][queries] == number]
        counts = len(rows[side]), len(rows[1 - side])
        parts.append(search_by(folds.similar(side, number, treatment), counts, links, here, DEPTH))
    order = np.argsort(np.concatenate([np.flatnonzero(folds.fold[side][queries] == number) for number in range(FOLDS)]))

    def joined(name: str) -> Any:
        return np.concatenate([getattr(one, name) for one in parts])[order]

    return Looked(
        Search(
            first=joined("first"),
            rank=joined("rank"),
            mixed_first=joined("mixed_first"),
            mixed_rank=joined("mixed_rank"),
            other_share=joined("other_share"),
            nearest=joined("nearest"),
            depth=parts[0].depth,
        ),
        places,
        side,
    )


def queries_of(count: int) -> Indices:
    """The rows that look, of so many."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_QUERIES)).astype(np.int64))


def _figures(pooled: Matched, looked: Looked) -> dict[str, Metric]:
    """What was found, with intervals that take queries at random; the pool stays, but for the share that it makes."""
    design, found, rows = pooled.design, looked.found, looked.rows
    clusters, figures = len(np.unique(design.cluster[rows])), {}
    for figure, values in (("partner_recall_at_1", found.mixed_first), ("recall_at_1", found.first)):
        share = pooled.mean(values, rows)
        figures[figure] = Metric(share.value, *share_interval(share, clusters, len(rows)))
    share = pooled.mean(found.other_share, rows)
    share = replace(share, single=share.single + design.rows_by_group(looked.reached(pooled)))
    figures["other_share_at_10"] = Metric(share.value, *share_interval(share, clusters, DEPTH * len(rows)))
    median = quantile_interval(found.mixed_rank, design.group_of_row[rows], design.groups, clusters, 0.5)
    return figures | {"partner_median_rank": Metric(*median)}


FAMILY = Family("mixed", "Mixed index: one pool of both modalities", DEFINITIONS, measure)
