"""Finite batches: the expected logarithm of N negatives as an energy, its spinodal, and simulated batches."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import fieldsolve as fs
from fieldsolve.cli import main
from fieldsolve.diagrams.diagram import fill
from fieldsolve.diagrams.spec import spec_of
from fieldsolve.equilibrium.batches import Positive, batch_factors, positive_of
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.terms.cross_entropy import CrossEntropy, coupling_matrix
from fieldsolve.equilibrium.terms.finite_batch import FiniteBatch
from fieldsolve.grids import Circle, Grid, Healpix, Kernel, Zonal
from fieldsolve.numerics.errors import InputError
from fieldsolve.runs.executors import in_this_process
from fieldsolve.testing import check_term
from fieldsolve.theorems.batches import batch_dispersion, halfway
from fieldsolve.theorems.dispersion import measured_growth

ALIGNED, NONE = Positive("aligned"), Positive("none")
NUMBERS = (4, 16, 64, 256, 1024, 4096, 32768)
TABLE = {
    (2, 0.1): (0.454213, 0.352895, 0.284057, 0.267857, 0.264084, 0.263157, 0.262888),
    (3, 0.1): (0.480139, 0.420493, 0.330836, 0.289122, 0.278494, 0.275870, 0.275108),
    (3, 0.01): (0.497746, 0.488978, 0.457599, 0.375955, 0.290400, 0.261747, 0.253641),
    (64, 0.1): (0.499989, 0.499944, 0.499765, 0.499068, 0.496515, 0.489051, 0.470872),
    (512, 0.01): (0.5,) * 7,
}


def critical(dimension: int, tau: float, negatives: float, positive: Positive) -> float:
    return float(batch_dispersion(Kernel("cosine", tau), dimension, negatives, positive, 1).critical_couplings[0])


@pytest.mark.parametrize(("dimension", "tau"), TABLE)
def test_the_spinodals_of_the_theory(dimension: int, tau: float) -> None:
    found = [critical(dimension, tau, float(n), ALIGNED) for n in NUMBERS]
    np.testing.assert_allclose(found, TABLE[dimension, tau], atol=1e-5)


def test_spinodals_without_a_positive() -> None:
    found = [critical(2, 0.1, float(n), NONE) for n in (1, 2, 4, 16, 64, 256, 1024)]
    np.testing.assert_allclose(found, [0.5, 0.369609, 0.204525, 0.155217, 0.251125, 0.260397, 0.262259], atol=1e-6)
    found = [critical(512, 0.01, n, NONE) for n in (1024.0, 32768.0, 1e6)]
    np.testing.assert_allclose(found, [0.467127, 0.459997, 0.455759], atol=1e-6)


@pytest.mark.parametrize("positive", ["none", "aligned", "0.3", "vmf:20"])
def test_many_negatives_are_infinitely_many(positive: str) -> None:
    kernel = Kernel("cosine", 0.2)
    attraction, spread = batch_factors(kernel, 2, 1e9, positive_of(positive), 6)
    np.testing.assert_allclose(attraction[1:], kernel.spectrum(2, 6)[1:], rtol=1e-5)
    np.testing.assert_allclose(spread[1:], kernel.spectrum(2, 6)[1:] ** 2, rtol=1e-5)


@pytest.mark.parametrize(("positive", "degree"), [(NONE, 5), (NONE, 7), (ALIGNED, 10)])
def test_one_density_is_not_convex_with_few_negatives(positive: Positive, degree: int) -> None:
    """d 2, kappa 10, N 4: from degree 5 on, and weakly from 9 on with the aligned positive, by values of the energy itself."""
    kernel, grid = Kernel("cosine", 0.1), Circle(128)
    assert degree in batch_dispersion(kernel, 2, 4.0, positive).concave_degrees
    term = FiniteBatch(4, str(positive)).within(np.ones((1, 1)), kernel)
    delta = 1e-3 * np.cos(degree * grid.angles())
    values = [term.evaluate(grid, np.ones((1, grid.size)) + sign * delta)[0] for sign in (-1, 0, 1)]
    attraction, spread = batch_factors(kernel, 1, 4.0, positive, degree)
    assert values[0] + values[2] < 2 * values[1]
    bent = (values[0] - 2 * values[1] + values[2]) / np.mean(delta**2)
    assert bent == pytest.approx(2 * attraction[degree] - spread[degree], rel=1e-3)
    assert batch_dispersion(kernel, 2, 256.0, positive, 4).concave_degrees == []


def densities(grid: Circle) -> np.ndarray:
    angle = grid.angles()
    found = np.exp(np.stack([2 * np.cos(angle), 1.5 * np.cos(angle - 2) + 0.7 * np.cos(2 * angle)]))
    return found / found.mean(axis=1, keepdims=True)


def test_the_value_of_the_theory() -> None:
    """With k = exp(kappa (cos - 1)) in place of K, which takes log V off each of two densities."""
    grid, kernel = Circle(256), Kernel("cosine", 0.1)
    term = FiniteBatch(16, "none").within(coupling_matrix(0.3, 2), kernel)
    value = term.evaluate(grid, densities(grid))[0]
    assert 2 * (value - kernel.log_peak(1)) == pytest.approx(-5.2568948590, abs=1e-9)


@pytest.mark.parametrize("positive", ["none", "aligned", "0.3"])
@pytest.mark.parametrize("negatives", [2, 16])
def test_simulated_batches(negatives: int, positive: str) -> None:
    grid, kernel, rng = Circle(128), Kernel("cosine", 0.1), np.random.default_rng(5)
    density, coupling = densities(grid), 0.3
    term = FiniteBatch(negatives, positive).within(coupling_matrix(coupling, 2), kernel)
    angle = grid.angles()
    own = {"none": -np.inf, "aligned": 0.0}.get(positive)
    log_positive = (
        float(kernel.log_profile(np.arccos(0.3), 1)) if own is None else float(own + kernel.log_profile(np.zeros(1), 1)[0])
    )
    log_positive = -np.inf if positive == "none" else log_positive
    draws, means = 40_000, []
    for a in range(2):
        for b in range(2):
            anchors = rng.choice(grid.size, draws, p=density[a] / grid.size)
            others = rng.choice(grid.size, (draws, negatives), p=density[b] / grid.size)
            apart = np.abs(np.angle(np.exp(1j * (angle[anchors][:, None] - angle[others]))))
            logs = np.logaddexp.reduce(np.column_stack([kernel.log_profile(apart, 1), np.full(draws, log_positive)]), axis=1)
            logs -= np.log(negatives)
            weight = (1 - coupling if a == b else coupling) / 2
            means.append((weight * logs.mean(), (weight * logs.std()) ** 2 / draws))
    value, error = sum(one for one, _ in means), np.sqrt(sum(one for _, one in means))
    assert abs(value - term.evaluate(grid, density)[0]) < 2.5 * error


@pytest.mark.parametrize("positive", ["none", "aligned", "0.3", "vmf:20"])
@pytest.mark.parametrize("grid", [Circle(96), Healpix(8), Zonal(3, 30), Zonal(16, 50)], ids=str)
def test_batches_are_terms(grid: Grid, positive: str) -> None:
    for negatives in (1, 3, 64) if grid.dim == 1 else (3,):
        check_term(FiniteBatch(negatives, positive).within(coupling_matrix(0.3, 2), Kernel("cosine", 0.6)), grid)


def test_the_large_batch_limit_is_the_cross_entropy() -> None:
    grid, kernel, mixing = Circle(128), Kernel("cosine", 0.2), coupling_matrix(0.3, 2)
    limit, variation = CrossEntropy(mixing, kernel).evaluate(grid, densities(grid))
    differences = []
    for negatives in (1000, 10_000, 100_000):
        value, own = FiniteBatch(negatives, "aligned").within(mixing, kernel).evaluate(grid, densities(grid))
        differences.append(abs(value - limit))
        centred = (own - variation) - (own - variation).mean(axis=1, keepdims=True)
        assert np.abs(centred).max() < 3e3 / negatives
    assert differences[0] / differences[1] == pytest.approx(10, rel=0.2)
    assert differences[1] / differences[2] == pytest.approx(10, rel=0.05)


def test_positives_that_outweigh_everything_leave_one_half() -> None:
    """At tau = 0.0011 an aligned positive is exp(900) of the kernel's mean: nothing overflows, and nothing is left of e_l."""
    for dimension in (3, 512, 4096):
        found = batch_dispersion(Kernel("cosine", 1.1e-3), dimension, 32767, "aligned", 2)
        assert np.all(np.isfinite(found.critical_couplings))
        assert found.critical_couplings[0] <= 0.5


