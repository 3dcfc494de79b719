"""Densities of one direction in any dimension: nodes, masses, the exact kernel, against closed forms and other grids."""

from math import pi

import numpy as np
import pytest

from fieldsolve.equilibrium.energy import Energy
from fieldsolve.grids import Healpix, Kernel, Smoother, Zonal, grid_of, zonal_for
from fieldsolve.grids.bessel import log_exponential_mean, mean_resultant
from fieldsolve.grids.gegenbauer import gauss_rule, orthonormal
from fieldsolve.grids.zonal import nodes_for
from fieldsolve.numerics.errors import InputError
from fieldsolve.theorems.dispersion import dispersion, measured_growth

DIMENSIONS = [(8, 0.1, 20.0), (64, 0.01, 50.0), (512, 0.01, 200.0), (4096, 0.01, 1000.0), (3, 0.1, 5.0), (5, 0.1, 5.0)]


def von_mises_fisher(grid: Zonal, concentration: float) -> np.ndarray:
    """exp(b t)/A_d(b) as a density is stored."""
    return np.exp(concentration * grid.heights - log_exponential_mean(abs(concentration), grid.dimension) + grid.log_weights)


@pytest.mark.parametrize(("dimension", "tau", "concentration"), DIMENSIONS)
def test_a_smoothed_von_mises_fisher_density_in_closed_form(dimension: int, tau: float, concentration: float) -> None:
    kappa, b = 1 / tau, concentration
    grid, kernel = Zonal(dimension, nodes_for(dimension, kappa + b)), Kernel("cosine", tau)
    density = von_mises_fisher(grid, b)
    assert density.mean() == pytest.approx(1, abs=1e-12)
    both = np.sqrt(kappa**2 + b**2 + 2 * kappa * b * grid.heights)
    exact = log_exponential_mean(both, dimension) - sum(float(log_exponential_mean(x, dimension)) for x in (kappa, b))
    assert np.abs(Smoother(grid, kernel).log_smooth(density) - exact).max() < 1e-12
    assert grid.centroid(density)[-1] == pytest.approx(mean_resultant(dimension, b), rel=1e-12)


def test_values_of_the_theory() -> None:
    grid, kernel = Zonal(512, nodes_for(512, 300.0)), Kernel("cosine", 0.01)
    log_smoothed = Smoother(grid, kernel).log_smooth(von_mises_fisher(grid, 200.0))
    # At the nodes next to the poles, and in between: log K vMF(200) at t = -1, 0, 1.
    assert np.interp(0.0, grid.heights[::-1], log_smoothed[::-1]) == pytest.approx(-1.088417263181451, abs=1e-2)
    assert log_smoothed[-1] == pytest.approx(-36.56537221671175, abs=1e-2)
    assert log_smoothed[0] == pytest.approx(31.00580947058572, abs=1e-2)


@pytest.mark.parametrize(
    ("dimension", "tau", "b", "expected"),
    [
        (512, 0.01, (200, 150), (10.285072827754, -9.891831074181, -10.331461789356, 6.402949173845)),
        (8, 0.1, (20, 5), (3.231545985046, -3.678290507218, -6.743709052296, 0.950290636509)),
        (4096, 0.01, (1000, 500), (5.2669793442, -2.7982088968, -2.8457288319, 1.4283488686)),
    ],
)
def test_cross_entropies_of_the_theory(dimension: int, tau: float, b: tuple[float, float], expected: tuple[float, ...]) -> None:
    grid = Zonal(dimension, nodes_for(dimension, 1 / tau + max(b)))
    density = np.stack([von_mises_fisher(grid, b[0]), von_mises_fisher(grid, -b[1])])
    energy = Energy(grid, np.zeros((2, grid.size)), tau, 1.0, Kernel("cosine", tau))
    np.testing.assert_allclose(-energy.evaluate(density)[0].cross_entropy.ravel(), expected, atol=1e-9)


@pytest.mark.parametrize("dimension", [3, 6, 40])
def test_the_kernel_is_the_mean_over_shells(dimension: int) -> None:
    """The closed form against Gauss's rule over the angle between the rests of two points."""
    grid, kernel = Zonal(dimension, 60), Kernel("rbf", 0.3)
    cosines, masses = gauss_rule(dimension - 1, 80)
    radius = np.sin(grid.angles)
    products = grid.heights[:, None, None] * grid.heights[:, None] + (radius[:, None] * radius)[..., None] * cosines
    direct = np.log(np.exp(kernel.concentration * products) @ masses) - log_exponential_mean(kernel.concentration, dimension)
    every = np.arange(grid.size)
    np.testing.assert_allclose(grid.log_rows(kernel, every, every), direct, atol=1e-12)
    assert np.abs(Smoother(grid, kernel).balance - 1).max() < 1e-12


