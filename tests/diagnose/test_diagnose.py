"""fieldsolve diagnose: files in, refusals, matchings, corruption, the theory beside the data, and what is written."""

import csv
import html
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from safetensors.numpy import save, save_file

from fieldsolve.cli import main
from fieldsolve.diagnose.corruption import Replacement, corrupt_partners
from fieldsolve.diagnose.diagnosis import diagnose
from fieldsolve.diagnose.measure import measure
from fieldsolve.diagnose.metrics import table
from fieldsolve.diagnose.metrics.metric import FEWER, Definition, Family, Metric
from fieldsolve.diagnose.metrics.table import definitions, documentation
from fieldsolve.diagnose.report import files
from fieldsolve.diagnose.sample import FEWEST_PAIRS, MOST_CLUSTERS, match
from fieldsolve.diagnose.statistics.design import MOST_GROUPS
from fieldsolve.diagnose.statistics.pooled import Pooled
from fieldsolve.diagnose.statistics.temperature import checked_temperature
from fieldsolve.diagnose.theory import COUPLINGS, place_sample
from fieldsolve.embeddings.files import read_modalities
from fieldsolve.embeddings.modality import Modality, modality
from fieldsolve.embeddings.partners import read_groups, read_pairs_table
from fieldsolve.numerics.errors import InputError

Array = np.ndarray
ROOT = Path(__file__).parents[2]


def unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


@pytest.fixture
def both() -> Array:
    """Two matched modalities (2, 40, 6) in single precision."""
    rng = np.random.default_rng(3)
    content = rng.standard_normal((40, 6))
    shifted = [content + 0.15 * rng.standard_normal((40, 6)) + sign * np.eye(6)[0] for sign in (0.7, -0.7)]
    return unit(np.stack(shifted)).astype(np.float32)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["diagnose", *map(str, arguments)])


