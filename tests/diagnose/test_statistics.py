"""Statistics of two samples: designs and their exchanges, standard errors, transport, centring anew, spectra, losses."""

import numpy as np
import ot
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp
from scipy.stats import binomtest
from scipy.stats import t as student_distribution

from fieldsolve.diagnose.arrangement import arrangement
from fieldsolve.diagnose.measure import measure
from fieldsolve.diagnose.sample import Sample, match
from fieldsolve.diagnose.statistics import entropies, ranks, recentred, sliced, spectrum, temperature
from fieldsolve.diagnose.statistics.design import Design, arrange
from fieldsolve.diagnose.statistics.estimate import (
    Estimate,
    holm,
    left_out,
    mean,
    median_estimate,
    p_value,
    quantile_interval,
    share_interval,
    student,
)
from fieldsolve.diagnose.statistics.matching import Matching
from fieldsolve.diagnose.statistics.pairwise import DISTANCE, ONE, pair_sums
from fieldsolve.diagnose.statistics.pooled import Pooled
from fieldsolve.embeddings.modality import modality

Array = np.ndarray
TAU = 0.25


def unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


def sample(count: int, dimension: int, seed: int, captions: int = 1, copies: int = 1) -> Sample:
    """Two modalities with a common content, apart by an offset; every pair so many times."""
    rng = np.random.default_rng(seed)
    content = rng.standard_normal((count, dimension))
    owner = np.repeat(np.arange(count), captions)
    first = unit(content + 0.7 * rng.standard_normal((count, dimension)) + 0.5)
    second = unit(content[owner] + 0.7 * rng.standard_normal((count * captions, dimension)))
    partners = np.stack([owner, np.arange(len(owner))], axis=1)
    if copies > 1:
        first, second = np.repeat(first, copies, axis=0), np.repeat(second, copies, axis=0)
        partners = np.stack([np.arange(len(first))] * 2, axis=1)
    return match(modality("a", first), modality("b", second), partners)


def pooled_of(one: Sample, exchanges: int = 20) -> Pooled:
    laid = arrangement(one, exchanges, 0)
    sums = pair_sums(laid.cloud, laid.design, laid.bandwidth.value, TAU, laid.limits, lambda progress: None)
    return laid.pooled(sums, TAU, None, None)


def rows_of(pooled: Pooled) -> Array:
    """The rows as they were given."""
    return np.asarray(pooled.cloud.rows + pooled.cloud.centroids[pooled.design.side[pooled.design.slot_of_row]])


def distances(x: Array, y: Array) -> Array:
    return np.linalg.norm(x[:, None] - y[None], axis=-1)


SAMPLES = {"pairs": (1, 1), "captions": (3, 1), "copies": (1, 2)}


@pytest.fixture(params=list(SAMPLES))
def pooled(request: pytest.FixtureRequest) -> Pooled:
    captions, copies = SAMPLES[request.param]
    return pooled_of(sample(140, 5, 3, captions, copies))


def contrast(rows: Array, clusters: Array, samples: tuple[Array, Array], kernel: object) -> float:
    """Twice the mean across less both within of samples with weights, over rows of different clusters."""
    table, stranger = kernel(distances(rows, rows)), clusters[:, None] != clusters  # type: ignore[operator]
    total = 0.0
    for one, other, factor in ((0, 1, 2), (0, 0, -1), (1, 1, -1)):
        weights = stranger * samples[one][:, None] * samples[other]
        total += factor * float((weights * table).sum() / weights.sum())
    return total


def divergence(rows: Array, clusters: Array, samples: tuple[Array, Array]) -> float:
    """The smoothed symmetric KL of samples with weights, over rows of different clusters."""
    kernel, stranger = np.exp(-(distances(rows, rows) ** 2) / (2 * TAU)), clusters[:, None] != clusters
    logs = [np.log((kernel * stranger * side).sum(axis=1) / (stranger * side).sum(axis=1)) for side in samples]
    first, second = samples
    return float(first @ (logs[0] - logs[1]) / first.sum() + second @ (logs[1] - logs[0]) / second.sum())


