"""Partition fields on the circle through their Fourier modes: cost proportional to the points, not to their pairs."""

from functools import lru_cache

import numpy as np

from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import REDUCE_NUMBERS, jit

_CHUNK = 512  # points at a time, so that their running powers stay in the first-level cache


@lru_cache(maxsize=8)
def spectrum(kernel: Kernel) -> Array:
    """k_0 = 1, k_1, ... k_M of the normalised kernel on S^1, up to what rounding leaves of its peak."""
    count = kernel.harmonics(1)
    assert count is not None
    values = kernel.spectrum(1, count)
    values.flags.writeable = False
    return values


@jit(REDUCE_NUMBERS)
def moments(points, weights, cosines, sines):
    """sum_j w_j cos(m a_j) and sum_j w_j sin(m a_j) for m = 0 ... M, of points (n, 2) at angles a_j; written to (M + 1,)."""
    cosines[:] = 0.0
    sines[:] = 0.0
    c, s = np.empty(_CHUNK), np.empty(_CHUNK)
    for start in range(0, len(points), _CHUNK):
        size = min(_CHUNK, len(points) - start)
        for i in range(size):
            c[i], s[i] = weights[start + i], 0.0
        for m in range(cosines.size):
            total_c, total_s = 0.0, 0.0
            for i in range(size):
                total_c += c[i]
                total_s += s[i]
                x, y = points[start + i, 0], points[start + i, 1]
                c[i], s[i] = c[i] * x - s[i] * y, c[i] * y + s[i] * x
            cosines[m] += total_c
            sines[m] += total_s


@jit(REDUCE_NUMBERS)
def fields(points, factors, cosines, sines, values, slopes):
    """K summed over points with those moments, sum_j w_j K(a - a_j), and its derivative in a, at points (n, 2) at angles a."""
    c, s = np.empty(_CHUNK), np.empty(_CHUNK)
    for start in range(0, len(points), _CHUNK):
        size = min(_CHUNK, len(points) - start)
        for i in range(size):
            c[i], s[i] = points[start + i, 0], points[start + i, 1]
            values[start + i], slopes[start + i] = cosines[0], 0.0
        for m in range(1, factors.size):
            even, odd = 2.0 * factors[m] * cosines[m], 2.0 * factors[m] * sines[m]
            for i in range(size):
                values[start + i] += even * c[i] + odd * s[i]
                slopes[start + i] += m * (odd * c[i] - even * s[i])
                x, y = points[start + i, 0], points[start + i, 1]
                c[i], s[i] = c[i] * x - s[i] * y, c[i] * y + s[i] * x


@jit()
def dispersal(first, second, first_weights, second_weights, factors, first_slopes, second_slopes):
    """(1/2)[sum w1 log K rho2 + sum w2 log K rho1] of weighted points (n, 2), and its derivatives in their angles.

    Fields are known to 1e-16 of the kernel's peak. Linear encoders of a law with mass on both sides of the circle send some
    within a right angle of every point, where K is exp(-1/tau) of its peak: nine digits are left at tau 0.07.
    """
    count = factors.size
    c, s = np.empty((2, count)), np.empty((2, count))
    moments(first, first_weights, c[0], s[0])
    moments(second, second_weights, c[1], s[1])
    here, slope_here = np.empty(len(first)), np.empty(len(first))
    there, slope_there = np.empty(len(second)), np.empty(len(second))
    fields(first, factors, c[1], s[1], here, slope_here)
    fields(second, factors, c[0], s[0], there, slope_there)
    total = 0.0
    for i in range(len(first)):
        total += first_weights[i] * np.log(here[i])
        first_slopes[i] = slope_here[i] / here[i]
        here[i] = first_weights[i] / here[i]
    for j in range(len(second)):
        total += second_weights[j] * np.log(there[j])
        second_slopes[j] = slope_there[j] / there[j]
        there[j] = second_weights[j] / there[j]
    # Points move the fields that the other modality feels, too.
    moments(first, here, c[0], s[0])
    moments(second, there, c[1], s[1])
    fields(first, factors, c[1], s[1], here, slope_here)
    fields(second, factors, c[0], s[0], there, slope_there)
    for i in range(len(first)):
        first_slopes[i] = first_weights[i] * (first_slopes[i] + slope_here[i]) / 2.0
    for j in range(len(second)):
        second_slopes[j] = second_weights[j] * (second_slopes[j] + slope_there[j]) / 2.0
    return total / 2.0
