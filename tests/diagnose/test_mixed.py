"""The mixed index against plain loops: real features, several partners, means of other folds and of other rows."""

from pathlib import Path

import numpy as np
import pytest

from fieldsolve.diagnose import diagnose
from fieldsolve.diagnose.arrangement import arrangement
from fieldsolve.diagnose.diagnosis import Diagnosis
from fieldsolve.diagnose.metrics import mixed
from fieldsolve.diagnose.metrics.mixed import FIGURES, name_of
from fieldsolve.diagnose.sample import match
from fieldsolve.diagnose.statistics.separability import FOLDS
from fieldsolve.embeddings.centring import TREATMENTS, Means
from fieldsolve.embeddings.modality import modality
from fieldsolve.numerics.errors import InputError

Array = np.ndarray
SHARED = Path(__file__).parents[3] / "shared" / "data"


def unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


def treat(rows: Array, mean: Array, scale: Array, treatment: str) -> Array:
    if treatment == "raw":
        return rows
    return unit((rows - mean) / (scale if treatment == "standardised" else 1))


def looked(query: int, own: Array, other: Array, partners: list[int]) -> tuple[float, float, float, float]:
    """What one query finds: the other modality's share among ten, its best partner's rank, whether that is first, and across."""
    return ranked(query, own @ own[query], other @ own[query], partners)


def ranked(query: int, own: Array, other: Array, partners: list[int]) -> tuple[float, float, float, float]:
    """The same from similarities with rows of its own and of the other modality."""
    pool = [(float(value), "other", j) for j, value in enumerate(other)]
    pool += [(float(value), "own", j) for j, value in enumerate(own) if j != query]
    pool.sort(key=lambda one: -one[0])
    rank = next(k for k, (_, kind, j) in enumerate(pool, start=1) if kind == "other" and j in partners)
    across = [j for _, kind, j in pool if kind == "other"]
    return np.mean([kind == "other" for _, kind, _ in pool[:10]]), rank, float(rank == 1), float(across[0] in partners)


def expected(queries: dict[int, list[int]], own: Array, other: Array) -> dict[str, float]:
    found = np.array([looked(query, own, other, partners) for query, partners in queries.items()])
    median = np.sort(found[:, 1])[int(np.ceil(len(found) / 2)) - 1]
    return dict(zip(FIGURES, (found[:, 0].mean(), median, found[:, 2].mean(), found[:, 3].mean()), strict=True))


@pytest.mark.parametrize("name", ["clip", "clasp"])
def test_real_features_by_a_loop(name: str) -> None:
    path = SHARED / f"features_{name}.npy"
    if not path.exists():
        pytest.skip("the features are not here")
    first, second = unit(np.load(path).astype(float))[:, :200]
    found = diagnose(first, second, tau=0.01, exchanges=99).summary()["mixed"]
    queries = {k: [k] for k in range(len(first))}
    for side, (own, other) in {"a": (first, second), "b": (second, first)}.items():
        for figure, value in expected(queries, own, other).items():
            assert found[side]["raw"][figure]["value"] == pytest.approx(value, abs=1e-12), (side, figure)
    if name == "clip":
        assert found["b"]["raw"]["other_share_at_10"]["value"] == 0
        assert found["b"]["centred"]["other_share_at_10"]["value"] > 0.08
        assert found["b"]["centred"]["partner_median_rank"]["value"] < 12
        assert found["b"]["centred"]["partner_median_rank"]["ci_high"] < 20