def refusal(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert result.exit_code == 3, result.output
    assert result.output.count("\n") == 1
    assert "Traceback" not in result.output
    return result.output


def bfloat16(values: Array) -> bytes:
    return (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()


def as_npy(both: Array, folder: Path) -> tuple[str, ...]:
    np.save(folder / "both.npy", both)
    return (f"{folder}/both.npy",)


def as_npz(both: Array, folder: Path) -> tuple[str, ...]:
    np.savez(folder / "both.npz", image=both[0], text=both[1], other=np.zeros(3))
    return f"{folder}/both.npz::image", f"{folder}/both.npz::text"


def as_safetensors(both: Array, folder: Path) -> tuple[str, ...]:
    save_file({"image": both[0], "text": both[1]}, folder / "both.safetensors")
    return (f"{folder}/both.safetensors",)


def as_parquet(both: Array, folder: Path) -> tuple[str, ...]:
    table = {"image": pa.array(list(both[0])), "text": pa.FixedSizeListArray.from_arrays(both[1].ravel(), 6), "id": range(40)}
    parquet.write_table(pa.table(table), folder / "both.parquet")
    return f"{folder}/both.parquet::image", f"{folder}/both.parquet::text"


def as_csv(both: Array, folder: Path) -> tuple[str, ...]:
    names = [f"{name}_{k}" for name in ("image", "text") for k in range(6)]
    rows = np.concatenate(both, axis=1)
    text = "\n".join([",".join(["id", *names]), *(",".join([str(k), *map(repr, row.tolist())]) for k, row in enumerate(rows))])
    (folder / "both.csv").write_text(text)
    return f"{folder}/both.csv::image_", f"{folder}/both.csv::text_"


@pytest.mark.parametrize("write", [as_npy, as_npz, as_safetensors, as_parquet, as_csv])
def test_every_format_holds_the_same_rows(write: Callable[[Array, Path], tuple[str, ...]], both: Array, tmp_path: Path) -> None:
    found = read_modalities(write(both, tmp_path))
    assert len(found) == 2
    for one, expected in zip(found, both, strict=True):
        np.testing.assert_allclose(one.rows, expected, atol=1e-7)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", ">f4"])
def test_types_of_storage_round_differently(kind: str, both: Array, tmp_path: Path) -> None:
    np.save(tmp_path / "both.npy", both.astype(kind))
    first, _ = read_modalities((f"{tmp_path}/both.npy",))
    assert first.rows.dtype == (np.float64 if kind == "float64" else np.float32)
    assert np.abs(np.linalg.norm(first.rows, axis=1) - 1).max() < 1e-6
    np.testing.assert_allclose(first.rows, both[0], atol=1e-3 if kind == "float16" else 1e-6)


def test_columns_are_taken_by_their_whole_name_first(both: Array, tmp_path: Path) -> None:
    table = {"e": list(both[0]), "e_url": ["x"] * 40}
    parquet.write_table(pa.table(table), tmp_path / "x.parquet")
    np.testing.assert_allclose(read_modalities((f"{tmp_path}/x.parquet::e",) * 2)[0].rows, both[0], atol=1e-7)
    rows = unit(both[0] * np.array([0, 1, 1, 1, 1, 1]))
    text = "\n".join(["a,b,c,d,e,f", *(",".join(["0", *map(repr, row[1:].tolist())]) for row in rows)])
    (tmp_path / "x.csv").write_text(text)
    np.testing.assert_allclose(read_modalities((f"{tmp_path}/x.csv",) * 2)[0].rows, rows, atol=1e-6)


def test_bfloat16_is_read_from_safetensors(both: Array, tmp_path: Path) -> None:
    entries = {name: {"dtype": "BF16", "shape": [40, 6], "data_offsets": [k * 480, (k + 1) * 480]} for k, name in enumerate("ab")}
    (tmp_path / "both.safetensors").write_bytes(header(**entries) + bfloat16(both[0]) + bfloat16(both[1]))
    for one, expected in zip(read_modalities((f"{tmp_path}/both.safetensors",)), both, strict=True):
        np.testing.assert_allclose(one.rows, expected, atol=8e-3)
        assert one.lengths != (1.0, 1.0)


def test_pytorch_files_need_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.pt").write_bytes(b"")
    monkeypatch.setattr("fieldsolve.embeddings.archives.find_spec", lambda name: None)
    assert "needs PyTorch" in refusal(tmp_path / "x.pt")


def test_pytorch_files_are_read(both: Array, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.tensor(both[0]).bfloat16(), "b": torch.tensor(both[1])}, tmp_path / "both.pt")
    first, second = read_modalities((f"{tmp_path}/both.pt",))
    np.testing.assert_allclose(first.rows, both[0], atol=8e-3)
    np.testing.assert_array_equal(second.rows, modality("b", both[1]).rows)


class Malicious:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return (pytest.fail, ("it was unpickled",))


def test_nothing_is_unpickled(both: Array, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([Malicious()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=np.array([Malicious()], dtype=object), allow_pickle=True)
    assert "nothing is unpickled" in refusal(tmp_path / "x.npy")
    assert "nothing is unpickled" in refusal(tmp_path / "x.npz")


def header(**entries: object) -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        header(x={"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}),
        header(x={"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 8]}) + bytes(8),
        header(x={"dtype": "F32", "shape": [-1, 4], "data_offsets": [0, 8]}) + bytes(8),
        header(x={"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}) + bytes(8),
        header(x={"dtype": "F8_E4M3", "shape": [4, 2], "data_offsets": [0, 8]}) + bytes(8),
    ],
)
def test_safetensors_headers_that_lie_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    refusal(tmp_path / "x.safetensors")


@given(st.binary(max_size=60), st.integers(0, 200))
def test_damaged_safetensors_are_refused_or_read(noise: bytes, at: int) -> None:
    rows = unit(np.random.default_rng(0).standard_normal((30, 4))).astype(np.float32)
    whole = bytearray(save({"a": rows, "b": rows}))
    whole[at : at + len(noise)] = noise
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        path.write_bytes(bytes(whole))
        try:
            found = read_modalities((str(path),))
        except InputError:
            return
        assert all(np.all(np.isfinite(one.rows)) for one in found)


def test_truncated_files_are_refused(both: Array, tmp_path: Path) -> None:
    for write, name in (
        (as_npy, "both.npy"),
        (as_npz, "both.npz"),
        (as_safetensors, "both.safetensors"),
        (as_parquet, "both.parquet"),
    ):
        sources = write(both, tmp_path)
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        assert name in refusal(*sources)


def test_headers_of_npy_that_claim_too_much_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 2)))
    content = (tmp_path / "x.npy").read_bytes().replace(b"(2, 2)", b"(9999999, 9999999)")
    (tmp_path / "x.npy").write_bytes(content)
    refusal(tmp_path / "x.npy")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: np.where(np.arange(40)[:, None] == 7, np.nan, a), "1 of 40 embeddings have values that are not finite"),
        (lambda a: np.where(np.arange(40)[:, None] < 2, np.inf, a), "2 of 40 embeddings have values that are not finite"),
        (lambda a: np.where(np.arange(40)[:, None] == 3, 0, a), "1 of 40 embeddings are zero"),
        (lambda a: a * np.linspace(1, 2, 40)[:, None], "lengths from 1 to 2"),
        (lambda a: a[:30], "rows match one by one, or by --pairs"),
        (lambda a: unit(a[:, :5]), "both need the same embedding space"),
        (lambda a: a[0], "a table (n, d)"),
        (lambda a: (a * 100).astype(int), "floating-point numbers"),
    ],
)
def test_bad_rows_are_refused_in_a_sentence(change: Callable[[Array], Array], said: str, both: Array, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", both[0])
    np.save(tmp_path / "b.npy", change(both[1]))
    assert said in refusal(tmp_path / "a.npy", tmp_path / "b.npy")


def test_other_refusals(both: Array, tmp_path: Path) -> None:
    (source,) = as_npy(both, tmp_path)
    np.save(tmp_path / "few.npy", both[:, : FEWEST_PAIRS - 1])
    np.save(tmp_path / "one.npy", both[0])
    (tmp_path / "x.bin").write_bytes(b"")
    assert "too few" in refusal(tmp_path / "few.npy")
    assert "hold one modality" in refusal(tmp_path / "one.npy")
    assert "no such file" in refusal(tmp_path / "none.npy")
    assert "are read from" in refusal(tmp_path / "x.bin")
    assert "holds no array 'x'" in refusal(as_npz(both, tmp_path)[0].replace("image", "x"))
    assert "leave out ::x" in refusal(f"{source}::x")
    for option, value, said in (
        ("--tau", "0", "at least 0.003"), ("--tau", "nan", "at least 0.003"), ("--logit-scale", "5000", "at most 333"),
        ("--exchanges", "20", "99<=x"), ("--exchanges", "1" + "0" * 20, "x<=100000"), ("--pairs", "a\0b", "zero"),
    ):  # fmt: skip
        out_of_range = run(source, option, value)
        assert out_of_range.exit_code == 2
        assert said in out_of_range.output
    assert "--loss siglip" in run(source, "--bias", "-3").output
    both_given = run(source, "--tau", "0.1", "--logit-scale", "10")
    assert both_given.exit_code == 2
    assert "give one of them" in both_given.output
    assert run(source, "--corrupt", "0.5,2").exit_code == run(source, "--corrupt", "nan").exit_code == 2
    assert run(source, "--corrupt", "a").exit_code == 2
    (tmp_path / "groups.txt").write_text("x\n" * 39)
    assert "one label for each of the 40 rows" in refusal(source, "--corrupt", "0.5", "--groups", tmp_path / "groups.txt")
    assert "not (39,)" in refusal(source, "--groups", tmp_path / "groups.txt")
    (tmp_path / "groups.txt").write_text("\n".join(map(str, range(40))))
    assert "a group of its own" in refusal(source, "--corrupt", "0.5", "--groups", tmp_path / "groups.txt")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ([[0, 0], [1, 40]], "1 of 2 pairs point outside"),
        ([[-1, 0]], "point outside"),
        ([[0, 0], [0, 1], [1, 0], [1, 1]], "matched many to many"),
        ([[0, 0], [0, 0]], "listed more than once"),
        ([[0, 1, 2]], "two columns"),
        ([[0, 0], [1, 1]], "too few"),
    ],
)
def test_pairs_that_cannot_be(table: list[list[int]], said: str, both: Array, tmp_path: Path) -> None:
    np.save(tmp_path / "pairs.npy", np.array(table))
    assert said in refusal(*as_npy(both, tmp_path), "--pairs", tmp_path / "pairs.npy")
    np.save(tmp_path / "pairs.npy", np.array(table) + 0.5)
    assert "whole numbers" in refusal(*as_npy(both, tmp_path), "--pairs", tmp_path / "pairs.npy")


