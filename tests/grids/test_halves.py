"""The half of a kernel: K = S S exactly, S positive, and the sums between."""

import numpy as np
import pytest

from fieldsolve.grids import Circle, Grid, Healpix, Kernel, Smoother
from fieldsolve.grids.halves import Half, why_no_half


@pytest.mark.parametrize(
    ("grid", "kernel"),
    [
        (Healpix(8), Kernel("cosine", 0.3)),
        (Healpix(4), Kernel("rbf", 2.0)),
        (Circle(64), Kernel("cosine", 0.05)),
        (Circle(30), Kernel("cosine", 1.0)),
    ],
    ids=str,
)
def test_a_kernel_is_its_half_twice(grid: Grid, kernel: Kernel) -> None:
    half, smoother = Half(grid, kernel), Smoother(grid, kernel)
    fields = np.random.default_rng(0).exponential(size=(2, grid.size))
    spread = half.spread(fields)
    peak = np.exp(grid.log_peak(kernel))
    np.testing.assert_allclose(half.gather(spread), smoother.sum(fields), atol=1e-13 * peak)
    np.testing.assert_allclose(spread @ half.weights, fields.mean(axis=1), rtol=1e-13)
    np.testing.assert_allclose((spread**2) @ half.weights, np.mean(fields * smoother.sum(fields), axis=1), rtol=1e-12)
    others = np.random.default_rng(1).standard_normal((2, len(half.weights)))
    np.testing.assert_allclose((spread * others) @ half.weights, np.mean(fields * half.gather(others), axis=1), atol=1e-11)


@pytest.mark.parametrize("grid", [Healpix(4), Circle(48)], ids=str)
def test_the_half_is_positive(grid: Grid) -> None:
    half = Half(grid, Kernel("cosine", 0.5))
    spikes = np.zeros((4, grid.size))
    spikes[np.arange(4), [0, 5, 11, 40]] = grid.size
    spread = half.spread(spikes)
    largest, least, _ = half.profile
    assert least * (1 - 1e-9) - half.deficit <= spread.min()
    assert spread.max() <= largest + half.deficit
    assert least > 0


def test_which_kernels_have_a_half() -> None:
    assert why_no_half(Healpix(4), Kernel("cosine", 0.5)) is None
    assert "geodesic" in str(why_no_half(Healpix(4), Kernel("geodesic", 0.5)))
