"""The certified bound: below every state, tight, and the same by other routes where there are any."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fieldsolve as fs
from fieldsolve import Healpix, two_well
from fieldsolve.equilibrium.bounds import lower_bound
from fieldsolve.equilibrium.densities import from_density
from fieldsolve.equilibrium.descent import descend
from fieldsolve.equilibrium.dual import ACCURACY, dual
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.gibbs import gibbs_bound
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.equilibrium.vertices import vertex_energy, vertex_minimum
from fieldsolve.numerics.arrays import Array

COUPLINGS = (0.0, 0.1, 0.2, 0.26, 0.4, 0.75, 0.95, 1.0)
FLOORS = (0.1, 0.01, 0.001)

seeds = st.integers(0, 10_000)
couplings = st.floats(0.001, 1.0)
floors = st.floats(-9, -0.1).map(np.exp)


def noise(seed: int, size: int, scale: float = 1.0) -> Array:
    return scale * np.random.default_rng(seed).standard_normal((2, size))


@given(seed=seeds, coupling=couplings, floor=floors, nside=st.sampled_from([1, 2]))
def test_no_state_is_below_the_bound(seed: int, coupling: float, floor: float, nside: int) -> None:
    """Random states, all pairs of vertices, and the ends of descents from several starts."""
    grid = Healpix(nside)
    potentials = noise(seed, grid.size)
    energy = Energy(grid, potentials, 0.7, coupling)
    bound = lower_bound(energy, floor)
    assert bound is not None
    rng = np.random.default_rng(seed)
    ends = []
    for spread in (0.1, 1.0, 3.0, 8.0):
        state = from_density(np.exp(spread * rng.standard_normal((2, grid.size))), floor)
        assert energy.value(state) >= bound
        ends.append(descend(energy, state, 1e-9, 500).evaluation.value)
    vertices = (spikes(rng.integers(grid.size, size=2), grid.size, floor) for _ in range(20))
    ends += [energy.value(from_density(pair, floor)) for pair in vertices]
    assert min(ends) >= bound - 1e-13 * (1 + abs(bound))


def spikes(pixels: Array, size: int, floor: float) -> Array:
    result = np.full((2, size), floor)
    result[np.arange(2), pixels] += (1 - floor) * size
    return result


@given(seed=seeds, coupling=couplings, floor=floors)
def test_any_accuracy_gives_a_bound_and_more_of_it_a_higher_one(seed: int, coupling: float, floor: float) -> None:
    potentials = noise(seed, 48)
    rough, fine = (dual(potentials, 0.5, floor, coupling, accuracy) for accuracy in (1e-1, 1e-10))
    rounding = 1e-12 * (1 + abs(fine.bound))
    assert rough.bound <= fine.bound + rounding
    assert fine.bound <= rough.bound + rough.slack + rounding
    assert rough.evaluations <= fine.evaluations < 120


@given(seed=seeds, floor=floors, tau=st.floats(0.05, 5))
def test_at_full_coupling_the_dual_is_the_vertex_minimum(seed: int, floor: float, tau: float) -> None:
    """With the whole mass on a pixel as the highest density, duality has no gap there: a second route to the closed form."""
    potentials = noise(seed, 48)
    exact = vertex_minimum(potentials, tau, floor).value
    best = min(vertex_energy(potentials, tau, floor, (i, j)) for i in range(48) for j in range(48) if i != j)
    found = dual(potentials, tau, floor, 1.0).bound
    assert found <= exact + 1e-12 * (1 + abs(exact))
    if exact == best:  # not on a common pixel
        assert found == pytest.approx(exact, rel=1e-9)


@given(seed=seeds, floor=floors)
def test_without_coupling_the_dual_is_two_gibbs_minima(seed: int, floor: float) -> None:
    potentials = noise(seed, 192)
    exact = np.mean([gibbs_bound(one, 0.5, floor) for one in potentials])
    assert dual(potentials, 0.5, floor, 1e-9).bound == pytest.approx(exact, abs=1e-6)


@given(seed=seeds, floor=floors)
def test_the_bound_is_concave_in_the_coupling(seed: int, floor: float) -> None:
    """It is a minimum over states of what is linear in the coupling, in the continuum that the dual solves."""
    potentials = noise(seed, 48)
    values = [dual(potentials, 0.5, floor, coupling).bound for coupling in np.linspace(0.1, 0.9, 9)]
    assert np.all(np.diff(values, 2) <= 1e-8 * (1 + np.abs(values[1:-1])))


@given(seed=seeds, coupling=couplings, floor=floors)
def test_the_bound_does_not_depend_on_order_and_follows_constants(seed: int, coupling: float, floor: float) -> None:
    potentials = noise(seed, 48)
    plain = dual(potentials, 0.5, floor, coupling)
    shuffled = potentials[::-1, np.random.default_rng(seed).permutation(48)]
    assert dual(shuffled, 0.5, floor, coupling).bound == pytest.approx(plain.bound, rel=1e-9, abs=1e-9)
    raised = dual(potentials + np.array([[1.0], [3.0]]), 0.5, floor, coupling)
    assert raised.bound == pytest.approx(plain.bound + (1 + 3) / (2 * 0.5), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("constant", [10.0, 1e3, 1e6])
@pytest.mark.parametrize(("tau", "floor", "coupling"), [(1.0, 1e-3, 0.1), (1e-3, 1e-6, 0.1), (0.2, 1e-12, 0.3)])
def test_a_constant_in_a_potential_changes_nothing_else(constant: float, tau: float, floor: float, coupling: float) -> None:
    plain = two_well()
    raised = fs.from_map(plain.on(Healpix(8)) + constant)
    below, above = (
        fs.Problem([one] * 2, tau=tau, floor=floor, coupling=coupling, grid=Healpix(8)).solve()
        for one in (fs.from_map(plain.on(Healpix(8))), raised)
    )
    assert (above.status, above.matched.phase) == (below.status, below.matched.phase)
    rounding = 1e-15 * constant / tau
    assert above.energy == pytest.approx(below.energy + constant / tau, rel=1e-13, abs=1e-6)
    slack = ACCURACY * (1 + 2 * abs(below.energy))  # where between the bound and the dual's maximum the search ended
    assert above.gap == pytest.approx(below.gap, abs=1e-3 * abs(below.energy) * below.gap + slack + 10 * rounding)
    assert above.trace.energy[-1] == pytest.approx(above.energy)


def test_a_coupled_energy_without_a_floor_has_no_bound() -> None:
    energy = Energy(Healpix(1), noise(0, 12), 1.0, 0.5)
    with pytest.raises(fs.InputError, match="floor"):
        lower_bound(energy, 0.0)


def test_three_misaligned_modalities_are_certified() -> None:
    grid = Healpix(4)
    potentials = [two_well().misalign(angle, Healpix(1)) for angle in (0, 30, 80)]
    for coupling in (0.0, 0.1, 0.6, 1.0):
        three = fs.Problem(potentials, tau=0.5, floor=0.05, coupling=coupling, grid=grid).solve()
        assert three.gap is not None
        assert -1e-12 <= three.gap < 1e-3 * (1 + abs(three.energy))


def test_the_figures_of_the_theory() -> None:
    """Two wells, tau 1, floor 1e-3, coupling 0.1, nside 16: 2F matched -0.8909, certified minimum -1.0465."""
    solution = Problem(tau=1.0, floor=1e-3, coupling=0.1, nside=16).solve()
    assert solution.matched is not None
    assert 2 * solution.matched.energy == pytest.approx(-0.8909, abs=5e-5)
    assert 2 * solution.energy == pytest.approx(-1.0465, abs=5e-5)
    assert 2 * solution.bound == pytest.approx(-1.0465, abs=5e-5)


@pytest.mark.parametrize(("nside", "most"), [(16, 1e-6), (64, 1e-7)])
@pytest.mark.parametrize("tau", [1.0, 0.2])
def test_relative_gaps(nside: int, most: float, tau: float) -> None:
    floors = FLOORS if nside == 16 else FLOORS[-1:]
    for floor in floors:
        for coupling in COUPLINGS:
            solution = Problem(tau=tau, floor=floor, coupling=coupling, nside=nside).solve()
            assert solution.converged
            assert -1e-14 <= solution.gap / abs(solution.bound) <= most, (floor, coupling)


@given(seed=seeds, levels=st.sampled_from([1, 2, 5]), coupling=st.floats(0.3, 0.99), floor=st.floats(0.05, 0.5))
def test_plateaus_are_no_trap(seed: int, levels: int, coupling: float, floor: float) -> None:
    """Potentials of a few values tie most points with each other; the global start must still beat the plain ones."""
    grid = Healpix(8)
    steps = np.random.default_rng(seed).standard_normal(levels)
    height = np.floor(np.linspace(0, levels - 1e-9, grid.size)).astype(int)
    potential = fs.from_map(steps[height])
    found = fs.Problem([potential] * 2, tau=0.3, floor=floor, coupling=coupling, grid=grid).solve()
    others = [
        fs.Problem([potential] * 2, tau=0.3, floor=floor, coupling=coupling, start=start, grid=grid).solve().energy
        for start in ("tilted", "gibbs")
    ]
    assert found.energy <= min(others) + 1e-3
    assert found.gap < 0.01 * abs(found.bound)
    assert (found.gap > 1e-3) == any("gap is" in note for note in found.notes)


def test_a_flat_potential_at_high_coupling() -> None:
    solution = Problem(["flat"] * 2, coupling=0.999, nside=16).solve()
    assert solution.gap < 1e-6
    assert any("one of many" in note for note in solution.notes)
    assert "separated" in repr(solution)


def test_bits_do_not_depend_on_threads() -> None:
    from fieldsolve.numerics import threads

    problem = Problem(tau=0.4, floor=0.01, coupling=0.3, nside=32, misalign=20)
    found = []
    for count in (1, 2):
        with threads.limit(count):
            solution = problem.solve()
        found.append((solution.energy, solution.bound, solution.density.tobytes()))
    assert found[0] == found[1]