def weights_of(pooled: Pooled, at: int) -> tuple[Array, Array]:
    """How much the pooled rows count in both samples of an exchange."""
    slots = pooled.design.slot_of_row
    return pooled.exchanges.first[at][slots], pooled.exchanges.second[at][slots]


def test_exchanges_are_statistics_of_exchanged_rows(pooled: Pooled) -> None:
    design, rows = pooled.design, rows_of(pooled)
    sigma = pooled.bandwidth.value
    found = {
        "distance": pooled.exchanged(pooled.passed.kernels[DISTANCE]), "gaussian": pooled.exchanged(pooled.passed.kernels[ONE]),
        "square": pooled.exchanged(pooled.squares), "centred": pooled.exchanged(pooled.centred_squares),
    }  # fmt: skip
    divergences = entropies.exchanged_divergence(design, pooled.passed, pooled.exchanges)
    for at in range(3):
        samples = weights_of(pooled, at)
        expected = {
            "distance": contrast(rows, design.cluster, samples, lambda r: r),
            "gaussian": contrast(rows, design.cluster, samples, lambda r: np.exp(-(r**2) / (2 * sigma**2))),
            "square": contrast(rows, design.cluster, samples, lambda r: r**2),
            "centred": contrast(np.asarray(pooled.cloud.rows), design.cluster, samples, lambda r: r**2),
        }
        for name, value in expected.items():
            assert found[name][at] == pytest.approx(value, rel=1e-9, abs=1e-11), name
        assert divergences[at] == pytest.approx(divergence(rows, design.cluster, samples), rel=1e-9, abs=1e-11)


def test_an_exchange_that_changes_nothing_has_the_observed_statistic(pooled: Pooled) -> None:
    observed = pooled.contrast(pooled.passed.kernels[DISTANCE]).value
    same = Pooled(**{**vars_of(pooled), "exchanges": pooled.design.as_given})
    assert same.exchanged(pooled.passed.kernels[DISTANCE])[0] == pytest.approx(observed, rel=1e-12)


def vars_of(pooled: Pooled) -> dict[str, object]:
    return {name: getattr(pooled, name) for name in Pooled.__dataclass_fields__}


def test_paired_statistics_are_unbiased_whatever_partners_are() -> None:
    # Partners that are nearly the same, of one distribution: whole means across would be too small, and the statistic below 0.
    values = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        content = rng.standard_normal((40, 8))
        x, y = (unit(content + 0.1 * rng.standard_normal((40, 8))) for _ in "ab")
        one = pooled_of(match(modality("a", x), modality("b", y)))
        values.append(one.contrast(one.passed.kernels[DISTANCE]).value)
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(60)


@pytest.mark.parametrize("groups", [12, 40])
def test_standard_errors_of_degenerate_and_of_linear_statistics(groups: int) -> None:
    # T = mean over pairs of (a + z_g)(a + z_h): 4 a^2/n + 2/n^2 to both orders.
    for away in (0.0, 3.0):
        values, variances = [], []
        for seed in range(400):
            z = away + np.random.default_rng([seed, groups]).standard_normal(groups)
            table = np.outer(z, z)
            np.fill_diagonal(table, 0.0)
            value = table.sum() / (groups * (groups - 1))
            pairs = (table - value * (1 - np.eye(groups))) / (groups * (groups - 1))
            values.append(value)
            variances.append(Estimate(value, np.zeros(groups), pairs).standard_error ** 2)
        expected = 4 * away**2 / groups + 2 / (groups * (groups - 1))
        assert np.var(values) == pytest.approx(expected, rel=0.3)
        assert np.mean(variances) == pytest.approx(expected, rel=0.3 if away else 0.9)


def test_estimates_add_and_go_through_functions() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((2, 30)) + 0.5
    one, other = (mean(row, np.ones(30)) for row in values)
    total = one + 2 * other - one
    assert total.value == pytest.approx(2 * values[1].mean())
    assert total.standard_error == pytest.approx(2 * values[1].std(ddof=1) / np.sqrt(30))
    assert one.through(np.log(one.value), 1 / one.value).standard_error == pytest.approx(one.standard_error / one.value)
    assert one.with_error(0.3).interval()[1] - one.value == pytest.approx(student(29) * np.hypot(one.standard_error, 0.3))


