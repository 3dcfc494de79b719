"""Folders of results that appear whole or not at all, and are replaced without a moment at which neither version is there.

What a folder holds counts as results once summary.json is in it. Only the files that it lists, and as they were written, are
ever replaced or removed.

A replacement moves the old files to `.fieldsolve-old-*` in the folder (the summary first), then the new ones from
`.fieldsolve-new-*` to their places (the summary last), and removes the old. Cut short at any moment, it is undone, or completed
if the new summary is in place, by whoever opens the folder next: see `recover`.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import time
from typing import Any

from fieldsolve.numerics.errors import InputError
from fieldsolve.output.summary import SUMMARY, entry_of, read_summary, summary_text

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Names of temporary folders: of what is to come, of what was there, and of what is only to be removed.
_NEW, _OLD, _GONE = _TEMPORARY = (".fieldsolve-new-", ".fieldsolve-old-", ".fieldsolve-gone-")
# Seconds that they may be in use where locks do not tell: drawing pictures takes some, moving files none.
_LONGEST = {_NEW: 3600.0, _OLD: 60.0, _GONE: 60.0}
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


def check_folder(folder: Path, overwrite: bool) -> None:
    """Raise InputError unless results can be written to a folder: before a long solve rather than after it."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; results need a folder")
    with _staged(folder):
        _check_content(folder, overwrite)


def write_folder(folder: Path, fill: Callable[[Path], dict[str, Any]], overwrite: bool) -> None:
    """Let `fill` write files to a temporary folder and return their summary, and move all of it in, or nothing.

    A new folder appears whole. In one with earlier results (replaced only if overwrite is set) their files are exchanged for
    the new ones, and others stay. If something else has come to be there while `fill` was at work, it is not touched, and the
    new results are kept in a folder beside it. Raises InputError if the folder holds something else, or cannot be written.
    """
    check_folder(folder, overwrite)
    with _staged(folder) as parts:
        values = fill(parts)
        files = {path.name: entry_of(path) for path in sorted(parts.iterdir())}
        (parts / SUMMARY).write_text(summary_text(values, files), encoding="utf-8")
        _sync(parts)
        if not folder.exists():
            try:
                parts.rename(folder)
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
                raise _kept_beside(folder, parts, f"{folder}: another run has written there in the meantime") from None
            _sync_folder(folder.parent)
            return
        with _locked(folder):
            try:
                _check_content(folder, overwrite, set(files))
            except InputError as error:
                raise _kept_beside(folder, parts, str(error)) from None
            _exchange(folder, parts)


def write_files(folder: Path, values: dict[str, Any], files: dict[str, bytes], overwrite: bool = False) -> None:
    """Write a summary, and files by name, to a folder, as `write_folder` does."""

    def fill(parts: Path) -> dict[str, Any]:
        for name, content in files.items():
            (parts / name).write_bytes(content)
        return values

    write_folder(folder, fill, overwrite)


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Write one of a folder's own files again, and what its summary says of it. Raises InputError if it cannot be written."""
    summary = read_summary(folder)
    write_whole(folder / name, content)
    files = {**summary.pop("files"), name: entry_of(folder / name)}
    write_whole(folder / SUMMARY, summary_text(summary, files).encode())


def write_beside(folder: Path, values: dict[str, Any], files: dict[str, bytes]) -> None:
    """Write files to a folder that others are in too, each whole or not at all, and last the summary that lists them.

    Raises InputError if they cannot be written.
    """
    for name, content in files.items():
        write_whole(folder / name, content)
    entries = {name: entry_of(folder / name) for name in files}
    write_whole(folder / SUMMARY, summary_text(values, entries).encode())


def recover(folder: Path) -> None:
    """Undo a replacement that was cut short, or complete it if the new summary is in place, and remove what nobody is at.

    Raises InputError if results are to be moved back and the folder cannot be written.
    """
    try:
        if not folder.is_dir() or not any(path.name.startswith(_TEMPORARY) for path in folder.iterdir()):
            return
        with _locked(folder), ExitStack() as held:
            temporary = sorted(path for path in folder.iterdir() if path.name.startswith(_TEMPORARY))
            left = [path for path in temporary if held.enter_context(_abandoned(path))]
            for old in (path for path in left if path.name.startswith(_OLD)):
                if not (folder / SUMMARY).exists():
                    _roll_back(folder, old, [path for path in left if path.name.startswith(_NEW)])
            for path in left:
                _remove(path)
    except OSError as error:
        raise unwritable(folder, error) from error


def _roll_back(folder: Path, old: Path, new: list[Path]) -> None:
    """Take what has come of new files out again, and move the old ones back, the summary last."""
    for parts in new:
        with suppress(InputError):  # of a run that was still filling it
            for name in read_summary(parts)["files"]:
                if not (parts / name).exists() and (folder / name).exists():
                    (folder / name).rename(parts / name)
    for path in sorted(old.iterdir(), key=_summary_last):
        path.replace(folder / path.name)


