"""Metrics of matched embeddings against formulas and other libraries, through the whole of a measurement."""

import numpy as np
import ot
import pytest
from scipy.spatial.distance import cdist
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from fieldsolve.diagnose.measure import measure
from fieldsolve.diagnose.metrics.metric import Metric
from fieldsolve.diagnose.metrics.table import FAMILIES, definitions
from fieldsolve.diagnose.sample import Sample, match
from fieldsolve.diagnose.statistics import separability
from fieldsolve.diagnose.statistics.design import arrange
from fieldsolve.diagnose.statistics.ranks import DEPTHS
from fieldsolve.embeddings.modality import modality
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics import threads

Array = np.ndarray
TAU = 0.25


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


def sample_of(first: Array, second: Array, partners: Array | None = None) -> Sample:
    return match(modality("a", first), modality("b", second), partners)


def metrics_of(first: Array, second: Array, partners: Array | None = None, seed: int = 0) -> dict[str, Metric]:
    return measure(sample_of(first, second, partners), TAU, exchanges=99, seed=seed).metrics


def one_to_one(count: int, dimension: int, seed: int) -> tuple[Array, Array, Array]:
    return modalities(count, dimension, seed)


def three_captions(count: int, dimension: int, seed: int) -> tuple[Array, Array, Array]:
    return modalities(count, dimension, seed, captions=3)


def outliers(count: int, dimension: int, seed: int) -> tuple[Array, Array, Array]:
    """A few rows opposite to all others."""
    x, y, partners = modalities(count, dimension, seed)
    x[:2], y[3] = -x[:2], -y[3]
    return x, y, partners


def copied_images(count: int, dimension: int, seed: int) -> tuple[Array, Array, Array]:
    """Rows matched one by one where images are repeated for each of their captions, three times."""
    x, y, partners = modalities(count, dimension, seed, captions=3)
    return x[partners[:, 0]], y, np.stack([np.arange(len(y))] * 2, axis=1)


def copied_pairs(count: int, dimension: int, seed: int) -> tuple[Array, Array, Array]:
    x, y, _ = modalities(count, dimension, seed)
    return np.repeat(x, 2, axis=0), np.repeat(y, 2, axis=0), np.stack([np.arange(2 * count)] * 2, axis=1)


KINDS = {
    "one to one": (one_to_one, 45, 6), "three captions": (three_captions, 45, 6), "outliers": (outliers, 40, 5),
    "copied images": (copied_images, 30, 6), "copied pairs": (copied_pairs, 30, 5), "n below d": (one_to_one, 30, 50),
    "d of 2": (three_captions, 40, 2), "groups of many": (one_to_one, 300, 4),
}  # fmt: skip


@pytest.fixture(params=list(KINDS))
def data(request: pytest.FixtureRequest) -> tuple[Array, Array, Array]:
    make, count, dimension = KINDS[request.param]
    return make(count, dimension, 1)


def distances(x: Array, y: Array) -> Array:
    return np.linalg.norm(x[:, None] - y[None], axis=-1)


def clusters_of(sample: Sample) -> tuple[Array, Array]:
    return sample.clusters


def test_every_metric_is_defined_and_every_definition_measured(data: tuple[Array, Array, Array]) -> None:
    sample = sample_of(*data)
    found = set(measure(sample, TAU, exchanges=99).metrics) | set(measure(sample, TAU, bias=-3.0, exchanges=99).metrics)
    optional = {"alignment_within_a", "alignment_within_b"}
    assert found | optional == set(definitions())
    counts = [np.bincount(one).max() for one in sample.clusters]
    assert [("alignment_within_a" in found), ("alignment_within_b" in found)] == [one > 1 for one in counts]


def test_names_of_metrics_are_of_one_family_each() -> None:
    names = [one.name for family in FAMILIES for one in family.definitions]
    assert len(set(names)) == len(names)


