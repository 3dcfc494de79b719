"""Solving: what the theory says must be found, and the symmetries of it."""

import numpy as np
import pytest

import fieldsolve as fs
from fieldsolve.equilibrium import storage
from fieldsolve.equilibrium.densities import symmetric_kl
from fieldsolve.equilibrium.descent import Status
from fieldsolve.equilibrium.potentials import Potential, flat, from_map, mixture, two_well
from fieldsolve.grids import Circle, Healpix, Smoother
from fieldsolve.numerics.errors import InputError

# Cap masses of the two-well potential by quadrature, radius 0.5, to 1e-10.
CAP_MASS = {
    10: 0.1286327598, 5: 0.1349755024, 2.5: 0.1480117059, 1: 0.1893464213,
    0.5: 0.2620628235, 0.2: 0.4675284987, 0.1: 0.7063853515,
}  # fmt: skip


@pytest.mark.parametrize("tau", CAP_MASS)
def test_two_well_at_nside_64(tau: float) -> None:
    solution = fs.Problem(two_well(), tau=tau, grid=Healpix(64)).solve()
    assert solution.converged
    assert solution.energy == pytest.approx(-solution.log_partition[0], abs=1e-12)
    assert solution.gap == pytest.approx(0, abs=1e-12)
    assert solution.energy == pytest.approx(solution.binding[0] - solution.entropy[0], abs=1e-12)
    assert solution.cap_mass() == pytest.approx(CAP_MASS[tau], rel=1e-3)  # a percent is asked for


@pytest.mark.parametrize("tau", [1, 0.1])
def test_cap_masses_converge_at_second_order(tau: float) -> None:
    errors = [fs.Problem(two_well(), tau=tau, grid=Healpix(nside)).solve().cap_mass() - CAP_MASS[tau] for nside in (32, 64, 128)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.25)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.25)


@pytest.mark.parametrize("floor", [0.3, 0.1, 1e-3, 1e-6])
@pytest.mark.parametrize("kind", ["random", "identical", "identical with ties", "same minimum"])
def test_full_coupling_reaches_the_exact_minimum(kind: str, floor: float, rng: np.random.Generator) -> None:
    grid = Healpix(8)
    values = rng.uniform(-1, 1, (2, grid.size))
    if kind == "identical":
        values[1] = values[0]
    elif kind == "identical with ties":
        values[1] = values[0] = np.round(3 * values[0])
    elif kind == "same minimum":
        values[:, 100] = -1.5
    for tau in (1.0, 0.1):
        solution = fs.Problem([from_map(one) for one in values], tau=tau, floor=floor, grid=grid).solve()
        assert solution.converged
        assert solution.gap == pytest.approx(0, abs=1e-12 * max(1, abs(solution.energy)))
        np.testing.assert_allclose(solution.spike_mass, 1, rtol=1e-12)
        assert solution.spikes[0] != solution.spikes[1]
        assert np.all(np.diff(solution.trace.energy) <= 1e-11)


def test_no_coupling_is_two_gibbs_problems() -> None:
    grid = Healpix(16)
    potentials = [two_well(), mixture(np.array([[1.0, 0, 0]]), 4.0)]
    for floor in (0.0, 0.05):
        solution = fs.Problem(potentials, tau=0.3, floor=floor, coupling=0.0, grid=grid).solve()
        alone = [fs.Problem(one, tau=0.3, floor=floor, grid=grid).solve() for one in potentials]
        np.testing.assert_allclose(solution.density, [one.density[0] for one in alone], rtol=1e-12)
        assert solution.energy == pytest.approx(np.mean([one.energy for one in alone]), abs=1e-13)
        assert solution.gap == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("coupling", [0.1, 0.4, 1.0])
@pytest.mark.parametrize("smoothed", [False, True])
def test_swapping_the_modalities_swaps_the_answer(coupling: float, smoothed: bool) -> None:
    grid = Healpix(8)
    potentials = [two_well(), two_well().misalign(40, Healpix(1))]
    energy = "smoothed" if smoothed else "intrinsic"
    problem = fs.Problem(potentials, 0.5, 0.01, coupling, energy, grid=grid, start="gibbs", max_steps=200)
    there, back = problem.solve(), problem.at("potentials", potentials[::-1]).solve()
    np.testing.assert_allclose(back.density[::-1], there.density, rtol=1e-9)
    assert back.energy == pytest.approx(there.energy, abs=1e-12)


