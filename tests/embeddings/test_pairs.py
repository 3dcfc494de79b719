"""Pairs: projection, kernel regression, and files."""

import numpy as np
import pytest

import fieldsolve as fs
from fieldsolve.embeddings.pairs import from_embeddings, read_pairs
from fieldsolve.grids import Circle, Healpix
from fieldsolve.numerics.errors import InputError


def on_sphere(points: np.ndarray) -> np.ndarray:
    return points / np.linalg.norm(points, axis=-1, keepdims=True)


def unit(n: int, d: int) -> np.ndarray:
    return np.full((n, d), d**-0.5)


def test_three_dimensions_are_taken_as_they_are(rng: np.random.Generator) -> None:
    points = on_sphere(rng.standard_normal((2, 50, 3)))
    pairs = from_embeddings(2 * points[0], points[1], normalize=True)
    np.testing.assert_allclose(pairs.points, points, atol=1e-15)
    assert pairs.retained_fraction == 1
    assert pairs.norms == pytest.approx((1, 2))


def test_projection_keeps_what_lies_in_three_dimensions(rng: np.random.Generator) -> None:
    points = on_sphere(rng.standard_normal((2, 60, 3)) + np.array([1, 0, 0]))
    basis = np.linalg.qr(rng.standard_normal((20, 3)))[0]
    pairs = from_embeddings(*(points @ basis.T))
    assert pairs.retained_fraction == pytest.approx(1, abs=1e-12)
    inner = np.einsum("aid,ajd->aij", pairs.points, pairs.points)
    np.testing.assert_allclose(inner, np.einsum("aid,ajd->aij", points, points), atol=1e-10)


def test_retained_fraction_is_that_of_the_singular_values(rng: np.random.Generator) -> None:
    embeddings = on_sphere(rng.standard_normal((2, 40, 9)))
    singular = np.linalg.svd(embeddings.reshape(80, 9), compute_uv=False)
    assert from_embeddings(*embeddings).retained_fraction == pytest.approx(
        (singular[:3] ** 2).sum() / (singular**2).sum(), rel=1e-12
    )


def test_potentials_are_minus_the_mean_cosine_to_the_partner(rng: np.random.Generator) -> None:
    first = on_sphere(rng.standard_normal((80, 3)))
    second = on_sphere(first + 0.3 * rng.standard_normal((80, 3)))
    grid, h = Healpix(4), 0.4
    u1, u2 = from_embeddings(first, second).potentials(h)
    z = grid.points()
    weight = np.exp((z @ first.T - 1) / h**2)
    expected = -np.sum(z * (weight @ second / weight.sum(axis=1, keepdims=True)), axis=1)
    np.testing.assert_allclose(u1.on(grid), expected, atol=1e-12)
    swapped = from_embeddings(second, first).potentials(h)
    np.testing.assert_array_equal(u2.on(grid), swapped[0].on(grid))


def test_far_from_the_data_the_nearest_pair_decides() -> None:
    first, second = np.array([[0, 0, 1.0], [0, 0.6, 0.8]]), np.array([[1.0, 0, 0], [0, 1.0, 0]])
    u1, _ = from_embeddings(first, second).potentials(0.01)
    south = np.array([[0, -0.1, -1.0]]) / np.sqrt(1.01)
    # The pair (0, 0.6, 0.8) is nearer to a southern point than (0, 0, 1) if y is not too negative.
    nearest = np.argmax(first @ south[0])
    assert u1.function(south)[0] == pytest.approx(-south[0] @ second[nearest], abs=1e-12)


