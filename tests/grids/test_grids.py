"""Grids: points, smoothing by two routes, accuracy of logarithms, caps, rotations."""

import healpy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from fieldsolve.grids import Circle, Grid, Healpix, Smoother
from fieldsolve.grids.kernels import Kernel
from fieldsolve.grids.smoothing import can_smooth
from fieldsolve.numerics import threads
from fieldsolve.numerics.errors import InputError, UnresolvedKernelError

CRITICS = ["cosine", "rbf", "geodesic"]


def dense_log_kernel(grid: Grid, kernel: Kernel) -> np.ndarray:
    """log K(x_i, x_j) by numpy alone, through the angle."""
    points = grid.points()
    chord = np.linalg.norm(points[:, None] - points[None], axis=2)
    antichord = np.linalg.norm(points[:, None] + points[None], axis=2)
    return kernel.log_profile(2 * np.arctan2(chord, antichord), grid.dim)


@pytest.mark.parametrize("nside", [1, 2, 16])
def test_healpix_points_are_healpy_pixel_centres(nside: int) -> None:
    grid = Healpix(nside)
    expected = np.stack(healpy.pix2vec(nside, np.arange(grid.size)), axis=1)
    np.testing.assert_allclose(grid.points(), expected, atol=1e-15)
    np.testing.assert_array_equal(grid.nearest(grid.points()), np.arange(grid.size))


def test_circle_points_are_nearest_to_themselves() -> None:
    grid = Circle(31)
    np.testing.assert_array_equal(grid.nearest(grid.points()), np.arange(31))


@pytest.mark.parametrize("nside", [0, 3, 4096, -2, 4.0, True, "8", [8]])
def test_healpix_refuses_other_nsides(nside: object) -> None:
    with pytest.raises(InputError, match="power of two"):
        Healpix(nside)


@pytest.mark.parametrize("count", [2, 6.5, "8", True, 10**9, None])
def test_a_circle_refuses_other_counts(count: object) -> None:
    with pytest.raises(InputError, match="from 3 to 100000000 points"):
        Circle(count)


def test_numpys_whole_numbers_are_whole_numbers() -> None:
    assert str(Healpix(np.int64(8))) == "healpix:8"
    assert str(Circle(np.int32(8))) == "circle:8"


@pytest.mark.parametrize("critic", CRITICS)
@pytest.mark.parametrize("tau", [1.0, 0.2, 0.1])
def test_kernel_sum_is_the_plain_sum_by_three_routes(grid: Grid, critic: str, tau: float, rng: np.random.Generator) -> None:
    kernel = Kernel(critic, tau)
    field = rng.standard_normal(grid.size)
    plain = np.exp(dense_log_kernel(grid, kernel)) @ field / grid.size
    scale = np.abs(plain).max()
    assert np.abs(Smoother(grid, kernel).sum(field) - plain).max() < 1e-12 * scale
    assert np.abs(Smoother(grid, kernel).sum_pairs(field) - plain).max() < 1e-12 * scale


def test_kernel_sum_goes_beyond_three_nside(rng: np.random.Generator) -> None:
    grid, kernel = Healpix(16), Kernel("cosine", 0.011)
    lmax = kernel.harmonics(2)
    assert lmax is not None
    assert lmax > 3 * grid.nside
    field = rng.standard_normal(grid.size)
    difference = Smoother(grid, kernel).sum(field) - Smoother(grid, kernel).sum_pairs(field)
    assert np.abs(difference).max() < 1e-12 * np.abs(field).max()


@pytest.mark.parametrize("critic", CRITICS)
@given(seed=st.integers(0, 2**32 - 1), tau=st.floats(0.1, 3))
def test_smoothing_is_symmetric_and_conserves_mass(critic: str, seed: int, tau: float) -> None:
    kernel = Kernel(critic, tau)
    rng = np.random.default_rng(seed)
    for grid in (Healpix(8), Circle(64)):
        left, right = rng.standard_normal((2, grid.size))
        assert np.mean(Smoother(grid, kernel).smooth(left)) == pytest.approx(np.mean(left), abs=1e-13)
        assert np.mean(right * Smoother(grid, kernel).smooth(left)) == pytest.approx(
            np.mean(left * Smoother(grid, kernel).smooth(right)), abs=1e-13
        )
        np.testing.assert_allclose(Smoother(grid, kernel).smooth(np.ones(grid.size)), 1, atol=1e-13)


