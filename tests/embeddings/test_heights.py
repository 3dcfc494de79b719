"""Potentials of embeddings in their own dimension, as functions of the height along the axis between the centroids."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import fieldsolve as fs
from fieldsolve.cli import main
from fieldsolve.embeddings.heights import heights_of, read_heights
from fieldsolve.grids import Zonal
from fieldsolve.numerics.errors import InputError


def cones(seed: int, dimension: int = 24, count: int = 400) -> np.ndarray:
    """Two narrow cones about +-e, partners nearby within them."""
    rng = np.random.default_rng(seed)
    content = rng.standard_normal((count, dimension))
    both = np.stack([content + 0.5 * rng.standard_normal((count, dimension)) for _ in range(2)])
    both[:, :, -1] = np.array([[6.0], [-6.0]]) + 0.5 * rng.standard_normal((2, count))
    return np.asarray(both / np.linalg.norm(both, axis=2, keepdims=True))


def test_heights_are_those_along_the_axis_between_centroids() -> None:
    first, second = cones(1)
    found = heights_of(first, second)
    apart = first.mean(axis=0) - second.mean(axis=0)
    assert found.gap == pytest.approx(np.linalg.norm(apart), rel=1e-12)
    np.testing.assert_allclose(found.heights[0], first @ apart / found.gap, atol=1e-12)
    np.testing.assert_allclose(found.similarities, np.sum(first * second, axis=1), atol=1e-12)
    swapped = heights_of(second, first)
    np.testing.assert_allclose(swapped.heights, -found.heights[::-1], atol=1e-12)


def test_potentials_are_regressions_of_minus_the_similarity() -> None:
    first, second = cones(2)
    found, grid = heights_of(first, second), Zonal(24, 300)
    values = found.potentials(0.05)[0].on(grid)
    at = int(np.argmin(np.abs(grid.heights - 0.75)))
    weights = np.exp(-0.5 * ((found.heights[0] - grid.heights[at]) / 0.05) ** 2)
    assert values[at] == pytest.approx(-(weights @ found.similarities) / weights.sum(), abs=1e-12)
    assert values.min() >= -found.similarities.max()
    assert values.max() <= -found.similarities.min()
    # Far from all data the nearest pair decides.
    assert values[-1] == pytest.approx(-found.similarities[np.argmin(found.heights[0])], abs=1e-2)


def test_a_problem_has_nodes_enough_for_them() -> None:
    pair = heights_of(*cones(3)).potentials(0.02)
    problem = fs.Problem(pair, 0.02, 0.0, 1.0, "smoothed", dimension=24)
    assert problem.grid.size > fs.Problem(["flat"] * 2, 0.02, 0.0, 1.0, "smoothed", dimension=24).grid.size
    solution = problem.solve()
    assert solution.converged
    assert any("along the axis between the centroids" in note for note in solution.notes)


def test_on_the_command_line_and_back(tmp_path: Path) -> None:
    np.save(tmp_path / "pairs.npy", cones(4))
    options = ["--dimension", "24", "--tau", "0.05", "--coupling", "0.2", "--floor", "0.01", "-o", str(tmp_path / "run")]
    run = CliRunner().invoke(main, ["multimodal", "--pairs", str(tmp_path / "pairs.npy"), *options])
    assert run.exit_code == 0, run.output
    again = fs.load(tmp_path / "run")
    assert again.problem.dimension == 24
    np.testing.assert_array_equal(again.problem.solve().density, again.density)
    other = CliRunner().invoke(main, ["multimodal", "--pairs", str(tmp_path / "pairs.npy"), "--dimension", "8", "--tau", "0.05"])
    assert other.exit_code == 3
    assert "24 components" in other.output or "S^23" in other.output


def test_clip_at_its_own_dimension_and_temperature(clip_features: Path) -> None:
    """With potentials held still it is predicted to be 2 apart; it is 0.851."""
    heights = read_heights([clip_features], normalize=True)
    assert heights.dimension == 512
    assert heights.gap == pytest.approx(0.851, abs=1e-3)
    solution = fs.Problem(heights.potentials(), 0.01, 0.0, 1.0, "smoothed", dimension=512).solve()
    assert 1.9 < solution.centroid_gap <= 2 + 1e-9


def test_what_has_no_axis_is_refused() -> None:
    first, second = cones(5)
    with pytest.raises(InputError, match="no axis"):
        heights_of(first, first[::-1].copy())
    with pytest.raises(InputError, match="same number"):
        heights_of(first, second[1:])
    with pytest.raises(InputError, match="3 to 4096 components"):
        heights_of(np.eye(2), np.eye(2)[::-1].copy())
    with pytest.raises(InputError, match="bandwidth"):
        heights_of(first, second).potentials(-1.0)
