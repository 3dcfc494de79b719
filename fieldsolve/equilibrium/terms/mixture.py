"""One softmax over in-modal and cross-modal negatives together: every density against a mixture of all of them."""

from dataclasses import dataclass, field, replace

import numpy as np

from fieldsolve.equilibrium.terms.cross_entropy import coupling_matrix
from fieldsolve.equilibrium.terms.pull import cross
from fieldsolve.equilibrium.terms.term import Contrast, Convexity, require_share
from fieldsolve.grids import Grid, Kernel, Modes, Smoother
from fieldsolve.numerics.arrays import Array


@dataclass(frozen=True)
class Mixture(Contrast):
    """(1/A) sum_a int rho_a log q_a, q_a = K sum_b W_ab rho_b: the arithmetic mixture of Appendix E (beyond the paper).

    own: W_aa, the share w of a modality's own negatives in its softmax; the rest is shared among the others. 1/2 is one
    softmax over all negatives of two modalities. 1-smooth, as cross-entropies are. Without smoothing it is jointly convex from
    w = 1/A on: with p = W rho, S = sum p, v = (1 - w)/(A - 1) and the mean X of x_a = dp_a/p_a the second variation is, at v =
    1/A, sum p_a (x_a - X)^2 + S/A sum (x_a - X)^2 over w - v, and it is linear in v times that down to v = 0. Raises InputError
    for a share outside [0, 1].
    """

    own: float = 0.5
    kernel: Kernel | None = field(default=None, repr=False, compare=False)

    name = "mixture"

    def __post_init__(self) -> None:
        require_share(self, self.own, "the share of own negatives")

    @property
    def needs_floor(self) -> bool:
        """Not with own negatives: int rho log(w rho + ...) is at least log w and the entropy's minimum."""
        return self.own == 0

    def within(self, mixing: Array, kernel: Kernel | None) -> "Mixture":
        return replace(self, kernel=kernel)

    def coupling_below(self, modalities: int) -> float:
        """1 - w: the logarithm is concave [Jensen]."""
        return 1 - self.own

    def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
        smoother = None if self.kernel is None else Smoother(grid, self.kernel)
        shares = coupling_matrix(1 - self.own, len(density))
        value, variation = 0.0, np.zeros_like(density)
        for a, row in enumerate(shares):
            found = cross(smoother, density[a], np.einsum("b,bn->n", row, density), grid.log_weights)
            value += found.value
            variation[a] += found.log_q
            variation += row[:, None] * found.pull
        return value / len(density), variation / len(density)

    def smoothness(self, grid: Grid, modalities: int) -> float:
        return 1.0

    def spectrum(self, modes: Modes, modalities: int) -> Array:
        k, shares = modes.factors(self.kernel)[:, None, None], coupling_matrix(1 - self.own, modalities)
        return np.asarray(2 * k * shares - k**2 * (shares @ shares))

    @property
    def convexity(self) -> Convexity:
        """Jointly convex for log rho and w >= 1/2, which is 1/A or more."""
        return Convexity.JOINTLY if self.kernel is None and self.own >= 0.5 else Convexity.NOT
