"""The first-order transition of smoothed densities: bands in any dimension, and states on a grid."""

import pytest

from fieldsolve.equilibrium.bands import band_binodal, band_coupling
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.grids import Healpix, Kernel
from fieldsolve.numerics.errors import InputError
from fieldsolve.theorems.dispersion import dispersion
from fieldsolve.theorems.transition import measured_binodal


@pytest.mark.parametrize(
    ("dimension", "tau", "coupling", "height"),
    [
        (8, 0.1, 0.2079734249, 0.64941695),
        (64, 0.01, 0.1537325631, 0.41256371),
        (512, 0.1, 0.4906510591, 0.21025077),
        (512, 0.07, 0.4866493685, 0.21027848),
        (512, 0.01, 0.40962114514, 0.212713731),
        (4096, 0.01, 0.48798778468, 0.125026762),
    ],
)
def test_binodals_of_bands(dimension: int, tau: float, coupling: float, height: float) -> None:
    found = band_binodal(Kernel("cosine", tau), dimension)
    assert found.coupling == pytest.approx(coupling, abs=2e-10)
    assert found.height == pytest.approx(height, abs=1e-6)
    assert found.coupling < dispersion(Kernel("cosine", tau), dimension).breaks_at


def test_antipodal_points_on_the_sphere() -> None:
    """(1 - tau log V)/2 at tau .1: .1498, above the rings' binodal."""
    kernel = Kernel("cosine", 0.1)
    assert band_coupling(kernel, 3, 1.0) == pytest.approx((1 - 0.1 * kernel.log_volume(2)) / 2, abs=1e-14)
    assert band_coupling(kernel, 3, 1.0) == pytest.approx(0.1498, abs=5e-5)
    assert band_binodal(kernel, 3).coupling < 0.1498


def test_the_transition_on_a_grid_is_not_above_that_of_bands() -> None:
    kernel = Kernel("cosine", 0.3)
    found = measured_binodal(Healpix(8), kernel)
    assert found is not None
    assert 0.22 < found <= band_binodal(kernel, 3).coupling + 1e-3


def test_where_no_state_is_below_none_is_said_to_be() -> None:
    """At tau 5 the transition is so weak that nothing separates within 0.04 of the binodal of bands on this grid."""
    kernel, grid = Kernel("cosine", 5.0), Healpix(4)
    found = measured_binodal(grid, kernel)
    if found is not None:
        state = Problem(["flat"] * 2, 5.0, 0.0, found, "smoothed", grid=grid, tolerance=1e-6).solve()
        assert state.energy < 0


def test_bands_are_of_linear_critics() -> None:
    with pytest.raises(InputError, match="not linear"):
        band_binodal(Kernel("geodesic", 0.3), 3)
    with pytest.raises(InputError, match="at least 2"):
        band_binodal(Kernel("cosine", 0.3), 1)
