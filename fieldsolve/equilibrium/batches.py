"""Finite batches: the logarithm of a sum over N negatives, in expectation, as an integral; what it is to small perturbations."""

from dataclasses import dataclass
from functools import lru_cache
from math import inf, isfinite, log, pi

import numpy as np

from fieldsolve.grids import Kernel
from fieldsolve.grids.kernels import latitudes, zonal_functions
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

#: Most negatives, where their number is still told apart from an infinite one in double precision.
MOST_NEGATIVES = 1e60

_STEP = 0.2  # of log s: the trapezoidal rule errs by exp(-pi^2/step), as integrands are analytic for |Im log s| < pi/2
_LARGEST_LOG = 700.0
_TAIL = 42.0  # nats beyond which what decays like s, or doubly exponentially, is left out
_LARGEST_CONCENTRATION = 1000.0  # 1/tau of critics whose sharp levels the quadrature follows within seconds


@dataclass(frozen=True)
class Positive:
    """What a batch's positive is in the denominator: kind none, aligned (at the anchor itself), at a cosine, or vmf.

    value: the cosine of a fixed positive; the concentration of a von Mises-Fisher law of positives about their anchor.
    """

    kind: str
    value: float = 1.0

    def __str__(self) -> str:
        if self.kind == "cosine":
            return f"{self.value:g}"
        return f"vmf:{self.value:g}" if self.kind == "vmf" else self.kind

    @property
    def words(self) -> str:
        """How users read it."""
        return {
            "none": "no positive in the denominator",
            "aligned": "an aligned positive in the denominator",
            "cosine": f"a positive at cosine {self.value:g} in the denominator",
            "vmf": f"positives of concentration {self.value:g} about their anchors in the denominator",
        }[self.kind]


def positive_of(text: str) -> Positive:
    """none, aligned, a cosine from -1 to 1, or vmf:CONCENTRATION. Raises InputError for anything else."""
    if text in ("none", "aligned"):
        return Positive(text)
    is_law = text.startswith("vmf:")
    try:
        value = float(text.removeprefix("vmf:"))
    except ValueError:
        value = inf
    if is_law and isfinite(value) and 0 < value <= _LARGEST_CONCENTRATION:
        return Positive("vmf", value)
    if not is_law and -1 <= value <= 1:
        return Positive("cosine", value)
    raise InputError(f"the positive is none, aligned, a cosine from -1 to 1 or vmf:CONCENTRATION, not {text!r}")


def check_negatives(negatives: float) -> None:
    """Raise InputError unless it is a whole number from 1 to 1e60."""
    if not 1 <= negatives <= MOST_NEGATIVES or negatives != round(negatives):
        raise InputError(f"a batch has a whole number of negatives from 1 to {MOST_NEGATIVES:g}, not {negatives:g}")


@dataclass(frozen=True, eq=False)
class Levels:
    """Values s at which exp(-s K) is taken, for integrals over ds/s, and K around a point of a sphere.

    log_s: (S,); step: of log s; angle: from the point, (T,); log_mass: of the uniform measure there, sum 1; log_kernel: log K.
    """

    log_s: Array
    step: float
    angle: Array
    log_mass: Array
    log_kernel: Array

    def eigenvalues(self, dim: int, lmax: int) -> Array:
        """int (exp(-s K) - 1) P_l dmu, the eigenvalues of exp(-s K) but for 1 at l = 0, (lmax + 1, S)."""
        return self.losses(np.stack(list(zonal_functions(self.angle, dim, lmax))))

    def losses(self, weights: Array) -> Array:
        """int (exp(-s K) - 1) w of functions w (n, T) of the angle, with signs, (n, S)."""
        found, masses = np.empty((len(weights), len(self.log_s))), weights * np.exp(self.log_mass)
        for k, log_s in enumerate(self.log_s.tolist()):
            found[:, k] = masses @ np.expm1(-np.exp(np.minimum(log_s + self.log_kernel, _LARGEST_LOG)))
        return found


