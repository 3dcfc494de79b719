"""The first-order transition of smoothed densities, as states on a grid have it."""

from fieldsolve.equilibrium.bands import band_binodal
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.grids import Healpix, Kernel
from fieldsolve.theorems.transition import measured_binodal


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
