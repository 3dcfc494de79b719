"""Spikes off a grid's points: their energy and slopes, where they belong, and what a grid alone says of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import fieldsolve as fs
from fieldsolve.cli import main
from fieldsolve.equilibrium.atoms import AtomEnergy, Atoms, merged
from fieldsolve.equilibrium.bands import band_state
from fieldsolve.equilibrium.descent import Status
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.polishing import atom_energy, atoms_of, is_spiked
from fieldsolve.grids import Circle, Grid, Healpix, Kernel, Zonal
from fieldsolve.numerics.errors import InputError

Functions = list[Callable[[np.ndarray], np.ndarray]]


def grid_energy(grid: Grid, tau: float, coupling: float) -> tuple[Energy, Functions]:
    potentials: Functions = [
        lambda at: -0.4 * at @ grid.axis + 0.3 * (at @ grid.axis) ** 2,
        lambda at: 0.2 * at @ grid.axis,
    ]
    values = np.stack([grid.evaluate(one) for one in potentials])
    return Energy(grid, values, tau, coupling, Kernel("cosine", tau)), potentials


def pair(grid: Grid, floor: float, tau: float, coupling: float) -> AtomEnergy:
    return atom_energy(*grid_energy(grid, tau, coupling), floor)


def some_atoms(grid: Grid, seed: int) -> Atoms:
    shells, rng = grid.shells(), np.random.default_rng(seed)
    assert shells is not None
    vectors = rng.standard_normal((2, 3, shells.components))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    return Atoms(shells, tuple(vectors), tuple(rng.dirichlet(np.ones(3), 2)))


@pytest.mark.parametrize("floor", [0.0, 0.05])
@pytest.mark.parametrize("grid", [Zonal(8, 60), Zonal(3, 60), Healpix(8), Circle(90)], ids=str)
def test_slopes_are_those_of_differences(grid: Grid, floor: float) -> None:
    energy, atoms, rng = pair(grid, floor, 0.2, 0.4), some_atoms(grid, 1), np.random.default_rng(2)
    where, masses = atoms.positions[0], atoms.masses[0]
    value, slope = energy.variation(atoms, 0, where, with_slopes=True)
    direction, weights = rng.standard_normal(where.shape), np.array([1.0, -0.3, -0.7])

    def moved(step: float) -> float:
        there = where + step * direction
        there /= np.linalg.norm(there, axis=1, keepdims=True)
        return energy.value(Atoms(atoms.shells, (there, atoms.positions[1]), atoms.masses))

    def weighed(step: float) -> float:
        return energy.value(Atoms(atoms.shells, atoms.positions, (masses + step * weights, atoms.masses[1])))

    share = (1 - floor) / 2
    assert (moved(1e-5) - moved(-1e-5)) / 2e-5 == pytest.approx(share * np.sum(masses[:, None] * slope * direction), rel=1e-6)
    assert (weighed(1e-5) - weighed(-1e-5)) / 2e-5 == pytest.approx(share * value @ weights, rel=1e-7)


@pytest.mark.parametrize("grid", [Zonal(16, 60), Circle(400), Healpix(16)], ids=str)
def test_atoms_on_a_grids_points_cost_what_the_grid_says(grid: Grid) -> None:
    energy, atoms = pair(grid, 0.01, 0.3, 0.6), some_atoms(grid, 3)
    shells = grid.shells()
    assert shells is not None
    at = [grid.nearest(grid.from_shells(one)) for one in atoms.positions]
    there = Atoms(shells, tuple(grid.shell_vectors()[one] for one in at), atoms.masses)
    density = there.on(grid, 0.01)
    on_grid = grid_energy(grid, 0.3, 0.6)[0].evaluate(density)[0].value
    # A HEALPix sphere's kernel volume differs from point to point by some 1e-4.
    assert energy.value(there) == pytest.approx(on_grid, abs=1e-9 if not isinstance(grid, Healpix) else 1e-3)
    np.testing.assert_allclose(there.centroids(grid, 0.01), grid.centroid(density), atol=1e-12)


@pytest.mark.parametrize("coupling", [0.43, 0.44, 0.48])
def test_bands_from_a_start_that_the_grid_pins(coupling: float) -> None:
    """A band at t = .75 is stationary on the nodes; its place is that of the closed form."""
    grid = Zonal(512)
    start = np.full((2, grid.size), 1e-300)
    at = int(np.argmin(np.abs(grid.heights - 0.75)))
    start[0, at] = start[1, grid.size - 1 - at] = grid.size
    problem = fs.Problem(["flat"] * 2, 0.01, 0.0, coupling, "smoothed", grid=grid, start=start, tolerance=1e-6)
    pinned, free = problem.at("polish", False).solve(), problem.solve()
    exact = band_state(Kernel("cosine", 0.01), 512, coupling)
    assert exact is not None
    assert pinned.status is Status.PINNED
    assert not pinned.converged
    assert pinned.stationarity < 1e-9
    assert abs(pinned.centroid_gap / 2 - exact.height) > 0.05
    assert free.converged
    assert free.centroid_gap / 2 == pytest.approx(exact.height, abs=1e-6)
    assert free.energy == pytest.approx(exact.energy, abs=1e-9)
    assert free.energy < pinned.energy - 0.1


def test_default_starts_find_the_bands_where_they_are_lower() -> None:
    for coupling, is_apart in ((0.40, False), (0.43, True)):
        solution = fs.Problem(["flat"] * 2, 0.01, 0.0, coupling, "smoothed", dimension=512).solve()
        assert (solution.centroid_gap > 1) == is_apart
        assert (solution.start == "bands") == is_apart


def test_antipodal_points_at_full_coupling() -> None:
    """J = -1/tau - log V on the sphere, from two resolutions."""
    for nside in (8, 16):
        solution = fs.Problem(["flat"] * 2, 0.2, 0.0, 1.0, "smoothed", nside=nside).solve()
        assert solution.atoms is not None
        kernel = Kernel("cosine", 0.2)
        assert solution.energy == pytest.approx(-5.0 - kernel.log_volume(2), abs=1e-9)
        assert solution.centroid_gap == pytest.approx(2, abs=1e-6)


def test_resolutions_agree_on_spikes_in_wells() -> None:
    found = [fs.Problem(["two-well"] * 2, 0.15, 1e-3, 1.0, "smoothed", nside=nside).solve() for nside in (8, 16)]
    assert all(one.atoms is not None and one.converged for one in found)
    assert found[0].energy == pytest.approx(found[1].energy, abs=1e-5)
    assert found[0].centroid_gap == pytest.approx(found[1].centroid_gap, abs=1e-3)


def test_atoms_are_added_where_the_variation_is_lower() -> None:
    """One atom in the wrong well: the test off the atoms sees the other one."""
    grid = Zonal(3, 60)
    potentials = [lambda at: -(at[:, 2] ** 2)]
    energy = atom_energy(
        Energy(grid, np.stack([grid.evaluate(potentials[0])]), 0.05, 1.0, Kernel("cosine", 0.05)), potentials, 0.0
    )
    shells = grid.shells()
    assert shells is not None
    one = Atoms(shells, (np.array([[1.0, 0.0]]),), (np.ones(1),))
    assert energy.stationarity(one)[0] > 1
    polished = energy.polish(one, 1e-7)
    assert polished.stationarity <= 1e-7
    assert len(polished.atoms.masses[0]) >= 2
    assert abs(polished.atoms.centroids(grid, 0.0)[0, 2]) < 1e-4
    assert polished.energy < energy.value(one)


def test_what_counts_as_spikes_and_as_one_atom() -> None:
    grid = Zonal(512)
    assert not is_spiked(grid, grid.weights[None], 0.0)
    spike = np.zeros((1, grid.size))
    spike[0, 40], spike[0, 41] = 0.7 * grid.size, 0.3 * grid.size
    assert is_spiked(grid, spike, 0.0)
    energy = Energy(grid, np.zeros((1, grid.size)), 0.01, 1.0, Kernel("cosine", 0.01))
    atoms = atoms_of(energy, spike, 0.0)
    assert [len(one) for one in atoms.masses] == [1]
    assert grid.angles[40] < np.arccos(atoms.positions[0][0, 0]) < grid.angles[41]
    assert len(merged(some_atoms(grid, 4)).masses[0]) == 3


def test_polished_states_are_saved_said_and_refused_without(tmp_path: Path) -> None:
    options = ["multimodal", "--energy", "smoothed", "--nside", "8", "--tau", "0.3", "--potential", "flat", "--floor", "0"]
    run = CliRunner().invoke(main, [*options, "-o", str(tmp_path / "run")])
    assert run.exit_code == 0, run.output
    assert "moved off the grid's points: 1 and 1 of them" in run.output
    again, plain = fs.load(tmp_path / "run"), CliRunner().invoke(main, [*options, "--no-polish"])
    assert again.atoms is not None
    assert again.summary() == fs.load(tmp_path / "run").summary()
    solved = again.problem.solve(stability=True)
    assert solved.energy == again.energy
    assert solved.centroid_gap == again.centroid_gap
    assert plain.exit_code == 4
    assert "--polish moves them" in plain.output


def test_energies_without_atoms_are_said_to_have_none() -> None:
    grid = Zonal(8)
    with pytest.raises(InputError, match="intrinsic"):
        atom_energy(Energy(grid, np.zeros((1, grid.size)), 0.1), [lambda at: np.zeros(len(at))], 0.0)
    solution = fs.Problem(
        ["flat"] * 2, 0.3, 0.0, energy="smoothed", nside=8, critic="rbf", terms=["centroid:0.01"], tolerance=1e-2
    )
    assert any("added terms are not known" in note for note in solution.solve().notes)
