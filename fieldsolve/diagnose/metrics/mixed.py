"""Mixed index: what queries of either modality find in one pool of both, as it is and with means taken off."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fieldsolve.diagnose.metrics.metric import Definition, Family, Metric
from fieldsolve.diagnose.statistics.estimate import quantile_interval, share_interval
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.diagnose.statistics.separability import FOLDS
from fieldsolve.embeddings.centring import TREATMENTS, Means
from fieldsolve.embeddings.pools import Search, search
from fieldsolve.numerics.arrays import Indices

DEPTH = 10

#: Of each modality so many rows look, evenly spaced where there are more; the pool has all.
MOST_QUERIES = 2048

FIGURES = ("other_share_at_10", "partner_median_rank", "partner_recall_at_1", "recall_at_1")

_TREATED = {
    "raw": "as it is",
    "centred": "with each modality's mean taken off",
    "standardised": "with each modality's mean taken off, divided by its standard deviations",
}
_HOW = {
    "raw": "",
    "centred": "; rows less their modality's mean, scaled to length 1; means of the other four folds than the query's, or given",
    "standardised": "; components less their modality's mean over its standard deviation, scaled to length 1; of the other four "
    "folds than the query's, or given",
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


DEFINITIONS = tuple(_definitions())


def measure(pooled: Matched, rng: np.random.Generator) -> dict[str, Metric]:
    """All of them."""
    found: dict[str, Metric] = {}
    for treatment in TREATMENTS:
        found |= measure_treated(pooled, treatment)
    return found


def measure_treated(pooled: Matched, treatment: str) -> dict[str, Metric]:
    """What queries of both modalities find, all rows treated alike."""
    found = {}
    for side, letter in enumerate("ab"):
        for figure, metric in _figures(pooled, *look(pooled, side, treatment)).items():
            found[name_of(letter, treatment, figure)] = metric
    return found


def look(pooled: Matched, side: int, treatment: str) -> tuple[Search, Indices]:
    """What queries of a modality find, and the places of their rows.

    Each fold's queries look among rows less the means of the other folds, unless means of other rows are given.
    """
    rows = [pooled.cloud.given(one) for one in (0, 1)]
    links = pooled.matching.partners - np.array([[0], [pooled.cloud.first_rows]])
    links = links if side == 0 else links[::-1]
    queries = _queries(len(rows[side]))
    places = queries + pooled.cloud.parts[side].start

    def among(means: Means | None, chosen: Indices) -> Search:
        treated = rows if means is None else [means.treat(one, index, treatment) for index, one in enumerate(rows)]
        return search(treated[side], treated[1 - side], links, chosen, DEPTH)

    if treatment == "raw" or pooled.means is not None:
        return among(None if treatment == "raw" else pooled.means, queries), places
    parts = [pooled.design.group_of_row[part] % FOLDS for part in pooled.cloud.parts]
    found = np.empty((5, len(queries)))
    for number in range(FOLDS):
        here = np.flatnonzero(parts[side][queries] == number)
        means = Means.of(*(one[part != number] for one, part in zip(rows, parts, strict=True)))
        looked = among(means, queries[here])
        found[:, here] = looked.first, looked.rank, looked.mixed_first, looked.mixed_rank, looked.other_share
    return Search(found[0], found[1], found[2], found[3], found[4], DEPTH), places


def _queries(count: int) -> Indices:
    return np.unique(np.linspace(0, count - 1, min(count, MOST_QUERIES)).astype(np.int64))


def _figures(pooled: Matched, looked: Search, rows: Indices) -> dict[str, Metric]:
    """What was found, with intervals that take queries at random; the pool stays."""
    design = pooled.design
    shares = {"other_share_at_10": looked.other_share, "partner_recall_at_1": looked.mixed_first, "recall_at_1": looked.first}
    found = {}
    for figure, values in shares.items():
        share = pooled.mean(values, rows)
        parts = DEPTH if figure == "other_share_at_10" else 1
        found[figure] = Metric(share.value, *share_interval(share, design.independent, parts))
    median = quantile_interval(looked.mixed_rank, design.group_of_row[rows], design.groups, design.independent, 0.5)
    return found | {"partner_median_rank": Metric(*median)}


FAMILY = Family("mixed", "Mixed index: one pool of both modalities", DEFINITIONS, measure)
