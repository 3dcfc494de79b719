"""Means of exponentials over spheres, and of cosines under them: modified Bessel functions in logarithms, and their ratios."""

from math import ceil, inf, lgamma, log, sqrt

import numpy as np

from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import jit

_RESCALED = 1e200  # a series is divided by its sum before it overflows
_SERIES = 5000.0  # arguments up to which about as many terms are summed; beyond, the expansion is right to rounding
_BLOCK = 64  # arguments at a time
_TOLERANCE = 1e-13


def log_exponential_mean(x: Array | float, components: int) -> Array:
    """log A_n(x), A_n(x) = int over S^{n-1} of exp(x u.v) = Gamma(n/2) (2/x)^(n/2-1) I_{n/2-1}(x), for x >= 0 and n >= 1.

    By its series, whose terms are positive, and for large x by Debye's expansion. To 1e-12 absolute up to x = 5000, n = 4096.
    Result: as x.
    """
    given = np.atleast_1d(np.asarray(x, dtype=np.float64))
    arguments, result = np.ascontiguousarray(given.ravel()), np.empty(given.size)
    if components == 1:
        result[:] = arguments + np.log1p(np.exp(-2 * arguments)) - log(2.0)
    else:
        order = components / 2 - 1
        work = int(np.minimum(arguments, _SERIES).sum()) + arguments.size
        blocks = -(-arguments.size // _BLOCK)
        threads.over_blocks(_log_means, blocks, work, arguments, order, lgamma(order + 1), result)
    return result.reshape(np.shape(x))


def bessel_ratios(x: float, order: float, count: int) -> Array:
    """I_{order+l}(x) / I_order(x) for l = 0 ... count.

    Backward recurrence of r_l = I_{order+l}/I_{order+l-1} = 1/(2 (order + l)/x + r_{l+1}), which is stable and
    never overflows; the start far above forgets its value.
    """
    ratio, ratios = 0.0, np.empty(count + 1)
    for degree in range(count + ceil(10 * sqrt(x + 1)) + 60, 0, -1):
        ratio = 1.0 / (2.0 * (order + degree) / x + ratio)
        if degree <= count:
            ratios[degree] = ratio
    ratios[0] = 1.0
    return np.asarray(np.cumprod(ratios), dtype=np.float64)


def mean_resultant(components: float, concentration: float) -> float:
    """r_n(x) = I_{n/2}(x)/I_{n/2-1}(x), the mean cosine under the density exp(x cos) on S^{n-1}, for any n > 0, x >= 0."""
    if concentration == 0:
        return 0.0
    return float(bessel_ratios(concentration, components / 2 - 1, 1)[1])


def concentration_of(components: float, resultant: float) -> float:
    """The x >= 0 with r_n(x) = c, for 0 <= c < 1; infinite for c = 1. By Newton's steps within a bracket."""
    if resultant <= 0:
        return 0.0
    if resultant >= 1:
        return inf
    # (n - 1) c/(1 - c^2) < x < n c/(1 - c^2) (Banerjee et al. 2005 and bounds of Amos 1974).
    low, high = max((components - 1) * resultant / (1 - resultant**2), 0.0), components * resultant / (1 - resultant**2)
    x = sqrt(low * high) if low > 0 else high / 2
    while high - low > _TOLERANCE * high:
        value = mean_resultant(components, x)
        if abs(value - resultant) <= _TOLERANCE * resultant:
            break
        low, high = (x, high) if value < resultant else (low, x)
        slope = 1 - value**2 - (components - 1) / x * value
        step = x + (resultant - value) / slope if slope > 0 else inf
        x = step if low < step < high else (low + high) / 2
    return x


def mean_resultants(x: Array, components: int) -> Array:
    """r_n(x) = A_n'(x)/A_n(x) at many x of either sign, an odd function; result: as x."""
    arguments = np.ascontiguousarray(np.asarray(x, dtype=np.float64).ravel())
    result = np.empty(arguments.size)
    work = int(10 * np.sqrt(np.abs(arguments) + 1).sum()) + 60 * arguments.size
    threads.over_blocks(_resultants, -(-arguments.size // _BLOCK), work, arguments, components / 2 - 1, result)
    return result.reshape(np.shape(x))


@jit()
def _resultants(first, last, arguments, order, result):
    for i in range(first * _BLOCK, min(last * _BLOCK, result.size)):
        x, ratio = abs(arguments[i]), 0.0
        if x > 0.0:
            for degree in range(int(np.ceil(10 * np.sqrt(x + 1))) + 61, 0, -1):
                ratio = 1.0 / (2.0 * (order + degree) / x + ratio)
        result[i] = ratio if arguments[i] >= 0.0 else -ratio


@jit()
def _log_means(first, last, arguments, order, log_gamma, result):
    for i in range(first * _BLOCK, min(last * _BLOCK, result.size)):
        x = arguments[i]
        result[i] = _by_series(x, order) if x <= _SERIES else _by_expansion(x, order, log_gamma)


@jit()
def _by_series(x, order):
    """log sum_m (x^2/4)^m Gamma(order + 1)/(m! Gamma(order + 1 + m))."""
    quarter, term, total, logs, m = 0.25 * x * x, 1.0, 1.0, 0.0, 0.0
    while term > 1e-17 * total or quarter > (m + 1) * (order + m + 1):
        m += 1.0
        term *= quarter / (m * (order + m))
        total += term
        if total > _RESCALED:
            logs += np.log(total)
            term /= total
            total = 1.0
    return logs + np.log(total)


@jit()
def _by_expansion(x, order, log_gamma):
    """The same by Debye's uniform expansion [DLMF 10.41.3], in powers of 1/sqrt(order^2 + x^2)."""
    root = np.sqrt(order * order + x * x)
    p = (order / root) ** 2
    u1 = (3 - 5 * p) / 24
    u2 = (81 + p * (-462 + 385 * p)) / 1152
    u3 = (30375 + p * (-369603 + p * (765765 - 425425 * p))) / 414720
    corrections = u1 / root + u2 / root**2 + u3 / root**3
    exponent = root - order * np.arcsinh(order / x) if order > 0 else root
    prefactor = log_gamma + order * np.log(2 / x) - 0.5 * np.log(2 * np.pi * root)
    return exponent + prefactor + np.log1p(corrections)
