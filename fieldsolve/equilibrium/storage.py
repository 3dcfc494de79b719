"""Solutions on disk: what a folder of one holds, and the way back to the last bit."""

from pathlib import Path
from typing import Any

import numpy as np

from fieldsolve.equilibrium.atoms import Atoms
from fieldsolve.equilibrium.descent import Status, Trace
from fieldsolve.equilibrium.phases import Phase, Stability, StatePhase
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.equilibrium.solution import CAP_RADIUS, SCHEMAS, Solution
from fieldsolve.equilibrium.stability import Curvature
from fieldsolve.grids import grid_of
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.output.folders import recover, replace_file, write_folder
from fieldsolve.output.summary import entry_of, read_summary
from fieldsolve.output.tables import csv_text

_DPI = 110
_TRACE, _PAIRS = "trace.csv", "pairs.npz"


def save(solution: Solution, folder: Path | str, overwrite: bool = False, cap_radius: float = CAP_RADIUS) -> None:
    """Write summary.json, fields.fits (.npz off HEALPix), trace.csv and figure.png to a folder, all or nothing.

    A new folder appears whole; see `output.folders.write_folder`. The summary holds the problem, and the fields what its
    JSON cannot: `load(folder).problem.solve()` gives the same bits on one kind of processor. Raises InputError if the folder
    holds something else, or cannot be written.
    """
    from fieldsolve.equilibrium.pictures import plot  # matplotlib is slow to import: 0.45 s
    from fieldsolve.output.pictures import folder_pictures

    def fill(parts: Path) -> dict[str, Any]:
        solution.grid.write_fields(parts, _fields(solution))
        (parts / _TRACE).write_text(_trace_text(solution.trace))
        points: dict[str, Any] = _points(solution.problem)
        if points:
            np.savez(parts / _PAIRS, **points)
        for name, picture in folder_pictures(lambda: {"figure": plot(solution)}, _DPI).items():
            (parts / name).write_bytes(picture)
        return solution.summary(cap_radius)

    write_folder(Path(folder), fill, overwrite)


def redraw(solution: Solution, folder: Path) -> None:
    """Draw the figure of loaded results again. Raises InputError if it cannot be written."""
    from fieldsolve.equilibrium.pictures import plot
    from fieldsolve.output.pictures import folder_pictures

    for name, picture in folder_pictures(lambda: {"figure": plot(solution)}, _DPI).items():
        replace_file(folder, name, picture)


def load(folder: Path | str) -> Solution:
    """Read a folder of results back. Raises InputError if it holds none, not all of it, or something that is not as it was."""
    folder = Path(folder)
    recover(folder)
    summary = read_summary(folder)
    if summary["schema"] not in SCHEMAS:
        raise InputError(f"{folder}: the schema {summary['schema']!r} is not that of this version's solutions; solve again")
    try:
        for name, entry in summary["files"].items():
            if not name.endswith(".png") and entry_of(folder / name) != entry:
                raise InputError(f"{folder}: {name} is damaged, or was changed by hand: its checksum does not fit; solve again")
        return _solution(folder, summary)
    except InputError:
        raise
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise InputError(f"{folder}: holds no complete fieldsolve results ({missing} is missing)") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: its results cannot be read: {str(error).splitlines()[0]}") from error


def _fields(solution: Solution) -> dict[str, Array]:
    """Every potential and density, and what else the problem needs to be solved again, by name."""
    fields: dict[str, Array] = {}
    for a, (potential, density) in enumerate(zip(solution.potentials, solution.density, strict=True), start=1):
        fields |= {f"potential_{a}": potential, f"density_{a}": density}
    return fields | solution.problem.stored()


def _names(plain: dict[str, Any]) -> list[str]:
    """The names of a problem's fields in the order in which they are stored."""
    numbers = range(1, len(plain["potentials"]) + 1)
    names = [f"{kind}_{a}" for a in numbers for kind in ("potential", "density")]
    return names + ([f"start_{a}" for a in numbers] if isinstance(plain["start"], dict) else [])


def _points(problem: Problem) -> dict[str, Any]:
    """The embeddings behind potentials, by the potentials' keys."""
    found = {f"potential_{a}": potential.points for a, potential in enumerate(problem.resolved, start=1)}
    return {key: points for key, points in found.items() if points is not None}


def _trace_text(trace: Trace) -> str:
    rows = zip(trace.energy.tolist(), trace.stationarity.tolist(), trace.length.tolist(), strict=True)
    return csv_text(["step", "energy", "stationarity", "length"], [[step, *map(repr, row)] for step, row in enumerate(rows)])


def _read_trace(path: Path) -> Trace:
    columns = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
    return Trace(columns[:, 1], columns[:, 2], columns[:, 3])


def _curvature(summary: dict[str, Any]) -> Curvature | None:
    if summary["local_stability"] is None:
        return None
    eigenvalues, content = (np.array(summary[name], dtype=float) for name in ("lowest_eigenvalues", "multipole_content"))
    are_all, is_exact = summary["unstable_modes_are_all"], summary["stability_is_exact"]
    return Curvature(eigenvalues, summary["flat_eigenvalues"], are_all, is_exact, None, content, summary["antisymmetry"])


def _matched(summary: dict[str, Any]) -> StatePhase | None:
    if summary.get("phase") is None:
        return None
    return StatePhase(Phase(summary["phase"]), Stability(summary["matched_stability"]), summary["matched_energy"])


def _read_points(folder: Path) -> dict[str, Array]:
    if not (folder / _PAIRS).exists():
        return {}
    with np.load(folder / _PAIRS, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _solution(folder: Path, summary: dict[str, Any]) -> Solution:
    plain = summary["problem"]
    names = _names(plain)
    fields = dict(zip(names, grid_of(plain["grid"]).read_fields(folder, names), strict=True))
    problem = Problem.from_json(plain, fields, _read_points(folder))
    return Solution(
        problem=problem,
        start=summary["start"],
        density=np.stack([fields[f"density_{a}"] for a in range(1, problem.modalities + 1)]),
        energy=summary["energy"],
        stationarity=summary["stationarity"],
        bound=summary["bound"],
        matched=_matched(summary),
        curvature=_curvature(summary),
        binding=np.atleast_1d(summary["binding"]).astype(np.float64),
        cross_entropy=np.atleast_2d(summary["cross_entropy"]).astype(np.float64),
        added=tuple(summary["terms"][str(term)] for term in problem.all_terms),
        log_partition=np.atleast_1d(summary["log_partition"]).astype(np.float64),
        status=Status(summary["status"]),
        trace=_read_trace(folder / _TRACE),
        seconds=summary["seconds"],
        notes=tuple(summary["notes"]),
        discretisation_error=summary.get("discretisation_error"),  # folders of before have none, and no atoms
        atoms=Atoms.from_json(problem.grid, summary["atoms"]) if summary.get("atoms") is not None else None,
    )
