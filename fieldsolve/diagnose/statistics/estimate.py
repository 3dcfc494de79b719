"""Estimates with what groups of a sample contribute to them, and what follows: standard errors, intervals, p-values."""

from dataclasses import dataclass, replace
from math import hypot, sqrt

import numpy as np

from fieldsolve.numerics.arrays import Array, Indices

LEVEL = 0.95
SIGNIFICANT = 0.05  # of p-values
NORMAL = 1.959963984540054  # the normal quantile of that level

_ROUNDING = 1e-9  # of statistics, relative to their parts


@dataclass(frozen=True, eq=False)
class Estimate:
    """A statistic of independent groups, its value and what each group and each pair of groups adds to it.

    T - E T is, to the order that is kept, sum_g single_g + sum_{g, h} pairs_gh, with pairs symmetric and its diagonal what
    pairs of clusters within a group add. single: (G,); pairs: (G, G), or None where nothing is of second order; second: the
    variance of second order where it is known otherwise, from exchanges say; error: the standard error of what was drawn to
    compute it, of directions say.
    """

    value: float
    single: Array
    pairs: Array | None = None
    second: float | None = None
    error: float = 0.0

    def __add__(self, other: "Estimate") -> "Estimate":
        if self.second is not None or other.second is not None:
            raise ValueError("the variance of second order of a sum does not follow from those of its parts")
        pairs = [one.pairs for one in (self, other) if one.pairs is not None]
        both = sum(pairs[1:], pairs[0]) if pairs else None
        return Estimate(self.value + other.value, self.single + other.single, both, None, hypot(self.error, other.error))

    def __mul__(self, factor: float) -> "Estimate":
        pairs = None if self.pairs is None else factor * self.pairs
        second = None if self.second is None else factor**2 * self.second
        return Estimate(factor * self.value, factor * self.single, pairs, second, abs(factor) * self.error)

    __rmul__ = __mul__

    def __sub__(self, other: "Estimate") -> "Estimate":
        return self + -1.0 * other

    def through(self, value: float, slope: float) -> "Estimate":
        """The estimate of a function of this one, whose value and derivative there are given [delta method]."""
        return replace(slope * self, value=value)

    def with_error(self, error: float) -> "Estimate":
        """The same with the standard error of what was drawn to compute it, which is independent of the sample."""
        return replace(self, error=error)

    @property
    def standard_error(self) -> float:
        """The root of the variance of the statistic, first and second order [Hoeffding 1948; Efron and Stein 1981].

        The contributions of a group sum to r_g; G/(G - 1) sum (r_g - mean)^2 counts the second order twice, so that its estimate
        sum_{g < h} b_gh^2, b the pairs less their margins, is taken off once: a U-statistic's variance 4 z_1/n + 2 z_2/n^2. Near
        a statistic's least value both grow with it, and intervals are wider than they need to be.
        """
        groups = len(self.single)
        reached = self.single
        if self.pairs is not None:
            reached = reached + 2 * self.pairs.sum(axis=1) - np.diag(self.pairs)
        both = groups / (groups - 1) * float(np.sum((reached - reached.mean()) ** 2))
        second = self._second()
        return sqrt(max(both - second, second))

    def _second(self) -> float:
        """The variance of second order: of what pairs of groups add, less their margins."""
        if self.second is not None or self.pairs is None:
            return self.second or 0.0
        groups = len(self.single)
        both = 2 * self.pairs
        np.fill_diagonal(both, 0.0)
        margins = both.sum(axis=1)
        mean, own = margins.sum() / (groups * (groups - 1)), (margins - margins.mean()) / (groups - 2)
        rest = both - mean - own[:, None] - own
        np.fill_diagonal(rest, 0.0)
        # Degrees of freedom of the residuals of a symmetric table without its diagonal: G (G - 3)/2 of G (G - 1)/2.
        return float(np.sum(rest**2)) / 2 * (groups - 1) / (groups - 3)

    def interval(self) -> tuple[float, float]:
        """The 95 % interval, Student's with the groups' degrees of freedom."""
        half = student(len(self.single) - 1) * hypot(self.standard_error, self.error)
        return self.value - half, self.value + half


