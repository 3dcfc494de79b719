"""Metrics of matched embeddings against formulas and other libraries; their resamples, tests and intervals."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import ot
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import binomtest, kstest, norm
from scipy.stats import t as student
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from fieldsolve.diagnose import measure as measuring
from fieldsolve.diagnose import paired, recentred, retrieval, shape, sliced
from fieldsolve.diagnose.definitions import DEFINITIONS
from fieldsolve.diagnose.matching import Matching, matchings
from fieldsolve.diagnose.measure import measure
from fieldsolve.diagnose.metric import basic_interval, p_value, share_interval, weighted_quantiles
from fieldsolve.diagnose.pairwise import Cloud
from fieldsolve.diagnose.resampling import arrange, draw
from fieldsolve.diagnose.sample import Sample, match
from fieldsolve.diagnose.shape import relabelled_transport
from fieldsolve.diagnose.statistics import Pooled, effective_rank
from fieldsolve.embeddings.modality import modality
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics import threads

Array = np.ndarray
TAU = 0.25
MARGINAL = [name for name, one in DEFINITIONS.items() if not one.paired and "cross_entropy" not in name and "kl" not in name]


def unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


def modalities(count: int, dimension: int, seed: int, captions: int = 1) -> tuple[Array, Array, Array]:
    """Two modalities with a common content, apart by an offset, and who belongs to whom."""
    rng = np.random.default_rng(seed)
    content = rng.standard_normal((count, dimension))
    owner = np.repeat(np.arange(count), captions)
    first = content + 0.7 * rng.standard_normal((count, dimension)) + 0.5
    second = content[owner] + 0.7 * rng.standard_normal((count * captions, dimension))
    return unit(first), unit(second), np.stack([owner, np.arange(len(owner))], axis=1)


def energy_distance(x: Array, y: Array) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| with every pair counted, each row with itself too [Szekely and Rizzo 2013]."""
    return float(2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean())


def sample_of(first: Array, second: Array, partners: Array | None = None) -> Sample:
    return match(modality("a", first), modality("b", second), partners)


@pytest.fixture(params=[1, 3], ids=["one to one", "three captions"])
def data(request: pytest.FixtureRequest) -> tuple[Array, Array, Array]:
    return modalities(45, 6, seed=1, captions=request.param)


def distances(x: Array, y: Array) -> Array:
    return np.linalg.norm(x[:, None] - y[None], axis=-1)


def of_others(values: Array) -> Array:
    return values[~np.eye(len(values), dtype=bool)]


def test_every_metric_is_defined_and_every_definition_measured(data: tuple[Array, Array, Array]) -> None:
    found = set(measure(sample_of(*data), TAU, 99).metrics)
    optional = {"alignment_within_a", "alignment_within_b"}
    assert found | optional == set(DEFINITIONS)
    assert ("alignment_within_b" in found) == (len(data[1]) > len(data[0]))


def test_values_are_those_of_the_formulas(data: tuple[Array, Array, Array]) -> None:
    x, y, partners = data
    measured = measure(sample_of(*data), TAU, 99)
    centroids = x.mean(axis=0), y.mean(axis=0)
    cross, within = distances(x, y), (of_others(distances(x, x)), of_others(distances(y, y)))
    strangers = np.ones(cross.shape, dtype=bool)
    strangers[partners[:, 0], partners[:, 1]] = False
    cosines = (x @ y.T)[~strangers]
    sigma = float(np.median(cross))
    expected = {
        "centroid_gap": np.linalg.norm(centroids[0] - centroids[1]),
        "centroid_norm_a": np.linalg.norm(centroids[0]),
        "centroid_cosine": centroids[0] @ centroids[1] / np.prod([np.linalg.norm(one) for one in centroids]),
        "energy_cross": cross.mean(),
        "energy_distance": 2 * cross.mean() - within[0].mean() - within[1].mean(),
        "uniformity_a": np.log(np.mean(np.exp(-2 * within[0] ** 2))),
        "uniformity_b": np.log(np.mean(np.exp(-2 * within[1] ** 2))),
        "uniformity_across": np.log(np.mean(np.exp(-2 * cross**2))),
        "alignment": np.mean(np.sum((x[partners[:, 0]] - y[partners[:, 1]]) ** 2, axis=1)),
        "cosine_matched_mean": cosines.mean(),
        "cosine_matched_sd": cosines.std(),
        "cosine_matched_p05": np.quantile(cosines, 0.05, method="inverted_cdf"),
        "cosine_unmatched_mean": (x @ y.T)[strangers].mean(),
        "cosine_unmatched_p95": np.quantile((x @ y.T)[strangers], 0.95),
        "cosine_within_b_mean": of_others(y @ y.T).mean(),
        "relative_modality_gap": (ratio := np.mean(1 - cosines) / 2)
        / (ratio + np.mean([of_others(1 - one @ one.T).mean() / 2 for one in (x, y)])),
    }
    for name, factor in (("half", 0.5), ("one", 1.0), ("double", 2.0)):
        width = 2 * (factor * sigma) ** 2
        kernels = [np.exp(-(one**2) / width) for one in (*within, cross)]
        expected[f"mmd2_{name}"] = kernels[0].mean() + kernels[1].mean() - 2 * kernels[2].mean()
        shifted = np.exp(-(distances(x - centroids[0], y - centroids[1]) ** 2) / width)
        expected[f"mmd2_{name}_centred"] = kernels[0].mean() + kernels[1].mean() - 2 * shifted.mean()
    centred = distances(x - centroids[0], y - centroids[1])
    expected["energy_distance_centred"] = 2 * centred.mean() - within[0].mean() - within[1].mean()
    singular = np.linalg.svd(x - centroids[0], compute_uv=False)
    shares = singular / singular.sum()
    expected["effective_rank_a"] = np.exp(-np.sum(shares * np.log(shares)))
    if len(y) > len(x):
        siblings = y.reshape(len(x), -1, y.shape[1])
        between = np.sum((siblings[:, :, None] - siblings[:, None]) ** 2, axis=-1)
        expected["alignment_within_b"] = between.sum() / (len(x) * 6)
    assert measured.bandwidth == pytest.approx(sigma, rel=1e-12)
    for name, value in expected.items():
        assert measured.metrics[name].value == pytest.approx(float(value), rel=1e-9, abs=1e-12), name


