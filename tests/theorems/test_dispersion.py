"""Where the uniform matched state breaks: the formula, the solver's own step, high dimensions, and the command."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.special import ive

import fieldsolve as fs
from fieldsolve.cli import main
from fieldsolve.equilibrium.densities import normalise
from fieldsolve.grids import Circle, Healpix
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics.errors import InputError
from fieldsolve.theorems.dispersion import dispersion, measured_growth


@pytest.mark.parametrize("tau", [1.0, 0.3, 0.1, 0.01])
def test_the_dipole_on_the_sphere_in_closed_form(tau: float) -> None:
    found = dispersion(Kernel("cosine", tau))
    assert found.breaks_at == pytest.approx(0.5 - (1 / np.tanh(1 / tau) - tau) / 4, abs=1e-14)
    assert found.mode == 1
    assert np.all(np.diff(found.critical_couplings[:4]) > 0)


@pytest.mark.parametrize("dimension", [2, 3, 16, 512, 4096])
def test_any_dimension_against_bessel_functions_and_quadrature(dimension: int) -> None:
    """cosine by scipy, or bounds of Amos; geodesic tends to rbf as the temperature falls, where angle and chord agree."""
    order, x = dimension / 2 - 1, 50.0
    found = dispersion(Kernel("cosine", 1 / x), dimension).spectrum[1]
    assert x / (order + 1 + np.hypot(order + 1, x)) <= found <= x / (order + np.hypot(order + 2, x))
    if dimension < 1000:  # beyond, the functions themselves underflow
        assert found == pytest.approx(ive(order + 1, x) / ive(order, x), rel=1e-11)
    sharp = 1e-3 / dimension
    geodesic, rbf = (dispersion(Kernel(critic, sharp), dimension, 8).spectrum for critic in ("geodesic", "rbf"))
    np.testing.assert_allclose(geodesic, rbf, atol=2e-3)
    assert np.all(np.isfinite(dispersion(Kernel("geodesic", 1.0), dimension, 64).spectrum))


def test_clip_in_its_own_dimension() -> None:
    """At temperature 0.01 and 512 components smoothing keeps the matched state until 0.4529, and a dipole breaks it."""
    found = dispersion(Kernel("cosine", 0.01), 512)
    assert (found.mode, round(found.breaks_at, 4)) == (1, 0.4529)


@pytest.mark.parametrize(("grid", "accuracy"), [(Circle(256), 1e-9), (Healpix(32), 1e-3)])
@pytest.mark.parametrize(("critic", "tau"), [("cosine", 0.3), ("rbf", 0.3), ("geodesic", 0.2), ("cosine", 0.05)])
def test_measured_growth_is_the_predicted_one(grid: Circle | Healpix, accuracy: float, critic: str, tau: float) -> None:
    kernel = Kernel(critic, tau)
    found = dispersion(kernel, grid.dim + 1)
    for coupling in (0.0, 0.2, 0.5, 1.0):
        predicted = found.growth(coupling)
        for degree in (1, 2, 4):
            assert measured_growth(grid, kernel, coupling, degree) == pytest.approx(predicted[degree - 1], abs=accuracy)


@pytest.mark.parametrize("tau", [0.3, 0.1])
def test_the_solver_breaks_where_the_formula_says(tau: float) -> None:
    """Below the critical coupling a dipole dies out, above it two antipodal densities remain: the nonlinear route."""
    grid, kernel = Circle(128), Kernel("cosine", tau)
    critical = dispersion(kernel, 2).breaks_at
    seed = 0.05 * np.stack([np.cos(grid.angles()), -np.cos(grid.angles())])
    start = normalise(seed, 0.0).density()
    gaps = []
    for coupling in (critical - 0.02, critical + 0.02):
        solution = fs.Problem(
            [fs.flat()] * 2, tau=tau, floor=0.0, coupling=coupling, start=start, tolerance=1e-7, energy="smoothed", grid=grid
        ).solve()
        assert solution.converged
        gaps.append(solution.centroid_gap)
    assert gaps[0] < 1e-2
    assert gaps[1] > 0.3


def test_refusals() -> None:
    with pytest.raises(InputError, match="components"):
        dispersion(Kernel(), 1)
    with pytest.raises(InputError, match="degree 1"):
        dispersion(Kernel(), 3, 0)


def run(*arguments: object) -> object:
    return CliRunner().invoke(main, ["stability", *map(str, arguments)])


def test_the_command(tmp_path: Path) -> None:
    figures = json.loads(run("--tau", 0.3, "--lmax", 3, "--json").stdout)
    assert figures["schema"] == "fieldsolve/stability/1"
    np.testing.assert_allclose(figures["lambda_c"], dispersion(Kernel("cosine", 0.3), 3, 3).critical_couplings)
    assert figures["breaks_at"] == figures["lambda_c"][0]
    done = run("--nside", 16, "-o", tmp_path / "s", "--figure", tmp_path / "s.pdf")
    assert done.exit_code == 0
    assert "growth of degree 1" in done.stdout
    assert {path.name for path in (tmp_path / "s").iterdir()} == {"summary.json", "table.csv", "figure.png"}
    assert (tmp_path / "s" / "figure.png").stat().st_size > 20_000
    assert (tmp_path / "s.pdf").read_bytes().startswith(b"%PDF")
    assert CliRunner().invoke(main, ["show", f"{tmp_path}/s"]).stdout == done.stdout
    assert run("-o", tmp_path / "s").exit_code == run("--figure", tmp_path / "s.pdf").exit_code == 3
    assert run("-o", tmp_path / "s", "--figure", tmp_path / "s.pdf", "--force").exit_code == 0
    assert run("--figure", tmp_path / "none" / "s.pdf").exit_code == 3
    refused = run("-o", tmp_path / "s.png")
    assert refused.exit_code == 2
    assert "--figure FILE" in refused.stderr
    assert run("--figure", tmp_path / "s.txt").exit_code == 2
    assert run("--tau", -1).exit_code == 2
    assert run("--nside", 16, "--dim", 512).exit_code == 2
