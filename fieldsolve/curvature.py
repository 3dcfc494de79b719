"""Local stability of a stationary state of a smoothed energy: the lowest eigenvalues of its constrained Hessian."""

import numpy as np

from fieldsolve.arrays import Array
from fieldsolve.densities import LogDensity, normalised, renormalised
from fieldsolve.energies import Energy
from fieldsolve.errors import InputError
from fieldsolve.grids import MOST_SMOOTHED_PAIRS
from fieldsolve.kernels import Kernel
from fieldsolve.solution import Curvature

_LEAST_RATIO = 1e-3  # degrees that the kernel smooths to less than this are left out: the energy is flat along them
_TOLERANCE = 1e-3  # of eigenvectors; eigenvalues are then good to its square over their distance from the others
_MOST_UNSTABLE = 24  # then counting ends
_LOST = 1e-6  # relative error of the second variation at which harmonic smoothing is given up for sums over pairs
_STEEPEST, _SIZES = 2.0, (-1.0, -0.3, -0.1, -0.01, 0.01, 0.1, 0.3, 1.0)  # of what is tried to leave a saddle, in logarithms
_SEED = 20260119


def curvature(
    energy: Energy, state: LogDensity, count: int = 6, tolerance: float = _TOLERANCE, most: int = _MOST_UNSTABLE
) -> Curvature:
    """The `count` lowest eigenvalues, and all unstable ones, of the second variation of A times a smoothed energy at a state.

    H delta = mu delta/rho, for delta of mean 0 in every modality that vanish where rho is at the floor. One mirror step of
    length 1 multiplies a mode by 1 - mu; at two uniform densities (U = 0) antisymmetric modes of degree l have
    mu = 4 k_l (lambda_c(l) - lambda). delta/sqrt(rho) is looked for among harmonics up to the degree where k_l falls below 1e-3.
    Matrix-free, by Lanczos iteration; modes that are found unstable are projected out and the search is
    repeated until none is found, or `most` are known, so that degenerate ones are counted.

    Eigenvalues are Rayleigh quotients of perturbations that keep the mass and the floor: the lowest is not below the true one,
    and a saddle is one for certain. tolerance: of the eigenvectors. Raises InputError for an intrinsic energy, whose second
    variation has no smooth modes, and where the smoothed densities are too faint for their second variation to be computed.
    """
    from scipy.sparse.linalg import LinearOperator, eigsh  # slow to import: 0.4 s

    hessian = _Hessian(energy, state)
    size = hessian.modalities * len(hessian.degrees)
    rng = np.random.default_rng(_SEED)
    values, found, wanted, are_all = np.empty(0), np.empty((size, 0)), count, False
    while len(values) == 0 or (not are_all and int(np.sum(values < -Curvature.FLAT)) < most):
        known = found[:, values < -Curvature.FLAT]

        def remaining(vector: Array, known: Array = known) -> Array:
            """1 - H, with the unstable modes that are known at the far end of the spectrum."""
            vector = vector.ravel()
            return np.asarray(vector - hessian.product(vector) - 3.0 * (known @ (known.T @ vector)))

        wanted = min(wanted, size - 2)
        factors, vectors = eigsh(
            LinearOperator((size, size), matvec=remaining, dtype=np.float64),
            k=wanted, which="LA", v0=rng.standard_normal(size), tol=tolerance, ncv=min(size - 1, max(2 * wanted + 1, 20)),
        )  # fmt: skip
        unstable = 1 - factors < -Curvature.FLAT
        new = unstable if len(values) else np.ones_like(unstable)
        values, found = np.append(values, 1 - factors[new]), np.concatenate([found, vectors[:, new]], axis=1)
        wanted, are_all = max(3, int(unstable.sum())), not unstable.any()
    return hessian.described(found, are_all)


def perturbed(energy: Energy, state: LogDensity, mode: Array) -> LogDensity | None:
    """A state lower than a saddle: moved along a mode (A, N) of its curvature, by as much as lowers the energy most.

    None if nothing lowers it, as where the state is not quite stationary and the curvature next to nothing.
    """
    here = energy.value(state)
    along = np.clip(mode / np.maximum(state.density(), np.finfo(np.float64).tiny), -_STEEPEST, _STEEPEST)
    tried = [normalised(state.log_density() + size * along, state.floor) for size in _SIZES]
    values = [energy.value(one) for one in tried]
    return tried[int(np.argmin(values))] if min(values) < here else None