def test_cross_entropies_leave_out_the_own_cluster(data: tuple[Array, Array, Array]) -> None:
    x, y, partners = data
    metrics = measure(sample_of(*data), TAU, 99).metrics
    owner = partners[:, 1].argsort()
    clusters = np.arange(len(x)), partners[owner, 0]
    peak = Kernel("cosine", TAU).log_peak(x.shape[1] - 1)

    def cross_entropy(at: int, of: int, rows: tuple[Array, Array], width: float) -> float:
        kernel = np.exp(-(distances(rows[at], rows[of]) ** 2) / width)
        other = clusters[at][:, None] != clusters[of][None, :]
        return float(-np.mean(np.log(np.sum(kernel * other, axis=1) / np.sum(other, axis=1))) - peak)

    for centred in (False, True):
        rows = (x - x.mean(axis=0), y - y.mean(axis=0)) if centred else (x, y)
        entropies = {(a, b): cross_entropy(a, b, rows, 2 * TAU) for a in (0, 1) for b in (0, 1)}
        suffix = "_centred" if centred else ""
        forth, back = entropies[0, 1] - entropies[0, 0], entropies[1, 0] - entropies[1, 1]
        assert metrics[f"smoothed_kl_a_b{suffix}"].value == pytest.approx(forth, rel=1e-9)
        assert metrics[f"smoothed_kl_b_a{suffix}"].value == pytest.approx(back, rel=1e-9)
        assert metrics[f"smoothed_symmetric_kl{suffix}"].value == pytest.approx(forth + back, rel=1e-9)
        if not centred:
            assert metrics["cross_entropy_a_b"].value == pytest.approx(entropies[0, 1], rel=1e-9)
            assert metrics["cross_entropy_b_b"].value == pytest.approx(entropies[1, 1], rel=1e-9)


def test_the_energy_distance_is_that_of_all_pairs_of_distances(data: tuple[Array, Array, Array]) -> None:
    x, y, _ = data
    metrics = measure(sample_of(*data), TAU, 99).metrics
    n, m = len(x), len(y)
    within = metrics["energy_within_a"].value * (n - 1) / n + metrics["energy_within_b"].value * (m - 1) / m
    assert 2 * metrics["energy_cross"].value - within == pytest.approx(energy_distance(x, y), rel=1e-10)


def test_sliced_wasserstein_is_that_of_optimal_transport(data: tuple[Array, Array, Array], rng: np.random.Generator) -> None:
    x, y, _ = data
    directions = sliced.orthonormal_directions(x.shape[1], len(y), rng)
    np.testing.assert_allclose(directions[:, :6].T @ directions[:, :6], np.eye(6), atol=1e-12)
    projections = sliced.project(Cloud.of(x, y), directions)
    slots = np.repeat([0, 1], [len(x), len(y)])
    raw, centred = sliced.transport_costs(projections, slots, np.array([[1.0, 0]]), np.array([[0, 1.0]]))
    expected = ot.sliced_wasserstein_distance(x, y, projections=directions, p=2)
    assert np.sqrt(raw[0]) == pytest.approx(expected, rel=1e-10)
    shifted = ot.sliced_wasserstein_distance(x - x.mean(axis=0), y - y.mean(axis=0), projections=directions, p=2)
    assert np.sqrt(centred[0]) == pytest.approx(shifted, rel=1e-10)


@given(st.lists(st.integers(0, 6), min_size=3, max_size=8), st.lists(st.integers(0, 6), min_size=3, max_size=8))
def test_transport_of_repeated_rows_is_that_of_their_copies(first: list[int], second: list[int]) -> None:
    rng = np.random.default_rng(len(first) * 10 + len(second))
    first[0] = second[0] = 1
    x, y = rng.standard_normal(len(first)), rng.standard_normal(len(second))
    slots = np.arange(len(first) + len(second))
    weights = np.array([first + [0] * len(second)], float), np.array([[0] * len(first) + second], float)
    raw, _ = sliced.transport_costs(np.concatenate([x, y])[None], slots, *weights)
    expected = ot.wasserstein_1d(np.repeat(x, first), np.repeat(y, second), p=2)
    assert raw[0] == pytest.approx(float(expected), rel=1e-10)