@pytest.mark.parametrize("coupling", [0.1, 0.4, 1.0])
def test_rotating_both_potentials_rotates_the_answer(coupling: float) -> None:
    grid = Healpix(8)
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # about z: permutes the pixels
    potentials = [two_well(), mixture(np.array([[1.0, 0.2, 0.1]]), 5.0)]
    plain = fs.Problem(potentials, tau=0.5, floor=0.01, coupling=coupling, start="gibbs", grid=grid).solve()
    turned = fs.Problem(
        [one.rotate(quarter) for one in potentials], tau=0.5, floor=0.01, coupling=coupling, start="gibbs", grid=grid
    ).solve()
    source = grid.nearest(grid.points() @ quarter)
    np.testing.assert_allclose(turned.density, plain.density[:, source], rtol=1e-6, atol=1e-9)
    assert turned.energy == pytest.approx(plain.energy, abs=1e-10)


def test_a_rotation_that_permutes_nothing_leaves_the_energy() -> None:
    grid = Healpix(64)
    energies = [
        fs.Problem(two_well().misalign(angle, Healpix(1)), tau=0.5, floor=0.01, grid=grid).solve().energy for angle in (0, 33, 77)
    ]
    assert np.ptp(energies) < 2e-5


def test_the_circle_solves_too() -> None:
    potential = mixture(np.array([[1.0, 0.0], [-1.0, 0.0]]), 6.0, np.array([0.7, 0.3]))
    one = fs.Problem(potential, tau=0.2, grid=Circle(200)).solve()
    assert one.gap == pytest.approx(0, abs=1e-12)
    two = fs.Problem([potential, potential], tau=0.2, floor=1e-3, grid=Circle(200)).solve()
    assert two.gap == pytest.approx(0, abs=1e-12)
    smoothed = fs.Problem([potential, potential], tau=0.2, floor=1e-3, energy="smoothed", grid=Circle(200)).solve()
    assert smoothed.converged
    assert 0 < smoothed.gap < 5


def test_smoothed_collapse_without_potential_is_two_antipodal_spikes() -> None:
    tau = 0.3
    solution = fs.Problem([flat(), flat()], tau=tau, floor=0.0, tolerance=1e-6, energy="smoothed", grid=Healpix(8)).solve()
    assert solution.converged
    assert solution.symmetric_kl == pytest.approx(4 / tau, rel=0.02)
    assert solution.centroid_gap == pytest.approx(2, rel=0.01)


def test_an_unresolved_kernel_leaves_the_intrinsic_solve_alone_and_stops_the_smoothed_one() -> None:
    grid = Healpix(8)
    solution = fs.Problem(two_well(), tau=0.01, grid=grid).solve()
    assert solution.converged
    assert solution.kernel_values is None
    assert solution.summary()["kde_error"] is None
    assert any("narrower" in note for note in solution.notes)
    with pytest.raises(InputError, match="nside 16"):
        fs.Problem(two_well(), tau=0.01, energy="smoothed", grid=grid).solve()
    allowed = fs.Problem(two_well(), tau=0.01, allow_unresolved=True, grid=grid).solve()
    assert allowed.kernel_values is not None
    assert allowed.summary()["problem"]["allow_unresolved"] is True


def test_kernel_figures_are_what_they_say() -> None:
    grid = Healpix(16)
    solution = fs.Problem(two_well(), tau=0.5, grid=grid).solve()
    kde_error, spread = solution.kernel_values
    smooth = Smoother(grid, solution.kernel).smooth(solution.density[0])
    assert kde_error == np.abs(smooth - solution.density[0]).max()
    assert spread == np.ptp(Smoother(grid, solution.kernel).sum(np.ones(grid.size)))