def test_pairs_and_groups_come_as_numpy_or_text(tmp_path: Path) -> None:
    table = np.array([[0, 2], [1, 0]])
    np.save(tmp_path / "p.npy", table)
    (tmp_path / "p.csv").write_text("0,2\n1,0\n")
    for name in ("p.npy", "p.csv"):
        np.testing.assert_array_equal(read_pairs_table(tmp_path / name), table)
    (tmp_path / "g.txt").write_text("cat\ndog\ncat\n")
    np.save(tmp_path / "g.npy", np.array([5, 9, 5]))
    np.testing.assert_array_equal(read_groups(tmp_path / "g.txt"), ["cat", "dog", "cat"])
    np.testing.assert_array_equal(read_groups(tmp_path / "g.npy"), [5, 9, 5])
    (tmp_path / "p.csv").write_text("a,b\n")
    with pytest.raises(InputError, match="holds no pairs"):
        read_pairs_table(tmp_path / "p.csv")


def test_rows_without_partner_are_left_out_and_said(both: Array) -> None:
    first, second = (modality(name, rows) for name, rows in zip("ab", both, strict=True))
    sample = match(first, second, np.stack([np.arange(5, 35)] * 2, axis=1))
    assert sample.pairs == sample.independent == 30
    np.testing.assert_array_equal(sample.second.rows, second.rows[5:35])
    np.testing.assert_array_equal(sample.partners, [np.arange(30)] * 2)
    assert any("10 rows of a have no partner" in note for note in sample.notes)