def captions(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Images with one to three captions each, apart by an offset."""
    owner = np.repeat(np.arange(45), rng.integers(1, 4, 45))
    content = rng.standard_normal((45, 6))
    first = unit(content + 0.6 * rng.standard_normal((45, 6)) + 0.4)
    second = unit(content[owner] + 0.6 * rng.standard_normal((len(owner), 6)) - 0.4)
    return first, second, np.stack([owner, np.arange(len(owner))], axis=1)


def test_several_partners_and_means_of_other_folds(rng: np.random.Generator) -> None:
    first, second, pairs = captions(rng)
    given = diagnose(first, second, tau=0.1, pairs=pairs, exchanges=99, seed=3)
    found = given.summary()["mixed"]
    # The folds are those of the design: groups of clusters, so that no partner of a query is in its means.
    design = arrangement(match(modality("a", first), modality("b", second), pairs), 1, 3).design
    folds = [np.empty(len(rows), dtype=int) for rows in (first, second)]
    for side, part in enumerate((slice(0, len(first)), slice(len(first), None))):
        folds[side][design.orders[side]] = design.group_of_row[part] % FOLDS
    assert all(folds[0][i] == folds[1][j] for i, j in pairs)
    assert set(folds[0]) == set(range(FOLDS))
    rows = first, second
    for side, letter in enumerate("ab"):
        for treatment in TREATMENTS:
            values = []
            for query, fold in enumerate(folds[side]):
                # Each is compared with rows of a fold less the means of all that are of neither fold.
                treated, own = [], np.array([])
                for index, one in enumerate(rows):
                    table = np.empty(len(one))
                    for other in range(FOLDS):
                        out = {fold, other if other != fold else (fold + 1) % FOLDS}
                        kept = [~np.isin(part, list(out)) for part in folds]
                        means = [part[at].mean(0) for part, at in zip(rows, kept, strict=True)]
                        scales = [part[at].std(0) for part, at in zip(rows, kept, strict=True)]
                        own = treat(rows[side][query], means[side], scales[side], treatment)
                        here = folds[index] == other
                        table[here] = treat(one[here], means[index], scales[index], treatment) @ own
                    treated.append(table)
                partners = [int(pair[1 - side]) for pair in pairs if pair[side] == query]
                values.append(ranked(query, treated[side], treated[1 - side], partners))
            table = np.array(values)
            median = np.sort(table[:, 1])[int(np.ceil(len(table) / 2)) - 1]
            for figure, value in zip(FIGURES, (table[:, 0].mean(), median, table[:, 2].mean(), table[:, 3].mean()), strict=True):
                one = found[letter][treatment][figure]
                assert one["value"] == pytest.approx(value, abs=1e-12), (letter, treatment, figure)
                assert one["ci_low"] <= one["value"] <= one["ci_high"]
                assert given.comparisons[0].measurement.metrics[name_of(letter, treatment, figure)].value == one["value"]


def test_means_of_other_rows_are_taken_off(rng: np.random.Generator) -> None:
    first, second = (unit(rng.standard_normal((120, 5)) + offset) for offset in (0.8, -0.8))
    means = Means.of(first[:60], second[:60])
    found = diagnose(first[60:], second[60:], tau=0.1, means=means, exchanges=99).summary()["mixed"]
    queries = {k: [k] for k in range(60)}
    for treatment in TREATMENTS:
        rows = [treat(one[60:], one[:60].mean(0), one[:60].std(0), treatment) for one in (first, second)]
        for side in (0, 1):
            for figure, value in expected(queries, rows[side], rows[1 - side]).items():
                assert found["ab"[side]][treatment][figure]["value"] == pytest.approx(value, abs=1e-12)
    with pytest.raises(InputError, match="5 components and modality 1 4"):
        diagnose(unit(first[:, :4]), unit(second[:, :4]), means=means, exchanges=99)


def test_means_survive_their_file_and_others_are_refused(rng: np.random.Generator, tmp_path: Path) -> None:
    rows = unit(rng.standard_normal((30, 4))), unit(rng.standard_normal((30, 4)))
    rows[0][:, 2] = 0
    means = Means.of(*rows)
    (tmp_path / "m.npz").write_bytes(means.content())
    again = Means.load(tmp_path / "m.npz")
    np.testing.assert_array_equal(again.means, means.means)
    np.testing.assert_array_equal(again.scales, means.scales)
    assert again.scales[0][2] == 1
    assert np.all(np.isfinite(again.treat(np.tile(means.means[0], (2, 1)), 0, "standardised")))
    np.savez(tmp_path / "other.npz", x=rows[0])
    (tmp_path / "text.npz").write_text("no archive")
    for name, said in (("other", "holds no means"), ("text", "holds no means"), ("none", "no such file")):
        with pytest.raises(InputError, match=said):
            Means.load(tmp_path / f"{name}.npz")
    for bad in ({"mean_a": np.ones(3)}, {"scale_b": np.zeros(4)}, {"mean_b": np.full(4, np.nan)}):
        content = dict(np.load(tmp_path / "m.npz")) | bad
        np.savez(tmp_path / "bad.npz", **content)
        with pytest.raises(InputError, match="fit them again"):
            Means.load(tmp_path / "bad.npz")


def test_many_rows_look_by_some_queries(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    first = unit(rng.standard_normal((300, 4)))
    second = unit(first + 0.8 * rng.standard_normal((300, 4)))
    whole = diagnose(first, second, tau=0.1, exchanges=99).summary()["mixed"]
    monkeypatch.setattr(mixed, "MOST_QUERIES", 100)
    some = diagnose(first, second, tau=0.1, exchanges=99).summary()["mixed"]
    assert some["a"]["raw"] != whole["a"]["raw"]
    for side in "ab":
        for figure in FIGURES:
            one, other = some[side]["raw"][figure], whole[side]["raw"][figure]
            assert one["ci_low"] <= other["value"] <= one["ci_high"]


def test_intervals_cover() -> None:
    """Of 200 samples of one population, about 19 of 20 intervals contain the mean of all."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(200):
        draw = np.random.default_rng([7, seed])
        first = unit(draw.standard_normal((60, 4)) + 0.3)
        second = unit(first + 0.5 * draw.standard_normal((60, 4)))
        sample = match(modality("a", first), modality("b", second))
        matched = arrangement(sample, 1, seed)
        pooled = matched.matched(0.1, None, None)
        for name, one in mixed.measure(pooled, np.random.default_rng(0)).items():
            found.setdefault(name, []).append((one.value, one.ci_low or 0.0, one.ci_high or 0.0))
    for name, values in found.items():
        table = np.array(values)
        covered = np.mean((table[:, 1] <= table[:, 0].mean()) & (table[:, 0].mean() <= table[:, 2]))
        assert covered > 0.9, name


def advice_of(found: Diagnosis) -> str:
    return " ".join(found.comparisons[0].verdict.sentences)


def test_the_verdict_says_what_an_offset_does(rng: np.random.Generator) -> None:
    content = rng.standard_normal((80, 40))
    for size, hurts in ((0.35, False), (1.0, True)):
        noisy = [content + 0.8 * rng.standard_normal((80, 40)) + offset for offset in (size, -size)]
        said = advice_of(diagnose(*map(unit, noisy), tau=0.2, exchanges=99))
        assert "Taking means off changes recall@1 across by" in said
        assert ("nothing sure" in said) != hurts
        assert "rows of the other modality among the nearest ten, and their partners at median ranks" in said
        assert "--save-means" in said
