"""Batch losses: against plain numpy, finite differences, limits, and in any number of threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics import threads
from fieldsolve.numerics.errors import InputError
from fieldsolve.theorems.infonce import infonce, population_infonce, symmetric_infonce


def unit(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    rows = rng.standard_normal((count, dimension))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def similarity(kernel: Kernel, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    products = first @ second.T
    return (products if str(kernel.critic) == "cosine" else 2 * products - 2) / kernel.tau


def plain(anchors: np.ndarray, positives: np.ndarray, negatives: np.ndarray, kernel: Kernel) -> float:
    """The definition [(1)], term by term."""
    own = np.diag(similarity(kernel, anchors, positives))
    exponents = np.concatenate([own[:, None], similarity(kernel, anchors, negatives)], axis=1)
    return float(np.mean(-own + np.log(np.sum(np.exp(exponents - 100), axis=1)) + 100))


@given(st.integers(1, 130), st.integers(0, 2500), st.integers(2, 9), st.sampled_from(["cosine", "rbf"]), st.floats(0.05, 5.0))
def test_the_value_is_the_definition(batch: int, count: int, dimension: int, critic: str, tau: float) -> None:
    rng = np.random.default_rng(batch + 1000 * count)
    points = unit(rng, batch, dimension), unit(rng, batch, dimension), unit(rng, count, dimension)
    assert infonce(*points, Kernel(critic, tau)).value == pytest.approx(plain(*points, Kernel(critic, tau)), abs=1e-10)


@pytest.mark.parametrize("critic", ["cosine", "rbf"])
@pytest.mark.parametrize("tau", [1.0, 0.05])
def test_gradients_are_tangent_and_those_of_the_value(critic: str, tau: float, rng: np.random.Generator) -> None:
    kernel = Kernel(critic, tau)
    points = [unit(rng, 5, 4), unit(rng, 5, 4), unit(rng, 1030, 4)]
    loss = infonce(*points, kernel)
    for index, gradient in enumerate((loss.anchors, loss.positives, loss.negatives)):
        np.testing.assert_allclose(np.sum(gradient * points[index], axis=1), 0, atol=1e-12)
        direction = rng.standard_normal(points[index].shape)
        direction -= np.sum(direction * points[index], axis=1, keepdims=True) * points[index]
        values = []
        for step in (1e-5, -1e-5):
            moved = list(points)
            moved[index] = points[index] + step * direction
            moved[index] /= np.linalg.norm(moved[index], axis=1, keepdims=True)
            values.append(infonce(*moved, kernel).value)
        assert (values[0] - values[1]) / 2e-5 == pytest.approx(np.sum(gradient * direction), rel=1e-5, abs=1e-8)


def test_the_symmetric_loss_is_clip_s(rng: np.random.Generator) -> None:
    """In a batch, the mean of the two softmax cross-entropies over its similarity matrix; gradients by differences."""
    kernel = Kernel("cosine", 0.1)
    first, second = unit(rng, 70, 5), unit(rng, 70, 5)
    logits = first @ second.T / kernel.tau
    rows = -np.diag(logits) + np.log(np.exp(logits).sum(axis=1))
    columns = -np.diag(logits) + np.log(np.exp(logits).sum(axis=0))
    loss = symmetric_infonce(first, second, kernel)
    assert loss.value == pytest.approx((rows.mean() + columns.mean()) / 2, abs=1e-12)
    direction = rng.standard_normal(first.shape)
    direction -= np.sum(direction * first, axis=1, keepdims=True) * first
    moved = [first + step * direction for step in (1e-6, -1e-6)]
    values = [symmetric_infonce(one / np.linalg.norm(one, axis=1, keepdims=True), second, kernel).value for one in moved]
    assert (values[0] - values[1]) / 2e-6 == pytest.approx(np.sum(loss.first * direction), rel=1e-6)
    swapped = symmetric_infonce(second, first, kernel)
    assert swapped.value == pytest.approx(loss.value, abs=1e-14)
    np.testing.assert_allclose(swapped.first, loss.second, atol=1e-15)


def test_the_symmetric_loss_with_negatives_of_its_own(rng: np.random.Generator) -> None:
    kernel = Kernel("rbf", 0.3)
    first, second, others = unit(rng, 9, 3), unit(rng, 9, 3), (unit(rng, 40, 3), unit(rng, 50, 3))
    loss = symmetric_infonce(first, second, kernel, others)
    forth, back = infonce(first, second, others[1], kernel), infonce(second, first, others[0], kernel)
    assert loss.value == (forth.value + back.value) / 2
    np.testing.assert_array_equal(loss.first, (forth.anchors + back.positives) / 2)
    assert loss.negatives is not None
    assert [one.shape for one in loss.negatives] == [(40, 3), (50, 3)]
    np.testing.assert_array_equal(loss.negatives[1], forth.negatives / 2)


def test_the_population_loss_counts_points_by_their_mass(rng: np.random.Generator) -> None:
    """A density of whole numbers is as many copies of a point; log N and the positive's own term are not in it."""
    kernel = Kernel("cosine", 0.2)
    anchors, positives, points = unit(rng, 7, 3), unit(rng, 7, 3), unit(rng, 30, 3)
    copies = rng.integers(0, 4, size=30)
    population = population_infonce(anchors, positives, points, copies * 30 / copies.sum(), kernel)
    repeated = np.repeat(points, copies, axis=0)
    negatives = infonce(anchors, positives, repeated, kernel)
    np.testing.assert_allclose(population.log_fields, negatives.log_fields - np.log(len(repeated)), atol=1e-12)
    own = kernel.concentration * (np.sum(anchors * positives, axis=1) - 1)
    np.testing.assert_allclose(population.terms, population.log_fields - own, atol=1e-12)
    assert np.abs(population.negatives[copies == 0]).max() < 1e-300


