"""What the solver commands share once they run: grid, potentials, progress, and what is printed and written."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np

from fieldsolve import archive, threads
from fieldsolve.cli.options import NOT_CONVERGED
from fieldsolve.energies import Evaluation
from fieldsolve.grids import Circle, Grid, Healpix
from fieldsolve.solution import CAP_RADIUS, Solution, Status

_PATIENCE = 1.0  # seconds before progress is shown

_ROWS = (
    "energy", "bound", "gap", "stationarity", "binding", "entropy", "log_partition", "cap_mass", "symmetric_kl",
    "centroid_gap", "spike_mass", "retained_fraction", "kde_error", "kernel_volume_spread",
)  # fmt: skip


_TITLES = {"symmetric_kl": "symmetric KL", "kde_error": "KDE error"}


def grid_of(nside: int | None, circle: int | None) -> Grid:
    if circle is None:
        return Healpix(64 if nside is None else nside)
    if nside is not None:
        raise click.UsageError("--nside is for the sphere and --circle for the circle; give one of them")
    return Circle(circle)


def default_potential(grid: Grid) -> str:
    """The paper's two wells, on the sphere (experiment D.2) or the circle (D.3)."""
    return "two-well" if grid.dim == 2 else "vmf:6@1,0*0.7+6@-1,0*0.3"


def start_of(text: str) -> Any:
    """The name of a start, or the densities of earlier results."""
    return archive.load(text).density if Path(text).is_dir() else text


def run(
    solve: Callable[[Callable[[int, Evaluation], None]], Solution],
    output: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    limit: int | None,
    cap_radius: float = CAP_RADIUS,
) -> None:
    """Solve with progress, write what was asked for, print the figures, and exit with what came of it."""
    folder = None if output is None else Path(output)
    if folder is not None:
        archive.check_folder(folder, force)
    with threads.limited(limit) if limit is not None else nullcontext():
        with _progress(quiet) as watch:
            solution = solve(watch)
        summary = solution.summary(cap_radius)
        if folder is not None:
            archive.save(solution, folder, force, cap_radius)
    print_figures(solution, summary, as_json, quiet)
    if not quiet:
        if folder is not None and not as_json:
            click.echo(f"written to {folder}/: {', '.join(sorted(path.name for path in folder.iterdir()))}", err=True)
        for note in summary["notes"]:
            click.echo(f"note: {note}", err=True)
    if not solution.converged:
        remedies = {
            Status.STEPS: "; more --max-steps or a larger --tol may help",
            Status.STALLED: f"; the stationarity is {solution.stationarity:.1e} nats, which a larger --tol accepts",
        }
        remedy = remedies.get(solution.status, "")
        click.echo(f"fieldsolve: {solution.status.value}{remedy}", err=True)
        sys.exit(NOT_CONVERGED)


def print_figures(solution: Solution, summary: dict[str, Any], as_json: bool, quiet: bool) -> None:
    """Print what a solution and its summary hold: one JSON object, a table, or nothing."""
    if as_json:
        click.echo(archive.to_json(summary))
    elif not quiet:
        click.echo(_table(solution, summary))


def _table(solution: Solution, summary: dict[str, Any]) -> str:
    lines = [
        f"{summary['status']} ({summary['steps']} step{'s' if summary['steps'] != 1 else ''}, {summary['seconds']:.3g} s)",
        f"{'potential':<22}{' | '.join(summary['potential'])}",
    ]
    if solution.curvature is not None:
        lines.append(f"{'local stability':<22}{solution.curvature.sentence}")
    if solution.phase_sentence is not None:
        lines.append(f"{'phase':<22}{solution.phase_sentence}")
    for name in _ROWS:
        value = summary.get(name)
        if value is not None:
            numbers = "  ".join(f"{number:.10g}" for number in np.ravel(value))
            lines.append(f"{_TITLES.get(name, name.replace('_', ' ')):<22}{numbers}")
    return "\n".join(lines)


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, Evaluation], None]]:
    """A callback that shows, on a terminal and after a second, how far a descent has come."""
    if quiet or not sys.stderr.isatty():
        yield lambda steps, evaluation: None
        return
    began = perf_counter()
    shown: list[Any] = []

    def watch(steps: int, evaluation: Evaluation) -> None:
        if perf_counter() - began < _PATIENCE:
            return
        if not shown:
            from rich.console import Console

            shown.append(Console(stderr=True).status("solving"))
            shown[0].start()
        shown[0].update(
            f"step {steps}: energy {evaluation.value:.8g}, stationarity {evaluation.stationarity:.2e} nats, "
            f"{steps / (perf_counter() - began):.1f} steps/s"
        )

    try:
        yield watch
    finally:
        for status in shown:
            status.stop()
