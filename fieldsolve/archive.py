"""Results on disk: a folder that appears whole or not at all, and the way back."""

import csv
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from fieldsolve.arrays import Array
from fieldsolve.errors import InputError
from fieldsolve.grids import Circle, Grid, Healpix
from fieldsolve.kernels import Kernel
from fieldsolve.solution import CAP_RADIUS, Curvature, MatchedFigures, Phase, Solution, Stability, Status, Trace

SUMMARY = "summary.json"
_DPI = 110
_FILES = ("fields.fits", "fields.npz", "trace.csv", "table.csv", "figure.png", "pairs.npy")  # besides the summary


def check_folder(folder: Path, overwrite: bool) -> None:
    """Raise InputError unless results can be written to a folder: before a long solve rather than after it."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; results need a folder")
    present = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if present and SUMMARY not in present:
        raise InputError(f"{folder}: is not empty and holds no fieldsolve results; choose another folder")
    if present and not overwrite:
        raise InputError(f"{folder}: holds results already; choose another folder, or replace them with --force")
    with _staged(folder):
        pass


def save(solution: Solution, folder: Path | str, overwrite: bool = False, cap_radius: float = CAP_RADIUS) -> None:
    """Write summary.json, fields.fits (.npz off HEALPix), trace.csv and figure.png to a folder, all or nothing.

    A new folder appears whole. In a folder with earlier results (replaced only if overwrite is set) the summary, without
    which nothing counts as results, goes first and comes last; other files stay. Raises InputError if the folder
    holds something else, or cannot be written.
    """
    from fieldsolve.plotting import plot  # matplotlib is slow to import: 0.45 s

    def fill(parts: Path) -> None:
        (parts / SUMMARY).write_text(to_json(solution.summary(cap_radius)) + "\n")
        _write_fields(solution, parts)
        _write_trace(solution.trace, parts / "trace.csv")
        if solution.pairs is not None:
            np.save(parts / "pairs.npy", solution.pairs)
        plot(solution).savefig(parts / "figure.png", dpi=_DPI)

    _write_folder(Path(folder), fill, overwrite)


def save_study(folder: Path, figures: dict[str, Any], table: str, figure: bytes, overwrite: bool = False) -> None:
    """Write summary.json, table.csv and figure.png to a folder, all or nothing, under the same rules as `save`."""

    summary = (to_json(figures) + "\n").encode()
    save_files(folder, {SUMMARY: summary, "table.csv": table.encode(), "figure.png": figure}, overwrite)


def save_files(folder: Path, files: dict[str, bytes], overwrite: bool = False) -> None:
    """Write files by name, summary.json among them, to a folder, all or nothing, under the same rules as `save`.

    Files that the summary of earlier results lists under `files` go with them.
    """

    def fill(parts: Path) -> None:
        for name, content in files.items():
            (parts / name).write_bytes(content)

    _write_folder(folder, fill, overwrite)


def _write_folder(folder: Path, fill: Callable[[Path], None], overwrite: bool) -> None:
    check_folder(folder, overwrite)
    with _staged(folder) as parts:
        fill(parts)
        if not folder.exists():
            parts.rename(folder)
            return
        for name in (SUMMARY, *_FILES, *_listed(folder)):
            (folder / name).unlink(missing_ok=True)
        for path in sorted(parts.iterdir(), key=lambda path: path.name == SUMMARY):
            path.rename(folder / path.name)


def _listed(folder: Path) -> list[str]:
    """The files that earlier results' summary says are theirs."""
    try:
        listed = json.loads((folder / SUMMARY).read_text()).get("files", [])
    except (OSError, ValueError, AttributeError):
        return []
    return [name for name in listed if isinstance(name, str) and name == Path(name).name]


def redraw(solution: Solution, folder: Path) -> None:
    """Draw the figure of loaded results again. Raises InputError if it cannot be written."""
    from fieldsolve.plotting import plot

    with _staged(folder) as parts:
        plot(solution).savefig(parts / "figure.png", dpi=_DPI)
        (parts / "figure.png").rename(folder / "figure.png")


def load(folder: Path | str) -> Solution:
    """Read a folder of results back. Raises InputError if it holds none, or not all of it."""
    folder = Path(folder)
    try:
        summary = json.loads((folder / SUMMARY).read_text())
        if summary["schema"] not in {"fieldsolve/unimodal/1", "fieldsolve/multimodal/1"}:
            raise ValueError(f"unknown schema {summary['schema']!r}")
        return _solution(folder, summary)
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = Path(error.filename or "trace.csv").name  # numpy does not say which
        raise InputError(f"{folder}: holds no complete fieldsolve results ({missing} is missing)") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: its results cannot be read: {str(error).splitlines()[0]}") from error


