"""Local stability of a stationary state of a smoothed energy: the lowest eigenvalues of its constrained Hessian."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.equilibrium.densities import LogDensity, normalise
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.grids import Grid, Kernel, Smoother
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Progress, Watch

_FLAT = 1e-6  # the kernel leaves many eigenvalues that are 0 but for rounding
_LEAST_RATIO = 1e-3  # degrees that the kernel smooths to less than this are left out: the energy is flat along them
_TOLERANCE = 1e-3  # of eigenvectors; eigenvalues are then good to its square over their distance from the others
_MOST_UNSTABLE = 24  # then counting ends
_DENSE = 1000  # free values up to which all eigenvalues are computed
_LEAST_SHARE = 1e-6  # of a vector within the constraints; what is left of the others is rounding
_FAINTEST = -690.0
_LOST = 1e-6  # relative error of the second variation at which harmonic smoothing is given up for close sums
_MOST_WORK = 4e9  # of a close sum, in multiplications: a tenth of a second
_STEEPEST, _SIZES = 2.0, (-1.0, -0.3, -0.1, -0.01, 0.01, 0.1, 0.3, 1.0)  # of what is tried to leave a saddle, in logarithms
_SEED = 20260119


@dataclass(frozen=True, eq=False)
class Curvature:
    """The lowest eigenvalues of a smoothed energy's constrained Hessian at a state, and the lowest mode; see `curvature`.

    eigenvalues: (m,), rising, in units of the entropy's second variation; flat: those above -flat do not count as unstable.
    are_all: whether every unstable mode was looked for; after many the search ends. is_exact: whether that was over all
    pixels; else it was among harmonics up to degree L. Of the lowest mode, the perturbation delta of the densities, (A, N),
    None where it was not stored: content, (L + 1,), the share of each degree in delta/sqrt(rho), and antisymmetry, the share
    in which the first and the last modality move against each other.
    """

    eigenvalues: Array
    flat: float
    are_all: bool
    is_exact: bool
    mode: Array | None
    content: Array
    antisymmetry: float

    @property
    def unstable(self) -> int:
        """How many modes lower the energy: eigenvalues below -flat."""
        return int(np.sum(self.eigenvalues < -self.flat))

    @property
    def is_saddle(self) -> bool:
        return self.unstable > 0

    @property
    def degree(self) -> int:
        """The degree of which the lowest mode has most."""
        return int(np.argmax(self.content))

    @property
    def sentence(self) -> str:
        """What the state is, in words."""
        searched = "" if self.is_exact else f" up to degree {len(self.content) - 1}"
        if not self.is_saddle:
            return f"stable: no mode{searched} lowers the energy"
        count = f"{'' if self.are_all else 'at least '}{self.unstable} unstable mode{'s' if self.unstable > 1 else ''}{searched}"
        return (
            f"saddle with {count}; the most unstable (eigenvalue {self.eigenvalues[0]:.3g}) is "
            f"{100 * self.content[self.degree]:.0f} % of degree {self.degree}"
        )


def curvature(
    energy: Energy,
    state: LogDensity,
    count: int = 6,
    tolerance: float = _TOLERANCE,
    most: int = _MOST_UNSTABLE,
    watch: Watch | None = None,
) -> Curvature:
    """The `count` lowest eigenvalues, and all unstable ones, of the second variation of A times a smoothed energy at a state.

    H delta = mu delta/rho, for delta of mean 0 in every modality that vanish where rho is at the floor. One mirror step of
    length 1 multiplies a mode by 1 - mu; at two uniform densities (U = 0) antisymmetric modes of degree l have
    mu = 4 k_l (lambda_c(l) - lambda). Up to 1000 free values in all modalities, every eigenvalue is computed. Beyond,
    delta/sqrt(rho) is looked for among harmonics up to the degree where k_l falls below 1e-3, matrix-free, by Lanczos
    iteration; modes found unstable are projected out and the search is repeated until none is found, or `most` are known, so that
    degenerate ones are counted. What is found then is a lower bound: every unstable mode that is counted is one.

    A mode counts as unstable below -flat: minus the state's stationarity, at least 1e-6, because less is not told apart from
    not being quite stationary. tolerance: of the eigenvectors; watch: told how often H was applied. Raises InputError for an
    intrinsic energy, whose second variation has no smooth modes, where the smoothed densities are too faint for their second
    variation to be computed, and if the iteration does not converge.
    """
    hessian = _Hessian(energy, state, watch)
    if np.count_nonzero(hessian.free) <= _DENSE:
        return _by_all_pixels(hessian, count)
    return _by_harmonics(hessian, count, tolerance, most)


def _by_all_pixels(hessian: "_Hessian", count: int) -> Curvature:
    from scipy.linalg import eigh  # slow to import: 0.4 s

    free = np.flatnonzero(hessian.free.ravel())
    matrix = np.empty((len(free), len(free)))
    unit = np.zeros(hessian.free.shape)
    for column, point in enumerate(free):
        unit.ravel()[point] = 1.0
        matrix[:, column] = hessian.penalise(unit).ravel()[free]
        unit.ravel()[point] = 0.0
    values, vectors = eigh((matrix + matrix.T) / 2)
    lowest = np.zeros_like(unit)
    lowest.ravel()[free] = vectors[:, 0]
    kept = max(count, int(np.sum(values < -hessian.flat)))
    return hessian.describe(values[:kept], lowest, are_all=True, is_exact=True)


def _by_harmonics(hessian: "_Hessian", count: int, tolerance: float, most: int) -> Curvature:
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

    size = hessian.modalities * len(hessian.degrees)
    rng = np.random.default_rng(_SEED)
    values, found, wanted, are_all = np.empty(0), np.empty((size, 0)), count, False
    while len(values) == 0 or (not are_all and int(np.sum(values < -hessian.flat)) < most):
        known = found[:, values < -hessian.flat]

        def remaining(vector: Array, known: Array = known) -> Array:
            """1 - H, with the unstable modes that are known at the far end of the spectrum."""
            vector = vector.ravel()
            pressed = hessian.analyse(hessian.penalise(hessian.synthesise(vector)))
            return np.asarray(vector - pressed - 3.0 * (known @ (known.T @ vector)))

        wanted = min(wanted, size - 2)
        try:
            factors, vectors = eigsh(
                LinearOperator((size, size), matvec=remaining, dtype=np.float64),
                k=wanted, which="LA", v0=rng.standard_normal(size), tol=tolerance, ncv=min(size - 1, max(2 * wanted + 1, 20)),
            )  # fmt: skip
        except ArpackError as error:
            raise InputError("the lowest eigenvalues of the Hessian did not converge") from error
        unstable = 1 - factors < -hessian.flat
        new = unstable if len(values) else np.ones_like(unstable)
        values, found = np.append(values, 1 - factors[new]), np.concatenate([found, vectors[:, new]], axis=1)
        wanted, are_all = max(3, int(unstable.sum())), not unstable.any()
    values, found = _within_constraints(hessian, found)
    return hessian.describe(values, hessian.synthesise(found[:, 0]), are_all, is_exact=False)


def _within_constraints(hessian: "_Hessian", found: Array) -> tuple[Array, Array]:
    """Eigenvalues and vectors of the second variation over what the constraints leave of the vectors' span (Rayleigh, Ritz)."""
    pairs = []
    for vector in found.T:
        allowed = hessian.constrain(hessian.synthesise(vector))
        pressed = hessian.constrain(hessian.second_variation(allowed))
        pairs.append((hessian.analyse(allowed), hessian.analyse(pressed)))
    gram, curved = (found.T @ np.stack(columns, axis=1) for columns in zip(*pairs, strict=True))
    shares, axes = np.linalg.eigh((gram + gram.T) / 2)
    kept = axes[:, shares > _LEAST_SHARE] / np.sqrt(shares[shares > _LEAST_SHARE])
    if kept.shape[1] == 0:
        return np.ones(1), found[:, :1]
    values, turns = np.linalg.eigh(kept.T @ ((curved + curved.T) / 2) @ kept)
    return values, found @ kept @ turns