def test_a_modality_against_itself_and_two_points_have_verdicts(both: Array, tmp_path: Path) -> None:
    np.save(tmp_path / "same.npy", both[[0, 0]])
    said = run(tmp_path / "same.npy", "--exchanges", "99").output
    assert "Nothing wrong is visible" in said
    np.save(tmp_path / "points.npy", np.tile(np.eye(4)[:2], (2, 15, 1)))
    assert run(tmp_path / "points.npy", "--exchanges", "99").exit_code == 0


def test_temperatures() -> None:
    assert checked_temperature(0.2) == 0.2
    assert checked_temperature(None) == 0.07


def sample_of(both: Array) -> tuple[Modality, Modality]:
    first, second = (modality(name, rows) for name, rows in zip("ab", both, strict=True))
    return first, second


def test_corruption_replaces_within_groups_and_more_and_more(both: Array) -> None:
    sample = match(*sample_of(both))
    groups = np.arange(40) % 4
    how = Replacement((0.0, 0.3, 0.6, 1.0), groups)
    found = corrupt_partners(sample, how, 0, lambda one: measure(one, 0.2, exchanges=99))
    shares = [one.replaced for one in found]
    assert shares[0] == 0
    assert shares[-1] == 1
    assert shares == sorted(shares)
    assert 0.1 < shares[1] < 0.5
    recalls = [one.measurement.metrics["recall_a_to_b_at_1"].value for one in found]
    assert recalls[0] > 0.5 > 0.2 > recalls[-1]
    for p in (0.5, 1.0):
        others = sample.second.rows @ corrupted_rows(sample.second.rows, groups, p).T
        assert np.all(groups[np.argmax(others, axis=0)] == groups)


