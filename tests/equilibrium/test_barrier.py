"""Barriers: passes between matched and separated states against closed forms, other grids, atoms and descents from either end."""

from typing import Any

import numpy as np
import pytest

import fieldsolve as fs
from fieldsolve.equilibrium.bands import band_energy
from fieldsolve.equilibrium.barrier import Barrier, NoBarrierError, barrier
from fieldsolve.equilibrium.batches import Positive, batch_factors
from fieldsolve.equilibrium.densities import normalise
from fieldsolve.equilibrium.descent import Status, descend
from fieldsolve.equilibrium.differences import eigenvalues_by_differences
from fieldsolve.equilibrium.landau import height_near_spinodal
from fieldsolve.equilibrium.sections import Section, gap_along
from fieldsolve.equilibrium.stability import curvature
from fieldsolve.grids import Kernel
from fieldsolve.numerics.errors import InputError
from fieldsolve.theorems.dispersion import dispersion


def flat(tau: float, coupling: float, **where: object) -> fs.Problem:
    return fs.Problem(["flat"] * 2, tau, 0.0, coupling, "smoothed", **where)


@pytest.fixture(scope="module")
def clip() -> Barrier:
    return barrier(flat(0.01, 0.44, dimension=512))


@pytest.mark.parametrize(("dimension", "tau"), [(2, 0.5), (3, 0.3), (8, 0.2)])
def test_heights_near_the_spinodal_are_the_closed_form(dimension: int, tau: float) -> None:
    kernel = Kernel("cosine", tau)
    spinodal = dispersion(kernel, dimension).breaks_at
    where = {"circle": 32} if dimension == 2 else {"dimension": dimension}
    errors = []
    for missing in (0.004, 0.002):
        found = barrier(flat(tau, spinodal - missing, **where))
        errors.append(found.height / height_near_spinodal(kernel, dimension, spinodal - missing) - 1)
        assert found.is_pass
    assert abs(errors[1]) < 0.03
    assert abs(errors[1]) < 0.75 * abs(errors[0])  # of first order in what is missing


def test_a_height_at_the_dimension_and_temperature_of_clip(clip: Barrier) -> None:
    assert clip.polished is not None
    assert clip.polished.stationarity < 1e-6
    assert clip.height == pytest.approx(1.25909e-3, abs=2e-7)
    assert clip.gap == pytest.approx(0.06365, abs=2e-4)
    assert clip.is_pass
    assert clip.disagreement < 0.01 * clip.height
    assert clip.separated < clip.matched - 0.1


def test_the_pass_is_below_every_pair_of_bands_on_the_way(clip: Barrier) -> None:
    """Bands at +-t are one way from a gap of 0: their highest energy is above the pass."""
    kernel = clip.problem.kernel
    for gap, energy in zip(clip.gaps[1:-1], clip.energies[1:-1], strict=True):
        assert energy < band_energy(kernel, 512, 0.44, gap / 2) + 1e-3
    assert clip.height < max(band_energy(kernel, 512, 0.44, gap / 2) for gap in np.linspace(0, 1, 101))


def test_the_way_down_from_the_pass_leads_to_either_end() -> None:
    problem = flat(0.5, 0.31, circle=32)
    found = barrier(problem)
    assert found.curvature is not None
    assert found.curvature.mode is not None
    energy, _ = problem.functional()
    logs = np.log(found.density)
    ends = []
    for sign in (-1, 1):
        moved = normalise(logs + sign * 0.02 * found.curvature.mode / found.density, 0.0)
        ends.append(descend(energy, moved, 1e-7, 3000).evaluation.value)
    lower, upper = sorted(ends)
    assert upper == pytest.approx(0.0, abs=1e-5)
    assert lower < -0.1
    assert found.matched == pytest.approx(0.0, abs=1e-12)


