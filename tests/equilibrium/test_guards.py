"""Guards that only count when something else is wrong: each test fails if its guard is loosened."""

from dataclasses import replace

import numpy as np
import pytest

from fieldsolve.equilibrium import dual as duality
from fieldsolve.equilibrium import phases
from fieldsolve.equilibrium.densities import LogDensity, from_density, normalise
from fieldsolve.equilibrium.descent import Status, descend
from fieldsolve.equilibrium.energy import Energy, Evaluation
from fieldsolve.equilibrium.phases import Phase, compare, matched_state
from fieldsolve.equilibrium.starts import start
from fieldsolve.equilibrium.strategy import DOUBTFUL
from fieldsolve.equilibrium.vertices import vertex_minimum
from fieldsolve.grids import Circle, Grid, Kernel
from fieldsolve.grids.grid import EQUAL

Array = np.ndarray


def waves(grid: Circle, modalities: int = 2) -> Array:
    return np.stack([np.cos(grid.angles() - a) for a in range(modalities)])


class Told(Energy):
    """An energy whose evaluations are told what to say, by how many there have been: one a state where each is lower."""

    def says(self, number: int, evaluation: Evaluation) -> Evaluation:
        return evaluation

    def step(self, state: LogDensity, length: float, out: Array, centre: Array | None = None) -> tuple[Evaluation, LogDensity]:
        evaluation, onward = super().step(state, length, out, centre)
        number = self.__dict__.get("calls", 0)
        self.__dict__["calls"] = number + 1
        return self.says(number, evaluation), onward