def test_problems_without_a_minimum_are_refused() -> None:
    grid = Healpix(2)
    with pytest.raises(InputError, match="unbounded below"):
        fs.Problem([flat(), flat()], tau=1.0, floor=0.0, coupling=0.5, grid=grid).solve()
    for floor in (1.0, -0.1, np.nan):
        with pytest.raises(InputError, match="floor"):
            fs.Problem(flat(), tau=1.0, floor=floor, grid=grid).solve()
    with pytest.raises(InputError, match="tau"):
        fs.Problem(flat(), tau=0.0, grid=grid).solve()
    with pytest.raises(InputError, match="not finite"):
        fs.Problem(Potential(lambda points: np.full(len(points), np.nan), "broken"), tau=1.0, grid=grid).solve()


def test_running_out_of_steps_is_said() -> None:
    solution = fs.Problem([two_well(), two_well()], tau=0.5, floor=1e-3, coupling=0.5, max_steps=3, grid=Healpix(4)).solve(
        "tilted"
    )
    assert solution.status is Status.STEPS
    assert len(solution.trace) == 3
    assert not solution.converged


def test_wells_and_their_caps_turn_with_the_potential() -> None:
    plain = fs.Problem(two_well(), tau=0.2, grid=Healpix(64)).solve()
    turned = fs.Problem(two_well().rotate(Healpix(1).rotation(50.0)), tau=0.2, grid=Healpix(64)).solve()
    assert turned.cap_mass() == pytest.approx(plain.cap_mass(), rel=1e-3)
    assert fs.Problem(flat(), tau=1.0, grid=Healpix(8)).solve().cap_mass() is None
    with pytest.raises(InputError, match="radius"):
        plain.cap_mass(0.0)


def test_several_modalities_are_no_special_case(tmp_path) -> None:
    grid = Healpix(4)
    three = fs.Problem([two_well()] * 3, tau=0.5, floor=0.05, coupling=0.6, grid=grid).solve()
    assert three.converged
    assert three.density.shape == (3, grid.size)
    assert three.gap >= 0
    lopsided = [[0.4, 0.6, 0.0], [0.0, 0.4, 0.6], [0.6, 0.0, 0.4]]
    with pytest.raises(InputError, match="global"):
        fs.Problem([two_well()] * 3, tau=0.5, floor=0.05, coupling=lopsided, start="global", grid=grid).solve()
    assert three.summary()["symmetric_kl"] > 0
    storage.save(three, tmp_path / "three")
    np.testing.assert_array_equal(fs.load(tmp_path / "three").density, three.density)
    pairs_of_two = [three.cross_entropy[np.ix_([a, b], [a, b])] for a, b in ((0, 1), (0, 2), (1, 2))]
    assert three.symmetric_kl == pytest.approx(sum(symmetric_kl(pair) for pair in pairs_of_two), rel=1e-12)


@pytest.mark.parametrize(
    ("potentials", "more"),
    [
        (["two-well"], {"tau": 0.2}),
        (["two-well", "two-well"], {"tau": 0.5, "coupling": 0.1, "floor": 0.05}),
        (["two-well"], {"tau": 0.2, "misalign": 30.0}),
    ],
)
def test_the_discretisation_error_is_that_of_the_next_grids(potentials: list[str], more: dict[str, object]) -> None:
    problem = fs.Problem(potentials, nside=16, **more)
    solution = problem.solve(discretisation=True)
    plain, finer, finest = (problem.at("nside", nside).solve().energy for nside in (16, 32, 64))
    assert solution.energy == plain
    limit = finest + (finest - finer) / 3
    assert solution.discretisation_error == pytest.approx(abs(plain - limit), rel=0.3)
    assert problem.solve().discretisation_error is None
    # What is known on this grid only is averaged for the coarser one, which costs some of the same order.
    known_here_only = fs.Problem(list(problem.values), nside=16, **{**more, "misalign": 0.0}).solve(discretisation=True)
    assert 1 < known_here_only.discretisation_error / solution.discretisation_error < 10


def test_where_there_is_no_coarser_grid_nothing_is_said_of_it() -> None:
    assert fs.Problem(grid=Healpix(1), potentials="two-well").solve(discretisation=True).discretisation_error is None
    assert fs.Problem("flat", circle=5).solve(discretisation=True).discretisation_error is None
    smoothed = fs.Problem("two-well", tau=0.02, nside=16, energy="smoothed").solve(discretisation=True)
    assert smoothed.discretisation_error is None  # the coarser grid does not resolve the kernel


