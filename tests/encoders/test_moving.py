"""Moving the gap of embeddings: every similarity across modalities stays, windows on real features, files, refusals."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldsolve.embeddings.pools import search
from fieldsolve.encoders.moved import Measure
from fieldsolve.encoders.moving import GapMap, Table, fit_gap, move_gap
from fieldsolve.numerics.errors import Advice, InputError

DATA = Path(__file__).parents[3] / "shared" / "data"


def features(name: str) -> np.ndarray:
    path = DATA / f"features_{name}.npy"
    if not path.exists():
        pytest.skip("the features are not here")
    rows = np.load(path).astype(float)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def made(count: int, width: int, seed: int, offset: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Partners that share a content, each modality around a centre of its own."""
    rng = np.random.default_rng(seed)
    content, centres = rng.standard_normal((count, width)), rng.standard_normal((2, width))
    rows = np.stack([content + 0.5 * rng.standard_normal((count, width)) + offset * centre for centre in centres])
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows[0], rows[1]


def gap_of(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.linalg.norm(first.mean(axis=0) - second.mean(axis=0)))


@pytest.mark.parametrize(
    ("name", "directions", "low", "high"),
    [("clip", 2, 0.0, 1.0355), ("clip", 12, 0.0, 1.1571), ("clasp", 2, 0.0287, 1.1428), ("clip_random", 2, 0.0, 1.3683)],
)
def test_windows_of_real_features(name: str, directions: int, low: float, high: float) -> None:
    first, second = features(name)
    for to in ("min", "max"):
        found = move_gap(first, second, to, directions)  # type: ignore[arg-type]
        assert abs(found.window[0] - low) < 1e-3
        assert abs(found.window[1] - high) < 1e-3
        moved = found.first(first), found.second(second)
        change = moved[0] @ moved[1].T - first @ second.T
        assert np.ptp(change) < 1e-12
        assert abs(change.mean() - found.constant) < 1e-12
        assert abs(gap_of(*moved) - found.centroid_gap) < 1e-6
        assert max(np.linalg.norm(rows, axis=1).max() for rows in moved) <= 1 + 1e-9


def test_held_out_pairs_of_clip() -> None:
    """Fitted on half, applied to the other: recall to the pair, a small gap, and partners found among rows of both."""
    first, second = features("clip")
    found = move_gap(first[:250], second[:250])
    one, other = found.first(first[250:]), found.second(second[250:])
    before = search(first[250:], second[250:]), search(second[250:], first[250:])
    after = search(one, other), search(other, one)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old.rank, new.rank)
        assert old.median_rank > 240
        assert new.median_rank <= 13
    assert gap_of(one, other) < 0.09


@settings(max_examples=8)
@given(st.integers(0, 99), st.integers(2, 4), st.floats(0, 1))
def test_every_gap_of_the_window(seed: int, directions: int, share: float) -> None:
    first, second = made(60, 8, seed)
    low, high = move_gap(first, second, "min", directions).window
    target = low + share * (high - low)
    found = move_gap(first, second, target, directions)
    moved = found.first(first), found.second(second)
    assert np.ptp(moved[0] @ moved[1].T - first @ second.T) < 1e-12
    assert abs(gap_of(*moved) - target) < 1e-6
    assert low - 1e-6 <= gap_of(first, second) <= high + 1e-6  # as it is, it is in the window
    assert max(np.linalg.norm(rows, axis=1).max() for rows in moved) <= 1 + 1e-9


def test_more_directions_widen_the_window() -> None:
    first, second = made(80, 8, 0, 2.0)
    windows = [move_gap(first, second, "min", k).window for k in (2, 4, 8)]
    assert windows[0][0] >= windows[1][0] - 1e-7 >= windows[2][0] - 2e-7
    assert windows[0][1] <= windows[1][1] + 1e-7 <= windows[2][1] + 2e-7


def test_rotations_and_swaps_change_nothing() -> None:
    first, second = made(50, 6, 1)
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((6, 6)))[0]
    plain, turned, swapped = move_gap(first, second), move_gap(first @ turn, second @ turn), move_gap(second, first)
    for other in (turned, swapped):
        np.testing.assert_allclose(plain.window, other.window, atol=1e-6)


def test_few_rows_in_the_program_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = made(400, 6, 2)
    whole = move_gap(first, second, "max")
    monkeypatch.setattr("fieldsolve.encoders.gap_program._FIRST_ROWS", 8)
    monkeypatch.setattr("fieldsolve.encoders.gap_program._MORE_ROWS", 5)
    few = move_gap(first, second, "max")
    np.testing.assert_allclose(whole.window, few.window, atol=1e-7)
    assert max(np.linalg.norm(few.first(first), axis=1).max(), np.linalg.norm(few.second(second), axis=1).max()) <= 1 + 1e-9


def test_maps_are_saved_whole(tmp_path: Path) -> None:
    first, second = made(40, 5, 3)
    found = move_gap(first, second, "max", 3)
    found.save(tmp_path / "map.npz")
    again = GapMap.load(tmp_path / "map.npz")
    np.testing.assert_array_equal(found.first(first), again.first(first))
    np.testing.assert_array_equal(found.second(second), again.second(second))
    assert (again.window, again.centroid_gap, again.constant) == (found.window, found.centroid_gap, found.constant)
    assert [path.name for path in tmp_path.iterdir()] == ["map.npz"]
    with pytest.raises(InputError, match="cannot be written"):
        found.save(tmp_path / "no" / "map.npz")