def test_students_quantiles_are_those_of_scipy() -> None:
    for freedom in (10, 19, 30, 127, 10_000):
        assert student(freedom) == pytest.approx(student_distribution.ppf(0.975, freedom), abs=2e-5 if freedom < 19 else 1e-6)


def test_leaving_out_is_the_jackknife() -> None:
    values = np.random.default_rng(1).standard_normal(25)
    without = (values.sum() - values) / 24
    assert left_out(values.mean(), without).standard_error == pytest.approx(values.std(ddof=1) / 5)


def test_shares_have_wilsons_interval() -> None:
    def of(hits: int, count: int) -> Estimate:
        return mean(np.repeat([1.0, 0.0], [hits, count - hits]), np.ones(count))

    for hits, count in ((10, 5000), (2500, 5000), (1, 3000)):
        interval = binomtest(hits, count).proportion_ci(method="wilson")
        assert share_interval(of(hits, count), count) == pytest.approx((interval.low, interval.high), abs=1e-4)
    # All or none: not more sure than so many clusters make it.
    interval = binomtest(40, 40).proportion_ci(method="wilson")
    assert share_interval(of(40, 40), 40) == pytest.approx((interval.low, interval.high), abs=6e-3)


def test_quantiles_have_intervals_that_hold_them() -> None:
    inside = 0
    for seed in range(300):
        values = np.random.default_rng(seed).standard_normal(80)
        value, low, high = quantile_interval(values, np.arange(80), 80, 80, 0.5)
        assert low <= value <= high
        inside += low <= 0 <= high
    assert inside / 300 == pytest.approx(0.95, abs=0.04)


def test_quantiles_of_many_pairs_are_as_sure_as_these_are() -> None:
    values = np.random.default_rng(0).standard_normal(12_800)
    _, low, high = quantile_interval(values, np.arange(12_800) % 128, 128, 12_800, 0.5)
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(np.pi / 2 / 12_800), rel=0.3)


def test_the_median_moves_as_its_first_order_says() -> None:
    values, errors = [], []
    for seed in range(200):
        x, y = np.random.default_rng(seed).standard_normal((2, 60))
        found = median_estimate(np.abs(x[:, None] - y), np.ones((60, 60), dtype=bool), (np.arange(60),) * 2, 60)
        values.append(found.value)
        errors.append(found.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.2)


def test_holms_adjustment() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.5}) == pytest.approx({"a": 0.04, "b": 0.09, "c": 0.09, "d": 0.5})
    assert holm({}) == {}


def test_p_values_count_ties_and_never_vanish() -> None:
    assert p_value(1.0, np.array([1.0, 0.5, 1 + 1e-13, 2.0])) == 4 / 5
    assert p_value(3.0, np.zeros(99)) == 1 / 100


def test_few_clusters_are_groups_of_their_own_and_many_share_them() -> None:
    for pairs, groups in ((45, 45), (128, 128), (600, 128)):
        design = arrange((np.arange(pairs),) * 2, np.random.default_rng(0))
        assert design.groups == groups
        assert len(design.group) == 2 * groups
        assert design.counts.max() - design.counts.min() <= 1
        assert design.counts.sum() == 2 * pairs


def design_of(captions: int, copies: int) -> Design:
    return arrange(sample(33, 4, 9, captions, copies).clusters, np.random.default_rng(0))


@pytest.mark.parametrize(("captions", "copies"), [(3, 1), (1, 1), (1, 3)])
def test_exchanges_keep_the_masses_of_both_samples(captions: int, copies: int) -> None:
    design = design_of(captions, copies)
    drawn = design.exchanges(400, np.random.default_rng(1))
    given = design.as_given
    for exchanged, whole in ((drawn.first, given.first), (drawn.second, given.second)):
        np.testing.assert_allclose(exchanged @ design.counts, np.full(400, float(whole[0] @ design.counts)))
        # Every row is of one sample, as often of either.
    np.testing.assert_array_equal((drawn.first > 0) ^ (drawn.second > 0), np.ones(drawn.first.shape, dtype=bool))
    assert (drawn.first > 0).mean(axis=0) == pytest.approx(0.5, abs=0.12)
    # Rows that change their sample count as much together as those whose place they take.
    moved = drawn.first[:, design.side == 1].max()
    assert moved == pytest.approx(1 / captions)


