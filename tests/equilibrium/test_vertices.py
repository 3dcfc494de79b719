"""Closed forms against brute force, quadrature, each other and the continuum."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from fieldsolve.equilibrium import gibbs as closed
from fieldsolve.equilibrium import vertices
from fieldsolve.equilibrium.densities import normalise
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.gibbs import gibbs_bound
from fieldsolve.equilibrium.potentials import flat, mixture, two_well
from fieldsolve.grids import Circle, Healpix
from fieldsolve.numerics.errors import InputError

# log Z of the two-well potential at nside 1024, converged to about 1e-7.
LOG_PARTITION = {10: 0.0385845, 5: 0.0785743, 2.5: 0.1626570, 1: 0.4455120, 0.5: 1.0034071, 0.2: 3.0806838, 0.1: 7.1192463}


def energy_of_logs(energy: Energy, log_densities: np.ndarray) -> float:
    state = normalise(log_densities, 0.0)
    return energy.step(state, 1.0, np.empty_like(log_densities))[0].value


@pytest.mark.parametrize("tau", LOG_PARTITION)
def test_log_partition_converges_at_second_order_to_the_known_values(tau: float) -> None:
    values = [closed.log_partition(two_well().on(Healpix(nside)), tau) for nside in (32, 64, 128)]
    assert (values[0] - values[1]) / (values[1] - values[2]) == pytest.approx(4, rel=0.02)
    extrapolated = values[2] + (values[2] - values[1]) / 3
    assert extrapolated == pytest.approx(LOG_PARTITION[tau], abs=3e-7)


def test_log_partition_on_the_circle_is_a_bessel_function() -> None:
    grid = Circle(64)
    assert closed.log_partition(np.cos(grid.angles()), 0.5) == pytest.approx(np.log(np.i0(2.0)), abs=1e-14)


def test_gibbs_without_a_floor_is_the_exponential(rng: np.random.Generator) -> None:
    potential = rng.uniform(-1, 1, (1, 200))
    log_density = closed.gibbs(potential, 0.1).log_density()
    expected = -potential / 0.1 - logsumexp(-potential / 0.1) + np.log(200)
    np.testing.assert_allclose(log_density, expected, atol=1e-12)


@given(seed=st.integers(0, 2**32 - 1), floor=st.floats(1e-6, 0.9), tau=st.floats(0.05, 5))
def test_the_bound_is_the_energy_of_floored_gibbs_and_below_all_others(seed: int, floor: float, tau: float) -> None:
    rng = np.random.default_rng(seed)
    potential = rng.uniform(-1, 1, 60)
    energy = Energy(Circle(60), potential[None], tau)
    bound = gibbs_bound(potential, tau, floor)
    at_gibbs = energy_of_logs(energy, closed.gibbs(potential[None], tau, floor).log_density())
    assert bound == pytest.approx(at_gibbs, abs=1e-12 * max(1, abs(bound)))
    for _ in range(5):
        other = normalise(rng.standard_normal((1, 60)) * 3, floor)
        assert energy_of_logs(energy, other.log_density()) >= bound - 1e-12


@given(
    seed=st.integers(0, 2**32 - 1),
    modalities=st.sampled_from([3, 4]),
    floor=st.floats(1e-6, 0.9),
    tau=st.floats(0.01, 5),
    ties=st.booleans(),
)
def test_vertex_minimum_is_the_best_of_all_vertices_of_several(
    seed: int, modalities: int, floor: float, tau: float, ties: bool
) -> None:
    rng, size = np.random.default_rng(seed), 7
    shape = (modalities, size)
    potentials = rng.integers(0, 3, shape).astype(float) if ties else rng.uniform(-1, 1, shape)
    brute = min(vertices.vertex_energy(potentials, tau, floor, pixels) for pixels in product(range(size), repeat=modalities))
    found = vertices.vertex_minimum(potentials, tau, floor)
    assert found.value == pytest.approx(brute, abs=1e-11 * max(1, abs(brute)))
    at_found = Energy(Circle(size), potentials, tau, 1.0).value(vertices.at_vertices(found, size, floor))
    assert found.value == pytest.approx(at_found, abs=1e-11 * max(1, abs(brute)))


@pytest.mark.parametrize("nside", [1, 2])
@given(seed=st.integers(0, 2**32 - 1), floor=st.floats(1e-6, 0.9), tau=st.floats(0.01, 5), ties=st.booleans())
def test_vertex_minimum_is_the_best_of_all_pairs_of_vertices(nside: int, seed: int, floor: float, tau: float, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    grid = Healpix(nside)
    potentials = rng.integers(0, 3, (2, grid.size)).astype(float) if ties else rng.uniform(-1, 1, (2, grid.size))
    energy = Energy(grid, potentials, tau, 1.0)
    every = np.stack([vertices.vertex(pixel, grid.size, floor) for pixel in range(grid.size)])
    brute = min(energy_of_logs(energy, np.stack([every[i], every[j]])) for i, j in product(range(grid.size), repeat=2))
    found = vertices.vertex_minimum(potentials, tau, floor)
    assert found.value == pytest.approx(brute, abs=1e-11 * max(1, abs(brute)))
    at_found = energy_of_logs(energy, every[list(found.pixels)])
    assert found.value == pytest.approx(at_found, abs=1e-11 * max(1, abs(brute)))


@given(seed=st.integers(0, 2**32 - 1), floor=st.floats(1e-4, 0.5))
def test_no_density_beats_the_vertex_minimum(seed: int, floor: float) -> None:
    rng = np.random.default_rng(seed)
    potentials = rng.uniform(-1, 1, (2, 30))
    energy = Energy(Circle(30), potentials, 0.3, 1.0)
    minimum = vertices.vertex_minimum(potentials, 0.3, floor).value
    for scale in (0.1, 1, 10, 100):
        state = normalise(scale * rng.standard_normal((2, 30)), floor)
        assert energy_of_logs(energy, state.log_density()) >= minimum - 1e-12


@given(seed=st.integers(0, 2**32 - 1), floor=st.floats(1e-4, 0.9))
def test_best_response_is_the_best_vertex_against_any_density(seed: int, floor: float) -> None:
    rng = np.random.default_rng(seed)
    potentials = rng.uniform(-1, 1, (2, 30))
    energy = Energy(Circle(30), potentials, 0.3, 1.0)
    other = normalise(rng.uniform(0, 5) * rng.standard_normal((1, 30)), floor).log_density()[0]
    values = [energy_of_logs(energy, np.stack([vertices.vertex(k, 30, floor), other])) for k in range(30)]
    best = vertices.best_response(potentials[0], other[None], 0.3, floor)
    assert values[best] == pytest.approx(min(values), abs=1e-12)


def test_the_grid_minimum_approaches_the_continuum_infimum() -> None:
    """2F -> sum_a [m min U_a/tau + (eps/tau) int U_a] + 2 log eps, with the remainder of order log N / N."""
    floor, tau, remainders = 1e-2, 0.5, []
    for nside in (8, 16, 32, 64, 128):
        potentials = np.stack([two_well().on(Healpix(nside)), mixture(np.array([[1.0, 2, 3]]), 5.0).on(Healpix(nside))])
        binding = (1 - floor) * potentials.min(axis=1) + floor * potentials.mean(axis=1)
        continuum = binding.sum() / tau + 2 * np.log(floor)
        remainders.append(2 * vertices.vertex_minimum(potentials, tau, floor).value - continuum)
    assert all(remainder > 0 for remainder in remainders)
    ratios = [np.log(12 * (2 * n) ** 2) / np.log(12 * n**2) / 4 for n in (8, 16, 32, 64)]
    for smaller, larger, ratio in zip(remainders[1:], remainders[:-1], ratios, strict=True):
        assert smaller / larger == pytest.approx(ratio, rel=0.2)


def test_the_vertex_minimum_needs_two_modalities_and_a_floor() -> None:
    zero = flat().on(Healpix(1))
    with pytest.raises(InputError, match="unbounded"):
        vertices.vertex_minimum(np.stack([zero, zero]), 1.0, 0.0)
    with pytest.raises(InputError, match="two modalities"):
        vertices.vertex_minimum(zero[None], 1.0, 0.1)


def test_many_modalities_with_one_potential_share_out_its_lowest_pixels() -> None:
    rng = np.random.default_rng(0)
    potential = rng.uniform(-1, 1, 96)
    found = vertices.vertex_minimum(np.tile(potential, (12, 1)), 0.5, 1e-3)
    assert sorted(found.pixels) == sorted(np.argsort(potential)[:12].tolist())
    few = rng.uniform(-1, 1, (5, 7))
    brute = min(vertices.vertex_energy(few, 0.5, 0.01, pixels) for pixels in product(range(7), repeat=5))
    assert vertices.vertex_minimum(few, 0.5, 0.01).value == pytest.approx(brute, abs=1e-12)
