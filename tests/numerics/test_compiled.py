"""The vectorised exponential against the C library's in extended precision."""

import numpy as np
from numba import njit

from fieldsolve.numerics.compiled import exp


@njit
def _apply(x, out):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        out[i] = exp(x[i])


def test_relative_error_is_below_four_roundings(rng: np.random.Generator) -> None:
    x = np.concatenate([rng.uniform(-708, 709, 200_000), rng.uniform(-1, 1, 200_000), np.linspace(-1e-300, 1e-300, 9)])
    out = np.empty_like(x)
    _apply(x, out)
    exact = np.exp(x.astype(np.longdouble))
    assert float(np.abs(out / exact - 1).max()) < 4e-16


def test_outside_the_range_it_clamps() -> None:
    x = np.array([-1e9, -np.inf, 1e9])
    out = np.empty_like(x)
    _apply(x, out)
    assert 0 < out[0] == out[1] < 1e-307
    assert 1e307 < out[2] < np.inf
