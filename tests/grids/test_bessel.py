"""Mean resultants in any dimension, and the concentration that has one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ive

from fieldsolve.grids.bessel import concentration_of, log_exponential_mean, mean_resultant


def test_values_of_the_theory() -> None:
    # mpmath, 40 digits.
    assert mean_resultant(512, 100) == pytest.approx(0.1884047640148357, rel=1e-14)
    assert mean_resultant(4096, 100) == pytest.approx(0.02439953498285047, rel=1e-14)
    assert mean_resultant(3, 2.0) == pytest.approx(1 / np.tanh(2) - 0.5, rel=1e-14)


@given(st.floats(0.5, 80), st.floats(1e-3, 300))
def test_ratios_of_bessel_functions(components: float, concentration: float) -> None:
    above, below = (ive(components / 2 - 1 + k, concentration) for k in (1, 0))
    if below > 1e-280:
        assert mean_resultant(components, concentration) == pytest.approx(above / below, rel=1e-10)


@given(st.floats(0.5, 5000), st.floats(1e-4, 0.999))
def test_concentrations_are_the_inverse(components: float, resultant: float) -> None:
    assert mean_resultant(components, concentration_of(components, resultant)) == pytest.approx(resultant, rel=1e-10)


def test_ends() -> None:
    assert mean_resultant(10, 0) == 0
    assert concentration_of(10, 0) == concentration_of(10, -0.1) == 0
    assert concentration_of(10, 1) == np.inf


@pytest.mark.parametrize(
    ("components", "x", "expected"),
    [
        (8, 100.0, 86.7901991434345774),
        (511, 100.0, 9.6069420864237394),
        (512, 1136.0, 647.520615337379537),
        (4096, 100.0, 1.22033979304405046),
        (3, 1e5, 99987.79392735448),
        (512, 1e5, 98395.66811212864),
    ],
)
def test_logarithms_of_exponential_means(components: int, x: float, expected: float) -> None:
    """mpmath, 40 digits; by the series, and beyond 5000 by the expansion."""
    assert float(log_exponential_mean(x, components)) == pytest.approx(expected, rel=2e-16, abs=4e-13 if x < 5000 else 2e-11)


def test_the_series_meets_the_expansion() -> None:
    for components in (2, 3, 17, 512, 4096):
        values = log_exponential_mean(np.array([4999.9, 5000.0, 5000.1]), components)
        slope = mean_resultant(components, 5000.0)
        np.testing.assert_allclose(np.diff(values), 0.1 * slope, atol=3e-11 + 1e-6 * (1 - slope))
    assert float(log_exponential_mean(2.0, 1)) == pytest.approx(np.log(np.cosh(2.0)), rel=1e-15)
    assert float(log_exponential_mean(0.0, 5)) == 0.0
