"""The energy-distance penalty: 2 E|X - Y| - E|X - X'| - E|Y - Y'|."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.equilibrium.terms.quadratic import QuadraticPenalty
from fieldsolve.grids import Grid, Modes
from fieldsolve.numerics.arrays import Array


@dataclass(frozen=True)
class EnergyDistance(QuadraticPenalty):
    """weight sum_{a<b} (2 E|X_a - X_b| - E|X_a - X_a'| - E|X_b - X_b'|): T = -|z - z'|, whose eigenvalues fall like l^-d."""

    weight: float = 1.0

    name = "energy-distance"

    def eigenvalues(self, modes: Modes) -> Array:
        return modes.factors_of(lambda angle: -2 * np.sin(angle / 2))

    def height(self, grid: Grid) -> float:
        return 2.0
