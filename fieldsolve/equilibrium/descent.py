"""Entropic mirror descent on floored densities: the one loop that every energy goes through."""

from dataclasses import dataclass, replace
from enum import Enum
from math import inf, isfinite
from typing import NamedTuple, Protocol

import numpy as np

from fieldsolve.equilibrium.densities import LogDensity
from fieldsolve.equilibrium.energy import Evaluation
from fieldsolve.grids import Grid
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Progress, Watch

_LONGEST = 2.0**60
_SHORTEST = 1e-12  # step where no safe length is proved
_MOST_TRIALS = 64  # of lengths in one step, before the safe one: from the longest down to 1 there are 30
_STIFF_RISE = 1.5  # of the stationarity in one step, while a saddle is left and rounding hides by how much the energy falls
_WORTHWHILE = 10  # steps towards a stationary state where the bound says that the energy has no more than the tolerance to fall
_PATIENCE = 100  # steps in which neither the energy nor the stationarity gets better; a saddle is left slowly


class Lowered(Protocol):
    """What a descent lowers: an energy, or one of densities that keep a restriction; see `Energy`."""

    @property
    def grid(self) -> Grid: ...

    @property
    def potentials(self) -> Array: ...

    @property
    def safe_length(self) -> float | None: ...

    @property
    def first_length(self) -> float: ...

    def step(
        self, state: LogDensity, length: float, out: Array, centre: Array | None = None
    ) -> tuple[Evaluation, LogDensity]: ...


class Status(Enum):
    """Why a descent stopped; the value is the sentence that the user reads."""

    CONVERGED = "converged: the stationarity is at most the tolerance"
    CERTIFIED = "converged: the gap to the bound is at most the tolerance"
    STALLED = "not converged: no step lowers the energy any more in double precision"
    STEPS = "not converged: the largest number of steps was reached"
    PINNED = "not converged: the densities are spikes, which the grid holds where its points are"
    NOT_FINITE = "failed: the energy or its variation is not finite"


@dataclass(frozen=True, eq=False)
class Trace:
    """The accepted states of a descent, each array (steps + 1,).

    energy and stationarity in nats; length: of the step that led there, 0 for the start, inf for a best response,
    NaN for a perturbation that leaves a saddle.
    """

    energy: Array
    stationarity: Array
    length: Array

    def __len__(self) -> int:
        return len(self.energy) - 1

    def then(self, later: "Trace", length: float) -> "Trace":
        """This trace, one step of the given length to the start of a later one, and that."""
        lengths = np.concatenate([self.length, [length], later.length[1:]])
        return Trace(np.append(self.energy, later.energy), np.append(self.stationarity, later.stationarity), lengths)


@dataclass(frozen=True, eq=False)
class Descent:
    """Where a descent ended, why, and how it went."""

    evaluation: Evaluation
    status: Status
    trace: Trace

    @property
    def state(self) -> LogDensity:
        return self.evaluation.state

    @property
    def is_converged(self) -> bool:
        return self.status in (Status.CONVERGED, Status.CERTIFIED)


def descend(
    energy: Lowered,
    start: LogDensity,
    tolerance: float,
    max_steps: int,
    watch: Watch | None = None,
    bound: float = -inf,
) -> Descent:
    """Lower an energy from a start until its stationarity is at most the tolerance (in nats).

    rho <- argmin over rho >= floor of mean 1 of length A int g rho + KL(rho || current), g the first variation at
    the current state. A step that would raise the energy is not taken but shortened, down to the energy's safe length, which
    only rounding can defeat (as far as it takes where none is proved); after a step that was taken the next one is longer.

    start: (A, N); tolerance >= 0; max_steps >= 0; watch: told the number of steps at every state that is reached; bound: of
    the energy, if one is known. The status says why the loop ended; it is decided here and nowhere else.
    Raises InputError for a tolerance or number of steps out of range, or a start of the wrong shape.
    """
    if not tolerance >= 0:
        raise InputError(f"the tolerance must be a number of nats, at least 0, not {tolerance}")
    if max_steps < 0:
        raise InputError(f"the largest number of steps must be at least 0, not {max_steps}")
    if start.field.shape != energy.potentials.shape:
        raise InputError(f"the start must have shape {energy.potentials.shape}, not {start.field.shape}")
    walk = _Walk(energy, start)
    history = [(walk.here.value, walk.here.stationarity, 0.0)]
    patience = _Patience(walk.here)
    while True:
        here, steps = walk.here, len(history) - 1
        if watch is not None:
            watch(
                Progress(steps, None, f"steps on {energy.grid}, stationarity {here.stationarity:.1e} (tolerance {tolerance:.0e})")
            )
        if not (isfinite(here.value) and isfinite(here.stationarity)):
            status = Status.NOT_FINITE
            break
        if here.stationarity <= tolerance:
            status = Status.CONVERGED
            break
        if steps >= max_steps:
            status = Status.STEPS
            break
        if steps >= _WORTHWHILE and here.value - bound <= tolerance:
            status = Status.CERTIFIED
            break
        there = walk.tried()
        if not there.value <= walk.here.value + walk.here.rounding:
            status = _stalled(walk.here, bound, tolerance) if isfinite(there.value) else Status.NOT_FINITE
            break
        if patience.is_over(there, walk.here.rounding):
            status = _stalled(walk.here, bound, tolerance)
            break
        history.append((there.value, there.stationarity, walk.length))
        walk.take()
    return Descent(walk.here, status, Trace(*(np.array(column) for column in zip(*history, strict=True))))