def corrupted_rows(rows: Array, groups: Array, probability: float) -> Array:
    from fieldsolve.diagnose.corruption import _others

    rng = np.random.default_rng(1)
    others = _others(np.arange(len(rows)), groups, rng)
    assert np.all(others != np.arange(len(rows)))
    return rows[np.where(rng.random(len(rows)) < probability, others, np.arange(len(rows)))]


def test_rows_alone_in_their_group_stay() -> None:
    from fieldsolve.diagnose.corruption import _others

    clusters = np.array([0, 0, 1, 1, 2])
    drawn = np.array([_others(clusters, np.array([0, 0, 0, 0, 1]), np.random.default_rng(seed)) for seed in range(200)])
    assert np.all(drawn[:, 4] == 4)
    assert set(drawn[:, 0]) == {2, 3}
    assert set(drawn[:, 3]) == {0, 1}


def test_the_sample_has_its_place_among_equilibria(both: Array) -> None:
    place = place_sample(match(*sample_of(both)), 0.3, np.random.default_rng(0))
    np.testing.assert_allclose(place.density.mean(axis=1), 1, atol=1e-9)
    assert place.density.min() >= place.floor * (1 - 1e-9)
    for points, density in zip(place.pairs.points, place.density, strict=True):
        centroid = (place.grid.points().T * density).mean(axis=1)
        assert centroid @ points.mean(axis=0) > 0.95 * np.linalg.norm(centroid) * np.linalg.norm(points.mean(axis=0))
    assert 0 < place.pairs.retained_fraction < 1
    # No state has less energy than the equilibrium, up to its certified gap.
    assert np.all(place.excess >= -1e-9)
    assert np.nanmax(np.abs(place.certified_gaps)) < 1e-2
    assert place.equilibrium_kls[-1] > place.equilibrium_kls[0]
    effective = place.potentials[0] / 0.3 + np.log(place.density[1])
    np.testing.assert_allclose(place.effective_potentials[0], effective, rtol=1e-12)
    assert place.nearest_coupling in COUPLINGS
    assert place.dispersion.dimension == 6


def test_a_gap_that_the_sphere_does_not_resolve_is_left_alone() -> None:
    rng = np.random.default_rng(0)
    middles = unit(rng.standard_normal((5, 256)))
    x = unit(middles[rng.integers(0, 5, 100)] + 3e-5 * rng.standard_normal((100, 256)) / 16)
    y = unit(x + 3e-3 * unit(rng.standard_normal(256)) + 1e-5 * rng.standard_normal((100, 256)) / 16)
    (comparison,) = diagnose(x, y, tau=0.07, exchanges=99).with_theory().comparisons
    assert comparison.place is not None
    assert any("finest sphere here resolves" in sentence for sentence in comparison.place.sentences)


def test_two_components_stand_on_the_equator() -> None:
    angles = np.random.default_rng(0).vonmises(0, 2, (2, 30))
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    place = place_sample(match(*sample_of(rows)), 0.3, np.random.default_rng(0))
    assert place.pairs.retained_fraction == 1
    assert np.all(place.pairs.points[..., 2] == 0)


