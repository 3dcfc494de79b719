"""Local stability of smoothed states: the Hessian against differences of the energy, closed forms, and the bifurcation."""

import numpy as np
import pytest

import fieldsolve as fs
from fieldsolve.equilibrium import stability as module
from fieldsolve.equilibrium.densities import LogDensity, from_density, normalise
from fieldsolve.equilibrium.descent import descend
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.stability import curvature
from fieldsolve.equilibrium.starts import tilts
from fieldsolve.grids import Circle, Grid, Healpix
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics.errors import InputError


def uniform(grid: Grid, tau: float, coupling: float, modalities: int = 2) -> tuple[Energy, LogDensity]:
    energy = Energy(grid, np.zeros((modalities, grid.size)), tau, coupling, Kernel("cosine", tau))
    return energy, normalise(np.zeros((modalities, grid.size)), 0.0)


@pytest.mark.parametrize(("modalities", "coupling", "floor"), [(1, 0.0, 0.0), (2, 0.6, 0.0), (2, 1.0, 0.2), (3, 0.5, 0.0)])
def test_the_lowest_eigenvalue_is_the_second_difference_of_the_energy(
    grid: Grid, modalities: int, coupling: float, floor: float, rng: np.random.Generator
) -> None:
    """At any state, stationary or not: the energy's second difference along the mode, over int delta^2/rho."""
    tau = 0.3
    potentials = np.stack([grid.evaluate(lambda p, a=a: np.sin((a + 1) * p[:, 0]) - p[:, 1]) for a in range(modalities)])
    energy = Energy(grid, potentials, tau, coupling, Kernel("cosine", tau))
    state = normalise(2 * tilts(grid, modalities, 1.0) + 0.3 * potentials, floor)
    found = curvature(energy, state, tolerance=1e-9)
    density, mode = state.density(), found.mode
    assert mode is not None
    np.testing.assert_allclose(mode.mean(axis=1), 0, atol=1e-12)
    assert np.all(mode[density <= floor] == 0)
    step = 1e-3 / np.abs(mode / density).max()
    values = [energy.evaluate(density + sign * step * mode)[0].value for sign in (-1, 0, 1)]
    second = modalities * (values[0] - 2 * values[1] + values[2]) / step**2
    rayleigh = second / np.sum(grid.mean(mode**2 / density))
    assert rayleigh == pytest.approx(found.eigenvalues[0], abs=2e-5)
    if floor > 0:
        assert np.any(density <= floor)


@pytest.mark.parametrize("tau", [1.0, 0.3])
def test_eigenvalues_at_the_uniform_state_are_the_dispersion(tau: float) -> None:
    """mu = 4 k_l (lambda_c(l) - lambda), twice for every degree on the circle."""
    grid, coupling = Circle(128), 0.6
    ratios = Kernel("cosine", tau).spectrum(1, 3)
    found = curvature(*uniform(grid, tau, coupling), tolerance=1e-9)
    predicted = 4 * ratios[1:] * (0.5 - ratios[1:] / 4 - coupling)
    np.testing.assert_allclose(found.eigenvalues[:6], np.repeat(predicted, 2), atol=1e-10)
    assert found.degree == 1
    assert found.content[1] == pytest.approx(1, abs=1e-10)
    assert found.antisymmetry == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("tau", [1.0, 0.3, 0.1])
def test_the_hessian_crosses_zero_at_the_critical_coupling(tau: float) -> None:
    """To 1e-6: the mean over the three dipoles, whose splitting by the pixels cancels in it, is linear in the coupling."""
    grid = Healpix(32)
    critical = 0.5 - Kernel("cosine", tau).spectrum(2, 1)[1] / 4
    couplings = critical + np.array([2e-3, 4e-3])
    means = [np.mean(curvature(*uniform(grid, tau, float(one)), tolerance=1e-6).eigenvalues[:3]) for one in couplings]
    crossing = couplings[0] - means[0] * (couplings[1] - couplings[0]) / (means[1] - means[0])
    assert crossing == pytest.approx(critical, abs=1e-6)


@pytest.mark.parametrize("tau", [1.0, 0.3, 0.1])
def test_descents_leave_the_matched_state_at_the_critical_coupling(tau: float) -> None:
    """By bisection on the nonlinear solver: does a small tilt grow or vanish? Within 1e-3."""
    grid = Healpix(8)
    critical = 0.5 - Kernel("cosine", tau).spectrum(2, 1)[1] / 4
    tilt = normalise(tilts(grid, 2, 1e-3), 0.0)

    def parts(coupling: float) -> bool:
        energy, _ = uniform(grid, tau, coupling)
        after = descend(energy, tilt, 0.0, 60).state.density()
        apart = [np.linalg.norm(grid.centroid(one)[0] - grid.centroid(one)[1]) for one in (tilt.density(), after)]
        return bool(apart[1] > apart[0])

    low, high = critical - 0.02, critical + 0.02
    assert (parts(low), parts(high)) == (False, True)
    while high - low > 4e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if parts(middle) else (middle, high)
    assert (low + high) / 2 == pytest.approx(critical, abs=1e-3)