def test_values_are_those_of_the_formulas(data: tuple[Array, Array, Array]) -> None:
    x, y, partners = data
    sample = sample_of(*data)
    measured = measure(sample, TAU, exchanges=99)
    (a, b), matched = clusters_of(sample), (partners[:, 0], partners[:, 1])
    strangers = {"ab": a[:, None] != b, "aa": a[:, None] != a, "bb": b[:, None] != b}
    apart = {"ab": distances(x, y), "aa": distances(x, x), "bb": distances(y, y)}

    def contrast(kernel: object, tables: dict[str, Array] = apart) -> float:
        across, *within = (kernel(tables[key])[strangers[key]].mean() for key in ("ab", "aa", "bb"))  # type: ignore[operator]
        return float(2 * across - sum(within))

    cosines = (x @ y.T)[matched]
    sigma = measured.bandwidth
    centroids = x.mean(axis=0), y.mean(axis=0)
    inner = {"ab": x @ y.T, "aa": x @ x.T, "bb": y @ y.T}
    means = {key: inner[key][strangers[key]].mean() for key in inner}
    ratio = np.mean(1 - cosines) / 2
    expected = {
        "centroid_gap": np.sqrt(max(means["aa"] + means["bb"] - 2 * means["ab"], 0)),
        "centroid_norm_a": np.sqrt(max(means["aa"], 0)),
        "energy_cross": apart["ab"][strangers["ab"]].mean(),
        "energy_within_b": apart["bb"][strangers["bb"]].mean(),
        "energy_distance": contrast(lambda r: r),
        "uniformity_a": np.log(np.mean(np.exp(-2 * apart["aa"][strangers["aa"]] ** 2))),
        "uniformity_across": np.log(np.mean(np.exp(-2 * apart["ab"][strangers["ab"]] ** 2))),
        "alignment": np.mean(2 - 2 * cosines),
        "cosine_matched_mean": cosines.mean(),
        "cosine_matched_sd": cosines.std(),
        "cosine_matched_p05": np.quantile(cosines, 0.05, method="inverted_cdf"),
        "cosine_unmatched_mean": means["ab"],
        "cosine_unmatched_p95": np.quantile(inner["ab"][strangers["ab"]], 0.95),
        "cosine_within_b_mean": means["bb"],
        "relative_modality_gap": ratio / (ratio + (2 - means["aa"] - means["bb"]) / 4),
    }
    if min(means["aa"], means["bb"]) > 0:
        expected["centroid_cosine"] = np.clip(means["ab"] / np.sqrt(means["aa"] * means["bb"]), -1, 1)
    centred = dict(apart, ab=distances(x - centroids[0], y - centroids[1]))
    plug_in = {"centroid_gap": np.linalg.norm(centroids[0] - centroids[1])}
    plug_in["energy_distance_centred"] = contrast(lambda r: r, centred)
    for name, factor in (("half", 0.5), ("one", 1.0), ("double", 2.0)):
        width = 2 * (factor * sigma) ** 2

        def gaussian(r: Array, width: float = width) -> Array:
            return np.asarray(np.exp(-(r**2) / width))

        expected[f"mmd2_{name}"] = -contrast(gaussian)
        plug_in[f"mmd2_{name}_centred"] = -contrast(gaussian, centred)
    singular = np.linalg.svd(x - centroids[0], compute_uv=False)
    shares = singular[singular > 1e-9] / singular.sum()
    expected["effective_rank_a"] = np.exp(-np.sum(shares * np.log(shares)))
    siblings = ~strangers["bb"] & ~np.eye(len(y), dtype=bool)
    if siblings.any():
        expected["alignment_within_b"] = (apart["bb"][siblings] ** 2).mean()
    assert sigma == pytest.approx(float(np.median(apart["ab"][strangers["ab"]])), rel=1e-9)
    for name, value in expected.items():
        assert measured.metrics[name].value == pytest.approx(float(value), rel=1e-8, abs=1e-10), name
    for name, value in plug_in.items():
        assert measured.metrics[name].plug_in == pytest.approx(float(value), rel=1e-8, abs=1e-10), name


def test_cross_entropies_leave_out_the_own_cluster(data: tuple[Array, Array, Array]) -> None:
    x, y, _ = data
    sample = sample_of(*data)
    metrics = measure(sample, TAU, exchanges=99).metrics
    clusters = clusters_of(sample)
    peak = Kernel("cosine", TAU).log_peak(x.shape[1] - 1)

    def cross_entropy(at: int, of: int, rows: tuple[Array, Array]) -> float:
        kernel = np.exp(-(distances(rows[at], rows[of]) ** 2) / (2 * TAU))
        other = clusters[at][:, None] != clusters[of][None, :]
        return float(-np.mean(np.log(np.sum(kernel * other, axis=1) / np.sum(other, axis=1))) - peak)

    for centred in (False, True):
        rows = (x - x.mean(axis=0), y - y.mean(axis=0)) if centred else (x, y)
        entropies = {(a, b): cross_entropy(a, b, rows) for a in (0, 1) for b in (0, 1)}
        forth, back = entropies[0, 1] - entropies[0, 0], entropies[1, 0] - entropies[1, 1]
        for name, value in (("kl_a_b", forth), ("kl_b_a", back), ("symmetric_kl", forth + back)):
            metric = metrics[f"smoothed_{name}{'_centred' if centred else ''}"]
            assert (metric.plug_in if centred else metric.value) == pytest.approx(value, rel=1e-8, abs=1e-10)
        if not centred:
            assert metrics["cross_entropy_a_b"].value == pytest.approx(entropies[0, 1], rel=1e-8)
            assert metrics["cross_entropy_b_b"].value == pytest.approx(entropies[1, 1], rel=1e-8)


