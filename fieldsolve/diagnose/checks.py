"""Thresholds that embeddings must keep, for tests of training runs: what is asked for, and what failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Any, Literal

from fieldsolve.diagnose.diagnosis import diagnose
from fieldsolve.diagnose.metrics.table import definitions
from fieldsolve.diagnose.quick import NAMES, quick
from fieldsolve.numerics.arrays import Indices
from fieldsolve.numerics.errors import InputError

SCHEMA = "fieldsolve/check/1"

#: Words for metrics of both directions, each of which must keep the threshold.
BOTH = {
    **{f"recall_at_{depth}": tuple(f"recall_{way}_at_{depth}" for way in ("a_to_b", "b_to_a")) for depth in (1, 5, 10)},
    "recall": ("recall_a_to_b_at_1", "recall_b_to_a_at_1"),
    "other_share_at_10": ("mixed_a_raw_other_share_at_10", "mixed_b_raw_other_share_at_10"),
    "partner_median_rank": ("mixed_a_raw_partner_median_rank", "mixed_b_raw_partner_median_rank"),
}


@dataclass(frozen=True)
class Threshold:
    """A metric's least or largest value that passes."""

    metric: str
    end: Literal["min", "max"]
    value: float

    def passes(self, value: float) -> bool:
        """Whether a value keeps it; what is not finite does not."""
        return isfinite(value) and (value >= self.value if self.end == "min" else value <= self.value)

    def said(self, value: float) -> str:
        """What failed, in a line."""
        if not isfinite(value):
            return f"{self.metric} is {value}, no number that could pass"
        where = "below the least" if self.end == "min" else "above the largest"
        return f"{self.metric} is {value:.5g}, {where} that passes, {self.value:g}"


@dataclass(frozen=True, eq=False)
class Checked:
    """Thresholds with the values they are of."""

    thresholds: tuple[Threshold, ...]
    values: dict[str, float]

    @property
    def failed(self) -> list[str]:
        """A line for every threshold that is not kept."""
        return [one.said(self.values[one.metric]) for one in self.thresholds if not one.passes(self.values[one.metric])]

    def summary(self) -> dict[str, Any]:
        """All of it, as JSON."""
        checks = []
        for one in self.thresholds:
            value = self.values[one.metric]
            checks.append(vars(one) | {"measured": value, "passed": one.passes(value)})
        return {"schema": SCHEMA, "passed": not self.failed, "checks": checks, "values": self.values}


def thresholds_of(end: Literal["min", "max"], name: str, value: float) -> list[Threshold]:
    """The thresholds that a word means: one of a metric, or one for each direction. Raises InputError for others."""
    metrics = BOTH.get(name) or ((name,) if name in definitions() else ())
    if not metrics:
        near = get_close_matches(name, [*BOTH, *definitions()], 3, 0.5)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise InputError(f"there is no metric {name!r} to check{hint or ';'} docs/metrics.md lists all")
    if not isfinite(value):
        raise InputError(f"the threshold of {name} must be a finite number, not {value}")
    return [Threshold(one, end, value) for one in metrics]


def check(
    x: Any,
    y: Any,
    tau: float,
    thresholds: Sequence[Threshold],
    bias: float | None = None,
    pairs: Indices | None = None,
    seed: int = 0,
) -> Checked:
    """Measure what thresholds are of: with `quick` where it has all of them, else with a whole diagnosis.

    x, y, tau, bias, pairs, seed: as of `quick`. Raises InputError.
    """
    if all(one.metric in (*NAMES, "siglip") for one in thresholds):
        values = quick(x, y, tau, bias=bias, pairs=pairs, seed=seed)
    else:
        metrics = diagnose(x, y, tau=tau, pairs=pairs, bias=bias, seed=seed).comparisons[0].measurement.metrics
        values = {name: one.value for name, one in metrics.items()}
    missing = sorted({one.metric for one in thresholds} - set(values))
    if missing:
        raise InputError(f"these pairs have no {', '.join(missing)}; leave out its threshold")
    return Checked(tuple(thresholds), values)
