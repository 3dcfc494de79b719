"""Sums with relative accuracy: through nodes, over patches of pairs, and what is smoothed in bands; against all pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fieldsolve as fs
from fieldsolve.grids import Circle, Grid, Healpix, Kernel, Smoother, allpairs, boxes, nodes, transforms
from fieldsolve.grids.smoothing import LOG_ACCURACY
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array


def densities(grid: Grid, tau: float, rng: np.random.Generator) -> dict[str, Array]:
    """What is hard to smooth in logarithms: far below the maximum almost everywhere, rough, or both."""
    points = grid.points()
    spikes = np.full(grid.size, 1e-12)
    spikes[[1, grid.size // 3]] = 1.0
    spots = np.exp((points[:, 0] - 1) / tau) + 1e-9 * np.exp((points[:, 1] - 1) / (tau / 4))
    return {
        "spikes": spikes,
        "two spots": spots,
        "log-normal": np.exp(6 * rng.standard_normal(grid.size)),
        "floor": np.maximum(np.exp((points[:, -1] - 1) / tau), 1e-5),
        "half empty": np.where(points[:, 0] > 0, rng.exponential(size=grid.size), 0.0),
    }


def by_pairs(smoother: Smoother, density: Array, at: Array) -> Array:
    """log K rho at some points, over all pairs, none left out."""
    grid, balance, points = smoother.grid, smoother.balance, smoother.grid.points()
    sources = np.flatnonzero(density)
    log_masses = np.log(density[sources] * balance[sources])
    sums = allpairs._over_pairs(allpairs._log_sums, points[at], points[sources], log_masses, smoother.kernel)
    return np.asarray(sums + np.log(balance[at]) + grid.log_peak(smoother.kernel) - np.log(grid.size))


@pytest.mark.parametrize(
    ("grid", "critic", "tau"),
    [
        (Healpix(32), "cosine", 0.02),
        (Healpix(64), "rbf", 0.1),
        (Healpix(64), "cosine", 0.005),
        (Healpix(128), "cosine", 0.05),
        (Healpix(256), "cosine", 0.1),
        (Circle(5000), "cosine", 0.003),
        (Circle(999), "rbf", 0.3),
    ],
    ids=str,
)
def test_log_smooth_agrees_with_all_pairs_everywhere(grid: Grid, critic: str, tau: float, rng: np.random.Generator) -> None:
    smoother, at = Smoother(grid, Kernel(critic, tau)), rng.choice(grid.size, 300, replace=False)
    for name, density in densities(grid, tau, rng).items():
        exact = by_pairs(smoother, density, at)
        assert np.abs(smoother.log_smooth(density)[at] - exact).max() < 1e-11, name
        close = smoother.log_smooth(density, weight=density)[at]
        assert np.abs(close - exact).max() < 5e-7, name
        assert (np.minimum(density[at], 1) * np.abs(close - exact)).max() < LOG_ACCURACY, name


@pytest.mark.parametrize(("grid", "tau"), [(Healpix(64), 0.05), (Healpix(128), 0.02), (Circle(20_000), 0.01)], ids=str)
def test_few_pairs_of_points_are_summed_at_usual_temperatures(
    grid: Grid, tau: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [0]
    over_pairs = allpairs.log_sums

    def counted(targets: Array, sources: Array, log_weights: Array, kernel: Kernel) -> Array:
        pairs[0] += len(targets) * len(sources)
        return over_pairs(targets, sources, log_weights, kernel)

    monkeypatch.setattr(allpairs, "log_sums", counted)
    for density in densities(grid, tau, rng).values():
        assert np.all(np.isfinite(Smoother(grid, Kernel("cosine", tau)).log_smooth(density)))
    assert pairs[0] < 0.02 * grid.size**2


def test_the_sum_over_nodes_does_not_grow_with_the_points() -> None:
    for kappa in (1.0, 20.0, 200.0):
        assert len({nodes.net_of(Healpix(nside).rings(), kappa, nodes.FINE).count for nside in (4, 64, 512)}) == 1


@pytest.mark.parametrize(("distance", "error"), [(nodes.FINE, nodes.FINE_ERROR), (nodes.COARSE, nodes.COARSE_ERROR)])
def test_between_nodes_kernels_are_interpolated_to_the_error_that_is_said(distance: float, error: float) -> None:
    """Relative to the value there, for every profile exp(k cos t), k from 0 to kappa, and every place between nodes."""
    weights, worst = np.empty(nodes.ORDER), 0.0
    for kappa in (0.5, 4.0, 12.0, 12.2, 20.0, 60.0, 300.0):
        net = nodes.net_of(Circle(10).rings(), kappa, distance)
        spacing = 2 * np.pi / net.around
        for share in (0.03, 0.31, 0.5):
            offset = nodes.ORDER // 2 - 1 + share
            nodes._weights(offset, nodes.signs(), weights)
            for k in kappa * np.array([0.1, 0.5, 1.0]):
                for t in np.linspace(0, np.pi, 41):
                    there = t + spacing * (np.arange(nodes.ORDER) - offset)
                    worst = max(worst, abs(weights @ np.exp(k * (np.cos(there) - np.cos(t))) - 1))
    assert error / 10 < worst < error / 1.5  # two coordinates add up, here mildly


@settings(max_examples=30)
@given(kappa=st.floats(0.5, 100), nside=st.sampled_from([1, 2, 4, 8]), seed=st.integers(0, 1000))
def test_sums_through_nodes_are_those_over_pairs(kappa: float, nside: int, seed: int) -> None:
    """Also where nodes are far more than points, and at the poles."""
    grid, rng = Healpix(nside), np.random.default_rng(seed)
    masses = np.exp(rng.uniform(-200, 0, grid.size)) * (rng.random(grid.size) < 0.7)
    masses[rng.integers(grid.size)] = 1.0
    targets = np.flatnonzero(rng.random(grid.size) < 0.5)
    found = nodes.sums(nodes.net_of(grid.rings(), kappa, nodes.FINE), masses, targets)
    points = grid.points()
    with np.errstate(divide="ignore"):
        exact = allpairs._over_pairs(allpairs._log_sums, points[targets], points, np.log(masses), Kernel("cosine", 1 / kappa))
    np.testing.assert_allclose(np.log(found), exact, rtol=0, atol=1e-11)


@settings(max_examples=30)
@given(
    kappa=st.floats(1, 3000),
    grid=st.sampled_from([Healpix(1), Healpix(8), Healpix(16), Circle(3), Circle(200)]),
    spread=st.floats(0, 600),
    seed=st.integers(0, 1000),
)
def test_sums_about_boxes_are_those_over_pairs(kappa: float, grid: Grid, spread: float, seed: int) -> None:
    rng, points = np.random.default_rng(seed), grid.points()
    log_masses = np.where(rng.random(grid.size) < 0.3, -np.inf, rng.uniform(-spread, 0, grid.size))
    log_masses[rng.integers(grid.size)] = 0.0
    targets = np.flatnonzero(rng.random(grid.size) < 0.5)
    targets = targets if len(targets) else np.array([0])
    rings = grid.rings()
    assert rings is not None
    found = boxes.log_sums(rings, points, log_masses, kappa, targets)
    exact = allpairs._over_pairs(allpairs._log_sums, points[targets], points, log_masses, Kernel("cosine", 1 / kappa))
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-11)


def test_a_single_mass_at_the_antipode_is_summed() -> None:
    """Products of unit vectors may be a rounding below -1, where a bound of a patch must not be lost."""
    grid = Healpix(8)
    points, rings = grid.points(), grid.rings()
    assert rings is not None
    for pixel in range(0, grid.size, 5):
        log_masses = np.full(grid.size, -np.inf)
        log_masses[pixel] = 0.0
        target = grid.nearest(-points[pixel : pixel + 1])
        expected = 500.0 * (points[target[0]] @ points[pixel] - 1)
        assert boxes.log_sums(rings, points, log_masses, 500.0, target)[0] == pytest.approx(expected, abs=1e-9)
        bounds, reach = np.array([[*points[pixel], 1.0, 0.0, 0.0]]).T.copy(), np.empty(1)
        allpairs.reach_of_patches(*(-points[pixel] * (1 + 1e-15)), bounds, 500.0, reach)
        assert reach[0] == pytest.approx(-1000.0)


def test_narrow_kernels_on_large_grids_go_over_boxes(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    grid, kernel, calls = Healpix(128), Kernel("cosine", 0.003), []
    density = np.exp(6 * rng.standard_normal(grid.size))
    density[grid.points()[:, 2] > 0] *= 1e-40
    about_boxes = boxes.log_sums
    monkeypatch.setattr(boxes, "log_sums", lambda *given: (calls.append(1), about_boxes(*given))[1])
    smoother, at = Smoother(grid, kernel), rng.choice(grid.size, 300, replace=False)
    assert np.abs(smoother.log_smooth(density)[at] - by_pairs(smoother, density, at)).max() < 1e-11
    assert calls


@given(rate=st.floats(1, 3000), spread=st.floats(0, 300), seed=st.integers(0, 1000))
def test_patches_that_are_left_out_change_nothing(rate: float, spread: float, seed: int) -> None:
    rng, points = np.random.default_rng(seed), Healpix(16).points()
    log_weights = np.where(rng.random(len(points)) < 0.1, -np.inf, rng.uniform(-spread, 0, len(points)))
    kernel, targets = Kernel("cosine", 1 / rate), points[rng.choice(len(points), 40)]
    found = allpairs._over_patches(targets, points, log_weights, kernel)
    exact = allpairs._over_pairs(allpairs._log_sums, targets, points, log_weights, kernel)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-12 * (1 + rate))


def test_bands_of_rings_cover_the_sphere_and_add_up_to_it(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    grid, kernel = Healpix(64), Kernel("cosine", 0.05)
    field = rng.exponential(size=grid.size)
    whole = Smoother(grid, kernel).sum(field)
    assert len(transforms.bands(64, 100)) == 1
    monkeypatch.setattr(transforms, "_WHOLE", 0)
    parts = transforms.bands(64, 100)
    in_bands = Smoother(grid, kernel).sum(field)
    assert len(parts) >= 4
    counts = np.zeros(grid.size, dtype=int)
    for part in parts:
        counts[part.north] += 1
        counts[part.south] += 1
    assert np.all(counts == 1)
    np.testing.assert_allclose(in_bands, whole, rtol=1e-13)


def test_large_maps_are_smoothed_to_the_same_bits_by_one_and_two_threads(rng: np.random.Generator) -> None:
    grid, kernel = Healpix(256), Kernel("cosine", 0.1)
    assert len(transforms.bands(256, 100)) > 1
    assert len(transforms.bands(256, 3)) == 1  # where every band's coefficients would take more room than its points
    density = np.exp(4 * rng.standard_normal(grid.size))
    density[: grid.size // 2] *= 1e-30
    results = []
    for count in (1, 2):
        with threads.limit(count):
            smoother = Smoother(grid, kernel)
            results.append((smoother.smooth(density), smoother.log_smooth(density), smoother.smooth_closely(density)))
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.parametrize("grid", [Healpix(4), Healpix(32), Circle(7)], ids=str)
def test_rings_are_where_the_points_are(grid: Grid) -> None:
    rings = grid.rings()
    assert rings is not None
    assert rings.first[-1] + rings.number[-1] == grid.size
    for polar, longitude, first, number in zip(*rings, strict=True):
        angle = longitude + 2 * np.pi * np.arange(number) / number
        across = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        expected = across if grid.dim == 1 else np.column_stack([np.sin(polar) * across, np.full(number, np.cos(polar))])
        np.testing.assert_allclose(grid.points(int(first), int(first + number)), expected, atol=1e-14)


def test_a_balance_conserves_mass_to_rounding_and_knows_the_volumes_spread() -> None:
    narrow = [(Circle(3), 0.004), (Circle(100), 1e-5), (Circle(8), 1e-3)]  # the volume is far from 1
    for grid, tau in ((Healpix(8), 1.0), (Healpix(64), 0.01), (Circle(500), 0.001), *narrow):
        smoother = Smoother(grid, Kernel("cosine", tau, unresolved=True))
        assert np.abs(smoother.smooth(np.ones(grid.size)) - 1).max() < 1e-14
        assert smoother.volume_spread() == pytest.approx(np.ptp(smoother.sum(np.ones(grid.size))), abs=1e-14)


def test_a_smoothed_solve_of_concentrated_densities_ends_where_all_pairs_say(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = fs.Problem(nside=16, tau=0.1, coupling=1.0, energy="smoothed", start="tilted")
    through_nodes = problem.solve()
    monkeypatch.setattr(nodes, "MOST_CONCENTRATED", 0.0)
    over_pairs = problem.solve()
    assert len(through_nodes.trace) == len(over_pairs.trace)
    assert through_nodes.energy == pytest.approx(over_pairs.energy, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-315, 1e-300, 1e300, 1e307])
def test_scales_out_of_range_lose_no_digits(scale: float, rng: np.random.Generator) -> None:
    grid = Healpix(8)
    smoother, density = Smoother(grid, Kernel("cosine", 0.2)), np.exp(3 * rng.standard_normal(grid.size) - 15)
    scaled = density * scale
    exact = by_pairs(smoother, scaled * (1e250 if scale < 1 else 1e-250), np.arange(grid.size))
    expected = exact - np.log(1e250 if scale < 1 else 1e-250)
    np.testing.assert_allclose(smoother.log_smooth(scaled), expected, rtol=0, atol=1e-11)
    if scale > 1e-310:  # what is smoothed is no denormal number itself
        np.testing.assert_allclose(np.log(smoother.smooth_closely(scaled)), expected, rtol=0, atol=1e-9)


def test_the_sharpest_kernels_of_fine_circles_keep_their_digits(rng: np.random.Generator) -> None:
    """kappa of a million: products of unit vectors less 1 would be wrong by 1e-10 of what is in the exponent."""
    grid = Circle(10_000)
    kernel = Kernel("cosine", 1.1e-6)
    smoother, density = Smoother(grid, kernel), rng.exponential(size=grid.size)
    density[3000:7000] *= 1e-200
    at = np.arange(0, grid.size, 97)
    steps = np.abs((at[:, None] - np.arange(grid.size)) % grid.size)
    exponents = -2 / 1.1e-6 * np.sin(np.pi * steps / grid.size) ** 2 + np.log(density * smoother.balance)
    exact = np.logaddexp.reduce(exponents, axis=1) + np.log(smoother.balance[at]) + grid.log_peak(kernel) - np.log(grid.size)
    near = exact > -1000
    masses = density * smoother.balance / grid.size
    about_boxes = boxes.log_sums(grid.rings(), grid.points(), np.log(masses), 1 / 1.1e-6, at)
    assert np.abs(about_boxes - (exact - np.log(smoother.balance[at]) - grid.log_peak(kernel)))[near].max() < 3e-11
    assert np.abs(smoother.log_smooth(density)[at] - exact)[near].max() < 1e-10