def test_every_value_lies_in_its_interval(data: tuple[Array, Array, Array]) -> None:
    for name, one in metrics_of(*data).items():
        if one.ci_low is not None and one.ci_high is not None:
            assert one.ci_low - 1e-12 <= one.value <= one.ci_high + 1e-12, name


def test_sliced_wasserstein_is_that_of_optimal_transport(data: tuple[Array, Array, Array]) -> None:
    x, y, _ = data
    metrics = metrics_of(*data)
    rng = np.random.default_rng(8)
    directions = rng.standard_normal((x.shape[1], 4000))
    directions /= np.linalg.norm(directions, axis=0)
    expected = ot.sliced_wasserstein_distance(x - x.mean(axis=0), y - y.mean(axis=0), projections=directions, p=2)
    assert metrics["sliced_w2_centred"].value == pytest.approx(expected, rel=0.15)
    offset = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2) / x.shape[1]
    assert metrics["sliced_w2"].value == pytest.approx(np.sqrt(metrics["sliced_w2_centred"].value ** 2 + offset), rel=1e-6)


def test_a_pure_offset_has_one_sliced_distance_whatever_the_basis() -> None:
    x = 0.6 * unit(np.random.default_rng(0).standard_normal((40, 89)))
    first, second = (np.column_stack([x, np.full(40, height)]) for height in (0.8, -0.8))
    values = [metrics_of(first, second, seed=seed)["sliced_w2"].value for seed in (0, 1)]
    assert values == pytest.approx([1.6 / np.sqrt(90)] * 2, rel=1e-6)


def test_separability_is_that_of_scikit_learn() -> None:
    x, y, _ = modalities(60, 6, seed=3)
    sample = sample_of(x, y)
    design = arrange(sample.clusters, np.random.default_rng(np.random.SeedSequence(0).spawn(5)[0]))
    fold = design.group_of_row % separability.FOLDS
    rows = np.concatenate([x[design.orders[0]], y[design.orders[1]]])
    side = np.repeat([0, 1], [60, 60])
    predicted = cross_val_predict(RidgeClassifier(alpha=1.0), rows, side, cv=PredefinedSplit(fold))
    found = metrics_of(x, y)["linear_separability"]
    assert found.value == pytest.approx(np.mean(predicted == side), abs=1e-12)
    assert 0.6 < found.value < 1


def test_separability_is_never_below_chance() -> None:
    # Held-out folds of rows with their means taken off have means opposite to the training rows'.
    x, y, _ = modalities(60, 30, seed=3)
    x, y = (unit(one - one.mean(axis=0)) for one in (x, y))
    found = metrics_of(x, y)["linear_separability"]
    assert found.value == found.ci_low == 0.5
    assert found.p_value is not None
    assert found.p_value > 0.5


def test_recall_counts_ties_by_their_chance() -> None:
    # Rows of the first modality see their partner, and a copy of it that belongs to another row.
    x = np.repeat(np.eye(30), 2, axis=0)
    metrics = metrics_of(x, x)
    for direction in ("a_to_b", "b_to_a"):
        assert metrics[f"recall_{direction}_at_1"].value == pytest.approx(0.5)
        assert metrics[f"recall_{direction}_at_5"].value == 1


def test_recall_of_many_to_one_takes_any_partner() -> None:
    x, y, partners = modalities(30, 5, seed=4, captions=3)
    metrics = metrics_of(x, y, partners)
    order = np.argsort(-(x @ y.T), axis=1)
    owner = partners[:, 0]
    for depth in DEPTHS:
        forth = np.mean([np.any(owner[order[i, :depth]] == i) for i in range(30)])
        back = np.mean([owner[j] in np.argsort(-(y[j] @ x.T))[:depth] for j in range(90)])
        assert metrics[f"recall_a_to_b_at_{depth}"].value == pytest.approx(forth)
        assert metrics[f"recall_b_to_a_at_{depth}"].value == pytest.approx(back)