def student(freedom: int) -> float:
    """The quantile of Student's distribution at 0.975, to 1e-5 from 10 degrees of freedom on [Abramowitz and Stegun 26.7.5].

    An expansion in 1/freedom, so that a diagnosis need not load scipy for one number.
    """
    z = NORMAL
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))


def left_out(value: float, without: Array) -> Estimate:
    """The estimate whose contributions come from leaving each group out, without (G,); its variance is the jackknife's."""
    return Estimate(value, (1 - 1 / len(without)) * (value - without))


def without_each(sums: Array) -> Array:
    """The sum over all columns but one, for each of them, (R, G): of what is before and after it, so that no digits are lost."""
    rest = np.zeros_like(sums)
    rest[:, 1:] += np.cumsum(sums, axis=1)[:, :-1]
    rest[:, :-1] += np.cumsum(sums[:, ::-1], axis=1)[:, ::-1][:, 1:]
    return rest


def mean(sums: Array | Indices, counts: Array | Indices) -> Estimate:
    """The mean of values whose sums and numbers by group are given, (G,) each: a ratio."""
    value = float(sums.sum() / counts.sum())
    return Estimate(value, (sums - value * counts) / counts.sum())


def share_interval(estimate: Estimate, count: int, most: int | None = None) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, with as many effective observations as its standard error says.

    count: of independent clusters, which takes their place where groups do not differ (a share of 0 or 1); most: effective
    observations, as many as were made; the count without.
    """
    value, variance = estimate.value, estimate.standard_error**2
    effective = min(value * (1 - value) / variance, float(most or count)) if variance > 0 else float(count)
    z2 = student(len(estimate.single) - 1) ** 2 / max(effective, 1.0)
    middle = (value + z2 / 2) / (1 + z2)
    half = sqrt(max(z2 * (value * (1 - value) + z2 / 4), 0.0)) / (1 + z2)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def quantile_interval(values: Array, groups: Indices, number: int, count: int, level: float) -> tuple[float, float, float]:
    """A quantile with its 95 % interval: that of the share below it, carried back by the quantiles [Woodruff 1952].

    values, groups: (m,); number: of groups; count: of independent clusters.
    """
    order = np.sort(values)
    at = float(order[min(int(np.ceil(level * len(order) - 1e-9)), len(order)) - 1])
    share = mean(np.bincount(groups, values <= at, number), np.bincount(groups, minlength=number).astype(float))
    low, high = share_interval(replace(share, value=level), count, len(values))
    ends = [order[int(np.clip(np.ceil(one * len(order)) - 1, 0, len(order) - 1))] for one in (low, high)]
    return at, float(ends[0]), float(ends[1])


def median_estimate(table: Array, counted: np.ndarray, groups: tuple[Indices, Indices], number: int) -> Estimate:
    """The median of the entries of a table that count, whose rows and columns belong to groups [Bahadur 1966].

    To first order it moves by (1/2 - share below)/density there; the density is that between the 40 % and the 60 % quantiles.
    """
    low, value, high = np.quantile(table[counted], [0.4, 0.5, 0.6])
    total = int(counted.sum())
    slope = (high - low) / 0.2
    above = np.where(counted, (table > value) - 0.5, 0.0)
    moved = np.bincount(groups[0], above.sum(axis=1), number) + np.bincount(groups[1], above.sum(axis=0), number)
    return Estimate(float(value), slope * moved / total)


def p_value(observed: float, exchanged: Array, scale: float = 0.0) -> float:
    """(1 + b)/(1 + B), where b of B exchanged statistics reach the observed one, up to rounding [Phipson and Smyth 2010].

    scale: of what the statistic is a difference of, whose rounding it has.
    """
    reaches = exchanged >= observed - _ROUNDING * max(scale, abs(observed), float(np.abs(exchanged).max()))
    return (1 + int(reaches.sum())) / (1 + len(exchanged))


def noise_level(exchanged: Array) -> float:
    """What a statistic exceeds in one of twenty samples of this size, with partners as like as these, where nothing differs."""
    return float(np.quantile(exchanged, LEVEL))


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """p-values adjusted for their number: those up to 0.05 hold together with an error of 5 % [Holm 1979]."""
    adjusted, least = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda one: p_values[one])):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = least
    return adjusted
