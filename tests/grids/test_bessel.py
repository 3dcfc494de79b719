"""Mean resultants in any dimension, and the concentration that has one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ive

from fieldsolve.grids.bessel import concentration_of, mean_resultant


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