def test_degenerate_modes_are_counted() -> None:
    grid, tau = Healpix(16), 0.3
    ratios = Kernel("cosine", tau).spectrum(2, 2)
    between = 0.5 - np.mean(ratios[1:]) / 4  # beyond lambda_c(1), below lambda_c(2)
    three = curvature(*uniform(grid, tau, float(between)))
    assert (three.unstable, three.are_all) == (3, True)
    assert "3 unstable modes" in three.sentence
    assert "100 % of degree 1" in three.sentence
    many = curvature(*uniform(grid, tau, 1.0))
    assert not many.are_all
    assert "at least" in many.sentence
    stable = curvature(*uniform(grid, tau, 0.2))
    assert (stable.unstable, stable.is_saddle) == (0, False)
    assert stable.sentence.startswith("stable")


def test_a_swap_of_the_modalities_and_a_quarter_turn_change_nothing(rng: np.random.Generator) -> None:
    grid, tau = Healpix(8), 0.5
    potential = fs.two_well().on(grid)
    other = np.roll(potential, 100)
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    source = grid.nearest(grid.points() @ quarter)
    density = np.exp(0.5 * np.stack([potential, -other]))
    kernel = Kernel("cosine", tau)

    def lowest(*order: int, turn: bool = False) -> np.ndarray:
        potentials, state = (np.stack([field[a] for a in order]) for field in ((potential, other), density))
        if turn:
            potentials, state = potentials[:, source], state[:, source]
        return curvature(Energy(grid, potentials, tau, 0.7, kernel), from_density(state, 0.0), tolerance=1e-9).eigenvalues[:4]

    np.testing.assert_allclose(lowest(1, 0), lowest(0, 1), atol=1e-9)
    np.testing.assert_allclose(lowest(0, 1, turn=True), lowest(0, 1), atol=1e-9)


def test_sums_over_pairs_agree_with_the_spectrum(monkeypatch: pytest.MonkeyPatch) -> None:
    energy, state = uniform(Healpix(8), 0.3, 0.6)
    state = normalise(tilts(energy.grid, 2, 1.0), 0.0)
    through_spectrum = curvature(energy, state, tolerance=1e-9)
    monkeypatch.setattr(module, "_LOST", 0.0)
    assert module._Hessian(energy, state).is_lost
    np.testing.assert_allclose(curvature(energy, state, tolerance=1e-9).eigenvalues, through_spectrum.eigenvalues, atol=1e-9)


def test_where_densities_face_faint_tails_sums_keep_their_accuracy_there() -> None:
    grid = Healpix(8)
    density = np.full((2, grid.size), 1e-12)
    density[0, 0], density[1, -1] = 1.0, 1.0
    energy = Energy(grid, np.zeros((2, grid.size)), 0.1, 1.0, Kernel("cosine", 0.1))
    hessian = module._Hessian(energy, from_density(density, 0.0))
    assert hessian.is_lost
    fields = np.random.default_rng(3).standard_normal(density.shape)
    by_pairs = np.stack([hessian.smoother.smooth_by_pairs(one) for one in hessian.root * fields])
    sizes = np.stack([hessian.smoother.smooth_by_pairs(one) for one in np.abs(hessian.root * fields)])
    assert np.abs((hessian._smooth(hessian.root * fields) - by_pairs) / sizes).max() < 1e-9


def test_what_cannot_be_computed_is_refused_or_said() -> None:
    grid = Healpix(4)
    energy = Energy(grid, np.zeros((2, grid.size)), 1.0, 0.5)
    with pytest.raises(InputError, match="smoothed"):
        curvature(energy, normalise(np.zeros((2, grid.size)), 0.0))
    with pytest.raises(InputError, match="smoothed"):
        fs.Problem([fs.flat()] * 2, tau=1.0, grid=grid).solve(stability=True)
    fine = Healpix(64)
    spikes = np.zeros((2, fine.size))
    spikes[0, 0], spikes[1, -1] = 1.0, 1.0
    with pytest.raises(InputError, match="coarser grid"):
        curvature(Energy(fine, np.zeros((2, fine.size)), 0.02, 1.0, Kernel("cosine", 0.02)), from_density(spikes, 0.0))
    solution = fs.Problem([fs.flat()] * 2, tau=0.02, floor=0.0, start=spikes, tolerance=1e9, energy="smoothed", grid=fine).solve(
        stability=True
    )
    assert solution.curvature is None
    assert any("local stability is not known" in note for note in solution.notes)