def test_what_a_grid_does_not_resolve_is_said(tmp_path) -> None:
    narrow = fs.Problem("two-well", tau=1e-4, nside=16).solve(discretisation=True)
    assert narrow.gap == pytest.approx(0, abs=1e-10 * abs(narrow.energy))
    assert any("stands on about" in note for note in narrow.notes)
    assert any("the energy moves by" in note for note in narrow.notes)
    wide = fs.Problem("two-well", tau=0.5, nside=32).solve(discretisation=True)
    assert wide.notes == ()
    storage.save(narrow, tmp_path / "narrow")
    loaded = fs.load(tmp_path / "narrow")
    assert (loaded.discretisation_error, loaded.notes) == (narrow.discretisation_error, narrow.notes)


@pytest.mark.parametrize(("coupling", "tau"), [(0.2, 0.1), (0.25, 0.1), (0.3, 0.3)])
def test_smoothed_states_below_the_first_critical_coupling_are_not_only_matched(coupling: float, tau: float) -> None:
    problem = fs.Problem(["flat", "flat"], tau=tau, coupling=coupling, energy="smoothed", floor=0.0, nside=16)
    matched, found = problem.solve(start="tilted"), problem.solve()
    antipodal_spikes = (1 - 2 * coupling) / tau - np.log(tau * np.sinh(1 / tau))
    assert matched.energy == pytest.approx(0, abs=1e-4)
    assert found.energy < min(antipodal_spikes, 0) - 0.05
    assert (found.start, found.converged) == ("intrinsic", True)
    named = problem.solve(start="intrinsic")
    assert named.energy == found.energy
    with pytest.raises(InputError, match="intrinsic start is for smoothed"):
        fs.Problem(["flat", "flat"], floor=0.1, nside=4, start="intrinsic").solve()


def test_of_three_smoothed_modalities_the_lower_end_is_taken() -> None:
    problem = fs.Problem(["two-well"] * 3, tau=0.1, coupling=0.15, energy="smoothed", floor=0.01, nside=8)
    ends = [problem.solve(start=name).energy for name in ("tilted", "intrinsic")]
    found = problem.solve()
    assert found.energy == min(ends) < max(ends)
    assert found.gap > 0


@pytest.mark.parametrize("start", ["uniform", "gibbs", "random:1"])
def test_every_large_gap_has_its_note(start: str) -> None:
    solution = fs.Problem(["two-well"] * 2, tau=0.5, coupling=0.5, floor=0.01, nside=4).solve(start=start)
    assert (solution.gap > 1e-3) == any("the gap is" in note for note in solution.notes)
    three = fs.Problem(["two-well"] * 3, tau=0.5, coupling=0.6, floor=0.05, nside=4).solve(start=start)
    assert (three.gap > 1e-3) == any("the gap is" in note for note in three.notes)
    assert start == "random:1" or three.gap > 1e-3


def test_whichever_modality_responds_first_the_better_end_is_taken() -> None:
    """Both potentials are lowest at one pixel: who gets it decides, and here it must be the second modality."""
    grid = Healpix(2)
    values = np.zeros((2, grid.size))
    values[0, 5], values[0, 9] = -1.0, -0.9
    values[1, 5], values[1, 20] = -1.0, -0.2
    for order in (1, -1):
        solution = fs.Problem([from_map(one) for one in values[::order]], tau=0.2, floor=0.01, grid=grid).solve()
        assert solution.gap == pytest.approx(0, abs=1e-12)
        assert solution.spikes[::order].tolist() == [9, 5]


def test_very_low_temperatures_do_not_break() -> None:
    for tau in (1e-3, 1e-6):
        solution = fs.Problem(two_well(), tau=tau, grid=Healpix(8)).solve()
        assert solution.converged
        assert solution.gap == pytest.approx(0, abs=1e-10 * abs(solution.energy))  # U/tau has digits to 1e-16 of itself
