"""Densities made of the dual's minimisers, multipliers found on a sample first, and what a solve does with both."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fieldsolve as fs
from fieldsolve.equilibrium import dual as bounding
from fieldsolve.equilibrium import strategy
from fieldsolve.equilibrium.descent import Descent, Status
from fieldsolve.equilibrium.dual import ACCURACY, dual
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.expected import expected_seconds
from fieldsolve.equilibrium.phases import Matched
from fieldsolve.equilibrium.sheets import of_dual
from fieldsolve.equilibrium.strategy import Search, find_from
from fieldsolve.grids import Healpix
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array


@settings(max_examples=25)
@given(
    coupling=st.one_of(st.floats(1e-3, 0.9), st.sampled_from([0.2, 0.25, 0.5])),  # beyond, single pixels hold all mass
    floor=st.floats(-9, -0.7).map(np.exp),
    tau=st.floats(0.1, 2),
    misalign=st.sampled_from([0.0, 10.0, 90.0]),
)
def test_masses_are_met_and_nothing_is_left_to_descend(coupling: float, floor: float, tau: float, misalign: float) -> None:
    """The state is stationary to rounding, and its energy within what single pixels of mass cost of the bound."""
    problem = fs.Problem(nside=16, tau=tau, floor=floor, coupling=coupling, misalign=misalign)
    energy, _ = problem.functional()
    found = dual(energy.potentials, tau, floor, coupling)
    state, _ = of_dual(energy, floor, found)
    density = np.maximum(np.exp(state.field), floor)
    np.testing.assert_allclose(density.mean(axis=1), 1, atol=1e-11)
    evaluation, _ = energy.step(state, 0.0, np.empty_like(state.field))
    assert -1e-9 <= evaluation.value - found.bound < 1e-4
    assert evaluation.stationarity < 1e-4


def test_ties_of_all_points_are_shared() -> None:
    """A flat potential: every point may have the one density, the other or neither, and single pixels decide what fits."""
    for coupling in (0.3, 0.999):
        solution = fs.Problem(["flat"] * 2, coupling=coupling, nside=16).solve()
        assert solution.gap < 1e-8
        assert len(solution.trace) == 0


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
@pytest.mark.parametrize("kind", ["every 16th apart", "periodic", "sorted", "constant", "two values", "uniform"])
@pytest.mark.parametrize("coupling", [0.1, 0.3, 0.9])
def test_a_sample_that_misleads_changes_no_bound(
    kind: str, coupling: float, scale: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window that every 16th point suggests is left where the maximum is outside of it."""
    size = 4096
    potentials = rng.uniform(0, 2, (2, size))
    if kind == "every 16th apart":
        potentials[0, ::16], potentials[1, ::16] = 300.0, -50.0
    elif kind == "periodic":
        potentials = np.tile(np.linspace(0, 5, 16), (2, size // 16))
    elif kind == "sorted":
        potentials = np.sort(potentials)
    elif kind == "constant":
        potentials[:] = 1.0
    elif kind == "two values":
        potentials = np.where(rng.random((2, size)) < 0.1, -3.0, 1.0)
    potentials *= scale
    found = dual(potentials, 0.3, 1e-3, coupling)
    monkeypatch.setattr(bounding, "_LEAST_SAMPLE", size)
    whole = dual(potentials, 0.3, 1e-3, coupling)
    size_of_terms = 1 + 2 * abs(whole.bound) + np.abs(potentials).max() / 0.3
    assert found.bound == pytest.approx(whole.bound, abs=3 * ACCURACY * size_of_terms)
    assert found.bound <= whole.bound + whole.slack + 1e-12 * size_of_terms
    assert whole.bound <= found.bound + found.slack + 1e-12 * size_of_terms
    assert found.evaluations < 100


def test_large_problems_take_few_evaluations_and_no_steps() -> None:
    problem = fs.Problem(nside=64, tau=0.3, coupling=0.5)
    solution = problem.solve()
    assert (len(solution.trace), solution.status) == (0, Status.CONVERGED)
    assert solution.gap < 1e-10
    energy, _ = problem.functional()
    assert dual(energy.potentials, 0.3, 1e-3, 0.5).evaluations < 20


def test_global_solves_on_a_sample_have_the_same_bits_for_one_and_two_threads() -> None:
    found = []
    for count in (1, 2):
        with threads.limit(count):
            solution = fs.Problem(nside=64, tau=0.2, coupling=0.4, misalign=15.0).solve()
        found.append((solution.bound, solution.density.tobytes()))
    assert found[0] == found[1]


def test_a_coarse_grid_chooses_the_start_of_smoothed_problems() -> None:
    problem = fs.Problem(nside=64, tau=0.3, coupling=0.7, energy="smoothed")
    solution = problem.solve()
    again = problem.solve(start=solution.start)
    assert solution.start in ("tilted", "intrinsic")
    np.testing.assert_array_equal(solution.density, again.density)
    energy, _ = problem.functional()
    ends = {
        name: find_from(Search(energy, 1e-3, 1e-3, 10_000), name, None)[0].evaluation.value for name in ("tilted", "intrinsic")
    }
    assert ends[solution.start] < min(ends.values()) + 1e-3


@pytest.mark.parametrize("better", ["tilted", "intrinsic"])
def test_the_full_grid_descends_from_the_start_that_the_coarse_one_chose(better: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[int, tuple[str, ...]]] = []
    lowest_end = strategy.lowest_end

    def told(search: Search, starts: Sequence[str], matched: Matched | None) -> tuple[str, Descent, float | None]:
        tried.append((search.energy.grid.size, tuple(starts)))
        return lowest_end(search, starts if len(starts) == 1 else (better,), matched)

    monkeypatch.setattr(strategy, "lowest_end", told)
    solution = fs.Problem(nside=64, tau=0.5, coupling=0.7, energy="smoothed").solve()
    assert solution.start == better
    assert tried == [(Healpix(16).size, ("tilted", "intrinsic")), (Healpix(64).size, (better,))]


def test_how_long_a_solve_takes_is_foreseen_only_where_it_may_be_long() -> None:
    small, gibbs, large = (
        fs.Problem(nside=8, coupling=0.5),
        fs.Problem("two-well", nside=128),
        fs.Problem(nside=128, tau=0.5, energy="smoothed"),
    )
    assert expected_seconds(small.functional()[0], 1e-3, False) is None
    assert expected_seconds(gibbs.functional()[0], 0.0, False) is None
    alone = expected_seconds(large.functional()[0], 1e-3, False)
    assert alone is not None
    assert alone > 0


def test_who_watches_is_told_what_is_done_where() -> None:
    told: list[str] = []
    fs.Problem(nside=16, tau=0.5, coupling=0.5, energy="smoothed", tolerance=1e-2).solve(
        stability=True, watch=lambda now: told.append(now.what), discretisation=True
    )
    for part in ("potentials on healpix:16", "steps on healpix:16, stationarity", "second variation on healpix:16", "healpix:8"):
        assert any(part in what for what in told), part
    told.clear()
    fs.Problem(nside=16, coupling=0.5).solve(watch=lambda now: told.append(now.what))
    assert any("evaluations of the bound on 3072 points" in what for what in told)


def test_the_bound_is_never_above_feasible_states(rng: np.random.Generator) -> None:
    """Random floored densities of a problem that is large enough for a sample."""
    potentials: Array = rng.uniform(0, 2, (2, 3072))
    for coupling in (0.05, 0.3, 0.95):
        bound = dual(potentials, 0.4, 1e-3, coupling).bound
        energy = Energy(Healpix(16), potentials, 0.4, coupling)
        for strength in (0.1, 1.0, 5.0):
            density = 1e-3 + rng.exponential(size=potentials.shape) ** strength
            density = 1e-3 + (1 - 1e-3) * (density - 1e-3) / (density - 1e-3).mean(axis=1, keepdims=True)
            assert energy.evaluate(density)[0].value >= bound


@pytest.mark.parametrize(
    ("nside", "coupling", "tau", "floor", "misalign", "gap"),
    [(8, 0.4, 0.12440705438755613, 1e-200, 10.0, 3e-6), (16, 0.9, 3.6813785804802244, 0.9, 10.0, 3e-6)],
)
def test_of_several_ways_to_meet_the_masses_the_best_is_taken(
    nside: int, coupling: float, tau: float, floor: float, misalign: float, gap: float
) -> None:
    """Few pixels, whose single masses count: taking one more or one less is worth several times the gap."""
    solution = fs.Problem(nside=nside, coupling=coupling, tau=tau, floor=floor, misalign=misalign).solve()
    assert solution.gap < gap


def test_a_matched_state_that_ties_is_matched() -> None:
    """At some points the dual's pair is not the matched one, at no price: the phase is the matched state's all the same."""
    rng = np.random.default_rng(4)
    potentials, coupling, tau = rng.normal(size=(2, 2048)), 0.25 + 0.1 * rng.random(), 0.02 + 0.02 * rng.random()
    solution = fs.Problem(list(potentials), circle=2048, coupling=coupling, tau=tau, floor=1e-12).solve()
    assert solution.matched is not None
    assert solution.matched.phase.value == "matched"
