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


def test_the_summary_is_the_first_file_to_go_and_the_last_to_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever a replacement is cut short, what is left does not count as results."""
    folder, moved, gone = tmp_path / "run", [], []
    write_files(folder, {"schema": "a/1"}, {"a.csv": b"a", "z.csv": b"z"})
    rename, unlink = Path.rename, Path.unlink

    def renamed(self: Path, target: Path) -> Path:
        moved.append(self.name)
        return rename(self, target)

    def unlinked(self: Path, missing_ok: bool = False) -> None:
        gone.append(self.name)
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(Path, "unlink", unlinked)
    write_files(folder, {"schema": "a/1"}, {"a.csv": b"a", "z.csv": b"z"}, overwrite=True)
    assert moved == ["a.csv", "z.csv", "summary.json"]
    assert gone[0] == "summary.json"
    assert set(gone) >= {"a.csv", "z.csv"}
