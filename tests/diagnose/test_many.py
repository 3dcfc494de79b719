"""Runs side by side: paired differences against explicit resampling, manifests, folders that are taken up again, bad input."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy.stats import spearmanr

import fieldsolve as fs
from fieldsolve.cli import main
from fieldsolve.diagnose.many import tasks
from fieldsolve.diagnose.many.resampling import replicates
from fieldsolve.diagnose.many.runs import RunSpec, read_manifest, runs_of
from fieldsolve.diagnose.many.series import MAIN, Series
from fieldsolve.diagnose.metrics.table import definitions
from fieldsolve.diagnose.sample import match
from fieldsolve.embeddings.modality import modality
from fieldsolve.numerics.errors import InputError
from fieldsolve.output.summary import read_summary, summary_text

Array = np.ndarray
SHARED = Path(__file__).parents[3] / "shared" / "data"


def unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


def pairs_of(noise: float, offset: float, seed: int = 0, count: int = 60) -> Array:
    """Matched rows (2, n, 6); the same seed gives the same content and noise, so that runs depend on each other."""
    content, one, other = np.random.default_rng(seed).standard_normal((3, count, 6))
    return np.stack([unit(content + noise * one + offset), unit(content + noise * other - offset)])


def run(*words: Any) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, words)])


def diagnosed(path: Path, folder: Path) -> None:
    words = ["diagnose", str(path), "--tau", "0.1", "--exchanges", "99", "-o", str(folder)]
    assert CliRunner().invoke(main, words).exit_code == 0


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Five runs, ever better and ever closer."""
    paths = []
    for k in range(5):
        paths.append(tmp_path / f"run{k}.npy")
        np.save(paths[-1], pairs_of(1.2 - 0.2 * k, 0.5 - 0.08 * k))
    return paths


def gap_of_copies(first: Array, second: Array, owners: tuple[Array, Array], drawn: Array) -> float:
    """|m_a - m_b| of clusters drawn with replacement, over pairs of rows whose clusters are different ones."""
    rows = [
        [(one, cluster) for cluster in drawn for one in table[own == cluster]]
        for table, own in zip((first, second), owners, strict=True)
    ]

    def product(i: int, j: int) -> float:
        return float(np.mean([x @ y for x, a in rows[i] for y, b in rows[j] if a != b]))

    return float(np.sqrt(max(product(0, 0) + product(1, 1) - 2 * product(0, 1), 0)))


@pytest.mark.parametrize("captions", [1, 2])
def test_replicates_are_those_of_samples_with_replacement(captions: int) -> None:
    rng = np.random.default_rng(1)
    owner = np.repeat(np.arange(25), captions)
    content = rng.standard_normal((25, 5))
    first, second = unit(content + 0.4), unit(content[owner] + 0.8 * rng.standard_normal((len(owner), 5)))
    sample = match(modality("a", first), modality("b", second), np.stack([owner, np.arange(len(owner))], axis=1))
    found = replicates(sample, 0.1, None, 6, seed=4)
    times = np.random.default_rng([4, 5]).multinomial(25, np.full(25, 1 / 25), 6)
    forth = first @ second.T
    best = [owner[np.argmax(forth[i])] == i for i in range(25)]
    back = [np.argmax(forth[:, j]) == owner[j] for j in range(len(owner))]
    for k, weight in enumerate(times):
        drawn = np.repeat(np.arange(25), weight)
        assert found["centroid_gap"][k] == pytest.approx(gap_of_copies(first, second, (np.arange(25), owner), drawn), rel=1e-9)
        assert found["recall_a_to_b_at_1"][k] == pytest.approx(np.mean([best[i] for i in drawn]))
        assert found["recall_b_to_a_at_1"][k] == pytest.approx(
            np.mean([back[j] for i in drawn for j in np.flatnonzero(owner == i)])
        )
        matched = [first[i] @ second[j] for i in drawn for j in np.flatnonzero(owner == i)]
        assert found["cosine_matched_mean"][k] == pytest.approx(np.mean(matched))
    assert {"infonce", "mixed_a_raw_other_share_at_10", "mixed_b_centred_partner_recall_at_1"} < set(found)
    assert set(found) <= set(definitions())
    with_bias = replicates(sample, 0.1, -2.0, 2, seed=4)
    assert "siglip" in with_bias
    assert "infonce" not in with_bias


