"""Results on disk: whole or not at all, and back again to the last bit."""

import json
from pathlib import Path

import numpy as np
import pytest
from faults import ended_everywhere
from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.equilibrium import storage
from fieldsolve.equilibrium.potentials import flat, mixture, two_well
from fieldsolve.equilibrium.solution import Solution
from fieldsolve.grids import Circle, Healpix
from fieldsolve.numerics.errors import Advice, InputError
from fieldsolve.output.summary import read_summary, summary_text


def solutions() -> dict[str, Solution]:
    rng = np.random.default_rng(1)
    pairs = fs.from_embeddings(*(rng.standard_normal((2, 40, 6)) + 1), normalize=True).potentials()
    wells = mixture(np.array([[1.0, 0.0]]), 3.0)
    return {
        "unimodal": fs.Problem(two_well(), tau=0.3, floor=0.05, grid=Healpix(8)).solve(),
        "multimodal": fs.Problem([two_well(), flat()], tau=0.3, floor=1e-3, grid=Healpix(8)).solve(),
        "pairs": fs.Problem(pairs, tau=0.3, floor=1e-3, coupling=0.5, grid=Healpix(8)).solve(),
        "circle": fs.Problem([wells, wells], tau=0.3, floor=1e-3, energy="smoothed", grid=Circle(40)).solve(),
        "unresolved": fs.Problem(two_well(), tau=0.01, grid=Healpix(2)).solve(),
    }


