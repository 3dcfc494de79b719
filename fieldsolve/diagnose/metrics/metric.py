"""A metric's value with its uncertainty, and what a metric is: its definition beside the function that computes it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import inf, sqrt
from typing import Any

import numpy as np

from fieldsolve.diagnose.statistics.estimate import Estimate, noise_level, p_value
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.diagnose.statistics.pooled import Pooled
from fieldsolve.numerics.arrays import Array

#: Exchanges of what has to be computed anew for each.
FEWER = 199


@dataclass(frozen=True)
class Metric:
    """A metric's value with its 95 % interval, p-value, noise level and shuffle control, None where it has none.

    noise_level: what it exceeds in one of twenty exchanges of partners whose centroids are taken off, at the same n; shuffled:
    the value with partners passed on at random; plug_in: the value before its bias is taken off.
    """

    value: float
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    noise_level: float | None = None
    shuffled: float | None = None
    plug_in: float | None = None


@dataclass(frozen=True)
class Definition:
    """A metric as docs/metrics.md, the report and the tables describe it.

    name: as in the JSON; title: a few words; formula; source; meaning: what it says, and what is normal.
    least, most: the ends of what it can be, to which intervals are cut; moves: whether it depends on which rows match, if only
    by whose pairs are left out; of_n: whether it is that of so many rows, not of infinitely many; in_picture: whether the
    picture of the distributions has it.
    """

    name: str
    title: str
    formula: str
    source: str
    meaning: str
    least: float = -inf
    most: float = inf
    moves: bool = True
    of_n: bool = False
    in_picture: bool = False


@dataclass(frozen=True)
class Family:
    """Metrics that are computed together: what they are about, their definitions, and the function that measures them.

    name: as in tables of families; title: as a heading. A family may measure metrics that are defined in another.
    """

    name: str
    title: str
    definitions: tuple[Definition, ...]
    measure: Callable[[Pooled, np.random.Generator], dict[str, Metric]]

    def stream(self, seed: int) -> np.random.Generator:
        """Where a family draws from: its own for each seed, whatever other families there are."""
        return np.random.default_rng([seed, *self.name.encode()])


def plain(metrics: dict[str, Metric]) -> dict[str, Any]:
    """Metrics as JSON has them."""
    return {name: asdict(metric) for name, metric in metrics.items()}


#: Statistics of exchanges of rows as they are, for p-values, and of centred rows, for noise levels.
Exchanged = tuple[Array, Array]


def exchanges(pooled: Matched, sums: Array, centred: Array, factor: float = 1.0) -> Exchanged:
    """The contrasts of exchanges, from sums by slots of rows as they are and across of centred ones."""
    return factor * pooled.exchanged(sums), factor * pooled.exchanged(pooled.mixed(sums, centred))


def of_estimate(
    estimate: Estimate, exchanged: Exchanged | None = None, shuffled: float | None = None, scale: float = 0.0
) -> Metric:
    """The metric of an estimate; exchanged: the statistic of exchanges, where it is tested; scale: of its parts."""
    return Metric(estimate.value, *estimate.interval(), *_tested(estimate.value, exchanged, scale), shuffled)


def of_square(
    estimate: Estimate,
    exchanged: Exchanged | None = None,
    shuffled: float | None = None,
    plug_in: float | None = None,
    scale: float = 0.0,
) -> Metric:
    """The metric that is the root of an estimate; squares are estimated and tested, roots reported."""
    p, noise = _tested(estimate.value, exchanged, scale)
    value, low, high, level, control = (
        None if one is None else sqrt(max(one, 0.0)) for one in (estimate.value, *estimate.interval(), noise, shuffled)
    )
    assert value is not None
    return Metric(value, low, high, p, level, control, plug_in)


def _tested(value: float, exchanged: Exchanged | None, scale: float) -> tuple[float | None, float | None]:
    return (None, None) if exchanged is None else (p_value(value, exchanged[0], scale), noise_level(exchanged[1]))