def test_replicates_have_the_errors_of_the_diagnosis() -> None:
    first, second = pairs_of(0.8, 0.3, count=200)
    sample = match(modality("a", first), modality("b", second))
    found = replicates(sample, 0.1, None, 400, seed=0)
    metrics = fs.diagnose(first, second, tau=0.1, exchanges=99).comparisons[0].measurement.metrics
    for name, values in found.items():
        one = metrics[name]
        assert one.ci_low is not None
        assert one.ci_high is not None
        assert np.mean(values) == pytest.approx(one.value, abs=0.25 * (one.ci_high - one.ci_low)), name
        if name != "infonce":  # whose negatives the diagnosis draws too
            assert np.std(values) == pytest.approx((one.ci_high - one.ci_low) / 3.94, rel=0.3), name


def test_pairing_makes_differences_sure(files: list[Path]) -> None:
    paired, unpaired = (json.loads(run(*files[:2], "--tau", 0.1, "--json", *more).stdout) for more in ((), ("--unpaired",)))
    assert [one["paired"] for one in paired["runs"]] == [False, True]
    assert not any(one["paired"] for one in unpaired["runs"])
    one, other = (found["runs"][1]["differences"]["centroid_gap"] for found in (paired, unpaired))
    assert one["value"] == other["value"]
    assert one["ci_high"] - one["ci_low"] < 0.6 * (other["ci_high"] - other["ci_low"])
    assert one["p_value"] <= 0.01
    assert other["p_value"] is None
    assert any("--unpaired" in note for note in paired["notes"])


def test_a_run_does_not_differ_from_itself(files: list[Path]) -> None:
    found = json.loads(run(f"x={files[0]}", f"y={files[0]}", "--tau", 0.1, "--json").stdout)
    for difference in found["runs"][1]["differences"].values():
        assert difference["value"] == 0
        assert difference["p_value"] in (None, 1)
    chance = json.loads(run(f"x={files[0]}", f"y={files[0]}", "--tau", 0.1, "--json", "--against", "y").stdout)
    assert chance["against"] == "y"
    assert chance["runs"][1]["differences"] == {}


def test_intervals_of_paired_differences_cover() -> None:
    """Of the gap's difference between two models of one population, with its true value from many pairs."""

    def gaps(seed: int, count: int) -> tuple[float, float, dict[str, list[list[float]]]]:
        found: dict[str, list[list[float]]] = {}
        values = []
        for noise, offset in ((0.9, 0.4), (0.7, 0.3)):
            first, second = pairs_of(noise, offset, seed, count)
            sample = match(modality("a", first), modality("b", second))
            values.append(fs.quick(first, second, 0.1)["centroid_gap"])
            if count < 1000:
                for name, one in replicates(sample, 0.1, None, 300, seed=0).items():
                    found.setdefault(name, []).append(one)
        return values[0], values[1], found

    one, other, _ = gaps(99, 20000)
    covered = []
    for seed in range(60):
        *_, found = gaps(seed, 60)
        low, high = np.quantile(np.subtract(*found["centroid_gap"]), [0.025, 0.975])
        covered.append(low <= one - other <= high)
    assert 0.85 <= np.mean(covered) <= 1


