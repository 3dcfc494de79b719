"""Quadratic penalties: squared distances of densities in a kernel's geometry, with any spectrum."""

from abc import abstractmethod
from itertools import combinations

import numpy as np

from fieldsolve.equilibrium.terms.term import Convexity, Term, require_pairs, require_weight
from fieldsolve.grids import Grid, Modes
from fieldsolve.numerics.arrays import Array


class QuadraticPenalty(Term):
    """weight times sum_{a<b} int (rho_a - rho_b) T (rho_a - rho_b) dmu, T zonal with eigenvalues t_l >= 0 for l >= 1.

    A subclass is a frozen dataclass with a weight that says its eigenvalues and `height`; T is then applied to harmonics, or as
    its own `apply` does. Jointly convex, at least 0, and of relative smoothness weight A^2 height: for fields of mean 0, int f
    T f <= height/2 (int abs(f))^2, and (int abs(f))^2 <= int f^2/rho.
    """

    weight: float

    def __post_init__(self) -> None:
        require_weight(self, self.weight)

    @abstractmethod
    def eigenvalues(self, modes: Modes) -> Array:
        """t_0 ... t_lmax, shape (lmax + 1,); t_0 is of no account."""

    @abstractmethod
    def height(self, grid: Grid) -> float:
        """The largest value of T's kernel less its smallest."""

    def apply(self, grid: Grid, field: Array) -> Array:
        """T f of a field (N,) of mean 0, by harmonics up to the grid's largest degree."""
        lmax = grid.largest_degree
        factors = self.eigenvalues(Modes(grid.dim, lmax))[grid.degrees(lmax)]
        return grid.synthesis(factors * grid.analysis(field, lmax), lmax)

    def check(self, grid: Grid, modalities: int) -> None:
        super().check(grid, modalities)
        require_pairs(self, modalities)
        self.apply(grid, np.zeros(grid.size))

    def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
        value, variation = 0.0, np.zeros_like(density)
        for a, b in combinations(range(len(density)), 2):
            apart = density[a] - density[b]
            applied = self.apply(grid, apart)
            value += self.weight * float(np.mean(apart * applied))
            variation[a] += 2 * self.weight * applied
            variation[b] -= 2 * self.weight * applied
        return value, variation

    def smoothness(self, grid: Grid, modalities: int) -> float:
        return self.weight * modalities**2 * self.height(grid)

    def spectrum(self, modes: Modes, modalities: int) -> Array:
        apart = modalities * np.eye(modalities) - 1
        return np.asarray(2 * modalities * self.weight * self.eigenvalues(modes)[:, None, None] * apart)

    @property
    def convexity(self) -> Convexity:
        return Convexity.JOINTLY

    def least(self, grid: Grid) -> float:
        return 0.0
