"""A problem as the only input: what it takes, what it refuses in one sentence, and the way to JSON and back."""

import json
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import healpy
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.cli import main
from fieldsolve.diagrams.spec import spec_of
from fieldsolve.equilibrium.parameters import PARAMETERS
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.numerics.errors import InputError

Array = np.ndarray


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fieldsolve.equilibrium.pictures.plot", lambda solution: Figure())  # drawn in other tests


def height(points: Array) -> Array:
    return -points[:, 2]


def test_a_potential_is_given_in_many_ways(tmp_path: Path) -> None:
    values = fs.two_well().on(fs.Healpix(8))
    np.save(tmp_path / "map.npy", values)
    healpy.write_map(tmp_path / "map.fits", values, dtype=np.float64)
    given = [fs.two_well(), "two-well", values, values.astype("f4").astype("f8"), list(values), fs.two_well().function]
    given += [str(tmp_path / "map.npy"), tmp_path / "map.npy", tmp_path / "map.fits"]
    energies = [fs.Problem(one, nside=8).solve().energy for one in given]
    np.testing.assert_allclose(energies, energies[0], atol=1e-7)
    assert len({energies[k] for k in (0, 1, 2, 4, 5, 6, 7, 8)}) == 1
    assert fs.Problem(height, circle=None, nside=4).resolved[0].label == "height"


def test_one_potential_is_one_modality_and_a_list_is_several() -> None:
    assert [fs.Problem(one, nside=4).modalities for one in ("flat", ["flat"], ["flat"] * 2, [height, "flat", fs.flat()])] == [
        1,
        1,
        2,
        3,
    ]
    assert fs.Problem(np.zeros((3, 192)), nside=4).modalities == 3
    assert fs.Problem("flat").floor == 0
    assert fs.Problem(["flat"] * 2).floor == 1e-3
    three = fs.solve(fs.Problem(["two-well"] * 3, floor=0.05, coupling=0.3, nside=4))
    assert three.density.shape == (3, 192)
    assert three.bound is not None
    assert three.gap is not None


@pytest.mark.parametrize(
    "given",
    [
        None,
        3,
        3.5,
        object(),
        [],
        {},
        [[]],
        {"two-well": 1},
        np.zeros(191),
        np.zeros((2, 191)),
        np.zeros((1, 1, 192)),
        [None, "flat"],
        np.full(192, np.nan),
        np.array(["a"] * 192),
        np.zeros(192, dtype=complex),
        "three-well",
        "",
        "vmf:",
        "vmf:1@0,0",
        b"flat",
        [fs.flat(), 7],
        "none.npy",
        ["flat", "none.fits"],
    ],
    ids=lambda given: str(type(given).__name__),
)
def test_everything_else_is_refused_in_one_sentence(given: object) -> None:
    with pytest.raises(InputError) as refused:
        fs.Problem(given, 0.5, 0.01, nside=4).solve()
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) > 20