class _Pace(NamedTuple):
    """By how much a step is longer than the last one that was taken, and shorter than one that was not."""

    growth: float
    shrink: float


_PLAIN = _Pace(1.2, 0.25)  # doubling would be faster, but runs past good minima of nonconvex energies
_STIFF = _Pace(1.01, 0.5)  # a step that is too long costs the momentum


class _Walk:
    """The current state of a descent, the one under trial, and the length of the step between them.

    Buffers take turns: the current state, the one under trial, and where the trial's own step is written. Where the energy's
    safe length is below 1, as with stiff penalties, steps are short and carry momentum: a growing share of the last step is
    added to the next, and dropped where that would not lower the energy.
    """

    def __init__(self, energy: Lowered, start: LogDensity) -> None:
        self._energy, self.length = energy, energy.first_length
        self._safe = _SHORTEST if energy.safe_length is None else energy.safe_length
        current = replace(start, field=start.field.copy())
        self._spare = np.empty_like(current.field)
        self.here, self._proposal = energy.step(current, self.length, np.empty_like(current.field))
        self._momentum = _Momentum(current) if energy.safe_length is not None and energy.safe_length < 1 else None
        self._pace = _PLAIN if self._momentum is None else _STIFF
        self._carried = 0

    def tried(self) -> Evaluation:
        """Evaluate the state under trial; while it is not lower, drop momentum, then shorten the step, to the safe length."""
        safe = self._safe
        for trial in range(_MOST_TRIALS):
            self._longer = min(self.length * self._pace.growth, _LONGEST)
            self._there, self._onward = self._energy.step(self._proposal, self._longer, self._spare, self.here.multiplier)
            if self._is_lower() or (self.length <= safe and not self._carried):
                break
            if not self._carried:
                self.length = max(safe, self.length * self._pace.shrink) if trial < _MOST_TRIALS - 2 else safe
            self._carried = 0
            self.here, self._proposal = self._energy.step(
                self.here.state, self.length, self._proposal.field, self.here.multiplier
            )
        return self._there

    def _is_lower(self) -> bool:
        """Whether the energy is lower, or, where rounding hides that, at least not higher and closer to stationary.

        A stiff descent leaves saddles in steps so short that the energy's last digit does not show them: there the stationarity
        may rise.
        """
        there, here = self._there, self.here
        if there.value < here.value - here.rounding:
            return True
        if there.value <= here.value + here.rounding and there.stationarity < here.stationarity:
            return True
        is_stiff = self._momentum is not None
        return is_stiff and there.value <= here.value and there.stationarity < _STIFF_RISE * here.stationarity

    def take(self) -> None:
        """Make the state under trial the current one."""
        self._spare = self.here.state.field
        self.here, self._proposal, self.length = self._there, self._onward, self._longer
        if self._momentum is not None:
            self._carried += 1
            self._momentum.add(self._carried, self.here.state, self._proposal.field)


class _Momentum:
    """The last step of the logarithms, of which a share is added to the next [Nesterov 1983]."""

    def __init__(self, start: LogDensity) -> None:
        self._last = start.log_density()

    def add(self, steps: int, here: LogDensity, proposal: Array) -> None:
        """Add steps/(steps + 3) of the step that led here, the so-manieth since a fresh start, to a proposal."""
        log_density = here.log_density()
        proposal += steps / (steps + 3) * (log_density - self._last)
        self._last = log_density


class _Patience:
    """How long neither the energy nor the stationarity has got better than ever before."""

    def __init__(self, first: Evaluation) -> None:
        self._lowest, self._least, self._idle = first.value, first.stationarity, 0

    def is_over(self, there: Evaluation, rounding: float) -> bool:
        """Whether a further state makes it too long."""
        if there.value < self._lowest - rounding or there.stationarity < self._least:
            self._idle = 0
            self._lowest, self._least = min(self._lowest, there.value), min(self._least, there.stationarity)
        else:
            self._idle += 1
        return self._idle > _PATIENCE


def _stalled(here: Evaluation, bound: float, tolerance: float) -> Status:
    return Status.CERTIFIED if here.value - bound <= tolerance else Status.STALLED
