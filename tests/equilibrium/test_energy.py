"""Energies: the finite-difference contract, relative smoothness, terms, closed values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from fieldsolve.equilibrium.densities import from_density, normalise
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.grids import Circle, Grid, Healpix, Smoother
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics.errors import InputError, UnresolvedKernelError

CASES = [
    pytest.param(modalities, coupling, critic, id=f"{modalities}-{coupling}-{critic or 'intrinsic'}")
    for modalities, coupling in ((1, 0.0), (2, 0.0), (2, 0.3), (2, 1.0), (3, 0.7))
    for critic in (None, "cosine", "rbf", "geodesic")
]


def random_energy(grid: Grid, modalities: int, coupling: float, critic: str | None, rng: np.random.Generator) -> Energy:
    potentials = rng.uniform(-1, 1, (modalities, grid.size))
    return Energy(grid, potentials, 0.3, coupling, None if critic is None else Kernel(critic, 0.3))


def random_densities(grid: Grid, modalities: int, rng: np.random.Generator) -> np.ndarray:
    return normalise(rng.standard_normal((modalities, grid.size)), 0.05).density()


@pytest.mark.parametrize(("modalities", "coupling", "critic"), CASES)
def test_variation_is_the_derivative_of_the_value(
    grid: Grid, modalities: int, coupling: float, critic: str | None, rng: np.random.Generator
) -> None:
    energy = random_energy(grid, modalities, coupling, critic, rng)
    density = random_densities(grid, modalities, rng)
    direction = rng.standard_normal(density.shape) * density
    direction -= direction.mean(axis=1, keepdims=True)
    evaluation, variation = energy.evaluate(density)
    slope = float(np.sum(np.mean(variation * direction, axis=1)))
    errors = []
    for h in (2e-3, 1e-3):
        ahead, _ = energy.evaluate(density + h * direction)
        behind, _ = energy.evaluate(density - h * direction)
        errors.append(abs((ahead.value - behind.value) / (2 * h) - slope))
    assert errors[1] < 1e-5 * max(1, abs(slope))
    # Central differences: the error must fall by 4, or be rounding.
    assert errors[0] / max(errors[1], 1e-16) > 3 or errors[1] < 1e-9
    assert evaluation.value == pytest.approx(energy.step(from_density(density, 0.0), 1.0, np.empty_like(density))[0].value)


@pytest.mark.parametrize(("modalities", "coupling", "critic"), CASES)
@given(seed=st.integers(0, 2**32 - 1), length=st.floats(0.05, 1.0), floor=st.sampled_from([1e-6, 1e-2, 0.3]))
def test_steps_up_to_length_one_never_raise_the_energy(
    modalities: int, coupling: float, critic: str | None, seed: int, length: float, floor: float
) -> None:
    """Every energy is 1-smooth relative to the entropy."""
    rng = np.random.default_rng(seed)
    energy = random_energy(Circle(32), modalities, coupling, critic, rng)
    state = normalise(rng.uniform(0, 4) * rng.standard_normal(energy.potentials.shape), floor)
    here, proposal = energy.step(state, length, np.empty_like(state.field))
    there, _ = energy.step(proposal, length, np.empty_like(state.field))
    assert there.value <= here.value + here.rounding


@given(seed=st.integers(0, 2**32 - 1), coupling=st.floats(0, 1))
def test_terms_add_up_to_the_coupled_functional(seed: int, coupling: float) -> None:
    rng = np.random.default_rng(seed)
    grid = Circle(40)
    energy = random_energy(grid, 2, coupling, None, rng)
    a, b = density = random_densities(grid, 2, rng)
    evaluation, _ = energy.evaluate(density)
    f1, f2 = (np.mean(u * rho / 0.3 + rho * np.log(rho)) for u, rho in zip(energy.potentials, density, strict=True))
    divergence = np.mean((a - b) * (np.log(a) - np.log(b)))
    assert evaluation.symmetric_kl == pytest.approx(divergence, rel=1e-12)
    assert evaluation.value == pytest.approx((f1 + f2 - coupling * divergence) / 2, rel=1e-12)
    np.testing.assert_allclose(evaluation.binding, np.mean(energy.potentials * density, axis=1) / 0.3, rtol=1e-12)


def test_stationarity_bounds_the_distance_to_the_minimum_of_a_convex_energy(rng: np.random.Generator) -> None:
    grid = Circle(50)
    energy = random_energy(grid, 1, 0.0, None, rng)
    minimum = -np.log(np.mean(np.exp(-energy.potentials[0] / 0.3)))
    for _ in range(10):
        evaluation, variation = energy.evaluate(random_densities(grid, 1, rng))
        assert evaluation.value - minimum <= evaluation.stationarity + 1e-14
        density = evaluation.state.density()
        assert evaluation.stationarity == pytest.approx(np.mean(variation * density) - variation.min(), rel=1e-10)


def test_intrinsic_and_smoothed_energies_differ_by_the_kde_error(rng: np.random.Generator) -> None:
    """|J - F| <= sup |log(K rho / rho)| [Thm 3.2], and it vanishes with tau."""
    grid, differences = Circle(512), []
    potential = np.cos(grid.angles())[None]
    density = normalise(-potential, 0.0).density()
    for tau in (0.1, 0.01, 0.001):
        kernel = Kernel("cosine", tau)
        smoothed = Energy(grid, potential, tau, kernel=kernel).evaluate(density)[0].value
        intrinsic = Energy(grid, potential, tau).evaluate(density)[0].value
        bound = np.abs(Smoother(grid, kernel).log_smooth(density) - np.log(density)).max()
        assert abs(smoothed - intrinsic) <= bound
        differences.append(abs(smoothed - intrinsic))
    assert differences[0] > 5 * differences[1] > 25 * differences[2]


@pytest.mark.parametrize("tau", [1.0, 0.3, 0.1])
def test_antipodal_spikes_have_the_smoothed_divergence_four_over_tau(tau: float) -> None:
    grid = Healpix(16)
    spikes = np.zeros((2, grid.size))
    spikes[0, 0] = spikes[1, grid.nearest(-grid.points(0, 1))[0]] = 1
    energy = Energy(grid, np.zeros_like(spikes), tau, 1.0, Kernel("cosine", tau))
    # The balance of the kernel cancels in the difference of the logarithms: exact on the grid.
    assert energy.evaluate(spikes)[0].symmetric_kl == pytest.approx(4 / tau, rel=1e-10)


def test_uniform_densities_are_exactly_stationary_without_a_potential() -> None:
    grid = Healpix(8)
    for critic in ("cosine", "rbf"):
        energy = Energy(grid, np.zeros((2, grid.size)), 0.2, 0.6, Kernel(critic, 0.2))
        evaluation, variation = energy.evaluate(np.ones((2, grid.size)))
        assert abs(evaluation.value) < 1e-12
        assert np.ptp(variation) < 1e-11


def test_what_is_no_problem_is_refused() -> None:
    grid, zero = Healpix(2), np.zeros((1, 48))
    with pytest.raises(InputError, match="shape"):
        Energy(grid, zero[:, :-1], 1.0)
    with pytest.raises(InputError, match="finite"):
        Energy(grid, np.full((1, 48), np.nan), 1.0)
    for tau in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="tau"):
            Energy(grid, zero, tau)
    for coupling in (-0.1, 1.1, np.nan):
        with pytest.raises(InputError, match="coupling"):
            Energy(grid, zero, 1.0, coupling)
    with pytest.raises(UnresolvedKernelError):
        Energy(grid, zero, 0.01, kernel=Kernel("cosine", 0.01))


def test_variation_includes_its_constant(rng: np.random.Generator) -> None:
    """The derivative with respect to rho dmu, not up to a constant: U/tau + log rho + 1 for one intrinsic density."""
    grid = Circle(40)
    energy = random_energy(grid, 1, 0.0, None, rng)
    density = random_densities(grid, 1, rng)
    _, variation = energy.evaluate(density)
    np.testing.assert_allclose(variation, energy.potentials / 0.3 + np.log(density) + 1, atol=1e-12)
    evaluation, _ = energy.evaluate(np.exp(-energy.potentials / 0.3))
    np.testing.assert_allclose(evaluation.multiplier, 1 - np.log(np.mean(np.exp(-energy.potentials / 0.3))), atol=1e-12)


def test_a_density_that_vanishes_is_refused_where_the_energy_is_infinite() -> None:
    grid = Circle(4)
    density = np.array([[2.0, 2, 0, 0], [0, 0, 2, 2]])
    with pytest.raises(InputError, match="vanishes"):
        Energy(grid, np.zeros((2, 4)), 1.0, 0.5).evaluate(density)
    uncoupled, _ = Energy(grid, np.zeros((2, 4)), 1.0, 0.0).evaluate(density)
    assert uncoupled.value == pytest.approx(np.log(2))
    with pytest.raises(InputError, match="kernel"):
        Energy(grid, np.zeros((2, 4)), 1.0, kernel=Kernel("cosine", 2.0, unresolved=True))


@pytest.mark.parametrize("coupling", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("tau", [1.0, 0.05])
def test_smoothed_values_against_sums_over_all_pairs(tau: float, coupling: float, rng: np.random.Generator) -> None:
    """Densities with faint tails that face each other's mass, evaluated in logarithms pair by pair, to 1e-10."""
    grid, kernel = Circle(256), Kernel("cosine", tau)
    height = grid.points()[:, 0]
    density = np.stack([np.exp(12 * height), np.exp(-15 * height) + 1e-9 * rng.exponential(size=grid.size)])
    density /= density.mean(axis=1, keepdims=True)
    rows = np.log(Smoother(grid, kernel).rows(np.arange(grid.size)))
    log_q = np.stack([logsumexp(rows + np.log(one), axis=1) - np.log(grid.size) for one in density])
    own = sum(float(np.mean(density[a] * log_q[a])) for a in (0, 1))
    cross = sum(float(np.mean(density[a] * log_q[1 - a])) for a in (0, 1))
    energy = Energy(grid, np.zeros_like(density), tau, coupling, kernel)
    evaluation, variation = energy.evaluate(density)
    assert evaluation.value == pytest.approx(((1 - coupling) * own + coupling * cross) / 2, abs=1e-10)
    pull = np.exp(rows - log_q[0][None]) @ ((1 - coupling) * density[0] + coupling * density[1]) / grid.size
    exact = ((1 - coupling) * log_q[0] + coupling * log_q[1] + pull) / 2
    np.testing.assert_allclose(variation[0][density[0] > 1e-3], exact[density[0] > 1e-3], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(variation[0], exact, rtol=2e-6, atol=2e-6)


def test_the_smoothed_entropy_is_not_convex() -> None:
    """int rho log K rho: on the circle at tau 0.1 its second variation falls to -0.03 int delta^2/rho."""
    grid, rng, lowest = Circle(24), np.random.default_rng(0), 0.0
    angles = grid.angles()
    kernel = np.exp((np.cos(angles[:, None] - angles) - 1) / 0.1)
    kernel /= kernel.sum(axis=1, keepdims=True)
    for _ in range(1500):
        field = rng.choice([1.0, 3.0, 6.0, 10.0]) * rng.standard_normal(24)
        rho = np.exp(field - field.max())
        rho /= rho.mean()
        smoothed, root = kernel @ rho, np.sqrt(rho)
        second = kernel / smoothed[:, None] + kernel / smoothed - kernel @ np.diag(rho / smoothed**2) @ kernel
        kept = np.eye(24) - np.outer(root, root) / 24
        lowest = min(lowest, float(np.linalg.eigvalsh(kept @ (root[:, None] * second * root) @ kept)[0]))
    assert -0.1 < lowest < -0.01
