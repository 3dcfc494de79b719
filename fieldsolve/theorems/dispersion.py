"""The stability of the uniform matched state under smoothing: at which coupling, and along which mode, it breaks."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.equilibrium.densities import normalise
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.grids import Grid, Kernel
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

LARGEST_DIMENSION = 100_000

_AMPLITUDE = 1e-5  # of a measured perturbation: its square, and rounding over it, are below what is compared


@dataclass(frozen=True, eq=False)
class Dispersion:
    """How antisymmetric perturbations (rho_1, rho_2) = (1 + delta Y_l, 1 - delta Y_l) of two uniform densities grow.

    The smoothed energy 2J of coupling lambda at U = 0 has the second-order term delta^2 [2 (k_l - k_l^2/2) - 4 lambda k_l],
    which is negative beyond lambda_c(l) = 1/2 - k_l/4. kernel: of the smoothing; dimension: d of the embeddings on S^{d-1};
    spectrum: k_0 ... k_lmax.
    """

    kernel: Kernel
    dimension: int
    spectrum: Array

    @property
    def critical_couplings(self) -> Array:
        """lambda_c(l) = 1/2 - k_l/4 for l = 1, 2, ...; at the first of them that the coupling exceeds the state breaks."""
        return 0.5 - self.spectrum[1:] / 4

    @property
    def breaks_at(self) -> float:
        """The smallest critical coupling."""
        return float(self.critical_couplings.min())

    @property
    def mode(self) -> int:
        """The degree l of the mode that breaks first: 1 is a dipole, a centroid gap."""
        return 1 + int(np.argmin(self.critical_couplings))

    def growth(self, coupling: float) -> Array:
        """The factor 1 + 4 k_l (lambda - lambda_c(l)) by which a mirror step of length 1 multiplies the modes l = 1, 2, ..."""
        return np.asarray(1 + 4 * self.spectrum[1:] * (coupling - self.critical_couplings))


def dispersion(kernel: Kernel, dimension: int = 3, lmax: int = 16) -> Dispersion:
    """The dispersion of a kernel on the sphere S^{d-1} of embeddings with d components, for modes up to degree lmax.

    By the kernel's spectrum (Funk-Hecke): ratios of Bessel functions, or quadrature against Gegenbauer polynomials. Raises
    InputError for a dimension below 2 or beyond 100 000, and for a degree below 1.
    """
    if not 2 <= dimension <= LARGEST_DIMENSION:
        raise InputError(f"embeddings have 2 to {LARGEST_DIMENSION} components here, not {dimension}")
    if lmax < 1:
        raise InputError(f"modes begin at degree 1, so the largest degree cannot be {lmax}")
    return Dispersion(kernel, dimension, kernel.spectrum(dimension - 1, lmax))


def measured_growth(grid: Grid, kernel: Kernel, coupling: float, degree: int) -> float:
    """The factor by which one mirror step of length 1 multiplies the zonal mode of a degree, measured on a grid.

    A second route to `Dispersion.growth`, through the solver's own step. Raises InputError if the grid cannot resolve
    the kernel.
    """
    mode = grid.zonal(degree)
    energy = Energy(grid, np.zeros((2, grid.size)), kernel.tau, coupling, kernel)
    state = normalise(_AMPLITUDE * np.stack([mode, -mode]), 0.0, grid.log_weights)
    _, onward = energy.step(state, 1.0, np.empty((2, grid.size)))
    apart = (onward.field[0] - onward.field[1]) / 2
    return float(grid.mean(apart * mode) / grid.mean(_AMPLITUDE * mode * mode))