def test_a_pure_offset_has_one_sliced_distance_whatever_the_basis() -> None:
    x = unit(np.random.default_rng(0).standard_normal((40, 90)))
    metrics = [measure(sample_of(x, unit(x + np.eye(90)[0])), TAU, 99, seed).metrics["sliced_w2"].value for seed in (0, 1)]
    assert metrics[0] == pytest.approx(metrics[1], rel=0.02)


def test_separability_is_that_of_scikit_learn() -> None:
    x, y, _ = modalities(60, 6, seed=3)
    sample = sample_of(x, y)
    rngs = np.random.SeedSequence(0).spawn(6)
    slots = arrange(sample.clusters, np.random.default_rng(rngs[0]))
    fold = slots.group[slots.slot_of_row] % 5
    rows = np.concatenate([x[slots.orders[0]], y[slots.orders[1]]])
    side = np.repeat([0, 1], [60, 60])
    predicted = cross_val_predict(RidgeClassifier(alpha=1.0), rows, side, cv=PredefinedSplit(fold))
    found = measure(sample, TAU, 99).metrics["linear_separability"]
    assert found.value == pytest.approx(np.mean(predicted == side), abs=1e-12)
    assert 0.6 < found.value < 1


def test_recall_counts_ties_by_their_chance() -> None:
    # Rows of the first modality see their partner, and a copy of it that belongs to another row.
    x = np.repeat(np.eye(30), 2, axis=0)
    metrics = measure(sample_of(x, x), TAU, 99).metrics
    for direction in ("a_to_b", "b_to_a"):
        assert metrics[f"recall_{direction}_at_1"].value == pytest.approx(0.5)
        assert metrics[f"recall_{direction}_at_5"].value == 1


@given(st.integers(0, 3), st.integers(0, 4), st.integers(1, 3))
def test_chances_of_ties_are_those_of_drawing(ahead: int, strangers: int, partners: int) -> None:
    squares, best = np.full(partners, 0.5), np.full(partners + 1, 0.5)
    matching = Matching(np.stack([np.zeros(partners, np.int64), np.arange(1, partners + 1)]), squares, best, best)
    ranks = np.array([[ahead] + [0] * partners, [ahead + strangers + partners] + [1] * partners], dtype=np.int32)
    found = retrieval.hits(ranks, matching, np.full(partners + 1, 1e-9))[:, 0]
    rng = np.random.default_rng(7)
    keys = rng.random((20_000, strangers + partners))
    is_partner = np.argsort(keys, axis=1) < partners
    for depth, value in zip(retrieval.DEPTHS, found, strict=True):
        share = is_partner[:, : max(depth - ahead, 0)].any(axis=1).mean()
        assert value == pytest.approx(share, abs=0.015)


def test_recall_of_many_to_one_takes_any_partner() -> None:
    x, y, partners = modalities(30, 5, seed=4, captions=3)
    metrics = measure(sample_of(x, y, partners), TAU, 99).metrics
    order = np.argsort(-(x @ y.T), axis=1)
    owner = partners[:, 0]
    for depth in retrieval.DEPTHS:
        forth = np.mean([np.any(owner[order[i, :depth]] == i) for i in range(30)])
        back = np.mean([owner[j] in np.argsort(-(y[j] @ x.T))[:depth] for j in range(90)])
        assert metrics[f"recall_a_to_b_at_{depth}"].value == pytest.approx(forth)
        assert metrics[f"recall_b_to_a_at_{depth}"].value == pytest.approx(back)