def test_pairs_in_the_plane_live_on_the_circle(rng: np.random.Generator) -> None:
    angle = rng.normal(0, 0.5, 200)
    first = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    second = np.stack([np.cos(angle + 0.8), np.sin(angle + 0.8)], axis=1)
    solution = fs.Problem(from_embeddings(first, second).potentials(), tau=0.2, floor=1e-2, grid=Circle(180)).solve()
    assert solution.converged
    assert solution.retained_fraction == 1
    with pytest.raises(InputError, match="circle"):
        fs.Problem(from_embeddings(first, second).potentials(), tau=0.2, floor=1e-2, grid=Healpix(8)).solve()
    # The first modality moves towards its partners, 0.8 ahead, the second to its own, 0.8 behind.
    assert solution.centroid_gap > 0.5


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (unit(4, 5), unit(3, 5), "4 and 3"),
        (unit(4, 5), unit(4, 6), r"5 components and modality 2 6 \(shapes"),
        (np.ones((4, 1)), np.ones((4, 1)), "d of at least 2"),
        (np.ones((0, 5)), np.ones((0, 5)), r"shape \(0, 5\)"),
        (np.ones(4), np.ones(4), r"shape \(4,\)"),
        (unit(4, 5), unit(4, 5) * [[1], [1], [0], [1]], "modality 2: 1 of 4 embeddings are zero.*row 2"),
        (np.full((4, 5), 1e200), unit(4, 5), "too large"),
        (np.full((4, 5), np.nan), unit(4, 5), "modality 1: 4 of 4 embeddings have values"),
        (3 * unit(4, 5), unit(4, 5), "not of unit length.*normalize=True"),
        (np.ones((4, 5), dtype=int), unit(4, 5), "int64; convert"),
    ],
)
def test_what_are_no_pairs_is_refused(first: np.ndarray, second: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_embeddings(first, second)


def test_files_of_pairs(tmp_path, rng: np.random.Generator) -> None:
    both = on_sphere(rng.standard_normal((2, 30, 8))).astype(np.float32)
    np.save(tmp_path / "both.npy", both)
    np.save(tmp_path / "a.npy", both[0])
    np.save(tmp_path / "b.npy", both[1])
    one = read_pairs((f"{tmp_path}/both.npy",))
    two = read_pairs((f"{tmp_path}/a.npy", f"{tmp_path}/b.npy"))
    np.testing.assert_array_equal(one.points, two.points)
    with pytest.raises(InputError, match="hold one modality"):
        read_pairs((f"{tmp_path}/a.npy",))
    with pytest.raises(InputError, match="not of 3"):
        read_pairs((f"{tmp_path}/a.npy",) * 3)
    with pytest.raises(InputError, match="no such file"):
        read_pairs((f"{tmp_path}/missing.npy",))
    np.save(tmp_path / "objects.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="nothing is unpickled"):
        read_pairs((f"{tmp_path}/objects.npy",))
    for h in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="bandwidth"):
            one.potentials(h)


def test_clip_features_project_and_solve(clip_features) -> None:
    pairs = read_pairs((str(clip_features),))
    assert pairs.retained_fraction == pytest.approx(0.567, abs=1e-3)
    centroids = pairs.points.mean(axis=1)
    assert np.linalg.norm(centroids[0] - centroids[1]) > 1
    solution = fs.Problem(pairs.potentials(), tau=0.1, floor=1e-3, grid=Healpix(32)).solve()
    assert solution.gap == pytest.approx(0, abs=1e-12 * abs(solution.energy))
    assert solution.notes == ()  # unit norm to the rounding of half precision is no news


def test_lengths_that_are_not_used_are_said(rng: np.random.Generator) -> None:
    points = on_sphere(rng.standard_normal((2, 50, 3)))
    unit = fs.Problem(from_embeddings(*points).potentials(), tau=0.5, floor=1e-2, coupling=0.0, grid=Healpix(4)).solve()
    longer = fs.Problem(
        from_embeddings(3 * points[0], points[1], normalize=True).potentials(), tau=0.5, floor=1e-2, coupling=0.0, grid=Healpix(4)
    ).solve()
    assert not any("lengths" in note for note in unit.notes)
    assert any("lengths from 1 to 3" in note for note in longer.notes)
    assert longer.energy == pytest.approx(unit.energy, abs=1e-12)


def test_projection_has_its_signs_from_the_data(rng: np.random.Generator) -> None:
    embeddings = on_sphere(rng.standard_normal((2, 50, 8)) + 0.3)
    for sign in (1, -1):
        mirrored = embeddings * np.where(np.arange(8) % 2, sign, 1)
        points = from_embeddings(*mirrored).points
        assert np.all(points.sum(axis=(0, 1)) > 0)
        np.testing.assert_allclose(points, from_embeddings(*embeddings).points, atol=1e-9)


def test_embeddings_without_a_projection_are_refused() -> None:
    first = np.eye(3, 6).repeat(5, axis=0)
    stray = np.vstack([first, np.eye(6)[5]])
    with pytest.raises(InputError, match="orthogonal"):
        from_embeddings(stray, stray)
