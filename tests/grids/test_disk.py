"""Disks: densities of two directions against closed forms, against those of one direction, and what is refused."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import fieldsolve as fs
from fieldsolve.cli import main
from fieldsolve.grids import Disk, Kernel, Smoother
from fieldsolve.grids.bessel import log_exponential_mean
from fieldsolve.numerics import threads
from fieldsolve.numerics.errors import InputError
from fieldsolve.testing import check_grid


@pytest.mark.parametrize("grid", [Disk(4, 12, 32), Disk(8, 14, 40), Disk(33, 24, 60)])
def test_the_contract_of_grids(grid: Disk) -> None:
    check_grid(grid)


@pytest.mark.parametrize(("dimension", "tau", "b"), [(8, 0.1, 20.0), (64, 0.02, 100.0), (512, 0.01, 90.0)])
def test_smoothed_von_mises_fisher_densities(dimension: int, tau: float, b: float) -> None:
    kernel = Kernel("cosine", tau)
    kappa = kernel.concentration
    grid = Disk(dimension, int(3.6 * np.sqrt(dimension + kappa + b)) + 1, int(9.5 * np.sqrt(dimension + kappa + b)) + 1)
    mean = grid.rotation(23.0) @ grid.axis
    along = grid.points() @ mean
    own = float(log_exponential_mean(b, dimension))
    density = np.exp(b * along - own + grid.log_weights)
    assert density.mean() == pytest.approx(1, abs=1e-12)
    found = Smoother(grid, kernel).log_smooth(density)
    level = own + float(log_exponential_mean(kappa, dimension))
    exact = log_exponential_mean(np.sqrt(kappa**2 + b**2 + 2 * kappa * b * along), dimension) - level
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-11)


def test_potentials_of_one_direction_have_the_gibbs_energy_of_one() -> None:
    disk, line = (fs.Problem("poly:0,-0.1,0.2", 0.1, 1e-2, grid=grid).solve() for grid in ("disk:32,40,100", "zonal:32"))
    assert disk.energy == pytest.approx(line.energy, abs=1e-9)


def energy_of(problem: fs.Problem, density: np.ndarray) -> float:
    energy, levels = problem.functional()
    return energy.evaluate(density)[0].value + float(levels.mean()) / problem.tau


@pytest.mark.parametrize("kind", ["intrinsic", "smoothed"])
@pytest.mark.parametrize("coupling", [0.0, 0.3, 1.0])
def test_densities_of_one_direction_have_the_energy_of_one(kind: str, coupling: float) -> None:
    values = []
    for grid in ("disk:32", "zonal:32"):
        problem = fs.Problem(["poly:0,-0.3", "poly:0,0.2"], 0.1, 1e-9, coupling, kind, grid=grid)
        height = problem.grid.points() @ problem.grid.axis
        values.append(energy_of(problem, np.stack([np.exp(b * height + problem.grid.log_weights) for b in (4.0, -2.0)])))
    assert values[0] == pytest.approx(values[1], abs=1e-11)


def test_turned_densities_have_the_same_energy() -> None:
    values = []
    for angle in (0, 30, 77):
        problem = fs.Problem(f"vmf:8@axis:{angle}", 0.1, 0.0, energy="smoothed", grid="disk:16")
        values.append(energy_of(problem, np.exp(-problem.values + problem.grid.log_weights)))
    assert np.ptp(values) < 1e-11


def test_the_same_bits_for_any_number_of_threads() -> None:
    grid, kernel = Disk(16, 20, 64), Kernel("cosine", 0.2)
    field = np.random.default_rng(2).exponential(size=grid.size)
    found = []
    for count in (1, 2):
        with threads.limit(count):
            found.append(grid.pair_sums(kernel, field))
    assert np.array_equal(*found)


def test_masses_below_all_numbers_are_left_out_of_no_sum() -> None:
    grid, kernel = Disk(512), Kernel("cosine", 0.01)
    spike = np.zeros(grid.size)
    spike[grid.nearest(grid.axis[None])] = grid.size
    logs = Smoother(grid, kernel).log_smooth(spike * (1 - 1e-200) + 1e-200 * grid.weights)
    exact = grid.log_rows(kernel, grid.nearest(grid.axis[None]), np.arange(grid.size))[0]
    np.testing.assert_allclose(logs, exact, rtol=0, atol=1e-10)


def test_spikes_of_two_wells_are_polished_to_what_atoms_find() -> None:
    from fieldsolve.equilibrium.wells import lowest_atoms

    problem = fs.Problem(["vmf:12@axis:0+12@axis:90", "vmf:12@axis:45"], 0.2, 0.0, 0.4, "smoothed", grid="disk:16", max_steps=200)
    found = problem.solve()
    assert found.atoms is not None
    assert found.energy == pytest.approx(lowest_atoms(problem.resolved, 16, 0.2, 0.4).polished.energy, abs=1e-4)


def test_the_command_line_takes_it(tmp_path) -> None:
    words = ["multimodal", "--grid", "disk:16", "--tau", "0.2", "--potential", "vmf:6@axis:0+6@axis:90", "--coupling", "0.3"]
    done = CliRunner().invoke(main, [*words, "-o", str(tmp_path / "run"), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["problem"]["grid"].startswith("disk:dimension=16")
    assert said["gap"] < 1e-6
    assert fs.load(tmp_path / "run").energy == said["energy"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("disk:3", "use --nside"),
        ("disk:5000", "4096"),
        ("disk:512,10", "at least"),
        ("disk:4096", "more than the 25000"),
        ("disk:2.5", "a number"),
    ],
)
def test_bad_disks_are_refused(text: str, said: str) -> None:
    done = CliRunner().invoke(main, ["unimodal", "--grid", text, "--potential", "flat"])
    assert done.exit_code == 3
    assert said.replace("use --nside", "--nside") in done.output


def test_what_a_disk_cannot_hold_is_refused() -> None:
    for function in (lambda at: at[:, 0], lambda at: at[:, 2], lambda at: at[:, 0] * at[:, 1], lambda at: np.exp(3 * at[:, 3])):
        with pytest.raises(InputError, match="two directions alone"):
            fs.Problem([function], grid="disk:8").functional()
    with pytest.raises(InputError, match=r"needs \d+ radii"):
        Smoother(Disk(8, 12, 32), Kernel("cosine", 0.01))
    with pytest.raises(InputError, match="one direction"):
        Smoother(Disk(512), Kernel("cosine", 0.001))
    with pytest.raises(InputError, match="concentration"):
        fs.Problem("vmf:12@axis", 0.001, grid="disk:8").solve()
    with pytest.raises(InputError, match="linear"):
        Smoother(Disk(8), Kernel("geodesic", 0.3))
