"""The binding term: alignment with positives, linear in the densities."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.equilibrium.terms.term import Convexity, Term
from fieldsolve.grids import Grid, Modes
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class Binding(Term):
    """(1/A) sum_a int U_a rho_a/tau_a [Def 3.1, (6), (9)]. potentials: (A, N); tau > 0: one for all, or one a modality, (A,)."""

    potentials: Array
    tau: float | Array

    name = "binding"

    def parts(self, grid: Grid, density: Array, variation: Array) -> Array:
        """int U_a rho_a/tau_a, shape (A,); writes U/tau, the variation of A times the term."""
        tau = np.reshape(self.tau, (-1, 1))

        def fill(at: slice) -> Array:
            np.divide(self.potentials[:, at], tau, out=variation[:, at])
            return np.asarray(np.einsum("an,an->a", variation[:, at], density[:, at]))

        return np.asarray(np.sum(threads.over_chunks(fill, grid.size), axis=0) / grid.size)

    def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
        variation = np.empty_like(density)
        binding = self.parts(grid, density, variation)
        return float(binding.mean()), variation / len(density)

    def smoothness(self, grid: Grid, modalities: int) -> float:
        return 0.0

    def spectrum(self, modes: Modes, modalities: int) -> Array:
        return np.zeros((modes.lmax + 1, modalities, modalities))

    @property
    def convexity(self) -> Convexity:
        return Convexity.JOINTLY
