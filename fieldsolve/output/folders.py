"""Folders of results that appear whole or not at all, and single files likewise."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fieldsolve.numerics.errors import InputError
from fieldsolve.output.tables import to_json

#: What a folder holds counts as results once this is there: it is the first file to go and the last to come.
SUMMARY = "summary.json"


def check_folder(folder: Path, overwrite: bool) -> None:
    """Raise InputError unless results can be written to a folder: before a long solve rather than after it."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; results need a folder")
    present = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if present and SUMMARY not in present:
        raise InputError(f"{folder}: is not empty and holds no fieldsolve results; choose another folder")
    if present and not overwrite:
        raise InputError(f"{folder}: holds results already; choose another folder, or replace them with --force")
    with stage(folder):
        pass


def write_folder(folder: Path, fill: Callable[[Path], None], overwrite: bool) -> None:
    """Let `fill` write files to a temporary folder, summary.json among them, and move them in, all or nothing.

    A new folder appears whole. In one with earlier results (replaced only if overwrite is set) the summary goes first and comes
    last; the files that it lists under `files` go with it, and others stay. Raises InputError if the folder holds something
    else, or cannot be written.
    """
    check_folder(folder, overwrite)
    with stage(folder) as parts:
        fill(parts)
        if not folder.exists():
            parts.rename(folder)
            return
        for name in (SUMMARY, *_listed(folder)):
            (folder / name).unlink(missing_ok=True)
        for path in sorted(parts.iterdir(), key=lambda path: (path.name == SUMMARY, path.name)):
            path.rename(folder / path.name)


def write_files(folder: Path, values: dict[str, Any], files: dict[str, bytes], overwrite: bool = False) -> None:
    """Write a summary, and files by name, to a folder, as `write_folder` does; the summary lists them."""

    def fill(parts: Path) -> None:
        for name, content in files.items():
            (parts / name).write_bytes(content)
        write_summary(parts, values)

    write_folder(folder, fill, overwrite)


def write_summary(parts: Path, values: dict[str, Any]) -> None:
    """Write summary.json to a folder that is being filled: the values, and the names of the files that are there."""
    names = sorted({path.name for path in parts.iterdir()} | {SUMMARY})
    (parts / SUMMARY).write_text(to_json(values | {"files": names}) + "\n")


def read_summary(folder: Path, schemas: tuple[str, ...]) -> dict[str, Any] | None:
    """The summary of results with one of these schemas in a folder, or None if it holds something else."""
    try:
        summary = json.loads((folder / SUMMARY).read_text())
    except (OSError, ValueError):
        return None
    return summary if isinstance(summary, dict) and summary.get("schema") in schemas else None


def _listed(folder: Path) -> list[str]:
    """The files that earlier results' summary says are theirs."""
    try:
        listed = json.loads((folder / SUMMARY).read_text()).get("files", [])
    except (OSError, ValueError, AttributeError):
        return []
    return [name for name in listed if isinstance(name, str) and name == Path(name).name]


@contextmanager
def stage(folder: Path) -> Iterator[Path]:
    """A temporary folder on the same disk: in the given one if it exists, else beside it; it goes away at the end."""
    try:
        home = folder if folder.exists() else folder.parent
        home.mkdir(parents=True, exist_ok=True)
        parts = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=home))
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        parts.chmod(0o777 & ~_umask())
        yield parts
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(parts, ignore_errors=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name first, so that it appears whole or not at all. Raises InputError if it cannot be."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise _unwritable(path, error) from error


def _unwritable(folder: Path, error: OSError) -> InputError:
    # astropy words a full disk itself, without the error's number
    if error.errno == errno.ENOSPC or "space on disk" in str(error):
        return InputError(f"{folder}: cannot be written: the disk is full; free some space or choose another disk")
    cause = error.strerror or str(error).splitlines()[0]
    return InputError(f"{folder}: cannot be written: {cause}; choose a folder that you can write to")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
