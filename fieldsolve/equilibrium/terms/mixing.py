"""A mixing matrix in words: how much of each modality's negatives comes from which modality."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fieldsolve.equilibrium.terms.cross_entropy import CrossEntropy, mixing_of
from fieldsolve.equilibrium.terms.term import Contrast, Convexity
from fieldsolve.grids import Grid, Kernel, Modes
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError


@dataclass(frozen=True)
class Mixing(Contrast):
    """The cross-entropies (1/A) sum_ab M_ab int rho_a log q_b of a mixing matrix, as `mixing:0.5 0.5/0.3 0.7`.

    rows: M's, separated by slashes, their numbers by blanks. A problem takes M for its coupling, so that everything that is known
    of cross-entropies is known of it. Raises InputError for what is no matrix with rows of sum 1 and no negative entries.
    """

    rows: str = "0 1/1 0"

    name = "mixing"

    def __post_init__(self) -> None:
        self.matrix  # noqa: B018  # refuses what is none

    @cached_property
    def matrix(self) -> Array:
        """M, (A, A)."""
        try:
            rows = np.array([[float(number) for number in row.split()] for row in self.rows.split("/")])
        except ValueError:
            raise InputError(
                f"the term mixing has rows of as many numbers each, as in mixing:0.5 0.5/0.3 0.7, not {self.rows!r}"
            ) from None
        return mixing_of(rows, len(rows))

    @property
    def modalities(self) -> int:  # type: ignore[override]
        return len(self.matrix)

    def within(self, mixing: Array, kernel: Kernel | None) -> Contrast:
        raise InputError("a problem takes the matrix of the term mixing for its coupling; an energy has it from there")

    def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
        return CrossEntropy(self.matrix).evaluate(grid, density)

    def smoothness(self, grid: Grid, modalities: int) -> float:
        return 1.0

    def spectrum(self, modes: Modes, modalities: int) -> Array:
        return CrossEntropy(self.matrix).spectrum(modes, modalities)

    @property
    def convexity(self) -> Convexity:
        return CrossEntropy(self.matrix).convexity
