"""Bounds of energies with added terms and of smoothed ones: below every state, and how close."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fieldsolve as fs
from fieldsolve.equilibrium import vertices
from fieldsolve.equilibrium.bounds import coupled_below, lower_bound, why_unbounded
from fieldsolve.equilibrium.densities import LogDensity, from_density, normalise
from fieldsolve.equilibrium.descent import descend
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.halving import half_smoothed_bound
from fieldsolve.equilibrium.terms import Convexity, term_of
from fieldsolve.grids import Circle, Grid, Healpix, Kernel

Array = np.ndarray

BOUNDED = (
    "mixture:0.3", "mixture:0.5", "mixture:0.8", "tempered:0.3", "sigmoid", "sigmoid-at:-0.5", "centroid:1",
    "mmd:2,0.5", "energy-distance:1",
    "uniformity:1,2", "cross-uniformity:1,2",
)  # fmt: skip


def noise_of(shape: tuple[int, int], floor: float, rng: np.random.Generator) -> LogDensity:
    """A random floored state, smooth, rough or spiked."""
    field = rng.choice([0.1, 1.0, 3.0]) * rng.standard_normal(shape)
    if rng.random() < 0.5:
        field[np.arange(shape[0]), rng.integers(shape[1], size=shape[0])] += rng.uniform(0, 12)
    return normalise(field, floor)


@pytest.mark.parametrize("text", BOUNDED)
@pytest.mark.parametrize("smoothed", [False, True])
@settings(max_examples=6)
@given(seed=st.integers(0, 1000))
def test_no_state_is_below_the_bound_of_an_energy_with_terms(text: str, smoothed: bool, seed: int) -> None:
    rng, grid, floor = np.random.default_rng(seed), Circle(24), 0.02
    potentials = rng.standard_normal((2, grid.size))
    kernel = Kernel("cosine", 0.6) if smoothed else None
    energy = Energy(grid, potentials, 0.6, 1.0, kernel, (term_of(text),))
    states = [noise_of(potentials.shape, floor, rng) for _ in range(5)]
    ends = [descend(energy, state, 1e-6, 60).evaluation for state in states[:2]]
    bounds = [lower_bound(energy, floor, end) for end in ends]
    assert why_unbounded(energy, floor) is None
    lowest = min([end.value for end in ends] + [energy.value(state) for state in states])
    for bound in bounds:
        assert bound is not None
        assert bound <= lowest + 1e-9 * (1 + abs(lowest))


@given(seed=st.integers(0, 1000), bias=st.sampled_from([None, -0.7]), smoothed=st.booleans(), floor=st.sampled_from([0.05, 1e-4]))
def test_overlaps_have_their_minimum_at_vertices(seed: int, bias: float | None, smoothed: bool, floor: float) -> None:
    rng, grid = np.random.default_rng(seed), Circle(12)
    term = term_of("sigmoid" if bias is None else f"sigmoid-at:{bias}")
    kernel = Kernel("cosine", 0.9, unresolved=True) if smoothed else None
    energy = Energy(grid, rng.standard_normal((2, grid.size)), 0.9, 1.0, kernel, (term,))
    found = vertices.overlap_minimum(energy, floor)
    every = [
        energy.value(vertices.at_vertices(vertices.Vertices(0.0, pair), grid.size, floor))
        for pair in product(range(12), repeat=2)
    ]
    assert found.value == pytest.approx(min(every), rel=1e-10, abs=1e-10)
    assert energy.value(vertices.at_vertices(found, grid.size, floor)) == pytest.approx(found.value, rel=1e-10, abs=1e-10)
    assert all(energy.value(noise_of((2, grid.size), floor, rng)) >= found.value - 1e-12 for _ in range(10))


def test_convex_energies_are_certified_and_still_apart() -> None:
    """One softmax over all negatives is convex, and potentials that differ by 0.001 tear its densities 10 nats apart."""
    grid = Healpix(8)
    sign = np.where(np.arange(grid.size) % 2, 1e-3, -1e-3)
    potentials = np.stack([sign, -sign]) / 2
    problem = fs.Problem(potentials, 1.0, 0.01, grid=grid, terms=["mixture:0.5"], max_steps=200_000)
    energy = problem.functional()[0]
    assert energy.convexity is Convexity.JOINTLY
    solution = problem.solve()
    assert solution.gap == pytest.approx(0, abs=1e-8)
    assert solution.symmetric_kl > 9
    assert any("convexity does not close" in note for note in solution.notes)


def test_a_convex_penalty_s_tangent_makes_the_bound_tighter() -> None:
    problem = fs.Problem(["two-well"] * 2, 0.5, 0.01, nside=4, misalign=60.0, terms=["centroid:3"])
    energy, floor = problem.functional()[0], 0.01
    found = problem.solve()
    assert found.bound is not None
    evaluation = descend(energy, from_density(found.density, floor), 1e-6, 0).evaluation
    without = lower_bound(energy, floor)
    assert without is not None
    assert lower_bound(energy, floor, evaluation) > without + 1e-3
    assert found.gap >= -1e-9


def test_what_is_below_a_contrast() -> None:
    grid = Circle(24)
    potentials = np.random.default_rng(1).standard_normal((2, 24))
    lopsided = Energy(grid, potentials, 0.5, np.array([[0.6, 0.4], [0.1, 0.9]]))
    below = coupled_below(lopsided)
    assert below is not None
    assert below.strength == pytest.approx(0.4)
    three = Energy(grid, np.tile(potentials[0], (3, 1)), 0.5, np.array([[0.1, 0.9, 0.0], [0.0, 0.1, 0.9], [0.9, 0.0, 0.1]]))
    assert coupled_below(three) is None
    assert "mixing matrix" in str(why_unbounded(three, 0.1))
    own = Energy(grid, potentials, 0.5, 0.3, None, (term_of("temperatures:0.4,0.2"),))
    assert lower_bound(own, 0.1) == pytest.approx(
        lower_bound(Energy(grid, potentials * 0.5 / np.array([[0.4], [0.2]]), 0.5, 0.3), 0.1), abs=1e-9
    )


@pytest.mark.parametrize("grid", [Healpix(4), Circle(40)], ids=str)
@pytest.mark.parametrize("modalities", [1, 2, 3])
@pytest.mark.parametrize("tau", [1.5, 0.6])
def test_no_state_is_below_the_bound_of_a_smoothed_energy(grid: Grid, modalities: int, tau: float) -> None:
    rng = np.random.default_rng(modalities)
    for coupling, floor, size in product((0.15, 0.6, 1.0)[: 1 if modalities == 1 else 3], (0.0, 0.05), (0.0, 2.0)):
        potentials = size * np.stack([grid.evaluate(lambda x, k=k: np.sin(2 * x[:, 0] + k)) for k in range(modalities)])
        energy = Energy(grid, potentials, tau, coupling, Kernel("cosine", tau))
        bound = half_smoothed_bound(energy, floor)
        assert bound is not None
        values = [energy.value(noise_of(potentials.shape, floor, rng)) for _ in range(40)]
        spread = normalise(0.1 * rng.standard_normal(potentials.shape), floor)
        values.append(descend(energy, spread, 1e-4, 100).evaluation.value)
        assert bound <= min(values)


def test_the_bound_of_one_smoothed_density() -> None:
    """Two wells less their minimum, tau 1, nside 8: the energy .29204 and its bound .18213."""
    solution = fs.Problem("two-well", 1.0, energy="smoothed", nside=8, tolerance=1e-5).solve()
    level = solution.potentials.min()
    assert solution.energy - level == pytest.approx(0.29204, abs=1e-4)
    assert solution.bound - level == pytest.approx(0.18213, abs=1e-4)


@pytest.mark.parametrize(("tau", "nside", "coupling"), [(3.0, 8, 0.225), (1.0, 8, 0.1877), (0.5, 16, 0.1431), (0.3, 16, 0.102)])
def test_up_to_these_couplings_the_uniform_pair_is_certified(tau: float, nside: int, coupling: float) -> None:
    """Within 1e-3, which is what the grid's balance costs at most."""
    gaps = [
        fs.Problem(["flat"] * 2, tau, 0.0, coupling + change, "smoothed", nside=nside).solve(start="uniform").gap
        for change in (-2e-3, 6e-3)
    ]
    assert gaps[0] < 1e-3
    assert gaps[1] > gaps[0] + 5e-4


