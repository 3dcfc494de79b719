"""The one loop: monotone, bounded, safe against NaN, the same bits for any number of threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldsolve.equilibrium.densities import LogDensity, normalise
from fieldsolve.equilibrium.descent import Descent, Status, descend
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.gibbs import gibbs, gibbs_bound
from fieldsolve.equilibrium.potentials import two_well
from fieldsolve.equilibrium.starts import start
from fieldsolve.grids import Circle, Healpix
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics import threads
from fieldsolve.numerics.errors import InputError


def tilted_descent(energy: Energy, floor: float, tolerance: float = 1e-9, max_steps: int = 4000) -> Descent:
    return descend(energy, start("tilted", energy, floor), tolerance, max_steps)


@given(
    seed=st.integers(0, 2**32 - 1),
    coupling=st.floats(0, 1),
    tau=st.floats(0.1, 3),
    floor=st.sampled_from([1e-6, 1e-3, 0.1]),
    critic=st.sampled_from([None, "cosine", "geodesic"]),
)
def test_energies_never_rise(seed: int, coupling: float, tau: float, floor: float, critic: str | None) -> None:
    grid = Circle(60)
    potentials = np.random.default_rng(seed).uniform(-1, 1, (2, grid.size))
    energy = Energy(grid, potentials, tau, coupling, None if critic is None else Kernel(critic, tau))
    found = tilted_descent(energy, floor, 1e-7, 300)
    assert np.diff(found.trace.energy).max(initial=-1) <= found.evaluation.rounding
    density = found.state.density()
    np.testing.assert_allclose(density.mean(axis=1), 1, rtol=1e-12)
    assert density.min() >= floor
    assert found.status in (Status.CONVERGED, Status.STEPS)
    assert (found.status is Status.CONVERGED) == (found.evaluation.stationarity <= 1e-7)


@pytest.mark.parametrize("begin", ["uniform", "gibbs", "tilted", "random:7"])
@pytest.mark.parametrize("floor", [0.5, 0.1, 1e-3])
def test_floored_gibbs_is_reached_from_every_start(begin: str, floor: float) -> None:
    grid = Healpix(64)
    potential = two_well().on(grid)[None]
    for tau in (1.0, 0.2):
        energy = Energy(grid, potential, tau)
        found = descend(energy, start(begin, energy, floor), 1e-12, 50)
        assert found.status is Status.CONVERGED
        expected = gibbs(potential, tau, floor).density()
        assert np.abs(found.state.density() - expected).max() < 1e-10
        assert found.evaluation.value == pytest.approx(gibbs_bound(potential[0], tau, floor), abs=1e-12)


def test_coupled_states_come_to_rest() -> None:
    energy = Energy(Healpix(16), np.stack([two_well().on(Healpix(16))] * 2), 1.0, 0.4)
    found = tilted_descent(energy, 1e-3)
    assert found.status is Status.CONVERGED
    assert found.evaluation.symmetric_kl > 10
    again = descend(energy, found.state, 1e-9, 10)
    assert len(again.trace) == 0


def test_below_a_quarter_the_matched_state_comes_back_and_above_it_goes() -> None:
    """Identical potentials: the matched Gibbs state loses local stability at coupling 1/4, whatever tau and floor."""
    grid = Healpix(8)
    for tau, floor in ((1.0, 1e-3), (0.3, 0.05)):
        potentials = np.stack([two_well().on(grid)] * 2)
        matched = gibbs(potentials, tau, floor)
        tilt = 1e-3 * np.outer([1, -1], grid.points()[:, 2])
        nearly = normalise(matched.log_density() + tilt, floor)
        below = descend(Energy(grid, potentials, tau, 0.24), nearly, 1e-11, 5000)
        above = descend(Energy(grid, potentials, tau, 0.26), nearly, 1e-11, 5000)
        assert below.evaluation.symmetric_kl < 1e-6
        assert above.evaluation.symmetric_kl > 1


def test_logarithms_survive_complete_collapse_without_a_floor() -> None:
    grid = Healpix(8)
    energy = Energy(grid, two_well().on(grid)[None], 1e-3)
    found = descend(energy, start("uniform", energy, 0.0), 1e-9, 100)
    assert found.status is Status.CONVERGED
    assert found.state.log_density().min() < -700
    assert np.all(np.isfinite(found.state.log_density()))


def test_every_status_is_reached() -> None:
    grid = Circle(30)
    energy = Energy(grid, np.cos(grid.angles())[None], 0.5)
    uniform = start("uniform", energy, 0.0)
    assert descend(energy, uniform, 1e-9, 10).status is Status.CONVERGED
    assert descend(energy, uniform, 1e-9, 0).status is Status.STEPS
    broken = uniform.field.copy()
    broken[0, 3] = np.nan
    for floor in (0.0, 0.1):
        for kernel in (None, Kernel("cosine", 0.5)):
            one = Energy(grid, energy.potentials, 0.5, kernel=kernel)
            assert descend(one, LogDensity(broken, np.zeros(1), floor), 1e-9, 10).status is Status.NOT_FINITE

    class Rising(Energy):
        """An energy whose value is wrong: it rises whatever the step."""

        def step(self, state, length, out, centre=None):  # type: ignore[no-untyped-def]
            evaluation, onward = super().step(state, length, out, centre)
            object.__setattr__(evaluation, "value", evaluation.value + 1 if np.ptp(state.field) else evaluation.value)
            return evaluation, onward

    class Coarse(Energy):
        """An energy whose stationarity is known to 1e-6 only."""

        def step(self, state, length, out, centre=None):  # type: ignore[no-untyped-def]
            evaluation, onward = super().step(state, length, out, centre)
            object.__setattr__(evaluation, "stationarity", max(evaluation.stationarity, 1e-6))
            return evaluation, onward

    coupled = Coarse(grid, np.stack([np.cos(grid.angles())] * 2), 0.5, 0.9)
    stuck = descend(coupled, start("tilted", coupled, 1e-3), 1e-9, 5000)
    assert stuck.status is Status.STALLED
    assert 50 < len(stuck.trace) < 1000

    found = descend(Rising(grid, energy.potentials, 0.5), uniform, 1e-9, 10)
    assert found.status is Status.STALLED
    assert len(found.trace) == 0


def test_the_start_is_left_alone() -> None:
    grid = Circle(30)
    energy = Energy(grid, np.stack([np.cos(grid.angles())] * 2), 0.5, 0.8)
    begin = start("tilted", energy, 0.01)
    before = begin.field.copy()
    descend(energy, begin, 1e-9, 50)
    np.testing.assert_array_equal(begin.field, before)


@pytest.mark.parametrize("critic", [None, "cosine"])
def test_descent_gives_the_same_bits_for_one_and_two_threads(critic: str | None) -> None:
    grid = Healpix(128 if critic is None else 32)
    potentials = np.stack([two_well().on(grid), two_well().misalign(30, Healpix(1)).on(grid)])
    energy = Energy(grid, potentials, 0.5, 0.6, None if critic is None else Kernel(critic, 0.5))
    fields, energies = [], []
    for count in (1, 2):
        with threads.limit(count):
            found = tilted_descent(energy, 1e-2, 1e-9, 12)
        fields.append(found.state.log_density())
        energies.append(found.trace.energy)
    np.testing.assert_array_equal(fields[0], fields[1])
    np.testing.assert_array_equal(energies[0], energies[1])


def test_what_is_no_descent_is_refused() -> None:
    grid = Circle(30)
    energy = Energy(grid, np.zeros((1, 30)), 0.5)
    begin = start("uniform", energy, 0.0)
    with pytest.raises(InputError, match="tolerance"):
        descend(energy, begin, -1.0, 10)
    with pytest.raises(InputError, match="tolerance"):
        descend(energy, begin, np.nan, 10)
    with pytest.raises(InputError, match="shape"):
        descend(energy, normalise(np.zeros((2, 30)), 0.0), 1e-9, 10)
    with pytest.raises(InputError, match="start"):
        start("somewhere", energy, 0.0)
    with pytest.raises(InputError, match="29 points"):
        start(np.ones((1, 29)), energy, 0.0)
    with pytest.raises(InputError, match="steps"):
        descend(energy, begin, 1e-9, -1)