@lru_cache(maxsize=16)
def levels(kernel: Kernel, dim: int, negatives: float, positive: Positive, step: float = _STEP) -> Levels:
    """The levels that integrals of N negatives need on S^dim. Raises InputError for kernels that are too narrow."""
    if 1 / kernel.width**2 > _LARGEST_CONCENTRATION:
        raise InputError(
            f"finite batches are known for tau down to {kernel.tau / kernel.width**2 / _LARGEST_CONCENTRATION:.1g} here"
        )
    degree = 64 + int(8 / kernel.width**2) + int(16 / kernel.width)
    angle, log_mass = latitudes(dim, degree)
    log_kernel = kernel.log_profile(angle, dim)
    most = max(log(negatives), log_positive(kernel, dim, positive), float(kernel.log_peak(dim)) if negatives < 3 else -inf)
    lowest = float(kernel.log_profile(np.asarray(pi), dim))
    last = -log(negatives) if positive.kind == "none" else -min(log(negatives), log_positive(kernel, dim, positive))
    # The law of the sum reaches down to N min K; what decays doubly exponentially beyond is left out.
    last = max(last, -lowest - log(negatives)) + log(_TAIL) + 2
    first = -most - _TAIL
    count = int((last - first) / step) + 2
    return Levels(np.asarray(first + step * np.arange(count), dtype=np.float64), step, angle, log_mass, log_kernel)


def log_positive(kernel: Kernel, dim: int, positive: Positive) -> float:
    """log K of the nearest positive that counts, -inf for none."""
    if positive.kind == "none":
        return -inf
    angle = np.arccos(positive.value) if positive.kind == "cosine" else np.asarray(0.0)
    return float(kernel.log_profile(angle, dim))


def log_share(kernel: Kernel, dim: int, at: Levels, positive: Positive) -> Array:
    """log a(s) = log E exp(-s K(z, z+)), (S,)."""
    if positive.kind == "none":
        return np.zeros(len(at.log_s))
    if positive.kind != "vmf":
        return np.asarray(-np.exp(np.minimum(at.log_s + log_positive(kernel, dim, positive), _LARGEST_LOG)))
    law = np.exp(Kernel("cosine", 1 / positive.value).log_profile(at.angle, dim))
    return np.asarray(np.log(np.maximum(1 + at.losses(law[None])[0], np.finfo(np.float64).tiny)))


@lru_cache(maxsize=64)
def batch_factors(kernel: Kernel, dim: int, negatives: float, positive: Positive, lmax: int) -> tuple[Array, Array]:
    """e_l and f_l, l = 0 ... lmax, of the expected logarithm of N negatives and a positive at uniform densities.

    Beyond the paper. e_l = -N int (ds/s) a phi^(N-1) g_l, f_l = N (N - 1) int (ds/s) a phi^(N-2) g_l^2, with g_l(s) =
    int exp(-s K) P_l dmu, phi = g_0. They take the places of k_l and k_l^2, which they tend to as N grows. Raises InputError for
    an N that is no whole number from 1 to 1e60.
    """
    check_negatives(negatives)
    at = levels(kernel, dim, negatives, positive)
    lost = at.eigenvalues(dim, lmax)
    log_phi = np.log(np.maximum(1 + lost[0], np.finfo(np.float64).tiny))
    small = lost[0] > -0.5
    log_phi[small] = np.log1p(lost[0][small])
    log_a = log_share(kernel, dim, at, positive)
    g = lost.copy()
    g[0] += 1
    log_n = log(negatives)
    weight = np.exp(np.minimum(log_a + (negatives - 1) * log_phi + log_n, _LARGEST_LOG))
    attraction = -at.step * np.sum(weight * g, axis=1)
    if negatives == 1:
        return attraction, np.zeros_like(attraction)
    weight = np.exp(np.minimum(log_a + (negatives - 2) * log_phi + log_n + log(negatives - 1), _LARGEST_LOG))
    return attraction, at.step * np.sum(weight * g**2, axis=1)