def perturb(energy: Energy, state: LogDensity, mode: Array) -> LogDensity | None:
    """A state lower than a saddle: moved along a mode (A, N) of its curvature, by as much as lowers the energy most.

    None if nothing lowers it, as where the state is not quite stationary and the curvature next to nothing.
    """
    here = energy.value(state)
    along = np.clip(mode / np.maximum(state.density(), np.finfo(np.float64).tiny), -_STEEPEST, _STEEPEST)
    tried = [normalise(state.log_density() + size * along, state.floor, state.log_weights) for size in _SIZES]
    values = [energy.value(one) for one in tried]
    return tried[int(np.argmin(values))] if min(values) < here else None


class _Hessian:
    """The second variation of A times a smoothed energy, of fields delta/sqrt(rho), (A, N)."""

    def __init__(self, energy: Energy, state: LogDensity, watch: Watch | None = None) -> None:
        if not energy.has_hessian or energy.kernel is None:
            raise InputError(
                "local stability is that of smoothed energies without added terms; for intrinsic ones the phases say it"
            )
        evaluation = energy.step(state, 0.0, np.empty_like(energy.potentials))[0]
        state = evaluation.state
        self.flat = max(_FLAT, evaluation.stationarity)
        self.grid, self.mixing, self.smoother = energy.grid, energy.mixing, Smoother(energy.grid, energy.kernel)
        self.density = state.density()
        log_smoothed = self.smoother.log_smooth(self.density)
        if log_smoothed.min() < _FAINTEST:
            raise InputError("the smoothed densities fall below exp(-690) somewhere; a larger tau or a floor makes it possible")
        self.smoothed = np.exp(log_smoothed)
        self.weight = self.mixing.T @ self.density
        self.root = np.sqrt(self.density)
        # What is at the floor stays there; what is free moves without changing its mass.
        self.free = np.where(state.log_density() > state.log_floor, self.root, 0.0)
        self.free /= np.sqrt(np.mean(self.free**2, axis=1, keepdims=True))
        self.lmax = _largest_degree(self.grid, energy.kernel)
        self.degrees = self.grid.degrees(self.lmax)
        self.is_lost = self._is_lost()
        self._watch, self._applied = watch, 0

    @property
    def modalities(self) -> int:
        return len(self.density)

    def second_variation(self, fields: Array) -> Array:
        """sqrt(rho) H sqrt(rho)."""
        self._applied += 1
        if self._watch is not None:
            self._watch(Progress(self._applied, None, f"products with the second variation on {self.grid}"))
        delta = self.root * fields
        ratio = self._smooth(delta) / self.smoothed
        return self.root * (self.mixing @ ratio + self._smooth((self.mixing.T @ delta - self.weight * ratio) / self.smoothed))

    def constrain(self, fields: Array) -> Array:
        """The part of fields that is 0 at the floor and does not change the mass."""
        kept = np.where(self.free > 0, fields, 0.0)
        return np.asarray(kept - self.free * np.mean(self.free * kept, axis=1, keepdims=True))

    def penalise(self, fields: Array) -> Array:
        """The second variation within the constraints, and 1 outside: what they forbid counts as stable."""
        allowed = self.constrain(fields)
        return np.asarray(self.constrain(self.second_variation(allowed)) + (fields - allowed))

    def synthesise(self, coefficients: Array) -> Array:
        """Fields of real harmonics, coefficients (A * modes,); half of a point's weight is in them, as in delta/sqrt(rho)."""
        half = np.sqrt(self.grid.weights)
        return np.stack([half * self.grid.synthesis(one, self.lmax) for one in coefficients.reshape(self.modalities, -1)])

    def analyse(self, fields: Array) -> Array:
        """The adjoint of `synthesise`."""
        half = np.sqrt(self.grid.weights)
        return np.concatenate([self.grid.analysis(half * field, self.lmax) for field in fields])

    def describe(self, values: Array, lowest: Array, are_all: bool, is_exact: bool) -> Curvature:
        """The curvature of these eigenvalues, and of the lowest one's mode as fields."""
        lowest = self.constrain(lowest)
        parts = self.analyse(lowest).reshape(self.modalities, -1)
        power = np.sum(parts**2, axis=0)
        content = np.bincount(self.degrees, power, self.lmax + 1) / max(power.sum(), np.finfo(np.float64).tiny)
        antisymmetry = float(np.sum((lowest[0] - lowest[-1]) ** 2) / max(2 * np.sum(lowest**2), np.finfo(np.float64).tiny))
        return Curvature(values, self.flat, are_all, is_exact, self.root * lowest, content, antisymmetry)

    def _is_lost(self) -> bool:
        """Whether harmonic smoothing is too inaccurate where a density faces another one's faint tail."""
        noise = self.smoother.error * self.smoothed.max(axis=1)
        if float((noise * np.mean(self.weight / self.smoothed, axis=1)).max()) <= _LOST:
            return False
        if self.smoother.close_work > _MOST_WORK:
            raise InputError(
                "the densities face each other's faint tails, where the second variation needs thousands of sums accurate there, "
                f"each of {self.smoother.close_work:.1e} operations on {self.grid} at tau = {self.smoother.kernel.tau:g}; a "
                "coarser grid, a larger tau or a floor makes it possible"
            )
        return True

    def _smooth(self, fields: Array) -> Array:
        if not self.is_lost:
            return self.smoother.smooth(fields)
        return np.stack([self._closely(one) - self._closely(-one) for one in fields])

    def _closely(self, field: Array) -> Array:
        """What the positive part of a field is smoothed to, each value to a relative accuracy of its own."""
        positive = np.maximum(field, 0.0)
        return self.smoother.smooth_closely(positive) if positive.any() else positive


def _largest_degree(grid: Grid, kernel: Kernel) -> int:
    most = grid.largest_degree
    faint = np.flatnonzero(grid.spectrum(kernel, most) < _LEAST_RATIO)
    return min(most, max(2, int(faint[0]) if len(faint) else most))
