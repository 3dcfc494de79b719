"""What smoothing and zonal forms do to harmonics of each degree, on the sphere of any dimension."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fieldsolve.grids.kernels import Kernel, latitudes, zonal_functions
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

_SMOOTH = 64  # a degree up to which profiles that are smooth in the angle are integrated exactly


@dataclass(frozen=True)
class Modes:
    """The harmonics of degree 0 to lmax on the sphere S^dim: 1 for the circle, d - 1 for embeddings of d components."""

    dim: int
    lmax: int

    def __post_init__(self) -> None:
        if self.dim < 1 or self.lmax < 1:
            raise InputError(
                f"modes are of degrees from 1 on a sphere of dimension 1 or more, not of {self.lmax} on S^{self.dim}"
            )

    def factors(self, kernel: Kernel | None) -> Array:
        """Eigenvalues k_0 = 1 ... k_lmax of smoothing by a kernel [Funk-Hecke]; all 1 without one. Shape (lmax + 1,)."""
        return np.ones(self.lmax + 1) if kernel is None else kernel.spectrum(self.dim, self.lmax)

    def factors_of(self, profile: Callable[[Array], Array]) -> Array:
        """Eigenvalues of int g(angle(z, z')) f(z') dmu(z') for a profile g that is smooth in the angle, by quadrature."""
        angle, log_weight = latitudes(self.dim, max(self.lmax, _SMOOTH))
        weighted = np.exp(log_weight) * profile(angle)
        return np.array([np.sum(weighted * zonal) for zonal in zonal_functions(angle, self.dim, self.lmax)])
