"""Uniform laws on the spheres of points with a given projection: what is left of S^{d-1} where k directions count."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.grids.bessel import log_exponential_mean, mean_resultants
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError


@dataclass(frozen=True)
class Shells:
    """All points of S^{d-1} with the same projection y on k directions, a sphere of radius r = sqrt(1 - |y|^2), as one.

    Beyond the paper. A shell is a unit vector (y, r), of k + 1 components and r of either sign; for k = d it is a point. Kernels
    are their means over two shells: log K = kappa y.y' + log A_{d-k}(kappa r r') - log A_d(kappa). dimension: d; directions: k,
    from 1 to d.
    """

    dimension: int
    directions: int

    def __post_init__(self) -> None:
        if not 1 <= self.directions <= self.dimension:
            raise InputError(f"shells are of 1 to {self.dimension} directions, not of {self.directions}")

    @property
    def components(self) -> int:
        """Of a shell's vector."""
        return self.directions + (self.directions < self.dimension)

    def log_kernel(self, kernel: Kernel, x: Array, y: Array) -> Array:
        """log K between shells x (n, components) and y (m, components), (n, m). Raises InputError unless the critic is linear."""
        kappa, level = kernel.concentration, float(log_exponential_mean(kernel.concentration, self.dimension))
        if self.directions == self.dimension:
            return np.asarray(kappa * np.einsum("ic,jc->ij", x, y) - level)
        across = kappa * np.outer(x[:, -1], y[:, -1])
        rest = log_exponential_mean(np.abs(across), self.dimension - self.directions)
        return np.asarray(kappa * np.einsum("ic,jc->ij", x[:, :-1], y[:, :-1]) + rest - level)

    def log_kernel_slopes(self, kernel: Kernel, x: Array, y: Array) -> Array:
        """The derivatives of `log_kernel` with respect to the components of x, (n, m, components)."""
        kappa = kernel.concentration
        slopes = np.broadcast_to(kappa * y, (len(x), *y.shape)).copy()
        if self.directions < self.dimension:
            across = kappa * np.outer(x[:, -1], y[:, -1])
            slopes[..., -1] *= mean_resultants(across, self.dimension - self.directions)
        return slopes
