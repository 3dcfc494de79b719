"""What the loss leaves free, measured; what it pins, against the theory's values; and the page for who has not read the paper."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fieldsolve as fs
from fieldsolve.diagnose import freedom
from fieldsolve.diagnose.diagnosis import Diagnosis, diagnose
from fieldsolve.diagnose.freedom import cones_of, freedom_of
from fieldsolve.diagnose.report import files
from fieldsolve.diagnose.sample import match
from fieldsolve.embeddings.modality import modality

Array = np.ndarray


def unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


def pairs_of(count: int = 80, width: int = 40, offset: float = 0.5, seed: int = 0) -> tuple[Array, Array]:
    content, one, other = np.random.default_rng(seed).standard_normal((3, count, width))
    return unit(content + 0.6 * one + offset), unit(content + 0.6 * other - offset)


def coned(count: int = 80, width: int = 12) -> tuple[Array, Array]:
    """Pairs whose modalities lie in cones about axes of their own, as those of CLIP do."""
    first, second = pairs_of(count, width, 0.0)
    axes = np.array([[0.72, 0.0], [0.2, 0.69]])
    rows = [np.hstack([rows, np.tile(axis, (count, 1))]) for rows, axis in ((0.7 * first, axes[0]), (0.7 * second, axes[1]))]
    return unit(rows[0]), unit(rows[1])


def free(first: Array, second: Array, tau: float = 0.1, bias: float | None = None) -> freedom.Freedom:
    return freedom_of(match(modality("a", first), modality("b", second)), tau, bias, np.random.default_rng(0))


@pytest.mark.parametrize("bias", [None, -4.0])
def test_loss_and_recall_are_the_same_at_every_gap(bias: float | None) -> None:
    first, second = coned()
    found = free(first, second, bias=bias)
    gaps = [one.gap for one in found.moved]
    assert gaps == sorted(gaps)
    assert gaps[-1] > found.window[1] > found.gap > found.window[0] == pytest.approx(gaps[0], abs=1e-6)
    assert found.gap == pytest.approx(np.linalg.norm(first.mean(0) - second.mean(0)))
    losses = [one.loss for one in found.moved]
    assert np.ptp(losses) < 1e-9
    assert len({one.recall for one in found.moved}) == 1
    name = "infonce" if bias is None else "siglip"
    assert losses[0] == pytest.approx(fs.quick(first, second, 0.1, bias=bias)[name])
    assert found.moved[0].median_rank[0] < found.moved[-1].median_rank[0]
    assert {one.how for one in found.moved} == {"as it is", "mapped in two directions", "apart in a new dimension"}
    with_text = " ".join(found.sentences)
    assert f"As they are it is {found.gap:.3f}" in with_text
    assert "the same loss" in with_text
    assert "the same recall" in with_text
    assert (found.cones is None) == (bias is not None)


def test_few_dimensions_leave_no_map_but_further_ones() -> None:
    found = free(*pairs_of(width=8))
    assert found.window[1] - found.window[0] < 1e-6
    assert [one.how for one in found.moved] == ["as it is"] + ["apart in a new dimension"] * 3
    assert np.ptp([one.loss for one in found.moved]) < 1e-9
    assert "no map of two directions" in found.sentences[0]


def test_cones_of_clip(clip_features: Path) -> None:
    first, second = unit(np.load(clip_features).astype(float))
    found = cones_of(first, second, 0.01)
    for (value, error), expected, about in (
        (found.radii, 0.4766, 0.003), (found.correlation, 0.311, 0.003), (found.directions, 133, 6),
        (found.predicted, 0.458, 0.019),
    ):  # fmt: skip
        assert value == pytest.approx(expected, abs=max(0.002, 0.01 * expected))
        assert error == pytest.approx(about, rel=0.4)
    assert abs(found.predicted[0] - found.radii[0]) < 2 * found.predicted[1]
    assert found.are_wanted
    assert free(first, second, 0.01).moved[0].loss == pytest.approx(1.800886, abs=1e-6)


def test_cones_that_the_loss_would_make_are_found() -> None:
    """Partners drawn from the law that the loss wants: the measured product of radii is x* tau."""
    rng = np.random.default_rng(3)
    n, count, tau, cone = 30, 1500, 0.05, 0.6
    first = unit(rng.standard_normal((count, n)))
    # Of many draws on the sphere each partner is one with probability proportional to exp(x cos).
    second = np.empty_like(first)
    concentration = cone**2 / tau
    for k, row in enumerate(first):
        drawn = unit(rng.standard_normal((4000, n)))
        weights = np.exp(concentration * (drawn @ row - 1))
        second[k] = drawn[rng.choice(4000, p=weights / weights.sum())]
    height = np.sqrt(1 - cone**2)
    up, down = (
        np.hstack([cone * rows, np.tile(axis, (count, 1))]) for rows, axis in ((first, [height, 0]), (second, [0, height]))
    )
    found = cones_of(up, down, tau)
    assert found.radii[0] == pytest.approx(cone**2, rel=0.02)
    assert found.directions[0] == pytest.approx(n, rel=0.05)
    assert found.predicted[0] == pytest.approx(cone**2, rel=0.12)
    assert not cones_of(up, down, 0.5).are_wanted
    assert "no cones" in " ".join(replace(free(up[:60], down[:60]), cones=cones_of(up, down, 0.5)).sentences)


def test_remedies_are_those_of_this_dimension_and_temperature() -> None:
    found = free(*pairs_of(width=8), tau=0.1).summary()
    weights = {one["remedy"]: one for one in found["remedies"]}
    # alpha/(alpha + beta) = lambda_c(1) of THEORY 7's table at d 8, tau .1.
    assert weights["in-modal-negatives"]["centroid_weight"] == pytest.approx(1 / 0.3256221582 - 1)
    assert "F.cross_entropy" in weights["in-modal-negatives"]["code"]
    assert all(one["free_encoders"] and one["title"] for one in found["remedies"])


def test_many_pairs_are_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freedom, "MOST_PAIRS", 50)
    assert free(*pairs_of(80)).pairs == 50


@pytest.fixture(scope="module")
def three() -> Diagnosis:
    first, second = pairs_of()
    third = unit(first + 0.4 * np.random.default_rng(1).standard_normal(first.shape))
    groups = np.arange(80) % 3
    return diagnose(first, second, third, tau=0.1, exchanges=99, groups=groups, corrupt=(0.5,)).with_freedom().with_theory()


def test_the_page_has_its_sections_in_order(three: Diagnosis) -> None:
    page = files(three)["report.html"].decode()
    assert page.count("<h1>") == 4
    assert "3 modalities, 3 pairs of them" in page
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles[: len(titles) // 3] == [
        "Cosines within and across", "One index of both modalities", "Retrieval across modalities",
        "What the loss leaves free, and what it pins", "Losses that act on the gap", "How the distributions differ", "By group",
        "With partners replaced", "Appendix: equilibria of the potentials that these pairs make, held still",
    ]  # fmt: skip
    assert "hold the alignment potentials still" in page
    assert page.count("<img") == 3 * 7
    assert "`" not in re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL)
    assert not re.search(r"(src|href)=.?https?:", page)


def test_everything_is_in_the_summary(three: Diagnosis) -> None:
    for one in three.summary()["comparisons"]:
        assert set(one["freedom"]) == {"pairs", "centroid_gap", "window", "cones", "moved", "report"}
        assert len(one["by_group"]) == 3
        assert {"a", "b"} == set(one["mixed"])


def test_groups_by_a_loop() -> None:
    first, second = pairs_of(90)
    labels = np.array(["x", "y", "few"])[np.where(np.arange(90) < 50, 0, np.where(np.arange(90) < 80, 1, 2))]
    found = {one["label"]: one for one in diagnose(first, second, tau=0.1, exchanges=99, groups=labels).summary()["by_group"]}
    assert {name: one["clusters"] for name, one in found.items()} == {"x": 50, "y": 30, "few": 10}
    hits = np.argmax(first @ second.T, axis=1) == np.arange(90)
    for name in ("x", "y", "few"):
        assert found[name]["metrics"]["recall_a_to_b_at_1"]["value"] == pytest.approx(hits[labels == name].mean())
    own = labels == "x"
    away = (first - second)[own]
    gap = np.sqrt((np.sum(away.sum(0) ** 2) - np.sum(away**2)) / (50 * 49))
    assert found["x"]["metrics"]["centroid_gap"]["value"] == pytest.approx(gap)
    assert "centroid_gap" not in found["few"]["metrics"]
    pairs = np.stack([np.arange(90)[::-1], np.arange(90)[::-1]], axis=1)
    again = diagnose(first, second, tau=0.1, exchanges=99, groups=labels, pairs=pairs).summary()["by_group"]
    assert {one["label"]: one["metrics"]["recall_a_to_b_at_1"]["value"] for one in again} == {
        name: one["metrics"]["recall_a_to_b_at_1"]["value"] for name, one in found.items()
    }


def test_partners_that_are_the_same_rows_want_no_cones() -> None:
    first, _ = coned()
    found = free(first, first)
    assert found.cones is not None
    assert found.cones.predicted[0] == np.inf
    assert "wants no cones" in found.sentences[-1]
    assert fs.diagnose(first, np.tile(first[:1], (80, 1)), tau=0.1, exchanges=99).with_freedom().comparisons[0].freedom is None
