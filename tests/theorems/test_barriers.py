"""Barriers over a parameter, and escape times beside them."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import fieldsolve as fs
from fieldsolve.cli import main
from fieldsolve.numerics.errors import InputError
from fieldsolve.theorems.barriers import Barriers, Escapes, Noisy, barriers
from fieldsolve.theorems.pictures import plot_barriers

CIRCLE = {"energy": "smoothed", "floor": 0.0, "circle": 32}


def test_heights_fall_towards_the_spinodal_and_are_nothing_there() -> None:
    found = barriers(fs.Problem(["flat"] * 2, 0.5, **CIRCLE), "coupling", (0.2, 0.31, 0.32, 0.33))
    heights = [None if one is None else one.height for one in found.found]
    assert heights[0] is None
    assert heights[1] > heights[2] > heights[3] == 0
    assert "no separated state" in found.report[0]
    assert "nothing holds" in found.report[3]


def test_escape_times_are_ordered_as_the_barriers_are() -> None:
    problem = fs.Problem(["flat"] * 2, 0.5, batch=15, **CIRCLE)
    found = barriers(problem, "coupling", (0.3725, 0.38, 0.39), Escapes(64, 1.0, 16, 40_000, 3))
    heights = [one.barrier.height for one in found.noisy if one.barrier is not None]
    medians = [one.median for one in found.noisy]
    assert len(heights) == 3
    assert heights[0] > heights[1] >= heights[2]
    assert None not in medians
    assert medians[0] > 3 * medians[1]  # type: ignore[operator]
    assert medians[1] > medians[2]  # type: ignore[operator]
    assert found.is_ordered
    assert [one.height for one in found.found if one is not None] == [0, 0, 0]  # it is the noise that holds them
    assert len(plot_barriers(found).axes) == 3


def test_over_temperatures_and_batches() -> None:
    warm = barriers(fs.Problem(["flat"] * 2, 0.5, coupling=0.315, **CIRCLE), "tau", (0.45, 0.5))
    assert warm.found[0] is not None
    assert warm.found[1] is not None
    assert warm.found[0].height < warm.found[1].height
    few = barriers(fs.Problem(["flat"] * 2, 0.5, coupling=0.35, batch=15, **CIRCLE), "batch", (15, 63))
    assert [one.height > 0 for one in few.found if one is not None] == [True, False]


def test_the_command_writes_what_it_prints(tmp_path) -> None:
    folder = tmp_path / "out"
    words = ["barrier", "--circle", "32", "--tau", "0.5", "--over", "coupling=0.315,0.32", "-o", str(folder), "--json"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["coupling"] == [0.315, 0.32]
    assert np.all(np.diff(said["height"]) < 0)
    assert all(one < 0 for one in said["lowest_eigenvalue"])
    assert json.loads((folder / "summary.json").read_text())["height"] == said["height"]
    assert (folder / "figure.png").stat().st_size > 10_000
    shown = CliRunner().invoke(main, ["show", str(folder)])
    assert shown.exit_code == 0
    assert "held by" in shown.output


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--over", "height=1"], 2, "names a parameter"),
        (["--over", "coupling=a"], 2, "names a parameter"),
        (["--over", "tau=0.5"], 2, "at which --coupling"),
        (["--over", "coupling=0.3", "--coupling", "0.3"], 2, "leave out --coupling"),
        (["--potential", "two-well", "--nside", "8"], 3, "give them"),
        (["--particles", "64", "--circle", "32", "--tau", "0.5"], 3, "--batch"),
        (["--nside", "256"], 3, "at most"),
    ],
)
def test_bad_input_is_one_sentence(words: list[str], code: int, said: str) -> None:
    done = CliRunner().invoke(main, ["barrier", *words])
    assert done.exit_code == code, done.output
    assert said in done.output


def test_particles_are_for_flat_potentials() -> None:
    problem = fs.Problem(["vmf:2@0,1*1"] * 2, 0.5, batch=15, **CIRCLE)
    with pytest.raises(InputError, match="flat"):
        barriers(problem, "coupling", (0.3,), Escapes())


def test_one_coupling_alone() -> None:
    done = CliRunner().invoke(main, ["barrier", "--circle", "32", "--tau", "0.5", "--coupling", "0.34", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["coupling"] == [0.34]


def test_orders_and_slopes_are_of_what_differs_and_was_seen() -> None:
    found = barriers(fs.Problem(["flat"] * 2, 0.5, **CIRCLE), "coupling", (0.34, 0.35))
    high = barriers(fs.Problem(["flat"] * 2, 0.5, **CIRCLE), "coupling", (0.32,)).found[0]
    low = found.found[0]

    def said(*pairs: tuple[Any, float | None, list[float]]) -> Barriers:
        noisy = tuple(Noisy(0.1, one, exponent, np.array(times)) for one, exponent, times in pairs)
        return replace(found, noisy=noisy)

    assert said((low, 0.0, [190.0]), (low, 0.0, [70.0])).is_ordered is None
    assert said((low, 0.0, [np.inf]), (high, 2.0, [np.inf])).is_ordered is None
    assert said((low, 0.0, [10.0]), (high, 2.0, [20.0])).is_ordered
    assert not said((low, 0.0, [10.0]), (high, 2.0, [5.0])).is_ordered
    assert said((high, 2.0, [10.0]), (high, 2.0, [20.0])).growth is None
    assert said((high, 2.0, [10.0]), (high, 3.0, [10.0 * np.e])).growth == pytest.approx(1)
    assert said((high, 2.0, [0.0]), (high, 3.0, [20.0])).growth is None
