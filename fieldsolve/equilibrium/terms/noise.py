"""What noise of a temperature adds to a descent of many particles: their entropy."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.equilibrium.densities import from_density
from fieldsolve.equilibrium.terms.term import Convexity, Term, require_weight
from fieldsolve.grids import Grid, Modes
from fieldsolve.numerics.arrays import Array


@dataclass(frozen=True)
class Noise(Term):
    """(weight/A) sum_a int rho_a log rho_a (beyond the paper; its Section 5): weight is the noise's temperature.

    Particles that step down the variation of A J with independent noise have densities that descend A times this energy, by the
    equation of Fokker and Planck.
    """

    weight: float = 1.0

    name = "noise"

    def __post_init__(self) -> None:
        require_weight(self, self.weight)

    def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
        logs = from_density(density, 0.0, grid.log_weights).log_density()
        own = self.weight / len(density)
        return own * float(np.sum(np.mean(density * logs, axis=1))), own * (logs + 1)

    def smoothness(self, grid: Grid, modalities: int) -> float:
        return self.weight

    def spectrum(self, modes: Modes, modalities: int) -> Array:
        return np.broadcast_to(self.weight * np.eye(modalities), (modes.lmax + 1, modalities, modalities)).copy()

    @property
    def convexity(self) -> Convexity:
        return Convexity.JOINTLY

    def least(self, grid: Grid) -> float:
        return 0.0
