"""A temperature for each direction: of the first modality's rows as queries, and of the second's."""

from dataclasses import dataclass, field, replace

import numpy as np

from fieldsolve.equilibrium.terms.cross_entropy import coupling_matrix
from fieldsolve.equilibrium.terms.pull import cross
from fieldsolve.equilibrium.terms.term import Contrast, Convexity, require_scale, require_smoothing
from fieldsolve.grids import Grid, Kernel, Modes, Smoother
from fieldsolve.numerics.arrays import Array


@dataclass(frozen=True)
class Temperatures(Contrast):
    """(1/2) sum_ab M_ab int rho_a log q_ab of two modalities, q_ab = K_a rho_b: each direction's loss at a temperature of its
    own.

    tau1, tau2: of the first and the second modality's rows as queries; alignment is int U_a rho_a/tau_a. Without smoothing q_ab =
    rho_b, and the temperatures scale the potentials only. 1-smooth, as cross-entropies are. Raises InputError for a temperature
    that is not a positive number.
    """

    tau1: float
    tau2: float
    mixing: Array | None = field(default=None, repr=False, compare=False)
    kernel: Kernel | None = field(default=None, repr=False, compare=False)

    name = "temperatures"
    modalities = 2
    needs_coupling = True

    def __post_init__(self) -> None:
        for tau in (self.tau1, self.tau2):
            require_scale(self, tau, "a temperature")

    @property
    def needs_floor(self) -> bool:
        return bool(self._mixing[0, 1] + self._mixing[1, 0] > 0)

    def check(self, grid: Grid, modalities: int) -> None:
        super().check(grid, modalities)
        for kernel in self._kernels:
            if kernel is not None and not kernel.unresolved:
                require_smoothing(self, grid, kernel)

    def within(self, mixing: Array, kernel: Kernel | None) -> "Temperatures":
        return replace(self, mixing=mixing, kernel=kernel)

    def coupling_below(self, modalities: int) -> float | None:
        """The problem's own, of which it is the energy with other potentials, if nothing is smoothed."""
        apart = self._mixing[0, 1]
        return float(apart) if self.kernel is None and apart == self._mixing[1, 0] else None

    def temperatures(self, tau: float, modalities: int) -> Array:
        return np.array([self.tau1, self.tau2])

    def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
        value, variation = 0.0, np.zeros_like(density)
        for a, (row, kernel) in enumerate(zip(self._mixing, self._kernels, strict=True)):
            smoother = None if kernel is None else Smoother(grid, kernel)
            for b in np.flatnonzero(row):
                found = cross(smoother, density[a], density[b], grid.log_weights)
                value += row[b] * found.value
                variation[a] += row[b] * found.log_q
                variation[b] += row[b] * found.pull
        return value / 2, variation / 2

    def smoothness(self, grid: Grid, modalities: int) -> float:
        return 1.0

    def spectrum(self, modes: Modes, modalities: int) -> Array:
        mixing, result = self._mixing, np.zeros((modes.lmax + 1, 2, 2))
        for a, kernel in enumerate(self._kernels):
            k = modes.factors(kernel)
            result[:, a] += k[:, None] * mixing[a]
            result[:, :, a] += k[:, None] * mixing[a]
            result[:, (0, 1), (0, 1)] -= k[:, None] ** 2 * mixing[a]
        return result

    @property
    def convexity(self) -> Convexity:
        apart = self._mixing[0, 1] + self._mixing[1, 0]
        return Convexity.JOINTLY if self.kernel is None and apart == 0 else Convexity.NOT

    @property
    def _mixing(self) -> Array:
        """Of full coupling before a problem says it."""
        return coupling_matrix(1.0, 2) if self.mixing is None else self.mixing

    @property
    def _kernels(self) -> list[Kernel | None]:
        if self.kernel is None:
            return [None, None]
        return [Kernel(self.kernel.critic, tau, self.kernel.unresolved) for tau in (self.tau1, self.tau2)]
