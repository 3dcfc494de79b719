"""Uniformity terms: logarithms of Gaussian potentials within each modality, or between them."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.equilibrium.terms.overlap import height, log_lowest, log_overlaps, overlap, pair_factors
from fieldsolve.equilibrium.terms.term import Convexity, Term, require_pairs, require_scale, require_smoothing, require_weight
from fieldsolve.grids import Grid, Kernel, Modes, Smoother
from fieldsolve.numerics.arrays import Array


def _kernel(t: float) -> Kernel:
    """exp(-t |z - z'|^2) on unit vectors, normalised."""
    return Kernel("rbf", 1 / t)


@dataclass(frozen=True)
class Uniformity(Term):
    """weight times the mean over modalities of log int rho_a K_t rho_a, K_t ~ exp(-t |z - z'|^2): in-modal uniformity.

    The uniformity loss of Wang and Isola (2020) is it up to log V; t = 2 there. At least 0, as K_t is positive definite and of
    mean 1; relative smoothness weight (max K_t - min K_t). Raises InputError for a weight or a t out of range.
    """

    weight: float = 1.0
    t: float = 2.0

    name = "uniformity"

    def __post_init__(self) -> None:
        require_weight(self, self.weight)
        require_scale(self, self.t, "t")

    def check(self, grid: Grid, modalities: int) -> None:
        super().check(grid, modalities)
        require_smoothing(self, grid, _kernel(self.t))

    def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
        smoother, value, variation = Smoother(grid, _kernel(self.t)), 0.0, np.empty_like(density)
        for rho, out in zip(density, variation, strict=True):
            own, smoothed, _ = overlap(smoother, rho, rho, grid.log_weights)
            value += float(np.log(own))
            out[:] = 2 * smoothed / own
        scale = self.weight / len(density)
        return scale * value, scale * variation

    def smoothness(self, grid: Grid, modalities: int) -> float:
        return self.weight * height(grid, _kernel(self.t))

    def spectrum(self, modes: Modes, modalities: int) -> Array:
        factors = modes.factors(_kernel(self.t))
        return np.asarray(2 * self.weight * factors[:, None, None] * np.eye(modalities))

    def least(self, grid: Grid) -> float:
        return 0.0


@dataclass(frozen=True)
class CrossUniformity(Term):
    """weight times the mean over pairs of modalities of log int rho_a K_t rho_b: it drives modalities apart.

    Concave in each density. No relative smoothness is proved. Raises InputError for a weight or a t out of range, and for one
    modality.
    """

    weight: float = 1.0
    t: float = 2.0

    name = "cross-uniformity"

    def __post_init__(self) -> None:
        require_weight(self, self.weight)
        require_scale(self, self.t, "t")

    def check(self, grid: Grid, modalities: int) -> None:
        super().check(grid, modalities)
        require_pairs(self, modalities)
        require_smoothing(self, grid, _kernel(self.t))

    def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
        value, variation = log_overlaps(grid, _kernel(self.t), density)
        return self.weight * value, self.weight * variation

    def smoothness(self, grid: Grid, modalities: int) -> float | None:
        return 0.0 if self.weight == 0 else None

    def spectrum(self, modes: Modes, modalities: int) -> Array:
        return self.weight * pair_factors(modes.factors(_kernel(self.t)), modalities)

    def least(self, grid: Grid) -> float:
        """weight log min K_t: an overlap of densities is a mean of K_t."""
        return self.weight * log_lowest(grid, _kernel(self.t))

    @property
    def convexity(self) -> Convexity:
        return Convexity.JOINTLY if self.weight == 0 else Convexity.NOT
