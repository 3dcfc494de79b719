"""Pair laws: how positive pairs are distributed on a grid, with marginals, conditionals, potentials and samples."""

from dataclasses import dataclass
from functools import cached_property
from math import inf, sqrt

import numpy as np

from fieldsolve.embeddings.pairs import Pairs
from fieldsolve.equilibrium.densities import from_density
from fieldsolve.equilibrium.potentials import Potential, on_grid
from fieldsolve.grids import Grid, Kernel, Smoother
from fieldsolve.grids.critics import critic_of
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.errors import InputError

_ROWS = 64  # kernel rows held at a time
_FAINT = 1e-6  # relative error of a conditional mean above which it is summed directly


@dataclass(frozen=True, eq=False)
class PairLaw:
    """The law of positive pairs (z_1, z_2) that share a hidden content.

    Content c has the mass weights[c]; given c, the modalities are independent, and modality a is spread around the point
    places[a, c] of the grid by the von Mises-Fisher kernel spreads[a], or not at all (None). Both points are points of the grid.

    places: (2, M) indices; weights: (M,), sum 1; label: what the law is called.
    """

    grid: Grid
    places: Indices
    weights: Array
    spreads: tuple[Kernel | None, Kernel | None]
    label: str

    @cached_property
    def marginals(self) -> Array:
        """The densities q_1, q_2 of the two modalities, shape (2, N)."""
        return np.stack([self._spread(a, self._gathered(a, self.weights)) for a in (0, 1)])

    def potentials(self, critic: str = "cosine") -> Array:
        """The directional alignment potentials U_a(z) = -E[s(z_a, z_b) | z_a = z] [Def 3.1, 4.1], shape (2, N).

        For the cosine critic -z . E[z_b | z_a = z], for rbf 2 - 2 z . E[z_b | z_a = z]; where a modality has no mass its
        partner's mean is taken to be 0. Raises InputError for the geodesic critic, whose potential is no conditional mean.
        """
        scale, offset = _linear(critic)
        points = self.grid.points()
        return np.stack([offset - scale * np.einsum("nd,dn->n", points, self._mean_partners(a)) for a in (0, 1)])

    def as_potentials(self, critic: str = "cosine") -> tuple[Potential, Potential]:
        """The potentials as what problems take."""
        first, second = self.potentials(critic)
        return on_grid(self.grid, first, f"{self.label}, 1 to 2"), on_grid(self.grid, second, f"{self.label}, 2 to 1")

    def expected_similarity(self, critic: str = "cosine") -> float:
        """E[s(z_1, z_2)] under the law; by disintegration it is -int U_1 dq_1 and -int U_2 dq_2."""
        scale, offset = _linear(critic)
        first, second = (self._mean_points(a)[:, self.places[a]] for a in (0, 1))
        return float(scale * np.sum(self.weights * np.sum(first * second, axis=0)) - offset)

    def conditional(self, given: int, at: Indices) -> Array:
        """The density of the other modality when modality `given` is at a point of the grid, one row a point: (n, N).

        Rows are zero where that modality has no mass.
        """
        rows = np.zeros((len(at), self.grid.size))
        other, kernel = 1 - given, self.spreads[given]
        for row, point in zip(rows, at.tolist(), strict=True):
            if kernel is None:
                shares = np.where(self.places[given] == point, self.weights, 0.0)
            else:
                shares = self.weights * Smoother(self.grid, kernel).rows(np.array([point]))[0, self.places[given]]
            if shares.sum() > 0:
                spread = np.maximum(self._spread(other, self._gathered(other, shares / shares.sum())), 0.0)
                row[:] = spread / spread.mean()
        return rows

    def sample(self, count: int, rng: np.random.Generator) -> Indices:
        """Positive pairs, as indices of grid points, shape (2, count)."""
        contents = _drawn(self.weights, rng.random(count))
        return np.stack([self._scattered(a, self.places[a, contents], rng) for a in (0, 1)])

    def sample_marginal(self, modality: int, count: int, rng: np.random.Generator) -> Indices:
        """Independent points of one modality, as negatives are, shape (count,)."""
        return _drawn(self.marginals[modality], rng.random(count))

    def _gathered(self, a: int, masses: Array) -> Array:
        """The density of contents where modality a has them."""
        return np.asarray(np.bincount(self.places[a], masses, self.grid.size) * float(self.grid.size), dtype=np.float64)

    def _spread(self, a: int, density: Array) -> Array:
        kernel = self.spreads[a]
        return density if kernel is None else Smoother(self.grid, kernel).smooth_closely(density)

    def _scattered(self, a: int, at: Indices, rng: np.random.Generator) -> Indices:
        kernel, uniform = self.spreads[a], rng.random(len(at))
        if kernel is None:
            return at
        result = np.empty_like(at)
        for first in range(0, len(at), _ROWS):
            rows = Smoother(self.grid, kernel).rows(at[first : first + _ROWS])
            for index, row in enumerate(rows, start=first):
                result[index] = _drawn(row, uniform[index : index + 1])[0]
        return result

    def _mean_points(self, a: int) -> Array:
        """E[z_a | content at x] for contents at every grid point x, shape (dim + 1, N)."""
        coordinates = np.ascontiguousarray(self.grid.points().T)
        kernel = self.spreads[a]
        return coordinates if kernel is None else Smoother(self.grid, kernel).smooth(coordinates)

    def _mean_partners(self, a: int) -> Array:
        """E[z_b | z_a = z] at every grid point z, shape (dim + 1, N)."""
        other, density, kernel = 1 - a, self.marginals[a], self.spreads[a]
        partners = self._mean_points(other)[:, self.places[other]]
        moments = np.stack([self._gathered(a, self.weights * one) for one in partners])
        smoother = None if kernel is None else Smoother(self.grid, kernel)
        means = moments if smoother is None else smoother.smooth(moments)
        # Where the density is next to nothing the quotient is no number; such points are summed anew below.
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            means = np.where(density > 0, means / density, 0.0)
        if smoother is None:
            return np.asarray(means)
        # Far from all contents harmonic moments are lost in their error: sum them directly there, in logarithms.
        largest = float(np.abs(moments).max() * np.exp(self.grid.log_peak(smoother.kernel)))
        lost = np.flatnonzero(smoother.error * largest > _FAINT * density)
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights)
        for first in range(0, len(lost), _ROWS):
            at = lost[first : first + _ROWS]
            exponents = smoother.log_rows(at, self.places[a]) + log_weights
            shares = np.exp(exponents - exponents.max(axis=1, keepdims=True))
            means[:, at] = partners @ shares.T / shares.sum(axis=1)
        return np.asarray(means)


