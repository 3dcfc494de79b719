"""Densities of smoothed energies as atoms off a grid's points: energy, slopes, and the descent over positions and masses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fieldsolve.grids import Grid, Kernel
from fieldsolve.grids.shells import Shells
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

_STEP = 1e-5  # of the differences that a potential's slope is known from
_ROUNDS = 12  # of descents, each followed by atoms where the variation is lower off them
_MOST_STEPS = 2000  # of one descent
_SMALLEST = 1e-9  # mass that an atom keeps
_CLOSE = 1e-6  # atoms nearer than this are one
_MERGED = 0.05  # of the kernel's width, within which atoms are made one where that costs nothing
_ROUNDING = 1e-12
_SHARES = (1e-9, 1e-7, 1e-5, 1e-3, 0.02, 0.1, 0.3, 0.5)  # of the mass, that are tried at a new atom
_CANDIDATES = 4  # lowest points of the grid from which the variation's least value is looked for
_LOG_ROOM = 30.0  # by which logarithms of masses may move in one descent


@dataclass(frozen=True, eq=False)
class Atoms:
    """The excess mass of densities on atoms: of modality a, masses (n_a,), of sum 1, at shells (n_a, components).

    shells: the space that positions are in; a point of a sphere, or a zonal sphere of points at one height.
    """

    shells: Shells
    positions: tuple[Array, ...]
    masses: tuple[Array, ...]

    @property
    def modalities(self) -> int:
        return len(self.masses)

    def to_json(self) -> list[dict[str, Any]]:
        """Positions and masses of each modality; `from_json` reads them."""
        return [{"positions": where.tolist(), "masses": mass.tolist()} for where, mass in _each(self)]

    @classmethod
    def from_json(cls, grid: Grid, plain: list[dict[str, Any]]) -> "Atoms":
        """The atoms on a grid's space that `to_json` wrote."""
        shells = grid.shells()
        if shells is None:
            raise InputError(f"{grid} has no atoms")
        positions, masses = (tuple(np.array(one[name], dtype=float) for one in plain) for name in ("positions", "masses"))
        return cls(shells, positions, masses)

    def centroids(self, grid: Grid, floor: float) -> Array:
        """int z rho_a dmu of the densities with a floor, (A, components of the grid)."""
        moved = []
        for where, mass in zip(self.positions, self.masses, strict=True):
            points = grid.from_shells(where).copy()
            if self.shells.directions < self.shells.dimension:
                points[:, : -self.shells.directions] = 0.0  # the mean over a shell
            moved.append((1 - floor) * mass @ points)
        return np.stack(moved)

    def on(self, grid: Grid, floor: float) -> Array:
        """The densities with each atom on the grid's nearest point, (A, size)."""
        result = floor * np.ones((self.modalities, grid.size)) * grid.weights
        for row, where, mass in zip(result, self.positions, self.masses, strict=True):
            np.add.at(row, grid.nearest(grid.from_shells(where)), (1 - floor) * grid.size * mass)
        return result


@dataclass(frozen=True, eq=False)
class Polished:
    """Where a descent over atoms ended. energy: in nats; binding: (A,); cross_entropy: (A, A), as in `Evaluation`.

    stationarity: Frank-Wolfe gap with the variation's least value anywhere; or, where that holds for the first bit of mass only,
    as where log K rho is hundreds of nats lower, what moving any share of the mass there gains.
    """

    atoms: Atoms
    energy: float
    stationarity: float
    binding: Array
    cross_entropy: Array


