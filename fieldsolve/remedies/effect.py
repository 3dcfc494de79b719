"""What a remedy does to two uniform densities in any dimension: which modes it keeps from growing, and from which weight on."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.equilibrium.bands import band_binodal
from fieldsolve.grids import Kernel, Modes
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.remedies.published import PUBLISHED, Published, remedy_of
from fieldsolve.remedies.remedy import Remedy, curvature

_FAINT, _LEAST_DEGREES, _MOST_DEGREES = 1e-6, 4, 64  # modes that the kernel smooths to less than this hardly grow
_STABLE = 1e-12  # relative


@dataclass(frozen=True, eq=False)
class Effect:
    """A remedy at a weight under a kernel, on S^{d-1}, with partners held still.

    factors: k_1 ... k_L of the kernel, as far as they are above 1e-6; critical: the weight from which on the mode of each
    degree does not grow; growth: the second variation along (Y_l, -Y_l) at the weight, negative for modes that grow; (L,) each.
    """

    remedy: Remedy
    weight: float
    kernel: Kernel
    dimension: int
    factors: Array
    critical: Array
    curvature: Array
    bands_weight: float | None

    @property
    def centroid_weight(self) -> float:
        """From which weight on centroids stay together: degree 1."""
        return float(self.critical[0])

    @property
    def whole_weight(self) -> float:
        """From which weight on no mode grows, inf where the weights of higher and higher degrees grow without bound."""
        largest = float(self.critical.max())
        if not np.isfinite(largest):
            return largest
        is_rising = bool(np.all(np.diff(self.critical[-3:]) > _STABLE * np.abs(self.critical[-2:])))
        return np.inf if is_rising and self.critical[-1] == largest else largest

    @property
    def unstable_degrees(self) -> list[int]:
        """The degrees whose modes grow at the weight."""
        return (1 + np.flatnonzero(self.curvature < -_STABLE * self.factors)).tolist()

    @property
    def is_marginal(self) -> bool:
        """Whether no degree grows or shrinks, so that smaller differences decide."""
        return bool(np.all(np.abs(self.curvature) <= _STABLE * self.factors))

    @property
    def coupling(self) -> float | None:
        """The coupling that it is, if it is one."""
        return self.remedy.coupling(self.weight)

    @property
    def grown(self) -> str:
        """Which modes grow at the weight, in words."""
        degrees = self.unstable_degrees
        if not degrees:
            return "no mode grows (marginally: none shrinks either)" if self.is_marginal else "no mode grows"
        if len(degrees) == len(self.factors):
            return "every mode grows"
        return (
            f"modes of degree {', '.join(map(str, degrees))} grow"
            if len(degrees) > 1
            else f"the mode of degree {degrees[0]} grows"
        )

    @property
    def needed(self) -> str:
        """From which weights on modes no longer grow, in words."""
        centroid, whole = self.centroid_weight, self.whole_weight
        if not np.isfinite(centroid):
            return "no weight keeps centroids together"
        if not np.isfinite(whole):
            return f"centroids stay together from weight {centroid:.4g} on; no weight holds every mode of higher degree"
        if whole > centroid * (1 + 1e-9):
            return f"centroids stay together from weight {centroid:.4g} on, modes of every degree from {whole:.4g} on"
        return f"no mode grows from weight {centroid:.4g} on"

    @property
    def sentences(self) -> list[str]:
        """What it does, in words."""
        said = [] if self.coupling is None else [f"weight {self.weight:.4g} is coupling {self.coupling:.3f}"]
        said += [f"at weight {self.weight:.4g} {self.grown}", self.needed]
        if self.bands_weight is not None:
            said.append(
                f"the transition is of first order: bands lie below uniform densities up to weight {self.bands_weight:.4g}"
            )
        return said


def effect(remedy: Remedy, weight: float, kernel: Kernel, dimension: int = 3) -> Effect:
    """The effect of a remedy at a weight on uniform densities on S^{d-1}. Raises InputError for what is out of range."""
    if not 2 <= dimension <= 100_000:
        raise InputError(f"embeddings have 2 to 100000 components here, not {dimension}")
    every = Modes(dimension - 1, _MOST_DEGREES).factors(kernel)[1:]
    count = min(_MOST_DEGREES, max(_LEAST_DEGREES, int(np.sum(every >= _FAINT))))
    modes = Modes(dimension - 1, count)
    bent = curvature(remedy, weight, modes, kernel)[1:]
    bands = None
    if kernel.critic.linear is not None:
        bands = remedy.weight_of(band_binodal(kernel, dimension).coupling)
    return Effect(
        remedy, weight, kernel, dimension, modes.factors(kernel)[1:], remedy.critical_weights(modes, kernel)[1:], bent, bands
    )


def published_sentence(loss: Published, kernel: Kernel, dimension: int) -> str:
    """What a published loss is, which modes of uniform densities grow under it, and what would hold them, in one line."""
    remedy = remedy_of(loss.remedy)[0]
    found = effect(remedy, loss.weight, kernel, dimension)
    parts = [
        f"{remedy} at weight {loss.weight:g}" + ("" if found.coupling is None else f", which is coupling {found.coupling:.3f}")
    ]
    parts += [found.grown] if not found.unstable_degrees else [found.grown, found.needed]
    return f"{loss.title}: {'; '.join(parts)}"


def published_sentences(kernel: Kernel, dimension: int) -> list[str]:
    """One line for every published loss."""
    return [published_sentence(loss, kernel, dimension) for loss in PUBLISHED.values()]
