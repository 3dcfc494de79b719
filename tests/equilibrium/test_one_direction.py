"""Problems on zonal grids: against closed forms, against the same problems on the sphere and the circle, and certificates."""

from dataclasses import dataclass
from math import pi
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import fieldsolve as fs
from fieldsolve.cli import main
from fieldsolve.equilibrium import vertices
from fieldsolve.equilibrium.bounds import lower_bound
from fieldsolve.equilibrium.densities import from_density, normalise
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.grids import Circle, Grid, Healpix, Kernel, Zonal
from fieldsolve.grids.bessel import log_exponential_mean, mean_resultant
from fieldsolve.numerics.arrays import Array, Indices
from fieldsolve.numerics.errors import InputError
from fieldsolve.testing import check_term

WELLS = "vmf:6@axis*0.7+4@-axis*0.3"


@dataclass(frozen=True)
class Folded(Grid):
    """The circle's functions that are the same at angles +-t: count + 1 points from 0 to pi, the ends with half the weight."""

    count: int
    name = "folded"
    has_log_sums = True

    dim = 1

    @property
    def size(self) -> int:  # type: ignore[override]
        return self.count + 1

    @property
    def spacing(self) -> float:
        return pi / self.count

    def points(self, first: int = 0, last: int | None = None) -> Array:
        angle = np.linspace(0, pi, self.size)[first:last]
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)

    @property
    def log_weights(self) -> Array:
        weights = np.ones(self.size)
        weights[[0, -1]] = 0.5
        return np.log(weights * self.size / self.count)

    def mean(self, field: Array) -> Array:
        return np.asarray(np.mean(field * self.weights, axis=-1))

    def log_peak(self, kernel: Kernel) -> float:
        return kernel.log_peak(1)

    def log_rows(self, kernel: Kernel, at: Indices, of: Indices) -> Array:
        angle = np.linspace(0, pi, self.size)
        ways = [kernel.log_profile(np.abs(angle[at][:, None] + sign * angle[of]), 1) for sign in (-1, 1)]
        return np.logaddexp(*ways) - np.log(2)

    def pair_sums(self, kernel: Kernel, field: Array) -> Array:
        every = np.arange(self.size)
        return np.exp(self.log_rows(kernel, every, every)) @ field / self.size

    def log_sums(self, kernel: Kernel, density: Array, weight: Array | None = None) -> Array:
        return np.log(self.pair_sums(kernel, density))


@pytest.mark.parametrize("floor", [0.0, 0.2])
def test_weighted_points_against_the_circle(floor: float) -> None:
    """One intrinsic density: the folded circle has the same minimum as the circle, to rounding."""
    potential = lambda points: -points[:, 0] + 0.3 * points[:, 0] ** 2  # noqa: E731
    whole, half = (fs.Problem(potential, 0.4, floor, grid=grid).solve() for grid in (Circle(120), Folded(60)))
    assert half.energy == pytest.approx(whole.energy, abs=1e-12)
    assert half.bound == pytest.approx(whole.bound, abs=1e-12)
    np.testing.assert_allclose(half.log_partition, whole.log_partition, atol=1e-13)
    np.testing.assert_allclose(half.entropy, whole.entropy, atol=1e-12)
    np.testing.assert_allclose(half.density[0] / half.grid.weights, whole.density[0][:61], atol=1e-9)


@pytest.mark.parametrize("kernel", [None, Kernel("cosine", 0.3)], ids=["intrinsic", "smoothed"])
@pytest.mark.parametrize("coupling", [0.0, 0.3, 1.0])
def test_a_step_of_weighted_densities_against_the_circle(kernel: Kernel | None, coupling: float) -> None:
    """Value, terms, stationarity and the state after a mirror step, from the same densities."""
    found = []
    for grid in (Circle(120), Folded(60)):
        height = grid.points()[:, 0]
        energy = Energy(grid, np.stack([-height, 0.3 * height**2]), 0.3, coupling, kernel)
        state = normalise(np.stack([2 * height, -height]), 0.05, grid.log_weights)
        evaluation, onward = energy.step(state, 0.7, np.empty((2, grid.size)))
        numbers = [evaluation.value, evaluation.stationarity, *evaluation.binding, *evaluation.cross_entropy.ravel()]
        found.append((numbers, energy.step(onward, 0.0, np.empty((2, grid.size)))[0].state.log_density()[:, :61]))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-11)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-11)


