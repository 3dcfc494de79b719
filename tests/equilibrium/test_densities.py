"""Floored densities: normalisation, projection, and logarithms far below what a double holds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import logsumexp

from fieldsolve.equilibrium.densities import from_density, normalise, renormalise
from fieldsolve.numerics.errors import InputError


@given(seed=st.integers(0, 2**32 - 1), floor=st.sampled_from([0.0, 1e-6, 1e-3, 0.1, 0.5, 0.99]), scale=st.floats(0.01, 300))
def test_densities_have_mean_one_and_keep_the_floor(seed: int, floor: float, scale: float) -> None:
    field = scale * np.random.default_rng(seed).standard_normal((2, 500)) + 1000
    state = normalise(field, floor)
    density = state.density()
    np.testing.assert_allclose(density.mean(axis=1), 1, rtol=1e-12)
    assert density.min() >= floor
    with np.errstate(divide="ignore"):
        normal = density > 1e-300  # logarithms of subnormal numbers have few digits
        np.testing.assert_allclose(state.log_density()[normal], np.log(density)[normal], atol=1e-12)


def test_normaliser_is_the_root_that_bisection_finds(rng: np.random.Generator) -> None:
    field, floor = 3 * rng.standard_normal(400), 0.2
    root = brentq(lambda c: np.mean(np.maximum(floor, np.exp(field - c))) - 1, -20, 20, xtol=1e-14)
    assert normalise(field[None], floor).shift[0] == pytest.approx(root, abs=1e-12)
    assert normalise(field[None], 0.0).shift[0] == pytest.approx(logsumexp(field) - np.log(400), abs=1e-13)


@pytest.mark.parametrize("guess", [-1e6, -800.0, 0.0, 5.0, 1e6])
def test_any_guess_leads_to_the_same_normaliser(guess: float, rng: np.random.Generator) -> None:
    field = 2 * rng.standard_normal((1, 3000))
    for floor in (0.0, 0.3):
        plain = normalise(field, floor)
        np.testing.assert_allclose(renormalise(plain.with_shift(np.array([guess]))).shift, plain.shift, atol=1e-14)


def test_logarithms_reach_beyond_doubles() -> None:
    field = np.zeros((1, 100))
    field[0, 0] = 5000.0
    state = normalise(field, 0.0)
    assert state.log_density()[0, 1] == pytest.approx(np.log(100) - 5000, abs=1e-9)
    assert state.density()[0, 1] == 0


def test_projection_of_a_density_is_itself() -> None:
    density = np.array([[0.5, 1.5, 0.25, 1.75]])
    np.testing.assert_allclose(from_density(3 * density, 0.0).density(), density, rtol=1e-14)
    np.testing.assert_allclose(from_density(density, 0.25).density(), density, rtol=1e-14)
    projected = from_density(density, 0.6).density()
    assert projected[0, 0] == projected[0, 2] == 0.6
    assert projected[0, 3] / projected[0, 1] == pytest.approx(1.75 / 1.5)


@pytest.mark.parametrize("density", [[1.0, np.nan], [1.0, -0.1], [0.0, 0.0], [np.inf, 1.0]])
def test_what_is_no_density_is_refused(density: list[float]) -> None:
    with pytest.raises(InputError, match="density"):
        from_density(np.array(density), 0.1)


def test_fields_that_are_not_finite_are_refused() -> None:
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(InputError, match="finite"):
            normalise(np.array([[0.0, bad]]), 0.1)


@pytest.mark.parametrize("floor", [-0.1, 1.0, 2.0, np.nan, 1e-300])
def test_floors_outside_the_range_are_refused(floor: float) -> None:
    with pytest.raises(InputError, match="floor"):
        normalise(np.zeros((1, 10)), floor)
