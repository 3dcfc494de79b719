"""A metric with its uncertainty: intervals from bootstraps, p-values from exchanges."""

from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
from scipy.stats import t as student

from fieldsolve.numerics.arrays import Array, Indices

_LEVEL = 0.95
_NORMAL = 1.959963984540054  # the normal quantile of that level
_ROUNDING = 1e-9  # of statistics, whose parts are of order 1
_WEIGHED = 1 << 27  # bytes of weights of pairs held at a time


@dataclass(frozen=True)
class Metric:
    """A metric's value with its 95 % interval, p-value, floor and shuffle control, None where it has none.

    floor: the mean over splits of one modality into two halves, of the modality where it is larger; shuffled: the value with
    partners shuffled, of metrics that depend on the matching.
    """

    value: float
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    floor: float | None = None
    shuffled: float | None = None


def plain(metrics: dict[str, Metric]) -> dict[str, Any]:
    """Metrics as JSON has them."""
    return {name: asdict(metric) for name, metric in metrics.items()}


def basic_interval(value: float, resampled: Array, groups: int) -> tuple[float, float]:
    """The 95 % interval that reflects the bootstrap's quantiles at the value: it takes off a bias that resampling doubles.

    Deviations from the bootstrap's median are expanded as Student's intervals of so many groups are against those of known
    variance: by t/z sqrt(G/(G - 1)) [Hesterberg 2015, doi 10.1080/00031305.2015.1089789].
    """
    low, high = percentile_interval(resampled)
    middle = float(np.median(resampled))
    expansion = float(student.ppf((1 + _LEVEL) / 2, groups - 1)) / _NORMAL * sqrt(groups / (groups - 1))
    return 2 * value - middle - expansion * (high - middle), 2 * value - middle + expansion * (middle - low)


def percentile_interval(resampled: Array) -> tuple[float, float]:
    """The 95 % interval between the bootstrap's quantiles: for quantiles, whose resamples are values of the sample."""
    low, high = np.quantile(resampled, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def share_interval(value: float, resampled: Array, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, with as many effective observations as its resampled variance says.

    Where no resample differs (a share of 0 or 1) the count of independent clusters takes their place.
    """
    variance = float(np.var(resampled))
    effective = min(value * (1 - value) / variance, float(count)) if variance > 0 else float(count)
    z2 = _NORMAL**2 / effective
    middle = (value + z2 / 2) / (1 + z2)
    half = _NORMAL / (1 + z2) * sqrt(max(value * (1 - value) / effective + z2 / (4 * effective), 0.0))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def p_value(observed: float, permuted: Array) -> float:
    """(1 + b)/(1 + B), where b of B permuted statistics reach the observed one, up to rounding [Phipson and Smyth 2010]."""
    reaches = permuted >= observed - _ROUNDING * max(1.0, abs(observed), float(np.abs(permuted).max()))
    return (1 + int(reaches.sum())) / (1 + len(permuted))


def weighted_quantiles(values: Array, groups: Indices, counts: Array, levels: Array) -> Array:
    """Quantiles of values whose groups are drawn so often: (resamples, levels), the least value with at least that mass."""
    order = np.argsort(values, kind="stable")
    ordered, members = values[order], groups[order]
    result = np.empty((len(counts), len(levels)))
    step = max(1, _WEIGHED // (8 * len(values)))
    for begin in range(0, len(counts), step):
        cumulative = np.cumsum(counts[begin : begin + step][:, members], axis=1)
        for row, masses in enumerate(cumulative, start=begin):
            at = np.searchsorted(masses, levels * masses[-1] * (1 - 1e-12))
            result[row] = ordered[np.minimum(at, len(ordered) - 1)]
    return result
