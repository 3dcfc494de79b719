"""fieldsolve check: exit codes, one line a failed check, and words that are none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import fieldsolve as fs
from fieldsolve.cli import main
from fieldsolve.diagnose.checks import BOTH
from fieldsolve.diagnose.metrics.table import definitions
from fieldsolve.diagnose.quick import NAMES


def run(*words: Any) -> Result:
    return CliRunner().invoke(main, ["check", *map(str, words)])


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(3)
    content = rng.standard_normal((60, 8))
    rows = np.stack([content + 0.7 * rng.standard_normal((60, 8)) + offset for offset in (0.4, -0.4)])
    path = tmp_path_factory.mktemp("check") / "both.npy"
    np.save(path, rows / np.linalg.norm(rows, axis=-1, keepdims=True))
    return path


def test_what_is_kept_passes_and_what_is_not_has_a_line(both: Path) -> None:
    values = fs.quick(*np.load(both), 0.07)
    kept = run(both, "--max-centroid-gap", values["centroid_gap"] + 1e-6, "--min-recall=0.05")
    assert (kept.exit_code, kept.stdout) == (0, "3 checks passed\n")
    failed = run(both, "--max-centroid-gap", values["centroid_gap"] - 1e-6, "--min-recall-at-10", 1.0)
    assert failed.exit_code == 6
    lines = failed.stdout.splitlines()
    assert lines[0].startswith(f"centroid_gap is {values['centroid_gap']:.5g}, above the largest that passes")
    assert [line.split()[0] for line in lines[1:]] == [name for name in BOTH["recall_at_10"] if values[name] < 1]
    quiet = run(both, "--max-centroid-gap", 3, "--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")


def test_json_has_values_and_thresholds(both: Path) -> None:
    found = run(both, "--max-centroid-gap", 0.01, "--json")
    assert found.exit_code == 6
    summary = json.loads(found.stdout)
    assert summary["schema"] == "fieldsolve/check/1"
    assert summary["passed"] is False
    assert set(summary["values"]) == set(NAMES)
    assert summary["checks"][0] | {"measured": 0} == {
        "metric": "centroid_gap", "end": "max", "value": 0.01, "measured": 0, "passed": False
    }  # fmt: skip


def test_metrics_of_a_whole_diagnosis(both: Path) -> None:
    assert run(both, "--max-energy-distance", 5, "--min-mutual-neighbours", 0.01).exit_code == 0
    assert run(both, "--min-debiased-cka", 0.999).exit_code == 6
    assert run(both, "--max-siglip", 3, "--tau", 1).exit_code == 3


def test_two_files_and_pairs(both: Path, tmp_path: Path) -> None:
    rows = np.load(both)
    for name, one in zip("ab", rows, strict=True):
        np.save(tmp_path / f"{name}.npy", 2 * one)
    np.save(tmp_path / "p.npy", np.stack([np.arange(60), np.arange(60)[::-1]], axis=1))
    np.save(tmp_path / "c.npy", 2 * rows[1][::-1])
    words = ("--normalize", "--min-recall", 0.05, "--max-infonce", 10, "--tau", 0.1)
    straight, turned = (
        run(tmp_path / "a.npy", *more, *words, "--json")
        for more in ((tmp_path / "b.npy",), (tmp_path / "c.npy", "--pairs", tmp_path / "p.npy"))
    )
    assert json.loads(turned.stdout)["values"] == pytest.approx(json.loads(straight.stdout)["values"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--max-centroid-gapp", 1), 3, "did you mean centroid_gap"),
        (("--min-nonsense", 1), 3, "docs/metrics.md"),
        (("--max-centroid-gap", "x"), 2, "needs a number"),
        (("--max-centroid-gap",), 2, "needs a number"),
        (("--max-centroid-gap", "nan"), 3, "finite"),
        (("--upper-recall", 1), 2, "No such option"),
        (("--max-infonce", 1), 2, "give the model's with --tau"),
        ((), 2, "what they must keep"),
    ],
)
def test_words_that_are_none(both: Path, words: tuple[Any, ...], code: int, said: str) -> None:
    found = run(both, *words)
    assert found.exit_code == code
    assert said in found.output
    assert len(found.output.strip().splitlines()) <= 4


def test_words_for_both_directions_are_metrics() -> None:
    assert set().union(*BOTH.values()) <= set(definitions())
    assert set(NAMES) <= set(definitions())
