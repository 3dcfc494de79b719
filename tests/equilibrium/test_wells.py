"""Atoms of potentials with several wells in any dimension: against bands, against zonal grids, and turned."""

import numpy as np
import pytest

import fieldsolve as fs
from fieldsolve.equilibrium.bands import band_state
from fieldsolve.equilibrium.wells import lowest_atoms
from fieldsolve.grids import Kernel
from fieldsolve.numerics.errors import InputError


def turned(dimension: int, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((dimension, dimension)))[0]


@pytest.mark.parametrize("coupling", [0.43, 0.48, 1.0])
def test_flat_potentials_have_bands_along_a_direction_of_their_own(coupling: float) -> None:
    found, exact = lowest_atoms([fs.flat()] * 2, 512, 0.01, coupling), band_state(Kernel("cosine", 0.01), 512, coupling)
    assert exact is not None
    assert found.polished.stationarity <= 1e-6
    assert found.polished.energy == pytest.approx(exact.energy, abs=1e-8)
    assert found.centroid_gap == pytest.approx(2 * exact.height, abs=1e-5)


def test_wells_on_an_axis_are_the_zonal_problem() -> None:
    means = np.zeros((2, 16))
    means[:, -1] = 1.0, -1.0
    potential = fs.mixture(means, np.array([6.0, 4.0]), np.array([0.7, 0.3]))
    found = lowest_atoms([potential] * 2, 16, 0.05, 1.0)
    zonal = fs.Problem(["vmf:6@axis*0.7+4@-axis*0.3"] * 2, 0.05, 0.0, 1.0, "smoothed", dimension=16).solve()
    assert found.polished.energy <= zonal.energy + 1e-7
    assert found.polished.energy == pytest.approx(zonal.energy, abs=1e-6)
    assert found.centroid_gap == pytest.approx(zonal.centroid_gap, abs=1e-4)


def test_several_wells_at_the_dimension_of_clip_and_a_turned_copy() -> None:
    rng = np.random.default_rng(7)
    means = rng.standard_normal((3, 512))
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    turn = turned(512, 8)
    energies = []
    for wells in (means, means @ turn.T):
        first = fs.mixture(wells[:2], np.array([50.0, 50.0]))
        second = fs.mixture(wells[1:], np.array([50.0, 30.0]))
        found = lowest_atoms([first, second], 512, 0.01, 0.6)
        assert len(found.basis) == 4
        np.testing.assert_allclose(found.basis @ found.basis.T, np.eye(4), atol=1e-12)
        assert found.polished.stationarity <= 1e-6
        energies.append(found.polished.energy)
    assert energies[0] == pytest.approx(energies[1], abs=1e-6)


def test_what_depends_on_other_directions_is_refused() -> None:
    with pytest.raises(InputError, match="lives in 3 dimensions"):
        lowest_atoms([fs.two_well()] * 2, 8, 0.1)
    with pytest.raises(InputError, match="more than the directions of its wells"):
        lowest_atoms([fs.Potential(lambda points: points[:, 0] + points[:, 1] ** 2 + points[:, 2] ** 3, "odd")] * 2, 8, 0.1)
    with pytest.raises(InputError, match="at least two more dimensions"):
        lowest_atoms([fs.two_well()] * 2, 3, 0.1)
    with pytest.raises(InputError, match="not linear"):
        lowest_atoms([fs.flat()] * 2, 8, 0.1, critic="geodesic")
