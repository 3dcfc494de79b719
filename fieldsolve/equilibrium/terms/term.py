"""What a term of an energy is: a functional of densities with its first variation, how strongly it curves, what it allows."""

from abc import ABC, abstractmethod
from enum import IntEnum
from math import inf, isfinite
from typing import ClassVar

import numpy as np

from fieldsolve.grids import Grid, Kernel, Modes
from fieldsolve.grids.kernels import RESOLUTION
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import text_of


class Convexity(IntEnum):
    """How a functional of several densities bends; a sum is at least as good as the least of its terms."""

    NOT = 0
    IN_EACH = 1
    JOINTLY = 2

    @property
    def words(self) -> str:
        """How users read it."""
        return ("not convex in general", "convex in each density, not jointly", "jointly convex")[self]


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
    def smoothness(self, grid: Grid, modalities: int) -> float | None:
        """L such that the second variation of A T along delta is at most L sum_a int delta_a^2/rho_a, at every density.

        delta has mean 0. A mirror step of length 1/L never raises a sum of terms, L the sum of theirs (relative smoothness). None
        where no L is proved: steps are then shortened until the energy falls.
        """

    @abstractmethod
    def spectrum(self, modes: Modes, modalities: int) -> Array:
        """The second variation of A T at uniform densities along delta_a = c_a Y_l: c^T S_l c with S_l symmetric.

        Y_l: a real harmonic of degree l, of mean square 1, on a sphere of any dimension. Shape (lmax + 1, A, A).
        """

    @property
    def convexity(self) -> Convexity:
        """What is proved of the term's convexity on any grid."""
        return Convexity.NOT

    def least(self, grid: Grid) -> float:
        """A number of nats that the term is nowhere below on a grid, -inf where none is proved."""
        return -inf

    def check(self, grid: Grid, modalities: int) -> None:
        """Raise InputError where the term cannot be computed on a grid, or for so many modalities."""
        if self.modalities not in (None, modalities):
            raise InputError(f"the term {self} is for {self.modalities} modalities, not for {modalities}")

    def __str__(self) -> str:
        return text_of(self)


class Contrast(Term):
    """A term that takes the place of the cross-entropies with log q: what a loss's negatives become in large batches.

    An energy gives it the problem's mixing and kernel (None: intrinsic) by `within`; a dataclass keeps them in fields that its
    repr leaves out. needs_coupling: whether the problem's coupling says something to it.
    """

    needs_coupling: ClassVar[bool] = False

    @property
    def needs_floor(self) -> bool:
        """Whether without smoothing the term is unbounded below unless densities have a floor."""
        return True

    @abstractmethod
    def within(self, mixing: Array, kernel: Kernel | None) -> "Contrast":
        """The term of a problem with this mixing matrix and kernel."""

    def coupling_below(self, modalities: int) -> float | None:
        """A coupling whose cross-entropies, with the same kernel, are nowhere above the term; None where none is proved."""
        return None

    def temperatures(self, tau: float, modalities: int) -> Array:
        """By what each modality's alignment potential is divided, (A,): the problem's temperature, if it has no others."""
        return np.full(modalities, tau)


def require_smoothing(term: Term, grid: Grid, kernel: Kernel) -> None:
    """Raise InputError where a grid does not resolve the kernel of a term."""
    if not grid.resolves(kernel):
        raise InputError(
            f"the term {term} smooths by a kernel narrower than {grid} resolves ({kernel.width:.2g} rad); use "
            f"{grid.finer(kernel.width / RESOLUTION)} or a wider kernel"
        )


def require_pairs(term: Term, modalities: int) -> None:
    """Raise InputError unless there are two modalities or more."""
    if modalities < 2:
        raise InputError(f"the term {term} is for two modalities or more: it is about pairs of them")


def require_weight(term: Term, weight: float) -> None:
    """Raise InputError unless a weight is a finite number of at least 0."""
    if not (isfinite(weight) and weight >= 0):
        raise InputError(f"the weight of the term {term.name} is a finite number of at least 0, not {weight}")


def require_scale(term: Term, value: float, what: str) -> None:
    """Raise InputError unless a temperature, or what is inverse to one, is a positive number from 1e-9 to 1e9."""
    if not 1e-9 <= value <= 1e9:
        raise InputError(f"{what} of the term {term.name} is a positive number from 1e-9 to 1e9, not {value}")


def require_share(term: Term, share: float, what: str) -> None:
    """Raise InputError unless a share is between 0 and 1."""
    if not 0 <= share <= 1:
        raise InputError(f"{what} of the term {term.name} is between 0 and 1, not {share}")
