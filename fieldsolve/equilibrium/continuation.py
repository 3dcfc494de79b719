"""Following a state as a parameter moves: warm starts, branches, hysteresis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fieldsolve.equilibrium.parameters import PARAMETERS
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.equilibrium.solution import Solution
from fieldsolve.equilibrium.starts import tilts
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError

#: Parameters that a state can be followed along.
CONTINUOUS = tuple(name for name, one in PARAMETERS.items() if one.is_followed)


def is_continuous(parameter: str) -> bool:
    """Whether a state can be followed along a parameter: one of CONTINUOUS, or a number of a term, as in `centroid.weight`."""
    return parameter in CONTINUOUS or "." in parameter


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
    (by default from the global minimum). parameter: as `is_continuous` says. Raises InputError for another.
    """
    if not is_continuous(parameter):
        raise InputError(
            f"a state is followed along {', '.join(CONTINUOUS)} or a term's number, as in centroid.weight, not along "
            f"{parameter!r}"
        )
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