def test_files_that_are_no_map(tmp_path: Path) -> None:
    first, second = made(40, 5, 3)
    content = move_gap(first, second).content()
    cases = {"text.npz": b"hello", "half.npz": content[: len(content) // 2], "empty.npz": b""}
    for name, damaged in cases.items():
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(InputError, match=name):
            GapMap.load(tmp_path / name)
    with np.load(io.BytesIO(content)) as stored:
        arrays = dict(stored)
    for words in (
        '{"schema": "fieldsolve/gap-map/1", "stretch": "x"}',
        str(arrays["words"]).replace('"stretch": ', '"stretch": -'),
    ):
        np.savez(tmp_path / "words.npz", **arrays | {"words": np.array(words)})
        with pytest.raises(InputError, match="damaged"):
            GapMap.load(tmp_path / "words.npz")
    np.savez(tmp_path / "other.npz", rows=first)
    with pytest.raises(InputError, match="is no map of a gap"):
        GapMap.load(tmp_path / "other.npz")
    with pytest.raises(InputError, match="there is no such file"):
        GapMap.load(tmp_path / "none.npz")


def test_new_rows_that_would_be_too_long_are_shortened_and_counted() -> None:
    first, second = made(30, 5, 4)
    found = move_gap(first, second, "max")
    new, _ = made(500, 5, 77)
    with pytest.warns(Advice, match="of 500 rows would be longer than 1"):
        moved = found.first(new)
    assert np.linalg.norm(moved, axis=1).max() <= 1 + 1e-9
    measure = Measure(found, (Table("a", new), Table("b", second)))
    for modality, table in enumerate(measure.tables):
        for begin, rows, shortened in found.blocks(table, modality):
            measure.add(modality, begin, rows, shortened)
    result = measure.result()
    assert result.shortened[0] > 0
    assert result.shortened[1] == 0
    assert result.compared == 0
    assert "would be longer than 1" in " ".join(result.report)
    assert "unchanged" not in " ".join(result.report)


def test_targets_outside_the_window_are_named() -> None:
    first, second = made(40, 5, 6)
    found = move_gap(first, second)
    for to, message in (
        (found.window[1] + 0.01, "window"),
        (-0.1, "from 0 to 2"),
        (float("nan"), "0 to 2"),
        ("middle", "a number"),
    ):
        with pytest.raises(InputError, match=message):
            move_gap(first, second, to)  # type: ignore[arg-type]
    assert move_gap(first, second, found.window[0] - 1e-6).centroid_gap == pytest.approx(found.window[0], abs=1e-5)


def test_single_queries_and_rows_of_any_length() -> None:
    first, second = made(40, 5, 6)
    found = move_gap(3 * first, second, normalize=True)
    np.testing.assert_allclose(found.first(2 * first[7], normalize=True), found.first(first)[7], atol=1e-12)
    assert found.second(second[3]).shape == (found.columns,)
    with pytest.raises(InputError, match="normalize"):
        found.first(2 * first)
    assert "window [" in repr(found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, b: (a * 2, b), "not of unit length"),
        (lambda a, b: (a, b[:, :4]), "same embedding space"),
        (lambda a, b: (a, np.where(np.arange(5) == 2, np.nan, b)), "not finite"),
        (lambda a, b: (a.astype(int), b), "floating-point"),
        (lambda a, b: (a[0], b), "a table"),
    ],
)
def test_what_is_no_embedding_is_refused(change: object, message: str) -> None:
    first, second = made(40, 5, 7)
    with pytest.raises(InputError, match=message):
        move_gap(*change(first, second))  # type: ignore[operator]
    found = move_gap(first, second)
    with pytest.raises(InputError, match=r"same embedding space|table"):
        found.first(np.ones((3, 4)) / 2)
    with pytest.raises(InputError, match="directions"):
        move_gap(first, second, directions=6)


def test_modalities_at_one_place_have_a_window_too() -> None:
    rows, _ = made(60, 6, 8)
    found = move_gap(rows, rows.copy())
    assert found.before == 0
    assert found.window[0] < 1e-3
    assert found.window[1] > 0.1


def test_modalities_at_one_place_do_not_depend_on_the_coordinates() -> None:
    rows, _ = made(60, 6, 8)
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((6, 6)))[0]
    plain, turned = move_gap(rows, rows.copy()), move_gap(rows @ turn, (rows @ turn).copy())
    np.testing.assert_allclose(plain.window, turned.window, atol=1e-5)


def test_rows_all_over_the_sphere_leave_no_room() -> None:
    """Where some row has nothing in the mapped directions no other may get shorter or longer: the gap stays, and it is said."""
    first, second = made(400, 6, 0, 0.3)
    found = move_gap(first, second)
    np.testing.assert_allclose(found.window, found.before, atol=1e-9)
    moved = found.first(first), found.second(second)
    np.testing.assert_allclose(moved[0] @ moved[1].T, first @ second.T, atol=1e-12)
    assert abs(gap_of(*moved) - found.before) < 1e-9


def test_single_precision_and_rows_mapped_into_memory(tmp_path: Path) -> None:
    first, second = made(3000, 6, 9)
    np.save(tmp_path / "a.npy", first.astype(np.float32))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    found = fit_gap((Table("a", mapped), Table("b", second)))
    moved = np.concatenate([rows for _, rows, _ in found.blocks(Table("a", mapped), 0)])
    np.testing.assert_array_equal(moved, found.first(first.astype(np.float32)))