def test_sums_in_logarithms_are_those_of_numbers_where_numbers_are_enough() -> None:
    """A kernel of tau = 0.001 spans 2000 nats: sums are taken in logarithms, and refused where masses below all numbers count."""
    grid, kernel = Zonal(64, nodes_for(64, 2000.0)), Kernel("cosine", 1e-3)
    kappa = 1000.0
    for b in (100.0, 1000.0):
        density = von_mises_fisher(grid, b)
        both = np.sqrt(kappa**2 + b**2 + 2 * kappa * b * grid.heights)
        exact = log_exponential_mean(both, 64) - sum(float(log_exponential_mean(x, 64)) for x in (kappa, b))
        if b == 100.0:
            assert np.abs(Smoother(grid, kernel).log_smooth(density) - exact).max() < 1e-10
            continue
        with pytest.raises(InputError, match="below all numbers"):
            Smoother(grid, kernel).log_smooth(density)
        counted = density > 1e-100
        found = Smoother(grid, kernel).log_smooth(density, np.where(counted, density, 0.0))
        assert np.abs(found - exact)[counted].max() < 1e-10


@pytest.mark.parametrize(("dimension", "count"), [(3, 30), (4, 40), (7, 40), (8, 40), (512, 168)])
def test_polynomials_are_orthonormal(dimension: int, count: int) -> None:
    grid = Zonal(dimension, count)
    own = orthonormal(dimension, grid.heights, min(grid.largest_degree, 12))
    np.testing.assert_allclose((own * grid.weights) @ own.T / grid.size, np.eye(len(own)), atol=2e-3)
    assert grid.mean(grid.heights**2) == pytest.approx(1 / dimension, rel=1e-9)


def test_growth_of_the_dipole_in_one_mirror_step_at_512() -> None:
    kernel, grid = Kernel("cosine", 0.01), Zonal(512)
    for coupling in (0.43, 0.47):
        predicted = dispersion(kernel, 512).growth(coupling)
        assert measured_growth(grid, kernel, coupling, 1) == pytest.approx(predicted[0], abs=1e-9)
        assert measured_growth(grid, kernel, coupling, 2) == pytest.approx(predicted[1], abs=1e-7)


@pytest.mark.parametrize("count", [12, 24, 48])
def test_midpoints_converge_geometrically_and_legendre_nodes_at_3(count: int) -> None:
    """int exp(3 t) dmu against its closed form."""
    for dimension in (3, 8, 9):
        grid = Zonal(dimension, max(count, nodes_for(dimension, 0.0)))
        error = abs(np.log(grid.mean(np.exp(3 * grid.heights))) - float(log_exponential_mean(3.0, dimension)))
        assert error < 1e-13


def test_caps_and_rotations_along_the_axis() -> None:
    grid = Zonal(3, 400)
    covered = grid.coverage(grid.axis[None], 0.7)
    assert np.mean(grid.weights * covered) == pytest.approx((1 - np.cos(0.7)) / 2, abs=1e-5)
    both = grid.coverage(np.stack([grid.axis, -grid.axis]), 0.7)
    np.testing.assert_allclose(both, covered + covered[::-1], atol=1e-3)
    np.testing.assert_array_equal(grid.rotate(grid.heights, grid.rotation(180.0)), grid.heights[::-1])
    with pytest.raises(InputError, match="180 degrees"):
        grid.rotate(grid.heights, grid.rotation(90.0))
    with pytest.raises(InputError, match="axis alone"):
        grid.coverage(np.array([[1.0, 0.0, 0.0]]), 0.7)


def test_what_is_no_zonal_grid_is_refused() -> None:
    for dimension in (2, 4097, 3.5):
        with pytest.raises(InputError, match="3 to 4096 dimensions"):
            Zonal(dimension)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="from 143 nodes"):
        Zonal(512, 100)
    with pytest.raises(InputError, match="functions of the height"):
        Zonal(8).evaluate(lambda points: points[:, 0])
    with pytest.raises(InputError, match="needs 199 nodes"):
        Smoother(Zonal(512, 168), Kernel("cosine", 1 / 488))
    with pytest.raises(InputError, match="linear"):
        Smoother(Zonal(8), Kernel("geodesic", 0.5))
    assert grid_of("zonal:512,168") == Zonal(512) == zonal_for(512, Kernel("cosine", 0.01))
    assert Zonal(512, 143).coarser() is None
    assert Zonal(512, 300).coarser() == Zonal(512, 150)
    assert Healpix(4).weights.tolist() == [1.0]
    assert Zonal(3, 20).spacing == pytest.approx(pi / 20)