def test_clusters_of_any_shape_are_exchanged() -> None:
    few, many = np.arange(30), np.concatenate([np.repeat(np.arange(10), 40), np.arange(10, 30)])
    for clusters in ((few, many), (many, few)):
        drawn = arrange(clusters, np.random.default_rng(0)).exchanges(50, np.random.default_rng(1))
        assert np.unique(drawn.first[:, 0]).size == 2


def test_kin_are_the_pairs_of_rows_of_one_cluster() -> None:
    design = design_of(1, 3)
    same = design.cluster[:, None] == design.cluster
    slots = np.eye(len(design.group))[design.slot_of_row]
    np.testing.assert_array_equal(design.kin, slots.T @ same @ slots)


def test_transport_is_that_of_sorted_samples() -> None:
    rng = np.random.default_rng(2)
    for n, m in ((7, 7), (5, 8), (9, 4)):
        x, y = np.sort(rng.standard_normal(n)), np.sort(rng.standard_normal(m))
        out = np.empty(n), np.empty(m)
        cost = sliced._potentials(x, y, *out)
        assert cost == pytest.approx(float(ot.wasserstein_1d(x, y, p=2)), rel=1e-12)


def test_potentials_are_derivatives_by_mass() -> None:
    # Of a smooth density whose scale changes, which the first order sees.
    x, y = np.sort(np.random.default_rng(3).standard_normal((2, 4000)), axis=1) * np.array([[1.0], [0.5]])
    out = np.empty(4000), np.empty(4000)
    cost = sliced._potentials(x, y, *out)
    change = 1e-3 * (x**2 - np.mean(x**2)) / 4000
    moved = float(ot.wasserstein_1d(x, y, np.full(4000, 1 / 4000) + change, np.full(4000, 1 / 4000), p=2))
    assert moved - cost == pytest.approx(float(out[0] @ change), rel=0.02)


def test_standard_errors_of_transport_are_those_of_samples() -> None:
    values, errors = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x, y = unit(rng.standard_normal((60, 3))), unit(0.4 * rng.standard_normal((60, 3)) + np.eye(3)[0])
        directions = sliced.orthonormal_directions(3, 64, np.random.default_rng(0))
        found, _ = sliced.transport(pooled_of(match(modality("a", x), modality("b", y))), directions)
        values.append(found.value)
        errors.append(found.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.3)


def transported(x: Array, y: Array, weights: tuple[Array, Array]) -> float:
    """W^2 between weighted samples on a line."""
    chosen = [one > 0 for one in weights]
    shares = [one[keep] / one.sum() for one, keep in zip(weights, chosen, strict=True)]
    return float(ot.wasserstein_1d(x[chosen[0]], y[chosen[1]], *shares, p=2))


def test_exchanges_of_transport_are_those_of_optimal_transport(pooled: Pooled) -> None:
    found = sliced.exchanged(pooled, pooled.exchanges.few(3), np.random.default_rng(5))
    directions = sliced.orthonormal_directions(5, 12, np.random.default_rng(5))
    given, centred = rows_of(pooled) @ directions, np.asarray(pooled.cloud.rows) @ directions
    stretched = recentred.stretch(centred, pooled.design)
    for at in range(3):
        weights = weights_of(pooled, at)
        for lines, costs in ((given, found.given), (centred, found.centred)):
            assert costs[at + 1] == pytest.approx(np.mean([transported(line, line, weights) for line in lines.T]), rel=1e-9)
        means = [weight @ stretched / weight.sum() for weight in weights]
        expected = [transported(line - one, line - other, weights) for line, one, other in zip(stretched.T, *means, strict=True)]
        assert found.recentred[at + 1] == pytest.approx(np.mean(expected), rel=1e-9)


