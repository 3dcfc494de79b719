"""Heads trained on replaced captions: gradients, the expected loss, the paper's effect on CLIP's features, and its absence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from fieldsolve.cli import main
from fieldsolve.reproduce import make_plan
from fieldsolve.reproduce.captions import model
from fieldsolve.reproduce.captions.model import Captions, measure, slopes, train
from fieldsolve.reproduce.captions.study import read_captions

Array = np.ndarray
SHARED = Path(__file__).parents[3] / "shared" / "data"


def unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


def pairs_of(count: int, width: int, seed: int = 0) -> tuple[Array, Array]:
    content, one, other = np.random.default_rng(seed).standard_normal((3, count, width))
    return unit(content + 0.5 * one + 0.4), unit(content + 0.5 * other - 0.4)


def captions_of(count: int, width: int = 6, groups: int = 3, seed: int = 0) -> Captions:
    return Captions.split(*pairs_of(count, width), np.arange(count) % groups, seed)


def loss(rows: list[Array], heads: list[Array], partners: Array, tau: float) -> float:
    first, second = (unit(one @ head) for one, head in zip(rows, heads, strict=True))
    logits = first @ second.T / tau
    sums = np.log(np.exp(logits).sum(axis=1)).mean() + np.log(np.exp(logits).sum(axis=0)).mean()
    return float(sums / 2 - np.sum(partners * logits) / len(logits))


def run(*words: Any) -> Result:
    return CliRunner().invoke(main, ["reproduce", *map(str, words)])


def test_gradients_by_differences(rng: np.random.Generator) -> None:
    rows, tau = list(pairs_of(12, 4)), 0.3
    heads = [np.eye(4) + 0.2 * rng.standard_normal((4, 4)) for _ in range(2)]
    partners = 0.7 * np.eye(12) + 0.3 / 12
    found = slopes(rows, heads, partners, tau)
    for k in (0, 1):
        for at in ((0, 0), (1, 3), (3, 2)):
            moved = []
            for size in (1e-5, -1e-5):
                changed = [head.copy() for head in heads]
                changed[k][at] += size
                moved.append(loss(rows, changed, partners, tau))
            assert found[k][at] == pytest.approx((moved[0] - moved[1]) / 2e-5, rel=1e-5, abs=1e-8)


def test_captions_are_replaced_within_groups_and_as_often_as_said() -> None:
    captions = captions_of(300, groups=4)
    rng, every = np.random.default_rng(0), captions.trained
    drawn = np.stack([captions.replaced(every, every, 0.6, rng) for _ in range(400)])
    assert np.all(captions.groups[drawn] == captions.groups[every])
    assert np.all(np.isin(drawn, every))
    # The expected loss of full batches has these partners: own with 1 - p, and all of the group alike.
    shares = np.mean(drawn == every, axis=0)
    sizes = np.bincount(captions.groups[every])[captions.groups[every]]
    np.testing.assert_allclose(shares, 0.4 + 0.6 / sizes, atol=0.13)
    assert np.mean(shares) == pytest.approx(np.mean(0.4 + 0.6 / sizes), abs=0.005)
    np.testing.assert_array_equal(captions.replaced(every, every, 0.0, rng), every)


def test_training_lowers_the_expected_loss_and_is_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "STEPS", 30)
    captions = captions_of(100)
    rows = [one[captions.trained] for one in captions.rows]
    groups = captions.groups[captions.trained]
    same = groups[:, None] == groups
    partners = 0.5 * np.eye(len(rows[0])) + 0.5 * same / same.sum(axis=1)
    before = loss(rows, [np.eye(6)] * 2, partners, 0.1)
    for training in ("full batch", "minibatch"):
        heads = train(captions, training, 0.5, 0.1, 0)
        again = train(captions, training, 0.5, 0.1, 0)
        np.testing.assert_array_equal(heads, again)
        assert loss(rows, list(heads), partners, 0.1) < before - 0.02, training
    other = train(captions, "minibatch", 0.5, 0.1, 1)
    assert not np.array_equal(heads[0], other[0])


def test_without_training_nothing_but_retrieval_changes() -> None:
    captions = captions_of(400, groups=1)
    heads = train(captions, "none", 1.0, 0.1, 0)
    kept, replaced = (measure(captions, heads, "none", p, 0) for p in (0.0, 1.0))
    first, second = (rows[captions.held_out] for rows in captions.rows)
    assert kept["gap"] == pytest.approx(np.linalg.norm(first.mean(0) - second.mean(0)))
    assert kept["norm_a"] == pytest.approx(np.linalg.norm(first.mean(0)))
    assert abs(replaced["gap"] - kept["gap"]) < 0.1
    assert replaced["recall_a"] < 0.1 < kept["recall_a"]


def test_the_papers_effect_on_clip(tmp_path: Path) -> None:
    path = SHARED / "features_clip.npy"
    if not path.exists():
        pytest.skip("the features are not here")
    captions = read_captions([str(path)], None, 0)
    found = {
        (training, p): measure(captions, train(captions, training, p, 0.01, 0), training, p, 0)
        for training in ("none", "full batch")
        for p in (0.0, 1.0)
    }
    grown = found["full batch", 1.0]["gap"] - found["full batch", 0.0]["gap"]
    assert 0.2 < grown < 0.4  # the paper's: 0.24 and 0.30
    assert abs(found["none", 1.0]["gap"] - found["none", 0.0]["gap"]) < 0.02
    assert found["full batch", 1.0]["norm_a"] > found["full batch", 0.0]["norm_a"] + 0.1
    assert abs(found["full batch", 1.0]["centroid_cosine"] - found["full batch", 0.0]["centroid_cosine"]) < 0.1


def test_the_command_writes_a_study_and_takes_it_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "STEPS", 5)
    np.save(tmp_path / "both.npy", np.stack(pairs_of(80, 6)))
    (tmp_path / "groups.txt").write_text("\n".join("abcd"[k % 4] for k in range(80)))
    words = ("captions", tmp_path / "both.npy", "--groups", tmp_path / "groups.txt", "--quick", "--workers", 1)
    done = run(*words, "-o", tmp_path / "out", "--tau", 0.1, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["training"] == ["none"] * 3 + ["full batch"] * 3 + ["minibatch"] * 3
    assert found["probability"] == [0, 0.5, 1] * 3
    assert (tmp_path / "out" / "captions.png").exists()
    assert "captions both.npy --tau 0.1 --groups groups.txt --quick" in (tmp_path / "out" / "report.md").read_text()
    assert json.loads(CliRunner().invoke(main, ["show", str(tmp_path / "out"), "--json"]).stdout) == found
    other = run(*words, "-o", tmp_path / "out")  # at another temperature
    assert other.exit_code == 3
    assert "another spec" in other.output


def test_what_is_no_features(tmp_path: Path) -> None:
    np.save(tmp_path / "both.npy", np.stack(pairs_of(60, 6)))
    np.save(tmp_path / "few.npy", np.stack(pairs_of(20, 6)))
    np.save(tmp_path / "three.npy", np.stack([*pairs_of(60, 6), pairs_of(60, 6)[0]]))
    (tmp_path / "g.txt").write_text("a\nb\n")
    both = tmp_path / "both.npy"
    for words, code, said in (
        (("captions",), 3, "needs embeddings"), (("gap", both), 2, "are of captions"),
        (("captions", tmp_path / "none.npy"), 3, "there is no such file"), (("captions", tmp_path / "few.npy"), 3, "too few"),
        (("captions", both, "--groups", tmp_path / "g.txt"), 3, "has 2 labels"),
        (("captions", tmp_path / "three.npy"), 3, "two modalities whose rows match"),
    ):  # fmt: skip
        refused = run(*words, "-o", tmp_path / "out")
        assert refused.exit_code == code, refused.output
        assert said in refused.output
    with pytest.raises(ValueError, match="needs embeddings"):
        make_plan("captions")