@pytest.mark.parametrize("kind", list(solutions()))
def test_results_come_back_to_the_last_bit(kind: str, tmp_path: Path) -> None:
    solution = solutions()[kind]
    folder = tmp_path / "new" / "run"
    storage.save(solution, folder)
    again = fs.load(folder)
    np.testing.assert_array_equal(again.density, solution.density)
    np.testing.assert_array_equal(again.potentials, solution.potentials)
    for name in ("energy", "stationarity", "length"):
        np.testing.assert_array_equal(getattr(again.trace, name), getattr(solution.trace, name))
    assert again.summary() == solution.summary()
    assert (again.pairs is None) == (solution.pairs is None)
    names = {path.name for path in folder.iterdir()}
    fields = "fields.npz" if kind == "circle" else "fields.fits"
    assert names - {"pairs.npz"} == {"summary.json", fields, "trace.csv", "figure.png"}
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_existing_folders_are_kept(tmp_path: Path) -> None:
    solution = solutions()["unimodal"]
    folder = tmp_path / "run"
    storage.save(solution, folder)
    before = (folder / "summary.json").read_bytes()
    with pytest.raises(InputError, match="--force"):
        storage.save(solution, folder)
    storage.save(solution, folder, overwrite=True)
    assert (folder / "summary.json").read_bytes() == before
    (folder / "notes.txt").write_text("mine")
    storage.save(solutions()["pairs"], folder, overwrite=True)
    storage.save(solution, folder, overwrite=True)
    assert (folder / "notes.txt").read_text() == "mine"
    assert not (folder / "pairs.npz").exists()
    (tmp_path / "link").symlink_to(folder)
    storage.save(solution, tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert fs.load(folder).energy == solution.energy
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="no fieldsolve results"):
        storage.save(solution, foreign, overwrite=True)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        storage.save(solution, tmp_path / "file")
    empty = tmp_path / "empty"
    empty.mkdir()
    storage.save(solution, empty)
    assert fs.load(empty).energy == solution.energy


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failed_write_leaves_nothing_and_loses_nothing(
    overwrite: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solution = solutions()["unimodal"]
    folder = tmp_path / "run"
    if overwrite:
        storage.save(solution, folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "_trace_text", full)
    with pytest.raises(InputError, match="the disk is full"):
        storage.save(solution, folder, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == (["run"] if overwrite else [])
    if overwrite:
        assert fs.load(folder).energy == solution.energy


def test_a_replacement_keeps_the_old_or_brings_the_new_wherever_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = solutions()["unimodal"], solutions()["pairs"]
    monkeypatch.setattr("fieldsolve.equilibrium.pictures.plot", lambda solution: Figure())  # pictures take seconds each
    found = set()
    for kind, folder in ended_everywhere(
        tmp_path,
        lambda folder: storage.save(first, folder),
        lambda folder: storage.save(second, folder, overwrite=True),
        least=20,
    ):
        held = fs.load(folder).summary()
        assert held in (first.summary(), second.summary())
        found.add((kind, held == second.summary()))
        storage.save(second, folder, overwrite=True)
        assert fs.load(folder).summary() == second.summary()
        assert {path.name for path in folder.iterdir()} == {"summary.json", "fields.fits", "pairs.npz", "trace.csv", "figure.png"}
    assert found == {(kind, is_new) for kind in ("full", "interrupted", "killed") for is_new in (False, True)}


def test_every_change_of_a_summary_or_field_is_noticed(tmp_path: Path) -> None:
    solution = solutions()["multimodal"]
    storage.save(solution, tmp_path / "run")
    path = tmp_path / "run" / "summary.json"
    whole = path.read_bytes()
    values = json.loads(whole)
    for name in values:
        for damaged in (None, [], -1, "x"):
            path.write_text(json.dumps(values | {name: damaged}))
            if values[name] != damaged:
                with pytest.raises(InputError, match=r"checksum|schema|earlier version"):
                    fs.load(tmp_path / "run")
    path.write_bytes(whole)
    for name in ("fields.fits", "trace.csv"):
        content = (tmp_path / "run" / name).read_bytes()
        middle = len(content) // 2
        (tmp_path / "run" / name).write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        with pytest.raises(InputError, match=rf"^[^:]*run: {name} is damaged"):
            fs.load(tmp_path / "run")
        (tmp_path / "run" / name).write_bytes(content)
    assert fs.load(tmp_path / "run").summary() == solution.summary()


def test_numbers_are_written_without_their_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> Figure:
        raise RuntimeError("latex was not able to process the following string")

    solution = solutions()["unimodal"]
    monkeypatch.setattr("fieldsolve.equilibrium.pictures.plot", fail)
    with pytest.warns(Advice, match="no picture, matplotlib failed: RuntimeError: latex"):
        storage.save(solution, tmp_path / "run")
    assert not (tmp_path / "run" / "figure.png").exists()
    assert fs.load(tmp_path / "run").summary() == solution.summary()


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(storage, "_fields", interrupted)
    with pytest.raises(KeyboardInterrupt):
        storage.save(solutions()["unimodal"], tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_folders_without_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no complete"):
        fs.load(tmp_path)
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        fs.load(tmp_path)
    (tmp_path / "summary.json").write_text('{"schema": "other/1"}')
    with pytest.raises(InputError, match="schema"):
        fs.load(tmp_path)
    folder = tmp_path / "run"
    storage.save(solutions()["unimodal"], folder)
    (folder / "fields.fits").unlink()
    with pytest.raises(InputError, match=r"fields\.fits is missing"):
        fs.load(folder)


def test_results_without_a_trace_are_incomplete(tmp_path: Path) -> None:
    storage.save(fs.Problem(flat(), tau=1.0, grid=Circle(8)).solve(), tmp_path / "run")
    (tmp_path / "run" / "trace.csv").unlink()
    with pytest.raises(InputError, match=r"trace\.csv is missing"):
        fs.load(tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="no complete fieldsolve results"):
        fs.load(tmp_path / "file")


def test_folders_from_before_the_discretisation_error_are_read(tmp_path: Path) -> None:
    storage.save(solutions()["unimodal"], tmp_path / "run")
    summary = read_summary(tmp_path / "run")
    files = summary.pop("files")
    del summary["discretisation_error"]
    (tmp_path / "run" / "summary.json").write_text(summary_text(summary, files))
    assert fs.load(tmp_path / "run").discretisation_error is None