@pytest.mark.parametrize("captions", [1, 3])
def test_recentred_samples_are_those_with_their_means_taken_off(captions: int) -> None:
    one = pooled_of(sample(25, 4, 6, captions), 4)
    rows, design = rows_of(one), one.design
    found = recentred.recentred_statistics(rows, design, one.exchanges, 1.1, TAU)
    for at, values in enumerate(found):
        samples = weights_of(one, at)
        means = [weight @ rows / weight.sum() for weight in samples]
        centred = np.where((samples[0] > 0)[:, None], rows - means[0], rows - means[1])
        expected = [contrast(centred, design.cluster, samples, lambda r: r)]
        expected += [
            -contrast(centred, design.cluster, samples, lambda r, width=width: np.exp(-(r**2) / (2 * width**2)))
            for width in (0.55, 1.1, 2.2)
        ]
        expected.append(divergence(centred, design.cluster, samples))
        np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("captions", [1, 3])
def test_stretched_rows_keep_their_scatter(captions: int) -> None:
    one = pooled_of(sample(40, 3, 8, captions), 4000)
    rows = np.asarray(one.cloud.rows)
    stretched = recentred.stretch(rows, one.design)
    means = np.stack([stretched[one.design.slot_of_row == slot].mean(axis=0) for slot in range(80)])
    # Of the means of clusters' sides, each counting as often as its sample says.
    scatter = []
    for samples in zip(one.exchanges.first, one.exchanges.second, strict=True):
        masses = [weights * one.design.counts for weights in samples]
        scatter.append(sum(mass @ np.sum((means - mass @ means / mass.sum()) ** 2, axis=1) for mass in masses))
    given = np.stack([rows[one.design.slot_of_row == slot].mean(axis=0) for slot in range(80)])
    expected = float(one.design.counts @ np.sum(given**2, axis=1))
    if captions == 1:
        assert np.mean(scatter) == pytest.approx(expected, rel=2e-3)
        factor = np.linalg.norm(means[:40] - means[40:]) / np.linalg.norm(given[:40] - given[40:])
        assert factor == pytest.approx(np.sqrt(40 / 39), rel=1e-9)
    else:
        assert np.mean(scatter) == pytest.approx(expected, rel=0.2)


def test_costs_and_noise_of_centring_fall_like_the_number_of_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    one = pooled_of(sample(250, 4, 8), 199)
    whole = recentred.exchange(one, 199, np.random.default_rng(0))
    monkeypatch.setattr(recentred, "MOST_ROWS", 250)
    part = recentred.exchange(one, 199, np.random.default_rng(0))
    assert whole is not None
    assert part is not None
    assert (whole.share, part.share) == (1, 0.5)
    spread = whole.exchanged.std(axis=0)
    for at, name in enumerate(recentred.STATISTICS[:3]):
        assert part.share * part.exchanged[:, at].mean() == pytest.approx(whole.exchanged[:, at].mean(), abs=spread[at]), name
        assert whole.exchanged[:, at].mean() < -spread[at], name
        assert part.share * part.exchanged[:, at].std() == pytest.approx(spread[at], rel=0.5), name


def test_few_fitting_clusters_are_not_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recentred, "MOST_ROWS", 30)
    assert recentred.exchange(pooled_of(sample(60, 4, 8)), 20, np.random.default_rng(0)) is None


def offset_pairs(count: int, dimension: int, noise: float, seed: int) -> tuple[Array, Array]:
    """A pure offset between exchangeable, correlated partners."""
    rng = np.random.default_rng([seed, count, dimension])
    content = rng.standard_normal((count, dimension - 1))
    sides = [unit(content + noise * rng.standard_normal(content.shape)) for _ in "ab"]
    return tuple(np.column_stack([np.full(count, h), 0.8 * side]) for h, side in zip((0.6, -0.6), sides, strict=True))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("count", "dimension", "noise"), [(60, 8, 0.3), (60, 64, 0.3), (60, 256, 0.3), (60, 256, 3.0), (300, 512, 0.3)]
)
def test_a_pure_offset_has_no_shape(count: int, dimension: int, noise: float) -> None:
    repeats = 100 if count < 100 else 20
    found: dict[str, list[float]] = {}
    for seed in range(repeats):
        one = pooled_of(
            match(*(modality(name, rows) for name, rows in zip("ab", offset_pairs(count, dimension, noise, seed), strict=True))),
            60,
        )
        tests = recentred.exchange(one, 60, np.random.default_rng(seed))
        assert tests is not None
        for name, observed, exchanged in zip(recentred.STATISTICS, tests.observed, tests.exchanged.T, strict=True):
            found.setdefault(name, []).append(p_value(float(observed), exchanged))
    for name, values in found.items():
        # 0.05 expected: above 0.13 of 100, or 0.2 of 20, is one in a thousand.
        assert np.mean(np.array(values) <= 0.05) <= (0.13 if repeats == 100 else 0.2), name
        assert np.mean(values) == pytest.approx(0.5, abs=0.15 if repeats == 100 else 0.3), name


