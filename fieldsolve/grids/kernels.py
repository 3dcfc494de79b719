"""Exponential kernels of critics, and what they are on spheres: log-profile, volume, spectrum, width."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log, pi, sqrt

import ducc0
import numpy as np

from fieldsolve.grids.bessel import bessel_ratios
from fieldsolve.grids.critics import Critic, critic_of
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

#: A kernel is resolved when its width is at least this many pixel widths.
RESOLUTION = 1.5


@dataclass(frozen=True, init=False)
class Kernel:
    """The normalised exponential kernel K(z, z') = exp(s(z, z')/tau) / V(tau) of a critic s [Asm 2.1].

    V = int exp(s(z, z')/tau) dmu(z') with the uniform probability measure mu, so that K has mean 1; what it is depends on the
    space. Methods with a `dim` are for the sphere of that dimension: 1 for the circle S^1, 2 for S^2, d - 1 for embeddings of d
    components; other spaces' grids know their own (`Grid.log_volume`).

    critic: a Critic or its name; unresolved: let grids smooth by this kernel even if it is narrower than they resolve.
    Raises InputError for an unknown critic or a temperature that is not a positive number.
    """

    critic: Critic
    tau: float
    unresolved: bool

    def __init__(self, critic: Critic | str = "cosine", tau: float = 1.0, unresolved: bool = False) -> None:
        if not (np.isfinite(tau) and tau > 0):
            raise InputError(f"the temperature tau must be a positive number, not {tau}")
        for name, value in (("critic", critic_of(critic)), ("tau", tau), ("unresolved", unresolved)):
            object.__setattr__(self, name, value)

    @property
    def concentration(self) -> float:
        """kappa of the profile exp(kappa (z.z' - 1)) of a linear critic: 1/tau (cosine), 2/tau (rbf). Raises InputError else."""
        if self.critic.linear is None:
            raise InputError(
                f"the {self.critic} critic is not linear in z.z': its kernel has no concentration; use cosine or rbf"
            )
        return self.critic.linear[0] / self.tau

    @property
    def width(self) -> float:
        """Standard deviation of the kernel along a direction, in radians, to leading order in tau."""
        return sqrt(self.tau / self.critic.curvature)

    def relative_profile(self, angle: Array) -> Array:
        """log K(angle) - log K(0): the exponent as a function of the angle between the points, in radians."""
        return np.asarray(self.critic.profile(np.asarray(angle)) / self.tau)

    def log_peak(self, dim: int) -> float:
        """log K(0) on the sphere of dimension dim: minus the logarithm of the mean of the relative profile."""
        if self.critic.linear is not None:
            return _log_peak_von_mises_fisher(self.concentration, dim)
        return -self._zonal_measure(dim, self.harmonic_scale())[2]

    def log_profile(self, angle: Array, dim: int) -> Array:
        """log K as a function of the angle between the points, in radians, on the sphere of dimension dim."""
        return np.asarray(self.relative_profile(angle) + self.log_peak(dim))

    def log_volume(self, dim: int) -> float:
        """log V(tau) on the sphere of dimension dim [Asm 2.1]; on S^2 with the cosine critic V = tau sinh(1/tau)."""
        return self.critic.peak / self.tau - self.log_peak(dim)

    def harmonic_scale(self) -> int:
        """A degree beyond which k_l of a smooth profile is below rounding: k_l decays like exp(-(l width)^2 / 2)."""
        return ceil(9.0 / self.width) + 16

    def spectrum(self, dim: int, lmax: int) -> Array:
        """Eigenvalues k_0 = 1, k_1, ... k_lmax of smoothing by K [Funk-Hecke], shape (lmax + 1,).

        Positive and falling, but for the geodesic critic at tau near 1 and above, whose profile has a kink.

        k_l = I_{l+h}(kappa)/I_h(kappa), h = (dim - 1)/2, for linear critics in any dimension (on S^2 ratios of modified
        spherical Bessel functions); for others by Gauss-Legendre quadrature of the profile against Gegenbauer polynomials.
        """
        if self.critic.linear is not None:
            return bessel_ratios(self.concentration, (dim - 1) / 2, lmax)
        angle, weight, _ = self._zonal_measure(dim, max(lmax, self.harmonic_scale()))
        return np.array([np.sum(weight * zonal) for zonal in zonal_functions(angle, dim, lmax)])

    def _zonal_measure(self, dim: int, degree: int) -> tuple[Array, Array, float]:
        """Angles from the kernel's centre, its mass there (sum 1), and the logarithm of the mean of its relative profile."""
        angle, log_weight = latitudes(dim, degree)
        log_mass = log_weight + self.relative_profile(angle)
        top = float(log_mass.max())
        mass = np.exp(log_mass - top)
        return angle, mass / mass.sum(), top + log(float(mass.sum()))

    def harmonics(self, dim: int, tolerance: float = 2.0**-53) -> int | None:
        """Smallest L with sum_{l > L} (multiplicity of l) |k_l| <= tolerance K(0), or None where no short one is known.

        Profiles that are not linear in z.z' may have a kink at the antipode, as -angle^2 has; unless exp(s/tau) is negligible
        there the spectrum may decay algebraically, and smoothing goes over all pairs of points instead.
        Raises InputError for spheres besides S^1 and S^2.
        """
        if dim not in (1, 2):
            raise InputError(f"harmonics are counted on S^1 and S^2, not on S^{dim}")
        if self.critic.linear is None and float(self.relative_profile(np.asarray(pi))) > log(tolerance):
            return None
        degrees = np.arange(self.harmonic_scale() + 1)
        multiplicity = 2 * degrees + 1 if dim == 2 else np.where(degrees == 0, 1, 2)
        size = multiplicity * np.abs(self.spectrum(dim, int(degrees[-1])))
        tail = np.cumsum(size[::-1])[::-1]
        beyond = np.flatnonzero(tail <= tolerance * size.sum())
        return int(beyond[0]) if beyond.size else int(degrees[-1])


def _log_peak_von_mises_fisher(kappa: float, dim: int) -> float:
    """-log of the mean of exp(kappa (cos - 1)) over the sphere."""
    if dim == 2:
        return log(2 * kappa) - float(np.log(-np.expm1(-2 * kappa)))
    angle, log_weight = latitudes(dim, ceil(9 * sqrt(kappa)) + 32)
    exponents = log_weight - 2 * kappa * np.sin(angle / 2) ** 2
    top = float(exponents.max())
    return -top - log(float(np.sum(np.exp(exponents - top))))


@lru_cache(maxsize=8)
def latitudes(dim: int, degree: int) -> tuple[Array, Array]:
    """Angles from the pole, and logarithms of weights (sum 1): for zonal functions of that degree times a smooth profile.

    Gauss-Legendre in the angle, not its cosine: profiles in the angle, like the geodesic one, are smooth in it up to the
    antipode. In high dimensions the measure sin(angle)^(dim - 1) is narrow, of width 1/sqrt(dim), and vanishes at the poles:
    hence logarithms.
    """
    nodes = 2 * degree + 64 + 32 * ceil(sqrt(dim))
    angle = pi * (1 - np.cos(ducc0.misc.GL_thetas(nodes))) / 2
    log_weight = np.log(ducc0.misc.GL_weights(nodes, 1)) + (dim - 1) * np.log(np.sin(angle))
    return angle, log_weight - log(float(np.sum(np.exp(log_weight))))


def zonal_functions(angle: Array, dim: int, lmax: int) -> Iterator[Array]:
    """Yield the zonal functions of degree 0 ... lmax at the angles: Gegenbauer polynomials, index (dim - 1)/2, 1 at the pole."""
    if dim == 1:
        for degree in range(lmax + 1):
            yield np.cos(degree * angle)
        return
    cosine = np.cos(angle)
    previous, current = np.zeros_like(cosine), np.ones_like(cosine)
    for degree in range(lmax + 1):
        yield current
        following = ((2 * degree + dim - 1) * cosine * current - degree * previous) / (degree + dim - 1)
        previous, current = current, following