def _exchange(folder: Path, parts: Path) -> None:
    """Put new files in the place of the old results'. What goes wrong on the way is left to `recover`."""
    before = [SUMMARY, *read_summary(folder)["files"]] if (folder / SUMMARY).exists() else []
    with _temporary(_OLD, folder) as old:
        for name in before:
            if (folder / name).exists():
                (folder / name).rename(old / name)
        for path in sorted(parts.iterdir(), key=_summary_last):
            path.rename(folder / path.name)
        _sync_folder(folder)


def _check_content(folder: Path, overwrite: bool, coming: frozenset[str] | set[str] = frozenset()) -> None:
    """Raise InputError unless a folder is empty, or holds results that may be replaced and are as they were written.

    coming: names of files that are to come, which must not be there already as somebody else's.
    """
    present = {path.name for path in folder.iterdir() if not path.name.startswith(_TEMPORARY)} if folder.exists() else set()
    if present and SUMMARY not in present:
        raise InputError(f"{folder}: is not empty and holds no fieldsolve results; choose another folder")
    if present and not overwrite:
        raise InputError(f"{folder}: holds results already; choose another folder, or replace them with --force")
    if not present:
        return
    try:
        files = read_summary(folder)["files"]
    except InputError as error:
        raise InputError(f"{error}. It is not replaced; choose another folder, or move its files away") from None
    for name, entry in files.items():
        path = folder / name
        if path.is_symlink() or (path.exists() and not (path.is_file() and entry_of(path) == entry)):
            raise InputError(f"{path}: is not as fieldsolve wrote it; move it away, or choose another folder")
    for name in (coming & present) - set(files):
        raise InputError(f"{folder / name}: is not fieldsolve's; move it away, or choose another folder")


def _summary_last(path: Path) -> tuple[bool, str]:
    return path.name == SUMMARY, path.name


def _kept_beside(folder: Path, parts: Path, cause: str) -> InputError:
    """The error for results that cannot take their place; they are kept under the next free name."""
    place, number = folder.absolute(), 2
    while True:
        beside = place.with_name(f"{place.name}-{number}")
        try:
            if not beside.exists():
                parts.rename(beside)
                return InputError(f"{cause}. The new results are in {beside}")
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        number += 1


@contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    """A temporary folder on the same disk, in the given one if it exists, else beside it; recovers what was left, and is left."""
    try:
        home = folder if folder.exists() else folder.parent
        home.mkdir(parents=True, exist_ok=True)
        recover(home)
        try:
            with _temporary(_NEW, home) as parts:
                parts.chmod(0o777 & ~_umask())
                yield parts
        finally:
            recover(home)
    except OSError as error:
        raise unwritable(folder, error) from error


@contextmanager
def _temporary(prefix: str, home: Path) -> Iterator[Path]:
    """A new folder that counts as abandoned only afterwards."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=home))
        with _locked(path):
            if path.exists():  # else another run took it for abandoned before it was locked
                yield path
                return


@contextmanager
def _abandoned(path: Path) -> Iterator[bool]:
    """Whether nobody is at a temporary folder, and nobody comes to be meanwhile."""
    try:
        with _locked(path, wait=False) as is_locked:
            longest = next(seconds for prefix, seconds in _LONGEST.items() if path.name.startswith(prefix))
            yield is_locked or (is_locked is None and time() - path.stat().st_mtime > longest)
    except FileNotFoundError:
        yield False


@contextmanager
def _locked(folder: Path, wait: bool = True) -> Iterator[bool | None]:
    """Hold a folder against other runs: whether it is held (not if another run does), None where the system has no locks."""
    if fcntl is None:
        yield None
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            is_locked: bool | None = True
        except BlockingIOError:
            is_locked = False
        except OSError:  # a file system without locks
            is_locked = None
        yield is_locked
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    """Remove a temporary folder, first by a name that says that nothing in it counts: half of it is never taken for all."""
    with suppress(OSError):
        gone = path.with_name(_GONE + path.name.rpartition("-")[2])
        path.rename(gone)
        shutil.rmtree(gone)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name first, so that it appears whole or not at all. Raises InputError if it cannot be."""
    with whole_file(path) as part, part.open("wb") as file:
        file.write(content)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Another name to write a file to: it takes its own only once that is done, and is removed if it is not.

    Raises InputError if it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        try:
            yield part
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
    except OSError as error:
        raise unwritable(path, error) from error


def _sync(parts: Path) -> None:
    """Wait until files are on the disk."""
    for path in parts.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    _sync_folder(parts)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unwritable(folder: Path, error: OSError) -> InputError:
    """The error for what cannot be written, with its cause and the remedy."""
    # astropy words a full disk itself, without the error's number
    if error.errno == errno.ENOSPC or "space on disk" in str(error):
        return InputError(f"{folder}: cannot be written: the disk is full; free some space or choose another disk")
    cause = error.strerror or str(error).splitlines()[0]
    return InputError(f"{folder}: cannot be written: {cause}; choose a folder that you can write to")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
