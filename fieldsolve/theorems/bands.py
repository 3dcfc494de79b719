"""The first-order transition of two smoothed densities at flat potentials: bands in any dimension, states on a grid."""

from dataclasses import dataclass
from functools import lru_cache
from math import log

import numpy as np

from fieldsolve.equilibrium.densities import from_density
from fieldsolve.equilibrium.descent import descend
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.grids import Grid, Kernel
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Progress, Watch

_COARSE, _ROUNDS, _PART = 64, 12, 0.3  # heights tried at once, how often the best one's neighbourhood is narrowed, to which part
_LEAST_HEIGHT = 1e-3
_STEP, _TOLERANCE, _MOST_RAISED = 0.01, 1e-3, 4  # of the coupling, by continuation
_NATS, _BELOW, _MOST_STEPS = 1e-4, 1e-6, 1000  # of a descent; nats by which a state is below uniform densities


@dataclass(frozen=True)
class Binodal:
    """From which coupling on two bands lie below the pair of uniform densities, and where: at heights +-height of an axis."""

    coupling: float
    height: float


def band_coupling(kernel: Kernel, dimension: int, height: float) -> float:
    """The coupling at which two bands z.e = +-t, each uniform on its sphere S^{d-2}, cost as much as two uniform densities.

    J(t) = kappa t^2 (1 - 2 lambda) + log A_{d-1}(kappa (1 - t^2)) - log A_d(kappa) = 0, with A_n(x) the mean of exp(x u.v) over
    S^{n-1} (beyond the paper). 0 < t <= 1. Raises InputError for critics that are not linear.
    """
    kappa = kernel.concentration
    rest = kappa * (1 - height**2)
    return 0.5 * (1 + (_log_mean(rest, dimension - 1) - _log_mean(kappa, dimension)) / (kappa * height**2))


@lru_cache(maxsize=256)
def band_binodal(kernel: Kernel, dimension: int) -> Binodal:
    """The least coupling at which bands cost as much as uniform densities: the binodal of bands, an upper bound of the energy's
    own.

    Raises InputError for critics that are not linear, and dimensions below 2.
    """
    if dimension < 2:
        raise InputError(f"embeddings have at least 2 components, not {dimension}")
    low, high = _LEAST_HEIGHT, 1.0
    best = 1.0
    for _ in range(_ROUNDS):
        heights = np.linspace(low, high, _COARSE)
        best = float(heights[int(np.argmin([band_coupling(kernel, dimension, float(one)) for one in heights]))])
        width = _PART * (high - low) / 2
        low, high = max(_LEAST_HEIGHT, best - width), min(1.0, best + width)
    return Binodal(band_coupling(kernel, dimension, best), best)


def measured_binodal(grid: Grid, kernel: Kernel, watch: Watch | None = None) -> float | None:
    """The coupling, to 1e-3, down to which a separated state of flat potentials lies below the uniform pair on a grid.

    From the state at the binodal of bands on (or a little above it, if that is not below on this grid) a state is followed
    downwards, each descent from the last one that lies below. None if none was found below. Raises InputError if the grid cannot
    resolve the kernel, and for critics that are not linear.
    """
    high = band_binodal(kernel, grid.components).coupling
    problem = Problem(["flat"] * 2, kernel.tau, 0.0, high, "smoothed", grid=grid, critic=str(kernel.critic), tolerance=_NATS)
    for _ in range(_MOST_RAISED):
        solution = problem.at("coupling", high).solve()
        if solution.energy < -_BELOW:
            break
        high += _STEP
    else:
        return None
    state, step = from_density(solution.density, 0.0), _STEP
    while step > _TOLERANCE:
        energy = problem.at("coupling", max(high - step, 0.0)).functional()[0]
        found = descend(energy, state, _NATS, _MOST_STEPS)
        if found.evaluation.value < -_BELOW:
            high, state = high - step, found.state
        else:
            step /= 2
        if watch is not None:
            watch(Progress(0, None, f"couplings, the transition is at most at {high:.4f}"))
    return high


@lru_cache(maxsize=256)
def _log_mean(x: float, components: int) -> float:
    """log A_n(x)."""
    if x == 0:
        return 0.0
    if components == 1:
        return x + log((1 + np.exp(-2 * x)) / 2)
    return Kernel("cosine", 1 / x).log_volume(components - 1)
