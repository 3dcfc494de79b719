"""What the solver commands share: the problem that options name, and how its solution is printed and written."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import numpy as np

from fieldsolve.cli.options import NOT_CONVERGED
from fieldsolve.cli.progress import progress
from fieldsolve.cli.say import say
from fieldsolve.cli.studies import check_places, write_figure
from fieldsolve.equilibrium.atoms import Atoms
from fieldsolve.equilibrium.descent import Status
from fieldsolve.equilibrium.parameters import PARAMETERS
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.equilibrium.solution import CAP_RADIUS, Solution
from fieldsolve.equilibrium.storage import load, save
from fieldsolve.grids import Circle, Grid, Healpix, Kernel, Zonal, grid_of, zonal_for
from fieldsolve.numerics import threads
from fieldsolve.output.tables import to_json

#: What the table leads with, and what follows; `--json` and summary.json have the rest.
_ROWS = (
    "centroid_gap", "symmetric_kl", "cap_mass", "energy", "gap", "discretisation_error", "stationarity", "binding", "entropy",
    "log_partition", "spike_mass", "retained_fraction",
)  # fmt: skip

#: In which unit, or of what, a number is.
_UNITS = {
    "symmetric_kl": "nats", "energy": "nats", "gap": "nats above the grid's lower bound",
    "discretisation_error": "nats, about, from the grid to the continuum", "stationarity": "nats",
    "binding": "int U rho/tau of each density, nats", "entropy": "of each density, nats; 0 is uniform",
    "log_partition": "log Z of each potential, nats", "spike_mass": "share of each density's mass above the floor on one point",
    "retained_fraction": "of the embeddings' squared length", "centroid_gap": "0 to 2",
}  # fmt: skip


_TITLES = {"symmetric_kl": "symmetric KL"}


_SHOWN_ATOMS = 3

_PLACES = ("nside", "circle", "dimension", "grid", "start")


def chosen_grid(options: dict[str, Any], nside: int = 64) -> Grid:
    """The grid of --nside, --circle, --dimension or --grid; nside: what it is without any of them."""
    names = ("nside", "circle", "dimension", "grid")
    given: dict[str, Any] = {name: options.get(name) for name in names if options.get(name) is not None}
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join('--' + name for name in given)} each name a grid; give one of them")
    if "grid" in given:
        return grid_of(given["grid"])
    if "dimension" in given:
        has_tau = options.get("tau") is not None
        return zonal_for(given["dimension"], Kernel(options["critic"], options["tau"])) if has_tau else Zonal(given["dimension"])
    return Circle(given["circle"]) if "circle" in given else Healpix(given.get("nside", nside))


def default_potential(grid: Grid) -> str:
    """The paper's two wells, on the sphere (experiment D.2) or the circle (D.3); the latter about the axis of a zonal grid."""
    if grid.components == 2:
        return "vmf:6@1,0*0.7+6@-1,0*0.3"
    if isinstance(grid, Zonal):
        return "vmf:6@axis*0.7+6@-axis*0.3"
    return "two-well" if grid.components == 3 else "flat"


def problem_of(options: dict[str, Any], potentials: Any, grid: Grid) -> Problem:
    """The problem that options name, with these potentials on this grid."""
    named = {name: options[name] for name in PARAMETERS if name in options and name not in _PLACES}
    place = {"dimension": options["dimension"]} if options["dimension"] is not None else {"grid": grid}
    return Problem(potentials, **place, terms=options["terms"], start=_start(options["start"]), **named)


def _start(text: str | None) -> Any:
    """The name of a start, or the densities of earlier results."""
    return load(text).density if text is not None and Path(text).is_dir() else text


def run(problem: Callable[[], Problem], options: dict[str, Any], cap_radius: float = CAP_RADIUS) -> None:
    """Solve with progress, write what was asked for, print the values, and exit with what came of it."""
    folder, quiet, as_json = options["output"], options["quiet"], options["as_json"]
    check_places(options)
    with threads.limit(options["threads"]) if options["threads"] is not None else nullcontext():
        with progress(quiet) as watch:
            made = problem()
            solution = made.solve(stability=made.energy == "smoothed", watch=watch, discretisation=True)
        summary = solution.summary(cap_radius)
        if folder is not None:
            save(solution, folder, options["force"], cap_radius)
    write_figure(lambda: _picture(solution), options)
    print_solution(solution, summary, as_json, quiet)
    if not quiet:
        if folder is not None and not as_json:
            say(f"written to {folder}/: {', '.join(sorted(path.name for path in folder.iterdir()))}", err=True)
        for note in summary["notes"]:
            say(f"note: {note}", err=True)
    if not solution.converged:
        remedies = {
            Status.STEPS: "; more --max-steps or a larger --tol may help",
            Status.PINNED: "; --polish moves them" if not solution.problem.polish else "",
            Status.STALLED: f"; the stationarity is {solution.stationarity:.1e} nats, which a larger --tol accepts",
        }
        say(f"fieldsolve: {solution.status.value}{remedies.get(solution.status, '')}", err=True)
        sys.exit(NOT_CONVERGED)


def _picture(solution: Solution) -> Any:
    from fieldsolve.equilibrium.pictures import plot  # matplotlib is slow to import: 0.45 s

    return plot(solution)


def print_solution(solution: Solution, summary: dict[str, Any], as_json: bool, quiet: bool) -> None:
    """Print what a solution and its summary hold: one JSON object, a table, or nothing."""
    if as_json:
        say(to_json(summary))
    elif not quiet:
        say(_table(solution, summary))


def _described(atoms: Atoms, a: int) -> str:
    """How many atoms a density consists of, and on a zonal grid at which heights the heaviest are."""
    count = f"{len(atoms.masses[a])} atom{'s' if len(atoms.masses[a]) != 1 else ''}"
    if atoms.shells.directions > 1 or atoms.shells.dimension == 1:
        return count
    heaviest = np.argsort(-atoms.masses[a], kind="stable")[:_SHOWN_ATOMS]
    heights = ", ".join(f"{atoms.positions[a][i, 0]:.6g}" for i in heaviest)
    return f"{count} at height {heights}{', ...' if len(atoms.masses[a]) > _SHOWN_ATOMS else ''}"


def _table(solution: Solution, summary: dict[str, Any]) -> str:
    lines = [
        f"{summary['status']} ({summary['steps']} step{'s' if summary['steps'] != 1 else ''}, {summary['seconds']:.3g} s)",
        f"{'potential':<22}{' | '.join(summary['potential'])}",
    ]
    if solution.curvature is not None:
        lines.append(f"{'local stability':<22}{solution.curvature.sentence}")
    if solution.phase_sentence is not None:
        lines.append(f"{'phase':<22}{solution.phase_sentence}")
    if solution.atoms is not None:
        lines.append(f"{'atoms':<22}{' | '.join(_described(solution.atoms, a) for a in range(solution.modalities))}")
    lines += [f"{'term ' + name + '  ':<22}{value:.10g} nats" for name, value in summary["terms"].items()]
    rows = []
    for name in _ROWS:
        value = summary.get(name)
        if value is not None:
            numbers = "  ".join(f"{number:.10g}" for number in np.ravel(value))
            unit = f"within {summary['cap_radius']:g} rad of the wells" if name == "cap_mass" else _UNITS[name]
            rows.append([_TITLES.get(name, name.replace("_", " ")), numbers, unit])
    width = max(len(numbers) for _, numbers, _ in rows) + 2
    lines += [f"{title:<22}{numbers:<{width}}{unit}" for title, numbers, unit in rows]
    return "\n".join([*lines, f"{'as a functional':<22}{summary['convexity']}"])
