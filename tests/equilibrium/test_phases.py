"""The matched state, where it breaks, and how other states compare to it."""

import numpy as np
import pytest

import fieldsolve as fs
from fieldsolve import Healpix, InputError, flat, from_map, two_well
from fieldsolve.equilibrium.continuation import follow
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.gibbs import gibbs
from fieldsolve.equilibrium.phases import Phase, Stability, matched_state, transitions
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.numerics.arrays import Array


def misaligned(nside: int, angle: float) -> Array:
    grid = Healpix(nside)
    return np.stack([two_well().on(grid), two_well().misalign(angle, Healpix(1)).on(grid)])


@pytest.mark.parametrize("floor", [0.5, 0.1, 1e-3, 1e-6])
@pytest.mark.parametrize("tau", [10.0, 1.0, 0.2, 0.05])
def test_spinodal_of_equal_potentials_is_a_quarter(tau: float, floor: float) -> None:
    found = transitions(misaligned(16, 0), tau, floor)
    assert found.spinodal == pytest.approx(0.25, abs=1e-6)
    assert 0 < found.binodal < 0.25


def test_equal_potentials_break_at_a_quarter_in_the_descent_too() -> None:
    """An antisymmetric perturbation dies out below, and grows above."""
    grid = Healpix(8)
    energy_below, energy_above = (Energy(grid, misaligned(8, 0), 1.0, coupling) for coupling in (0.249, 0.251))
    common = gibbs(energy_below.potentials, 1.0, 0.01).density()
    wave = 1e-3 * np.array([[1.0], [-1.0]]) * np.random.default_rng(7).standard_normal(grid.size)
    for energy, phase in ((energy_below, Phase.MATCHED), (energy_above, Phase.SEPARATED)):
        potentials = [from_map(one) for one in energy.potentials]
        solution = fs.Problem(
            potentials, tau=1.0, floor=0.01, coupling=energy.coupling, start=common * np.exp(wave), grid=grid
        ).solve()
        assert solution.matched is not None
        assert solution.matched.phase is phase


@pytest.mark.parametrize(
    ("angle", "tau", "floor"),
    [(10, 1.0, 1e-3), (10, 0.2, 0.1), (40, 1.0, 0.1), (40, 0.2, 1e-3), (90, 0.2, 0.1), (60, 0.5, 0.3), (180, 0.2, 0.1)],
)
def test_transitions_of_unequal_potentials(angle: float, tau: float, floor: float) -> None:
    potentials = misaligned(16, angle)
    found = transitions(potentials, tau, floor)
    assert 0 < found.binodal <= found.spinodal < 0.25

    def state(coupling: float) -> tuple[Energy, object]:
        energy = Energy(Healpix(16), potentials, tau, coupling)
        return energy, matched_state(energy, floor)

    energy, last = state(found.spinodal - 1e-6)
    assert last is not None
    assert energy.step(last.state, 0.0, np.empty_like(potentials))[0].stationarity < 1e-9
    log_density = last.state.log_density()
    free = np.all(log_density > np.log(floor) + 1e-12, axis=0)
    coupling = found.spinodal
    curvature = 1 - 2 * coupling - 2 * coupling * np.cosh(log_density[0] - log_density[1])
    assert curvature[free].min() == pytest.approx(0, abs=2e-2)  # like the root of 1e-6
    assert curvature[free].min() > 0
    assert state(found.spinodal + 1e-4)[1] is None


@pytest.mark.parametrize("angle", [0, 10, 40])
@pytest.mark.parametrize("floor", [0.1, 1e-3])
def test_binodal_is_where_energies_cross(angle: float, floor: float) -> None:
    """Below it the bound is the matched energy; above it a lower state exists, found by descent: two routes."""
    problem = Problem(tau=1.0, floor=floor, nside=16, misalign=angle)
    binodal = problem.transitions().binodal
    below = problem.at("coupling", binodal - 1e-6).solve()
    assert below.matched is not None
    assert below.matched.phase is Phase.MATCHED
    assert below.matched.stability is Stability.STABLE
    assert below.energy == pytest.approx(below.bound, abs=1e-9)
    above = problem.at("coupling", binodal + 1e-6).solve()
    assert above.matched is not None
    assert above.matched.stability is Stability.METASTABLE
    later = problem.at("coupling", binodal + 3e-3).solve()
    assert later.matched is not None
    assert later.matched.phase is Phase.SEPARATED
    assert later.matched.energy is None or later.energy < later.matched.energy - 1e-7


