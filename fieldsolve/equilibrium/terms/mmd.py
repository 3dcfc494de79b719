"""The MMD penalty: squared maximum mean discrepancies, with a von Mises-Fisher kernel of a width of its own."""

from dataclasses import dataclass

from fieldsolve.equilibrium.terms import overlap
from fieldsolve.equilibrium.terms.quadratic import QuadraticPenalty
from fieldsolve.equilibrium.terms.term import require_scale, require_smoothing
from fieldsolve.grids import Grid, Kernel, Modes, Smoother
from fieldsolve.numerics.arrays import Array


@dataclass(frozen=True)
class MmdPenalty(QuadraticPenalty):
    """weight sum_{a<b} int (rho_a - rho_b) K' (rho_a - rho_b), K' the normalised kernel exp(z.z'/tau') of the term's own tau.

    Wider than the loss's kernel it leaves small scales alone. Raises InputError for a kernel that the grid does not resolve.
    """

    weight: float = 1.0
    tau: float = 0.5

    name = "mmd"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_scale(self, self.tau, "tau")

    @property
    def kernel(self) -> Kernel:
        return Kernel("cosine", self.tau)

    def check(self, grid: Grid, modalities: int) -> None:
        require_smoothing(self, grid, self.kernel)
        super().check(grid, modalities)

    def eigenvalues(self, modes: Modes) -> Array:
        return modes.factors(self.kernel)

    def height(self, grid: Grid) -> float:
        return overlap.height(grid, self.kernel)

    def apply(self, grid: Grid, field: Array) -> Array:
        return Smoother(grid, self.kernel).smooth(field)