@pytest.mark.parametrize("coupling", [0.05, 0.15, 0.24])
def test_two_weighted_densities_against_the_circle(coupling: float) -> None:
    """The dual's maximum, the matched branch, binodal and spinodal know of points only their masses."""
    pair = [lambda points: -points[:, 0], lambda points: 0.1 * points[:, 0]]
    whole, half = (fs.Problem(pair, 0.7, 0.05, coupling, grid=grid) for grid in (Circle(400), Folded(200)))
    assert half.solve().bound == pytest.approx(whole.solve().bound, abs=2e-5)
    one, other = whole.transitions(), half.transitions()
    assert (one.binodal, one.spinodal) == pytest.approx((other.binodal, other.spinodal), abs=1e-6)


def test_gibbs_densities_at_the_dimension_of_clip() -> None:
    for floor in (0.0, 1e-3):
        solution = fs.Problem("poly:0,-0.3", 0.01, floor, dimension=512).solve()
        assert solution.grid == Zonal(512, 168)
        assert solution.energy == pytest.approx(-0.8774101610 if floor else -0.877410161154, abs=6e-11 if floor else 1e-12)
        assert solution.gap == pytest.approx(0, abs=1e-12)
        if not floor:
            assert solution.energy == pytest.approx(-float(log_exponential_mean(30.0, 512)), abs=1e-12)
            assert solution.centroids[0, -1] == pytest.approx(0.058394720842, abs=1e-12)
            assert solution.centroids[0, -1] == pytest.approx(mean_resultant(512, 30.0), abs=1e-12)