@pytest.mark.parametrize("potential", ["flat", "two-well"])
@pytest.mark.parametrize(("tau", "coupling"), [(0.1, 0.2), (0.3, 0.3)])
def test_the_default_start_of_smoothed_energies_is_as_good_as_many(potential: str, tau: float, coupling: float) -> None:
    problem = fs.Problem([potential] * 2, tau, 1e-3, coupling, "smoothed", nside=16)
    found = problem.solve()
    others = [problem.solve(start=f"random:{seed}").energy for seed in range(6)]
    assert found.energy <= min(others) + 0.01
    assert found.bound <= min(others)


def test_kernels_without_a_half_have_no_bound_and_it_is_said_why() -> None:
    solution = fs.Problem(["flat"] * 2, 0.5, 0.01, 0.2, "smoothed", nside=4, critic="geodesic").solve()
    assert solution.bound is None
    assert any("geodesic kernel is not known" in note for note in solution.notes)
    faint = fs.Problem(["flat"] * 2, 0.02, 0.0, 0.2, "smoothed", circle=96)
    assert any("tails are below rounding" in note for note in faint.solve(start="uniform").notes)
    floored = faint.at("floor", 0.01).solve(start="uniform")
    assert floored.bound is not None


@pytest.mark.parametrize("text", ["temperatures:0.2,1", "mixture:0.4", "sigmoid", "centroid:1"])
@pytest.mark.parametrize("kind", ["intrinsic", "smoothed"])
def test_a_constant_in_a_potential_moves_energy_and_bound_and_nothing_else(text: str, kind: str) -> None:
    grid = Circle(48)
    potentials = np.stack([np.cos(grid.angles()), np.cos(grid.angles() - 0.4)])
    found = [
        fs.Problem(one, 0.5, 0.02, energy=kind, grid=grid, terms=[text], max_steps=200).solve(start="gibbs")
        for one in (potentials, potentials + np.array([[3.0], [0.0]]))
    ]
    energy = found[0].problem.functional()[0]
    shift = 3.0 / (energy.binding.tau * np.ones(2))[0] / 2
    assert found[1].energy - found[0].energy == pytest.approx(shift, abs=1e-6)
    assert found[0].bound is None or found[1].bound - found[0].bound == pytest.approx(shift, abs=1e-5)
    direct = Energy(grid, potentials, 0.5, 1.0, energy.kernel, energy.added)
    assert found[0].energy == pytest.approx(direct.value(from_density(found[0].density, 0.02)), abs=1e-9)
    assert found[0].binding == pytest.approx(np.mean(potentials * found[0].density, axis=1) / direct.binding.tau, abs=1e-9)


def test_terms_with_narrow_kernels_and_floors_of_0() -> None:
    narrow = fs.Problem(["flat"] * 2, 0.5, energy="smoothed", nside=32, terms=["mmd:1,0.02"], max_steps=3)
    assert np.isfinite(narrow.solve().energy)  # the coarser grid that chooses starts does not resolve the penalty
    bare = fs.Problem(["flat"] * 2, 0.002, 0.0, energy="smoothed", circle=1024, terms=["sigmoid"], max_steps=5).solve()
    assert np.isfinite(bare.energy)
    assert bare.bound is None or np.isfinite(bare.bound)
    assert fs.Problem("flat", nside=4, terms=["mixture:0.6"]).solve().converged  # bounded below without a floor
