"""Verdicts on data made for them: the cause that is there, and no other."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fieldsolve.diagnose.diagnosis import Comparison, diagnose
from fieldsolve.embeddings.modality import modality

Array = np.ndarray
Both = tuple[Array, Array]
N, D, TAU = 300, 32, 0.05


def unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


def healthy(seed: int = 0, noise: float = 0.3, count: int = N) -> Both:
    """Partners around a common content: nothing differs between the modalities."""
    rng = np.random.default_rng(seed)
    content = rng.standard_normal((count, D))
    return tuple(unit(content + noise * rng.standard_normal(content.shape)) for _ in "ab")  # type: ignore[return-value]


def lifted(rows: Array, height: float) -> Array:
    """The rows across an axis, at a height along it."""
    return np.column_stack([np.full(len(rows), height), np.sqrt(1 - height**2) * rows])


def pure_offset() -> Both:
    x, y = healthy()
    return lifted(x, 0.5), lifted(y, -0.5)


def wrong_pairing() -> Both:
    x, y = healthy()
    return x, y[np.random.default_rng(1).permutation(N)]


def low_rank_cone() -> Both:
    rng = np.random.default_rng(2)
    content, basis = rng.standard_normal((N, 2)), rng.standard_normal((2, D))
    return tuple(unit(np.eye(D)[0] * 3 + (content + 0.2 * rng.standard_normal((N, 2))) @ basis) for _ in "ab")  # type: ignore[return-value]


def one_tower_collapsed() -> Both:
    x, y = healthy()
    return x, unit(np.eye(D)[3] + 1e-3 * y)


def constant_tower() -> Both:
    x, y = healthy()
    return x, np.tile(y[:1], (N, 1))


def wider() -> Both:
    """Cones around one direction, one of them wider."""
    x, y = healthy()
    return unit(np.eye(D)[0] + x), unit(0.5 * np.eye(D)[0] + y)


def crowded() -> Both:
    """A hundredth of the second modality's rows is in the middle of the first's; partners are hardly nearer."""
    rng = np.random.default_rng(4)
    content, middle = rng.standard_normal((N, 256)), 10 * np.eye(256)[0]
    x, y = unit(middle + content), unit(middle + 0.35 * content + 0.937 * rng.standard_normal((N, 256)))
    y[:3] = unit(middle + 1e-2 * rng.standard_normal((3, 256)))
    return x, y


def copies() -> Both:
    x, y = healthy(count=30)
    return np.tile(x, (10, 1)), np.tile(y, (10, 1))


def half_junk() -> Both:
    x, y = healthy()
    y[N // 2 :] = np.roll(y[N // 2 :], 1, axis=0)
    return x, y


def open_distribution() -> Both:
    """Centroids at 0 for both, distances alike, another shape: the second lies on two opposite caps of an axis of its own."""
    x, _ = healthy()
    rng = np.random.default_rng(5)
    signs = np.where(np.arange(N) % 2, 1.0, -1.0)[:, None]
    y = unit(x + 0.05 * rng.standard_normal(x.shape) + 1.0 * signs * np.eye(D)[1])
    return x, y


def two_constant_towers() -> Both:
    return tuple(np.tile(np.eye(D)[[k]], (N, 1)) for k in (0, 1))  # type: ignore[return-value]


MADE: dict[str, tuple[Callable[[], Both], set[str]]] = {
    "offset": (pure_offset, {"offset"}),
    "wrong pairing": (wrong_pairing, {"order"}),
    "low-rank cone": (low_rank_cone, {"low_rank"}),
    "one tower collapsed": (one_tower_collapsed, {"collapsed"}),
    "constant tower": (constant_tower, {"constant"}),
    "two constant towers": (two_constant_towers, {"constant"}),
    "spread": (wider, {"spread"}),
    "hubs": (crowded, {"hubs"}),
    "duplicates": (copies, {"duplicates"}),
    "half junk": (half_junk, {"junk"}),
    "open distribution": (open_distribution, {"open_distribution"}),
    "nothing": (healthy, {"nothing"}),
}


def compared(first: Array, second: Array, tau: float | None = TAU, **options: float | None) -> Comparison:
    return diagnose(modality("images", first), modality("captions", second), tau=tau, exchanges=199, **options).comparisons[0]


def codes(one: Comparison) -> set[str]:
    return {finding.code for finding in one.verdict.findings}


@pytest.mark.parametrize("name", list(MADE))
def test_a_verdict_has_the_cause_and_no_other(name: str) -> None:
    make, expected = MADE[name]
    one = compared(*make())
    found = codes(one) - {"open_distribution", "shape", "offset"} if expected == {"hubs"} else codes(one)
    assert found == expected, one.verdict.sentences
    assert one.verdict.summary.count("\n") == 0


def test_captions_of_other_images_are_in_another_order() -> None:
    rng = np.random.default_rng(1)
    x, y = unit(rng.standard_normal((100, D))), unit(rng.standard_normal((500, D)))
    pairs = np.stack([np.repeat(np.arange(100), 5), np.arange(500)], axis=1)
    for first, second, matched in ((x, y, pairs), (y, x, pairs[:, ::-1])):
        one = diagnose(modality("a", first), modality("b", second), tau=TAU, pairs=matched, exchanges=99).comparisons[0]
        assert codes(one) == {"order"}
        found = one.measurement.health.unrelated
        assert abs(found.share - 1) < 3 * found.error


def test_perfect_retrieval_has_no_hubs() -> None:
    rng = np.random.default_rng(0)
    owner = np.concatenate([np.zeros(500, dtype=int), np.arange(1, 30)])
    x = unit(rng.standard_normal((30, 12)))
    y = unit(x[owner] + 0.02 * rng.standard_normal((len(owner), 12)))
    pairs = np.stack([owner, np.arange(len(owner))], axis=1)
    one = diagnose(modality("a", x), modality("b", y), tau=TAU, pairs=pairs, exchanges=99).comparisons[0]
    assert "hubs" not in codes(one)
    assert any("intervals too narrow" in note for note in one.measurement.notes)


@pytest.mark.parametrize("noise", [1.2, 1.5])
def test_weak_pairs_are_no_junk(noise: float) -> None:
    for seed in range(6):
        assert "junk" not in codes(compared(*healthy(seed, noise, 60)))


def test_few_good_pairs_among_many_are_not_another_order() -> None:
    x, y = healthy(count=1000)
    y[40:] = y[40:][np.random.default_rng(0).permutation(960)]
    assert "order" not in codes(compared(x, y))


def test_concentrated_spectra_in_single_precision_have_not_collapsed() -> None:
    rng = np.random.default_rng(0)
    scale = 1 / np.arange(1, 257)
    rows = unit(rng.standard_normal((1100, 256)) * scale).astype(np.float32)
    metrics = compared(rows, unit(rows + 0.02 * rng.standard_normal((1100, 256)) * scale).astype(np.float32)).measurement.metrics
    singular = np.linalg.svd(rows.astype(float) - rows.mean(axis=0), compute_uv=False)
    shares = singular / singular.sum()
    assert metrics["effective_rank_a"].value == pytest.approx(np.exp(-np.sum(shares * np.log(shares))), rel=1e-4)


def test_shares_of_the_offset_are_shares() -> None:
    rng = np.random.default_rng(0)
    classes = rng.permutation(600) < 300
    more = classes | (rng.random(600) < 0.2)
    content = 0.01 * rng.standard_normal((600, 24))
    rows = [np.column_stack([which, ~which, content + 0.002 * rng.standard_normal((600, 24))]) for which in (more, classes)]
    one = compared(*map(unit, rows))
    for share in re.findall(r"(-?[0-9.]+)%", " ".join(one.verdict.sentences)):
        assert 0 <= float(share) <= 100


def test_differences_at_small_scale_are_differences() -> None:
    rng = np.random.default_rng(0)
    middle = unit(rng.standard_normal((1, 8)))
    x, y = (unit(middle + away * np.eye(8)[3] + 1e-5 * rng.standard_normal((200, 8))) for away in (0, 3e-5))
    metrics = compared(x, y).measurement.metrics
    for name in ("centroid_gap", "energy_distance", "mmd2_one", "smoothed_symmetric_kl"):
        assert metrics[name].p_value == 1 / 200, name


def test_few_pairs_that_say_nothing_of_the_temperature_are_left_alone() -> None:
    silent = 0
    for seed in range(8):
        one = compared(*healthy(seed, noise=2.5, count=24))
        best = one.measurement.metrics["best_temperature"]
        if best.ci_low is None and best.value > 3 * TAU:
            silent += 1
            said = " ".join(one.verdict.sentences)
            assert "is least at a temperature" not in said
    assert silent > 0


def test_the_summary_counts_what_is_listed() -> None:
    x, y = healthy()
    lengths = np.random.default_rng(0).uniform(0.5, 2, (N, 1))
    rows = lifted(np.concatenate([x[:-20], x[:20]]), 0.5), lifted(np.concatenate([y[:-20], y[:20]]), -0.5)
    first, second = (modality(name, side * lengths, normalize=True) for name, side in zip("ab", rows, strict=True))
    said = diagnose(first, second, tau=5.0, exchanges=199).comparisons[0].verdict
    assert len(said.findings) > 2
    assert f"({len(said.findings) - 1} more findings below)" in said.summary


@pytest.mark.parametrize("factor", [10, 0.1])
def test_a_temperature_ten_times_off_is_said(factor: float) -> None:
    both = healthy(noise=1.0)
    best = compared(*both).measurement.metrics["best_temperature"].value
    one = compared(*both, tau=factor * best)
    assert codes(one) == {"temperature"}
    assert ("below" if factor > 1 else "above") in one.verdict.sentences[0]
    assert codes(compared(*both, tau=best)) == {"nothing"}
    # What was not given is not the model's.
    assert codes(compared(*both, tau=None)) == {"nothing"}


def test_the_sigmoid_loss_has_a_temperature_too() -> None:
    both = healthy(noise=1.0)
    found = compared(*both, bias=-10.0).measurement.metrics
    assert "infonce" not in found
    one = compared(*both, tau=10 * found["best_temperature"].value, bias=found["best_bias"].value)
    assert codes(one) == {"temperature"}


def test_rows_that_were_not_of_unit_length_are_said() -> None:
    x, y = healthy()
    lengths = np.random.default_rng(0).uniform(0.5, 2, (N, 1))
    first, second = modality("images", x * lengths, normalize=True), modality("captions", y)
    found = diagnose(first, second, tau=TAU, exchanges=99).comparisons[0]
    assert codes(found) == {"unnormalised"}


def test_duplicates_are_one_observation_and_limit_recall() -> None:
    one = compared(*copies())
    assert one.sample.independent == 30
    assert "0.100" in one.verdict.sentences[0]
    assert one.measurement.metrics["recall_a_to_b_at_1"].value == pytest.approx(0.1)
    single = compared(*healthy(count=30))
    for name in ("energy_distance", "centroid_gap", "cosine_matched_mean"):
        assert one.measurement.metrics[name].value == pytest.approx(single.measurement.metrics[name].value, rel=1e-9, abs=1e-12)
        assert one.measurement.metrics[name].ci_high == pytest.approx(single.measurement.metrics[name].ci_high or 0, rel=1e-6)


def test_an_image_with_five_captions_may_be_given_as_five_rows() -> None:
    rng = np.random.default_rng(0)
    x, _ = healthy(count=60)
    owner = np.repeat(np.arange(60), 5)
    y = unit(x[owner] + 0.05 * rng.standard_normal((300, D)))
    given, pairs = compared(x[owner], y), np.stack([owner, np.arange(300)], axis=1)
    matched = diagnose(modality("images", x), modality("captions", y), tau=TAU, pairs=pairs, exchanges=199).comparisons[0]
    assert given.sample.independent == matched.sample.independent == 60
    for name in ("energy_distance", "cosine_matched_mean"):
        assert given.measurement.metrics[name].value == pytest.approx(
            matched.measurement.metrics[name].value, rel=1e-9, abs=1e-12
        )


def test_real_features_have_their_verdicts(clip_features: Path) -> None:
    trained, untrained = (
        compared(*np.load(clip_features.with_name(f"{name}.npy")), tau=0.01) for name in ("features_clip", "features_clip_random")
    )
    assert [one.code for one in trained.verdict.findings] == ["offset", "shape"]
    assert "99.3%" in trained.verdict.sentences[0]
    assert [one.code for one in untrained.verdict.findings][:2] == ["order", "offset"]


def test_findings_have_numbers_and_advice() -> None:
    for make, _ in MADE.values():
        for finding in compared(*make()).verdict.findings:
            assert any(letter.isdigit() for letter in finding.sentence)
            assert finding.sentence.endswith(".")
            if finding.code != "nothing":
                assert finding.advice.endswith((".", "?"))
