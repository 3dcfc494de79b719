"""Two bands: the separated state of two smoothed densities at flat potentials, in closed form and in any dimension."""

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import numpy as np

from fieldsolve.grids import Kernel
from fieldsolve.grids.bessel import concentration_of, log_exponential_mean, mean_resultant
from fieldsolve.numerics.errors import InputError

_HEIGHTS = 512  # at which the least coupling is looked for, before it is a root
_LEAST_HEIGHT = 1e-3
_TOLERANCE = 1e-15


@dataclass(frozen=True)
class Band:
    """Bands of two densities at z.e = +-height, each uniform on its sphere S^{d-2}; energy: J in nats, 0 for uniform densities.

    The centroid gap is twice the height.
    """

    height: float
    energy: float


@dataclass(frozen=True)
class Binodal:
    """From which coupling on two bands lie below the pair of uniform densities, and where: at heights +-height of an axis."""

    coupling: float
    height: float


def band_energy(kernel: Kernel, dimension: int, coupling: float, height: float) -> float:
    """J(t) = kappa t^2 (1 - 2 lambda) + log A_{d-1}(kappa (1 - t^2)) - log A_d(kappa) of bands at +-t (beyond the paper).

    A_n(x) is the mean of exp(x u.v) over S^{n-1}. 0 <= t <= 1. Raises InputError for critics that are not linear.
    """
    kappa = kernel.concentration
    return kappa * height**2 * (1 - 2 * coupling) + _split(kappa, dimension, height)


def band_coupling(kernel: Kernel, dimension: int, height: float) -> float:
    """The coupling at which bands at +-t, 0 < t <= 1, cost as much as two uniform densities: where `band_energy` is 0."""
    kappa = kernel.concentration
    return 0.5 * (1 + _split(kappa, dimension, height) / (kappa * height**2))


def band_opening(kernel: Kernel, dimension: int) -> float:
    """lambda_o = 1/2 - r_{d-1}(kappa)/2, from which on bands are a stationary state, with r_n = A_n'/A_n."""
    _require_dimension(dimension)
    return 0.5 - mean_resultant(dimension - 1, kernel.concentration) / 2


def band_state(kernel: Kernel, dimension: int, coupling: float) -> Band | None:
    """The stationary bands at a coupling, r_{d-1}(kappa (1 - t^2)) = 1 - 2 lambda; antipodal points from 1/2 on.

    None up to `band_opening`. Raises InputError for critics that are not linear, and dimensions below 2.
    """
    if coupling <= band_opening(kernel, dimension):
        return None
    kappa = kernel.concentration
    rest = concentration_of(dimension - 1, 1 - 2 * coupling)
    height = sqrt(max(1 - rest / kappa, 0.0))
    return Band(height, band_energy(kernel, dimension, coupling, height))


@lru_cache(maxsize=256)
def band_binodal(kernel: Kernel, dimension: int) -> Binodal:
    """The least coupling at which bands cost as much as uniform densities: the binodal of bands, an upper bound of the energy's
    own.

    There J = 0 and dJ/dt = 0, so that r_{d-1}(kappa (1 - t^2)) = 1 - 2 lambda(t) with the coupling lambda(t) of `band_coupling`.
    Raises InputError for critics that are not linear, and dimensions below 2.
    """
    from scipy.optimize import brentq  # slow to import: 0.4 s

    _require_dimension(dimension)
    kappa = kernel.concentration

    def slope(height: float) -> float:
        return mean_resultant(dimension - 1, kappa * (1 - height**2)) - 1 + 2 * band_coupling(kernel, dimension, height)

    heights = np.linspace(_LEAST_HEIGHT, 1.0, _HEIGHTS)
    best = int(np.argmin([band_coupling(kernel, dimension, float(one)) for one in heights]))
    low, high = (float(heights[min(max(best + step, 0), _HEIGHTS - 1)]) for step in (-1, 1))
    ends = slope(low), slope(high)
    is_inside = ends[0] * ends[1] < 0
    height = float(brentq(slope, low, high, xtol=_TOLERANCE)) if is_inside else float(heights[best])
    return Binodal(band_coupling(kernel, dimension, height), height)


def _split(kappa: float, dimension: int, height: float) -> float:
    """log A_{d-1}(kappa (1 - t^2)) - log A_d(kappa)."""
    rest = float(log_exponential_mean(kappa * (1 - height**2), dimension - 1))
    return rest - float(log_exponential_mean(kappa, dimension))


def _require_dimension(dimension: int) -> None:
    if dimension < 2:
        raise InputError(f"embeddings have at least 2 components, not {dimension}")