def test_smoothing_differs_from_the_plain_sum_by_the_volume_spread_only(rng: np.random.Generator) -> None:
    density = rng.exponential(size=Healpix(16).size)
    for nside, kernel in ((16, Kernel("cosine", 1.0)), (16, Kernel("cosine", 0.1))):
        grid = Healpix(nside)
        difference = np.abs(Smoother(grid, kernel).smooth(density) - Smoother(grid, kernel).sum(density)).max()
        spread = Smoother(grid, kernel).volume_spread()
        assert 0 < difference < 2 * spread * Smoother(grid, kernel).sum(density).max()


def test_volume_spread_falls_like_the_pixel_area() -> None:
    spreads = [Smoother(Healpix(nside), Kernel("cosine", 0.3)).volume_spread() for nside in (8, 16, 32)]
    assert spreads[0] / spreads[1] == pytest.approx(4, rel=0.1)
    assert spreads[1] / spreads[2] == pytest.approx(4, rel=0.1)


def test_smoothing_multiplies_harmonics_by_the_spectrum() -> None:
    kernel, errors = Kernel("cosine", 0.5), []
    for nside in (16, 32):
        grid = Healpix(nside)
        z = grid.points()[:, 2]
        errors.append(np.abs(Smoother(grid, kernel).smooth(z) - kernel.spectrum(2, 1)[1] * z).max())
    assert errors[0] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.3)
    circle = Circle(50)
    wave = np.cos(3 * circle.angles())
    np.testing.assert_allclose(Smoother(circle, kernel).smooth(wave), kernel.spectrum(1, 3)[3] * wave, atol=1e-14)


