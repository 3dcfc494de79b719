"""Cross-entropies against a tempered, geometric mixture of the densities: a shared reference field."""

from dataclasses import dataclass, field, replace

import numpy as np

from fieldsolve.equilibrium.terms.cross_entropy import coupling_matrix
from fieldsolve.equilibrium.terms.pull import cross
from fieldsolve.equilibrium.terms.term import Contrast, require_share
from fieldsolve.grids import Grid, Kernel, Modes, Smoother
from fieldsolve.numerics.arrays import Array


@dataclass(frozen=True)
class Tempered(Contrast):
    """(1/A) sum_a int rho_a log(r_a/Z_a), r_a = prod_b q_b^M_ab, Z_a = int r_a: the tempered reference of Appendix E.

    own: M_aa, the exponent w of the own density, q = rho or K rho; the rest is shared among the others. It is the energy of
    coupling 1 - w less the mean of log Z_a, which is at most 0 (beyond the paper). No relative smoothness is proved: -log Z
    curves by what r_a/q_b is, which nothing bounds. Raises InputError for an exponent outside [0, 1].
    """

    own: float = 0.5
    kernel: Kernel | None = field(default=None, repr=False, compare=False)

    name = "tempered"

    def __post_init__(self) -> None:
        require_share(self, self.own, "the exponent of the own density")

    def within(self, mixing: Array, kernel: Kernel | None) -> "Tempered":
        return replace(self, kernel=kernel)

    def coupling_below(self, modalities: int) -> float:
        """1 - w: Z_a is at most 1 [Hoelder]."""
        return 1 - self.own

    def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
        smoother = None if self.kernel is None else Smoother(grid, self.kernel)
        modalities = len(density)
        exponents = coupling_matrix(1 - self.own, modalities)
        # q_b is what every density's mixed logarithm needs; what pulls on rho_b is K((sum_a M_ab rho_a)/q_b).
        own = grid.log_weights
        pulls = [cross(smoother, mixed, one, own) for mixed, one in zip(exponents.T @ density, density, strict=True)]
        log_q = np.stack([one.log_q for one in pulls])
        log_r = exponents @ log_q
        tops = log_r.max(axis=1, keepdims=True)
        log_z = tops + np.log(grid.mean(np.exp(log_r - tops)))[:, None]
        references = np.exp(log_r - log_z + own)
        less = [cross(smoother, mixed, one, own).pull for mixed, one in zip(exponents.T @ references, density, strict=True)]
        value = float(np.mean(np.mean(density * (log_r - log_z), axis=1)))
        variation = log_r - log_z + np.stack([one.pull for one in pulls]) - np.stack(less)
        return value, variation / modalities

    def smoothness(self, grid: Grid, modalities: int) -> None:
        return None

    def spectrum(self, modes: Modes, modalities: int) -> Array:
        k, exponents = modes.factors(self.kernel)[:, None, None], coupling_matrix(1 - self.own, modalities)
        return np.asarray(2 * k * exponents - k**2 * (exponents @ exponents))