@pytest.mark.parametrize("coupling", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("energy", ["intrinsic", "smoothed"])
def test_the_sphere_against_zonal_nodes(coupling: float, energy: str) -> None:
    """The same zonal problem: energies within what pixels and nodes move them by."""
    pair = [WELLS, "poly:0,-0.4"]
    fine, coarse, zonal = (
        fs.Problem(pair, 0.5, 0.01, coupling, energy, grid=grid, tolerance=1e-6 if energy == "smoothed" else None)
        for grid in (Healpix(64), Healpix(32), Zonal(3, 800))
    )
    if energy == "smoothed":
        # Where states separate off the axis the sphere has lower ones: both energies at one zonal state.
        grid = fine.grid
        densities = [
            np.exp(np.stack([1.5 * p.grid.evaluate(lambda at: at[:, 2]), -p.grid.evaluate(lambda at: at[:, 2])]))
            for p in (fine, coarse, zonal)
        ]
        values = [
            p.functional()[0].evaluate(d * p.grid.weights)[0].value for p, d in zip((fine, coarse, zonal), densities, strict=True)
        ]
        assert grid.size == 49152
    else:
        values = [p.solve().energy for p in (fine, coarse, zonal)]
    error = max(abs(values[0] - values[1]), 1e-9)
    assert abs(values[0] - values[2]) < 2 * error
    assert error < 2e-2


@pytest.mark.parametrize("coupling", [0.0, 0.05, 0.1, 0.2, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("pair", [[WELLS, WELLS], [WELLS, "poly:0,-0.4"]])
def test_two_densities_are_certified_at_512(coupling: float, pair: list[str]) -> None:
    solution = fs.Problem(pair, 0.01, 1e-3, coupling, dimension=512).solve()
    assert solution.converged
    assert solution.gap is not None
    assert -1e-9 < solution.gap < 1e-3
    assert np.mean(solution.density, axis=1) == pytest.approx(1, abs=1e-9)
    log_density = from_density(solution.density, 0.0, solution.grid.log_weights).log_density()
    assert log_density.min() >= np.log(1e-3) - 1e-6


def test_where_densities_beyond_all_numbers_might_be_lower_there_is_no_bound() -> None:
    solution = fs.Problem([WELLS, "poly:0,-0.4"], 0.01, 1e-3, 0.95, dimension=512).solve()
    assert solution.bound is None
    assert solution.gap is None
    assert any("beyond all numbers might be lower" in note for note in solution.notes)
    assert solution.summary()["gap"] is None


def test_full_coupling_at_512_ends_at_vertices() -> None:
    solution = fs.Problem([WELLS, "poly:0,-0.4"], 0.01, 1e-3, 1.0, dimension=512).solve()
    assert solution.gap == pytest.approx(0, abs=1e-8)
    assert solution.spike_mass.min() == pytest.approx(1, abs=1e-9)
    assert solution.matched is not None
    assert solution.matched.phase.value == "collapsed"


def test_states_come_back_from_what_nodes_hold() -> None:
    """Spikes on the lightest nodes, next to the poles, and densities whose masses there are below all numbers."""
    grid = Zonal(512)
    spikes = np.zeros((2, grid.size))
    spikes[0, 0] = spikes[1, -1] = grid.size
    np.testing.assert_allclose(from_density(spikes, 0.0, grid.log_weights).density(), spikes, atol=1e-9)
    smooth = normalise(np.stack([30 * grid.heights, 0 * grid.heights]), 0.0, grid.log_weights)
    again = from_density(smooth.density(), 0.0, grid.log_weights).log_density()
    inner = grid.log_weights > -500
    np.testing.assert_allclose(again[:, inner], smooth.log_density()[:, inner], atol=1e-9)
    assert np.abs(again[1]).max() < 1e-9
    apart = fs.Problem(["flat"] * 2, 0.01, 0.0, 1.0, "smoothed", grid=grid)
    up = fs.follow(apart.at("coupling", 0.4), "coupling", [0.51, 0.52, 0.6], spikes)
    assert all(one.centroid_gap > 1.99 for one in up)
    down = fs.follow(apart, "coupling", [0.52, 0.48, 0.44], spikes)
    assert [one.centroid_gap for one in down] == pytest.approx([2, 2 * 0.89178120, 2 * 0.6147156666], abs=1e-6)


@given(seed=st.integers(0, 10_000), floor=st.sampled_from([1e-3, 0.1]), coupling=st.sampled_from([0.1, 0.4, 0.8, 1.0]))
def test_no_density_is_below_the_bound(seed: int, floor: float, coupling: float) -> None:
    rng, grid = np.random.default_rng(seed), Zonal(16, 40)
    potentials = np.polynomial.polynomial.polyval(grid.heights, rng.uniform(-0.5, 0.5, (4, 2)))
    energy = Energy(grid, potentials, 0.1, coupling)
    bound = lower_bound(energy, floor)
    assert bound is not None
    for size in (0.3, 3.0, 30.0):
        state = normalise(size * rng.standard_normal((2, grid.size)), floor, grid.log_weights)
        assert energy.value(state) >= bound - 1e-9 * (1 + abs(bound))


@given(
    dimension=st.sampled_from([3, 8, 64, 512]),
    floor=st.sampled_from([0.0, 1e-12, 1e-3, 0.05, 0.3, 0.5, 0.9, 0.999]),
    seed=st.integers(0, 99),
)
def test_every_state_has_mean_1_and_stays_above_its_floor(dimension: int, floor: float, seed: int) -> None:
    """Large floors are above all that the heaviest node's density is when it holds everything."""
    grid, rng = Zonal(dimension), np.random.default_rng(seed)
    for size in (0.0, 1.0, 100.0):
        state = normalise(size * rng.standard_normal((2, grid.size)), floor, grid.log_weights)
        assert state.density().mean(axis=1) == pytest.approx(1, abs=1e-9)
        assert state.log_density().min() >= state.log_floor - 1e-12


@pytest.mark.parametrize("floor", [0.05, 0.5, 0.9])
def test_large_floors_at_512(floor: float) -> None:
    solution = fs.Problem([WELLS, "poly:0,-0.4"], 0.5, floor, 0.3, dimension=512).solve()
    assert solution.converged
    assert solution.gap is not None
    assert solution.gap >= -1e-9
    assert solution.stationarity >= -1e-9
    flat = fs.Problem(["flat"] * 2, 0.5, floor, 0.0, dimension=8).solve()
    assert flat.energy == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("dimension", "tau", "lowest"), [(512, 0.01, -147.8899), (8, 0.01, None), (3, 0.1, -20.8344)])
def test_which_side_is_whose_is_for_the_potentials_to_say(dimension: int, tau: float, lowest: float | None) -> None:
    """Unequal wells: a descent from a tilt ends with the modalities on the wrong sides; exchanged they are lower."""
    problem = fs.Problem([WELLS, "poly:0,-0.3"], tau, 0.0, 1.0, "smoothed", dimension=dimension)
    found, tilted = problem.solve(), problem.solve("tilted")
    exchanged = problem.solve(tilted.density[::-1])
    assert found.converged
    assert found.energy <= min(tilted.energy, exchanged.energy) + 1e-9
    if lowest is not None:
        assert found.energy == pytest.approx(lowest, abs=1e-4)


def test_the_sphere_exchanges_modalities_too() -> None:
    wells = "vmf:6@0,0,1*0.7+4@0,0,-1*0.3"
    sphere = fs.Problem([wells, "poly:0,-0.3"], 0.1, 0.0, 1.0, "smoothed", nside=16).solve()
    zonal = fs.Problem([WELLS, "poly:0,-0.3"], 0.1, 0.0, 1.0, "smoothed", dimension=3).solve()
    assert sphere.energy == pytest.approx(zonal.energy, abs=1e-6)


def test_a_spike_whose_surroundings_are_hundreds_of_nats_lower_is_converged() -> None:
    """The Frank-Wolfe gap is 150 nats there, of a first bit of mass that no number has; any share that is moved costs."""
    solution = fs.Problem(WELLS, 0.01, 0.0, energy="smoothed", dimension=8).solve()
    assert solution.converged
    assert solution.energy == pytest.approx(-81.80073136329369, abs=1e-9)


@pytest.mark.parametrize("floor", [1e-3, 0.3])
def test_vertices_of_weighted_points(floor: float) -> None:
    grid = Zonal(6, 30)
    potentials = np.stack([-grid.heights, 0.2 * grid.heights])
    energy = Energy(grid, potentials, 0.5, 1.0)
    found = vertices.vertex_minimum(potentials, 0.5, floor, grid.log_weights)
    values = {}
    for i in range(grid.size):
        for j in range(grid.size):
            values[i, j] = vertices.vertex_energy(potentials, 0.5, floor, (i, j), grid.log_weights)
    assert found.value == pytest.approx(min(values.values()), abs=1e-12)
    for pixels in [(0, 1), (3, 3), (29, 0), found.pixels]:
        state = vertices.at_vertices(vertices.Vertices(0.0, pixels), grid.size, floor, grid.log_weights)
        assert energy.value(state) == pytest.approx(values[pixels], abs=1e-9)


def test_terms_keep_their_contract_on_weighted_points() -> None:
    grid = Zonal(6, 36)
    for name in ("centroid:1", "mmd:1,0.5", "energy-distance:1", "uniformity:1,2", "cross-uniformity:0.7,2", "sigmoid-at:-1.5"):
        check_term(fs.Problem(["flat"] * 2, 0.5, 0.1, grid=grid, terms=[name]).terms[0], grid)
    for name in ("mixture:0.3", "tempered:0.4", "temperatures:0.5,0.3", "sigmoid"):
        check_term(fs.Problem(["flat"] * 2, 0.5, 0.1, grid=grid, terms=[name]).functional()[0].contrast, grid)
        kind = fs.Problem(["flat"] * 2, 0.5, 0.1, energy="smoothed", grid=grid, terms=[name])
        check_term(kind.functional()[0].contrast, grid)


def test_curvature_of_the_uniform_pair_at_512() -> None:
    """mu = 4 k_1 (lambda_c - lambda) along the antisymmetric dipole."""
    solution = fs.Problem(["flat"] * 2, 0.01, 0.0, 0.46, "smoothed", dimension=512, start="uniform").solve(stability=True)
    assert solution.curvature is not None
    assert solution.curvature.is_saddle
    assert solution.curvature.degree == 1
    k = solution.kernel.spectrum(511, 1)[1]
    assert solution.curvature.eigenvalues[0] == pytest.approx(4 * k * (0.45289880900 - 0.46), abs=1e-9)


def test_potentials_that_are_no_functions_of_the_axis_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="functions of the height along its axis"):
        fs.Problem(lambda points: points[:, 0], grid=Zonal(8)).solve()
    with pytest.raises(InputError, match="functions of the height along its axis"):
        fs.Problem("two-well", dimension=3).solve()
    with pytest.raises(InputError, match="functions of the height along its axis"):
        fs.Problem("poly:0,-1", dimension=8, misalign=30.0).solve()
    with pytest.raises(InputError, match=r"concentration of 900.*needs 237 nodes.*zonal:512,237"):
        fs.Problem("poly:0,-9", 0.01, grid="zonal:512,168").solve()
    assert fs.Problem("poly:0,-9", 0.01, dimension=512).grid == Zonal(512, 237)
    with pytest.raises(InputError, match="poly:C0,C1"):
        fs.Problem("poly:x", dimension=8)
    with pytest.raises(InputError, match="one grid"):
        fs.Problem("flat", dimension=8, nside=4)
    flipped = fs.Problem("poly:0,-0.3", 0.05, dimension=8, misalign=180.0).solve()
    assert flipped.centroids[0, -1] == pytest.approx(-mean_resultant(8, 6.0), abs=1e-12)
    run = CliRunner().invoke(
        main, ["multimodal", "--dimension", "64", "--tau", "0.05", "--coupling", "0.2", "-o", str(tmp_path / "z")]
    )
    assert run.exit_code == 0, run.output
    again = fs.load(tmp_path / "z")
    assert again.grid == Zonal(64, 65)
    assert again.problem.dimension == 64
    np.testing.assert_array_equal(again.problem.solve().density, again.density)
    assert CliRunner().invoke(main, ["unimodal", "--dimension", "2"]).exit_code == 2
    assert CliRunner().invoke(main, ["unimodal", "--dimension", "5000"]).exit_code == 2
    assert CliRunner().invoke(main, ["unimodal", "--grid", "zonal:512,20"]).exit_code == 3
    assert CliRunner().invoke(main, ["sharpness", "--dimension", "16", "--potential", "poly:0,-0.3", "--json"]).exit_code == 0