def test_spikes_of_batch_energies_are_held_by_the_grid_and_not_called_converged() -> None:
    solution = fs.Problem(["flat"] * 2, 0.1, 0.0, 0.45, "smoothed", batch=1_000_000, dimension=8).solve()
    assert solution.status.name == "PINNED"
    assert any("atoms of finite batches are not known" in note for note in solution.notes)


def test_the_sphere_and_zonal_nodes_agree() -> None:
    values = []
    for grid in (Healpix(8), Healpix(16), Zonal(3, 40)):
        height = grid.points() @ grid.axis
        density = np.exp(np.stack([1.2 * height, -0.7 * height + 0.5 * height**2])) * grid.weights
        density /= density.mean(axis=1, keepdims=True)
        values.append(FiniteBatch(8, "0.3").within(coupling_matrix(0.3, 2), Kernel("cosine", 0.1)).evaluate(grid, density)[0])
    assert abs(values[1] - values[2]) < abs(values[0] - values[2]) / 3 < 1e-4


def test_modes_grow_as_the_spinodal_says() -> None:
    """A mirror step of the energy of N negatives at uniform densities, through the solver's own step."""
    grid, kernel = Circle(96), Kernel("cosine", 0.1)
    found = batch_dispersion(kernel, 2, 16.0, "aligned", 3)
    for coupling in (0.30, 0.40):
        energy = Energy(grid, np.zeros((2, grid.size)), 0.1, coupling, kernel, (FiniteBatch(16),))
        mode = 1e-5 * grid.zonal(1)
        out = np.empty((2, grid.size))
        state = fs.equilibrium.densities.normalise(np.stack([mode, -mode]), 0.0)
        onward = energy.step(state, 1.0, out)[1]
        grown = np.mean((onward.field[0] - onward.field[1]) / 2 * mode) / np.mean(mode**2)
        predicted = 1 - (2 * found.attraction[0] * (1 - 2 * coupling) - found.spread[0])
        assert grown == pytest.approx(predicted, abs=1e-6)
    assert measured_growth(grid, kernel, 0.3, 1) != pytest.approx(predicted, abs=1e-2)


