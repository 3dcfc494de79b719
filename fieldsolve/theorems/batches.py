"""The stability of two uniform densities under batches of N negatives: the coupling, the mode, and what N it takes."""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from fieldsolve.equilibrium.batches import MOST_NEGATIVES, Positive, batch_factors, positive_of
from fieldsolve.grids import Kernel
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

_HALVINGS = 60  # of log N


@dataclass(frozen=True, eq=False)
class BatchDispersion:
    """How antisymmetric perturbations of two uniform densities grow under the expected loss of N negatives.

    Beyond the paper. The second-order term of degree l is 4 e_l (1 - 2 lambda) - 2 f_l, negative beyond lambda_c(l; N) = 1/2 -
    f_l/(4 e_l) where e_l is positive. attraction, spread: e_l and f_l of l = 1, 2, ..., (L,), which tend to k_l and k_l^2.
    """

    kernel: Kernel
    dimension: int
    negatives: float
    positive: Positive
    attraction: Array
    spread: Array

    @property
    def critical_couplings(self) -> Array:
        """lambda_c(l; N), NaN where e_l is not positive: there a larger coupling makes the mode no less stable."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.where(self.attraction > 0, 0.5 - self.spread / (4 * self.attraction), np.nan)
        # A positive that outweighs everything leaves nothing of either.
        return np.where((self.attraction == 0) & (self.spread == 0), 0.5, found)

    @property
    def breaks_at(self) -> float:
        """The smallest critical coupling."""
        return float(np.nanmin(self.critical_couplings))

    @property
    def mode(self) -> int:
        """The degree that breaks first."""
        return 1 + int(np.nanargmin(self.critical_couplings))

    @property
    def concave_degrees(self) -> list[int]:
        """The degrees along which the energy of one density is concave at the uniform one: 2 e_l < f_l."""
        return (1 + np.flatnonzero(2 * self.attraction < self.spread)).tolist()


def batch_dispersion(
    kernel: Kernel, dimension: int, negatives: float, positive: Positive | str = "aligned", lmax: int = 16
) -> BatchDispersion:
    """The dispersion under batches of N negatives on S^{d-1}. Raises InputError for values out of range."""
    if not dimension >= 2:
        raise InputError(f"embeddings have at least 2 components, not {dimension}")
    chosen = positive_of(positive) if isinstance(positive, str) else positive
    attraction, spread = batch_factors(kernel, dimension - 1, float(negatives), chosen, lmax)
    return BatchDispersion(kernel, dimension, float(negatives), chosen, attraction[1:], spread[1:])


def halfway(kernel: Kernel, dimension: int, positive: Positive) -> float:
    """The number of negatives at which lambda_c(1; N) is halfway between 1/2 and its value for infinitely many; inf beyond 1e60.

    It falls with N where a positive is in the denominator.
    """
    limit = 0.5 - float(kernel.spectrum(dimension - 1, 1)[1]) / 4
    low, high = 0.0, np.log(MOST_NEGATIVES)

    def critical(log_n: float) -> float:
        count = min(float(round(np.exp(log_n))), MOST_NEGATIVES)
        return batch_dispersion(kernel, dimension, count, positive, 1).breaks_at

    if not critical(high) < (0.5 + limit) / 2:
        return float("inf")
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        value = critical(middle)
        if isfinite(value) and value < (0.5 + limit) / 2:
            high = middle
        else:
            low = middle
        if high - low < 1e-3:
            break
    return float(np.exp(high))