def test_functions_that_are_none_are_refused() -> None:
    for broken, message in (
        (lambda points: 1.0, r"shape \(\)"),
        (lambda points: points, r"shape \(192, 3\)"),
        (lambda points: [None] * len(points), "object"),
        (lambda points: np.full(len(points), np.inf), "not finite"),
    ):
        with pytest.raises(InputError, match=message):
            fs.Problem(broken, nside=4).solve()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tau": 0}, "temperature"),
        ({"tau": "cold"}, "temperature"),
        ({"tau": None}, "temperature"),
        ({"tau": True}, "temperature"),
        ({"tau": 1e-320}, "1e-09"),
        ({"floor": 1}, "floor"),
        ({"floor": 1e-300}, "1e-290"),
        ({"coupling": 2}, "coupling"),
        ({"nside": 12}, "power of two"),
        ({"nside": 8.5}, "power of two"),
        ({"circle": 2}, "at least|from 3"),
        ({"grid": "cube:3"}, "healpix"),
        ({"grid": 8}, "healpix:64"),
        ({"nside": 8, "circle": 90}, "one grid"),
        ({"critic": "euclidean"}, "cosine"),
        ({"energy": "free"}, "smoothed"),
        ({"tolerance": -1}, "tolerance"),
        ({"tolerance": np.nan}, "tolerance"),
        ({"max_steps": 1.5}, "steps"),
        ({"escape": True}, "smoothed"),
        ({"escape": 1}, "true or false"),
        ({"floor": 0.0}, "unbounded below"),
        ({"start": object()}, "start"),
        ({"terms": ["mdm"]}, "term"),
        ({"coupling": [[1.0]]}, "2 x 2"),
        ({"coupling": [[0.5, 0.6], [0.5, 0.5]]}, "rows of sum 1"),
        ({"misalign": "left"}, "misalignment"),
        ({"coupling": [[1.5, -0.5], [0.5, 0.5]]}, "negative"),
        ({"allow_unresolved": "yes"}, "true or false"),
    ],
)
def test_parameters_are_checked_when_the_problem_is_made(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Problem(**options)


def test_a_problem_does_not_change() -> None:
    values = np.zeros((2, 192))
    problem = Problem(values, nside=4, start=np.ones((2, 192)), coupling=np.full((2, 2), 0.5))
    with pytest.raises(FrozenInstanceError):
        problem.tau = 2.0  # type: ignore[misc]
    values[:] = 5
    assert problem.values.max() == 0
    for array in (problem.start, problem.coupling):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 2
    assert problem.at("tau", 0.2).tau == 0.2
    assert problem.tau == 0.5
    for parameter, value, grid in (("nside", 8, "healpix:8"), ("circle", 90, "circle:90"), ("grid", "circle:60", "circle:60")):
        assert str(Problem("flat", nside=4).at(parameter, value).grid) == grid
    assert (Problem(grid=fs.Healpix(16)).nside, Problem(circle=90).nside) == (16, None)


def test_a_mixing_matrix_may_favour_one_direction() -> None:
    plain = Problem(["two-well"] * 2, 0.5, 0.01, 0.3, nside=8, misalign=30.0)
    same = plain.at("coupling", [[0.7, 0.3], [0.3, 0.7]])
    assert same.solve().energy == pytest.approx(plain.solve().energy, abs=1e-12)
    assert same.functional()[0].has_dual
    lopsided = plain.at("coupling", [[0.5, 0.5], [0.0, 1.0]])
    energy, _ = lopsided.functional()
    assert not any([energy.has_dual, energy.has_phases])
    solution = lopsided.solve()
    assert solution.converged
    assert solution.bound == pytest.approx(plain.at("coupling", 0.5).solve().bound, abs=1e-9)  # which is nowhere above it
    assert np.diff(solution.trace.energy).max() <= 1e-12
    assert fs.Problem.from_json(json.loads(json.dumps(lopsided.to_json())), {}).coupling.tolist() == [[0.5, 0.5], [0.0, 1.0]]
    uncoupled = plain.at("coupling", np.eye(2)).solve()
    assert uncoupled.gap == pytest.approx(0, abs=1e-12)


PROBLEMS = {
    "names": {"potentials": ["two-well", "vmf:5@1,0,0"], "misalign": 25.0, "coupling": 0.3},
    "one": {"potentials": "vmf:12@0,0,1+6@1,0,0*0.5", "floor": 0.1, "misalign": 10.0},
    "array": {"potentials": np.random.default_rng(0).uniform(-1, 1, (2, 192)), "misalign": 25.0, "coupling": 0.3},
    "function": {"potentials": [height, "two-well"], "misalign": 25.0, "coupling": 1.0},
    "smoothed": {"potentials": ["two-well"] * 2, "energy": "smoothed", "critic": "rbf", "tau": 0.7, "coupling": 0.6},
    "start": {"potentials": ["flat"] * 2, "start": np.random.default_rng(1).exponential(size=(2, 192)), "coupling": 0.4},
    "pairs": {"coupling": 0.5},
    "steps": {"potentials": ["two-well"] * 2, "start": "random:3", "max_steps": 7, "tolerance": 1e-5, "coupling": 0.4},
    "circle": {"potentials": ["vmf:6@1,0", lambda points: points[:, 1]], "circle": 60, "coupling": 0.2},
    "unresolved": {"potentials": "two-well", "tau": 0.01, "allow_unresolved": True},
}


@pytest.mark.parametrize("kind", PROBLEMS)
def test_what_was_saved_is_solved_again_to_the_last_bit(kind: str, tmp_path: Path) -> None:
    options = {"nside": 4, **PROBLEMS[kind]} if kind != "circle" else PROBLEMS[kind]
    if kind == "pairs":
        rows = np.random.default_rng(2).standard_normal((2, 40, 6)) + 1
        options = {**options, "potentials": fs.from_embeddings(*rows, normalize=True).potentials()}
    solution = fs.Problem(**options).solve()
    fs.save(solution, tmp_path / "run")
    again = fs.load(tmp_path / "run")
    assert again.summary() == solution.summary()
    solved = again.problem.solve()
    np.testing.assert_array_equal(solved.density, solution.density)
    np.testing.assert_array_equal(solved.trace.energy, solution.trace.energy)
    assert (solved.energy, solved.bound, solved.status, solved.notes) == (
        solution.energy,
        solution.bound,
        solution.status,
        solution.notes,
    )
    assert solved.labels == solution.labels
    fs.save(again, tmp_path / "twice")
    np.testing.assert_array_equal(fs.load(tmp_path / "twice").problem.solve().density, solution.density)


def test_another_start_is_part_of_the_problem_that_a_solution_holds(tmp_path: Path) -> None:
    problem = fs.Problem(["two-well"] * 2, 0.5, 0.01, 0.4, nside=4)
    other = problem.solve(start=np.random.default_rng(5).exponential(size=(2, 192)))
    assert problem.start is None
    fs.save(other, tmp_path / "run")
    np.testing.assert_array_equal(fs.load(tmp_path / "run").problem.solve().density, other.density)


def test_a_map_that_has_changed_is_replaced_by_what_was_stored_of_it(tmp_path: Path) -> None:
    values = fs.two_well().on(fs.Healpix(8))
    np.save(tmp_path / "u.npy", values)
    solution = fs.Problem(["two-well", tmp_path / "u.npy"], 0.5, 0.01, 0.3, misalign=30.0, nside=4).solve()
    fs.save(solution, tmp_path / "run")
    kept = fs.load(tmp_path / "run").problem
    assert kept.misalign == 30.0
    np.testing.assert_array_equal(kept.at("nside", 8).values[1], solution.problem.at("nside", 8).values[1])
    np.save(tmp_path / "u.npy", 2 * values)
    changed = fs.load(tmp_path / "run").problem
    assert changed.misalign == 30.0
    np.testing.assert_array_equal(changed.solve().density, solution.density)
    assert any("has changed" in note for note in changed.solve().notes)
    (tmp_path / "u.npy").unlink()
    np.testing.assert_array_equal(fs.load(tmp_path / "run").problem.solve().density, solution.density)


@given(
    tau=st.floats(1e-9, 1e9),
    floor=st.floats(1e-12, 0.999),
    coupling=st.floats(0, 1),
    misalign=st.floats(-720, 720),
    steps=st.integers(0, 10**6),
    tolerance=st.none() | st.floats(0, 1),
    energy=st.sampled_from(["intrinsic", "smoothed"]),
    critic=st.sampled_from(["cosine", "rbf", "geodesic"]),
    start=st.sampled_from([None, "tilted", "random:4"]),
    grid=st.sampled_from(["healpix:4", "circle:60"]),
    unresolved=st.booleans(),
)
def test_json_brings_every_field_back(**options: object) -> None:
    options["max_steps"], options["allow_unresolved"] = options.pop("steps"), options.pop("unresolved")
    problem = Problem(["flat"] * 2, **options)  # type: ignore[arg-type]
    again = Problem.from_json(json.loads(json.dumps(problem.to_json())), {})
    for field in fields(Problem):
        assert getattr(again, field.name) == getattr(problem, field.name), field.name


def test_the_table_of_parameters_has_what_problems_have() -> None:
    """Options, spec fields, axes and JSON are generated from the table: it must not miss a field, and a field not the table."""
    own = {field.name for field in fields(Problem)}
    assert own - {"potentials", "terms"} == set(PARAMETERS)
    written = Problem().to_json()
    assert set(written) == (own - {"nside", "circle", "dimension"})
    for command in ("unimodal", "multimodal"):
        text = CliRunner().invoke(main, [command, "--help"]).output
        for name, parameter in PARAMETERS.items():
            assert f"{parameter.flag} " in text or f"{parameter.flag}\n" in text or (command, name) == ("unimodal", "coupling")
    every = {name: one.default for name, one in PARAMETERS.items() if one.default is not None and name != "tau"}
    assert spec_of({"problem": every, "axes": {"tau": [1.0]}}).fixed["energy"] == "intrinsic"
    for parameter in PARAMETERS.values():
        assert parameter.default is None or parameter.check(parameter.default) == parameter.default
        assert (parameter.default is None) == (parameter.automatic is not None)
        assert parameter.help[0].isupper() or parameter.help.startswith("lambda")


# --- what a solution keeps


def test_a_map_is_the_one_that_was_read_whatever_becomes_of_its_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    path = tmp_path / "m.npy"
    np.save(path, rng.normal(size=192))
    solution = fs.Problem(str(path), nside=4).solve()
    np.save(path, rng.normal(size=192))
    fs.save(solution, tmp_path / "changed")
    path.unlink()
    fs.save(solution, tmp_path / "gone")
    for name in ("changed", "gone"):
        again = fs.load(tmp_path / name).problem.solve()
        assert again.energy == solution.energy
        assert "has changed" in again.notes[0]


def test_a_map_does_not_follow_its_callers_array() -> None:
    values = np.random.default_rng(9).normal(size=192)
    problem = fs.Problem(fs.from_map(values), nside=4)
    before = problem.at("tau", 0.4).solve().energy
    values[:] = 0
    assert problem.at("tau", 0.4).solve().energy == before


def test_misalignment_comes_back_and_is_an_angle_still(tmp_path: Path) -> None:
    """A stored potential is stored rotated; turning it back is right to the interpolation of its grid."""
    problem = fs.Problem(["two-well", lambda points: points[:, 0] ** 3], nside=32, misalign=30, coupling=0.1)
    solution = problem.solve()
    fs.save(solution, tmp_path / "run")
    again = fs.load(tmp_path / "run").problem
    assert again.misalign == 30
    assert again.solve().energy == solution.energy
    assert again.solve().labels == solution.labels
    for degrees in (0.0, 50.0):
        there, back = problem.at("misalign", degrees).solve(), again.at("misalign", degrees).solve()
        assert back.energy == pytest.approx(there.energy, abs=5e-4)
        assert abs(back.energy - solution.energy) > 0.01
        assert back.labels[1].count("rotated by") == (degrees > 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"terms": 5}, "a term is a Term or its name"),
        ({"terms": [None]}, "a term is a Term or its name"),
        ({"coupling": [["a"]]}, "a mixing matrix is made of numbers"),
        ({"coupling": [[1.0, 0.0], [1.0]]}, "a mixing matrix is made of numbers"),
        ({"start": "no such"}, "start"),
        ({"start": [[1, 2], [3]]}, "a start that is no name is made of numbers"),
        ({"grid": "circle:99999999999"}, "from 3 to 100000000 points"),
        ({"critic": "cosine:p=2"}, "cosine has no values"),
    ],
)
def test_what_no_problem_has_is_refused_in_one_sentence(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fs.Problem(["two-well", "flat"], **options).solve()


@pytest.mark.parametrize("weights", [[1.0], [1.0, 1.0, 1.0], 1.0])
def test_a_mixture_has_as_many_weights_as_means(weights: object) -> None:
    with pytest.raises(InputError, match="as many weights"):
        fs.mixture(np.eye(3)[:2], [5.0, 5.0], weights=weights)