def test_a_manifest_a_folder_and_what_is_written(files: list[Path], tmp_path: Path) -> None:
    blocks = [f'[[run]]\nname = "at {k}"\nfiles = "{path.name}"\nstep = {100 * k}\n' for k, path in enumerate(files)]
    manifest = tmp_path / "runs.toml"
    manifest.write_text("tau = 0.1\n" + "".join(blocks))
    diagnosed(files[2], tmp_path / "old")
    out = tmp_path / "out"
    done = run(manifest, f"old={tmp_path / 'old'}", "-o", out, "--workers", 1, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {path.name for path in out.iterdir()} == {
        *("ledger.sqlite", "summary.json", "table.csv", "table.md", "table.tex", "table.html", "metrics.png", "steps.png"),
        "gap_and_retrieval.png",
    }
    assert found["run"] == [f"at {k}" for k in range(5)] + ["old"]
    assert found["step"] == [0, 100, 200, 300, 400, None]
    metrics = fs.diagnose(*np.load(files[2]), tau=0.1, exchanges=99).comparisons[0].measurement.metrics
    for name in ("centroid_gap", "recall_a_to_b_at_1", "infonce", "mixed_a_centred_other_share_at_10"):
        assert found[name][2] == metrics[name].value == found[name][5]
    assert not found["runs"][5]["paired"]
    gaps, recalls = found["centroid_gap"], np.mean([found["recall_a_to_b_at_1"], found["recall_b_to_a_at_1"]], axis=0)
    assert found["correlation"]["value"] == pytest.approx(spearmanr(gaps, recalls).statistic)
    assert found["correlation"]["runs"] == 6
    assert "<table>" in (out / "table.html").read_text()
    assert (out / "table.tex").read_text().count(r" \\") == 7
    lines = (out / "table.csv").read_text().splitlines()
    assert lines[0].split(",")[:7] == ["run", "first", "second", "step", "pairs", "metric", "value"]
    assert len(lines) == 1 + sum(len(one["metrics"]) for one in found["runs"])
    shown = CliRunner().invoke(main, ["show", str(out), "--json"])
    assert json.loads(shown.stdout) == found


def test_what_is_done_is_not_done_again(files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, calls = tasks.diagnose, []

    def counted(*modalities: Any, **options: Any) -> Any:
        calls.append(modalities[0].name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(*modalities, **options)

    monkeypatch.setattr(tasks, "diagnose", counted)
    words = (*files[:4], "--tau", 0.1, "-o", tmp_path / "out", "--workers", 1)
    assert run(*words).exit_code == 130
    assert not (tmp_path / "out" / "summary.json").exists()
    assert run(*words).exit_code == 0
    assert len(calls) == 5  # two, one that was interrupted, and that one and another
    np.save(files[1], pairs_of(0.3, 0.1))
    assert run(*words).exit_code == 0
    assert len(calls) == 6  # a file that has changed
    assert run(*words, "--against", "run2").exit_code == 0
    assert len(calls) == 6
    assert run(*files[:3], *words[4:]).exit_code == 3  # other runs
    assert run(*files[:3], *words[4:], "--force").exit_code == 0
    assert len(calls) == 6


def test_failed_runs_do_not_keep_others_from_being_compared(files: list[Path], tmp_path: Path) -> None:
    np.save(tmp_path / "bad.npy", 3 * np.load(files[0]))
    done = run(*files[:2], tmp_path / "bad.npy", "--tau", 0.1)
    assert done.exit_code == 5
    assert "bad failed: bad 1: 60 of 60 embeddings are not of unit length" in done.output
    assert "run1 - run0 (on the same pairs)" in done.output
    assert run(files[0], tmp_path / "bad.npy", "--tau", 0.1).exit_code == 3


def test_workers_give_the_same_values(files: list[Path], tmp_path: Path) -> None:
    alone, two = (json.loads(run(*files[:3], "--tau", 0.1, "--workers", count, "--json").stdout) for count in (1, 2))
    assert alone == two


def test_three_modalities_and_two_files_a_run(tmp_path: Path) -> None:
    for k, noise in enumerate((1.0, 0.5)):
        first, second = pairs_of(noise, 0.3)
        third = unit(first + 0.5 * np.random.default_rng(k).standard_normal(first.shape))
        np.save(tmp_path / f"three{k}.npy", np.stack([first, second, third]))
        np.save(tmp_path / f"a{k}.npy", first)
        np.save(tmp_path / f"b{k}.npy", second)
    found = json.loads(run(*(tmp_path / f"three{k}.npy" for k in (0, 1)), "--tau", 0.1, "--json").stdout)
    assert len(found["runs"]) == 6
    assert [one["paired"] for one in found["runs"]] == [False] * 3 + [True] * 3
    assert found["run"][0] == "three0: three0 1 and three0 2"
    two = json.loads(
        run(*(f"m{k}={tmp_path / f'a{k}.npy'},{tmp_path / f'b{k}.npy'}" for k in (0, 1)), "--tau", 0.1, "--json").stdout
    )
    assert two["run"] == ["m0", "m1"]
    assert two["centroid_gap"][1] == found["centroid_gap"][3]


RUN = "[[run]]\nfiles = 'run0.npy'\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no .*run.* tables"), ("run = 1", "has no"), ("[[run]\n", "cannot be read as .toml"),
        ("[[run]]\nfiles = 3\n", "files are names"), ("[[run]]\nname = 'x'\n", "run x: files are names"),
        ("[[run]]\nfiles = 'none.npy'\n", "run 1: .*none.npy: there is no such file"),
        (f"{RUN}step = 'x'\n", "step is a finite number"), (f"{RUN}tua = 1\n", "knows no tua"),
        (f"{RUN}name = 1\n", "name is text"), (f"{RUN}tau = -1\n", "tau is a temperature"), ("run = [1]\n", "tables"),
        (f"{RUN}pairs = 'p.npy'\n", "p.npy: there is no such file"),
    ],
)  # fmt: skip
def test_manifests_that_are_none(text: str, said: str, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(InputError, match=said):
        read_manifest(tmp_path / "m.toml")
    refused = run(tmp_path / "m.toml")
    assert refused.exit_code == 3
    assert len(refused.output.strip().splitlines()) == 1


def test_words_that_are_no_runs(files: list[Path], tmp_path: Path) -> None:
    for words, said in (
        ((files[0],), "two runs or more"), ((files[0], files[0]), "several runs are called run0"),
        ((files[0], tmp_path / "none.npy"), "no such file"), ((files[0], files[1], "--against", "x"), "no run 'x'"),
        ((files[0], tmp_path), "holds files of several kinds"),
    ):  # fmt: skip
        if said.startswith("holds"):
            (tmp_path / "x.csv").write_text("1,2\n")
        refused = run(*words, "--tau", 0.1)
        assert refused.exit_code == 3
        assert said in refused.output
    both = run(*files[:2], "--scheduler", "tcp://x:1", "--workers", 2)
    assert both.exit_code == 2
    assert "brings its own workers" in both.output
    old = tmp_path / "old"
    diagnosed(files[0], old)
    summary = read_summary(old)
    entries = summary.pop("files")
    (old / "summary.json").write_text(summary_text(summary | {"schema": "fieldsolve/diagnose/1"}, entries))
    refused = run(files[0], files[1], f"old={old}", "--tau", 0.1)
    assert refused.exit_code == 5
    assert "fieldsolve/diagnose/1, of another version" in refused.output


def test_what_is_shown_are_metrics() -> None:
    assert set(MAIN) <= set(definitions())
    with pytest.raises(InputError, match="no run 'z'"):
        Series.of([RunSpec("x", ()), RunSpec("y", ())], [{}, {}], "z", True)


def test_trained_and_untrained_clip() -> None:
    paths = [SHARED / f"features_clip{kind}.npy" for kind in ("_random", "")]
    if not all(path.exists() for path in paths):
        pytest.skip("the features are not here")
    found = json.loads(
        run(*(f"{n}={p}" for n, p in zip(("untrained", "trained"), paths, strict=True)), "--tau", 0.01, "--json").stdout
    )
    difference = found["runs"][1]["differences"]
    assert difference["centroid_gap"]["ci_low"] < -0.28 < difference["centroid_gap"]["ci_high"]
    assert difference["recall_a_to_b_at_1"]["ci_low"] > 0.5
    assert difference["mixed_a_raw_other_share_at_10"]["value"] == 0
    assert difference["mixed_a_centred_other_share_at_10"]["ci_low"] > 0.035


def test_runs_of_words(files: list[Path]) -> None:
    found = runs_of([f"x={files[0]}", str(files[1]), f"z={files[0]}::q,{files[1]}"])
    assert [one.name for one in found] == ["x", "run1", "z"]
    assert found[2].files == (f"{files[0]}::q", str(files[1]))


def test_what_a_saboteur_tried(files: list[Path], tmp_path: Path) -> None:
    rows = np.load(files[0])
    np.savez(tmp_path / "scalar.npz", image=rows[0], text=rows[1], logit_scale=np.float32(100))
    with_scalar = json.loads(run(f"x={files[0]}", f"y={tmp_path / 'scalar.npz'}", "--tau", 0.1, "--json").stdout)
    assert with_scalar["centroid_gap"][0] == with_scalar["centroid_gap"][1]
    np.save(tmp_path / "same.npy", np.tile(rows[:1, :1], (2, 80, 1)))
    collapsed = run(f"x={files[0]}", f"same={tmp_path / 'same.npy'}", "--tau", 0.1)
    assert collapsed.exit_code == 0
    assert "A constant encoder" in collapsed.output
    (tmp_path / "m.toml").write_text("run = [1, 2]")
    for words, said in (
        ((tmp_path / "m.toml",), "tables"),
        ((tmp_path / "p**.npy", files[0]), "is no pattern|no file"),
        (("a=", "b="), "names no file"),
    ):
        refused = run(*words, "--tau", 0.1)
        assert refused.exit_code == 3
        assert any(one in refused.output for one in said.split("|")), refused.output
    (tmp_path / "spec.toml").write_text("[problem]\nnside = 2\n[axes]\ncoupling = [0.1, 0.2]\n")
    diagram = tmp_path / "diagram"
    drawn = CliRunner().invoke(main, ["phase-diagram", str(tmp_path / "spec.toml"), "-o", str(diagram), "--workers", "1"])
    assert drawn.exit_code == 0, drawn.output
    taken = run(*files[:2], "--tau", 0.1, "-o", diagram, "--force")
    assert taken.exit_code == 3
    assert "something else than a comparison" in taken.output
    over = CliRunner().invoke(main, ["diagnose", str(files[0]), "--tau", "0.1", "-o", str(diagram), "--force"])
    assert over.exit_code == 3
    compared = tmp_path / "compared"
    assert run(*files[:2], "--tau", 0.1, "-o", compared).exit_code == 0
    over = CliRunner().invoke(main, ["diagnose", str(files[0]), "--tau", "0.1", "-o", str(compared), "--force"])
    assert over.exit_code == 3
    assert "ledger" in over.output
    kept = CliRunner().invoke(main, ["diagnose", str(files[0]), "--tau", "0.1", "--save-means", str(files[1]), "--force"])
    assert kept.exit_code == 2
    assert ".npz" in kept.output


def test_a_copy_does_not_part_what_is_paired(tmp_path: Path) -> None:
    for k, noise in enumerate((0.6, 0.9)):
        rows = pairs_of(noise, 0.3)
        rows[1, 7] = rows[1, 40]
        np.save(tmp_path / f"r{k}.npy", rows)
    found = json.loads(run(tmp_path / "r0.npy", tmp_path / "r1.npy", "--tau", 0.1, "--json").stdout)
    assert found["runs"][1]["paired"]
    paired = found["runs"][1]["differences"]["centroid_gap"]
    alone = found["runs"][1]["metrics"]["centroid_gap"]
    assert paired["ci_high"] - paired["ci_low"] < alone["ci_high"] - alone["ci_low"]
