"""The cross-entropies of densities, with themselves and with each other: what InfoNCE's negatives become in large batches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fieldsolve.equilibrium import energy_pass
from fieldsolve.equilibrium.densities import from_density
from fieldsolve.equilibrium.mirror_step import Move, mean_pass
from fieldsolve.equilibrium.terms.pull import add_pull
from fieldsolve.equilibrium.terms.term import Convexity, Term
from fieldsolve.grids import Grid, Kernel, Modes, Smoother
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError


@dataclass(frozen=True, eq=False)
class CrossEntropy(Term):
    """(1/A) sum_ab M_ab int rho_a log q_b, with q = rho (kernel None) [(6), Def 4.3] or q = K rho [(3), (9)].

    mixing: M, (A, A), not negative, rows of sum 1. The term is 1-smooth relative to the entropy whatever M and K are: the
    second variation of int rho_a log K rho_b is 2 int delta_a K delta_b/K rho_b - int rho_a (K delta_b)^2/(K rho_b)^2, at most
    int delta_a^2/rho_a, because 2 xy - y^2 <= x^2.
    """

    mixing: Array
    kernel: Kernel | None = None

    name = "cross-entropy"

    def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
        if self.kernel is None:
            variation = np.empty_like(density)
            move = Move(0.0, -1.0, np.zeros(len(density)), variation)
            state = from_density(density, 0.0, grid.log_weights)
            means = mean_pass(np.zeros_like(density), 0.0, self.mixing, state, move)
            cross_entropy = -means[:, energy_pass.CROSS :]
        else:
            variation = np.zeros_like(density)
            cross_entropy = self.add_smoothed(Smoother(grid, self.kernel), density, variation)
            variation /= len(density)
        return -float(np.sum(self.mixing * cross_entropy)) / len(density), variation

    def add_smoothed(self, smoother: Smoother, density: Array, variation: Array) -> Array:
        """-int rho_a log K rho_b, (A, A); adds what A times the term contributes to a variation (A, N).

        log K rho is as accurate as its weight in the energy asks for. d/drho_b of int rho_a log K rho_b is K(rho_a/K rho_b),
        whose argument may be huge.
        """
        size, weight = smoother.grid.size, density
        if len(density) > 1:
            weight = np.empty_like(density)
            threads.over_chunks(lambda at: _combine(self.mixing.T, density[:, at], weight[:, at]), size)
        log_q = [smoother.log_smooth(one, counts) for one, counts in zip(density, weight, strict=True)]

        def terms(at: slice) -> tuple[Array, list[float]]:
            """The cross-entropies of a part of the points, and the largest log-ratio there; log q becomes the ratio."""
            here = [one[at] for one in log_q]
            _add_combined(self.mixing, here, variation[:, at])
            cross_entropy = -np.array([[np.einsum("n,n", rho, one) for one in here] for rho in density[:, at]])
            for one, counts in zip(log_q, weight, strict=True):
                with np.errstate(divide="ignore"):
                    np.subtract(np.log(counts[at]), one[at], out=one[at])
            return cross_entropy, [float(one[at].max()) for one in log_q]

        cross_entropies, largest = zip(*threads.over_chunks(terms, size), strict=True)
        for b, top in enumerate(np.max(largest, axis=0)):
            add_pull(smoother, variation[b], log_q[b], float(top), density[b])
        return np.asarray(np.sum(cross_entropies, axis=0) / size)

    def smoothness(self, grid: Grid, modalities: int) -> float:
        return 1.0

    def spectrum(self, modes: Modes, modalities: int) -> Array:
        k = modes.factors(self.kernel)[:, None, None]
        return np.asarray(k * (self.mixing + self.mixing.T) - k**2 * np.diag(self.mixing.sum(axis=0)))

    @property
    def convexity(self) -> Convexity:
        """Of log rho: jointly convex without coupling. Of log K rho none is proved: int rho log K rho is not at low tau."""
        return Convexity.JOINTLY if self.kernel is None and not is_coupled(self.mixing) else Convexity.NOT


def coupling_matrix(coupling: float, modalities: int) -> Array:
    """M of a coupling lambda: M_aa = 1 - lambda, lambda shared among the others; 1 for one modality, shape (A, A)."""
    if modalities == 1:
        return np.ones((1, 1))
    mixing = np.full((modalities, modalities), coupling / (modalities - 1))
    np.fill_diagonal(mixing, 1 - coupling)
    return mixing


def mixing_of(coupling: float | Array, modalities: int) -> Array:
    """M of a coupling, or a mixing matrix that is given. Raises InputError for one that is none."""
    if np.ndim(coupling) == 0:
        if not 0 <= float(coupling) <= 1:
            raise InputError(f"the coupling must be between 0 and 1, not {coupling}")
        return coupling_matrix(float(coupling), modalities)
    mixing = np.asarray(coupling, dtype=np.float64)
    if mixing.shape != (modalities, modalities):
        raise InputError(
            f"a mixing matrix of {modalities} modalities is {modalities} x {modalities}, not of shape {mixing.shape}"
        )
    if not (np.all(mixing >= 0) and np.allclose(mixing.sum(axis=1), 1, rtol=0, atol=1e-12)):
        raise InputError(f"a mixing matrix has no negative entries and rows of sum 1, not {mixing.tolist()}")
    return mixing


def is_coupled(mixing: Array) -> bool:
    """Whether a density's cross-entropy is against another one's."""
    return len(mixing) > 1 and bool(np.any(mixing - np.diag(np.diag(mixing))))


def _combine(matrix: Array, fields: Sequence[Array] | Array, out: Array) -> None:
    """out_a = sum_b matrix_ab fields_b; not a matrix product, whose threads would fight with ours."""
    for weights, target in zip(matrix.tolist(), out, strict=True):
        np.multiply(fields[0], weights[0], out=target)
    _add_combined(matrix[:, 1:], fields[1:], out)


def _add_combined(matrix: Array, fields: Sequence[Array] | Array, out: Array) -> None:
    for weights, target in zip(matrix.tolist(), out, strict=True):
        for weight, field in zip(weights, fields, strict=True):
            if weight:
                target += weight * field
