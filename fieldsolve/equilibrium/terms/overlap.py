"""int rho K sigma, how much two densities overlap at a kernel's scale: accurate where it is far below its largest value."""

from itertools import combinations

import numpy as np

from fieldsolve.equilibrium.terms.pull import log_function
from fieldsolve.grids import Grid, Kernel, Smoother
from fieldsolve.numerics.arrays import Array

_ACCURACY = 1e-10  # of K sigma, relative to the overlap


def overlap(smoother: Smoother | None, rho: Array, sigma: Array, log_weights: Array) -> tuple[float, Array, Array]:
    """int rho K sigma, K sigma and K rho; K = 1 without a smoother.

    rho, sigma: positive densities (N,); log_weights: the grid's.
    """
    if smoother is None and log_weights.size > 1:
        from_sigma, from_rho = (np.exp(log_function(one, log_weights)) for one in (sigma, rho))
        return float(np.mean(rho * from_sigma)), from_sigma, from_rho
    if smoother is None:
        return float(np.mean(rho * sigma)), sigma, rho
    from_sigma, from_rho = smoother.smooth(sigma), smoother.smooth(rho)
    value = float(np.mean(rho * from_sigma))
    noise = smoother.error * max(float(from_sigma.max()), float(from_rho.max()))
    if noise > _ACCURACY * value:  # the harmonic sums' error is absolute
        relevant = max(value - noise, 0.0)
        from_sigma, from_rho = smoother.smooth_closely(sigma, relevant), smoother.smooth_closely(rho, relevant)
        value = float(np.mean(rho * from_sigma))
    return value, from_sigma, from_rho


def log_overlaps(grid: Grid, kernel: Kernel | None, density: Array) -> tuple[float, Array]:
    """The mean over pairs of modalities of log int rho_a K rho_b, and its variation (A, N)."""
    smoother = None if kernel is None else Smoother(grid, kernel)
    pairs = list(combinations(range(len(density)), 2))
    total, variation = 0.0, np.zeros_like(density)
    for a, b in pairs:
        value, from_b, from_a = overlap(smoother, density[a], density[b], grid.log_weights)
        if value == 0:  # below exp(-708): what follows is not finite, and is said to be so
            value = np.nan
        total += float(np.log(value))
        variation[a] += from_b / value
        variation[b] += from_a / value
    return total / len(pairs), variation / len(pairs)


def pair_factors(factors: Array, modalities: int) -> Array:
    """A times the second variation of mean log overlaps at uniform densities: 2 k_l/(A - 1) between any two, (lmax + 1, A, A)."""
    apart = 1 - np.eye(modalities)
    return np.asarray(2 * factors[:, None, None] * apart / (modalities - 1))


def height(grid: Grid, kernel: Kernel | None) -> float:
    """max K - min K between points of a grid, without a kernel the number of points.

    For fields of mean 0, abs(int f K g) is at most half of it times int abs(f) int abs(g), and (int abs(f))^2 <= int f^2/rho.
    """
    if kernel is None:
        return float(grid.size * np.exp(-grid.log_weights.min()))
    peak = float(np.exp(grid.log_peak(kernel)) * Smoother(grid, kernel).balance.max() ** 2)
    return peak - float(np.exp(log_lowest(grid, kernel)))


def log_lowest(grid: Grid, kernel: Kernel) -> float:
    """The logarithm of a number that K is nowhere below between points of a grid."""
    antipodal = float(kernel.relative_profile(np.asarray(np.pi))) + grid.log_peak(kernel)
    return antipodal + 2 * float(np.log(Smoother(grid, kernel).balance.min()))
