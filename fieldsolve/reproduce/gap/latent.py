"""Experiment D.3's pairs: two noisy views of a latent angle, one of them misaligned."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

#: Of the two von Mises components at 0 and pi [D.3].
WEIGHT, CONCENTRATION = 0.7, 6.0
NOISE = 0.02  # of an observation, in the plane


@dataclass(frozen=True)
class Misaligned:
    """The law of two observed angles, those of x = (cos, sin) + 0.02 noise of a latent angle and of a misaligned one [D.3].

    theta ~ 0.7 vM(0, 6) + 0.3 vM(pi, 6); the second modality sees theta + sigma noise.
    Only the angles phi of the observations matter to bias-free linear encoders. Expectations are sums over `count` equally
    spaced latent angles; what noise does to functions of angles is a product in Fourier space. Both are exact to rounding for
    functions that so many points resolve. Raises InputError for a scale that is negative or not finite.
    """

    sigma: float
    count: int = 2048

    def __post_init__(self) -> None:
        if not (np.isfinite(self.sigma) and self.sigma >= 0):
            raise InputError(f"the scale of misalignment must be a finite number, at least 0, not {self.sigma}")

    @cached_property
    def angles(self) -> Array:
        """The latent and the observed angles that functions are given at, from 0, shape (count,)."""
        return np.asarray(2 * np.pi * np.arange(self.count) / self.count)

    @cached_property
    def latent(self) -> Array:
        """The density of the latent angle relative to the uniform one, (count,)."""
        return np.asarray(np.fft.ifft(_latent_modes(self._modes)).real * self.count)

    @cached_property
    def observed(self) -> Array:
        """The densities of the two observed angles, (2, count)."""
        return np.stack([self.given_latent(self.latent, a).real for a in (0, 1)])

    @property
    def _modes(self) -> Array:
        return np.asarray(np.fft.fftfreq(self.count, 1 / self.count))

    @cached_property
    def noise(self) -> Array:
        """E cos(m (phi - theta)) of each modality, in the order of numpy's transforms, (2, count)."""
        plain = _noise_modes(self._modes)
        return np.stack([plain, plain * np.exp(-((self._modes * self.sigma) ** 2) / 2)])

    def given_latent(self, values: Array, modality: int) -> Array:
        """E[f(phi) | theta] for functions f of the observed angle, given at `angles`; shape (..., count), complex."""
        return np.asarray(np.fft.ifft(np.fft.fft(values) * self.noise[modality]))

    def given_other(self, values: Array, modality: int) -> Array:
        """E[f(phi) | the other modality's angle] times the density of that angle, at `angles`; complex."""
        return self.given_latent(self.latent * self.given_latent(values, modality), 1 - modality)

    def series(self, modality: int) -> tuple[Array, Array]:
        """Orders m >= 0 and coefficients c of an observed density, sum_m c_m cos(m phi); what rounding leaves of it."""
        modes = np.arange(65.0)
        noise = _noise_modes(modes) * (1.0 if modality == 0 else np.exp(-((modes * self.sigma) ** 2) / 2))
        return modes, np.where(modes == 0, 1.0, 2.0) * _latent_modes(modes) * noise

    def sample(self, count: int, rng: np.random.Generator) -> Array:
        """Observations of both modalities, (2, count, 2)."""
        centre = np.where(rng.random(count) < WEIGHT, 0.0, np.pi)
        angle = centre + rng.vonmises(0.0, CONCENTRATION, count)
        other = angle + self.sigma * rng.standard_normal(count)
        both = np.stack([angle, other])
        return np.asarray(np.stack([np.cos(both), np.sin(both)], axis=-1) + NOISE * rng.standard_normal((2, count, 2)))


def _latent_modes(modes: Array) -> Array:
    """E cos(m theta)."""
    from scipy.special import ive  # slow to import: 0.3 s

    order = np.abs(modes)
    ratio = ive(order, CONCENTRATION) / ive(0, CONCENTRATION)
    return np.asarray(ratio * (WEIGHT + (1 - WEIGHT) * np.cos(np.pi * order)))


def _noise_modes(modes: Array) -> Array:
    """E cos(m psi) for the angle psi of (1, 0) + 0.02 noise.

    sqrt(pi g/8) exp(-g/4) [I_((m-1)/2)(g/4) + I_((m+1)/2)(g/4)] with g = 0.02^-2.
    """
    from scipy.special import ive

    quarter, order = NOISE**-2 / 4, np.abs(modes)
    values = np.sqrt(np.pi * quarter / 2) * (ive((order - 1) / 2, quarter) + ive((order + 1) / 2, quarter))
    return np.asarray(np.where(order == 0, 1.0, values))