@dataclass(frozen=True, eq=False)
class AtomEnergy:
    """A smoothed energy of atoms over a floor: rho_a = floor + (1 - floor) sum_i m_ai delta(x_ai).

    shells: where atoms are; kernel, mixing: the energy's; costs: U_a/tau_a at shells (n, components), one a modality. nodes:
    shells from which the variation's least value is looked for, and over which, with their shares of the uniform measure, the
    floor's integrals are taken; levels: floor int U_a/tau_a dmu, (A,).
    """

    shells: Shells
    kernel: Kernel
    mixing: Array
    costs: Sequence[Callable[[Array], Array]]
    nodes: Array
    floor: float = 0.0
    shares: Array | None = None
    levels: Array | None = None

    def log_smoothed(self, atoms: Atoms, b: int, where: Array) -> Array:
        """log K rho_b at shells."""
        logs = self.shells.log_kernel(self.kernel, where, atoms.positions[b]) + np.log((1 - self.floor) * atoms.masses[b])
        return np.asarray(np.logaddexp(_log_sum(logs), np.log(self.floor)) if self.floor > 0 else _log_sum(logs))

    def binding(self, atoms: Atoms) -> Array:
        """int U_a rho_a/tau_a, (A,)."""
        own = [masses @ self.costs[a](where) for a, (where, masses) in enumerate(_each(atoms))]
        level = 0.0 if self.levels is None else self.levels
        return np.asarray(level + (1 - self.floor) * np.array(own))

    def cross_entropy(self, atoms: Atoms) -> Array:
        """-int rho_a log K rho_b, (A, A)."""
        result = np.empty((atoms.modalities, atoms.modalities))
        for b in range(atoms.modalities):
            even = 0.0
            if self.floor > 0 and self.shares is not None:
                even = self.floor * float(self.shares @ self.log_smoothed(atoms, b, self.nodes))
            for a, (where, masses) in enumerate(_each(atoms)):
                result[a, b] = -even - (1 - self.floor) * (masses @ self.log_smoothed(atoms, b, where))
        return result

    def value(self, atoms: Atoms) -> float:
        """The energy in nats."""
        return float(np.sum(self.binding(atoms)) - np.sum(self.mixing * self.cross_entropy(atoms))) / atoms.modalities

    def variation(
        self, atoms: Atoms, a: int, where: Array, with_slopes: bool = False, pulls: Sequence[tuple[Array, Array]] | None = None
    ) -> tuple[Array, Array]:
        """A times the energy's variation in rho_a at shells (n, components), and its slopes along the sphere if asked for.

        g_a = U_a/tau + sum_b M_ab log K rho_b + sum_b M_ba K(rho_b/K rho_a). pulls: those of the atoms, if they are known.
        """
        value, slope = self.costs[a](where), np.zeros_like(where)
        if with_slopes:
            slope += self._potential_slope(a, where)
        for b in range(atoms.modalities):
            if self.mixing[a, b]:
                log_q = self.log_smoothed(atoms, b, where)
                value = value + self.mixing[a, b] * log_q
                if with_slopes:
                    log_masses = np.log((1 - self.floor) * atoms.masses[b])
                    slope += self.mixing[a, b] * self._pulled(where, atoms.positions[b], log_masses - log_q[:, None])[1]
        for sources, log_ratio in self.pulls(atoms, a) if pulls is None else pulls:
            pull, along = self._pulled(where, sources, log_ratio, with_slopes)
            value, slope = value + pull, slope + along
        if with_slopes:
            slope -= where * np.sum(where * slope, axis=1, keepdims=True)
        return value, slope

    def pulls(self, atoms: Atoms, a: int) -> list[tuple[Array, Array]]:
        """Shells, and the logarithms of the masses there, that K makes sum_b M_ba K(rho_b/K rho_a) of."""
        return [
            (sources, np.log(self.mixing[b, a]) + np.log(masses) - self.log_smoothed(atoms, a, sources))
            for b in range(atoms.modalities)
            if self.mixing[b, a]
            for sources, masses in self._sources(atoms, b)
        ]

    def _sources(self, atoms: Atoms, b: int) -> list[tuple[Array, Array]]:
        """What rho_b consists of: shells and masses."""
        own = [(atoms.positions[b], (1 - self.floor) * atoms.masses[b])]
        if self.floor > 0 and self.shares is not None:
            counted = self.floor * self.shares > 0
            own.append((self.nodes[counted], self.floor * self.shares[counted]))
        return own

    def _pulled(self, where: Array, sources: Array, log_weights: Array, with_slopes: bool = True) -> tuple[Array, Array]:
        """sum_j exp(log_weights_j or _ij) K(x_i, y_j), and its slopes in x_i."""
        weighted = np.exp(np.minimum(self.shells.log_kernel(self.kernel, where, sources) + log_weights, 700.0))
        if not with_slopes:
            return weighted.sum(axis=1), np.zeros_like(where)
        slopes = self.shells.log_kernel_slopes(self.kernel, where, sources)
        return weighted.sum(axis=1), np.einsum("ij,ijc->ic", weighted, slopes)

    def _potential_slope(self, a: int, where: Array) -> Array:
        """By central differences along the sphere."""
        slope = np.empty_like(where)
        for c in range(where.shape[1]):
            ends = []
            for sign in (1, -1):
                moved = where.copy()
                moved[:, c] += sign * _STEP
                ends.append(self.costs[a](moved / np.linalg.norm(moved, axis=1, keepdims=True)))
            slope[:, c] = (ends[0] - ends[1]) / (2 * _STEP)
        return slope

    def stationarity(self, atoms: Atoms) -> tuple[float, list[Array]]:
        """sum_a (1 - floor) [int g_a d(atoms) - min g_a]/A with the least value anywhere, and where it is lower than on atoms."""
        total, lower = 0.0, []
        for a, (where, masses) in enumerate(_each(atoms)):
            own = self.variation(atoms, a, where)[0]
            least, at = self._least(atoms, a)
            mean = float(masses @ own)
            total += (1 - self.floor) * max(mean - min(least, float(own.min())), 0.0) / atoms.modalities
            lower.append(at[None] if least < float(own.min()) else at[None][:0])
        return total, lower

    def _least(self, atoms: Atoms, a: int) -> tuple[float, Array]:
        """The least value of a variation, looked for from the grid's lowest points and the atoms, and where it is."""
        from scipy.optimize import minimize  # slow to import: 0.4 s

        pulls = self.pulls(atoms, a)
        values = self.variation(atoms, a, self.nodes, pulls=pulls)[0]
        starts = [*self.nodes[np.argsort(values, kind="stable")[:_CANDIDATES]], *atoms.positions[a]]
        best, at = float(values.min()), starts[0]
        for start in starts:
            found = minimize(self._at_free_vector, start, args=(atoms, a, pulls), jac=True, method="L-BFGS-B")
            if found.fun < best:
                best, at = float(found.fun), found.x / np.linalg.norm(found.x)
        return best, at

    def _at_free_vector(self, vector: Array, atoms: Atoms, a: int, pulls: Sequence[tuple[Array, Array]]) -> tuple[float, Array]:
        length = float(np.linalg.norm(vector))
        value, slope = self.variation(atoms, a, (vector / length)[None], with_slopes=True, pulls=pulls)
        return float(value[0]), slope[0] / length

    def descend(self, atoms: Atoms) -> Atoms:
        """Lower the energy over positions and masses together, by L-BFGS."""
        from scipy.optimize import minimize

        counts = [len(masses) for masses in atoms.masses]
        size = self.shells.components

        def unpacked(x: Array) -> Atoms:
            vectors = np.split(x[: sum(counts) * size].reshape(-1, size), np.cumsum(counts)[:-1])
            logits = np.split(x[sum(counts) * size :], np.cumsum(counts)[:-1])
            positions = tuple(one / np.linalg.norm(one, axis=1, keepdims=True) for one in vectors)
            return Atoms(self.shells, positions, tuple(np.exp(one - _log_sum(one[None])[0]) for one in logits))

        def objective(x: Array) -> tuple[float, Array]:
            here = unpacked(x)
            moved, weighed = [], []
            for a, (where, masses) in enumerate(_each(here)):
                value, slope = self.variation(here, a, where, with_slopes=True)
                moved.append(masses[:, None] * slope)
                weighed.append(masses * (value - masses @ value))
            lengths = np.linalg.norm(x[: sum(counts) * size].reshape(-1, size), axis=1, keepdims=True)
            gradient = np.concatenate([(np.concatenate(moved) / lengths).ravel(), np.concatenate(weighed)])
            return self.value(here), gradient * ((1 - self.floor) / atoms.modalities)

        logits = np.log(np.concatenate(atoms.masses))
        start = np.concatenate([np.concatenate(atoms.positions).ravel(), logits])
        bounds = [(None, None)] * (len(start) - len(logits)) + [(one - _LOG_ROOM, one + _LOG_ROOM) for one in logits]
        options = {"maxiter": _MOST_STEPS, "maxfun": 2 * _MOST_STEPS, "ftol": 0.0, "gtol": 1e-11, "maxcor": 30}
        found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        after = unpacked(found.x)
        return after if self.value(after) <= self.value(atoms) else atoms

    def polish(self, atoms: Atoms, tolerance: float) -> Polished:
        """Descend, look whether the variation is lower off the atoms, add one there if it is; to a tolerance in nats."""
        import scipy.optimize  # noqa: F401  # so that its matrix library is among those that are limited

        with threads.one_blas_thread():  # whose sums the number of threads would order
            best, stationarity = self._settled(atoms, tolerance)
        return Polished(best, self.value(best), stationarity, self.binding(best), self.cross_entropy(best))

    def _settled(self, atoms: Atoms, tolerance: float) -> tuple[Atoms, float]:
        best, stationarity = self.descend(merged(atoms)), np.inf
        for _ in range(_ROUNDS):
            best = merged(best)
            stationarity, lower = self.stationarity(best)
            if stationarity <= tolerance or not any(len(one) for one in lower):
                break
            share, gained = self._gain(best, lower)
            if gained <= tolerance:
                stationarity = min(stationarity, gained)
                break
            tried = self.descend(_with_more(best, lower, share))
            if not self.value(tried) < self.value(best):
                break
            best = tried
        if max(len(one) for one in best.masses) > 1:
            fewer = self.descend(merged(best, _MERGED * self.kernel.width))
            if self.value(fewer) <= self.value(best) + _ROUNDING * (1 + abs(self.value(best))):
                found, lower = self.stationarity(fewer)
                return fewer, min(found, self._gain(fewer, lower)[1]) if any(len(one) for one in lower) else found
        return best, stationarity

    def _gain(self, atoms: Atoms, lower: Sequence[Array]) -> tuple[float, float]:
        """The share of mass whose move to lower places gains most, and what it gains, in nats."""
        values = [self.value(_with_more(atoms, lower, share)) for share in _SHARES]
        best = int(np.argmin(values))
        return _SHARES[best], max(self.value(atoms) - values[best], 0.0)


