"""Search in one modality and in a pool of both, against plain loops."""

import numpy as np
import pytest

from fieldsolve.embeddings.pools import own_neighbours, search
from fieldsolve.numerics.errors import InputError


def unit(rng: np.random.Generator, count: int, width: int) -> np.ndarray:
    rows = rng.standard_normal((count, width))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_ranks_by_loops(rng: np.random.Generator) -> None:
    first = unit(rng, 40, 5)
    second = first + 0.3 * rng.standard_normal((40, 5))
    found = search(first, second, depth=7)
    for i in range(40):
        others = [(float(first[i] @ second[j]), True) for j in range(40)]
        own = [(float(first[i] @ first[j]), False) for j in range(40) if j != i]
        wanted = others[i][0]
        assert found.rank[i] == 1 + sum(value > wanted for value, _ in others)
        assert found.mixed_rank[i] == 1 + sum(value > wanted for value, _ in others + own)
        nearest = sorted(others + own, reverse=True)[:7]
        assert abs(found.other_share[i] - np.mean([is_other for _, is_other in nearest])) < 1e-12
    np.testing.assert_array_equal(found.first, found.rank == 1)
    assert found.recall == found.first.mean()
    assert found.median_rank == np.median(found.mixed_rank)


def test_blocks_change_nothing(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = unit(rng, 50, 4), unit(rng, 50, 4)
    whole, kept = search(first, second), own_neighbours(first, second)
    monkeypatch.setattr("fieldsolve.embeddings.pools._BLOCK", 7)
    parts = search(first, second)
    np.testing.assert_array_equal(whole.mixed_rank, parts.mixed_rank)
    np.testing.assert_array_equal(whole.other_share, parts.other_share)
    assert kept == own_neighbours(first, second)


def test_modalities_far_apart_outrank_each_other(rng: np.random.Generator) -> None:
    rows = unit(rng, 30, 6) * 0.1
    first, second = rows + np.eye(6)[0], rows - np.eye(6)[0]
    found = search(first, second)
    assert found.recall < 0.2
    assert found.mixed_rank.min() == 30
    assert found.other_share.max() == 0


def test_neighbours_of_the_same_rows_stay(rng: np.random.Generator) -> None:
    rows = unit(rng, 30, 6)
    assert own_neighbours(rows, 0.5 * rows @ np.linalg.qr(rng.standard_normal((6, 6)))[0]) == 1
    assert own_neighbours(rows, unit(rng, 30, 6)) < 0.7


def test_ties_are_broken_at_random() -> None:
    rows = np.tile(np.eye(3)[0], (50, 1))
    found = search(rows, rows)
    assert abs(found.recall - 1 / 50) < 1e-12
    np.testing.assert_allclose(found.rank, 25.5)
    np.testing.assert_allclose(found.mixed_rank, 50.0)


def test_tables_of_other_shapes_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="matched rows"):
        search(unit(rng, 4, 3), unit(rng, 5, 3))