def test_energies_cross_on_finer_grids_ever_closer_to_the_binodal() -> None:
    late = []
    for nside in (4, 8, 16):
        problem = Problem(tau=1.0, floor=1e-3, nside=nside)
        binodal = problem.transitions().binodal
        low, high = 0.0, 0.05
        while high - low > 1e-6:
            middle = (low + high) / 2
            solution = problem.at("coupling", binodal + middle).solve()
            assert solution.matched is not None
            low, high = (middle, high) if solution.matched.phase is Phase.MATCHED else (low, middle)
        late.append(high)
    assert late[0] > 2 * late[1] > 4 * late[2] > 0


def test_phases_and_stability() -> None:
    problem = Problem(tau=1.0, floor=1e-3, nside=8)
    expected = {
        0.0: (Phase.MATCHED, Stability.STABLE),
        0.05: (Phase.MATCHED, Stability.STABLE),
        0.2: (Phase.SEPARATED, Stability.METASTABLE),
        0.3: (Phase.SEPARATED, Stability.UNSTABLE),
        1.0: (Phase.COLLAPSED, Stability.UNSTABLE),
    }
    for coupling, (phase, stability) in expected.items():
        solution = problem.at("coupling", coupling).solve()
        assert solution.matched is not None
        assert (solution.matched.phase, solution.matched.stability) == (phase, stability)
        assert solution.phase_sentence is not None
        assert solution.phase_sentence.startswith(f"{phase.value}; the matched state is {stability.value}")
    matched = problem.at("coupling", 0.3).solve(start="gibbs")  # the saddle, kept by symmetry
    assert matched.matched is not None
    assert (matched.matched.phase, matched.matched.stability) == (Phase.MATCHED, Stability.UNSTABLE)
    assert problem.at("energy", "smoothed").solve().matched is None


def test_a_flat_potential_has_the_uniform_matched_state() -> None:
    solution = Problem(["flat"] * 2, floor=0.01, coupling=0.2, nside=8).solve(start="gibbs")
    np.testing.assert_allclose(solution.density, 1, rtol=1e-12)
    assert solution.matched is not None
    assert solution.matched.energy == pytest.approx(0, abs=1e-14)
    assert flat().label == "flat"


def test_a_density_that_the_floor_holds_does_not_end_the_branch() -> None:
    """Where potentials are opposite one density is soon at the floor everywhere that counts, far past the fold, and stays."""
    problem = Problem(tau=0.2, floor=0.1, nside=8, misalign=90)
    spinodal = problem.transitions().spinodal
    couplings = [float(coupling) for coupling in np.linspace(0, spinodal - 1e-4, 15)]
    branch = follow(problem, "coupling", couplings, start="gibbs")
    assert all(solution.matched is not None and solution.matched.phase is Phase.MATCHED for solution in branch)
    floored = np.any(branch[-1].density <= 0.1 * (1 + 1e-12), axis=0)
    ratio = np.abs(np.log(branch[-1].density[0] / branch[-1].density[1]))
    assert ratio[floored].max() > np.arccosh((1 - 2 * spinodal) / (2 * spinodal))


def test_the_matched_phase_ends_where_a_log_density_is_a_tenth_off() -> None:
    problem = Problem(tau=1.0, floor=1e-2, coupling=0.1, nside=8)
    matched = problem.solve(start="gibbs").density
    for off, phase in ((0.09, Phase.MATCHED), (0.2, Phase.SEPARATED)):
        density = matched.copy()
        density[0, 7] *= np.exp(off)
        solution = fs.Problem(
            problem.resolved, tau=1.0, floor=1e-2, coupling=0.1, start=density, max_steps=0, grid=problem.grid
        ).solve()
        assert solution.matched is not None
        assert solution.matched.phase is phase


def test_a_state_without_lower_neighbours_is_converged_if_its_gap_says_so() -> None:
    """At coupling 1/4 exactly matched pairs are neutral: the stationarity stays above the tolerance, the gap does not."""
    solution = Problem(tau=1.0, floor=0.5, coupling=0.25, nside=16).solve()
    assert solution.converged
    assert solution.gap < 1e-9


def test_transitions_need_a_floor() -> None:
    with pytest.raises(InputError, match="floor"):
        Problem(floor=0.0).transitions()