def adversarial_densities(grid: Grid, tau: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    north, other = np.zeros(grid.size), grid.size // 3
    north[0] = 1
    two = 1e-12 * north
    two[other] += 1
    height = grid.points()[:, -1]
    return {
        "one pixel": grid.size * north,
        "two pixels, 1e-12 to 1": grid.size * two,
        "one pixel on a floor": 1e-6 + (1 - 1e-6) * grid.size * north,
        "a hundred pixels": np.where(np.arange(grid.size) % (grid.size // 100) == 0, rng.exponential(size=grid.size), 0.0),
        "gibbs": np.exp((height - 1) / tau),
        "log-normal": np.exp(5 * rng.standard_normal(grid.size)),
        "half empty": np.where(height > 0, 1.0, 0.0),
    }


@pytest.mark.parametrize("critic", ["cosine", "geodesic"])
@pytest.mark.parametrize("tau", [1.0, 0.1, 0.01])
def test_log_smooth_is_accurate_to_1e_10_everywhere(critic: str, tau: float, rng: np.random.Generator) -> None:
    for grid in (Healpix(16), Circle(128)):
        kernel = Kernel(critic, tau)
        if not grid.resolves(kernel):
            kernel = Kernel(critic, tau, unresolved=True)
        log_kernel = dense_log_kernel(grid, kernel)
        log_balance = np.log(Smoother(grid, kernel).balance)
        for name, density in adversarial_densities(grid, tau, rng).items():
            with np.errstate(divide="ignore"):
                weights = np.log(density) + log_balance
            exact = logsumexp(log_kernel + weights[None], axis=1) - np.log(grid.size) + log_balance
            error = np.abs(Smoother(grid, kernel).log_smooth(density) - exact).max()
            assert error < 1e-10, (type(grid).__name__, name, error)


def test_log_smooth_is_accurate_for_the_sharpest_kernel_that_is_resolved(rng: np.random.Generator) -> None:
    """tau = 1e-3 at nside 64, against sums over all pixels at every 389th point."""
    grid, kernel = Healpix(64), Kernel("cosine", 1e-3)
    points, log_balance = grid.points(), np.log(Smoother(grid, kernel).balance)
    at = np.arange(0, grid.size, 389)
    angle = 2 * np.arcsin(np.minimum(np.linalg.norm(points[at, None] - points[None], axis=2) / 2, 1.0))
    log_kernel = kernel.log_profile(angle, 2)
    densities = adversarial_densities(grid, 1e-3, rng)
    for name in ("one pixel", "two pixels, 1e-12 to 1", "one pixel on a floor", "a hundred pixels"):
        with np.errstate(divide="ignore"):
            weights = np.log(densities[name]) + log_balance
        exact = logsumexp(log_kernel + weights[None], axis=1) - np.log(grid.size) + log_balance[at]
        assert np.abs(Smoother(grid, kernel).log_smooth(densities[name])[at] - exact).max() < 1e-10, name


@pytest.mark.parametrize("tau", [1.0, 0.05])
def test_points_that_count_for_less_are_less_accurate_but_to_1e_6(tau: float) -> None:
    """Two hemispheres apart: the weight says where the other's tail matters; error times weight stays below 1e-10."""
    grid, kernel = Healpix(16), Kernel("cosine", tau)
    height = grid.points()[:, 2]
    density = np.exp((height - 1) / tau)
    exact = Smoother(grid, kernel).log_smooth(density)
    weight = np.exp(-3 * (1 - height) / tau)
    error = np.abs(Smoother(grid, kernel).log_smooth(density, weight=weight) - exact)
    assert error.max() < 1e-6
    assert (weight * error).max() < 1e-10
    np.testing.assert_allclose(Smoother(grid, kernel).smooth_closely(density, weight=weight), np.exp(exact), rtol=1e-6)
    np.testing.assert_allclose(Smoother(grid, kernel).smooth_closely(density), np.exp(exact), rtol=1e-10)


def test_log_smooth_reaches_exp_minus_200() -> None:
    grid, kernel = Healpix(16), Kernel("cosine", 0.01)
    spike = np.zeros(grid.size)
    spike[0] = grid.size
    log_q = Smoother(grid, kernel).log_smooth(spike)
    assert log_q.max() - log_q.min() > 198


def test_log_smooth_finds_the_points_it_cannot_trust() -> None:
    """Without the direct evaluation the harmonic value is wrong: the check that guards it can fail."""
    grid, kernel = Healpix(16), Kernel("cosine", 0.05)
    density = np.exp((grid.points()[:, 2] - 1) / 0.05)
    harmonic = Smoother(grid, kernel).smooth(density)
    relative = np.abs(harmonic / np.exp(Smoother(grid, kernel).log_smooth(density)) - 1)
    assert relative.max() > 1e-6
    assert relative[density > 1e-3].max() < 1e-10


@pytest.mark.parametrize("density", [[-1.0, 3.0], [np.nan, 1.0], [0.0, 0.0], [np.inf, 1.0]])
def test_log_smooth_refuses_what_is_no_density(density: list[float]) -> None:
    grid = Circle(32)
    with pytest.raises(InputError, match="density"):
        Smoother(grid, Kernel("cosine", 1.0)).log_smooth(np.resize(density, 32))


def test_unresolved_kernels_are_refused_with_the_grid_that_would_do() -> None:
    kernel = Kernel("cosine", 1e-3)
    with pytest.raises(UnresolvedKernelError, match="nside 64"):
        Smoother(Healpix(16), kernel).smooth(np.ones(3072))
    assert Healpix(64).resolves(kernel)
    assert not Healpix(32).resolves(kernel)
    allowed = Kernel("cosine", 1e-3, unresolved=True)
    assert Smoother(Healpix(16), allowed).smooth(np.ones(3072)) == pytest.approx(1, abs=1e-12)
    with pytest.raises(UnresolvedKernelError, match="299 points"):
        Smoother(Circle(20), kernel).smooth(np.ones(20))
    assert Circle(300).resolves(kernel)


def test_kernels_that_would_take_forever_are_refused() -> None:
    kernel = Kernel("geodesic", 0.5)
    with pytest.raises(InputError, match="no short spectrum"):
        Smoother(Healpix(64), kernel).smooth(np.ones(49152))
    assert not can_smooth(Healpix(64), kernel)
    assert can_smooth(Healpix(32), kernel)
    assert can_smooth(Healpix(64), Kernel("geodesic", 0.2))


@pytest.mark.parametrize("critic", CRITICS)
def test_smoothing_gives_the_same_bits_for_one_and_two_threads(critic: str, rng: np.random.Generator) -> None:
    grid, kernel = Healpix(32), Kernel(critic, 0.2)
    density = np.exp(4 * rng.standard_normal(grid.size))
    results = []
    for count in (1, 2):
        with threads.limit(count):
            results.append((Smoother(grid, kernel).sum(density), Smoother(grid, kernel).log_smooth(density)))
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.parametrize("radius", [0.2, 0.5, 1.3])
def test_coverage_is_the_area_of_caps(radius: float) -> None:
    one, two = np.array([[0.3, 0.4, 0.866]]), np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    one /= np.linalg.norm(one)
    for centres in (one, two):
        covered = Healpix(32).coverage(centres, radius)
        exact = len(centres) * (1 - np.cos(radius)) / 2
        assert covered.mean() == pytest.approx(exact, rel=3e-4)
        assert np.any((covered > 0) & (covered < 1))
    on_circle = Circle(100).coverage(np.array([[1.0, 0.0]]), radius)
    assert on_circle.mean() == pytest.approx(radius / np.pi, rel=1e-3)


@given(seed=st.integers(0, 1000), radius=st.floats(0.01, 3.14), nside=st.sampled_from([1, 4, 16]))
def test_caps_found_by_discs_are_those_of_distances(seed: int, radius: float, nside: int) -> None:
    centres = np.random.default_rng(seed).standard_normal((2, 3))
    centres[seed % 2] = [0.0, 0.0, (-1.0) ** seed]
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    grid = Healpix(nside)
    covered = grid.coverage(centres, radius)
    distance = np.arccos(np.clip(grid.points() @ centres.T, -1, 1)).min(axis=1)
    far = 1.5 * grid.spacing
    assert np.all(covered[distance < radius - far] == 1)
    assert np.all(covered[distance > radius + far] == 0)
    assert np.all((covered >= 0) & (covered <= 1 + 1e-12))


def test_rotation_by_a_quarter_turn_about_z_permutes_pixels(rng: np.random.Generator) -> None:
    grid = Healpix(8)
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    field = rng.standard_normal(grid.size)
    turned = grid.rotate(field, quarter)
    source = grid.nearest(grid.points() @ quarter)
    np.testing.assert_allclose(turned, field[source], atol=1e-12)


def test_rotation_of_a_smooth_field_converges(rng: np.random.Generator) -> None:
    angle = 0.7
    rotation = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    errors = []
    for nside in (16, 32):
        grid = Healpix(nside)
        points = grid.points()
        errors.append(np.abs(grid.rotate(np.exp(points[:, 0]), rotation) - np.exp((points @ rotation)[:, 0])).max())
    # Bilinear interpolation of HEALPix maps: second order in the belt, first order near the poles.
    assert errors[0] < 5e-3
    assert errors[1] < 0.7 * errors[0]
    circle = Circle(64)
    turned = circle.rotate(np.exp(np.cos(circle.angles())), rotation[[0, 2]][:, [0, 2]].T)
    np.testing.assert_allclose(turned, np.exp(np.cos(circle.angles() - angle)), atol=1e-12)


def test_centroid_and_mean_do_not_depend_on_chunks() -> None:
    grid = Healpix(128)  # more points than a chunk
    density = 1 + grid.points()[:, 2]
    np.testing.assert_allclose(grid.centroid(density), grid.points().T @ density / grid.size, atol=1e-15)
    np.testing.assert_allclose(grid.centroid(np.stack([density, density]))[1], [0, 0, 1 / 3], atol=1e-4)


def test_coverage_converges_at_second_order() -> None:
    centre = np.array([[0.8, 0.1, -0.5]]) / np.sqrt(0.9)
    exact = (1 - np.cos(0.5)) / 2
    errors = [Healpix(nside).coverage(centre, 0.5).mean() - exact for nside in (16, 32, 64)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("tau", [1e-2, 1e-3, 1e-4])
def test_unresolved_kernels_are_still_balanced_when_they_are_allowed(tau: float) -> None:
    grid, kernel = Healpix(8), Kernel("cosine", tau, unresolved=True)
    np.testing.assert_allclose(Smoother(grid, kernel).smooth(np.ones(grid.size)), 1, atol=1e-10)