@pytest.mark.parametrize(("own", "shared"), [(0.5, 0.5), (0.2, 0.8)])
def test_captions_have_uniform_p_values_however_alike_they_are(own: float, shared: float) -> None:
    # Marginals are the same; captions share `shared` of their variance among each other, and `own` with their image.
    found: dict[str, list[float]] = {}
    for seed in range(100):
        rng = np.random.default_rng([3, seed])
        content, common = rng.standard_normal((2, 60, 1, 6))
        x = np.sqrt(own) * content[:, 0] + np.sqrt(1 - own) * rng.standard_normal((60, 6))
        y = np.sqrt(own) * content + np.sqrt(shared - own) * common + np.sqrt(1 - shared) * rng.standard_normal((60, 4, 6))
        pairs = np.stack([np.repeat(np.arange(60), 4), np.arange(240)], axis=1)
        one = match(modality("a", unit(x)), modality("b", unit(y.reshape(240, 6))), pairs)
        for name, metric in measure(one, TAU, exchanges=99, seed=seed).metrics.items():
            if metric.p_value is not None and name not in ("mutual_neighbours", "debiased_cka"):  # of another hypothesis
                found.setdefault(name, []).append(metric.p_value)
    assert len(found) == 14
    for name, values in found.items():
        assert np.mean(np.array(values) <= 0.05) <= 0.14, name
        assert np.mean(values) > 0.38, name


def test_effective_ranks_move_as_their_first_order_says() -> None:
    values, errors = [], []
    for seed in range(80):
        rows = np.random.default_rng(seed).standard_normal((200, 5)) * np.array([1, 0.7, 0.5, 0.3, 0.1])
        one = pooled_of(match(modality("a", unit(rows)), modality("b", unit(rows[::-1]))))
        found = spectrum.effective_rank(one, 0)
        values.append(found.value)
        errors.append(found.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.2)


