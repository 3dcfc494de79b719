"""Files and folders that appear whole or not at all."""

from pathlib import Path

import pytest

from fieldsolve.numerics.errors import InputError
from fieldsolve.output.folders import read_summary, write_files, write_whole


def test_files_are_written_whole(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_whole(tmp_path / "none" / "cells.csv", b"x")
    write_whole(tmp_path / "cells.csv", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["cells.csv"]


def test_a_summary_lists_its_files_and_they_go_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write_files(folder, {"schema": "a/1"}, {"a.csv": b"a", "b.csv": b"b"})
    (folder / "mine.txt").write_text("mine")
    assert read_summary(folder, ("a/1",)) == {"schema": "a/1", "files": ["a.csv", "b.csv", "summary.json"]}
    assert read_summary(folder, ("b/1",)) is None
    write_files(folder, {"schema": "a/1"}, {"c.csv": b"c"}, overwrite=True)
    assert sorted(path.name for path in folder.iterdir()) == ["c.csv", "mine.txt", "summary.json"]