def merged(atoms: Atoms, distance: float = _CLOSE) -> Atoms:
    """The atoms with those within a distance of a heavier one added to it, and those of next to no mass left out."""
    positions, masses = [], []
    for where, mass in _each(atoms):
        order, kept, weights = np.argsort(-mass, kind="stable"), list[Array](), list[float]()
        for i in order.tolist():
            near = [k for k, one in enumerate(kept) if np.linalg.norm(one / np.linalg.norm(one) - where[i]) <= distance]
            if near:
                kept[near[0]] = kept[near[0]] + mass[i] * where[i]
                weights[near[0]] += float(mass[i])
            elif mass[i] > _SMALLEST:
                kept.append(mass[i] * where[i])
                weights.append(float(mass[i]))
        positions.append(np.stack([one / np.linalg.norm(one) for one in kept]))
        masses.append(np.array(weights) / np.sum(weights))
    return replace(atoms, positions=tuple(positions), masses=tuple(masses))


def _with_more(atoms: Atoms, extra: Sequence[Array], share: float) -> Atoms:
    positions, masses = [], []
    for (where, mass), more in zip(_each(atoms), extra, strict=True):
        positions.append(np.concatenate([where, more]))
        masses.append(np.concatenate([mass * (1 - share * len(more)), np.full(len(more), share)]))
    return replace(atoms, positions=tuple(positions), masses=tuple(masses))


def _each(atoms: Atoms) -> "zip[tuple[Array, Array]]":
    return zip(atoms.positions, atoms.masses, strict=True)


def _log_sum(rows: Array) -> Array:
    """log sum exp over the last axis."""
    top = rows.max(axis=-1)
    return np.asarray(top + np.log(np.sum(np.exp(rows - top[..., None]), axis=-1)))