@pytest.mark.parametrize("captions", [1, 2])
def test_many_blocks_give_what_few_do(captions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = sample_of(*modalities(130, 5, 5, captions))
    whole = measure(sample, TAU, 99).metrics
    monkeypatch.setattr("fieldsolve.diagnose.pairwise._TILE", 16)
    monkeypatch.setattr("fieldsolve.diagnose.pairwise._LEAST_ROWS", 32)
    monkeypatch.setattr("fieldsolve.diagnose.statistics._CHUNK", 16)
    for name, one in measure(sample, TAU, 99).metrics.items():
        for field in ("value", "ci_low", "ci_high", "floor"):
            if (value := getattr(whole[name], field)) is not None:
                assert getattr(one, field) == pytest.approx(value, rel=1e-8, abs=1e-10), name


def test_bits_do_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fieldsolve.numerics.threads.WORTHWHILE", 1)
    monkeypatch.setattr("fieldsolve.diagnose.pairwise._LEAST_ROWS", 32)
    sample = sample_of(*(one.astype(np.float32) for one in modalities(100, 8, 6)[:2]))
    found = []
    for count in (1, 3):
        with threads.limit(count):
            found.append(measure(sample, TAU, 99).metrics)
    assert found[0] == found[1]


def pooled_of(sample: Sample) -> tuple[Pooled, Array]:
    slots = arrange(sample.clusters, np.random.default_rng(0))
    cloud = Cloud.of(sample.first.rows[slots.orders[0]], sample.second.rows[slots.orders[1]])
    both = matchings(sample, slots, cloud, np.random.default_rng(1))
    return measuring._pooled(sample, slots, cloud, both, 1.2, TAU, lambda progress: None)


def rows_of(pooled: Pooled) -> Array:
    """The rows as they were given."""
    return pooled.rows + np.repeat(pooled.centroids, [pooled.first_rows, len(pooled.rows) - pooled.first_rows], axis=0)


def test_a_resample_is_the_statistic_of_its_weighted_rows() -> None:
    sample = sample_of(*modalities(40, 5, 7, captions=2))
    pooled, _ = pooled_of(sample)
    weights = draw(pooled.slots, 3, np.random.default_rng(2)).bootstraps
    first, second = pooled.slots.both(weights)
    slot = pooled.slots.slot_of_row
    rows = rows_of(pooled)
    apart = distances(rows, rows)
    np.fill_diagonal(apart, 0)
    resampled = pooled.distances_of(first, second), pooled.centroids_of(first, second)
    entropies = pooled.divergences_of(first, second, 0.0)
    kernel = np.exp(-(apart**2) / (2 * TAU)) * (pooled.clusters[:, None] != pooled.clusters)
    foreign = (pooled.clusters[:, None] != pooled.clusters).astype(float)
    for r in range(3):
        u, v = first[r][slot], second[r][slot]
        across = u @ apart @ v / (u.sum() * v.sum())
        inside = u @ apart @ u / (u.sum() ** 2 - (u**2).sum())
        assert resampled[0]["energy_cross"][r] == pytest.approx(across, rel=1e-10)
        assert resampled[0]["energy_within_a"][r] == pytest.approx(inside, rel=1e-10)
        gap = (u @ rows) / u.sum() - (v @ rows) / v.sum()
        assert resampled[1]["centroid_gap"][r] == pytest.approx(gap @ gap, rel=1e-10)
        drawn = np.flatnonzero(u)
        expected = -np.sum(u[drawn] * np.log((kernel @ v)[drawn] / (foreign @ v)[drawn])) / u.sum()
        assert entropies["cross_entropy_a_b"][r] == pytest.approx(expected, rel=1e-10)


def tight(spread: float, apart: float, classes: int, kind: str) -> tuple[Array, Array]:
    """Two modalities of rows that lie within so much of each other (in classes, if there are several), so far apart."""
    rng = np.random.default_rng(23)
    n, d = 200, 48
    middle = unit(np.eye(d)[0] + (rng.standard_normal((classes, d)) if classes > 1 else np.zeros((1, d))))[np.arange(n) % classes]
    content = rng.standard_normal((n, d))
    sides = [content + 0.3 * rng.standard_normal((n, d)) for _ in "ab"]
    offset = apart * np.eye(d)[1] / 2
    first, second = (unit(middle + spread / np.sqrt(d) * one + sign * offset) for one, sign in zip(sides, (1, -1), strict=True))
    return first.astype(kind), second.astype(kind)


@pytest.mark.parametrize(
    ("spread", "apart", "classes", "kind"),
    [
        (4e-3, 4e-3, 1, "f4"),
        (1e-4, 1e-4, 1, "f4"),
        (1e-4, 1.0, 1, "f4"),  # both collapsed, far from each other
        (1e-3, 0.5, 10, "f4"),  # classes collapsed
        (1e-7, 1e-7, 1, "f8"),
        (1e-7, 1.0, 4, "f8"),
    ],
)
def test_rows_close_to_each_other_keep_their_digits(spread: float, apart: float, classes: int, kind: str) -> None:
    x, y = tight(spread, apart, classes, kind)
    metrics = {name: one.value for name, one in measure(sample_of(x, y), TAU, 99).metrics.items()}
    x, y = unit(x.astype(np.float64)), unit(y.astype(np.float64))
    cross, inside = cdist(x, y), [of_others(cdist(one, one)) for one in (x, y)]
    partners = np.sum((x - y) ** 2, axis=1)
    within = np.mean([np.mean(one**2) for one in inside])
    close = pytest.approx if kind == "f8" or spread > 1e-3 else lambda value, **_: pytest.approx(value, rel=2e-3)
    assert metrics["energy_within_a"] == close(inside[0].mean(), rel=1e-5)
    assert metrics["energy_distance"] == close(2 * cross.mean() - inside[0].mean() - inside[1].mean(), rel=1e-5)
    assert metrics["alignment"] == close(partners.mean(), rel=1e-5)
    assert metrics["relative_modality_gap"] == close(partners.mean() / (partners.mean() + within), rel=1e-5)
    for depth in retrieval.DEPTHS:
        ranks = np.sum(cross < np.diag(cross)[:, None], axis=1), np.sum(cross < np.diag(cross), axis=0)
        assert metrics[f"recall_a_to_b_at_{depth}"] == pytest.approx(np.mean(ranks[0] < depth), abs=0.006)
        assert metrics[f"recall_b_to_a_at_{depth}"] == pytest.approx(np.mean(ranks[1] < depth), abs=0.006)
    assert metrics["cosine_matched_sd"] == close(partners.std() / 2, rel=1e-4)


def test_ranks_of_tight_modalities_far_apart_are_those_of_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    middles, owner = unit(rng.standard_normal((5, 16))), np.repeat(np.arange(60), 3)
    y = unit(middles[rng.integers(0, 5, 180)] + 1e-4 * rng.standard_normal((180, 16)))
    x, y = unit(y.reshape(60, 3, 16).mean(axis=1)).astype("f4"), y.astype("f4")
    sample = sample_of(x, y, np.stack([owner, np.arange(180)], axis=1))
    order = np.argsort(cdist(x.astype("f8"), y.astype("f8")), axis=1)
    expected = np.mean(owner[order[:, 0]] == np.arange(60))
    measured = measure(sample, TAU, 99)
    assert measured.metrics["recall_a_to_b_at_1"].value == pytest.approx(expected, abs=1e-12)
    assert measured.notes == ()
    monkeypatch.setattr("fieldsolve.diagnose.pairwise._FEW", 0)
    assert any("single precision does not decide" in note for note in measure(sample, TAU, 99).notes)


def test_single_precision_that_is_too_coarse_is_said() -> None:
    x, y = tight(5e-6, 5e-6, 1, "f4")
    assert any("single precision has few digits" in note for note in measure(sample_of(x, y), TAU, 99).notes)
    x, y = tight(5e-6, 5e-6, 1, "f8")
    assert measure(sample_of(x, y), TAU, 99).notes == ()


def test_resampled_metrics_of_partners_weigh_their_rows() -> None:
    sample = sample_of(*modalities(30, 5, 21, captions=2))
    pooled, _ = pooled_of(sample)
    both = matchings(sample, pooled.slots, pooled.cloud, np.random.default_rng(1))
    draws = draw(pooled.slots, 1, np.random.default_rng(2))
    # Three times the same resample: its reflection at the value is both ends of the interval.
    draws = replace(draws, bootstraps=np.repeat(draws.bootstraps, 3, axis=0))
    found = paired.matched_cosines(pooled, draws, *both) | paired.alignment_within(pooled, draws)
    found["relative_modality_gap"] = paired.relative_modality_gap(pooled, draws, *both)
    found["cosine_unmatched_mean"] = paired.unmatched_cosine(pooled, draws, both[0])
    weights = draws.bootstraps[0][pooled.group_of_row]
    products, same = rows_of(pooled) @ rows_of(pooled).T, pooled.clusters[:, None] == pooled.clusters
    a, b = pooled.parts
    outer = np.outer(weights, weights) * (1 - np.eye(len(weights)))
    share = weights[a][:, None] * same[a, b]
    cosine = np.sum(share * products[a, b]) / share.sum()
    within = np.mean([1 - np.sum(outer[part, part] * products[part, part]) / outer[part, part].sum() for part in (a, b)])
    strangers = outer[a, b] * ~same[a, b]
    siblings = same[b, b] * (1 - np.eye(60)) * weights[b]
    resampled = {
        "cosine_matched_mean": cosine,
        "cosine_matched_sd": np.sqrt(np.sum(share * products[a, b] ** 2) / share.sum() - cosine**2),
        "alignment": 2 - 2 * cosine,
        "relative_modality_gap": (1 - cosine) / (1 - cosine + within),
        "cosine_unmatched_mean": np.sum(strangers * products[a, b]) / strangers.sum(),
        "alignment_within_b": np.sum(siblings * (2 - 2 * products[b, b])) / siblings.sum(),
    }
    for name, value in resampled.items():
        assert found[name].ci_low == pytest.approx(2 * found[name].value - value, rel=1e-9), name


def test_few_clusters_are_groups_of_their_own_and_many_share_them() -> None:
    for pairs, groups in ((45, 45), (256, 256), (600, 256)):
        clusters = np.arange(pairs)
        slots = arrange((clusters, clusters), np.random.default_rng(0))
        assert slots.groups == groups
        assert len(slots.group) == 2 * groups
        assert slots.counts.max() - slots.counts.min() <= 1
        assert slots.counts.sum() == 2 * pairs
        halves = draw(slots, 1, np.random.default_rng(1)).halves
        np.testing.assert_array_equal(halves.sum(axis=1), groups // 2)


@pytest.mark.parametrize("turned", [False, True])
def test_exchanges_keep_how_many_a_cluster_has_of_each(turned: bool) -> None:
    x, y, partners = modalities(33, 4, 9, captions=3)
    sample = sample_of(y, x, partners[:, ::-1]) if turned else sample_of(x, y, partners)
    slots = arrange(sample.clusters, np.random.default_rng(0))
    labels = draw(slots, 50, np.random.default_rng(1)).labels
    assert labels is not None
    counts = np.zeros((50, slots.groups))
    for group in range(slots.groups):
        counts[:, group] = labels[:, slots.group == group].sum(axis=1)
    own = 3 if turned else 1
    assert np.all(counts == own)
    # Each of the four members is as often among them.
    assert labels.mean(axis=0) == pytest.approx(own / 4, abs=0.25)


def test_large_clusters_have_no_exchanges_but_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recentred, "MOST_ROWS", 430)  # less than there are, more than 16 of each modality's of each cluster
    x, y, partners = modalities(25, 4, 10, captions=20)
    measured = measure(sample_of(x, y, partners), TAU, 99)
    assert all(one.p_value is None for one in measured.metrics.values())
    pooled, _ = pooled_of(sample_of(x, y, partners))
    kept = shape._some_rows(pooled, np.random.default_rng(0))
    np.testing.assert_array_equal(np.bincount(pooled.clusters[kept]), np.full(25, 17))
    assert any("too large" in note for note in measured.notes)
    for name in ("centroid_gap", "energy_distance_centred", "smoothed_symmetric_kl_centred"):
        low, high = measured.metrics[name].ci_low, measured.metrics[name].ci_high
        assert low is not None
        assert high is not None
        assert low < high


def test_a_modality_is_like_itself() -> None:
    x = modalities(60, 6, 17)[0].astype(np.float32)
    metrics = measure(sample_of(x, x), TAU, 99).metrics
    assert all(one.p_value == 1 for name, one in metrics.items() if one.p_value is not None and "separability" not in name)
    for name in ("centroid_gap", "smoothed_symmetric_kl", "sliced_w2", "alignment", "relative_modality_gap"):
        assert metrics[name].value == pytest.approx(0, abs=1e-6)
    assert metrics["recall_a_to_b_at_1"].value == 1


def test_recentred_samples_are_those_with_their_means_taken_off(rng: np.random.Generator) -> None:
    rows = unit(rng.standard_normal((24, 4)))
    clusters = np.tile(np.arange(12), 2)
    counts = rng.integers(0, 3, (3, 12)).astype(float)
    first, second = np.concatenate([counts, 0 * counts], axis=1), np.concatenate([0 * counts, counts], axis=1)
    first[2], second[2] = np.repeat([1.0, 0, 1, 0], 6), np.repeat([0.0, 1, 0, 1], 6)  # an exchange
    found = recentred.recentred_statistics(rows, clusters, first, second, 1.1, TAU, 1.3)
    for u, v, values in zip(first, second, found, strict=True):
        sides = [np.repeat(np.arange(24), weights.astype(int)) for weights in (u, v)]
        x, y = (1.3 * (rows[side] - rows[side].mean(axis=0)) for side in sides)
        inner, across = [distances(z, z)[side[:, None] != side] for z, side in zip((x, y), sides, strict=True)], distances(x, y)
        kernels = [np.exp(-(one**2) / (2 * 1.1**2)).mean() for one in (*inner, across)]
        directions = []
        for own, other in ((0, 1), (1, 0)):
            logs = []
            for points, of in (((x, y)[own], own), ((x, y)[other], other)):
                foreign = clusters[sides[own]][:, None] != clusters[sides[of]]
                smoothed = np.exp(-(distances((x, y)[own], points) ** 2) / (2 * TAU)) * foreign
                logs.append(np.log(smoothed.sum(axis=1) / foreign.sum(axis=1)))
            directions.append(np.mean(logs[0] - logs[1]))
        expected = [2 * across.mean() - inner[0].mean() - inner[1].mean(), kernels[0] + kernels[1] - 2 * kernels[2]]
        np.testing.assert_allclose(values[[0, 2]], expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(values[4:], [*directions, sum(directions)], rtol=1e-9, atol=1e-12)


def test_relabelled_rows_keep_their_scatter(rng: np.random.Generator) -> None:
    rows = rng.standard_normal((40, 3))
    rows[:20] -= rows[:20].mean(axis=0)
    rows[20:] -= rows[20:].mean(axis=0)
    first = np.array([rng.permutation(np.repeat([1.0, 0.0], 20)) for _ in range(4000)])
    shifts = (first - (1 - first)) @ rows / 20
    total = float(np.sum(rows**2))
    scaled = recentred.scatter_scale(total, (20.0, 20.0), np.sum(shifts**2, axis=1)) * rows
    scatter = [sum(np.sum((scaled[u == k] - scaled[u == k].mean(axis=0)) ** 2) for k in (0, 1)) for u in first]
    assert np.mean(scatter) == pytest.approx(total, rel=1e-9)


def test_intervals_take_off_what_centring_costs() -> None:
    rng = np.random.default_rng(18)
    x, y = unit(rng.standard_normal((2, 120, 6)) + np.array([0.5, 0, 0, 0, 0, 0]))
    metrics = measure(sample_of(x, y), TAU, 399).metrics
    for name in ("energy_distance_centred", "mmd2_double_centred"):
        one = metrics[name]
        assert one.ci_low is not None
        assert one.ci_high is not None
        # Nothing differs: the value is below 0 for what the centroids took, and the interval lies around 0.
        assert one.value < 0
        assert abs(one.ci_low + one.ci_high) / 2 < 0.5 * abs(one.value)


def test_relabelled_transport_is_that_of_stretched_centred_rows() -> None:
    pooled, _ = pooled_of(sample_of(*modalities(40, 5, 19)[:2]))
    labels = draw(pooled.slots, 30, np.random.default_rng(4)).labels
    assert labels is not None
    directions = sliced.orthonormal_directions(5, 40, np.random.default_rng(5))
    found = relabelled_transport(pooled, sliced.project(pooled.cloud, directions), directions, labels)
    centred = [pooled.rows[part] - pooled.rows[part].mean(axis=0) for part in pooled.parts]
    rows, first = np.concatenate(centred), labels[:, pooled.slots.slot_of_row]
    shifts = (first - (1 - first)) @ rows / 40
    stretched = recentred.scatter_scale(float(np.sum(rows**2)), (40.0, 40.0), np.sum(shifts**2, axis=1)) * rows
    for chosen, cost in zip(first > 0, found, strict=True):
        x, y = (stretched[side] - stretched[side].mean(axis=0) for side in (chosen, ~chosen))
        expected = ot.sliced_wasserstein_distance(x, y, projections=directions, p=2)
        assert np.sqrt(cost) == pytest.approx(expected, rel=1e-9)


def test_effective_ranks_have_the_jackknifes_error() -> None:
    pooled, _ = pooled_of(sample_of(*modalities(25, 4, 20)[:2]))
    rows = pooled.rows[pooled.parts[1]]

    def rank(kept: Array) -> float:
        singular = np.linalg.svd(kept - kept.mean(axis=0), compute_uv=False)
        shares = singular / singular.sum()
        return float(np.exp(-np.sum(shares * np.log(shares))))

    left_out = np.array([rank(np.delete(rows, k, axis=0)) for k in range(25)])
    error = np.sqrt(24 / 25 * np.sum((left_out - left_out.mean()) ** 2))
    found = effective_rank(pooled, second=True)
    assert found.value == pytest.approx(rank(rows), rel=1e-9)
    assert found.ci_high is not None
    assert found.ci_high - found.value == pytest.approx(student.ppf(0.975, 24) * error, rel=1e-6)


def test_some_clusters_stand_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(16)
    wide, narrow = unit(rng.standard_normal((160, 3))), unit(0.5 * rng.standard_normal((160, 3)) + np.eye(3)[0])
    sample = sample_of(wide, narrow)
    whole = measure(sample, TAU, 399).metrics["energy_distance_centred"]
    monkeypatch.setattr(recentred, "MOST_ROWS", 80)  # a quarter of the clusters
    part = measure(sample, TAU, 399).metrics["energy_distance_centred"]
    assert part.value == whole.value
    widths = [one.ci_high - one.ci_low for one in (whole, part) if one.ci_high is not None and one.ci_low is not None]
    assert widths[1] == pytest.approx(widths[0], rel=0.3)
    assert part.ci_low == pytest.approx(whole.ci_low, abs=0.5 * widths[0])


def test_shuffled_partners_leave_the_marginals_and_break_the_rest() -> None:
    x, y, _ = modalities(80, 6, 11)
    given_order = measure(sample_of(x, y), TAU, 99)
    partners = np.stack([np.arange(80), np.random.default_rng(0).permutation(80)], axis=1)
    shuffled = measure(sample_of(x, y, partners), TAU, 99).metrics
    for name in MARGINAL:
        if "sliced" not in name and name != "linear_separability":  # these depend on what else is drawn
            assert shuffled[name].value == pytest.approx(given_order.metrics[name].value, rel=1e-11, abs=1e-13), name
    for name in ("cosine_matched_mean", "recall_a_to_b_at_1", "recall_b_to_a_at_5"):
        control = given_order.metrics[name].shuffled
        assert control is not None
        assert given_order.metrics[name].value > 3 * max(control, 0.02)
        assert given_order.metrics[name].value > 3 * max(shuffled[name].value, 0.02)


def test_swapping_the_modalities_swaps_the_metrics() -> None:
    x, y, partners = modalities(50, 5, 12, captions=2)
    forth = measure(sample_of(x, y, partners), TAU, 99).metrics
    back = measure(sample_of(y, x, partners[:, ::-1]), TAU, 99).metrics
    pairs = {
        "centroid_norm_a": "centroid_norm_b",
        "smoothed_kl_a_b": "smoothed_kl_b_a",
        "recall_a_to_b_at_5": "recall_b_to_a_at_5",
    }
    same = ("centroid_gap", "energy_distance", "energy_distance_centred", "mmd2_half", "relative_modality_gap", "alignment")
    for name, other in {**pairs, **{name: name for name in same}}.items():
        assert forth[name].value == pytest.approx(back[other].value, rel=1e-10), name


def test_metrics_do_not_change_under_rotations(rng: np.random.Generator) -> None:
    x, y, _ = modalities(40, 5, 13)
    rotation = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    given_rows, rotated = (measure(sample_of(*both), TAU, 99).metrics for both in ((x, y), (x @ rotation, y @ rotation)))
    for name, one in given_rows.items():
        if "sliced" not in name:
            assert rotated[name].value == pytest.approx(one.value, rel=1e-8, abs=1e-10), name
            assert rotated[name].p_value == one.p_value, name


@pytest.fixture(scope="module")
def null_p_values() -> dict[str, list[float]]:
    """p-values of two halves of one modality, for 200 seeds."""
    found: dict[str, list[float]] = {}
    for seed in range(200):
        rows = np.random.default_rng([1, seed]).standard_normal((60, 5)) + np.array([1.0, 0, 0, 0, 0])
        metrics = measure(sample_of(unit(rows)[:30], unit(rows)[30:]), TAU, 99, seed).metrics
        for name, one in metrics.items():
            if one.p_value is not None:
                found.setdefault(name, []).append(one.p_value)
    return found


def test_two_halves_of_one_modality_have_uniform_p_values(null_p_values: dict[str, list[float]]) -> None:
    assert len(null_p_values) == 14
    smooth = np.random.default_rng(0).random(200) / 100
    for name, values in null_p_values.items():
        # p-values are multiples of 1/100: spread over their steps they are uniform under the hypothesis.
        assert kstest(np.array(values) - smooth, "uniform").pvalue > 0.01, name


def test_what_differs_is_significant() -> None:
    metrics = measure(sample_of(*modalities(60, 6, 14)[:2]), TAU, 199).metrics
    for name in ("centroid_gap", "energy_distance", "mmd2_one", "sliced_w2", "linear_separability", "smoothed_symmetric_kl"):
        assert metrics[name].p_value == 1 / 200, name
    rng = np.random.default_rng(15)
    wide, narrow = unit(rng.standard_normal((80, 3))), unit(0.5 * rng.standard_normal((80, 3)) + np.eye(3)[0])
    metrics = measure(sample_of(wide, narrow), TAU, 199).metrics
    for name in ("energy_distance", "mmd2_half", "sliced_w2", "smoothed_symmetric_kl"):
        assert metrics[f"{name}_centred"].p_value == 1 / 200, name


def von_mises_fisher(count: int, kappa: float, rng: np.random.Generator) -> Array:
    """Points of S^2 around the north pole, by inversion of the height."""
    height = 1 + np.log(rng.random(count) * (1 - np.exp(-2 * kappa)) + np.exp(-2 * kappa)) / kappa
    angle = 2 * np.pi * rng.random(count)
    radius = np.sqrt(np.maximum(1 - height**2, 0))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)


def simulated() -> Iterator[tuple[float, float]]:
    kappa, turn = 4.0, np.array([[0, 0, 1.0], [0, 1, 0], [-1, 0, 0]])
    # Centroids at the mean resultant length k_1 from the origin, along perpendicular directions.
    truth = float(np.sqrt(2) * Kernel("cosine", 1 / kappa).spectrum(2, 1)[1])
    for seed in range(200):
        rng = np.random.default_rng([2, seed])
        x, y = von_mises_fisher(40, kappa, rng), von_mises_fisher(40, kappa, rng) @ turn.T
        gap = measure(sample_of(x, y), TAU, 199, seed).metrics["centroid_gap"]
        assert gap.ci_low is not None
        assert gap.ci_high is not None
        yield float(gap.ci_low <= truth), float(truth <= gap.ci_high)


def test_intervals_cover_the_centroid_gap_of_von_mises_fisher_modalities() -> None:
    below, above = np.array(list(simulated())).mean(axis=0)
    # 200 intervals of 95 %: the share is within 0.04 of it but for one in a hundred, and misses fall on both sides.
    assert below + above - 1 == pytest.approx(0.95, abs=0.04)
    assert below > 0.93
    assert above > 0.93


def test_shares_have_wilsons_interval() -> None:
    def wilson(successes: int, trials: int) -> tuple[float, float]:
        interval = binomtest(successes, trials).proportion_ci(method="wilson")
        return interval.low, interval.high

    resampled = np.random.default_rng(0).binomial(50, 0.2, 200_000) / 50
    assert share_interval(0.2, resampled, 50) == pytest.approx(wilson(10, 50), abs=2e-3)
    # Rows of large clusters count for less than one each: what counts is how much the share varies between resamples.
    assert share_interval(0.2, resampled, 1000) == pytest.approx(wilson(10, 50), abs=2e-3)
    assert share_interval(1.0, np.ones(99), 40) == pytest.approx(wilson(40, 40))
    # Not more observations than there are clusters, however little resamples vary.
    assert share_interval(0.5, 0.5 + 1e-3 * resampled, 40) == pytest.approx(wilson(20, 40))


def test_intervals_of_a_mean_are_students() -> None:
    values = np.random.default_rng(0).standard_normal(12)
    spread = values.std() / np.sqrt(12)  # of the mean of a bootstrap
    resampled = values.mean() + spread * norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    expected = student.interval(0.95, 11, loc=values.mean(), scale=values.std(ddof=1) / np.sqrt(12))
    assert basic_interval(float(values.mean()), resampled, 12) == pytest.approx(expected, rel=1e-4)
    shifted = basic_interval(float(values.mean()), resampled + 0.3, 12)
    assert shifted == pytest.approx((expected[0] - 0.3, expected[1] - 0.3), rel=1e-4)


def test_p_values_count_ties_and_never_vanish() -> None:
    assert p_value(1.0, np.array([1.0, 0.5, 1 + 1e-13, 2.0])) == 4 / 5
    assert p_value(3.0, np.zeros(99)) == 1 / 100


def test_weighted_quantiles_are_those_of_copies(rng: np.random.Generator) -> None:
    values, groups = rng.standard_normal(30), np.arange(30) % 6
    counts = rng.integers(0, 4, (5, 6)).astype(float)
    levels = np.array([0.05, 0.5, 0.95])
    found = weighted_quantiles(values, groups, counts, levels)
    for row, count in zip(found, counts, strict=True):
        copies = np.repeat(values, count[groups].astype(int))
        np.testing.assert_array_equal(row, np.quantile(copies, levels, method="inverted_cdf"))


def test_clip_features_show_their_gap(clip_features: object) -> None:
    for name, gap, forth, back in (("features_clip", 0.851, 0.552, 0.506), ("features_clip_random", 1.136, 0.002, 0.002)):
        rows = np.load(clip_features.with_name(f"{name}.npy"))  # type: ignore[attr-defined]
        metrics = measure(sample_of(*rows), 0.01, 99).metrics
        assert metrics["centroid_gap"].value == pytest.approx(gap, abs=5e-4)
        assert metrics["recall_a_to_b_at_1"].value == pytest.approx(forth, abs=1e-9)
        assert metrics["recall_b_to_a_at_1"].value == pytest.approx(back, abs=1e-9)
        assert metrics["centroid_gap"].p_value == 0.01
