"""The centroid penalty: squared distances of the modalities' means."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.equilibrium.terms.quadratic import QuadraticPenalty
from fieldsolve.grids import Grid, Modes
from fieldsolve.numerics.arrays import Array


@dataclass(frozen=True)
class CentroidPenalty(QuadraticPenalty):
    """weight sum_{a<b} |m_a - m_b|^2, m_a = int z rho_a: T = z.z', whose eigenvalue is 1/d at degree 1 and 0 elsewhere."""

    weight: float = 1.0

    name = "centroid"

    def eigenvalues(self, modes: Modes) -> Array:
        return np.where(np.arange(modes.lmax + 1) == 1, 1 / (modes.dim + 1), 0.0)

    def height(self, grid: Grid) -> float:
        return 2.0

    def apply(self, grid: Grid, field: Array) -> Array:
        centroid = grid.centroid(field)
        return grid.evaluate(lambda points: np.asarray(points @ centroid))
