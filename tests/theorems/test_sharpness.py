"""Sharp kernels: the theorems' bounds, the rates, the divergence that stays, and the command."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import fieldsolve as fs
from fieldsolve.cli import main
from fieldsolve.equilibrium.densities import LEAST_FLOOR
from fieldsolve.equilibrium.potentials import mixture
from fieldsolve.grids import Circle, Healpix
from fieldsolve.numerics.errors import InputError, UnresolvedKernelError
from fieldsolve.theorems import pictures as charts
from fieldsolve.theorems.sharpness import Sharpness, sharpness


@given(
    st.integers(0, 10**6),
    st.floats(0.1, 3.0),
    st.just(0.0) | st.floats(LEAST_FLOOR, 0.5),
    st.booleans(),
    st.sampled_from(["cosine", "rbf", "geodesic"]),
)
def test_the_bounds_are_never_violated(seed: int, at: float, floor: float, two: bool, critic: str) -> None:
    """Thm 3.2 and 4.2, with the chain through sup |log(K rho/rho)|, for random potentials, densities and temperatures."""
    rng = np.random.default_rng(seed)
    grid = Healpix(8) if seed % 2 else Circle(96)
    dimension = grid.dim + 1
    potentials = [
        mixture(rng.standard_normal((3, dimension)), rng.exponential(8.0, size=3) + 0.1, rng.exponential(size=3) + 0.01)
        for _ in range(1 + two)
    ]
    taus = np.sort(np.exp(rng.uniform(np.log(0.075), np.log(5.0), size=4)))[::-1]
    found = sharpness(grid, potentials, taus, critic=critic, at=at, floor=floor)
    size = np.abs(found.difference)
    assert np.all(size <= found.bound + 1e-10)
    assert np.all(size <= found.log_error.max(axis=0) + 1e-10)
    assert np.all(found.log_error <= found.kde_error / found.least_density[:, None] + 1e-10)
    assert np.all(found.log_outside <= found.log_outside_bound + 1e-10)
    if found.quadratic_bound is not None:
        assert np.all(found.difference <= 1e-10)  # J - F = -KL(rho || K rho)
        assert np.all(size <= found.quadratic_bound + 1e-10)


@pytest.fixture(scope="module")
def one() -> Sharpness:
    return sharpness(Healpix(64), [fs.two_well()])


@pytest.fixture(scope="module")
def two() -> Sharpness:
    return sharpness(Healpix(64), [fs.two_well(), fs.two_well().misalign(40, Healpix(1))])


def test_one_modality_nears_at_second_order_and_two_at_first(one: Sharpness, two: Sharpness) -> None:
    """Beyond the theorem: F - J is a divergence for one modality, hence quadratic in the KDE error, which is linear in tau."""
    assert one.difference_rate == pytest.approx(2, abs=0.05)
    assert two.difference_rate == pytest.approx(1, abs=0.05)
    for found in (one, two):
        assert found.kde_rate == pytest.approx(1, abs=0.1)
        assert np.all(np.abs(found.difference) <= found.bound)


def test_bounds_are_the_formulas(one: Sharpness, two: Sharpness) -> None:
    np.testing.assert_allclose(two.bound, (two.kde_error / two.least_density[:, None]).mean(axis=0), rtol=1e-12)
    assert one.quadratic_bound is not None
    np.testing.assert_allclose(one.quadratic_bound, one.kde_error[0] ** 2 / one.least_density[0], rtol=1e-12)
    heights = fs.two_well().on(Healpix(64))
    heights -= heights.min()
    beyond, tau = heights >= one.margin, one.taus[5]
    shares = {delta: np.mean(heights <= delta) for delta in heights[~beyond][::50].tolist()}
    by_hand = [beyond.mean() / share * np.exp((delta - one.margin) / tau) for delta, share in shares.items()]
    assert np.exp(one.log_outside_bound[5]) <= min(by_hand)
    assert np.exp(one.log_outside_bound[5]) == pytest.approx(min(by_hand), rel=0.02)
    gibbs = np.exp(-heights / tau)
    assert np.exp(one.log_outside[5]) == pytest.approx(gibbs[beyond].sum() / gibbs.sum(), rel=1e-9)


def test_the_divergence_stays_while_the_kde_error_vanishes(two: Sharpness) -> None:
    """Rem 4.2."""
    assert two.symmetric_kl > 0.3
    assert two.smoothed_symmetric_kl[-1] == pytest.approx(two.symmetric_kl, rel=3e-3)
    assert two.kde_error[:, -1].max() < 0.01 * two.kde_error[:, 0].max()
    assert np.all(np.diff(two.smoothed_symmetric_kl) > 0)


def test_gibbs_mass_leaves_the_ground_states_neighbourhood_exponentially(one: Sharpness) -> None:
    """Prop 3.3: log of the mass outside {U < min U + eta} falls at least like -eta/tau."""
    assert one.concentration_rate == pytest.approx(one.margin, rel=2e-3)
    assert one.concentration_rate >= one.margin
    assert one.log_outside[-1] < -600


def test_what_does_not_fit_is_refused() -> None:
    grid = Circle(64)
    potential = fs.mixture([[1.0, 0.0]], 3.0)
    with pytest.raises(InputError, match="falling"):
        sharpness(grid, [potential], [0.1, 0.5])
    with pytest.raises(InputError, match="one potential or two"):
        sharpness(grid, [potential] * 3)
    with pytest.raises(InputError, match="flat"):
        sharpness(grid, [fs.flat()])
    with pytest.raises(InputError, match="lowest that this grid resolves"):
        sharpness(Healpix(1), [fs.two_well()])
    with pytest.raises(InputError, match="margin"):
        sharpness(grid, [potential], margin=-1.0)
    with pytest.raises(InputError, match="vanish"):
        sharpness(grid, [potential], at=1e-4)
    with pytest.raises(UnresolvedKernelError):
        sharpness(grid, [potential], [1.0, 1e-5])


def test_the_command(tmp_path: object) -> None:
    arguments = ["sharpness", "--nside", "8", "--misalign", "30", "--steps", "4"]
    result = CliRunner().invoke(main, [*arguments, "--json", "-o", f"{tmp_path}/out"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["schema"] == "fieldsolve/sharpness/1"
    assert len(figures["tau"]) == 4
    assert figures["modalities"] == 2
    assert all(abs(d) <= b for d, b in zip(figures["difference"], figures["bound"], strict=True))
    printed = CliRunner().invoke(main, arguments)
    assert "it stays" in printed.stdout
    assert CliRunner().invoke(main, ["sharpness", "--to", "2"]).exit_code == 3
    assert CliRunner().invoke(main, ["sharpness", "--critic", "geodesic", "--nside", "16", "--quiet"]).exit_code == 0
    assert CliRunner().invoke(main, ["show", f"{tmp_path}/out", "--quiet"]).exit_code == 0
    assert CliRunner().invoke(main, ["sharpness", *["--potential", "flat"] * 3]).exit_code == 2


def test_figures_for_one_and_two(one: Sharpness, two: Sharpness) -> None:
    for found, panels in ((one, 3), (two, 4)):
        figure = charts.plot_sharpness(found)
        assert len(figure.axes) == panels
        assert ("the divergence stays" in figure.get_suptitle()) == (panels == 4)
        assert len({ax.get_ylabel() for ax in figure.axes}) == 3  # energies and divergences in nats, densities, masses