def test_the_pass_is_the_same_by_halving_between_the_basins() -> None:
    """Between a tilt that falls back and one that does not, descents pass by the saddle: no sections, no order parameter."""
    problem = flat(0.5, 0.315, circle=32)
    energy, _ = problem.functional()
    height = energy.grid.points() @ energy.grid.axis
    low, high, slowest = 0.0, 4.0, np.inf
    for _ in range(40):
        middle = (low + high) / 2
        state = normalise(np.stack([middle * height, -middle * height]), 0.0)
        values = [np.inf]
        while len(values) < 5000 and (len(values) < 2 or values[-1] > 1e-6):
            evaluation, state = energy.step(state, 1.0, np.empty_like(energy.potentials))
            values.append(evaluation.value)
        if values[-1] < 0:
            high = middle
            slowest = values[int(np.argmin(-np.diff(values[1:-1])))] if len(values) > 20 else slowest
        else:
            low = middle
    assert barrier(problem).height == pytest.approx(slowest, rel=2e-3)


def test_the_sphere_in_pixels_and_by_one_angle() -> None:
    """Densities of one angle are some of the sphere's, so that its pass is nowhere higher; here it is the same one."""
    zonal = barrier(flat(0.5, 0.35, dimension=3))
    sphere = barrier(flat(0.5, 0.35, nside=16))
    assert sphere.height == pytest.approx(zonal.height, rel=0.005)
    assert sphere.gap == pytest.approx(zonal.gap, rel=0.01)


def test_modalities_may_be_exchanged() -> None:
    one, other = (lambda points, kind=kind: 0.02 * points[:, kind] ** 2 for kind in (0, 1))
    heights = [barrier(fs.Problem(pair, 0.5, 1e-3, 0.32, "smoothed", circle=32)).height for pair in ([one, other], [other, one])]
    assert heights[0] > 1e-5
    assert heights[0] == pytest.approx(heights[1], rel=1e-3)


@pytest.mark.parametrize(
    "where",
    [{"circle": 32, "tau": 0.5, "coupling": 0.34}, {"dimension": 512, "tau": 0.01, "coupling": 0.47}],
    ids=["circle", "clip"],
)
def test_eigenvalues_by_differences_are_those_of_the_second_variation(where: dict[str, Any]) -> None:
    problem = fs.Problem(["flat"] * 2, floor=0.0, energy="smoothed", **where)
    energy, grid = problem.functional()[0], problem.grid
    height = grid.points() @ grid.axis
    state = normalise(np.stack([0.2 * height, -0.1 * height]), 0.0, grid.log_weights)
    lowest = curvature(energy, state).eigenvalues[0]
    assert lowest < -1e-3
    assert eigenvalues_by_differences(energy, state)[0] == pytest.approx(lowest, rel=1e-5)


def test_eigenvalues_of_finite_batches_at_uniform_densities_are_the_closed_form() -> None:
    problem = flat(0.5, 0.4, circle=48, batch=15)
    found = eigenvalues_by_differences(problem.functional()[0], normalise(np.zeros((2, 48)), 0.0))
    attraction, spread = batch_factors(Kernel("cosine", 0.5), 1, 15, Positive("aligned"), 1)
    # Of the dipole (1, -1): 2 e_1 (1 - 2 lambda) - f_1 in units of the entropy; twice, along either direction.
    assert found[:2] == pytest.approx(2 * attraction[1] * 0.2 - spread[1], abs=1e-6)


def test_nothing_holds_the_matched_state_beyond_its_spinodal() -> None:
    found = barrier(flat(0.5, 0.34, circle=32))
    assert found.height == 0
    assert found.height_back > 0.05
    assert found.curvature is not None
    assert found.curvature.is_saddle


def test_no_barrier_without_a_lower_state() -> None:
    with pytest.raises(NoBarrierError, match="larger coupling"):
        barrier(flat(0.5, 0.1, circle=32))


def test_finite_batches_have_their_own() -> None:
    few, more = (barrier(flat(0.5, 0.35, circle=32, batch=n)) for n in (15, 31))
    assert few.height == pytest.approx(0.0020148, abs=2e-5)
    assert more.height < few.height
    assert few.is_pass


@pytest.mark.parametrize("problem", [fs.Problem(circle=32), fs.Problem(["flat"], 0.5, energy="smoothed", circle=32)])
def test_other_energies_are_refused(problem: fs.Problem) -> None:
    with pytest.raises(InputError, match="smoothed energy of two"):
        barrier(problem)


