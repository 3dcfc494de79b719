"""The height on a sphere of any dimension: nodes and masses of its law, and the polynomials that are orthonormal for it."""

from functools import lru_cache
from math import log, pi

import ducc0
import numpy as np

from fieldsolve.numerics.arrays import Array

_ORTHONORMAL = 1e-3
_LEGENDRE = 33  # odd dimensions below it, where midpoints converge like a power of the step, its exponent d - 1


def has_legendre_nodes(dimension: int) -> bool:
    """Whether `angular_nodes` are Gauss and Legendre's, not equally spaced."""
    return dimension % 2 == 1 and dimension < _LEGENDRE


@lru_cache(maxsize=16)
def angular_nodes(dimension: int, count: int) -> tuple[Array, Array]:
    """Angles theta from an axis of S^{d-1}, rising, and log(count w) of their masses w ~ sin^{d-2} theta; (count,) each.

    Midpoints of equal steps, which converge geometrically for smooth functions of the height, in all but few dimensions.
    """
    if has_legendre_nodes(dimension):
        angle = np.sort(ducc0.misc.GL_thetas(count))
        log_weight = np.log(ducc0.misc.GL_weights(count, 1)) + (dimension - 3) * np.log(np.sin(angle))
    else:
        angle = (np.arange(count) + 0.5) * (pi / count)
        log_weight = (dimension - 2) * np.log(np.sin(angle))
    log_weight -= log_weight.max()
    log_weight += log(count) - log(float(np.sum(np.exp(log_weight))))
    for one in (angle, log_weight):
        one.flags.writeable = False
    return angle, log_weight


def orthonormal(dimension: int, heights: Array, lmax: int) -> Array:
    """Gegenbauer's polynomials in the height t of degree 0 to lmax, orthonormal for the uniform measure, (lmax + 1, n)."""
    result = np.zeros((lmax + 1, len(heights)))
    result[0] = 1.0
    before = 0.0
    for degree, factor in enumerate(_factors(dimension, lmax).tolist(), start=1):
        result[degree] = (heights * result[degree - 1] - before * result[max(degree - 2, 0)]) / factor
        before = factor
    return result


@lru_cache(maxsize=16)
def largest_orthonormal(dimension: int, count: int) -> int:
    """The degree up to which sums over `angular_nodes` of the squares of polynomials are 1."""
    angle, log_weight = angular_nodes(dimension, count)
    with np.errstate(over="ignore", invalid="ignore"):  # of degrees far beyond
        norms = np.mean(orthonormal(dimension, np.cos(angle), count // 2) ** 2 * np.exp(log_weight), axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1) < _ORTHONORMAL))
    return max(1, int(wrong[0]) - 1 if len(wrong) else count // 2)


@lru_cache(maxsize=8)
def gauss_rule(dimension: int, count: int) -> tuple[Array, Array]:
    """Heights and masses (sum 1) of Gauss's rule for functions of the height on S^{d-1}, d >= 2 [Golub and Welsch 1969]."""
    side = np.diag(_factors(dimension, count - 1), 1)
    heights, vectors = np.linalg.eigh(side + side.T)
    masses = vectors[0] ** 2
    return np.clip(heights, -1.0, 1.0), masses / masses.sum()


def _factors(dimension: int, lmax: int) -> Array:
    """b_l of the recurrence t p_{l-1} = b_l p_l + b_{l-1} p_{l-2}, l = 1 ... lmax."""
    degree = np.arange(2, lmax + 1)
    squares = degree * (degree + dimension - 3) / ((2 * degree + dimension - 2) * (2 * degree + dimension - 4))
    return np.asarray(np.sqrt(np.concatenate([[1 / dimension], squares])[:lmax]))