def test_what_rounding_may_have_added_is_taken_off_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of coupling 1 the minimum is known exactly: the bound is never above it, and without the guard it is."""
    above = {True: 0, False: 0}
    for is_guarded in (True, False):
        if not is_guarded:
            monkeypatch.setattr(duality, "_ROUNDING", 0.0)
        for seed in range(60):
            potentials = np.random.default_rng(seed).uniform(-1, 1, (2, 50))
            exact = vertex_minimum(potentials, 1e-6, 0.3).value
            found = duality.dual(potentials, 1e-6, 0.3, 1.0).bound
            above[is_guarded] += found > exact
            assert found == pytest.approx(exact, rel=1e-9)
    assert above[True] == 0
    assert above[False] > 0


@pytest.mark.parametrize(("above", "status"), [(0.5, Status.CERTIFIED), (2.0, Status.STALLED)])
def test_a_stalled_descent_is_certified_by_a_gap_of_one_tolerance_and_no_more(above: float, status: Status) -> None:
    class Stuck(Told):
        """Every state is as low as the first, and as far from stationary."""

        def says(self, number: int, evaluation: Evaluation) -> Evaluation:
            return replace(evaluation, value=1.0, stationarity=1e-2)

    grid = Circle(30)
    energy = Stuck(grid, waves(grid), 0.5, 0.4)
    found = descend(energy, start("tilted", energy, 0.01), 1e-4, 1000, bound=1.0 - above * 1e-4)
    assert found.status is status


@pytest.mark.parametrize(("above", "steps"), [(0.5, 10), (2.0, 200)])
def test_energies_within_the_tolerance_of_their_bound_are_left_after_ten_steps(above: float, steps: int) -> None:
    class Slow(Told):
        """Every state is a little lower, and as far from stationary."""

        def says(self, number: int, evaluation: Evaluation) -> Evaluation:
            return replace(evaluation, value=1.0 - 1e-9 * number, stationarity=1e-2)

    grid = Circle(30)
    energy = Slow(grid, waves(grid), 0.5, 0.4)
    found = descend(energy, start("tilted", energy, 0.01), 1e-4, 200, bound=1.0 - above * 1e-4)
    assert len(found.trace) == steps
    assert found.status is (Status.CERTIFIED if steps == 10 else Status.STEPS)


def test_a_falling_stationarity_is_progress_although_the_energy_stands_still() -> None:
    class Slow(Told):
        """The energy does not move any more; the stationarity falls by two percent in a step."""

        def says(self, number: int, evaluation: Evaluation) -> Evaluation:
            return replace(evaluation, value=1.0, stationarity=1e-2 * 0.98**number)

    grid = Circle(30)
    energy = Slow(grid, waves(grid), 0.5, 0.4)
    found = descend(energy, start("tilted", energy, 0.01), 1e-5, 1000)
    assert found.status is Status.CONVERGED
    assert len(found.trace) > 200


def test_patience_ends() -> None:
    class Risen(Told):
        """The first state is the best: lower and closer to stationary than all others."""

        def says(self, number: int, evaluation: Evaluation) -> Evaluation:
            return replace(evaluation, value=1.0, stationarity=1e-2 if number == 0 else 2e-2)

    grid = Circle(30)
    risen = Risen(grid, waves(grid), 0.5, 0.4)
    found = descend(risen, start("tilted", risen, 0.01), 1e-5, 5000)
    assert found.status is Status.STALLED
    assert 100 <= len(found.trace) <= 110


@pytest.mark.parametrize("floor", [1e-3, 0.1])
def test_the_rounding_of_a_value_is_a_bound_and_not_a_loose_one(floor: float) -> None:
    """Against sums in extended precision: never above the bound, which is at most a thousand units in the last place."""
    grid = Circle(400)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        energy = Energy(grid, 10.0 ** rng.uniform(-2, 2) * rng.uniform(-1, 1, (2, grid.size)), 0.3, float(rng.uniform()))
        evaluation, _ = energy.evaluate(normalise(2 * rng.standard_normal((2, grid.size)), floor).density())
        rho, u = evaluation.state.density().astype(np.longdouble), energy.potentials.astype(np.longdouble)
        rho /= rho.mean(axis=1, keepdims=True)
        cross = np.array([[np.mean(a * np.log(b)) for b in rho] for a in rho])
        exact = (np.sum(np.mean(u * rho, axis=1)) / np.longdouble(0.3) + np.sum(energy.mixing * cross)) / 2
        size = 1 + float(np.sum(np.abs(evaluation.binding)) + np.sum(np.abs(energy.mixing * cross)))
        assert abs(float(evaluation.value - exact)) <= evaluation.rounding
        assert evaluation.rounding <= 1e-12 * size


def test_smoothed_values_are_known_to_the_accuracy_of_their_logarithms() -> None:
    grid = Circle(60)
    energy = Energy(grid, waves(grid), 0.5, 0.3, Kernel("cosine", 0.5))
    assert 1e-10 <= energy.evaluate(np.ones((2, grid.size)))[0].rounding <= 1e-9


def test_a_branch_is_followed_in_short_steps() -> None:
    """Longer ones could pass over the end of one pair and the beginning of another."""
    grid = Circle(40)
    potentials = 0.02 * waves(grid)
    branch = phases._Branch(potentials - potentials.min(axis=1, keepdims=True), 1.0, 0.5, EQUAL)
    assert branch.at(0.2) is not None
    couplings = [coupling for coupling, _ in branch._reached]
    assert np.diff(couplings).max() <= 1 / 16
    assert len(couplings) >= 4


def test_a_globally_minimal_state_has_no_cheaper_pair_by_a_hair() -> None:
    """The binodal is where separated pairs become cheaper, to the accuracy of bisection, not where they have long been."""
    grid = Circle(64)
    potentials = waves(grid, 1).repeat(2, axis=0) + 1
    found = phases.transitions(potentials, 1.0, 0.01)
    for coupling, is_lowest in ((found.binodal - 1e-7, True), (found.binodal + 1e-7, False)):
        energy = Energy(grid, potentials, 1.0, coupling)
        matched = matched_state(energy, 0.01)
        assert matched is not None
        assert phases.is_globally_minimal(potentials, 1.0, 0.01, coupling, matched) is is_lowest


def test_half_of_the_excess_mass_on_a_pixel_is_a_collapse_and_less_is_none() -> None:
    grid: Grid = Circle(50)
    energy = Energy(grid, waves(Circle(50)), 0.5, 0.5)
    for share, phase in ((0.55, Phase.COLLAPSED), (0.45, Phase.SEPARATED)):
        density = np.full((2, 50), 1.0)
        for a, spike in enumerate((3, 30)):
            density[a] = 0.01 + 0.99 * (1 - share) * 50 / 49
            density[a, spike] = 0.01 + 0.99 * share * 50
        figures = compare(energy, from_density(density, 0.01), matched_state(energy, 0.01))
        assert figures is not None
        assert figures.phase is phase


def test_a_doubtful_gap_is_a_thousandth_of_a_nat() -> None:
    assert DOUBTFUL == 1e-3