def test_three_modalities_are_compared_in_pairs(both: Array) -> None:
    third = unit(both[1] + 0.1 * np.random.default_rng(0).standard_normal((40, 6)))
    found = diagnose(*sample_of(both), modality("c", third), tau=0.2, exchanges=99)
    summary = found.summary()
    assert [(one["first"], one["second"]) for one in summary["comparisons"]] == [("a", "b"), ("a", "c"), ("b", "c")]
    gaps = [one["metrics"]["centroid_gap"]["value"] for one in summary["comparisons"]]
    assert gaps[2] < min(gaps[:2])
    written = files(found)
    assert {"1_metrics.png", "3_cosines.png", "report.html"} <= set(written)


def test_the_command_writes_what_a_colleague_can_read(both: Array, tmp_path: Path) -> None:
    (source,) = as_npy(both, tmp_path)
    folder = tmp_path / "gap"
    arguments = (source, "-o", folder, "--tau", "0.2", "--exchanges", "99", "--corrupt", "0.5", "--theory")
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    assert "have centroids" in done.output
    names = {path.name for path in folder.iterdir()}
    pictures = {f"{name}.png" for name in ("cosines", "metrics", "sky", "equilibria", "corruption")}
    assert names == {"summary.json", "metrics.csv", "table.md", "table.tex", "report.html", "mixed.png", "freedom.png", *pictures}
    summary = json.loads((folder / "summary.json").read_text())
    gap = summary["metrics"]["centroid_gap"]
    assert gap["ci_low"] < gap["value"] < gap["ci_high"]
    assert gap["p_value"] == 0.01
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 7
    assert not re.search(r"(src|href)=.?https?:", page)
    said = [summary["summary"], *(one["sentence"] for one in summary["findings"]), *summary["theory"]]
    for sentence in said:
        assert sentence in html.unescape(page)
        assert sentence in done.output
    assert page.index(summary["summary"][:40]) < page.index("<figure") < page.index("<details><summary>All metrics")
    assert f"{summary['dispersion']['least_penalty']:.4f}" in summary["theory"][-1]
    assert summary["dispersion"]["least_penalty"] == pytest.approx(1 - summary["dispersion"]["breaks_at"])
    table = csv.DictReader((folder / "metrics.csv").read_text().splitlines())
    rows = {(row["corrupted"], row["metric"]): row for row in table}
    assert float(rows["0.0", "centroid_gap"]["value"]) == gap["value"]
    assert float(rows["0.5", "recall_a_to_b_at_1"]["value"]) < float(rows["0.0", "recall_a_to_b_at_1"]["value"])
    assert r"centroid\_gap" in (folder / "table.tex").read_text()
    assert "holds results already" in run(*arguments).output
    again = run(source, "-o", folder, "--tau", "0.2", "--exchanges", "99", "--force")
    assert again.exit_code == 0
    assert not (folder / "corruption.png").exists()
    shown = CliRunner().invoke(main, ["show", str(folder)])
    assert "centroid_gap" in shown.output
    assert json.loads(CliRunner().invoke(main, ["show", str(folder), "--json"]).output)["schema"] == "fieldsolve/diagnose/3"


def test_json_has_every_metric_and_repeats(both: Array, tmp_path: Path) -> None:
    (source,) = as_npy(both, tmp_path)
    first, second = (run(source, "--json", "--exchanges", "99", "--threads", count).stdout for count in ("1", "2"))
    assert first == second
    summary = json.loads(first)
    optional = {"alignment_within_a", "alignment_within_b", "siglip", "best_bias"}
    assert set(summary["metrics"]) == set(definitions()) - optional
    assert summary["metrics"]["cosine_matched_mean"]["p_value"] is None
    assert summary["tests"]["count"] == sum(one["p_value"] is not None for one in summary["metrics"].values())
    assert "sphere" not in summary
    assert summary["metrics"]["recall_a_to_b_at_1"].keys() >= {"value", "ci_low", "ci_high", "p_value"}
    assert any("no temperature was given" in note for note in summary["notes"])