def augmented(grid: Grid, density: Array, concentration: float, label: str = "augmented") -> PairLaw:
    """One modality: content of the given density on the grid, both views spread around it, von Mises-Fisher.

    The marginal of each view is the smoothed density, and views are exchangeable: U_1 = U_2.
    density: (N,), non-negative, any scale; concentration: kappa of the spread, inf for none. Raises InputError.
    """
    return two_modalities(grid, density, (concentration, concentration), 0.0, label)


def two_modalities(
    grid: Grid, density: Array, concentrations: tuple[float, float], misalign: float = 0.0, label: str = "two modalities"
) -> PairLaw:
    """Two modalities with different conditionals: each spreads around the content with its own concentration.

    misalign: rotation of the second modality's content in degrees, as of potentials; its places are the nearest points.
    density: (N,), of the content. Raises InputError.
    """
    density = np.asarray(density, dtype=np.float64)
    if density.shape != (grid.size,):
        raise InputError(f"the content needs a density of shape ({grid.size},) on this grid, not {density.shape}")
    content = from_density(density, 0.0).density()[0] / grid.size
    kept = np.flatnonzero(content > 0)
    if not np.isfinite(misalign):
        raise InputError(f"the misalignment must be a finite angle in degrees, not {misalign}")
    second = kept if misalign == 0 else grid.nearest(grid.points()[kept] @ grid.rotation(misalign).T)
    spreads = _spread_kernel(grid, concentrations[0]), _spread_kernel(grid, concentrations[1])
    return PairLaw(grid, np.stack([kept, second]), content[kept] / content[kept].sum(), spreads, label)


def empirical(grid: Grid, pairs: Pairs, bandwidth: float | None = None) -> PairLaw:
    """The law of matched embeddings: contents are the pairs, at the nearest grid points, spread by a bandwidth in radians.

    bandwidth: `Pairs.bandwidth` by default; the concentration is its inverse square, as in the regression of potentials.
    Raises InputError for pairs of another dimension, or a bandwidth that is not positive or that the grid does not resolve.
    """
    if pairs.points.shape[2] != grid.components:
        raise InputError(f"the pairs are points of S^{pairs.points.shape[2] - 1} and the grid is of S^{grid.dim}")
    h = pairs.bandwidth if bandwidth is None else bandwidth
    if not (np.isfinite(h) and h > 0):
        raise InputError(f"the bandwidth must be a positive number of radians, not {bandwidth}")
    count = pairs.points.shape[1]
    kernel = _spread_kernel(grid, 1 / h**2)
    places = np.stack([grid.nearest(points) for points in pairs.points])
    return PairLaw(grid, places, np.full(count, 1 / count), (kernel, kernel), f"{count} pairs")


def _spread_kernel(grid: Grid, concentration: float) -> Kernel | None:
    if concentration == inf:
        return None
    if not 0 < concentration < inf:
        raise InputError(f"the concentration of a spread must be a positive number, or inf for none, not {concentration}")
    kernel = Kernel("cosine", 1 / concentration)
    if not grid.resolves(kernel):
        least = grid.least_tau(kernel)
        raise InputError(
            f"a spread of concentration {concentration:.4g}, {kernel.width:.3g} rad wide, is too narrow for this grid; use "
            f"at most {1 / least:.3g} (at least {sqrt(least):.3g} rad), inf for none, or a finer grid"
        )
    return kernel


def _linear(critic: str) -> tuple[float, float]:
    """The scale and offset of s = scale z.z' - offset."""
    linear = critic_of(critic).linear
    if linear is None:
        raise InputError(f"potentials of pair laws are those of critics that are linear in z.z', cosine and rbf, not of {critic}")
    return linear


def _drawn(masses: Array, uniform: Array) -> Indices:
    """Indices drawn with the given masses, any scale, by inversion of uniform numbers."""
    cumulative = np.cumsum(masses)
    return np.asarray(np.minimum(np.searchsorted(cumulative, uniform * cumulative[-1], side="right"), len(masses) - 1))