class _Hessian:
    """The second variation of A times a smoothed energy, in real harmonics of delta/sqrt(rho)."""

    def __init__(self, energy: Energy, state: LogDensity) -> None:
        if energy.kernel is None:
            raise InputError("local stability is that of smoothed energies; for intrinsic ones `matched` says what is stable")
        state = renormalised(state)
        self.grid, self.kernel, self.mixing = energy.grid, energy.kernel, energy.mixing
        self.density = state.density()
        self.smoothed = np.exp(np.maximum(self.grid.log_smooth(self.density, self.kernel), -690.0))
        self.weight = self.mixing.T @ self.density
        self.root = np.sqrt(self.density)
        # What is at the floor stays there; what is free moves without changing its mass.
        self.free = np.where(state.log_density() > state.log_floor, self.root, 0.0)
        self.free /= np.sqrt(np.mean(self.free**2, axis=1, keepdims=True))
        self.lmax = _largest_degree(self.kernel, self.grid.dim, self.grid.largest_degree)
        self.degrees = self.grid.degrees(self.lmax)
        self.pairwise = self._is_lost()

    @property
    def modalities(self) -> int:
        return len(self.density)

    def product(self, coefficients: Array) -> Array:
        """H in coefficients (A * modes,)."""
        fields = self._fields(coefficients)
        allowed = self._constrained(fields)
        # What the constraints forbid is made stable: 1 times its square.
        result = self._constrained(self._second_variation(allowed)) + (fields - allowed)
        return np.concatenate([self.grid.analysis(field, self.lmax) for field in result])

    def _second_variation(self, fields: Array) -> Array:
        """sqrt(rho) H sqrt(rho), of fields (A, N)."""
        delta = self.root * fields
        ratio = self._smooth(delta) / self.smoothed
        return self.root * (self.mixing @ ratio + self._smooth((self.mixing.T @ delta - self.weight * ratio) / self.smoothed))

    def described(self, found: Array, are_all: bool) -> Curvature:
        """The curvature along the vectors that were found, (A * modes, m)."""
        values = np.array([self._rayleigh_quotient(vector) for vector in found.T])
        order = np.argsort(values)
        lowest = found[:, order[0]].reshape(self.modalities, -1)
        power = np.sum(lowest**2, axis=0)
        content = np.bincount(self.degrees, power, self.lmax + 1) / power.sum()
        antisymmetry = float(np.sum((lowest[0] - lowest[-1]) ** 2) / (2 * power.sum()))
        mode = self.root * self._constrained(self._fields(lowest))
        return Curvature(values[order], are_all, mode, content, antisymmetry)

    def _rayleigh_quotient(self, vector: Array) -> float:
        allowed = self._constrained(self._fields(vector))
        return float(np.mean(allowed * self._second_variation(allowed)) / np.mean(allowed**2))

    def _fields(self, coefficients: Array) -> Array:
        return np.stack([self.grid.synthesis(one, self.lmax) for one in coefficients.reshape(self.modalities, -1)])

    def _constrained(self, fields: Array) -> Array:
        """The part of delta/sqrt(rho) that is 0 at the floor and does not change the mass."""
        kept = np.where(self.free > 0, fields, 0.0)
        return np.asarray(kept - self.free * np.mean(self.free * kept, axis=1, keepdims=True))

    def _is_lost(self) -> bool:
        """Whether harmonic smoothing is too inaccurate where a density faces another one's faint tail."""
        noise = self.grid.smoothing_error(self.kernel) * self.smoothed.max(axis=1)
        if float((noise * np.mean(self.weight / self.smoothed, axis=1)).max()) <= _LOST:
            return False
        if self.grid.size**2 > MOST_SMOOTHED_PAIRS:
            raise InputError(
                "the densities face each other's faint tails, where the second variation needs sums over all pairs of points; "
                "a coarser grid, a larger tau or a floor makes it possible"
            )
        return True

    def _smooth(self, fields: Array) -> Array:
        if not self.pairwise:
            return self.grid.smooth(fields, self.kernel)
        balance = self.grid.balance(self.kernel)
        return np.stack([balance * self.grid.kernel_sum_pairs(balance * one, self.kernel) for one in fields])


def _largest_degree(kernel: Kernel, dim: int, most: int) -> int:
    faint = np.flatnonzero(kernel.spectrum(dim, most) < _LEAST_RATIO)
    return max(2, min(int(faint[0]) if len(faint) else most, most))