@pytest.mark.parametrize("captions", [1, 2])
def test_many_blocks_give_what_few_do(captions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = modalities(130, 5, 5, captions)
    whole = metrics_of(*data)
    for file, size, value in (
        ("pairwise", "_TILE", 16), ("pairwise", "_LEAST_ROWS", 32), ("matched", "_CHUNK", 16), ("entropies", "_CHUNK", 16),
        ("separability", "_CHUNK", 16), ("spectrum", "_CHUNK", 16), ("cloud", "_CHUNK", 16), ("sliced", "_CHUNK", 16),
    ):  # fmt: skip
        monkeypatch.setattr(f"fieldsolve.diagnose.statistics.{file}.{size}", value)
    for name, one in metrics_of(*data).items():
        for field in ("value", "ci_low", "ci_high", "noise_level", "shuffled", "p_value"):
            if (value := getattr(whole[name], field)) is not None:
                assert getattr(one, field) == pytest.approx(value, rel=1e-7, abs=1e-9, nan_ok=True), (name, field)


def test_bits_do_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fieldsolve.numerics.threads.WORTHWHILE", 1)
    monkeypatch.setattr("fieldsolve.diagnose.statistics.pairwise._LEAST_ROWS", 32)
    rows = [one.astype(np.float32) for one in modalities(100, 8, 6)[:2]]
    found = []
    for count in (1, 3):
        with threads.limit(count):
            found.append(metrics_of(*rows))
    assert repr(found[0]) == repr(found[1])


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
    metrics = {name: one.value for name, one in metrics_of(x, y).items()}
    x, y = unit(x.astype(np.float64)), unit(y.astype(np.float64))
    cross, strangers = cdist(x, y), ~np.eye(len(x), dtype=bool)
    inside = [cdist(one, one)[strangers] for one in (x, y)]
    partners = np.sum((x - y) ** 2, axis=1)
    within = np.mean([np.mean(one**2) for one in inside])
    close = pytest.approx if kind == "f8" or spread > 1e-3 else lambda value, **_: pytest.approx(value, rel=2e-3)
    assert metrics["energy_within_a"] == close(inside[0].mean(), rel=1e-5)
    assert metrics["energy_distance"] == close(
        2 * cross[strangers].mean() - inside[0].mean() - inside[1].mean(), rel=1e-5, abs=1e-5 * spread
    )
    assert metrics["alignment"] == close(partners.mean(), rel=1e-5)
    assert metrics["relative_modality_gap"] == close(partners.mean() / (partners.mean() + within), rel=1e-5)
    for depth in DEPTHS:
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
    measured = measure(sample, TAU, exchanges=99)
    assert measured.metrics["recall_a_to_b_at_1"].value == pytest.approx(expected, abs=1e-12)
    assert measured.notes == ()
    monkeypatch.setattr("fieldsolve.diagnose.statistics.cloud._FEW", 0)
    assert any("single precision does not decide" in note for note in measure(sample, TAU, exchanges=99).notes)


def test_single_precision_that_is_too_coarse_is_said() -> None:
    x, y = tight(5e-6, 5e-6, 1, "f4")
    assert any("single precision has few digits" in note for note in measure(sample_of(x, y), TAU, exchanges=99).notes)
    x, y = tight(5e-6, 5e-6, 1, "f8")
    assert measure(sample_of(x, y), TAU, exchanges=99).notes == ()


def test_a_modality_is_like_itself() -> None:
    x = modalities(60, 6, 17)[0].astype(np.float32)
    metrics = metrics_of(x, x)
    differ = {name for name, one in metrics.items() if one.p_value is not None and one.p_value < 1} - {"linear_separability"}
    assert differ == {"mutual_neighbours", "debiased_cka"}  # what partners share, which is all
    for name in ("centroid_gap", "smoothed_symmetric_kl", "sliced_w2", "alignment", "relative_modality_gap"):
        assert metrics[name].value == pytest.approx(0, abs=1e-6)
    assert metrics["recall_a_to_b_at_1"].value == 1


def test_shuffled_partners_leave_the_marginals_and_break_the_rest() -> None:
    x, y, _ = modalities(80, 6, 11)
    in_order = metrics_of(x, y)
    partners = np.stack([np.arange(80), np.random.default_rng(0).permutation(80)], axis=1)
    shuffled = metrics_of(x, y, partners)
    for name, one in definitions().items():
        if name not in in_order:
            continue
        if not one.moves and "sliced" not in name:  # which depends on what else is drawn
            assert shuffled[name].value == pytest.approx(in_order[name].value, rel=1e-9, abs=1e-12), name
            assert in_order[name].shuffled is None
    for name in ("cosine_matched_mean", "recall_a_to_b_at_1", "recall_b_to_a_at_5"):
        control = in_order[name].shuffled
        assert control is not None
        assert in_order[name].value > 3 * max(control, 0.02)
        assert in_order[name].value > 3 * max(shuffled[name].value, 0.02)


@pytest.mark.parametrize("captions", [1, 3])
def test_the_shuffle_control_is_the_value_of_shuffled_files(captions: int) -> None:
    # On average: the control's ring and the file's permutation are different draws.
    x, y, partners = modalities(40, 6, 12, captions)
    control, again = metrics_of(x, y, partners), []
    for seed in range(12):
        ring = np.roll(order := np.random.default_rng(seed).permutation(40), 1)
        onward = np.empty(40, dtype=int)
        onward[order] = ring
        again.append(metrics_of(x, y, np.stack([onward[partners[:, 0]], partners[:, 1]], axis=1)))
    for name, one in control.items():
        if one.shuffled is None or "recall" in name:
            continue
        values = np.array([metrics[name].value for metrics in again])
        assert one.shuffled == pytest.approx(values.mean(), abs=4 * values.std() + 1e-9), name


def test_swapping_the_modalities_swaps_the_metrics() -> None:
    x, y, partners = modalities(50, 5, 12, captions=2)
    forth = metrics_of(x, y, partners)
    back = metrics_of(y, x, partners[:, ::-1])
    pairs = {
        "centroid_norm_a": "centroid_norm_b",
        "smoothed_kl_a_b": "smoothed_kl_b_a",
        "recall_a_to_b_at_5": "recall_b_to_a_at_5",
    }
    same = ("centroid_gap", "energy_distance", "mmd2_half", "relative_modality_gap", "alignment")
    for name, other in {**pairs, **{name: name for name in same}}.items():
        assert forth[name].value == pytest.approx(back[other].value, rel=1e-10), name


def test_metrics_do_not_change_under_rotations(rng: np.random.Generator) -> None:
    x, y, _ = modalities(40, 5, 13)
    rotation = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    given_rows, rotated = (metrics_of(*both) for both in ((x, y), (x @ rotation, y @ rotation)))
    for name, one in given_rows.items():
        if "sliced" not in name and "standardised" not in name:  # along directions, and by components
            assert rotated[name].value == pytest.approx(one.value, rel=1e-8, abs=1e-10, nan_ok=True), name
            assert rotated[name].p_value == one.p_value, name


def test_what_differs_is_significant() -> None:
    metrics = measure(sample_of(*modalities(60, 6, 14)[:2]), TAU, exchanges=199).metrics
    for name in ("centroid_gap", "energy_distance", "mmd2_one", "sliced_w2", "linear_separability", "smoothed_symmetric_kl"):
        assert metrics[name].p_value == 1 / 200, name
        assert metrics[name].value > (metrics[name].noise_level or 0.0)
    rng = np.random.default_rng(15)
    wide, narrow = unit(rng.standard_normal((80, 3))), unit(0.5 * rng.standard_normal((80, 3)) + np.eye(3)[0])
    metrics = measure(sample_of(wide, narrow), TAU, exchanges=199).metrics
    for name in ("energy_distance", "mmd2_half", "sliced_w2", "smoothed_symmetric_kl"):
        assert metrics[f"{name}_centred"].p_value == 1 / 200, name


def test_noise_levels_part_what_is_tested() -> None:
    # Noise levels are of this n and of partners as like as these: above them is what few exchanges reach, below what many do.
    x, y, _ = modalities(60, 6, 14)
    for rows, differs in (((x, unit(x + 0.3 * y)), True), ((x, unit(x + 0.02 * np.roll(y, 1, axis=0))), False)):
        metrics = metrics_of(*rows)
        for name in ("centroid_gap", "energy_distance", "mmd2_one"):
            one = metrics[name]
            assert one.p_value is not None
            assert one.noise_level is not None
            assert (one.p_value <= 0.05) == differs, name
            assert (one.value > one.noise_level) == differs, name


def test_clip_features_show_their_gap(clip_features: object) -> None:
    for name, gap, forth, back in (("features_clip", 0.851, 0.552, 0.506), ("features_clip_random", 1.135, 0.002, 0.002)):
        rows = np.load(clip_features.with_name(f"{name}.npy"))  # type: ignore[attr-defined]
        metrics = measure(sample_of(*rows), 0.01, exchanges=99).metrics
        assert metrics["centroid_gap"].value == pytest.approx(gap, abs=5e-4)
        assert metrics["recall_a_to_b_at_1"].value == pytest.approx(forth, abs=1e-9)
        assert metrics["recall_b_to_a_at_1"].value == pytest.approx(back, abs=1e-9)
        assert metrics["centroid_gap"].p_value == 0.01