def test_descents_of_few_negatives_part_where_the_spinodal_says() -> None:
    """Circle, tau .1, N 16, aligned: .352895; far above the large-batch value of .26285."""
    for coupling, is_apart in ((0.33, False), (0.40, True)):
        problem = fs.Problem(
            ["flat"] * 2, 0.1, 0.0, coupling, "smoothed", batch=16, circle=64, start="tilted", tolerance=1e-5, max_steps=3000
        )
        solution = problem.solve()
        assert (solution.centroid_gap > 0.5) == is_apart
        assert np.diff(solution.trace.energy).max(initial=0.0) <= 1e-9
    infinite = fs.Problem(["flat"] * 2, 0.1, 0.0, 0.33, "smoothed", circle=64, start="tilted").solve()
    assert infinite.centroid_gap > 0.5


def test_at_the_dimension_and_temperature_of_clip_no_practical_batch_is_large() -> None:
    kernel = Kernel("cosine", 0.01)
    assert halfway(kernel, 512, ALIGNED) > 1e38
    assert 1e8 < halfway(kernel, 512, positive_of("0.3")) < 1e10
    assert 10 < halfway(Kernel("cosine", 0.1), 3, ALIGNED) < 100


def test_batches_in_diagrams_folders_and_on_the_command_line(tmp_path: Path) -> None:
    raw = {
        "problem": {"potential": "flat", "tau": 0.2, "circle": 32, "energy": "smoothed", "coupling": 0.4, "max_steps": 50},
        "axes": {"batch": [2, 8, 32]},
        "diagram": {"hysteresis": False},
    }
    diagram = fill(spec_of(raw), tmp_path / "d", in_this_process)
    assert not diagram.failures
    assert np.all(np.isfinite(diagram.field("energy")))
    options = ["multimodal", "--circle", "32", "--potential", "flat", "--energy", "smoothed", "--tau", "0.2", "--coupling", "0.2"]
    run = CliRunner().invoke(main, [*options, "--batch", "8", "--positive", "0.3", "--json", "-o", str(tmp_path / "run")])
    assert run.exit_code == 0, run.output
    values = json.loads(run.stdout)
    assert values["problem"]["batch"] == 8
    assert list(values["terms"]) == ["batch:negatives=8,positive=0.3"]
    again = fs.load(tmp_path / "run")
    assert again.problem.positive == "0.3"
    np.testing.assert_array_equal(again.problem.solve().density, again.density)
    found = json.loads(CliRunner().invoke(main, ["stability", "--tau", "0.1", "--batch", "16", "--json", "--lmax", "3"]).stdout)
    assert found["lambda_c"][0] == pytest.approx(0.420494, abs=1e-5)
    assert found["batch"]["positive"] == "aligned"
    few = json.loads(
        CliRunner()
        .invoke(main, ["stability", "--tau", "0.1", "--dimension", "2", "--batch", "4", "--positive", "none", "--json"])
        .stdout
    )
    assert None in few["lambda_c"]
    assert 5 in few["batch"]["concave_degrees"]


