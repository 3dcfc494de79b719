"""Kernels between spheres of points with the same projection: against quadrature, against points, and their slopes."""

import numpy as np
import pytest

from fieldsolve.grids import Kernel, Zonal
from fieldsolve.grids.bessel import log_exponential_mean, mean_resultant, mean_resultants
from fieldsolve.grids.gegenbauer import gauss_rule
from fieldsolve.grids.shells import Shells
from fieldsolve.numerics.errors import InputError


def some(shells: Shells, count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, shells.components))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.mark.parametrize(("dimension", "directions"), [(3, 1), (6, 1), (6, 2), (7, 4), (40, 3)])
def test_the_kernel_is_the_mean_over_both_shells(dimension: int, directions: int) -> None:
    shells, kernel = Shells(dimension, directions), Kernel("cosine", 0.2)
    x, y = some(shells, 5, 1), some(shells, 4, 2)
    cosines, masses = gauss_rule(dimension - directions, 60)
    products = (x[:, :-1] @ y[:, :-1].T)[..., None] + np.outer(x[:, -1], y[:, -1])[..., None] * cosines
    direct = np.log(np.exp(5 * products) @ masses) - float(log_exponential_mean(5.0, dimension))
    np.testing.assert_allclose(shells.log_kernel(kernel, x, y), direct, atol=1e-12)


def test_shells_of_all_but_one_direction_are_pairs_of_points() -> None:
    shells, kernel = Shells(3, 2), Kernel("cosine", 0.2)
    x, y = some(shells, 3, 1), some(shells, 3, 2)
    mirrored = y * np.array([1.0, 1.0, -1.0])
    both = np.logaddexp(5 * x @ y.T, 5 * x @ mirrored.T) - np.log(2) - float(log_exponential_mean(5.0, 3))
    np.testing.assert_allclose(shells.log_kernel(kernel, x, y), both, atol=1e-13)
    points = Shells(3, 3)
    np.testing.assert_allclose(points.log_kernel(kernel, x, y), 5 * x @ y.T - float(log_exponential_mean(5.0, 3)), atol=1e-13)


@pytest.mark.parametrize(("dimension", "directions"), [(3, 3), (3, 1), (6, 2), (512, 1)])
def test_slopes_are_those_of_differences(dimension: int, directions: int) -> None:
    shells, kernel = Shells(dimension, directions), Kernel("rbf", 0.3)
    x, y, step = some(shells, 4, 3), some(shells, 3, 4), 1e-6
    slopes = shells.log_kernel_slopes(kernel, x, y)
    for c in range(shells.components):
        ends = [shells.log_kernel(kernel, x + sign * step * np.eye(shells.components)[c], y) for sign in (1, -1)]
        np.testing.assert_allclose(slopes[..., c], (ends[0] - ends[1]) / (2 * step), atol=1e-6)


def test_zonal_nodes_are_shells_of_one_direction() -> None:
    grid = Zonal(5, 30)
    shells = grid.shells()
    assert shells == Shells(5, 1)
    vectors = grid.shell_vectors()
    np.testing.assert_allclose(grid.from_shells(vectors) @ grid.axis, grid.heights, atol=1e-15)
    np.testing.assert_array_equal(grid.nearest(grid.from_shells(vectors)), np.arange(30))


def test_mean_resultants_are_odd_and_those_of_one_at_a_time() -> None:
    x = np.array([-30.0, -0.5, 0.0, 1e-3, 2.0, 400.0])
    for components in (1, 2, 3, 511):
        found = mean_resultants(x, components)
        single = [np.sign(one) * mean_resultant(components, abs(one)) for one in x]
        np.testing.assert_allclose(found, single, rtol=1e-13, atol=1e-300)
    assert mean_resultants(np.array([1.5]), 1)[0] == pytest.approx(np.tanh(1.5), rel=1e-14)
    with pytest.raises(InputError, match="1 to 4 directions"):
        Shells(4, 5)
