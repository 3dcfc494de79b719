"""Hubness, neighbourhoods, debiased CKA and the gap's direction against their definitions."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.special import logsumexp
from scipy.stats import skew

from fieldsolve.diagnose.arrangement import arrangement
from fieldsolve.diagnose.metrics import direction, hubness, structure
from fieldsolve.diagnose.metrics.metric import Metric
from fieldsolve.diagnose.sample import match
from fieldsolve.diagnose.statistics import similarity
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.embeddings.modality import modality

Array = np.ndarray
TAU = 0.1


def unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


def matched_of(first: Array, second: Array, pairs: Array | None = None) -> Matched:
    laid = arrangement(match(modality("a", first), modality("b", second), pairs), 1, 0)
    return laid.matched(TAU, None, None)


def related(count: int, width: int, seed: int, noise: float = 0.6) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    content = rng.standard_normal((count, width))
    return tuple(unit(content + noise * rng.standard_normal((count, width)) + offset) for offset in (0.3, -0.3))  # type: ignore[return-value]


def measured(family: object, pooled: Matched) -> dict[str, Metric]:
    return family.measure(pooled, np.random.default_rng(0))  # type: ignore[attr-defined,no-any-return]


def test_hubness_by_definition() -> None:
    first, second = related(70, 6, 1)
    found = measured(hubness, matched_of(first, second))
    assert found["hubness_a"].ci_low is not None
    for own, table in (("b", first @ second.T), ("a", second @ first.T)):
        times = np.bincount(np.argsort(-table, axis=1)[:, :10].ravel(), minlength=70)
        assert found[f"hubness_{own}"].value == pytest.approx(skew(times))
        assert found[f"never_retrieved_{own}"].value == pytest.approx(np.mean(times == 0))
        scores = table / TAU - logsumexp(table / TAU, axis=0)
        direction_of = "a_to_b" if own == "b" else "b_to_a"
        assert found[f"recall_{direction_of}_at_1_inverted"].value == np.mean(scores.argmax(axis=1) == np.arange(70))


def test_hubs_are_seen_and_held_back(rng: np.random.Generator) -> None:
    content = rng.standard_normal((200, 30))
    first = unit(content + rng.standard_normal((200, 30)) + 1.0)
    second = content + rng.standard_normal((200, 30))
    second[:4] += 2.0  # nearer to everybody
    pooled = matched_of(first, unit(second))
    found = measured(hubness, pooled)
    assert found["hubness_b"].value > 3 > 2 > found["hubness_a"].value
    recall = pooled.hits[0, 0, :200].mean()
    assert found["recall_a_to_b_at_1_inverted"].value > recall + 0.05


def near(rows: Array) -> list[set[int]]:
    """The ten nearest of each row, itself left out."""
    return [set(np.argsort(-np.where(np.arange(len(rows)) == i, -9, rows[i] @ rows.T))[:10].tolist()) for i in range(len(rows))]


def test_neighbourhoods_by_sets() -> None:
    first, second = related(60, 5, 2)
    near = [
        [set(np.argsort(-np.where(np.arange(60) == i, -9, rows[i] @ rows.T))[:10]) for i in range(60)] for rows in (first, second)
    ]
    expected = np.mean([len(one & other) / 10 for one, other in zip(*near, strict=True)])
    found = measured(structure, matched_of(first, second))["mutual_neighbours"]
    assert found.value == pytest.approx(expected)
    assert found.p_value == 1 / 500
    assert found.shuffled == pytest.approx(10 / 59, abs=0.02)
    assert found.noise_level is not None
    assert found.shuffled < found.noise_level < found.value


def hsic(first: Array, second: Array) -> float:
    """The unbiased estimate as the mean over quadruples of different rows, by its sums."""
    m = len(first)
    one, other = (table - np.diag(np.diag(table)) for table in (first, second))
    ones = np.ones(m)
    whole = np.trace(one @ other) + (ones @ one @ ones) * (ones @ other @ ones) / ((m - 1) * (m - 2))
    return float((whole - 2 / (m - 2) * (ones @ one @ other @ ones)) / (m * (m - 3)))


def test_cka_by_definition_and_its_permutations() -> None:
    first, second = related(50, 7, 3)
    expected = hsic(first @ first.T, second @ second.T) / np.sqrt(
        hsic(first @ first.T, first @ first.T) * hsic(second @ second.T, second @ second.T)
    )
    pooled = matched_of(first, second)
    pairs = similarity.Pairs.drawn(pooled, 5, np.random.default_rng(0))
    found, passed = similarity.debiased_cka(pooled, pairs)
    assert found.value == pytest.approx(expected, rel=1e-9)
    for order, value in zip(pairs.permutations, passed, strict=True):
        other = similarity.Pairs(pairs.first, pairs.second[order], pairs.places, pairs.permutations[:1])
        assert similarity.debiased_cka(pooled, other)[0].value == pytest.approx(value, rel=1e-9, abs=1e-12)
    _, mutual = similarity.mutual_neighbours(pooled, pairs)
    for order, value in zip(pairs.permutations, mutual, strict=True):
        # Which rows are near does not depend on their order: a permuted table has its rows' neighbours.
        centroid = pooled.cloud.centroids[1]
        given = pairs.second + centroid
        both = near(pairs.first + pooled.cloud.centroids[0]), near(given[order])
        assert np.mean([len(one & other) / 10 for one, other in zip(*both, strict=True)]) == pytest.approx(value)


def test_cka_without_each_group(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = related(40, 4, 4)
    monkeypatch.setattr("fieldsolve.diagnose.statistics.design.MOST_GROUPS", 8)
    pooled = matched_of(first, second)
    pairs = similarity.Pairs.drawn(pooled, 1, np.random.default_rng(0))
    found, _ = similarity.debiased_cka(pooled, pairs)
    groups = pooled.design.group_of_row[pairs.places]
    assert len(np.unique(groups)) == pooled.design.groups
    for group in range(pooled.design.groups):
        x, y = pairs.first[groups != group], pairs.second[groups != group]
        value = hsic(x @ x.T, y @ y.T) / np.sqrt(hsic(x @ x.T, x @ x.T) * hsic(y @ y.T, y @ y.T))
        assert found.single[group] == pytest.approx((1 - 1 / pooled.design.groups) * (found.value - value), abs=1e-10)


def test_cka_knows_no_offset_no_rotation_and_has_no_bias(rng: np.random.Generator) -> None:
    values = []
    for seed in range(40):
        draw = np.random.default_rng([5, seed])
        independent = [unit(draw.standard_normal((40, 60))) for _ in range(2)]
        one = measured(structure, matched_of(*independent))["debiased_cka"]
        values.append((one.value, one.p_value))
    table = np.array(values)
    assert abs(table[:, 0].mean()) < 3 * table[:, 0].std() / np.sqrt(40)
    assert np.mean(table[:, 1] <= 0.05) <= 0.15
    first = related(60, 6, 6, noise=0.0)[0]
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    found = measured(structure, matched_of(first, unit(first @ rotation)))
    assert found["debiased_cka"].value == pytest.approx(1)
    assert found["mutual_neighbours"].value == 1


@pytest.mark.parametrize(("count", "width"), [(60, 12), (30, 40)])
def test_direction_and_gaussians_by_definition(count: int, width: int) -> None:
    first, second = related(count, width, 8)
    found = {name: one.value for name, one in measured(direction, matched_of(first, second)).items()}
    gap = first.mean(axis=0) - second.mean(axis=0)
    assert found["gap_in_top_coordinates"] == pytest.approx(np.sort(gap**2)[-10:].sum() / (gap @ gap))
    covariances = []
    for letter, rows in (("a", first), ("b", second)):
        covariances.append(np.cov(rows.T, bias=True))
        leading = np.linalg.eigh(covariances[-1])[1][:, -10:]
        assert found[f"gap_in_leading_{letter}"] == pytest.approx(np.sum((gap @ leading) ** 2) / (gap @ gap))
    root = np.real(sqrtm(covariances[0] @ covariances[1]))
    between = np.trace(covariances[0] + covariances[1] - 2 * root)
    assert found["frechet_covariances"] == pytest.approx(between, rel=1e-4)
    assert found["frechet_means"] == pytest.approx(gap @ gap)
    assert found["frechet_distance"] == found["frechet_means"] + found["frechet_covariances"]


@pytest.mark.parametrize("offset", [0.1, 0.5])
def test_intervals_of_the_gaps_direction_cover(offset: float) -> None:
    scales, found = 1 / np.sqrt(np.arange(1, 31)), []
    for seed in range(80):
        rng = np.random.default_rng([9, seed])
        rows = [unit(rng.standard_normal((150, 30)) * scales + size) for size in (offset, 0.0)]
        one = measured(direction, matched_of(*rows))["gap_in_leading_a"]
        found.append((one.value, one.ci_low or 0.0, one.ci_high or 0.0))
    value, low, high = np.array(found).T
    assert np.mean((low <= value.mean()) & (value.mean() <= high)) >= 0.88


def test_intervals_of_hubness_and_neighbourhoods_cover() -> None:
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(80):
        rows = related(120, 12, 100 + seed)
        pooled = matched_of(*rows)
        for name, one in (measured(hubness, pooled) | measured(structure, pooled)).items():
            found.setdefault(name, []).append((one.value, one.ci_low or 0.0, one.ci_high or 0.0))
    for name, values in found.items():
        value, low, high = np.array(values).T
        assert np.mean((low <= value.mean()) & (value.mean() <= high)) >= 0.87, name


def test_ties_are_shared() -> None:
    """Copies of a row are found alike: where ten prompts have thirty copies each, none is left out by its place."""
    rng = np.random.default_rng(1)
    prompts = np.repeat(unit(rng.standard_normal((10, 6))), 30, axis=0)
    found = measured(hubness, matched_of(unit(rng.standard_normal((300, 6))), prompts))
    assert found["never_retrieved_b"].value == 0
    constant = np.tile(unit(np.ones((1, 6))), (60, 1))
    assert measured(structure, matched_of(constant, constant))["mutual_neighbours"].p_value == 1


def test_a_gap_of_nothing_has_no_direction() -> None:
    rows = related(40, 5, 10)[0]
    found = measured(direction, matched_of(rows, rows))
    assert np.isnan(found["gap_in_top_coordinates"].value)
    assert found["frechet_distance"].value == pytest.approx(0, abs=1e-12)
