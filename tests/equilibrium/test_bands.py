"""Two bands, the separated state of flat potentials in closed form: where it opens, where it is level, and where it is."""

import numpy as np
import pytest

from fieldsolve.equilibrium.bands import band_binodal, band_coupling, band_energy, band_opening, band_state
from fieldsolve.grids import Kernel
from fieldsolve.numerics.errors import InputError
from fieldsolve.theorems.dispersion import dispersion

# d, tau, spinodal, opening, binodal, t there, t at .45, t at .48: by mpmath and by quadrature.
TABLE = [
    (8, 0.1, 0.3256221582, 0.1335616400, 0.2079734249, 0.64941695, 0.96407973, 0.98588290),
    (64, 0.01, 0.3169049515, 0.1320511969, 0.1537325631, 0.41256371, 0.96766887, 0.98729978),
    (512, 0.1, 0.4951190415, 0.4902189939, 0.4906510591, 0.21025077, None, None),
    (512, 0.07, 0.4930299546, 0.4860326713, 0.4866493685, 0.21027848, None, None),
    (512, 0.01, 0.45289880900, 0.40562587717, 0.40962114514, 0.212713731, 0.69559925, 0.89178120),
    (4096, 0.01, 0.49390011625, 0.48779725687, 0.48798778468, 0.125026762, None, None),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0]}-{row[1]}")
def test_the_table_of_the_theory(row: tuple[float, ...]) -> None:
    dimension, tau, spinodal, opening, binodal, height, *later = row
    kernel = Kernel("cosine", tau)
    found = band_binodal(kernel, int(dimension))
    assert dispersion(kernel, int(dimension)).breaks_at == pytest.approx(spinodal, abs=6e-11)
    assert band_opening(kernel, int(dimension)) == pytest.approx(opening, abs=6e-11)
    assert found.coupling == pytest.approx(binodal, abs=6e-11)
    assert found.height == pytest.approx(height, abs=6e-9)
    for coupling, expected in zip((0.45, 0.48), later, strict=True):
        state = band_state(kernel, int(dimension), coupling)
        assert (state is None) == (expected is None)
        if state is not None:
            assert state.height == pytest.approx(expected, abs=6e-9)


@pytest.mark.parametrize(("coupling", "twice"), [(0.43, -1.292347), (0.48, -11.995928), (1.0, -219.177675)])
def test_energies_at_the_dimension_and_temperature_of_clip(coupling: float, twice: float) -> None:
    state = band_state(Kernel("cosine", 0.01), 512, coupling)
    assert state is not None
    assert 2 * state.energy == pytest.approx(twice, abs=6e-7)


def test_rings_on_the_sphere() -> None:
    state = band_state(Kernel("cosine", 0.1), 3, 0.35)
    assert state is not None
    assert state.energy == pytest.approx(-4.096401, abs=6e-7)


@pytest.mark.parametrize(("dimension", "tau", "coupling"), [(3, 0.1, 0.2), (64, 0.02, 0.4), (512, 0.01, 0.45)])
def test_the_state_is_where_the_energy_does_not_change(dimension: int, tau: float, coupling: float) -> None:
    kernel = Kernel("cosine", tau)
    state = band_state(kernel, dimension, coupling)
    assert state is not None
    near = [band_energy(kernel, dimension, coupling, state.height + step) for step in (-1e-4, 0.0, 1e-4)]
    assert near[1] == state.energy
    assert near[1] < min(near[0], near[2])
    assert abs(near[2] - near[0]) < 1e-3 * (near[0] + near[2] - 2 * near[1])


def test_antipodal_points_on_the_sphere() -> None:
    """(1 - tau log V)/2 at tau .1: .1498, above the rings' binodal."""
    kernel = Kernel("cosine", 0.1)
    assert band_coupling(kernel, 3, 1.0) == pytest.approx((1 - 0.1 * kernel.log_volume(2)) / 2, abs=1e-14)
    assert band_coupling(kernel, 3, 1.0) == pytest.approx(0.1498, abs=5e-5)
    assert band_binodal(kernel, 3).coupling < 0.1498
    assert band_state(kernel, 3, 0.5).height == band_state(kernel, 3, 0.9).height == 1.0  # type: ignore[union-attr]


def test_the_binodal_is_where_bands_begin_to_cost_less_than_uniform_densities() -> None:
    kernel = Kernel("cosine", 0.05)
    found = band_binodal(kernel, 16)
    below, above = (band_state(kernel, 16, found.coupling + step) for step in (-1e-4, 1e-4))
    assert below is not None
    assert above is not None
    assert below.energy > 0 > above.energy
    heights = np.linspace(0.05, 1, 400)
    assert min(band_coupling(kernel, 16, float(t)) for t in heights) >= found.coupling - 1e-12


def test_bands_are_of_linear_critics() -> None:
    with pytest.raises(InputError, match="not linear"):
        band_binodal(Kernel("geodesic", 0.3), 3)
    for asked in (lambda d: band_binodal(Kernel("cosine", 0.3), d), lambda d: band_opening(Kernel("cosine", 0.3), d)):
        with pytest.raises(InputError, match="at least 2"):
            asked(1)
