"""The problem at one point: its list of local minima against a search, its symmetries, its roots."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit

from fieldsolve.equilibrium import local_problem as pointwise
from fieldsolve.numerics.arrays import Array

LATTICE = 700


@njit
def integrand(c1: float, c2: float, coupling: float, x: float, y: float) -> float:
    own = 1 - coupling
    return np.exp(x) * (c1 + own * x + coupling * y) + np.exp(y) * (c2 + own * y + coupling * x)


@njit
def searched(c1: float, c2: float, coupling: float, low: float, high: float) -> tuple[float, float]:
    """The least value on a lattice of log densities, and the largest change to a neighbour of where it is."""
    step = (high - low) / LATTICE
    best, at_x, at_y = np.inf, low, low
    for i in range(LATTICE + 1):
        for j in range(LATTICE + 1):
            here = integrand(c1, c2, coupling, low + i * step, low + j * step)
            if here < best:
                best, at_x, at_y = here, low + i * step, low + j * step
    change = 0.0
    for dx in (-step, step):
        for dy in (-step, step):
            x, y = min(max(at_x + dx, low), high), min(max(at_y + dy, low), high)
            change = max(change, integrand(c1, c2, coupling, x, y) - best)
    return best, change


def listed(c1: float, c2: float, box: pointwise.Box) -> tuple[Array, Array]:
    found = pointwise.minima_of(1)
    pointwise.minima(np.array([c1]), np.array([c2]), box, found)
    return found.values[:, 0].copy(), np.stack([found.first[:, 0], found.second[:, 0]], axis=1)


def matched_ratio(difference: float, box: pointwise.Box) -> float:
    ratios = np.empty(1)
    pointwise.matched_ratios(np.array([difference]), box, ratios)
    return float(ratios[0])


def side_ratio(kappa: float, least: float, most: float, box: pointwise.Box) -> float:
    ratios = np.empty(1)
    pointwise.side_ratios(np.array([kappa]), least, most, box, ratios)
    return float(ratios[0])


couplings = st.one_of(st.floats(1e-3, 1), st.sampled_from([0.24, 0.249999, 0.25, 0.5, 0.999, 1.0]))
floors = st.floats(-14, -0.05).map(np.exp)
costs = st.floats(-9, 5)


@given(
    coupling=couplings,
    floor=floors,
    size=st.sampled_from([2, 12, 3072]),
    c1=costs,
    apart=st.one_of(st.just(0.0), st.floats(-4, 4)),
)
@example(coupling=0.1, floor=1e-3, size=3072, c1=-1.4, apart=0.0)
def test_the_list_holds_the_minimum(coupling: float, floor: float, size: int, c1: float, apart: float) -> None:
    box = pointwise.box(coupling, floor, floor + (1 - floor) * size)
    values, _ = listed(c1, c1 + apart, box)
    found, change = searched(c1, c1 + apart, coupling, box.log_floor, box.log_peak)
    rounding = 1e-12 * (1 + abs(found))
    assert values.min() <= found + rounding
    assert found <= values.min() + change + rounding


@given(coupling=couplings, floor=floors, c1=costs, c2=costs)
def test_every_listed_value_is_taken_by_its_pair(coupling: float, floor: float, c1: float, c2: float) -> None:
    box = pointwise.box(coupling, floor, 400.0)
    values, pairs = listed(c1, c2, box)
    for value, pair in zip(values, pairs, strict=True):
        assert np.all((pair >= floor * (1 - 1e-12)) & (pair <= 400 * (1 + 1e-12)))
        size = float(pair @ (1 + np.abs([c1, c2]) + np.abs(np.log(pair)).max()))
        assert value == pytest.approx(integrand(c1, c2, coupling, *np.log(pair)), abs=1e-12 * size)


@given(coupling=couplings, floor=floors, c1=costs, c2=costs)
def test_swapping_the_modalities_swaps_the_sheets(coupling: float, floor: float, c1: float, c2: float) -> None:
    box = pointwise.box(coupling, floor, 50.0)
    (values, pairs), (swapped, swapped_pairs) = listed(c1, c2, box), listed(c2, c1, box)
    order = [pointwise.MATCHED, pointwise.SECOND, pointwise.FIRST]
    np.testing.assert_allclose(values[order], swapped, rtol=1e-11)
    np.testing.assert_allclose(pairs[order][:, ::-1], swapped_pairs, rtol=1e-6)


@given(coupling=st.floats(1e-3, 0.2499), share=st.floats(-0.999999, 0.999999))
def test_matched_ratio_is_the_root_within_the_fold(coupling: float, share: float) -> None:
    box = pointwise.box(coupling, 0.1, 10.0)
    difference = share * -box.fold_slope
    t = matched_ratio(difference, box)
    assert abs(t) <= box.fold
    assert (2 * coupling - 1) * t + 2 * coupling * np.sinh(t) == pytest.approx(difference, abs=1e-12 * (1 - box.fold_slope))
    assert np.isnan(matched_ratio(1.0001 * box.fold_slope, box))


@given(coupling=st.floats(1e-3, 0.999), s=st.floats(-6, 12))
def test_side_ratio_is_the_root_on_the_rising_branch(coupling: float, s: float) -> None:
    box = pointwise.box(coupling, 0.1, 10.0)
    kappa = (1 - coupling) * s + coupling * np.exp(-s)
    found = side_ratio(kappa, -20.0, 20.0, box)
    if s > box.turn + 1e-6:
        assert found == pytest.approx(s, abs=1e-6)
        assert (1 - coupling) * found + coupling * np.exp(-found) == pytest.approx(kappa, abs=1e-12 * (1 + abs(kappa)))
        assert np.isnan(side_ratio(kappa, -20.0, s - 1e-3, box))
    else:
        assert np.isnan(found) or found >= box.turn


@given(coupling=couplings, floor=floors, seed=st.integers(0, 1000))
def test_many_points_at_once_have_the_minima_of_each(coupling: float, floor: float, seed: int) -> None:
    costs = np.random.default_rng(seed).uniform(-9, 5, (2, 100))
    box = pointwise.box(coupling, floor, 400.0)
    found = pointwise.minima_of(100)
    pointwise.minima(*costs, box, found)
    for i in range(0, 100, 9):
        values, pairs = listed(*costs[:, i], box)
        np.testing.assert_allclose(found.values[:, i], values, rtol=1e-12)
        np.testing.assert_allclose(np.stack([found.first[:, i], found.second[:, i]], axis=1), pairs, rtol=1e-6)
