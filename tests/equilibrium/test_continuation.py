"""Branches: kept while they are minima, left where they are not, the same from either route."""

import numpy as np
import pytest

from fieldsolve import InputError
from fieldsolve.equilibrium.continuation import follow, hysteresis
from fieldsolve.equilibrium.phases import Phase
from fieldsolve.equilibrium.problem import Problem

COUPLINGS = [float(coupling) for coupling in np.linspace(0, 0.4, 21)]


def phases(solutions) -> list[Phase]:
    return [solution.matched.phase for solution in solutions]


@pytest.mark.parametrize("angle", [0.0, 10.0])
def test_hysteresis_in_the_coupling(angle: float) -> None:
    problem = Problem(tau=1.0, floor=1e-2, nside=8, misalign=angle)
    loop = hysteresis(problem, "coupling", COUPLINGS[::-1])
    up = dict(zip(COUPLINGS, loop.up, strict=True))
    down = dict(zip(COUPLINGS[::-1], loop.down, strict=True))
    transitions = problem.transitions()
    for coupling in COUPLINGS:
        assert up[coupling].converged
        assert down[coupling].converged
        assert min(up[coupling].gap, down[coupling].gap) >= -1e-12
        if coupling < transitions.spinodal - 1e-3:
            assert up[coupling].matched.phase is Phase.MATCHED
        elif coupling > transitions.spinodal + 0.02:
            assert up[coupling].matched.phase is Phase.SEPARATED
        if coupling > transitions.binodal:
            assert down[coupling].matched.phase is Phase.SEPARATED
    between = [c for c in COUPLINGS if transitions.binodal + 0.02 < c < transitions.spinodal - 1e-3]
    assert between
    for coupling in between:
        assert down[coupling].energy < up[coupling].energy - 1e-3
        assert down[coupling].symmetric_kl > up[coupling].symmetric_kl + 1
    assert down[0.0].matched.phase is Phase.MATCHED


def test_a_branch_in_the_floor_ends_where_cold_starts_do() -> None:
    """Misaligned potentials at a coupling where one state is left: warm and cold starts agree."""
    problem = Problem(tau=1.0, coupling=0.05, nside=8, misalign=10)
    floors = [0.3, 0.4, 0.5]
    for solution, floor in zip(follow(problem, "floor", floors), floors, strict=True):
        assert solution.floor == floor
        assert solution.energy == pytest.approx(problem.at("floor", floor).solve().energy, abs=1e-9)


def test_problems_in_plain_values() -> None:
    assert Problem("flat").potentials == ("flat",)
    assert Problem(["flat", "two-well"]).resolved[1].label == "two-well"
    with pytest.raises(InputError, match="intrinsic or smoothed"):
        Problem(energy="free")
    with pytest.raises(InputError, match="intrinsic"):
        Problem(energy="smoothed").transitions()


def test_a_state_is_followed_along_numbers_only() -> None:
    with pytest.raises(InputError, match="tau, floor, coupling, misalign"):
        follow(Problem(), "nside", [8, 16])
    with pytest.raises(InputError, match="two values"):
        hysteresis(Problem(), "coupling", [0.1])
    with pytest.raises(InputError, match="no parameter"):
        Problem().at("temperature", 1)