def test_rotations_change_nothing(rng: np.random.Generator) -> None:
    rotation = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    points = unit(rng, 20, 4), unit(rng, 20, 4), unit(rng, 300, 4)
    loss = infonce(*points, Kernel("cosine", 0.1))
    turned = infonce(*(one @ rotation.T for one in points), Kernel("cosine", 0.1))
    assert turned.value == pytest.approx(loss.value, abs=1e-12)
    np.testing.assert_allclose(turned.anchors, loss.anchors @ rotation.T, atol=1e-13)


def test_the_same_bits_from_one_thread_and_two(rng: np.random.Generator) -> None:
    points = unit(rng, 300, 16), unit(rng, 300, 16), unit(rng, 5000, 16)
    results = []
    for count in (1, 2):
        with threads.limit(count):
            loss = infonce(*points, Kernel("cosine", 0.07))
            results.append((loss.terms, loss.anchors, loss.negatives))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


def test_without_negatives_nothing_is_left_to_learn(rng: np.random.Generator) -> None:
    anchors, positives = unit(rng, 5, 3), unit(rng, 5, 3)
    loss = infonce(anchors, positives, np.empty((0, 3)), Kernel("cosine", 0.5))
    assert loss.value == 0
    assert np.all(loss.anchors == 0)
    assert np.all(loss.log_fields == -np.inf)


def test_extreme_temperatures_stay_finite(rng: np.random.Generator) -> None:
    points = unit(rng, 8, 3), unit(rng, 8, 3), unit(rng, 100, 3)
    for tau in (1e-4, 1e4):
        loss = infonce(*points, Kernel("cosine", tau))
        assert np.isfinite(loss.value)
        assert all(np.all(np.isfinite(one)) for one in (loss.anchors, loss.positives, loss.negatives))


def test_losses_refuse_what_is_no_batch(rng: np.random.Generator) -> None:
    points, kernel = unit(rng, 4, 3), Kernel("cosine", 0.5)
    with pytest.raises(InputError, match="do not fit"):
        infonce(points, points[:3], points, kernel)
    with pytest.raises(InputError, match="do not fit"):
        infonce(points, points, unit(rng, 4, 5), kernel)
    with pytest.raises(InputError, match=r"row 2 has the length 2"):
        infonce(points * np.array([1, 1, 2, 1])[:, None], points, points, kernel)
    with pytest.raises(InputError, match="row 0"):
        infonce(points, points, np.full((2, 3), np.nan), kernel)
    with pytest.raises(InputError, match=r"\(n, d\)"):
        infonce(points[0], points[0], points, kernel)
    with pytest.raises(InputError, match="geodesic"):
        infonce(points, points, points, Kernel("geodesic", 0.5))
    for density in (np.zeros(4), -np.ones(4), np.ones(3), np.full(4, np.nan)):
        with pytest.raises(InputError, match="density"):
            population_infonce(points, points, points, density, kernel)


def test_rows_are_made_unit_vectors_before_anything_else() -> None:
    """At tau 0.01 lengths of 1.0015, within the rounding of half precision, would move the loss by 0.2."""
    rng = np.random.default_rng(0)
    points = unit(rng, 30, 16), unit(rng, 30, 16), unit(rng, 200, 16)
    kernel = Kernel("cosine", 0.01)
    plainly, longer = infonce(*points, kernel), infonce(*(1.0015 * one for one in points), kernel)
    assert longer.value == pytest.approx(plainly.value, abs=1e-9)
    np.testing.assert_allclose(longer.negatives, plainly.negatives, atol=1e-9)
    both = symmetric_infonce(1.0015 * points[0], points[1] / 1.0015, kernel)
    assert both.value == pytest.approx(symmetric_infonce(points[0], points[1], kernel).value, abs=1e-9)
