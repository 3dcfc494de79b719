"""int rho log q with q = sigma or K sigma: its value, and what it contributes to the variation in either density."""

from typing import NamedTuple

import numpy as np

from fieldsolve.equilibrium.densities import from_density
from fieldsolve.grids import Smoother
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array


class Cross(NamedTuple):
    """int rho log q, its variation log q in rho, and its variation in sigma: K(rho/q), the pull; fields (N,)."""

    value: float
    log_q: Array
    pull: Array


def cross(smoother: Smoother | None, rho: Array, sigma: Array, log_weights: Array) -> Cross:
    """`Cross` of two positive densities (N,); smoother: of the energy's kernel, None for the intrinsic one; log_weights: the
    grid's."""
    if smoother is None and log_weights.size > 1:
        log_q, log_rho = (log_function(one, log_weights) for one in (sigma, rho))
        return Cross(float(np.mean(rho * log_q)), log_q, np.exp(log_rho - log_q))
    if smoother is None:
        log_q = np.log(sigma)
        return Cross(float(np.mean(rho * log_q)), log_q, rho / sigma)
    log_q = smoother.log_smooth(sigma, rho)
    with np.errstate(divide="ignore"):
        log_ratio = np.log(rho) - log_q
    pull = np.zeros_like(rho)
    add_pull(smoother, pull, log_ratio, float(log_ratio.max()), sigma)
    return Cross(float(np.mean(rho * log_q)), log_q, pull)


def log_function(density: Array, log_weights: Array) -> Array:
    """log rho of a density (N,) of any mass as a grid with weights stores it."""
    state = from_density(density, 0.0, log_weights)
    return np.asarray(state.log_density()[0] + np.log(density.mean()))


def add_pull(smoother: Smoother, variation: Array, log_ratio: Array, top: float, weight: Array) -> None:
    """Add K exp(log_ratio), whose largest exponent is top, to a variation; the ratio is used up."""

    def take_exponential(at: slice) -> None:
        log_ratio[at] -= top
        np.exp(log_ratio[at], out=log_ratio[at])

    with np.errstate(over="ignore"):  # beyond all numbers where a density faces another one's empty tail: the descent says so
        height = np.exp(top)

    def add(at: slice) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            pull[at] *= height
            variation[at] += pull[at]

    threads.over_chunks(take_exponential, smoother.grid.size)
    pull = smoother.smooth_closely(log_ratio, float(np.exp(-top)), weight)
    threads.over_chunks(add, smoother.grid.size)
