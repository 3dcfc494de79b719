"""The expected logarithm of N negatives and a positive: what cross-entropies are before batches are large."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Protocol

import numpy as np

from fieldsolve.equilibrium.batches import (
    Levels,
    Positive,
    batch_factors,
    check_negatives,
    levels,
    log_share,
    positive_of,
)
from fieldsolve.equilibrium.terms.term import Contrast
from fieldsolve.grids import Circle, Grid, Healpix, Kernel, Modes, Zonal
from fieldsolve.grids.bessel import log_exponential_mean
from fieldsolve.grids.gegenbauer import gauss_rule
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import jit
from fieldsolve.numerics.errors import InputError

#: The finest grids, on which sums for hundreds of levels are taken at every step.
MOST_POINTS, MOST_NSIDE, MOST_NODES = 1 << 16, 16, 1024

_STEP = 0.4  # of log s: it errs by exp(-pi^2/step), 2e-11
_AROUND = 96  # nodes over a shell, of Gauss's rule
_LARGEST_LOG = 700.0
_DEGREES = 1.5  # of the kernel's own that its levels reach


@dataclass(frozen=True)
class FiniteBatch(Contrast):
    """(1/A) sum_ab M_ab int rho_a Phi_N[rho_b], Phi_N[rho](z) = E log((K(z, z+) + sum_n K(z, w_n))/N), w_n ~ rho.

    Beyond the paper. Phi_N = int (ds/s) [exp(-s N) - a phi^N] with phi(s, z) = int exp(-s K(z, w)) rho(w) dmu and a(s) =
    E exp(-s K(z, z+)), by Frullani's integral. As N grows it tends to log K rho. No relative smoothness is proved. negatives:
    N >= 1; positive: as in `batches.positive_of`. Raises InputError for values out of range.
    """

    negatives: int
    positive: str = "aligned"
    mixing: Array | None = field(default=None, repr=False, compare=False)
    kernel: Kernel | None = field(default=None, repr=False, compare=False)

    name = "batch"
    needs_coupling = True

    def __post_init__(self) -> None:
        check_negatives(self.negatives)
        positive_of(self.positive)

    def within(self, mixing: Array, kernel: Kernel | None) -> "FiniteBatch":
        return replace(self, mixing=mixing, kernel=kernel)

    @property
    def needs_floor(self) -> bool:
        return False

    def check(self, grid: Grid, modalities: int) -> None:
        super().check(grid, modalities)
        why = why_no_sums(grid)
        if why is not None:
            raise InputError(f"finite batches are known on {why}, not on {grid}")

    def _within(self) -> tuple[Array, Kernel]:
        if self.kernel is None or self.mixing is None:
            raise InputError("finite batches are of smoothed energies; give --energy smoothed (energy=)")
        return self.mixing, self.kernel

    def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
        mixing, kernel = self._within()
        sums = _sums(grid, kernel, float(self.negatives), positive_of(self.positive))
        found = [_Expected(sums, float(self.negatives), one) for one in density]
        value, variation = 0.0, np.zeros_like(density)
        for a, row in enumerate(mixing.tolist()):
            for b, weight in enumerate(row):
                if weight:
                    value += weight * float(np.mean(density[a] * found[b].value))
                    variation[a] += weight * found[b].value
                    variation[b] += weight * found[b].pull(density[a])
        return value / len(density), variation / len(density)

    def smoothness(self, grid: Grid, modalities: int) -> None:
        return None

    def spectrum(self, modes: Modes, modalities: int) -> Array:
        mixing, kernel = self._within()
        attraction, spread = batch_factors(kernel, modes.dim, self.negatives, positive_of(self.positive), modes.lmax)
        own = np.diag(mixing.sum(axis=0))
        return np.asarray(attraction[:, None, None] * (mixing + mixing.T) - spread[:, None, None] * own)


def why_no_sums(grid: Grid) -> str | None:
    """On which grids of its kind batches are known, None on those."""
    if isinstance(grid, Circle):
        return f"circles of up to {MOST_POINTS} points" if grid.size > MOST_POINTS else None
    if isinstance(grid, Healpix):
        return f"spheres up to nside {MOST_NSIDE}" if grid.nside > MOST_NSIDE else None
    if isinstance(grid, Zonal):
        return f"zonal grids of up to {MOST_NODES} nodes" if grid.size > MOST_NODES else None
    return "circles, spheres and zonal grids"


class _LevelSums(Protocol):
    """Sums over a grid of exp(-s K) - 1, for all levels s."""

    log_s: Array
    step: float
    log_share: Array

    def lost(self, density: Array) -> Array:
        """int (exp(-s K(z, w)) - 1) rho(w) dmu(w) at every point z, (S, N)."""

    def gather(self, fields: Array) -> Array:
        """sum_s int (exp(-s K(z, w)) - 1) f_s(z) at every point w, of fields (S, N) as densities are stored, (N,)."""


class _Expected:
    """Phi_N of one density at every point, and what it pulls with."""

    def __init__(self, sums: _LevelSums, negatives: float, density: Array) -> None:
        self._sums, self._negatives = sums, negatives
        self._log_phi = np.log1p(np.maximum(sums.lost(density), -1 + np.finfo(np.float64).epsneg))
        expected = np.exp(sums.log_share[:, None] + negatives * self._log_phi)
        bare = np.exp(-np.exp(np.minimum(sums.log_s + np.log(negatives), 700.0)))
        self.value = sums.step * np.sum(bare[:, None] - expected, axis=0)

    def pull(self, density: Array) -> Array:
        """The variation of int rho Phi_N[sigma] in sigma: N int (ds/s) int rho a phi^(N-1) (1 - exp(-s K)), (N,)."""
        logs = self._sums.log_share[:, None] + (self._negatives - 1) * self._log_phi + np.log(self._negatives)
        return -self._sums.step * self._sums.gather(np.exp(np.minimum(logs, 700.0)) * density)


@lru_cache(maxsize=2)
def _sums(grid: Grid, kernel: Kernel, negatives: float, positive: Positive) -> _LevelSums:
    at = levels(kernel, grid.dim, negatives, positive, _STEP)
    share = log_share(kernel, grid.dim, at, positive)
    if isinstance(grid, Zonal):
        return _OfShells(grid, kernel, at, share)
    if isinstance(grid, Circle):
        return _OnCircle(grid, kernel, at, share)
    return _OfHarmonics(grid, kernel, at, share)


class _OnCircle:
    """By Fourier transforms of the sampled levels."""

    def __init__(self, grid: Circle, kernel: Kernel, at: Levels, share: Array) -> None:
        self.log_s, self.step, self.log_share = at.log_s, at.step, share
        angle = np.minimum(grid.angles(), 2 * np.pi - grid.angles())
        exponents = np.minimum(at.log_s[:, None] + kernel.log_profile(angle, 1), _LARGEST_LOG)
        self._size = grid.size
        self._factors = np.fft.rfft(np.expm1(-np.exp(exponents)), axis=1).real / grid.size

    def lost(self, density: Array) -> Array:
        return np.asarray(np.fft.irfft(self._factors * np.fft.rfft(density), n=self._size, axis=1))

    def gather(self, fields: Array) -> Array:
        return np.asarray(np.fft.irfft(np.sum(self._factors * np.fft.rfft(fields, axis=1), axis=0), n=self._size))


class _OfHarmonics:
    """By the levels' eigenvalues, up to a degree beyond which they are below rounding."""

    def __init__(self, grid: Grid, kernel: Kernel, at: Levels, share: Array) -> None:
        self.log_s, self.step, self.log_share = at.log_s, at.step, share
        self._grid, self._lmax = grid, int(_DEGREES * kernel.harmonic_scale())
        self._degrees = grid.degrees(self._lmax)
        self._factors = at.eigenvalues(grid.dim, self._lmax)

    def lost(self, density: Array) -> Array:
        own = self._grid.analysis(density, self._lmax)
        return np.stack([self._grid.synthesis(one[self._degrees] * own, self._lmax) for one in self._factors.T])

    def gather(self, fields: Array) -> Array:
        total = np.zeros(len(self._degrees))
        for one, values in zip(self._factors.T, fields, strict=True):
            total += one[self._degrees] * self._grid.analysis(values, self._lmax)
        return self._grid.synthesis(total, self._lmax)