@pytest.mark.parametrize(("tau", "coupling", "floor"), [(0.3, 0.8, 0.0), (0.3, 0.8, 0.7), (0.2, 0.6, 0.5), (1.0, 1.0, 0.3)])
def test_all_eigenvalues_are_those_of_differences_of_the_variation(tau: float, coupling: float, floor: float) -> None:
    """An independent dense Hessian, on an orthonormal basis of what keeps mass and floor, floored points or none."""
    grid = Circle(32)
    potentials = np.stack([grid.evaluate(lambda p, s=s: np.sin(2 * p[:, 0]) - s * p[:, 1]) for s in (1, -1)])
    energy = Energy(grid, potentials, tau, coupling, Kernel("cosine", tau))
    state = normalise(2.0 * np.stack([grid.points()[:, 0], -grid.points()[:, 1]]), floor)
    density = state.density()
    basis = []
    for a in (0, 1):
        free = np.flatnonzero(density[a] > floor)
        root = np.sqrt(density[a, free])
        complement = np.linalg.svd(root[None])[2][1:]  # orthonormal, and orthogonal to sqrt(rho)
        for row in complement:
            delta = np.zeros_like(density)
            delta[a, free] = root * row
            basis.append(delta)
    step = 1e-5
    columns = [(energy.evaluate(density + step * d)[1] - energy.evaluate(density - step * d)[1]) / (2 * step) for d in basis]
    dense = 2 * np.array([[np.sum(one * column) for column in columns] for one in basis])
    expected = np.linalg.eigvalsh((dense + dense.T) / 2)
    found = curvature(energy, state)
    assert found.is_exact
    np.testing.assert_allclose(found.eigenvalues, expected[: len(found.eigenvalues)], atol=1e-5)
    assert found.unstable == np.sum(expected < -found.flat)


def test_a_state_that_the_floor_holds_entirely_is_stable() -> None:
    """One free point a modality: no perturbation keeps its mass; with the search over harmonics too."""
    for grid in (Circle(32), Healpix(16)):
        density = np.full((2, grid.size), 0.3)
        density[0, 3] = density[1, 20] = 0.3 + 0.7 * grid.size
        energy = Energy(grid, np.zeros((2, grid.size)), 0.5, 1.0, Kernel("cosine", 0.5))
        for limit in (1000, 0):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(module, "_DENSE", limit)
                found = curvature(energy, from_density(density, 0.3))
            assert not found.is_saddle
            assert np.all(np.isfinite(found.eigenvalues))


def test_the_search_over_harmonics_agrees_with_all_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    energy, _ = uniform(Healpix(8), 0.3, 0.5)
    state = normalise(tilts(energy.grid, 2, 0.5), 0.0)
    monkeypatch.setattr(module, "_DENSE", 10_000)
    exact = curvature(energy, state)
    monkeypatch.setattr(module, "_DENSE", 0)
    found = curvature(energy, state, tolerance=1e-8)
    assert (exact.is_exact, found.is_exact) == (True, False)
    assert "up to degree" in found.sentence
    np.testing.assert_allclose(found.eigenvalues[:6], exact.eigenvalues[:6], atol=1e-4)
    assert np.all(found.eigenvalues[:6] >= exact.eigenvalues[:6] - 1e-9)


def test_the_smallest_circles() -> None:
    for count in (3, 4, 5):
        grid = Circle(count)
        energy = Energy(grid, np.zeros((2, count)), 3.0, 1.0, Kernel("cosine", 3.0, unresolved=True))
        found = curvature(energy, normalise(np.zeros((2, count)), 0.0))
        assert found.is_exact
        assert len(found.content) == grid.largest_degree + 1


def test_a_saddle_is_left_along_its_most_unstable_mode() -> None:
    """At full coupling the uniform state is stationary; from it the densities go to two antipodal dipoles."""
    grid, tau = Healpix(8), 0.5
    stays = fs.Problem([fs.flat()] * 2, tau=tau, floor=0.0, coupling=0.45, start="uniform", energy="smoothed", grid=grid).solve(
        stability=True
    )
    assert stays.curvature is not None
    assert stays.curvature.is_saddle
    assert stays.energy == pytest.approx(0, abs=1e-12)
    leaves = fs.Problem(
        [fs.flat()] * 2, tau=tau, floor=0.0, coupling=0.45, start="uniform", escape=True, energy="smoothed", grid=grid
    ).solve()
    assert leaves.energy < -0.05
    assert leaves.centroid_gap > 1.5
    assert leaves.converged
    assert np.isnan(leaves.trace.length).sum() >= 1
    assert np.all(np.diff(leaves.trace.energy) <= 1e-9)
