"""What a remedy is: a loss that a weight turns from CLIP's into another one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.equilibrium.terms import Contrast, Term, contrast_of
from fieldsolve.equilibrium.terms.cross_entropy import coupling_matrix
from fieldsolve.grids import Kernel, Modes
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import text_of


@dataclass(frozen=True)
class Setting:
    """What a remedy makes of a problem: its coupling, and the terms that are added to its energy."""

    coupling: float = 1.0
    terms: tuple[Term, ...] = ()


@dataclass(frozen=True)
class Code:
    """The line or option that a remedy is in two trainers, None where there is none, and for which weight alone it is, if so.

    Of open_clip lines: image, text: features (n, d) of unit length; logit_scale, labels, total_loss as in its training loop; F is
    torch.nn.functional. Numbers stand in braces until `Remedy.code_at` fills them in.
    """

    open_clip: str | None
    sentence_transformers: str | None
    only: str = ""


class Remedy(ABC):
    """A family of losses, from CLIP's at weight 0 on; a subclass is a frozen dataclass whose fields are its parameters.

    title: what it is; formula: its large-batch energy; unit: what the weight is; most: the largest weight that there is.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    formula: ClassVar[str]
    unit: ClassVar[str]
    critical: ClassVar[str]
    code: ClassVar[Code]
    most: ClassVar[float] = np.inf

    #: The only weights that there are, or none for all up to `most`.
    weights: ClassVar[tuple[float, ...]] = ()

    @abstractmethod
    def setting(self, weight: float) -> Setting:
        """The problem at a weight."""

    @abstractmethod
    def critical_weights(self, modes: Modes, kernel: Kernel) -> Array:
        """The weight from which on the antisymmetric mode of each degree does not grow at uniform densities, (lmax + 1,).

        inf where no weight is enough; degree 0 is of no account. kernel: of the loss. With partners held still.
        """

    def coupling(self, weight: float) -> float | None:
        """The coupling that it is the energy of, up to a factor, or None."""
        setting = self.setting(weight)
        return None if setting.terms else setting.coupling

    def weight_of(self, coupling: float) -> float | None:
        """The weight whose energy is that of a coupling, or None."""
        return None

    def code_at(self, weight: float, kernel: Kernel, dimension: int) -> Code:
        """The lines with their numbers, for a loss's kernel on S^{d-1}; none at weight 0, which is CLIP."""
        if weight == 0:
            return Code(None, None)
        numbers = {"weight": f"{weight:.6g}", "scale": f"{1 / kernel.tau:.6g}", **self.numbers(weight, dimension)}
        code = self.code
        lines = (None if line is None else line.format(**numbers) for line in (code.open_clip, code.sentence_transformers))
        return Code(next(lines), next(lines), code.only)

    def numbers(self, weight: float, dimension: int) -> dict[str, str]:
        """What a remedy's own lines need besides weight and scale."""
        return {}

    def free_weight(self, problem: EncoderProblem) -> float | None:
        """The least weight with which the optimum of free encoders has no centroid gap; None where that is not known."""
        return None

    @property
    def free_sentence(self) -> str:
        """What is known of it when encoders are free."""
        return "nothing is known of it here"

    def check(self, weight: float) -> float:
        """The weight. Raises InputError for one that the remedy does not have."""
        if self.weights and weight not in self.weights:
            raise InputError(f"the weight of {self} is {' or '.join(f'{one:g}' for one in self.weights)}, not {weight}")
        if not 0 <= weight <= self.most or not np.isfinite(weight):
            upper = "a finite number of at least 0" if self.most == np.inf else f"a number from 0 to {self.most:g}"
            raise InputError(f"the weight of {self} is {upper}, not {weight}")
        return weight

    def __str__(self) -> str:
        return text_of(self)


def curvature(remedy: Remedy, weight: float, modes: Modes, kernel: Kernel) -> Array:
    """The second variation of the energy at uniform densities along (Y_l, -Y_l), (lmax + 1,): a mode below 0 grows.

    CLIP's is -2 k_l - k_l^2 (beyond the paper). By what each term says of itself.
    """
    setting = remedy.setting(remedy.check(weight))
    contrast = contrast_of(setting.terms, coupling_matrix(setting.coupling, 2), kernel)
    curving = [contrast, *(term for term in setting.terms if not isinstance(term, Contrast))]
    along = np.array([1.0, -1.0])
    total: Any = sum(np.einsum("a,lab,b->l", along, term.spectrum(modes, 2), along) for term in curving)
    return np.asarray(total / 2)


def growth_of_clip(factors: Array) -> Array:
    """2 k_l + k_l^2: how fast the antisymmetric mode of each degree grows under CLIP's loss."""
    return np.asarray(2 * factors + factors**2)
