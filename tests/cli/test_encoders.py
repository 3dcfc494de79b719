"""encoders, drift and move-gap as a user types them: output, files, exit codes, and one sentence for what goes wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
from test_cli import refused, run

import fieldsolve as fs
from fieldsolve.encoders.moving import GapMap

KEYS = {
    "schema", "law", "loss", "bound", "gap", "mutual_information", "excess", "tau_star", "tau_zero", "window", "centroid_gap",
    "dimension", "price_of_dimension", "symmetric_kl", "recall", "status", "tau", "notes",
}  # fmt: skip


def figures_of(*arguments: object) -> dict:
    result = run("encoders", *arguments, "--json")
    assert result.exit_code == 0, result.output
    assert list(json.loads(result.stdout)) == sorted(json.loads(result.stdout))
    figures: dict = json.loads(result.stdout)
    return figures


def test_below_the_critical_temperature() -> None:
    figures = figures_of("ring:24,5", "--tau", 0.1)
    assert figures.keys() >= KEYS
    assert figures["schema"] == "fieldsolve/encoders/1"
    assert figures["tau_star"] == pytest.approx(0.2, abs=1e-9)
    assert figures["tau_zero"] == pytest.approx(0.2, abs=1e-9)
    assert figures["window"] == pytest.approx([0, np.sqrt(2)], abs=1e-9)
    assert figures["centroid_gap"] is None
    assert figures["price_of_dimension"] is None
    assert figures["loss"] == pytest.approx(-1.1622339094, abs=1e-7)
    assert 0 <= figures["gap"] <= 1e-8


def test_above_it_and_in_few_dimensions() -> None:
    figures = figures_of("ring:24,5", "--tau", 0.3, "--dimension", 2)
    assert figures["window"] is None
    assert figures["excess"] == pytest.approx(0.04339, abs=1e-5)
    assert figures["price_of_dimension"] == pytest.approx(0.04339 - 0.015672, abs=1e-5)
    assert figures["centroid_gap"] == pytest.approx(0, abs=1e-5)
    assert figures["dimension"] == 2


def test_tables_labels_and_zeros(tmp_path: Path) -> None:
    np.save(tmp_path / "table.npy", np.array([[30, 5, 0], [4, 20, 6], [1, 3, 31]]))
    figures = figures_of(tmp_path / "table.npy", "--tau", 0.5)
    assert figures["tau_star"] == figures["tau_zero"] == 0
    assert figures["window"] is None
    assert figures["centroid_gap"] is not None
    cold = figures_of(tmp_path / "table.npy", "--tau", 0.05)
    assert cold["excess"] < 1e-7
    assert cold["centroid_gap"] is None  # within 1e-7 nats it may be anything
    assert any("does not determine" in sentence for sentence in cold["report"])
    assert any("never occur" in sentence for sentence in figures["report"])
    (tmp_path / "labels.csv").write_text("a,x\n" * 5 + "b,y\n" * 4 + "a,y\nb,x\n")
    labelled = figures_of(tmp_path / "labels.csv", "--labels", "--tau", 0.5)
    assert labelled["symbols"] == [2, 2]
    np.savetxt(tmp_path / "rounded.csv", np.array([[0.4, 0.1], [0.1, 0.4000004]]), delimiter=",")
    rounded = figures_of(tmp_path / "rounded.csv", "--tau", 0.5)
    assert "were scaled" in rounded["notes"][0]


@pytest.mark.parametrize(
    ("objective", "window"),
    [("one-sided", False), ("one-encoder", False), ("in-modal-negatives:0.5", False), ("joint-softmax:0.3", False),
     ("sigmoid:4,learned", True), ("sigmoid:negatives=4,bias=-1.5", True), ("negatives:8", True)],
)  # fmt: skip
def test_every_objective_has_its_words(objective: str, window: bool) -> None:
    figures = figures_of("ring:6,2", "--tau", 0.3, "--objective", objective)
    assert figures["objective"].startswith(objective.split(":")[0])
    assert (figures["window"] is not None) is window
    assert figures["status"].startswith("converged")


def test_penalties_and_learned_temperature(tmp_path: Path) -> None:
    table = np.array([[8, 1, 1], [1, 3, 1], [2, 1, 9.0]])
    np.save(tmp_path / "table.npy", table)
    plain = figures_of(tmp_path / "table.npy", "--tau", 2.0)
    held = figures_of(tmp_path / "table.npy", "--tau", 2.0, "--penalty", "gap:5", "--penalty", "uniformity:0.1")
    assert held["centroid_gap"] < plain["centroid_gap"]
    assert held["loss"] > plain["loss"]
    assert held["penalties"] == ["gap:5.0", "uniformity:0.1"]
    free = figures_of("ring:8,5", "--tau", 0.05, "--learn-tau")
    assert free["window"] == pytest.approx([0, 2 * np.sqrt(0.75)], abs=1e-9)  # at the least temperature
    learned = figures_of("ring:24,5", "--tau", 0.01, "--learn-tau", "--dimension", 2)
    assert learned["tau"] == pytest.approx(0.2, abs=1e-4)
    assert "not convex" in refused("encoders", "ring:6,2", "--tau", 0.1, "--penalty", "gap:1", "--learn-tau")


def test_folders_are_taken_up_again_and_shown(tmp_path: Path) -> None:
    folder = tmp_path / "ring"
    line = ["encoders", "ring:8,3", "--tau", 0.1, "--taus", "0.1,0.3,0.6", "-o", folder]
    result = run(*line)
    assert result.exit_code == 0
    names = {path.name for path in folder.iterdir()}
    assert names == {"ledger.sqlite", "summary.json", "table.csv", "encoders.npz", "figure.png"}
    rows = (folder / "table.csv").read_text().splitlines()
    assert len(rows) == 4
    assert rows[0].startswith("tau,loss,bound,gap,excess,centroid_gap,window_low,window_high")
    with np.load(folder / "encoders.npz") as stored:
        np.testing.assert_allclose(np.linalg.norm(stored["first"], axis=1), 1, atol=1e-12)
        assert stored["law"].shape == (8, 8)
    (folder / "table.csv").unlink()
    assert run(*line).stdout == result.stdout
    assert (folder / "table.csv").exists()
    shown = run("show", folder)
    assert shown.exit_code == 0
    assert shown.stdout == result.stdout
    assert json.loads(run("show", folder, "--json").stdout)["schema"] == "fieldsolve/encoders/1"
    other = ["encoders", "ring:8,4", "--tau", 0.1, "--taus", "0.1", "-o", folder]
    assert "another spec" in refused(*other)
    assert run(*other, "--force").exit_code == 0
    assert (folder / "summary.json").exists()
    assert "choose another folder" in refused("drift", "ring:8,3", "--tau", 0.1, "-o", folder)


def test_a_figure_alone(tmp_path: Path) -> None:
    assert run("encoders", "ring:6,2", "--tau", 0.1, "--taus", "0.1,0.5,1", "--figure", tmp_path / "gap.svg").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["gap.svg"]
    assert "exists already" in refused("encoders", "ring:6,2", "--tau", 0.1, "--figure", tmp_path / "gap.svg")


def test_what_does_not_converge_is_written_all_the_same(tmp_path: Path) -> None:
    result = run("encoders", "ring:12,5", "--tau", 0.3, "--max-steps", 3, "--taus", "0.3", "-o", tmp_path / "few")
    assert result.exit_code == 4
    summary = json.loads((tmp_path / "few" / "summary.json").read_text())
    assert summary["status"].startswith("not converged")
    assert any("no optimum" in sentence for sentence in summary["report"])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["ring:24,5"], 2, "--tau"),
        (["ring:24,5", "--tau", "0.001"], 2, "0.003"),
        (["ring:24,5", "--tau", "nan"], 2, "nan"),
        (["ring:24,5", "--tau", "0.1", "--dimension", "1"], 2, "dimension"),
        (["ring:24,5", "--tau", "0.1", "--taus", "0.1,x"], 2, "--taus"),
        (["rong:24,5", "--tau", "0.1"], 3, "is no law"),
        (["ring:24,5", "--tau", "0.1", "--objective", "hope"], 3, "unknown objective"),
        (["ring:24,5", "--tau", "0.1", "--penalty", "gap:x"], 3, "is a number"),
        (["none.csv", "--tau", "0.1"], 3, "none.csv"),
        (["ring:24,5", "--labels", "--tau", "0.1"], 3, "two columns"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(arguments: list[str], code: int, message: str) -> None:
    assert message in refused("encoders", *arguments, code=code)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[0.5, 0.4], [0.2, 0.3]], "sum to 1.4"),
        ([[1, -1], [1, 1]], "negative"),
        ([[np.nan, 1], [1, 1]], "not finite"),
        ([[1, 2]], "two"),
    ],
)
def test_tables_that_are_no_law(table: object, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "table.npy", np.array(table))
    assert message in refused("encoders", tmp_path / "table.npy", "--tau", 0.1, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_drift_writes_a_folder_and_is_shown(tmp_path: Path) -> None:
    line = ["drift", "simplex:4,0.3", "--tau", 0.1, "--batches", "16,64", "--steps", 640, "--seeds", 3, "--workers", 1]
    result = run(*line, "-o", tmp_path / "drift")
    assert result.exit_code == 0, result.output
    names = {path.name for path in (tmp_path / "drift").iterdir()}
    assert names == {"ledger.sqlite", "summary.json", "table.csv", "flows.csv", "figure.png"}
    assert run("show", tmp_path / "drift").stdout == result.stdout
    assert "tau* = " in refused("drift", "simplex:4,0.3", "--tau", 9, "-o", tmp_path / "hot")
    assert not (tmp_path / "hot").exists()
    refused("drift", "simplex:4,0.3", "--tau", 0.1, "--batches", "1", "-o", tmp_path / "one", code=2)


@pytest.fixture
def embeddings(tmp_path: Path) -> tuple[Path, np.ndarray]:
    rng = np.random.default_rng(3)
    content = rng.standard_normal((120, 8))
    rows = np.stack([content + 0.4 * rng.standard_normal((120, 8)) + 3 * rng.standard_normal(8) for _ in (0, 1)])
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    np.save(tmp_path / "both.npy", rows.astype(np.float32))
    return tmp_path / "both.npy", rows


def test_a_gap_is_moved_and_the_map_used_again(embeddings: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, rows = embeddings
    result = run("move-gap", path, "--to", "min", "-o", tmp_path / "map.npz", "--moved", tmp_path / "moved.npy", "--json")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["schema"] == "fieldsolve/move-gap/1"
    assert figures["centroid_gap"] == pytest.approx(figures["window"][0], abs=1e-5)
    assert figures["before"]["recall_a"] == figures["after"]["recall_a"]
    assert figures["similarity_error"] < 1e-6  # of rows in single precision
    moved = np.load(tmp_path / "moved.npy")
    assert moved.shape == (2, 120, 8 + 2 * 2 + 2)
    assert moved.dtype == np.float32
    change = moved[0] @ moved[1].T - rows[0] @ rows[1].T
    assert np.ptp(change) < 2e-6
    again = run("move-gap", path, "--use", tmp_path / "map.npz", "--moved", tmp_path / "a.npy", "--moved", tmp_path / "b.npy")
    assert again.exit_code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), moved[0])
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), moved[1])
    loaded = fs.GapMap.load(tmp_path / "map.npz")
    assert isinstance(loaded, GapMap)
    np.testing.assert_allclose(loaded.first(np.load(path)[0]), moved[0], atol=1e-6)


def test_move_gap_says_where_the_window_ends(embeddings: tuple[Path, np.ndarray]) -> None:
    path, _ = embeddings
    result = run("move-gap", path, "--to", "max")
    assert result.exit_code == 0
    assert "may be anything from" in result.stdout
    assert "unchanged: similarities across modalities" in result.stdout
    low, high = json.loads(run("move-gap", path, "--json").stdout)["window"]
    wide = json.loads(run("move-gap", path, "--directions", 4, "--json").stdout)["window"]
    assert wide[0] <= low + 1e-6
    assert wide[1] >= high - 1e-6
    assert f"to {high:.4g}" in refused("move-gap", path, "--to", high + 0.1)


def test_what_move_gap_refuses(embeddings: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, rows = embeddings
    np.save(tmp_path / "other.npy", rows[0, :50])
    np.save(tmp_path / "narrow.npy", rows[:, :, :5] / np.linalg.norm(rows[:, :, :5], axis=-1, keepdims=True))
    run("move-gap", path, "-o", tmp_path / "map.npz")
    assert "exists already" in refused("move-gap", path, "-o", tmp_path / "map.npz")
    assert "another file" in refused("move-gap", tmp_path / "other.npy")
    assert "same embedding space" in refused("move-gap", tmp_path / "narrow.npy", "--use", tmp_path / "map.npz")
    np.save(tmp_path / "second.npy", rows[1])
    assert "give --moved twice" in refused(
        "move-gap", tmp_path / "other.npy", tmp_path / "second.npy", "--moved", tmp_path / "m.npy"
    )
    refused("move-gap", path, "--use", tmp_path / "map.npz", "--to", "max", code=2)
    refused("move-gap", path, "-o", tmp_path / "map.npy", code=2)
    refused("move-gap", path, "--moved", tmp_path / "x.npy", "--moved", tmp_path / "x.npy", code=2)
    np.save(tmp_path / "long.npy", 2 * rows)
    assert "--normalize" in refused("move-gap", tmp_path / "long.npy", "--moved", tmp_path / "none.npy")
    assert run("move-gap", tmp_path / "long.npy", "--normalize").exit_code == 0
    assert not any(one.name.startswith((".", "none")) for one in tmp_path.iterdir())
