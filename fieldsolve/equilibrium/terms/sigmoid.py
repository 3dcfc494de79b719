"""The sigmoid loss in large batches: pairs of all modalities' rows against each other, with a bias."""

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import exp, isfinite

import numpy as np

from fieldsolve.equilibrium.terms.overlap import height, log_overlaps, overlap, pair_factors
from fieldsolve.equilibrium.terms.term import Contrast, Convexity, require_pairs
from fieldsolve.grids import Grid, Kernel, Modes, Smoother
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError


class Overlap(Contrast):
    """A contrast that knows two densities by their overlap only, and is concave in each: minima are at pairs of vertices."""

    kernel: Kernel | None

    @abstractmethod
    def at_overlap(self, value: Array) -> Array:
        """The term at overlaps int rho_1 K rho_2; it rises with them."""

    def check(self, grid: Grid, modalities: int) -> None:
        super().check(grid, modalities)
        require_pairs(self, modalities)


@dataclass(frozen=True)
class Sigmoid(Overlap):
    """The mean over pairs of modalities of log int rho_a K rho_b: SigLIP's loss at its best bias, large-batch limit (beyond the
    paper).

    -E s/tau - b + N V e^b int rho_1 K rho_2 with b = -log(N V int rho_1 K rho_2), less log(N V) + 1. Concave in each density, so
    that minima are at vertices. No relative smoothness is proved: 1/int rho_1 K rho_2 may be large.
    Raises InputError for one modality.
    """

    kernel: Kernel | None = field(default=None, repr=False, compare=False)

    name = "sigmoid"

    def within(self, mixing: Array, kernel: Kernel | None) -> "Sigmoid":
        return replace(self, kernel=kernel)

    def at_overlap(self, value: Array) -> Array:
        return np.log(value)

    def coupling_below(self, modalities: int) -> float:
        """1: the logarithm of a mean is at least the mean of logarithms [Jensen]."""
        return 1.0

    def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
        return log_overlaps(grid, self.kernel, density)

    def smoothness(self, grid: Grid, modalities: int) -> None:
        return None

    def spectrum(self, modes: Modes, modalities: int) -> Array:
        return pair_factors(modes.factors(self.kernel), modalities)


@dataclass(frozen=True)
class SigmoidAtBias(Overlap):
    """The mean over pairs of e^bias int rho_a K rho_b - bias - 1: SigLIP's loss at a given bias, in large batches.

    bias: b + log(N V) of a loss with bias b, N negatives and kernel volume V; at -log int rho_1 K rho_2 the term is `Sigmoid`'s.
    Linear in each density. Raises InputError for one modality, and for a bias that is not finite.
    """

    bias: float = 0.0
    kernel: Kernel | None = field(default=None, repr=False, compare=False)

    name = "sigmoid-at"

    def __post_init__(self) -> None:
        if not (isfinite(self.bias) and abs(self.bias) <= 300):
            raise InputError(f"the bias of the term {self.name} is a number from -300 to 300, not {self.bias}")

    def within(self, mixing: Array, kernel: Kernel | None) -> "SigmoidAtBias":
        return replace(self, kernel=kernel)

    def at_overlap(self, value: Array) -> Array:
        return exp(self.bias) * value - self.bias - 1

    def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
        smoother = None if self.kernel is None else Smoother(grid, self.kernel)
        pairs = list(combinations(range(len(density)), 2))
        total, variation = 0.0, np.zeros_like(density)
        for a, b in pairs:
            value, from_b, from_a = overlap(smoother, density[a], density[b], grid.log_weights)
            total += value
            variation[a] += from_b
            variation[b] += from_a
        scale = exp(self.bias) / len(pairs)
        return scale * total - self.bias - 1, scale * variation

    def smoothness(self, grid: Grid, modalities: int) -> float:
        """e^bias (max K - min K): two fields of mean 0 overlap by at most half of that times their masses."""
        return exp(self.bias) * height(grid, self.kernel)

    def spectrum(self, modes: Modes, modalities: int) -> Array:
        return exp(self.bias) * pair_factors(modes.factors(self.kernel), modalities)

    @property
    def needs_floor(self) -> bool:
        return False

    @property
    def convexity(self) -> Convexity:
        return Convexity.IN_EACH

    def coupling_below(self, modalities: int) -> float:
        """1: e^bias q - bias - 1 is at least log q, which is at least the mean of logarithms."""
        return 1.0