def to_json(figures: dict[str, Any]) -> str:
    """One JSON object with sorted keys; numbers that are not finite become null."""
    return json.dumps(finite(figures), sort_keys=True, indent=2, allow_nan=False)


def finite(value: Any) -> Any:
    """The same JSON values, with None for every number that is not finite."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value


@contextmanager
def _staged(folder: Path) -> Iterator[Path]:
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


def _names(modalities: int) -> list[str]:
    return [f"{kind}_{a + 1}" for a in range(modalities) for kind in ("potential", "density")]


def _write_fields(solution: Solution, folder: Path) -> None:
    fields = [field for pair in zip(solution.potentials, solution.density, strict=True) for field in pair]
    names = _names(solution.modalities)
    if isinstance(solution.grid, Healpix):
        import healpy  # slow to import: 0.8 s

        healpy.write_map(folder / "fields.fits", fields, nest=False, dtype=np.float64, column_names=names)
    else:
        np.savez(folder / "fields.npz", **dict(zip(names, fields, strict=True)))


def _read_fields(folder: Path, grid: Grid, modalities: int) -> tuple[Array, Array]:
    if isinstance(grid, Healpix):
        import healpy

        if not (folder / "fields.fits").exists():
            raise FileNotFoundError(2, "missing", str(folder / "fields.fits"))
        columns = np.asarray(healpy.read_map(folder / "fields.fits", field=None, nest=False, dtype=np.float64))
    else:
        with np.load(folder / "fields.npz", allow_pickle=False) as stored:
            columns = np.stack([stored[name] for name in _names(modalities)])
    if columns.shape != (2 * modalities, grid.size):
        raise ValueError(f"fields of shape {columns.shape} instead of {(2 * modalities, grid.size)}")
    return columns[0::2], columns[1::2]


def _write_trace(trace: Trace, path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "energy", "stationarity", "length"])
        rows = zip(trace.energy.tolist(), trace.stationarity.tolist(), trace.length.tolist(), strict=True)
        writer.writerows([step, *map(repr, row)] for step, row in enumerate(rows))


def _read_trace(path: Path) -> Trace:
    columns = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
    return Trace(columns[:, 1], columns[:, 2], columns[:, 3])


def _curvature(summary: dict[str, Any]) -> Curvature:
    eigenvalues, content = (np.array(summary[name], dtype=float) for name in ("lowest_eigenvalues", "multipole_content"))
    are_all, is_exact = summary["unstable_modes_are_all"], summary["stability_is_exact"]
    return Curvature(eigenvalues, summary["flat_eigenvalues"], are_all, is_exact, None, content, summary["antisymmetry"])


def _matched(summary: dict[str, Any]) -> MatchedFigures:
    return MatchedFigures(Phase(summary["phase"]), Stability(summary["matched_stability"]), summary["matched_energy"])


def _solution(folder: Path, summary: dict[str, Any]) -> Solution:
    one = summary["schema"] == "fieldsolve/unimodal/1"
    grid = Healpix(summary["nside"]) if summary["grid"] == "healpix" else Circle(summary["size"])
    potentials, density = _read_fields(folder, grid, len(summary["potential"]))
    return Solution(
        grid=grid,
        potentials=potentials,
        labels=tuple(summary["potential"]),
        wells=None if summary["wells"] is None else np.array(summary["wells"]),
        tau=summary["tau"],
        floor=summary["floor"],
        coupling=None if one else summary["coupling"],
        kernel=Kernel(summary["critic"], summary["tau"], summary["allow_unresolved"]),
        smoothed=summary["energy_kind"] == "smoothed",
        tolerance=summary["tol"],
        start=summary["start"],
        density=density,
        energy=summary["energy"],
        stationarity=summary["stationarity"],
        bound=summary["bound"],
        matched=None if summary.get("phase") is None else _matched(summary),
        curvature=None if summary.get("local_stability") is None else _curvature(summary),
        binding=np.atleast_1d(summary["binding"]).astype(np.float64),
        cross_entropy=np.atleast_2d(summary["cross_entropy"]).astype(np.float64),
        log_partition=np.atleast_1d(summary["log_partition"]).astype(np.float64),
        status=Status(summary["status"]),
        trace=_read_trace(folder / "trace.csv"),
        seconds=summary["seconds"],
        notes=tuple(summary["notes"]),
        pairs=None if one or summary["retained_fraction"] is None else np.load(folder / "pairs.npy", allow_pickle=False),
        retained_fraction=None if one else summary["retained_fraction"],
    )