def cosines_of(count: int, noise: float, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    content = rng.standard_normal((count, 10))
    x, y = (unit(content + noise * rng.standard_normal((count, 10))) for _ in "ab")
    return temperature.similarities(x, y)


def loss_by_hand(cosines: Array, scale: float) -> float:
    logits = scale * cosines
    return float(np.mean((logsumexp(logits, axis=0) + logsumexp(logits, axis=1)) / 2 - np.diagonal(logits)))


def test_infonce_and_its_derivatives() -> None:
    cosines = cosines_of(50, 0.8, 0)
    for scale in (0.5, 10.0, 300.0):
        found = temperature.infonce(cosines, scale)
        assert found.value == pytest.approx(loss_by_hand(cosines, scale), rel=1e-12)
        step = 1e-4 * scale
        values = [loss_by_hand(cosines, scale + k * step) for k in (-1, 0, 1)]
        assert found.slopes.mean() == pytest.approx((values[2] - values[0]) / (2 * step), rel=1e-5, abs=1e-9)
        assert found.curvature[0, 0] == pytest.approx((values[2] - 2 * values[1] + values[0]) / step**2, rel=1e-2, abs=1e-6)
        assert temperature.infonce_value(cosines, scale).value == pytest.approx(found.value, rel=1e-12)


def test_standard_errors_of_infonce_are_those_of_batches() -> None:
    found = [temperature.infonce_value(cosines_of(60, 0.8, seed), 12.0) for seed in range(150)]
    assert np.mean([one.standard_error for one in found]) == pytest.approx(np.std([one.value for one in found]), rel=0.2)


def test_the_best_temperature_is_scipys() -> None:
    cosines = cosines_of(80, 0.8, 1)
    tau, low, high = temperature.best_temperature(cosines)
    expected = minimize_scalar(lambda log: loss_by_hand(cosines, np.exp(log)), bounds=(-2, 6), method="bounded")
    assert tau == pytest.approx(np.exp(-expected.x), rel=1e-4)
    assert low < tau < high < 2 * low
    for seed in range(20):
        unrelated = temperature.similarities(*unit(np.random.default_rng(seed).standard_normal((2, 80, 10))))
        assert temperature.best_temperature(unrelated)[2] == np.inf
    # Partners that all stand out have no best temperature, and strangers none that helps.
    assert temperature.best_temperature(np.eye(30)) == (0.0, 0.0, 0.0)
    assert temperature.best_temperature(1 - np.eye(30)) == (np.inf,) * 3


def test_intervals_of_the_best_temperature_cover() -> None:
    found = np.array([temperature.best_temperature(cosines_of(60, 0.8, seed)) for seed in range(150)])
    inside = (found[:, 1] <= (middle := np.median(found[:, 0]))) & (middle <= found[:, 2])
    assert inside.mean() >= 0.91


def test_the_sigmoid_loss_and_its_best_temperature_and_bias() -> None:
    cosines = cosines_of(60, 0.8, 2)
    signs = 2 * np.eye(60) - 1

    def by_hand(at: Array) -> float:
        return float(np.sum(np.logaddexp(0, -signs * (at[0] * cosines + at[1]))) / 60)

    assert temperature.siglip(cosines, 12.0, -8.0).value == pytest.approx(by_hand(np.array([12.0, -8.0])), rel=1e-12)
    (tau, low, high), bias = temperature.best_siglip(cosines)
    expected = minimize(by_hand, (10.0, -10.0), method="BFGS", options={"gtol": 1e-9}).x
    assert (1 / tau, bias) == pytest.approx(tuple(expected), rel=1e-3)
    assert low < tau < high < 3 * low
    assert temperature.best_siglip(np.eye(30)) == ((0.0, 0.0, 0.0), -np.inf)
    assert temperature.best_siglip(1 - np.eye(30))[0] == (np.inf,) * 3


def test_standard_errors_of_the_sigmoid_loss_are_those_of_batches() -> None:
    batches = [cosines_of(60, 0.8, seed) for seed in range(150)]
    found = [temperature.siglip_value(one, 12.0, -8.0) for one in batches]
    assert np.mean([one.standard_error for one in found]) == pytest.approx(np.std([one.value for one in found]), rel=0.2)
    best = np.array([temperature.best_siglip(one)[0] for one in batches])
    middle = np.median(best[:, 0])
    assert np.mean((best[:, 1] <= middle) & (middle <= best[:, 2])) >= 0.88


def test_chance_levels_are_losses_of_embeddings_that_know_nothing() -> None:
    assert temperature.chance("infonce", 40) == pytest.approx(loss_by_hand(np.full((40, 40), 0.3), 7.0))
    best = minimize_scalar(lambda bias: temperature.siglip(np.zeros((40, 40)), 1.0, bias).value)
    assert temperature.chance("siglip", 40) == pytest.approx(best.fun, rel=1e-9)


@given(st.integers(0, 3), st.integers(0, 4), st.integers(1, 3))
def test_chances_of_ties_are_those_of_drawing(ahead: int, strangers: int, partners: int) -> None:
    squares, best = np.full(partners, 0.5), np.full(partners + 1, 0.5)
    matching = Matching(np.stack([np.zeros(partners, np.int64), np.arange(1, partners + 1)]), squares, best, best)
    counts = np.array([[ahead] + [0] * partners, [ahead + strangers + partners] + [1] * partners], dtype=np.int32)
    found = ranks.hits(counts, matching, np.full(partners + 1, 1e-9))[:, 0]
    rng = np.random.default_rng(7)
    keys = rng.random((20_000, strangers + partners))
    is_partner = np.argsort(keys, axis=1) < partners
    for depth, value in zip(ranks.DEPTHS, found, strict=True):
        share = is_partner[:, : max(depth - ahead, 0)].any(axis=1).mean()
        assert value == pytest.approx(share, abs=0.015)