def test_what_is_no_batch_is_refused() -> None:
    with pytest.raises(InputError, match="batch's negatives"):
        fs.Problem("flat", batch=0.5, energy="smoothed")
    with pytest.raises(InputError, match="smoothed energy"):
        fs.Problem("flat", batch=4)
    with pytest.raises(InputError, match="none, aligned, a cosine"):
        fs.Problem("flat", batch=4, positive="1.5", energy="smoothed")
    with pytest.raises(InputError, match="up to nside 16"):
        fs.Problem("flat", batch=4, energy="smoothed", nside=32).solve()
    with pytest.raises(InputError, match="both take"):
        fs.Problem(["flat"] * 2, batch=4, energy="smoothed", nside=4, tau=1.0, terms=["sigmoid"]).solve()
    with pytest.raises(InputError, match="whole number of negatives"):
        batch_dispersion(Kernel("cosine", 0.1), 3, 0.5)
    with pytest.raises(InputError, match="whole number of negatives"):
        batch_dispersion(Kernel("cosine", 0.1), 3, 2.5)
    for wrong in (["--batch", "0"], ["--positive", "none"], ["--batch", "x"]):
        assert CliRunner().invoke(main, ["stability", *wrong]).exit_code == 2
    assert CliRunner().invoke(main, ["stability", "--batch", "4", "--positive", "2"]).exit_code == 2
    with pytest.raises(InputError, match="give batch too"):
        fs.Problem("flat", positive="none", energy="smoothed")
    with pytest.raises(InputError, match="for tau down to"):
        batch_dispersion(Kernel("cosine", 1e-4), 3, 8)
