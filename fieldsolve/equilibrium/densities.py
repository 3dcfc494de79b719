"""Floored densities in the log variable: the state that every solver moves."""

from dataclasses import dataclass, replace
from dataclasses import field as made
from math import exp, inf, isfinite, log, nan
from sys import float_info

import numpy as np

from fieldsolve.equilibrium import energy_pass
from fieldsolve.grids.grid import EQUAL
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

#: The smallest floor above 0: below it, exponentials in double precision lose digits.
LEAST_FLOOR = 1e-290

_MOST_CORRECTIONS = 100  # some five are usual; the climb is finite, this is for a cycle of roundings

_LEAST_ACTIVE = 1e-12  # mass above the floor, relative, of points with weights
_SETTLED = 1e-9  # corrections below it that do not fall any more are rounding, of logarithms far from 0

_LEAST_LOG = -600.0  # of weights that say something of the density where there is mass

_MASSES = 1e-250, 1e300  # beyond them the compiled exponential has clamped
_ROUNDING = 8 * float_info.epsilon


@dataclass(frozen=True, eq=False)
class LogDensity:
    """Densities rho_a = max(floor, exp(field_a - shift_a)) of mean 1, one a modality.

    The logarithm is what is stored, so that a density may fall to exp(-700) and beyond and come back.

    field: (A, N); shift: (A,), the log-normalisers; floor: least density, 0 <= floor < 1; log_weights: of the grid's points in
    means (`Grid.log_weights`), (N,), or (1,) where all are 1.
    """

    field: Array
    shift: Array
    floor: float = 0.0
    log_weights: Array = made(default_factory=lambda: EQUAL)

    @property
    def log_floor(self) -> float:
        return log(self.floor) if self.floor > 0 else -inf

    def log_density(self) -> Array:
        """log rho, shape (A, N)."""
        result = np.empty_like(self.field)

        def fill(at: slice) -> None:
            result[:, at] = self.log_density_at(at)

        threads.over_chunks(fill, self.field.shape[1])
        return result

    def log_density_at(self, at: slice) -> Array:
        """log rho at some of the points, (A, n)."""
        logarithms = self.field[:, at] - self.shift[:, None]
        return np.maximum(logarithms, self.log_floor, out=logarithms)

    def density(self) -> Array:
        """rho times the points' weights, shape (A, N), mean 1; exactly the floor where the floor is active."""
        result = np.empty_like(self.field)
        if self.log_weights.size > 1:
            return np.asarray(np.exp(self.log_density() + self.log_weights))

        def fill(at: slice) -> None:
            np.subtract(self.field[:, at], self.shift[:, None], out=result[:, at])
            np.exp(result[:, at], out=result[:, at])
            np.maximum(result[:, at], self.floor, out=result[:, at])

        threads.over_chunks(fill, self.field.shape[1])
        return result

    def with_shift(self, shift: Array) -> "LogDensity":
        return replace(self, shift=shift)


def check_floor(floor: float) -> None:
    """Raise InputError unless the floor is 0, or at least LEAST_FLOOR and below 1."""
    if not 0 <= floor < 1:
        raise InputError(f"the floor must be at least 0 and below 1 (a fraction of the uniform density), not {floor}")
    if 0 < floor < LEAST_FLOOR:
        raise InputError(f"a floor above 0 must be at least {LEAST_FLOOR}, for its logarithm's sake, not {floor}")


def require_floor(floor: float) -> None:
    """Raise InputError unless the floor is above 0, as coupled intrinsic energies need it, and below 1."""
    check_floor(floor)
    if floor == 0:
        raise InputError("without a floor the coupled intrinsic energy is unbounded below; give a floor above 0")


def corrected_shift(shift: float, mass: float, floored: float, floor: float, size: int) -> float:
    """The log-normaliser that would make the mass 1 if the floor stayed active where it is now, or NaN without a mass.

    It never exceeds the true one, so that repeating it climbs to the true one and ends: each active set it meets
    is smaller than the last. mass: sum of the density over the points; floored: number, or weight, of points at the floor.
    """
    active, room = mass - floor * floored, size - floor * floored
    return shift + log(active / room) if 0 < active < inf else nan


def is_normalised(shift: float, corrected: float, floor: float) -> bool:
    """Whether a correction is below what rounding lets a log-normaliser be known to."""
    return abs(corrected - shift) <= _ROUNDING * max(1 / (1 - floor), abs(corrected))


