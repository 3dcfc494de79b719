"""Energies of two densities whose centroids are a given length apart along an axis: what a barrier is climbed on."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fieldsolve.equilibrium.densities import LogDensity, normalise
from fieldsolve.equilibrium.energy import Energy, Evaluation
from fieldsolve.grids import Grid
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

_MOST_TRIALS = 200
_SETTLED, _OFF = 1e-13, 1e-10  # of the gap: where the projection ends, and from where it is needed
_STEEPEST = 1e6  # of a tilt, in nats
_MULTIPLIER = 1e-12  # of the multiplier, that it is known to
_HALVINGS = 60  # of the interval that the multiplier is in


@dataclass(frozen=True, eq=False)
class Section:
    """An energy restricted to two densities with int z.e (rho_1 - rho_2) dmu = gap (beyond the paper).

    The restriction is linear, so that an entropic mirror step followed by the tilt exp(+-h z.e) that meets it is the mirror step
    of the section, as safe as the energy's own. axis: e, a unit vector (components,). Raises InputError unless there are two
    densities, and for a gap that none have.
    """

    energy: Energy
    axis: Array
    gap: float

    def __post_init__(self) -> None:
        if self.energy.modalities != 2:
            raise InputError(f"sections of a centroid gap are of two modalities, not of {self.energy.modalities}")

    @property
    def grid(self) -> Grid:
        return self.energy.grid

    @property
    def potentials(self) -> Array:
        return self.energy.potentials

    @property
    def safe_length(self) -> float | None:
        return self.energy.safe_length

    @property
    def first_length(self) -> float:
        return self.energy.first_length

    @cached_property
    def tilt(self) -> Array:
        """+-z.e, (2, N): the gap's variation."""
        return tilt_along(self.grid, self.axis)

    def nearest(self, field: Array, floor: float, guess: float = 0.0) -> tuple[LogDensity, float]:
        """The entropic projection of exp(field), (2, N), on the floored densities with this gap, and its tilt h.

        The gap rises with h: Newton's method within an interval. Raises InputError for a gap that no densities have.
        """
        low, high, h = -_STEEPEST, _STEEPEST, guess
        for _ in range(_MOST_TRIALS):
            state = normalise(field + h * self.tilt, floor, self.grid.log_weights)
            missing, rate = self._missing(state)
            if abs(missing) <= _SETTLED or high - low <= _SETTLED * (1 + abs(h)):
                break
            low, high = (h, high) if missing > 0 else (low, h)
            tried = h + missing / rate if rate > 0 else np.inf
            h = tried if low < tried < high else (low + high) / 2
        if abs(h) >= _STEEPEST * (1 - 1e-6):
            raise InputError(f"no densities with a floor of {floor:g} on {self.grid} have a gap of {self.gap:g} along the axis")
        return state, h

    def _missing(self, state: LogDensity) -> tuple[float, float]:
        """How much of the gap a state lacks, and at which rate a tilt adds to it."""
        density = state.density()
        found = float(np.mean(density * self.tilt, axis=1).sum())
        free = np.where(state.log_density() > state.log_floor, density, 0.0)
        held = free.mean(axis=1)
        centre = np.mean(free * self.tilt, axis=1) / np.where(held > 0, held, 1.0)
        return self.gap - found, float(np.mean(free * (self.tilt - centre[:, None]) ** 2, axis=1).sum())

    def step(self, state: LogDensity, length: float, out: Array, centre: Array | None = None) -> tuple[Evaluation, LogDensity]:
        """As `Energy.step`, within the section; the stationarity is that of the section."""
        if abs(self._missing(state)[0]) > _OFF:  # as after a step with momentum
            state = self.nearest(state.log_density(), state.floor)[0]
        evaluation, there = self.energy.step(state, length, out, centre)
        here, scaled = evaluation.state, length * evaluation.state.field.shape[0]
        variation = (here.log_density() - there.field) / scaled
        slope, stationarity = self._multiplier(here, variation)
        projected, _ = self.nearest(there.field, here.floor, scaled * slope)
        out[:] = projected.field
        return replace(evaluation, stationarity=stationarity), replace(projected, field=out)

    def _multiplier(self, state: LogDensity, variation: Array) -> tuple[float, float]:
        """The gap's multiplier eta, and the Frank-Wolfe gap over the section's densities.

        sum_a int g_a rho_a - max over eta of [sum_a int floor (g_a - eta t_a) + (1 - floor) min(g_a - eta t_a) + eta gap]:
        the least value of a linear functional, by duality; the maximum of a concave function is halved down to.
        """
        floor, weights = state.floor, self.grid.weights
        even = floor * float(np.mean((variation * weights), axis=1).sum())
        reach = self.gap - floor * float(np.mean(self.tilt * weights, axis=1).sum())
        spread = float(np.ptp(variation, axis=1).max()) / max(float(np.ptp(self.tilt)), 1e-300) + 1e-300
        rows = np.arange(2)
        best, at = -np.inf, 0.0
        low, high, step = -np.inf, np.inf, spread
        for _ in range(_HALVINGS):
            bracketed = high - low < np.inf
            eta = (low + high) / 2 if bracketed else (low + step if low > -np.inf else high - step if high < np.inf else 0.0)
            step *= 1 if bracketed else 2
            bent = variation - eta * self.tilt
            lowest = bent.argmin(axis=1)
            value = even + (1 - floor) * float(bent[rows, lowest].sum()) + eta * reach
            best, at = (value, eta) if value > best else (best, at)
            rising = reach - (1 - floor) * float(self.tilt[rows, lowest].sum())
            low, high = (eta, high) if rising > 0 else (low, eta)
            if high - low <= _MULTIPLIER * (1 + abs(eta)):
                break
        own = float(np.mean(variation * state.density(), axis=1).sum())
        return at, max(own - best, 0.0)


def gap_along(grid: Grid, axis: Array, density: Array) -> float:
    """int z.e (rho_1 - rho_2) dmu of densities as they are stored, (2, N)."""
    return float(np.mean(density * tilt_along(grid, axis), axis=1).sum())


def tilt_along(grid: Grid, axis: Array) -> Array:
    """+-z.e at a grid's points for the first and the second modality, (2, N)."""
    heights = grid.evaluate(lambda points: points @ axis)
    return np.stack([heights, -heights])