class _OfShells:
    """By the levels' means over pairs of shells, kept for all pairs of nodes."""

    def __init__(self, grid: Zonal, kernel: Kernel, at: Levels, share: Array) -> None:
        self.log_s, self.step, self.log_share = at.log_s, at.step, share
        kappa = kernel.concentration
        cosines, masses = gauss_rule(grid.dimension - 1, _AROUND)
        level = float(log_exponential_mean(kappa, grid.dimension))
        heights, radii = np.cos(grid.angles), np.sin(grid.angles)
        self._size = grid.size
        self._means = np.empty((len(at.log_s), grid.size, grid.size))
        work = 40 * self._means.size * len(cosines)
        threads.over_blocks(
            _means_of_levels, grid.size, work, heights, radii, kappa, level, cosines, masses, at.log_s, self._means
        )

    def lost(self, density: Array) -> Array:
        return np.asarray(np.einsum("sij,j->si", self._means, density / self._size))

    def gather(self, fields: Array) -> Array:
        return np.asarray(np.einsum("sij,si->j", self._means, fields / self._size))


@jit()
def _means_of_levels(first, last, heights, radii, kappa, level, cosines, masses, log_s, means):
    """Write the means of exp(-s K) - 1 over the shells of two nodes, for those from first to last and all others."""
    kernel = np.empty(cosines.size)
    for i in range(first, last):
        for j in range(i, heights.size):
            for q in range(cosines.size):
                kernel[q] = kappa * (heights[i] * heights[j] + radii[i] * radii[j] * cosines[q]) - level
            for k in range(log_s.size):
                total = 0.0
                for q in range(cosines.size):
                    total += masses[q] * np.expm1(-np.exp(min(log_s[k] + kernel[q], _LARGEST_LOG)))
                means[k, i, j] = total
                means[k, j, i] = total