def all_finite(field: Array) -> bool:
    """Whether all values are finite, of which most sums tell at once."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.sum(field)) or np.isfinite(field).all())


def normalise(field: Array, floor: float, log_weights: Array = EQUAL) -> LogDensity:
    """The density max(floor, exp(field - shift)) with the shift that makes its mean 1.

    This is the entropic projection on the floored simplex: argmin KL(rho || exp(field)) over rho >= floor of mean 1.

    field: (A, N), finite; log_weights: the grid's. Raises InputError for a field that is not finite, or a floor outside [0, 1).
    """
    check_floor(floor)
    if not all_finite(field):
        raise InputError("a log-density is not finite")
    return renormalise(LogDensity(field, _tops(field, log_weights), floor, log_weights))


def renormalise(state: LogDensity) -> LogDensity:
    """The state with its true log-normalisers, looked for where its shift says; its field must be finite."""
    shifts = [
        _shift(field, state.floor, state.log_weights, float(guess)) for field, guess in zip(state.field, state.shift, strict=True)
    ]
    return state.with_shift(np.array(shifts))


def _shift(field: Array, floor: float, log_weights: Array, shift: float) -> float:
    sums = energy_pass.partial_sums(1, field.size)[0]
    log_floor = log(floor) if floor > 0 else -inf
    corrected, last = shift, inf
    for _ in range(_MOST_CORRECTIONS):
        threads.over_blocks(energy_pass.mass_pass, len(sums), field.size, field, shift, log_floor, log_weights, sums)
        totals = sums.sum(axis=0)
        mass, floored = float(totals[energy_pass.MASS]), float(totals[energy_pass.FLOORED])
        corrected = corrected_shift(shift, mass, floored, floor, field.size)
        is_active = floored < field.size if log_weights.size == 1 else mass > floor * floored * (1 + _LEAST_ACTIVE)
        if not (is_active and _MASSES[0] < mass < _MASSES[1] and isfinite(corrected)):
            # The guess is so far off that exponentials overflow or vanish; at the largest value they do neither.
            corrected = float(_tops(field, log_weights))
        elif is_normalised(shift, corrected, floor) or last <= abs(corrected - shift) < _SETTLED:
            break
        shift, last = corrected, abs(corrected - shift)
    return corrected


def _tops(field: Array, log_weights: Array) -> Array:
    """Shifts at which the heaviest point holds at least 1, of a density of at least 1, above any floor; no mass overflows."""
    if log_weights.size == 1:
        return np.asarray(field.max(axis=-1))
    heavy = field + log_weights
    at = np.expand_dims(heavy.argmax(axis=-1), -1)
    return np.asarray(np.minimum(heavy.max(axis=-1), np.take_along_axis(field, at, axis=-1)[..., 0]))


def from_density(density: Array, floor: float, log_weights: Array = EQUAL) -> LogDensity:
    """The state of a given density: the closest one (in relative entropy) that is at least the floor and has mean 1.

    density: (A, N) or (N,), non-negative, any scale, as a grid stores it; zeros become exp(-1e6), and where weights are below all
    numbers what is nearest. log_weights: the grid's.
    Raises InputError for NaN, infinite or negative values, or for no mass.
    """
    density = np.atleast_2d(np.asarray(density, dtype=np.float64))
    if not np.all(np.isfinite(density)) or np.any(density < 0) or not np.all(density.max(axis=1) > 0):
        raise InputError("a density must be finite, non-negative and not zero everywhere")
    with np.errstate(divide="ignore"):
        logs = np.log(density) - log_weights
    logs = np.maximum(logs, -1e6)
    if log_weights.size > 1:
        places = np.arange(density.shape[1])
        is_known = (log_weights > _LEAST_LOG) | (density > exp(_LEAST_LOG))
        logs = np.stack([np.interp(places, places[own], one[own]) for own, one in zip(is_known, logs, strict=True)])
    return normalise(logs, floor, log_weights)


def symmetric_kl(cross_entropy: Array) -> float:
    """sum over pairs of H(a, b) + H(b, a) - H(a) - H(b), from the cross-entropies (A, A)."""
    own = np.diag(cross_entropy)
    return float(np.sum(cross_entropy - own[:, None]))


def spike_mass(density: Array, floor: float, weights: Array) -> Array:
    """The share of the excess mass that is on the heaviest point. density: (A, N); weights: the grid's; returns (A,)."""
    return np.asarray((density - floor * weights).max(axis=1) / ((1 - floor) * density.shape[1]))
