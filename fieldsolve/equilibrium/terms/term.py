"""What a term of an energy is: a functional of densities with its first variation, and how strongly it curves."""

from abc import ABC, abstractmethod
from typing import ClassVar

from fieldsolve.grids import Grid
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.names import text_of


class Term(ABC):
    """A functional T of densities rho_1 ... rho_A, in nats, that an energy is a sum of.

    Terms that a problem adds are frozen dataclasses whose fields are their parameters, so that `str` names them, as in
    `name:weight=2`. `fieldsolve.testing.check_term` checks everything that is promised here.
    """

    name: ClassVar[str]

    #: How many modalities the term is for, None for any number.
    modalities: ClassVar[int | None] = None

    @abstractmethod
    def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
        """The value in nats, and the first variation dT/drho_a with respect to rho_a dmu.

        density: (A, N), positive and of mean 1; the variation has the same shape.
        """

    @abstractmethod
    def smoothness(self, grid: Grid, modalities: int) -> float:
        """L such that the second variation of A T along delta is at most L sum_a int delta_a^2/rho_a, at every density.

        A mirror step of length 1/L never raises a sum of terms, L the sum of theirs (relative smoothness).
        """

    @abstractmethod
    def spectrum(self, grid: Grid, lmax: int, modalities: int) -> Array:
        """The second variation of A T at uniform densities along delta_a = c_a Y_l: c^T S_l c with S_l symmetric.

        Y_l: a real harmonic of degree l, of mean square 1. Shape (lmax + 1, A, A).
        """

    def __str__(self) -> str:
        return text_of(self)
