"""Folders and files that appear whole or not at all, and that nobody loses."""

import errno
import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from faults import ended_everywhere

from fieldsolve.numerics.errors import InputError
from fieldsolve.output.folders import check_folder, recover, write_files, write_folder, write_whole
from fieldsolve.output.summary import SUMMARY, read_summary, summary_text

SCHEMA = "fieldsolve/test/1"
OLD = {"a.csv": b"old a", "b.csv": b"old b"}
NEW = {"a.csv": b"new a", "c.csv": b"new c"}


def write(folder: Path, files: dict[str, bytes], overwrite: bool = True) -> None:
    write_files(folder, {"schema": SCHEMA}, files, overwrite)


def content(folder: Path) -> dict[str, bytes]:
    """The files of the results in a folder; raises InputError if there are none."""
    recover(folder)
    return {name: (folder / name).read_bytes() for name in read_summary(folder)["files"]}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_files_are_written_whole(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_whole(tmp_path / "none" / "cells.csv", b"x")
    write_whole(tmp_path / "cells.csv", b"x")
    assert names(tmp_path) == {"cells.csv"}


def test_a_summary_lists_its_files_and_they_go_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write(folder, OLD)
    (folder / "mine.txt").write_text("mine")
    assert set(read_summary(folder)["files"]) == set(OLD)
    write(folder, NEW)
    assert names(folder) == {"a.csv", "c.csv", "mine.txt", "summary.json"}
    assert names(tmp_path) == {"run"}


def test_the_checksum_is_the_usual_one(tmp_path: Path) -> None:
    """CRC-32 as zip and png have it, whose published check value is that of these nine digits."""
    write(tmp_path / "run", {"a.csv": b"123456789"})
    assert read_summary(tmp_path / "run")["files"] == {"a.csv": {"bytes": 9, "crc32": 0xCBF43926}}


# --- ends at every moment


def test_a_replacement_keeps_the_old_or_brings_the_new_wherever_it_ends(tmp_path: Path) -> None:
    def prepare(folder: Path) -> None:
        write(folder, OLD)
        (folder / "mine.txt").write_text("mine")

    found = set()
    for kind, folder in ended_everywhere(tmp_path, prepare, lambda folder: write(folder, NEW), least=15):
        held = content(folder)
        assert held in (OLD, NEW), (kind, folder)
        found.add((kind, held == NEW))
        assert (folder / "mine.txt").read_text() == "mine"
        write(folder, NEW)
        assert content(folder) == NEW
        assert names(folder) == {"a.csv", "c.csv", "mine.txt", "summary.json"}, (kind, folder)
        assert names(folder.parent) == {"run"}
    assert found == {(kind, is_new) for kind in ("full", "interrupted", "killed") for is_new in (False, True)}


def test_a_recovery_may_end_anywhere_too(tmp_path: Path) -> None:
    """Killed halfway through an exchange, then killed at each moment of putting that right."""
    killed = tmp_path / "killed"
    killed.mkdir()
    for _, half in ended_everywhere(killed, lambda folder: write(folder, OLD), lambda folder: write(folder, NEW), least=15):
        if not any(name.startswith(".fieldsolve-old-") for name in names(half)):
            continue
        at = half.parent / "again"
        at.mkdir()

        def prepare(folder: Path, half: Path = half) -> None:
            folder.mkdir()
            for path in half.rglob("*"):
                target = folder / path.relative_to(half)
                target.mkdir() if path.is_dir() else target.write_bytes(path.read_bytes())

        for _, folder in ended_everywhere(at, prepare, recover, least=1):
            assert content(folder) in (OLD, NEW)
            assert names(folder) == {*content(folder), "summary.json"}


@pytest.mark.parametrize("is_there", [False, True])
def test_new_results_are_whole_or_not_there(is_there: bool, tmp_path: Path) -> None:
    def prepare(folder: Path) -> None:
        if is_there:
            folder.mkdir()

    for kind, folder in ended_everywhere(tmp_path, prepare, lambda folder: write(folder, NEW), least=10):
        if (folder / "summary.json").exists():
            assert content(folder) == NEW, kind
        else:
            with pytest.raises(InputError, match="no complete"):
                content(folder)
        write(folder, NEW)
        assert content(folder) == NEW
        assert names(folder) == {"a.csv", "c.csv", "summary.json"}
        assert names(folder.parent) == {"run"}


# --- two runs


@pytest.mark.parametrize("is_there", [False, True])
def test_two_runs_into_one_folder_both_keep_their_results(is_there: bool, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    if is_there:
        folder.mkdir()

    def fill(parts: Path) -> dict[str, Any]:
        write(folder, OLD, overwrite=False)  # the other run is faster
        (parts / "a.csv").write_bytes(NEW["a.csv"])
        return {"schema": SCHEMA}

    with pytest.raises(InputError, match=r"The new results are in .*run-2"):
        write_folder(folder, fill, overwrite=False)
    assert content(folder) == OLD
    assert content(tmp_path / "run-2") == {"a.csv": NEW["a.csv"]}
    assert names(tmp_path) == {"run", "run-2"}


def test_what_a_living_run_is_at_is_not_taken_from_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write(folder, OLD)

    def fill(parts: Path) -> dict[str, Any]:
        check_folder(folder, overwrite=True)
        recover(folder)
        (parts / "a.csv").write_bytes(NEW["a.csv"])
        return {"schema": SCHEMA}

    write_folder(folder, fill, overwrite=True)
    assert content(folder) == {"a.csv": NEW["a.csv"]}


def test_where_nothing_can_be_locked_age_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    folder = tmp_path / "run"
    write(folder, OLD)
    for name, age in (("new-old", 3700), ("new-young", 100), ("old-old", 100), ("old-young", 30)):
        path = folder / f".fieldsolve-{name}"
        path.mkdir()
        os.utime(path, (time.time() - age,) * 2)
    recover(folder)
    assert names(folder) == {*OLD, "summary.json", ".fieldsolve-new-young", ".fieldsolve-old-young"}
    write(folder, NEW)
    assert content(folder) == NEW


def test_what_nobody_is_at_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write(folder, OLD)
    (folder / ".fieldsolve-new-left").mkdir()
    (folder / ".fieldsolve-new-held").mkdir()
    handle = os.open(folder / ".fieldsolve-new-held", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    recover(folder)
    assert names(folder) == {*OLD, "summary.json", ".fieldsolve-new-held"}
    os.close(handle)
    recover(folder)
    assert names(folder) == {*OLD, "summary.json"}


# --- other people's files


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        ({"files": ["thesis.tex", ".."]}, "names none of its schemas"),
        ({"schema": "other/1", "files": {}}, "names none of its schemas"),
        ({"schema": "fieldsolve/unimodal/1", "files": ["thesis.tex"]}, "earlier version"),
        ({"schema": SCHEMA, "files": {"thesis.tex": {"bytes": 4, "crc32": 0}}, "checksum": 0}, "changed by hand"),
        (["thesis.tex"], "names none of its schemas"),
    ],
)
def test_a_summary_is_not_enough_to_be_ours(summary: Any, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=message):
        write(folder, NEW)
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert (folder / "thesis.tex").read_text() == "mine"
    assert names(folder) == {"summary.json", "thesis.tex"}


def test_what_is_not_as_it_was_written_stays(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write(folder, OLD)
    (folder / "b.csv").write_bytes(b"my b!")
    with pytest.raises(InputError, match=r"b\.csv: is not as fieldsolve wrote it"):
        write(folder, NEW)
    (folder / "b.csv").unlink()
    (folder / "b.csv").symlink_to(folder / "a.csv")
    with pytest.raises(InputError, match=r"b\.csv: is not as fieldsolve wrote it"):
        write(folder, NEW)
    assert (folder / "a.csv").read_bytes() == OLD["a.csv"]
    (folder / "b.csv").unlink()
    write(folder, NEW)
    assert content(folder) == NEW


def test_a_file_in_the_way_sends_new_results_beside(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write(folder, OLD)
    (folder / "c.csv").write_text("mine")
    with pytest.raises(InputError, match=r"c\.csv: is not fieldsolve's.*The new results are in .*run-2"):
        write(folder, NEW)
    assert content(folder) == OLD
    assert (folder / "c.csv").read_text() == "mine"
    assert content(tmp_path / "run-2") == NEW


def test_names_outside_a_folder_are_no_files_of_it(tmp_path: Path) -> None:
    for name in ("..", "../a.csv", "/etc/passwd", "", "summary.json"):
        (tmp_path / SUMMARY).write_text(summary_text({"schema": SCHEMA}, {name: {"bytes": 0, "crc32": 0}}))
        with pytest.raises(InputError, match="lists files outside"):
            read_summary(tmp_path)
