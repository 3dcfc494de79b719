"""The symmetric KL of two densities of angles: from the densities, from bins, and what a finite sample makes of bins."""

import numpy as np

from fieldsolve.numerics.arrays import Array
from fieldsolve.reproduce.gap.latent import Misaligned
from fieldsolve.reproduce.gap.modes import moments, spectrum
from fieldsolve.reproduce.gap.population import KERNEL
from fieldsolve.reproduce.gap.rank_one import RankOne

BINS, ADDED = 60, 1e-8  # of D.3's histograms
SAMPLE = 8000

_FINER = 12  # bins in one, for differences of angles
_FINE = 8192  # angles of the integral over the densities


def histograms(angles: Array, bins: int = BINS) -> Array:
    """The shares of both modalities' angles (2, n) in equal bins of [-pi, pi), (2, bins)."""
    index = np.floor((angles + np.pi) / (2 * np.pi) * bins).astype(np.int64) % bins
    return np.stack([np.bincount(row, minlength=bins) / len(row) for row in index])


def binned_symmetric_kl(shares: Array) -> float:
    """sum_k (p_k - q_k) log(p_k/q_k) of two histograms (2, bins), 1e-8 added to every bin as D.3 has it."""
    raised = (shares + ADDED) / (shares + ADDED).sum(axis=1, keepdims=True)
    return float(np.sum((raised[0] - raised[1]) * np.log(raised[0] / raised[1])))


def encoded_angles(encoders: Array, observations: Array) -> Array:
    """The angles of W x, (2, n), of encoders (2, 2, 2) and observations (2, n, 2)."""
    raw = np.einsum("aij,anj->ani", encoders, observations)
    return np.asarray(np.arctan2(raw[..., 1], raw[..., 0]))


def joint_shares(law: Misaligned, encoders: Array, bins: int = BINS, offset: float = 0.0) -> Array:
    """The exact masses of pairs of encoded angles in equal bins that begin at offset - pi, (bins, bins).

    A bin is an interval of the observed angle; given the latent angle, both modalities are independent.
    """
    edges = offset - np.pi + 2 * np.pi * np.arange(bins + 1) / bins
    modes = np.fft.fftfreq(law.count, 1 / law.count)
    given = []
    for encoder, noise in zip(encoders, law.noise, strict=True):
        observed = _preimages(encoder, edges)
        with np.errstate(divide="ignore", invalid="ignore"):
            integrals = np.exp(-1j * np.outer(observed, modes)) / (-2j * np.pi * modes)
        integrals[:, 0] = observed / (2 * np.pi)
        indicators = np.diff(integrals, axis=0) * np.sign(observed[-1] - observed[0])
        given.append(np.maximum(np.fft.ifft(indicators * noise, axis=1).real * law.count, 0.0))
    return np.asarray((given[0] * law.latent) @ given[1].T / law.count)


def marginal_shares(joint: Array) -> Array:
    """Both modalities' shares, (2, bins)."""
    return np.stack([joint.sum(axis=1), joint.sum(axis=0)])


def difference_shares(law: Misaligned, encoders: Array, bins: int = BINS) -> Array:
    """The shares of the wrapped difference of a pair's encoded angles, second less first, in equal bins of [-pi, pi), (bins,).

    From joint masses in bins a twelfth as wide, whose width they are blurred by.
    """
    joint = joint_shares(law, encoders, bins * _FINER)
    apart = np.array([np.trace(np.roll(joint, -shift, axis=1)) for shift in range(len(joint))])
    # Two angles that are so many bins apart differ by up to one bin more or less: half the pairs on either side.
    between = np.roll((apart + np.roll(apart, -1)) / 2, len(joint) // 2)
    return np.asarray(between.reshape(bins, _FINER).sum(axis=1))


def _preimages(encoder: Array, edges: Array) -> Array:
    """The observed angles that are encoded at these, unwrapped in the direction that the encoder's orientation says."""
    points = np.linalg.inv(encoder) @ np.stack([np.cos(edges), np.sin(edges)])
    angles = np.arctan2(points[1], points[0])
    sign = np.sign(np.linalg.det(encoder))
    steps = sign * ((sign * np.diff(angles)) % (2 * np.pi))
    return np.asarray(angles[0] + np.concatenate([[0.0], np.cumsum(steps)]))


def expected_symmetric_kl(joint: Array, sample: int = SAMPLE) -> float:
    """E of `symmetric_kl` over samples of so many pairs, exactly but for the 1e-8 in the sum of a histogram.

    A bin adds (n10 - n01)/n times log(n1/n + 1e-8) - log(n2/n + 1e-8), n1 = n10 + n11. Given n1 = a, n10 has the mean a P10/p1
    and n01 the mean (n - a) P01/(1 - p1), with n1 binomial: one sum for each logarithm. joint: (bins, bins).
    """
    from scipy.stats import binom  # slow to import: 0.6 s

    counts = np.arange(sample + 1)
    logs = np.log(counts / sample + ADDED)
    both, total = np.diag(joint), 0.0
    first, second = marginal_shares(joint)
    for here, there in ((first, second), (second, first)):
        for mass, other, common in zip(here, there, both, strict=True):
            if mass > 0:
                difference = counts * (mass - common) / mass - (sample - counts) * (other - common) / (1 - mass)
                total += float(np.sum(binom.pmf(counts, sample, mass) * difference / sample * logs))
            else:
                total -= other * float(logs[0])
    return total


def rank_one_shares(state: RankOne, bins: int = BINS, offset: float = 0.0) -> Array:
    """The shares of both modalities' atoms in equal bins that begin at offset - pi, (2, bins)."""
    index = np.floor(((state.atoms - offset + np.pi) % (2 * np.pi)) / (2 * np.pi) * bins).astype(np.int64) % bins
    return np.stack([np.bincount(row, mass, minlength=bins) for row, mass in zip(index, state.masses, strict=True)])


def densities(law: Misaligned, encoders: Array, angles: Array) -> Array:
    """The densities of the encoded angles relative to the uniform one, rho(phi) dphi/da at any angles a (n,); (2, n)."""
    points = np.stack([np.cos(angles), np.sin(angles)])
    result = []
    for a, encoder in enumerate(encoders):
        inverse = np.linalg.inv(encoder)
        observed = inverse @ points
        orders, coefficients = law.series(a)
        density = np.cos(np.outer(np.arctan2(observed[1], observed[0]), orders)) @ coefficients
        result.append(density * np.abs(np.linalg.det(inverse)) / np.sum(observed**2, axis=0))
    return np.array(result)


def density_symmetric_kl(law: Misaligned, encoders: Array) -> tuple[float, float]:
    """int (rho1 - rho2)(log rho1 - log rho2), and the same with log K rho in place of log rho."""
    angles = 2 * np.pi * np.arange(_FINE) / _FINE
    rho = densities(law, encoders, angles)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    factors = spectrum(KERNEL)
    twice = np.where(np.arange(len(factors)) == 0, 1.0, 2.0) * factors
    waves = np.outer(angles, np.arange(len(factors)))
    smoothed = []
    for density in rho:
        cosines, sines = np.empty(len(factors)), np.empty(len(factors))
        moments(points, density / _FINE, cosines, sines)
        smoothed.append(np.cos(waves) @ (twice * cosines) + np.sin(waves) @ (twice * sines))
    plain, kernel = (float(np.mean((rho[0] - rho[1]) * (np.log(one[0]) - np.log(one[1])))) for one in (rho, smoothed))
    return plain, kernel
