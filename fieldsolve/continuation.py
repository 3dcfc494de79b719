"""Following a state as a parameter moves: warm starts, branches, hysteresis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fieldsolve.arrays import Array
from fieldsolve.errors import InputError
from fieldsolve.problems import Problem
from fieldsolve.solution import Solution
from fieldsolve.starts import tilts

#: Parameters that a state can be followed along.
CONTINUOUS = ("coupling", "floor", "tau", "misalign")

#: The tilt of the logarithms that every warm start begins with, so that a state which has become unstable is left.
NUDGE = 1e-3


@dataclass(frozen=True, eq=False)
class Hysteresis:
    """One parameter moved up and down again. parameter: its name; up: solutions by rising, down: by falling values."""

    parameter: str
    up: tuple[Solution, ...]
    down: tuple[Solution, ...]


def follow(problem: Problem, parameter: str, values: Sequence[float], start: str | Array | None = None) -> tuple[Solution, ...]:
    """Solve a problem for a sequence of values of one parameter, each from the state before, slightly tilted.

    A state is kept as long as it is a local minimum, whether or not it is the lowest; the first one begins as `start` says
    (by default from the global minimum). parameter: coupling, floor, tau or misalign. Raises InputError for another.
    """
    if parameter not in CONTINUOUS:
        raise InputError(f"a state is followed along {', '.join(CONTINUOUS)}, not along {parameter!r}")
    solutions: list[Solution] = []
    for value in values:
        here = problem.at(parameter, value)
        solution = here.solve(start)
        solutions.append(solution)
        start = solution.density * np.exp(tilts(here.grid, solution.modalities, NUDGE))
    return tuple(solutions)


def hysteresis(problem: Problem, parameter: str, values: Sequence[float]) -> Hysteresis:
    """Follow the lowest state at the smallest value up, and the lowest state at the largest value down.

    values: at least two, in any order. Raises InputError as `follow`.
    """
    rising: list[Any] = sorted(values)
    if len(rising) < 2:
        raise InputError("a parameter moves between at least two values")
    return Hysteresis(parameter, follow(problem, parameter, rising), follow(problem, parameter, rising[::-1]))
