"""Entropic mirror descent on floored densities: the one loop that every energy goes through."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from fieldsolve.densities import LogDensity
from fieldsolve.energies import Energy, Evaluation
from fieldsolve.errors import InputError
from fieldsolve.solution import Status, Trace

#: A step of this length never raises the energy (see `Energy`); longer ones are tried, and taken while they lower it.
SAFE_LENGTH = 1.0

_GROWTH = 1.2  # doubling would be faster, but runs past good minima of nonconvex energies
_SHRINK = 0.25
_LONGEST = 2.0**60
_PATIENCE = 100  # steps in which neither the energy nor the stationarity gets better; a saddle is left slowly


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
    energy: Energy,
    start: LogDensity,
    tolerance: float,
    max_steps: int,
    watch: Callable[[int, Evaluation], None] | None = None,
    bound: float = -inf,
) -> Descent:
    """Lower an energy from a start until its stationarity is at most the tolerance (in nats).

    rho <- argmin over rho >= floor of mean 1 of length A int g rho + KL(rho || current), g the first variation at
    the current state. A step that would raise the energy is not taken but shortened, down to SAFE_LENGTH, which
    only rounding can defeat; after a step that was taken the next one is longer.

    start: (A, N); tolerance >= 0; max_steps >= 0; watch: called with the number of steps and the evaluation of
    every state that is reached, whose arrays are used again for later states; bound: of the energy, if one is known. The
    status says why the loop ended; it is decided here and nowhere else.
    Raises InputError for a tolerance or number of steps out of range, or a start of the wrong shape.
    """
    if not tolerance >= 0:
        raise InputError(f"the tolerance must be a number of nats, at least 0, not {tolerance}")
    if max_steps < 0:
        raise InputError(f"the largest number of steps must be at least 0, not {max_steps}")
    if start.field.shape != energy.potentials.shape:
        raise InputError(f"the start must have shape {energy.potentials.shape}, not {start.field.shape}")

    # Three buffers take turns: the current state, the one under trial, and where the trial's own step is written.
    current = LogDensity(start.field.copy(), start.shift, start.floor)
    spare = np.empty_like(current.field)
    length = SAFE_LENGTH
    here, proposal = energy.step(current, length, np.empty_like(current.field))
    history = [(here.value, here.stationarity, 0.0)]
    steps, idle, lowest, least = 0, 0, here.value, here.stationarity
    while True:
        if watch is not None:
            watch(steps, here)
        if not (isfinite(here.value) and isfinite(here.stationarity)):
            status = Status.NOT_FINITE
            break
        if here.stationarity <= tolerance:
            status = Status.CONVERGED
            break
        if steps >= max_steps:
            status = Status.STEPS
            break
        while True:
            longer = min(length * _GROWTH, _LONGEST)
            there, onward = energy.step(proposal, longer, spare, here.multiplier)
            if length == SAFE_LENGTH or _is_lower(there, here):
                break
            length = max(SAFE_LENGTH, length * _SHRINK)
            here, proposal = energy.step(here.state, length, proposal.field, here.multiplier)
        if not there.value <= here.value + here.rounding:
            status = _stalled(here, bound, tolerance) if isfinite(there.value) else Status.NOT_FINITE
            break
        if there.value < lowest - here.rounding or there.stationarity < least:
            idle, lowest, least = 0, min(lowest, there.value), min(least, there.stationarity)
        else:
            idle += 1
        if idle > _PATIENCE:
            status = _stalled(here, bound, tolerance)
            break
        spare = here.state.field
        history.append((there.value, there.stationarity, length))
        here, proposal, length = there, onward, longer
        steps += 1
    return Descent(here, status, Trace(*(np.array(column) for column in zip(*history, strict=True))))


def _stalled(here: Evaluation, bound: float, tolerance: float) -> Status:
    return Status.CERTIFIED if here.value - bound <= tolerance else Status.STALLED


def _is_lower(there: Evaluation, here: Evaluation) -> bool:
    """Whether the energy is lower, or, where rounding hides that, at least not higher and closer to stationary."""
    if there.value < here.value - here.rounding:
        return True
    return there.value <= here.value + here.rounding and there.stationarity < here.stationarity