@pytest.mark.parametrize("floor", [0.0, 0.05])
def test_a_section_keeps_its_gap_its_masses_and_its_floor(floor: float) -> None:
    energy, _ = flat(0.5, 0.3, circle=32).functional()
    axis = np.array([0.6, 0.8])
    section = Section(energy, axis, 0.7)
    rng = np.random.default_rng(5)
    state, _ = section.nearest(rng.standard_normal((2, 32)), floor)
    found = descend(section, state, 1e-9, 200)
    density = found.state.density()
    assert gap_along(energy.grid, axis, density) == pytest.approx(0.7, abs=1e-11)
    assert density.mean(axis=1) == pytest.approx([1, 1], abs=1e-12)
    assert density.min() >= floor
    assert np.all(np.diff(found.trace.energy) <= 1e-9)


def test_the_slope_of_sections_is_their_multiplier() -> None:
    energy, _ = flat(0.5, 0.3, circle=32).functional()
    axis = np.array([1.0, 0.0])
    found = []
    for gap in (0.39, 0.4, 0.41):
        section = Section(energy, axis, gap)
        done = descend(section, section.nearest(np.zeros((2, 32)), 0.0)[0], 1e-9, 3000)
        assert done.status is not Status.NOT_FINITE
        slope, _ = section._multiplier(done.state, energy.evaluate(done.state.density())[1])
        found.append((done.evaluation.value, slope))
    assert (found[2][0] - found[0][0]) / 0.02 == pytest.approx(found[1][1], abs=1e-4)


def test_a_gap_that_none_have_is_refused() -> None:
    energy, _ = flat(0.5, 0.3, circle=32).functional()
    with pytest.raises(InputError, match=r"gap of 2\.5"):
        Section(energy, np.array([1.0, 0.0]), 2.5).nearest(np.zeros((2, 32)), 0.0)


@pytest.mark.parametrize("term", ["", "noise:0.05", "centroid:0.5"])
def test_descents_stay_in_their_section(term: str) -> None:
    energy, _ = flat(0.5, 0.4, circle=32, terms=term or ()).functional()
    section = Section(energy, np.array([1.0, 0.0]), 0.7)
    found = descend(section, section.nearest(np.zeros((2, 32)), 0.0)[0], 1e-9, 60)
    assert gap_along(energy.grid, section.axis, found.state.density()) == pytest.approx(0.7, abs=1e-9)


@pytest.mark.parametrize(("power", "gap"), [(30.0, 1.9), (100.0, 1.98), (1.0, 0.4)])
def test_the_multiplier_of_a_section_is_a_linear_program_s(power: float, gap: float) -> None:
    from scipy.optimize import linprog

    energy, _ = flat(0.5, 0.3, circle=64).functional()
    section = Section(energy, np.array([1.0, 0.0]), gap)
    state, _ = section.nearest(np.zeros((2, 64)), 0.0)
    variation = np.exp(power * (section.tilt - 1))
    masses = np.kron(np.eye(2), np.ones(64) / 64)
    bound = np.vstack([masses, section.tilt.ravel()[None] / 64])
    exact = linprog(variation.ravel() / 64, A_eq=bound, b_eq=[1, 1, gap])
    slope, stationarity = section._multiplier(state, variation)
    assert stationarity == pytest.approx(np.mean(variation * state.density(), axis=1).sum() - exact.fun, abs=1e-9)
    assert slope == pytest.approx(exact.eqlin.marginals[2], rel=1e-6)


def test_equal_potentials_are_matched_whatever_rounding_does() -> None:
    problem = fs.Problem(["vmf:8@1,0+8@0,1"] * 2, 0.5, 0.0, 0.3, "smoothed", circle=32)
    alone = fs.Problem("vmf:8@1,0+8@0,1", 0.5, 0.0, energy="smoothed", circle=32, tolerance=1e-8, polish=False).solve()
    found = barrier(problem)
    assert found.matched == pytest.approx(alone.energy, abs=1e-7)
    assert found.gaps[0] == pytest.approx(0, abs=1e-12)


def test_no_barrier_where_the_followed_state_is_the_lowest() -> None:
    with pytest.raises(NoBarrierError, match="lowest that is known"):
        barrier(fs.Problem(["vmf:2@1,0", "vmf:2@0,1"], 0.5, 0.0, 0.4, "smoothed", circle=32))


def test_disks_have_barriers_without_harmonics() -> None:
    found = barrier(flat(0.5, 0.42, grid="disk:8,16,48"))
    assert found.curvature is None
    assert found.is_pass is None