def test_a_first_answer_is_twenty_lines_and_loads_no_theory(both: Array, tmp_path: Path) -> None:
    (source,) = as_npy(both, tmp_path)
    code = (
        "import sys; from fieldsolve.cli import main\n"
        f"try: main(['diagnose', {source!r}])\n"
        "except SystemExit: print([name for name in ('scipy.stats', 'scipy.special', 'matplotlib', 'healpy', "
        "'fieldsolve.equilibrium.solve', 'fieldsolve.diagnose.theory') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *lines, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    assert len(lines) <= 20


def test_losses_are_said_with_their_chance(both: Array, tmp_path: Path) -> None:
    (source,) = as_npy(both, tmp_path)
    for arguments, name, chance in ((("--loss", "siglip", "--bias", "-5"), "siglip", 4.66), ((), "infonce", np.log(40))):
        summary = json.loads(run(source, "--json", "--tau", "0.2", *arguments).stdout)
        assert summary["loss"]["name"] == name
        assert summary["loss"]["chance"] == pytest.approx(chance, abs=0.02)
        assert summary["metrics"][name]["value"] > 0
        assert summary["loss"]["batch"] == 40


def test_many_pairs_are_drawn_from(both: Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fieldsolve.diagnose.sample.MOST_CLUSTERS", 25)
    monkeypatch.setattr("fieldsolve.diagnose.diagnosis.MOST_CLUSTERS", 25)
    (source,) = as_npy(both, tmp_path)
    summary = json.loads(run(source, "--json", "--tau", "0.2").stdout)
    assert summary["pairs"] == summary["clusters"] == 25
    assert any("25 of 40 pairs were drawn" in note for note in summary["notes"])
    # The same rows from arrays, and the same from a file of pairs, whose clusters are drawn.
    for found in (diagnose(*both, tau=0.2, exchanges=99), diagnose(*both, tau=0.2, pairs=np.stack([np.arange(40)] * 2, axis=1))):
        assert found.comparisons[0].sample.pairs == 25
        rows = found.comparisons[0].sample
        cosines = np.sum(rows.first.rows[rows.partners[0]] * rows.second.rows[rows.partners[1]], axis=1)
        assert np.all(np.isin(np.round(cosines, 4), np.round(np.sum(both[0] * both[1], axis=1), 4)))
    found = diagnose(*both, tau=0.2, corrupt=(0.5,), groups=np.arange(40) % 2, exchanges=99)
    assert found.comparisons[0].corruptions[0].replaced > 0.2


def test_a_family_of_metrics_is_one_file_and_one_line(both: Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    definition = Definition("farthest", "farthest pair", "max r", "this test", "How far rows are apart at most.", moves=False)

    def measured(pooled: Pooled, rng: np.random.Generator) -> dict[str, Metric]:
        return {"farthest": Metric(2 * float(np.sqrt(pooled.cloud.lengths.max())))}

    monkeypatch.setattr(table, "FAMILIES", (*table.FAMILIES, Family("extent", "Extent", (definition,), measured)))
    (source,) = as_npy(both, tmp_path)
    found = run(source, "--tau", "0.2", "--exchanges", "99", "-o", tmp_path / "out", "--json")
    assert json.loads(found.stdout)["metrics"]["farthest"]["value"] > 0
    assert "farthest" in (tmp_path / "out" / "metrics.csv").read_text()
    assert "How far rows are apart" in (tmp_path / "out" / "report.html").read_text()
    assert "`farthest`" in documentation()


def test_the_documentation_has_every_definition() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text()
    for number, said in (
        (MOST_CLUSTERS, f"{MOST_CLUSTERS:,}".replace(",", " ")),
        (MOST_GROUPS, f"{MOST_GROUPS} groups"),
        (FEWER, f"first {FEWER}"),
    ):
        assert said in text, number
    assert f"at most {FEWER} of costly ones" in " ".join(run("--help").output.split())
    assert documentation().strip() in (ROOT / "docs" / "metrics.md").read_text()
