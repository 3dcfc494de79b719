"""The explorer's table, its stops, its sweeps and its command."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import fieldsolve as fs
from fieldsolve.cli import main
from fieldsolve.encoders import law_from_table
from fieldsolve.explorer import Explorer, Stops, explore, html
from fieldsolve.explorer.encoders import penalised, uneven_law
from fieldsolve.explorer.page import payload
from fieldsolve.explorer.tasks import FIGURES
from fieldsolve.output.interactive import plotly_script

FEW = Stops(tau=(0.3, 1.0), coupling=(0.0, 0.1, 0.4, 1.0), floor=(1e-3, 0.1), misalign=(0.0, 40.0), swept=(0.0, 0.3, 0.6))
PROBLEM = fs.Problem(["two-well"] * 2, 0.3, 0.1, coupling=0.4, nside=8)


@pytest.fixture(scope="module")
def found() -> Explorer:
    return explore(PROBLEM, FEW)


def figure(found: Explorer, name: str) -> np.ndarray:
    return found.table[..., FIGURES.index(name)]


def test_every_entry_is_certified_and_what_solve_finds(found: Explorer) -> None:
    assert found.table.shape == (2, 2, 2, 4, 6)
    assert found.gaps.min() >= -1e-9
    assert found.gaps.max() < 1e-4
    assert found.summary()["certified"] == found.summary()["entries"] == 32
    for m, misalign in enumerate(FEW.misalign):
        for c, coupling in enumerate(FEW.coupling):
            solution = replace(PROBLEM, misalign=misalign, tau=1.0, floor=1e-3, coupling=coupling).solve()
            assert figure(found, "energy")[m, 1, 0, c] == pytest.approx(solution.energy, abs=1e-4)
            assert solution.bound is not None
            assert figure(found, "bound")[m, 1, 0, c] == pytest.approx(solution.bound, abs=1e-7)
            assert figure(found, "centroid_gap")[m, 1, 0, c] == pytest.approx(solution.centroid_gap, abs=0.02)
    ends = replace(PROBLEM, misalign=40.0, tau=0.3, floor=0.1).transitions()
    np.testing.assert_allclose(found.transitions[1, 0, 1], [ends.binodal, ends.spinodal], atol=1e-8)


def test_energies_fall_along_the_coupling(found: Explorer) -> None:
    assert np.all(np.diff(figure(found, "energy"), axis=-1) < 1e-9)
    assert np.all(figure(found, "symmetric_kl")[0, :, :, 0] < 1e-9)


def test_exchanging_the_potentials_exchanges_the_multipliers() -> None:
    stops = Stops(tau=(0.3, 0.5), coupling=(0.1, 0.5), floor=(0.01, 0.1), misalign=(0.0,), swept=(0.0, 0.5))
    names = ["two-well", "vmf:3@1,0,0"]
    one, other = (explore(fs.Problem(both, 0.3, 0.1, coupling=0.1, nside=4), stops).table for both in (names, names[::-1]))
    np.testing.assert_allclose(one[..., [0, 1]], other[..., [1, 0]], atol=1e-5)
    np.testing.assert_allclose(one[..., 2:4], other[..., 2:4], atol=1e-4)


def test_what_is_asked_for_becomes_a_stop() -> None:
    stops = FEW.including(tau=0.7, coupling=0.4, floor=0.05, misalign=10.0)
    assert stops.tau == (0.3, 0.7, 1.0)
    assert stops.coupling == FEW.coupling
    assert stops.floor == (1e-3, 0.05, 0.1)
    assert stops.misalign == (0.0, 10.0, 40.0)
    assert Stops().entries >= 21 * 21 * 5
    assert min(len(Stops().coupling), len(Stops().floor)) == 21


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tau": (0.3,)}, "tau needs at least 2 stops, not 1"),
        ({"misalign": ()}, "misalign needs at least 1 stop, not 0"),
        ({"tau": ("a", 0.3)}, "stops of tau are numbers"),
        ({"floor": (0.0, 0.1)}, "stops of floor"),
        ({"coupling": (0.0, 1.5)}, "stops of coupling"),
        ({"misalign": (float("nan"),)}, "stops of misalign"),
        ({"coupling": tuple(np.linspace(0, 1, 2000)), "floor": tuple(np.geomspace(1e-4, 0.5, 200))}, "fewer stops"),
    ],
)
def test_stops_out_of_range_are_refused(wrong: dict[str, tuple[float, ...]], said: str) -> None:
    with pytest.raises(fs.InputError, match=said):
        Stops(**wrong)


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (fs.Problem("two-well", 0.3, 0.1, nside=4), "two densities"),
        (fs.Problem(["flat"] * 3, 0.3, 0.1, nside=4), "two densities"),
        (fs.Problem(["flat"] * 2, 0.3, 0.1, circle=16), "HEALPix"),
        (fs.Problem(["flat"] * 2, 0.3, 0.1, nside=4, terms=["centroid:1"]), "added terms"),
        (fs.Problem(["flat"] * 2, 0.3, 0.1, nside=4, coupling=[[0.3, 0.7], [0.7, 0.3]]), "not a mixing matrix"),
        (fs.Problem(["flat"] * 2, 0.3, 0.0, nside=4, coupling=0.0), "a floor above 0"),
    ],
)
def test_other_problems_are_refused(problem: fs.Problem, said: str) -> None:
    with pytest.raises(fs.InputError, match=said):
        explore(problem, FEW)


def test_stored_sweeps_are_those_of_the_smoothed_energy(found: Explorer) -> None:
    up, down = found.sweeps
    assert up.values is not None
    assert down.values is not None
    assert up.values["centroid_gap"][0] < 1e-3  # matched without coupling
    assert up.values["centroid_gap"][-1] > 1
    first = replace(PROBLEM, energy="smoothed", coupling=0.0, polish=False).solve()
    assert up.values["energy"][0] == pytest.approx(first.energy, abs=1e-3)
    stored = payload(found)["sweeps"]["down"]
    assert stored["centroid_gap"] == down.values["centroid_gap"][::-1]


def test_kernels_that_are_not_resolved_leave_the_sweeps_out() -> None:
    few = Stops(tau=(0.001, 0.3), coupling=(0.1, 0.5), floor=(0.01, 0.1), misalign=(0.0,), swept=(0.0, 0.5))
    found = explore(fs.Problem(["flat"] * 2, 0.001, 0.1, coupling=0.1, nside=4), few)
    reason = found.sweeps[0].reason
    assert reason is not None
    assert "resolve" in reason
    assert payload(found)["sweeps"]["up"] == {"reason": reason}


def test_free_encoders_have_a_window_and_a_forced_gap() -> None:
    found = penalised(uneven_law())
    assert 0 < found.tau_zero < found.tau_star
    below = found.tau < found.tau_zero
    assert np.all(found.low[below] < 1e-6)
    assert np.all(np.isfinite(found.low) == (found.tau <= found.tau_star))
    assert found.gap.max() < 1e-8
    just_above = int(np.argmax(found.tau > found.tau_star))
    assert found.centroid_gap[just_above, 0] > 0.5  # forced
    assert found.centroid_gap[just_above, -1] < 1e-3  # closed, at a price
    assert found.loss[just_above, -1] > found.loss[just_above, 0] + 1e-5
    even = penalised(law_from_table(np.array([[3.0, 1], [1, 3]])))
    assert even.centroid_gap[-1].max() < 1e-3


def test_the_page_is_whole_and_names_its_potentials(found: Explorer) -> None:
    page = html(found).replace(plotly_script(), "")
    assert page.count("<script") == 3
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_without_plotly_it_says_what_to_install(found: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(fs.InputError, match=r"fieldsolve\[web\]"):
        html(found)


SPEC = """
[problem]
potential = ["two-well", "vmf:3@1,0,0"]
nside = 4
tau = 0.5
[axes]
coupling = [0.1, 0.5]
floor = [0.01, 0.1]
"""


def test_levels_of_potentials_are_part_of_the_energy() -> None:
    stops = Stops(tau=(0.3, 0.5), coupling=(0.1, 0.5), floor=(0.01, 0.1), misalign=(0.0,), swept=(0.0, 0.5))
    grid = fs.Healpix(4)
    heights = grid.points(0, grid.size)[:, 2]
    found = explore(fs.Problem([heights + 2.0, heights - 3.0], 0.3, 0.1, coupling=0.5, grid=grid), stops)
    solution = fs.Problem([heights + 2.0, heights - 3.0], 0.3, 0.1, coupling=0.5, grid=grid).solve()
    assert found.table[0, 0, 1, 1, FIGURES.index("energy")] == pytest.approx(solution.energy, abs=1e-6)
    assert found.gaps.min() > -1e-12
    assert payload(found)["levels"][0] == pytest.approx([heights.min() + 2, heights.min() - 3])


def test_a_solver_that_panics_is_an_error_like_others() -> None:
    with pytest.raises(fs.InputError, match="semidefinite program was not solved: its solver failed"):
        penalised(law_from_table(np.array([[3.0, 1, 1], [1, 3, 1]])))


def test_entries_that_are_not_certified_are_counted(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SPEC + "[diagram]\ncertified_gap = 1e-15\n")
    page = tmp_path / "page.html"
    done = CliRunner().invoke(
        main, ["explore", str(tmp_path / "spec.toml"), "-o", str(page), "--workers", "1", "--misalign", "40"]
    )
    assert done.exit_code == 4, done.output
    assert "more than 1e-15 nats above the lowest state" in done.output
    assert page.exists()
    assert '"misalign":40.0' in page.read_text(encoding="utf-8")


def test_the_command_takes_a_spec(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SPEC)
    page = tmp_path / "page.html"
    arguments = ["explore", str(tmp_path / "spec.toml"), "-o", str(page), "--workers", "1", "--json"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert values["schema"] == "fieldsolve/explore/1"
    assert values["potential"][0] == "two-well"
    assert values["stops"]["coupling"] == [0.1, 0.5]
    assert values["stops"]["floor"] == [0.01, 0.1]
    assert values["certified"] == values["entries"] == 2 * 2 * 5 * 3
    assert values["bytes"] == page.stat().st_size
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 3
    assert "--force" in again.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["-o", "page.png"], 2, "written as .html"),
        ([], 2, "Missing option"),
        (["-o", "p.html", "--pairs", "x.npy", "--potential", "flat"], 2, "gives both potentials"),
        (["-o", "p.html", "--bandwidth", "0.1"], 2, "go with --pairs"),
        (["-o", "p.html", "--nside", "5"], 3, "power of two"),
        (["-o", "p.html", "--potential", "nothing"], 3, "nothing"),
        (["none.toml", "-o", "p.html"], 3, "none.toml"),
        (["-o", "nowhere/p.html"], 3, "no folder"),
        (["-o", "p.html", "--law", "nothing"], 3, "no law"),
    ],
)
def test_the_command_refuses(arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["explore", *arguments])
    assert done.exit_code == code, done.output
    assert said in done.output
    assert not (tmp_path / "p.html").exists()
